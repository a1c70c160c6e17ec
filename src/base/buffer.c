#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Makes room for `more` bytes and the closing NUL. */
static bool reserve(struct strata_buffer *buffer, size_t more) {
    size_t need;
    if (buffer->failed || !strata_add_ok(&need, buffer->length, more) || !strata_add_ok(&need, need, 1) ||
        strata_grow(&buffer->data, &buffer->capacity, need, 1, NULL)) {
        buffer->failed = true;
        return false;
    }
    return true;
}

void strata_buffer_append(struct strata_buffer *buffer, const void *bytes, size_t length) {
    if (!reserve(buffer, length)) return;
    if (length) memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void *strata_buffer_extend(struct strata_buffer *buffer, size_t length) {
    if (!reserve(buffer, length)) return NULL;
    char *begin = buffer->data + buffer->length;
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return begin;
}

void strata_buffer_text(struct strata_buffer *buffer, const char *text) {
    strata_buffer_append(buffer, text, strlen(text));
}

void strata_buffer_byte(struct strata_buffer *buffer, unsigned char byte) {
    strata_buffer_append(buffer, &byte, 1);
}

void strata_buffer_printf(struct strata_buffer *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer->failed = true;
    } else if (reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void strata_buffer_clear(struct strata_buffer *buffer) {
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data) buffer->data[0] = '\0';
}

void strata_buffer_free(struct strata_buffer *buffer) {
    free(buffer->data);
    *buffer = (struct strata_buffer){0};
}

int strata_buffer_check(const struct strata_buffer *buffer, struct strata_error *err) {
    return buffer->failed ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory while building a text") : 0;
}

const char *strata_buffer_string(const struct strata_buffer *buffer) {
    return buffer->data ? buffer->data : "";
}
