/* A growable byte string, always NUL-terminated after data[length]. Zero-initialised is empty and valid.
 * Appending remembers an allocation failure in `failed`, so that a chain needs one check at its end. */
#ifndef STRATA_BASE_BUFFER_H
#define STRATA_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "strata/error.h"

struct strata_buffer {
    char *data; /* owned; NULL while empty */
    size_t length;
    size_t capacity;
    bool failed;
};

void strata_buffer_append(struct strata_buffer *buffer, const void *bytes, size_t length);
void strata_buffer_text(struct strata_buffer *buffer, const char *text);
void strata_buffer_printf(struct strata_buffer *buffer, const char *format, ...) STRATA_PRINTF(2, 3);
void strata_buffer_byte(struct strata_buffer *buffer, unsigned char byte);
/* Appends `length` bytes for the caller to fill: where they begin, or NULL when memory is out. */
void *strata_buffer_extend(struct strata_buffer *buffer, size_t length);
void strata_buffer_clear(struct strata_buffer *buffer); /* keeps the memory */
void strata_buffer_free(struct strata_buffer *buffer);
/* 0, or STRATA_ERR_MEMORY when any append failed. */
int strata_buffer_check(const struct strata_buffer *buffer, struct strata_error *err);
/* The text (never NULL; "" when empty). */
const char *strata_buffer_string(const struct strata_buffer *buffer);

#endif
