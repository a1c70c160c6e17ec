/* Private to the study: right or wrong, of every test sample by every model. */
#ifndef STRATA_STUDY_SCORES_H
#define STRATA_STUDY_SCORES_H

#include "study/run.h"

struct strata_study_column { /* of the tables: some of the test samples, or a benchmark of the kit */
    const char *name;        /* borrowed */
    int family;              /* -1: of all or of none */
    bool ability;
    size_t benchmark; /* 0: own samples; else the test, counted from 1 */
    size_t *chosen;   /* (count) test samples; owned */
    size_t count;
};
struct strata_scores {
    size_t count;                        /* own test samples */
    char **ids, **abilities;             /* (count), owned */
    float **right;                       /* (plan.count) of evaluations: (count) 0 or 1; NULL: not read. Owned */
    struct strata_study_column *columns; /* all, families, abilities, benchmarks */
    size_t column_count, column_capacity;
    size_t stages;
};
/* Reads the evaluations that are done. STRATA_ERR_STATE: two of them are of different samples. */
int strata_scores_read(struct strata_scores *out, const struct strata_study_run *run, struct strata_error *err);
void strata_scores_free(struct strata_scores *scores);

#endif
