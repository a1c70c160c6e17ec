/* Content of boxes, as math_normalization.extract_boxed_content takes it. */
#include "verify/latex_steps.h"

#define MAX_BOXES 64

static size_t characters(struct strata_span text) {
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

/* The last place of word that ends at or before `to`. */
static size_t last_before(struct strata_span text, const char *word, size_t to) {
    return strata_span_find_last(text, word, to);
}

static size_t closing_brace(struct strata_span text, size_t open, size_t limit) {
    size_t depth = 1;
    for (size_t i = open + 1; i < limit; i++) {
        if (text.data[i] == '{') depth++;
        if (text.data[i] == '}' && --depth == 0) return i;
    }
    return STRATA_NOT_FOUND;
}

/* Does the box in front belong to the one behind it? Near, or with a separator between and other content. */
static bool belongs(struct strata_span text, struct strata_span content, struct strata_span next, size_t end,
                    size_t next_start) {
    static const char *const separators[] = {"and", "or", ",", ";"};
    struct strata_span between = strata_span_sub(text, end + 1, next_start);
    size_t count = characters(between);
    if (count < 10) return true;
    if (count >= 70 || (content.length == next.length && !memcmp(content.data, next.data, content.length)))
        return false;
    for (size_t k = 0; k < 4; k++) {
        if (strata_span_find(between, separators[k], 0) != STRATA_NOT_FOUND) return true;
    }
    return false;
}

void strata_latex_boxes(struct strata_buffer *out, struct strata_span text, bool last_only) {
    struct strata_span found[MAX_BOXES];
    size_t count = 0, limit = text.length, last_start = STRATA_NOT_FOUND;
    while (count < MAX_BOXES) {
        size_t boxed = last_before(text, "\\boxed", limit), fbox = last_before(text, "\\fbox", limit);
        if (boxed == STRATA_NOT_FOUND && fbox == STRATA_NOT_FOUND) break;
        bool is_boxed = fbox == STRATA_NOT_FOUND || (boxed != STRATA_NOT_FOUND && boxed > fbox);
        size_t start = is_boxed ? boxed : fbox, next = start + (is_boxed ? 6 : 5);
        while (next < limit && strata_is_space(text.data[next])) next++;
        if (next >= limit) break;
        if (text.data[next] != '{') {
            if (!count) found[count++] = strata_span_sub(text, next, text.length);
            break;
        }
        size_t close = closing_brace(text, next, limit);
        if (close == STRATA_NOT_FOUND) {
            if (!count) found[count++] = strata_span_sub(text, next, text.length);
            break;
        }
        struct strata_span content = strata_span_strip(strata_span_sub(text, next + 1, close));
        if (last_only && last_start != STRATA_NOT_FOUND && !belongs(text, content, found[count - 1], close, last_start))
            break;
        found[count++] = content;
        limit = last_start = start;
    }
    if (!count) {
        strata_buffer_append(out, text.data, text.length);
        return;
    }
    for (size_t i = count; i-- > 0;) {
        strata_buffer_append(out, found[i].data, found[i].length);
        if (i) strata_buffer_byte(out, ',');
    }
}
