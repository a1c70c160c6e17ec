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
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

#endif
