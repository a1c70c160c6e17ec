/* From a prediction to a verdict, with a judge where the kit asks one: a state machine, so that many rows can wait for
 * replies at once (spec: benchmarks, sections 3, 4, 6, 7).
 *
 *     strata_judging_begin(&judging, …);
 *     while (judging.asking) { …ask judging.prompt… strata_judging_reply(&judging, reply, length, err); }
 */
#ifndef STRATA_EVAL_JUDGE_H
#define STRATA_EVAL_JUDGE_H

#include "eval/benchmark.h"

/* The part of each judge prompt that stands before the question. */
struct strata_judge_texts {
    char *choice_english, *choice_chinese, *yes_no, *mathvista, *mmvet; /* owned */
};
/* Our own wording. */
int strata_judge_texts_ours(struct strata_judge_texts *out, struct strata_error *err);
/* The exact wording of VLMEvalKit, read from the sources of an installed kit (its directory, with vlmeval/ in it). */
int strata_judge_texts_kit(struct strata_judge_texts *out, const char *directory, struct strata_error *err);
void strata_judge_texts_free(struct strata_judge_texts *texts);

/* The judge prompt of a row, appended: the head, then question, answer and the open end. */
int strata_judge_prompt(struct strata_buffer *out, const json_t *row, enum strata_benchmark benchmark,
                        const struct strata_judge_texts *texts, struct strata_error *err);
/* The part after the head only. `chinese`: the labels of the Chinese version (choices only). */
int strata_judge_tail(struct strata_buffer *out, const json_t *row, enum strata_benchmark benchmark, bool chinese,
                      struct strata_error *err);
bool strata_judge_chinese(const json_t *row); /* does the question hold a CJK ideograph? */
/* Tokens that the kit lets a judge's reply have. */
unsigned strata_judge_max_tokens(enum strata_benchmark benchmark, enum strata_kit kit);

struct strata_judging {
    bool asking; /* `prompt` waits for a reply */
    struct strata_buffer prompt;
    double temperature; /* of this call; negative: the kit passes none (then 0) */
    unsigned calls;     /* replies so far */
    /* When no longer asking: the option ("B", "Z"), "Yes" / "No" / "Unknown", the extracted answer (MathVista; text or
     * number), the score (MM-Vet; null: NaN). New reference, owned. */
    json_t *result;
    json_t *random_over; /* not NULL: the kit draws the result from these at random; result is NULL */
    struct strata_buffer log;
    /* Private. */
    enum strata_benchmark benchmark;
    enum strata_kit kit;
    const json_t *row;
    struct strata_choices choices;
};
/* row: with the column `prediction`; must outlive the judging. judge false: exact matching (the option is Z, the answer
 * Unknown); a benchmark that needs a judge is then STRATA_ERR_USAGE. */
int strata_judging_begin(struct strata_judging *judging, const json_t *row, enum strata_benchmark benchmark,
                         enum strata_kit kit, bool judge, const struct strata_judge_texts *texts,
                         struct strata_error *err);
int strata_judging_reply(struct strata_judging *judging, const char *reply, size_t length, struct strata_error *err);
void strata_judging_free(struct strata_judging *judging);

/* YOrN_Extraction: "Yes", "No" or "Unknown" (static). NULL when memory is out. */
const char *strata_yes_or_no(struct strata_span text);
void strata_process_punctuation(struct strata_buffer *out, struct strata_span text);
/* post_check of MathVista: with prefetch the inferred value (false: none) of `prediction`, else whether `res` is right.
 * New reference. */
int strata_mathvista_check(json_t **out, const json_t *row, bool prefetch, enum strata_kit kit,
                           struct strata_error *err);

#endif
