#ifndef STRATA_VERIFY_MATH_LEX_TABLE_H
#define STRATA_VERIFY_MATH_LEX_TABLE_H

#include "verify/math_lex.h"

struct math_literal {
    const char *text;
    enum math_token_kind kind;
    enum math_op op;
};
/* Sorted by the first byte, then the second, then falling length. */
extern const struct math_literal strata_math_literals[];
extern const size_t strata_math_literal_count;

#endif
