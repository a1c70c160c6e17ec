/* AVX-512 with VDPBF16PS: two products a lane and instruction, fp32 sums, denormals flushed, nearest even. And with
 * VBMI (Zen 4, Sapphire Rapids and later; Cooper Lake lacks it and runs avx512), which makes bf16 of int8. */
#include "kernels/avx512_vectors.inc.h"

#define PAIR_VECTOR    __m512bh
#define PAIRS_ZERO()   ((__m512bh)_mm512_setzero_si512())
#define PAIRS(p)       ((__m512bh)_mm512_loadu_si512(p))
#define PAIRS_FIRST(w) ((__m512bh)_mm512_and_si512((__m512i)(w), _mm512_set1_epi32(65535)))
#define PAIR_SET(p)    pair_set(p)
#define VDP(c, x, w)   _mm512_dpbf16_ps(c, x, w)

#include "kernels/attention_body.inc.h"
#include "kernels/backward_body.inc.h"
#include "kernels/rows_body.inc.h"

LANES_INLINE PAIR_VECTOR pair_set(const uint16_t *x) {
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    return (PAIR_VECTOR)_mm512_set1_epi32(pair);
}

/* The two bytes of 0 … 127 in bf16: exponent 127 + e above a fraction of seven bits. */
// clang-format off
#define EXPONENT(i)   ((i) >= 64 ? 6 : (i) >= 32 ? 5 : (i) >= 16 ? 4 : (i) >= 8 ? 3 : (i) >= 4 ? 2 : (i) >= 2 ? 1 : 0)
#define BF16_OF(i)    ((i) == 0 ? 0 : (127 + EXPONENT(i)) << 7 | (((i) << (7 - EXPONENT(i))) & 127))
#define LOW_BYTE(i)   (uint8_t)(BF16_OF(i) & 255)
#define HIGH_BYTE(i)  (uint8_t)(BF16_OF(i) >> 8)
#define FOUR(BYTE, i) BYTE(i), BYTE((i) + 1), BYTE((i) + 2), BYTE((i) + 3)
#define SIXTEEN(BYTE, i) FOUR(BYTE, i), FOUR(BYTE, (i) + 4), FOUR(BYTE, (i) + 8), FOUR(BYTE, (i) + 12)
#define INT8_TABLE(BYTE) SIXTEEN(BYTE, 0), SIXTEEN(BYTE, 16), SIXTEEN(BYTE, 32), SIXTEEN(BYTE, 48), \
                         SIXTEEN(BYTE, 64), SIXTEEN(BYTE, 80), SIXTEEN(BYTE, 96), SIXTEEN(BYTE, 112)
// clang-format on
static const uint8_t int8_low[128] = {INT8_TABLE(LOW_BYTE)}, int8_high[128] = {INT8_TABLE(HIGH_BYTE)};

/* 64 int8 values as bf16: the size looked up byte by byte, then the sign. The bytes interleave within 128 bits, so that
 * *first gets values 0-7, 16-23, … and *second the others. */
LANES_INLINE void bf16_of_int8(__m512i *first, __m512i *second, const int8_t *values) {
    const __m512i v = _mm512_loadu_si512(values), size = _mm512_abs_epi8(v);
    const __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(int8_low), size, _mm512_loadu_si512(int8_low + 64));
    __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(int8_high), size, _mm512_loadu_si512(int8_high + 64));
    high = _mm512_ternarylogic_epi32(high, v, _mm512_set1_epi8(-128), 0xf8); /* high | (v & sign) */
    *first = _mm512_unpacklo_epi8(low, high);
    *second = _mm512_unpackhi_epi8(low, high);
}
/* What stands mixed so (four 32-bit values of each in turn), in order. */
LANES_INLINE void in_order(__m512 *first, __m512 *second) {
    const __m512i lower = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i upper = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    const __m512 a = *first, b = *second;
    *first = _mm512_permutex2var_ps(a, lower, b);
    *second = _mm512_permutex2var_ps(a, upper, b);
}

#include "kernels/tile_body.inc.h"
#include "kernels/update_body.inc.h"

static void widen_int8(uint16_t *out, const int8_t *values, size_t count) {
    for (size_t i = 0; i < count; i += STRATA_PANEL) {
        __m512i first, second;
        bf16_of_int8(&first, &second, values + i);
        __m512 a = _mm512_castsi512_ps(first), b = _mm512_castsi512_ps(second);
        in_order(&a, &b);
        _mm512_storeu_ps(out + i, a);
        _mm512_storeu_ps(out + i + STRATA_PANEL / 2, b);
    }
}

/* bf16 pairs in natural order; an odd K ends in a zero. */
static void round_rows(void *out, size_t out_stride, const float *x, size_t x_stride, size_t rows, size_t K) {
    for (size_t r = 0; r < rows; r++) {
        uint16_t *target = (uint16_t *)out + r * out_stride;
        const float *source = x + r * x_stride;
        size_t k = 0;
        for (; k + 32 <= K; k += 32)
            _mm512_storeu_si512(target + k, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(source + k + 16),
                                                                         _mm512_loadu_ps(source + k)));
        for (; k < K; k += 16) {
            const size_t left = K - k < 16 ? K - k : 16;
            const __mmask16 mask = (__mmask16)((1u << left) - 1u), padded = (__mmask16)((1u << (left + left % 2)) - 1u);
            const __m512 v = _mm512_maskz_loadu_ps(mask, source + k);
            _mm256_mask_storeu_epi16(target + k, padded, (__m256i)_mm512_cvtneps_pbh(v));
        }
    }
}

#define LEVEL_SYMBOL     strata_level_avx512bf16
#define LEVEL_NAME       "avx512bf16"
#define TILE_BF16        tile_bf16
#define TILE_INT8        tile_int8
#define ACTIVATION_BYTES sizeof(uint16_t)
#include "kernels/level_table.inc.h"
