#include "verify/choice.h"

#include "verify/text.h"

#define LAST_LETTER 'Z'

static bool is_choice_letter(char c) {
    char upper = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    return upper >= 'A' && upper <= LAST_LETTER;
}
static uint32_t letter_bit(char c) {
    return (uint32_t)1 << (strata_lower(c) - 'a');
}

static size_t skip_spaces(struct strata_span text, size_t at) {
    while (at < text.length && (strata_is_space(text.data[at]) || text.data[at] == '~')) at++;
    return at;
}

/* "option", "choice", "answer" before the letter. */
static size_t skip_label(struct strata_span text, size_t at) {
    static const char *const labels[] = {"option", "choice", "answer"};
    for (size_t k = 0; k < 3; k++) {
        size_t length = strlen(labels[k]);
        if (strata_span_at_nocase(text, at, labels[k]) && at + length < text.length) {
            size_t next = at + length;
            if (text.data[next] == ':') next++;
            if (next < text.length && (strata_is_space(text.data[next]) || text.data[next] == '(')) {
                return skip_spaces(text, next);
            }
        }
    }
    return at;
}

enum mark { MARK_NONE, MARK_BARE, MARK_DOT, MARK_COLON, MARK_CLOSED, MARK_WRAPPED };

/* One letter at text[*at] and how it is marked: "B", "B.", "B)", "(B)", "[B]". */
static enum mark read_letter(char *letter, size_t *at, struct strata_span text) {
    size_t i = skip_label(text, *at);
    bool wrapped = i < text.length && (text.data[i] == '(' || text.data[i] == '[');
    if (wrapped) i = skip_spaces(text, i + 1);
    if (i >= text.length || !is_choice_letter(text.data[i])) return MARK_NONE;
    if (i + 1 < text.length && (strata_is_letter(text.data[i + 1]) || strata_is_digit(text.data[i + 1]) ||
                                strchr("_^{'\\", text.data[i + 1]))) {
        return MARK_NONE;
    }
    *letter = text.data[i];
    size_t next = skip_spaces(text, i + 1);
    enum mark mark = MARK_BARE;
    if (next < text.length && (text.data[next] == ')' || text.data[next] == ']')) {
        mark = wrapped ? MARK_WRAPPED : MARK_CLOSED;
        next++;
    } else if (wrapped) {
        return MARK_NONE;
    } else if (next < text.length && text.data[next] == '.') {
        mark = MARK_DOT;
        next++;
    } else if (next < text.length && text.data[next] == ':') {
        mark = MARK_COLON;
        next++;
    }
    *at = next;
    return mark;
}

/* Between the letters of a several-choice answer. */
static size_t skip_separator(struct strata_span text, size_t at) {
    static const char *const words[] = {"\\text{and}", "\\text{ and }", "and", "&", ",", ";"};
    size_t i = skip_spaces(text, at), start = i;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        if (strata_span_at_nocase(text, i, words[k])) i = skip_spaces(text, i + strlen(words[k]));
    }
    return i > start ? i : at;
}

bool strata_choice_gold(uint32_t *letters, struct strata_span text) {
    size_t at = 0;
    text = strata_text_undress(text);
    *letters = 0;
    for (;;) {
        char letter;
        if (read_letter(&letter, &at, text) == MARK_NONE) return false;
        *letters |= letter_bit(letter);
        at = skip_spaces(text, at);
        if (at == text.length) return true;
        size_t next = skip_separator(text, at);
        if (next == at) return false;
        at = next;
    }
}

/* Takes \text{...}-like wrappers out of the way: "\textbf{(B) } 12" -> "(B)  12". */
static size_t strip_commands(char *out, size_t room, struct strata_span text) {
    size_t length = 0;
    for (size_t i = 0; i < text.length && length + 1 < room;) {
        if (text.data[i] == '\\' && i + 1 < text.length && strata_is_letter(text.data[i + 1])) {
            size_t end = i + 1;
            while (end < text.length && strata_is_letter(text.data[end])) end++;
            if (end < text.length && text.data[end] == '{') {
                i = end + 1;
                continue;
            }
            out[length++] = '\\'; /* a symbol: keeps "B\pi" from looking like a bare letter */
            i = end;
            continue;
        }
        char c = text.data[i++];
        if (c == '{' || c == '}' || c == '$' || c == '*') continue;
        out[length++] = c;
    }
    return length;
}

uint32_t strata_choice_find(struct strata_span text, bool prose) {
    char plain[256];
    uint32_t letters;
    if (strata_choice_gold(&letters, text)) return letters;
    struct strata_span clean = {plain, strip_commands(plain, sizeof plain, strata_text_undress(text))};
    clean = strata_span_trim(clean);
    if (strata_choice_gold(&letters, clean)) return letters;
    size_t at = 0;
    char letter;
    enum mark mark = read_letter(&letter, &at, clean);
    if (mark > MARK_BARE) return letter_bit(letter); /* the letter, then the option's content */
    if (!prose) return 0;
    /* "The answer is B", "Answer: (B)", the last such phrase */
    for (size_t from = text.length; from > 0;) {
        size_t lower = strata_span_find_last(text, "nswer", from);
        if (lower == STRATA_NOT_FOUND) break;
        size_t i = lower + 5;
        while (i < text.length && (text.data[i] == '*' || text.data[i] == ':' || strata_is_space(text.data[i]))) i++;
        if (strata_span_at_nocase(text, i, "is")) i += 2;
        while (i < text.length && (text.data[i] == '*' || text.data[i] == ':' || strata_is_space(text.data[i]))) i++;
        struct strata_span rest = strata_span_sub(text, i, text.length);
        size_t place = 0;
        mark = read_letter(&letter, &place, rest);
        /* a bare lower-case "a" is an article */
        if (mark > MARK_BARE || (mark == MARK_BARE && letter <= 'Z')) return letter_bit(letter);
        from = lower;
    }
    return 0;
}

int strata_yes_no(struct strata_span text, bool loose) {
    text = strata_text_undress(text);
    size_t end = 0;
    while (end < text.length && strata_is_letter(text.data[end])) end++;
    if (end < text.length && !(loose && strchr(",.;!: \n", text.data[end]))) return -1;
    struct strata_span word = strata_span_sub(text, 0, end);
    if (strata_span_is_nocase(word, "yes") || strata_span_is_nocase(word, "true")) return 1;
    if (strata_span_is_nocase(word, "no") || strata_span_is_nocase(word, "false")) return 0;
    return -1;
}

int strata_choice_count(struct strata_span question) {
    int best = 0, run = 0;
    for (size_t i = 0; i + 1 < question.length; i++) {
        char before = i ? question.data[i - 1] : '\n', letter = question.data[i], after = question.data[i + 1];
        bool starts = strata_is_space(before) || before == '(';
        bool ends = after == ')' || ((after == '.' || after == ':') && before != '(');
        if (!starts || !ends) continue;
        if (letter == 'A')
            run = 1;
        else if (run && letter == 'A' + run)
            run++;
        else
            continue;
        if (run > best) best = run;
    }
    return best >= 2 ? best : 0;
}
