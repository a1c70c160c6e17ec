#include "model/tokenizer_scan.h"

#include <string.h>

#include "base/utf8.h"

void strata_scan_free(struct strata_scan *scan) {
    for (size_t i = 0; i < sizeof scan->unescaped / sizeof *scan->unescaped; i++) {
        strata_buffer_free(&scan->unescaped[i]);
    }
}

char strata_scan_peek(struct strata_scan *scan) {
    while (scan->at < scan->length) {
        char c = scan->text[scan->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return c;
        scan->at++;
    }
    return 0;
}

bool strata_scan_take(struct strata_scan *scan, char wanted) {
    if (strata_scan_peek(scan) != wanted) return false;
    scan->at++;
    return true;
}

static bool four_digits(struct strata_scan *scan, int32_t *out) {
    if (scan->length - scan->at < 4) return false;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = scan->text[scan->at++];
        int32_t digit;
        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = c - 'A' + 10;
        } else {
            return false;
        }
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

/* After a backslash. */
static bool escape(struct strata_scan *scan, struct strata_buffer *out) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->length) return false;
    char c = scan->text[scan->at++];
    if (c != 'u') {
        const char *found = c ? strchr(names, c) : NULL;
        if (!found) return false;
        strata_buffer_byte(out, (unsigned char)values[found - names]);
        return true;
    }
    int32_t code, low;
    if (!four_digits(scan, &code)) return false;
    if (code >= 0xD800 && code <= 0xDFFF) { /* only a pair of surrogates is a character */
        if (code >= 0xDC00 || scan->length - scan->at < 2 || memcmp(scan->text + scan->at, "\\u", 2) != 0) return false;
        scan->at += 2;
        if (!four_digits(scan, &low) || low < 0xDC00 || low > 0xDFFF) return false;
        code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00));
    }
    strata_utf8_append(out, code);
    return true;
}

bool strata_scan_string(struct strata_scan *scan, struct strata_view *out, unsigned slot) {
    if (!strata_scan_take(scan, '"')) return false;
    struct strata_buffer *buffer = &scan->unescaped[slot];
    bool escaped = false;
    size_t begin = scan->at;
    while (scan->at < scan->length) {
        unsigned char c = (unsigned char)scan->text[scan->at];
        if (c == '"') {
            *out = (struct strata_view){scan->text + begin, scan->at - begin};
            if (escaped) {
                strata_buffer_append(buffer, out->data, out->length);
                *out = (struct strata_view){strata_buffer_string(buffer), buffer->length};
            }
            scan->at++;
            return !escaped || !buffer->failed;
        }
        if (c < 0x20) return false;
        if (c != '\\') {
            scan->at++;
            continue;
        }
        if (!escaped) strata_buffer_clear(buffer);
        escaped = true;
        strata_buffer_append(buffer, scan->text + begin, scan->at - begin);
        scan->at++;
        if (!escape(scan, buffer)) return false;
        begin = scan->at;
    }
    return false;
}

bool strata_scan_integer(struct strata_scan *scan, int64_t *out, int64_t limit) {
    strata_scan_peek(scan);
    size_t begin = scan->at;
    int64_t value = 0;
    while (scan->at < scan->length && scan->text[scan->at] >= '0' && scan->text[scan->at] <= '9') {
        value = value * 10 + (scan->text[scan->at] - '0');
        if (value > limit) return false;
        scan->at++;
    }
    *out = value;
    size_t digits = scan->at - begin;
    return digits == 1 || (digits > 1 && scan->text[begin] != '0');
}

/* At an opening quote: to behind the closing one. */
static bool skip_string(struct strata_scan *scan) {
    for (scan->at++; scan->at < scan->length;) {
        const char *from = scan->text + scan->at;
        const char *quote = memchr(from, '"', scan->length - scan->at);
        if (!quote) break;
        const char *backslash = memchr(from, '\\', (size_t)(quote - from));
        if (!backslash) {
            scan->at = (size_t)(quote - scan->text) + 1;
            return true;
        }
        scan->at = (size_t)(backslash - scan->text) + 2;
    }
    scan->at = scan->length;
    return false;
}

bool strata_scan_skip(struct strata_scan *scan) {
    size_t depth = 0;
    do {
        char c = strata_scan_peek(scan);
        if (c == 0) return false;
        if (c == '"') {
            if (!skip_string(scan)) return false;
        } else if (c == '{' || c == '[') {
            depth++;
            scan->at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return false;
            depth--;
            scan->at++;
        } else if (c == ',' || c == ':') {
            if (depth == 0) return false;
            scan->at++;
        } else {
            while (scan->at < scan->length && !strchr(",:{}[]\" \n\t\r", scan->text[scan->at])) scan->at++;
            if (scan->at < scan->length && scan->text[scan->at] == 0) return false;
        }
    } while (depth > 0);
    return true;
}
