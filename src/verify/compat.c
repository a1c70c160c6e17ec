/* external_r1v_acc of the paper's plugin, and the way into the compatible modes. */
#include "verify/compat.h"

/* <answer>(.*?)</answer> on one line, else everything; stripped. */
static struct strata_points answer_or_all(struct strata_points text) {
    size_t close = 0, line = 0; /* the next closing tag, the next line end: both only move forward */
    for (size_t at = strata_points_find(text, "<answer>", 0); at != STRATA_NOT_FOUND;
         at = strata_points_find(text, "<answer>", at + 1)) {
        size_t begin = at + 8;
        if (close < begin) close = strata_points_find(text, "</answer>", begin);
        if (line < begin) line = strata_points_find(text, "\n", begin);
        if (close == STRATA_NOT_FOUND) break;
        if (close < line) return strata_points_strip(strata_points_sub(text, begin, close));
    }
    return strata_points_strip(text);
}

/* verify(parse(completion), parse(solution)): the arguments are swapped in the original, and so here. */
void strata_compat_r1v(struct strata_compat *grading) {
    struct strata_compat swapped = *grading;
    swapped.solution = grading->completion;
    swapped.completion = grading->solution;
    strata_compat_math_verify(&swapped);
    grading->kind = "math";
    grading->extracted = swapped.gold_text;
    grading->gold_text = swapped.extracted;
    grading->score = swapped.score;
    grading->reason = swapped.reason;
    if (grading->score > 0) return;
    struct strata_points gold = answer_or_all(strata_points_decode(grading->arena, grading->solution));
    struct strata_points answer = answer_or_all(strata_points_decode(grading->arena, grading->completion));
    if (strata_points_equal(gold, answer)) {
        grading->score = 1;
        grading->kind = "word";
        grading->extracted = strata_points_span(grading->arena, answer);
        grading->reason = "the same text";
    }
}
