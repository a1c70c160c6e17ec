#include "verify/decimal.h"

#include <math.h>
#include <mpfr.h>
#include <stdint.h>
#include <stdlib.h>

struct parts {
    char digits[64];
    char *heap; /* when the digits are many */
    size_t count;
    long exponent;
};

static bool split(struct parts *out, struct strata_span text) {
    size_t i = 0;
    bool point = false;
    *out = (struct parts){.count = 0};
    if (text.length > STRATA_DECIMAL_DIGITS) return false;
    char *digits = out->digits;
    if (text.length >= sizeof out->digits) {
        out->heap = malloc(text.length + 1);
        if (!out->heap) return false;
        digits = out->heap;
    }
    for (; i < text.length; i++) {
        char c = text.data[i];
        if (strata_is_digit(c)) {
            digits[out->count++] = c;
            if (point) out->exponent--;
        } else if (c == '.' && !point) {
            point = true;
        } else if (c != '_') {
            break;
        }
    }
    digits[out->count] = '\0';
    if (i < text.length && (text.data[i] == 'e' || text.data[i] == 'E')) {
        bool minus = ++i < text.length && text.data[i] == '-';
        long exponent = 0;
        if (i < text.length && (text.data[i] == '-' || text.data[i] == '+')) i++;
        for (; i < text.length && (strata_is_digit(text.data[i]) || text.data[i] == '_'); i++) {
            if (text.data[i] != '_' && exponent < 10000000) exponent = exponent * 10 + (text.data[i] - '0');
        }
        out->exponent += minus ? -exponent : exponent;
    }
    return out->count && i == text.length;
}

bool strata_decimal_to_rational(mpq_t out, struct strata_span text) {
    struct parts parts;
    bool good = split(&parts, text) && labs(parts.exponent) <= STRATA_DECIMAL_EXPONENT;
    if (good) {
        mpz_set_str(mpq_numref(out), parts.heap ? parts.heap : parts.digits, 10);
        mpz_set_ui(mpq_denref(out), 1);
        mpz_t scale;
        mpz_init(scale);
        mpz_ui_pow_ui(scale, 10, (unsigned long)labs(parts.exponent));
        if (parts.exponent >= 0)
            mpz_mul(mpq_numref(out), mpq_numref(out), scale);
        else
            mpz_set(mpq_denref(out), scale);
        mpz_clear(scale);
        mpq_canonicalize(out);
    }
    free(parts.heap);
    return good;
}

double strata_rational_to_double(const mpq_t value) {
    mpfr_t real;
    mpfr_init2(real, 53);
    mpfr_set_q(real, value, MPFR_RNDN);
    double out = mpfr_get_d(real, MPFR_RNDN);
    mpfr_clear(real);
    return out;
}

double strata_decimal_to_double(struct strata_span text) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct parts parts;
    double out = INFINITY;
    if (split(&parts, text) && parts.count <= 15 && labs(parts.exponent) <= 22) {
        uint64_t digits = 0; /* both factors are exact: one rounding (Clinger 1990) */
        for (size_t i = 0; i < parts.count; i++) digits = digits * 10 + (uint64_t)(parts.digits[i] - '0');
        out = parts.exponent < 0 ? (double)digits / powers[-parts.exponent] : (double)digits * powers[parts.exponent];
        free(parts.heap);
        return out;
    }
    bool tiny = parts.exponent < -STRATA_DECIMAL_EXPONENT;
    free(parts.heap);
    mpq_t value;
    mpq_init(value);
    if (strata_decimal_to_rational(value, text))
        out = strata_rational_to_double(value);
    else if (tiny)
        out = 0;
    mpq_clear(value);
    return out;
}
