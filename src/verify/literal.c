#include "verify/literal.h"

#include <math.h>
#include <stdint.h>

#include "verify/decimal.h"

struct reader {
    struct strata_arena *arena;
    struct strata_span text;
    size_t at;
    char *scratch; /* as long as the text: strings are put together here */
    enum strata_literal_syntax syntax;
    int depth;
};

static struct strata_literal *read_value(struct reader *r);

static bool json_only(const struct reader *r) {
    return r->syntax == STRATA_LITERAL_JSON;
}
static char peek(const struct reader *r) {
    return r->at < r->text.length ? r->text.data[r->at] : '\0';
}

/* White space; in Python also comments and joined lines. At the top level a line end ends the expression. */
static void skip_blank(struct reader *r) {
    for (; r->at < r->text.length; r->at++) {
        char c = r->text.data[r->at];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
        if (json_only(r)) return;
        if (c == '\f') continue;
        if (c == '\\' && strata_span_at(r->text, r->at + 1, "\n")) {
            r->at++;
        } else if (c == '#') {
            while (r->at + 1 < r->text.length && r->text.data[r->at + 1] != '\n') r->at++;
        } else {
            return;
        }
    }
}

static struct strata_literal *make(struct reader *r, enum strata_literal_type type) {
    struct strata_literal *value = strata_arena_take(r->arena, sizeof *value);
    if (value) value->type = type;
    return value;
}

static int hex_value(char c) {
    if (strata_is_digit(c)) return c - '0';
    c = strata_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(uint32_t *out, struct reader *r, int digits) {
    *out = 0;
    for (int k = 0; k < digits; k++) {
        int value = r->at < r->text.length ? hex_value(r->text.data[r->at]) : -1;
        if (value < 0) return false;
        *out = *out * 16 + (uint32_t)value;
        r->at++;
    }
    return true;
}

static size_t put_utf8(char *out, uint32_t p) {
    if (p < 0x80) {
        out[0] = (char)p;
        return 1;
    }
    if (p < 0x800) {
        out[0] = (char)(0xc0 | (p >> 6));
        out[1] = (char)(0x80 | (p & 63));
        return 2;
    }
    if (p < 0x10000) {
        out[0] = (char)(0xe0 | (p >> 12));
        out[1] = (char)(0x80 | ((p >> 6) & 63));
        out[2] = (char)(0x80 | (p & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | (p >> 18));
    out[1] = (char)(0x80 | ((p >> 12) & 63));
    out[2] = (char)(0x80 | ((p >> 6) & 63));
    out[3] = (char)(0x80 | (p & 63));
    return 4;
}

/* The escape behind a backslash. An escape never needs more room than it takes in the source (at most 4 bytes for the
 * 6 of \uXXXX). */
static bool read_escape(struct reader *r, char *out, size_t *length, bool bytes) {
    static const char from[] = "abfnrtv\\'\"/", to[] = "\a\b\f\n\r\t\v\\'\"/";
    char c = peek(r);
    uint32_t point;
    const char *simple = c ? strchr(from, c) : NULL;
    if (json_only(r) && !(c && strchr("bfnrt\\\"/u", c))) return false;
    if (simple && (c != '/' || r->syntax != STRATA_LITERAL_PYTHON)) {
        out[(*length)++] = to[simple - from];
        r->at++;
        return true;
    }
    r->at++;
    if (c == 'u' || (c == 'U' && !json_only(r))) {
        if (bytes) {
            out[(*length)++] = '\\';
            out[(*length)++] = c;
            return true;
        }
        if (!read_hex(&point, r, c == 'u' ? 4 : 8) || point > 0x10ffff) return false;
        if (c == 'u' && point >= 0xd800 && point < 0xdc00 && strata_span_at(r->text, r->at, "\\u") &&
            r->syntax != STRATA_LITERAL_PYTHON) {
            uint32_t low;
            size_t back = r->at;
            r->at += 2;
            if (read_hex(&low, r, 4) && low >= 0xdc00 && low < 0xe000)
                point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            else
                r->at = back;
        }
        *length += put_utf8(out + *length, point);
        return true;
    }
    if (c == 'x') {
        if (!read_hex(&point, r, 2)) return false;
        *length += put_utf8(out + *length, point);
    } else if (c >= '0' && c <= '7') {
        point = (uint32_t)(c - '0');
        for (int k = 0; k < 2 && peek(r) >= '0' && peek(r) <= '7'; k++)
            point = point * 8 + (uint32_t)(r->text.data[r->at++] - '0');
        *length += put_utf8(out + *length, point);
    } else if (c == '\n') {
        return true;
    } else if (c == 'N' && !bytes) {
        return false; /* names of characters: not known here */
    } else {
        out[(*length)++] = '\\';
        out[(*length)++] = c;
    }
    return true;
}

/* One quoted string, prefix and quotes included, appended to out. */
static bool read_string(struct reader *r, char *out, size_t *length, bool *bytes) {
    bool raw = false, prefixed = false;
    *bytes = false;
    if (!json_only(r)) {
        while (strata_is_letter(peek(r))) {
            char c = strata_lower(peek(r));
            if (c == 'r' && !raw)
                raw = true;
            else if (c == 'b' && !*bytes)
                *bytes = true;
            else if (c != 'u' || prefixed)
                return false;
            if (c == 'u') prefixed = true;
            r->at++;
        }
    }
    char quote = peek(r);
    if (quote != '"' && (quote != '\'' || json_only(r))) return false;
    char triple[4] = {quote, quote, quote, '\0'};
    bool long_form = !json_only(r) && strata_span_at(r->text, r->at, triple);
    r->at += long_form ? 3 : 1;
    while (r->at < r->text.length) {
        char c = r->text.data[r->at];
        if (long_form ? strata_span_at(r->text, r->at, triple) : c == quote) {
            r->at += long_form ? 3 : 1;
            return true;
        }
        r->at++;
        if (c == '\\' && raw && r->at < r->text.length) {
            out[(*length)++] = c;
            out[(*length)++] = r->text.data[r->at++];
        } else if (c == '\\') {
            if (r->at >= r->text.length || !read_escape(r, out, length, *bytes)) return false;
        } else if ((json_only(r) && (unsigned char)c < 0x20) ||
                   (c == '\n' && !long_form && r->syntax == STRATA_LITERAL_PYTHON)) {
            return false;
        } else {
            out[(*length)++] = c;
        }
    }
    return false;
}

static struct strata_literal *read_strings(struct reader *r) {
    if (!r->scratch) r->scratch = strata_arena_take(r->arena, r->text.length + 4);
    char *out = r->scratch;
    size_t length = 0;
    bool bytes, first_bytes = false, any = false;
    while (out) {
        size_t start = r->at;
        char c = peek(r);
        if (any && !strata_is_letter(c) && c != '"' && c != '\'') break;
        if (!read_string(r, out, &length, &bytes)) {
            if (!any || r->at != start) return NULL;
            break;
        }
        if (any && bytes != first_bytes) return NULL;
        first_bytes = bytes;
        any = true;
        if (json_only(r)) break;
        size_t end = r->at;
        if (r->depth == 0) { /* a line end would end the expression */
            while (peek(r) == ' ' || peek(r) == '\t') r->at++;
        } else {
            skip_blank(r);
        }
        if (peek(r) != '"' && peek(r) != '\'') {
            r->at = end;
            break;
        }
    }
    struct strata_literal *value = make(r, first_bytes ? STRATA_LITERAL_BYTES : STRATA_LITERAL_STRING);
    char *copy = strata_arena_copy(r->arena, out, length);
    if (!value || !copy) return NULL;
    value->text = (struct strata_span){copy, length};
    return value;
}

/* Digits, with single underscores between them in Python. */
static bool skip_digits(struct reader *r) {
    size_t start = r->at;
    while (strata_is_digit(peek(r)) || (peek(r) == '_' && !json_only(r) && r->at > start &&
                                        r->at + 1 < r->text.length && strata_is_digit(r->text.data[r->at + 1]))) {
        r->at++;
    }
    return r->at > start;
}

static struct strata_literal *read_based_integer(struct reader *r, int base) {
    double number = 0;
    size_t digits = 0;
    for (r->at += 2; r->at < r->text.length; r->at++) {
        if (peek(r) == '_' && r->at + 1 < r->text.length && hex_value(r->text.data[r->at + 1]) >= 0) continue;
        int value = hex_value(peek(r));
        if (value < 0) break;
        if (value >= base) return NULL;
        number = number * base + value;
        digits++;
    }
    struct strata_literal *value = digits ? make(r, STRATA_LITERAL_INT) : NULL;
    if (value) value->number = number;
    return value;
}

static struct strata_literal *read_number(struct reader *r) {
    size_t start = r->at;
    bool real = false;
    if (!json_only(r) && peek(r) == '0' && r->at + 1 < r->text.length) {
        char base = strata_lower(r->text.data[r->at + 1]);
        if (base == 'x') return read_based_integer(r, 16);
        if (base == 'o') return read_based_integer(r, 8);
        if (base == 'b') return read_based_integer(r, 2);
    }
    bool whole = skip_digits(r);
    size_t whole_end = r->at;
    if (!whole && json_only(r)) return NULL;
    if (peek(r) == '.') {
        r->at++;
        bool decimals = skip_digits(r);
        if (json_only(r) ? !decimals : !whole && !decimals) return NULL;
        real = true;
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        size_t back = r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (skip_digits(r))
            real = true;
        else
            r->at = back;
    }
    /* 0123 is no number in JSON, nor in Python unless it is all zeros or a float */
    if (whole_end - start > 1 && r->text.data[start] == '0' && (json_only(r) || !real)) {
        for (size_t i = start; i < whole_end; i++) {
            if (json_only(r) || strchr("123456789", r->text.data[i])) return NULL;
        }
    }
    if (r->at < r->text.length && (strata_is_letter(peek(r)) || peek(r) == '_') && !json_only(r)) return NULL;
    struct strata_literal *value = make(r, real ? STRATA_LITERAL_REAL : STRATA_LITERAL_INT);
    if (value) value->number = strata_decimal_to_double(strata_span_sub(r->text, start, r->at));
    return value;
}

static struct strata_literal *read_signed(struct reader *r) {
    double sign = 1;
    int signs = 0;
    while (peek(r) == '-' || (peek(r) == '+' && !json_only(r))) {
        if (peek(r) == '-') sign = -sign;
        r->at++;
        if (++signs > 1) return NULL; /* literal_eval takes one sign, JSON too */
        if (!json_only(r)) skip_blank(r);
    }
    struct strata_literal *value = NULL;
    if (json_only(r) && strata_span_at(r->text, r->at, "Infinity")) {
        r->at += 8;
        value = make(r, STRATA_LITERAL_REAL);
        if (value) value->number = INFINITY;
    } else if (strata_is_digit(peek(r)) || peek(r) == '.') {
        value = read_number(r);
    }
    if (value) value->number *= sign;
    return value;
}

static struct strata_literal *read_word(struct reader *r) {
    static const struct {
        const char *name;
        double number;
        enum strata_literal_type type;
        bool json, python;
    } words[] = {{"None", 0, STRATA_LITERAL_NONE, false, true},  {"True", 1, STRATA_LITERAL_BOOL, false, true},
                 {"False", 0, STRATA_LITERAL_BOOL, false, true}, {"null", 0, STRATA_LITERAL_NONE, true, false},
                 {"true", 1, STRATA_LITERAL_BOOL, true, false},  {"false", 0, STRATA_LITERAL_BOOL, true, false},
                 {"NaN", 0, STRATA_LITERAL_REAL, true, false},   {"Infinity", 0, STRATA_LITERAL_REAL, true, false}};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if (!strata_span_at(r->text, r->at, words[k].name)) continue;
        if (r->syntax == STRATA_LITERAL_JSON     ? !words[k].json
            : r->syntax == STRATA_LITERAL_PYTHON ? !words[k].python
                                                 : false)
            continue;
        r->at += strlen(words[k].name);
        struct strata_literal *value = make(r, words[k].type);
        if (value) value->number = k == 6 ? NAN : k == 7 ? INFINITY : words[k].number;
        return value;
    }
    return NULL;
}

/* Items up to the closing bracket. `dict` is set when the first item has a key. A trailing comma is no JSON. */
static bool read_items(struct reader *r, struct strata_literal *list, char close, bool *comma) {
    struct strata_literal **tail = &list->first;
    *comma = false;
    skip_blank(r);
    while (peek(r) != close || r->at >= r->text.length) {
        struct strata_literal *item = read_value(r), *key = NULL;
        if (!item) return false;
        skip_blank(r);
        if (close == '}') {
            bool keyed = peek(r) == ':';
            if (!list->count && keyed) list->type = STRATA_LITERAL_DICT;
            if (keyed != (list->type == STRATA_LITERAL_DICT) ||
                (json_only(r) && (!keyed || item->type != STRATA_LITERAL_STRING))) {
                return false;
            }
            if (keyed) {
                r->at++;
                skip_blank(r);
                key = item;
                if (!strata_literal_hashable(key)) return false;
                item = read_value(r);
                if (!item) return false;
                skip_blank(r);
            } else if (!strata_literal_hashable(item)) {
                return false;
            }
        }
        item->key = key;
        *tail = item;
        tail = &item->next;
        list->count++;
        if (peek(r) == close) break;
        if (peek(r) != ',') return false;
        *comma = true;
        r->at++;
        skip_blank(r);
        if (json_only(r) && peek(r) == close) return false;
    }
    r->at++;
    return true;
}

static struct strata_literal *read_container(struct reader *r) {
    char open = r->text.data[r->at++];
    char close = open == '[' ? ']' : open == '{' ? '}' : ')';
    bool comma;
    struct strata_literal *list = make(r, open == '['   ? STRATA_LITERAL_LIST
                                          : open == '{' ? STRATA_LITERAL_SET
                                                        : STRATA_LITERAL_TUPLE);
    if (!list || r->depth >= STRATA_LITERAL_DEPTH) return NULL;
    r->depth++;
    bool good = read_items(r, list, close, &comma);
    r->depth--;
    if (!good) return NULL;
    if (open == '{' && !list->count) list->type = STRATA_LITERAL_DICT;
    if (open == '(' && list->count == 1 && !comma) { /* parentheses around a value */
        struct strata_literal *inner = list->first;
        inner->next = NULL;
        return inner;
    }
    return list;
}

static struct strata_literal *read_value(struct reader *r) {
    char c = peek(r);
    if (c == '[' || c == '{' || (c == '(' && !json_only(r))) return read_container(r);
    if (strata_is_digit(c) || c == '-' || c == '+' || c == '.') return read_signed(r);
    struct strata_literal *word = read_word(r);
    return word ? word : read_strings(r);
}

struct strata_literal *strata_literal_parse(struct strata_arena *arena, struct strata_span text,
                                            enum strata_literal_syntax syntax, size_t *end) {
    struct reader r = {.arena = arena, .text = text, .syntax = syntax};
    skip_blank(&r);
    struct strata_literal *value = r.at < text.length ? read_value(&r) : NULL;
    if (!value || arena->failed) return NULL;
    if (end) {
        *end = r.at;
        return value;
    }
    while (!json_only(&r) && (peek(&r) == ' ' || peek(&r) == '\t') && r.at < text.length) r.at++;
    if (syntax == STRATA_LITERAL_PYTHON && peek(&r) == ',' && r.at < text.length) {
        struct strata_literal *tuple = make(&r, STRATA_LITERAL_TUPLE); /* a, b: nobody here wants its items */
        return tuple;
    }
    skip_blank(&r);
    return r.at == text.length ? value : NULL;
}

const struct strata_literal *strata_literal_get(const struct strata_literal *dict, const char *name) {
    const struct strata_literal *found = NULL;
    for (const struct strata_literal *item = dict->first; item; item = item->next) {
        if (item->key && item->key->type == STRATA_LITERAL_STRING && strata_span_is(item->key->text, name))
            found = item;
    }
    return found;
}

static bool is_number(const struct strata_literal *value) {
    return value->type >= STRATA_LITERAL_BOOL && value->type <= STRATA_LITERAL_REAL;
}

bool strata_literal_equal(const struct strata_literal *a, const struct strata_literal *b) {
    if (is_number(a) && is_number(b)) return a->number == b->number;
    if (a->type != b->type) return false;
    if (a->type == STRATA_LITERAL_STRING || a->type == STRATA_LITERAL_BYTES) {
        return a->text.length == b->text.length && !memcmp(a->text.data, b->text.data, a->text.length);
    }
    if (a->type != STRATA_LITERAL_TUPLE) return a->type == STRATA_LITERAL_NONE;
    if (a->count != b->count) return false;
    for (const struct strata_literal *x = a->first, *y = b->first; x && y; x = x->next, y = y->next) {
        if (!strata_literal_equal(x, y)) return false;
    }
    return true;
}

bool strata_literal_hashable(const struct strata_literal *value) {
    if (value->type == STRATA_LITERAL_TUPLE) {
        for (const struct strata_literal *item = value->first; item; item = item->next) {
            if (!strata_literal_hashable(item)) return false;
        }
        return true;
    }
    return value->type < STRATA_LITERAL_LIST;
}
