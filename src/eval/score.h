/* Scores of graded rows, as the kit prints them (spec: benchmarks, sections 3 to 8). Values are doubles computed in the
 * kit's order; null is NaN. Every result is a new reference. */
#ifndef STRATA_EVAL_SCORE_H
#define STRATA_EVAL_SCORE_H

#include "eval/judge.h"

/* report_acc: rows with `hit` (0/1), `split`, `category`, `l2-category` -> {split: {"Overall": …, group: …}}. */
int strata_score_choices(json_t **metrics, const json_t *rows, struct strata_error *err);
/* Hallusion_rating: rows with `index`, `score` -> {"Overall": {aAcc, fAcc, qAcc}, category: …}. */
int strata_score_hallusion(json_t **metrics, const json_t *rows, struct strata_error *err);
/* Rows with `prediction`, `answer`, `category` -> the five sums, Final Score, Final Score Norm. */
int strata_score_ocrbench(json_t **metrics, const json_t *rows, struct strata_error *err);
/* Is one row of OCRBench a hit? typed: strata_cells_typed of the column `answer`. */
int strata_ocrbench_hit(bool *hit, const json_t *row, bool typed, struct strata_error *err);
/* Rows with `res`, `log` -> [{"Task&Skill", tot, prefetch, hit, prefetch_rate, acc}]. */
int strata_score_mathvista(json_t **metrics, const json_t *rows, enum strata_kit kit, struct strata_error *err);
/* Rows with `category`, `score` -> by capability and by exact category: [{"Category", tot, acc}]. A capability that no
 * row has is the kit's ZeroDivisionError (strict), or left out. */
int strata_score_mmvet(json_t **metrics, json_t **fine, const json_t *rows, bool strict, struct strata_error *err);

/* MMMU_preproc, in place: open questions get the options A (the answer) and B. */
int strata_mmmu_prepare(json_t *rows, struct strata_error *err);
/* The truth of a multiple-choice row: the answer cell; for MMMU "A" where that is no capital letter. New reference. */
json_t *strata_choice_truth(const json_t *answer, enum strata_benchmark benchmark);

/* The kit's automatic choice of one number out of its metrics (head only): {name: value}. */
int strata_primary_metric(json_t **out, const json_t *metrics, enum strata_benchmark benchmark,
                          struct strata_error *err);
/* The number that the paper prints, from this benchmark's metrics; NaN where there is none. */
double strata_headline(const json_t *metrics, enum strata_benchmark benchmark);
/* Sets `headline` of each graded row: what it adds. The mean over the rows that have a number is strata_headline of
 * them all; null: the row does not count (another split) or has none. */
int strata_headline_parts(json_t *rows, enum strata_benchmark benchmark, enum strata_kit kit, struct strata_error *err);

#endif
