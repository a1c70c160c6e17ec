/* JSON text out. Ours rather than jansson's because a double must be written as the shortest text that reads back as
 * the same double (0.1, not 0.10000000000000001): data sets pass through us and are compared byte for byte. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static void write_string(struct strata_buffer *out, const char *text, size_t length) {
    static const char digits[] = "0123456789abcdef";
    strata_buffer_byte(out, '"');
    size_t begin = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) continue;
        strata_buffer_append(out, text + begin, i - begin);
        begin = i + 1;
        const char *escape = byte == '"'    ? "\\\""
                             : byte == '\\' ? "\\\\"
                             : byte == '\n' ? "\\n"
                             : byte == '\r' ? "\\r"
                             : byte == '\t' ? "\\t"
                                            : NULL;
        if (escape) {
            strata_buffer_text(out, escape);
        } else {
            strata_buffer_text(out, "\\u00");
            strata_buffer_byte(out, (unsigned char)digits[byte >> 4]);
            strata_buffer_byte(out, (unsigned char)digits[byte & 15]);
        }
    }
    strata_buffer_append(out, text + begin, length - begin);
    strata_buffer_byte(out, '"');
}

static void write_real(struct strata_buffer *out, double value) {
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    char *point = strchr(text, ','); /* a host program may have set a locale */
    if (point) *point = '.';
    strata_buffer_text(out, text);
    /* A real stays a real for readers that tell 1 from 1.0. */
    if (!strpbrk(text, ".eEn")) strata_buffer_text(out, ".0");
}

void strata_json_write(struct strata_buffer *out, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: {
        json_t *object = (json_t *)value; /* jansson's iterators are not const-correct */
        const char *separator = "{";
        for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
            strata_buffer_text(out, separator);
            write_string(out, json_object_iter_key(i), json_object_iter_key_len(i));
            strata_buffer_text(out, ": ");
            strata_json_write(out, json_object_iter_value(i));
            separator = ", ";
        }
        strata_buffer_text(out, *separator == '{' ? "{}" : "}");
        break;
    }
    case JSON_ARRAY:
        strata_buffer_byte(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) strata_buffer_text(out, ", ");
            strata_json_write(out, json_array_get(value, i));
        }
        strata_buffer_byte(out, ']');
        break;
    case JSON_STRING:
        write_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        strata_buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
        strata_buffer_text(out, "true");
        break;
    case JSON_FALSE:
        strata_buffer_text(out, "false");
        break;
    default:
        strata_buffer_text(out, "null");
        break;
    }
}

char *strata_json_line(const json_t *value) {
    struct strata_buffer line = {0};
    strata_json_write(&line, value);
    if (!line.failed && line.data) return line.data;
    strata_buffer_free(&line);
    return NULL;
}
