/* Written things: read them (ocr), read and work them out (math). A level adds characters, turns them, and takes
 * contrast away, or makes the reckoning longer. */
#include <stdio.h>
#include <string.h>

#include "study/synth_private.h"

/* Characters that no font confuses: no I, O, 0-1 stay digits. */
static const char letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ", digits[] = "0123456789";
static const char *const words[] = {"BIRD", "BOAT", "CAKE", "DESK", "DUCK", "FARM", "FISH", "GATE", "HAND",
                                    "JUMP", "KING", "LAMP", "LEAF", "MILK", "MOON", "NEST", "PARK", "RAIN",
                                    "ROAD", "SHIP", "SNOW", "STAR", "TREE", "WIND", "WOLF", "YARD"};

static void random_text(struct strata_synth_draw *draw, char *out, int length, const char *alphabet) {
    int count = (int)strlen(alphabet);
    for (int i = 0; i < length; i++) out[i] = alphabet[strata_synth_pick(draw, 0, count - 1)];
    out[length] = '\0';
}

/* Some lines across the picture, as scratches are. */
static void scratch(struct strata_synth_draw *draw, int count) {
    for (int i = 0; i < count; i++) {
        int colour = strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1);
        double x1 = strata_synth_real(draw, 0, 40), y1 = strata_synth_real(draw, 5, 95);
        double x2 = strata_synth_real(draw, 60, 100), y2 = strata_synth_real(draw, 5, 95);
        strata_canvas_segment(draw->canvas, x1, y1, x2, y2, 1, strata_synth_ink(draw, colour));
    }
}

/* Up and down is drawn before left and right: as arguments of one call the compiler would choose the order. */
static void write_about_centre(struct strata_synth_draw *draw, const char *text, double across, double along,
                               const struct strata_lettering *lettering) {
    double y = 50 + strata_synth_real(draw, -along, along) * strata_synth_room(draw);
    strata_canvas_text(draw->canvas, text, 50 + strata_synth_real(draw, -across, across), y, lettering);
}

void strata_synth_ocr(struct strata_synth_draw *draw) {
    static const double sizes[] = {72, 56, 34, 30, 25};
    char text[16];
    int colour = strata_synth_pick(draw, 0, STRATA_SYNTH_COLOURS - 1);
    switch (draw->level) {
    case 1:
        random_text(draw, text, 1, digits);
        break;
    case 2:
        random_text(draw, text, 2, digits);
        break;
    case 3:
        snprintf(text, sizeof text, "%s", words[strata_synth_pick(draw, 0, sizeof words / sizeof *words - 1)]);
        break;
    case 4:
        random_text(draw, text, strata_synth_pick(draw, 3, 4), letters);
        break;
    default: {
        int head = strata_synth_pick(draw, 2, 3);
        random_text(draw, text, head, letters);
        random_text(draw, text + head, strata_synth_pick(draw, 2, 3), digits);
        break;
    }
    }
    struct strata_lettering lettering = strata_synth_lettering(draw, sizes[draw->level - 1]);
    lettering.ink = strata_synth_ink(draw, colour);
    lettering.bold = draw->level < 4 || strata_synth_pick(draw, 0, 1);
    if (draw->level >= 4) lettering.font = (enum strata_font)strata_synth_pick(draw, 0, STRATA_FONTS - 1);
    if (draw->level >= 4) lettering.angle = strata_synth_real(draw, -14, 14);
    lettering.size *= 1 - strata_synth_real(draw, 0, 0.15) * strata_synth_room(draw);
    double width = strata_canvas_text_width(draw->canvas, text, &lettering);
    if (width > 90) {
        lettering.size *= 90 / width;
        width = 90;
    }
    double room = (48 - width / 2) * strata_synth_room(draw);
    if (draw->level == 5) scratch(draw, 3);
    write_about_centre(draw, text, room, 18, &lettering);
    draw->task = draw->level < 3 ? "number" : draw->level == 3 ? "word" : "code";
    strata_buffer_text(draw->question, "Read the text.");
    strata_buffer_printf(draw->thought, "%s, %zu character%s", strata_synth_colour_name(colour), strlen(text),
                         draw->level == 1 ? "" : "s");
    strata_buffer_text(draw->answer, text);
}

static void write_sum(struct strata_synth_draw *draw, const char *text, int result) {
    struct strata_lettering lettering = strata_synth_lettering(draw, 34);
    lettering.bold = true;
    lettering.size *= 1 - strata_synth_real(draw, 0, 0.15) * strata_synth_room(draw);
    double width = strata_canvas_text_width(draw->canvas, text, &lettering);
    if (width > 92) {
        lettering.size *= 92 / width;
        width = 92;
    }
    double room = (48 - width / 2) * strata_synth_room(draw);
    write_about_centre(draw, text, room, 25, &lettering);
    draw->task = "sum";
    strata_buffer_text(draw->question, "What is the result?");
    strata_buffer_text(draw->thought, text);
    strata_buffer_printf(draw->answer, "%d", result);
}

static void rectangle_question(struct strata_synth_draw *draw) {
    int a = strata_synth_pick(draw, 3, 9), b = strata_synth_pick(draw, 2, a);
    double width = a * 7.2, height = b * 7.2, left = 36 - width / 2 + strata_synth_real(draw, 2, 8);
    double top = 42 - height / 2 + strata_synth_real(draw, -4, 4);
    int colour = strata_synth_pick(draw, 0, 5);
    struct strata_lettering lettering = strata_synth_lettering(draw, 20);
    lettering.bold = true;
    strata_canvas_rectangle(draw->canvas, left, top, width, height, strata_synth_ink(draw, colour));
    strata_canvas_frame(draw->canvas, left, top, width, height, 1.5, draw->pen);
    strata_synth_label(draw, left + width / 2, top + height + 11, &lettering, "%d", a);
    strata_synth_label(draw, left + width + 10, top + height / 2, &lettering, "%d", b);
    bool area = strata_synth_pick(draw, 0, 1);
    draw->task = area ? "area" : "perimeter";
    strata_buffer_printf(draw->question, "What is the %s?", draw->task);
    if (area)
        strata_buffer_printf(draw->thought, "%d × %d", a, b);
    else
        strata_buffer_printf(draw->thought, "2 × (%d + %d)", a, b);
    strata_buffer_printf(draw->answer, "%d", area ? a * b : 2 * (a + b));
}

static void angle_question(struct strata_synth_draw *draw) {
    int a = 5 * strata_synth_pick(draw, 8, 16), b = 5 * strata_synth_pick(draw, 8, 16);
    double lean = (a - b) * 0.4;
    const double corners[] = {12, 82, 88, 82, 50 - lean, 14}, outline[] = {12, 82, 88, 82, 50 - lean, 14, 12, 82};
    int colour = strata_synth_pick(draw, 0, 5);
    struct strata_lettering lettering = strata_synth_lettering(draw, 17);
    lettering.bold = true;
    lettering.ink = (struct strata_ink){250, 250, 250};
    strata_canvas_polygon(draw->canvas, corners, 3, strata_synth_ink(draw, colour == 2 ? 6 : colour));
    strata_canvas_line(draw->canvas, outline, 4, 1.5, draw->pen);
    strata_synth_label(draw, 33, 74, &lettering, "%d°", a);
    strata_synth_label(draw, 69, 74, &lettering, "%d°", b);
    strata_synth_label(draw, 50 - lean * 0.72, 34, &lettering, "x");
    draw->task = "angle";
    strata_buffer_text(draw->question, "What is x in degrees?");
    strata_buffer_printf(draw->thought, "180 - %d - %d", a, b);
    strata_buffer_printf(draw->answer, "%d", 180 - a - b);
}

void strata_synth_math(struct strata_synth_draw *draw) {
    char text[32];
    int a, b, c;
    switch (draw->level) {
    case 1:
        a = strata_synth_pick(draw, 1, 8);
        b = strata_synth_pick(draw, 1, 9 - a);
        snprintf(text, sizeof text, "%d + %d", a, b);
        write_sum(draw, text, a + b);
        break;
    case 2:
        a = strata_synth_pick(draw, 2, 9);
        b = strata_synth_pick(draw, 1, 9);
        if (a > b && strata_synth_pick(draw, 0, 1)) {
            snprintf(text, sizeof text, "%d - %d", a, b);
            write_sum(draw, text, a - b);
        } else {
            snprintf(text, sizeof text, "%d + %d", a, b);
            write_sum(draw, text, a + b);
        }
        break;
    case 3:
        a = strata_synth_pick(draw, 2, 9);
        b = strata_synth_pick(draw, 2, 9);
        snprintf(text, sizeof text, "%d × %d", a, b);
        write_sum(draw, text, a * b);
        break;
    case 4:
        rectangle_question(draw);
        break;
    default:
        if (strata_synth_pick(draw, 0, 1)) {
            angle_question(draw);
            break;
        }
        a = strata_synth_pick(draw, 2, 9);
        b = strata_synth_pick(draw, 2, 9);
        c = strata_synth_pick(draw, 2, 5);
        snprintf(text, sizeof text, "%d + %d × %d", a, b, c);
        write_sum(draw, text, a + b * c);
    }
}
