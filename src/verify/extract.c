#include "verify/extract.h"

#define MAX_BOXES    16 /* joined at most */
#define MAX_ATTEMPTS 64 /* box commands looked at, so that a flood of them costs no more than a few passes */

struct strata_span strata_after_thinking(struct strata_span completion, bool *open) {
    size_t close = strata_span_find_last(completion, "</think>", completion.length);
    size_t from = close == STRATA_NOT_FOUND ? 0 : close + strlen("</think>");
    *open = strata_span_find(completion, "<think>", from) != STRATA_NOT_FOUND;
    return strata_span_sub(completion, from, completion.length);
}

bool strata_box_content(size_t *begin, size_t *end, struct strata_span text, size_t brace) {
    size_t depth = 0;
    for (size_t i = brace; i < text.length; i++) {
        if (text.data[i] == '\\' && i + 1 < text.length) {
            i++;
        } else if (text.data[i] == '{') {
            depth++;
        } else if (text.data[i] == '}' && --depth == 0) {
            *begin = brace + 1;
            *end = i;
            return true;
        }
    }
    return false;
}

/* The place of the brace after \boxed or \fbox at `at`; STRATA_NOT_FOUND when something else follows. */
static size_t box_brace(struct strata_span text, size_t at) {
    size_t i = at + (strata_span_at(text, at, "\\boxed") ? 6 : 5);
    while (i < text.length && strata_is_space(text.data[i])) i++;
    return i < text.length && text.data[i] == '{' ? i : STRATA_NOT_FOUND;
}

static size_t last_box(struct strata_span text, size_t before) {
    size_t boxed = strata_span_find_last(text, "\\boxed", before), fbox = strata_span_find_last(text, "\\fbox", before);
    if (boxed == STRATA_NOT_FOUND) return fbox;
    return fbox == STRATA_NOT_FOUND || boxed > fbox ? boxed : fbox;
}

/* May the boxes on both sides of this text be parts of one answer? Only when nothing but separators stands there. */
static bool only_separators(struct strata_span between) {
    static const char *const allowed[] = {"and", "or",     ",", ";", "&",      "$",       "\\(", "\\)", "\\[",
                                          "\\]", "\\text", "{", "}", "\\quad", "\\qquad", "\\ ", "\\,", "*"};
    size_t i = 0;
    while (i < between.length) {
        size_t step = strata_is_space(between.data[i]) ? 1 : 0;
        for (size_t k = 0; !step && k < sizeof allowed / sizeof *allowed; k++) {
            if (strata_span_at(between, i, allowed[k])) step = strlen(allowed[k]);
        }
        if (!step) return false;
        i += step;
    }
    return true;
}

/* The last box and the neighbours that belong to it. A box in a box is the inner one. False: there is no closed box. */
static bool find_boxes(struct strata_span *out, struct strata_buffer *joined, struct strata_span text) {
    struct strata_span found[MAX_BOXES];
    size_t count = 0, limit = text.length, next = 0;
    for (int attempt = 0; attempt < MAX_ATTEMPTS && count < MAX_BOXES && limit; attempt++) {
        size_t at = last_box(text, limit), brace, begin, end;
        if (at == STRATA_NOT_FOUND) break;
        limit = at;
        brace = box_brace(text, at);
        if (brace == STRATA_NOT_FOUND || !strata_box_content(&begin, &end, text, brace)) continue;
        if (count && end > next) continue; /* it encloses the box just found */
        if (count && !only_separators(strata_span_sub(text, end + 1, next))) break;
        found[count++] = strata_span_trim(strata_span_sub(text, begin, end));
        next = at;
    }
    if (!count) return false;
    *out = found[0];
    if (count > 1) {
        for (size_t i = count; i-- > 0;) {
            bool again = false;
            for (size_t k = i + 1; k < count; k++) {
                again = again ||
                        (found[k].length == found[i].length && !memcmp(found[k].data, found[i].data, found[i].length));
            }
            if (again) continue;
            if (joined->length) strata_buffer_text(joined, ", ");
            strata_buffer_append(joined, found[i].data, found[i].length);
        }
        *out = (struct strata_span){strata_buffer_string(joined), joined->length};
    }
    return true;
}

/* The tag's content, from the last complete pair; a last <answer> that is never closed reaches to the end. */
static bool find_tag(struct strata_span *out, struct strata_span text) {
    size_t close = strata_span_find_last(text, "</answer>", text.length);
    if (close != STRATA_NOT_FOUND) {
        size_t open = strata_span_find_last(text, "<answer>", close);
        if (open != STRATA_NOT_FOUND) {
            *out = strata_span_sub(text, open + strlen("<answer>"), close);
            return true;
        }
    }
    size_t open = strata_span_find_last(text, "<answer>", text.length);
    if (open == STRATA_NOT_FOUND) return false;
    *out = strata_span_sub(text, open + strlen("<answer>"), text.length);
    return true;
}

struct strata_answer strata_extract_answer(struct strata_buffer *joined, struct strata_span completion) {
    struct strata_answer answer = {0};
    bool open;
    struct strata_span text = strata_after_thinking(completion, &open);
    strata_buffer_clear(joined);
    if (open) {
        answer.truncated = true;
        return answer;
    }
    bool tagged = find_tag(&answer.region, text);
    if (!tagged) answer.region = text;
    answer.text = strata_span_trim(answer.region);
    answer.source = tagged ? STRATA_ANSWER_TAG : STRATA_ANSWER_PROSE;
    struct strata_span box;
    if (find_boxes(&box, joined, answer.region)) {
        answer.text = box;
        answer.source = STRATA_ANSWER_BOX;
    }
    if (!answer.text.length) answer.source = STRATA_ANSWER_NONE;
    return answer;
}
