/* Packed weights: see the layouts in kernels.h. */
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/huge_pages.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#define MOST_INPUTS ((size_t)1 << 20) /* a rounded row must fit strata_compute.shared */

static size_t panel_values(const struct strata_matrix *matrix) {
    const size_t K = matrix->type == STRATA_WEIGHT_BF16 ? matrix->K + matrix->K % 2 : matrix->K;
    return K * STRATA_PANEL;
}
/* Where W[n][k] stands, in values. */
static size_t position(const struct strata_matrix *matrix, size_t n, size_t k) {
    const size_t panel = n / STRATA_PANEL * panel_values(matrix), column = n % STRATA_PANEL;
    if (matrix->type == STRATA_WEIGHT_BF16) return panel + (k / 2 * STRATA_PANEL + column) * 2 + k % 2;
    return panel + k * STRATA_PANEL + column;
}

int strata_matrix_create(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                         struct strata_error *err) {
    *out = (struct strata_matrix){.type = type, .N = N, .K = K};
    if (type != STRATA_WEIGHT_F32 && type != STRATA_WEIGHT_BF16)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "weights of type %d are not implemented", (int)type);
    if (K > MOST_INPUTS)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "a matrix of %zu inputs: the most is %zu", K, MOST_INPUTS);
    const size_t value = type == STRATA_WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float);
    const size_t panels = N / STRATA_PANEL + (N % STRATA_PANEL != 0);
    size_t bytes;
    if (!strata_add_ok(&bytes, K, K % 2) || !strata_mul_ok(&bytes, bytes, STRATA_PANEL * value) ||
        !strata_mul_ok(&bytes, bytes, panels))
        return strata_fail(err, STRATA_ERR_MEMORY, "a matrix of %zu x %zu does not fit the address space", N, K);
    bytes = panels * panel_values(out) * value;
    const int status = strata_alloc_huge(&out->panels, bytes, err);
    if (status != STRATA_OK) return status;
    out->bytes = bytes;
    memset(out->panels, 0, bytes); /* the padding of N and of an odd K must be zero */
    return STRATA_OK;
}

/* A strip of inputs at a time, so that the panel lines being filled stay in L1 while the rows of W pass by. */
#define STRIP 16

#define SET_ROWS(SOURCE_TYPE, TARGET_TYPE, CONVERT)                                                                    \
    for (size_t begin = 0; begin < matrix->K; begin += STRIP) {                                                        \
        const size_t end = matrix->K - begin < STRIP ? matrix->K : begin + STRIP;                                      \
        for (size_t row = 0; row < rows; row++) {                                                                      \
            const SOURCE_TYPE *w = source + row * matrix->K;                                                           \
            TARGET_TYPE *target = matrix->panels;                                                                      \
            for (size_t k = begin; k < end; k++) target[position(matrix, first + row, k)] = CONVERT(w[k]);             \
        }                                                                                                              \
    }
#define AS_IS(value) (value)

static void set_rows(struct strata_matrix *matrix, size_t first, size_t rows, const float *source) {
    if (matrix->type == STRATA_WEIGHT_F32) {
        SET_ROWS(float, float, AS_IS)
    } else {
        SET_ROWS(float, uint16_t, strata_bf16_round)
    }
}
static void set_rows_bf16(struct strata_matrix *matrix, size_t first, size_t rows, const uint16_t *source) {
    if (matrix->type == STRATA_WEIGHT_F32) {
        SET_ROWS(uint16_t, float, strata_bf16_widen)
    } else {
        SET_ROWS(uint16_t, uint16_t, AS_IS)
    }
}

/* Panel by panel: the rows of one panel share its lines. */
static size_t rows_in_panel(size_t first, size_t rows) {
    const size_t room = STRATA_PANEL - first % STRATA_PANEL;
    return rows < room ? rows : room;
}
void strata_matrix_set_rows(struct strata_matrix *matrix, size_t first, size_t rows, const float *source) {
    while (rows) {
        const size_t count = rows_in_panel(first, rows);
        set_rows(matrix, first, count, source);
        first += count, rows -= count, source += count * matrix->K;
    }
}
void strata_matrix_set_rows_bf16(struct strata_matrix *matrix, size_t first, size_t rows, const uint16_t *source) {
    while (rows) {
        const size_t count = rows_in_panel(first, rows);
        set_rows_bf16(matrix, first, count, source);
        first += count, rows -= count, source += count * matrix->K;
    }
}

void strata_matrix_get_row(float *out, const struct strata_matrix *matrix, size_t row) {
    for (size_t k = 0; k < matrix->K; k++) {
        const size_t at = position(matrix, row, k);
        out[k] = matrix->type == STRATA_WEIGHT_BF16 ? strata_bf16_widen(((const uint16_t *)matrix->panels)[at])
                                                    : ((const float *)matrix->panels)[at];
    }
}

void strata_matrix_free(struct strata_matrix *matrix) {
    free(matrix->panels);
    free(matrix->scales);
    *matrix = (struct strata_matrix){0};
}
