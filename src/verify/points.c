#include "verify/points.h"

#include <utf8proc.h>

#define NOT_UTF8 0x110000

struct strata_points strata_points_decode(struct strata_arena *arena, struct strata_span text) {
    int32_t *points = strata_arena_take(arena, text.length * sizeof *points);
    size_t count = 0;
    for (size_t i = 0; points && i < text.length;) {
        utf8proc_int32_t point = (unsigned char)text.data[i];
        utf8proc_ssize_t step = 1;
        if (point >= 0x80) {
            step =
                utf8proc_iterate((const utf8proc_uint8_t *)text.data + i, (utf8proc_ssize_t)(text.length - i), &point);
            if (step <= 0) {
                point = NOT_UTF8 + (unsigned char)text.data[i];
                step = 1;
            }
        }
        points[count++] = point;
        i += (size_t)step;
    }
    return (struct strata_points){points, count};
}

void strata_points_encode(struct strata_buffer *out, struct strata_points text) {
    for (size_t i = 0; i < text.length; i++) {
        utf8proc_uint8_t bytes[4];
        int32_t point = text.data[i];
        if (point < 0x80) {
            strata_buffer_byte(out, (unsigned char)point);
        } else if (point >= NOT_UTF8) {
            strata_buffer_byte(out, (unsigned char)(point - NOT_UTF8));
        } else {
            strata_buffer_append(out, bytes, (size_t)utf8proc_encode_char(point, bytes));
        }
    }
}

struct strata_span strata_points_span(struct strata_arena *arena, struct strata_points text) {
    char *bytes = strata_arena_take(arena, 4 * text.length + 1);
    size_t length = 0;
    for (size_t i = 0; bytes && i < text.length; i++) {
        int32_t point = text.data[i];
        if (point < 0x80)
            bytes[length++] = (char)point;
        else if (point >= NOT_UTF8)
            bytes[length++] = (char)(point - NOT_UTF8);
        else
            length += (size_t)utf8proc_encode_char(point, (utf8proc_uint8_t *)bytes + length);
    }
    return (struct strata_span){bytes ? bytes : "", length};
}

bool strata_point_digit(int32_t p) {
    if (p < 0x80) return p >= '0' && p <= '9';
    return p < NOT_UTF8 && utf8proc_category(p) == UTF8PROC_CATEGORY_ND;
}

int strata_point_digit_value(int32_t p) {
    if (p < 0x80) return p - '0';
    int32_t zero = p; /* the digits of a script stand in a row; only the mathematical ones start anywhere */
    if (p >= 0x1d7ce && p <= 0x1d7ff) return (p - 0x1d7ce) % 10;
    while (zero > p - 10 && strata_point_digit(zero - 1)) zero--;
    return p - zero;
}

bool strata_point_word(int32_t p) {
    if (p < 0x80) return strata_is_letter((char)p) || strata_is_digit((char)p) || p == '_';
    if (p >= NOT_UTF8) return false;
    switch (utf8proc_category(p)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}

struct strata_points strata_points_strip(struct strata_points text) {
    while (text.length && strata_utf8_space(text.data[0])) text.data++, text.length--;
    while (text.length && strata_utf8_space(text.data[text.length - 1])) text.length--;
    return text;
}

static bool is_cased(int32_t p) {
    utf8proc_category_t category = p < NOT_UTF8 ? utf8proc_category(p) : UTF8PROC_CATEGORY_CN;
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

/* Capital sigma is final where a cased letter stands before it and none behind (marks and dots are looked through). */
static bool is_final_sigma(struct strata_points text, size_t at) {
    size_t before = at, after = at + 1;
    while (before > 0 &&
           (utf8proc_category(text.data[before - 1]) == UTF8PROC_CATEGORY_MN || text.data[before - 1] == '\''))
        before--;
    while (after < text.length &&
           (utf8proc_category(text.data[after]) == UTF8PROC_CATEGORY_MN || text.data[after] == '\''))
        after++;
    return before > 0 && is_cased(text.data[before - 1]) && !(after < text.length && is_cased(text.data[after]));
}

struct strata_points strata_points_lower(struct strata_arena *arena, struct strata_points text) {
    int32_t *lower = strata_arena_take(arena, 2 * text.length * sizeof *lower);
    size_t count = 0;
    for (size_t i = 0; lower && i < text.length; i++) {
        int32_t p = text.data[i];
        if (p == 0x130) {
            lower[count++] = 'i';
            lower[count++] = 0x307;
        } else if (p == 0x3a3 && is_final_sigma(text, i)) {
            lower[count++] = 0x3c2;
        } else {
            lower[count++] = p < 0x80 ? strata_lower((char)p) : p < NOT_UTF8 ? utf8proc_tolower(p) : p;
        }
    }
    return (struct strata_points){lower, count};
}

bool strata_points_at(struct strata_points text, size_t at, const char *ascii) {
    for (size_t i = 0; ascii[i]; i++) {
        if (at + i >= text.length || text.data[at + i] != ascii[i]) return false;
    }
    return true;
}

bool strata_points_at_nocase(struct strata_points text, size_t at, const char *ascii_lower) {
    for (size_t i = 0; ascii_lower[i]; i++) {
        if (at + i >= text.length) return false;
        int32_t p = text.data[at + i];
        /* re.IGNORECASE also takes the long s, the Kelvin sign and the dotless pair for s, k and i */
        if (p == 0x17f)
            p = 's';
        else if (p == 0x212a)
            p = 'k';
        else if (p == 0x130 || p == 0x131)
            p = 'i';
        else if (p < 0x80)
            p = (unsigned char)strata_lower((char)p);
        if (p != ascii_lower[i]) return false;
    }
    return true;
}

size_t strata_points_find(struct strata_points text, const char *ascii, size_t from) {
    for (size_t i = from; i < text.length; i++) {
        if (text.data[i] == ascii[0] && strata_points_at(text, i, ascii)) return i;
    }
    return STRATA_NOT_FOUND;
}

bool strata_points_equal(struct strata_points a, struct strata_points b) {
    return a.length == b.length && (!a.length || !memcmp(a.data, b.data, a.length * sizeof *a.data));
}

bool strata_points_contain(struct strata_points text, struct strata_points part) {
    if (!part.length) return true;
    for (size_t i = 0; i + part.length <= text.length; i++) {
        if (text.data[i] == part.data[0] && !memcmp(text.data + i, part.data, part.length * sizeof *part.data)) {
            return true;
        }
    }
    return false;
}
