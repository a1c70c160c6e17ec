/* The clean-up of LaTeX that latex2sympy2_extended 1.10.2 does before it parses (NormalizationConfig with basic_latex,
 * units, malformed_operators, nits). */
#ifndef STRATA_VERIFY_LATEX_H
#define STRATA_VERIFY_LATEX_H

#include "base/buffer.h"
#include "verify/span.h"

/* Appends the cleaned text to out. Boxes: with `last_box` the last box and the neighbours that belong to it, else the
 * contents of all boxes, joined by commas; a text without boxes stays whole. */
void strata_latex_normalise(struct strata_buffer *out, struct strata_span text, bool last_box);

#endif
