/* Norms, activations, rotary embedding and logits over threads: rows are cut, a row never is. */
#include "kernels/kernels.h"
#include "kernels/level.h"

#define VALUES_PER_TASK ((size_t)32768) /* a row kernel does about one value a nanosecond: tasks of tens of us */

struct rows {
    const struct strata_level *level;
    float *out, *rstd;
    const float *x, *weight, *up, *cosines, *sines;
    size_t out_stride, x_stride, up_stride;
    size_t M, C, H, D, rows_per_task;
    float eps;
};

static void run(const struct strata_compute *compute, struct rows *rows, size_t row_values, strata_task *task) {
    if (rows->M == 0) return;
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

static void rmsnorm_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++) {
        const float rstd =
            rows->level->rmsnorm_row(rows->out + m * rows->C, rows->x + m * rows->C, rows->weight, rows->eps, rows->C);
        if (rows->rstd) rows->rstd[m] = rstd;
    }
}
void strata_rmsnorm_forward(const struct strata_compute *compute, float *out, float *rstd, const float *x,
                            const float *weight, float eps, size_t M, size_t C) {
    struct rows rows = {.out = out, .rstd = rstd, .x = x, .weight = weight, .eps = eps, .M = M, .C = C};
    run(compute, &rows, C, rmsnorm_task);
}

static void swiglu_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++)
        rows->level->swiglu_row(rows->out + m * rows->out_stride, rows->x + m * rows->x_stride,
                                rows->up + m * rows->up_stride, rows->C);
}
void strata_swiglu_forward(const struct strata_compute *compute, float *out, size_t out_stride, const float *gate,
                           size_t gate_stride, const float *up, size_t up_stride, size_t M, size_t F) {
    struct rows rows = {.out = out,
                        .out_stride = out_stride,
                        .x = gate,
                        .x_stride = gate_stride,
                        .up = up,
                        .up_stride = up_stride,
                        .M = M,
                        .C = F};
    run(compute, &rows, F, swiglu_task);
}

#define GELU_PIECE 1024 /* values in a "row" of the flat array */

static void gelu_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++) {
        const size_t begin = m * GELU_PIECE, rest = rows->C - begin;
        rows->level->gelu(rows->out + begin, rows->x + begin, rest < GELU_PIECE ? rest : GELU_PIECE);
    }
}
void strata_gelu_forward(const struct strata_compute *compute, float *out, const float *x, size_t count) {
    struct rows rows = {.out = out, .x = x, .C = count, .M = (count + GELU_PIECE - 1) / GELU_PIECE};
    run(compute, &rows, GELU_PIECE, gelu_task);
}

static void rope_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t t = first_row(rows, index); t < end_row(rows, index); t++)
        rows->level->rope_row(rows->out + t * rows->out_stride, rows->cosines + t * (rows->D / 2),
                              rows->sines + t * (rows->D / 2), rows->H, rows->D);
}
void strata_rope_forward(const struct strata_compute *compute, float *x, size_t stride, const float *cosines,
                         const float *sines, size_t T, size_t H, size_t D) {
    struct rows rows = {.out = x, .out_stride = stride, .cosines = cosines, .sines = sines, .M = T, .H = H, .D = D};
    run(compute, &rows, H * D, rope_task);
}

static void logsumexp_task(void *context, size_t index, size_t worker) {
    const struct rows *rows = context;
    (void)worker;
    for (size_t m = first_row(rows, index); m < end_row(rows, index); m++)
        rows->out[m] = rows->level->logsumexp_row(rows->x + m * rows->x_stride, rows->C);
}
void strata_logsumexp(const struct strata_compute *compute, float *out, const float *logits, size_t stride, size_t M,
                      size_t V) {
    struct rows rows = {.out = out, .x = logits, .x_stride = stride, .M = M, .C = V};
    run(compute, &rows, V, logsumexp_task);
}

#define MAXIMA 16 /* running maxima side by side, so that the loop vectorises */

size_t strata_argmax(const float *x, size_t V) {
    float most[MAXIMA], largest = -__builtin_inff();
    int broken = 0;
    size_t i = 0;
    for (size_t j = 0; j < MAXIMA; j++) most[j] = largest;
    for (; i + MAXIMA <= V; i += MAXIMA)
        for (size_t j = 0; j < MAXIMA; j++) {
            most[j] = x[i + j] > most[j] ? x[i + j] : most[j];
            broken |= x[i + j] != x[i + j];
        }
    for (; i < V; i++) {
        largest = x[i] > largest ? x[i] : largest;
        broken |= x[i] != x[i];
    }
    for (size_t j = 0; j < MAXIMA; j++) largest = most[j] > largest ? most[j] : largest;
    if (broken) return V;
    for (i = 0; i < V && x[i] != largest; i++) continue;
    return i;
}
