/* A square picture to draw on, over cairo; nothing else of Strata sees cairo. Coordinates are hundredths of the
 * picture's side, (0, 0) top left, whatever its size in pixels. Drawing reports no errors: the first one is kept and
 * returned by strata_canvas_image.
 *
 * Pixels are a function of the calls: grey antialiasing, no hinting, own sines; with one version of cairo and FreeType
 * they are the same on every machine. */
#ifndef STRATA_STUDY_SYNTH_CANVAS_H
#define STRATA_STUDY_SYNTH_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/image.h"
#include "strata/error.h"

struct strata_ink {
    uint8_t red, green, blue;
};

enum strata_shape {
    STRATA_SHAPE_CIRCLE,
    STRATA_SHAPE_SQUARE,
    STRATA_SHAPE_TRIANGLE,
    STRATA_SHAPE_STAR,
    STRATA_SHAPE_DIAMOND,
    STRATA_SHAPE_HEART,
    STRATA_SHAPE_CROSS,
    STRATA_SHAPE_MOON,
    STRATA_SHAPES
};
const char *strata_shape_name(enum strata_shape shape);

enum strata_font { STRATA_FONT_SANS, STRATA_FONT_SERIF, STRATA_FONT_MONO, STRATA_FONTS };

struct strata_bounds {
    double left, top, right, bottom;
};

struct strata_canvas;
/* STRATA_ERR_UNSUPPORTED when this build has no cairo, or the DejaVu fonts are not installed. size: pixels, 28 to 4096.
 */
int strata_canvas_create(struct strata_canvas **out, size_t size, struct strata_error *err);
void strata_canvas_free(struct strata_canvas *canvas); /* NULL is allowed */
/* Copies the pixels; the canvas can be drawn on further. */
int strata_canvas_image(struct strata_image *out, struct strata_canvas *canvas, struct strata_error *err);

void strata_canvas_clear(struct strata_canvas *canvas, struct strata_ink ink);
/* Fills a shape whose half width is `radius`; `angle` in degrees, clockwise. Returns its bounds. */
struct strata_bounds strata_canvas_shape(struct strata_canvas *canvas, enum strata_shape shape, double x, double y,
                                         double radius, double angle, struct strata_ink ink);
void strata_canvas_rectangle(struct strata_canvas *canvas, double left, double top, double width, double height,
                             struct strata_ink ink);
void strata_canvas_frame(struct strata_canvas *canvas, double left, double top, double width, double height,
                         double thickness, struct strata_ink ink);
/* Open polyline through count points (x, y alternating), round ends. */
void strata_canvas_line(struct strata_canvas *canvas, const double *points, size_t count, double thickness,
                        struct strata_ink ink);
void strata_canvas_segment(struct strata_canvas *canvas, double x1, double y1, double x2, double y2, double thickness,
                           struct strata_ink ink);
/* Closed polygon, filled. */
void strata_canvas_polygon(struct strata_canvas *canvas, const double *points, size_t count, struct strata_ink ink);
/* A disc; thickness 0 fills it, otherwise it is the line's. */
void strata_canvas_disc(struct strata_canvas *canvas, double x, double y, double radius, double thickness,
                        struct strata_ink ink);

struct strata_lettering {
    enum strata_font font;
    bool bold;
    double size;  /* of the font: capitals are 0.73 of it */
    double angle; /* degrees, clockwise, about the middle */
    double align; /* 0: x is the text's left end, 0.5: its middle, 1: its right end */
    struct strata_ink ink;
};
/* y is the middle of the capitals' height. */
void strata_canvas_text(struct strata_canvas *canvas, const char *text, double x, double y,
                        const struct strata_lettering *lettering);
/* Width that the text would take. */
double strata_canvas_text_width(struct strata_canvas *canvas, const char *text,
                                const struct strata_lettering *lettering);

#endif
