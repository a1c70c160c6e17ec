/* Our own exp, log, erf, sin and cos, because the C library picks versions by CPU and results must not depend on it
 * (contract 1). Plain C, no contraction; the float versions vectorise. Accuracy is pinned by tests/base. */
#ifndef STRATA_BASE_ELEMENTARY_H
#define STRATA_BASE_ELEMENTARY_H

double strata_exp(double x);                                  /* <= 1 ulp; overflow to inf, underflow to 0 */
double strata_log(double x);                                  /* <= 1 ulp; log(0) = -inf, log(<0) = NaN */
double strata_erf(double x);                                  /* <= 1e-15 absolute */
double strata_pow(double base, double exponent);              /* base > 0; exp(exponent*log(base)) in extra precision */
void strata_sincos(double *sine, double *cosine, double x);   /* |x| <= 2^30, <= 1e-15 absolute */

float strata_expf(float x);  /* <= 2 ulp; exactly 0 below -104, inf above 88.73 */
float strata_logf(float x);  /* <= 2 ulp */
float strata_erff(float x);  /* <= 2 ulp */

#endif
