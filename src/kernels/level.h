/* One ISA level: the inner kernels that dispatch chooses at run time. Private to this room.
 *
 * What is here sees one worker's share of the work and never threads, allocation or error handling; the drivers
 * (linear.c, attention.c, rows.c) cut the work and own the order of blocks, so that all levels share it. */
#ifndef STRATA_KERNELS_LEVEL_H
#define STRATA_KERNELS_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "kernels/update.h"

/* out[r][c] = ((add ? out[r][c] : 0) + bias[c]) + scale[c] * sum_k x[r][k] w[k][c], for r < rows, c < columns. The sum
 * runs over k ascending from zero in one accumulator per output, whatever rows is: K <= STRATA_K_BLOCK is one block of
 * the fixed order. panel is [K][64] float, or [ceil(K/2)][64][2] bf16 or int8 (with odd K the partner of the last k is
 * not used). */
struct strata_tile {
    float *out;
    size_t out_stride;
    const void *x;   /* float, or what round_rows wrote (tile_bf16) */
    size_t x_stride; /* in elements of x */
    const void *panel;
    const float *bias;  /* may be NULL */
    const float *scale; /* (64): what the finished sums are multiplied by; NULL: nothing */
    const char *next;   /* what is read after this panel; NULL: what stands behind it */
    size_t K, rows, columns;
    bool add;
};
typedef void strata_tile_function(const struct strata_tile *tile);

/* One block of online softmax, rows x STRATA_KEY_BLOCK. */
struct strata_softmax_block {
    float *scores; /* (rows, 64): q k in, probabilities relative to the new maximum out (0 where not visible) */
    const uint32_t *visible; /* (rows): keys of this block that the row sees, 1..64 */
    float *maximum, *sum;    /* (rows): running, updated; -inf and 0 before the first block */
    float *correction;       /* (rows) out: what earlier sums must be multiplied by */
    float *block_sum;        /* (rows) out: this block's share of sum */
    float scale;
    size_t rows;
};

/* One row of a 64-wide block of the attention's backward, in place: scores s become probabilities, their gradient dp
 * becomes the gradient of the scores before scaling. Lanes outside [begin, end) become zero. */
struct strata_softmax_backward {
    float *s, *dp;            /* (64) */
    const float *lse, *delta; /* one value for the row, or (64) with each */
    float scale;
    uint32_t begin, end;
    bool each;
};

struct strata_level {
    const char *name;

    strata_tile_function *tile_f32;   /* float x, float panel */
    strata_tile_function *tile_widen; /* float x, bf16 panel widened exactly */
    strata_tile_function *tile_bf16;  /* rounded x, bf16 panel */
    strata_tile_function *tile_int8;  /* rounded x, int8 panel: the bits of tile_bf16 with the panel of widen_int8 */
    strata_tile_function *tile_int8_widen; /* float x, int8 panel: likewise those of tile_widen */
    /* count int8 values as bf16. */
    void (*widen_int8)(uint16_t *out, const int8_t *values, size_t count);
    /* x rounded to bf16 as tile_bf16 reads it: activation_bytes an element (2: bf16; 4: float holding the rounded
     * value), rows out_stride elements apart. With 2 bytes an odd K is padded with a zero (out_stride is even). */
    size_t activation_bytes;
    void (*round_rows)(void *out, size_t out_stride, const float *x, size_t x_stride, size_t rows, size_t K);

    void (*softmax_block)(const struct strata_softmax_block *block);
    void (*scale_row)(float *x, float factor, size_t count);
    /* Sum of x[begin..end) of a row of 64 by the same tree as block_sum. */
    float (*range_sum)(const float *x, size_t begin, size_t end);

    float (*rmsnorm_row)(float *out, const float *x, const float *weight, float eps, size_t C); /* gives rstd */
    void (*swiglu_row)(float *out, const float *gate, const float *up, size_t F);
    void (*gelu)(float *out, const float *x, size_t count);
    void (*rope_row)(float *x, const float *cosines, const float *sines, size_t H, size_t D);
    float (*logsumexp_row)(const float *x, size_t V);

    /* Backward (backward_body.inc.h). */
    void (*transpose)(float *out, size_t out_stride, const float *x, size_t x_stride, size_t rows, size_t columns);
    void (*pack_pairs)(uint16_t *panel, const float *x, size_t x_stride, size_t rows, size_t columns);
    void (*transpose_pairs)(uint16_t *out, const uint16_t *block, float *scratch, size_t K); /* scratch: 2048 floats */
    void (*rmsnorm_backward_row)(float *dx, const float *dout, const float *x, const float *weight, float rstd,
                                 size_t C, bool add);
    void (*swiglu_backward_row)(float *dgate, float *dup, const float *dout, const float *gate, const float *up,
                                size_t F);
    void (*gelu_backward)(float *dx, const float *dout, const float *x, size_t count);
    void (*rope_backward_row)(float *x, const float *cosines, const float *sines, size_t H, size_t D);
    void (*logsumexp_backward_row)(float *dlogits, const float *logits, float lse, float dlse, float temperature,
                                   size_t V);
    void (*softmax_backward_row)(const struct strata_softmax_backward *row);

    void (*adamw_halves)(uint16_t *weight, uint16_t *rest, float *moment1, float *moment2, const float *gradient,
                         size_t count, const struct strata_adamw_numbers *numbers); /* update.h */

    /* For peak.c: multiply-adds in registers, `turns` times; gives the floating point operations. spin_bf16 may be
     * NULL. *sink takes the result. */
    double (*spin_f32)(float *sink, size_t turns);
    double (*spin_bf16)(float *sink, size_t turns);
};

extern const struct strata_level strata_level_plain;
#if defined(__x86_64__)
extern const struct strata_level strata_level_avx2;
extern const struct strata_level strata_level_avx512;
extern const struct strata_level strata_level_avx512bf16;
#endif

#endif
