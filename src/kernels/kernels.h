/* The numeric kernels behind one door: packed linear layers, attention over paged keys and values, norms, activations,
 * rotary embedding, softmax and log-probabilities. Chosen at run time by ISA level; plain twins stay beside the tuned.
 *
 * Dimensions: M rows, N outputs, K inputs, T tokens, H query heads, G key/value heads, D head size, S segments.
 *
 * Batch invariance (contract 2): the value of one output row depends on its own input row only, never on M, on the
 * other rows, on threads or on how the caller cut the work. Each sum runs in one fixed order: linear layers over K in
 * blocks of STRATA_K_BLOCK (int8 weights: of STRATA_GROUP), each started at zero and added to the running total in
 * ascending order; attention over blocks of STRATA_KEY_BLOCK keys at absolute positions. A level (plain, avx2, avx512,
 * avx512bf16) has its own bits; within a level everything is reproducible.
 *
 * Nothing here allocates in a hot path, prints, or knows a model. */
#ifndef STRATA_KERNELS_KERNELS_H
#define STRATA_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "strata/error.h"

#define STRATA_PANEL     64  /* outputs (or keys) side by side in a packed panel */
#define STRATA_K_BLOCK   512 /* inputs per partial sum */
#define STRATA_GROUP     128 /* inputs that share one scale of an int8 weight */
#define STRATA_KEY_BLOCK 64  /* keys per block of attention; also the tokens of one key/value page */

struct strata_level; /* one ISA level's table of inner kernels (private) */

/* isa NULL or "auto": the best this CPU has; else "plain" | "avx2" | "avx512" | "avx512bf16"; a level this CPU lacks or
 * an unknown name is an error that lists what there is. */
int strata_level_choose(const struct strata_level **out, const char *isa, struct strata_error *err);
const char *strata_level_name(const struct strata_level *level);
bool strata_level_available(const char *isa);

enum strata_compute_type { STRATA_COMPUTE_F32, STRATA_COMPUTE_BF16 };

/* What every kernel call gets: level, compute type, threads, scratch per worker. */
struct strata_compute {
    const struct strata_level *level;
    enum strata_compute_type type;  /* F32 is the reference; BF16 rounds activations, keys, values and probabilities
                                       to bf16 where they enter a product, sums stay fp32 */
    struct strata_threads *threads; /* not owned; NULL: the caller's thread only */
    void **scratch;                 /* one block of scratch_bytes per worker, owned */
    size_t scratch_bytes, workers;
    void *shared; /* shared_bytes for all of them: the rounded rows of one linear layer, owned */
    size_t shared_bytes;
};
int strata_compute_create(struct strata_compute *out, const struct strata_level *level, enum strata_compute_type type,
                          struct strata_threads *threads, struct strata_error *err);
void strata_compute_free(struct strata_compute *compute);

/* ---- linear layers ---- */

enum strata_weight_type { STRATA_WEIGHT_F32, STRATA_WEIGHT_BF16, STRATA_WEIGHT_INT8 };

/* W (N,K), y = x W^T. Panels of STRATA_PANEL outputs, zero-padded in N:
 *   F32   [ceil(N/64)][K][64] float
 *   BF16  [ceil(N/64)][ceil(K/2)][64][2] uint16, odd K zero-padded
 *   INT8  [ceil(N/64)] panels, each of ceil(K/STRATA_GROUP) groups of inputs: [64] float scales, then
 *         [ceil(inputs/2)][64][2] int8 as BF16 has it. W[n][k] is scale * value, |value| <= 127, and scale is the
 *         largest |W[n][k]| of the group / 127: symmetric, no zero point.
 * An int8 value is exact in bf16, so products are those of a bf16 weight; the sum of a group (its own block of the
 * fixed order over K) is multiplied by the scale in fp32. Half the bytes of bf16 pass by when decoding. Forward only.
 */
struct strata_matrix {
    enum strata_weight_type type;
    size_t N, K;
    void *panels; /* owned, unless borrowed */
    size_t bytes;
    bool borrowed; /* the panels lie in a file's map: read-only, and not freed with the matrix */
};
int strata_matrix_create(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                         struct strata_error *err);
/* The same with nothing but the padding set: every row is yet to be, by the threads that will read it. */
int strata_matrix_reserve(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                          struct strata_error *err);
/* Sizes only; the panels are the caller's to lend (borrowed). */
int strata_matrix_describe(struct strata_matrix *out, enum strata_weight_type type, size_t N, size_t K,
                           struct strata_error *err);
/* Rows [first, first+rows) of W from fp32 (rows,K); a bf16 matrix rounds to nearest even; an int8
 * matrix finds its scales, and rounds to nearest even in them. */
void strata_matrix_set_rows(struct strata_matrix *matrix, size_t first, size_t rows, const float *source);
/* The same from bf16 bits, exact in f32 and bf16 matrices. */
void strata_matrix_set_rows_bf16(struct strata_matrix *matrix, size_t first, size_t rows, const uint16_t *source);
/* Rows [first, first+rows) of a bf16 matrix as they are, out (rows,K). */
void strata_matrix_get_rows_bf16(uint16_t *out, const struct strata_matrix *matrix, size_t first, size_t rows);
/* One row widened to fp32: embedding lookup from a tied head, saving a checkpoint. */
void strata_matrix_get_row(float *out, const struct strata_matrix *matrix, size_t row);
void strata_matrix_free(struct strata_matrix *matrix);

/* out[m*out_stride + n] = sum_k x[m*x_stride + k] W[n][k] + bias[n] (+ out as it was, when add).
 * bias (N) may be NULL. Threads split N (small M) or N and M. */
void strata_linear_forward(const struct strata_compute *compute, float *out, size_t out_stride, const float *x,
                           size_t x_stride, const struct strata_matrix *weight, const float *bias, size_t M, bool add);

/* ---- rows ---- */

/* out = x * rsqrt(mean(x^2) + eps) * weight; rows (M,C). rstd (M) is kept for the backward when not NULL. */
void strata_rmsnorm_forward(const struct strata_compute *compute, float *out, float *rstd, const float *x,
                            const float *weight, float eps, size_t M, size_t C);
/* out = silu(gate) * up, all (M,F) with their strides. */
void strata_swiglu_forward(const struct strata_compute *compute, float *out, size_t out_stride, const float *gate,
                           size_t gate_stride, const float *up, size_t up_stride, size_t M, size_t F);
/* Exact (erf) GELU in place, count values. */
void strata_gelu_forward(const struct strata_compute *compute, float *out, const float *x, size_t count);
/* Rotate-half rotary embedding in place: x[t*stride + h*D + d], cosines and sines (T, D/2). */
void strata_rope_forward(const struct strata_compute *compute, float *x, size_t stride, const float *cosines,
                         const float *sines, size_t T, size_t H, size_t D);

/* ---- attention over pages (decoder) ---- */

/* One page holds STRATA_KEY_BLOCK tokens of one layer, all G heads: keys as packed panels [G][D][64] (BF16:
 * [G][ceil(D/2)][64][2]), then values as panels [G][ceil(D/64)][64 keys][64] (BF16: pairs of keys interleaved). */
size_t strata_page_bytes(const struct strata_compute *compute, size_t G, size_t D);
/* Writes token `slot` (0..63) of a page: key and value (G,D) fp32, rounded to the compute type. */
void strata_page_write(const struct strata_compute *compute, void *page, size_t slot, const float *key,
                       const float *value, size_t G, size_t D);

/* Rows of one sequence: row r stands at absolute index first + r and sees keys 0 .. first + r. */
struct strata_attention_rows {
    float *out;         /* (rows, H*D), stride out_stride */
    const float *query; /* (rows, H*D), roped, stride query_stride */
    size_t out_stride, query_stride;
    size_t rows, first;
    void *const *pages; /* one per 64 tokens, for this layer */
    /* Attention mass per prompt segment (CMAB), or masses NULL. Segment s covers keys [segment_end[s-1],
     * segment_end[s]); keys from segment_end[S-1] on are not counted. Rows [mass_first, rows) get masses
     * (rows - mass_first, S), averaged over the H heads in head order. */
    float *masses;
    const uint32_t *segment_end;
    size_t S, mass_first;
    /* scratch for masses: (rows - mass_first, H, S) floats, the caller's. */
    float *mass_scratch;
    float *logsumexp; /* (rows, H) of the scaled scores, for the backward; NULL: not wanted */
};
/* Softmax(scale * q k) v, online over key blocks, fp32 sums. All items at once: tasks are (item, kv head, row tile). */
void strata_attention_forward(const struct strata_compute *compute, const struct strata_attention_rows *items,
                              size_t count, size_t H, size_t G, size_t D, float scale);

/* ---- attention over a window (vision tower) ---- */

/* Bidirectional attention within segments [bounds[i], bounds[i+1]): q, k, v are (T, H*D) with one stride (rope
 * applied), out (T, H*D). logsumexp (T, H) of the scaled scores, for the backward, or NULL. workspace:
 * strata_window_workspace(...) bytes, the caller's. */
size_t strata_window_workspace(const struct strata_compute *compute, const uint32_t *bounds, size_t segments, size_t H,
                               size_t D);
void strata_attention_window_forward(const struct strata_compute *compute, float *out, size_t out_stride,
                                     float *logsumexp, const float *query, const float *key, const float *value,
                                     size_t stride, const uint32_t *bounds, size_t segments, size_t H, size_t D,
                                     float scale, void *workspace);

/* ---- logits ---- */

/* log(sum(exp(x))) of each row (M,V), stable, one fixed order. */
void strata_logsumexp(const struct strata_compute *compute, float *out, const float *logits, size_t stride, size_t M,
                      size_t V);
/* Index of the largest value (the lowest index on ties); NaN anywhere gives V. */
size_t strata_argmax(const float *x, size_t V);

#endif
