/* The steps of strata_latex_normalise. Each appends its result to out. */
#ifndef STRATA_VERIFY_LATEX_STEPS_H
#define STRATA_VERIFY_LATEX_STEPS_H

#include "verify/latex.h"

void strata_latex_boxes(struct strata_buffer *out, struct strata_span text, bool last_only);
void strata_latex_operators(struct strata_buffer *out, struct strata_span text); /* malformed \frac, \sqrt, ^( ) … */
void strata_latex_units(struct strata_buffer *out, struct strata_span text);
/* Replaces every `from` by `to`. */
void strata_latex_replace(struct strata_buffer *out, struct strata_span text, const char *from, const char *to);

static inline struct strata_span strata_buffer_span(const struct strata_buffer *buffer) {
    return (struct strata_span){strata_buffer_string(buffer), buffer->length};
}

#endif
