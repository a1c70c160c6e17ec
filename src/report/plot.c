#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/elementary.h"
#include "base/utf8.h"
#include "report/html.h"
#include "report/plot_private.h"

#define LEFT   46.0
#define RIGHT  14.0
#define BOTTOM 40.0

void strata_plot_linear(struct strata_plot_axis *axis, double low, double high, const char *label) {
    *axis = (struct strata_plot_axis){.low = low, .label = label};
    double span = high > low ? high - low : 1, step = 1;
    while (step * 5 < span) step *= 10;
    while (step > span / 5 && step > 1e-12) step /= 10;
    double factor = span > step * 25 ? 10 : span > step * 10 ? 5 : span > step * 5 ? 2 : 1;
    step *= factor;
    size_t steps = (size_t)ceil(span / step - 1e-9);
    for (size_t i = 0; i <= steps && i < STRATA_PLOT_TICKS; i++)
        axis->ticks[axis->tick_count++] = low + (double)i * step;
    axis->high = axis->ticks[axis->tick_count - 1];
}

void strata_plot_logarithmic(struct strata_plot_axis *axis, double low, double high, const char *label) {
    *axis = (struct strata_plot_axis){.low = low, .high = high, .label = label, .logarithmic = true};
    double decade = 1;
    while (decade > low * (1 + 1e-9)) decade /= 10;
    while (decade < low * (1 - 1e-9)) decade *= 10;
    for (; decade <= high * (1 + 1e-9) && axis->tick_count < STRATA_PLOT_TICKS; decade *= 10)
        axis->ticks[axis->tick_count++] = decade;
}

/* Place within the axis, 0 to 1. */
static double place(const struct strata_plot_axis *axis, double value) {
    double low = axis->low, high = axis->high;
    if (!(value > low)) return 0;
    if (value >= high) return 1;
    if (!axis->logarithmic) return (value - low) / (high - low);
    return strata_log(value / low) / strata_log(high / low);
}

double strata_plot_x(const struct strata_plot *plot, double value) {
    return LEFT + place(&plot->x, value) * (plot->width - LEFT - RIGHT);
}

double strata_plot_y(const struct strata_plot *plot, double value) {
    return plot->height - BOTTOM - place(&plot->y, value) * (plot->height - plot->top - BOTTOM);
}

void strata_plot_begin(struct strata_buffer *out, const struct strata_plot *plot, double height) {
    strata_buffer_printf(
        out,
        "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
        "width=\"%.0f\" height=\"%.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">\n<title id=\"%s-t\">",
        plot->width, height, plot->width, height, plot->id, plot->id, plot->id);
    strata_html_text(out, plot->title);
    strata_buffer_printf(out, "</title>\n<desc id=\"%s-d\">", plot->id);
    strata_html_text(out, plot->description);
    strata_buffer_text(out, "</desc>\n");
}

void strata_plot_text(struct strata_buffer *out, double x, double y, const char *class_name, const char *text,
                      size_t most) {
    size_t length = strlen(text), end = 0, characters = 0;
    int32_t code;
    while (end < length && (most == 0 || characters < most)) {
        end += strata_utf8_next(&code, text + end, length - end);
        characters++;
    }
    strata_buffer_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class_name);
    strata_html_escape(out, text, end);
    strata_buffer_text(out, end < length ? "\xE2\x80\xA6</text>\n" : "</text>\n");
}

const char *strata_plot_tick(char out[32], const struct strata_plot_axis *axis, double value) {
    if (axis->percent)
        snprintf(out, 32, "%.0f%%", 100 * value);
    else
        snprintf(out, 32, "%.6g", fabs(value) < 1e-12 ? 0 : value);
    return out;
}

static void put_axes(struct strata_buffer *out, const struct strata_plot *plot) {
    double right = plot->width - RIGHT, bottom = plot->height - BOTTOM;
    char text[32];
    for (size_t i = 0; i < plot->y.tick_count; i++) {
        double y = strata_plot_y(plot, plot->y.ticks[i]);
        strata_buffer_printf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, y, right);
        strata_plot_text(out, LEFT - 7, y + 4, "tick end", strata_plot_tick(text, &plot->y, plot->y.ticks[i]), 0);
    }
    for (size_t i = 0; i < plot->x.tick_count; i++) {
        double x = strata_plot_x(plot, plot->x.ticks[i]);
        strata_buffer_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>\n", x, bottom);
        strata_plot_text(out, x, bottom + 17, "tick middle", strata_plot_tick(text, &plot->x, plot->x.ticks[i]), 0);
    }
    strata_buffer_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, bottom, right);
    if (plot->x.label) strata_plot_text(out, (LEFT + right) / 2, plot->height - 6, "label middle", plot->x.label, 0);
    if (plot->y.label) strata_plot_text(out, 4, 12, "label", plot->y.label, 0);
}

/* Runs of finite points: calls for each with [from, to). */
static bool next_run(size_t *from, size_t *to, const struct strata_plot_line *line) {
    size_t at = *to;
    while (at < line->count && !(isfinite(line->x[at]) && isfinite(line->y[at]))) at++;
    *from = at;
    while (at < line->count && isfinite(line->x[at]) && isfinite(line->y[at])) at++;
    *to = at;
    return *from < *to;
}

static void put_band(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_line *line,
                     size_t from, size_t to) {
    strata_buffer_printf(out, "<path class=\"band k%u\" d=\"", line->colour % STRATA_PLOT_COLOURS);
    for (size_t i = from; i < to; i++)
        strata_buffer_printf(out, "%s%.1f %.1f", i == from ? "M" : "L", strata_plot_x(plot, line->x[i]),
                             strata_plot_y(plot, line->y[i] + line->error[i]));
    for (size_t i = to; i-- > from;)
        strata_buffer_printf(out, "L%.1f %.1f", strata_plot_x(plot, line->x[i]),
                             strata_plot_y(plot, line->y[i] - line->error[i]));
    strata_buffer_text(out, "Z\"/>\n");
}

static void put_line(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_line *line) {
    size_t from, to = 0;
    unsigned colour = line->colour % STRATA_PLOT_COLOURS;
    char x_text[32], y_text[32];
    while (next_run(&from, &to, line)) {
        if (line->error && to - from > 1) put_band(out, plot, line, from, to);
        strata_buffer_printf(out, "<path class=\"line%s k%u\" d=\"", line->faint ? " faint" : "", colour);
        for (size_t i = from; i < to; i++)
            strata_buffer_printf(out, "%s%.1f %.1f", i == from ? "M" : "L", strata_plot_x(plot, line->x[i]),
                                 strata_plot_y(plot, line->y[i]));
        strata_buffer_text(out, "\"/>\n");
        for (size_t i = from; i < to && !line->faint; i++) {
            strata_buffer_printf(out, "<circle class=\"mark k%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>", colour,
                                 strata_plot_x(plot, line->x[i]), strata_plot_y(plot, line->y[i]));
            if (line->name) strata_html_printf(out, "%s, ", line->name);
            strata_html_printf(out, "%s: %s", strata_plot_tick(x_text, &plot->x, line->x[i]),
                               strata_plot_tick(y_text, &plot->y, line->y[i]));
            if (line->error)
                strata_html_printf(out, " \xC2\xB1 %s", strata_plot_tick(y_text, &plot->y, line->error[i]));
            strata_buffer_text(out, "</title></circle>\n");
        }
    }
}

void strata_plot_lines(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_line *lines,
                       size_t count) {
    strata_plot_begin(out, plot, plot->height);
    put_axes(out, plot);
    for (size_t i = 0; i < count; i++) put_line(out, plot, &lines[i]);
    strata_buffer_text(out, "</svg>\n");
}

/* Squares with names, from x on. Widths are estimated: 7.4 pixels a byte fits the page's largest font, 13 px. */
static void put_legend(struct strata_buffer *out, double x, double y, const char *const *names, const unsigned *colours,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        strata_buffer_printf(out, "<rect class=\"k%u\" x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2\"/>\n",
                             colours[i] % STRATA_PLOT_COLOURS, x, y - 9);
        strata_plot_text(out, x + 14, y, "tick", names[i], 0);
        x += 26 + 7.4 * (double)strlen(names[i]);
    }
}

static void put_limits(struct strata_buffer *out, const struct strata_plot *plot,
                       const struct strata_plot_limit *limits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double x = strata_plot_x(plot, limits[i].x);
        /* Two rows of labels, because neighbouring limits may be close. */
        double label = plot->top - (i % 2 ? 2 : 12);
        strata_buffer_printf(out, "<path class=\"limit\" d=\"M%.1f %.1fV%.1f\"/>\n", x, label + 3,
                             plot->height - BOTTOM);
        strata_plot_text(out, x, label, "tick middle", limits[i].label, 0);
    }
}

void strata_plot_histogram(struct strata_buffer *out, const struct strata_plot *plot, const double *edges, size_t bins,
                           const struct strata_plot_layer *layers, size_t layer_count,
                           const struct strata_plot_limit *limits, size_t limit_count) {
    strata_plot_begin(out, plot, plot->height);
    put_axes(out, plot);
    for (size_t bin = 0; bin < bins; bin++) {
        double left = strata_plot_x(plot, edges[bin]), right = strata_plot_x(plot, edges[bin + 1]);
        double sum = 0, gap = right - left > 4 ? 0.5 : 0;
        for (size_t i = 0; i < layer_count; i++) {
            double count = (double)layers[i].counts[bin];
            if (count == 0) continue;
            double low = strata_plot_y(plot, sum), high = strata_plot_y(plot, sum + count);
            strata_buffer_printf(
                out, "<rect class=\"k%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>",
                layers[i].colour % STRATA_PLOT_COLOURS, left + gap, high, right - left - 2 * gap, low - high);
            strata_html_printf(out, "%.3g to %.3g, %s: %zu", edges[bin], edges[bin + 1], layers[i].name,
                               layers[i].counts[bin]);
            strata_buffer_text(out, "</title></rect>\n");
            sum += count;
        }
    }
    put_limits(out, plot, limits, limit_count);
    strata_buffer_text(out, "</svg>\n");
}

#define LEGEND      30.0
#define ROW_HEIGHT  26.0
#define NAME_WIDTH  100.0
#define SUM_WIDTH   48.0
#define NAME_LENGTH 12

void strata_plot_stacked(struct strata_buffer *out, const struct strata_plot *plot, const char *const *row_names,
                         size_t rows, const char *const *part_names, const unsigned *colours, size_t parts,
                         const size_t *counts) {
    double full = plot->width - NAME_WIDTH - SUM_WIDTH;
    char text[32];
    strata_plot_begin(out, plot, LEGEND + ROW_HEIGHT * (double)rows);
    put_legend(out, NAME_WIDTH, 14, part_names, colours, parts);
    for (size_t row = 0; row < rows; row++) {
        double y = LEGEND + ROW_HEIGHT * (double)row, x = NAME_WIDTH;
        size_t sum = 0;
        for (size_t part = 0; part < parts; part++) sum += counts[row * parts + part];
        strata_plot_text(out, NAME_WIDTH - 8, y + 15, "name end", row_names[row], NAME_LENGTH);
        snprintf(text, sizeof text, "%zu", sum);
        strata_plot_text(out, plot->width, y + 15, "tick end", text, 0);
        for (size_t part = 0; part < parts && sum; part++) {
            size_t count = counts[row * parts + part];
            double share = (double)count / (double)sum, width = share * full;
            if (count == 0) continue;
            strata_buffer_printf(out, "<rect class=\"k%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"20\"><title>",
                                 colours[part] % STRATA_PLOT_COLOURS, x, y, width > 1.5 ? width - 1 : width);
            strata_html_printf(out, "%s, %s: %zu (%.1f %%)", row_names[row], part_names[part], count, 100 * share);
            strata_buffer_text(out, "</title></rect>\n");
            snprintf(text, sizeof text, "%.0f%%", 100 * share);
            if (width > 30) strata_plot_text(out, x + width / 2, y + 14, "on middle", text, 0);
            x += width;
        }
    }
    strata_buffer_text(out, "</svg>\n");
}

void strata_plot_heat(struct strata_buffer *out, const struct strata_plot *plot, const char *const *row_names,
                      size_t rows, const char *const *column_names, size_t columns, const size_t *counts) {
    const double left = NAME_WIDTH, top = 44, cell = 44;
    double width = (plot->width - left) / (double)(columns ? columns : 1);
    size_t most = 1, total = 0;
    char text[32];
    for (size_t i = 0; i < rows * columns; i++) {
        most = counts[i] > most ? counts[i] : most;
        total += counts[i];
    }
    strata_plot_begin(out, plot, top + cell * (double)rows);
    if (plot->y.label) strata_plot_text(out, left - 8, top - 8, "label end", plot->y.label, 0);
    if (plot->x.label) strata_plot_text(out, (left + plot->width) / 2, 14, "label middle", plot->x.label, 0);
    for (size_t column = 0; column < columns; column++)
        strata_plot_text(out, left + ((double)column + 0.5) * width, top - 8, "name middle", column_names[column],
                         NAME_LENGTH);
    for (size_t row = 0; row < rows; row++) {
        double y = top + cell * (double)row;
        strata_plot_text(out, left - 8, y + cell / 2 + 4, "name end", row_names[row], NAME_LENGTH);
        for (size_t column = 0; column < columns; column++) {
            size_t count = counts[row * columns + column];
            double x = left + (double)column * width, share = (double)count / (double)most;
            strata_buffer_printf(out,
                                 "<rect class=\"heat\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\" "
                                 "fill-opacity=\"%.3f\"><title>",
                                 x + 1.5, y + 1.5, width - 3, cell - 3, 0.06 + 0.84 * share);
            strata_html_printf(out, "%s, %s: %zu of %zu", row_names[row], column_names[column], count, total);
            strata_buffer_text(out, "</title></rect>\n");
            snprintf(text, sizeof text, "%zu", count);
            strata_plot_text(out, x + width / 2, y + cell / 2 + 5, share > 0.75 ? "count on middle" : "count middle",
                             text, 0);
        }
    }
    strata_buffer_text(out, "</svg>\n");
}
