/* Mathematics in answers: expressions as trees, read from LaTeX or plain text, compared exactly where they are rational
 * and by evaluation in high precision (at random points where names occur) where they are not. */
#ifndef STRATA_VERIFY_MATH_H
#define STRATA_VERIFY_MATH_H

#include <gmp.h>
#include <stdint.h>

#include "verify/arena.h"
#include "verify/span.h"

enum math_op {
    MATH_NUMBER, /* exact rational */
    MATH_FLOAT,  /* written with a decimal point: the rational as written, and its digits */
    MATH_SYMBOL, /* a name */
    MATH_PI,
    MATH_E,
    MATH_I,
    MATH_INFINITY,  /* sign in `sign` */
    MATH_UNDEFINED, /* 1/0 and the like */
    MATH_ADD,
    MATH_MUL,
    MATH_POW,
    MATH_FACTORIAL,
    MATH_BINOMIAL,
    MATH_ABS,
    MATH_FLOOR,
    MATH_CEIL,
    MATH_MOD,
    MATH_MAX,
    MATH_MIN,
    MATH_GCD,
    MATH_LCM,
    MATH_LOG, /* argument, base */
    MATH_EXP,
    MATH_SIN,
    MATH_COS,
    MATH_TAN,
    MATH_CSC,
    MATH_SEC,
    MATH_COT,
    MATH_ASIN,
    MATH_ACOS,
    MATH_ATAN,
    MATH_ACSC,
    MATH_ASEC,
    MATH_ACOT,
    MATH_SINH,
    MATH_COSH,
    MATH_TANH,
    MATH_ASINH,
    MATH_ACOSH,
    MATH_ATANH,
    MATH_DET,
    MATH_CALL, /* an unknown function: name, arguments */
    MATH_SUM,  /* body, variable, from, to */
    MATH_PRODUCT,
    MATH_INTEGRAL,   /* body, variable[, from, to] */
    MATH_LIMIT,      /* body, variable, point */
    MATH_DERIVATIVE, /* body, variable; while a product is read, d/dx alone: variable */
    MATH_RELATION,   /* left, right; which in `relation` */
    MATH_CHAIN,      /* relations that share their middles: a < b < c */
    MATH_SET,        /* finite, members as written */
    MATH_TUPLE,
    MATH_INTERVAL, /* ends; open ends in `open` */
    MATH_UNION,
    MATH_INTERSECTION,
    MATH_DIFFERENCE,
    MATH_EMPTY,
    MATH_NUMBERS, /* N, Z, Q, R, C: the letter in `name` */
    MATH_MATRIX,  /* rows * columns elements */
    MATH_RATIO,   /* a:b as written; strict mode only */
};
enum math_relation { MATH_EQ, MATH_LT, MATH_LE, MATH_GT, MATH_GE, MATH_NE };
enum { MATH_OPEN_LEFT = 1, MATH_OPEN_RIGHT = 2 };

struct math_node {
    enum math_op op;
    enum math_relation relation;
    int sign;             /* MATH_INFINITY */
    unsigned open;        /* MATH_INTERVAL */
    unsigned digits;      /* MATH_FLOAT: significant digits as written */
    unsigned decimals;    /* MATH_FLOAT: digits behind the point */
    bool not_real;        /* MATH_SYMBOL of a text that looks complex: another variable than the real one */
    bool percent;         /* MATH_MUL: number * 1/100 written with a percent sign */
    bool degrees;         /* strict mode: the number is an angle in degrees */
    uint32_t count, rows; /* children; matrix rows */
    struct math_node **kids;
    struct strata_span name;
    const mp_limb_t *numerator, *denominator; /* in the arena */
    int numerator_size, denominator_size;     /* limbs; the numerator's is negative for negative numbers */
};

/* Limits of one expression: beyond them it does not parse. */
#define MATH_MAX_TOKENS 4000
#define MATH_MAX_DEPTH  150
#define MATH_MAX_BITS   65536 /* of an exact number; beyond it evaluation is approximate */

struct math_node *strata_math_make(struct strata_arena *arena, enum math_op op, uint32_t count);
struct math_node *strata_math_make1(struct strata_arena *arena, enum math_op op, struct math_node *a);
struct math_node *strata_math_make2(struct strata_arena *arena, enum math_op op, struct math_node *a,
                                    struct math_node *b);
struct math_node *strata_math_make_rational(struct strata_arena *arena, const mpq_t value);
struct math_node *strata_math_make_integer(struct strata_arena *arena, long value);
struct math_node *strata_math_make_symbol(struct strata_arena *arena, struct strata_span name, bool not_real);
/* From decimal text: MATH_NUMBER without a point or exponent, else MATH_FLOAT. NULL when it is too long. */
struct math_node *strata_math_make_decimal(struct strata_arena *arena, struct strata_span text);
/* out is initialised by the caller. */
void strata_math_rational(mpq_t out, const struct math_node *number);
bool strata_math_is_number(const struct math_node *node); /* NUMBER or FLOAT */
bool strata_math_is_integer(const struct math_node *node);
/* Sum, product... with the flattening and the folding of numbers that latex2sympy does. */
struct math_node *strata_math_add(struct strata_arena *arena, struct math_node *a, struct math_node *b);
struct math_node *strata_math_mul(struct strata_arena *arena, struct math_node *a, struct math_node *b);
struct math_node *strata_math_div(struct strata_arena *arena, struct math_node *a, struct math_node *b);
struct math_node *strata_math_negate(struct strata_arena *arena, struct math_node *a);
struct math_node *strata_math_percent(struct strata_arena *arena, struct math_node *a);
/* Two factors side by side: 2 1/2 is a mixed number. */
struct math_node *strata_math_beside(struct strata_arena *arena, struct math_node *a, struct math_node *b);

/* The grammar of latex2sympy2_extended 1.10.2, quirks included; `strict` adds what answers really hold: 1.5e3, i,
 * degrees in functions, sin and sqrt without backslash, \varnothing, a:b as a ratio. NULL when it does not parse. */
enum math_dialect { MATH_LATEX2SYMPY, MATH_STRICT };
struct math_node *strata_math_parse(struct strata_arena *arena, struct strata_span text, enum math_dialect dialect);

/* Is the text in the words of SymPy's printer the same (numbers and names only)? */
bool strata_math_same_text(const struct math_node *a, const struct math_node *b);
/* The same tree? */
bool strata_math_same(const struct math_node *a, const struct math_node *b);
bool strata_math_only_symbols(const struct math_node *node);
/* Does the expression hold a name? */
bool strata_math_has_symbol(const struct math_node *node);
bool strata_math_has_float(const struct math_node *node);

/* Equality of gold and answer, in this order. Bounded by steps: 0 beyond them. */
struct math_context {
    struct strata_arena *arena;
    bool strict;
    uint64_t steps; /* spent; the caller starts at 0 */
    bool exhausted;
    int depth;
};
#define MATH_MAX_STEPS 30000 /* operations of 320 bits: well below 50 ms */
bool strata_math_equal(struct math_context *context, const struct math_node *gold, const struct math_node *answer);

#endif
