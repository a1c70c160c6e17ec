/* Softmax pieces of attention, included by every level_*.c. */
#include "kernels/lanes.h"
#include "kernels/level.h"

#define KEY_VECTORS (STRATA_KEY_BLOCK / LANES)
_Static_assert(KEY_VECTORS == 4, "the sum tree below joins four vectors");

/* What stands behind the visible keys may be anything: replaced, never multiplied. */
LANES_INLINE void load_scores(lanes s[KEY_VECTORS], const struct strata_softmax_block *block, size_t r) {
    const int32_t visible = (int32_t)block->visible[r];
    for (int i = 0; i < KEY_VECTORS; i++) {
        s[i] = lanes_load(block->scores + r * STRATA_KEY_BLOCK + (size_t)i * LANES) * lanes_set(block->scale);
        if (visible < STRATA_KEY_BLOCK)
            s[i] = lanes_select(lanes_below(visible - i * LANES), s[i], lanes_set(-__builtin_inff()));
    }
}

static void softmax_block(const struct strata_softmax_block *block) {
    const size_t rows = block->rows, whole = rows / LANES * LANES;
    lanes s[KEY_VECTORS];
    for (size_t r = 0; r < rows; r++) {
        load_scores(s, block, r);
        const float here = lanes_largest(lanes_max(lanes_max(s[0], s[1]), lanes_max(s[2], s[3])));
        const float old = block->maximum[r], maximum = here > old ? here : old;
        block->maximum[r] = maximum;
        block->correction[r] = maximum == old ? 0.0f : old - maximum;
    }
    for (size_t r = 0; r < whole; r += LANES)
        lanes_store(block->correction + r, lanes_exp_negative(lanes_load(block->correction + r)));
    if (whole < rows) {
        const lanes rest = lanes_load_part(block->correction + whole, rows - whole, 0.0f);
        lanes_store_part(block->correction + whole, lanes_exp_negative(rest), rows - whole);
    }
    for (size_t r = 0; r < rows; r++) {
        load_scores(s, block, r);
        for (int i = 0; i < KEY_VECTORS; i++) {
            s[i] = lanes_exp_negative(s[i] - lanes_set(block->maximum[r]));
            lanes_store(block->scores + r * STRATA_KEY_BLOCK + (size_t)i * LANES, s[i]);
        }
        const float sum = lanes_sum((s[0] + s[1]) + (s[2] + s[3]));
        block->block_sum[r] = sum;
        block->sum[r] = block->sum[r] * block->correction[r] + sum;
    }
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
