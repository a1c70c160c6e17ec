/* Private to the report: the sections of a study, from what `strata study` wrote (results.json and the trainings'
 * metrics.jsonl; docs/study.md). */
#ifndef STRATA_REPORT_STUDY_H
#define STRATA_REPORT_STUDY_H

#include <jansson.h>

#include "base/buffer.h"
#include "strata/error.h"

/* *results: a new reference, or NULL where the directory is no study. */
int strata_report_study_load(json_t **results, const char *directory, struct strata_error *err);
/* The run directory of the first seed's scoring, owned by the caller. */
int strata_report_study_run(char **run, const json_t *results, const char *directory, struct strata_error *err);
int strata_report_study_put(struct strata_buffer *page, const json_t *results, const char *directory,
                            struct strata_error *err);

/* ---- study_curves.c ---- */

/* Rewards over the updates of a table's rows, small multiples. */
int strata_report_curves_put(struct strata_buffer *page, const json_t *table, size_t number, const char *directory,
                             struct strata_error *err);
/* Rewards over a run by the stratum of the sample. */
void strata_report_strata_put(struct strata_buffer *page, const json_t *table, size_t number);

#endif
