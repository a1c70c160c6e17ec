#include "verify/math_equal.h"

#define RND          MPFR_RNDN
#define FLOAT_BITS   53
#define CHOP         (-54) /* SymPy's evalf(15, chop=True) takes less than 2^-54 for nothing */
#define POINTS       3     /* random points that must agree */
#define ATTEMPTS     9     /* points tried, where some have no value */
#define LEAST_DIGITS 6     /* strict: a decimal of so many digits may stand for what it is the rounding of */

/* What SymPy makes of an expression without names: an exact rational, a Float, or neither. */
enum number_class { CLASS_EXACT, CLASS_FLOAT, CLASS_OTHER };

static enum number_class classify(struct math_context *context, const struct math_node *node) {
    enum number_class worst = CLASS_EXACT;
    if (node->op == MATH_NUMBER) return CLASS_EXACT;
    if (node->op == MATH_FLOAT) return CLASS_FLOAT;
    if (!node->count || node->op >= MATH_CALL) return CLASS_OTHER;
    for (uint32_t i = 0; i < node->count; i++) {
        enum number_class class = classify(context, node->kids[i]);
        if (class > worst) worst = class;
    }
    if (worst != CLASS_EXACT) return worst;
    mpq_t value;
    mpq_init(value);
    bool exact = strata_math_exact(value, node, context, false);
    mpq_clear(value);
    return exact ? CLASS_EXACT : CLASS_OTHER;
}

static const struct math_node *percent_base(const struct math_node *node) {
    if (node->op != MATH_MUL || node->count != 2 || !strata_math_is_number(node->kids[0])) return NULL;
    const struct math_node *part = node->kids[1];
    bool hundredth = part->op == MATH_NUMBER && part->numerator_size == 1 && part->numerator[0] == 1 &&
                     part->denominator_size == 1 && part->denominator[0] == 100;
    return hundredth ? node->kids[0] : NULL;
}
/* The number itself, or the number of a percentage; NULL for an expression. */
static const struct math_node *atomic(const struct math_node *node) {
    if (strata_math_is_number(node) || node->op == MATH_INFINITY) return node;
    return percent_base(node);
}

struct value {
    struct math_evaluator evaluator;
    struct math_complex number;
    bool known;
};

static void evaluate_at(struct value *out, struct math_context *context, const struct math_node *node,
                        mpfr_prec_t precision, int trial) {
    strata_math_evaluator_init(&out->evaluator, context, precision, trial);
    out->known = strata_math_complex_init(&out->number, &out->evaluator) &&
                 strata_math_evaluate(&out->number, node, &out->evaluator);
}

/* An expression whose value is rational: rounded once. */
static void evaluate_exact(struct value *out, struct math_context *context, const struct math_node *node,
                           mpfr_prec_t precision) {
    mpq_t value;
    mpq_init(value);
    strata_math_evaluator_init(&out->evaluator, context, precision, 0);
    out->known =
        strata_math_complex_init(&out->number, &out->evaluator) && strata_math_exact(value, node, context, false);
    if (out->known) mpfr_set_q(out->number.re, value, RND);
    mpq_clear(value);
}

/* Both at one point by one evaluator, and then equal but for rounding? -1 when one has no value there. */
static int close_at(struct math_context *context, const struct math_node *a, const struct math_node *b, int trial) {
    struct math_evaluator evaluator;
    struct math_complex x, y;
    strata_math_evaluator_init(&evaluator, context, MATH_PRECISION, trial);
    if (!strata_math_complex_init(&x, &evaluator) || !strata_math_complex_init(&y, &evaluator)) return -1;
    if (!strata_math_evaluate(&x, a, &evaluator) || !strata_math_evaluate(&y, b, &evaluator)) return -1;
    return strata_math_close(&x, &y, &evaluator);
}

static bool identical(struct math_context *context, const struct math_node *a, const struct math_node *b) {
    bool names = strata_math_has_symbol(a) || strata_math_has_symbol(b);
    int agreed = 0;
    for (int trial = 0; trial < ATTEMPTS && agreed < POINTS; trial++) {
        int close = close_at(context, a, b, trial);
        if (close == 0) return false;
        agreed += close > 0;
        if (!names) return close > 0;
    }
    return agreed == POINTS || (agreed > 0 && !context->exhausted && agreed >= POINTS - 1);
}

/* Rounded to 6 decimals, half to even, as a whole number of millionths. */
static bool millionths(mpz_t out, struct value *value) {
    struct math_evaluator wide;
    struct math_complex scaled;
    if (!value->known || !mpfr_number_p(value->number.re) || !mpfr_zero_p(value->number.im)) return false;
    if (mpfr_regular_p(value->number.re) && mpfr_get_exp(value->number.re) > MATH_MAX_BITS) return false;
    strata_math_evaluator_init(&wide, value->evaluator.context, MATH_PRECISION + 64, 0);
    if (!strata_math_complex_init(&scaled, &wide)) return false;
    mpfr_mul_ui(scaled.re, value->number.re, 1000000, RND);
    mpfr_get_z(out, scaled.re, RND);
    return true;
}

static bool equal_rounded(struct value *a, struct value *b) {
    mpz_t left, right;
    mpz_inits(left, right, NULL);
    bool equal = millionths(left, a) && millionths(right, b) && mpz_cmp(left, right) == 0;
    mpz_clears(left, right, NULL);
    return equal;
}

static bool is_whole(struct math_context *context, const struct math_node *node) {
    mpq_t value;
    mpq_init(value);
    bool whole = strata_math_exact(value, node, context, false) && mpz_cmp_ui(mpq_denref(value), 1) == 0;
    mpq_clear(value);
    return whole;
}

/* Bits of a Float as written: 15 digits are 53 bits, more digits more. */
static mpfr_prec_t float_bits(const struct math_node *node) {
    const struct math_node *number = atomic(node);
    if (!number || number->op != MATH_FLOAT || number->digits <= 15) return FLOAT_BITS;
    unsigned digits = number->digits < 300 ? number->digits : 300;
    return (mpfr_prec_t)((double)(digits + 1) * 3.3219280948873626 + 0.5);
}

static bool less_than_power_of_two(struct value *a, struct value *b, mpfr_exp_t exponent) {
    struct math_evaluator wide;
    struct math_complex difference;
    if (!a->known || !b->known) return false;
    strata_math_evaluator_init(&wide, a->evaluator.context, MATH_PRECISION, 0);
    if (!strata_math_complex_init(&difference, &wide)) return false;
    mpfr_sub(difference.re, a->number.re, b->number.re, RND);
    mpfr_sub(difference.im, a->number.im, b->number.im, RND);
    if (mpfr_nan_p(difference.re) || mpfr_inf_p(difference.re)) return false;
    return (mpfr_zero_p(difference.re) || mpfr_get_exp(difference.re) <= exponent) &&
           (mpfr_zero_p(difference.im) || mpfr_get_exp(difference.im) <= exponent);
}

static bool exactly_equal(struct math_context *context, const struct math_node *a, const struct math_node *b,
                          bool floats, bool *known) {
    mpq_t left, right;
    mpq_inits(left, right, NULL);
    *known = strata_math_exact(left, a, context, floats) && strata_math_exact(right, b, context, floats);
    bool equal = *known && mpq_equal(left, right);
    mpq_clears(left, right, NULL);
    return equal;
}

/* Numbers as Math-Verify 0.8.0 on SymPy 1.14 compares them. */
static bool equal_as_sympy(struct math_context *context, const struct math_node *a, const struct math_node *b) {
    enum number_class left = classify(context, a), right = classify(context, b);
    const struct math_node *na = atomic(a), *nb = atomic(b);
    struct value x, y;
    bool known;
    if (left == CLASS_EXACT && right == CLASS_EXACT) return exactly_equal(context, a, b, false, &known);
    mpfr_prec_t bits = float_bits(a) > float_bits(b) ? float_bits(a) : float_bits(b);
    if (left == CLASS_EXACT)
        evaluate_exact(&x, context, a, bits);
    else
        evaluate_at(&x, context, a, left == CLASS_OTHER ? MATH_PRECISION : float_bits(a), 0);
    if (right == CLASS_EXACT)
        evaluate_exact(&y, context, b, bits);
    else
        evaluate_at(&y, context, b, right == CLASS_OTHER ? MATH_PRECISION : float_bits(b), 0);
    if ((na && na->op == MATH_FLOAT) || (nb && nb->op == MATH_FLOAT)) {
        if (is_whole(context, a) || is_whole(context, b))
            return x.known && y.known && mpfr_equal_p(x.number.re, y.number.re);
        return equal_rounded(&x, &y);
    }
    if (left == CLASS_OTHER || right == CLASS_OTHER) {
        if (!na && !nb && less_than_power_of_two(&x, &y, CHOP)) return true;
        /* a Float on the answer's side is evaluated by the subtraction, a power on the gold's side stays as written */
        if (right == CLASS_FLOAT || (left == CLASS_FLOAT && a->op != MATH_POW)) return false;
        return identical(context, a, b);
    }
    if (!na && !nb) return less_than_power_of_two(&x, &y, CHOP);
    return x.known && y.known && mpfr_equal_p(x.number.re, y.number.re);
}

/* Is the decimal `written` what `value` rounds to (or is cut to) at its own length? Only where it has enough digits. */
static bool is_rounding_of(struct math_context *context, const struct math_node *written,
                           const struct math_node *value) {
    const struct math_node *number = atomic(written);
    struct value x, y;
    if (!number || number->op != MATH_FLOAT || number->digits < LEAST_DIGITS) return false;
    evaluate_at(&x, context, written, MATH_PRECISION, 0);
    evaluate_at(&y, context, value, MATH_PRECISION, 0);
    if (!x.known || !y.known || !mpfr_zero_p(x.number.im) || !mpfr_zero_p(y.number.im) || !mpfr_number_p(y.number.re))
        return false;
    struct math_complex unit;
    if (!strata_math_complex_init(&unit, &x.evaluator)) return false;
    unsigned decimals = number->decimals + (number == written ? 0 : 2); /* a percentage has two more */
    mpfr_ui_pow_ui(unit.re, 10, decimals < 10000 ? decimals : 10000, RND);
    mpfr_ui_div(unit.re, 1, unit.re, RND);
    mpfr_sub(unit.im, y.number.re, x.number.re, RND);
    if (mpfr_sgn(x.number.re) < 0) mpfr_neg(unit.im, unit.im, RND); /* > 0: cut, < 0: rounded up */
    if (mpfr_sgn(unit.im) >= 0) return mpfr_less_p(unit.im, unit.re);
    mpfr_neg(unit.im, unit.im, RND);
    mpfr_div_2ui(unit.re, unit.re, 1, RND);
    return mpfr_lessequal_p(unit.im, unit.re);
}

/* Does the rational end in decimal? */
static bool terminates(struct math_context *context, const struct math_node *node) {
    mpq_t value;
    mpq_init(value);
    bool ends = strata_math_exact(value, node, context, true);
    if (ends) {
        mpz_t factor;
        mpz_init_set_ui(factor, 2);
        mpz_remove(mpq_denref(value), mpq_denref(value), factor);
        mpz_set_ui(factor, 5);
        mpz_remove(mpq_denref(value), mpq_denref(value), factor);
        ends = mpz_cmp_ui(mpq_denref(value), 1) == 0;
        mpz_clear(factor);
    }
    mpq_clear(value);
    return ends;
}

/* Numbers in strict mode: as written, exactly; only what has no finite decimal may be given as a long enough one. */
static bool equal_strictly(struct math_context *context, const struct math_node *gold, const struct math_node *answer) {
    bool known;
    if (exactly_equal(context, gold, answer, true, &known)) return true;
    if (!known && identical(context, gold, answer)) return true;
    const struct math_node *a = atomic(gold), *b = atomic(answer);
    bool gold_decimal = a && a->op == MATH_FLOAT, answer_decimal = b && b->op == MATH_FLOAT;
    if (answer_decimal && !gold_decimal && !terminates(context, gold)) return is_rounding_of(context, answer, gold);
    if (gold_decimal && !answer_decimal && !terminates(context, answer)) return is_rounding_of(context, gold, answer);
    return false;
}

/* a:b:c, part by part. */
static bool equal_ratios(struct math_context *context, const struct math_node *a, const struct math_node *b) {
    if (a->op != MATH_RATIO || b->op != MATH_RATIO) return strata_math_equal_values(context, a, b);
    return equal_ratios(context, a->kids[0], b->kids[0]) && strata_math_equal_values(context, a->kids[1], b->kids[1]);
}

bool strata_math_equal_values(struct math_context *context, const struct math_node *gold,
                              const struct math_node *answer) {
    if (!strata_math_spend(context, 1)) return false;
    if (gold->op == MATH_UNDEFINED || answer->op == MATH_UNDEFINED) return false;
    if (strata_math_same(gold, answer)) return true;
    if (gold->op == MATH_RATIO || answer->op == MATH_RATIO) {
        return gold->op == answer->op && equal_ratios(context, gold, answer);
    }
    struct math_node *left = strata_math_matrix(context, gold), *right = strata_math_matrix(context, answer);
    if (left || right) {
        if (!left || !right || left->rows != right->rows || left->count != right->count) return false;
        for (uint32_t i = 0; i < left->count; i++) {
            if (!strata_math_equal_values(context, left->kids[i], right->kids[i])) return false;
        }
        return true;
    }
    if (strata_math_has_symbol(gold) || strata_math_has_symbol(answer)) return identical(context, gold, answer);
    return context->strict ? equal_strictly(context, gold, answer) : equal_as_sympy(context, gold, answer);
}

bool strata_math_proportional(struct math_context *context, const struct math_node *f, const struct math_node *g,
                              int *sign) {
    struct math_complex ratio = {0};
    int agreed = 0;
    *sign = 0;
    for (int trial = 0; trial < ATTEMPTS && agreed < POINTS; trial++) {
        struct math_evaluator evaluator;
        struct math_complex x, y, now;
        strata_math_evaluator_init(&evaluator, context, MATH_PRECISION, trial);
        if (!strata_math_complex_init(&x, &evaluator) || !strata_math_complex_init(&y, &evaluator) ||
            !strata_math_complex_init(&now, &evaluator))
            return false;
        if (!strata_math_evaluate(&x, f, &evaluator) || !strata_math_evaluate(&y, g, &evaluator)) continue;
        if (!mpfr_number_p(x.re) || !mpfr_number_p(y.re) || mpfr_zero_p(x.re) || mpfr_zero_p(y.re)) continue;
        if (!strata_math_divide(&now, &x, &y, &evaluator)) continue;
        if (agreed) {
            if (!strata_math_close(&ratio, &now, &evaluator)) return false;
        } else {
            ratio = now;
        }
        agreed++;
    }
    if (agreed < POINTS || !mpfr_zero_p(ratio.im)) return false;
    *sign = mpfr_sgn(ratio.re);
    return true;
}
