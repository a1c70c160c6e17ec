/* Private to the weights: the table cut into pieces of rows that threads can fill independently. */
#ifndef STRATA_MODEL_WEIGHTS_PIECES_H
#define STRATA_MODEL_WEIGHTS_PIECES_H

#include "base/threads.h"
#include "model/weights.h"

/* Rows [first, first+rows) of matrix tensor `index` of the table; a vector is one piece of one row. */
struct strata_weight_piece {
    size_t index, first, rows, K;
};
/* Each piece is at most STRATA_PIECE_ROWS rows; *pieces is owned by the caller (free()). */
#define STRATA_PIECE_ROWS 1024
int strata_weight_pieces(struct strata_weight_piece **pieces, size_t *count, const struct strata_weight_row *rows,
                         size_t row_count, struct strata_error *err);
/* Rows converted at a time: whole panels while they fit about a megabyte of floats, at least one row. */
size_t strata_weight_chunk_rows(size_t K);
/* Floats of the largest chunk of any piece: the size of a worker's conversion buffer. */
size_t strata_weight_chunk_floats(const struct strata_weight_piece *pieces, size_t count);

#endif
