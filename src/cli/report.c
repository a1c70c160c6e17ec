/* strata report: a run as one HTML file. */
#include "report/report.h"

#include <stdio.h>

#include "cli/commands.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

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
    int status = strata_report(&summary, arguments->operands[0], out, &options, err);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(json_pack("{s:s, s:I, s:I, s:I, s:I}", "out", out, "samples",
                                           (json_int_t)summary.samples, "shown", (json_int_t)summary.shown,
                                           "without_images", (json_int_t)summary.without_images, "bytes",
                                           (json_int_t)summary.bytes),
                                 err);
    printf("%zu samples, %zu in the browser -> %s, %s\n", summary.samples, summary.shown, out,
           strata_bytes_text(size, (double)summary.bytes));
    if (summary.without_images) printf("  %zu without images\n", summary.without_images);
    return 0;
}
