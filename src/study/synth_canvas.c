/* Drawing on cairo's image surfaces (synth_canvas_absent.c stands in where there is no cairo). */
#include "study/synth_canvas.h"

#include <stdlib.h>
#include <string.h>

#include "base/elementary.h"
#include "base/memory.h"

#ifdef STRATA_HAVE_CAIRO

#include <cairo-ft.h>
#include <cairo.h>
#include <math.h>

#define DEGREE      0.017453292519943295
#define SIZE_LEAST  28
#define SIZE_MOST   4096
#define CAPITALS    0.729              /* height of DejaVu's capitals, of the font's size */
#define ROUND       0.5522847498307936 /* control points of a quarter circle */
#define STAR_INNER  0.45
#define CROSS_WIDTH 0.36

struct strata_canvas {
    size_t size;
    cairo_surface_t *surface;
    cairo_t *cairo;
};

static const char *const families[STRATA_FONTS] = {"DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"};

static void choose_font(cairo_t *cairo, enum strata_font font, bool bold, double size) {
    cairo_select_font_face(cairo, families[font], CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
}

/* fontconfig gives another family without a word when the one asked for is missing; pixels would then differ. */
static int check_font(cairo_t *cairo, enum strata_font font, bool bold, struct strata_error *err) {
    choose_font(cairo, font, bold, 10);
    cairo_scaled_font_t *scaled = cairo_get_scaled_font(cairo);
    if (cairo_scaled_font_get_type(scaled) != CAIRO_FONT_TYPE_FT)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "this cairo draws text without FreeType");
    FT_Face face = cairo_ft_scaled_font_lock_face(scaled);
    bool right = face && face->family_name && strcmp(face->family_name, families[font]) == 0 &&
                 !!(face->style_flags & FT_STYLE_FLAG_BOLD) == bold;
    if (face) cairo_ft_scaled_font_unlock_face(scaled);
    if (right) return 0;
    strata_fail(err, STRATA_ERR_UNSUPPORTED, "the font %s%s is not installed", families[font], bold ? " Bold" : "");
    return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "on Debian: apt-get install fonts-dejavu-core");
}

int strata_canvas_create(struct strata_canvas **out, size_t size, struct strata_error *err) {
    *out = NULL;
    if (size < SIZE_LEAST || size > SIZE_MOST)
        return strata_fail(err, STRATA_ERR_USAGE, "a picture of %zu pixels a side; %d to %d can be drawn", size,
                           SIZE_LEAST, SIZE_MOST);
    struct strata_canvas *canvas;
    int status = strata_alloc(&canvas, 1, sizeof *canvas, err);
    if (status) return status;
    canvas->size = size;
    canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)size, (int)size);
    canvas->cairo = cairo_create(canvas->surface);
    if (cairo_status(canvas->cairo) != CAIRO_STATUS_SUCCESS)
        status = strata_fail(err, STRATA_ERR_MEMORY, "cairo: %s", cairo_status_to_string(cairo_status(canvas->cairo)));
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(canvas->cairo, options);
    cairo_font_options_destroy(options);
    cairo_set_antialias(canvas->cairo, CAIRO_ANTIALIAS_GRAY);
    cairo_scale(canvas->cairo, (double)size / 100, (double)size / 100);
    cairo_set_line_cap(canvas->cairo, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
    for (int font = 0; font < STRATA_FONTS && !status; font++)
        for (int bold = 0; bold < 2 && !status; bold++)
            status = check_font(canvas->cairo, (enum strata_font)font, bold, err);
    if (status) {
        strata_canvas_free(canvas);
        return status;
    }
    *out = canvas;
    return 0;
}

void strata_canvas_free(struct strata_canvas *canvas) {
    if (!canvas) return;
    cairo_destroy(canvas->cairo);
    cairo_surface_destroy(canvas->surface);
    free(canvas);
}

int strata_canvas_image(struct strata_image *out, struct strata_canvas *canvas, struct strata_error *err) {
    *out = (struct strata_image){0};
    if (cairo_status(canvas->cairo) != CAIRO_STATUS_SUCCESS)
        return strata_fail(err, STRATA_ERR_MEMORY, "cairo: %s", cairo_status_to_string(cairo_status(canvas->cairo)));
    cairo_surface_flush(canvas->surface);
    const unsigned char *rows = cairo_image_surface_get_data(canvas->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(canvas->surface), size = canvas->size;
    int status = strata_alloc(&out->rgb, size * size, 3, err);
    if (status) return status;
    out->width = out->height = size;
    for (size_t y = 0; y < size; y++) {
        for (size_t x = 0; x < size; x++) {
            uint32_t pixel;
            memcpy(&pixel, rows + y * stride + 4 * x, sizeof pixel);
            uint8_t *rgb = out->rgb + 3 * (y * size + x);
            rgb[0] = (uint8_t)(pixel >> 16);
            rgb[1] = (uint8_t)(pixel >> 8);
            rgb[2] = (uint8_t)pixel;
        }
    }
    return 0;
}

static void use_ink(struct strata_canvas *canvas, struct strata_ink ink) {
    cairo_set_source_rgb(canvas->cairo, ink.red / 255.0, ink.green / 255.0, ink.blue / 255.0);
}

void strata_canvas_clear(struct strata_canvas *canvas, struct strata_ink ink) {
    use_ink(canvas, ink);
    cairo_paint(canvas->cairo);
}

/* ---- shapes: paths in a square from -1 to 1 ---- */

static void polygon(cairo_t *cairo, const double *points, size_t count) {
    for (size_t i = 0; i < count; i++) cairo_line_to(cairo, points[2 * i], points[2 * i + 1]);
    cairo_close_path(cairo);
}

/* cairo_arc asks the C library for sines; four curves do not. */
static void circle(cairo_t *cairo, double x, double y, double r) {
    const double k = ROUND * r;
    cairo_move_to(cairo, x + r, y);
    cairo_curve_to(cairo, x + r, y + k, x + k, y + r, x, y + r);
    cairo_curve_to(cairo, x - k, y + r, x - r, y + k, x - r, y);
    cairo_curve_to(cairo, x - r, y - k, x - k, y - r, x, y - r);
    cairo_curve_to(cairo, x + k, y - r, x + r, y - k, x + r, y);
    cairo_close_path(cairo);
}

static void star(cairo_t *cairo) {
    for (int i = 0; i < 10; i++) {
        double sine, cosine, r = i % 2 ? STAR_INNER : 1;
        strata_sincos(&sine, &cosine, 36 * DEGREE * i);
        cairo_line_to(cairo, r * sine, -r * cosine);
    }
    cairo_close_path(cairo);
}

static void heart(cairo_t *cairo) {
    cairo_move_to(cairo, 0, 0.95);
    cairo_curve_to(cairo, -0.35, 0.6, -1, 0.2, -1, -0.35);
    cairo_curve_to(cairo, -1, -1.05, -0.2, -1.1, 0, -0.45);
    cairo_curve_to(cairo, 0.2, -1.1, 1, -1.05, 1, -0.35);
    cairo_curve_to(cairo, 1, 0.2, 0.35, 0.6, 0, 0.95);
    cairo_close_path(cairo);
}

static void moon(cairo_t *cairo) {
    cairo_move_to(cairo, 0.35, -1);
    cairo_curve_to(cairo, -0.95, -0.95, -0.95, 0.95, 0.35, 1);
    cairo_curve_to(cairo, -0.2, 0.55, -0.2, -0.55, 0.35, -1);
    cairo_close_path(cairo);
}

static void shape_path(cairo_t *cairo, enum strata_shape shape) {
    static const double triangle[] = {0, -0.95, 1, 0.8, -1, 0.8}, diamond[] = {0, -1, 0.8, 0, 0, 1, -0.8, 0},
                        square[] = {-0.85, -0.85, 0.85, -0.85, 0.85, 0.85, -0.85, 0.85};
    const double w = CROSS_WIDTH;
    const double cross[] = {-w, -1, w, -1, w, -w, 1, -w, 1, w, w, w, w, 1, -w, 1, -w, w, -1, w, -1, -w, -w, -w};
    cairo_new_path(cairo);
    switch (shape) {
    case STRATA_SHAPE_SQUARE:
        polygon(cairo, square, 4);
        break;
    case STRATA_SHAPE_TRIANGLE:
        polygon(cairo, triangle, 3);
        break;
    case STRATA_SHAPE_DIAMOND:
        polygon(cairo, diamond, 4);
        break;
    case STRATA_SHAPE_STAR:
        star(cairo);
        break;
    case STRATA_SHAPE_HEART:
        heart(cairo);
        break;
    case STRATA_SHAPE_CROSS:
        polygon(cairo, cross, 12);
        break;
    case STRATA_SHAPE_MOON:
        moon(cairo);
        break;
    default:
        circle(cairo, 0, 0, 1);
        break;
    }
}

/* Moves to (x, y) and turns there; cairo_rotate would ask the C library for sines. */
static void place(cairo_t *cairo, double x, double y, double angle, double scale) {
    double sine, cosine;
    strata_sincos(&sine, &cosine, angle * DEGREE);
    cairo_matrix_t turn;
    cairo_matrix_init(&turn, scale * cosine, scale * sine, -scale * sine, scale * cosine, x, y);
    cairo_transform(cairo, &turn);
}

struct strata_bounds strata_canvas_shape(struct strata_canvas *canvas, enum strata_shape shape, double x, double y,
                                         double radius, double angle, struct strata_ink ink) {
    struct strata_bounds bounds;
    cairo_save(canvas->cairo);
    place(canvas->cairo, x, y, angle, radius);
    shape_path(canvas->cairo, shape);
    cairo_restore(canvas->cairo);
    cairo_fill_extents(canvas->cairo, &bounds.left, &bounds.top, &bounds.right, &bounds.bottom);
    use_ink(canvas, ink);
    cairo_fill(canvas->cairo);
    return bounds;
}

void strata_canvas_rectangle(struct strata_canvas *canvas, double left, double top, double width, double height,
                             struct strata_ink ink) {
    use_ink(canvas, ink);
    cairo_rectangle(canvas->cairo, left, top, width, height);
    cairo_fill(canvas->cairo);
}

void strata_canvas_frame(struct strata_canvas *canvas, double left, double top, double width, double height,
                         double thickness, struct strata_ink ink) {
    use_ink(canvas, ink);
    cairo_set_line_width(canvas->cairo, thickness);
    cairo_rectangle(canvas->cairo, left, top, width, height);
    cairo_stroke(canvas->cairo);
}

void strata_canvas_line(struct strata_canvas *canvas, const double *points, size_t count, double thickness,
                        struct strata_ink ink) {
    use_ink(canvas, ink);
    cairo_set_line_width(canvas->cairo, thickness);
    for (size_t i = 0; i < count; i++) cairo_line_to(canvas->cairo, points[2 * i], points[2 * i + 1]);
    cairo_stroke(canvas->cairo);
}

void strata_canvas_segment(struct strata_canvas *canvas, double x1, double y1, double x2, double y2, double thickness,
                           struct strata_ink ink) {
    strata_canvas_line(canvas, (const double[]){x1, y1, x2, y2}, 2, thickness, ink);
}

void strata_canvas_polygon(struct strata_canvas *canvas, const double *points, size_t count, struct strata_ink ink) {
    use_ink(canvas, ink);
    cairo_new_path(canvas->cairo);
    polygon(canvas->cairo, points, count);
    cairo_fill(canvas->cairo);
}

void strata_canvas_disc(struct strata_canvas *canvas, double x, double y, double radius, double thickness,
                        struct strata_ink ink) {
    use_ink(canvas, ink);
    circle(canvas->cairo, x, y, radius);
    if (thickness > 0) {
        cairo_set_line_width(canvas->cairo, thickness);
        cairo_stroke(canvas->cairo);
    } else {
        cairo_fill(canvas->cairo);
    }
}

double strata_canvas_text_width(struct strata_canvas *canvas, const char *text,
                                const struct strata_lettering *lettering) {
    cairo_text_extents_t extents;
    choose_font(canvas->cairo, lettering->font, lettering->bold, lettering->size);
    cairo_text_extents(canvas->cairo, text, &extents);
    return extents.x_advance;
}

void strata_canvas_text(struct strata_canvas *canvas, const char *text, double x, double y,
                        const struct strata_lettering *lettering) {
    double width = strata_canvas_text_width(canvas, text, lettering);
    cairo_save(canvas->cairo);
    place(canvas->cairo, x, y, lettering->angle, 1);
    use_ink(canvas, lettering->ink);
    cairo_move_to(canvas->cairo, -width * lettering->align, CAPITALS * lettering->size / 2);
    cairo_show_text(canvas->cairo, text);
    cairo_restore(canvas->cairo);
    cairo_new_path(canvas->cairo);
}

#endif
