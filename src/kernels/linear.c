/* Linear layers: how the work is cut. What determines the result is the level's tile and the order of K blocks alone:
 * out = (((out or 0) + bias) + block 0) + block 1 + …, whatever M, the threads and the cuts below are. */
#include "kernels/kernels.h"
#include "kernels/level.h"

#define ROW_BLOCK   192 /* rows that stay in L2 while a group of panels passes by */
#define PANEL_GROUP 8

struct linear {
    const struct strata_compute *compute;
    float *out;
    const float *x, *bias;
    const struct strata_matrix *weight;
    strata_tile_function *tile;
    size_t out_stride, x_stride, M;
    bool add, rounded; /* rounded: x goes through round_rows */
    size_t row_block, row_blocks, panels, group;
    size_t chunk; /* inputs rounded at a time, a multiple of STRATA_K_BLOCK */
    size_t value; /* bytes of one weight */
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Panels [begin, end) x rows [row, row + rows) over inputs [first, last). */
static void linear_chunk(const struct linear *linear, const void *x, size_t x_stride, size_t row, size_t rows,
                         size_t begin, size_t end, size_t first, size_t last) {
    const size_t K = linear->weight->K, N = linear->weight->N;
    const size_t K_padded = linear->weight->type == STRATA_WEIGHT_BF16 ? K + K % 2 : K;
    const size_t x_value = linear->rounded ? linear->compute->level->activation_bytes : sizeof(float);
    for (size_t p = begin; p < end; p++) {
        const char *panel = (const char *)linear->weight->panels + p * K_padded * STRATA_PANEL * linear->value;
        for (size_t k = first; k < last; k += STRATA_K_BLOCK) {
            linear->tile(&(struct strata_tile){
                .out = linear->out + row * linear->out_stride + p * STRATA_PANEL,
                .out_stride = linear->out_stride,
                .x = (const char *)x + (k - first) * x_value,
                .x_stride = x_stride,
                .panel = panel + k * STRATA_PANEL * linear->value,
                .bias = linear->bias && k == 0 ? linear->bias + p * STRATA_PANEL : NULL,
                .K = smaller(STRATA_K_BLOCK, last - k),
                .rows = rows,
                .columns = smaller(STRATA_PANEL, N - p * STRATA_PANEL),
                .add = linear->add || k > 0,
            });
        }
    }
}

static void linear_task(void *context, size_t index, size_t worker) {
    const struct linear *linear = context;
    const struct strata_level *level = linear->compute->level;
    const size_t row = index % linear->row_blocks * linear->row_block;
    const size_t rows = smaller(linear->row_block, linear->M - row);
    const size_t begin = index / linear->row_blocks * linear->group;
    const size_t end = smaller(begin + linear->group, linear->panels);
    const size_t K = linear->weight->K;
    for (size_t first = 0; first < K; first += linear->chunk) {
        const size_t last = smaller(first + linear->chunk, K), stride = last - first + (last - first) % 2;
        const float *x = linear->x + row * linear->x_stride + first;
        if (linear->rounded) {
            void *rounded = linear->compute->scratch[worker];
            level->round_rows(rounded, stride, x, linear->x_stride, rows, last - first);
            linear_chunk(linear, rounded, stride, row, rows, begin, end, first, last);
        } else {
            linear_chunk(linear, x, linear->x_stride, row, rows, begin, end, first, last);
        }
    }
}

void strata_linear_forward(const struct strata_compute *compute, float *out, size_t out_stride, const float *x,
                           size_t x_stride, const struct strata_matrix *weight, const float *bias, size_t M, bool add) {
    const struct strata_level *level = compute->level;
    const bool wide = weight->type == STRATA_WEIGHT_F32;
    struct linear linear = {
        .compute = compute,
        .out = out,
        .x = x,
        .bias = bias,
        .weight = weight,
        .out_stride = out_stride,
        .x_stride = x_stride,
        .M = M,
        .add = add,
        .rounded = !wide && compute->type == STRATA_COMPUTE_BF16,
        .panels = (weight->N + STRATA_PANEL - 1) / STRATA_PANEL,
        .value = wide ? sizeof(float) : sizeof(uint16_t),
    };
    if (M == 0 || weight->N == 0) return;
    linear.tile = wide ? level->tile_f32 : linear.rounded ? level->tile_bf16 : level->tile_widen;
    linear.row_blocks = (M + ROW_BLOCK - 1) / ROW_BLOCK;
    linear.row_block = (M + linear.row_blocks - 1) / linear.row_blocks;

    /* Enough tasks that the threads end together, but none so small that handing it out shows. */
    const size_t pieces = linear.panels * linear.row_blocks / (8 * strata_threads_count(compute->threads));
    linear.group = pieces < 1 ? 1 : smaller(pieces, PANEL_GROUP);

    linear.chunk = STRATA_K_BLOCK;
    if (linear.rounded) {
        const size_t fit = compute->scratch_bytes / (linear.row_block * level->activation_bytes);
        linear.chunk = fit / STRATA_K_BLOCK * STRATA_K_BLOCK;
        if (linear.row_block > 16) linear.chunk = STRATA_K_BLOCK; /* weights are in cache anyway: keep x in L2 */
    } else if (linear.row_block <= 16) {
        linear.chunk = weight->K + STRATA_K_BLOCK; /* stream each panel once, front to back */
    }
    const size_t groups = (linear.panels + linear.group - 1) / linear.group;
    strata_threads_run(compute->threads, groups * linear.row_blocks, linear_task, &linear);
}
