/* Activations for levels without bf16 products: floats that hold the rounded value, for tile_widen. */
#include "base/bf16.h"
#include "kernels/level.h"

static void round_rows(void *out, size_t out_stride, const float *x, size_t x_stride, size_t rows, size_t K) {
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < K; k++)
            ((float *)out)[r * out_stride + k] = strata_bf16_widen(strata_bf16_round(x[r * x_stride + k]));
}
