/* Answers in running text. */
#include "verify/math_clean.h"

/* One environment of mathematics, delimiters included, that ends last in the text. */
static bool last_environment(struct strata_span *out, struct strata_span text) {
    size_t best = STRATA_NOT_FOUND, begin = 0;
    size_t close = strata_span_find_last(text, "$", text.length);
    if (close != STRATA_NOT_FOUND && close) {
        size_t open = strata_span_find_last(text, "$", close);
        if (open != STRATA_NOT_FOUND && open + 1 == close && open) { /* $$...$$ */
            close = open;
            open = strata_span_find_last(text, "$$", close);
        }
        if (open != STRATA_NOT_FOUND && open < close) {
            best = close + 1;
            begin = open;
        }
    }
    static const char *const pairs[][2] = {{"\\(", "\\)"}, {"\\[", "\\]"}};
    for (int k = 0; k < 2; k++) {
        size_t end = strata_span_find_last(text, pairs[k][1], text.length), open;
        if (end == STRATA_NOT_FOUND || (best != STRATA_NOT_FOUND && end + 2 < best)) continue;
        open = strata_span_find_last(text, pairs[k][0], end);
        if (open == STRATA_NOT_FOUND) continue;
        best = end + 2;
        begin = open;
    }
    if (best == STRATA_NOT_FOUND) return false;
    *out = strata_span_sub(text, begin, best);
    return true;
}

/* Length of a piece of mathematics at text[at] that is no digit: operators, signs beyond ASCII, LaTeX commands, names
 * of functions; 0 for prose. */
static size_t math_piece(struct strata_span text, size_t at) {
    static const char *const words[] = {"sqrt", "sin", "cos", "tan", "log", "ln", "pi"};
    static const char *const signs[] = {
        "\xc3\x97",     "\xc3\xb7",     "\xe2\x88\x92", "\xc2\xb7",     "\xe2\x88\x9a", "\xcf\x80",     "\xc2\xbd",
        "\xc2\xbc",     "\xc2\xbe",     "\xe2\x85\x93", "\xe2\x85\x94", "\xc2\xb0",     "\xc2\xb2",     "\xc2\xb3",
        "\xe2\x81\x84", "\xe2\x88\x9e", "\xc2\xb1",     "\xe2\x89\xa4", "\xe2\x89\xa5", "\xe2\x82\xac", "\xc2\xa3"};
    char c = text.data[at];
    if (strata_is_digit(c) || (c && strchr("+-*/^()=%,.[]{}|<>! \t:", c))) return 1;
    if (c == '\\' && at + 1 < text.length && strata_is_letter(text.data[at + 1])) {
        size_t end = at + 1;
        while (end < text.length && strata_is_letter(text.data[end])) end++;
        return end - at;
    }
    if (c == '\\' && at + 1 < text.length && text.data[at + 1] && strchr("%,;!{}", text.data[at + 1])) return 2;
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        if (strata_span_at(text, at, signs[k])) return strlen(signs[k]);
    }
    if (at + 2 < text.length && (unsigned char)c == 0xef && (unsigned char)text.data[at + 1] == 0xbc)
        return 3; /* full-width */
    if (at && strata_is_letter(text.data[at - 1])) return 0;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t length = strlen(words[k]);
        if (strata_span_at(text, at, words[k]) &&
            !(at + length < text.length && strata_is_letter(text.data[at + length])))
            return length;
    }
    /* 1.5e3 */
    bool exponent = (c == 'e' || c == 'E') && at && strata_is_digit(text.data[at - 1]) && at + 1 < text.length &&
                    (strata_is_digit(text.data[at + 1]) || strchr("+-", text.data[at + 1]));
    return exponent ? 1 : 0;
}

static bool is_value_at(struct strata_span text, size_t at) {
    return strata_is_digit(text.data[at]) || strata_span_at(text, at, "\xcf\x80") || strata_span_at(text, at, "\\pi") ||
           strata_span_at(text, at, "\\frac") || strata_span_at(text, at, "\\infty") ||
           strata_span_at(text, at, "\xc2\xbd") ||
           ((unsigned char)text.data[at] == 0xef && at + 2 < text.length && (unsigned char)text.data[at + 1] == 0xbc);
}

static int bracket(char c) {
    return c == '(' || c == '[' ? 1 : c == ')' || c == ']' ? -1 : 0;
}

/* Ends that belong to the sentence, not to the mathematics. */
static struct strata_span trim_run(struct strata_span run) {
    for (int round = 0; round < 8; round++) {
        struct strata_span before = run;
        run = strata_span_trim(run);
        while (run.length && strchr(".,;:=!<>*", run.data[run.length - 1])) run.length--;
        while (run.length && strchr(",;:=!*", run.data[0])) run.data++, run.length--;
        int depth = 0;
        size_t unopened = STRATA_NOT_FOUND, unclosed = STRATA_NOT_FOUND;
        for (size_t i = 0; i < run.length; i++) {
            if (run.data[i] == '(') {
                if (!depth) unclosed = i;
                depth++;
            }
            if (run.data[i] == ')' && --depth < 0) {
                unopened = i;
                break;
            }
            if (!depth) unclosed = STRATA_NOT_FOUND;
        }
        if (unopened != STRATA_NOT_FOUND)
            run = strata_span_sub(run, 0, unopened);
        else if (unclosed != STRATA_NOT_FOUND)
            run = unclosed ? strata_span_sub(run, 0, unclosed) : strata_span_sub(run, 1, run.length);
        if (run.length == before.length && run.data == before.data) break;
    }
    return run;
}

/* The mathematics at the begin of text: up to the first word or the end of the sentence. */
static bool leading_run(struct strata_span *out, struct strata_span text) {
    size_t i = 0;
    bool value = false;
    while (i < text.length && text.data[i] && strchr("*_`\"'$ \t", text.data[i])) i++;
    size_t begin = i;
    if (i < text.length && strata_is_letter(text.data[i]) && i + 1 < text.length) { /* x = 5 */
        size_t k = i + 1;
        while (k < text.length && text.data[k] == ' ') k++;
        if (k < text.length && text.data[k] == '=') begin = i = k + 1;
    }
    while (i < text.length) {
        size_t step = math_piece(text, i);
        if (!step || text.data[i] == '\n') break;
        if ((text.data[i] == '.' || text.data[i] == ',') && i + 1 < text.length && strata_is_space(text.data[i + 1])) {
            size_t k = i + 1;
            while (k < text.length && strata_is_space(text.data[k])) k++;
            if (k >= text.length || !math_piece(text, k) || text.data[i] == '.') break;
        }
        value = value || is_value_at(text, i);
        i += step;
    }
    *out = trim_run(strata_span_sub(text, begin, i));
    return value && out->length;
}

/* The last run of mathematics; *end is where it ends. */
static bool last_run(struct strata_span *out, size_t *end, struct strata_span text) {
    bool found = false;
    for (size_t i = 0; i < text.length;) {
        bool glued = i && (strata_is_letter(text.data[i - 1]) || text.data[i - 1] == '_');
        if (!math_piece(text, i) || strata_is_space(text.data[i]) || (glued && strata_is_digit(text.data[i]))) {
            i++;
            continue;
        }
        size_t begin = i, step;
        bool value = false;
        int depth = 0; /* of brackets: "(2, 5)" is one piece, "2, 5" may be the end of a sentence's part */
        while (i < text.length && text.data[i] != '\n' && (step = math_piece(text, i))) {
            if (text.data[i] == '.' && i + 1 < text.length && strata_is_space(text.data[i + 1])) break;
            if (text.data[i] == ',' && depth <= 0 && i + 1 < text.length && strata_is_space(text.data[i + 1])) break;
            depth += bracket(text.data[i]);
            value = value || is_value_at(text, i);
            i += step;
        }
        struct strata_span run = trim_run(strata_span_sub(text, begin, i));
        if (value && run.length) {
            *out = run;
            *end = (size_t)(run.data - text.data) + run.length;
            found = true;
        }
        if (i == begin || (i < text.length && (text.data[i] == '.' || text.data[i] == ','))) i++;
    }
    return found;
}

bool strata_prose_math(struct strata_span *out, struct strata_span text) {
    for (size_t from = text.length; from > 0;) { /* behind the last "answer is", "answer:" */
        size_t at = strata_span_find_last(text, "nswer", from);
        if (at == STRATA_NOT_FOUND) break;
        size_t i = at + 5;
        while (i < text.length && text.data[i] && strchr("*: \n\t", text.data[i])) i++;
        bool colon = i > at + 5 && strata_span_find(strata_span_sub(text, at + 5, i), ":", 0) != STRATA_NOT_FOUND;
        if (strata_span_at_nocase(text, i, "is ") || strata_span_at_nocase(text, i, "is:") ||
            strata_span_at_nocase(text, i, "is\n")) {
            i += 3;
        } else if (!colon && i < text.length && strata_is_letter(text.data[i])) {
            i = text.length;
        }
        while (i < text.length && strata_is_space(text.data[i])) i++;
        struct strata_span rest = strata_span_sub(text, i, text.length);
        if (rest.length && (rest.data[0] == '$' || strata_span_at(rest, 0, "\\(") || strata_span_at(rest, 0, "\\["))) {
            const char *close = rest.data[0] == '$'   ? (strata_span_at(rest, 0, "$$") ? "$$" : "$")
                                : rest.data[1] == '(' ? "\\)"
                                                      : "\\]";
            size_t end = strata_span_find(rest, close, 1 + (close[1] == '$'));
            if (end != STRATA_NOT_FOUND) {
                *out = strata_span_sub(rest, 0, end + strlen(close));
                return true;
            }
        }
        if (leading_run(out, rest)) return true;
        from = at;
    }
    struct strata_span run, environment;
    size_t run_end = 0;
    bool has_run = last_run(&run, &run_end, text), has_environment = last_environment(&environment, text);
    if (has_environment && (!has_run || (size_t)(environment.data - text.data) + environment.length >= run_end)) {
        *out = environment;
        return true;
    }
    *out = run;
    return has_run;
}
