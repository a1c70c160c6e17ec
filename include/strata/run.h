/* Reading a run directory of `strata score`: one row a sample, also while the run is still going on. */
#ifndef STRATA_RUN_H
#define STRATA_RUN_H

#include <stddef.h>

#include "strata/error.h"
#include "strata/export.h"
#include "strata/vlm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The library fills it and may append fields in later versions; it is only ever passed by pointer. Strata are
 * "unsolved", "hard", "medium", "easy", "not_applicable" (no image) and "pending" (answers are missing). */
struct strata_run_row {
    size_t index;             /* place in the data set */
    const char *id, *ability; /* ability "" when it has none */
    const char *pism;         /* stratum by masking; NULL when that was not measured */
    double lambda_star;       /* first failing mask ratio; NaN: none failed, or not known */
    unsigned right, drawn;    /* answers at ratio 0 */
    const char *cmab;         /* stratum by attention balance; NULL when that was not measured */
    double rho;               /* NaN: none */
    int correct;              /* the answer whose attention was measured: 1, 0, or -1 when there is none */
    const char *response;     /* it; NULL when there is none */
    const char *json;         /* all of it: the sample's line of difficulty.jsonl */
};

/* Calls on_row for each sample in the order of the data set; pointers hold during the call. A non-zero return ends the
 * reading and is returned. balance (may be NULL: as scored) cuts the attention balance anew, without the model. */
STRATA_API int strata_run_read(const char *directory, const struct strata_balance_options *balance,
                               int (*on_row)(void *context, const struct strata_run_row *row), void *context,
                               struct strata_error *err);

#ifdef __cplusplus
}
#endif
#endif
