/* What the makers of tasks share: one sample being drawn, its random numbers, its words. */
#ifndef STRATA_STUDY_SYNTH_PRIVATE_H
#define STRATA_STUDY_SYNTH_PRIVATE_H

#include "base/buffer.h"
#include "base/random.h"
#include "study/synth.h"
#include "study/synth_canvas.h"

struct strata_synth_draw {
    struct strata_canvas *canvas;
    size_t size;    /* pixels a side */
    unsigned level; /* 1 .. STRATA_SYNTH_LEVELS */
    struct strata_random random;
    uint64_t next; /* of random's numbers */
    struct strata_ink paper, pen;
    struct strata_buffer *question, *answer, *thought;
    const char *task;
};

/* One maker an ability: draws on a cleared canvas, fills question, answer, thought and task. */
typedef void strata_synth_maker(struct strata_synth_draw *draw);
strata_synth_maker strata_synth_detection, strata_synth_grounding, strata_synth_counting, strata_synth_ocr,
    strata_synth_math, strata_synth_chart, strata_synth_puzzle, strata_synth_science;

/* A whole number in [low, high], a real one in [low, high). */
int strata_synth_pick(struct strata_synth_draw *draw, int low, int high);
double strata_synth_real(struct strata_synth_draw *draw, double low, double high);
/* out[0..count): different numbers in [0, bound), count <= bound <= 64. */
void strata_synth_distinct(struct strata_synth_draw *draw, int *out, int count, int bound);

#define STRATA_SYNTH_COLOURS 8
const char *strata_synth_colour_name(int colour);
/* The colour, a little off each time. */
struct strata_ink strata_synth_ink(struct strata_synth_draw *draw, int colour);

/* A coloured shape and how it is called: "red star". */
struct strata_synth_thing {
    enum strata_shape shape;
    int colour;
};
/* Shapes that the level knows: the first so many. */
int strata_synth_shapes(const struct strata_synth_draw *draw);
enum strata_shape strata_synth_any_shape(struct strata_synth_draw *draw);
/* How far things may be from their usual place, of the most that there is room for: 0 .. 1, more with the level. */
double strata_synth_room(const struct strata_synth_draw *draw);
struct strata_synth_thing strata_synth_any_thing(struct strata_synth_draw *draw);
void strata_synth_thing_name(struct strata_buffer *out, struct strata_synth_thing thing);

/* Lettering in the pen's ink, middle aligned, sans. */
struct strata_lettering strata_synth_lettering(const struct strata_synth_draw *draw, double size);
/* Text at (x, y), printf style. */
void strata_synth_label(struct strata_synth_draw *draw, double x, double y, const struct strata_lettering *lettering,
                        const char *format, ...) STRATA_PRINTF(5, 6);

#endif
