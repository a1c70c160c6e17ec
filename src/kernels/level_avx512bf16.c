/* AVX-512 with VDPBF16PS: two products a lane and instruction, fp32 sums, denormals flushed, nearest even. */
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

#include "kernels/tile_body.inc.h"

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
#define ACTIVATION_BYTES sizeof(uint16_t)
#include "kernels/level_table.inc.h"
