#include "model/weights_pieces.h"

#include <stdlib.h>

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

struct run {
    const struct strata_weight_piece *pieces;
    strata_weight_task *task;
    void *context;
    float **buffers; /* one per worker */
};

static void run_piece(void *context, size_t index, size_t worker) {
    const struct run *run = context;
    run->task(run->context, &run->pieces[index], index, run->buffers[worker]);
}

int strata_weight_pieces_run(const struct strata_weight_piece *pieces, size_t count, strata_weight_task *task,
                             void *context, struct strata_threads *threads, struct strata_error *err) {
    struct run run = {.pieces = pieces, .task = task, .context = context};
    const size_t workers = strata_threads_count(threads);
    size_t floats = 0;
    for (size_t i = 0; i < count; i++) {
        size_t chunk = strata_weight_chunk_rows(pieces[i].K) * pieces[i].K;
        if (chunk > floats) floats = chunk;
    }
    int code = strata_alloc(&run.buffers, workers, sizeof *run.buffers, err);
    for (size_t i = 0; !code && i < workers; i++)
        code = strata_alloc_aligned(&run.buffers[i], floats, sizeof(float), err);
    if (!code) strata_threads_run(threads, count, run_piece, &run);
    for (size_t i = 0; run.buffers && i < workers; i++) free(run.buffers[i]);
    free(run.buffers);
    return code;
}
