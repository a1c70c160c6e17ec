/* The plain level: what the tuned levels are tested against, and what runs on any CPU. Simple loops, kept simple. */
#include "base/bf16.h"
#include "kernels/attention_body.inc.h"
#include "kernels/backward_body.inc.h"
#include "kernels/level.h"
#include "kernels/rows_body.inc.h"
#include "kernels/update_body.inc.h"
#include "kernels/widen_body.inc.h"

static void tile_end(const struct strata_tile *tile, size_t r, const float sums[STRATA_PANEL]) {
    float *out = tile->out + r * tile->out_stride;
    for (size_t c = 0; c < tile->columns; c++) {
        const float before = (tile->add ? out[c] : 0.0f) + (tile->bias ? tile->bias[c] : 0.0f);
        out[c] = before + (tile->scale ? sums[c] * tile->scale[c] : sums[c]);
    }
}

static void tile_f32(const struct strata_tile *tile) {
    const float *panel = tile->panel;
    for (size_t r = 0; r < tile->rows; r++) {
        const float *x = (const float *)tile->x + r * tile->x_stride;
        float sums[STRATA_PANEL] = {0};
        for (size_t k = 0; k < tile->K; k++)
            for (size_t c = 0; c < STRATA_PANEL; c++) sums[c] += x[k] * panel[k * STRATA_PANEL + c];
        tile_end(tile, r, sums);
    }
}

static void tile_widen(const struct strata_tile *tile) {
    const uint16_t *panel = tile->panel;
    for (size_t r = 0; r < tile->rows; r++) {
        const float *x = (const float *)tile->x + r * tile->x_stride;
        float sums[STRATA_PANEL] = {0};
        for (size_t k = 0; k < tile->K; k++) {
            const uint16_t *pairs = panel + k / 2 * (2 * STRATA_PANEL) + k % 2;
            for (size_t c = 0; c < STRATA_PANEL; c++) sums[c] += x[k] * strata_bf16_widen(pairs[2 * c]);
        }
        tile_end(tile, r, sums);
    }
}

static void tile_int8_widen(const struct strata_tile *tile) {
    const int8_t *panel = tile->panel;
    for (size_t r = 0; r < tile->rows; r++) {
        const float *x = (const float *)tile->x + r * tile->x_stride;
        float sums[STRATA_PANEL] = {0};
        for (size_t k = 0; k < tile->K; k++) {
            const int8_t *pairs = panel + k / 2 * (2 * STRATA_PANEL) + k % 2;
            for (size_t c = 0; c < STRATA_PANEL; c++) sums[c] += x[k] * (float)pairs[2 * c];
        }
        tile_end(tile, r, sums);
    }
}

static void round_rows(void *out, size_t out_stride, const float *x, size_t x_stride, size_t rows, size_t K) {
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < K; k++)
            ((float *)out)[r * out_stride + k] = strata_bf16_widen(strata_bf16_round(x[r * x_stride + k]));
}

static double spin_f32(float *sink, size_t turns) {
    lanes sums[4] = {lanes_set(1.0f), lanes_set(2.0f), lanes_set(3.0f), lanes_set(4.0f)};
    const lanes factor = lanes_set(0.5f);
    for (size_t i = 0; i < turns; i++)
        for (int j = 0; j < 4; j++) sums[j] = sums[j] * factor + factor;
    *sink += lanes_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
    return (double)turns * 4.0 * 2.0 * LANES;
}

const struct strata_level strata_level_plain = {
    .name = "plain",
    .tile_f32 = tile_f32,
    .tile_widen = tile_widen,
    .tile_bf16 = tile_widen,
    .tile_int8 = tile_int8_widen,
    .tile_int8_widen = tile_int8_widen,
    .widen_int8 = widen_int8,
    .activation_bytes = sizeof(float),
    .round_rows = round_rows,
    .softmax_block = softmax_block,
    .scale_row = scale_row,
    .range_sum = range_sum,
    .rmsnorm_row = rmsnorm_row,
    .swiglu_row = swiglu_row,
    .gelu = gelu,
    .rope_row = rope_row,
    .logsumexp_row = logsumexp_row,
    .transpose = transpose,
    .pack_pairs = pack_pairs,
    .transpose_pairs = transpose_pairs,
    .rmsnorm_backward_row = rmsnorm_backward_row,
    .swiglu_backward_row = swiglu_backward_row,
    .gelu_backward = gelu_backward,
    .rope_backward_row = rope_backward_row,
    .logsumexp_backward_row = logsumexp_backward_row,
    .softmax_backward_row = softmax_backward_row,
    .adamw_halves = adamw_halves,
    .spin_f32 = spin_f32,
};
