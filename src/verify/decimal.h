/* Decimal text to binary, correctly rounded, whatever the locale. */
#ifndef STRATA_VERIFY_DECIMAL_H
#define STRATA_VERIFY_DECIMAL_H

#include <gmp.h>

#include "verify/span.h"

#define STRATA_DECIMAL_DIGITS   20000 /* longer numbers are refused */
#define STRATA_DECIMAL_EXPONENT 20000 /* of ten, either way */

/* digits[.digits][e[+-]digits], unsigned, underscores ignored; false when it is something else or beyond the limits.
 * out is initialised by the caller. */
bool strata_decimal_to_rational(mpq_t out, struct strata_span text);
/* The nearest double; infinity beyond the range or the limits. */
double strata_decimal_to_double(struct strata_span text);
/* numerator/denominator to the nearest double. */
double strata_rational_to_double(const mpq_t value);

#endif
