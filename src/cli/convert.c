/* strata convert: a data set in another layout. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "data/export.h"

#define ID(name) STRATA_OPTION_ID_##name

static void on_bad(void *context, const struct strata_error *err) {
    char text[1400];
    (void)context;
    fprintf(stderr, "skipped: %s\n", strata_error_line(err, text, sizeof text));
}

static int write_all(size_t *written, struct strata_export *export, struct strata_dataset *dataset,
                     struct strata_error *err) {
    for (bool got = true;;) {
        struct strata_sample sample;
        int status = strata_dataset_next(dataset, &sample, &got, err);
        if (status || !got) return status;
        status = strata_export_write(export, &sample, err);
        strata_sample_free(&sample);
        if (status) return status;
        ++*written;
    }
}

int strata_cli_convert(const struct strata_arguments *arguments, struct strata_error *err) {
    const char *in = arguments->operands[0], *out = arguments->operands[1];
    struct strata_dataset_options options = {
        .skip_bad = strata_flag(arguments, ID(SKIP_BAD)),
        .prepend_missing_image = strata_choice(arguments, ID(MISSING_IMAGE)) == 1,
        .limit = strata_size(arguments, ID(LIMIT)),
        .on_bad = on_bad,
    };
    struct strata_dataset *dataset = NULL;
    struct strata_export *export = NULL;
    size_t written = 0, bad = 0;
    if (!strata_flag(arguments, ID(QUIET))) strata_print_data(in);
    int status = strata_dataset_open(&dataset, in, &options, err);
    if (!status)
        status =
            strata_export_open(&export, out, strata_setup_format(arguments, out), strata_setup_paths(arguments), err);
    if (!status) status = write_all(&written, export, dataset, err);
    if (status) {
        strata_export_abort(export);
    } else {
        bad = strata_dataset_bad(dataset);
        status = strata_export_commit(export, err);
    }
    strata_dataset_close(dataset);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(
            json_pack("{s:I, s:I, s:s}", "records", (json_int_t)written, "bad", (json_int_t)bad, "out", out), err);
    printf("%zu records -> %s\n", written, out);
    if (bad) printf("%zu bad record%s left out\n", bad, bad == 1 ? "" : "s");
    return 0;
}
