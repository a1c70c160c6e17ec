#include "report/study_results.h"

#include <string.h>

#include "base/json.h"

struct strata_results_column strata_results_column(const json_t *column) {
    struct strata_results_column out = {
        .name = strata_json_text(column, "name"), .scale = 100, .digits = 1, .benchmark = false};
    const json_t *scale = json_object_get(column, "scale"), *digits = json_object_get(column, "digits");
    out.benchmark = strcmp(strata_json_text(column, "kind"), "benchmark") == 0;
    if (scale) out.scale = json_number_value(scale);
    if (json_is_integer(digits) && json_integer_value(digits) >= 0 && json_integer_value(digits) <= 6)
        out.digits = (int)json_integer_value(digits);
    return out;
}

struct strata_results_column strata_results_main(const json_t *results, const json_t *table) {
    struct strata_results_column found = {.name = "", .scale = 100, .digits = 1};
    size_t index;
    json_t *column;
    json_array_foreach(json_object_get(results, "columns"), index, column) {
        const char *kind = strata_json_text(column, "kind");
        if (strcmp(kind, "family") == 0 &&
            strcmp(strata_json_text(column, "name"), strata_json_text(table, "family")) == 0)
            return strata_results_column(column);
        if (strcmp(kind, "benchmark") == 0 && !*found.name) found = strata_results_column(column);
    }
    return found;
}

bool strata_results_compared(const json_t *column, const json_t *table) {
    const char *kind = strata_json_text(column, "kind");
    return strcmp(kind, "all") == 0 || strcmp(kind, "benchmark") == 0 ||
           (strcmp(kind, "family") == 0 &&
            strcmp(strata_json_text(column, "name"), strata_json_text(table, "family")) == 0);
}

const char *strata_results_measure(const json_t *table) {
    return strcmp(strata_json_text(table, "metric"), "cmab") == 0 ? "CMAB" : "PISM";
}

double strata_results_number(const json_t *row, const char *group, const struct strata_results_column *column,
                             const char *key) {
    const json_t *field = json_object_get(json_object_get(row, group), column->name);
    return column->scale * strata_json_number_or_nan(field, key);
}

double strata_results_p(const json_t *row, const char *column) {
    return strata_json_number_or_nan(json_object_get(json_object_get(row, "claim"), column), "p_holm");
}

struct strata_results_claim strata_results_claim(const json_t *table, const char *column) {
    struct strata_results_claim out = {0};
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        const json_t *claim = json_object_get(json_object_get(row, "claim"), column);
        double k = strata_json_number_or_nan(row, "row"), mean = strata_json_number_or_nan(claim, "mean"),
               p = strata_results_p(row, column);
        if (!claim || k < 3 || k > 10) continue;
        out.compared++;
        out.ahead += mean > 0;
        out.ahead_certain += mean > 0 && p < 0.05;
        out.behind_certain += mean < 0 && p < 0.05;
    }
    return out;
}
