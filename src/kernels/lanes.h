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

/* v folded in halves, 16 to 8 to 4 to 2 to 1: the one tree of every sum. */
typedef float lanes_8 __attribute__((vector_size(32)));
typedef float lanes_4 __attribute__((vector_size(16)));
LANES_INLINE float lanes_sum(lanes v) {
    const lanes_8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    const lanes_4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    const lanes_4 c = b + __builtin_shufflevector(b, b, 2, 3, 0, 1);
    return c[0] + c[1];
}
LANES_INLINE float lanes_largest(lanes v) {
    v = lanes_max(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    v = lanes_max(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
    v = lanes_max(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    v = lanes_max(v, __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    return v[0];
}

/* strata_expf (base/elementary.h) lane by lane, the same bits (tests/kernels/test_rows.c compares them). */
LANES_INLINE lanes lanes_exp_polynomial(lanes x, lanes_int *power) {
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
    *power = (lanes_int)((lanes_unsigned)shifted - 0x4B400000u);
    return p * (r * r) + r + lanes_set(1.0f);
}
LANES_INLINE lanes lanes_power_of_two(lanes_int power) {
    return (lanes)((lanes_unsigned)(power + 127) << 23);
}
LANES_INLINE lanes lanes_exp(lanes x) {
    lanes_int n;
    lanes p = lanes_exp_polynomial(x, &n);
    p = p * lanes_power_of_two(n >> 1) * lanes_power_of_two(n - (n >> 1));
    p = lanes_select(x < lanes_set(-87.33f), lanes_set(0.0f), p);
    p = lanes_select(x > lanes_set(88.7228394f), lanes_set(__builtin_inff()), p);
    return lanes_select(x != x, x, p); // NOLINT(misc-redundant-expression): true for a NaN
}
/* The same for x <= 0 (or NaN), where 2^n is a normal number whenever the result is not 0. */
LANES_INLINE lanes lanes_exp_negative(lanes x) {
    lanes_int n;
    lanes p = lanes_exp_polynomial(x, &n);
    p = p * lanes_power_of_two(n);
    return lanes_select(x < lanes_set(-87.33f), lanes_set(0.0f), p);
}

#endif
