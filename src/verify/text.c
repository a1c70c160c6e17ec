#include "verify/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <utf8proc.h>

static bool is_ascii(struct strata_span text) {
    unsigned char all = 0;
    for (size_t i = 0; i < text.length; i++) all |= (unsigned char)text.data[i];
    return all < 0x80;
}

/* Length of the white space at text[0], also beyond ASCII (after NFKC only U+1680, U+2028 and U+2029 are left). */
static size_t space_length(const char *text, size_t length) {
    if (strata_is_space(text[0])) return 1;
    if (length >= 3 &&
        (!memcmp(text, "\xe2\x80\xa8", 3) || !memcmp(text, "\xe2\x80\xa9", 3) || !memcmp(text, "\xe1\x9a\x80", 3))) {
        return 3;
    }
    return 0;
}

/* U+200B..U+200D, U+2060 and U+FEFF have no width and mean nothing in an answer. */
static bool is_invisible(const char *text, size_t length) {
    if (length < 3) return false;
    const unsigned char *u = (const unsigned char *)text;
    return (u[0] == 0xe2 && u[1] == 0x80 && u[2] >= 0x8b && u[2] <= 0x8d) ||
           (u[0] == 0xe2 && u[1] == 0x81 && u[2] == 0xa0) || (u[0] == 0xef && u[1] == 0xbb && u[2] == 0xbf);
}

static void append_collapsed(struct strata_buffer *out, struct strata_span text) {
    bool gap = false, any = false;
    for (size_t i = 0; i < text.length;) {
        size_t space = space_length(text.data + i, text.length - i);
        if (space) {
            gap = true;
            i += space;
        } else if (is_invisible(text.data + i, text.length - i)) {
            i += 3;
        } else {
            if (gap && any) strata_buffer_byte(out, ' ');
            gap = false;
            any = true;
            strata_buffer_byte(out, (unsigned char)strata_lower(text.data[i++]));
        }
    }
}

void strata_text_fold(struct strata_buffer *out, struct strata_span text) {
    if (!is_ascii(text) && text.length < INT32_MAX) {
        utf8proc_uint8_t *folded = NULL;
        utf8proc_ssize_t length =
            utf8proc_map((const utf8proc_uint8_t *)text.data, (utf8proc_ssize_t)text.length, &folded,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
        if (length >= 0) {
            append_collapsed(out, (struct strata_span){(const char *)folded, (size_t)length});
            free(folded);
            return;
        }
        free(folded);
    }
    append_collapsed(out, text);
}

/* \text{X} (also with blanks before the brace) -> X, when the command spans the whole text. */
static bool unwrap_command(struct strata_span *text) {
    static const char *const commands[] = {"\\text",   "\\textbf", "\\textit", "\\textrm", "\\textnormal",  "\\mathrm",
                                           "\\mathbf", "\\mathit", "\\mathsf", "\\mbox",   "\\boxed",       "\\fbox",
                                           "\\bf",     "\\rm",     "\\texttt", "\\mathtt", "\\operatorname"};
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        if (!strata_span_at(*text, 0, commands[k])) continue;
        size_t i = strlen(commands[k]), depth = 0;
        while (i < text->length && strata_is_space(text->data[i])) i++;
        if (i >= text->length || text->data[i] != '{') continue;
        for (size_t j = i; j < text->length; j++) {
            if (text->data[j] == '{') depth++;
            if (text->data[j] == '}' && --depth == 0) {
                if (j + 1 != text->length) return false;
                *text = strata_span_trim(strata_span_sub(*text, i + 1, j));
                return true;
            }
        }
    }
    return false;
}

static bool unwrap_pair(struct strata_span *text, const char *open, const char *close) {
    size_t a = strlen(open), b = strlen(close);
    if (text->length < a + b || !strata_span_at(*text, 0, open) || !strata_span_at(*text, text->length - b, close)) {
        return false;
    }
    *text = strata_span_trim(strata_span_sub(*text, a, text->length - b));
    return true;
}

struct strata_span strata_text_undress(struct strata_span text) {
    static const char *const pairs[][2] = {{"$$", "$$"},   {"$", "$"},   {"\\(", "\\)"},
                                           {"\\[", "\\]"}, {"**", "**"}, {"\"", "\""},
                                           {"'", "'"},     {"`", "`"},   {"\xe2\x80\x9c", "\xe2\x80\x9d"},
                                           {"{", "}"},     {"``", "''"}};
    text = strata_span_trim(text);
    for (int round = 0; round < 64; round++) {
        bool changed = unwrap_command(&text);
        for (size_t k = 0; !changed && k < sizeof pairs / sizeof *pairs; k++) {
            changed = unwrap_pair(&text, pairs[k][0], pairs[k][1]);
        }
        if (!changed && text.length > 1 && text.data[text.length - 1] == '.' && text.data[text.length - 2] != '.') {
            text = strata_span_trim(strata_span_sub(text, 0, text.length - 1));
            changed = true;
        }
        if (!changed) break;
    }
    return text;
}

bool strata_text_equal(struct strata_span a, struct strata_span b) {
    a = strata_text_undress(a);
    b = strata_text_undress(b);
    if (a.length == b.length && (!a.length || !memcmp(a.data, b.data, a.length))) return true;
    struct strata_buffer left = {0}, right = {0};
    strata_text_fold(&left, a);
    strata_text_fold(&right, b);
    bool equal = !left.failed && !right.failed && left.length == right.length &&
                 (!left.length || !memcmp(left.data, right.data, left.length));
    strata_buffer_free(&left);
    strata_buffer_free(&right);
    return equal;
}

/* Code points, or bytes where the text is not UTF-8. Owned by the caller; NULL when memory is out. */
static int32_t *code_points(size_t *count, struct strata_span text) {
    int32_t *points = malloc((text.length + 1) * sizeof *points);
    *count = 0;
    for (size_t i = 0; points && i < text.length;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)text.data + i, (utf8proc_ssize_t)(text.length - i), &point);
        if (step <= 0) {
            point = 0x110000 + (unsigned char)text.data[i];
            step = 1;
        }
        points[(*count)++] = point;
        i += (size_t)step;
    }
    return points;
}

/* Levenshtein distance by rows; `row` has room for m + 1. */
static size_t edit_distance(const int32_t *a, size_t n, const int32_t *b, size_t m, uint32_t *row) {
    for (size_t j = 0; j <= m; j++) row[j] = (uint32_t)j;
    for (size_t i = 1; i <= n; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= m; j++) {
            uint32_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (diagonal + 1 < best) best = diagonal + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

double strata_text_similarity(struct strata_span a, struct strata_span b, bool *too_long) {
    size_t n, m, skip = 0;
    double score = 0;
    int32_t *left = code_points(&n, a), *right = code_points(&m, b);
    *too_long = false;
    size_t longer = n > m ? n : m;
    if (left && right) {
        while (skip < n && skip < m && left[skip] == right[skip]) skip++;
        while (n > skip && m > skip && left[n - 1] == right[m - 1]) n--, m--;
        n -= skip;
        m -= skip;
        size_t distance = longer;
        if (!n || !m) {
            distance = n + m;
        } else if ((double)n * (double)m > (double)STRATA_OCR_CELLS) {
            *too_long = true;
        } else {
            uint32_t *row = malloc((m + 1) * sizeof *row);
            if (row) distance = edit_distance(left + skip, n, right + skip, m, row);
            free(row);
        }
        score = longer ? 1 - (double)distance / (double)longer : 1;
    }
    free(left);
    free(right);
    return score < 0.5 ? 0 : score;
}
