#include "data/export.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"
#include "data/export_private.h"
#include "data/packed_stream.h"

static int no_memory(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* realpath, owned; the path itself where nothing is there. */
static char *absolute(const char *path) {
    char resolved[PATH_MAX];
    return strata_strdup(realpath(path, resolved) ? resolved : path);
}

/* "out/" -> "out": a data set is called after its directory, and has files beside it. */
static char *without_slashes(const char *path) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return strndup(path, length);
}

/* The last name of an absolute path. */
static const char *last_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- opening ---- */

static int open_llamafactory(struct strata_export *export, struct strata_error *err) {
    struct strata_buffer file = {0};
    int code = strata_make_directories(export->path, err);
    if (code) return code;
    export->folder = absolute(export->path);
    export->image_folder = strata_path_join(export->path, "images");
    export->image_prefix = strata_strdup("images");
    if (!export->folder || !export->image_folder || !export->image_prefix) return no_memory(err);
    strata_buffer_printf(&file, "%s/%s.jsonl", export->path, last_name(export->folder));
    code = strata_buffer_check(&file, err);
    if (!code) code = strata_atomic_open(&export->file, file.data, err);
    strata_buffer_free(&file);
    return code;
}

static bool is_spooled(enum strata_format format) {
    return format == STRATA_FORMAT_CSV || format == STRATA_FORMAT_PARQUET || format == STRATA_FORMAT_VERL;
}

/* Beside the output, where there is room for what is as large. */
static int open_spool(struct strata_export *export, struct strata_error *err) {
    char *path = strata_path_join(export->folder, ".strata-XXXXXX");
    int handle = path ? mkstemp(path) : -1;
    if (handle >= 0) {
        unlink(path);
        export->spool = fdopen(handle, "w+");
        if (!export->spool) close(handle);
    }
    if (!export->spool) {
        strata_fail(err, STRATA_ERR_IO, "cannot create a temporary file: %s", strerror(errno));
        strata_fail_at(err, STRATA_ERR_IO, "%s", export->folder);
    }
    free(path);
    return export->spool ? 0 : STRATA_ERR_IO;
}

static int open_file(struct strata_export *export, struct strata_error *err) {
    struct strata_buffer images = {0};
    char *folder = strata_path_directory(export->path);
    export->folder = folder ? absolute(folder) : NULL;
    free(folder);
    strata_buffer_printf(&images, "%s.images", export->path);
    export->image_folder = images.data;
    export->image_prefix = images.data ? strata_strdup(last_name(images.data)) : NULL;
    if (!export->folder || images.failed || !export->image_prefix) return no_memory(err);
    int code = strata_atomic_open(&export->file, export->path, err);
    bool text = export->format != STRATA_FORMAT_PARQUET && export->format != STRATA_FORMAT_VERL;
    if (!code && text) code = strata_packed_stream(&export->packed, export->file.stream, export->path, err);
    return !code && is_spooled(export->format) ? open_spool(export, err) : code;
}

int strata_export_open(struct strata_export **out, const char *path, enum strata_format format,
                       enum strata_export_paths paths, struct strata_error *err) {
    struct strata_export *export;
    *out = NULL;
    int code = strata_alloc(&export, 1, sizeof *export, err);
    if (code) return code;
    export->format = format;
    export->paths = paths;
    export->path = without_slashes(path);
    if (!export->path)
        code = no_memory(err);
    else
        code = format == STRATA_FORMAT_LLAMAFACTORY ? open_llamafactory(export, err) : open_file(export, err);
    if (code)
        strata_export_abort(export);
    else
        *out = export;
    return code;
}

void strata_export_abort(struct strata_export *export) {
    if (!export) return;
    if (export->packed) fclose(export->packed);
    strata_atomic_abort(&export->file);
    if (export->spool) fclose(export->spool);
    for (size_t i = 0; i < export->column_count; i++) free(export->columns[i].name);
    free(export->columns);
    strata_shape_free(&export->shape);
    strata_buffer_free(&export->line);
    free(export->path);
    free(export->folder);
    free(export->image_folder);
    free(export->image_prefix);
    free(export);
}

/* ---- image paths ---- */

/* An image path (or {"path": …}) made absolute; images inside the record are left alone. */
static int make_absolute(json_t *holder, size_t index, const char *key, const char *folder, struct strata_error *err) {
    json_t *value = key ? json_object_get(holder, key) : json_array_get(holder, index);
    if (json_is_object(value))
        return strata_record_value(value, "bytes") ? 0 : make_absolute(value, 0, "path", folder, err);
    if (!json_is_string(value) || strata_image_is_inline(json_string_value(value))) return 0;
    char *path = strata_path_join(folder, json_string_value(value));
    json_t *name = path ? json_string(path) : NULL;
    free(path);
    int failed = !name || (key ? json_object_set_new(holder, key, name) : json_array_set_new(holder, index, name));
    return failed ? no_memory(err) : 0;
}

int strata_export_rebase(json_t *record, const char *folder, struct strata_error *err) {
    enum strata_turns kind = strata_record_turns(record);
    const char *member = kind == STRATA_TURNS_CONVERSATIONS ? "value" : "content";
    json_t *images = json_object_get(record, "images");
    json_t *turns = kind == STRATA_TURNS_NONE ? NULL : json_object_get(record, strata_turns_key(kind));
    int code = make_absolute(record, 0, "image", folder, err);
    if (!code && !json_is_array(images)) code = make_absolute(record, 0, "images", folder, err);
    for (size_t i = 0; !code && i < json_array_size(images); i++) code = make_absolute(images, i, NULL, folder, err);
    for (size_t i = 0; i < json_array_size(turns); i++) {
        json_t *parts = json_object_get(json_array_get(turns, i), member);
        for (size_t p = 0; !code && p < json_array_size(parts); p++)
            code = make_absolute(json_array_get(parts, p), 0, "image", folder, err);
    }
    return code;
}

/* *folder: what the sample's image names must be joined to, owned; NULL where they stay. */
static int choose_folder(char **folder, const struct strata_export *export, const struct strata_sample *sample,
                         struct strata_error *err) {
    *folder = NULL;
    if (export->paths == STRATA_PATHS_KEEP) return 0;
    char *own = absolute(sample->directory);
    if (!own) return no_memory(err);
    if (export->paths == STRATA_PATHS_AUTO && strcmp(own, export->folder) == 0)
        free(own);
    else
        *folder = own;
    return 0;
}

/* Images that were found in an archive beside the data ("x/a.png" in x.zip) by names that work from anywhere. */
static int name_members(json_t *record, const struct strata_sample *sample, struct strata_error *err) {
    json_t *images = json_object_get(record, "images");
    const char *single = strata_record_value(record, "images") ? "images" : "image";
    for (size_t i = 0; i < sample->image_count; i++) {
        const struct strata_image_source *image = &sample->images[i];
        bool listed = json_is_array(images) && json_is_string(json_array_get(images, i));
        if (!image->archive || (!listed && !json_is_string(json_object_get(record, single)))) continue;
        char *path = absolute(image->path);
        if (path && path[0] != '/') { /* realpath does not look into archives */
            char *directory = absolute("."), *full = directory ? strata_path_join(directory, path) : NULL;
            free(directory);
            free(path);
            path = full;
        }
        json_t *name = path ? json_string(path) : NULL;
        free(path);
        if (!name || (listed ? json_array_set_new(images, i, name) : json_object_set_new(record, single, name)))
            return no_memory(err);
    }
    return 0;
}

/* ---- writing ---- */

FILE *strata_export_stream(const struct strata_export *export) {
    return export->packed ? export->packed : export->file.stream;
}

/* The record as read, with its id first where it had none. */
static int own_record(json_t **out, const struct strata_sample *sample, const char *folder, struct strata_error *err) {
    json_t *record = json_incref(sample->record);
    if (!strata_record_value(record, "id")) {
        json_t *named = json_pack("{s:s}", "id", sample->id);
        int failed = !named || json_object_update_missing(named, record);
        json_decref(record);
        record = named;
        if (failed) {
            json_decref(named);
            return no_memory(err);
        }
    }
    int code = folder ? strata_export_rebase(record, folder, err) : 0;
    if (!code && folder) code = name_members(record, sample, err);
    if (code)
        json_decref(record);
    else
        *out = record;
    return code;
}

/* sample: NULL for a record that is none. */
static int write_record(struct strata_export *export, json_t *record, const struct strata_sample *sample,
                        struct strata_error *err) {
    int code = 0;
    if (export->format == STRATA_FORMAT_CSV)
        code = strata_export_csv_add(export, record, sample != NULL, err);
    else if (is_spooled(export->format))
        code = strata_export_parquet_add(export, record, sample, err);
    if (code) return code;
    strata_buffer_clear(&export->line);
    strata_json_write(&export->line, record);
    strata_buffer_byte(&export->line, '\n');
    if (export->line.failed) return no_memory(err);
    /* A failed write shows in the stream's error state, which the commit reports with its cause. */
    fwrite(export->line.data, 1, export->line.length, export->spool ? export->spool : strata_export_stream(export));
    return 0;
}

int strata_export_write(struct strata_export *export, const struct strata_sample *sample, struct strata_error *err) {
    enum strata_format format = export->format;
    bool as_read = format == STRATA_FORMAT_JSONL || format == STRATA_FORMAT_CSV || format == STRATA_FORMAT_PARQUET;
    json_t *record = NULL;
    char *folder;
    int code = choose_folder(&folder, export, sample, err);
    if (code) return code;
    export->absolute |= folder != NULL;
    code =
        as_read ? own_record(&record, sample, folder, err) : strata_export_record(&record, export, sample, folder, err);
    free(folder);
    if (!code) code = write_record(export, record, sample, err);
    json_decref(record);
    return code;
}

int strata_export_write_record(struct strata_export *export, const json_t *record, struct strata_error *err) {
    return write_record(export, (json_t *)(uintptr_t)record, NULL, err);
}

/* ---- what waits ---- */

static int spool_error(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_IO, "cannot use the temporary file: %s", strerror(errno));
}

int strata_export_rewind(struct strata_export *export, struct strata_error *err) {
    if (fflush(export->spool) || ferror(export->spool)) return spool_error(err);
    rewind(export->spool);
    return 0;
}

int strata_export_spooled(json_t **record, struct strata_export *export, char **line, size_t *capacity,
                          struct strata_error *err) {
    ssize_t got = getline(line, capacity, export->spool);
    *record = NULL;
    if (got > 0) return strata_json_parse(record, *line, (size_t)got, "the temporary file", 1, err);
    return ferror(export->spool) ? spool_error(err) : 0;
}

bool strata_export_is_absolute(const struct strata_export *export) {
    return export->absolute;
}

int strata_export_commit(struct strata_export *export, struct strata_error *err) {
    int code = export->format == STRATA_FORMAT_CSV ? strata_export_csv_finish(export, err)
               : is_spooled(export->format)        ? strata_export_parquet_finish(export, err)
                                                   : 0;
    FILE *packed = export->packed;
    export->packed = NULL;
    if (packed && fclose(packed) && !code && !ferror(export->file.stream))
        code = strata_fail(err, STRATA_ERR_MEMORY, "cannot compress %s", export->path);
    if (!code) code = strata_atomic_commit(&export->file, err);
    if (!code && export->format == STRATA_FORMAT_LLAMAFACTORY)
        code = strata_export_llamafactory_info(export->path, last_name(export->folder), err);
    strata_export_abort(export);
    return code;
}
