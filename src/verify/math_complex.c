/* Complex arithmetic and elementary functions over MPFR. */
#include "verify/math_value.h"

#define MAX_EXPONENT 4096 /* of arguments of periodic functions: beyond it their reduction costs without bound */
#define RND          MPFR_RNDN

void strata_math_evaluator_init(struct math_evaluator *evaluator, struct math_context *context, mpfr_prec_t precision,
                                int trial) {
    evaluator->context = context;
    evaluator->precision = precision;
    evaluator->bound = 0;
    evaluator->trial = trial;
    evaluator->scale = mpfr_get_emin_min();
    evaluator->loose = false;
}

bool strata_math_complex_init(struct math_complex *out, struct math_evaluator *evaluator) {
    size_t size = mpfr_custom_get_size(evaluator->precision);
    for (int k = 0; k < 2; k++) {
        void *significand = strata_arena_take(evaluator->context->arena, size);
        if (!significand) return false;
        mpfr_custom_init(significand, evaluator->precision);
        mpfr_custom_init_set(k ? out->im : out->re, MPFR_ZERO_KIND, 0, evaluator->precision, significand);
    }
    return true;
}

static bool is_real(const struct math_complex *z) {
    return mpfr_zero_p(z->im);
}
static bool is_zero(const struct math_complex *z) {
    return mpfr_zero_p(z->re) && mpfr_zero_p(z->im);
}
static bool is_finite(const struct math_complex *z) {
    return mpfr_number_p(z->re) && mpfr_number_p(z->im);
}

void strata_math_multiply(struct math_complex *out, const struct math_complex *a, const struct math_complex *b,
                          struct math_evaluator *evaluator) {
    if (is_real(a) && is_real(b)) {
        mpfr_mul(out->re, a->re, b->re, RND);
        mpfr_set_zero(out->im, 1);
        return;
    }
    struct math_complex t, u;
    if (!strata_math_complex_init(&t, evaluator) || !strata_math_complex_init(&u, evaluator)) {
        mpfr_set_nan(out->re);
        return;
    }
    mpfr_mul(t.re, a->re, b->re, RND);
    mpfr_mul(t.im, a->im, b->im, RND);
    mpfr_mul(u.re, a->re, b->im, RND);
    mpfr_mul(u.im, a->im, b->re, RND);
    mpfr_sub(out->re, t.re, t.im, RND);
    mpfr_add(out->im, u.re, u.im, RND);
}

bool strata_math_divide(struct math_complex *out, const struct math_complex *a, const struct math_complex *b,
                        struct math_evaluator *evaluator) {
    if (is_zero(b)) return false;
    if (is_real(b)) {
        mpfr_div(out->re, a->re, b->re, RND);
        mpfr_div(out->im, a->im, b->re, RND);
        return true;
    }
    struct math_complex conjugate, square;
    if (!strata_math_complex_init(&conjugate, evaluator) || !strata_math_complex_init(&square, evaluator)) return false;
    mpfr_sqr(square.re, b->re, RND);
    mpfr_sqr(square.im, b->im, RND);
    mpfr_add(square.re, square.re, square.im, RND);
    mpfr_set(conjugate.re, b->re, RND);
    mpfr_neg(conjugate.im, b->im, RND);
    strata_math_multiply(out, a, &conjugate, evaluator);
    mpfr_div(out->re, out->re, square.re, RND);
    mpfr_div(out->im, out->im, square.re, RND);
    return true;
}

static bool bounded(const mpfr_t x) {
    return mpfr_zero_p(x) || mpfr_get_exp(x) <= MAX_EXPONENT;
}

static bool complex_exp(struct math_complex *out, const struct math_complex *z, struct math_evaluator *evaluator) {
    struct math_complex t;
    if (is_real(z)) {
        mpfr_exp(out->re, z->re, RND);
        mpfr_set_zero(out->im, 1);
        return true;
    }
    if (!bounded(z->im) || !strata_math_complex_init(&t, evaluator)) return false;
    mpfr_exp(t.re, z->re, RND);
    mpfr_sin_cos(out->im, out->re, z->im, RND);
    mpfr_mul(out->re, out->re, t.re, RND);
    mpfr_mul(out->im, out->im, t.re, RND);
    return true;
}

static bool complex_log(struct math_complex *out, const struct math_complex *z, struct math_evaluator *evaluator) {
    struct math_complex t;
    if (is_zero(z)) return false;
    if (is_real(z) && mpfr_sgn(z->re) > 0) {
        mpfr_log(out->re, z->re, RND);
        mpfr_set_zero(out->im, 1);
        return true;
    }
    if (!strata_math_complex_init(&t, evaluator)) return false;
    mpfr_hypot(t.re, z->re, z->im, RND);
    mpfr_atan2(t.im, z->im, z->re, RND);
    mpfr_log(out->re, t.re, RND);
    mpfr_set(out->im, t.im, RND);
    return true;
}

bool strata_math_power(struct math_complex *out, const struct math_complex *base, const struct math_complex *exponent,
                       struct math_evaluator *evaluator) {
    bool real = is_real(base) && is_real(exponent);
    if (!strata_math_spend(evaluator->context, 12)) return false;
    if (is_zero(base) && (!is_real(exponent) || mpfr_sgn(exponent->re) < 0)) return false;
    if (real && mpfr_sgn(base->re) >= 0 && mpfr_cmp_ui_2exp(exponent->re, 1, -1) == 0) {
        mpfr_sqrt(out->re, base->re, RND);
        mpfr_set_zero(out->im, 1);
        return true;
    }
    if (real && (mpfr_sgn(base->re) >= 0 || mpfr_integer_p(exponent->re))) {
        mpfr_pow(out->re, base->re, exponent->re, RND);
        mpfr_set_zero(out->im, 1);
        return true;
    }
    if (real && !mpfr_nan_p(base->re)) { /* the square root of a negative number, exactly on the imaginary axis */
        struct math_complex twice;
        if (!strata_math_complex_init(&twice, evaluator)) return false;
        mpfr_mul_2ui(twice.re, exponent->re, 1, RND);
        if (mpfr_cmp_ui(twice.re, 1) == 0) {
            mpfr_neg(twice.re, base->re, RND);
            mpfr_set_zero(out->re, 1);
            mpfr_sqrt(out->im, twice.re, RND);
            return true;
        }
    }
    if (is_real(exponent) && mpfr_integer_p(exponent->re) && mpfr_cmpabs_ui(exponent->re, 64) <= 0) {
        long n = mpfr_get_si(exponent->re, RND);
        struct math_complex result, factor, one;
        if (!strata_math_complex_init(&result, evaluator) || !strata_math_complex_init(&factor, evaluator) ||
            !strata_math_complex_init(&one, evaluator))
            return false;
        mpfr_set_ui(result.re, 1, RND);
        mpfr_set_ui(one.re, 1, RND);
        mpfr_set(factor.re, base->re, RND);
        mpfr_set(factor.im, base->im, RND);
        for (long k = n < 0 ? -n : n; k > 0; k >>= 1) {
            if (k & 1) strata_math_multiply(&result, &result, &factor, evaluator);
            strata_math_multiply(&factor, &factor, &factor, evaluator);
        }
        if (n < 0) return strata_math_divide(out, &one, &result, evaluator);
        mpfr_set(out->re, result.re, RND);
        mpfr_set(out->im, result.im, RND);
        return true;
    }
    struct math_complex log;
    if (!strata_math_complex_init(&log, evaluator) || !complex_log(&log, base, evaluator)) return false;
    strata_math_multiply(&log, &log, exponent, evaluator);
    return complex_exp(out, &log, evaluator);
}

/* sin, cos, sinh, cosh and their quotients of a complex argument, by exponentials. */
static bool by_exponentials(struct math_complex *out, enum math_op op, const struct math_complex *z,
                            struct math_evaluator *evaluator) {
    struct math_complex w, up, down, minus, sine, cosine;
    struct math_complex *all[] = {&w, &up, &down, &minus, &sine, &cosine};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        if (!strata_math_complex_init(all[k], evaluator)) return false;
    }
    bool circular = op >= MATH_SIN && op <= MATH_COT;
    if (circular) { /* e^(iz) */
        mpfr_neg(w.re, z->im, RND);
        mpfr_set(w.im, z->re, RND);
    } else {
        mpfr_set(w.re, z->re, RND);
        mpfr_set(w.im, z->im, RND);
    }
    mpfr_neg(minus.re, w.re, RND);
    mpfr_neg(minus.im, w.im, RND);
    if (!complex_exp(&up, &w, evaluator) || !complex_exp(&down, &minus, evaluator)) return false;
    mpfr_sub(sine.re, up.re, down.re, RND);
    mpfr_sub(sine.im, up.im, down.im, RND);
    mpfr_add(cosine.re, up.re, down.re, RND);
    mpfr_add(cosine.im, up.im, down.im, RND);
    for (int k = 0; k < 2; k++) {
        struct math_complex *half = k ? &cosine : &sine;
        mpfr_div_2ui(half->re, half->re, 1, RND);
        mpfr_div_2ui(half->im, half->im, 1, RND);
    }
    if (circular) { /* sin z = (e^iz - e^-iz)/2i */
        mpfr_swap(sine.re, sine.im);
        mpfr_neg(sine.im, sine.im, RND);
    }
    struct math_complex one;
    if (!strata_math_complex_init(&one, evaluator)) return false;
    mpfr_set_ui(one.re, 1, RND);
    switch (op) {
    case MATH_SIN:
    case MATH_SINH:
        return strata_math_divide(out, &sine, &one, evaluator);
    case MATH_COS:
    case MATH_COSH:
        return strata_math_divide(out, &cosine, &one, evaluator);
    case MATH_TAN:
    case MATH_TANH:
        return strata_math_divide(out, &sine, &cosine, evaluator);
    case MATH_COT:
        return strata_math_divide(out, &cosine, &sine, evaluator);
    case MATH_SEC:
        return strata_math_divide(out, &one, &cosine, evaluator);
    default:
        return strata_math_divide(out, &one, &sine, evaluator);
    }
}

static bool real_function(mpfr_t out, enum math_op op, const mpfr_t x) {
    int inside = mpfr_cmpabs_ui(x, 1);
    switch (op) {
    case MATH_EXP:
        return mpfr_exp(out, x, RND), true;
    case MATH_ASIN:
        return inside <= 0 && (mpfr_asin(out, x, RND), true);
    case MATH_ACOS:
        return inside <= 0 && (mpfr_acos(out, x, RND), true);
    case MATH_ATAN:
        return mpfr_atan(out, x, RND), true;
    case MATH_SINH:
        return mpfr_sinh(out, x, RND), true;
    case MATH_COSH:
        return mpfr_cosh(out, x, RND), true;
    case MATH_TANH:
        return mpfr_tanh(out, x, RND), true;
    case MATH_ASINH:
        return mpfr_asinh(out, x, RND), true;
    case MATH_ACOSH:
        return mpfr_cmp_ui(x, 1) >= 0 && (mpfr_acosh(out, x, RND), true);
    case MATH_ATANH:
        return inside < 0 && (mpfr_atanh(out, x, RND), true);
    default:
        break;
    }
    if (!bounded(x)) return false;
    switch (op) {
    case MATH_SIN:
        return mpfr_sin(out, x, RND), true;
    case MATH_COS:
        return mpfr_cos(out, x, RND), true;
    case MATH_TAN:
        return mpfr_tan(out, x, RND), true;
    case MATH_CSC:
        return mpfr_csc(out, x, RND), true;
    case MATH_SEC:
        return mpfr_sec(out, x, RND), true;
    case MATH_COT:
        return mpfr_cot(out, x, RND), true;
    default:
        return false;
    }
}

bool strata_math_function(struct math_complex *out, enum math_op op, const struct math_complex *z,
                          struct math_evaluator *evaluator) {
    struct math_complex one, inverse;
    if (!strata_math_spend(evaluator->context, 12) || !is_finite(z)) return false;
    mpfr_set_zero(out->im, 1);
    if (op >= MATH_ACSC && op <= MATH_ACOT) { /* by the function of the reciprocal */
        if (op == MATH_ACOT && is_zero(z)) {
            mpfr_const_pi(out->re, RND);
            mpfr_div_2ui(out->re, out->re, 1, RND);
            return true;
        }
        if (!strata_math_complex_init(&one, evaluator) || !strata_math_complex_init(&inverse, evaluator)) return false;
        mpfr_set_ui(one.re, 1, RND);
        static const enum math_op reciprocal[] = {MATH_ASIN, MATH_ACOS, MATH_ATAN};
        return strata_math_divide(&inverse, &one, z, evaluator) &&
               strata_math_function(out, reciprocal[op - MATH_ACSC], &inverse, evaluator);
    }
    if (is_real(z) && real_function(out->re, op, z->re)) return mpfr_number_p(out->re);
    switch (op) {
    case MATH_LOG:
        return complex_log(out, z, evaluator);
    case MATH_EXP:
        return complex_exp(out, z, evaluator);
    case MATH_ABS:
        mpfr_hypot(out->re, z->re, z->im, RND);
        return true;
    case MATH_SIN:
    case MATH_COS:
    case MATH_TAN:
    case MATH_CSC:
    case MATH_SEC:
    case MATH_COT:
    case MATH_SINH:
    case MATH_COSH:
    case MATH_TANH:
        return by_exponentials(out, op, z, evaluator);
    default:
        return false; /* inverse functions outside the reals: nobody answers with them */
    }
}
