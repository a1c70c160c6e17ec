/* Backward of linear layers: both products are put into the forward's form, out = x panel, so that the tuned tiles do
 * them. Forward (linear.c): out[m][n] = sum_k x[m][k] W[n][k].
 *
 *     dx[m][k] += sum_n dout[m][n] W[n][k]      x = dout; a panel is 64 columns of W, turned over from the packed W
 *     dW[n][k] += sum_m dout[m][n] x[m][k]      x = dout^T, turned over a strip at a time; a panel is 64 columns of x
 *
 * The sums run over n in blocks of STRATA_K_BLOCK and over m in blocks of STRATA_ROW_BLOCK, each from zero, added in
 * ascending order: the cuts below only say who computes what. */
#include <string.h>

#include "kernels/backward.h"
#include "kernels/level.h"

#define ROUND_ROWS      16
#define PANEL_GROUP     4   /* panels of W that are turned over together */
#define TILE_ROWS_BLOCK 192 /* rows beside which they are used */
#define TURN_BYTES      (STRATA_PANEL / 2 * STRATA_PANEL * sizeof(float)) /* scratch of transpose_pairs */
#define STRIP_PADDING   16  /* so that rows of a strip do not meet in one set of the cache */
#define STRIP_ROWS      192 /* most outputs n of a strip of dW: dout^T of a row block then fits the scratch */

_Static_assert(STRATA_ROW_BLOCK <= STRATA_K_BLOCK, "a tile sums at most STRATA_K_BLOCK");

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t pieces_of(size_t count, size_t piece) {
    return (count + piece - 1) / piece;
}

/* ---- d input ---- */

struct input_gradient {
    const struct strata_compute *compute;
    const struct strata_matrix *weight;
    strata_tile_function *tile;
    float *dx;
    const float *dout;
    size_t dx_stride, dout_stride, M;
    bool add, narrow, rounded; /* narrow: bf16 weights; rounded: dout goes through compute->shared */
    size_t x_value, value;     /* bytes of one rounded value, of one weight */
    size_t row_block, row_blocks, panels, group;
};

/* Rounded dout of row m, block n: blocks of n, each (M, STRATA_K_BLOCK). */
static char *rounded_at(const struct input_gradient *g, size_t m, size_t n) {
    return (char *)g->compute->shared + (n * g->M + m * STRATA_K_BLOCK) * g->x_value;
}

static void round_task(void *context, size_t index, size_t worker) {
    const struct input_gradient *g = context;
    const size_t row = index * ROUND_ROWS, rows = smaller(ROUND_ROWS, g->M - row), N = g->weight->N;
    (void)worker;
    for (size_t n = 0; n < N; n += STRATA_K_BLOCK)
        g->compute->level->round_rows(rounded_at(g, row, n), STRATA_K_BLOCK, g->dout + row * g->dout_stride + n,
                                      g->dout_stride, rows, smaller(STRATA_K_BLOCK, N - n));
}

/* Panel [count][64] of inputs k.. for outputs n.. (count of them, n a multiple of 64). */
static void turn_panel(const struct input_gradient *g, void *panel, float *scratch, size_t n, size_t count, size_t k) {
    const struct strata_level *level = g->compute->level;
    const size_t K = g->weight->K, columns = smaller(STRATA_PANEL, K - k);
    for (size_t i = 0; i < count; i += STRATA_PANEL) {
        const size_t p = (n + i) / STRATA_PANEL;
        if (g->narrow) {
            const uint16_t *block = (const uint16_t *)g->weight->panels + (p * (K + K % 2) + k) * STRATA_PANEL;
            level->transpose_pairs((uint16_t *)panel + i * STRATA_PANEL, block, scratch, columns);
        } else {
            const float *block = (const float *)g->weight->panels + (p * K + k) * STRATA_PANEL;
            level->transpose((float *)panel + i * STRATA_PANEL, STRATA_PANEL, block, STRATA_PANEL, columns,
                             STRATA_PANEL);
        }
    }
}

/* A group of panels, so that the rows that are in L2 meet all of it. */
static void input_task(void *context, size_t index, size_t worker) {
    const struct input_gradient *g = context;
    const size_t K = g->weight->K, N = g->weight->N, panel_bytes = STRATA_K_BLOCK * STRATA_PANEL * g->value;
    const size_t begin = index / g->row_blocks * g->group, end = smaller(begin + g->group, g->panels);
    const size_t first = index % g->row_blocks * g->row_block, last = smaller(first + g->row_block, g->M);
    float *scratch = g->compute->scratch[worker];
    char *panels = (char *)scratch + TURN_BYTES;
    /* Columns beyond K are computed and dropped: they must hold numbers. */
    if (end * STRATA_PANEL > K) memset(scratch, 0, TURN_BYTES + (end - begin) * panel_bytes);
    for (size_t n = 0; n < N; n += STRATA_K_BLOCK) {
        const size_t count = smaller(STRATA_K_BLOCK, N - n);
        for (size_t p = begin; p < end; p++)
            turn_panel(g, panels + (p - begin) * panel_bytes, scratch, n, count, p * STRATA_PANEL);
        for (size_t row = first; row < last; row += TILE_ROWS_BLOCK)
            for (size_t p = begin; p < end; p++)
                g->tile(&(struct strata_tile){
                    .out = g->dx + row * g->dx_stride + p * STRATA_PANEL,
                    .out_stride = g->dx_stride,
                    .x = g->rounded ? (const void *)rounded_at(g, row, n) : g->dout + row * g->dout_stride + n,
                    .x_stride = g->rounded ? STRATA_K_BLOCK : g->dout_stride,
                    .panel = panels + (p - begin) * panel_bytes,
                    .K = count,
                    .rows = smaller(TILE_ROWS_BLOCK, last - row),
                    .columns = smaller(STRATA_PANEL, K - p * STRATA_PANEL),
                    .add = g->add || n > 0,
                });
    }
}

void strata_linear_backward_input(const struct strata_compute *compute, float *dx, size_t dx_stride, const float *dout,
                                  size_t dout_stride, const struct strata_matrix *weight, size_t M, bool add) {
    const struct strata_level *level = compute->level;
    struct input_gradient g = {
        .compute = compute,
        .weight = weight,
        .dx_stride = dx_stride,
        .dout_stride = dout_stride,
        .add = add,
        .narrow = weight->type != STRATA_WEIGHT_F32,
        .x_value = level->activation_bytes,
        .value = weight->type == STRATA_WEIGHT_F32 ? sizeof(float) : sizeof(uint16_t),
        .panels = pieces_of(weight->K, STRATA_PANEL),
    };
    g.rounded = g.narrow && compute->type == STRATA_COMPUTE_BF16;
    g.tile = !g.narrow ? level->tile_f32 : g.rounded ? level->tile_bf16 : level->tile_widen;
    const size_t row_bytes = pieces_of(weight->N, STRATA_K_BLOCK) * STRATA_K_BLOCK * g.x_value;
    const size_t fit = compute->shared_bytes / row_bytes, part = g.rounded ? (fit ? fit : 1) : M;
    const size_t threads = strata_threads_count(compute->threads);
    for (size_t row = 0; row < M; row += g.M) {
        g.M = pieces_of(M - row, pieces_of(M - row, part));
        g.dx = dx + row * dx_stride;
        g.dout = dout + row * dout_stride;
        if (g.rounded) strata_threads_run(compute->threads, pieces_of(g.M, ROUND_ROWS), round_task, &g);
        /* Each task turns its panels itself: rows are cut only where the panels alone would leave threads idle. */
        g.group = smaller(PANEL_GROUP, pieces_of(g.panels, 3 * threads));
        const size_t groups = pieces_of(g.panels, g.group);
        g.row_blocks = smaller(pieces_of(3 * threads, groups), pieces_of(g.M, STRATA_PANEL));
        g.row_block = pieces_of(g.M, g.row_blocks);
        g.row_blocks = pieces_of(g.M, g.row_block);
        strata_threads_run(compute->threads, groups * g.row_blocks, input_task, &g);
    }
}

/* ---- d weight ---- */

struct weight_gradient {
    const struct strata_compute *compute;
    strata_tile_function *tile;
    float *dweight;
    const float *dout, *x; /* of this row block */
    size_t dout_stride, x_stride, M, N, K;
    bool rounded;
    size_t strip;         /* outputs per task */
    size_t panel, panels; /* first panel and number of panels in compute->shared */
    size_t panel_bytes, x_value;
};

static void pack_task(void *context, size_t index, size_t worker) {
    const struct weight_gradient *g = context;
    const size_t k = (g->panel + index) * STRATA_PANEL, columns = smaller(STRATA_PANEL, g->K - k);
    void *panel = (char *)g->compute->shared + index * g->panel_bytes;
    (void)worker;
    if (columns < STRATA_PANEL) memset(panel, 0, g->panel_bytes);
    if (g->rounded) {
        g->compute->level->pack_pairs(panel, g->x + k, g->x_stride, g->M, columns);
        return;
    }
    for (size_t m = 0; m < g->M; m++)
        memcpy((float *)panel + m * STRATA_PANEL, g->x + m * g->x_stride + k, columns * sizeof(float));
}

static void weight_task(void *context, size_t index, size_t worker) {
    const struct weight_gradient *g = context;
    const struct strata_level *level = g->compute->level;
    const size_t n = index * g->strip, rows = smaller(g->strip, g->N - n), stride = g->M + g->M % 2 + STRIP_PADDING;
    float *turned = g->compute->scratch[worker];
    void *x = turned;
    level->transpose(turned, stride, g->dout + n, g->dout_stride, g->M, rows);
    if (g->rounded) {
        x = turned + rows * stride;
        level->round_rows(x, stride, turned, stride, rows, g->M);
    }
    for (size_t p = 0; p < g->panels; p++) {
        const size_t k = (g->panel + p) * STRATA_PANEL;
        g->tile(&(struct strata_tile){
            .out = g->dweight + n * g->K + k,
            .out_stride = g->K,
            .x = x,
            .x_stride = stride,
            .panel = (char *)g->compute->shared + p * g->panel_bytes,
            .K = g->M,
            .rows = rows,
            .columns = smaller(STRATA_PANEL, g->K - k),
            .add = true,
        });
    }
}

void strata_linear_backward_weight(const struct strata_compute *compute, float *dweight, const float *dout,
                                   size_t dout_stride, const float *x, size_t x_stride, enum strata_weight_type weight,
                                   size_t M, size_t N, size_t K) {
    const struct strata_level *level = compute->level;
    const size_t threads = strata_threads_count(compute->threads), panels = pieces_of(K, STRATA_PANEL);
    struct weight_gradient g = {
        .compute = compute,
        .dweight = dweight,
        .dout_stride = dout_stride,
        .x_stride = x_stride,
        .N = N,
        .K = K,
        .rounded = weight != STRATA_WEIGHT_F32 && compute->type == STRATA_COMPUTE_BF16,
    };
    if (!dweight || M == 0) return;
    g.tile = g.rounded ? level->tile_bf16 : level->tile_f32;
    g.panel_bytes = STRATA_ROW_BLOCK * STRATA_PANEL * (g.rounded ? sizeof(uint16_t) : sizeof(float));
    const size_t fit = compute->shared_bytes / g.panel_bytes;
    const size_t strips = pieces_of(N, 4 * threads) > STRIP_ROWS ? pieces_of(N, STRIP_ROWS) : smaller(4 * threads, N);
    g.strip = pieces_of(N, strips);
    for (size_t row = 0; row < M; row += g.M) {
        g.M = smaller(STRATA_ROW_BLOCK, M - row);
        g.dout = dout + row * dout_stride;
        g.x = x + row * x_stride;
        for (g.panel = 0; g.panel < panels; g.panel += g.panels) {
            g.panels = smaller(fit, panels - g.panel);
            strata_threads_run(compute->threads, g.panels, pack_task, &g);
            strata_threads_run(compute->threads, pieces_of(N, g.strip), weight_task, &g);
        }
    }
}

/* ---- d bias ---- */

struct bias_gradient {
    float *dbias;
    const float *dout;
    size_t stride, M, N;
};

static void bias_task(void *context, size_t index, size_t worker) {
    const struct bias_gradient *g = context;
    const size_t n = index * STRATA_PANEL, columns = smaller(STRATA_PANEL, g->N - n);
    (void)worker;
    for (size_t row = 0; row < g->M; row += STRATA_ROW_BLOCK) {
        float sums[STRATA_PANEL] = {0};
        const size_t end = row + smaller(STRATA_ROW_BLOCK, g->M - row);
        for (size_t m = row; m < end; m++)
            for (size_t c = 0; c < columns; c++) sums[c] += g->dout[m * g->stride + n + c];
        for (size_t c = 0; c < columns; c++) g->dbias[n + c] += sums[c];
    }
}

void strata_bias_backward(const struct strata_compute *compute, float *dbias, const float *dout, size_t dout_stride,
                          size_t M, size_t N) {
    struct bias_gradient g = {.dbias = dbias, .dout = dout, .stride = dout_stride, .M = M, .N = N};
    if (dbias) strata_threads_run(compute->threads, pieces_of(N, STRATA_PANEL), bias_task, &g);
}
