/* Charts: bars, a line, a pie. From naming the highest bar to reckoning with values read off an axis. */
#include "study/synth_private.h"

#define LEFT   18.0
#define BOTTOM 88.0
#define TOP    8.0
#define RIGHT  97.0
#define MOST   4

static double height_of(int value, int top) {
    return BOTTOM - (BOTTOM - TOP) * value / top;
}

/* Axes with a grid line and a number every `step`. */
static void axes(struct strata_synth_draw *draw, int top, int step) {
    const struct strata_ink grid = {200, 200, 200};
    struct strata_lettering lettering = strata_synth_lettering(draw, 11);
    lettering.align = 1;
    lettering.bold = true;
    for (int value = 0; value <= top; value += step) {
        double y = height_of(value, top);
        strata_canvas_segment(draw->canvas, LEFT, y, RIGHT, y, 0.7, grid);
        strata_synth_label(draw, LEFT - 2, y, &lettering, "%d", value);
    }
    strata_canvas_segment(draw->canvas, LEFT, TOP, LEFT, BOTTOM, 1.2, draw->pen);
    strata_canvas_segment(draw->canvas, LEFT, BOTTOM, RIGHT, BOTTOM, 1.2, draw->pen);
}

struct bars {
    int count;
    int values[MOST], colours[MOST];
};

static void pick_bars(struct strata_synth_draw *draw, struct bars *bars, int count, int top) {
    bars->count = count;
    strata_synth_distinct(draw, bars->values, count, top);
    strata_synth_distinct(draw, bars->colours, count, STRATA_SYNTH_COLOURS);
    for (int i = 0; i < count; i++) bars->values[i]++;
}

static void draw_bars(struct strata_synth_draw *draw, const struct bars *bars, int top, bool numbers) {
    double slot = (RIGHT - LEFT - 2) / bars->count, width = slot * strata_synth_real(draw, 0.6, 0.8);
    struct strata_lettering lettering = strata_synth_lettering(draw, 15);
    lettering.bold = true;
    for (int i = 0; i < bars->count; i++) {
        double x = LEFT + 2 + slot * (i + 0.5), y = height_of(bars->values[i], top);
        strata_canvas_rectangle(draw->canvas, x - width / 2, y, width, BOTTOM - y,
                                strata_synth_ink(draw, bars->colours[i]));
        if (numbers) strata_synth_label(draw, x, y - 7.5, &lettering, "%d", bars->values[i]);
    }
}

static void think_bars(struct strata_synth_draw *draw, const struct bars *bars) {
    for (int i = 0; i < bars->count; i++)
        strata_buffer_printf(draw->thought, "%s%s %d", i ? ", " : "", strata_synth_colour_name(bars->colours[i]),
                             bars->values[i]);
}

static void line_question(struct strata_synth_draw *draw) {
    enum { POINTS = 5 };
    double points[2 * POINTS];
    int colour = strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1), low = 10, high = 0;
    struct strata_ink ink = strata_synth_ink(draw, colour);
    axes(draw, 10, 2);
    for (int i = 0; i < POINTS; i++) {
        int value = strata_synth_pick(draw, 1, 10);
        points[2 * i] = LEFT + 8 + i * (RIGHT - LEFT - 14) / (POINTS - 1);
        points[2 * i + 1] = height_of(value, 10);
        low = value < low ? value : low;
        high = value > high ? value : high;
        strata_buffer_printf(draw->thought, "%s%d", i ? " " : "", value);
    }
    strata_canvas_line(draw->canvas, points, POINTS, 2, ink);
    for (int i = 0; i < POINTS; i++) strata_canvas_disc(draw->canvas, points[2 * i], points[2 * i + 1], 3, 0, ink);
    draw->task = "line-range";
    strata_buffer_text(draw->question, "What is the highest value minus the lowest?");
    strata_buffer_printf(draw->answer, "%d", high - low);
}

void strata_synth_chart(struct strata_synth_draw *draw) {
    struct bars bars = {0};
    switch (draw->level) {
    case 1: {
        pick_bars(draw, &bars, 3, 9);
        axes(draw, 10, 5);
        draw_bars(draw, &bars, 10, false);
        int best = 0;
        for (int i = 1; i < bars.count; i++) best = bars.values[i] > bars.values[best] ? i : best;
        draw->task = "highest";
        strata_buffer_text(draw->question, "Which colour is the highest bar?");
        for (int i = 0; i < bars.count; i++)
            strata_buffer_printf(draw->thought, "%s%s", i ? ", " : "", strata_synth_colour_name(bars.colours[i]));
        strata_buffer_text(draw->answer, strata_synth_colour_name(bars.colours[best]));
        break;
    }
    case 2:
    case 3: {
        pick_bars(draw, &bars, draw->level == 2 ? 3 : 4, 9);
        axes(draw, 10, 2);
        draw_bars(draw, &bars, 10, draw->level == 2);
        int asked = strata_synth_pick(draw, 0, bars.count - 1);
        draw->task = draw->level == 2 ? "value-written" : "value";
        strata_buffer_printf(draw->question, "What is the value of the %s bar?",
                             strata_synth_colour_name(bars.colours[asked]));
        think_bars(draw, &bars);
        strata_buffer_printf(draw->answer, "%d", bars.values[asked]);
        break;
    }
    case 4: {
        pick_bars(draw, &bars, 4, 10);
        axes(draw, 10, 2);
        draw_bars(draw, &bars, 10, false);
        int pair[2];
        strata_synth_distinct(draw, pair, 2, bars.count);
        int more = bars.values[pair[0]] > bars.values[pair[1]] ? pair[0] : pair[1], less = pair[0] + pair[1] - more;
        draw->task = "difference";
        strata_buffer_printf(draw->question, "How much more is %s than %s?",
                             strata_synth_colour_name(bars.colours[more]),
                             strata_synth_colour_name(bars.colours[less]));
        think_bars(draw, &bars);
        strata_buffer_printf(draw->answer, "%d", bars.values[more] - bars.values[less]);
        break;
    }
    default:
        line_question(draw);
    }
}
