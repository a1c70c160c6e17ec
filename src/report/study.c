#include "report/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "report/html.h"
#include "report/plot.h"
#include "report/study_results.h"

#define ROWS         12
#define RESULT_LIMIT ((size_t)256 << 20)

/* ---- reading ---- */

int strata_report_study_load(json_t **results, const char *directory, struct strata_error *err) {
    char *path = strata_path_join(directory, "results.json");
    int code = path ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    *results = NULL;
    if (!code && strata_file_exists(path)) {
        code = strata_json_load(results, path, RESULT_LIMIT, err);
        const char *kind = json_string_value(json_object_get(*results, "strata"));
        if (!code && (!kind || strcmp(kind, "study") != 0)) {
            strata_fail(err, STRATA_ERR_INPUT, "these are no results of a study");
            code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
        }
    } else if (!code) {
        char *begun = strata_path_join(directory, "study.json");
        if (begun && strata_file_exists(begun)) {
            strata_fail(err, STRATA_ERR_STATE, "the study has no results yet");
            strata_fail_at(err, STRATA_ERR_STATE, "%s", directory);
            code = strata_fail_hint(err, STRATA_ERR_STATE, "strata study with the same recipe goes on with it");
        }
        free(begun);
    }
    free(path);
    return code;
}

int strata_report_study_run(char **run, const json_t *results, const char *directory, struct strata_error *err) {
    const char *place =
        json_string_value(json_array_get(json_object_get(json_object_get(results, "settings"), "scores"), 0));
    struct strata_buffer text = {0};
    strata_buffer_printf(&text, "%s/stages/%s/run", directory, place ? place : "");
    int code = strata_buffer_check(&text, err);
    *run = text.data;
    return code;
}

static const json_t *field_of(const json_t *row, const char *group, const char *column) {
    return json_object_get(json_object_get(row, group), column);
}

/* ---- forests ---- */

static void row_name(char out[48], const json_t *row) {
    snprintf(out, 48, "%.0f %.40s", strata_json_number_or_nan(row, "row"), strata_json_text(row, "paradigm"));
}

/* An axis around all spans, its ends at multiples of five hundredths of the column's scale. */
static void set_axis(struct strata_plot *plot, const struct strata_plot_span *spans, size_t count, double include,
                     const struct strata_results_column *column, const char *label) {
    double low = include, high = include, step = column->digits > 1 ? 0.05 : 5;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(spans[i].mean)) continue;
        low = fmin(isfinite(low) ? low : spans[i].low, spans[i].low);
        high = fmax(isfinite(high) ? high : spans[i].high, spans[i].high);
    }
    if (!isfinite(low)) low = high = 0;
    low = floor(low / step - 1e-9) * step;
    high = ceil(high / step + 1e-9) * step;
    strata_plot_linear(&plot->x, low, high, label);
}

static void put_forest(struct strata_buffer *page, const json_t *results, const json_t *table, const char *place,
                       const struct strata_results_column *column, bool claim) {
    struct strata_plot_span spans[ROWS];
    char names[ROWS][48], id[72], title[160];
    size_t index, count = 0;
    json_t *row;
    struct strata_plot_limit limit = {claim ? 0 : strata_results_number(results, "base", column, "mean"),
                                      claim ? "equal" : "before training"};
    const char *group = claim ? "claim" : "score";
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        bool claimed = strata_json_number_or_nan(row, "row") == ROWS;
        if (count == ROWS || (claim && claimed)) continue;
        row_name(names[count], row);
        spans[count] = (struct strata_plot_span){
            .name = names[count],
            .mean = strata_results_number(row, group, column, "mean"),
            .low = strata_results_number(row, group, column, claim ? "wide_low" : "low"),
            .high = strata_results_number(row, group, column, claim ? "wide_high" : "high"),
            .colour = claimed || (claim && strata_results_p(row, column->name) < 0.05) ? 4 : 0};
        count++;
    }
    snprintf(id, sizeof id, "forest-%.47s-%d", place, claim);
    snprintf(title, sizeof title, claim ? "Row 12 minus row k on %.80s" : "Right answers on %.80s", column->name);
    struct strata_plot plot = {.id = id,
                               .title = title,
                               .width = 520,
                               .description = claim ? "Differences in points with 95 percent intervals over test "
                                                      "samples and seeds; to the right row 12 is better."
                                                    : "Scores with 95 percent intervals over test samples."};
    set_axis(&plot, spans, count, limit.x, column,
             claim               ? "points"
             : column->benchmark ? "the benchmark's number"
                                 : "percent right");
    strata_buffer_text(page, "<figure><figcaption>");
    strata_html_text(page, title);
    strata_buffer_text(page, "</figcaption>\n");
    strata_plot_forest(page, &plot, spans, count, &limit);
    strata_buffer_text(page, claim
                                 ? "<p class=\"note\">Right of the line row 12 is better. Coloured: certain after "
                                   "Holm's correction over rows 3 to 10 (p &lt; 0.05).</p></figure>\n"
                                 : "<p class=\"note\">Intervals over test samples; row 12 is coloured.</p></figure>\n");
}

/* The family's own test samples in the open; benchmarks fold. */
static void put_forests(struct strata_buffer *page, const json_t *results, const json_t *table, size_t number) {
    const struct strata_results_column first = strata_results_main(results, table);
    size_t index;
    json_t *column;
    json_array_foreach(json_object_get(results, "columns"), index, column) {
        const struct strata_results_column unit = strata_results_column(column);
        bool open = strcmp(unit.name, first.name) == 0;
        char place[48];
        if (!open && !unit.benchmark) continue;
        snprintf(place, sizeof place, open ? "%zu" : "%zu-%zu", number, index);
        if (!open) {
            strata_buffer_text(page, "<details><summary>");
            strata_html_text(page, unit.name);
            strata_buffer_text(page, "</summary>");
        }
        strata_buffer_text(page, "<div class=\"pair\">\n");
        put_forest(page, results, table, place, &unit, false);
        put_forest(page, results, table, place, &unit, true);
        strata_buffer_text(page, open ? "</div>\n" : "</div></details>\n");
    }
}

/* ---- tables ---- */

static void put_field(struct strata_buffer *page, const json_t *field, const struct strata_results_column *column,
                      bool signs) {
    int digits = column->digits;
    double scale = column->scale;
    if (!field || !isfinite(strata_json_number_or_nan(field, "mean"))) {
        strata_buffer_text(page, "<td>–</td>");
        return;
    }
    strata_buffer_printf(page, signs ? "<td>%+.*f" : "<td>%.*f", digits,
                         scale * strata_json_number_or_nan(field, "mean"));
    if (json_object_get(field, "low"))
        strata_buffer_printf(
            page, signs ? " <span class=\"n\">[%+.*f, %+.*f]</span>" : " <span class=\"n\">[%.*f, %.*f]</span>", digits,
            scale * strata_json_number_or_nan(field, signs ? "wide_low" : "low"), digits,
            scale * strata_json_number_or_nan(field, signs ? "wide_high" : "high"));
    strata_buffer_text(page, "</td>");
}

static void put_cost(struct strata_buffer *page, const json_t *row) {
    static const char *const keys[] = {"sft_samples", "sft_steps",      "grpo_samples",
                                       "grpo_steps",  "trained_tokens", "sampled_tokens"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        double value = strata_json_number_or_nan(json_object_get(row, "cost"), keys[k]);
        if (isfinite(value))
            strata_buffer_printf(page, "<td%s>%.0f</td>", k ? "" : " class=\"first\"", value);
        else
            strata_buffer_printf(page, "<td%s>–</td>", k ? "" : " class=\"first\"");
    }
}

/* Every column of every row, with what the row took. */
static void put_numbers(struct strata_buffer *page, const json_t *results, const json_t *table) {
    const json_t *columns = json_object_get(results, "columns"), *base = json_object_get(results, "base");
    size_t index, c;
    json_t *row, *column;
    strata_buffer_text(page, "<details><summary>All figures</summary><div class=\"scroll\" tabindex=\"0\">\n"
                             "<table class=\"numbers\"><thead><tr><th>paradigm</th>");
    json_array_foreach(columns, c, column) {
        strata_buffer_text(page, "<th>");
        strata_html_text(page, strata_json_text(column, "name"));
        strata_buffer_text(page, "</th>");
    }
    strata_buffer_text(page,
                       "<th class=\"first\">SFT samples</th><th>updates</th><th>GRPO samples</th><th>updates</th>"
                       "<th>tokens trained</th><th>sampled</th></tr></thead>\n<tbody><tr><td>before training</td>");
    json_array_foreach(columns, c, column) {
        const struct strata_results_column unit = strata_results_column(column);
        put_field(page, json_object_get(base, unit.name), &unit, false);
    }
    strata_buffer_text(page, "<td class=\"first\"></td><td></td><td></td><td></td><td></td><td></td></tr>\n");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        char name[48];
        row_name(name, row);
        strata_buffer_text(page, "<tr><td>");
        strata_html_text(page, name);
        strata_buffer_text(page, "</td>");
        json_array_foreach(columns, c, column) {
            const struct strata_results_column unit = strata_results_column(column);
            put_field(page, field_of(row, "score", unit.name), &unit, false);
        }
        put_cost(page, row);
        strata_buffer_text(page, "</tr>\n");
    }
    strata_buffer_text(page, "</tbody></table></div></details>\n");
}

static void put_claim(struct strata_buffer *page, const json_t *row, const struct strata_results_column *column,
                      bool alone) {
    double p = strata_results_p(row, column->name), spread = strata_results_number(row, "claim", column, "spread");
    put_field(page, field_of(row, "claim", column->name), column, true);
    if (alone) return;
    if (isfinite(spread))
        strata_buffer_printf(page, "<td>%.*f</td>", column->digits, spread);
    else
        strata_buffer_text(page, "<td></td>");
    if (isfinite(p))
        strata_buffer_printf(page, "<td>%.3f</td>", p);
    else
        strata_buffer_text(page, "<td></td>");
}

static void put_claims(struct strata_buffer *page, const json_t *results, const json_t *table) {
    const json_t *columns = json_object_get(results, "columns");
    size_t index, c;
    json_t *row, *column;
    strata_buffer_text(page, "<details><summary>Row 12 minus row k</summary><div class=\"scroll\" tabindex=\"0\">\n"
                             "<table class=\"numbers\"><thead><tr><th>row</th>");
    json_array_foreach(columns, c, column) {
        if (!strata_results_compared(column, table)) continue;
        strata_buffer_text(page, "<th>");
        strata_html_text(page, strata_json_text(column, "name"));
        strata_buffer_text(page, strcmp(strata_json_text(column, "kind"), "all") == 0
                                     ? "</th>"
                                     : "</th><th>± over seeds</th><th>p, Holm</th>");
    }
    strata_buffer_text(page, "</tr></thead>\n<tbody>");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        char name[48];
        if (!json_object_get(row, "claim")) continue;
        row_name(name, row);
        strata_buffer_text(page, "<tr><td>");
        strata_html_text(page, name);
        strata_buffer_text(page, "</td>");
        json_array_foreach(columns, c, column) {
            const struct strata_results_column unit = strata_results_column(column);
            if (strata_results_compared(column, table))
                put_claim(page, row, &unit, strcmp(strata_json_text(column, "kind"), "all") == 0);
        }
        strata_buffer_text(page, "</tr>\n");
    }
    strata_buffer_text(page, "</tbody></table></div></details>\n");
}

static void put_paper(struct strata_buffer *page, const json_t *results, const json_t *table) {
    const json_t *paper = json_object_get(table, "paper"), *rows = json_object_get(table, "rows");
    const json_t *claimed = json_array_get(rows, json_array_size(rows) ? json_array_size(rows) - 1 : 0);
    const char *name;
    json_t *value;
    (void)results;
    if (!json_object_size(paper)) return;
    strata_buffer_text(page, "<p class=\"note\">The paper's row 12 (Qwen2.5-VL-7B):");
    json_object_foreach((json_t *)json_object_get(table, "paper"), name, value) {
        double number = json_number_value(value),
               ours = strata_json_number_or_nan(field_of(claimed, "score", name), "mean");
        strata_buffer_printf(page, " %s %.*f", name, number < 1 ? 3 : 1, number);
        if (isfinite(ours)) strata_buffer_printf(page, " (here %.*f)", number < 1 ? 3 : 1, ours);
    }
    strata_buffer_text(page, ".</p>\n");
}

/* ---- summary ---- */

static void put_tile(struct strata_buffer *page, const json_t *results, const json_t *table) {
    const struct strata_results_column column = strata_results_main(results, table);
    const struct strata_results_claim claim = strata_results_claim(table, column.name);
    const json_t *rows = json_object_get(table, "rows");
    const json_t *claimed = json_array_get(rows, json_array_size(rows) ? json_array_size(rows) - 1 : 0);
    double score = strata_json_number_or_nan(claimed, "row") == ROWS
                       ? strata_results_number(claimed, "score", &column, "mean")
                       : (double)NAN;
    double base = strata_results_number(results, "base", &column, "mean");
    const char *unit = column.benchmark ? "" : " %";
    strata_buffer_text(page, "<div class=\"tile\"><dt>");
    strata_html_printf(page, "%s, %s: row 12%s%s", strata_results_measure(table), strata_json_text(table, "family"),
                       column.benchmark ? " on " : "", column.benchmark ? column.name : "");
    strata_buffer_text(page, "</dt><dd>");
    if (isfinite(score))
        strata_buffer_printf(page, "%.*f%s", column.digits, score, unit);
    else
        strata_buffer_text(page, "–");
    strata_buffer_text(page, "</dd><dd class=\"detail\">");
    if (isfinite(base)) strata_buffer_printf(page, "%.*f%s before; ", column.digits, base, unit);
    strata_buffer_printf(page, "ahead of %zu of rows 3 to 10 (%zu compared), with certainty %zu</dd></div>\n",
                         claim.ahead, claim.compared, claim.ahead_certain);
}

static void put_measure(struct strata_buffer *page, const char *family, const char *name, const json_t *agreement) {
    static const char *const keys[] = {"kappa", "spearman", "kendall"};
    if (!(strata_json_number_or_nan(agreement, "samples") > 0)) return;
    strata_buffer_text(page, "<tr><td>");
    strata_html_printf(page, "%s: %s", family, name);
    strata_buffer_printf(page, "</td><td>%.0f</td><td>%.1f %%</td>", strata_json_number_or_nan(agreement, "samples"),
                         100 * strata_json_number_or_nan(agreement, "equal"));
    for (size_t k = 0; k < 3; k++) {
        double value = strata_json_number_or_nan(agreement, keys[k]);
        if (isfinite(value))
            strata_buffer_printf(page, "<td>%+.2f</td>", value);
        else
            strata_buffer_text(page, "<td>–</td>");
    }
    strata_buffer_text(page, "</tr>\n");
}

static void put_stability(struct strata_buffer *page, const json_t *results) {
    size_t index;
    json_t *family;
    strata_buffer_text(page,
                       "<section aria-labelledby=\"h-stable\">\n<h2 id=\"h-stable\">How firm are the strata?</h2>\n"
                       "<p>Agreement of the two measures, of each with itself under another seed, with guessing "
                       "discounted, and with the median over tokens in the mean's place.</p>\n"
                       "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr><th>agreement of</th>"
                       "<th>pairs</th><th>same stratum</th><th>kappa</th><th>Spearman</th><th>Kendall</th></tr>"
                       "</thead>\n<tbody>");
    json_array_foreach(json_object_get(results, "difficulty"), index, family) {
        const char *name = strata_json_text(family, "family");
        const json_t *retest = json_object_get(family, "retest");
        put_measure(page, name, "PISM with CMAB", json_object_get(family, "agreement"));
        put_measure(page, name, "PISM, two seeds", json_object_get(retest, "pism"));
        put_measure(page, name, "CMAB, two seeds", json_object_get(retest, "cmab"));
        put_measure(page, name, "PISM, guessing discounted", json_object_get(family, "guessing"));
        put_measure(page, name, "CMAB, median over tokens", json_object_get(family, "tokens"));
    }
    strata_buffer_text(page, "</tbody></table></div>\n</section>\n");
}

int strata_report_study_put(struct strata_buffer *page, const json_t *results, const char *directory,
                            struct strata_error *err) {
    const json_t *settings = json_object_get(results, "settings"), *tables = json_object_get(results, "tables");
    size_t index, seeds = json_array_size(json_object_get(settings, "seeds"));
    json_t *table;
    int code = 0;
    strata_buffer_text(page, "<section aria-label=\"Study\">\n<dl class=\"tiles\">\n");
    json_array_foreach(tables, index, table) {
        put_tile(page, results, table);
    }
    strata_buffer_text(page, "</dl>\n<p>");
    strata_html_printf(page, "Model %s, data %s, budgets matched by %s, %zu seed%s.",
                       strata_json_text(settings, "model"), strata_json_text(settings, "data"),
                       strata_json_text(settings, "match"), seeds, seeds == 1 ? "" : "s");
    strata_buffer_text(page, "</p>\n</section>\n");
    json_array_foreach(tables, index, table) {
        strata_buffer_printf(page, "<section aria-labelledby=\"h-table-%zu\">\n<h2 id=\"h-table-%zu\">", index, index);
        strata_html_printf(page, "Table %zu: %s strata, trained on %s", index + 1, strata_results_measure(table),
                           strata_json_text(table, "family"));
        strata_buffer_text(page, "</h2>\n");
        put_paper(page, results, table);
        put_forests(page, results, table, index);
        put_numbers(page, results, table);
        put_claims(page, results, table);
        code = strata_report_curves_put(page, table, index, directory, err);
        if (code) return code;
        strata_buffer_text(page, "</section>\n");
    }
    strata_buffer_text(page,
                       "<section aria-labelledby=\"h-learns\">\n<h2 id=\"h-learns\">Which strata learn?</h2>\n"
                       "<p>Mean reward of a row's GRPO groups over its run, by the stratum of their sample: row 1, "
                       "where it was run, sees all of them.</p>\n<div class=\"multiples\">\n");
    json_array_foreach(tables, index, table) {
        strata_report_strata_put(page, table, index);
    }
    strata_buffer_text(page, "</div>\n</section>\n");
    put_stability(page, results);
    return strata_buffer_check(page, err);
}
