/* strata init: a new model directory with fresh weights. */
#include "model/init.h"

#include "base/file.h"
#include "base/json.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

int strata_cli_init(const struct strata_arguments *arguments, struct strata_error *err) {
    const char *out = strata_text(arguments, ID(OUT)), *config = strata_text(arguments, ID(CONFIG));
    enum strata_dtype dtype = strata_choice(arguments, ID(DTYPE)) == 1 ? STRATA_DTYPE_BF16 : STRATA_DTYPE_F32;
    uint64_t seed = (uint64_t)strata_integer(arguments, ID(SEED));
    struct strata_threads *threads = NULL;
    int status = strata_threads_create(&threads, strata_size(arguments, ID(THREADS)), err);
    if (!status)
        status = strata_model_init(out, config, strata_text(arguments, ID(TOKENIZER)), seed, dtype, threads, err);
    strata_threads_destroy(threads);
    if (status == STRATA_ERR_IO && !strata_file_exists(config))
        strata_fail_hint(err, status, "neither a file nor a preset; presets are tiny, block, 0.5b, 3b and 7b");
    if (status) return status;
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(json_pack("{s:s, s:s, s:I, s:s}", "out", out, "config", config, "seed",
                                           (json_int_t)seed, "dtype", strata_dtype_name(dtype)),
                                 err);
    printf("%s: weights from %s, seed %llu, %s\n", out, config, (unsigned long long)seed, strata_dtype_name(dtype));
    return 0;
}
