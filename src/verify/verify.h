/* Grading: does a completion answer the question? Built once, for scoring, training and evaluation alike. */
#ifndef STRATA_VERIFY_VERIFY_H
#define STRATA_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "strata/error.h"

enum strata_verify_mode { STRATA_VERIFY_STRICT, STRATA_VERIFY_COMPAT };

/* What was asked and answered. Texts are bytes with lengths (they may hold NUL); ability and verifier may be NULL. */
struct strata_verify_input {
    const char *solution;
    size_t solution_length;
    const char *completion;
    size_t completion_length;
    const char *ability;  /* the sample's ability column: picks the grader when it names one */
    const char *verifier; /* the sample's verifier column, or --verifier */
    const char *question; /* may be NULL; only to tell how many choices there are */
};
struct strata_verdict {
    double score;      /* [0,1]; `correct` is score >= 0.5 unless the grader says otherwise */
    bool correct;
    bool truncated;    /* an unclosed <think>: there is no answer */
    const char *kind;  /* which grader decided: "math", "choice", "yesno", "word", "count", "ocr", "box" … (static) */
    struct strata_buffer extracted; /* the answer as extracted */
    struct strata_buffer reason;    /* one line: why this score */
};
/* Grades one answer. verdict must be zero-initialised or reused (its buffers are cleared and refilled). Thread-safe:
 * no state, no locale. A failure is an error (bad gold, out of memory), never a wrong answer. */
int strata_verify(struct strata_verdict *verdict, const struct strata_verify_input *input, enum strata_verify_mode mode,
                  struct strata_error *err);
void strata_verdict_free(struct strata_verdict *verdict);

/* The probability that a guess is right, for --chance auto: 1/(number of choices) when the question lists choices or
 * the gold is yes/no, else 0 (unknown). */
double strata_verify_chance(const struct strata_verify_input *input);

#endif
