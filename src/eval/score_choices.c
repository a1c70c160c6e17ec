/* Multiple choice (MMStar, MMMU), and what all benchmarks share. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "eval/python.h"
#include "eval/score.h"

json_t *strata_choice_truth(const json_t *answer, enum strata_benchmark benchmark) {
    const char *text = json_is_string(answer) ? json_string_value(answer) : "";
    bool letter = text[0] >= 'A' && text[0] <= 'Z' && !text[1];
    return benchmark == STRATA_MMMU && !letter ? json_string("A") : json_deep_copy(answer);
}

int strata_mmmu_prepare(json_t *rows, struct strata_error *err) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        const json_t *a, *b, *answer;
        int code = strata_row_cell(&a, row, "A", err);
        if (!code) code = strata_row_cell(&b, row, "B", err);
        if (!code) code = strata_row_cell(&answer, row, "answer", err);
        if (code) return code;
        if (!json_is_null(a)) continue;
        if (json_object_set_new(row, "A", json_deep_copy(answer)) ||
            json_object_set_new(row, "B", json_string("Other Answers")))
            return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    return 0;
}

/* ---- report_acc ---- */

static const char *abbreviated(const char *name) {
    static const char *const pairs[][2] = {{"coarse_perception", "CP"},
                                           {"finegrained_perception (instance-level)", "FP-S"},
                                           {"finegrained_perception (cross-instance)", "FP-C"},
                                           {"logic_reasoning", "LR"},
                                           {"relation_reasoning", "RR"},
                                           {"attribute_reasoning", "AR"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (strcmp(name, pairs[i][0]) == 0) return pairs[i][1];
    }
    return name;
}

/* What a cell is called as a key; owned by the caller. */
static char *cell_name(const json_t *cell) {
    struct strata_buffer text = {0};
    strata_buffer_text(&text, "");
    strata_python_cell(&text, cell);
    return text.data;
}

static bool cell_is(const json_t *row, const char *column, const char *name) {
    char *text = cell_name(json_object_get(row, column));
    bool same = text && strcmp(text, name) == 0;
    free(text);
    return same;
}

/* Mean of hit over the rows of one split, and of one group where column is not NULL; null for no row. */
static json_t *mean_hit(const json_t *rows, const char *split, const char *column, const char *group) {
    size_t index, count = 0;
    double sum = 0;
    json_t *row;
    json_array_foreach(rows, index, row) {
        if (json_object_get(row, "split") && !cell_is(row, "split", split)) continue;
        if (column && !cell_is(row, column, group)) continue;
        const json_t *hit = json_object_get(row, "hit");
        sum += json_is_boolean(hit) ? json_is_true(hit) : json_number_value(hit);
        count++;
    }
    return count ? json_real(sum / (double)count) : json_null();
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
static int by_number(const void *a, const void *b) {
    double x = strtod(*(const char *const *)a, NULL), y = strtod(*(const char *const *)b, NULL);
    return (x > y) - (x < y);
}

/* The distinct cells of a column, sorted: an array of `*count` names. Cells that Python cannot sort are a TypeError. */
static int distinct_cells(char ***out, size_t *count, const json_t *rows, const char *column,
                          struct strata_error *err) {
    json_t *seen = json_object(), *row;
    size_t index, texts = 0, others = 0;
    int code = 0;
    json_array_foreach(rows, index, row) {
        const json_t *cell = json_object_get(row, column);
        char *name = cell_name(cell);
        if (!name || json_object_set_new(seen, name, json_null()))
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        free(name);
        texts += json_is_string(cell);
        others += !json_is_string(cell);
    }
    if (!code && texts && others)
        code = strata_fail(err, STRATA_ERR_INPUT, "TypeError: column \"%s\" mixes texts and missing cells", column);
    if (!code) code = strata_alloc(out, json_object_size(seen), sizeof **out, err);
    const char *name;
    *count = 0;
    json_object_foreach(seen, name, row) {
        if (!code) (*out)[(*count)++] = strata_strdup(name);
    }
    if (*count) qsort(*out, *count, sizeof **out, others ? by_number : by_text);
    json_decref(seen);
    return code;
}

static int add_groups(json_t *split_metrics, const json_t *rows, const char *split, const char *column,
                      struct strata_error *err) {
    char **names = NULL;
    size_t count = 0;
    int code = distinct_cells(&names, &count, rows, column, err);
    for (size_t i = 0; i < count; i++) {
        if (!code && json_object_set_new(split_metrics, abbreviated(names[i]), mean_hit(rows, split, column, names[i])))
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        free(names[i]);
    }
    free(names);
    return code;
}

int strata_score_choices(json_t **metrics, const json_t *rows, struct strata_error *err) {
    static const char *const groups[] = {"l2-category", "category"};
    json_t *all = json_object(), *row;
    size_t index;
    int code = all ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    *metrics = NULL;
    json_array_foreach(rows, index, row) {
        const json_t *cell = json_object_get(row, "split");
        char *split = cell ? cell_name(cell) : strata_strdup("none");
        if (!code && split && !json_object_get(all, split)) {
            json_t *one = json_object();
            json_object_set_new(one, "Overall", mean_hit(rows, split, NULL, NULL));
            for (size_t g = 0; g < 2 && !code; g++) {
                if (json_object_get(row, groups[g])) code = add_groups(one, rows, split, groups[g], err);
            }
            if (json_object_set_new(all, split, one)) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        }
        free(split);
    }
    if (code) {
        json_decref(all);
    } else {
        *metrics = all;
    }
    return code;
}

/* ---- one number ---- */

static double number_at(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double table_value(const json_t *table, const char *key, const char *name, const char *value) {
    size_t index;
    json_t *row;
    json_array_foreach(table, index, row) {
        const char *text = json_string_value(json_object_get(row, key));
        if (text && strcmp(text, name) == 0) return number_at(row, value);
    }
    return NAN;
}

double strata_headline(const json_t *metrics, enum strata_benchmark benchmark) {
    switch (benchmark) {
    case STRATA_MATHVISTA:
        return table_value(metrics, "Task&Skill", "Overall", "acc");
    case STRATA_MMVET:
        return table_value(metrics, "Category", "Overall", "acc");
    case STRATA_OCRBENCH:
        return number_at(metrics, "Final Score Norm");
    case STRATA_HALLUSIONBENCH:
        return number_at(json_object_get(metrics, "Overall"), "aAcc");
    default:
        return number_at(json_object_get(metrics, benchmark == STRATA_MMMU ? "validation" : "none"), "Overall");
    }
}

/* 1 or 0, a share of 1 (MM-Vet), or NaN. */
static int row_share(double *out, const json_t *row, enum strata_benchmark benchmark, enum strata_kit kit,
                     struct strata_error *err) {
    const json_t *cell =
        json_object_get(row, benchmark == STRATA_MMVET || benchmark == STRATA_HALLUSIONBENCH ? "score" : "hit");
    const json_t *split = json_object_get(row, "split");
    json_t *right = NULL;
    int code = 0;
    *out = json_is_boolean(cell) ? json_is_true(cell) : (double)NAN;
    if (benchmark == STRATA_MATHVISTA) {
        code = strata_mathvista_check(&right, row, false, kit, err);
        *out = json_is_true(right);
        json_decref(right);
    } else if (json_is_string(cell)) {
        struct strata_span text = {json_string_value(cell), json_string_length(cell)};
        if (!strata_python_float(out, text)) *out = (double)NAN;
    } else if (json_is_number(cell)) {
        *out = json_number_value(cell);
    }
    if (strata_benchmarks[benchmark].choices && (benchmark == STRATA_MMMU || split) &&
        !cell_is(row, "split", benchmark == STRATA_MMMU ? "validation" : "none"))
        *out = (double)NAN;
    return code;
}

int strata_headline_parts(json_t *rows, enum strata_benchmark benchmark, enum strata_kit kit,
                          struct strata_error *err) {
    /* OCRBench's number is a sum of a thousand rows. */
    double scale = strata_benchmarks[benchmark].choices ? 1
                   : benchmark == STRATA_OCRBENCH       ? (double)json_array_size(rows) / 10
                                                        : 100;
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        double share = (double)NAN;
        int code = row_share(&share, row, benchmark, kit, err);
        if (code) return code;
        if (json_object_set_new(row, "headline", isfinite(share) ? json_real(scale * share) : json_null()))
            return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    return 0;
}
