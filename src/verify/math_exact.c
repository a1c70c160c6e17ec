#include "verify/math_value.h"

#include <stdlib.h>

#define MAX_FACTORIAL 2000
#define MAX_ROOT      64

bool strata_math_spend(struct math_context *context, uint64_t steps) {
    context->steps += steps;
    if (context->steps > MATH_MAX_STEPS) context->exhausted = true;
    return !context->exhausted;
}

static size_t bits(const mpq_t value) {
    size_t a = mpz_sizeinbase(mpq_numref(value), 2), b = mpz_sizeinbase(mpq_denref(value), 2);
    return a > b ? a : b;
}

static bool is_integer(const mpq_t value) {
    return mpz_cmp_ui(mpq_denref(value), 1) == 0;
}

/* A whole number that fits long, or false. */
static bool small_integer(long *out, const mpq_t value) {
    if (!is_integer(value) || !mpz_fits_slong_p(mpq_numref(value))) return false;
    *out = mpz_get_si(mpq_numref(value));
    return true;
}

/* value = value^(1/index), when that is rational. */
static bool exact_root(mpq_t value, unsigned long index, bool real_roots) {
    bool negative = mpq_sgn(value) < 0;
    if (index > MAX_ROOT || (negative && !(real_roots && index % 2))) return false;
    mpq_abs(value, value);
    bool good =
        mpz_root(mpq_numref(value), mpq_numref(value), index) && mpz_root(mpq_denref(value), mpq_denref(value), index);
    if (negative) mpq_neg(value, value);
    return good;
}

static bool exact_power(mpq_t out, mpq_t exponent, struct math_context *context) {
    if (!mpz_fits_ulong_p(mpq_denref(exponent))) return false;
    unsigned long index = mpz_get_ui(mpq_denref(exponent));
    bool trivial = mpz_cmp_ui(mpq_denref(out), 1) == 0 && mpz_cmpabs_ui(mpq_numref(out), 1) <= 0; /* -1, 0, 1 */
    if (index > 1 && !exact_root(out, index, context->strict)) return false;
    bool invert = mpq_sgn(exponent) < 0;
    if (invert && mpq_sgn(out) == 0) return false;
    if (trivial) {
        bool odd = mpz_odd_p(mpq_numref(exponent));
        if (mpq_sgn(exponent) == 0)
            mpq_set_ui(out, 1, 1);
        else if (!odd)
            mpq_abs(out, out);
        return true;
    }
    mpz_t power;
    mpz_init(power);
    mpz_abs(power, mpq_numref(exponent));
    bool good =
        mpz_fits_ulong_p(power) && mpz_get_ui(power) <= MATH_MAX_BITS && bits(out) * mpz_get_ui(power) <= MATH_MAX_BITS;
    if (good) {
        unsigned long n = mpz_get_ui(power);
        good = strata_math_spend(context, 1 + bits(out) * n / 512);
        mpz_pow_ui(mpq_numref(out), mpq_numref(out), n);
        mpz_pow_ui(mpq_denref(out), mpq_denref(out), n);
        if (invert) mpq_inv(out, out);
    }
    mpz_clear(power);
    return good;
}

/* log of out to the base `base`, when it is a fraction with a small denominator. */
static bool exact_log(mpq_t out, const mpq_t base) {
    bool good = false;
    mpq_t power, target;
    if (mpq_sgn(out) <= 0 || mpq_sgn(base) <= 0 || mpq_cmp_ui(base, 1, 1) == 0 || bits(out) > 4096 || bits(base) > 4096)
        return false;
    mpq_inits(power, target, NULL);
    for (unsigned long q = 1; q <= 4 && !good; q++) { /* base^p == out^q */
        mpz_pow_ui(mpq_numref(target), mpq_numref(out), q);
        mpz_pow_ui(mpq_denref(target), mpq_denref(out), q);
        for (int sign = 1; sign >= -1 && !good; sign -= 2) {
            mpq_set_ui(power, 1, 1);
            for (long p = 0; p < 4096 && bits(power) <= bits(target) + bits(base); p++) {
                if (mpq_equal(power, target)) {
                    mpq_set_si(out, sign * p, q);
                    mpq_canonicalize(out);
                    good = true;
                    break;
                }
                if (sign > 0)
                    mpq_mul(power, power, base);
                else
                    mpq_div(power, power, base);
            }
        }
    }
    mpq_clears(power, target, NULL);
    return good;
}

static bool exact_binomial(mpq_t out, const mpq_t k) {
    long choose;
    if (!is_integer(out) || !small_integer(&choose, k) || choose > MAX_FACTORIAL || bits(out) > 128) return false;
    if (choose < 0)
        mpq_set_ui(out, 0, 1);
    else
        mpz_bin_ui(mpq_numref(out), mpq_numref(out), (unsigned long)choose);
    return true;
}

static bool exact_modulo(mpq_t out, const mpq_t b) {
    mpz_t quotient;
    mpq_t part;
    if (mpq_sgn(b) == 0) return false;
    mpq_init(part);
    mpz_init(quotient);
    mpq_div(part, out, b);
    mpz_fdiv_q(quotient, mpq_numref(part), mpq_denref(part));
    mpq_set_z(part, quotient);
    mpq_mul(part, part, b);
    mpq_sub(out, out, part);
    mpz_clear(quotient);
    mpq_clear(part);
    return true;
}

/* out = op(out, next): the operators that take their arguments one after the other. */
static bool fold(mpq_t out, enum math_op op, mpq_t next, struct math_context *context) {
    if (bits(out) + bits(next) > 2 * MATH_MAX_BITS) return false;
    switch (op) {
    case MATH_ADD:
        mpq_add(out, out, next);
        return true;
    case MATH_MUL:
        mpq_mul(out, out, next);
        return true;
    case MATH_RATIO:
        if (mpq_sgn(next) == 0) return false;
        mpq_div(out, out, next);
        return true;
    case MATH_POW:
        return exact_power(out, next, context);
    case MATH_MOD:
        return exact_modulo(out, next);
    case MATH_MAX:
        if (mpq_cmp(next, out) > 0) mpq_set(out, next);
        return true;
    case MATH_MIN:
        if (mpq_cmp(next, out) < 0) mpq_set(out, next);
        return true;
    case MATH_GCD:
    case MATH_LCM:
        if (!is_integer(out) || !is_integer(next)) return false;
        if (op == MATH_GCD)
            mpz_gcd(mpq_numref(out), mpq_numref(out), mpq_numref(next));
        else
            mpz_lcm(mpq_numref(out), mpq_numref(out), mpq_numref(next));
        return true;
    case MATH_BINOMIAL:
        return exact_binomial(out, next);
    case MATH_LOG:
        return exact_log(out, next);
    default:
        return false;
    }
}

static bool apply(mpq_t out, enum math_op op) {
    long n;
    switch (op) {
    case MATH_FACTORIAL:
        if (!small_integer(&n, out) || n < 0 || n > MAX_FACTORIAL) return false;
        mpz_fac_ui(mpq_numref(out), (unsigned long)n);
        return true;
    case MATH_ABS:
        mpq_abs(out, out);
        return true;
    case MATH_FLOOR:
    case MATH_CEIL:
        if (op == MATH_FLOOR)
            mpz_fdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));
        else
            mpz_cdiv_q(mpq_numref(out), mpq_numref(out), mpq_denref(out));
        mpz_set_ui(mpq_denref(out), 1);
        return true;
    default:
        return false;
    }
}

bool strata_math_exact(mpq_t out, const struct math_node *node, struct math_context *context, bool floats) {
    if (!strata_math_spend(context, 1)) return false;
    if (node->op == MATH_NUMBER || (node->op == MATH_FLOAT && floats)) {
        strata_math_rational(out, node);
        return true;
    }
    if (!node->count || node->op >= MATH_CALL) {
        if (node->op != MATH_RATIO) return false;
    }
    if (context->depth > MATH_MAX_DEPTH) return false;
    context->depth++;
    bool good = strata_math_exact(out, node->kids[0], context, floats);
    if (good && node->count == 1) good = node->op == MATH_ADD || node->op == MATH_MUL || apply(out, node->op);
    if (good && node->count > 1) {
        mpq_t next;
        mpq_init(next);
        for (uint32_t i = 1; good && i < node->count; i++) {
            good = strata_math_exact(next, node->kids[i], context, floats) &&
                   strata_math_spend(context, 1 + bits(next) / 512 + bits(out) / 512) &&
                   fold(out, node->op, next, context);
        }
        mpq_clear(next);
    }
    context->depth--;
    return good;
}
