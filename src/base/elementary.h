/* Our own exp, log, erf, sin and cos, because the C library picks versions by CPU and results must not depend on it
 * (contract 1). Plain C, no contraction. The float versions are inline so that loops over them vectorise: every lane
 * does what the scalar does, bit for bit. Accuracies are pinned by tests/base/test_elementary.c. */
#ifndef STRATA_BASE_ELEMENTARY_H
#define STRATA_BASE_ELEMENTARY_H

#include <stdint.h>
#include <string.h>

double strata_exp(double x);                                /* <= 1 ulp; overflow to inf, below -745 to 0 */
double strata_log(double x);                                /* <= 1 ulp; log(0) = -inf, log(<0) = NaN */
double strata_erf(double x);                                /* <= 1e-14 absolute */
double strata_pow(double base, double exponent);            /* base > 0; relative error <= 1e-14 while the result is
                                                               between 1e-25 and 1e25 */
void strata_sincos(double *sine, double *cosine, double x); /* |x| <= 2^20, <= 5e-16 absolute */
float strata_logf(float x);                                 /* <= 1 ulp */

/* exp, <= 2 ulp; exactly 0 below -87.33 (no denormals), inf above 88.72, NaN for NaN. */
static inline float strata_expf(float x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits */
    float shifted = x * 1.44269504f + magic;
    float k = shifted - magic;
    float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    /* 2^k as a product of two halves, so that neither k = -126 nor k = 128 leaves the exponent's range. */
    int32_t n;
    memcpy(&n, &shifted, sizeof n);
    n = (int32_t)((uint32_t)n - 0x4B400000u);
    uint32_t low_bits = (uint32_t)((n >> 1) + 127) << 23, high_bits = (uint32_t)(n - (n >> 1) + 127) << 23;
    float low_scale, high_scale;
    memcpy(&low_scale, &low_bits, sizeof low_scale);
    memcpy(&high_scale, &high_bits, sizeof high_scale);
    float result = p * low_scale * high_scale;
    result = x < -87.33f ? 0.0f : result;
    result = x > 88.7228394f ? __builtin_inff() : result;
    return x != x ? x : result;
}

/* erf, <= 1 ulp: x * P(x^2) in double, a Chebyshev fit on |x| < 4 (error 1e-12); beyond that erf is 1 in float. */
static inline float strata_erff(float x) {
    double z = (double)x * (double)x;
    double u = (z > 16.0 ? 16.0 : z) * 0.125 - 1.0;
    double p = -4.46724267094982397e-6;
    p = p * u + 0.000013246133141674835;
    p = p * u + -0.0000132603809269201129;
    p = p * u + 0.0000311212894080648021;
    p = p * u + -0.000125089453465895166;
    p = p * u + 0.000299081442637968319;
    p = p * u + -0.000606629705621114931;
    p = p * u + 0.00127244116398041534;
    p = p * u + -0.00258166722878853091;
    p = p * u + 0.00486454448511242833;
    p = p * u + -0.00860502261366476438;
    p = p * u + 0.0143457734963018984;
    p = p * u + -0.0224738273449320446;
    p = p * u + 0.0330614593974702396;
    p = p * u + -0.0457650778784992128;
    p = p * u + 0.0598868010406376957;
    p = p * u + -0.0747278678383607104;
    p = p * u + 0.0902090007998718205;
    p = p * u + -0.107710442476157742;
    p = p * u + 0.131675116727175164;
    p = p * u + -0.17657623330158755;
    p = p * u + 0.353530995644097484;
    float result = (float)(p * (double)x);
    result = x > 3.99f ? 1.0f : result;
    result = x < -3.99f ? -1.0f : result;
    return x != x ? x : result;
}

#endif
