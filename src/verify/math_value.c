#include "verify/math_value.h"

#include "base/hash.h"

#define RND MPFR_RNDN

bool strata_math_close(const struct math_complex *a, const struct math_complex *b,
                       const struct math_evaluator *evaluator) {
    if (mpfr_inf_p(a->re) || mpfr_inf_p(b->re)) return mpfr_equal_p(a->re, b->re) && mpfr_equal_p(a->im, b->im);
    struct math_complex difference;
    struct math_evaluator scratch = {.context = evaluator->context, .precision = evaluator->precision};
    if (!strata_math_complex_init(&difference, &scratch)) return false;
    mpfr_exp_t size =
        mpfr_get_emin_min(); /* of these numbers; those of a limit's evaluation near infinity are none of theirs */
    const mpfr_srcptr parts[] = {a->re, a->im, b->re, b->im};
    for (int k = 0; k < 4; k++) {
        if (!mpfr_number_p(parts[k])) return false;
        if (!mpfr_zero_p(parts[k]) && mpfr_get_exp(parts[k]) > size) size = mpfr_get_exp(parts[k]);
    }
    mpfr_exp_t guard = evaluator->precision / 4 < MATH_GUARD ? evaluator->precision / 4 : MATH_GUARD;
    mpfr_exp_t bound = (evaluator->scale > size ? evaluator->scale : size) - (evaluator->precision - guard);
    if (evaluator->loose && bound < (size > 0 ? size : 0) - 40) bound = (size > 0 ? size : 0) - 40;
    mpfr_sub(difference.re, a->re, b->re, RND);
    mpfr_sub(difference.im, a->im, b->im, RND);
    return (mpfr_zero_p(difference.re) || mpfr_get_exp(difference.re) <= bound) &&
           (mpfr_zero_p(difference.im) || mpfr_get_exp(difference.im) <= bound);
}

static void note_scale(struct math_evaluator *evaluator, const struct math_complex *z) {
    if (mpfr_regular_p(z->re) && mpfr_get_exp(z->re) > evaluator->scale) evaluator->scale = mpfr_get_exp(z->re);
    if (mpfr_regular_p(z->im) && mpfr_get_exp(z->im) > evaluator->scale) evaluator->scale = mpfr_get_exp(z->im);
}

/* A name's value at the random point: of size 0.3 to 2.8, a pure function of name and trial. */
static bool symbol_value(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    for (uint32_t i = evaluator->bound; i-- > 0;) {
        const struct math_binding *binding = &evaluator->bindings[i];
        if (binding->name.length != node->name.length || binding->not_real != node->not_real) continue;
        if (memcmp(binding->name.data, node->name.data, node->name.length) != 0) continue;
        mpfr_set(out->re, binding->value.re, RND);
        mpfr_set(out->im, binding->value.im, RND);
        return true;
    }
    struct strata_hash hash = strata_hash_bytes(node->name.data, node->name.length);
    uint32_t salt[2] = {(uint32_t)evaluator->trial, node->not_real};
    hash = strata_hash_combine(hash, salt, sizeof salt);
    double value = 0.3 + 2.5 * ((double)(hash.low >> 11) * 0x1p-53);
    if (evaluator->trial > 0 && (hash.high & 1)) value = -value;
    mpfr_set_d(out->re, value, RND);
    mpfr_set_zero(out->im, 1);
    return true;
}

/* An unknown function is a random one: a pure function of its name and arguments. */
static bool call_value(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct strata_hash hash = strata_hash_bytes(node->name.data, node->name.length);
    for (uint32_t i = 0; i < node->count; i++) {
        struct math_complex argument;
        if (!strata_math_complex_init(&argument, evaluator) ||
            !strata_math_evaluate(&argument, node->kids[i], evaluator))
            return false;
        double parts[2] = {(double)mpfr_get_flt(argument.re, RND), (double)mpfr_get_flt(argument.im, RND)};
        hash = strata_hash_combine(hash, parts, sizeof parts);
    }
    mpfr_set_d(out->re, 0.3 + 2.5 * ((double)(hash.low >> 11) * 0x1p-53), RND);
    mpfr_set_zero(out->im, 1);
    return true;
}

static bool sum_or_product(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex next;
    if (!strata_math_evaluate(out, node->kids[0], evaluator) || !strata_math_complex_init(&next, evaluator))
        return false;
    if (node->op == MATH_ADD) note_scale(evaluator, out);
    for (uint32_t i = 1; i < node->count; i++) {
        if (!strata_math_evaluate(&next, node->kids[i], evaluator)) return false;
        if (node->op == MATH_ADD) {
            note_scale(evaluator, &next);
            mpfr_add(out->re, out->re, next.re, RND);
            mpfr_add(out->im, out->im, next.im, RND);
        } else {
            strata_math_multiply(out, out, &next, evaluator);
        }
        if (mpfr_nan_p(out->re) || mpfr_nan_p(out->im)) return false;
    }
    return true;
}

/* A real root where one exists: strict mode reads the cube root of -8 as -2. */
static bool real_root(struct math_complex *out, const struct math_complex *base, const struct math_node *exponent,
                      struct math_evaluator *evaluator) {
    if (!evaluator->context->strict || exponent->op != MATH_NUMBER || exponent->numerator_size != 1 ||
        exponent->numerator[0] != 1 || exponent->denominator_size != 1 || !(exponent->denominator[0] & 1) ||
        exponent->denominator[0] == 1 || exponent->denominator[0] > 1000 || !mpfr_zero_p(base->im) ||
        mpfr_sgn(base->re) >= 0) {
        return false;
    }
    mpfr_rootn_ui(out->re, base->re, exponent->denominator[0], RND);
    mpfr_set_zero(out->im, 1);
    return true;
}

static bool power(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex base, exponent;
    if (!strata_math_complex_init(&base, evaluator) || !strata_math_complex_init(&exponent, evaluator)) return false;
    if (!strata_math_evaluate(&base, node->kids[0], evaluator) ||
        !strata_math_evaluate(&exponent, node->kids[1], evaluator))
        return false;
    return real_root(out, &base, node->kids[1], evaluator) || strata_math_power(out, &base, &exponent, evaluator);
}

/* floor and ceil of a value that is an integer but for rounding are that integer. */
static bool round_value(struct math_complex *out, enum math_op op, const struct math_complex *z,
                        struct math_evaluator *evaluator) {
    struct math_complex nearest;
    if (!mpfr_zero_p(z->im) || !mpfr_number_p(z->re) || !strata_math_complex_init(&nearest, evaluator)) return false;
    mpfr_rint_round(nearest.re, z->re, RND);
    if (strata_math_close(&nearest, z, evaluator))
        mpfr_set(out->re, nearest.re, RND);
    else if (op == MATH_FLOOR)
        mpfr_rint_floor(out->re, z->re, RND);
    else
        mpfr_rint_ceil(out->re, z->re, RND);
    mpfr_set_zero(out->im, 1);
    return true;
}

static bool unary(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex z;
    if (!strata_math_complex_init(&z, evaluator) || !strata_math_evaluate(&z, node->kids[0], evaluator)) return false;
    if (node->op == MATH_FLOOR || node->op == MATH_CEIL) return round_value(out, node->op, &z, evaluator);
    if (node->op == MATH_FACTORIAL) {
        if (!mpfr_zero_p(z.im) || !mpfr_number_p(z.re) || mpfr_cmpabs_ui(z.re, 2000) > 0 ||
            !strata_math_spend(evaluator->context, 400))
            return false;
        mpfr_add_ui(z.re, z.re, 1, RND);
        mpfr_gamma(out->re, z.re, RND);
        mpfr_set_zero(out->im, 1);
        return mpfr_number_p(out->re);
    }
    return strata_math_function(out, node->op, &z, evaluator);
}

static bool binary(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex a, b, t;
    if (!strata_math_complex_init(&a, evaluator) || !strata_math_complex_init(&b, evaluator) ||
        !strata_math_complex_init(&t, evaluator))
        return false;
    if (!strata_math_evaluate(&a, node->kids[0], evaluator) || !strata_math_evaluate(&b, node->kids[1], evaluator))
        return false;
    switch (node->op) {
    case MATH_RATIO:
        return strata_math_divide(out, &a, &b, evaluator);
    case MATH_LOG:
        return strata_math_function(&t, MATH_LOG, &a, evaluator) && strata_math_function(&a, MATH_LOG, &b, evaluator) &&
               strata_math_divide(out, &t, &a, evaluator);
    case MATH_MOD:
        if (!mpfr_zero_p(a.im) || !mpfr_zero_p(b.im) || !strata_math_divide(&t, &a, &b, evaluator)) return false;
        if (!round_value(&t, MATH_FLOOR, &t, evaluator)) return false;
        mpfr_mul(t.re, t.re, b.re, RND);
        mpfr_sub(out->re, a.re, t.re, RND);
        mpfr_set_zero(out->im, 1);
        return true;
    case MATH_BINOMIAL: { /* a(a-1)...(a-k+1)/k! */
        if (!mpfr_zero_p(b.im) || !mpfr_integer_p(b.re) || mpfr_sgn(b.re) < 0 || mpfr_cmp_ui(b.re, 500) > 0)
            return false;
        unsigned long k = mpfr_get_ui(b.re, RND);
        if (!strata_math_spend(evaluator->context, 2 * k)) return false;
        mpfr_set_ui(out->re, 1, RND);
        mpfr_set_zero(out->im, 1);
        for (unsigned long i = 0; i < k; i++) {
            strata_math_multiply(out, out, &a, evaluator);
            mpfr_div_ui(out->re, out->re, i + 1, RND);
            mpfr_div_ui(out->im, out->im, i + 1, RND);
            mpfr_sub_ui(a.re, a.re, 1, RND);
        }
        return true;
    }
    default:
        return false;
    }
}

static bool extreme(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex next;
    if (!strata_math_evaluate(out, node->kids[0], evaluator) || !strata_math_complex_init(&next, evaluator))
        return false;
    for (uint32_t i = 1; i < node->count; i++) {
        if (!strata_math_evaluate(&next, node->kids[i], evaluator) || !mpfr_zero_p(next.im) || !mpfr_zero_p(out->im))
            return false;
        if (node->op == MATH_MAX)
            mpfr_max(out->re, out->re, next.re, RND);
        else
            mpfr_min(out->re, out->re, next.re, RND);
    }
    return true;
}

static bool evaluate(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    mpq_t rational;
    bool good;
    mpfr_set_zero(out->re, 1);
    mpfr_set_zero(out->im, 1);
    switch (node->op) {
    case MATH_NUMBER:
    case MATH_FLOAT:
        mpq_init(rational);
        strata_math_rational(rational, node);
        mpfr_set_q(out->re, rational, RND);
        mpq_clear(rational);
        return true;
    case MATH_SYMBOL:
        return symbol_value(out, node, evaluator);
    case MATH_PI:
        mpfr_const_pi(out->re, RND);
        return true;
    case MATH_E:
        mpfr_set_ui(out->re, 1, RND);
        mpfr_exp(out->re, out->re, RND);
        return true;
    case MATH_I:
        mpfr_set_ui(out->im, 1, RND);
        return true;
    case MATH_INFINITY:
        mpfr_set_inf(out->re, node->sign);
        return true;
    case MATH_ADD:
    case MATH_MUL:
        return sum_or_product(out, node, evaluator);
    case MATH_POW:
        return power(out, node, evaluator);
    case MATH_MAX:
    case MATH_MIN:
        return extreme(out, node, evaluator);
    case MATH_GCD:
    case MATH_LCM:
        mpq_init(rational);
        good = strata_math_exact(rational, node, evaluator->context, true);
        if (good) mpfr_set_q(out->re, rational, RND);
        mpq_clear(rational);
        return good;
    case MATH_CALL:
        return call_value(out, node, evaluator);
    case MATH_SUM:
    case MATH_PRODUCT:
    case MATH_INTEGRAL:
    case MATH_LIMIT:
    case MATH_DERIVATIVE:
    case MATH_DET:
        return strata_math_aggregate(out, node, evaluator);
    case MATH_BINOMIAL:
    case MATH_MOD:
    case MATH_LOG:
    case MATH_RATIO:
        return binary(out, node, evaluator);
    default:
        return node->op < MATH_CALL && node->count == 1 && unary(out, node, evaluator);
    }
}

bool strata_math_evaluate(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_context *context = evaluator->context;
    if (!strata_math_spend(context, 2) || context->depth > 2 * MATH_MAX_DEPTH) return false;
    context->depth++;
    bool good = evaluate(out, node, evaluator);
    context->depth--;
    return good && !mpfr_nan_p(out->re) && !mpfr_nan_p(out->im) && !context->arena->failed;
}

int strata_math_order(struct math_context *context, const struct math_node *a, const struct math_node *b) {
    struct math_evaluator evaluator;
    struct math_complex left, right;
    if (strata_math_has_symbol(a) || strata_math_has_symbol(b)) return 2;
    strata_math_evaluator_init(&evaluator, context, MATH_PRECISION, 0);
    if (!strata_math_complex_init(&left, &evaluator) || !strata_math_complex_init(&right, &evaluator) ||
        !strata_math_evaluate(&left, a, &evaluator) || !strata_math_evaluate(&right, b, &evaluator) ||
        !mpfr_zero_p(left.im) || !mpfr_zero_p(right.im)) {
        return 2;
    }
    if (strata_math_close(&left, &right, &evaluator)) return 0;
    return mpfr_cmp(left.re, right.re) < 0 ? -1 : 1;
}

struct math_node *strata_math_settle_interval(struct strata_arena *arena, struct math_node *interval) {
    struct math_context context = {.arena = arena};
    if (interval->kids[0]->op == MATH_INFINITY) interval->open |= MATH_OPEN_LEFT;
    if (interval->kids[1]->op == MATH_INFINITY) interval->open |= MATH_OPEN_RIGHT;
    int order = strata_math_order(&context, interval->kids[0], interval->kids[1]);
    const unsigned both = MATH_OPEN_LEFT | MATH_OPEN_RIGHT;
    if (order == 2 || order < 0) return interval;
    if ((interval->open == both) || (interval->open == 0 && order > 0)) {
        interval->op = MATH_TUPLE;
    } else if (interval->open == 0) {
        interval->op = MATH_SET;
        interval->count = 1;
    } else {
        interval->op = MATH_EMPTY;
        interval->count = 0;
    }
    interval->open = 0;
    return interval;
}
