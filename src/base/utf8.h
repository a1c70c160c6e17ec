/* UTF-8 (RFC 3629: no surrogates, nothing above U+10FFFF, shortest form), one sequence at a time. */
#ifndef STRATA_BASE_UTF8_H
#define STRATA_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* The sequence at text[0..length), length >= 1: its size in bytes, with *code its code point; or, when the bytes are
 * not UTF-8, the size of the longest prefix that could have begun a sequence (at least 1: the "maximal subpart" that
 * Unicode and Rust replace by one U+FFFD), with *code -1. */
size_t strata_utf8_next(int32_t *code, const char *text, size_t length);
/* Appends the sequence of a code point (0..0x10FFFF, no surrogate). */
void strata_utf8_append(struct strata_buffer *out, int32_t code);
/* True when all of text is UTF-8; else *offset is that of the first byte that is not. */
bool strata_utf8_valid(const char *text, size_t length, size_t *offset);
/* Appends text with what is not UTF-8 replaced by U+FFFD, as Rust's String::from_utf8_lossy does. */
void strata_utf8_append_lossy(struct strata_buffer *out, const char *text, size_t length);

/* White space of any script, as Python's str.isspace() of one code point. */
static inline bool strata_utf8_space(int32_t code) {
    if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}
/* Narrows text[0..*length) to what Python's str.strip() leaves; bytes that are not UTF-8 are no white space. */
void strata_utf8_strip(const char **text, size_t *length);

#endif
