#include "verify/number.h"

#define MAX_DIGITS 18

static struct strata_decimal normalise(struct strata_decimal number) {
    if (!number.digits) return (struct strata_decimal){0};
    while (number.digits % 10 == 0) {
        number.digits /= 10;
        number.exponent++;
    }
    return number;
}

/* Digits with thousands separators, decimals and exponent at text[*at]; no sign. */
static bool read_unsigned(struct strata_decimal *out, size_t *at, struct strata_span text, bool exponent_allowed) {
    size_t i = *at, digits = 0, group = 0;
    bool grouped = false;
    struct strata_decimal number = {0};
    for (; i < text.length; i++) {
        if (strata_is_digit(text.data[i])) {
            if (grouped && group == 3) return false;
            if (++digits > MAX_DIGITS) return false;
            number.digits = number.digits * 10 + (uint64_t)(text.data[i] - '0');
            group++;
        } else if (text.data[i] == ',' && i + 3 < text.length && strata_is_digit(text.data[i + 1]) && group &&
                   (grouped ? group == 3 : group <= 3 && number.digits)) {
            grouped = true;
            group = 0;
        } else {
            break;
        }
    }
    if (grouped && group != 3) return false;
    if (i + 1 < text.length && text.data[i] == '.' && strata_is_digit(text.data[i + 1])) {
        for (i++; i < text.length && strata_is_digit(text.data[i]); i++) {
            if (++digits > MAX_DIGITS) return false;
            number.digits = number.digits * 10 + (uint64_t)(text.data[i] - '0');
            number.exponent--;
        }
    }
    if (!digits) return false;
    if (exponent_allowed && i < text.length && (text.data[i] == 'e' || text.data[i] == 'E')) {
        size_t k = i + 1;
        bool minus = k < text.length && text.data[k] == '-';
        int exponent = 0, count = 0;
        if (k < text.length && (text.data[k] == '-' || text.data[k] == '+')) k++;
        for (; k < text.length && strata_is_digit(text.data[k]) && count < 4; k++, count++) {
            exponent = exponent * 10 + (text.data[k] - '0');
        }
        if (count && (k == text.length || !strata_is_digit(text.data[k]))) {
            number.exponent += minus ? -exponent : exponent;
            i = k;
        }
    }
    *out = normalise(number);
    *at = i;
    return true;
}

bool strata_decimal_parse(struct strata_decimal *out, struct strata_span text) {
    size_t at = 0;
    text = strata_span_trim(text);
    bool negative = text.length && text.data[0] == '-';
    if (text.length && (text.data[0] == '-' || text.data[0] == '+')) at = 1;
    if (!read_unsigned(out, &at, text, true) || at != text.length) return false;
    out->negative = negative && out->digits;
    return true;
}

bool strata_decimal_equal(struct strata_decimal a, struct strata_decimal b) {
    return a.negative == b.negative && a.digits == b.digits && a.exponent == b.exponent;
}

struct number_word {
    const char *word;
    int64_t value;
};
static const struct number_word number_words[] = {
    {"zero", 0},         {"one", 1},       {"two", 2},       {"three", 3},    {"four", 4},      {"five", 5},
    {"six", 6},          {"seven", 7},     {"eight", 8},     {"nine", 9},     {"ten", 10},      {"eleven", 11},
    {"twelve", 12},      {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15}, {"sixteen", 16},  {"seventeen", 17},
    {"eighteen", 18},    {"nineteen", 19}, {"twenty", 20},   {"thirty", 30},  {"forty", 40},    {"fifty", 50},
    {"sixty", 60},       {"seventy", 70},  {"eighty", 80},   {"ninety", 90},  {"hundred", 100}, {"thousand", 1000},
    {"million", 1000000}};

/* The value of the word at text[at], its length in *length; -1 when it is no number word. */
static int64_t word_value(size_t *length, struct strata_span text, size_t at) {
    size_t end = at;
    while (end < text.length && strata_is_letter(text.data[end])) end++;
    *length = end - at;
    for (size_t k = 0; k < sizeof number_words / sizeof *number_words; k++) {
        if (strata_span_is(strata_span_sub(text, at, end), number_words[k].word)) return number_words[k].value;
    }
    return -1;
}

/* Can a word of this value follow in the running part (below 1000) of the number? "twenty one", not "three four". */
static bool can_follow(int64_t part, int64_t value) {
    if (value < 10) return part % 10 == 0 && part % 100 != 10;
    return value < 100 && part % 100 == 0;
}

bool strata_number_words(int64_t *out, size_t *at, struct strata_span folded) {
    int64_t total = 0, part = 0;
    bool any = false;
    size_t i = *at;
    while (i < folded.length) {
        size_t length, next = i;
        int64_t value = word_value(&length, folded, i);
        if (value < 0 && any && (part % 100 == 0) && strata_span_is(strata_span_sub(folded, i, i + length), "and")) {
            next = i + length;
            while (next < folded.length && folded.data[next] == ' ') next++;
            value = word_value(&length, folded, next);
            if (value >= 100) value = -1;
        }
        if (value < 0) break;
        if (value >= 1000) {
            if (total && total % value) break;
            if (total >= (int64_t)1000000 * 1000000) break;
            total = total + (part ? part : 1) * value;
            part = 0;
        } else if (value == 100) {
            if (part >= 10 || (any && !part)) break;
            part = (part ? part : 1) * 100;
        } else {
            if (any && (part || total) && !can_follow(part, value)) break;
            if (any && !part && !total) break; /* "zero five" are two numbers */
            part += value;
        }
        any = true;
        *at = next + length;
        i = *at;
        if (i < folded.length && (folded.data[i] == ' ' || folded.data[i] == '-')) i++;
    }
    *out = total + part;
    return any;
}

bool strata_count_find(struct strata_decimal *out, struct strata_span folded) {
    bool found = false;
    for (size_t i = 0; i < folded.length;) {
        char before = i ? folded.data[i - 1] : ' ';
        size_t next = i;
        int64_t words;
        if (strata_is_digit(folded.data[i]) || (folded.data[i] == '.' && !strata_is_digit(before))) {
            if (read_unsigned(out, &next, folded, false)) {
                out->negative = before == '-' && out->digits && (i < 2 || !strata_is_digit(folded.data[i - 2]));
                found = true;
            } else { /* too many digits: nothing that a count can equal */
                while (next < folded.length && (strata_is_digit(folded.data[next]) || folded.data[next] == '.')) next++;
                if (next > i + 1) {
                    *out = (struct strata_decimal){true, 1, 0};
                    found = true;
                }
            }
        } else if (strata_is_letter(folded.data[i])) {
            if (strata_number_words(&words, &next, folded) &&
                (next == folded.length || !strata_is_letter(folded.data[next]))) {
                *out = normalise((struct strata_decimal){false, (uint64_t)words, 0});
                found = true;
            }
            while (next < folded.length && strata_is_letter(folded.data[next])) next++;
        }
        i = next > i ? next : i + 1;
    }
    return found;
}
