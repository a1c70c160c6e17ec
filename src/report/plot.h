/* Plots as SVG text: lines with error bands, histograms with marked limits, stacked bars, a heat table.
 *
 * A plot is one <svg> element (well-formed XML) with a title and a description for those who do not see it. Colours are
 * CSS classes (k0…k7, grid, limit …) that the page's style sheet gives a light and a dark form. Names are escaped here.
 * Everything is appended to a buffer; see strata_buffer_check. */
#ifndef STRATA_REPORT_PLOT_H
#define STRATA_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define STRATA_PLOT_TICKS   12
#define STRATA_PLOT_COLOURS 8

struct strata_plot_axis {
    double low, high; /* low < high; both positive on a logarithmic axis */
    bool logarithmic, percent;
    const char *label; /* or NULL */
    double ticks[STRATA_PLOT_TICKS];
    size_t tick_count;
};
/* From low to at least high, ended by a tick; steps of 1, 2 or 5 times a power of ten, at most 5 of them. */
void strata_plot_linear(struct strata_plot_axis *axis, double low, double high, const char *label);
/* The decades within [low, high] are the ticks. */
void strata_plot_logarithmic(struct strata_plot_axis *axis, double low, double high, const char *label);

struct strata_plot {
    const char *id; /* unique in the page, a plain identifier */
    const char *title, *description;
    double width, height; /* in CSS pixels at natural size */
    double top;           /* room above the axes; 30 holds the labels of limits */
    struct strata_plot_axis x, y;
};
/* Where a value lies, in pixels of the viewBox; values outside the axis are moved to its end. */
double strata_plot_x(const struct strata_plot *plot, double value);
double strata_plot_y(const struct strata_plot *plot, double value);

struct strata_plot_line {
    const char *name;
    const double *x, *y; /* (count); points that are not finite interrupt the line */
    const double *error; /* (count) half height of the band, or NULL */
    size_t count;
    unsigned colour; /* 0..STRATA_PLOT_COLOURS-1 */
    bool faint;      /* context, drawn thin and without marks */
};
void strata_plot_lines(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_line *lines,
                       size_t count);

struct strata_plot_layer {
    const char *name;
    const size_t *counts; /* (bins) */
    unsigned colour;
};
struct strata_plot_limit {
    double x;
    const char *label;
};
/* Layers are stacked, the first at the bottom. edges: (bins + 1), ascending. */
void strata_plot_histogram(struct strata_buffer *out, const struct strata_plot *plot, const double *edges, size_t bins,
                           const struct strata_plot_layer *layers, size_t layer_count,
                           const struct strata_plot_limit *limits, size_t limit_count);

/* One bar a row, cut into shares of its sum; the sums stand at the right. counts: (rows, parts), row by row. Uses id,
 * title, description and width of the plot; the height follows from the rows. */
void strata_plot_stacked(struct strata_buffer *out, const struct strata_plot *plot, const char *const *row_names,
                         size_t rows, const char *const *part_names, const unsigned *colours, size_t parts,
                         const size_t *counts);

struct strata_plot_span {
    const char *name;
    double mean, low, high; /* mean not finite: said to be missing */
    unsigned colour;
};
/* One line a span: its name, its interval, its mean. Uses the plot's x axis (linear), id, title, description and width;
 * the height follows from the number. limit: a vertical line, or NULL. */
void strata_plot_forest(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_span *spans,
                        size_t count, const struct strata_plot_limit *limit);

/* counts: (rows, columns). The axes' labels name rows (y) and columns (x). */
void strata_plot_heat(struct strata_buffer *out, const struct strata_plot *plot, const char *const *row_names,
                      size_t rows, const char *const *column_names, size_t columns, const size_t *counts);

#endif
