/* The paper's reward plugin and Math-Verify, as they are: faithful to the reference down to Python's habits, for
 * reproducing published numbers. Behaviour: training notes 3.2-3.4 and 3.6; facts measured by running the originals
 * (plugin.py at 4e50e503, Math-Verify 0.8.0, latex2sympy2_extended 1.10.2, SymPy 1.14.0, Python 3.11). */
#ifndef STRATA_VERIFY_COMPAT_H
#define STRATA_VERIFY_COMPAT_H

#include "verify/points.h"
#include "verify/verify.h"

struct strata_compat {
    struct strata_arena *arena;
    struct strata_span solution, completion;
    double score;
    const char *kind;                        /* as in a verdict */
    struct strata_span extracted, gold_text; /* what was compared */
    const char *reason;                      /* static */
};
void strata_compat_perception(struct strata_compat *grading); /* visual_perception_accuracy */
void strata_compat_reasoning(struct strata_compat *grading);  /* visual_reasoning_accuracy */
void strata_compat_r1v(struct strata_compat *grading);        /* external_r1v_acc */
void strata_compat_math_verify(struct strata_compat *grading);

/* difflib.SequenceMatcher(None, a, b).ratio() >= 0.5, with its rule for popular letters; false beyond the step limit.
 */
bool strata_sequence_half_equal(struct strata_arena *arena, struct strata_points a, struct strata_points b);
/* str(word2number.w2n.word_to_num(words)) of the plugin's number words; false where the original raises. */
bool strata_words_to_number(double *out, struct strata_points text);

#endif
