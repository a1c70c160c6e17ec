/* Packed weights on disk. DIR/KEY.packed: a header of 4096 bytes, then the tensors' places in the order of the weight
 * table, each at a multiple of 64 bytes: vectors as they are, matrices as panels. KEY is a hash of the checkpoint's
 * content and of the form. Hashing a large checkpoint takes as long as reading it, so DIR/FILES.source remembers its
 * hash by device, inode, size and times of its files. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/weights_pieces.h"

#define HEADER_BYTES 4096
#define PIECE_BYTES  ((size_t)8 << 20)
#define MAGIC        "strata packed 1"

struct header {
    char magic[16];
    uint64_t bytes; /* of the file */
    struct strata_hash key, payload;
    char identity[40];
    struct strata_hash self; /* of what stands before it */
};

/* ---- hashes of what is large, piece by piece on all threads ---- */

struct span {
    const unsigned char *bytes;
    size_t length;
};
struct hashing {
    const struct span *spans;
    struct strata_hash *hashes;
};

static void hash_span(void *context, size_t index, size_t worker) {
    const struct hashing *hashing = context;
    (void)worker;
    hashing->hashes[index] = strata_hash_bytes(hashing->spans[index].bytes, hashing->spans[index].length);
}

static size_t pieces_of(size_t bytes) {
    return (bytes + PIECE_BYTES - 1) / PIECE_BYTES;
}

/* Adds the pieces of a block to spans[*count …). */
static void cut(struct span *spans, size_t *count, const void *bytes, size_t length) {
    for (size_t at = 0; at < length; at += PIECE_BYTES) {
        size_t left = length - at;
        spans[(*count)++] = (struct span){(const unsigned char *)bytes + at, left < PIECE_BYTES ? left : PIECE_BYTES};
    }
}

static int hash_spans(struct strata_hash *out, const struct span *spans, size_t count, struct strata_threads *threads,
                      struct strata_error *err) {
    struct hashing hashing = {.spans = spans};
    int code = strata_alloc(&hashing.hashes, count, sizeof *hashing.hashes, err);
    if (code) return code;
    strata_threads_run(threads, count, hash_span, &hashing);
    for (size_t i = 0; i < count; i++) {
        const uint64_t values[2] = {hashing.hashes[i].low, hashing.hashes[i].high};
        *out = strata_hash_combine(*out, values, sizeof values);
    }
    free(hashing.hashes);
    return 0;
}

static int hash_block(struct strata_hash *out, const void *bytes, size_t length, struct strata_threads *threads,
                      struct strata_error *err) {
    struct span *spans;
    size_t count = 0;
    *out = strata_hash_bytes(&length, sizeof length);
    int code = strata_alloc(&spans, pieces_of(length), sizeof *spans, err);
    if (code) return code;
    cut(spans, &count, bytes, length);
    code = hash_spans(out, spans, count, threads, err);
    free(spans);
    return code;
}

/* ---- the key ---- */

/* Names, types, shapes and bytes of all tensors. */
static int hash_content(struct strata_hash *out, const struct strata_safetensors *file, struct strata_threads *threads,
                        struct strata_error *err) {
    struct span *spans;
    size_t tensors = strata_safetensors_count(file), most = 0, count = 0;
    *out = strata_hash_bytes(MAGIC, sizeof MAGIC);
    for (size_t i = 0; i < tensors; i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        const uint64_t facts[2] = {(uint64_t)tensor->dtype, tensor->rank};
        *out = strata_hash_combine(*out, tensor->name, strlen(tensor->name));
        *out = strata_hash_combine(*out, facts, sizeof facts);
        *out = strata_hash_combine(*out, tensor->shape, tensor->rank * sizeof *tensor->shape);
        most += pieces_of(tensor->count * strata_dtype_size(tensor->dtype));
    }
    int code = strata_alloc(&spans, most, sizeof *spans, err);
    if (code) return code;
    for (size_t i = 0; i < tensors; i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        cut(spans, &count, tensor->data, tensor->count * strata_dtype_size(tensor->dtype));
    }
    code = hash_spans(out, spans, count, threads, err);
    for (size_t i = 0; i < tensors; i++) strata_safetensors_release(file, strata_safetensors_at(file, i));
    free(spans);
    return code;
}

/* What changes whenever a file does. */
static bool hash_files(struct strata_hash *out, const struct strata_safetensors *file) {
    const char *last = NULL;
    *out = strata_hash_bytes(MAGIC, sizeof MAGIC);
    for (size_t i = 0; i < strata_safetensors_count(file); i++) {
        const char *path = strata_safetensors_path(file, strata_safetensors_at(file, i));
        struct stat facts;
        if (last && strcmp(path, last) == 0) continue;
        if (stat(path, &facts)) return false;
        const int64_t values[7] = {(int64_t)facts.st_dev,          (int64_t)facts.st_ino,
                                   (int64_t)facts.st_size,         (int64_t)facts.st_mtim.tv_sec,
                                   (int64_t)facts.st_mtim.tv_nsec, (int64_t)facts.st_ctim.tv_sec,
                                   (int64_t)facts.st_ctim.tv_nsec};
        *out = strata_hash_combine(*out, values, sizeof values);
        last = path;
    }
    return last != NULL;
}

static char *path_of(const char *directory, struct strata_hash hash, const char *ending) {
    char name[64];
    strata_hash_text(name, hash);
    memcpy(name + 32, ending, strlen(ending) + 1);
    return strata_path_join(directory, name);
}

/* The checkpoint's content, remembered or read. */
static int source_hash(struct strata_hash *out, const char *directory, const struct strata_safetensors *file,
                       struct strata_threads *threads, struct strata_error *err) {
    struct strata_hash files;
    struct strata_buffer note = {0};
    char *path = hash_files(&files, file) ? path_of(directory, files, ".source") : NULL;
    bool known =
        path && strata_file_exists(path) && !strata_file_read(&note, path, 64, NULL) && note.length == sizeof *out;
    int code = 0;
    if (known) {
        memcpy(out, note.data, sizeof *out);
    } else {
        code = hash_content(out, file, threads, err);
        /* Without the note the next start reads the checkpoint again, no more. */
        if (!code && path) (void)strata_file_write(path, out, sizeof *out, NULL);
    }
    strata_buffer_free(&note);
    free(path);
    return code;
}

/* ---- the file ---- */

struct layout {
    struct strata_weight_row *rows;
    size_t count;
};

/* What row i keeps in the file: its vector, or the whole matrix that it begins; false when it keeps nothing. */
static bool place(const struct strata_weight_row *row, void **memory, size_t *bytes) {
    if (row->matrix) {
        *memory = row->matrix->panels;
        *bytes = row->matrix->bytes;
        return row->first_row == 0;
    }
    *memory = row->vector;
    *bytes = strata_weight_row_count(row) * sizeof *row->vector;
    return true;
}

static size_t aligned(size_t bytes) {
    return (bytes + STRATA_ALIGNMENT - 1) / STRATA_ALIGNMENT * STRATA_ALIGNMENT;
}

/* The form: the table, the types of the matrices, and what their layout depends on. */
static struct strata_hash form_hash(struct strata_hash hash, const struct layout *layout, size_t *file_bytes) {
    const uint64_t constants[4] = {STRATA_PANEL, STRATA_GROUP, HEADER_BYTES, PIECE_BYTES};
    hash = strata_hash_combine(hash, constants, sizeof constants);
    *file_bytes = HEADER_BYTES;
    for (size_t i = 0; i < layout->count; i++) {
        const struct strata_weight_row *row = &layout->rows[i];
        void *memory;
        size_t bytes;
        const uint64_t type = row->matrix ? (uint64_t)row->matrix->type : STRATA_WEIGHT_F32;
        hash = strata_hash_combine(hash, row->name, strlen(row->name));
        hash = strata_hash_combine(hash, row->shape, row->rank * sizeof *row->shape);
        hash = strata_hash_combine(hash, &type, sizeof type);
        if (place(row, &memory, &bytes)) *file_bytes += aligned(bytes);
    }
    return hash;
}

static struct strata_hash self_hash(const struct header *header) {
    return strata_hash_bytes(header, offsetof(struct header, self));
}

static bool same(struct strata_hash a, struct strata_hash b) {
    return a.low == b.low && a.high == b.high;
}

/* True when the map is what was written for this key, to the last byte. */
static bool matches(const struct strata_map *map, struct header *header, struct strata_hash key, size_t bytes,
                    struct strata_threads *threads) {
    struct strata_hash payload;
    if (map->size != bytes || bytes < HEADER_BYTES) return false;
    memcpy(header, map->data, sizeof *header);
    return memcmp(header->magic, MAGIC, sizeof MAGIC) == 0 && header->bytes == bytes &&
           same(header->self, self_hash(header)) && same(header->key, key) &&
           header->identity[sizeof header->identity - 1] == 0 &&
           !hash_block(&payload, map->data + HEADER_BYTES, bytes - HEADER_BYTES, threads, NULL) &&
           same(payload, header->payload);
}

static void take_from(const struct strata_map *map, const struct layout *layout) {
    size_t at = HEADER_BYTES;
    for (size_t i = 0; i < layout->count; i++) {
        const struct strata_weight_row *row = &layout->rows[i];
        void *memory;
        size_t bytes;
        if (!place(row, &memory, &bytes)) continue;
        if (row->matrix)
            row->matrix->panels = (void *)(uintptr_t)(map->data + at); /* lent: never written through */
        else
            memcpy(row->vector, map->data + at, bytes);
        at += aligned(bytes);
    }
}

static bool put(FILE *stream, const void *bytes, size_t length) {
    static const char zeros[STRATA_ALIGNMENT];
    return fwrite(bytes, 1, length, stream) == length &&
           fwrite(zeros, 1, aligned(length) - length, stream) == aligned(length) - length;
}

static int write_file(const char *path, const struct layout *layout, const char *identity, struct strata_hash key,
                      size_t bytes, struct strata_threads *threads, struct strata_error *err) {
    struct strata_atomic_file file;
    struct strata_map map = {0};
    struct header header = {.magic = MAGIC, .bytes = bytes, .key = key};
    const char empty[HEADER_BYTES] = {0};
    int code = strata_atomic_open(&file, path, err);
    if (code) return code;
    memcpy(header.identity, identity, 33);
    bool good = put(file.stream, empty, sizeof empty);
    for (size_t i = 0; good && i < layout->count; i++) {
        void *memory;
        size_t length;
        if (place(&layout->rows[i], &memory, &length)) good = put(file.stream, memory, length);
    }
    if (!good || fflush(file.stream)) code = strata_fail(err, STRATA_ERR_IO, "cannot write packed weights");
    if (!code) code = strata_map_open(&map, file.temporary, err);
    if (!code) code = hash_block(&header.payload, map.data + HEADER_BYTES, bytes - HEADER_BYTES, threads, err);
    strata_map_close(&map);
    header.self = self_hash(&header);
    if (!code && (fseek(file.stream, 0, SEEK_SET) || fwrite(&header, sizeof header, 1, file.stream) != 1))
        code = strata_fail(err, STRATA_ERR_IO, "cannot write packed weights");
    if (code) {
        strata_atomic_abort(&file);
        return code;
    }
    return strata_atomic_commit(&file, err);
}

int strata_weights_load_packed(struct strata_weights *out, char identity[33], enum strata_packed *packed,
                               const char *directory, const struct strata_model_config *config,
                               const struct strata_safetensors *file, enum strata_weight_type type,
                               struct strata_threads *threads, struct strata_error *err) {
    struct layout layout = {0};
    struct strata_hash key;
    struct header header;
    size_t bytes = 0;
    char *path = NULL;
    int code = strata_weights_make(out, config, type, strata_matrix_describe, err);
    if (!code) code = strata_make_directories(directory, err);
    if (!code) code = strata_weights_table(&layout.rows, &layout.count, config, out, err);
    if (!code) code = source_hash(&key, directory, file, threads, err);
    if (!code) {
        key = form_hash(key, &layout, &bytes);
        path = path_of(directory, key, ".packed");
        if (!path) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    bool there = !code && strata_file_exists(path) && !strata_map_open(&out->map, path, NULL);
    if (there && matches(&out->map, &header, key, bytes, threads)) {
        take_from(&out->map, &layout);
        memcpy(identity, header.identity, 33);
        *packed = STRATA_PACKED_MAPPED;
    } else if (!code) {
        free(layout.rows);
        layout.rows = NULL;
        strata_weights_free(out, config);
        code = strata_weights_load_threads(out, config, file, type, threads, err);
        if (!code) code = strata_weights_identity_threads(identity, out, config, threads, err);
        if (!code) code = strata_weights_table(&layout.rows, &layout.count, config, out, err);
        /* A full disk takes the gain away, not the run. */
        if (!code)
            *packed = write_file(path, &layout, identity, key, bytes, threads, NULL) ? STRATA_PACKED_NOT_WRITTEN
                                                                                     : STRATA_PACKED_WRITTEN;
    }
    if (code) strata_weights_free(out, config);
    free(layout.rows);
    free(path);
    return code;
}
