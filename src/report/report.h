/* `strata report`: a score run or a study as one self-contained HTML file that makes no request to anywhere.
 *
 * Numbers and plots are of all samples of the run; the sample browser shows a seeded random choice of them, so that the
 * page stays light whatever the size of the run. What was chosen or left out is said on the page. Equal runs, options
 * and data give byte-identical pages. */
#ifndef STRATA_REPORT_REPORT_H
#define STRATA_REPORT_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "strata/error.h"

struct strata_engine;

struct strata_report_options {
    const char *data;  /* data set, or NULL: where the run says it lies; if it is not there any more the page does
                          without   questions and images */
    const char *model; /* model directory: its tokenizer puts the balance of each token on the text; or NULL */
    /* The built-in engine with the model that was scored: reads the answers of the first `maps` samples again and shows
     * where on the image their attention lay. NULL: no maps. */
    struct strata_engine *engine;
    size_t maps;
    size_t samples;     /* in the browser, at most */
    size_t image_bytes; /* of embedded images together, about; samples beyond get none */
    uint64_t seed;      /* of the choice */
};
void strata_report_options_default(struct strata_report_options *options); /* 200 samples, 24 MiB, seed 0 */

struct strata_report_summary {
    size_t samples, shown; /* in the run, in the browser */
    size_t without_images; /* of shown: beyond image_bytes, or not readable */
    size_t maps, unmapped; /* drawn; left out, because the model given does not look as the one that was scored */
    size_t bytes;          /* of the page */
};

/* Writes the page of a run directory or a study (with the run of its first seed) to the file `out` (atomically).
 * summary may be NULL. STRATA_ERR_STATE: the data set given has other content than the one scored. */
int strata_report(struct strata_report_summary *summary, const char *directory, const char *out,
                  const struct strata_report_options *options, struct strata_error *err);

#endif
