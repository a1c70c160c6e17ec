/* Private to the plots: pieces that all kinds use. */
#ifndef STRATA_REPORT_PLOT_PRIVATE_H
#define STRATA_REPORT_PLOT_PRIVATE_H

#include "report/plot.h"

/* <svg> with title and description. */
void strata_plot_begin(struct strata_buffer *out, const struct strata_plot *plot, double height);
/* <text>, at most `most` characters of it (0: all). */
void strata_plot_text(struct strata_buffer *out, double x, double y, const char *class_name, const char *text,
                      size_t most);
/* A value as the axis writes it; returns out. */
const char *strata_plot_tick(char out[32], const struct strata_plot_axis *axis, double value);

#endif
