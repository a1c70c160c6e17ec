/* Curves of a study's trainings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "report/html.h"
#include "report/plot.h"
#include "report/study.h"

#define POINTS 24 /* of a curve at most: updates are taken together */
#define PARTS  10 /* as results.json has them */

/* ---- rewards over updates ---- */

struct curve {
    double x[POINTS], y[POINTS], error[POINTS];
    double sum[POINTS], square[POINTS], seeds[POINTS]; /* over seeds, of a point's mean */
    size_t count;
};

/* One seed's rewards into the points; a file that is not there is one without a curve. */
static int add_seed(struct curve *curve, const char *path, double steps, struct strata_error *err) {
    double sum[POINTS] = {0}, count[POINTS] = {0};
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, number = 0;
    ssize_t length;
    int code = 0;
    if (!file) return 0;
    while (!code && (length = getline(&text, &size, file)) > 0 && text[length - 1] == '\n') {
        json_t *line;
        code = strata_json_parse(&line, text, (size_t)length - 1, path, ++number, err);
        if (code) break;
        double step = strata_json_number_or_nan(line, "step"), reward = strata_json_number_or_nan(line, "reward");
        if (isfinite(reward) && step >= 1 && step <= steps) {
            size_t point = (size_t)((step - 1) * (double)curve->count / steps);
            sum[point] += reward;
            count[point]++;
        }
        json_decref(line);
    }
    free(text);
    fclose(file);
    for (size_t i = 0; i < curve->count && !code; i++) {
        if (!(count[i] > 0)) continue;
        double mean = sum[i] / count[i];
        curve->sum[i] += mean;
        curve->square[i] += mean * mean;
        curve->seeds[i]++;
    }
    return code;
}

/* Mean over seeds, with their standard deviation. */
static int fill_curve(struct curve *curve, const json_t *row, const char *directory, struct strata_error *err) {
    const json_t *seeds = json_object_get(row, "seeds");
    double steps = 0;
    size_t index;
    json_t *seed;
    int code = 0;
    *curve = (struct curve){0};
    json_array_foreach(seeds, index, seed) {
        steps = fmax(steps, strata_json_number_or_nan(seed, "steps"));
    }
    if (!(steps >= 1)) return 0;
    curve->count = steps < POINTS ? (size_t)steps : POINTS;
    json_array_foreach(seeds, index, seed) {
        struct strata_buffer path = {0};
        strata_buffer_printf(&path, "%s/stages/%s/train/metrics.jsonl", directory, strata_json_text(seed, "grpo"));
        code = strata_buffer_check(&path, err);
        if (!code) code = add_seed(curve, path.data, steps, err);
        strata_buffer_free(&path);
        if (code) return code;
    }
    for (size_t i = 0; i < curve->count; i++) {
        double n = curve->seeds[i], mean = n > 0 ? curve->sum[i] / n : (double)NAN;
        double variance = n > 1 ? (curve->square[i] - n * mean * mean) / (n - 1) : 0;
        curve->x[i] = ((double)i + 0.5) * steps / (double)curve->count;
        curve->y[i] = mean;
        curve->error[i] = variance > 0 ? sqrt(variance) : 0;
    }
    return 0;
}

static void put_curve(struct strata_buffer *page, const json_t *row, const struct curve *curve, size_t number) {
    char id[48], title[96];
    struct strata_plot_line line = {.name = strata_json_text(row, "paradigm"),
                                    .x = curve->x,
                                    .y = curve->y,
                                    .error = curve->error,
                                    .count = curve->count,
                                    .colour = 4};
    snprintf(id, sizeof id, "train-%zu-%.0f", number, strata_json_number_or_nan(row, "row"));
    snprintf(title, sizeof title, "%.0f %.60s", strata_json_number_or_nan(row, "row"),
             strata_json_text(row, "paradigm"));
    struct strata_plot plot = {.id = id,
                               .title = title,
                               .width = 320,
                               .height = 180,
                               .top = 12,
                               .description = "Mean reward of GRPO over its updates, with the standard deviation over "
                                              "seeds."};
    double end = curve->count ? curve->x[curve->count - 1] : 1;
    strata_plot_linear(&plot.x, 0, end > 1 ? end : 1, "update");
    strata_plot_linear(&plot.y, 0, 1, NULL);
    strata_buffer_text(page, "<figure><figcaption>");
    strata_html_text(page, title);
    strata_buffer_text(page, "</figcaption>\n");
    strata_plot_lines(page, &plot, &line, 1);
    strata_buffer_text(page, "</figure>\n");
}

int strata_report_curves_put(struct strata_buffer *page, const json_t *table, size_t number, const char *directory,
                             struct strata_error *err) {
    size_t index;
    json_t *row;
    int code = 0;
    strata_buffer_text(page, "<details><summary>Training curves</summary>\n<div class=\"multiples\">\n");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        struct curve curve;
        code = fill_curve(&curve, row, directory, err);
        if (code) return code;
        if (curve.count) put_curve(page, row, &curve, number);
    }
    strata_buffer_text(page, "</div></details>\n");
    return 0;
}

/* ---- rewards by stratum ---- */

void strata_report_strata_put(struct strata_buffer *page, const json_t *table, size_t number) {
    static const char *const strata[] = {"unsolved", "hard", "medium", "easy"};
    const json_t *row = json_array_get(json_object_get(table, "rows"), 0);
    struct strata_plot_line lines[4];
    double x[PARTS], y[4][PARTS];
    char id[32], title[128];
    size_t index, part, count = 0;
    json_t *entry, *value;
    if (!row) return;
    for (size_t i = 0; i < PARTS; i++) x[i] = ((double)i + 0.5) / PARTS;
    json_array_foreach(json_object_get(row, "strata"), index, entry) {
        unsigned colour = 0;
        while (colour < 4 && strcmp(strata[colour], strata_json_text(entry, "stratum")) != 0) colour++;
        if (colour == 4 || count == 4) continue;
        for (size_t i = 0; i < PARTS; i++) y[count][i] = (double)NAN;
        json_array_foreach(json_object_get(entry, "curve"), part, value) {
            if (part < PARTS && json_is_number(value)) y[count][part] = json_number_value(value);
        }
        lines[count] =
            (struct strata_plot_line){.name = strata[colour], .x = x, .y = y[count], .count = PARTS, .colour = colour};
        count++;
    }
    snprintf(id, sizeof id, "learns-%zu", number);
    snprintf(title, sizeof title, "%s, %.40s: row %.0f",
             strcmp(strata_json_text(table, "metric"), "cmab") == 0 ? "CMAB" : "PISM",
             strata_json_text(table, "family"), strata_json_number_or_nan(row, "row"));
    struct strata_plot plot = {.id = id,
                               .title = title,
                               .width = 320,
                               .height = 196,
                               .top = 12,
                               .description = "Mean reward by stratum over the share of the run that is done."};
    strata_plot_linear(&plot.x, 0, 1, "share of the run");
    plot.x.percent = true;
    strata_plot_linear(&plot.y, 0, 1, NULL);
    strata_buffer_text(page, "<figure><figcaption>");
    strata_html_text(page, title);
    for (size_t i = 0; i < count; i++)
        strata_buffer_printf(page, " <span class=\"n\"><span class=\"key k%u\"></span>%s</span>", lines[i].colour,
                             lines[i].name);
    strata_buffer_text(page, "</figcaption>\n");
    strata_plot_lines(page, &plot, lines, count);
    strata_buffer_text(page, "</figure>\n");
}
