/* Private to the report: one pass over a run's store, everything that the plots show. */
#ifndef STRATA_REPORT_GATHER_H
#define STRATA_REPORT_GATHER_H

#include "difficulty/evaluate.h"
#include "difficulty/score.h"
#include "store/store.h"

#define STRATA_REPORT_ABILITIES 25 /* rows at most; the last is then "(others)" */
#define STRATA_REPORT_RHO_BINS  80 /* ten a decade, STRATA_REPORT_RHO_LOW times 1 to 1e8 */
#define STRATA_REPORT_RHO_LOW   1e-4
#define STRATA_REPORT_MEASURED  4 /* unsolved to easy: the strata that have an order */

struct strata_report_row {
    char *name; /* owned */
    size_t samples;
    size_t pism[STRATA_STRATA], cmab[STRATA_STRATA];
    uint64_t plain_right, plain_drawn, cmab_right, cmab_answered;
    size_t finished;                   /* samples whose PISM stratum is known */
    size_t passed[STRATA_PISM_RATIOS]; /* of them: passed this ratio and all before it */
    size_t rated[STRATA_PISM_RATIOS];  /* samples with all draws of a ratio (full curves only) … */
    double rate[STRATA_PISM_RATIOS], rate_square[STRATA_PISM_RATIOS]; /* … sums of their pass rates and squares */
};

struct strata_report_numbers {
    struct strata_store *store;
    struct strata_cut cut;
    unsigned metrics;
    struct strata_report_row rows[STRATA_REPORT_ABILITIES], total; /* rows by falling number of samples */
    size_t row_count;
    uint64_t draws, draws_saved, truncated;
    size_t rho_right[STRATA_REPORT_RHO_BINS], rho_wrong[STRATA_REPORT_RHO_BINS], rho_count;
    size_t confusion[STRATA_REPORT_MEASURED * STRATA_REPORT_MEASURED]; /* PISM rows, CMAB columns */
    uint64_t *places;                                                  /* of all samples, ascending; owned */
    size_t place_count, place_capacity;
    struct strata_evaluation evaluation; /* scratch */
};
/* Opens the run and reads it; the store stays open. strata_report_release also after a failure. */
int strata_report_gather(struct strata_report_numbers *out, const char *run, struct strata_error *err);
void strata_report_release(struct strata_report_numbers *numbers);

#endif
