#include "model/weights_pieces.h"

#include "base/memory.h"

int strata_weight_pieces(struct strata_weight_piece **pieces, size_t *count, const struct strata_weight_row *rows,
                         size_t row_count, struct strata_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < row_count; i++)
        total += rows[i].matrix ? (rows[i].shape[0] + STRATA_PIECE_ROWS - 1) / STRATA_PIECE_ROWS : 1;
    *count = 0;
    int code = strata_alloc(pieces, total, sizeof **pieces, err);
    if (code) return code;
    for (size_t i = 0; i < row_count; i++) {
        size_t all = rows[i].matrix ? rows[i].shape[0] : 1, K = rows[i].matrix ? rows[i].matrix->K : rows[i].shape[0];
        for (size_t first = 0; first < all; first += STRATA_PIECE_ROWS) {
            size_t left = all - first;
            (*pieces)[(*count)++] = (struct strata_weight_piece){
                .index = i, .first = first, .rows = left < STRATA_PIECE_ROWS ? left : STRATA_PIECE_ROWS, .K = K};
        }
    }
    return STRATA_OK;
}

size_t strata_weight_chunk_rows(size_t K) {
    size_t rows = ((size_t)1 << 18) / K;
    return rows == 0 ? 1 : rows > STRATA_PANEL ? STRATA_PANEL : rows;
}

size_t strata_weight_chunk_floats(const struct strata_weight_piece *pieces, size_t count) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t floats = strata_weight_chunk_rows(pieces[i].K) * pieces[i].K;
        if (floats > most) most = floats;
    }
    return most;
}
