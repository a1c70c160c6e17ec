/* The safetensors writer: header first, then the tensors' bytes as they come; the file appears whole on commit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"

struct strata_safetensors_writer {
    struct strata_atomic_file file;
    json_t *header;
    size_t declared, written; /* bytes of tensor data */
    bool begun;               /* the header is out: no more declarations */
};

static void free_writer(struct strata_safetensors_writer *writer) {
    json_decref(writer->header);
    free(writer);
}

int strata_safetensors_create(struct strata_safetensors_writer **out, const char *path, struct strata_error *err) {
    struct strata_safetensors_writer *writer;
    *out = NULL;
    int code = strata_alloc(&writer, 1, sizeof *writer, err);
    if (code) return code;
    /* transformers refuses a checkpoint whose metadata does not name the framework's layout. */
    writer->header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    code = writer->header ? strata_atomic_open(&writer->file, path, err)
                          : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code) {
        free_writer(writer);
        return code;
    }
    *out = writer;
    return STRATA_OK;
}

static json_t *header_entry(enum strata_dtype dtype, const size_t *shape, size_t rank, size_t begin, size_t end) {
    json_t *sizes = json_array();
    int failed = sizes == NULL;
    for (size_t i = 0; i < rank; i++) failed |= json_array_append_new(sizes, json_integer((json_int_t)shape[i]));
    if (failed) {
        json_decref(sizes);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", strata_dtype_name(dtype), "shape", sizes, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

int strata_safetensors_declare(struct strata_safetensors_writer *writer, const char *name, enum strata_dtype dtype,
                               const size_t *shape, size_t rank, struct strata_error *err) {
    size_t bytes = strata_dtype_size(dtype), end;
    if (writer->begun)
        return strata_fail(err, STRATA_ERR_USAGE, "tensor '%.200s' declared after data was written", name);
    if (json_object_get(writer->header, name))
        return strata_fail(err, STRATA_ERR_USAGE, "tensor '%.200s' declared twice, or a reserved name", name);
    if (rank > STRATA_MAX_RANK)
        return strata_fail(err, STRATA_ERR_USAGE, "tensor '%.200s' has %zu dimensions (at most %d)", name, rank,
                           STRATA_MAX_RANK);
    if (writer->declared % bytes != 0) {
        strata_fail(err, STRATA_ERR_USAGE, "tensor '%.200s' would not be aligned to its elements", name);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "declare tensors of larger elements first");
    }
    bool fits = true;
    for (size_t i = 0; i < rank; i++) fits = fits && strata_mul_ok(&bytes, bytes, shape[i]);
    if (!fits || !strata_add_ok(&end, writer->declared, bytes) || end > INT64_MAX)
        return strata_fail(err, STRATA_ERR_MEMORY, "tensor '%.200s': its size overflows", name);
    json_t *entry = header_entry(dtype, shape, rank, writer->declared, end);
    if (!entry) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (json_object_set_new(writer->header, name, entry) != 0)
        return strata_fail(err, STRATA_ERR_USAGE, "tensor name '%.200s' is not valid UTF-8", name);
    writer->declared = end;
    return STRATA_OK;
}

static int put(struct strata_safetensors_writer *writer, const void *bytes, size_t length, struct strata_error *err) {
    if (length == 0 || fwrite(bytes, 1, length, writer->file.stream) == length) return STRATA_OK;
    strata_fail(err, STRATA_ERR_IO, "could not write %zu bytes: %s", length, strerror(errno));
    return strata_fail_at(err, STRATA_ERR_IO, "%s", writer->file.path);
}

/* Padding the header with spaces to eight bytes keeps the tensors aligned in a mapped file. */
static int put_header(struct strata_safetensors_writer *writer, struct strata_error *err) {
    char *text = strata_json_line(writer->header);
    if (!text) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    size_t used = strlen(text), padding = (8 - used % 8) % 8;
    uint64_t length = used + padding;
    int code = put(writer, &length, sizeof length, err);
    if (!code) code = put(writer, text, used, err);
    if (!code) code = put(writer, "        ", padding, err);
    free(text);
    writer->begun = true;
    return code;
}

int strata_safetensors_write(struct strata_safetensors_writer *writer, const void *bytes, size_t length,
                             struct strata_error *err) {
    int code = writer->begun ? STRATA_OK : put_header(writer, err);
    if (code) return code;
    if (length > writer->declared - writer->written)
        return strata_fail(err, STRATA_ERR_USAGE, "more data than the %zu bytes declared", writer->declared);
    writer->written += length;
    return put(writer, bytes, length, err);
}

int strata_safetensors_commit(struct strata_safetensors_writer *writer, struct strata_error *err) {
    int code = writer->begun ? STRATA_OK : put_header(writer, err);
    if (!code && writer->written != writer->declared)
        code = strata_fail(err, STRATA_ERR_USAGE, "%zu bytes written of the %zu declared", writer->written,
                           writer->declared);
    if (code)
        strata_atomic_abort(&writer->file);
    else
        code = strata_atomic_commit(&writer->file, err);
    free_writer(writer);
    return code;
}

void strata_safetensors_abort(struct strata_safetensors_writer *writer) {
    if (!writer) return;
    strata_atomic_abort(&writer->file);
    free_writer(writer);
}
