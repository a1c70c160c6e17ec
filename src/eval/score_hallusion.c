/* HallusionBench: accuracy over answers, figures and questions. */
#include <stdlib.h>
#include <string.h>

#include "eval/score.h"

enum { SET = 3, FIGURE = 4, QUESTION = 5 }; /* parts of an index, from 0 */

/* Part `number` of a text cut at "_". */
static int index_part(struct strata_span *out, const json_t *row, int number, struct strata_error *err) {
    const json_t *cell;
    int code = strata_row_cell(&cell, row, "index", err);
    if (code) return code;
    if (!json_is_string(cell))
        return strata_fail(err, STRATA_ERR_INPUT, "AttributeError: an index of HallusionBench is no number");
    struct strata_span rest = strata_span_of(json_string_value(cell));
    for (int part = 0;; part++) {
        size_t end = strata_span_find(rest, "_", 0);
        *out = end == STRATA_NOT_FOUND ? rest : strata_span_sub(rest, 0, end);
        if (part == number) return 0;
        if (end == STRATA_NOT_FOUND)
            return strata_fail(err, STRATA_ERR_INPUT, "IndexError: index \"%s\" has only %d parts",
                               json_string_value(cell), part + 1);
        rest = strata_span_sub(rest, end + 1, rest.length);
    }
}

static bool right(const json_t *row) {
    const json_t *score = json_object_get(row, "score");
    return json_is_true(score) || (json_is_number(score) && json_number_value(score) != 0);
}

/* All rows of `rows` whose `column` equals `name` (all where column is NULL): {group: all right?}, grouped by
 * l2-category, set and the index part given; or, for part 0, each row by itself. */
static int gather(json_t *groups, const json_t *rows, const char *column, const json_t *name, int part,
                  struct strata_error *err) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        struct strata_buffer key = {0};
        struct strata_span set = {0}, figure = {0};
        const json_t *category;
        if (column && !json_equal(json_object_get(row, column), name)) continue;
        int code = 0;
        if (part) {
            code = strata_row_cell(&category, row, "l2-category", err);
            if (!code) code = index_part(&set, row, SET, err);
            if (!code) code = index_part(&figure, row, part, err);
            if (code) return code;
            strata_python_cell(&key, category);
            strata_buffer_printf(&key, "_%.*s_%.*s", (int)set.length, set.data, (int)figure.length, figure.data);
        } else {
            strata_buffer_printf(&key, "%zu", index);
        }
        json_t *before = json_object_get(groups, strata_buffer_string(&key));
        bool good = right(row) && (!before || json_is_true(before));
        if (key.failed || json_object_set_new(groups, strata_buffer_string(&key), json_boolean(good)))
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        strata_buffer_free(&key);
        if (code) return code;
    }
    return 0;
}

static int share(json_t *out, const char *measure, const json_t *rows, const char *column, const json_t *name, int part,
                 struct strata_error *err) {
    json_t *groups = json_object(), *good;
    size_t hits = 0;
    const char *key;
    int code = gather(groups, rows, column, name, part, err);
    json_object_foreach(groups, key, good) {
        hits += json_is_true(good);
    }
    size_t count = json_object_size(groups);
    if (!code && json_object_set_new(out, measure, count ? json_real((double)hits / (double)count * 100) : json_null()))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    json_decref(groups);
    return code;
}

static int rate(json_t *metrics, const char *title, const json_t *rows, const char *column, const json_t *name,
                struct strata_error *err) {
    json_t *one = json_object();
    int code = share(one, "aAcc", rows, column, name, 0, err);
    if (!code) code = share(one, "fAcc", rows, column, name, FIGURE, err);
    if (!code) code = share(one, "qAcc", rows, column, name, QUESTION, err);
    if (json_object_set_new(metrics, title, one) && !code) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    return code;
}

/* One line for each distinct cell of a column, in order of appearance. */
static int rate_groups(json_t *metrics, const json_t *rows, const char *column, struct strata_error *err) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        const json_t *cell = json_object_get(row, column);
        struct strata_buffer title = {0};
        if (!cell) continue;
        strata_python_cell(&title, cell);
        int code = strata_buffer_check(&title, err);
        if (!code && !json_object_get(metrics, strata_buffer_string(&title)))
            code = rate(metrics, strata_buffer_string(&title), rows, column, cell, err);
        strata_buffer_free(&title);
        if (code) return code;
    }
    return 0;
}

int strata_score_hallusion(json_t **metrics, const json_t *rows, struct strata_error *err) {
    json_t *all = json_object();
    *metrics = NULL;
    int code = rate(all, "Overall", rows, NULL, NULL, err);
    if (!code) code = rate_groups(all, rows, "category", err);
    if (!code) code = rate_groups(all, rows, "l2-category", err);
    if (code) {
        json_decref(all);
    } else {
        *metrics = all;
    }
    return code;
}
