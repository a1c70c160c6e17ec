/* Parts of the comparison: strata_math_equal.c decides by shape, math_equal_value.c compares values, math_equal_set.c
 * sets and relations. */
#ifndef STRATA_VERIFY_MATH_EQUAL_H
#define STRATA_VERIFY_MATH_EQUAL_H

#include "verify/math_value.h"

static inline bool math_is_set(const struct math_node *node) {
    return node->op >= MATH_SET && node->op <= MATH_NUMBERS && node->op != MATH_TUPLE;
}
static inline bool math_is_set_or_tuple(const struct math_node *node) {
    return node->op >= MATH_SET && node->op <= MATH_NUMBERS;
}
/* A relation, or a chain of them. */
static inline bool math_is_relation(const struct math_node *node) {
    return node->op == MATH_RELATION || node->op == MATH_CHAIN;
}
/* Numbers and expressions. */
bool strata_math_equal_values(struct math_context *context, const struct math_node *gold,
                              const struct math_node *answer);
/* Are left - right of the two equal (factor 1), or multiples of each other? *sign is the factor's sign. */
bool strata_math_proportional(struct math_context *context, const struct math_node *f, const struct math_node *g,
                              int *sign);
/* Do f = 0 and g = 0 say the same of some name in which both are linear? */
bool strata_math_same_solution(struct math_context *context, const struct math_node *f, const struct math_node *g);
bool strata_math_equal_sets(struct math_context *context, const struct math_node *gold, const struct math_node *answer);
bool strata_math_equal_relations(struct math_context *context, const struct math_node *gold,
                                 const struct math_node *answer);
/* The set of numbers that satisfy a relation in one name; NULL when it is not found. */
struct math_node *strata_math_solution_set(struct math_context *context, const struct math_node *relation);
/* The tree with every `from` replaced. */
struct math_node *strata_math_replace(struct strata_arena *arena, const struct math_node *node,
                                      const struct math_node *from, struct math_node *to);

#endif
