/* What `strata study` prints at its end: each table in short. tables.md has all of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/study_setup.h"
#include "cli/terminal.h"
#include "report/study_results.h"

#define ID(name) STRATA_OPTION_ID_##name

static void put_number(struct strata_table *table, const char *format, double value) {
    char text[32] = "-";
    if (isfinite(value)) snprintf(text, sizeof text, format, value);
    strata_table_cell(table, "%s", text);
}

static void put_count(struct strata_table *table, double value) {
    char text[32];
    strata_table_cell(table, "%s", isfinite(value) && value > 0 ? strata_count_text(text, value) : "-");
}

/* Training seconds of a row, mean over seeds. */
static double seconds_of(const json_t *times, const json_t *table, double row) {
    double sum = 0, count = 0;
    size_t index;
    json_t *field;
    json_array_foreach(json_object_get(times, "fields"), index, field) {
        if (strata_json_number_or_nan(field, "row") != row ||
            strcmp(strata_json_text(field, "metric"), strata_json_text(table, "metric")) != 0 ||
            strcmp(strata_json_text(field, "family"), strata_json_text(table, "family")) != 0)
            continue;
        sum += strata_json_number_or_nan(field, "sft") + strata_json_number_or_nan(field, "grpo");
        count++;
    }
    return count > 0 ? sum / count : (double)NAN;
}

static void put_value(struct strata_table *out, const json_t *row, const char *group, const char *key,
                      const struct strata_results_column *column, bool signs) {
    double value = strata_results_number(row, group, column, key);
    if (isfinite(value))
        strata_table_cell(out, signs ? "%+.*f" : "%.*f", column->digits, value);
    else
        strata_table_cell(out, "-");
}

static void put_range(struct strata_table *out, const json_t *row, const char *group, const char *low, const char *high,
                      const struct strata_results_column *column, bool signs) {
    double from = strata_results_number(row, group, column, low);
    int digits = column->digits;
    if (isfinite(from))
        strata_table_cell(out, signs ? "%+.*f to %+.*f" : "%.*f to %.*f", digits, from, digits,
                          strata_results_number(row, group, column, high));
    else
        strata_table_cell(out, "-");
}

static void put_row(struct strata_table *out, const json_t *table, const json_t *row, const json_t *times,
                    const struct strata_results_column *column) {
    const json_t *cost = json_object_get(row, "cost");
    double updates = strata_json_number_or_nan(cost, "sft_steps");
    strata_table_cell(out, "%.0f %s", strata_json_number_or_nan(row, "row"), strata_json_text(row, "paradigm"));
    put_value(out, row, "score", "mean", column, false);
    put_range(out, row, "score", "low", "high", column, false);
    put_value(out, row, "score", "spread", column, false);
    put_value(out, row, "claim", "mean", column, true);
    put_range(out, row, "claim", "wide_low", "wide_high", column, true);
    put_number(out, "%.3f", strata_results_p(row, column->name));
    put_number(out, "%.0f", (isfinite(updates) ? updates : 0) + strata_json_number_or_nan(cost, "grpo_steps"));
    put_count(out,
              strata_json_number_or_nan(cost, "trained_tokens") + strata_json_number_or_nan(cost, "sampled_tokens"));
    put_number(out, "%.1f", seconds_of(times, table, strata_json_number_or_nan(row, "row")));
}

static void print_table(const json_t *results, const json_t *table, const json_t *times) {
    static const char *const heads[] = {"right",   "over samples", "+- seeds", "12 - k", "over both",
                                        "p, Holm", "updates",      "tokens",   "seconds"};
    struct strata_table out = {.columns = 10};
    const struct strata_results_column column = strata_results_main(results, table);
    size_t index;
    json_t *row;
    strata_table_cell(&out, "%s, %s%s%s", strata_results_measure(table), strata_json_text(table, "family"),
                      column.benchmark ? ": " : "", column.benchmark ? column.name : "");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) strata_table_cell(&out, "%s", heads[i]);
    strata_table_cell(&out, "before training");
    put_value(&out, results, "base", "mean", &column, false);
    for (size_t i = 2; i < 10; i++) strata_table_cell(&out, "-");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        put_row(&out, table, row, times, &column);
    }
    putchar('\n');
    strata_table_print(&out, 0, false);
    strata_table_free(&out);
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        if (json_object_get(row, "impossible"))
            printf("row %.0f was left out for some seed: %s\n", strata_json_number_or_nan(row, "row"),
                   strata_json_text(row, "impossible"));
    }
}

int strata_cli_study_print(json_t *results, const json_t *times, const struct strata_arguments *arguments,
                           struct strata_error *err) {
    const char *out = strata_text(arguments, ID(OUT));
    size_t index;
    json_t *table;
    if (strata_flag(arguments, ID(JSON))) return strata_print_json(json_incref(results), err);
    json_array_foreach(json_object_get(results, "tables"), index, table) {
        print_table(results, table, times);
    }
    printf("\nPercent right on the family's test samples (or the first benchmark's number); 95 %% intervals over test "
           "samples, and for row 12 minus row "
           "k over "
           "samples and seeds.\nAll columns, claims and difficulty: %s/tables.md (results.json, times.json); a page: "
           "strata report %s\n",
           out, out);
    return 0;
}
