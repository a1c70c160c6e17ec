/* AVX2 and FMA: sixteen registers of eight floats. */
#include <immintrin.h>

#define VECTOR         __m256
#define VECTOR_FLOATS  8
#define V_REGISTER     "x"
#define V_ZERO()       _mm256_setzero_ps()
#define V_SET(x)       _mm256_set1_ps(x)
#define V_LOAD(p)      _mm256_loadu_ps(p)
#define V_STORE(p, v)  _mm256_storeu_ps(p, v)
#define V_ADD(a, b)    _mm256_add_ps(a, b)
#define V_MUL(a, b)    _mm256_mul_ps(a, b)
#define V_FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define PAIRS_EVEN(p)  _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const void *)(p)), 16))
#define PAIRS_ODD(p)                                                                                                   \
    _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const void *)(p)), _mm256_set1_epi32(-65536)))
#define INT8_PAIRS(p) _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)(p)))
#define INT8_EVEN(p)  _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(INT8_PAIRS(p), 24), 24))
#define INT8_ODD(p)   _mm256_cvtepi32_ps(_mm256_srai_epi32(INT8_PAIRS(p), 8))
#define VECTORS_1     8
#define VECTORS_2     4
#define VECTORS_3     2
#define VECTORS_4     2
#define VECTORS_5     2
#define VECTORS_6     2

#include "kernels/attention_body.inc.h"
#include "kernels/backward_body.inc.h"
#include "kernels/round_body.inc.h"
#include "kernels/rows_body.inc.h"
#include "kernels/tile_body.inc.h"
#include "kernels/update_body.inc.h"
#include "kernels/widen_body.inc.h"

#define LEVEL_SYMBOL     strata_level_avx2
#define LEVEL_NAME       "avx2"
#define TILE_BF16        tile_widen
#define TILE_INT8        tile_int8_widen
#define ACTIVATION_BYTES sizeof(float)
#include "kernels/level_table.inc.h"
