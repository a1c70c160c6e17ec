/* What leaves the packed form: a checkpoint file, and the identity. */
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/weights.h"

/* Calls use(context, row, values, count) for every row of every tensor, in checkpoint order; a vector is one row. */
typedef int use_values(void *context, const struct strata_weight_row *row, const float *values, size_t count,
                       struct strata_error *err);

static int visit_values(const struct strata_weight_row *rows, size_t count, use_values *use, void *context,
                        struct strata_error *err) {
    size_t widest = 0;
    float *buffer;
    for (size_t i = 0; i < count; i++)
        if (rows[i].matrix && rows[i].matrix->K > widest) widest = rows[i].matrix->K;
    int code = strata_alloc_aligned(&buffer, widest, sizeof *buffer, err);
    for (size_t i = 0; !code && i < count; i++) {
        const struct strata_weight_row *row = &rows[i];
        if (!row->matrix) code = use(context, row, row->vector, row->shape[0], err);
        for (size_t n = 0; row->matrix && !code && n < row->shape[0]; n++) {
            strata_matrix_get_row(buffer, row->matrix, row->first_row + n);
            code = use(context, row, buffer, row->matrix->K, err);
        }
    }
    free(buffer);
    return code;
}

struct identity {
    struct strata_hash hash;
    const struct strata_weight_row *row; /* whose name and shape are in the hash */
};

static int hash_values(void *context, const struct strata_weight_row *row, const float *values, size_t count,
                       struct strata_error *err) {
    struct identity *identity = context;
    (void)err;
    if (identity->row != row) {
        identity->hash = strata_hash_combine(identity->hash, row->name, strlen(row->name));
        for (size_t i = 0; i < row->rank; i++) {
            const uint64_t size = row->shape[i];
            identity->hash = strata_hash_combine(identity->hash, &size, sizeof size);
        }
        identity->row = row;
    }
    identity->hash = strata_hash_combine(identity->hash, values, count * sizeof *values);
    return STRATA_OK;
}

/* The table wants a mutable place for its pointers; here they are only read through. */
static int table_of(struct strata_weight_row **rows, size_t *count, struct strata_weights *view,
                    const struct strata_weights *weights, const struct strata_model_config *config,
                    struct strata_error *err) {
    *view = *weights;
    return strata_weights_table(rows, count, config, view, err);
}

int strata_weights_identity(char out[33], const struct strata_weights *weights,
                            const struct strata_model_config *config, struct strata_error *err) {
    struct strata_weight_row *rows;
    struct strata_weights view;
    struct identity identity = {.hash = strata_hash_bytes("strata weights 1", 16)};
    size_t count;
    int code = table_of(&rows, &count, &view, weights, config, err);
    if (!code) code = visit_values(rows, count, hash_values, &identity, err);
    if (!code) strata_hash_text(out, identity.hash);
    free(rows);
    return code;
}

struct save {
    struct strata_safetensors_writer *writer;
    enum strata_dtype dtype;
    uint16_t *halves; /* a row of bf16, grown as needed */
    size_t capacity;
    const struct strata_weight_row *row;
    size_t element; /* of the row's first value in its tensor */
};

/* A weight that is not finite, or not once rounded, must not become a file that looks whole. */
static int check_finite(const struct save *save, const float *values, size_t count, struct strata_error *err) {
    const float limit = save->dtype == STRATA_DTYPE_BF16 ? 0x1.fep127f : 0x1.fffffep127f;
    for (size_t i = 0; i < count; i++) {
        float kept = save->dtype == STRATA_DTYPE_BF16 ? strata_bf16_widen(save->halves[i]) : values[i];
        if (kept >= -limit && kept <= limit) continue;
        return strata_fail(err, STRATA_ERR_NUMERIC, "tensor '%s': element %zu is %g, not a finite %s", save->row->name,
                           save->element + i, (double)values[i], strata_dtype_name(save->dtype));
    }
    return STRATA_OK;
}

static int save_values(void *context, const struct strata_weight_row *row, const float *values, size_t count,
                       struct strata_error *err) {
    struct save *save = context;
    const void *bytes = values;
    if (save->row != row) save->element = 0;
    save->row = row;
    if (save->dtype == STRATA_DTYPE_BF16) {
        int code = strata_grow(&save->halves, &save->capacity, count, sizeof *save->halves, err);
        if (code) return code;
        for (size_t i = 0; i < count; i++) save->halves[i] = strata_bf16_round(values[i]);
        bytes = save->halves;
    }
    int code = check_finite(save, values, count, err);
    save->element += count;
    return code ? code : strata_safetensors_write(save->writer, bytes, count * strata_dtype_size(save->dtype), err);
}

int strata_weights_save(const struct strata_weights *weights, const struct strata_model_config *config,
                        const char *path, enum strata_dtype dtype, struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    struct strata_weights view;
    struct save save = {.dtype = dtype};
    size_t count = 0;
    if (dtype != STRATA_DTYPE_F32 && dtype != STRATA_DTYPE_BF16)
        return strata_fail(err, STRATA_ERR_USAGE, "weights are saved as F32 or BF16, not %s", strata_dtype_name(dtype));
    int code = table_of(&rows, &count, &view, weights, config, err);
    if (!code) code = strata_safetensors_create(&save.writer, path, err);
    for (size_t i = 0; !code && i < count; i++)
        code = strata_safetensors_declare(save.writer, rows[i].name, dtype, rows[i].shape, rows[i].rank, err);
    if (!code) code = visit_values(rows, count, save_values, &save, err);
    if (!code)
        code = strata_safetensors_commit(save.writer, err);
    else
        strata_safetensors_abort(save.writer);
    free(save.halves);
    free(rows);
    return code;
}
