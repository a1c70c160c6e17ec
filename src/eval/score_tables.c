/* MathVista and MM-Vet: counters by name. */
#include <math.h>
#include <string.h>

#include "eval/score.h"

/* counters[name][what] += amount; a sum that is NaN stays null. */
static int count(json_t *counters, const char *name, const char *what, const json_t *amount, struct strata_error *err) {
    json_t *entry = json_object_get(counters, name);
    if (!entry) {
        entry = json_object();
        if (json_object_set_new(counters, name, entry)) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    const json_t *before = json_object_get(entry, what);
    bool nan = json_is_null(amount) || json_is_null(before);
    json_t *after = nan ? json_null()
                    : json_is_integer(amount) && (!before || json_is_integer(before))
                        ? json_integer(json_integer_value(before) + json_integer_value(amount))
                        : json_real(json_number_value(before) + json_number_value(amount));
    return json_object_set_new(entry, what, after) ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory") : 0;
}

static int count_one(json_t *counters, const char *name, const char *what, struct strata_error *err) {
    json_t *one = json_integer(1);
    int code = count(counters, name, what, one, err);
    json_decref(one);
    return code;
}

/* ---- MathVista ---- */

/* The row's skills as texts; a cell that is no expression is one skill. */
static int skills_of(json_t **out, const json_t *row, bool typed, struct strata_error *err) {
    struct strata_error local = {0};
    const json_t *cell;
    int code = strata_row_list(out, row, "skills", typed, &local);
    if (code && strncmp(local.what, "SyntaxError", 11) == 0) {
        code = strata_row_cell(&cell, row, "skills", err);
        *out = json_array();
        return code ? code : json_array_append_new(*out, json_deep_copy(cell)) ? STRATA_ERR_MEMORY : 0;
    }
    if (code && err) *err = local;
    return code;
}

static int count_row(json_t *counters, const json_t *skills, const json_t *task, const char *what,
                     struct strata_error *err) {
    int code = count_one(counters, "Overall", what, err);
    for (size_t i = 0; i <= json_array_size(skills) && !code; i++) {
        struct strata_buffer name = {0};
        strata_python_cell(&name, i < json_array_size(skills) ? json_array_get(skills, i) : task);
        code = strata_buffer_check(&name, err);
        if (!code) code = count_one(counters, strata_buffer_string(&name), what, err);
        strata_buffer_free(&name);
    }
    return code;
}

static int count_mathvista(json_t *counters, const json_t *row, bool typed, enum strata_kit kit,
                           struct strata_error *err) {
    const json_t *task, *log;
    json_t *skills = NULL, *right = NULL;
    int code = strata_row_cell(&task, row, "task", err);
    if (!code) code = skills_of(&skills, row, typed, err);
    if (!code) code = count_row(counters, skills, task, "tot", err);
    if (!code) code = strata_row_cell(&log, row, "log", err);
    if (!code && json_is_string(log) && strcmp(json_string_value(log), "Prefetch succeed") == 0)
        code = count_row(counters, skills, task, "prefetch", err);
    if (!code) code = strata_mathvista_check(&right, row, false, kit, err);
    if (!code && json_is_true(right)) code = count_row(counters, skills, task, "hit", err);
    json_decref(skills);
    json_decref(right);
    return code;
}

int strata_score_mathvista(json_t **metrics, const json_t *rows, enum strata_kit kit, struct strata_error *err) {
    json_t *counters = json_object(), *table = json_array(), *row, *entry;
    size_t index;
    const char *name;
    bool typed = strata_cells_typed(rows, "skills");
    int code = 0;
    *metrics = NULL;
    json_array_foreach(rows, index, row) {
        if (!code) code = count_mathvista(counters, row, typed, kit, err);
    }
    json_object_foreach(counters, name, entry) {
        json_int_t total = json_integer_value(json_object_get(entry, "tot"));
        json_int_t fetched = json_integer_value(json_object_get(entry, "prefetch"));
        json_int_t hits = json_integer_value(json_object_get(entry, "hit"));
        json_array_append_new(table,
                              json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "Task&Skill", name, "tot", total, "prefetch",
                                        fetched, "hit", hits, "prefetch_rate", (double)fetched / (double)total * 100,
                                        "acc", (double)hits / (double)total * 100));
    }
    json_decref(counters);
    if (code) {
        json_decref(table);
    } else {
        *metrics = table;
    }
    return code;
}

/* ---- MM-Vet ---- */

static const char *const capabilities[] = {"rec", "ocr", "know", "gen", "spat", "math"};
enum { CAPABILITIES = 6 };

/* One row under one name: a count and its score. */
static int grade(json_t *counters, const char *name, const json_t *score, struct strata_error *err) {
    int code = count_one(counters, name, "tot", err);
    return code ? code : count(counters, name, "sum", score, err);
}

/* float(cell), as a number or null for NaN. */
static int score_of(json_t **out, const json_t *row, struct strata_error *err) {
    const json_t *cell;
    double score = NAN;
    *out = NULL;
    int code = strata_row_cell(&cell, row, "score", err);
    if (code) return code;
    if (json_is_string(cell)) {
        if (!strata_python_float(&score, (struct strata_span){json_string_value(cell), json_string_length(cell)}))
            return strata_fail(err, STRATA_ERR_INPUT, "ValueError: the score \"%s\" is no number",
                               json_string_value(cell));
    } else if (!json_is_null(cell)) {
        strata_python_number(&score, cell);
    }
    *out = isfinite(score) ? json_real(score) : json_null();
    return 0;
}

static int count_mmvet(json_t *counters, json_t *fine, const json_t *row, struct strata_error *err) {
    const json_t *cell;
    json_t *score = NULL;
    int code = strata_row_cell(&cell, row, "category", err);
    if (!code && !json_is_string(cell))
        code = strata_fail(err, STRATA_ERR_INPUT, "AttributeError: the category is no text");
    if (!code) code = score_of(&score, row, err);
    for (int i = 0; i < CAPABILITIES && !code; i++) {
        if (strstr(json_string_value(cell), capabilities[i])) code = grade(counters, capabilities[i], score, err);
    }
    if (!code) code = grade(counters, "Overall", score, err);
    if (!code) {
        struct strata_buffer name = {0};
        strata_buffer_text(&name, json_string_value(cell));
        for (size_t i = 0; i < name.length; i++) {
            if (name.data[i] == ',') name.data[i] = '_';
        }
        code = grade(counters, strata_buffer_string(&name), score, err);
        if (!code && json_object_set_new(fine, strata_buffer_string(&name), json_null()))
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        strata_buffer_free(&name);
    }
    json_decref(score);
    return code;
}

static int add_line(json_t *table, const json_t *counters, const char *name, struct strata_error *err) {
    const json_t *entry = json_object_get(counters, name), *sum = json_object_get(entry, "sum");
    json_int_t total = json_integer_value(json_object_get(entry, "tot"));
    if (!total) return strata_fail(err, STRATA_ERR_INPUT, "ZeroDivisionError: no row has the capability \"%s\"", name);
    json_t *accuracy = json_is_null(sum) ? json_null() : json_real(json_number_value(sum) / (double)total * 100);
    return json_array_append_new(table, json_pack("{s:s, s:I, s:o}", "Category", name, "tot", total, "acc", accuracy))
               ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory")
               : 0;
}

int strata_score_mmvet(json_t **metrics, json_t **fine, const json_t *rows, bool strict, struct strata_error *err) {
    json_t *counters = json_object(), *names = json_object(), *row, *unused;
    size_t index;
    const char *name;
    int code = 0;
    *metrics = json_array();
    *fine = json_array();
    json_array_foreach(rows, index, row) {
        if (!code) code = count_mmvet(counters, names, row, err);
    }
    for (int i = 0; i < CAPABILITIES && !code; i++) {
        if (strict || json_object_get(counters, capabilities[i]))
            code = add_line(*metrics, counters, capabilities[i], err);
    }
    if (!code) code = add_line(*metrics, counters, "Overall", err);
    json_object_foreach(names, name, unused) {
        if (!code) code = add_line(*fine, counters, name, err);
    }
    if (!code) code = add_line(*fine, counters, "Overall", err);
    json_decref(counters);
    json_decref(names);
    if (code) {
        json_decref(*metrics);
        json_decref(*fine);
        *metrics = *fine = NULL;
    }
    return code;
}
