/* What answers look like, turned into what the strict parser reads: Unicode signs, LaTeX decoration, units. */
#ifndef STRATA_VERIFY_MATH_CLEAN_H
#define STRATA_VERIFY_MATH_CLEAN_H

#include "base/buffer.h"
#include "verify/span.h"

#define STRATA_MATH_LONGEST 4096 /* bytes; a longer answer is no expression */

/* Appends the cleaned text: full-width forms, minus signs, fractions, superscripts, roots, degrees, percent words,
 * thousands blanks, mixed numbers; math delimiters, decoration and words in \text{} go. */
void strata_math_clean(struct strata_buffer *out, struct strata_span text);
/* The cleaned text without the unit at its end ("12 km/h" -> "12"); single letters count as units when `letters`. The
 * text itself when there is none. */
struct strata_span strata_strip_units(struct strata_span text, bool letters);
/* Does a cleaned text hold words that are no names of functions? */
bool strata_has_words(struct strata_span text);
/* The part of running prose that states the answer: behind the last "answer is" or "answer:", else the last piece of
 * mathematics. False when there is none. */
bool strata_prose_math(struct strata_span *out, struct strata_span text);

#endif
