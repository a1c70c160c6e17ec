/* Repairs of malformed operators: ^(x), sqrt(x), \frac12, \sqrt3, 3/4. */
#include "verify/latex_steps.h"

/* One optional blank. */
static size_t blank(struct strata_span text, size_t at) {
    return at < text.length && strata_is_space(text.data[at]) ? at + 1 : at;
}
static bool digit_at(struct strata_span text, size_t at) {
    return at < text.length && strata_is_digit(text.data[at]);
}

/* The first `close` at or after `from`, on this line. */
static size_t close_of(struct strata_span text, size_t from, char close) {
    for (size_t i = from; i < text.length && text.data[i] != '\n'; i++) {
        if (text.data[i] == close) return i;
    }
    return STRATA_NOT_FOUND;
}

typedef size_t rule(struct strata_buffer *out, struct strata_span text, size_t at); /* length replaced, 0: no match */

static size_t power_group(struct strata_buffer *out, struct strata_span text, size_t at) {
    if (text.data[at] != '^') return 0;
    size_t open = blank(text, at + 1), close;
    if (open >= text.length || text.data[open] != '(' || (close = close_of(text, open + 1, ')')) == STRATA_NOT_FOUND)
        return 0;
    strata_buffer_text(out, "^{");
    strata_buffer_append(out, text.data + open + 1, close - open - 1);
    strata_buffer_byte(out, '}');
    return close + 1 - at;
}

static size_t root_group(struct strata_buffer *out, struct strata_span text, size_t at) {
    if (!strata_span_at(text, at, "sqrt")) return 0;
    size_t open = blank(text, at + 4), close;
    if (open >= text.length || text.data[open] != '(' || (close = close_of(text, open + 1, ')')) == STRATA_NOT_FOUND)
        return 0;
    strata_buffer_text(out, "\\sqrt{");
    strata_buffer_append(out, text.data + open + 1, close - open - 1);
    strata_buffer_byte(out, '}');
    return close + 1 - at;
}

/* \frac 1 23 and \log_2 8: a digit, then digits. */
static size_t digit_pair(struct strata_buffer *out, struct strata_span text, size_t at, const char *command) {
    if (!strata_span_at(text, at, command)) return 0;
    size_t first = blank(text, at + strlen(command));
    if (!digit_at(text, first)) return 0;
    size_t second = blank(text, first + 1), end = second;
    while (digit_at(text, end)) end++;
    if (end == second) return 0;
    strata_buffer_printf(out, "%s{%c}{%.*s}", command, text.data[first], (int)(end - second), text.data + second);
    return end - at;
}
static size_t frac_digits(struct strata_buffer *out, struct strata_span text, size_t at) {
    return digit_pair(out, text, at, "\\frac");
}
static size_t log_digits(struct strata_buffer *out, struct strata_span text, size_t at) {
    return digit_pair(out, text, at, "\\log_");
}

/* \frac{a}2: everything up to the first brace that a digit follows. */
static size_t frac_group_digit(struct strata_buffer *out, struct strata_span text, size_t at) {
    if (!strata_span_at(text, at, "\\frac")) return 0;
    size_t open = blank(text, at + 5);
    if (open >= text.length || text.data[open] != '{') return 0;
    for (size_t i = open + 1; i < text.length && text.data[i] != '\n'; i++) {
        if (text.data[i] != '}') continue;
        size_t digit = digit_at(text, i + 1) ? i + 1 : blank(text, i + 1);
        if (!digit_at(text, digit)) continue;
        strata_buffer_printf(out, "\\frac{%.*s}{%c}", (int)(i - open - 1), text.data + open + 1, text.data[digit]);
        return digit + 1 - at;
    }
    return 0;
}

static size_t frac_digit_group(struct strata_buffer *out, struct strata_span text, size_t at) {
    if (!strata_span_at(text, at, "\\frac")) return 0;
    size_t digit = blank(text, at + 5), close;
    if (!digit_at(text, digit)) return 0;
    size_t open = blank(text, digit + 1);
    if (open >= text.length || text.data[open] != '{' || (close = close_of(text, open + 1, '}')) == STRATA_NOT_FOUND)
        return 0;
    strata_buffer_printf(out, "\\frac{%c}{%.*s}", text.data[digit], (int)(close - open - 1), text.data + open + 1);
    return close + 1 - at;
}

static size_t root_digit(struct strata_buffer *out, struct strata_span text, size_t at) {
    if (!strata_span_at(text, at, "\\sqrt")) return 0;
    size_t digit = blank(text, at + 5);
    if (!digit_at(text, digit)) return 0;
    strata_buffer_printf(out, "\\sqrt{%c}", text.data[digit]);
    return digit + 1 - at;
}

static void apply(struct strata_buffer *out, struct strata_span text, rule *rule_of) {
    for (size_t i = 0; i < text.length;) {
        size_t length = rule_of(out, text, i);
        if (length)
            i += length;
        else
            strata_buffer_byte(out, (unsigned char)text.data[i++]);
    }
}

/* \sqrt x -> \sqrt{x}, one character. */
static void brace_roots(struct strata_buffer *out, struct strata_span text) {
    size_t at = strata_span_find(text, "\\sqrt", 0);
    if (at == STRATA_NOT_FOUND) {
        strata_buffer_append(out, text.data, text.length);
        return;
    }
    strata_buffer_append(out, text.data, at);
    while (at < text.length) {
        size_t next = strata_span_find(text, "\\sqrt", at + 5), end = next == STRATA_NOT_FOUND ? text.length : next;
        at += 5;
        while (at < end && strata_is_space(text.data[at])) at++;
        strata_buffer_text(out, "\\sqrt");
        if (at < end && text.data[at] != '{' && text.data[at] != '[') {
            size_t step = 1;
            while (at + step < end && ((unsigned char)text.data[at + step] & 0xc0) == 0x80) step++;
            strata_buffer_printf(out, "{%.*s}", (int)step, text.data + at);
            at += step;
        }
        strata_buffer_append(out, text.data + at, end - at);
        at = end;
    }
}

/* \frac ab -> \frac{a}{b}; a \frac with less than two characters behind it leaves the whole text as it was. */
static void brace_fractions(struct strata_buffer *out, struct strata_span text) {
    size_t begin = out->length, at = strata_span_find(text, "\\frac", 0);
    strata_buffer_append(out, text.data, at == STRATA_NOT_FOUND ? text.length : at);
    while (at != STRATA_NOT_FOUND) {
        size_t next = strata_span_find(text, "\\frac", at + 5), end = next == STRATA_NOT_FOUND ? text.length : next;
        at += 5;
        while (at < end && strata_is_space(text.data[at])) at++;
        strata_buffer_text(out, "\\frac");
        if (at < end && text.data[at] == '{') {
            strata_buffer_append(out, text.data + at, end - at);
        } else if (end - at < 2) {
            out->length = begin;
            strata_buffer_append(out, text.data, text.length);
            return;
        } else {
            strata_buffer_printf(out, "{%c}", text.data[at]);
            if (text.data[at + 1] == '{')
                strata_buffer_append(out, text.data + at + 1, end - at - 1);
            else {
                strata_buffer_printf(out, "{%c}", text.data[at + 1]);
                strata_buffer_append(out, text.data + at + 2, end - at - 2);
            }
        }
        at = next;
    }
}

/* A whole text "a/b" of two integers as they print themselves. */
static bool is_plain_integer(struct strata_span text) {
    size_t i = text.length && text.data[0] == '-';
    if (i >= text.length || (text.data[i] == '0' && text.length > 1)) return false;
    for (; i < text.length; i++) {
        if (!strata_is_digit(text.data[i])) return false;
    }
    return true;
}
static void slash_to_fraction(struct strata_buffer *out, struct strata_span text) {
    size_t slash = strata_span_find(text, "/", 0);
    if (slash != STRATA_NOT_FOUND && is_plain_integer(strata_span_sub(text, 0, slash)) &&
        is_plain_integer(strata_span_sub(text, slash + 1, text.length))) {
        strata_buffer_printf(out, "\\frac{%.*s}{%.*s}", (int)slash, text.data, (int)(text.length - slash - 1),
                             text.data + slash + 1);
    } else {
        strata_buffer_append(out, text.data, text.length);
    }
}

void strata_latex_operators(struct strata_buffer *out, struct strata_span text) {
    rule *const rules[] = {power_group,      root_group,       frac_digits, log_digits,
                           frac_group_digit, frac_digit_group, root_digit};
    struct strata_buffer now = {0}, next = {0};
    strata_buffer_append(&now, text.data, text.length);
    for (size_t k = 0; k < sizeof rules / sizeof *rules + 3; k++) {
        size_t rule_count = sizeof rules / sizeof *rules;
        strata_buffer_clear(&next);
        if (k < rule_count)
            apply(&next, strata_buffer_span(&now), rules[k]);
        else if (k == rule_count)
            strata_latex_replace(&next, strata_buffer_span(&now), " sqrt", "\\sqrt");
        else if (k == rule_count + 1)
            brace_roots(&next, strata_buffer_span(&now));
        else
            brace_fractions(&next, strata_buffer_span(&now));
        struct strata_buffer swap = now;
        now = next;
        next = swap;
    }
    slash_to_fraction(out, strata_buffer_span(&now));
    if (now.failed || next.failed) out->failed = true;
    strata_buffer_free(&now);
    strata_buffer_free(&next);
}
