/* The page, section by section. */
#include "report/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "difficulty/agreement.h"
#include "report/gather.h"
#include "report/html.h"
#include "report/plot.h"
#include "report/samples.h"
#include "report/study.h"

#define MEASURED STRATA_REPORT_MEASURED
#define CURVES   11 /* abilities with a plot of their own, beside the one of all */

/* Classes k0 to k3 of the style sheet are the strata, k4 lines, k5 what is faint. */
static const char *const stratum_names[MEASURED] = {"unsolved", "hard", "medium", "easy"};
static const unsigned stratum_colours[MEASURED] = {0, 1, 2, 3};

void strata_report_options_default(struct strata_report_options *options) {
    *options = (struct strata_report_options){.samples = 200, .image_bytes = (size_t)24 << 20};
}

static double percent(uint64_t part, uint64_t whole) {
    return whole ? 100 * (double)part / (double)whole : 0;
}

static const char *share_text(char out[16], uint64_t part, uint64_t whole) {
    if (whole)
        snprintf(out, 16, "%.1f %%", percent(part, whole));
    else
        snprintf(out, 16, "\xE2\x80\x93");
    return out;
}

static void put_tile(struct strata_buffer *page, const char *label, const char *detail, const char *format, ...)
    STRATA_PRINTF(4, 5);
static void put_tile(struct strata_buffer *page, const char *label, const char *detail, const char *format, ...) {
    char value[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    strata_buffer_text(page, "<div class=\"tile\"><dt>");
    strata_html_text(page, label);
    strata_buffer_text(page, "</dt><dd>");
    strata_html_text(page, value);
    strata_buffer_text(page, "</dd><dd class=\"detail\">");
    strata_html_text(page, detail);
    strata_buffer_text(page, "</dd></div>\n");
}

static void put_tiles(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    const struct strata_report_row *total = &numbers->total;
    char detail[128], share[16];
    strata_buffer_text(page, "<dl class=\"tiles\">\n");
    size_t pending = numbers->metrics & STRATA_METRIC_PISM ? total->pism[STRATA_STRATUM_PENDING]
                                                           : total->cmab[STRATA_STRATUM_PENDING];
    snprintf(detail, sizeof detail, "%zu %s, %zu pending", numbers->row_count,
             numbers->row_count == 1 ? "ability" : "abilities", pending);
    put_tile(page, "Samples", detail, "%zu", total->samples);
    if (numbers->metrics & STRATA_METRIC_PISM) {
        snprintf(detail, sizeof detail, "%llu of %llu draws on the whole image right",
                 (unsigned long long)total->plain_right, (unsigned long long)total->plain_drawn);
        put_tile(page, "Accuracy, sampled", detail, "%s", share_text(share, total->plain_right, total->plain_drawn));
    }
    if (numbers->metrics & STRATA_METRIC_CMAB) {
        snprintf(detail, sizeof detail, "%llu of %llu answers right", (unsigned long long)total->cmab_right,
                 (unsigned long long)total->cmab_answered);
        put_tile(page, "Accuracy, balance answers", detail, "%s",
                 share_text(share, total->cmab_right, total->cmab_answered));
    }
    if (numbers->metrics & STRATA_METRIC_PISM) {
        snprintf(detail, sizeof detail, "%llu drawn, %llu not needed", (unsigned long long)numbers->draws,
                 (unsigned long long)numbers->draws_saved);
        put_tile(page, "Draws saved", detail, "%s",
                 share_text(share, numbers->draws_saved, numbers->draws + numbers->draws_saved));
    }
    snprintf(detail, sizeof detail, "cut off by the token limit");
    put_tile(page, "Truncated answers", detail, "%llu", (unsigned long long)numbers->truncated);
    strata_buffer_text(page, "</dl>\n");
}

static void put_setting(struct strata_buffer *page, const char *name, const char *value) {
    strata_buffer_text(page, "<tr><th scope=\"row\">");
    strata_html_text(page, name);
    strata_buffer_text(page, "</th><td>");
    strata_html_text(page, value);
    strata_buffer_text(page, "</td></tr>\n");
}

static void put_cut(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    const struct strata_pism_rule *pism = &numbers->cut.pism;
    const struct strata_cmab_options *cmab = &numbers->cut.cmab;
    char text[256], layers[32];
    if (numbers->metrics & STRATA_METRIC_PISM) {
        snprintf(text, sizeof text,
                 "a ratio fails below %u right of %u draws; first failing ratio: hard up to %.1f, "
                 "easy %s %.1f; %s",
                 pism->need, pism->draws, pism->hard_to / 10.0, pism->easy_open ? "above" : "from",
                 pism->easy_from / 10.0, pism->full_curve ? "the whole grid drawn" : "stopped as soon as certain");
        put_setting(page, "PISM cut", text);
    }
    if (numbers->metrics & STRATA_METRIC_CMAB) {
        snprintf(layers, sizeof layers, "%d", cmab->layers);
        snprintf(text, sizeof text, "%s over %s layers, tokens by %s, text %s%s; bands %g, %g, %g, %g; pass@%u",
                 strata_cmab_pool_name(cmab->pool),
                 cmab->layers == STRATA_CMAB_LAYERS_INNER ? "inner"
                 : cmab->layers == STRATA_CMAB_LAYERS_ALL ? "all"
                                                          : layers,
                 strata_cmab_over_name(cmab->over), strata_cmab_text_name(cmab->text),
                 cmab->skip_first ? ", first token left out" : "", cmab->bands[0], cmab->bands[1], cmab->bands[2],
                 cmab->bands[3], numbers->cut.attempts);
        put_setting(page, "CMAB cut", text);
    }
}

static int put_settings(struct strata_buffer *page, const struct strata_report_numbers *numbers,
                        struct strata_error *err) {
    struct strata_buffer value = {0};
    int code = 0;
    strata_buffer_text(page, "<details><summary>Settings of the run</summary>\n<div class=\"scroll\"><table>\n");
    for (size_t i = 0; i + 1 < STRATA_RUN_SETTINGS && !code; i++) { /* the cut in words, below */
        bool found = false;
        code = strata_store_setting(numbers->store, strata_run_settings[i], &value, &found, err);
        if (!code && found && value.length) put_setting(page, strata_run_settings[i], strata_buffer_string(&value));
    }
    put_cut(page, numbers);
    strata_buffer_text(page, "</table></div></details>\n");
    strata_buffer_free(&value);
    return code;
}

static void put_strata_row(struct strata_buffer *page, const char *name, const struct strata_report_row *row,
                           unsigned metrics, bool total) {
    strata_buffer_printf(page, "<tr%s><th scope=\"row\">", total ? " class=\"total\"" : "");
    strata_html_text(page, name);
    strata_buffer_printf(page, "</th><td>%zu</td>", row->samples);
    for (int metric = 0; metric < 2; metric++) {
        if (!(metrics & (metric ? STRATA_METRIC_CMAB : STRATA_METRIC_PISM))) continue;
        const size_t *counts = metric ? row->cmab : row->pism;
        for (size_t s = 0; s < MEASURED; s++)
            strata_buffer_printf(page, "<td%s>%zu</td>", s ? "" : " class=\"first\"", counts[s]);
        strata_buffer_printf(page, "<td>%.1f&#8239;%%</td>",
                             metric ? percent(row->cmab_right, row->cmab_answered)
                                    : percent(row->plain_right, row->plain_drawn));
    }
    strata_buffer_text(page, "</tr>\n");
}

static void put_strata_table(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    unsigned metrics = numbers->metrics;
    strata_buffer_text(page, "<details><summary>The numbers as a table</summary>\n<div class=\"scroll\"><table "
                             "class=\"numbers\"><thead><tr><td></td><td></td>");
    if (metrics & STRATA_METRIC_PISM) strata_buffer_text(page, "<th colspan=\"5\" class=\"first\">PISM</th>");
    if (metrics & STRATA_METRIC_CMAB) strata_buffer_text(page, "<th colspan=\"5\" class=\"first\">CMAB</th>");
    strata_buffer_text(page, "</tr>\n<tr><th>ability</th><th>samples</th>");
    for (int metric = 0; metric < 2; metric++)
        if (metrics & (metric ? STRATA_METRIC_CMAB : STRATA_METRIC_PISM))
            strata_buffer_text(page, "<th class=\"first\">unsolved</th><th>hard</th><th>medium</th><th>easy</th>"
                                     "<th>accuracy</th>");
    strata_buffer_text(page, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < numbers->row_count; i++)
        put_strata_row(page, numbers->rows[i].name, &numbers->rows[i], metrics, false);
    put_strata_row(page, "all", &numbers->total, metrics, true);
    strata_buffer_text(page, "</tbody></table></div></details>\n");
}

/* Bars of one metric: all samples first, then the abilities. */
static void put_bars(struct strata_buffer *page, const struct strata_report_numbers *numbers, bool cmab) {
    const char *names[STRATA_REPORT_ABILITIES + 1] = {"all"};
    size_t counts[(STRATA_REPORT_ABILITIES + 1) * MEASURED];
    for (size_t i = 0; i <= numbers->row_count; i++) {
        const struct strata_report_row *row = i ? &numbers->rows[i - 1] : &numbers->total;
        if (i) names[i] = row->name;
        memcpy(counts + i * MEASURED, cmab ? row->cmab : row->pism, MEASURED * sizeof *counts);
    }
    struct strata_plot plot = {.id = cmab ? "bars-cmab" : "bars-pism",
                               .title = cmab ? "CMAB strata by ability" : "PISM strata by ability",
                               .description = "One bar an ability, cut into the shares of its strata.",
                               .width = 440};
    strata_buffer_printf(page, "<figure><figcaption>%s</figcaption>\n",
                         cmab ? "CMAB: how attention divides between image and text"
                              : "PISM: how much of the image can be hidden");
    strata_plot_stacked(page, &plot, names, numbers->row_count + 1, stratum_names, stratum_colours, MEASURED, counts);
    strata_buffer_text(page, "</figure>\n");
}

static void put_strata(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    strata_buffer_text(page, "<section aria-labelledby=\"h-strata\">\n<h2 id=\"h-strata\">Strata by ability</h2>\n"
                             "<div class=\"pair\">\n");
    if (numbers->metrics & STRATA_METRIC_PISM) put_bars(page, numbers, false);
    if (numbers->metrics & STRATA_METRIC_CMAB) put_bars(page, numbers, true);
    strata_buffer_text(page, "</div>\n");
    put_strata_table(page, numbers);
    strata_buffer_text(page, "</section>\n");
}

/* A curve of one row: pass rates when the whole grid was drawn, else the share of samples that still pass. */
struct curve {
    double x[STRATA_PISM_RATIOS], y[STRATA_PISM_RATIOS], error[STRATA_PISM_RATIOS];
    size_t count;
};

static void fill_curve(struct curve *curve, const struct strata_report_row *row, const struct strata_cut *cut) {
    curve->count = 0;
    for (size_t i = 0; i < STRATA_PISM_RATIOS; i++) {
        if (!(cut->pism.ratios >> i & 1)) continue;
        double n = (double)(cut->pism.full_curve ? row->rated[i] : row->finished), mean = (double)NAN, variance = 0;
        if (n > 0) mean = (cut->pism.full_curve ? row->rate[i] : (double)row->passed[i]) / n;
        if (n > 0) variance = cut->pism.full_curve ? row->rate_square[i] / n - mean * mean : mean * (1 - mean);
        curve->x[curve->count] = (double)i / 10;
        curve->y[curve->count] = mean;
        curve->error[curve->count++] = n > 0 ? sqrt(variance > 0 ? variance / n : 0) : 0;
    }
}

static void put_curve(struct strata_buffer *page, const struct strata_report_numbers *numbers, size_t index) {
    struct curve all, own;
    char id[32], title[160];
    const struct strata_report_row *row = index ? &numbers->rows[index - 1] : &numbers->total;
    const char *name = index ? row->name : "all samples";
    fill_curve(&all, &numbers->total, &numbers->cut);
    fill_curve(&own, row, &numbers->cut);
    struct strata_plot_line lines[2] = {
        {.name = "all", .x = all.x, .y = all.y, .count = all.count, .colour = 5, .faint = true},
        {.name = name, .x = own.x, .y = own.y, .error = own.error, .count = own.count, .colour = 4}};
    snprintf(id, sizeof id, "curve-%zu", index);
    snprintf(title, sizeof title, "PISM curve, %.100s", name);
    struct strata_plot plot = {.id = id,
                               .title = title,
                               .width = 320,
                               .height = 196,
                               .top = 12,
                               .description = "Over the share of the image that is hidden, with one standard error."};
    strata_plot_linear(&plot.x, 0, 0.9, "share of the image hidden");
    plot.x.percent = plot.y.percent = true;
    plot.x.tick_count = 0;
    plot.x.high = 0.9;
    for (size_t i = 0; i < 10; i += 3) plot.x.ticks[plot.x.tick_count++] = (double)i / 10;
    strata_plot_linear(&plot.y, 0, 1, NULL);
    plot.y.percent = true;
    strata_buffer_text(page, "<figure><figcaption>");
    strata_html_text(page, name);
    strata_buffer_printf(page, " <span class=\"n\">n = %zu</span></figcaption>\n", row->finished);
    strata_plot_lines(page, &plot, lines + !index, index ? 2 : 1);
    strata_buffer_text(page, "</figure>\n");
}

static void put_curves(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    size_t shown = numbers->row_count < CURVES ? numbers->row_count : CURVES;
    if (numbers->row_count == 1) shown = 0; /* it would repeat all samples */
    strata_buffer_text(page, "<section aria-labelledby=\"h-curves\">\n<h2 id=\"h-curves\">PISM curves</h2>\n<p>");
    if (numbers->cut.pism.full_curve)
        strata_buffer_text(page,
                           "Mean pass rate over the share of the image that is hidden, with one standard error over "
                           "samples.");
    else
        strata_buffer_text(
            page, "Share of samples that still pass at each share of the image hidden, with one binomial "
                  "standard error. Drawing stopped as soon as each verdict was certain, which leaves these "
                  "shares exact but would bias a mean over the draws made; <code>strata score --full-curve</code> "
                  "gives mean pass rates.");
    if (shown) strata_buffer_text(page, " The grey line repeats all samples.");
    if (shown && shown < numbers->row_count)
        strata_buffer_printf(page, " The %zu largest of %zu abilities are shown.", shown, numbers->row_count);
    strata_buffer_text(page, "</p>\n<div class=\"multiples\">\n");
    for (size_t i = 0; i <= shown; i++) put_curve(page, numbers, i);
    strata_buffer_text(page, "</div>\n</section>\n");
}

static void put_balance(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    const double *bands = numbers->cut.cmab.bands;
    double edges[STRATA_REPORT_RHO_BINS + 1];
    size_t first = STRATA_REPORT_RHO_BINS, last = 0, most = 1;
    char labels[4][32];
    struct strata_plot_limit limits[4];
    for (size_t i = 0; i <= STRATA_REPORT_RHO_BINS; i++) edges[i] = STRATA_REPORT_RHO_LOW * pow(10, (double)i / 10);
    for (size_t i = 0; i < STRATA_REPORT_RHO_BINS; i++) {
        size_t count = numbers->rho_right[i] + numbers->rho_wrong[i];
        /* In the picture: what is counted, and the limits. */
        bool wanted = count > 0;
        for (size_t b = 0; b < 4; b++) wanted |= bands[b] >= edges[i] && bands[b] < edges[i + 1];
        if (wanted && first == STRATA_REPORT_RHO_BINS) first = i;
        if (wanted) last = i;
        most = count > most ? count : most;
    }
    if (first == STRATA_REPORT_RHO_BINS) return;
    first -= first > 0;
    last += last + 1 < STRATA_REPORT_RHO_BINS;
    for (size_t b = 0; b < 4; b++) {
        snprintf(labels[b], sizeof labels[b], "%g", bands[b]);
        limits[b] = (struct strata_plot_limit){bands[b], labels[b]};
    }
    struct strata_plot_layer layers[] = {{"right", numbers->rho_right + first, 4},
                                         {"wrong", numbers->rho_wrong + first, 5}};
    struct strata_plot plot = {.id = "rho",
                               .title = "Balance of attention between image and text",
                               .width = 440,
                               .height = 250,
                               .top = 30,
                               .description =
                                   "Histogram of rho on a logarithmic axis, right and wrong answers stacked; "
                                   "dashed lines are the limits of the bands."};
    strata_plot_logarithmic(&plot.x, edges[first], edges[last + 1], "\xCF\x81, attention on image / on text (log)");
    strata_plot_linear(&plot.y, 0, most < 5 ? 5 : (double)most, NULL); /* whole numbers at the ticks */
    strata_buffer_printf(page,
                         "<figure><figcaption>Balance \xCF\x81 of %zu answers <span class=\"key k4\"></span>right "
                         "<span class=\"key k5\"></span>wrong</figcaption>\n",
                         numbers->rho_count);
    strata_plot_histogram(page, &plot, edges + first, last - first + 1, layers, 2, limits, 4);
    strata_buffer_printf(page,
                         "<p class=\"note\">Among right answers: hard from %g to %g, medium out to %g and %g, easy "
                         "beyond.</p></figure>\n",
                         bands[1], bands[2], bands[0], bands[3]);
}

static void put_agreement(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    struct strata_plot plot = {.id = "confusion",
                               .title = "PISM and CMAB strata of the same samples",
                               .width = 440,
                               .description = "Rows are PISM strata, columns CMAB strata; darker is more samples.",
                               .x = {.label = "CMAB"},
                               .y = {.label = "PISM"}};
    size_t both = 0, equal = 0;
    for (size_t i = 0; i < MEASURED * MEASURED; i++) {
        both += numbers->confusion[i];
        equal += i % (MEASURED + 1) == 0 ? numbers->confusion[i] : 0;
    }
    double rank = strata_spearman(numbers->confusion, MEASURED);
    strata_buffer_text(page, "<figure><figcaption>Do the two measures agree?</figcaption>\n");
    strata_plot_heat(page, &plot, stratum_names, MEASURED, stratum_names, MEASURED, numbers->confusion);
    strata_buffer_printf(page, "<p class=\"note\">Equal stratum for %zu of %zu samples (%.1f&#8239;%%). ", equal, both,
                         percent(equal, both));
    if (isnan(rank))
        strata_buffer_text(page, "One of the two does not vary: there is no rank correlation.");
    else
        strata_buffer_printf(page, "Spearman rank correlation %+.2f, unsolved to easy, ties at their mean rank.", rank);
    strata_buffer_text(page, " A click on a field shows those in the browser below.</p></figure>\n");
}

static void put_measures(struct strata_buffer *page, const struct strata_report_numbers *numbers) {
    if (!(numbers->metrics & STRATA_METRIC_CMAB)) return;
    strata_buffer_text(page, "<section aria-labelledby=\"h-balance\">\n<h2 id=\"h-balance\">Attention balance</h2>\n"
                             "<div class=\"pair\">\n");
    put_balance(page, numbers);
    if (numbers->metrics & STRATA_METRIC_PISM) put_agreement(page, numbers);
    strata_buffer_text(page, "</div>\n</section>\n");
}

static void put_filter(struct strata_buffer *page, const char *id, const char *label, const char *const *values,
                       size_t count) {
    strata_buffer_printf(page, "<label>%s<select id=\"%s\"><option value=\"\">any</option>", label, id);
    for (size_t i = 0; i < count; i++) {
        strata_buffer_text(page, "<option>");
        strata_html_text(page, values[i]);
        strata_buffer_text(page, "</option>");
    }
    strata_buffer_text(page, "</select></label>\n");
}

static void put_browser(struct strata_buffer *page, const struct strata_report_numbers *numbers,
                        const struct strata_report_browser *browser, const struct strata_report_options *options) {
    static const char *const outcomes[] = {"balance answer right", "balance answer wrong", "draws all right",
                                           "draws mixed", "draws all wrong"};
    const char *strata[STRATA_STRATA];
    size_t shown = json_array_size(browser->samples);
    for (size_t i = 0; i < STRATA_STRATA; i++) strata[i] = strata_stratum_name((enum strata_stratum)i);
    strata_buffer_text(page, "<section aria-labelledby=\"h-samples\">\n<h2 id=\"h-samples\">Samples</h2>\n<p>");
    if (shown < numbers->place_count)
        strata_buffer_printf(page, "%zu of %zu samples, drawn at random (seed %llu). ", shown, numbers->place_count,
                             (unsigned long long)options->seed);
    else
        strata_buffer_printf(page, "All %zu samples. ", shown);
    if (!browser->has_data) {
        strata_buffer_text(page, "Without questions and images: ");
        strata_html_text(page, browser->note);
        strata_buffer_text(page, ". ");
    } else if (browser->without_images) {
        strata_buffer_printf(
            page,
            "%zu of them stand without their images, to keep the page below about %zu MiB of images or "
            "because they could not be read. ",
            browser->without_images, options->image_bytes >> 20);
    }
    if (browser->maps) strata_buffer_printf(page, "%zu with a map of the attention over the image. ", browser->maps);
    if (browser->unmapped) {
        strata_buffer_printf(page, "%zu without, although asked for: ", browser->unmapped);
        strata_html_text(page, browser->unmapped_reason);
        strata_buffer_text(page, ". ");
    }
    strata_buffer_text(page, "Keys: <kbd>j</kbd> <kbd>k</kbd> next and previous, <kbd>/</kbd> search");
    if (browser->maps) strata_buffer_text(page, ", <kbd>m</kbd> attention on and off");
    strata_buffer_text(page, ".</p>\n"
                             "<noscript><p class=\"note\">The browser needs scripts; all else on this page does not."
                             "</p></noscript>\n<form class=\"filters\" id=\"filters\" role=\"search\">\n");
    put_filter(page, "f-pism", "PISM", strata, STRATA_STRATA);
    put_filter(page, "f-cmab", "CMAB", strata, STRATA_STRATA);
    put_filter(page, "f-ability", "Ability", NULL, 0);
    put_filter(page, "f-outcome", "Outcome", outcomes, sizeof outcomes / sizeof *outcomes);
    strata_buffer_text(page,
                       "<label>Text<input id=\"f-text\" type=\"search\" autocomplete=\"off\"></label>\n"
                       "<button type=\"reset\">Reset</button>\n</form>\n"
                       "<p id=\"count\" role=\"status\"></p>\n<div class=\"browser\"><ol id=\"list\"></ol>"
                       "<div id=\"pane\" aria-live=\"polite\"></div></div>\n"
                       "<nav class=\"pages\" aria-label=\"Pages of samples\"><button id=\"back\" type=\"button\">"
                       "Previous</button><span id=\"page\"></span><button id=\"next\" type=\"button\">Next</button>"
                       "</nav>\n");
    strata_html_json(page, "data", browser->samples);
    strata_buffer_text(page, "</section>\n");
}

/* study: results of the study that the run is part of, or NULL; `directory` is what was asked for. */
static int put_page(struct strata_buffer *page, struct strata_report_numbers *numbers,
                    const struct strata_report_browser *browser, const struct strata_report_options *options,
                    const json_t *study, const char *directory, struct strata_error *err) {
    int code = 0;
    strata_html_begin(page, "Strata report");
    strata_buffer_printf(page, "<header><h1>%s</h1>\n<p class=\"run\">",
                         study ? "Does training on medium and hard samples win?"
                               : "How hard is this data for this model?");
    strata_html_text(page, directory);
    strata_buffer_text(page, "</p></header>\n");
    if (study) {
        code = strata_report_study_put(page, study, directory, err);
        if (code) return code;
        strata_buffer_text(page, "<h2>The data, as scored under the first seed</h2>\n");
    }
    strata_buffer_text(page, "<section aria-label=\"Summary\">\n");
    put_tiles(page, numbers);
    code = put_settings(page, numbers, err);
    strata_buffer_text(page, "</section>\n");
    put_strata(page, numbers);
    if (numbers->metrics & STRATA_METRIC_PISM) put_curves(page, numbers);
    put_measures(page, numbers);
    put_browser(page, numbers, browser, options);
    strata_html_end(page);
    return code ? code : strata_buffer_check(page, err);
}

int strata_report(struct strata_report_summary *summary, const char *directory, const char *out,
                  const struct strata_report_options *options, struct strata_error *err) {
    struct strata_report_numbers numbers = {0};
    struct strata_report_browser browser = {0};
    struct strata_buffer page = {0};
    json_t *study = NULL;
    char *run = NULL;
    int code = strata_report_study_load(&study, directory, err);
    if (!code && study) code = strata_report_study_run(&run, study, directory, err);
    if (!code) code = strata_report_gather(&numbers, run ? run : directory, err);
    if (!code) code = strata_report_samples(&browser, &numbers, options, err);
    if (!code) code = put_page(&page, &numbers, &browser, options, study, directory, err);
    if (!code) code = strata_file_write(out, page.data, page.length, err);
    if (!code && summary)
        *summary = (struct strata_report_summary){.samples = numbers.place_count,
                                                  .shown = json_array_size(browser.samples),
                                                  .without_images = browser.without_images,
                                                  .maps = browser.maps,
                                                  .unmapped = browser.unmapped,
                                                  .bytes = page.length};
    json_decref(browser.samples);
    json_decref(study);
    free(run);
    strata_buffer_free(&page);
    strata_report_release(&numbers);
    return code;
}
