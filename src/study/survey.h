/* Private to the study: what scoring said of every sample under one seed, and what follows from it. */
#ifndef STRATA_STUDY_SURVEY_H
#define STRATA_STUDY_SURVEY_H

#include "difficulty/strata.h"
#include "study/run.h"

#define STRATA_MEASURED 4 /* unsolved, hard, medium, easy: the strata that have an order */

struct strata_surveyed {
    char *id;
    size_t index; /* in the data set */
    int family;   /* -1: of none */
    enum strata_stratum pism, cmab, chance;
    enum strata_stratum cmab_median; /* CMAB's with the median over tokens instead of the cut's way */
    bool has_rho;
    double rho, rho_median;
};
struct strata_survey {
    struct strata_surveyed *samples; /* in data order */
    size_t count, capacity;
    json_t *places; /* id -> place in samples */
};
int strata_survey_read(struct strata_survey *out, const struct strata_study_run *run, size_t score,
                       struct strata_error *err);
void strata_survey_free(struct strata_survey *survey);
/* NULL: no such sample. */
const struct strata_surveyed *strata_survey_find(const struct strata_survey *survey, const char *id);

/* {"counts": 4 x 4, "equal", "spearman", "kendall", "kappa"} of a table of counts; numbers that do not exist are null.
 */
json_t *strata_agreement_json(const size_t counts[STRATA_MEASURED * STRATA_MEASURED]);

/* What the surveys of all seeds (by seed; those not there are empty) say: strata, agreement of the measures, guessing,
 * single tokens, stability over seeds. */
json_t *strata_survey_json(const struct strata_study_run *run, const struct strata_survey *surveys);

/* Groups of a GRPO stage by stratum of their sample: how many, share of equal rewards, mean reward, and the reward over
 * ten parts of the run. Added to `totals`, which starts as zeros. */
#define STRATA_CURVE_PARTS 10
struct strata_curve_totals {
    double groups[STRATA_MEASURED], flat[STRATA_MEASURED], reward[STRATA_MEASURED];
    double part_groups[STRATA_MEASURED][STRATA_CURVE_PARTS], part_reward[STRATA_MEASURED][STRATA_CURVE_PARTS];
};
int strata_curve_add(struct strata_curve_totals *totals, const struct strata_study_run *run, size_t stage,
                     const struct strata_survey *survey, int metric, struct strata_error *err);
json_t *strata_curve_json(const struct strata_curve_totals *totals);

#endif
