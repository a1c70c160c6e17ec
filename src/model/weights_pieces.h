/* Private to the weights: the table cut into pieces of rows that threads can work on independently. The cut depends on
 * the shapes only, never on the threads. */
#ifndef STRATA_MODEL_WEIGHTS_PIECES_H
#define STRATA_MODEL_WEIGHTS_PIECES_H

#include "base/threads.h"
#include "model/weights.h"

#define STRATA_PIECE_ROWS 1024

/* Rows [first, first+rows) of the tensor of table row `index`, K values each; a vector is one row. */
struct strata_weight_piece {
    size_t index, first, rows, K;
};
/* *pieces is owned by the caller (free()). */
int strata_weight_pieces(struct strata_weight_piece **pieces, size_t *count, const struct strata_weight_row *rows,
                         size_t row_count, struct strata_error *err);
/* All matrices and vectors of the config: vectors zero, matrices as strata_matrix_create, _reserve or _describe leaves
 * them. */
typedef int strata_matrix_maker(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                                struct strata_error *err);
int strata_weights_make(struct strata_weights *out, const struct strata_model_config *config,
                        enum strata_weight_type type, strata_matrix_maker *make, struct strata_error *err);

/* Rows handled at a time: whole panels while they fit about a megabyte of floats, at least one row. */
size_t strata_weight_chunk_rows(size_t K);

/* Calls task for every piece; buffer, the worker's own, holds one chunk of floats. */
typedef void strata_weight_task(void *context, const struct strata_weight_piece *piece, size_t index, float *buffer);
int strata_weight_pieces_run(const struct strata_weight_piece *pieces, size_t count, strata_weight_task *task,
                             void *context, struct strata_threads *threads, struct strata_error *err);

#endif
