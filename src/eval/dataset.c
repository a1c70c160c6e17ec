#include "eval/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/md5.h"
#include "base/memory.h"
#include "eval/tsv.h"

struct strata_eval_dataset {
    struct strata_tsv *tsv;
    char *path;
    struct strata_eval_file file;
    bool integers;        /* every index is an integer */
    size_t count, *lines; /* rows of the table that are used */
    struct strata_image_cell *cells;
    struct strata_buffer *texts; /* of quoted image cells */
};

static int sum_file(char md5[33], const char *path, struct strata_error *err) {
    struct strata_map map;
    int code = strata_map_open(&map, path, err);
    if (code) return code;
    strata_md5_text(md5, map.data, map.size);
    strata_map_close(&map);
    return 0;
}

/* Keeps the rows that have an image, with their indices as text. */
static int gather(struct strata_eval_dataset *dataset, struct strata_error *err) {
    size_t rows = strata_tsv_rows(dataset->tsv), image = strata_tsv_column(dataset->tsv, "image");
    if (image == STRATA_NOT_FOUND || strata_tsv_column(dataset->tsv, "index") == STRATA_NOT_FOUND) {
        strata_fail(err, STRATA_ERR_INPUT, "the table has no column \"%s\"",
                    image == STRATA_NOT_FOUND ? "image" : "index");
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", dataset->path);
    }
    int code = strata_alloc(&dataset->cells, rows, sizeof *dataset->cells, err);
    if (!code) code = strata_alloc(&dataset->lines, rows, sizeof *dataset->lines, err);
    if (!code) code = strata_alloc(&dataset->texts, rows, sizeof *dataset->texts, err);
    for (size_t r = 0; r < rows && !code; r++) {
        struct strata_span text = strata_tsv_span(&dataset->texts[dataset->count], dataset->tsv, r, image);
        struct strata_buffer index = {0};
        if (strata_cell_missing(text)) continue;
        json_t *row = strata_tsv_row(dataset->tsv, r);
        strata_python_cell(&index, json_object_get(row, "index"));
        json_decref(row);
        code = strata_buffer_check(&index, err);
        dataset->lines[dataset->count] = r;
        dataset->cells[dataset->count++] = (struct strata_image_cell){index.data, text};
    }
    dataset->file.rows = rows;
    dataset->file.without_image = rows - dataset->count;
    return code;
}

static bool integer_index(const char *text) {
    json_t *value = NULL;
    bool whole = !strata_python_eval(&value, strata_span_of(text), NULL) && json_is_integer(value);
    json_decref(value);
    return whole;
}

int strata_eval_dataset_open(struct strata_eval_dataset **out, const char *path, enum strata_benchmark benchmark,
                             enum strata_kit kit, bool keep_bad, struct strata_error *err) {
    struct strata_eval_dataset *dataset;
    (void)benchmark;
    *out = NULL;
    int code = strata_alloc(&dataset, 1, sizeof *dataset, err);
    if (code) return code;
    dataset->path = strata_strdup(path);
    if (!dataset->path) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = sum_file(dataset->file.md5, path, err);
    if (!code) code = strata_tsv_open(&dataset->tsv, path, err);
    if (!code) code = gather(dataset, err);
    if (!code) code = strata_images_resolve(dataset->cells, dataset->count, kit, keep_bad, err);
    if (code) {
        strata_fail_at_default(err, code, "%s", path);
        strata_eval_dataset_close(dataset);
        return code;
    }
    dataset->integers = true;
    for (size_t i = 0; i < dataset->count; i++)
        dataset->integers = dataset->integers && integer_index(dataset->cells[i].index);
    *out = dataset;
    return 0;
}

void strata_eval_dataset_close(struct strata_eval_dataset *dataset) {
    if (!dataset) return;
    for (size_t i = 0; i < dataset->count; i++) {
        free(dataset->cells[i].index);
        strata_buffer_free(&dataset->texts[i]);
    }
    strata_tsv_close(dataset->tsv);
    free(dataset->cells);
    free(dataset->texts);
    free(dataset->lines);
    free(dataset->path);
    free(dataset);
}

const struct strata_eval_file *strata_eval_dataset_file(const struct strata_eval_dataset *dataset) {
    return &dataset->file;
}

size_t strata_eval_dataset_count(const struct strata_eval_dataset *dataset) {
    return dataset->count;
}

const char *strata_eval_dataset_index(const struct strata_eval_dataset *dataset, size_t row) {
    return dataset->cells[row].index;
}

int strata_eval_dataset_row(json_t **out, const struct strata_eval_dataset *dataset, size_t row,
                            struct strata_error *err) {
    const char *index = dataset->cells[row].index;
    *out = strata_tsv_row(dataset->tsv, dataset->lines[row]);
    json_t *value = dataset->integers ? json_integer(strtoll(index, NULL, 10)) : json_string(index);
    if (*out && !json_object_set_new(*out, "index", value)) return 0;
    json_decref(*out);
    *out = NULL;
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int decode(struct strata_image *out, const json_t *text, const char *name, struct strata_error *err) {
    struct strata_buffer bytes = {0};
    int code = strata_base64_decode(&bytes, json_string_value(text), json_string_length(text), err);
    if (!code) code = strata_image_decode(out, bytes.data, bytes.length, name, err);
    strata_buffer_free(&bytes);
    return code;
}

int strata_eval_dataset_images(struct strata_image **out, size_t *count, const struct strata_eval_dataset *dataset,
                               size_t row, struct strata_error *err) {
    json_t *list = NULL;
    char name[384];
    snprintf(name, sizeof name, "%.200s:%zu, index %.100s", dataset->path,
             strata_tsv_line(dataset->tsv, dataset->lines[row]), dataset->cells[row].index);
    *out = NULL;
    *count = 0;
    struct strata_span text = dataset->cells[row].text;
    if (text.length <= STRATA_IMAGE_REFERENCE) {
        strata_fail(err, STRATA_ERR_INPUT, "the row shares the image of \"%.*s\", which has none of its own",
                    (int)text.length, text.length ? text.data : "");
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", name);
    }
    int code = strata_text_list(&list, text, err);
    if (!code) code = strata_alloc(out, json_array_size(list), sizeof **out, err);
    for (size_t i = 0; i < json_array_size(list) && !code; i++) {
        code = decode(&(*out)[i], json_array_get(list, i), name, err);
        if (!code) (*count)++;
    }
    json_decref(list);
    if (!code) return 0;
    strata_fail_at_default(err, code, "%s", name);
    for (size_t i = 0; i < *count; i++) strata_image_free(&(*out)[i]);
    free(*out);
    *out = NULL;
    *count = 0;
    return code;
}
