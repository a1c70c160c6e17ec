/* A pull scanner over JSON text for the two large tables of a tokenizer.json, whose 450,000 values would cost most of
 * the opening time as a tree. Everything else in the file goes through base/json. Private to the tokenizer. */
#ifndef STRATA_MODEL_TOKENIZER_SCAN_H
#define STRATA_MODEL_TOKENIZER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct strata_scan {
    const char *text;
    size_t length, at;
    struct strata_buffer unescaped[3]; /* where strings with escapes are kept; one for each string alive at a time */
};

struct strata_view {
    const char *data;
    size_t length;
};

void strata_scan_free(struct strata_scan *scan);
/* Skips white space and, if the next character is `wanted`, that too. */
bool strata_scan_take(struct strata_scan *scan, char wanted);
/* The next character after white space, not taken; 0 at the end. */
char strata_scan_peek(struct strata_scan *scan);
/* The next value as a string; the view lasts until the same slot (0..2) is used again. False: not a string, a bad
 * escape, or a control character. UTF-8 is not checked. */
bool strata_scan_string(struct strata_scan *scan, struct strata_view *out, unsigned slot);
/* A plain integer in [0, limit]. */
bool strata_scan_integer(struct strata_scan *scan, int64_t *out, int64_t limit);
/* Skips one value of any kind without checking what is inside it; false when the text ends first. */
bool strata_scan_skip(struct strata_scan *scan);

#endif
