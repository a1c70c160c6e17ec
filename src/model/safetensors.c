/* The safetensors reader. A file is: u64 header length, JSON header, tensor data (huggingface/safetensors, "Format").
 * Nothing in the header is believed before it is checked against the size of the file; see safetensors.h. */
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

#define LENGTH_BYTES 8           /* of the u64 in front of the header */
#define HEADER_LIMIT 100000000u  /* bytes; the limit of the reference implementation */
#define INDEX_LIMIT  (64u << 20) /* bytes of a *.index.json */
#define SHARD_LIMIT  10000

struct shard {
    char *path;                 /* for errors */
    char *name;                 /* inside the directory */
    struct strata_map map;      /* data NULL when the bytes are the caller's */
    const unsigned char *bytes; /* the whole file */
    size_t size;
    size_t data_begin; /* of the tensor data */
    json_t *header;    /* owns the tensors' names */
};

struct entry {
    const char *name;
    const struct strata_tensor *tensor;
};

struct strata_safetensors {
    struct shard *shards;
    size_t shard_count;
    struct strata_tensor *tensors; /* shards in order of their names, in each by position */
    size_t count, capacity;
    struct entry *by_name; /* sorted */
};

static size_t position(const struct shard *shard, const struct strata_tensor *tensor) {
    return (size_t)((const unsigned char *)tensor->data - shard->bytes);
}

static int read_header(struct shard *shard, struct strata_error *err) {
    uint64_t length;
    if (shard->size < LENGTH_BYTES) {
        strata_fail(err, STRATA_ERR_INPUT, "truncated: %zu bytes, fewer than the %d of the header's length",
                    shard->size, LENGTH_BYTES);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %zu", shard->path, shard->size);
    }
    memcpy(&length, shard->bytes, sizeof length);
    if (length > HEADER_LIMIT) {
        strata_fail(err, STRATA_ERR_INPUT, "not a safetensors file: a header of %llu bytes (at most %u)",
                    (unsigned long long)length, HEADER_LIMIT);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte 0", shard->path);
    }
    if (length > shard->size - LENGTH_BYTES) {
        strata_fail(err, STRATA_ERR_INPUT, "truncated: the header ends at byte %zu, the file at byte %zu",
                    (size_t)length + LENGTH_BYTES, shard->size);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %zu", shard->path, shard->size);
    }
    shard->data_begin = LENGTH_BYTES + (size_t)length;
    int code = strata_json_parse(&shard->header, (const char *)shard->bytes + LENGTH_BYTES, (size_t)length, shard->path,
                                 1, err);
    if (code) return code;
    if (!json_is_object(shard->header)) {
        strata_fail(err, STRATA_ERR_INPUT, "the safetensors header is not a JSON object");
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %d", shard->path, LENGTH_BYTES);
    }
    return STRATA_OK;
}

/* Array element `index` as a size; false when it is not a non-negative integer. */
static bool read_size(size_t *out, const json_t *array, size_t index) {
    const json_t *value = json_array_get(array, index);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static int read_shape(struct strata_tensor *tensor, const json_t *shape, struct strata_error *err) {
    if (!json_is_array(shape))
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s': 'shape' is not an array", tensor->name);
    tensor->rank = json_array_size(shape);
    if (tensor->rank > STRATA_MAX_RANK)
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' has %zu dimensions (at most %d)", tensor->name,
                           tensor->rank, STRATA_MAX_RANK);
    tensor->count = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!read_size(&tensor->shape[i], shape, i))
            return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s': dimension %zu is not a size", tensor->name, i);
        if (!strata_mul_ok(&tensor->count, tensor->count, tensor->shape[i]))
            return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s': the product of its shape overflows",
                               tensor->name);
    }
    return STRATA_OK;
}

static int read_tensor(struct strata_tensor *tensor, const struct shard *shard, const json_t *entry,
                       struct strata_error *err) {
    const char *dtype = NULL;
    size_t begin, end, bytes;
    if (!json_is_object(entry))
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s': its header entry is not an object", tensor->name);
    dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype) return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' has no 'dtype'", tensor->name);
    if (!strata_dtype_parse(&tensor->dtype, dtype)) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "tensor '%.200s' has dtype '%.32s'", tensor->name, dtype);
        return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED,
                                "F32, BF16, F16, F64, I32, I64 and U8 are read; "
                                "save the checkpoint unquantised");
    }
    int code = read_shape(tensor, json_object_get(entry, "shape"), err);
    if (code) return code;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 || !read_size(&begin, offsets, 0) ||
        !read_size(&end, offsets, 1))
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s': 'data_offsets' is not a pair of sizes",
                           tensor->name);
    if (begin > end)
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' begins at %zu and ends before, at %zu", tensor->name,
                           begin, end);
    if (end > shard->size - shard->data_begin)
        return strata_fail(err, STRATA_ERR_INPUT,
                           "tensor '%.200s' lies at bytes [%zu, %zu) of the data, of which the file has %zu",
                           tensor->name, begin, end, shard->size - shard->data_begin);
    if (!strata_mul_ok(&bytes, tensor->count, strata_dtype_size(tensor->dtype)) || bytes != end - begin)
        return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s': %zu bytes for %zu elements of %s", tensor->name,
                           end - begin, tensor->count, dtype);
    tensor->data = shard->bytes + shard->data_begin + begin;
    return STRATA_OK;
}

static int compare_positions(const void *left, const void *right) {
    const struct strata_tensor *a = left, *b = right;
    if (a->data != b->data) return (const char *)a->data < (const char *)b->data ? -1 : 1;
    if ((a->count == 0) != (b->count == 0)) return a->count == 0 ? -1 : 1; /* an empty one precedes what begins there */
    return strcmp(a->name, b->name);
}

/* tensors [first, count) are this shard's, in order of position: they must tile its data. */
static int check_tiling(const struct strata_safetensors *file, size_t first, const struct shard *shard,
                        struct strata_error *err) {
    size_t expected = shard->data_begin;
    for (size_t i = first; i < file->count; i++) {
        const struct strata_tensor *tensor = &file->tensors[i];
        size_t begin = position(shard, tensor);
        if (begin < expected) {
            strata_fail(err, STRATA_ERR_INPUT, "tensors '%.200s' and '%.200s' overlap", file->tensors[i - 1].name,
                        tensor->name);
            return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %zu", shard->path, begin);
        }
        if (begin > expected) {
            strata_fail(err, STRATA_ERR_INPUT, "a hole of %zu bytes before tensor '%.200s'", begin - expected,
                        tensor->name);
            return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %zu", shard->path, expected);
        }
        expected = begin + tensor->count * strata_dtype_size(tensor->dtype);
    }
    if (expected != shard->size) {
        strata_fail(err, STRATA_ERR_INPUT, "%zu bytes after the last tensor belong to none", shard->size - expected);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %zu", shard->path, expected);
    }
    return STRATA_OK;
}

static int check_metadata(const json_t *metadata, struct strata_error *err) {
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return strata_fail(err, STRATA_ERR_INPUT, "'__metadata__' is not an object");
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value))
            return strata_fail(err, STRATA_ERR_INPUT, "'__metadata__': the value of '%.200s' is not a string", key);
    }
    return STRATA_OK;
}

/* Appends the tensors of a shard whose bytes are in place. */
static int read_shard(struct strata_safetensors *file, size_t index, struct strata_error *err) {
    struct shard *shard = &file->shards[index];
    const char *name;
    json_t *entry;
    size_t first = file->count;
    int code = read_header(shard, err);
    if (code) return code;
    json_object_foreach(shard->header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            code = check_metadata(entry, err);
        } else {
            code = strata_grow(&file->tensors, &file->capacity, file->count + 1, sizeof *file->tensors, err);
            if (code) return code;
            struct strata_tensor *tensor = &file->tensors[file->count++];
            *tensor = (struct strata_tensor){.name = name, .file = index};
            code = read_tensor(tensor, shard, entry, err);
        }
        if (code) return strata_fail_at(err, code, "%s", shard->path);
    }
    if (file->count > first)
        qsort(file->tensors + first, file->count - first, sizeof *file->tensors, compare_positions);
    return check_tiling(file, first, shard, err);
}

static int compare_names(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Names are unique within a shard because the JSON reader refuses duplicate keys; over the shards here. */
static int index_names(struct strata_safetensors *file, struct strata_error *err) {
    int code = strata_alloc(&file->by_name, file->count, sizeof *file->by_name, err);
    if (code) return code;
    for (size_t i = 0; i < file->count; i++)
        file->by_name[i] = (struct entry){.name = file->tensors[i].name, .tensor = &file->tensors[i]};
    qsort(file->by_name, file->count, sizeof *file->by_name, compare_names);
    for (size_t i = 1; i < file->count; i++) {
        const struct strata_tensor *a = file->by_name[i - 1].tensor, *b = file->by_name[i].tensor;
        if (strcmp(a->name, b->name) == 0)
            return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' is in both '%.100s' and '%.100s'", a->name,
                               file->shards[a->file].name, file->shards[b->file].name);
    }
    return STRATA_OK;
}

static int open_shard(struct strata_safetensors *file, size_t index, const char *path, const char *name,
                      struct strata_error *err) {
    struct shard *shard = &file->shards[index];
    shard->path = strata_strdup(path);
    shard->name = strata_strdup(name);
    if (!shard->path || !shard->name) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = strata_map_open(&shard->map, path, err);
    if (code) return code;
    shard->bytes = shard->map.data;
    shard->size = shard->map.size;
    return read_shard(file, index, err);
}

static int open_single(struct strata_safetensors *file, const char *path, struct strata_error *err) {
    int code = strata_alloc(&file->shards, 1, sizeof *file->shards, err);
    if (code) return code;
    file->shard_count = 1;
    code = open_shard(file, 0, path, path, err);
    return code ? code : index_names(file, err);
}

static int compare_strings(const void *left, const void *right) {
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

/* The distinct shard names of a weight_map, sorted, borrowed from it; *names is owned by the caller (free()). */
static int shard_names(const char ***names, size_t *count, const json_t *weight_map, struct strata_error *err) {
    const char *tensor;
    json_t *value;
    size_t unique = 0, total = json_object_size(weight_map);
    *names = NULL;
    *count = 0;
    if (total == 0) return strata_fail(err, STRATA_ERR_INPUT, "'weight_map' is missing, empty or not an object");
    int code = strata_alloc(names, total, sizeof **names, err);
    if (code) return code;
    json_object_foreach((json_t *)weight_map, tensor, value) {
        const char *name = json_string_value(value);
        if (!name)
            return strata_fail(err, STRATA_ERR_INPUT, "'weight_map': the file of '%.200s' is not a string", tensor);
        if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
            return strata_fail(err, STRATA_ERR_INPUT,
                               "'weight_map': '%.100s', the file of '%.200s', is not a plain "
                               "file name",
                               name, tensor);
        (*names)[(*count)++] = name;
    }
    qsort(*names, *count, sizeof **names, compare_strings);
    for (size_t i = 0; i < *count; i++)
        if (i == 0 || strcmp((*names)[i], (*names)[unique - 1]) != 0) (*names)[unique++] = (*names)[i];
    *count = unique;
    if (unique > SHARD_LIMIT)
        return strata_fail(err, STRATA_ERR_INPUT, "'weight_map' names %zu files (at most %d)", unique, SHARD_LIMIT);
    return STRATA_OK;
}

/* The index and the shards must tell the same story, tensor by tensor. */
static int check_index(const struct strata_safetensors *file, const json_t *weight_map, struct strata_error *err) {
    const char *name;
    json_t *value;
    for (size_t i = 0; i < file->count; i++) {
        const struct strata_tensor *tensor = &file->tensors[i];
        const char *shard = file->shards[tensor->file].name;
        const char *expected = json_string_value(json_object_get(weight_map, tensor->name));
        if (!expected)
            return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' of '%.100s' is not in the index", tensor->name,
                               shard);
        if (strcmp(expected, shard) != 0)
            return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' is in '%.80s'; the index says '%.80s'",
                               tensor->name, shard, expected);
    }
    json_object_foreach((json_t *)weight_map, name, value) {
        if (!strata_safetensors_find(file, name))
            return strata_fail(err, STRATA_ERR_INPUT, "tensor '%.200s' is in the index but not in '%.100s'", name,
                               json_string_value(value));
    }
    return STRATA_OK;
}

static int open_shards(struct strata_safetensors *file, const json_t *weight_map, const char *const *names,
                       size_t count, const char *directory, struct strata_error *err) {
    int code = strata_alloc(&file->shards, count, sizeof *file->shards, err);
    if (code) return code;
    file->shard_count = count;
    for (size_t i = 0; i < count; i++) {
        char *path = strata_path_join(directory, names[i]);
        if (!path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        code = open_shard(file, i, path, names[i], err);
        free(path);
        if (code) return code;
    }
    code = index_names(file, err);
    return code ? code : check_index(file, weight_map, err);
}

static int open_index(struct strata_safetensors *file, const char *path, struct strata_error *err) {
    json_t *index = NULL;
    const char **names = NULL;
    size_t count = 0;
    char *directory = strata_path_directory(path);
    int code = directory ? STRATA_OK : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_json_load(&index, path, INDEX_LIMIT, err);
    if (!code) {
        const json_t *weight_map = json_object_get(index, "weight_map");
        code = shard_names(&names, &count, weight_map, err);
        if (!code) code = open_shards(file, weight_map, names, count, directory, err);
        if (code) strata_fail_at_default(err, code, "%s", path);
    }
    free(names);
    json_decref(index);
    free(directory);
    return code;
}

static int open_directory(struct strata_safetensors *file, const char *path, struct strata_error *err) {
    char *single = strata_path_join(path, "model.safetensors");
    char *index = strata_path_join(path, "model.safetensors.index.json");
    int code;
    if (!single || !index) {
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    } else if (strata_file_exists(single)) {
        code = open_single(file, single, err);
    } else if (strata_file_exists(index)) {
        code = open_index(file, index, err);
    } else {
        strata_fail(err, STRATA_ERR_IO, "no model.safetensors and no model.safetensors.index.json here");
        strata_fail_hint(err, STRATA_ERR_IO, "weights in other formats (.bin, .gguf) have to be converted first");
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    }
    free(single);
    free(index);
    return code;
}

int strata_safetensors_open(struct strata_safetensors **out, const char *path, struct strata_error *err) {
    size_t length = strlen(path);
    *out = NULL;
    struct strata_safetensors *file;
    int code = strata_alloc(&file, 1, sizeof *file, err);
    if (code) return code;
    if (strata_is_directory(path))
        code = open_directory(file, path, err);
    else if (length > 5 && strcmp(path + length - 5, ".json") == 0)
        code = open_index(file, path, err);
    else
        code = open_single(file, path, err);
    if (code)
        strata_safetensors_close(file);
    else
        *out = file;
    return code;
}

int strata_safetensors_parse(struct strata_safetensors **out, const void *bytes, size_t length, const char *name,
                             struct strata_error *err) {
    *out = NULL;
    struct strata_safetensors *file;
    int code = strata_alloc(&file, 1, sizeof *file, err);
    if (code) return code;
    code = strata_alloc(&file->shards, 1, sizeof *file->shards, err);
    if (!code) {
        file->shard_count = 1;
        struct shard *shard = &file->shards[0];
        shard->path = strata_strdup(name);
        shard->name = strata_strdup(name);
        shard->bytes = bytes;
        shard->size = length;
        code = shard->path && shard->name ? read_shard(file, 0, err)
                                          : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (!code) code = index_names(file, err);
    if (code)
        strata_safetensors_close(file);
    else
        *out = file;
    return code;
}

void strata_safetensors_close(struct strata_safetensors *file) {
    if (!file) return;
    for (size_t i = 0; i < file->shard_count; i++) {
        struct shard *shard = &file->shards[i];
        if (shard->map.data) strata_map_close(&shard->map);
        json_decref(shard->header);
        free(shard->path);
        free(shard->name);
    }
    free(file->shards);
    free(file->tensors);
    free(file->by_name);
    free(file);
}

size_t strata_safetensors_count(const struct strata_safetensors *file) {
    return file->count;
}

const struct strata_tensor *strata_safetensors_at(const struct strata_safetensors *file, size_t index) {
    return &file->tensors[index];
}

const struct strata_tensor *strata_safetensors_find(const struct strata_safetensors *file, const char *name) {
    const struct entry key = {.name = name};
    const struct entry *found = bsearch(&key, file->by_name, file->count, sizeof *file->by_name, compare_names);
    return found ? found->tensor : NULL;
}

const char *strata_safetensors_path(const struct strata_safetensors *file, const struct strata_tensor *tensor) {
    return file->shards[tensor->file].path;
}

void strata_safetensors_release_part(const struct strata_safetensors *file, const struct strata_tensor *tensor,
                                     size_t first, size_t count) {
    const struct shard *shard = &file->shards[tensor->file];
    const size_t size = strata_dtype_size(tensor->dtype);
    if (shard->map.data) strata_map_release(&shard->map, position(shard, tensor) + first * size, count * size);
}

void strata_safetensors_release(const struct strata_safetensors *file, const struct strata_tensor *tensor) {
    strata_safetensors_release_part(file, tensor, 0, tensor->count);
}
