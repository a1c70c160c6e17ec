/* The parts of Python that the scorers of VLMEvalKit lean on: white space, lower(), int(), float(), str() and eval() of
 * literals, exactly as CPython 3.11 has them (spec: benchmarks, section 1.8). Texts are UTF-8; nothing depends on a
 * locale. Cells are JSON values: null is a missing cell (pandas' NaN), an array a list; a number that JSON has not (too
 * large, infinite) is {"text": its str()}. */
#ifndef STRATA_EVAL_PYTHON_H
#define STRATA_EVAL_PYTHON_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/json.h"
#include "verify/span.h"

/* Decimal value of a Unicode digit (category Nd), or -1. */
int strata_python_digit(int32_t code);
/* split(): the next word of *rest, which moves past it; false at the end. */
bool strata_python_word(struct strata_span *word, struct strata_span *rest);
size_t strata_python_length(struct strata_span text); /* in code points */
/* Appends text.lower(): full lower-casing, with the two forms of sigma. */
void strata_python_lower(struct strata_buffer *out, struct strata_span text);

/* int(text): appends the canonical digits ("-14", any length); false where Python raises ValueError. */
bool strata_python_int(struct strata_buffer *out, struct strata_span text);
/* int(value) of a double, which must be finite: truncates. */
void strata_python_int_of(struct strata_buffer *out, double value);
bool strata_python_float(double *out, struct strata_span text);
/* repr(value): "0.6", "1e-05", "14.0", "inf". */
void strata_python_float_repr(struct strata_buffer *out, double value);

/* str(value); null is "None". */
void strata_python_str(struct strata_buffer *out, const json_t *value);
/* str(cell): the same, but a missing cell is NaN and prints "nan". */
void strata_python_cell(struct strata_buffer *out, const json_t *cell);
/* The value of a number or truth value; false for anything else. */
bool strata_python_number(double *out, const json_t *value);
/* True where both are the same cell for Python's ==: numbers by value, texts by content; NaN equals nothing. */
bool strata_python_equal(const json_t *a, const json_t *b);

/* eval(text) of a literal: strings, numbers, True, False, None, lists, tuples and sets (as lists), dictionaries (as
 * lists of their keys, which is what a loop over them sees). Anything else is STRATA_ERR_INPUT whose `what` begins with
 * the exception that Python raises: "SyntaxError: …" for what is no expression, "NameError: …" for one with names in
 * it, "TypeError: …" for operations on literals (never needed). */
int strata_python_eval(json_t **out, struct strata_span text, struct strata_error *err);

#endif
