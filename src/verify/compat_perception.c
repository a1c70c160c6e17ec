/* visual_perception_accuracy and visual_reasoning_accuracy of the paper's plugin. */
#include <math.h>
#include <stdio.h>

#include "verify/compat.h"
#include "verify/literal.h"

/* `open`...>content</answer>: the first place where all three stand; a longer tag name and attributes pass when the
 * pattern allows them (`loose`). */
static bool first_answer(struct strata_points *out, struct strata_points text, bool loose) {
    const char *open = loose ? "<answer" : "<answer>";
    for (size_t at = strata_points_find(text, open, 0); at != STRATA_NOT_FOUND;) {
        size_t begin = at + strlen(open);
        if (loose) {
            begin = strata_points_find(text, ">", begin);
            if (begin == STRATA_NOT_FOUND) return false;
            begin++;
        }
        size_t end = strata_points_find(text, "</answer>", begin);
        if (end == STRATA_NOT_FOUND) return false;
        *out = strata_points_strip(strata_points_sub(text, begin, end));
        return true;
    }
    return false;
}

/* The plugin's _extract_bbox: a list, or NULL. *raised: the original raises something it does not catch. */
static const struct strata_literal *extract_boxes(struct strata_arena *arena, struct strata_span bytes,
                                                  struct strata_points text) {
    struct strata_literal *value = strata_literal_parse(arena, bytes, STRATA_LITERAL_JSON, NULL);
    if (value && value->type == STRATA_LITERAL_LIST) return value;
    struct strata_points inner;
    if (!first_answer(&inner, text, false)) return NULL;
    value = strata_literal_parse(arena, strata_points_span(arena, inner), STRATA_LITERAL_PYTHON, NULL);
    return value && value->type == STRATA_LITERAL_LIST ? value : NULL;
}

static bool valid_boxes(const struct strata_literal *list) {
    if (!list || !list->count) return false;
    for (const struct strata_literal *box = list->first; box; box = box->next) {
        const struct strata_literal *place =
            box->type == STRATA_LITERAL_DICT ? strata_literal_get(box, "bbox_2d") : NULL;
        if (!place || place->type != STRATA_LITERAL_LIST || place->count != 4) return false;
        for (const struct strata_literal *c = place->first; c; c = c->next) {
            if (c->type < STRATA_LITERAL_BOOL || c->type > STRATA_LITERAL_REAL) return false;
        }
    }
    return true;
}

struct compat_box {
    double c[4];
    const struct strata_literal *label;
    bool used;
};

/* False where the plugin raises: a label is missing or cannot be a key. */
static bool collect(struct compat_box **out, struct strata_arena *arena, const struct strata_literal *list) {
    size_t n = 0;
    *out = strata_arena_take(arena, list->count * sizeof **out);
    for (const struct strata_literal *item = list->first; *out && item; item = item->next, n++) {
        size_t k = 0;
        for (const struct strata_literal *c = strata_literal_get(item, "bbox_2d")->first; c; c = c->next) {
            (*out)[n].c[k++] = c->number;
        }
        (*out)[n].label = strata_literal_get(item, "label");
        if (!(*out)[n].label || !strata_literal_hashable((*out)[n].label)) return false;
    }
    return *out != NULL;
}

/* Python's max and min keep the first of equals, and of anything compared with NaN. */
static double py_max(double a, double b) {
    return b > a ? b : a;
}
static double py_min(double a, double b) {
    return b < a ? b : a;
}

static double plugin_iou(const double a[4], const double b[4]) {
    double left = py_max(a[0], b[0]), top = py_max(a[1], b[1]), right = py_min(a[2], b[2]), bottom = py_min(a[3], b[3]);
    double both = py_max(0, right - left + 1) * py_max(0, bottom - top + 1);
    double area_a = (a[2] - a[0] + 1) * (a[3] - a[1] + 1), area_b = (b[2] - b[0] + 1) * (b[3] - b[1] + 1);
    double all = area_a + area_b - both;
    return all > 0 ? both / all : 0;
}

static double box_reward(struct strata_arena *arena, const struct strata_literal *gold,
                         const struct strata_literal *answer) {
    struct compat_box *golds, *answers;
    double total = 0, weight = 0;
    if (!collect(&answers, arena, answer) || !collect(&golds, arena, gold)) return 0;
    /* Sums go by label in the order of its first gold box, as the plugin adds them up. */
    for (size_t first = 0; first < gold->count; first++) {
        double label_total = 0, label_weight = 0;
        if (golds[first].used) continue;
        for (size_t i = first; i < gold->count; i++) {
            if (golds[i].used || !strata_literal_equal(golds[i].label, golds[first].label)) continue;
            golds[i].used = i != first;
            double best = 0, area = (golds[i].c[2] - golds[i].c[0]) * (golds[i].c[3] - golds[i].c[1]);
            size_t partner = STRATA_NOT_FOUND;
            for (size_t k = 0; k < answer->count; k++) {
                if (answers[k].used || !strata_literal_equal(answers[k].label, golds[first].label)) continue;
                double iou = plugin_iou(answers[k].c, golds[i].c);
                if (iou > best) {
                    best = iou;
                    partner = k;
                }
            }
            if (partner == STRATA_NOT_FOUND) continue;
            answers[partner].used = true;
            label_total += best * area;
            label_weight += area;
        }
        golds[first].used = true;
        total += label_total;
        weight += label_weight;
    }
    return weight > 0 ? total / weight : 0;
}

/* The plugin's _extract_ocr: the first run of digits, else the number that the number words make, else lower case. */
static struct strata_points extract_text(struct strata_arena *arena, struct strata_points text) {
    struct strata_points answer;
    if (!first_answer(&answer, text, true)) answer = strata_points_strip(text);
    for (size_t i = 0; i < answer.length; i++) {
        size_t end = i;
        while (end < answer.length && strata_point_digit(answer.data[end])) end++;
        if (end > i) return strata_points_sub(answer, i, end);
    }
    double number;
    if (strata_words_to_number(&number, answer)) {
        char digits[64];
        int length = snprintf(digits, sizeof digits, "%.0f", number);
        return strata_points_decode(
            arena, (struct strata_span){strata_arena_copy(arena, digits, (size_t)length), (size_t)length});
    }
    return strata_points_lower(arena, answer);
}

/* \boxed{...} up to the first closing brace, on one line; false when there is none. `blanks`: some may stand before
 * the brace. */
static bool first_box(struct strata_points *out, struct strata_points text, bool blanks) {
    for (size_t at = strata_points_find(text, "\\boxed", 0); at != STRATA_NOT_FOUND;
         at = strata_points_find(text, "\\boxed", at + 1)) {
        size_t i = at + 6;
        while (blanks && i < text.length && strata_utf8_space(text.data[i])) i++;
        if (i >= text.length || text.data[i] != '{') continue;
        size_t begin = ++i;
        while (blanks && begin < text.length && strata_utf8_space(text.data[begin])) begin++;
        size_t end = begin;
        while (end < text.length && text.data[end] != '}' && text.data[end] != '\n') end++;
        if (end == text.length) return false; /* nor does any later box close */
        size_t close = end;
        while (blanks && close < text.length && strata_utf8_space(text.data[close])) close++;
        if (close >= text.length || text.data[close] != '}') continue;
        *out = strata_points_strip(strata_points_sub(text, begin, end));
        return true;
    }
    return false;
}

/* clean_text: the first box's content, without line ends (real or written), runs of blanks as one, lower case. */
static struct strata_points clean(struct strata_arena *arena, struct strata_points text) {
    struct strata_points inner;
    if (!first_box(&inner, text, true)) inner = strata_points_strip(text);
    int32_t *out = strata_arena_take(arena, (inner.length + 1) * sizeof *out);
    int32_t *joined = strata_arena_take(arena, (inner.length + 1) * sizeof *joined);
    size_t length = 0, count = 0;
    bool gap = false;
    if (!out || !joined) return (struct strata_points){0};
    for (size_t i = 0; i < inner.length; i++) {
        if (inner.data[i] != '\n') joined[count++] = inner.data[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (joined[i] == '\\' && i + 1 < count && joined[i + 1] == 'n') {
            i++;
        } else if (strata_utf8_space(joined[i])) {
            gap = length > 0;
        } else {
            if (gap) out[length++] = ' ';
            gap = false;
            out[length++] = joined[i];
        }
    }
    return strata_points_lower(arena, (struct strata_points){out, length});
}

static void grade_text(struct strata_compat *grading, struct strata_points solution, struct strata_points completion) {
    struct strata_arena *arena = grading->arena;
    struct strata_points gold = extract_text(arena, solution), answer = extract_text(arena, completion);
    grading->kind = "ocr";
    grading->extracted = strata_points_span(arena, answer);
    if (!strata_points_strip(gold).length) {
        grading->reason = "no task type fits the gold";
        return;
    }
    if (!strata_points_strip(answer).length) {
        grading->reason = "the answer is empty";
        return;
    }
    gold = clean(arena, gold);
    answer = clean(arena, answer);
    if (strata_points_equal(gold, answer)) {
        grading->score = 1;
        grading->reason = "the same text";
    } else if (strata_points_contain(gold, answer) || strata_points_contain(answer, gold)) {
        grading->score = 1;
        grading->reason = "one is a part of the other";
    } else if (strata_sequence_half_equal(arena, answer, gold)) {
        grading->score = 1;
        grading->reason = "difflib ratio of at least 0.5";
    } else {
        grading->reason = "another text";
    }
}

void strata_compat_perception(struct strata_compat *grading) {
    struct strata_arena *arena = grading->arena;
    struct strata_points solution = strata_points_decode(arena, grading->solution);
    struct strata_points completion = strata_points_decode(arena, grading->completion);
    const struct strata_literal *gold = extract_boxes(arena, grading->solution, solution);
    if (!valid_boxes(gold)) {
        grade_text(grading, solution, completion);
        return;
    }
    const struct strata_literal *answer = extract_boxes(arena, grading->completion, completion);
    grading->kind = "box";
    if (!valid_boxes(answer)) {
        grading->reason = "no valid list of boxes in the answer";
        return;
    }
    grading->score = box_reward(arena, gold, answer);
    grading->reason = "area-weighted IoU of the matched gold boxes";
}

/* visual_reasoning_accuracy's extract_answer: the first box, else the first letter A-D or integer that stands alone. */
static struct strata_points extract_reasoning(struct strata_points text) {
    struct strata_points found;
    if (first_box(&found, text, false)) return found;
    for (size_t i = 0; i < text.length; i++) {
        if (i && strata_point_word(text.data[i - 1])) continue;
        size_t end = i;
        int32_t lower = text.data[i] < 0x80 ? strata_lower((char)text.data[i]) : 0;
        if (lower >= 'a' && lower <= 'd')
            end = i + 1;
        else
            while (end < text.length && strata_point_digit(text.data[end])) end++;
        if (end > i && (end == text.length || !strata_point_word(text.data[end])))
            return strata_points_sub(text, i, end);
    }
    return strata_points_sub(text, 0, 0);
}

void strata_compat_reasoning(struct strata_compat *grading) {
    struct strata_arena *arena = grading->arena;
    struct strata_points gold = extract_reasoning(strata_points_decode(arena, grading->solution));
    struct strata_points answer = extract_reasoning(strata_points_decode(arena, grading->completion));
    grading->kind = "word";
    grading->extracted = strata_points_span(arena, answer);
    grading->reason = !gold.length     ? "nothing found in the gold"
                      : !answer.length ? "nothing found in the answer"
                                       : "another text";
    if (gold.length && answer.length &&
        strata_points_equal(strata_points_lower(arena, gold), strata_points_lower(arena, answer))) {
        grading->score = 1;
        grading->reason = "the same text";
    }
}
