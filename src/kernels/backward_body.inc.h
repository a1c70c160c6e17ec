/* Inner kernels of the backward, included by every level_*.c: turning and packing blocks, and the derivatives of the
 * row kernels. */
#include "base/elementary.h"
#include "kernels/lanes.h"
#include "kernels/level.h"

/* ---- blocks ---- */

#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)

/* 16 x 16 values of 32 bits, turned over in four rounds: in each, vectors `step` apart exchange half of their lanes. */
LANES_INLINE void transpose_16(float *out, size_t out_stride, const float *x, size_t x_stride) {
    lanes a[LANES], b[LANES];
    for (size_t i = 0; i < LANES; i++) a[i] = lanes_load(x + i * x_stride);
    for (size_t i = 0; i < 8; i++) {
        b[2 * i] = SHUFFLE(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        b[2 * i + 1] = SHUFFLE(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (size_t i = 0; i < 8; i++) {
        a[2 * i] = SHUFFLE(b[i], b[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        a[2 * i + 1] = SHUFFLE(b[i], b[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (size_t i = 0; i < 8; i++) {
        b[2 * i] = SHUFFLE(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        b[2 * i + 1] = SHUFFLE(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (size_t i = 0; i < 8; i++) {
        a[2 * i] = SHUFFLE(b[i], b[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        a[2 * i + 1] = SHUFFLE(b[i], b[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (size_t i = 0; i < LANES; i++) lanes_store(out + i * out_stride, a[i]);
}

static void transpose(float *out, size_t out_stride, const float *x, size_t x_stride, size_t rows, size_t columns) {
    const size_t whole_rows = rows / LANES * LANES, whole_columns = columns / LANES * LANES;
    for (size_t r = 0; r < whole_rows; r += LANES)
        for (size_t c = 0; c < whole_columns; c += LANES)
            transpose_16(out + c * out_stride + r, out_stride, x + r * x_stride + c, x_stride);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = r < whole_rows ? whole_columns : 0; c < columns; c++)
            memcpy(out + c * out_stride + r, x + r * x_stride + c, sizeof *out); /* the bits may be anything */
}

/* Nearest even, as strata_bf16_round; the bits stand in the low half. */
LANES_INLINE lanes_unsigned bf16_bits(lanes x) {
    const lanes_unsigned bits = (lanes_unsigned)x;
    const lanes_unsigned rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    const lanes_unsigned quiet = bits >> 16 | 0x40u;
    const lanes_unsigned mask = (lanes_unsigned)(x != x); // NOLINT(misc-redundant-expression): a NaN
    return (mask & quiet) | (~mask & rounded);
}

/* Rows r and r+1 of x side by side in panel[r/2][column][2]; an odd last row gets zeros beside it. */
static void pack_pairs(uint16_t *panel, const float *x, size_t x_stride, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r += 2) {
        const float *first = x + r * x_stride, *second = first + x_stride;
        uint16_t *line = panel + r * STRATA_PANEL;
        for (size_t c = 0; c < columns; c += LANES) {
            const size_t count = columns - c < LANES ? columns - c : LANES;
            lanes a = lanes_set(0.0f), b = a;
            if (count == LANES) {
                a = lanes_load(first + c);
                if (r + 1 < rows) b = lanes_load(second + c);
            } else {
                a = lanes_load_part(first + c, count, 0.0f);
                if (r + 1 < rows) b = lanes_load_part(second + c, count, 0.0f);
            }
            const lanes_unsigned pairs = bf16_bits(a) | bf16_bits(b) << 16;
            memcpy(line + 2 * c, &pairs, sizeof pairs);
        }
    }
}

/* One block of packed bf16 weights, [k/2][64 n][2 k], into [n/2][64 k][2 n], a pair moving as if it were a float.
 * pairs: scratch, 64 x 32. */
static void transpose_pairs(uint16_t *out, const uint16_t *block, float *pairs, size_t K) {
    const size_t half = (K + 1) / 2;
    transpose(pairs, 32, (const float *)(const void *)block, STRATA_PANEL, half, STRATA_PANEL);
    for (size_t n = 0; n < STRATA_PANEL; n += 2) {
        uint16_t *line = out + n * STRATA_PANEL;
        for (size_t k = 0; k < half; k += LANES) {
            lanes_unsigned a, b;
            memcpy(&a, pairs + n * 32 + k, sizeof a);
            memcpy(&b, pairs + (n + 1) * 32 + k, sizeof b);
            const lanes_unsigned even = (a & 0xffffu) | b << 16, odd = a >> 16 | (b & 0xffff0000u);
            const lanes_unsigned low = SHUFFLE(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            const lanes_unsigned high =
                SHUFFLE(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            memcpy(line + 4 * k, &low, sizeof low);
            memcpy(line + 4 * k + 2 * LANES, &high, sizeof high);
        }
    }
}

/* ---- derivatives of rows ---- */

/* out = x rstd w: with g = dout w and s = sum(g x),  dx = rstd g - x rstd^3 s / C. */
static void rmsnorm_backward_row(float *dx, const float *dout, const float *x, const float *weight, float rstd,
                                 size_t C, bool add) {
    const size_t whole = C / LANES * LANES;
    lanes products = lanes_set(0.0f);
    for (size_t i = 0; i < whole; i += LANES)
        products += lanes_load(dout + i) * lanes_load(weight + i) * lanes_load(x + i);
    if (whole < C) {
        const size_t rest = C - whole;
        products += lanes_load_part(dout + whole, rest, 0.0f) * lanes_load_part(weight + whole, rest, 0.0f) *
                    lanes_load_part(x + whole, rest, 0.0f);
    }
    const float factor = rstd * rstd * rstd * lanes_sum(products) / (float)C;
    for (size_t i = 0; i < C; i++) {
        const float d = rstd * (dout[i] * weight[i]) - factor * x[i];
        dx[i] = add ? dx[i] + d : d;
    }
}

/* out = g s u with s = 1 / (1 + exp(-g)):  du = dout g s,  dg = dout u s (1 + g (1 - s)). */
LANES_INLINE void swiglu_backward(lanes *dgate, lanes *dup, lanes dout, lanes gate, lanes up) {
    const lanes one = lanes_set(1.0f), s = one / (one + lanes_exp(-gate));
    *dup = dout * (gate * s);
    *dgate = dout * up * s * (one + gate * (one - s));
}
static void swiglu_backward_row(float *dgate, float *dup, const float *dout, const float *gate, const float *up,
                                size_t F) {
    const size_t whole = F / LANES * LANES, rest = F - whole;
    lanes g, u;
    for (size_t i = 0; i < whole; i += LANES) {
        swiglu_backward(&g, &u, lanes_load(dout + i), lanes_load(gate + i), lanes_load(up + i));
        lanes_store(dgate + i, g);
        lanes_store(dup + i, u);
    }
    if (rest) {
        swiglu_backward(&g, &u, lanes_load_part(dout + whole, rest, 0.0f), lanes_load_part(gate + whole, rest, 0.0f),
                        lanes_load_part(up + whole, rest, 0.0f));
        lanes_store_part(dgate + whole, g, rest);
        lanes_store_part(dup + whole, u, rest);
    }
}

/* x/2 (1 + erf(x / sqrt 2)):  dx = dout ((1 + erf(x / sqrt 2)) / 2 + x exp(-x^2/2) / sqrt(2 pi)). */
static void gelu_backward(float *dx, const float *dout, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const float share = 0.5f * (1.0f + strata_erff(x[i] * 0.70710678118654752f));
        dx[i] = dout[i] * (share + x[i] * 0.39894228040143268f * strata_expf(-0.5f * x[i] * x[i]));
    }
}

static void rope_backward_row(float *x, const float *cosines, const float *sines, size_t H, size_t D) {
    const size_t half = D / 2;
    for (size_t h = 0; h < H; h++) {
        float *restrict first = x + h * D, *restrict second = first + half;
        for (size_t d = 0; d < half; d++) {
            const float a = first[d], b = second[d];
            first[d] = a * cosines[d] + b * sines[d];
            second[d] = b * cosines[d] - a * sines[d];
        }
    }
}

LANES_INLINE lanes softmax_times(lanes logits, lanes temperature, lanes lse, lanes factor) {
    return factor * lanes_exp(logits / temperature - lse);
}
static void logsumexp_backward_row(float *dlogits, const float *logits, float lse, float dlse, float temperature,
                                   size_t V) {
    const lanes t = lanes_set(temperature), l = lanes_set(lse), factor = lanes_set(dlse / temperature);
    const size_t whole = V / LANES * LANES, rest = V - whole;
    for (size_t i = 0; i < whole; i += LANES)
        lanes_store(dlogits + i, softmax_times(lanes_load(logits + i), t, l, factor));
    if (rest)
        lanes_store_part(dlogits + whole, softmax_times(lanes_load_part(logits + whole, rest, 0.0f), t, l, factor),
                         rest);
}

/* p = exp(scale s - lse) and ds = scale p (dp - delta) for lanes [begin, end) of 64, zero elsewhere. */
static void softmax_backward_row(const struct strata_softmax_backward *row) {
    for (int i = 0; i < STRATA_KEY_BLOCK / LANES; i++) {
        const lanes_int seen =
            lanes_below((int32_t)row->end - i * LANES) & ~lanes_below((int32_t)row->begin - i * LANES);
        const size_t at = (size_t)i * LANES;
        const lanes lse = row->each ? lanes_load(row->lse + at) : lanes_set(*row->lse);
        const lanes delta = row->each ? lanes_load(row->delta + at) : lanes_set(*row->delta);
        const lanes p = lanes_exp(lanes_load(row->s + at) * lanes_set(row->scale) - lse);
        const lanes ds = p * (lanes_load(row->dp + at) - delta) * lanes_set(row->scale);
        lanes_store(row->s + at, lanes_select(seen, p, lanes_set(0.0f)));
        lanes_store(row->dp + at, lanes_select(seen, ds, lanes_set(0.0f)));
    }
}
