/* Plain numbers, exactly: the fast path of most gradings, and counting. */
#ifndef STRATA_VERIFY_NUMBER_H
#define STRATA_VERIFY_NUMBER_H

#include <stdint.h>

#include "base/buffer.h"
#include "verify/span.h"

/* (-1)^negative * digits * 10^exponent, normalised: digits has no trailing zero; zero is 0 * 10^0, positive. */
struct strata_decimal {
    bool negative;
    uint64_t digits;
    int exponent;
};
/* Reads a whole text that is nothing but a number of at most 18 digits: sign, thousands in groups of three after
 * commas, decimal point, exponent (1.5e3). False for anything else: the general path decides. */
bool strata_decimal_parse(struct strata_decimal *out, struct strata_span text);
bool strata_decimal_equal(struct strata_decimal a, struct strata_decimal b);

/* The count that an answer names: its only number, else the last one; digits or English words ("forty-two").
 * False when there is none. A number with a fraction or sign keeps it. */
bool strata_count_find(struct strata_decimal *out, struct strata_span folded);
/* An English number from the words at folded[*at]; advances *at. False when no number word stands there. */
bool strata_number_words(int64_t *out, size_t *at, struct strata_span folded);

#endif
