/* Units at the end of an answer, as the original strips them. */
#include "verify/latex_steps.h"

/* The original's list; a full stop in it is any character, because it is used as a pattern. */
static const char *const units[] = {"integerpoint",
                                    "feet",
                                    "sue",
                                    "digit",
                                    "pound",
                                    "meal",
                                    "edge",
                                    "student",
                                    "children ticket",
                                    "multiple",
                                    "east",
                                    "degree",
                                    "mph",
                                    "kmph",
                                    "ft",
                                    "m square",
                                    " m east",
                                    "sq m",
                                    "deg",
                                    "mile",
                                    "q .",
                                    "monkey",
                                    "prime",
                                    "ratio",
                                    "profit of rs",
                                    "rd",
                                    "o",
                                    "gm",
                                    "p . m",
                                    "lb",
                                    "tile",
                                    "per",
                                    "dm",
                                    "lt",
                                    "gain",
                                    "ab",
                                    "way",
                                    "west",
                                    "a .",
                                    "b .",
                                    "c .",
                                    "d .",
                                    "e .",
                                    "f .",
                                    "g .",
                                    "h .",
                                    "t",
                                    "h",
                                    "no change",
                                    "men",
                                    "soldier",
                                    "pie",
                                    "bc",
                                    "excess",
                                    "st",
                                    "inches",
                                    "noon",
                                    "cent",
                                    "by",
                                    "gal",
                                    "kmh",
                                    "c",
                                    "acre",
                                    "rise",
                                    "a . m",
                                    "th",
                                    "\xcf\x80 r 2",
                                    "sq",
                                    "mark",
                                    "l",
                                    "toy",
                                    "coin",
                                    "sq . m",
                                    "gallon",
                                    "\xc2\xb0 f",
                                    "profit",
                                    "minw",
                                    "yr",
                                    "women",
                                    "am",
                                    "pm",
                                    "hr",
                                    "cu cm",
                                    "square",
                                    "are",
                                    "rupee",
                                    "rounds",
                                    "cubic",
                                    "cc",
                                    "mtr",
                                    "s",
                                    "ohm",
                                    "number",
                                    "day",
                                    "hour",
                                    "minute",
                                    "min",
                                    "second",
                                    "man",
                                    "woman",
                                    "sec",
                                    "cube",
                                    "mt",
                                    "sq inch",
                                    "mp",
                                    "\xe2\x88\x8f cm \xc2\xb3",
                                    "hectare",
                                    "more",
                                    "unit",
                                    "cu . m",
                                    "cm 2",
                                    "rs .",
                                    "rs",
                                    "kg",
                                    "g",
                                    "month",
                                    "km",
                                    "m",
                                    "cm",
                                    "mm",
                                    "apple",
                                    "liter",
                                    "loss",
                                    "yard",
                                    "pure",
                                    "year",
                                    "increase",
                                    "decrease",
                                    "d",
                                    "less",
                                    "Surface",
                                    "litre",
                                    "pi sq m",
                                    "s .",
                                    "metre",
                                    "meter",
                                    "inch"};

/* One character of text, whatever its length in bytes. */
static size_t character(struct strata_span text, size_t at) {
    size_t end = at + 1;
    while (end < text.length && ((unsigned char)text.data[end] & 0xc0) == 0x80) end++;
    return end - at;
}

/* Does text[at..end] hold the unit, with an optional plural ending, and nothing else? */
static bool is_unit(struct strata_span text, size_t at, const char *unit) {
    size_t i = at;
    for (; *unit; unit++) {
        if (i >= text.length) return false;
        if (*unit == '.')
            i += character(text, i);
        else if (text.data[i++] != *unit)
            return false;
    }
    struct strata_span rest = strata_span_sub(text, i < text.length ? i : text.length, text.length);
    return !rest.length || strata_span_is(rest, "s") || strata_span_is(rest, "es");
}

/* Cuts a unit behind a digit, a brace or a blank; false when there is none. */
static bool cut_unit(struct strata_span *text) {
    struct strata_span trimmed = *text;
    while (trimmed.length && strata_is_space(trimmed.data[trimmed.length - 1])) trimmed.length--;
    size_t begin = trimmed.length > 40 ? trimmed.length - 40 : 0; /* no unit is longer */
    for (size_t p = begin; p < text->length; p++) {
        char c = text->data[p];
        if (!strata_is_digit(c) && c != '}' && !strata_is_space(c)) continue;
        size_t at = p + 1, first = at;
        while (at < trimmed.length && strata_is_space(text->data[at])) at++;
        for (;;) { /* a unit may begin with the last of the blanks */
            for (size_t k = 0; at < trimmed.length && k < sizeof units / sizeof *units; k++) {
                if (!is_unit(trimmed, at, units[k])) continue;
                *text = strata_span_sub(*text, 0, p + 1);
                return true;
            }
            if (at == first) break;
            at--;
        }
    }
    return false;
}

/* \text{...} or \mbox{...} up to the end, with an exponent behind it: where it begins. */
static size_t text_tail(struct strata_span text) {
    size_t end = text.length;
    if (end && text.data[end - 1] == '\n') end--;
    bool braced = end >= 4 && text.data[end - 1] == '}' && strata_is_digit(text.data[end - 2]) &&
                  strata_span_at(text, end - 4, "{^");
    size_t tails[3] = {end, end, end};
    if (end >= 2 && strata_is_digit(text.data[end - 1]) && text.data[end - 2] == '^') tails[1] = end - 2;
    if (braced) tails[2] = end - 4;
    for (size_t i = 0; i < text.length; i++) {
        size_t open = strata_span_at(text, i, "\\text{") || strata_span_at(text, i, "\\mbox{") ? i + 6 : 0;
        for (int k = 0; open && k < 3; k++) {
            if (tails[k] > open && text.data[tails[k] - 1] == '}') return i;
        }
    }
    return STRATA_NOT_FOUND;
}

void strata_latex_units(struct strata_buffer *out, struct strata_span text) {
    size_t tail = text_tail(text);
    if (tail != STRATA_NOT_FOUND) {
        struct strata_span rest = strata_span_strip(strata_span_sub(text, 0, tail));
        if (rest.length) text = rest;
    } else {
        struct strata_span rest = strata_span_strip(text);
        if (rest.length) text = rest;
    }
    for (int turn = 0; turn < 2; turn++) {
        struct strata_span shorter = text;
        if (!cut_unit(&shorter) || !shorter.length) break;
        text = shorter;
    }
    /* small repairs: a leading point gets its zero, and one half its fraction */
    if (text.length && text.data[0] == '.') strata_buffer_byte(out, '0');
    if (strata_span_is(text, "0.5") || strata_span_is(text, ".5")) {
        strata_buffer_clear(out);
        strata_buffer_text(out, "\\frac{1}{2}");
        return;
    }
    strata_buffer_append(out, text.data, text.length);
}
