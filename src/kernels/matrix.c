/* Packed weights: see the layouts in kernels.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/huge_pages.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#define MOST_INPUTS ((size_t)1 << 20) /* a rounded row must fit strata_compute.shared */

#define SCALES_BYTES (STRATA_PANEL * sizeof(float))
#define GROUP_BYTES  (SCALES_BYTES + STRATA_GROUP * STRATA_PANEL)
_Static_assert(STRATA_GROUP % 2 == 0, "groups are whole pairs");

/* Values of a panel; int8: bytes, scales included. */
static size_t panel_values(const struct strata_matrix *matrix) {
    const size_t even = matrix->K + matrix->K % 2, groups = (matrix->K + STRATA_GROUP - 1) / STRATA_GROUP;
    if (matrix->type == STRATA_WEIGHT_F32) return matrix->K * STRATA_PANEL;
    return even * STRATA_PANEL + (matrix->type == STRATA_WEIGHT_INT8 ? groups * SCALES_BYTES : 0);
}
/* Where W[n][k] stands, in values. */
static size_t position(const struct strata_matrix *matrix, size_t n, size_t k) {
    const size_t panel = n / STRATA_PANEL * panel_values(matrix), column = n % STRATA_PANEL;
    if (matrix->type == STRATA_WEIGHT_F32) return panel + k * STRATA_PANEL + column;
    const size_t pair = (k / 2 * STRATA_PANEL + column) * 2 + k % 2;
    if (matrix->type == STRATA_WEIGHT_BF16) return panel + pair;
    return panel + pair + (k / STRATA_GROUP + 1) * SCALES_BYTES;
}
/* The scale of W[n][k], k the first input of its group. */
static float *scale_at(const struct strata_matrix *matrix, size_t n, size_t k) {
    char *group = (char *)matrix->panels + n / STRATA_PANEL * panel_values(matrix) + k / STRATA_GROUP * GROUP_BYTES;
    return (float *)(void *)group + n % STRATA_PANEL;
}

int strata_matrix_describe(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                           struct strata_error *err) {
    *out = (struct strata_matrix){.type = type, .N = N, .K = K};
    if (K > MOST_INPUTS)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "a matrix of %zu inputs: the most is %zu", K, MOST_INPUTS);
    const size_t value = type == STRATA_WEIGHT_INT8   ? sizeof(int8_t)
                         : type == STRATA_WEIGHT_BF16 ? sizeof(uint16_t)
                                                      : sizeof(float);
    const size_t panels = N / STRATA_PANEL + (N % STRATA_PANEL != 0);
    size_t bytes;
    /* No type takes more than fp32 does, scales included. */
    if (!strata_add_ok(&bytes, K, 2) || !strata_mul_ok(&bytes, bytes, STRATA_PANEL * sizeof(float)) ||
        !strata_mul_ok(&bytes, bytes, panels))
        return strata_fail(err, STRATA_ERR_MEMORY, "a matrix of %zu x %zu does not fit the address space", N, K);
    out->bytes = panels * panel_values(out) * value;
    out->borrowed = true;
    return STRATA_OK;
}

static int allocate(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                    struct strata_error *err) {
    int status = strata_matrix_describe(out, type, N, K, err);
    out->borrowed = false;
    if (status == STRATA_OK) status = strata_alloc_huge(&out->panels, out->bytes, err);
    if (status != STRATA_OK) out->bytes = 0;
    return status;
}

int strata_matrix_create(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                         struct strata_error *err) {
    const int status = allocate(out, type, N, K, err);
    if (status == STRATA_OK) memset(out->panels, 0, out->bytes);
    return status;
}

int strata_matrix_reserve(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                          struct strata_error *err) {
    const int status = allocate(out, type, N, K, err);
    if (status != STRATA_OK) return status;
    /* The padding of N lies in the last panel, that of an odd K in all of them. */
    const size_t panel = out->bytes / (N / STRATA_PANEL + (N % STRATA_PANEL != 0));
    if (K % 2)
        memset(out->panels, 0, out->bytes);
    else if (N % STRATA_PANEL)
        memset((char *)out->panels + out->bytes - panel, 0, panel);
    return STRATA_OK;
}

/* A strip of inputs at a time, so that the panel lines being filled stay in L1 while the rows of W pass by. */
#define STRIP 16

#define SET_ROWS(SOURCE_TYPE, TARGET_TYPE, CONVERT)                                                                    \
    for (size_t begin = 0; begin < matrix->K; begin += STRIP) {                                                        \
        const size_t end = matrix->K - begin < STRIP ? matrix->K : begin + STRIP;                                      \
        for (size_t row = 0; row < rows; row++) {                                                                      \
            const SOURCE_TYPE *w = source + row * matrix->K;                                                           \
            TARGET_TYPE *target = matrix->panels; /* NOLINT(bugprone-macro-parentheses): a type */                     \
            for (size_t k = begin; k < end; k++) target[position(matrix, first + row, k)] = CONVERT(w[k]);             \
        }                                                                                                              \
    }
#define AS_IS(value) (value)

/* Symmetric int8, one row and group at a time. A sum with 1.5 * 2^23 rounds to nearest even; values that are not finite
 * (a checkpoint with such is refused by who reads it) become something within the range. */
#define LARGEST 127.0f
#define ROUNDER 12582912.0f
static int8_t round_int8(float value) {
    const float rounded = (value + ROUNDER) - ROUNDER;
    return (int8_t)(rounded >= -LARGEST ? (rounded <= LARGEST ? rounded : LARGEST) : -LARGEST);
}
#define SET_ROWS_INT8(SOURCE_TYPE, CONVERT)                                                                            \
    for (size_t begin = 0; begin < matrix->K; begin += STRATA_GROUP) {                                                 \
        const size_t end = matrix->K - begin < STRATA_GROUP ? matrix->K : begin + STRATA_GROUP;                        \
        for (size_t row = 0; row < rows; row++) {                                                                      \
            const SOURCE_TYPE *w = source + row * matrix->K;                                                           \
            int8_t *target = matrix->panels;                                                                           \
            float largest = 0.0f;                                                                                      \
            for (size_t k = begin; k < end; k++) {                                                                     \
                const float size = fabsf(CONVERT(w[k]));                                                               \
                largest = size > largest ? size : largest;                                                             \
            }                                                                                                          \
            const float scale = largest / LARGEST;                                                                     \
            *scale_at(matrix, first + row, begin) = scale;                                                             \
            for (size_t k = begin; k < end; k++)                                                                       \
                target[position(matrix, first + row, k)] = scale > 0.0f ? round_int8(CONVERT(w[k]) / scale) : 0;       \
        }                                                                                                              \
    }

/* Rows of one panel of a bf16 matrix, out of it or into it. A pair of inputs stands side by side in both and is moved
 * as one. */
#define PAIR (2 * sizeof(uint16_t))
static void get_rows_bf16(uint16_t *restrict out, const struct strata_matrix *matrix, size_t first, size_t rows) {
    const size_t K = matrix->K;
    const uint16_t *panel = (const uint16_t *)matrix->panels + position(matrix, first, 0);
    for (size_t begin = 0; begin < K; begin += STRIP) {
        const size_t end = K - begin < STRIP ? K : begin + STRIP;
        for (size_t row = 0; row < rows; row++) {
            uint16_t *w = out + row * K;
            const uint16_t *source = panel + row * 2;
            for (size_t k = begin; k + 1 < end; k += 2) memcpy(&w[k], &source[k * STRATA_PANEL], PAIR);
            if (end % 2) w[end - 1] = source[(end - 1) * STRATA_PANEL];
        }
    }
}
static void set_pairs_bf16(const struct strata_matrix *matrix, size_t first, size_t rows,
                           const uint16_t *restrict source) {
    const size_t K = matrix->K;
    uint16_t *panel = (uint16_t *)matrix->panels + position(matrix, first, 0);
    for (size_t begin = 0; begin < K; begin += STRIP) {
        const size_t end = K - begin < STRIP ? K : begin + STRIP;
        for (size_t row = 0; row < rows; row++) {
            const uint16_t *w = source + row * K;
            uint16_t *target = panel + row * 2;
            for (size_t k = begin; k + 1 < end; k += 2) memcpy(&target[k * STRATA_PANEL], &w[k], PAIR);
            if (end % 2) target[(end - 1) * STRATA_PANEL] = w[end - 1];
        }
    }
}

static void set_rows(struct strata_matrix *matrix, size_t first, size_t rows, const float *source) {
    if (matrix->type == STRATA_WEIGHT_F32) {
        SET_ROWS(float, float, AS_IS)
    } else if (matrix->type == STRATA_WEIGHT_INT8) {
        SET_ROWS_INT8(float, AS_IS)
    } else {
        SET_ROWS(float, uint16_t, strata_bf16_round)
    }
}
static void set_rows_bf16(struct strata_matrix *matrix, size_t first, size_t rows, const uint16_t *source) {
    if (matrix->type == STRATA_WEIGHT_F32) {
        SET_ROWS(uint16_t, float, strata_bf16_widen)
    } else if (matrix->type == STRATA_WEIGHT_INT8) {
        SET_ROWS_INT8(uint16_t, strata_bf16_widen)
    } else {
        set_pairs_bf16(matrix, first, rows, source);
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

void strata_matrix_get_rows_bf16(uint16_t *out, const struct strata_matrix *matrix, size_t first, size_t rows) {
    while (rows) {
        const size_t count = rows_in_panel(first, rows);
        get_rows_bf16(out, matrix, first, count);
        first += count, rows -= count, out += count * matrix->K;
    }
}

void strata_matrix_get_row(float *out, const struct strata_matrix *matrix, size_t row) {
    for (size_t k = 0; k < matrix->K; k++) {
        const size_t at = position(matrix, row, k);
        if (matrix->type == STRATA_WEIGHT_F32)
            out[k] = ((const float *)matrix->panels)[at];
        else if (matrix->type == STRATA_WEIGHT_BF16)
            out[k] = strata_bf16_widen(((const uint16_t *)matrix->panels)[at]);
        else
            out[k] = (float)((const int8_t *)matrix->panels)[at] * *scale_at(matrix, row, k);
    }
}

void strata_matrix_free(struct strata_matrix *matrix) {
    if (!matrix->borrowed) free(matrix->panels);
    *matrix = (struct strata_matrix){0};
}
