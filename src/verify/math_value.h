/* The values of expressions: exact rationals where that is possible, else complex numbers of 320 bits. All of MPFR's
 * memory is in the arena; nothing has to be freed. */
#ifndef STRATA_VERIFY_MATH_VALUE_H
#define STRATA_VERIFY_MATH_VALUE_H

#include <mpfr.h>

#include "verify/math.h"

#define MATH_PRECISION 320
#define MATH_GUARD     70 /* bits that rounding errors may have eaten */

struct math_complex {
    mpfr_t re, im;
};
struct math_binding {
    struct strata_span name;
    bool not_real;
    struct math_complex value;
};
#define MATH_MAX_BINDINGS 40
struct math_evaluator {
    struct math_context *context;
    mpfr_prec_t precision;
    struct math_binding bindings[MATH_MAX_BINDINGS];
    uint32_t bound;
    int trial;        /* which random point: 0 has all names positive */
    mpfr_exp_t scale; /* of the largest number that was added to another: the size of rounding errors */
    bool loose;       /* a limit or integral took part: about 12 digits are good */
};
void strata_math_evaluator_init(struct math_evaluator *evaluator, struct math_context *context, mpfr_prec_t precision,
                                int trial);
/* Initialises out in the arena and sets it to 0; false when memory is out. */
bool strata_math_complex_init(struct math_complex *out, struct math_evaluator *evaluator);
/* The value of node with every name at its point; out is initialised by the caller. False when it has none: division by
 * zero, no number, beyond the limits. */
bool strata_math_evaluate(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator);
/* Rational value, exactly; numbers with a decimal point count only with `floats`. out is initialised by the caller. */
bool strata_math_exact(mpq_t out, const struct math_node *node, struct math_context *context, bool floats);
/* Are these two, both evaluated by `evaluator`, equal but for rounding? */
bool strata_math_close(const struct math_complex *a, const struct math_complex *b,
                       const struct math_evaluator *evaluator);
/* Spends steps; false when they are used up. */
bool strata_math_spend(struct math_context *context, uint64_t steps);

/* Elementary functions of one complex argument, and powers; false outside their domain or beyond the limits. */
bool strata_math_function(struct math_complex *out, enum math_op op, const struct math_complex *z,
                          struct math_evaluator *evaluator);
bool strata_math_power(struct math_complex *out, const struct math_complex *base, const struct math_complex *exponent,
                       struct math_evaluator *evaluator);
void strata_math_multiply(struct math_complex *out, const struct math_complex *a, const struct math_complex *b,
                          struct math_evaluator *evaluator);
bool strata_math_divide(struct math_complex *out, const struct math_complex *a, const struct math_complex *b,
                        struct math_evaluator *evaluator);
/* Sums, integrals, limits, determinants. */
bool strata_math_aggregate(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator);

/* An interval as SymPy keeps it: ends in the wrong order make a tuple or nothing, equal closed ends one number. */
struct math_node *strata_math_settle_interval(struct strata_arena *arena, struct math_node *interval);
/* -1, 0, 1: a against b; 2 when they are not both known real numbers. */
int strata_math_order(struct math_context *context, const struct math_node *a, const struct math_node *b);
/* The matrix that an expression of matrices is, element by element; NULL when it is none. */
struct math_node *strata_math_matrix(struct math_context *context, const struct math_node *node);

#endif
