/* Parquet as records. As in CSV, a column called "NAME:json" holds JSON texts: what no column type gives back. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"
#include "data/parquet.h"

#define JSON_SUFFIX "json"

struct parquet {
    struct strata_source source;
    struct strata_parquet_reader *reader;
    char *path;
    size_t row;
};

/* The part of a column's name before ":json", or 0. */
static size_t json_stem(const char *name) {
    const char *colon = strrchr(name, ':');
    return colon && strcmp(colon + 1, JSON_SUFFIX) == 0 ? (size_t)(colon - name) : 0;
}

/* *record with its "NAME:json" columns parsed, under NAME. Takes it over. */
static int parse_texts(json_t **record, const struct parquet *file, struct strata_error *err) {
    json_t *parsed = json_object(), *value;
    const char *name;
    int code = parsed ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    json_object_foreach(*record, name, value) {
        size_t stem = json_stem(name);
        json_t *own = NULL;
        if (code) break;
        if (!stem || !(json_is_string(value) || json_is_null(value))) {
            if (json_object_set(parsed, name, value)) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
            continue;
        }
        if (json_is_null(value)) continue; /* the key was not there */
        code = strata_json_parse(&own, json_string_value(value), json_string_length(value), file->path, file->row, err);
        if (code == STRATA_ERR_INPUT) strata_fail_hint(err, code, "the value of column \"%.200s\"", name);
        if (!code && json_object_setn_new(parsed, name, stem, own))
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    json_decref(*record);
    *record = code ? NULL : parsed;
    if (code) json_decref(parsed);
    return code;
}

static bool has_texts(const json_t *record) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)record, name, value) {
        if (json_stem(name)) return true;
    }
    return false;
}

static int next(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err) {
    struct parquet *file = (struct parquet *)source;
    int code = strata_parquet_reader_next(file->reader, wanted, record, got, err);
    if (!code && !*got) return 0;
    *line = ++file->row;
    if (!code && *record && has_texts(*record)) return parse_texts(record, file, err);
    return code ? strata_fail_at(err, code, "%s:%zu", file->path, file->row) : 0;
}

static void close_source(struct strata_source *source) {
    struct parquet *file = (struct parquet *)source;
    strata_parquet_reader_close(file->reader);
    free(file->path);
    free(file);
}

int strata_source_parquet(struct strata_source **out, const char *path, struct strata_error *err) {
    struct parquet *file;
    *out = NULL;
    int code = strata_alloc(&file, 1, sizeof *file, err);
    if (code) return code;
    file->source = (struct strata_source){.next = next, .close = close_source, .layout = "Parquet"};
    file->path = strata_strdup(path);
    code = file->path ? strata_parquet_reader_open(&file->reader, path, err)
                      : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code)
        close_source(&file->source);
    else
        *out = &file->source;
    return code;
}
