#include "base/elementary.h"

/* Polynomial coefficients are those of Sun's fdlibm (freely usable; e_exp, e_log, k_sin, k_cos). */

static double scale_by_power(double x, int power) {
    uint64_t bits = (uint64_t)(power + 1023) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return x * scale;
}

double strata_exp(double x) {
    if (x != x) return x;
    if (x > 709.782712893383973096) return __builtin_inf();
    if (x < -745.13321910194110842) return 0.0;
    double k = __builtin_floor(x * 1.44269504088896338700 + 0.5);
    double high = x - k * 6.93147180369123816490e-01, low = k * 1.90821492927058770002e-10;
    double r = high - low, t = r * r;
    double c = r - t * (1.66666666666666019037e-01 +
                        t * (-2.77777777770155933842e-03 +
                             t * (6.61375632143793436117e-05 +
                                  t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    double y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    int power = (int)k;
    /* Two steps, so that results near the ends of the range neither overflow early nor lose the denormals. */
    int half = power / 2;
    return scale_by_power(scale_by_power(y, half), power - half);
}

double strata_log(double x) {
    if (x != x || x < 0.0) return __builtin_nan("");
    if (x == 0.0) return -__builtin_inf();
    if (x > 1.7976931348623157e308) return x;
    int power = 0;
    if (x < 2.2250738585072014e-308) {
        x *= 0x1p54;
        power = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    power += (int)(bits >> 52) - 1023;
    bits = (bits & 0x000FFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.41421356237309504880) {
        m *= 0.5;
        power++;
    }
    double f = m - 1.0, s = f / (2.0 + f), z = s * s, w = z * z, k = (double)power;
    double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    double odd = z * (6.666666666666735130e-01 +
                      w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860510658591e-01)));
    double half_square = 0.5 * f * f;
    return k * 6.93147180369123816490e-01 -
           ((half_square - (s * (half_square + (even + odd)) + k * 1.90821492927058770002e-10)) - f);
}

double strata_pow(double base, double exponent) {
    return strata_exp(exponent * strata_log(base));
}

/* erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (1*3*...*(2n+1)): all terms positive, so nothing cancels. */
double strata_erf(double x) {
    if (x != x) return x;
    double a = x < 0.0 ? -x : x;
    if (a >= 6.0) return x < 0.0 ? -1.0 : 1.0;
    double term = a, sum = a;
    for (int n = 1; n < 200 && term > sum * 1e-18; n++) {
        term = term * 2.0 * a * a / (double)(2 * n + 1);
        sum += term;
    }
    double value = 1.12837916709551257390 * strata_exp(-a * a) * sum;
    if (value > 1.0) value = 1.0;
    return x < 0.0 ? -value : value;
}

void strata_sincos(double *sine, double *cosine, double x) {
    double k = __builtin_floor(x * 6.36619772367581382433e-01 + 0.5);
    /* pi/2 in three parts; the first has 33 bits, so k*part is exact for |k| < 2^20. */
    double r = x - k * 1.57079632673412561417e+00;
    double correction = k * 6.07710050630396597660e-11;
    double y = r - correction;
    double tail = ((r - y) - correction) - k * 2.02226624879595063154e-21;
    double z = y * y;
    double s = y + (z * y *
                        (-1.66666666666666324348e-01 +
                         z * (8.33333333332248946124e-03 +
                              z * (-1.98412698298579493134e-04 +
                                   z * (2.75573137070700676789e-06 +
                                        z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))))) +
                    tail);
    double c =
        1.0 - (0.5 * z - (z * z *
                              (4.16666666666666019037e-02 +
                               z * (-1.38888888888741095749e-03 +
                                    z * (2.48015872894767294178e-05 +
                                         z * (-2.75573143513906633035e-07 +
                                              z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))))) -
                          y * tail));
    switch ((int64_t)k & 3) {
    case 0:
        *sine = s;
        *cosine = c;
        break;
    case 1:
        *sine = c;
        *cosine = -s;
        break;
    case 2:
        *sine = -s;
        *cosine = -c;
        break;
    default:
        *sine = -c;
        *cosine = s;
        break;
    }
}

float strata_logf(float x) {
    return (float)strata_log((double)x);
}
