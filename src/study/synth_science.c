/* Diagrams as in a science book: a thermometer, a measuring cylinder, a balance, a ruler, an electric circuit. */
#include "study/synth_private.h"

static const struct strata_ink white = {252, 252, 252}, steel = {150, 155, 165}, wood = {225, 190, 130};

static void thermometer(struct strata_synth_draw *draw) {
    int value = 10 * strata_synth_pick(draw, 0, 5), colour = strata_synth_pick(draw, 0, 1) ? 0 : 4;
    double x = 45 + strata_synth_real(draw, -15, 15) * strata_synth_room(draw), top = 8, bottom = 76;
    struct strata_ink ink = strata_synth_ink(draw, colour);
    struct strata_lettering lettering = strata_synth_lettering(draw, 12);
    lettering.bold = true;
    lettering.align = 0;
    strata_canvas_rectangle(draw->canvas, x - 5, top - 3, 10, bottom - top + 8, white);
    strata_canvas_frame(draw->canvas, x - 5, top - 3, 10, bottom - top + 8, 1, draw->pen);
    double level = bottom - (bottom - top) * value / 50;
    strata_canvas_rectangle(draw->canvas, x - 3, level, 6, 86 - level, ink);
    strata_canvas_disc(draw->canvas, x, 87, 9, 0, ink);
    for (int mark = 0; mark <= 50; mark += 10) {
        double y = bottom - (bottom - top) * mark / 50;
        strata_canvas_segment(draw->canvas, x + 5, y, x + 10, y, 1, draw->pen);
        strata_synth_label(draw, x + 12, y, &lettering, "%d", mark);
    }
    draw->task = "thermometer";
    strata_buffer_text(draw->question, "What is the temperature?");
    strata_buffer_printf(draw->thought, "%s thermometer", strata_synth_colour_name(colour));
    strata_buffer_printf(draw->answer, "%d", value);
}

static void cylinder(struct strata_synth_draw *draw) {
    int value = 5 * strata_synth_pick(draw, 1, 19), colour = strata_synth_pick(draw, 0, 5);
    double x = 31 + strata_synth_real(draw, -9, 9) * strata_synth_room(draw), top = 10, bottom = 90, width = 32;
    struct strata_lettering lettering = strata_synth_lettering(draw, 12);
    lettering.bold = true;
    lettering.align = 0;
    double level = bottom - (bottom - top) * value / 100;
    strata_canvas_rectangle(draw->canvas, x - width / 2, 4, width, bottom - 4, white);
    strata_canvas_rectangle(draw->canvas, x - width / 2, level, width, bottom - level, strata_synth_ink(draw, colour));
    strata_canvas_frame(draw->canvas, x - width / 2, 4, width, bottom - 4, 1.4, draw->pen);
    strata_canvas_segment(draw->canvas, x - width / 2 - 6, bottom, x + width / 2 + 6, bottom, 2.5, draw->pen);
    for (int mark = 0; mark <= 100; mark += 10) {
        double y = bottom - (bottom - top) * mark / 100, length = mark % 20 ? 5 : 9;
        strata_canvas_segment(draw->canvas, x + width / 2 - length, y, x + width / 2, y, 1, draw->pen);
        if (mark % 20 == 0) strata_synth_label(draw, x + width / 2 + 4, y, &lettering, "%d", mark);
    }
    draw->task = "cylinder";
    strata_buffer_text(draw->question, "How many ml are in it?");
    strata_buffer_printf(draw->thought, "%s, between %d and %d", strata_synth_colour_name(colour), value / 20 * 20,
                         value / 20 * 20 + 20);
    strata_buffer_printf(draw->answer, "%d", value);
}

static void weight(struct strata_synth_draw *draw, double x, double bottom, int kilos, int colour) {
    struct strata_lettering lettering = strata_synth_lettering(draw, 13);
    double side = 17;
    lettering.bold = true;
    lettering.ink = white;
    strata_canvas_rectangle(draw->canvas, x - side / 2, bottom - side, side, side, strata_synth_ink(draw, colour));
    strata_synth_label(draw, x, bottom - side / 2, &lettering, "%d", kilos);
}

/* In balance: what does the box with the question mark weigh? */
static void balance(struct strata_synth_draw *draw) {
    static const int dark[] = {0, 3, 4, 5, 6, 7};
    int a = strata_synth_pick(draw, 2, 9), b = strata_synth_pick(draw, 1, 9), c = strata_synth_pick(draw, 1, a + b - 1);
    if (c > 9) c = strata_synth_pick(draw, 1, 9);
    const double foot[] = {50, 82, 66, 94, 34, 94};
    strata_canvas_polygon(draw->canvas, foot, 3, strata_synth_ink(draw, 6));
    strata_canvas_segment(draw->canvas, 50, 14, 50, 86, 3, draw->pen);
    strata_canvas_segment(draw->canvas, 24, 16, 76, 16, 3, draw->pen);
    for (int side = 0; side < 2; side++) {
        double middle = side ? 76 : 24;
        const double strings[] = {middle - 21, 58, middle, 16, middle + 21, 58};
        strata_canvas_line(draw->canvas, strings, 3, 1, steel);
        strata_canvas_segment(draw->canvas, middle - 22, 58, middle + 22, 58, 3, draw->pen);
    }
    weight(draw, 14, 56, a, dark[strata_synth_pick(draw, 0, 5)]);
    weight(draw, 34, 56, b, dark[strata_synth_pick(draw, 0, 5)]);
    weight(draw, 66, 56, c, dark[strata_synth_pick(draw, 0, 5)]);
    struct strata_lettering lettering = strata_synth_lettering(draw, 14);
    lettering.bold = true;
    strata_canvas_rectangle(draw->canvas, 77.5, 39, 17, 17, white);
    strata_canvas_frame(draw->canvas, 77.5, 39, 17, 17, 1, draw->pen);
    strata_synth_label(draw, 86, 47.5, &lettering, "?");
    draw->task = "balance";
    strata_buffer_text(draw->question, "How heavy is the box with the question mark?");
    strata_buffer_printf(draw->thought, "%d + %d - %d", a, b, c);
    strata_buffer_printf(draw->answer, "%d", a + b - c);
}

static void ruler(struct strata_synth_draw *draw) {
    const double left = 6, cm = 8.5, top = 58;
    int start = strata_synth_pick(draw, 0, 5), end = strata_synth_pick(draw, start + 1, 10);
    int colour = strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1);
    strata_canvas_rectangle(draw->canvas, 2, top, 96, 30, wood);
    strata_canvas_frame(draw->canvas, 2, top, 96, 30, 0.8, draw->pen);
    struct strata_lettering lettering = strata_synth_lettering(draw, 10);
    lettering.bold = true;
    for (int mark = 0; mark <= 10; mark++) {
        strata_canvas_segment(draw->canvas, left + mark * cm, top, left + mark * cm, top + 8, 1, draw->pen);
        strata_canvas_segment(draw->canvas, left + (mark - 0.5) * cm, top, left + (mark - 0.5) * cm, top + 4, 0.6,
                              draw->pen);
        strata_synth_label(draw, left + mark * cm, top + 16, &lettering, "%d", mark);
    }
    double height = strata_synth_real(draw, 12, 24);
    strata_canvas_rectangle(draw->canvas, left + start * cm, top - height - 3, (end - start) * cm, height,
                            strata_synth_ink(draw, colour));
    draw->task = "ruler";
    strata_buffer_printf(draw->question, "How many cm long is the %s bar?", strata_synth_colour_name(colour));
    strata_buffer_printf(draw->thought, "from %d to %d", start, end);
    strata_buffer_printf(draw->answer, "%d", end - start);
}

static void resistor(struct strata_synth_draw *draw, double x, double y, int ohms) {
    struct strata_lettering lettering = strata_synth_lettering(draw, 13);
    lettering.bold = true;
    strata_canvas_rectangle(draw->canvas, x - 13, y - 8, 26, 16, white);
    strata_canvas_frame(draw->canvas, x - 13, y - 8, 26, 16, 1.4, draw->pen);
    strata_synth_label(draw, x, y, &lettering, "%dΩ", ohms);
}

/* A battery and two resistors in a row. */
static void circuit(struct strata_synth_draw *draw) {
    int a = strata_synth_pick(draw, 1, 4), b = strata_synth_pick(draw, 1, 4), current = strata_synth_pick(draw, 1, 5);
    struct strata_lettering lettering = strata_synth_lettering(draw, 15);
    lettering.bold = true;
    strata_canvas_frame(draw->canvas, 12, 22, 76, 52, 1.6, draw->pen);
    resistor(draw, 32, 22, a);
    resistor(draw, 68, 22, b);
    strata_canvas_rectangle(draw->canvas, 44, 66, 12, 16, draw->paper);
    strata_canvas_segment(draw->canvas, 45, 64, 45, 84, 1.6, draw->pen);
    strata_canvas_segment(draw->canvas, 55, 69, 55, 79, 3.2, draw->pen);
    strata_synth_label(draw, 50, 92, &lettering, "%d V", current * (a + b));
    strata_canvas_disc(draw->canvas, 88, 48, 8, 0, steel);
    strata_canvas_disc(draw->canvas, 88, 48, 8, 1.4, draw->pen);
    lettering.size = 12;
    strata_synth_label(draw, 88, 48, &lettering, "A");
    draw->task = "circuit";
    strata_buffer_text(draw->question, "How many ampere flow?");
    strata_buffer_printf(draw->thought, "%d V, %d + %d Ω", current * (a + b), a, b);
    strata_buffer_printf(draw->answer, "%d", current);
}

void strata_synth_science(struct strata_synth_draw *draw) {
    switch (draw->level) {
    case 1:
        thermometer(draw);
        break;
    case 2:
        cylinder(draw);
        break;
    case 3:
        balance(draw);
        break;
    case 4:
        ruler(draw);
        break;
    default:
        circuit(draw);
    }
}
