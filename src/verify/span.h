/* A piece of somebody else's bytes. Everything here is ASCII-only and knows no locale. */
#ifndef STRATA_VERIFY_SPAN_H
#define STRATA_VERIFY_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/utf8.h"

struct strata_span {
    const char *data; /* borrowed; may hold NUL; may be NULL when length is 0 */
    size_t length;
};
#define STRATA_NOT_FOUND ((size_t)-1)

static inline struct strata_span strata_span_of(const char *text) {
    return (struct strata_span){text ? text : "", text ? strlen(text) : 0};
}
static inline struct strata_span strata_span_sub(struct strata_span text, size_t begin, size_t end) {
    return (struct strata_span){text.data + begin, end - begin};
}
static inline bool strata_is_digit(char c) {
    return c >= '0' && c <= '9';
}
static inline bool strata_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool strata_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline char strata_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}
static inline bool strata_span_is(struct strata_span text, const char *word) {
    size_t length = strlen(word);
    return text.length == length && memcmp(text.data, word, length) == 0;
}
/* Does text, from `at` on, begin with word? */
static inline bool strata_span_at(struct strata_span text, size_t at, const char *word) {
    size_t length = strlen(word);
    return at <= text.length && text.length - at >= length && memcmp(text.data + at, word, length) == 0;
}
static inline bool strata_span_at_nocase(struct strata_span text, size_t at, const char *lower_word) {
    for (size_t i = 0; lower_word[i]; i++) {
        if (at + i >= text.length || strata_lower(text.data[at + i]) != lower_word[i]) return false;
    }
    return true;
}
static inline bool strata_span_is_nocase(struct strata_span text, const char *lower_word) {
    return text.length == strlen(lower_word) && strata_span_at_nocase(text, 0, lower_word);
}
static inline struct strata_span strata_span_trim(struct strata_span text) {
    while (text.length && strata_is_space(text.data[0])) text.data++, text.length--;
    while (text.length && strata_is_space(text.data[text.length - 1])) text.length--;
    return text;
}
/* str.strip() of Python: white space of any script off both ends. */
static inline struct strata_span strata_span_strip(struct strata_span text) {
    strata_utf8_strip(&text.data, &text.length);
    return text;
}
/* First / last place of word at or after `from` (before `to`); STRATA_NOT_FOUND when there is none. */
static inline size_t strata_span_find(struct strata_span text, const char *word, size_t from) {
    size_t length = strlen(word);
    if (from > text.length || text.length - from < length) return STRATA_NOT_FOUND;
    const char *hit = memmem(text.data + from, text.length - from, word, length);
    return hit ? (size_t)(hit - text.data) : STRATA_NOT_FOUND;
}
static inline size_t strata_span_find_last(struct strata_span text, const char *word, size_t to) {
    size_t length = strlen(word);
    for (size_t at = to < text.length ? to : text.length; at-- > 0;) {
        if (text.data[at] == word[0] && at + length <= to && strata_span_at(text, at, word)) return at;
    }
    return STRATA_NOT_FOUND;
}

#endif
