/* strata report: a run as one HTML file. */
#include "report/report.h"

#include <stdio.h>

#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

/* The engine that draws maps; what only it reads has no effect without it. */
static int open_engine(struct strata_engine **out, const struct strata_arguments *arguments, struct strata_error *err) {
    static const enum strata_option_id ids[] = {ID(COMPUTE), ID(ISA), ID(THREADS), ID(MEMORY), ID(MAX_PIXELS)};
    *out = NULL;
    if (strata_integer(arguments, ID(MAPS))) return strata_setup_engine(out, arguments, err);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (strata_given(arguments, ids[i]))
            return strata_fail(err, STRATA_ERR_USAGE, "--%s has no effect without --maps", strata_options[ids[i]].name);
    return 0;
}

int strata_cli_report(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_report_options options;
    struct strata_report_summary summary;
    const char *out = strata_text(arguments, ID(OUT));
    char size[32];
    strata_report_options_default(&options);
    options.data = strata_text(arguments, ID(DATA));
    options.model = strata_text(arguments, ID(MODEL));
    options.samples = (size_t)strata_integer(arguments, ID(SAMPLES));
    options.seed = (uint64_t)strata_integer(arguments, ID(SEED));
    options.maps = (size_t)strata_integer(arguments, ID(MAPS));
    int status = open_engine(&options.engine, arguments, err);
    if (!status) status = strata_report(&summary, arguments->operands[0], out, &options, err);
    strata_engine_destroy(options.engine);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "out", out, "samples",
                                           (json_int_t)summary.samples, "shown", (json_int_t)summary.shown,
                                           "without_images", (json_int_t)summary.without_images, "maps",
                                           (json_int_t)summary.maps, "unmapped", (json_int_t)summary.unmapped, "bytes",
                                           (json_int_t)summary.bytes),
                                 err);
    printf("%zu samples, %zu in the browser -> %s, %s\n", summary.samples, summary.shown, out,
           strata_bytes_text(size, (double)summary.bytes));
    if (summary.without_images) printf("  %zu without images\n", summary.without_images);
    if (options.maps) printf("  %zu with a map of the attention, %zu left out\n", summary.maps, summary.unmapped);
    return 0;
}
