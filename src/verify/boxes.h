/* Lists of labelled boxes: [{"bbox_2d": [x1, y1, x2, y2], "label": "dog"}, ...] in any of the shapes that models write.
 */
#ifndef STRATA_VERIFY_BOXES_H
#define STRATA_VERIFY_BOXES_H

#include "verify/arena.h"
#include "verify/span.h"
#include "verify/verify.h"

struct strata_box {
    double x1, y1, x2, y2;    /* finite; corners are not swapped for the writer */
    struct strata_span label; /* folded; empty when there is none */
};
struct strata_boxes {
    struct strata_box *items;
    size_t count;
    size_t bad; /* entries that are no box: no four finite numbers */
};
#define STRATA_BOXES_MAX 4096 /* a longer list is no answer */

/* Reads a list in JSON or Python syntax, bare, fenced or behind prose; one dict is a list of one; tuples are lists.
 * False when no list is found. Equal boxes of one label are kept once. */
bool strata_boxes_parse(struct strata_boxes *out, struct strata_arena *arena, struct strata_span text);
/* Turns the numbers into those of `to` (a no-op when from == to); STRATA_ERR_USAGE when the frame lacks a size. */
int strata_boxes_convert(struct strata_boxes *boxes, enum strata_coordinates from, enum strata_coordinates to,
                         const struct strata_box_frame *frame, struct strata_error *err);
/* Intersection over union of areas, without the +1 of old pixel conventions; 1 for equal boxes, even without area. */
double strata_box_iou(const struct strata_box *a, const struct strata_box *b);

/* A matching between gold and answer: pairs of one label in order of falling IoU (ties: gold order, then answer order),
 * each box once, IoU >= threshold. partner[i] of gold i, or STRATA_NOT_FOUND. Returns the sum of IoU. */
double strata_boxes_match(size_t *partner, const struct strata_boxes *gold, const struct strata_boxes *answer,
                          double threshold, struct strata_arena *arena);

/* V-Triune's detection reward (Ma et al. 2025, section 3): 0.7 * mean IoU over gold boxes + 0.3 * completeness, times
 * 0.6^|number of boxes - number of gold boxes|, boxes matched label first at IoU >= threshold.
 * completeness = 1 - (share of gold missed + share of answer wrong)/2. */
double strata_detection_reward(const struct strata_boxes *gold, const struct strata_boxes *answer, double threshold,
                               struct strata_arena *arena);
/* Its threshold by progress in [0,1] of the run: 0.85, from 10 % on 0.95, from 25 % on 0.99. */
double strata_detection_threshold(double progress);

#endif
