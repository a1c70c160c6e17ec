/* Linear layers: how the work is cut. What determines the result is the level's tile and the order of K blocks alone:
 * out = (((out or 0) + bias) + block 0) + block 1 + …, whatever M, the threads and the cuts below are. */
#include "kernels/kernels.h"
#include "kernels/level.h"

#define FEW_ROWS     16  /* decoding: weights pass by once, front to back; more rows: blocks of them stay in L2 */
#define ROW_BLOCK    192 /* rows beside which a block of a panel is used */
#define PANEL_GROUP  8
#define FEW_PRODUCTS ((size_t)1 << 17) /* under about 10 us of work, other threads are not woken */

struct linear {
    const struct strata_compute *compute;
    float *out;
    const float *x, *bias;
    const struct strata_matrix *weight;
    strata_tile_function *tile;
    size_t out_stride, x_stride, M;
    bool add;
    bool rounded; /* the tile reads what round_rows wrote: */
    bool packed;  /* all of it before, block by block of K, in compute->shared; else by each task in its scratch */
    size_t row_block, row_blocks, panels, group;
    size_t value, x_value; /* bytes of one weight, of one x as the tile reads it */
    size_t panel_bytes;
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t pieces_of(size_t count, size_t piece) {
    return (count + piece - 1) / piece;
}

/* One panel, one block of K. */
static void linear_block(const struct linear *linear, const void *x, size_t x_stride, size_t row, size_t rows, size_t p,
                         size_t k) {
    const size_t column = p * STRATA_PANEL;
    linear->tile(&(struct strata_tile){
        .out = linear->out + row * linear->out_stride + column,
        .out_stride = linear->out_stride,
        .x = x,
        .x_stride = x_stride,
        .panel = (const char *)linear->weight->panels + p * linear->panel_bytes + k * STRATA_PANEL * linear->value,
        .bias = linear->bias && k == 0 ? linear->bias + column : NULL,
        .K = smaller(STRATA_K_BLOCK, linear->weight->K - k),
        .rows = rows,
        .columns = smaller(STRATA_PANEL, linear->weight->N - column),
        .add = linear->add || k > 0,
    });
}

/* Few rows: panel after panel as they lie in memory. Rounded inputs are kept for as many k as fit. */
static void few_rows(const struct linear *linear, size_t begin, size_t end, void *scratch) {
    const size_t K = linear->weight->K, M = linear->M;
    const size_t fit = linear->compute->scratch_bytes / (M * linear->x_value) / STRATA_K_BLOCK * STRATA_K_BLOCK;
    const size_t chunk = linear->rounded ? smaller(fit, K) : K;
    for (size_t first = 0; first < K; first += chunk) {
        const size_t last = smaller(first + chunk, K);
        const char *x = (const char *)(linear->x + first);
        size_t stride = linear->x_stride;
        if (linear->rounded) {
            stride = last - first + (last - first) % 2;
            linear->compute->level->round_rows(scratch, stride, linear->x + first, linear->x_stride, M, last - first);
            x = scratch;
        }
        for (size_t p = begin; p < end; p++)
            for (size_t k = first; k < last; k += STRATA_K_BLOCK)
                linear_block(linear, x + (k - first) * linear->x_value, stride, 0, M, p, k);
    }
}

/* Where x of row m, block k stands in compute->shared: blocks of K, each (M, STRATA_K_BLOCK). */
static char *packed_at(const struct linear *linear, size_t m, size_t k) {
    return (char *)linear->compute->shared + (k * linear->M + m * STRATA_K_BLOCK) * linear->x_value;
}

static void pack_task(void *context, size_t index, size_t worker) {
    const struct linear *linear = context;
    const size_t row = index * FEW_ROWS, rows = smaller(FEW_ROWS, linear->M - row), K = linear->weight->K;
    (void)worker;
    for (size_t m = row; m < row + rows; m++)
        for (size_t k = 0; k < K; k += STRATA_K_BLOCK)
            linear->compute->level->round_rows(packed_at(linear, m, k), STRATA_K_BLOCK,
                                               linear->x + m * linear->x_stride + k, 0, 1,
                                               smaller(STRATA_K_BLOCK, K - k));
}

static void linear_task(void *context, size_t index, size_t worker) {
    const struct linear *linear = context;
    const size_t begin = index / linear->row_blocks * linear->group;
    const size_t end = smaller(begin + linear->group, linear->panels);
    if (linear->M <= FEW_ROWS) {
        few_rows(linear, begin, end, linear->compute->scratch[worker]);
        return;
    }
    const size_t row = index % linear->row_blocks * linear->row_block;
    const size_t rows = smaller(linear->row_block, linear->M - row);
    for (size_t k = 0; k < linear->weight->K; k += STRATA_K_BLOCK)
        for (size_t p = begin; p < end; p++) {
            const void *x =
                linear->packed ? (const void *)packed_at(linear, row, k) : linear->x + row * linear->x_stride + k;
            linear_block(linear, x, linear->packed ? STRATA_K_BLOCK : linear->x_stride, row, rows, p, k);
        }
}

static void run(struct linear *linear) {
    const size_t products = linear->M * linear->weight->N * linear->weight->K; /* of arrays that are in memory */
    struct strata_threads *threads = products > FEW_PRODUCTS ? linear->compute->threads : NULL;
    if (linear->packed) strata_threads_run(threads, pieces_of(linear->M, FEW_ROWS), pack_task, linear);
    linear->row_blocks = pieces_of(linear->M, ROW_BLOCK);
    linear->row_block = pieces_of(linear->M, linear->row_blocks);
    /* Enough tasks that the threads end together, but none so small that handing it out shows. */
    const size_t pieces = linear->panels * linear->row_blocks / (4 * strata_threads_count(threads));
    linear->group = pieces < 1 ? 1 : smaller(pieces, PANEL_GROUP);
    strata_threads_run(threads, pieces_of(linear->panels, linear->group) * linear->row_blocks, linear_task, linear);
}

void strata_linear_forward(const struct strata_compute *compute, float *out, size_t out_stride, const float *x,
                           size_t x_stride, const struct strata_matrix *weight, const float *bias, size_t M, bool add) {
    const struct strata_level *level = compute->level;
    const bool wide = weight->type == STRATA_WEIGHT_F32, rounded = !wide && compute->type == STRATA_COMPUTE_BF16;
    const size_t value = wide ? sizeof(float) : sizeof(uint16_t);
    struct linear linear = {
        .compute = compute,
        .out = out,
        .x = x,
        .bias = bias,
        .weight = weight,
        .tile = wide      ? level->tile_f32
                : rounded ? level->tile_bf16
                          : level->tile_widen,
        .out_stride = out_stride,
        .x_stride = x_stride,
        .M = M,
        .add = add,
        .rounded = rounded,
        .packed = rounded && M > FEW_ROWS,
        .panels = pieces_of(weight->N, STRATA_PANEL),
        .value = value,
        .x_value = rounded ? level->activation_bytes : sizeof(float),
        .panel_bytes = (wide ? weight->K : weight->K + weight->K % 2) * STRATA_PANEL * value,
    };
    if (M == 0 || weight->N == 0) return;
    if (!linear.packed) {
        run(&linear);
        return;
    }
    const size_t row_bytes = pieces_of(weight->K, STRATA_K_BLOCK) * STRATA_K_BLOCK * linear.x_value;
    const size_t parts = pieces_of(M, compute->shared_bytes / row_bytes), most = pieces_of(M, parts);
    for (size_t row = 0; row < M; row += most) {
        linear.M = smaller(most, M - row);
        linear.x = x + row * x_stride;
        linear.out = out + row * out_stride;
        linear.packed = linear.M > FEW_ROWS;
        run(&linear);
    }
}
