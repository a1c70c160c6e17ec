/* Sixteen floats side by side (compiler vector extension): one zmm, two ymm or four xmm as the level has them. Every
 * operation is exact IEEE per lane without contraction, so that these kernels have the same bits on every level.
 * Sums keep sixteen partial sums (element i goes to lane i % 16) and join them by one fixed tree. */
#ifndef STRATA_KERNELS_LANES_H
#define STRATA_KERNELS_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t lanes_int __attribute__((vector_size(4 * LANES)));
typedef uint32_t lanes_unsigned __attribute__((vector_size(4 * LANES)));

#define LANES_INLINE static inline __attribute__((always_inline, unused))

LANES_INLINE lanes lanes_set(float x) {
    return (lanes){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}
LANES_INLINE lanes lanes_load(const float *x) {
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}
LANES_INLINE void lanes_store(float *x, lanes v) {
    memcpy(x, &v, sizeof v);
}
/* The first count (< 16) lanes; the others are `fill`. */
LANES_INLINE lanes lanes_load_part(const float *x, size_t count, float fill) {
    lanes v = lanes_set(fill);
    memcpy(&v, x, count * sizeof *x);
    return v;
}
LANES_INLINE void lanes_store_part(float *x, lanes v, size_t count) {
    memcpy(x, &v, count * sizeof *x);
}
LANES_INLINE lanes lanes_select(lanes_int mask, lanes yes, lanes no) {
    return (lanes)((mask & (lanes_int)yes) | (~mask & (lanes_int)no));
}
/* a where a > b, else b: a NaN in a is passed over, one in b stays. */
LANES_INLINE lanes lanes_max(lanes a, lanes b) {
    return lanes_select(a > b, a, b);
}
/* Lane i < count is all ones. */
LANES_INLINE lanes_int lanes_below(int32_t count) {
    const lanes_int index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return index < count;
}

LANES_INLINE float lanes_sum(lanes v) {
    const float a0 = v[0] + v[8], a1 = v[1] + v[9], a2 = v[2] + v[10], a3 = v[3] + v[11];
    const float a4 = v[4] + v[12], a5 = v[5] + v[13], a6 = v[6] + v[14], a7 = v[7] + v[15];
    return ((a0 + a4) + (a2 + a6)) + ((a1 + a5) + (a3 + a7));
}
LANES_INLINE float lanes_largest(lanes v) {
    float largest = v[0];
    for (int i = 1; i < LANES; i++) largest = v[i] > largest ? v[i] : largest;
    return largest;
}

/* strata_expf (base/elementary.h) lane by lane, the same bits (tests/kernels/test_rows.c compares them). */
LANES_INLINE lanes lanes_exp(lanes x) {
    const lanes magic = lanes_set(12582912.0f);
    const lanes shifted = x * lanes_set(1.44269504f) + magic;
    const lanes k = shifted - magic;
    const lanes r = (x - k * lanes_set(0.693359375f)) - k * lanes_set(-2.12194440e-4f);
    lanes p = lanes_set(1.9875691500e-4f);
    p = p * r + lanes_set(1.3981999507e-3f);
    p = p * r + lanes_set(8.3334519073e-3f);
    p = p * r + lanes_set(4.1665795894e-2f);
    p = p * r + lanes_set(1.6666665459e-1f);
    p = p * r + lanes_set(5.0000001201e-1f);
    p = p * (r * r) + r + lanes_set(1.0f);
    const lanes_int n = (lanes_int)((lanes_unsigned)shifted - 0x4B400000u), half = n >> 1;
    p = p * (lanes)((lanes_unsigned)(half + 127) << 23) * (lanes)((lanes_unsigned)(n - half + 127) << 23);
    p = lanes_select(x < lanes_set(-87.33f), lanes_set(0.0f), p);
    p = lanes_select(x > lanes_set(88.7228394f), lanes_set(__builtin_inff()), p);
    return lanes_select(x != x, x, p);
}

#endif
