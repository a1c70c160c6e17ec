/* Parquet out: records as they are, or verl's, whose images are bytes. Image files are read one record at a time, as
 * the record is written; until then the waiting record knows where they are. */
#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/json.h"
#include "data/dataset_source.h"
#include "data/export_private.h"
#include "data/parquet_write.h"

#define FILE_LIMIT ((size_t)1 << 30)
#define FILE_KEY   "file" /* of an image in a waiting record; the columns were listed without it */

static int no_memory(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int set_bytes(json_t *image, const struct strata_buffer *bytes, struct strata_error *err) {
    struct strata_buffer base64 = {0};
    strata_base64_encode(&base64, bytes->data, bytes->length);
    int failed = base64.failed ||
                 json_object_set_new(image, "bytes", json_stringn(strata_buffer_string(&base64), base64.length));
    strata_buffer_free(&base64);
    return failed ? no_memory(err) : 0;
}

/* A member of an archive, which is closed by the time the columns are known. */
static int fill_from(json_t *image, const struct strata_image_source *source, struct strata_error *err) {
    struct strata_buffer bytes = {0};
    int code = strata_image_source_read(&bytes, source, err);
    if (!code) code = set_bytes(image, &bytes, err);
    strata_buffer_free(&bytes);
    return code;
}

static int note_files(json_t *record, const struct strata_sample *sample, struct strata_error *err) {
    json_t *images = json_object_get(record, "images");
    for (size_t i = 0; i < sample->image_count; i++) {
        const struct strata_image_source *image = &sample->images[i];
        if (!image->path) continue;
        if (image->archive) {
            int code = fill_from(json_array_get(images, i), image, err);
            if (code) return code;
            continue;
        }
        if (access(image->path, R_OK)) {
            strata_fail(err, STRATA_ERR_IO, "cannot read the image %.300s", image->path);
            strata_fail_at(err, STRATA_ERR_IO, "%s", sample->where);
            return strata_fail_hint(err, STRATA_ERR_IO, "--paths keep writes its path without its bytes");
        }
        if (json_object_set_new(json_array_get(images, i), FILE_KEY, json_string(image->path))) return no_memory(err);
    }
    return 0;
}

static bool is_embedding(const struct strata_export *export) {
    return export->format == STRATA_FORMAT_VERL && export->paths != STRATA_PATHS_KEEP;
}

int strata_export_parquet_add(struct strata_export *export, json_t *record, const struct strata_sample *sample,
                              struct strata_error *err) {
    int code = strata_shape_add(&export->shape, record, err);
    return code || !sample || !is_embedding(export) ? code : note_files(record, sample, err);
}

static int fill_bytes(json_t *image, struct strata_error *err) {
    const char *path = json_string_value(json_object_get(image, FILE_KEY));
    struct strata_buffer bytes = {0};
    if (!path) return 0;
    int code = strata_file_read(&bytes, path, FILE_LIMIT, err);
    if (!code) code = set_bytes(image, &bytes, err);
    strata_buffer_free(&bytes);
    return code;
}

int strata_export_parquet_finish(struct strata_export *export, struct strata_error *err) {
    struct strata_parquet_writer *writer = NULL;
    char *line = NULL;
    size_t capacity = 0;
    int code = strata_export_rewind(export, err);
    if (!code) code = strata_parquet_writer_open(&writer, export->file.stream, &export->shape, err);
    while (!code) {
        json_t *record;
        code = strata_export_spooled(&record, export, &line, &capacity, err);
        if (code || !record) break;
        const json_t *images = is_embedding(export) ? json_object_get(record, "images") : NULL;
        for (size_t i = 0; i < json_array_size(images) && !code; i++) code = fill_bytes(json_array_get(images, i), err);
        if (!code) code = strata_parquet_writer_add(writer, record, err);
        json_decref(record);
    }
    if (!code) code = strata_parquet_writer_finish(writer, err);
    strata_parquet_writer_free(writer);
    free(line);
    return code;
}
