#include "train/reference.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

#define DIRECTORY   "reference"
#define PIECE_BYTES ((size_t)4 << 20) /* copied at once, then given back */

/* The matrix of the language model that begins with this row, or NULL. */
static struct strata_matrix *matrix_at(const struct strata_reference *reference, size_t index) {
    const struct strata_weight_row *row = &reference->rows[index];
    return row->group == STRATA_GROUP_LANGUAGE && row->first_row == 0 ? row->matrix : NULL;
}

static void release(const struct strata_reference *reference) {
    const struct strata_map *map = &reference->model->weights.map;
    strata_map_release(map, 0, map->size);
}

static int remember_places(struct strata_reference *reference, struct strata_error *err) {
    struct strata_model *model = reference->model;
    int code = strata_weights_table(&reference->rows, &reference->row_count, &model->config, &model->weights, err);
    if (!code) code = strata_alloc(&reference->mapped, reference->row_count, sizeof *reference->mapped, err);
    for (size_t i = 0; !code && i < reference->row_count; i++)
        if (matrix_at(reference, i)) reference->mapped[i] = matrix_at(reference, i)->panels;
    if (!code) release(reference); /* it was read to be checked */
    return code;
}

int strata_reference_open(struct strata_reference *reference, const char *path,
                          const struct strata_model_options *options, const char *out, struct strata_error *err) {
    struct strata_model_options packed = *options;
    *reference = (struct strata_reference){.directory = strata_path_join(out, DIRECTORY)};
    if (!reference->directory) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    packed.weights_cache = reference->directory;
    int code = strata_model_open(&reference->model, path, &packed, err);
    if (!code && reference->model->packed == STRATA_PACKED_WRITTEN) { /* now it can be mapped */
        strata_model_close(reference->model);
        code = strata_model_open(&reference->model, path, &packed, err);
    }
    if (!code && reference->model->packed != STRATA_PACKED_MAPPED) {
        free(reference->directory);
        reference->directory = NULL;
    }
    if (!code && reference->directory) code = remember_places(reference, err);
    if (code) strata_reference_close(reference, true);
    return code;
}

void strata_reference_close(struct strata_reference *reference, bool removes) {
    struct strata_error unused;
    if (reference->model) strata_reference_end(reference);
    strata_model_close(reference->model);
    if (reference->directory && removes) (void)strata_remove_tree(reference->directory, &unused);
    free(reference->directory);
    free(reference->rows);
    free(reference->mapped);
    *reference = (struct strata_reference){0};
}

static size_t aligned(size_t bytes) {
    return (bytes + STRATA_ALIGNMENT - 1) / STRATA_ALIGNMENT * STRATA_ALIGNMENT;
}

struct piece {
    char *to;
    const char *from;
    size_t bytes;
};
struct copying {
    struct piece *pieces;
    const struct strata_map *map;
};

static void copy_task(void *context, size_t index, size_t worker) {
    const struct copying *copying = context;
    const struct piece *piece = &copying->pieces[index];
    (void)worker;
    memcpy(piece->to, piece->from, piece->bytes);
    strata_map_release(copying->map, (size_t)((const unsigned char *)piece->from - copying->map->data), piece->bytes);
}

int strata_reference_begin(struct strata_reference *reference, struct strata_gradients *gradients,
                           struct strata_threads *threads, struct strata_error *err) {
    struct copying copying = {.map = &reference->model->weights.map};
    size_t bytes = 0, most = 0, count = 0;
    char *next = (char *)gradients->values;
    if (!reference->directory) return 0;
    for (size_t i = 0; i < reference->row_count; i++) {
        const struct strata_matrix *matrix = matrix_at(reference, i);
        if (!matrix) continue;
        bytes += aligned(matrix->bytes);
        most += (matrix->bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    }
    if (bytes > gradients->count * sizeof *gradients->values) return 0;
    int code = strata_alloc(&copying.pieces, most, sizeof *copying.pieces, err);
    if (code) return code;
    for (size_t i = 0; i < reference->row_count; i++) {
        struct strata_matrix *matrix = matrix_at(reference, i);
        if (!matrix) continue;
        for (size_t at = 0; at < matrix->bytes; at += PIECE_BYTES) {
            const size_t left = matrix->bytes - at;
            copying.pieces[count++] = (struct piece){.to = next + at,
                                                     .from = (const char *)matrix->panels + at,
                                                     .bytes = left < PIECE_BYTES ? left : PIECE_BYTES};
        }
        matrix->panels = next;
        next += aligned(matrix->bytes);
    }
    strata_threads_run(threads, count, copy_task, &copying);
    free(copying.pieces);
    reference->lender = gradients;
    return 0;
}

void strata_reference_end(struct strata_reference *reference) {
    if (!reference->directory) return;
    for (size_t i = 0; i < reference->row_count; i++)
        if (reference->mapped[i]) matrix_at(reference, i)->panels = reference->mapped[i];
    if (reference->lender) strata_gradients_zero(reference->lender);
    reference->lender = NULL;
    release(reference);
}
