/* bfloat16: the upper half of an IEEE single. */
#ifndef STRATA_BASE_BF16_H
#define STRATA_BASE_BF16_H

#include <stdint.h>
#include <string.h>

static inline float strata_bf16_widen(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Round to nearest even; a NaN stays a NaN (made quiet, so that no payload rounds up to infinity). */
static inline uint16_t strata_bf16_round(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    /* No branch, so that loops over it vectorise. */
    const uint32_t quiet = bits >> 16 | 0x40u, rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/* A float as its nearest bf16 and what is left of it, from which it comes back bit for bit (a NaN as some NaN).
 *
 * The rest is the lower half of its bits: above 0x8000 the upper half was rounded up and is one less than the bf16,
 * below it is the bf16. At 0x8000 the float lies half-way between two bf16 and is rounded to the even one, from below
 * or from above. An even bf16 is thus the nearest of 65,537 floats, and 16 bits are one short: `tied_up` says it, 1
 * where such a float was rounded away from zero, else 0. Signs, denormals and carries into the exponent need no care:
 * all of it is arithmetic on the bits. */
static inline uint16_t strata_bf16_rest(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)bits;
}
static inline uint32_t strata_bf16_tied_up(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x1ffffu) == 0x18000u;
}
static inline float strata_bf16_rejoin(uint16_t nearest, uint16_t rest, uint32_t tied_up) {
    const uint32_t upper = (uint32_t)nearest - (rest + tied_up > 0x8000u), bits = upper << 16 | rest;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
