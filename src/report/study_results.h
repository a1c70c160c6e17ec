/* Reading results.json of a study: what its tables are of, and in which unit. Used by all that print them. */
#ifndef STRATA_REPORT_STUDY_RESULTS_H
#define STRATA_REPORT_STUDY_RESULTS_H

#include <jansson.h>
#include <stdbool.h>

/* A column as it is printed: scale times the number, so many digits behind the point. */
struct strata_results_column {
    const char *name; /* borrowed; "" where there is no such column */
    double scale;
    int digits;
    bool benchmark;
};
struct strata_results_column strata_results_column(const json_t *column);
/* What a table is about: its family's own test samples, or else the first benchmark. */
struct strata_results_column strata_results_main(const json_t *results, const json_t *table);
/* Does row 12 minus row k of this column belong to the table: all, its family, a benchmark? */
bool strata_results_compared(const json_t *column, const json_t *table);
/* "PISM" or "CMAB". */
const char *strata_results_measure(const json_t *table);

/* rows[r].GROUP.COLUMN.KEY in the column's unit; NaN where there is none. */
double strata_results_number(const json_t *row, const char *group, const struct strata_results_column *column,
                             const char *key);
/* Of the claim that row 12 differs from this row, Holm-corrected; NaN where there is none. */
double strata_results_p(const json_t *row, const char *column);

/* Rows 3 to 10 against row 12 in one column. */
struct strata_results_claim {
    size_t compared, ahead, ahead_certain, behind_certain;
};
struct strata_results_claim strata_results_claim(const json_t *table, const char *column);

#endif
