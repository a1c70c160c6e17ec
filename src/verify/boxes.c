#include "verify/boxes.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "verify/grade.h"
#include "verify/literal.h"
#include "verify/text.h"

/* Below this overlap two boxes are not the same thing (PASCAL VOC's criterion). */
#define MATCH_IOU 0.5

static bool read_coordinates(double out[4], const struct strata_literal *value) {
    size_t k = 0;
    if (value->type != STRATA_LITERAL_LIST && value->type != STRATA_LITERAL_TUPLE) return false;
    for (const struct strata_literal *item = value->first; item; item = item->next) {
        if (k == 4 || (item->type != STRATA_LITERAL_INT && item->type != STRATA_LITERAL_REAL) ||
            !isfinite(item->number)) {
            return false;
        }
        out[k++] = item->number;
    }
    return k == 4;
}

/* A dict with coordinates under one of the usual names, or four bare numbers. */
static bool read_box(struct strata_box *out, struct strata_arena *arena, const struct strata_literal *value) {
    static const char *const names[] = {"bbox_2d", "bbox", "box_2d", "box"};
    double c[4];
    const struct strata_literal *place = value->type == STRATA_LITERAL_DICT ? NULL : value, *label = NULL;
    if (value->type == STRATA_LITERAL_DICT) {
        for (size_t k = 0; !place && k < sizeof names / sizeof *names; k++) place = strata_literal_get(value, names[k]);
        label = strata_literal_get(value, "label");
    }
    if (!place || !read_coordinates(c, place)) return false;
    *out = (struct strata_box){.x1 = c[0], .y1 = c[1], .x2 = c[2], .y2 = c[3], .label = {"", 0}};
    if (label && label->type == STRATA_LITERAL_STRING) {
        struct strata_buffer folded = {0};
        strata_text_fold(&folded, label->text);
        char *copy = strata_arena_copy(arena, strata_buffer_string(&folded), folded.length);
        if (copy) out->label = (struct strata_span){copy, folded.length};
        strata_buffer_free(&folded);
    }
    return true;
}

static bool same_label(const struct strata_box *a, const struct strata_box *b) {
    return a->label.length == b->label.length && !memcmp(a->label.data, b->label.data, a->label.length);
}
static bool same_box(const struct strata_box *a, const struct strata_box *b) {
    return a->x1 == b->x1 && a->y1 == b->y1 && a->x2 == b->x2 && a->y2 == b->y2 && same_label(a, b);
}

/* The first place where a list or dict parses. */
static struct strata_literal *find_list(struct strata_arena *arena, struct strata_span text) {
    size_t end;
    struct strata_literal *value = strata_literal_parse(arena, text, STRATA_LITERAL_LENIENT, NULL);
    if (value) return value;
    int attempts = 0;
    for (size_t i = 0; i < text.length && attempts < 8; i++) {
        if (text.data[i] != '[' && text.data[i] != '{') continue;
        attempts++;
        struct strata_span rest = strata_span_sub(text, i, text.length);
        value = strata_literal_parse(arena, rest, STRATA_LITERAL_LENIENT, &end);
        if (value) return value;
    }
    return NULL;
}

bool strata_boxes_parse(struct strata_boxes *out, struct strata_arena *arena, struct strata_span text) {
    struct strata_literal *list = find_list(arena, text);
    *out = (struct strata_boxes){0};
    if (!list || (list->type != STRATA_LITERAL_LIST && list->type != STRATA_LITERAL_TUPLE &&
                  list->type != STRATA_LITERAL_DICT)) {
        return false;
    }
    struct strata_literal single = *list;
    struct strata_literal around = {.type = STRATA_LITERAL_LIST, .first = &single, .count = 1};
    struct strata_box box;
    if (list->type == STRATA_LITERAL_DICT || read_coordinates((double[4]){0}, list)) { /* one box */
        single.next = NULL;
        list = &around;
    }
    if (list->count > STRATA_BOXES_MAX) return false;
    out->items = strata_arena_take(arena, list->count * sizeof *out->items);
    for (const struct strata_literal *item = list->first; item && out->items; item = item->next) {
        if (!read_box(&box, arena, item)) {
            out->bad++;
            continue;
        }
        bool again = false;
        for (size_t k = 0; k < out->count && !again; k++) again = same_box(&out->items[k], &box);
        if (!again) out->items[out->count++] = box;
    }
    return out->items != NULL;
}

/* Pixels of one unit, per axis. */
static int unit_scale(double scale[2], enum strata_coordinates unit, const struct strata_box_frame *frame,
                      struct strata_error *err) {
    const double width = frame->width, height = frame->height;
    scale[0] = scale[1] = 1;
    if (unit == STRATA_COORDINATES_RELATIVE) {
        scale[0] = 1.0 / 1000; /* everything is turned into shares of the image */
        scale[1] = 1.0 / 1000;
    } else if (unit == STRATA_COORDINATES_ORIGINAL || unit == STRATA_COORDINATES_RESIZED) {
        double w = unit == STRATA_COORDINATES_ORIGINAL ? width : frame->resized_width;
        double h = unit == STRATA_COORDINATES_ORIGINAL ? height : frame->resized_height;
        if (!(w > 0) || !(h > 0)) {
            strata_fail(err, STRATA_ERR_USAGE, "boxes in pixels need the size of the %s image",
                        unit == STRATA_COORDINATES_ORIGINAL ? "original" : "resized");
            return strata_fail_hint(err, STRATA_ERR_USAGE,
                                    "give the size, or say that the boxes are relative (0 to 1000)");
        }
        scale[0] = 1 / w;
        scale[1] = 1 / h;
    }
    return 0;
}

int strata_boxes_convert(struct strata_boxes *boxes, enum strata_coordinates from, enum strata_coordinates to,
                         const struct strata_box_frame *frame, struct strata_error *err) {
    double have[2], want[2];
    if (from == to) return 0;
    if (from == STRATA_COORDINATES_SAME || to == STRATA_COORDINATES_SAME) {
        return strata_fail(err, STRATA_ERR_USAGE, "coordinates are known for one side only: name both, or neither");
    }
    int rc = unit_scale(have, from, frame, err);
    if (!rc) rc = unit_scale(want, to, frame, err);
    for (size_t i = 0; !rc && i < boxes->count; i++) {
        struct strata_box *box = &boxes->items[i];
        box->x1 = box->x1 * have[0] / want[0];
        box->x2 = box->x2 * have[0] / want[0];
        box->y1 = box->y1 * have[1] / want[1];
        box->y2 = box->y2 * have[1] / want[1];
    }
    return rc;
}

double strata_box_iou(const struct strata_box *a, const struct strata_box *b) {
    if (a->x1 == b->x1 && a->y1 == b->y1 && a->x2 == b->x2 && a->y2 == b->y2) return 1;
    double left = a->x1 > b->x1 ? a->x1 : b->x1, top = a->y1 > b->y1 ? a->y1 : b->y1;
    double right = a->x2 < b->x2 ? a->x2 : b->x2, bottom = a->y2 < b->y2 ? a->y2 : b->y2;
    if (right <= left || bottom <= top) return 0;
    double both = (right - left) * (bottom - top);
    double all = (a->x2 - a->x1) * (a->y2 - a->y1) + (b->x2 - b->x1) * (b->y2 - b->y1) - both;
    return all > 0 && isfinite(all) ? both / all : 0;
}

struct pair {
    double iou;
    uint32_t gold, answer;
};
static int falling_iou(const void *left, const void *right) {
    const struct pair *a = left, *b = right;
    if (a->iou != b->iou) return a->iou > b->iou ? -1 : 1;
    if (a->gold != b->gold) return a->gold < b->gold ? -1 : 1;
    return a->answer < b->answer ? -1 : a->answer > b->answer;
}

double strata_boxes_match(size_t *partner, const struct strata_boxes *gold, const struct strata_boxes *answer,
                          double threshold, struct strata_arena *arena) {
    double total = 0;
    size_t count = 0, room = gold->count * answer->count;
    for (size_t i = 0; i < gold->count; i++) partner[i] = STRATA_NOT_FOUND;
    if (room > (size_t)1 << 21) return 0; /* thousands against thousands: no answer to a question */
    struct pair *pairs = strata_arena_take(arena, room * sizeof *pairs);
    bool *used = strata_arena_take(arena, answer->count);
    if (!pairs || !used) return 0;
    for (size_t i = 0; i < gold->count; i++) {
        for (size_t k = 0; k < answer->count; k++) {
            if (!same_label(&gold->items[i], &answer->items[k])) continue;
            double iou = strata_box_iou(&gold->items[i], &answer->items[k]);
            if (iou > 0 && iou >= threshold) pairs[count++] = (struct pair){iou, (uint32_t)i, (uint32_t)k};
        }
    }
    qsort(pairs, count, sizeof *pairs, falling_iou);
    for (size_t n = 0; n < count; n++) {
        if (partner[pairs[n].gold] != STRATA_NOT_FOUND || used[pairs[n].answer]) continue;
        partner[pairs[n].gold] = pairs[n].answer;
        used[pairs[n].answer] = true;
        total += pairs[n].iou;
    }
    return total;
}

double strata_detection_threshold(double progress) {
    return progress < 0.10 ? 0.85 : progress < 0.25 ? 0.95 : 0.99;
}

double strata_detection_reward(const struct strata_boxes *gold, const struct strata_boxes *answer, double threshold,
                               struct strata_arena *arena) {
    if (!gold->count || !answer->count) return 0;
    size_t *partner = strata_arena_take(arena, gold->count * sizeof *partner), matched = 0;
    if (!partner) return 0;
    double total = strata_boxes_match(partner, gold, answer, threshold, arena);
    for (size_t i = 0; i < gold->count; i++) matched += partner[i] != STRATA_NOT_FOUND;
    double missed = 1 - (double)matched / (double)gold->count, wrong = 1 - (double)matched / (double)answer->count;
    double reward = 0.7 * total / (double)gold->count + 0.3 * (1 - (missed + wrong) / 2);
    size_t off = gold->count > answer->count ? gold->count - answer->count : answer->count - gold->count;
    for (size_t i = 0; i < off && reward > 1e-12; i++) reward *= 0.6;
    return reward;
}

static int parse_gold(struct strata_boxes *gold, struct strata_arena *arena, struct strata_span text,
                      struct strata_error *err) {
    if (!strata_boxes_parse(gold, arena, text)) {
        return strata_fail(err, STRATA_ERR_INPUT, "the gold answer is no list of boxes");
    }
    if (gold->bad || !gold->count) {
        return strata_fail(err, STRATA_ERR_INPUT, "%zu of the gold entries are no box of four numbers",
                           gold->bad ? gold->bad : 0);
    }
    return 0;
}

/* Strict: F1 over IoU, 2 * sum of IoU / (gold boxes + answer boxes): 1 only when every box is there and none too many.
 */
static int grade(struct strata_grading *grading, struct strata_arena *arena, struct strata_error *err) {
    struct strata_boxes gold, answer;
    const struct strata_box_frame *frame = &grading->input->frame;
    struct strata_verdict *verdict = grading->verdict;
    int rc = parse_gold(&gold, arena, grading->gold, err);
    if (rc) return rc;
    if (!strata_boxes_parse(&answer, arena, grading->answer.text) || !answer.count) {
        strata_buffer_text(&verdict->reason, "no list of boxes in the answer");
        return 0;
    }
    rc = strata_boxes_convert(&answer, frame->answer, frame->gold, frame, err);
    if (rc) return rc;
    size_t *partner = strata_arena_take(arena, gold.count * sizeof *partner), matched = 0;
    double total = partner ? strata_boxes_match(partner, &gold, &answer, MATCH_IOU, arena) : 0;
    if (!partner || arena->failed) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory while matching boxes");
    for (size_t i = 0; i < gold.count; i++) {
        matched += partner[i] != STRATA_NOT_FOUND;
        strata_grading_step(grading->input, "gold box %zu \"%.*s\": %s", i, (int)gold.items[i].label.length,
                            gold.items[i].label.data, partner[i] == STRATA_NOT_FOUND ? "missed" : "found");
    }
    verdict->score = 2 * total / (double)(gold.count + answer.count + answer.bad);
    strata_buffer_printf(&verdict->reason, "%zu of %zu boxes found, %zu given", matched, gold.count,
                         answer.count + answer.bad);
    return 0;
}

int strata_grade_boxes(struct strata_grading *grading, struct strata_error *err) {
    struct strata_arena arena;
    strata_arena_init(&arena);
    int rc = grade(grading, &arena, err);
    strata_arena_free(&arena);
    return rc;
}

int strata_check_box_gold(struct strata_span gold, struct strata_error *err) {
    struct strata_arena arena;
    struct strata_boxes boxes;
    strata_arena_init(&arena);
    int rc = parse_gold(&boxes, &arena, gold, err);
    for (size_t i = 0; !rc && i < boxes.count; i++) {
        const struct strata_box *box = &boxes.items[i];
        if (box->x2 < box->x1 || box->y2 < box->y1) {
            rc = strata_fail(err, STRATA_ERR_INPUT, "gold box %zu has its corners swapped", i);
        }
    }
    strata_arena_free(&arena);
    return rc;
}
