/* Python's int(), float(), repr() and str(). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "eval/python.h"

#define DIGITS_MOST 4300 /* sys.int_info.default_max_str_digits */

/* The text as CPython's number parsers see it: other digits as ASCII digits, other white space as blanks, ends
 * stripped. A text that is all ASCII is taken as it is, and there only the six blanks of C count as white space. False
 * where something else than ASCII remains. */
static bool number_text(struct strata_buffer *out, struct strata_span text) {
    bool ascii = true;
    for (size_t i = 0; i < text.length; i++) ascii = ascii && (unsigned char)text.data[i] < 0x80;
    for (size_t at = 0; at < text.length;) {
        int32_t code;
        at += strata_utf8_next(&code, text.data + at, text.length - at);
        int digit = strata_python_digit(code);
        if (!ascii && strata_utf8_space(code)) {
            strata_buffer_byte(out, ' ');
        } else if (digit >= 0) {
            strata_buffer_byte(out, (unsigned char)('0' + digit));
        } else if (code > 0 && code < 0x80) {
            strata_buffer_byte(out, (unsigned char)code);
        } else {
            return false;
        }
    }
    return !out->failed;
}

/* Takes out the underscores, each of which must stand between two digits. */
static bool drop_underscores(struct strata_buffer *text) {
    size_t kept = 0;
    for (size_t i = 0; i < text->length; i++) {
        if (text->data[i] == '_') {
            if (!i || !strata_is_digit(text->data[i - 1]) || !strata_is_digit(text->data[i + 1])) return false;
            continue;
        }
        text->data[kept++] = text->data[i];
    }
    text->length = kept;
    if (text->data) text->data[kept] = '\0';
    return true;
}

bool strata_python_int(struct strata_buffer *out, struct strata_span text) {
    struct strata_buffer clean = {0};
    bool good = number_text(&clean, text) && drop_underscores(&clean);
    struct strata_span rest = strata_span_trim((struct strata_span){clean.data, clean.length});
    bool negative = rest.length && rest.data[0] == '-';
    if (rest.length && (rest.data[0] == '-' || rest.data[0] == '+')) rest = strata_span_sub(rest, 1, rest.length);
    good = good && rest.length > 0 && rest.length <= DIGITS_MOST;
    for (size_t i = 0; good && i < rest.length; i++) good = strata_is_digit(rest.data[i]);
    if (good) {
        while (rest.length > 1 && rest.data[0] == '0') rest = strata_span_sub(rest, 1, rest.length);
        if (negative && rest.data[0] != '0') strata_buffer_byte(out, '-');
        strata_buffer_append(out, rest.data, rest.length);
    }
    strata_buffer_free(&clean);
    return good;
}

void strata_python_int_of(struct strata_buffer *out, double value) {
    value = trunc(value);
    strata_buffer_printf(out, "%.0f", value == 0 ? 0.0 : value);
}

/* Is text [sign] then digits with an optional point and exponent, or inf / infinity / nan? */
static bool float_syntax(struct strata_span text) {
    size_t at = 0, digits = 0;
    if (text.length && (text.data[0] == '+' || text.data[0] == '-')) at++;
    struct strata_span rest = strata_span_sub(text, at, text.length);
    if (strata_span_is_nocase(rest, "inf") || strata_span_is_nocase(rest, "infinity") ||
        strata_span_is_nocase(rest, "nan"))
        return true;
    while (at < text.length && strata_is_digit(text.data[at])) at++, digits++;
    if (at < text.length && text.data[at] == '.') at++;
    while (at < text.length && strata_is_digit(text.data[at])) at++, digits++;
    if (!digits) return false;
    if (at < text.length && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        if (at < text.length && (text.data[at] == '+' || text.data[at] == '-')) at++;
        if (at == text.length || !strata_is_digit(text.data[at])) return false;
        while (at < text.length && strata_is_digit(text.data[at])) at++;
    }
    return at == text.length;
}

bool strata_python_float(double *out, struct strata_span text) {
    struct strata_buffer clean = {0};
    bool good = number_text(&clean, text) && drop_underscores(&clean);
    struct strata_span rest = strata_span_trim((struct strata_span){clean.data, clean.length});
    good = good && rest.data && float_syntax(rest);
    if (good) *out = strtod(rest.data, NULL);
    strata_buffer_free(&clean);
    return good;
}

void strata_python_float_repr(struct strata_buffer *out, double value) {
    char text[40];
    if (isnan(value)) {
        strata_buffer_text(out, "nan");
        return;
    }
    if (isinf(value)) {
        strata_buffer_text(out, value < 0 ? "-inf" : "inf");
        return;
    }
    int precision = 0;
    do { /* the shortest digits that read back as the same double */
        snprintf(text, sizeof text, "%.*e", precision, value);
    } while (precision++ < 16 && strtod(text, NULL) != value);
    char *e = strchr(text, 'e');
    int exponent = atoi(e + 1), digits = precision;
    if (exponent < -4 || exponent >= 16) {
        *e = '\0';
        strata_buffer_printf(out, "%se%c%02d", text, exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    int decimals = digits - 1 - exponent;
    strata_buffer_printf(out, "%.*f", decimals > 0 ? decimals : 1, value);
}

/* ---- str() ---- */

static bool printable(int32_t code) {
    if (code == ' ') return true;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
        return false;
    default:
        return true;
    }
}

static void repr_text(struct strata_buffer *out, const char *text, size_t length) {
    bool single = memchr(text, '\'', length) != NULL, both = single && memchr(text, '"', length);
    unsigned char quote = single && !both ? '"' : '\'';
    strata_buffer_byte(out, quote);
    for (size_t at = 0; at < length;) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text + at, length - at);
        if (code == quote || code == '\\') {
            strata_buffer_printf(out, "\\%c", (int)code);
        } else if (code == '\n' || code == '\r' || code == '\t') {
            strata_buffer_text(out, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
        } else if (code >= 0 && !printable(code)) {
            strata_buffer_printf(out,
                                 code < 0x100     ? "\\x%02x"
                                 : code < 0x10000 ? "\\u%04x"
                                                  : "\\U%08x",
                                 (unsigned)code);
        } else {
            strata_buffer_append(out, text + at, size);
        }
        at += size;
    }
    strata_buffer_byte(out, quote);
}

static void repr(struct strata_buffer *out, const json_t *value) {
    if (json_is_string(value)) {
        repr_text(out, json_string_value(value), json_string_length(value));
    } else {
        strata_python_str(out, value);
    }
}

void strata_python_str(struct strata_buffer *out, const json_t *value) {
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        strata_buffer_append(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        strata_buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        strata_python_float_repr(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        strata_buffer_text(out, json_is_true(value) ? "True" : "False");
        break;
    case JSON_ARRAY:
        strata_buffer_byte(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) strata_buffer_text(out, ", ");
            repr(out, json_array_get(value, i));
        }
        strata_buffer_byte(out, ']');
        break;
    case JSON_OBJECT: /* a number beyond JSON's */
        strata_buffer_text(out, json_string_value(json_object_get(value, "text")));
        break;
    case JSON_NULL:
        strata_buffer_text(out, "None");
        break;
    }
}

void strata_python_cell(struct strata_buffer *out, const json_t *cell) {
    if (!cell || json_is_null(cell)) {
        strata_buffer_text(out, "nan");
    } else {
        strata_python_str(out, cell);
    }
}

bool strata_python_number(double *out, const json_t *value) {
    if (json_is_boolean(value)) {
        *out = json_is_true(value) ? 1 : 0;
    } else if (json_is_object(value)) {
        *out = strtod(json_string_value(json_object_get(value, "text")), NULL);
    } else {
        *out = json_number_value(value);
    }
    return json_is_boolean(value) || json_is_object(value) || json_is_number(value);
}

bool strata_python_equal(const json_t *a, const json_t *b) {
    double x, y;
    if (!a || !b || json_is_null(a) || json_is_null(b)) return false;
    if (json_is_integer(a) && json_is_integer(b)) return json_integer_value(a) == json_integer_value(b);
    if (strata_python_number(&x, a) && strata_python_number(&y, b)) return x == y;
    return json_equal(a, b);
}
