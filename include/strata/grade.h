/* Grading: does a completion answer the question? The graders of `strata verify` and of every score run. */
#ifndef STRATA_GRADE_H
#define STRATA_GRADE_H

#include <stddef.h>

#include "strata/error.h"
#include "strata/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_grade_input {
    size_t size; /* sizeof(struct strata_grade_input) */
    const char *solution;
    size_t solution_length; /* bytes; 0: up to the NUL */
    const char *completion;
    size_t completion_length;
    const char *ability;  /* picks the grader when it names one; NULL: by the solution */
    const char *verifier; /* the grader by name: "math", "choice", "yesno", "word", "count", "ocr", "box"; or NULL */
    const char *question; /* may be NULL: only to tell how many choices there are */
    const char *mode;     /* "strict" (NULL), "compat", "math_verify", … as `strata verify --verify-mode` */
};

struct strata_grade;

/* A solution that cannot be graded is an error (STRATA_ERR_INPUT), never a wrong answer. Thread-safe. */
STRATA_API int strata_grade(struct strata_grade **out, const struct strata_grade_input *input,
                            struct strata_error *err);
STRATA_API void strata_grade_free(struct strata_grade *grade); /* NULL is fine */

STRATA_API double strata_grade_score(const struct strata_grade *grade); /* [0,1] */
STRATA_API int strata_grade_correct(const struct strata_grade *grade);
STRATA_API int strata_grade_truncated(const struct strata_grade *grade);         /* a thought that never ends */
STRATA_API const char *strata_grade_kind(const struct strata_grade *grade);      /* which grader decided */
STRATA_API const char *strata_grade_extracted(const struct strata_grade *grade); /* the answer as extracted */
STRATA_API const char *strata_grade_reason(const struct strata_grade *grade);    /* one line: why this score */

#ifdef __cplusplus
}
#endif
#endif
