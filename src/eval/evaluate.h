/* One benchmark from its file to its score: answers by any engine, the judge where there is one, metrics. Answers and
 * verdicts are kept in the output directory as they come; the same call goes on where it was stopped. A failed request
 * leaves its row pending; it is never counted as wrong. */
#ifndef STRATA_EVAL_EVALUATE_H
#define STRATA_EVAL_EVALUATE_H

#include <signal.h>

#include "engine/engine.h"
#include "eval/judge.h"

struct strata_eval_options {
    enum strata_benchmark benchmark;
    enum strata_kit kit;
    const char *tsv, *out; /* the benchmark's file; a directory */
    size_t limit;          /* rows; 0: all */
    struct strata_sampling sampling;
    uint64_t seed;
    const char *system; /* or NULL */
    bool split_think;   /* score what follows the last </think> */
    bool skip_bad;      /* rows that cannot be asked or graded are reported, counted and left out */
    const struct strata_judge_texts *judge_texts;
    const char *judge_words;                /* "ours" or "kit": stands in the result */
    const volatile sig_atomic_t *interrupt; /* or NULL */
    void (*on_progress)(void *context, const char *phase, size_t done, size_t total);
    void (*on_warning)(void *context, const char *text);
    void *context;
};
/* judge may be NULL: exact matching. *result (also where rows are pending) holds headline, paper, metrics, counts and
 * settings; written to OUT/<dataset>.json, .csv and .rows.jsonl as well. STRATA_ERR_ENGINE when rows are pending. */
int strata_evaluate_benchmark(json_t **result, struct strata_engine *engine, struct strata_engine *judge,
                              const struct strata_eval_options *options, struct strata_error *err);

/* What the kit's own rules make of the right answers: rows that a right answer cannot win, rows that an empty answer or
 * a constant "A" wins. Needs no engine. */
int strata_eval_audit(json_t **result, const struct strata_eval_options *options, struct strata_error *err);

#endif
