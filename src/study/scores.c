#include "study/scores.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "eval/benchmark.h"
#include "eval/own.h"

struct reading {
    struct strata_scores *out;
    const char *path;
    bool first; /* this evaluation says which samples there are */
    size_t capacity, abilities_capacity, values_capacity;
    float *values;
    size_t count;
    size_t end;   /* of the benchmark's rows that the first evaluation has */
    bool unequal; /* a benchmark's row was not the first evaluation's */
};

static int add_text(char ***list, size_t *capacity, size_t count, const char *text, struct strata_error *err) {
    int code = strata_grow(list, capacity, count + 1, sizeof **list, err);
    if (code) return code;
    (*list)[count] = strata_strdup(text ? text : "");
    return (*list)[count] ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int add_value(struct reading *reading, float value, const char *id, const char *ability,
                     struct strata_error *err) {
    struct strata_scores *out = reading->out;
    size_t at = reading->count;
    int code = strata_grow(&reading->values, &reading->values_capacity, at + 1, sizeof *reading->values, err);
    if (code) return code;
    reading->values[at] = value;
    reading->count++;
    if (!reading->first) return 0;
    code = add_text(&out->ids, &reading->capacity, at, id, err);
    if (code) return code;
    code = add_text(&out->abilities, &reading->abilities_capacity, at, ability, err);
    if (code) {
        free(out->ids[at]);
        return code;
    }
    out->count++;
    return 0;
}

static int on_row(void *context, const json_t *line, struct strata_error *err) {
    struct reading *reading = context;
    const char *id = json_string_value(json_object_get(line, "id"));
    size_t at = reading->count;
    int code = add_value(reading, json_is_true(json_object_get(line, "correct")) ? 1.0f : 0.0f, id,
                         json_string_value(json_object_get(line, "ability")), err);
    if (code || reading->first || (at < reading->out->own && id && strcmp(id, reading->out->ids[at]) == 0)) return code;
    strata_fail(err, STRATA_ERR_STATE, "row %zu is of \"%.100s\": other test samples than the first evaluation's",
                at + 1, id ? id : "");
    return strata_fail_at(err, STRATA_ERR_STATE, "%s", reading->path);
}

/* The rows of one test, as eval/own.c names them. */
static char *rows_path(const struct strata_study_run *run, size_t stage, size_t test) {
    const char *name = run->recipe->tests[test], *slash = strrchr(name, '/');
    struct strata_buffer text = {0};
    if (slash) name = slash + 1;
    const char *dot = strrchr(name, '.');
    int length = (int)(dot && dot != name ? (size_t)(dot - name) : strlen(name));
    strata_buffer_printf(&text, "test-%zu/%.*s.rows.jsonl", test + 1, length, name);
    char *path = text.failed ? NULL : strata_stage_path(run, stage, text.data);
    strata_buffer_free(&text);
    return path;
}

static int read_own(struct reading *reading, const struct strata_study_run *run, size_t stage,
                    struct strata_error *err) {
    int code = 0;
    for (size_t t = 0; t < run->recipe->test_count && !code; t++) {
        if (!strata_eval_is_own(run->recipe->tests[t])) continue;
        char *path = rows_path(run, stage, t);
        reading->path = path;
        code =
            path ? strata_each_line(path, on_row, reading, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        free(path);
    }
    if (reading->first) reading->out->own = reading->out->count;
    if (code || reading->count == reading->out->own) return code;
    strata_fail(err, STRATA_ERR_STATE, "%zu test samples, the first evaluation has %zu", reading->count,
                reading->out->own);
    return strata_fail_at(err, STRATA_ERR_STATE, "%s", run->plan.stages[stage].place);
}

/* ---- benchmarks ---- */

/* The index as a text, whatever it is in the file. */
static char *index_of(const json_t *line) {
    const json_t *index = json_object_get(line, "index");
    return json_is_string(index) ? strata_strdup(json_string_value(index)) : index ? strata_json_line(index) : NULL;
}

static int on_benchmark_row(void *context, const json_t *line, struct strata_error *err) {
    struct reading *reading = context;
    const json_t *part = json_object_get(line, "headline");
    float value = json_is_number(part) ? (float)json_number_value(part) : (float)NAN;
    size_t at = reading->count;
    char *index = index_of(line);
    int code = 0;
    bool same = reading->first || (at < reading->end && index && strcmp(index, reading->out->ids[at]) == 0);
    reading->unequal |= !part || !index || !same;
    if (!reading->unequal) code = add_value(reading, value, index, "", err);
    free(index);
    return code;
}

/* Puts rows into reading->values up to the place where the first evaluation's end, whatever this one has. */
static int read_benchmark(struct reading *reading, const struct strata_study_run *run, size_t stage, size_t test,
                          const json_t *result, struct strata_error *err) {
    struct strata_score_rows *rows = &reading->out->tests[test];
    enum strata_benchmark benchmark;
    char name[96];
    int code = strata_benchmark_parse(&benchmark, strata_json_text(result, "benchmark"), err);
    if (code) return code;
    rows->name = strata_benchmarks[benchmark].name;
    snprintf(name, sizeof name, "test-%zu/%s.rows.jsonl", test + 1, strata_benchmarks[benchmark].dataset);
    char *path = strata_stage_path(run, stage, name);
    if (reading->first) rows->begin = reading->count;
    reading->end = rows->end;
    reading->unequal = false;
    code = path ? strata_each_line(path, on_benchmark_row, reading, err)
                : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    if (reading->first) rows->end = reading->count;
    rows->unequal |= reading->unequal || reading->count != rows->end;
    while (!code && reading->count < rows->end) code = add_value(reading, (float)NAN, "", "", err);
    return code;
}

static int read_stage(struct strata_scores *out, bool first, const struct strata_study_run *run, size_t stage,
                      const json_t *result, struct strata_error *err) {
    struct reading reading = {.out = out, .first = first};
    int code = read_own(&reading, run, stage, err);
    for (size_t t = 0; t < run->recipe->test_count && !code; t++)
        if (!strata_eval_is_own(run->recipe->tests[t]))
            code = read_benchmark(&reading, run, stage, t, json_array_get(json_object_get(result, "tests"), t), err);
    if (!code && !reading.values) code = strata_alloc(&reading.values, 1, sizeof *reading.values, err);
    if (code)
        free(reading.values);
    else
        out->right[stage] = reading.values;
    return code;
}

/* ---- columns ---- */

static bool has_ability(const char *list, const char *ability) {
    size_t length = strlen(ability);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == length && memcmp(at, ability, length) == 0) return true;
    return false;
}

/* A column of the samples whose ability is in `list` (NULL: all); none where there are no such samples. */
static int add_column(struct strata_scores *out, const char *name, const char *list, int family, bool ability,
                      struct strata_error *err) {
    struct strata_study_column column = {.name = name, .family = family, .ability = ability, .digits = 1};
    int code = strata_alloc(&column.chosen, out->own, sizeof *column.chosen, err);
    for (size_t i = 0; i < out->own && !code; i++)
        if (!list || has_ability(list, out->abilities[i])) column.chosen[column.count++] = i;
    if (!code && column.count)
        code = strata_grow(&out->columns, &out->column_capacity, out->column_count + 1, sizeof column, err);
    if (code || !column.count) {
        free(column.chosen);
        return code;
    }
    out->columns[out->column_count++] = column;
    return 0;
}

/* Abilities in the order in which they first occur. */
static int add_abilities(struct strata_scores *out, const struct strata_recipe *recipe, int family,
                         struct strata_error *err) {
    int code = 0;
    for (size_t i = 0; i < out->own && !code; i++) {
        const char *ability = out->abilities[i];
        bool known = !*ability || !has_ability(recipe->families[family].abilities, ability);
        for (size_t c = 0; c < out->column_count; c++)
            known |= out->columns[c].ability && strcmp(out->columns[c].name, ability) == 0;
        if (!known) code = add_column(out, ability, ability, family, true, err);
    }
    return code;
}

/* Does every evaluation count the row, or none? *counts: they do. */
static bool is_agreed(bool *counts, const struct strata_scores *scores, size_t row) {
    size_t with = 0, without = 0;
    for (size_t i = 0; i < scores->stages; i++) {
        if (!scores->right[i]) continue;
        with += isfinite(scores->right[i][row]) != 0;
        without += isfinite(scores->right[i][row]) == 0;
    }
    *counts = with > 0;
    return !with || !without;
}

/* The rows of a benchmark that count; none where the evaluations do not have the same ones. */
static int add_benchmark(struct strata_scores *out, const struct strata_recipe *recipe, size_t test,
                         struct strata_error *err) {
    const struct strata_score_rows *rows = &out->tests[test];
    struct strata_study_column column = {
        .name = rows->name ? rows->name : recipe->tests[test], .family = -1, .benchmark = test + 1, .digits = 1};
    enum strata_benchmark benchmark;
    bool equal = !rows->unequal;
    if (rows->name && !strata_benchmark_parse(&benchmark, rows->name, NULL) && strata_benchmarks[benchmark].choices)
        column.digits = 3; /* a share of 1, as the paper prints it */
    int code = strata_alloc(&column.chosen, rows->end - rows->begin, sizeof *column.chosen, err);
    for (size_t i = rows->begin; i < rows->end && equal && !code; i++) {
        bool counts;
        equal = is_agreed(&counts, out, i);
        if (counts) column.chosen[column.count++] = i;
    }
    if (!equal) column.count = 0;
    if (!code) code = strata_grow(&out->columns, &out->column_capacity, out->column_count + 1, sizeof column, err);
    if (code) {
        free(column.chosen);
        return code;
    }
    out->columns[out->column_count++] = column;
    return 0;
}

static int add_columns(struct strata_scores *out, const struct strata_study_run *run, struct strata_error *err) {
    const struct strata_recipe *recipe = run->recipe;
    int code = add_column(out, "all", NULL, -1, false, err);
    for (int f = 0; f < (int)recipe->family_count && !code; f++)
        code = add_column(out, recipe->families[f].name, recipe->families[f].abilities, f, false, err);
    for (int f = 0; f < (int)recipe->family_count && !code; f++) code = add_abilities(out, recipe, f, err);
    for (size_t t = 0; t < recipe->test_count && !code; t++)
        if (!strata_eval_is_own(run->recipe->tests[t])) code = add_benchmark(out, recipe, t, err);
    return code;
}

int strata_scores_read(struct strata_scores *out, const struct strata_study_run *run, struct strata_error *err) {
    const struct strata_plan *plan = &run->plan;
    bool first = true;
    *out = (struct strata_scores){.stages = plan->count};
    int code = strata_alloc(&out->right, plan->count, sizeof *out->right, err);
    for (size_t i = 0; i < plan->count && !code; i++) {
        json_t *result = NULL;
        if (plan->stages[i].kind != STRATA_STAGE_EVAL) continue;
        code = strata_stage_result(&result, run, i, err);
        if (!code && result && !strata_stage_impossible(result)) {
            code = read_stage(out, first, run, i, result, err);
            first = false;
        }
        json_decref(result);
    }
    if (!code) code = add_columns(out, run, err);
    if (code) strata_scores_free(out);
    return code;
}

void strata_scores_free(struct strata_scores *scores) {
    for (size_t i = 0; i < scores->count; i++) {
        free(scores->ids[i]);
        free(scores->abilities[i]);
    }
    for (size_t i = 0; scores->right && i < scores->stages; i++) free(scores->right[i]);
    for (size_t c = 0; c < scores->column_count; c++) free(scores->columns[c].chosen);
    free(scores->ids);
    free(scores->abilities);
    free(scores->right);
    free(scores->columns);
    *scores = (struct strata_scores){0};
}
