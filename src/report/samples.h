/* Private to the report: the chosen samples as JSON for the page's browser. */
#ifndef STRATA_REPORT_SAMPLES_H
#define STRATA_REPORT_SAMPLES_H

#include <jansson.h>
#include <stdbool.h>

#include "report/gather.h"
#include "report/report.h"

struct strata_report_browser {
    json_t *samples;                       /* array, owned */
    size_t without_images, maps, unmapped; /* see strata_report_summary */
    char unmapped_reason[200];             /* of the first that was left out */
    bool has_data;                         /* the data set was found, with the content that was scored */
    char note[512];                        /* why not */
};
/* Release with json_decref(samples), also after a failure. */
int strata_report_samples(struct strata_report_browser *out, struct strata_report_numbers *numbers,
                          const struct strata_report_options *options, struct strata_error *err);

#endif
