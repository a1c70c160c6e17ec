/* AdamW's arithmetic, value by value (train/optimizer.h). Operations of IEEE 754 alone, each rounded: every level gives
 * the same bits. */
#ifndef STRATA_KERNELS_UPDATE_H
#define STRATA_KERNELS_UPDATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bf16.h"

struct strata_level;

/* The numbers of one update, as torch's fp32 loops see them. */
struct strata_adamw_numbers {
    float clip, take1, keep2, take2, step, root, epsilon, shrink;
};

/* One value: moments in place, its new weight. */
static inline float strata_adamw_value(float weight, float *moment1, float *moment2, float gradient,
                                       const struct strata_adamw_numbers *u) {
    float g = gradient * u->clip;
    float m = *moment1 + (g - *moment1) * u->take1; /* torch: lerp */
    float v = *moment2 * u->keep2 + u->take2 * g * g;
    *moment1 = m;
    *moment2 = v;
    return weight * u->shrink - u->step * (m / (__builtin_sqrtf(v) / u->root + u->epsilon));
}

/* A second moment is not negative: its sign is a mark. Takes it away; sets it. */
static inline uint32_t strata_take_mark(float *moment2) {
    uint32_t bits, magnitude;
    memcpy(&bits, moment2, sizeof bits);
    magnitude = bits & 0x7fffffffu;
    memcpy(moment2, &magnitude, sizeof magnitude);
    return bits >> 31;
}
static inline void strata_set_mark(float *moment2, uint32_t mark) {
    uint32_t bits;
    memcpy(&bits, moment2, sizeof bits);
    bits = (bits & 0x7fffffffu) | mark << 31;
    memcpy(moment2, &bits, sizeof bits);
}

/* count values whose master is a bf16 weight, its rest and the mark of the second moment (base/bf16.h). */
void strata_adamw_halves(const struct strata_level *level, uint16_t *weight, uint16_t *rest, float *moment1,
                         float *moment2, const float *gradient, size_t count,
                         const struct strata_adamw_numbers *numbers);

#endif
