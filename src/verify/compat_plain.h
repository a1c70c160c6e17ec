/* Plain numbers and expressions in running text, and the reader of the expressions (sympy.parse_expr on digits,
 * operators and parentheses). */
#ifndef STRATA_VERIFY_COMPAT_PLAIN_H
#define STRATA_VERIFY_COMPAT_PLAIN_H

#include "verify/compat_extract.h"
#include "verify/math.h"

/* A condition on what stands behind a match; NULL: none. */
typedef bool strata_follow(struct strata_points text, size_t at);
/* A match that begins at `at` with the anchor (start of text, a blank or =, and an optional **). */
/* What a search over one text remembers of the last run of digits, blanks and operators, so that a long run is not read
 * again from each of its places. Zero-initialised is empty; NULL is allowed. */
struct strata_plain_run {
    size_t begin, first_operator, end; /* first_operator: STRATA_NOT_FOUND when the run has none */
};
bool strata_plain_expression(struct strata_match *out, struct strata_points text, size_t at, strata_follow *follow,
                             struct strata_plain_run *memo);
bool strata_plain_number(struct strata_match *out, struct strata_points text, size_t at, strata_follow *follow);
/* An expression, or else a number. */
bool strata_plain_match(struct strata_match *out, struct strata_points text, size_t at, strata_follow *follow);

/* Python arithmetic: + - * / ** ( ) and numbers; NULL when Python would not take it. */
struct math_node *strata_python_expression(struct strata_arena *arena, struct strata_span text);

#endif
