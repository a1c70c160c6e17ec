/* AVX-512 for tile_body.inc.h: thirty-two registers of sixteen floats. */
#include <immintrin.h>

#define VECTOR         __m512
#define VECTOR_FLOATS  16
#define V_REGISTER     "v"
#define V_ZERO()       _mm512_setzero_ps()
#define V_SET(x)       _mm512_set1_ps(x)
#define V_LOAD(p)      _mm512_loadu_ps(p)
#define V_STORE(p, v)  _mm512_storeu_ps(p, v)
#define V_ADD(a, b)    _mm512_add_ps(a, b)
#define V_MUL(a, b)    _mm512_mul_ps(a, b)
#define V_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define PAIRS_EVEN(p)  _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16))
#define PAIRS_ODD(p)   _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-65536)))
#define INT8_PAIRS(p)  _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)(p)))
#define INT8_EVEN(p)   _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(INT8_PAIRS(p), 24), 24))
#define INT8_ODD(p)    _mm512_cvtepi32_ps(_mm512_srai_epi32(INT8_PAIRS(p), 8))
#define VECTORS_1      4
#define VECTORS_2      4
#define VECTORS_3      4
#define VECTORS_4      4
#define VECTORS_5      4
#define VECTORS_6      4
