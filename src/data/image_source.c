/* An image of a record, wherever it is: a file, a member of an archive, or in the record itself. */
#include <stdlib.h>

#include "base/file.h"
#include "data/archive.h"
#include "data/image.h"

#define FILE_LIMIT ((size_t)1 << 30)

int strata_image_source_read(struct strata_buffer *out, const struct strata_image_source *source,
                             struct strata_error *err) {
    if (source->archive) return strata_archive_read(out, source->archive, source->member, FILE_LIMIT, err);
    if (source->path) return strata_file_read(out, source->path, FILE_LIMIT, err);
    strata_buffer_clear(out);
    strata_buffer_append(out, source->bytes, source->length);
    return strata_buffer_check(out, err);
}

int strata_image_source_load(struct strata_image *out, const struct strata_image_source *source,
                             struct strata_error *err) {
    struct strata_buffer bytes = {0};
    if (source->bytes) return strata_image_decode(out, source->bytes, source->length, source->name, err);
    *out = (struct strata_image){0};
    int code = strata_image_source_read(&bytes, source, err);
    if (!code) code = strata_image_decode(out, bytes.data, bytes.length, source->path, err);
    strata_buffer_free(&bytes);
    return code;
}

void strata_image_source_free(struct strata_image_source *source) {
    strata_archive_release(source->archive);
    free(source->member);
    free(source->path);
    free(source->name);
    free(source->bytes);
    *source = (struct strata_image_source){0};
}
