/* Text as text: normalisation, word comparison, OCR similarity. Independent of locale (Unicode tables of utf8proc). */
#ifndef STRATA_VERIFY_TEXT_H
#define STRATA_VERIFY_TEXT_H

#include "base/buffer.h"
#include "verify/span.h"

/* Appends text folded for comparison: NFKC, full case folding, runs of white space as one blank, ends trimmed,
 * zero-width characters dropped. Bytes that are not UTF-8 are kept as they are. */
void strata_text_fold(struct strata_buffer *out, struct strata_span text);
/* Takes the dressing off a short answer: \text{...} and the like, $...$, **...**, quotation marks, a final full stop.
 */
struct strata_span strata_text_undress(struct strata_span text);
/* Equal after undressing and folding? */
bool strata_text_equal(struct strata_span a, struct strata_span b);
/* Average normalised Levenshtein similarity (ANLS, Biten et al. 2019) of two folded texts, in code points:
 * 1 - distance/longer, and 0 below one half. Texts that differ over more than STRATA_OCR_CELLS cells of the distance
 * table are not compared further: *too_long is set and the score is 0. */
#define STRATA_OCR_CELLS 25000000
double strata_text_similarity(struct strata_span a, struct strata_span b, bool *too_long);

#endif
