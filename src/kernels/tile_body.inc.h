/* The matrix tiles, included by every level with vector fused multiply-adds. The level defines before:
 *   VECTOR, VECTOR_FLOATS          its register and how many floats that is; V_REGISTER, its asm constraint
 *   V_ZERO() V_SET(x) V_LOAD(p) V_STORE(p, v) V_ADD(a, b) V_MUL(a, b) V_FMA(a, b, c)
 *   PAIRS_EVEN(p), PAIRS_ODD(p)    the even / odd k of VECTOR_FLOATS bf16 pairs, widened; INT8_EVEN(p), INT8_ODD(p) of
 *                                  int8 pairs
 *   VECTORS_1 … VECTORS_6          registers side by side in a tile of that many rows: rows x vectors accumulators, the
 *                                  vectors of weights and one broadcast must fit the register file
 *   VDP(c, x, w), PAIR_SET(p), PAIRS(p), PAIRS_FIRST(w), bf16_of_int8, in_order   bf16 dot products, where the level
 * has them; four vectors side by side
 *
 * Accumulators have names: gcc 12 spills AVX2 tiles that are written as arrays (60 instead of 119 GFLOP/s). `rows` and
 * `vectors` are constants at every call, so that what a tile does not use is gone. */
#include "kernels/lanes.h"
#include "kernels/level.h"

#define TILE_ROWS 6

// clang-format off
#define EACH_ROW(DO)         DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define EACH_VECTOR(DO, r)   DO(r, 0) DO(r, 1) DO(r, 2) DO(r, 3) DO(r, 4) DO(r, 5) DO(r, 6) DO(r, 7)
/* Up to four vectors for any row; a single row may have eight. */
#define USED(r, v)           (rows > (r) && vectors > (v) && ((v) < 4 || rows == 1))
#define DECLARE_VECTOR(r, v) VECTOR c##r##v = V_ZERO();
#define DECLARE_ROW(r)       EACH_VECTOR(DECLARE_VECTOR, r)
#define DECLARE_WEIGHT(_, v) VECTOR w##v = V_ZERO();
#define LOAD_FLOATS(_, v)    if (vectors > (v)) w##v = V_LOAD(line + VECTOR_FLOATS * (v));
#define AT(v)                (line + 2 * VECTOR_FLOATS * (v) * bytes)
#define LOAD_EVEN(_, v)      if (vectors > (v)) w##v = bytes == 1 ? INT8_EVEN(AT(v)) : PAIRS_EVEN(AT(v));
#define LOAD_ODD(_, v)       if (vectors > (v)) w##v = bytes == 1 ? INT8_ODD(AT(v)) : PAIRS_ODD(AT(v));
#define FMA_VECTOR(r, v)     if (USED(r, v)) c##r##v = V_FMA(b, w##v, c##r##v);
#define FMA_ROW(r)           if (rows > (r)) { const VECTOR b = V_SET(x[x_stride * (r) + k]); EACH_VECTOR(FMA_VECTOR, r) }
#define END_VECTOR(r, v)     if (USED(r, v)) tile_end(tile, first + (r), column + VECTOR_FLOATS * (v), c##r##v);
#define END_ROW(r)           EACH_VECTOR(END_VECTOR, r)
// clang-format on

/* Asks for half of what a step of a tile uses (a step: 64 floats, bf16 pairs or int8 pairs). To L2: hints nearer than
 * that lose. */
LANES_INLINE const char *fetch(const char *ahead, const size_t step_bytes) {
    __builtin_prefetch(ahead, 0, 2);
    if (step_bytes > 128) __builtin_prefetch(ahead + 64, 0, 2);
    return ahead + step_bytes / 2;
}
#define STEP_FLOATS       (STRATA_PANEL * sizeof(float))
#define STEP_PAIRS(bytes) (2 * STRATA_PANEL * (bytes))

/* What a part will add to, asked for before its sums: rows of out lie far apart, so the hardware does not foresee them
 * (a gradient of weights streams through memory). */
LANES_INLINE void tile_begin(const struct strata_tile *tile, size_t first, size_t column, const int rows,
                             const int vectors) {
    if (!tile->add) return;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors * VECTOR_FLOATS; v += LANES)
            __builtin_prefetch(tile->out + (first + (size_t)r) * tile->out_stride + column + v, 1, 3);
}

LANES_INLINE void tile_end(const struct strata_tile *tile, size_t row, size_t column, VECTOR sum) {
    float *out = tile->out + row * tile->out_stride + column;
    if (tile->scale) sum = V_MUL(sum, V_LOAD(tile->scale + column));
    if (tile->bias) {
        const VECTOR bias = V_LOAD(tile->bias + column);
        sum = V_ADD(tile->add ? V_ADD(V_LOAD(out), bias) : bias, sum);
    } else if (tile->add) {
        sum = V_ADD(V_LOAD(out), sum);
    }
    V_STORE(out, sum);
}

LANES_INLINE void part_f32(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                           const int rows, const int vectors) {
    const size_t x_stride = tile->x_stride;
    const float *x = (const float *)tile->x + first * x_stride;
    const float *line = (const float *)tile->panel + column;
    EACH_ROW(DECLARE_ROW)
    tile_begin(tile, first, column, rows, vectors);
    EACH_VECTOR(DECLARE_WEIGHT, _)
    for (size_t k = 0; k < tile->K; k++, line += STRATA_PANEL) {
        ahead = fetch(ahead, STEP_FLOATS);
        EACH_VECTOR(LOAD_FLOATS, _)
        EACH_ROW(FMA_ROW)
    }
    EACH_ROW(END_ROW)
}

/* bytes of a weight: 2, bf16; 1, int8. */
LANES_INLINE void part_pairs(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                             const int rows, const int vectors, const size_t bytes) {
    const size_t x_stride = tile->x_stride;
    const float *x = (const float *)tile->x + first * x_stride;
    const char *line = (const char *)tile->panel + 2 * column * bytes;
    EACH_ROW(DECLARE_ROW)
    tile_begin(tile, first, column, rows, vectors);
    EACH_VECTOR(DECLARE_WEIGHT, _)
    size_t k = 0;
    for (; k + 1 < tile->K; k++, line += STEP_PAIRS(bytes)) {
        ahead = fetch(ahead, STEP_PAIRS(bytes));
        EACH_VECTOR(LOAD_EVEN, _)
        EACH_ROW(FMA_ROW)
        k++;
        EACH_VECTOR(LOAD_ODD, _)
        EACH_ROW(FMA_ROW)
    }
    if (k < tile->K) {
        EACH_VECTOR(LOAD_EVEN, _)
        EACH_ROW(FMA_ROW)
    }
    EACH_ROW(END_ROW)
}
LANES_INLINE void part_widen(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                             const int rows, const int vectors) {
    part_pairs(tile, first, column, ahead, rows, vectors, sizeof(uint16_t));
}
LANES_INLINE void part_int8_widen(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                                  const int rows, const int vectors) {
    part_pairs(tile, first, column, ahead, rows, vectors, sizeof(int8_t));
}

#ifdef VDP
// clang-format off
#define DECLARE_PAIRS(_, v)  PAIR_VECTOR p##v = PAIRS_ZERO();
#define LOAD_PAIRS(_, v)     if (vectors > (v)) p##v = PAIRS(AT(v));
#define LOAD_TWO(a, b)       bf16_of_int8((__m512i *)&p##a, (__m512i *)&p##b, (const int8_t *)AT(a));
#define LOAD_LINE            if (bytes == 1) { LOAD_TWO(0, 1) LOAD_TWO(2, 3) } else { EACH_VECTOR(LOAD_PAIRS, _) }
#define IN_ORDER_ROW(r)      if (rows > (r)) { in_order(&c##r##0, &c##r##1); in_order(&c##r##2, &c##r##3); }
#define FIRST_PAIRS(_, v)    p##v = PAIRS_FIRST(p##v);
#define VDP_VECTOR(r, v)     if (USED(r, v)) c##r##v = VDP(c##r##v, b, p##v);
#define VDP_ROW(r)           if (rows > (r)) { const PAIR_VECTOR b = PAIR_SET(x + x_stride * (r) + k); EACH_VECTOR(VDP_VECTOR, r) }
// clang-format on
LANES_INLINE void part_dot(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                           const int rows, const int vectors, const size_t bytes) {
    const size_t x_stride = tile->x_stride;
    const uint16_t *x = (const uint16_t *)tile->x + first * x_stride;
    const char *line = (const char *)tile->panel + 2 * column * bytes;
    EACH_ROW(DECLARE_ROW)
    tile_begin(tile, first, column, rows, vectors);
    EACH_VECTOR(DECLARE_PAIRS, _)
    size_t k = 0;
    for (; k + 1 < tile->K; k += 2, line += STEP_PAIRS(bytes)) {
        ahead = fetch(ahead, STEP_PAIRS(bytes));
        LOAD_LINE
        EACH_ROW(VDP_ROW)
    }
    if (k < tile->K) { /* the partner of the last k may be anything */
        LOAD_LINE
        EACH_VECTOR(FIRST_PAIRS, _)
        EACH_ROW(VDP_ROW)
    }
    if (bytes == 1) {
        EACH_ROW(IN_ORDER_ROW)
    }
    EACH_ROW(END_ROW)
}
LANES_INLINE void part_bf16(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                            const int rows, const int vectors) {
    part_dot(tile, first, column, ahead, rows, vectors, sizeof(uint16_t));
}
LANES_INLINE void part_int8(const struct strata_tile *tile, size_t first, size_t column, const char *ahead,
                            const int rows, const int vectors) {
    part_dot(tile, first, column, ahead, rows, vectors, sizeof(int8_t));
}
#endif

/* One tile of `rows` rows over all columns that are wanted. */
#define TILE_CASE(PART, count)                                                                                         \
    case count:                                                                                                        \
        for (size_t column = 0; column < columns; column += VECTORS_##count * VECTOR_FLOATS)                           \
            PART(tile, first, column, ahead, count, VECTORS_##count);                                                  \
        break;
#define TILE_ROWS_FUNCTION(NAME, PART)                                                                                 \
    static void NAME(const struct strata_tile *tile, size_t first, size_t rows, size_t columns, const char *ahead) {   \
        switch (rows) {                                                                                                \
            TILE_CASE(PART, 1)                                                                                         \
            TILE_CASE(PART, 2)                                                                                         \
            TILE_CASE(PART, 3)                                                                                         \
            TILE_CASE(PART, 4)                                                                                         \
            TILE_CASE(PART, 5)                                                                                         \
            TILE_CASE(PART, 6)                                                                                         \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
    }
TILE_ROWS_FUNCTION(rows_f32, part_f32)
TILE_ROWS_FUNCTION(rows_widen, part_widen)
TILE_ROWS_FUNCTION(rows_int8_widen, part_int8_widen)
#ifdef VDP
TILE_ROWS_FUNCTION(rows_bf16, part_bf16)
TILE_ROWS_FUNCTION(rows_int8, part_int8)
#endif

typedef void tile_rows_function(const struct strata_tile *tile, size_t first, size_t rows, size_t columns,
                                const char *ahead);

/* The last panel of a matrix: whole vectors are computed beside the rows of out and the valid
 * columns copied. */
static void tile_narrow(const struct strata_tile *tile, size_t first, size_t rows, const char *ahead,
                        tile_rows_function *function) {
    float out[TILE_ROWS * STRATA_PANEL] = {0}, bias[STRATA_PANEL] = {0};
    const size_t bytes = tile->columns * sizeof(float);
    struct strata_tile part = *tile;
    part.out = out - first * STRATA_PANEL;
    part.out_stride = STRATA_PANEL;
    if (tile->bias) {
        memcpy(bias, tile->bias, bytes);
        part.bias = bias;
    }
    for (size_t r = 0; tile->add && r < rows; r++)
        memcpy(out + r * STRATA_PANEL, tile->out + (first + r) * tile->out_stride, bytes);
    function(&part, first, rows, tile->columns, ahead);
    for (size_t r = 0; r < rows; r++) memcpy(tile->out + (first + r) * tile->out_stride, out + r * STRATA_PANEL, bytes);
}

/* Tiles of nearly equal height: 8 rows are 4 + 4, not 6 + 2. Two or three tiles are a batch that
 * decodes: it waits for weights in the first tile and for products in the others, unless the block
 * behind this one is fetched all along. bytes: of this block. */
LANES_INLINE void tile_all(const struct strata_tile *tile, tile_rows_function *function, size_t bytes) {
    const size_t count = (tile->rows + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t i = 0, first = 0, rows; i < count; i++, first += rows) {
        const char *ahead = tile->panel;
        if (count > 1 && count <= 3 && i < 2) ahead = (tile->next ? tile->next : ahead + bytes) + i * bytes / 2;
        rows = (tile->rows - first + count - i - 1) / (count - i);
        if (tile->columns < STRATA_PANEL)
            tile_narrow(tile, first, rows, ahead, function);
        else
            function(tile, first, rows, STRATA_PANEL, ahead);
    }
}

static void tile_f32(const struct strata_tile *tile) {
    tile_all(tile, rows_f32, tile->K * STEP_FLOATS);
}
static void tile_widen(const struct strata_tile *tile) {
    tile_all(tile, rows_widen, tile->K / 2 * STEP_PAIRS(sizeof(uint16_t)));
}
static void tile_int8_widen(const struct strata_tile *tile) {
    tile_all(tile, rows_int8_widen, tile->K / 2 * STEP_PAIRS(sizeof(int8_t)));
}
#ifdef VDP
static void tile_bf16(const struct strata_tile *tile) {
    tile_all(tile, rows_bf16, tile->K / 2 * STEP_PAIRS(sizeof(uint16_t)));
}
static void tile_int8(const struct strata_tile *tile) {
    tile_all(tile, rows_int8, tile->K / 2 * STEP_PAIRS(sizeof(int8_t)));
}
#endif

/* Twelve sums cover the latency of two instructions a cycle. */
// clang-format off
#define SPIN_SUMS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
/* Opaque starts, or the compiler sees that all sums are the same one. */
#define SPIN_DECLARE(i) VECTOR s##i = V_ZERO(); __asm__ volatile("" : "+" V_REGISTER (s##i));
#define SPIN_FMA(i) s##i = V_FMA(a, b, s##i);
#define SPIN_JOIN(i) total = V_ADD(total, s##i);
#define SPIN_END                                                                                                       \
    VECTOR total = V_ZERO();                                                                                           \
    float sum[VECTOR_FLOATS];                                                                                          \
    SPIN_SUMS(SPIN_JOIN)                                                                                               \
    V_STORE(sum, total);                                                                                               \
    *sink += sum[0];
static double spin_f32(float *sink, size_t turns) {
    VECTOR a = V_SET(0.5f), b = V_SET(0.25f);
    SPIN_SUMS(SPIN_DECLARE)
    for (size_t i = 0; i < turns; i++) {
        __asm__ volatile("" : "+" V_REGISTER (a), "+" V_REGISTER (b)); /* or the compiler multiplies once */
        SPIN_SUMS(SPIN_FMA)
    }
    SPIN_END
    return (double)turns * 12.0 * 2.0 * VECTOR_FLOATS;
}
#ifdef VDP
#define SPIN_VDP(i) s##i = VDP(s##i, a, b);
static double spin_bf16(float *sink, size_t turns) {
    const uint16_t half[2] = {0x3f00, 0x3f00};
    PAIR_VECTOR a = PAIR_SET(half), b = a;
    SPIN_SUMS(SPIN_DECLARE)
    for (size_t i = 0; i < turns; i++) {
        __asm__ volatile("" : "+" V_REGISTER (a), "+" V_REGISTER (b));
        SPIN_SUMS(SPIN_VDP)
    }
    SPIN_END
    return (double)turns * 12.0 * 4.0 * VECTOR_FLOATS;
}
#endif
// clang-format on
