/* Grading behind the public interface. */
#include "strata/grade.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "library/arguments.h"
#include "verify/verify.h"

struct strata_grade {
    struct strata_verdict verdict;
};

int strata_grade(struct strata_grade **out, const struct strata_grade_input *input, struct strata_error *err) {
    struct strata_grade_input own;
    enum strata_verify_mode mode = STRATA_VERIFY_STRICT;
    struct strata_grade *grade = NULL;
    *out = NULL;
    int code = strata_take(&own, sizeof own, input, sizeof own, "struct strata_grade_input", err);
    if (code) return code;
    if (!own.solution || !own.completion)
        return strata_fail(err, STRATA_ERR_USAGE, "grading needs a solution and a completion");
    if (own.mode) code = strata_verify_mode_parse(&mode, own.mode, err);
    if (!code) code = strata_alloc(&grade, 1, sizeof *grade, err);
    if (code) return code;
    struct strata_verify_input verify = {
        .solution = own.solution,
        .solution_length = own.solution_length ? own.solution_length : strlen(own.solution),
        .completion = own.completion,
        .completion_length = own.completion_length ? own.completion_length : strlen(own.completion),
        .ability = own.ability,
        .verifier = own.verifier,
        .question = own.question};
    code = strata_verify(&grade->verdict, &verify, mode, err);
    if (code) {
        strata_grade_free(grade);
        return code;
    }
    *out = grade;
    return 0;
}

void strata_grade_free(struct strata_grade *grade) {
    if (!grade) return;
    strata_verdict_free(&grade->verdict);
    free(grade);
}

double strata_grade_score(const struct strata_grade *grade) {
    return grade->verdict.score;
}

int strata_grade_correct(const struct strata_grade *grade) {
    return grade->verdict.correct;
}

int strata_grade_truncated(const struct strata_grade *grade) {
    return grade->verdict.truncated;
}

const char *strata_grade_kind(const struct strata_grade *grade) {
    return grade->verdict.kind;
}

const char *strata_grade_extracted(const struct strata_grade *grade) {
    return strata_buffer_string(&grade->verdict.extracted);
}

const char *strata_grade_reason(const struct strata_grade *grade) {
    return strata_buffer_string(&grade->verdict.reason);
}
