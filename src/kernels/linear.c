/* Linear layers: how the work is cut. What determines the result is the level's tile and the order of K blocks alone:
 * out = (((out or 0) + bias) + block 0) + block 1 + …, whatever M, the threads and the cuts below are. Blocks of int8
 * weights are their groups; many rows widen one to bf16 first, few read it as it is, with the same bits. */
#include "kernels/kernels.h"
#include "kernels/level.h"

#define FEW_ROWS     16 /* decoding: weights pass by once, front to back; more rows: blocks of them stay in L2 */
#define ONE_TILE     6  /* rows that a tile takes at once: more rows widen an int8 block first */
#define WIDE_BYTES   (sizeof(uint16_t) * STRATA_GROUP * STRATA_PANEL)
#define ROW_BLOCK    192 /* rows beside which a block of a panel is used */
#define PANEL_GROUP  8
#define FEW_PRODUCTS ((size_t)1 << 17) /* under about 10 us of work, other threads are not woken */

_Static_assert(STRATA_K_BLOCK % STRATA_GROUP == 0, "rounded rows are packed by blocks of K");

struct linear {
    const struct strata_compute *compute;
    float *out;
    const float *x, *bias;
    const struct strata_matrix *weight;
    strata_tile_function *tile, *widened_tile; /* int8, many rows: the tile that reads what widen_int8 wrote */
    size_t out_stride, x_stride, M;
    size_t stride; /* of x as the tile reads it */
    bool add;
    bool packed; /* the tile reads what round_rows wrote before, block by block of K, in compute->shared */
    size_t row_block, row_blocks, panels, group, threads;
    size_t value, x_value; /* bytes of one weight, of one x as the tile reads it */
    size_t block, lead;    /* inputs per partial sum; bytes of scales before them */
    size_t panel_bytes;
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t pieces_of(size_t count, size_t piece) {
    return (count + piece - 1) / piece;
}

/* One panel, one block of K. wide: room to widen an int8 block in, or NULL to read it as it is. */
static void linear_block(const struct linear *linear, const void *x, size_t x_stride, size_t row, size_t rows, size_t p,
                         size_t k, void *wide) {
    const size_t column = p * STRATA_PANEL, inputs = smaller(linear->block, linear->weight->K - k);
    const char *scales = (const char *)linear->weight->panels + p * linear->panel_bytes +
                         k * STRATA_PANEL * linear->value + k / linear->block * linear->lead;
    const void *panel = scales + linear->lead;
    const bool widen = linear->lead && wide;
    if (widen) linear->compute->level->widen_int8(wide, panel, (inputs + inputs % 2) * STRATA_PANEL);
    (widen ? linear->widened_tile : linear->tile)(&(struct strata_tile){
        .out = linear->out + row * linear->out_stride + column,
        .out_stride = linear->out_stride,
        .x = x,
        .x_stride = x_stride,
        .panel = widen ? wide : panel,
        .next = widen ? (const char *)panel + (inputs + inputs % 2) * STRATA_PANEL : NULL,
        .scale = linear->lead ? (const float *)(const void *)scales : NULL,
        .bias = linear->bias && k == 0 ? linear->bias + column : NULL,
        .K = inputs,
        .rows = rows,
        .columns = smaller(STRATA_PANEL, linear->weight->N - column),
        .add = linear->add || k > 0,
    });
}

/* Where x of row m from input k on stands in compute->shared: blocks of K, each (M, STRATA_K_BLOCK). */
static char *packed_at(const struct linear *linear, size_t m, size_t k) {
    const size_t inside = k % STRATA_K_BLOCK;
    return (char *)linear->compute->shared + ((k - inside) * linear->M + m * STRATA_K_BLOCK + inside) * linear->x_value;
}

static void pack_task(void *context, size_t index, size_t worker) {
    const struct linear *linear = context;
    const size_t row = index * FEW_ROWS, rows = smaller(FEW_ROWS, linear->M - row), K = linear->weight->K;
    (void)worker;
    for (size_t m = row; m < row + rows; m++)
        for (size_t k = 0; k < K; k += STRATA_K_BLOCK)
            linear->compute->level->round_rows(packed_at(linear, m, k), STRATA_K_BLOCK,
                                               linear->x + m * linear->x_stride + k, 0, 1,
                                               smaller(STRATA_K_BLOCK, K - k));
}

static const void *input_at(const struct linear *linear, size_t m, size_t k) {
    return linear->packed ? (const void *)packed_at(linear, m, k) : linear->x + m * linear->x_stride + k;
}

/* Few rows: panel after panel as they lie in memory. The first pieces are long, for each thread to read one stream; the
 * last are one panel, for all to end together. */
static size_t piece_end(const struct linear *linear, size_t begin) {
    const size_t piece = (linear->panels - begin) / (2 * linear->threads);
    return begin + (piece ? piece : 1);
}
static void few_rows_task(void *context, size_t index, size_t worker) {
    const struct linear *linear = context;
    size_t begin = 0;
    while (index-- > 0) begin = piece_end(linear, begin);
    void *wide = linear->lead && linear->M > ONE_TILE ? linear->compute->scratch[worker] : NULL;
    for (size_t p = begin; p < piece_end(linear, begin); p++)
        for (size_t k = 0; k < linear->weight->K; k += linear->block)
            linear_block(linear, input_at(linear, 0, k), linear->stride, 0, linear->M, p, k, wide);
}

/* More rows: a block of them beside a block of each of some panels. */
static void linear_task(void *context, size_t index, size_t worker) {
    const struct linear *linear = context;
    const size_t begin = index / linear->row_blocks * linear->group;
    const size_t end = smaller(begin + linear->group, linear->panels);
    const size_t row = index % linear->row_blocks * linear->row_block;
    const size_t rows = smaller(linear->row_block, linear->M - row);
    for (size_t k = 0; k < linear->weight->K; k += linear->block)
        for (size_t p = begin; p < end; p++)
            linear_block(linear, input_at(linear, row, k), linear->stride, row, rows, p, k,
                         linear->compute->scratch[worker]);
}

static void run(struct linear *linear) {
    const size_t products = linear->M * linear->weight->N * linear->weight->K; /* of arrays that are in memory */
    struct strata_threads *threads = products > FEW_PRODUCTS ? linear->compute->threads : NULL;
    if (linear->packed) strata_threads_run(threads, pieces_of(linear->M, FEW_ROWS), pack_task, linear);
    if (linear->M <= FEW_ROWS) {
        size_t pieces = 0;
        linear->threads = strata_threads_count(threads);
        for (size_t begin = 0; begin < linear->panels; begin = piece_end(linear, begin)) pieces++;
        strata_threads_run(threads, pieces, few_rows_task, linear);
        return;
    }
    linear->row_blocks = pieces_of(linear->M, ROW_BLOCK);
    /* Whole tiles, but in the last block. */
    linear->row_block = pieces_of(pieces_of(linear->M, linear->row_blocks), ONE_TILE) * ONE_TILE;
    linear->row_blocks = pieces_of(linear->M, linear->row_block);
    /* Enough tasks that the threads end together, but none so small that handing it out shows. */
    const size_t pieces = linear->panels * linear->row_blocks / (4 * strata_threads_count(threads));
    linear->group = pieces < 1 ? 1 : smaller(pieces, PANEL_GROUP);
    strata_threads_run(threads, pieces_of(linear->panels, linear->group) * linear->row_blocks, linear_task, linear);
}

void strata_linear_forward(const struct strata_compute *compute, float *out, size_t out_stride, const float *x,
                           size_t x_stride, const struct strata_matrix *weight, const float *bias, size_t M, bool add) {
    const struct strata_level *level = compute->level;
    const bool wide = weight->type == STRATA_WEIGHT_F32, narrow = weight->type == STRATA_WEIGHT_INT8;
    const bool rounded = !wide && compute->type == STRATA_COMPUTE_BF16;
    const size_t value = wide ? sizeof(float) : narrow ? sizeof(int8_t) : sizeof(uint16_t);
    const size_t lead = narrow ? STRATA_PANEL * sizeof(float) : 0;
    struct linear linear = {
        .compute = compute,
        .out = out,
        .x = x,
        .bias = bias,
        .weight = weight,
        .tile = wide                ? level->tile_f32
                : narrow && rounded ? level->tile_int8
                : narrow            ? level->tile_int8_widen
                : rounded           ? level->tile_bf16
                                    : level->tile_widen,
        .widened_tile = rounded ? level->tile_bf16 : level->tile_widen,
        .out_stride = out_stride,
        .x_stride = x_stride,
        .M = M,
        .add = add,
        .packed = rounded,
        .stride = rounded ? STRATA_K_BLOCK : x_stride,
        .panels = pieces_of(weight->N, STRATA_PANEL),
        .value = value,
        .x_value = rounded ? level->activation_bytes : sizeof(float),
        .block = narrow ? STRATA_GROUP : STRATA_K_BLOCK,
        .lead = lead,
        .panel_bytes = (wide ? weight->K : weight->K + weight->K % 2) * STRATA_PANEL * value +
                       pieces_of(weight->K, STRATA_GROUP) * lead,
    };
    if (M == 0 || weight->N == 0) return;
    if (!linear.packed) {
        run(&linear);
        return;
    }
    const size_t row_bytes = pieces_of(weight->K, STRATA_K_BLOCK) * STRATA_K_BLOCK * linear.x_value;
    const size_t parts = pieces_of(M, compute->shared_bytes / row_bytes), most = pieces_of(M, parts);
    for (size_t row = 0; row < M; row += most) {
        linear.M = smaller(most, M - row);
        linear.x = x + row * x_stride;
        linear.out = out + row * out_stride;
        run(&linear);
    }
}
