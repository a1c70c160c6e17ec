/* What leaves the packed form: a checkpoint file, and the identity. */
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/hash.h"
#include "base/memory.h"
#include "model/weights_pieces.h"

/* The table wants a mutable place for its pointers; here they are only read through. */
static int table_of(struct strata_weight_row **rows, size_t *count, struct strata_weights *view,
                    const struct strata_weights *weights, const struct strata_model_config *config,
                    struct strata_error *err) {
    *view = *weights;
    return strata_weights_table(rows, count, config, view, err);
}

struct identity {
    const struct strata_weight_row *rows;
    struct strata_hash *pieces; /* of the values of each */
};

static void hash_piece(void *context, const struct strata_weight_piece *piece, size_t index, float *buffer) {
    const struct identity *identity = context;
    const struct strata_weight_row *row = &identity->rows[piece->index];
    struct strata_hash hash = strata_hash_bytes(NULL, 0);
    if (!row->matrix) hash = strata_hash_combine(hash, row->vector, piece->K * sizeof *row->vector);
    for (size_t n = 0; row->matrix && n < piece->rows; n++) {
        strata_matrix_get_row(buffer, row->matrix, row->first_row + piece->first + n);
        hash = strata_hash_combine(hash, buffer, piece->K * sizeof *buffer);
    }
    identity->pieces[index] = hash;
}

/* Names, shapes and the pieces' hashes in the order of the table. */
static struct strata_hash combine_pieces(const struct identity *identity, const struct strata_weight_piece *pieces,
                                         size_t count) {
    struct strata_hash hash = strata_hash_bytes("strata weights 1", 16);
    for (size_t i = 0; i < count; i++) {
        const struct strata_weight_row *row = &identity->rows[pieces[i].index];
        if (pieces[i].first == 0) {
            hash = strata_hash_combine(hash, row->name, strlen(row->name));
            for (size_t j = 0; j < row->rank; j++) {
                const uint64_t size = row->shape[j];
                hash = strata_hash_combine(hash, &size, sizeof size);
            }
        }
        const uint64_t values[2] = {identity->pieces[i].low, identity->pieces[i].high};
        hash = strata_hash_combine(hash, values, sizeof values);
    }
    return hash;
}

int strata_weights_identity_threads(char out[33], const struct strata_weights *weights,
                                    const struct strata_model_config *config, struct strata_threads *threads,
                                    struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    struct strata_weight_piece *pieces = NULL;
    struct strata_weights view;
    struct identity identity = {0};
    size_t row_count = 0, count = 0;
    int code = table_of(&rows, &row_count, &view, weights, config, err);
    identity.rows = rows;
    if (!code) code = strata_weight_pieces(&pieces, &count, rows, row_count, err);
    if (!code) code = strata_alloc(&identity.pieces, count, sizeof *identity.pieces, err);
    if (!code) code = strata_weight_pieces_run(pieces, count, hash_piece, &identity, threads, err);
    if (!code) strata_hash_text(out, combine_pieces(&identity, pieces, count));
    free(identity.pieces);
    free(pieces);
    free(rows);
    return code;
}

int strata_weights_identity(char out[33], const struct strata_weights *weights,
                            const struct strata_model_config *config, struct strata_error *err) {
    return strata_weights_identity_threads(out, weights, config, NULL, err);
}

struct save {
    struct strata_safetensors_writer *writer;
    enum strata_dtype dtype;
    uint16_t *halves; /* a row of bf16 */
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

/* One row of values, `count` of them. */
static int save_values(struct save *save, const float *values, size_t count, struct strata_error *err) {
    const void *bytes = values;
    if (save->dtype == STRATA_DTYPE_BF16) {
        for (size_t i = 0; i < count; i++) save->halves[i] = strata_bf16_round(values[i]);
        bytes = save->halves;
    }
    int code = check_finite(save, values, count, err);
    save->element += count;
    return code ? code : strata_safetensors_write(save->writer, bytes, count * strata_dtype_size(save->dtype), err);
}

static int save_tensor(struct save *save, const struct strata_weight_row *row, float *buffer,
                       struct strata_error *err) {
    int code = STRATA_OK;
    save->row = row;
    save->element = 0;
    if (!row->matrix) return save_values(save, row->vector, row->shape[0], err);
    for (size_t n = 0; !code && n < row->shape[0]; n++) {
        strata_matrix_get_row(buffer, row->matrix, row->first_row + n);
        code = save_values(save, buffer, row->matrix->K, err);
    }
    return code;
}

static size_t widest_row(const struct strata_weight_row *rows, size_t count) {
    size_t widest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t width = rows[i].matrix ? rows[i].matrix->K : rows[i].shape[0];
        if (width > widest) widest = width;
    }
    return widest;
}

int strata_weights_save(const struct strata_weights *weights, const struct strata_model_config *config,
                        const char *path, enum strata_dtype dtype, struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    struct strata_weights view;
    struct save save = {.dtype = dtype};
    float *buffer = NULL;
    size_t count = 0;
    if (dtype != STRATA_DTYPE_F32 && dtype != STRATA_DTYPE_BF16)
        return strata_fail(err, STRATA_ERR_USAGE, "weights are saved as F32 or BF16, not %s", strata_dtype_name(dtype));
    int code = table_of(&rows, &count, &view, weights, config, err);
    if (!code) code = strata_safetensors_create(&save.writer, path, err);
    for (size_t i = 0; !code && i < count; i++)
        code = strata_safetensors_declare(save.writer, rows[i].name, dtype, rows[i].shape, rows[i].rank, err);
    if (!code) code = strata_alloc_aligned(&buffer, widest_row(rows, count), sizeof *buffer, err);
    if (!code) code = strata_alloc_aligned(&save.halves, widest_row(rows, count), sizeof *save.halves, err);
    for (size_t i = 0; !code && i < count; i++) code = save_tensor(&save, &rows[i], buffer, err);
    if (!code)
        code = strata_safetensors_commit(save.writer, err);
    else
        strata_safetensors_abort(save.writer);
    free(save.halves);
    free(buffer);
    free(rows);
    return code;
}
