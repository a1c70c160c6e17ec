/* Backward of the row kernels over threads. Gradients of activations: rows are cut, a row never is. Gradients of
 * parameters: columns are cut, and the sums over rows run in row blocks. */
#include "kernels/backward.h"
#include "kernels/level.h"

#define VALUES_PER_TASK ((size_t)32768) /* as in rows.c */
#define COLUMN_BLOCK    64

struct rows {
    const struct strata_level *level;
    float *dx, *dup, *dweight;
    const float *dout, *x, *up, *weight, *rstd, *cosines, *sines, *lse, *dlse;
    const int32_t *ids;
    size_t d_stride, dout_stride, stride;
    size_t M, C, H, D, rows_per_task;
    float temperature;
    bool add;
};

static void run_rows(const struct strata_compute *compute, struct rows *rows, size_t row_values, strata_task *task) {
    const size_t fit = VALUES_PER_TASK / (row_values ? row_values : 1);
    rows->level = compute->level;
    rows->rows_per_task = fit ? fit : 1;
    const size_t tasks = (rows->M + rows->rows_per_task - 1) / rows->rows_per_task;
    strata_threads_run(tasks > 1 ? compute->threads : NULL, tasks, task, rows);
}
static size_t first_row(const struct rows *rows, size_t index) {
    return index * rows->rows_per_task;
}
static size_t end_row(const struct rows *rows, size_t index) {
    const size_t end = (index + 1) * rows->rows_per_task;
    return end < rows->M ? end : rows->M;
}
static void run_columns(const struct strata_compute *compute, struct rows *rows, strata_task *task) {
    strata_threads_run(compute->threads, (rows->C + COLUMN_BLOCK - 1) / COLUMN_BLOCK, task, rows);
}
static size_t columns_of(const struct rows *rows, size_t index) {
    const size_t left = rows->C - index * COLUMN_BLOCK;
    return left < COLUMN_BLOCK ? left : COLUMN_BLOCK;
}

/* Forward: out = x rstd weight, rstd = 1 / sqrt(mean(x^2) + eps). */
static void rmsnorm_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++)
        rows->level->rmsnorm_backward_row(rows->dx + m * rows->C, rows->dout + m * rows->C, rows->x + m * rows->C,
                                          rows->weight, rows->rstd[m], rows->C, rows->add);
}
static void rmsnorm_weight_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    const size_t first = index * COLUMN_BLOCK, columns = columns_of(rows, index);
    (void)worker;
    for (size_t row = 0; row < rows->M; row += STRATA_ROW_BLOCK) {
        float sums[COLUMN_BLOCK] = {0};
        for (size_t m = row; m < rows->M && m < row + STRATA_ROW_BLOCK; m++) {
            const float *dout = rows->dout + m * rows->C + first, *x = rows->x + m * rows->C + first;
            for (size_t c = 0; c < columns; c++) sums[c] += dout[c] * (x[c] * rows->rstd[m]);
        }
        for (size_t c = 0; c < columns; c++) rows->dweight[first + c] += sums[c];
    }
}
void strata_rmsnorm_backward(const struct strata_compute *compute, float *dx, float *dweight, const float *dout,
                             const float *x, const float *rstd, const float *weight, size_t M, size_t C, bool add) {
    struct rows rows = {
        .dx = dx, .dweight = dweight, .dout = dout, .x = x, .rstd = rstd, .weight = weight, .M = M, .C = C, .add = add};
    if (dweight) run_columns(compute, &rows, rmsnorm_weight_task); /* first: dx may be dout */
    if (dx) run_rows(compute, &rows, C, rmsnorm_task);
}

/* Forward: out = silu(gate) up. */
static void swiglu_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++)
        rows->level->swiglu_backward_row(rows->dx + m * rows->d_stride, rows->dup + m * rows->d_stride,
                                         rows->dout + m * rows->dout_stride, rows->x + m * rows->stride,
                                         rows->up + m * rows->stride, rows->C);
}
void strata_swiglu_backward(const struct strata_compute *compute, float *dgate, float *dup, size_t d_stride,
                            const float *dout, size_t dout_stride, const float *gate, const float *up, size_t stride,
                            size_t M, size_t F) {
    struct rows rows = {.dx = dgate,
                        .dup = dup,
                        .d_stride = d_stride,
                        .dout = dout,
                        .dout_stride = dout_stride,
                        .x = gate,
                        .up = up,
                        .stride = stride,
                        .M = M,
                        .C = F};
    run_rows(compute, &rows, F, swiglu_task);
}

#define GELU_PIECE 1024 /* values in a "row" of the flat array */

/* Forward: out = x/2 (1 + erf(x / sqrt 2)). */
static void gelu_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++) {
        const size_t begin = m * GELU_PIECE, rest = rows->C - begin;
        rows->level->gelu_backward(rows->dx + begin, rows->dout + begin, rows->x + begin,
                                   rest < GELU_PIECE ? rest : GELU_PIECE);
    }
}
void strata_gelu_backward(const struct strata_compute *compute, float *dx, const float *dout, const float *x,
                          size_t count) {
    struct rows rows = {.dx = dx, .dout = dout, .x = x, .C = count, .M = (count + GELU_PIECE - 1) / GELU_PIECE};
    run_rows(compute, &rows, GELU_PIECE, gelu_task);
}

/* Forward: (a, b) -> (a cos - b sin, b cos + a sin), a rotation; its transpose turns back. */
static void rope_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t t = first_row(rows, index); t < end_row(rows, index); t++)
        rows->level->rope_backward_row(rows->dx + t * rows->d_stride, rows->cosines + t * (rows->D / 2),
                                       rows->sines + t * (rows->D / 2), rows->H, rows->D);
}
void strata_rope_backward(const struct strata_compute *compute, float *dx, size_t stride, const float *cosines,
                          const float *sines, size_t T, size_t H, size_t D) {
    struct rows rows = {.dx = dx, .d_stride = stride, .cosines = cosines, .sines = sines, .M = T, .H = H, .D = D};
    run_rows(compute, &rows, H * D, rope_task);
}

/* Forward: out[t] = table[ids[t]]. */
static void embedding_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    const size_t first = index * COLUMN_BLOCK, columns = columns_of(rows, index);
    (void)worker;
    for (size_t t = 0; t < rows->M; t++) {
        if (rows->ids[t] < 0) continue;
        float *out = rows->dweight + (size_t)rows->ids[t] * rows->C + first;
        const float *dout = rows->dout + t * rows->C + first;
        for (size_t c = 0; c < columns; c++) out[c] += dout[c];
    }
}
void strata_embedding_backward(const struct strata_compute *compute, float *dtable, const float *dx, const int32_t *ids,
                               size_t T, size_t C) {
    struct rows rows = {.dweight = dtable, .dout = dx, .ids = ids, .M = T, .C = C};
    if (dtable) run_columns(compute, &rows, embedding_task);
}

/* Forward: lse = log(sum(exp(logits / temperature))). */
static void logsumexp_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++)
        rows->level->logsumexp_backward_row(rows->dx + m * rows->stride, rows->x + m * rows->stride, rows->lse[m],
                                            rows->dlse[m], rows->temperature, rows->C);
}
void strata_logsumexp_backward(const struct strata_compute *compute, float *dlogits, const float *logits, size_t stride,
                               const float *lse, const float *dlse, float temperature, size_t M, size_t V) {
    struct rows rows = {.dx = dlogits,
                        .x = logits,
                        .stride = stride,
                        .lse = lse,
                        .dlse = dlse,
                        .temperature = temperature,
                        .M = M,
                        .C = V};
    run_rows(compute, &rows, V, logsumexp_task);
}

void strata_adamw_halves(const struct strata_level *level, uint16_t *weight, uint16_t *rest, float *moment1,
                         float *moment2, const float *gradient, size_t count,
                         const struct strata_adamw_numbers *numbers) {
    level->adamw_halves(weight, rest, moment1, moment2, gradient, count, numbers);
}
