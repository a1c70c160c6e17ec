/* Private to the evaluation: what its steps share. */
#ifndef STRATA_EVAL_EVALUATE_RUN_H
#define STRATA_EVAL_EVALUATE_RUN_H

#include "eval/dataset.h"
#include "eval/evaluate.h"
#include "eval/journal.h"
#include "eval/score.h"

struct evaluation {
    const struct strata_eval_options *options;
    const struct strata_benchmark_facts *facts;
    struct strata_eval_dataset *dataset;
    struct strata_engine *engine, *judge;
    struct strata_journal *answers, *verdicts;
    size_t count; /* rows to ask */
    size_t pending, truncated, judge_calls, bad;
    bool *left_out;                   /* (count) rows that --skip-bad passed over */
    struct strata_error last_failure; /* of a request */
};

/* "OUT/<dataset><suffix>"; owned by the caller. */
char *strata_eval_path(const struct evaluation *run, const char *suffix);
void strata_eval_progress(const struct evaluation *run, const char *phase, size_t done, size_t total);
bool strata_eval_interrupted(const struct evaluation *run);
/* What becomes of an error about one row: counted and told (0) where bad rows are skipped, else handed back. */
int strata_eval_reject(struct evaluation *run, size_t number, int code, struct strata_error *err);
/* Asks for the answers that are missing. */
int strata_eval_ask(struct evaluation *run, struct strata_error *err);
/* A row as the scorers read it, with its answer as `prediction`; *found false where there is none. */
int strata_eval_answered(json_t **row, bool *found, const struct evaluation *run, size_t number,
                         struct strata_error *err);
/* Judges the answers that have no verdict. */
int strata_eval_judge(struct evaluation *run, struct strata_error *err);
/* The name of the column that a verdict fills. */
const char *strata_eval_column(enum strata_benchmark benchmark);
/* Metrics of all judged rows, and the files. */
int strata_eval_report(json_t **result, struct evaluation *run, struct strata_error *err);
/* hit or score of one row, set from its verdict; OCRBench needs none. An error is the row's own. */
int strata_eval_mark(json_t *row, enum strata_benchmark benchmark, struct strata_error *err);

#endif
