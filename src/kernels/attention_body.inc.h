/* Softmax pieces of attention, included by every level_*.c. */
#include "kernels/lanes.h"
#include "kernels/level.h"

#define KEY_VECTORS (STRATA_KEY_BLOCK / LANES)
_Static_assert(KEY_VECTORS == 4, "the sum tree below joins four vectors");

static void softmax_row(const struct strata_softmax_block *block, size_t r) {
    const float lowest = -__builtin_inff();
    float *row = block->scores + r * STRATA_KEY_BLOCK;
    const int32_t visible = (int32_t)block->visible[r];
    lanes s[KEY_VECTORS];
    for (int i = 0; i < KEY_VECTORS; i++) {
        s[i] = lanes_load(row + i * LANES) * lanes_set(block->scale);
        /* What stands behind the visible keys may be anything: replaced, never multiplied. */
        if (visible < STRATA_KEY_BLOCK) s[i] = lanes_select(lanes_below(visible - i * LANES), s[i], lanes_set(lowest));
    }
    const float old = block->maximum[r];
    const lanes largest = lanes_max(lanes_max(s[0], s[1]), lanes_max(s[2], s[3]));
    const float here = lanes_largest(largest), maximum = here > old ? here : old;
    for (int i = 0; i < KEY_VECTORS; i++) {
        s[i] = lanes_exp(s[i] - lanes_set(maximum));
        lanes_store(row + i * LANES, s[i]);
    }
    const float sum = lanes_sum((s[0] + s[1]) + (s[2] + s[3]));
    const float correction = maximum == old ? 1.0f : lanes_exp(lanes_set(old - maximum))[0];
    block->maximum[r] = maximum;
    block->correction[r] = correction;
    block->block_sum[r] = sum;
    block->sum[r] = block->sum[r] * correction + sum;
}
static void softmax_block(const struct strata_softmax_block *block) {
    for (size_t r = 0; r < block->rows; r++) softmax_row(block, r);
}

static float range_sum(const float *x, size_t begin, size_t end) {
    lanes s[KEY_VECTORS];
    for (int i = 0; i < KEY_VECTORS; i++) {
        const lanes_int mask = lanes_below((int32_t)end - i * LANES) & ~lanes_below((int32_t)begin - i * LANES);
        s[i] = lanes_select(mask, lanes_load(x + i * LANES), lanes_set(0.0f));
    }
    return lanes_sum((s[0] + s[1]) + (s[2] + s[3]));
}

static void scale_row(float *x, float factor, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}
