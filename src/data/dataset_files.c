/* Which files a data set is made of, and which format each has. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"

/* ---- files ---- */

int strata_data_files_add(struct strata_data_files *files, const char *path, const char *directory,
                          struct strata_error *err) {
    int code = strata_grow(&files->items, &files->capacity, files->count + 1, sizeof *files->items, err);
    if (code) return code;
    struct strata_data_file *file = &files->items[files->count++];
    *file = (struct strata_data_file){.path = strata_strdup(path),
                                      .directory = directory ? strata_strdup(directory) : strata_path_directory(path)};
    return file->path && file->directory ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

void strata_data_files_free(struct strata_data_files *files) {
    for (size_t i = 0; i < files->count; i++) {
        struct strata_mapping *mapping = files->items[i].mapping;
        free(files->items[i].path);
        free(files->items[i].directory);
        if (!mapping) continue;
        json_decref(mapping->columns);
        json_decref(mapping->tags);
        free(mapping);
    }
    free(files->items);
    *files = (struct strata_data_files){0};
}

static int find_pattern(struct strata_data_files *out, const char *pattern, struct strata_error *err) {
    glob_t found;
    int kind = glob(pattern, 0, NULL, &found), code = 0;
    if (kind == GLOB_NOSPACE) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (kind) {
        strata_fail(err, STRATA_ERR_IO, "no file matches this pattern");
        return strata_fail_at(err, STRATA_ERR_IO, "%s", pattern);
    }
    for (size_t i = 0; i < found.gl_pathc && !code; i++)
        code = strata_data_files_add(out, found.gl_pathv[i], NULL, err);
    globfree(&found);
    return code;
}

static bool has_info(const char *directory) {
    char *path = strata_path_join(directory, STRATA_LLAMAFACTORY_INFO);
    bool found = path && strata_file_exists(path);
    free(path);
    return found;
}

/* DIRECTORY:NAME, where the directory has a dataset_info.json? *directory is owned by the caller, *name borrows. */
static bool is_named(char **directory, const char **name, const char *path) {
    const char *colon = strrchr(path, ':');
    *directory = colon && colon > path ? strndup(path, (size_t)(colon - path)) : NULL;
    *name = colon ? colon + 1 : NULL;
    if (*directory && has_info(*directory)) return true;
    free(*directory);
    *directory = NULL;
    return false;
}

int strata_data_files_find(struct strata_data_files *out, const char *path, struct strata_error *err) {
    char *directory;
    const char *name;
    int code;
    *out = (struct strata_data_files){0};
    if (strata_is_directory(path)) {
        if (has_info(path)) {
            code = strata_llamafactory_find(out, path, NULL, err);
        } else {
            strata_fail(err, STRATA_ERR_IO, "a directory without a " STRATA_LLAMAFACTORY_INFO " is no data set");
            strata_fail_at(err, STRATA_ERR_IO, "%s", path);
            code = strata_fail_hint(err, STRATA_ERR_IO, "give a file, or a pattern such as '%.200s/*.jsonl'", path);
        }
    } else if (!strata_file_exists(path) && is_named(&directory, &name, path)) {
        code = strata_llamafactory_find(out, directory, name, err);
        free(directory);
    } else if (!strata_file_exists(path) && strpbrk(path, "*?[")) {
        code = find_pattern(out, path, err);
    } else {
        code = strata_data_files_add(out, path, NULL, err); /* where it is not there, opening it says so */
    }
    if (code) strata_data_files_free(out);
    return code;
}

/* ---- formats ---- */

/* The first byte that is no white space, of what is in memory at first; 'P' for a Parquet file. */
static int first_byte(char *byte, struct strata_text_file *file, struct strata_error *err) {
    const char *bytes;
    size_t length, space = 0;
    int code = strata_text_peek(&bytes, &length, file, err);
    if (!code && length >= 4 && memcmp(bytes, "PAR1", 4) == 0) {
        *byte = 'P';
        return 0;
    }
    while (!code && space < length && bytes[space] && strchr(" \t\r\n", bytes[space])) space++;
    *byte = '\0';
    if (code || space == length) return code;
    *byte = bytes[space];
    if (*byte == '[') strata_text_skip(file, space);
    return 0;
}

int strata_source_open(struct strata_source **out, const char *path, struct strata_error *err) {
    struct strata_text_file *file;
    char byte = '\0';
    *out = NULL;
    int code = strata_text_open(&file, path, err);
    if (!code) code = first_byte(&byte, file, err);
    if (!code && byte == 'P' && !strata_text_compression(file)) {
        strata_text_close(file);
        return strata_source_parquet(out, path, err);
    }
    if (!code) {
        if (strata_path_is_called(path, ".csv"))
            code = strata_source_csv(out, ',', err);
        else if (strata_path_is_called(path, ".tsv"))
            code = strata_source_csv(out, '\t', err);
        else
            code = byte == '[' ? strata_source_array(out, err) : strata_source_jsonl(out, err);
    }
    if (code)
        strata_text_close(file);
    else
        (*out)->file = file;
    return code;
}

void strata_source_close(struct strata_source *source) {
    if (!source) return;
    struct strata_text_file *file = source->file;
    source->close(source);
    strata_text_close(file);
}

int strata_source_object(json_t **record, const struct strata_buffer *text, const struct strata_source *source,
                         size_t line, struct strata_error *err) {
    const char *path = strata_text_path(source->file);
    int code = strata_json_parse(record, strata_buffer_string(text), text->length, path, line, err);
    if (code || json_is_object(*record)) return code;
    json_decref(*record);
    *record = NULL;
    strata_fail(err, STRATA_ERR_INPUT, "the record is no JSON object");
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", path, line);
}
