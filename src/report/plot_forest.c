/* Means with intervals, one a line: what a table of twelve rows looks like. */
#include <math.h>
#include <stdio.h>

#include "report/html.h"
#include "report/plot_private.h"

#define NAMES  214.0 /* width of the names */
#define RIGHT  14.0
#define TOP    20.0
#define LINE   21.0
#define BOTTOM 40.0

/* Values outside the axis are moved to its end. */
static double place(const struct strata_plot *plot, double value) {
    double share = (value - plot->x.low) / (plot->x.high - plot->x.low);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return NAMES + share * (plot->width - NAMES - RIGHT);
}

static void put_span(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_span *span,
                     double y) {
    char mean[32], low[32], high[32];
    strata_plot_text(out, NAMES - 10, y + 4, "name end", span->name, 0);
    if (!isfinite(span->mean)) {
        strata_plot_text(out, NAMES + 4, y + 4, "tick", "not there", 0);
        return;
    }
    strata_buffer_text(out, "<g><title>");
    strata_html_printf(out, "%s: %s, %s to %s", span->name, strata_plot_tick(mean, &plot->x, span->mean),
                       strata_plot_tick(low, &plot->x, span->low), strata_plot_tick(high, &plot->x, span->high));
    strata_buffer_printf(out,
                         "</title><path class=\"line k%u\" d=\"M%.1f %.1fH%.1f\"/><circle class=\"mark k%u\" "
                         "cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/></g>\n",
                         span->colour % STRATA_PLOT_COLOURS, place(plot, span->low), y, place(plot, span->high),
                         span->colour % STRATA_PLOT_COLOURS, place(plot, span->mean), y);
}

void strata_plot_forest(struct strata_buffer *out, const struct strata_plot *plot, const struct strata_plot_span *spans,
                        size_t count, const struct strata_plot_limit *limit) {
    double bottom = TOP + LINE * (double)count;
    char text[32];
    strata_plot_begin(out, plot, bottom + BOTTOM);
    for (size_t i = 0; i < plot->x.tick_count; i++) {
        double x = place(plot, plot->x.ticks[i]);
        strata_buffer_printf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", x, TOP, bottom);
        strata_plot_text(out, x, bottom + 16, "tick middle", strata_plot_tick(text, &plot->x, plot->x.ticks[i]), 0);
    }
    if (plot->x.label)
        strata_plot_text(out, (NAMES + plot->width - RIGHT) / 2, bottom + 34, "label middle", plot->x.label, 0);
    if (limit && isfinite(limit->x)) {
        double x = place(plot, limit->x);
        strata_buffer_printf(out, "<path class=\"limit\" d=\"M%.1f %.1fV%.1f\"/>\n", x, TOP - 5, bottom);
        strata_plot_text(out, x, TOP - 8, "tick middle", limit->label, 0);
    }
    for (size_t i = 0; i < count; i++) put_span(out, plot, &spans[i], TOP + LINE * ((double)i + 0.5));
    strata_buffer_text(out, "</svg>\n");
}
