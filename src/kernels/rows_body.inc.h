/* Row kernels, included by every level_*.c: the compiler lowers lanes.h to the level's vectors. */
#include <math.h>

#include "base/elementary.h"
#include "kernels/lanes.h"
#include "kernels/level.h"

static float rmsnorm_row(float *out, const float *x, const float *weight, float eps, size_t C) {
    const size_t whole = C / LANES * LANES;
    lanes squares = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES) {
        const lanes v = lanes_load(x + i);
        squares += v * v;
    }
    if (whole < C) {
        const lanes v = lanes_load_part(x + whole, C - whole, 0.0f);
        squares += v * v;
    }
    const float rstd = 1.0f / sqrtf(lanes_sum(squares) / (float)C + eps);
    for (size_t i = 0; i < C; i++) out[i] = x[i] * rstd * weight[i];
    return rstd;
}

LANES_INLINE lanes swiglu(lanes gate, lanes up) {
    return gate / (lanes_set(1.0f) + lanes_exp(-gate)) * up;
}
static void swiglu_row(float *out, const float *gate, const float *up, size_t F) {
    const size_t whole = F / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) lanes_store(out + i, swiglu(lanes_load(gate + i), lanes_load(up + i)));
    if (whole < F) {
        const size_t rest = F - whole;
        const lanes v = swiglu(lanes_load_part(gate + whole, rest, 0.0f), lanes_load_part(up + whole, rest, 0.0f));
        lanes_store_part(out + whole, v, rest);
    }
}

/* x/2 (1 + erf(x / sqrt 2)) */
static void gelu(float *out, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = 0.5f * x[i] * (1.0f + strata_erff(x[i] * 0.70710678118654752f));
}

/* Rotate half: (a, b) -> (a cos - b sin, b cos + a sin) with a = x[d], b = x[d + D/2]. */
static void rope_row(float *x, const float *cosines, const float *sines, size_t H, size_t D) {
    const size_t half = D / 2;
    for (size_t h = 0; h < H; h++) {
        float *restrict first = x + h * D, *restrict second = first + half;
        for (size_t d = 0; d < half; d++) {
            const float a = first[d], b = second[d];
            first[d] = a * cosines[d] - b * sines[d];
            second[d] = b * cosines[d] + a * sines[d];
        }
    }
}

static float logsumexp_row(const float *x, size_t V) {
    const float lowest = -__builtin_inff();
    const size_t whole = V / LANES * LANES, rest = V - whole;
    lanes largest = lanes_set(lowest), sums = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES) largest = lanes_max(lanes_load(x + i), largest);
    if (rest) largest = lanes_max(lanes_load_part(x + whole, rest, lowest), largest);
    const float maximum = lanes_largest(largest);
    if (maximum == lowest || maximum == -lowest) return maximum;
    for (size_t i = 0; i < whole; i += LANES) sums += lanes_exp_negative(lanes_load(x + i) - lanes_set(maximum));
    if (rest) sums += lanes_exp_negative(lanes_load_part(x + whole, rest, lowest) - lanes_set(maximum));
    return maximum + strata_logf(lanes_sum(sums));
}
