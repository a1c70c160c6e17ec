/* Int8 weights as bf16, for tiles of many rows: included by every level_*.c. Exact: eight significant bits hold 127. */
#include "kernels/level.h"

static void widen_int8(uint16_t *out, const int8_t *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float value = (float)values[i];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        out[i] = (uint16_t)(bits >> 16);
    }
}
