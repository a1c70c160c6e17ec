/* Private to the study: what every model got for every test sample. */
#ifndef STRATA_STUDY_SCORES_H
#define STRATA_STUDY_SCORES_H

#include "study/run.h"

struct strata_study_column { /* of the tables: some of the test samples, or a benchmark of the kit */
    const char *name;        /* borrowed */
    int family;              /* -1: of all or of none */
    bool ability;
    size_t benchmark; /* 0: own samples; else the test, counted from 1 */
    unsigned digits;  /* behind the point, as it is printed */
    size_t *chosen;   /* (count) test samples; owned. None of a benchmark: its rows cannot be compared, see below */
    size_t count;
};
struct strata_scores {
    size_t own, count;       /* own test samples; with the benchmarks' rows behind them */
    char **ids, **abilities; /* (count), owned; a row's ability is "" */
    /* (plan.count) of evaluations: (count) 0 or 1; of a benchmark's rows what each adds to the number that the paper
     * prints, in its unit; NaN: the row does not count. NULL: not read. Owned. */
    float **right;
    struct strata_score_rows { /* of a benchmark: right[…][begin..end) */
        size_t begin, end;
        bool unequal; /* evaluations are of different rows: bad ones were left out, or older files lack the numbers */
        const char *name;
    } tests[STRATA_STUDY_TESTS];
    struct strata_study_column *columns; /* all, families, abilities, benchmarks */
    size_t column_count, column_capacity;
    size_t stages;
};
/* Reads the evaluations that are done. STRATA_ERR_STATE: two of them are of different samples. */
int strata_scores_read(struct strata_scores *out, const struct strata_study_run *run, struct strata_error *err);
void strata_scores_free(struct strata_scores *scores);

#endif
