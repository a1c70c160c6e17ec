/* Puzzles: the odd one out, what comes next, the missing cell of a square. */
#include "study/synth_private.h"

static void put(struct strata_synth_draw *draw, struct strata_synth_thing thing, double x, double y, double radius) {
    strata_canvas_shape(draw->canvas, thing.shape, x, y, radius, 0, strata_synth_ink(draw, thing.colour));
}

static void question_mark(struct strata_synth_draw *draw, double x, double y, double size) {
    struct strata_lettering lettering = strata_synth_lettering(draw, size);
    lettering.bold = true;
    strata_canvas_frame(draw->canvas, x - size * 0.52, y - size * 0.52, size * 1.04, size * 1.04, 0.8, draw->pen);
    strata_synth_label(draw, x, y, &lettering, "?");
}

/* Two things that share neither shape nor colour. */
static void two_things(struct strata_synth_draw *draw, struct strata_synth_thing out[2]) {
    int shapes[2], tints[2];
    strata_synth_distinct(draw, shapes, 2, strata_synth_shapes(draw));
    strata_synth_distinct(draw, tints, 2, STRATA_SYNTH_COLOURS);
    for (int i = 0; i < 2; i++) out[i] = (struct strata_synth_thing){(enum strata_shape)shapes[i], tints[i]};
}

static void odd_one(struct strata_synth_draw *draw) {
    struct strata_synth_thing things[2];
    two_things(draw, things);
    int odd = strata_synth_pick(draw, 0, 3);
    for (int i = 0; i < 4; i++) {
        const int column = i % 2, row = i / 2;
        double x = 27 + 46 * column + strata_synth_real(draw, -1, 1), y = 27 + 46 * row;
        put(draw, things[i == odd], x, y, strata_synth_real(draw, 17, 19));
    }
    draw->task = "odd-one";
    strata_buffer_text(draw->question, "Which one does not belong?");
    strata_buffer_text(draw->thought, "3 ");
    strata_synth_thing_name(draw->thought, things[0]);
    strata_synth_thing_name(draw->answer, things[1]);
}

static void alternation(struct strata_synth_draw *draw) {
    struct strata_synth_thing things[2];
    two_things(draw, things);
    int shown = strata_synth_pick(draw, 4, 5);
    for (int i = 0; i < shown; i++) {
        const int column = i % 3, row = i / 3;
        double x = 18 + 32 * column, y = 30 + 40 * row;
        put(draw, things[i % 2], x, y, 12);
        strata_buffer_printf(draw->thought, "%s%s", i ? " " : "", strata_synth_colour_name(things[i % 2].colour));
    }
    const int column = shown % 3, row = shown / 3;
    question_mark(draw, 18 + 32 * column, 30 + 40 * row, 22);
    draw->task = "alternation";
    strata_buffer_text(draw->question, "What belongs at the question mark?");
    strata_synth_thing_name(draw->answer, things[shown % 2]);
}

/* Boxes with growing numbers of dots. */
static void progression(struct strata_synth_draw *draw) {
    int step = strata_synth_pick(draw, 1, 2), start = strata_synth_pick(draw, 1, 9 - 3 * step);
    int colour = strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1);
    struct strata_ink ink = strata_synth_ink(draw, colour);
    for (int box = 0; box < 4; box++) {
        const int across = box % 2, down = box / 2;
        double left = 5 + 47 * across, top = 5 + 47 * down;
        strata_canvas_frame(draw->canvas, left, top, 43, 43, 1, draw->pen);
        if (box == 3) {
            struct strata_lettering lettering = strata_synth_lettering(draw, 30);
            lettering.bold = true;
            strata_synth_label(draw, left + 21.5, top + 21.5, &lettering, "?");
            break;
        }
        int dots = start + box * step;
        for (int i = 0; i < dots; i++) {
            const int column = i % 3, row = i / 3;
            strata_canvas_disc(draw->canvas, left + 9 + 12.5 * column, top + 9 + 12.5 * row, 4.6, 0, ink);
        }
        strata_buffer_printf(draw->thought, "%s%d", box ? " " : "", dots);
    }
    draw->task = "progression";
    strata_buffer_text(draw->question, "How many dots belong at the question mark?");
    strata_buffer_printf(draw->answer, "%d", start + 3 * step);
}

/* A square of three by three. Level 4: rows have a shape, columns a colour. Level 5: shapes and colours move along
 * diagonals, so that each stands once in every row and column. */
static void square(struct strata_synth_draw *draw) {
    int shapes[3], tints[3], missing = strata_synth_pick(draw, 0, 8), turn = strata_synth_pick(draw, 1, 2);
    struct strata_synth_thing answer = {0};
    strata_synth_distinct(draw, shapes, 3, STRATA_SHAPES);
    strata_synth_distinct(draw, tints, 3, STRATA_SYNTH_COLOURS);
    for (int cell = 0; cell < 9; cell++) {
        int row = cell / 3, column = cell % 3;
        int shape = draw->level == 4 ? row : (row + column) % 3,
            tint = draw->level == 4 ? column : (turn * row + column) % 3;
        struct strata_synth_thing thing = {(enum strata_shape)shapes[shape], tints[tint]};
        double x = 19 + 31 * column, y = 19 + 31 * row;
        if (cell == missing) {
            question_mark(draw, x, y, 20);
            answer = thing;
        } else {
            put(draw, thing, x, y, 11);
        }
    }
    draw->task = draw->level == 4 ? "rows-columns" : "latin-square";
    strata_buffer_text(draw->question, "What belongs at the question mark?");
    strata_buffer_printf(draw->thought, "row %d, column %d", missing / 3 + 1, missing % 3 + 1);
    strata_synth_thing_name(draw->answer, answer);
}

void strata_synth_puzzle(struct strata_synth_draw *draw) {
    switch (draw->level) {
    case 1:
        odd_one(draw);
        break;
    case 2:
        alternation(draw);
        break;
    case 3:
        progression(draw);
        break;
    default:
        square(draw);
    }
}
