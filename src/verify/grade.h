/* What the graders of strict mode share: one call, one answer. */
#ifndef STRATA_VERIFY_GRADE_H
#define STRATA_VERIFY_GRADE_H

#include "verify/extract.h"
#include "verify/verify.h"

enum strata_kind {
    STRATA_KIND_MATH,
    STRATA_KIND_CHOICE,
    STRATA_KIND_YES_NO,
    STRATA_KIND_WORD,
    STRATA_KIND_COUNT,
    STRATA_KIND_OCR,
    STRATA_KIND_BOX
};

struct strata_grading {
    const struct strata_verify_input *input;
    struct strata_span gold; /* the solution without tags or its box */
    struct strata_answer answer;
    struct strata_verdict *verdict; /* score, extracted and reason are filled by the grader */
};
/* One line of the explanation, when the caller wants one. */
void strata_grading_step(const struct strata_verify_input *input, const char *format, ...) STRATA_PRINTF(2, 3);

/* Each returns 0, or an error for an unusable gold or lack of memory. */
int strata_grade_math(struct strata_grading *grading, struct strata_error *err);
int strata_grade_boxes(struct strata_grading *grading, struct strata_error *err);

/* Can these golds be satisfied? */
int strata_check_math_gold(struct strata_span gold, struct strata_error *err);
int strata_check_box_gold(struct strata_span gold, struct strata_error *err);

/* What the sample's columns name, or -1. */
int strata_kind_named(const struct strata_verify_input *input);

#endif
