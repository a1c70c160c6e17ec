/* A build without cairo refuses to make a canvas; the rest of the door is there to link and is never reached. */
#include "study/synth_canvas.h"

#ifndef STRATA_HAVE_CAIRO

struct strata_canvas {
    size_t size;
};

int strata_canvas_create(struct strata_canvas **out, size_t size, struct strata_error *err) {
    (void)size;
    *out = NULL;
    strata_fail(err, STRATA_ERR_UNSUPPORTED, "this build cannot draw: it was made without cairo");
    return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "on Debian: apt-get install libcairo2-dev, then build again");
}
void strata_canvas_free(struct strata_canvas *canvas) {
    (void)canvas;
}

int strata_canvas_image(struct strata_image *out, struct strata_canvas *canvas, struct strata_error *err) {
    (void)canvas;
    *out = (struct strata_image){0};
    return strata_fail(err, STRATA_ERR_UNSUPPORTED, "no cairo");
}
void strata_canvas_clear(struct strata_canvas *canvas, struct strata_ink ink) {
    (void)canvas, (void)ink;
}
struct strata_bounds strata_canvas_shape(struct strata_canvas *canvas, enum strata_shape shape, double x, double y,
                                         double radius, double angle, struct strata_ink ink) {
    (void)canvas, (void)shape, (void)angle, (void)ink;
    return (struct strata_bounds){x - radius, y - radius, x + radius, y + radius};
}
void strata_canvas_rectangle(struct strata_canvas *canvas, double left, double top, double width, double height,
                             struct strata_ink ink) {
    (void)canvas, (void)left, (void)top, (void)width, (void)height, (void)ink;
}
void strata_canvas_frame(struct strata_canvas *canvas, double left, double top, double width, double height,
                         double thickness, struct strata_ink ink) {
    (void)canvas, (void)left, (void)top, (void)width, (void)height, (void)thickness, (void)ink;
}
void strata_canvas_line(struct strata_canvas *canvas, const double *points, size_t count, double thickness,
                        struct strata_ink ink) {
    (void)canvas, (void)points, (void)count, (void)thickness, (void)ink;
}
void strata_canvas_segment(struct strata_canvas *canvas, double x1, double y1, double x2, double y2, double thickness,
                           struct strata_ink ink) {
    (void)canvas, (void)x1, (void)y1, (void)x2, (void)y2, (void)thickness, (void)ink;
}
void strata_canvas_polygon(struct strata_canvas *canvas, const double *points, size_t count, struct strata_ink ink) {
    (void)canvas, (void)points, (void)count, (void)ink;
}
void strata_canvas_disc(struct strata_canvas *canvas, double x, double y, double radius, double thickness,
                        struct strata_ink ink) {
    (void)canvas, (void)x, (void)y, (void)radius, (void)thickness, (void)ink;
}
void strata_canvas_text(struct strata_canvas *canvas, const char *text, double x, double y,
                        const struct strata_lettering *lettering) {
    (void)canvas, (void)text, (void)x, (void)y, (void)lettering;
}
double strata_canvas_text_width(struct strata_canvas *canvas, const char *text,
                                const struct strata_lettering *lettering) {
    (void)canvas, (void)text, (void)lettering;
    return 0;
}
#endif
