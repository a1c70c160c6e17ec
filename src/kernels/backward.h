/* Gradients of the kernels of kernels.h, each beside its forward. Conventions:
 *   - d* names the gradient of the loss with respect to *. Gradients of parameters are added to what is there;
 * gradients of activations are written, or added where the function says so or takes `add`.
 *   - NULL for a gradient means that it is not wanted, and its work is not done.
 *   - Sums over rows run in blocks of STRATA_ROW_BLOCK rows counted from row 0 of the call, each started at zero and
 *     added in ascending order; threads cut outputs, never a sum. So bits do not depend on the threads.
 *   - Products follow the forward's rule: with bf16 compute and bf16 weights both factors are rounded to bf16 where
 * they enter, sums are fp32; else everything is fp32. */
#ifndef STRATA_KERNELS_BACKWARD_H
#define STRATA_KERNELS_BACKWARD_H

#include "kernels/kernels.h"

#define STRATA_ROW_BLOCK 512 /* rows per partial sum of a parameter's gradient */

/* ---- linear layers: strata_linear_forward, out = x W^T + bias; f32 and bf16 weights ---- */

/* dx[m][k] = sum_n dout[m][n] W[n][k] (+ dx as it was, when add), from the packed weights themselves: blocks of
 * 64 x 64 are turned over on the way, so no second copy of W exists. */
void strata_linear_backward_input(const struct strata_compute *compute, float *dx, size_t dx_stride, const float *dout,
                                  size_t dout_stride, const struct strata_matrix *weight, size_t M, bool add);
/* dweight (N,K), row-major, += dout^T x. `weight` is the type of the forward's weights: it decides the rounding. */
void strata_linear_backward_weight(const struct strata_compute *compute, float *dweight, const float *dout,
                                   size_t dout_stride, const float *x, size_t x_stride, enum strata_weight_type weight,
                                   size_t M, size_t N, size_t K);
/* dbias (N) += sum over rows of dout (M,N). */
void strata_bias_backward(const struct strata_compute *compute, float *dbias, const float *dout, size_t dout_stride,
                          size_t M, size_t N);

/* ---- rows ---- */

/* strata_rmsnorm_forward: dx (M,C) (+)= ..., dweight (C) +=. rstd (M) as the forward left it. dout may be dx only when
 * not add. */
void strata_rmsnorm_backward(const struct strata_compute *compute, float *dx, float *dweight, const float *dout,
                             const float *x, const float *rstd, const float *weight, size_t M, size_t C, bool add);
/* strata_swiglu_forward: dgate and dup (M,F), which may stand where gate and up stood. */
void strata_swiglu_backward(const struct strata_compute *compute, float *dgate, float *dup, size_t d_stride,
                            const float *dout, size_t dout_stride, const float *gate, const float *up, size_t stride,
                            size_t M, size_t F);
/* strata_gelu_forward: dx (count), which may be dout or x. */
void strata_gelu_backward(const struct strata_compute *compute, float *dx, const float *dout, const float *x,
                          size_t count);
/* strata_rope_forward, in place: dx[t*stride + h*D + d] turns back. */
void strata_rope_backward(const struct strata_compute *compute, float *dx, size_t stride, const float *cosines,
                          const float *sines, size_t T, size_t H, size_t D);
/* Embedding lookup: dtable (V,C)[ids[t]] += dx[t] in order of t; a negative id is passed over. */
void strata_embedding_backward(const struct strata_compute *compute, float *dtable, const float *dx, const int32_t *ids,
                               size_t T, size_t C);
/* strata_logsumexp of logits / temperature: dlogits[m][v] = dlse[m] / temperature * exp(logits[m][v] / temperature -
 * lse[m]). dlogits may be logits; any range of the vocabulary may be handed in alone. */
void strata_logsumexp_backward(const struct strata_compute *compute, float *dlogits, const float *logits, size_t stride,
                               const float *lse, const float *dlse, float temperature, size_t M, size_t V);

/* ---- attention: strata_attention_forward (causal) and strata_attention_window_forward ---- */

/* Rows [first, first + rows) of the arrays are one sequence. Its keys are its own rows, and before them the rows
 * [prefix, prefix + prefix_rows), which are all of another span that stands earlier in the list (the prompt that
 * responses share); prefix_rows 0: none. */
struct strata_attention_span {
    size_t first, rows, prefix, prefix_rows;
};
/* Everything flat over T rows: query (T, H*D), key and value (T, G*D) roped, with one stride, and their gradients with
 * another; out and dout (T, H*D) with stride H*D; logsumexp (T,H) of the scaled scores, from the forward; delta (T,H)
 * is workspace. causal: row i of a span sees its prefix and its own rows 0..i; else all rows of its span. */
struct strata_attention_backward {
    float *dquery, *dkey, *dvalue;
    size_t d_stride;
    const float *query, *key, *value;
    size_t stride;
    const float *out, *dout, *logsumexp;
    float *delta;
    const struct strata_attention_span *spans;
    size_t count, H, G, D;
    bool causal;
    float scale;
};
/* Probabilities are computed again, block by block: no T x T matrix. */
void strata_attention_backward(const struct strata_compute *compute, const struct strata_attention_backward *call);

#endif
