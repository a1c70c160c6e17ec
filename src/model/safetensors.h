/* safetensors files: a mapped reader over one file or a sharded set, and an atomic writer. Little-endian.
 * Everything in the header is checked before it is used: sizes multiply without overflow, ranges lie inside the file,
 * do not overlap and leave no hole, names are unique (within a file and over the shards), and an index and its shards
 * name the same tensors. A tensor of another dtype (F8, BOOL, …) is refused on opening, naming it:
 * STRATA_ERR_UNSUPPORTED. Format: huggingface/safetensors, "Format". */
#ifndef STRATA_MODEL_SAFETENSORS_H
#define STRATA_MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "strata/error.h"

enum strata_dtype {
    STRATA_DTYPE_F32,
    STRATA_DTYPE_BF16,
    STRATA_DTYPE_F16,
    STRATA_DTYPE_I32,
    STRATA_DTYPE_I64,
    STRATA_DTYPE_U8,
    STRATA_DTYPE_F64
};
size_t strata_dtype_size(enum strata_dtype dtype);
const char *strata_dtype_name(enum strata_dtype dtype);            /* "F32", … */
bool strata_dtype_parse(enum strata_dtype *out, const char *name); /* false for a name that is not one of these */

#define STRATA_MAX_RANK 8

struct strata_tensor {
    const char *name;
    enum strata_dtype dtype;
    size_t rank, shape[STRATA_MAX_RANK], count; /* count = product of shape */
    const void *data;                           /* in the map, at any alignment */
    size_t file;                                /* index of the shard */
};
struct strata_safetensors; /* opaque */

/* path: a .safetensors file, a model.safetensors.index.json, or a directory holding either (a directory with both
 * model.safetensors and an index uses the index only if model.safetensors is absent). */
int strata_safetensors_open(struct strata_safetensors **out, const char *path, struct strata_error *err);
/* From memory, not copied; for tests and fuzzing. */
int strata_safetensors_parse(struct strata_safetensors **out, const void *bytes, size_t length, const char *name,
                             struct strata_error *err);
void strata_safetensors_close(struct strata_safetensors *file);
size_t strata_safetensors_count(const struct strata_safetensors *file);
const struct strata_tensor *strata_safetensors_at(const struct strata_safetensors *file, size_t index); /* file order */
const struct strata_tensor *strata_safetensors_find(const struct strata_safetensors *file,
                                                    const char *name); /* or NULL */
/* The file a tensor is in, for errors. */
const char *strata_safetensors_path(const struct strata_safetensors *file, const struct strata_tensor *tensor);
/* Releases the pages of a tensor that has been packed (contract 4). */
void strata_safetensors_release(const struct strata_safetensors *file, const struct strata_tensor *tensor);
/* The same for elements [first, first+count) of a large one. */
void strata_safetensors_release_part(const struct strata_safetensors *file, const struct strata_tensor *tensor,
                                     size_t first, size_t count);
/* Elements [first, first+count) widened to fp32 (from F32, BF16, F16). */
int strata_tensor_floats(float *out, const struct strata_tensor *tensor, size_t first, size_t count,
                         struct strata_error *err);

/* Writer: tensors are declared first, then their bytes are streamed in the same order; the file appears whole. Larger
 * element types must be declared before smaller ones, so that all stay aligned; a wrong call is STRATA_ERR_USAGE. After
 * a failure the writer is still to be aborted (except by commit, which always frees it). */
struct strata_safetensors_writer;
int strata_safetensors_create(struct strata_safetensors_writer **out, const char *path, struct strata_error *err);
int strata_safetensors_declare(struct strata_safetensors_writer *writer, const char *name, enum strata_dtype dtype,
                               const size_t *shape, size_t rank, struct strata_error *err);
int strata_safetensors_write(struct strata_safetensors_writer *writer, const void *bytes, size_t length,
                             struct strata_error *err); /* any cut of the declared total */
int strata_safetensors_commit(struct strata_safetensors_writer *writer, struct strata_error *err); /* frees writer */
void strata_safetensors_abort(struct strata_safetensors_writer *writer);

#endif
