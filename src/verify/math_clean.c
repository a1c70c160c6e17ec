#include "verify/math_clean.h"

#include <stdint.h>
#include <stdio.h>
#include <utf8proc.h>

/* Signs that stand for themselves in another spelling. */
static const struct {
    int32_t point;
    const char *text;
} signs[] = {
    {0x2212, "-"},        {0x2010, "-"},
    {0x2011, "-"},        {0x2013, "-"},
    {0xfe63, "-"},        {0xd7, "\\times "},
    {0xf7, "\\div "},     {0x22c5, "\\cdot "},
    {0xb7, "\\cdot "},    {0x2219, "\\cdot "},
    {0x221a, "\\sqrt "},  {0x221b, "\\sqrt[3] "},
    {0x221e, "\\infty "}, {0xb0, "^\\circ "},
    {0xba, "^\\circ "},   {0x2044, "/"},
    {0x2215, "/"},        {0x3001, ","},
    {0x3002, "."},        {0x200b, ""},
    {0x200c, ""},         {0x200d, ""},
    {0x2060, ""},         {0xfeff, ""},
    {0x20ac, ""},         {0xa3, ""},
    {0xa5, ""},           {0x20b9, ""},
    {0x20a9, ""},         {0x20bd, ""},
    {0xa2, ""},           {0x2248, "\\approx "},
    {0x2032, ""},         {0x201c, ""},
    {0x201d, ""},         {0x2264, "\\le "},
    {0x2265, "\\ge "},    {0x2260, "\\ne "},
    {0x222a, "\\cup "},   {0x2229, "\\cap "},
    {0x2208, "\\in "},    {0x2205, "\\emptyset "},
    {0x2192, "\\to "},    {0xb1, "\\pm "},
    {0x2026, "\\ldots "},
};
static const struct {
    int32_t point;
    int top, bottom;
} fractions[] = {{0xbc, 1, 4},   {0xbd, 1, 2},   {0xbe, 3, 4},   {0x2150, 1, 7}, {0x2151, 1, 9}, {0x2152, 1, 10},
                 {0x2153, 1, 3}, {0x2154, 2, 3}, {0x2155, 1, 5}, {0x2156, 2, 5}, {0x2157, 3, 5}, {0x2158, 4, 5},
                 {0x2159, 1, 6}, {0x215a, 5, 6}, {0x215b, 1, 8}, {0x215c, 3, 8}, {0x215d, 5, 8}, {0x215e, 7, 8}};

static char superscript(int32_t point) {
    static const int32_t from[] = {0x2070, 0xb9, 0xb2, 0xb3, 0x2074, 0x2075, 0x2076, 0x2077, 0x2078, 0x2079};
    for (int k = 0; k < 10; k++) {
        if (from[k] == point) return (char)('0' + k);
    }
    return point == 0x207b ? '-' : point == 0x207a ? '+' : '\0';
}

static bool is_wide_space(int32_t p) {
    return p == 0xa0 || (p >= 0x2000 && p <= 0x200a) || p == 0x202f || p == 0x205f || p == 0x3000;
}

/* Everything beyond ASCII in an ASCII (or LaTeX) spelling where there is one. */
static void to_ascii(struct strata_buffer *out, struct strata_span text) {
    bool raised = false;
    for (size_t i = 0; i < text.length;) {
        utf8proc_int32_t point = (unsigned char)text.data[i];
        utf8proc_ssize_t step = 1;
        if (point >= 0x80) {
            step =
                utf8proc_iterate((const utf8proc_uint8_t *)text.data + i, (utf8proc_ssize_t)(text.length - i), &point);
            if (step <= 0) {
                step = 1;
                point = 0x80;
            }
        }
        char up = point >= 0x80 ? superscript(point) : '\0';
        if (raised && !up) strata_buffer_byte(out, '}');
        if (up && !raised) strata_buffer_text(out, "^{");
        raised = up != '\0';
        bool done = up != '\0';
        if (up) strata_buffer_byte(out, (unsigned char)up);
        if (!done && point >= 0xff01 && point <= 0xff5e) {
            strata_buffer_byte(out, (unsigned char)(point - 0xfee0));
            done = true;
        }
        if (!done && point == 0x221a && i + 3 < text.length &&
            strata_is_digit(text.data[i + 3])) { /* a root of all the digits */
            strata_buffer_text(out, "\\sqrt{");
            for (i += 3; i < text.length && (strata_is_digit(text.data[i]) || text.data[i] == '.'); i++) {
                strata_buffer_byte(out, (unsigned char)text.data[i]);
            }
            strata_buffer_byte(out, '}');
            continue;
        }
        if (!done && is_wide_space(point)) {
            strata_buffer_byte(out, ' ');
            done = true;
        }
        for (size_t k = 0; !done && point >= 0x80 && k < sizeof signs / sizeof *signs; k++) {
            if (signs[k].point != point) continue;
            strata_buffer_text(out, signs[k].text);
            done = true;
        }
        for (size_t k = 0; !done && point >= 0x80 && k < sizeof fractions / sizeof *fractions; k++) {
            if (fractions[k].point != point) continue;
            strata_buffer_printf(out, "\\frac{%d}{%d}", fractions[k].top, fractions[k].bottom);
            done = true;
        }
        if (!done && point >= 0x2080 && point <= 0x2089) {
            strata_buffer_printf(out, "_{%d}", (int)(point - 0x2080));
            done = true;
        }
        if (!done) strata_buffer_append(out, text.data + i, (size_t)step);
        i += (size_t)step;
    }
    if (raised) strata_buffer_byte(out, '}');
}

static size_t skip_space(struct strata_span text, size_t at) {
    while (at < text.length && strata_is_space(text.data[at])) at++;
    return at;
}

/* The content of {...} at text[open]: its end, or STRATA_NOT_FOUND. */
static size_t group_end(struct strata_span text, size_t open) {
    size_t depth = 0;
    for (size_t i = open; i < text.length; i++) {
        if (text.data[i] == '{') depth++;
        if (text.data[i] == '}' && --depth == 0) return i;
    }
    return STRATA_NOT_FOUND;
}

/* Letters only, several of them: a word, not a name of mathematics. */
static bool is_wordy(struct strata_span text) {
    size_t letters = 0, digits = 0;
    for (size_t i = 0; i < text.length; i++) {
        letters += strata_is_letter(text.data[i]);
        digits += strata_is_digit(text.data[i]) || text.data[i] == '\\' || text.data[i] == '=';
    }
    return letters >= 2 && !digits;
}

static void undecorate(struct strata_buffer *out, struct strata_span text);

/* \text{...} and its kind at text[at]: what takes its place is appended; the length replaced. */
static size_t text_command(struct strata_buffer *out, struct strata_span text, size_t at) {
    static const char *const commands[] = {"\\textnormal", "\\textbf", "\\textit", "\\textrm", "\\text", "\\mathrm",
                                           "\\mathbf",     "\\mathit", "\\mathsf", "\\mathtt", "\\mbox", "\\hbox",
                                           "\\boldsymbol", "\\bm",     "\\boxed",  "\\fbox"};
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        if (!strata_span_at(text, at, commands[k])) continue;
        size_t open = skip_space(text, at + strlen(commands[k])), end;
        if (open >= text.length || text.data[open] != '{' || (end = group_end(text, open)) == STRATA_NOT_FOUND)
            continue;
        struct strata_span inner = strata_span_trim(strata_span_sub(text, open + 1, end));
        size_t next = end + 1;
        if (strata_span_is_nocase(inner, "and") || strata_span_is_nocase(inner, "or")) {
            strata_buffer_byte(out, ',');
        } else if (strata_span_is_nocase(inner, "percent") || strata_span_is_nocase(inner, "per cent") ||
                   strata_span_is_nocase(inner, "pct")) {
            strata_buffer_text(out, "\\%");
        } else if (!is_wordy(inner)) {
            strata_buffer_byte(out, ' ');
            undecorate(out, inner);
            strata_buffer_byte(out, ' ');
        } else { /* a word goes, and the exponent of a unit with it */
            if (next + 1 < text.length && text.data[next] == '^') {
                next = text.data[next + 1] == '{' ? group_end(text, next + 1) : next + 1;
                next = next == STRATA_NOT_FOUND ? end + 1 : next + 1;
            }
            strata_buffer_byte(out, ' ');
        }
        return next - at;
    }
    return 0;
}

/* Commands that mean nothing: dropped, or a blank. */
static size_t decoration(const char **with, struct strata_span text, size_t at) {
    static const struct {
        const char *from, *to;
    } commands[] = {{"\\displaystyle", " "},
                    {"\\textstyle", " "},
                    {"\\left.", ""},
                    {"\\right.", ""},
                    {"\\left", ""},
                    {"\\right", ""},
                    {"\\mleft", ""},
                    {"\\mright", ""},
                    {"\\big", ""},
                    {"\\Big", ""},
                    {"\\,", " "},
                    {"\\;", " "},
                    {"\\:", " "},
                    {"\\!", ""},
                    {"\\ ", " "},
                    {"\\quad", " "},
                    {"\\qquad", " "},
                    {"\\$", ""},
                    {"$", ""},
                    {"\\(", ""},
                    {"\\)", ""},
                    {"\\[", ""},
                    {"\\]", ""},
                    {"~", " "},
                    {"{,}", ","},
                    {"\\dots", "\\ldots"},
                    {"\\deg", "^\\circ "},
                    {"\\nonumber", ""},
                    {"\\limits", ""}};
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        size_t length = strlen(commands[k].from);
        if (!strata_span_at(text, at, commands[k].from)) continue;
        /* \leftarrow is no \left */
        if (strata_is_letter(commands[k].from[length - 1]) && at + length < text.length &&
            strata_is_letter(text.data[at + length]))
            continue;
        *with = commands[k].to;
        return length;
    }
    if (strata_span_at(text, at, "\\degree")) {
        *with = "^\\circ ";
        return 7;
    }
    if (strata_span_at(text, at, "\\color{") || strata_span_at(text, at, "\\textcolor{")) {
        size_t end = group_end(text, at + (text.data[at + 1] == 'c' ? 6 : 10));
        *with = "";
        return end == STRATA_NOT_FOUND ? 0 : end + 1 - at;
    }
    return 0;
}

/* \frac12, \frac 1 2, \frac1{2}, \frac{1}2, \sqrt3: braces for single digits. The length replaced. */
static size_t bare_arguments(struct strata_buffer *out, struct strata_span text, size_t at) {
    bool fraction = strata_span_at(text, at, "\\frac") || strata_span_at(text, at, "\\dfrac") ||
                    strata_span_at(text, at, "\\tfrac") || strata_span_at(text, at, "\\cfrac");
    if (!fraction && !strata_span_at(text, at, "\\sqrt")) return 0;
    size_t i = at + (fraction && text.data[at + 1] != 'f' ? 6 : 5);
    struct strata_span arguments[2];
    int count = fraction ? 2 : 1, bare = 0;
    for (int k = 0; k < count; k++) {
        i = skip_space(text, i);
        size_t end = i + 1;
        if (i < text.length && text.data[i] == '{') {
            end = group_end(text, i);
            if (end == STRATA_NOT_FOUND) return 0;
            arguments[k] = strata_span_sub(text, i + 1, end++);
        } else if (i < text.length && (strata_is_digit(text.data[i]) || strata_is_letter(text.data[i]))) {
            arguments[k] = strata_span_sub(text, i, end);
            bare++;
        } else {
            return 0;
        }
        i = end;
    }
    if (!bare) return 0;
    strata_buffer_text(out, fraction ? "\\frac" : "\\sqrt");
    for (int k = 0; k < count; k++) {
        strata_buffer_byte(out, '{');
        undecorate(out, arguments[k]);
        strata_buffer_byte(out, '}');
    }
    return i - at;
}

static void undecorate(struct strata_buffer *out, struct strata_span text) {
    for (size_t i = 0; i < text.length;) {
        const char *with;
        size_t length = text.data[i] == '\\' ? text_command(out, text, i) : 0;
        if (!length && text.data[i] == '\\') length = bare_arguments(out, text, i);
        if (length) {
            i += length;
            continue;
        }
        length = strchr("\\$~{", text.data[i]) ? decoration(&with, text, i) : 0;
        if (length) {
            strata_buffer_text(out, with);
            i += length;
        } else {
            strata_buffer_byte(out, (unsigned char)text.data[i++]);
        }
    }
}

/* A word at text[at] that stands alone; its length. */
static size_t lone_word(struct strata_span text, size_t at, const char *word) {
    size_t length = strlen(word);
    if (!strata_span_at_nocase(text, at, word) || (at && strata_is_letter(text.data[at - 1]))) return 0;
    return at + length < text.length && strata_is_letter(text.data[at + length]) ? 0 : length;
}

/* Digits, blanks and three digits: thousands. Where the number that begins at `at` ends, 0 when it is none. */
static size_t thousands(struct strata_span text, size_t at) {
    size_t i = at;
    if (at && (strata_is_digit(text.data[at - 1]) || strchr(".,", text.data[at - 1]))) return 0;
    while (i < text.length && strata_is_digit(text.data[i])) i++;
    if (i == at || i > at + 3 || text.data[at] == '0') return 0;
    size_t first = i;
    while (i + 3 < text.length && text.data[i] == ' ' && strata_is_digit(text.data[i + 1]) &&
           strata_is_digit(text.data[i + 2]) && strata_is_digit(text.data[i + 3]) &&
           !(i + 4 < text.length && (strata_is_digit(text.data[i + 4]) || text.data[i + 4] == '/'))) {
        i += 4;
    }
    return i > first ? i : 0;
}

/* 2 1/3: an integer, blanks, a fraction. Where it ends, 0 when it is none. */
static size_t mixed_number(struct strata_buffer *out, struct strata_span text, size_t at) {
    size_t i = at, gap, top, slash, bottom;
    if (at && (strata_is_digit(text.data[at - 1]) || strchr("./^{_", text.data[at - 1]))) return 0;
    while (i < text.length && strata_is_digit(text.data[i])) i++;
    gap = i;
    top = skip_space(text, i);
    if (gap == at || top == gap) return 0;
    for (i = top; i < text.length && strata_is_digit(text.data[i]);) i++;
    slash = i;
    if (slash == top || slash >= text.length || text.data[slash] != '/') return 0;
    for (bottom = i = slash + 1; i < text.length && strata_is_digit(text.data[i]);) i++;
    if (i == bottom ||
        (i < text.length && text.data[i] == '.' && i + 1 < text.length && strata_is_digit(text.data[i + 1])))
        return 0;
    strata_buffer_printf(out, "%.*s\\frac{%.*s}{%.*s}", (int)(gap - at), text.data + at, (int)(slash - top),
                         text.data + top, (int)(i - bottom), text.data + bottom);
    return i;
}

/* 1.5 x 10^3: the x is a times sign. */
static bool is_times_ten(struct strata_span text, size_t at) {
    size_t before = at, i = skip_space(text, at + 1);
    if (text.data[at] != 'x' && text.data[at] != 'X') return false;
    while (before && text.data[before - 1] == ' ') before--;
    return before && strata_is_digit(text.data[before - 1]) && strata_span_at(text, i, "10") &&
           skip_space(text, i + 2) < text.length && text.data[skip_space(text, i + 2)] == '^';
}

/* Words and number layouts. */
static void settle(struct strata_buffer *out, struct strata_span text) {
    static const struct {
        const char *word, *with;
    } words[] = {{"per cent", "\\%"}, {"percent", "\\%"}, {"percentage", "\\%"},
                 {"pct", "\\%"},      {"and", ","},       {"or", ","}};
    for (size_t i = 0; i < text.length;) {
        char c = text.data[i];
        size_t length = 0, end;
        for (size_t k = 0; strata_is_letter(c) && !length && k < sizeof words / sizeof *words; k++) {
            length = lone_word(text, i, words[k].word);
            if (length) strata_buffer_text(out, words[k].with);
        }
        if (length) {
            i += length;
        } else if (strata_is_digit(c) && (end = mixed_number(out, text, i))) {
            i = end;
        } else if (strata_is_digit(c) && (end = thousands(text, i))) {
            for (; i < end; i++) {
                if (text.data[i] != ' ') strata_buffer_byte(out, (unsigned char)text.data[i]);
            }
        } else if (is_times_ten(text, i)) {
            strata_buffer_text(out, "\\times ");
            i++;
        } else if (strata_span_at(text, i, "**")) {
            bool power = i && !strata_is_space(text.data[i - 1]) && i + 2 < text.length &&
                         !strata_is_space(text.data[i + 2]) &&
                         (strata_is_digit(text.data[i - 1]) || strchr(")}xyzn", text.data[i - 1]));
            strata_buffer_text(out, power ? "^" : " ");
            i += 2;
        } else {
            strata_buffer_byte(out, (unsigned char)c);
            i++;
        }
    }
}

void strata_math_clean(struct strata_buffer *out, struct strata_span text) {
    struct strata_buffer ascii = {0}, plain = {0};
    text = strata_span_trim(text);
    if (text.length <= STRATA_MATH_LONGEST) {
        to_ascii(&ascii, text);
        undecorate(&plain, (struct strata_span){strata_buffer_string(&ascii), ascii.length});
        struct strata_span result = strata_span_trim((struct strata_span){strata_buffer_string(&plain), plain.length});
        /* a sentence's end, a leading "about" sign, temperature letters behind the degree sign */
        while (result.length && strchr(".,;:", result.data[result.length - 1]))
            result = strata_span_trim(strata_span_sub(result, 0, result.length - 1));
        if (strata_span_at(result, 0, "\\approx")) result = strata_span_trim(strata_span_sub(result, 7, result.length));
        size_t degree = strata_span_find_last(result, "\\circ", result.length);
        if (degree != STRATA_NOT_FOUND) {
            struct strata_span scale = strata_span_trim(strata_span_sub(result, degree + 5, result.length));
            if (strata_span_is(scale, "C") || strata_span_is(scale, "F"))
                result = strata_span_sub(result, 0, degree + 5);
        }
        settle(out, result);
    }
    if (ascii.failed || plain.failed) out->failed = true;
    strata_buffer_free(&ascii);
    strata_buffer_free(&plain);
}

static bool is_function_word(struct strata_span word) {
    static const char *const names[] = {"sin", "cos", "tan",  "cot",   "sec",   "csc",      "log",
                                        "ln",  "exp", "sqrt", "pi",    "infty", "infinity", "gcd",
                                        "lcm", "max", "min",  "alpha", "beta",  "theta"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strata_span_is_nocase(word, names[k])) return true;
    }
    return false;
}

bool strata_has_words(struct strata_span text) {
    for (size_t i = 0; i < text.length; i++) {
        size_t end = i;
        while (end < text.length && strata_is_letter(text.data[end])) end++;
        struct strata_span word = strata_span_sub(text, i, end);
        bool command = i && (text.data[i - 1] == '\\' || text.data[i - 1] == '{');
        if (word.length >= 2 && !command && !is_function_word(word)) return true;
        if (word.length) i = end;
    }
    return false;
}

static bool is_known_unit(struct strata_span word) {
    static const char *const units[] = {
        "cm",  "mm",  "km",  "dm", "nm",  "kg",  "mg",  "ml",    "mL",   "cl",  "ft", "in", "yd", "mi",  "lb",  "lbs",
        "oz",  "min", "sec", "hr", "hrs", "mph", "kmh", "kph",   "Hz",   "kHz", "kW", "kJ", "Pa", "kPa", "mol", "rad",
        "deg", "sq",  "cu",  "am", "pm",  "USD", "EUR", "units", "unit", "cc",  "ms", "cd", "eV", "dB",  "GB",  "MB"};
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        if (strata_span_is(word, units[k])) return true;
    }
    return false;
}

/* The begin of a unit's last word in text[0..end), its exponent included; end when there is none. */
static size_t unit_word(struct strata_span text, size_t end, bool letters) {
    size_t i = end;
    if (i && text.data[i - 1] == '}') { /* ^{2} */
        size_t k = i - 1;
        while (k && strata_is_digit(text.data[k - 1])) k--;
        if (k >= 2 && k < i - 1 && text.data[k - 1] == '{' && text.data[k - 2] == '^')
            i = k - 2;
        else if (k >= 3 && text.data[k - 1] == '-' && text.data[k - 2] == '{' && text.data[k - 3] == '^')
            i = k - 3;
    } else if (i >= 2 && strata_is_digit(text.data[i - 1]) && text.data[i - 2] == '^') {
        i -= 2;
    }
    size_t word_end = i;
    while (i && strata_is_letter(text.data[i - 1])) i--;
    struct strata_span word = strata_span_sub(text, i, word_end);
    if (!word.length || (i && text.data[i - 1] == '\\') || is_function_word(word)) return end;
    if (word.length == 1) return letters && strchr("mgshlLNJWVAKCFt", word.data[0]) ? i : end;
    bool apart = i && strata_is_space(text.data[i - 1]);
    bool joined = i && strchr("/.*", text.data[i - 1]);
    return apart || joined || is_known_unit(word) || word.length >= 4 ? i : end;
}

struct strata_span strata_strip_units(struct strata_span text, bool letters) {
    size_t end = text.length;
    while (end && (strata_is_space(text.data[end - 1]) || text.data[end - 1] == '.')) end--;
    size_t begin = end;
    for (;;) {
        size_t word = unit_word(text, begin, letters);
        if (word == begin) break;
        size_t i = word;
        while (i && (strata_is_space(text.data[i - 1]) || strchr("/.*", text.data[i - 1]))) i--;
        if (i >= 5 && strata_span_at(text, i - 5, "\\cdot")) i -= 5;
        begin = i;
        if (!begin) return text;
        char before = text.data[begin - 1];
        if (strata_is_digit(before) || strchr(")}%", before)) break;
    }
    if (begin == end) return text;
    char before = text.data[begin - 1];
    bool after_value = strata_is_digit(before) || strchr(")}%", before) ||
                       (begin >= 3 && strata_span_at(text, begin - 3, "\\pi")) ||
                       (begin >= 2 && strata_span_at(text, begin - 2, "\xcf\x80"));
    return after_value ? strata_span_sub(text, 0, begin) : text;
}
