#include "verify/latex_steps.h"

#include "verify/points.h"

#include <utf8proc.h>

void strata_latex_replace(struct strata_buffer *out, struct strata_span text, const char *from, const char *to) {
    size_t at = 0, length = strlen(from);
    for (;;) {
        size_t hit = strata_span_find(text, from, at);
        size_t end = hit == STRATA_NOT_FOUND ? text.length : hit;
        strata_buffer_append(out, text.data + at, end - at);
        if (hit == STRATA_NOT_FOUND) return;
        strata_buffer_text(out, to);
        at = hit + length;
    }
}

/* \left( -> (, \right\} -> \}; a \left. stays. */
static size_t delimiter_command(struct strata_span text, size_t at) {
    static const char *const left[] = {"\\{",      "{",        "\\|",      "|",          "[",         "(",
                                       "\\rbracl", "\\lgroup", "\\lbrace", "\\lbrack",   "\\vert",    "\\lvert",
                                       "\\lceil",  "\\lfloor", "\\langle", "\\llcorner", "\\ulcorner"};
    static const char *const right[] = {"\\}",      "}",        "\\|",        "|",         "]",       ")",
                                        "\\rbrack", "\\rgroup", "\\rbrace",   "\\vert",    "\\rvert", "\\rceil",
                                        "\\rfloor", "\\rangle", "\\lrcorner", "\\urcorner"};
    static const struct {
        const char *command;
        const char *const *delimiters;
        size_t count;
    } commands[] = {{"\\left", left, sizeof left / sizeof *left},
                    {"\\mleft", left, sizeof left / sizeof *left},
                    {"\\right", right, sizeof right / sizeof *right},
                    {"\\mright", right, sizeof right / sizeof *right}};
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        size_t length = strlen(commands[k].command);
        if (!strata_span_at(text, at, commands[k].command)) continue;
        for (size_t d = 0; d < commands[k].count; d++) {
            if (strata_span_at(text, at + length, commands[k].delimiters[d])) return length;
        }
    }
    return 0;
}

static void drop_delimiter_commands(struct strata_buffer *out, struct strata_span text) {
    for (size_t i = 0; i < text.length;) {
        size_t length = text.data[i] == '\\' ? delimiter_command(text, i) : 0;
        if (length) {
            i += length;
            /* the delimiter itself, so that a second command behind it is not taken for a part of it */
        }
        if (i < text.length) strata_buffer_byte(out, (unsigned char)text.data[i++]);
    }
}

/* (n)_{k}: a falling factorial. */
static void expand_permutations(struct strata_buffer *out, struct strata_span text) {
    static const char inside[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/\\ ";
    for (size_t i = 0; i < text.length;) {
        size_t close = i + 1, end;
        bool found = false;
        if (text.data[i] == '(') {
            while (close < text.length && text.data[close] && strchr(inside, text.data[close])) close++;
            if (close > i + 1 && strata_span_at(text, close, ")_{")) {
                end = close + 3;
                while (end < text.length && text.data[end] && strchr(inside, text.data[end])) end++;
                found = end > close + 3 && end < text.length && text.data[end] == '}';
            }
        }
        if (!found) {
            strata_buffer_byte(out, (unsigned char)text.data[i++]);
            continue;
        }
        int n = (int)(close - i - 1), k = (int)(end - close - 3);
        strata_buffer_printf(out, "\\frac{(%.*s)!}{((%.*s)-(%.*s))!}", n, text.data + i + 1, n, text.data + i + 1, k,
                             text.data + close + 3);
        i = end + 1;
    }
}

static size_t skip_space(struct strata_span text, size_t at) {
    while (at < text.length && strata_is_space(text.data[at])) at++;
    return at;
}

/* What is dropped at text[at]; its length. */
static size_t droppable(struct strata_span text, size_t at) {
    if (strata_span_at(text, at, "\\mathrm{th}")) return 11;
    if (strata_span_at(text, at, "\\!")) return skip_space(text, at + 2) - at;
    if (strata_span_at(text, at, "\\text")) {
        size_t i = skip_space(text, at + 5);
        if (i < text.length && text.data[i] == '{') {
            i = skip_space(text, i + 1);
            if (i < text.length && text.data[i] == '}') return i + 1 - at;
        }
    }
    if (strata_span_at(text, at, "\\$")) return 2;
    if (text.data[at] == '$') return 1;
    if ((text.data[at] == '"' || text.data[at] == '\'') && !(at && text.data[at - 1] == '\\')) return 1;
    return strata_span_at(text, at, "\\displaystyle") ? 13 : 0;
}

static void drop_useless(struct strata_buffer *out, struct strata_span text) {
    for (size_t i = 0; i < text.length;) {
        size_t length = droppable(text, i);
        if (length)
            i += length;
        else
            strata_buffer_byte(out, (unsigned char)text.data[i++]);
    }
}

/* "and" or "or" as a word, after an optional comma and blanks; or in \text{}. The length at text[at], 0 for none. */
static size_t conjunction(struct strata_span text, size_t at) {
    size_t i = at, word;
    if (text.data[i] == ',') i++;
    i = skip_space(text, i);
    word = strata_span_at(text, i, "and") ? 3 : strata_span_at(text, i, "or") ? 2 : 0;
    if (word && !(at && strata_is_letter(text.data[at - 1])) &&
        !(i + word < text.length && strata_is_letter(text.data[i + word]))) {
        return i + word - at;
    }
    if (!strata_span_at(text, i, "\\text{")) return 0;
    i = skip_space(text, i + 6);
    word = strata_span_at(text, i, "and") ? 3 : strata_span_at(text, i, "or") ? 2 : 0;
    if (!word) return 0;
    i = skip_space(text, i + word);
    return i < text.length && text.data[i] == '}' ? i + 1 - at : 0;
}

/* Blanks and a percent word, or the word in \text{}. */
static size_t percent_word(struct strata_span text, size_t at) {
    static const char *const words[] = {"percentage", "\\text{percentage}", "percent", "\\text{percent}",
                                        "pct",        "\\text{pct}"};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t i = words[k][0] == '\\' ? at : skip_space(text, at);
        if (strata_span_at(text, i, words[k])) return i + strlen(words[k]) - at;
    }
    return 0;
}

/* The replacement at text[at], tried in the original's order; its length, 0 for none. */
static size_t replaceable(const char **with, struct strata_span text, size_t at) {
    static const struct {
        const char *from, *to;
    } commands[] = {{"\\mathrm", "\\text"}, {"\\mathit", "\\text"}, {"\\mathbf", "\\text"}, {"\\textnormal", "\\text"},
                    {"\\textbf", "\\text"}, {"\\textit", "\\text"}, {"\\textrm", "\\text"}, {"\\dfrac", "\\frac"},
                    {"\\tfrac", "\\frac"},  {"\\cfrac", "\\frac"}};
    char c = text.data[at];
    size_t length;
    for (size_t k = 0; c == '\\' && k < sizeof commands / sizeof *commands; k++) {
        *with = commands[k].to;
        if (strata_span_at(text, at, commands[k].from)) return strlen(commands[k].from);
    }
    bool point = at + 1 < text.length && text.data[at + 1] == '.';
    *with = strata_is_space(c) ? " 0." : "{0.";
    if (point && (strata_is_space(c) || c == '{')) return 2;
    *with = "\\approx";
    if (strata_span_at(text, at, "~=")) return 2;
    *with = ",";
    length = skip_space(text, at);
    if (length < text.length && text.data[length] == '{') { /* {,} */
        size_t i = skip_space(text, length + 1);
        if (i < text.length && text.data[i] == ',') {
            i = skip_space(text, i + 1);
            if (i < text.length && text.data[i] == '}') return i + 1 - at;
        }
    }
    if ((length = conjunction(text, at))) return length;
    *with = " ";
    if (c == '\\' && at + 1 < text.length && strata_is_space(text.data[at + 1]) && !(at && text.data[at - 1] == '\\'))
        return 2;
    *with = "\\infty";
    if (strata_span_at(text, at, "infinity")) return 8;
    *with = " ";
    if (strata_span_at(text, at, ",\\ldots")) return 7;
    if (strata_span_at(text, at, "\\ldots")) return 6;
    *with = "\\%";
    if ((length = percent_word(text, at))) return length;
    *with = "\\infty";
    if (strata_span_at(text, at, "inf") && !(at && text.data[at - 1] == '\\')) return 3;
    *with = "\\sqrt";
    return strata_span_at(text, at, " sqrt") ? 5 : 0;
}

static void replace_commands(struct strata_buffer *out, struct strata_span text) {
    for (size_t i = 0; i < text.length;) {
        const char *with;
        size_t length = replaceable(&with, text, i);
        if (length) {
            strata_buffer_text(out, with);
            i += length;
        } else {
            strata_buffer_byte(out, (unsigned char)text.data[i++]);
        }
    }
}

/* Line ends and tabs to blanks; a doubled backslash before a command to one, where there is no matrix. */
static void settle_space(struct strata_buffer *out, struct strata_span text) {
    bool matrix = strata_span_find(text, "matrix", 0) != STRATA_NOT_FOUND;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!matrix && c == '\\' && i + 2 < text.length && text.data[i + 1] == '\\' &&
            strata_is_letter(text.data[i + 2])) {
            strata_buffer_byte(out, '\\');
            i++;
            continue;
        }
        strata_buffer_byte(out, (unsigned char)(c == '\n' || c == '\t' ? ' ' : c));
    }
}

#define LONGEST 2048

typedef void step(struct strata_buffer *out, struct strata_span text);

void strata_latex_normalise(struct strata_buffer *out, struct strata_span text, bool last_box) {
    static const char *const words[][2] = {{"\\mathrm{T}", "T"},
                                           {"\\mathrm{d}", "d"},
                                           {"{\\rm d}", "d"},
                                           {"\\left[\\begin{matrix}", "\\begin{bmatrix}"},
                                           {"\\end{matrix}\\right]", "\\end{bmatrix}"}};
    step *const steps[] = {drop_delimiter_commands, expand_permutations,   drop_useless, replace_commands, settle_space,
                           strata_latex_units,      strata_latex_operators};
    struct strata_buffer now = {0}, next = {0};
    strata_latex_boxes(&now, text, last_box);
    /* the steps look ahead from every place: longer texts, which no parser takes, are left as they are */
    size_t count = now.length > LONGEST ? 0 : sizeof words / sizeof *words + sizeof steps / sizeof *steps;
    for (size_t k = 0; k < count; k++) {
        size_t word_count = sizeof words / sizeof *words;
        strata_buffer_clear(&next);
        if (k < word_count)
            strata_latex_replace(&next, strata_buffer_span(&now), words[k][0], words[k][1]);
        else
            steps[k - word_count](&next, strata_buffer_span(&now));
        struct strata_buffer swap = now;
        now = next;
        next = swap;
    }
    struct strata_span result = strata_span_strip(strata_buffer_span(&now));
    strata_buffer_append(out, result.data, result.length);
    if (now.failed || next.failed) out->failed = true;
    strata_buffer_free(&now);
    strata_buffer_free(&next);
}
