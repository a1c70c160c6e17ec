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

#endif
