/* Backward of attention. Forward (attend.c), per query row i with its keys j:
 *     s = scale q k;  p = exp(s - lse);  out = sum_j p v
 * With delta_i = sum_d dout out:
 *     dv_j = sum_i p dout_i;  dp = dout_i v_j;  ds = scale p (dp - delta_i);  dq_i = sum_j ds k_j;  dk_j = sum_i ds q_i
 *
 * Two passes that compute p again, so that every gradient has one owner and one order of sums: queries (a task: 64
 * tokens of one key/value head, its query heads against all their keys) and keys (a task: 64 tokens of one key/value
 * head against all query rows that see them). Blocks of 64 go through the tiles as x and panel; the sums over blocks
 * run in ascending order. */
#include <string.h>

#include "kernels/backward.h"
#include "kernels/level.h"

#define BLOCK STRATA_KEY_BLOCK

struct pass {
    const struct strata_compute *compute;
    const struct strata_attention_backward *call;
    bool bf16;
    size_t R, D_padded, D_even;
};

/* The worker's scratch, in blocks: x operands (64, D), panels [D][64] and [64][D in panels of 64]. */
struct scratch {
    float *s, *dp;       /* (64, 64) */
    void *s_x, *dp_x;    /* the same as x of a tile */
    float *turned;       /* (64, D) */
    void *x1, *x2;       /* (64, D) */
    void *wide1, *wide2; /* [D][64] */
    void *tall1, *tall2; /* [D/64][64][64] */
    float *lse, *delta;  /* (64) */
};

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}
static size_t blocks_of(size_t rows) {
    return (rows + BLOCK - 1) / BLOCK;
}

static struct scratch scratch_cut(const struct pass *pass, void *memory) {
    float *at = memory;
    struct scratch s;
    const size_t square = BLOCK * BLOCK, panel = BLOCK * pass->D_padded;
    s.s = at, at += square;
    s.dp = at, at += square;
    s.s_x = at, at += square;
    s.dp_x = at, at += square;
    s.turned = at, at += panel;
    s.x1 = at, at += panel;
    s.x2 = at, at += panel;
    s.wide1 = at, at += panel;
    s.wide2 = at, at += panel;
    s.tall1 = at, at += panel;
    s.tall2 = at, at += panel;
    s.lse = at, at += BLOCK;
    s.delta = at;
    return s;
}

/* Rows of 64 x D floats as x of a tile. */
static void load_x(const struct pass *pass, void *out, const float *x, size_t stride, size_t rows, size_t columns,
                   size_t out_stride) {
    if (pass->bf16) {
        pass->compute->level->round_rows(out, out_stride, x, stride, rows, columns);
        return;
    }
    for (size_t r = 0; r < rows; r++) memcpy((float *)out + r * out_stride, x + r * stride, columns * sizeof(float));
}
/* Panel [D][64]: column r is row r of x. What stands beyond the rows is zero. */
static void load_wide(const struct pass *pass, const struct scratch *s, void *panel, const float *x, size_t stride,
                      size_t rows) {
    const struct strata_level *level = pass->compute->level;
    const size_t D = pass->call->D;
    float *turned = pass->bf16 ? s->turned : panel;
    if (rows < BLOCK) memset(turned, 0, BLOCK * D * sizeof *turned);
    level->transpose(turned, BLOCK, x, stride, rows, D);
    if (pass->bf16) level->pack_pairs(panel, turned, BLOCK, D, BLOCK);
}
/* Panels [D/64][64 rows][64]. What stands beyond the rows or beyond D is zero. */
static void load_tall(const struct pass *pass, void *panels, const float *x, size_t stride, size_t rows) {
    const size_t D = pass->call->D, value = pass->bf16 ? sizeof(uint16_t) : sizeof(float);
    if (rows < BLOCK || D < pass->D_padded) memset(panels, 0, BLOCK * pass->D_padded * value);
    for (size_t d = 0; d < D; d += STRATA_PANEL) {
        const size_t columns = smaller(STRATA_PANEL, D - d);
        char *panel = (char *)panels + d * BLOCK * value;
        if (pass->bf16) {
            pass->compute->level->pack_pairs((uint16_t *)(void *)panel, x + d, stride, rows, columns);
            continue;
        }
        for (size_t r = 0; r < rows; r++)
            memcpy((float *)(void *)panel + r * STRATA_PANEL, x + r * stride + d, columns * sizeof(float));
    }
}

/* out (rows, 64) = x (rows, D) panel [D][64]. */
static void scores(const struct pass *pass, float *out, const void *x, const void *panel, size_t rows) {
    const struct strata_level *level = pass->compute->level;
    (pass->bf16 ? level->tile_bf16 : level->tile_f32)(&(struct strata_tile){.out = out,
                                                                            .out_stride = BLOCK,
                                                                            .x = x,
                                                                            .x_stride = pass->D_even,
                                                                            .panel = panel,
                                                                            .K = pass->call->D,
                                                                            .rows = rows,
                                                                            .columns = BLOCK});
}
/* out (rows, D) (+)= x (rows, 64) panels, over `count` of the 64. */
static void gather(const struct pass *pass, float *out, const void *x, const void *panels, size_t rows, size_t count,
                   bool add) {
    const struct strata_level *level = pass->compute->level;
    const size_t D = pass->call->D, value = pass->bf16 ? sizeof(uint16_t) : sizeof(float);
    for (size_t d = 0; d < D; d += STRATA_PANEL)
        (pass->bf16 ? level->tile_bf16
                    : level->tile_f32)(&(struct strata_tile){.out = out + d,
                                                             .out_stride = pass->call->d_stride,
                                                             .x = x,
                                                             .x_stride = BLOCK,
                                                             .panel = (const char *)panels + d * BLOCK * value,
                                                             .K = count,
                                                             .rows = rows,
                                                             .columns = smaller(STRATA_PANEL, D - d),
                                                             .add = add});
}
/* Probabilities or score gradients as x of `gather`. */
static const void *as_x(const struct pass *pass, void *out, const float *square, size_t rows) {
    if (!pass->bf16) return square;
    pass->compute->level->round_rows(out, BLOCK, square, BLOCK, rows, BLOCK);
    return out;
}

/* ---- delta ---- */

static void delta_task(void *context, size_t index, size_t worker) {
    const struct pass *pass = context;
    const struct strata_attention_backward *call = pass->call;
    const struct strata_attention_span *span = &call->spans[index];
    const size_t D = call->D, width = call->H * D;
    (void)worker;
    for (size_t t = span->first; t < span->first + span->rows; t++)
        for (size_t h = 0; h < call->H; h++) {
            const float *out = call->out + t * width + h * D, *dout = call->dout + t * width + h * D;
            float sum = 0.0f;
            for (size_t d = 0; d < D; d++) sum += dout[d] * out[d];
            call->delta[t * call->H + h] = sum;
        }
}

/* ---- queries ---- */

/* Query rows [first, first + rows) against keys [key, key + keys), of which row i sees `seen` + i (causal) or all. */
static void query_block(const struct pass *pass, const struct scratch *s, size_t first, size_t rows, size_t g,
                        size_t key, size_t keys, size_t seen, bool add) {
    const struct strata_attention_backward *call = pass->call;
    const size_t D = call->D, width = call->H * D;
    load_wide(pass, s, s->wide1, call->key + key * call->stride + g * D, call->stride, keys);
    load_wide(pass, s, s->wide2, call->value + key * call->stride + g * D, call->stride, keys);
    load_tall(pass, s->tall1, call->key + key * call->stride + g * D, call->stride, keys);
    for (size_t h = g * pass->R; h < (g + 1) * pass->R; h++) {
        load_x(pass, s->x1, call->query + first * call->stride + h * D, call->stride, rows, D, pass->D_even);
        load_x(pass, s->x2, call->dout + first * width + h * D, width, rows, D, pass->D_even);
        scores(pass, s->s, s->x1, s->wide1, rows);
        scores(pass, s->dp, s->x2, s->wide2, rows);
        for (size_t r = 0; r < rows; r++)
            pass->compute->level->softmax_backward_row(&(struct strata_softmax_backward){
                .s = s->s + r * BLOCK,
                .dp = s->dp + r * BLOCK,
                .lse = call->logsumexp + (first + r) * call->H + h,
                .delta = call->delta + (first + r) * call->H + h,
                .scale = call->scale,
                .end = (uint32_t)smaller(keys, seen + r),
            });
        gather(pass, call->dquery + first * call->d_stride + h * D, as_x(pass, s->dp_x, s->dp, rows), s->tall1, rows,
               keys, add);
    }
}

/* Finds the span and the block of 64 of its rows that task `index` is about. */
static const struct strata_attention_span *find_block(const struct pass *pass, size_t *block, size_t index) {
    const struct strata_attention_span *span = pass->call->spans;
    while (index >= blocks_of(span->rows)) index -= blocks_of(span++->rows);
    *block = index;
    return span;
}

static void query_task(void *context, size_t index, size_t worker) {
    const struct pass *pass = context;
    const struct scratch s = scratch_cut(pass, pass->compute->scratch[worker]);
    const size_t g = index % pass->call->G;
    size_t block;
    const struct strata_attention_span *span = find_block(pass, &block, index / pass->call->G);
    const size_t begin = block * BLOCK, rows = smaller(BLOCK, span->rows - begin), first = span->first + begin;
    bool add = false;
    for (size_t key = 0; key < span->prefix_rows; key += BLOCK, add = true)
        query_block(pass, &s, first, rows, g, span->prefix + key, smaller(BLOCK, span->prefix_rows - key), BLOCK, add);
    const size_t end = pass->call->causal ? begin + rows : span->rows;
    for (size_t key = 0; key < end; key += BLOCK, add = true)
        query_block(pass, &s, first, rows, g, span->first + key, smaller(BLOCK, end - key),
                    pass->call->causal ? begin + 1 - smaller(key, begin) : BLOCK, add);
}

/* ---- keys and values ---- */

/* Keys [key, key + keys), loaded as x1 and values as x2, against query rows [first, first + rows) of one head. Of key j
 * the query rows from `seen` + j - lead on are counted (causal), or all. */
struct key_block {
    size_t g, key, keys;
    bool add;
};
static void key_rows(const struct pass *pass, const struct scratch *s, struct key_block *b, size_t first, size_t rows,
                     bool diagonal) {
    const struct strata_attention_backward *call = pass->call;
    const size_t D = call->D, width = call->H * D;
    for (size_t h = b->g * pass->R; h < (b->g + 1) * pass->R; h++) {
        const float *query = call->query + first * call->stride + h * D, *dout = call->dout + first * width + h * D;
        load_wide(pass, s, s->wide1, query, call->stride, rows);
        load_wide(pass, s, s->wide2, dout, width, rows);
        load_tall(pass, s->tall1, query, call->stride, rows);
        load_tall(pass, s->tall2, dout, width, rows);
        for (size_t r = 0; r < rows; r++) {
            s->lse[r] = call->logsumexp[(first + r) * call->H + h];
            s->delta[r] = call->delta[(first + r) * call->H + h];
        }
        scores(pass, s->s, s->x1, s->wide1, b->keys);
        scores(pass, s->dp, s->x2, s->wide2, b->keys);
        for (size_t j = 0; j < b->keys; j++)
            pass->compute->level->softmax_backward_row(&(struct strata_softmax_backward){
                .s = s->s + j * BLOCK,
                .dp = s->dp + j * BLOCK,
                .lse = s->lse,
                .delta = s->delta,
                .scale = call->scale,
                .begin = diagonal ? (uint32_t)j : 0,
                .end = (uint32_t)rows,
                .each = true,
            });
        gather(pass, call->dvalue + b->key * call->d_stride + b->g * D, as_x(pass, s->s_x, s->s, b->keys), s->tall2,
               b->keys, rows, b->add);
        gather(pass, call->dkey + b->key * call->d_stride + b->g * D, as_x(pass, s->dp_x, s->dp, b->keys), s->tall1,
               b->keys, rows, b->add);
        b->add = true;
    }
}

static void key_task(void *context, size_t index, size_t worker) {
    const struct pass *pass = context;
    const struct strata_attention_backward *call = pass->call;
    const struct scratch s = scratch_cut(pass, pass->compute->scratch[worker]);
    const size_t g = index % call->G, D = call->D;
    size_t block;
    const struct strata_attention_span *span = find_block(pass, &block, index / call->G);
    const size_t begin = block * BLOCK;
    struct key_block b = {.g = g, .key = span->first + begin, .keys = smaller(BLOCK, span->rows - begin)};
    load_x(pass, s.x1, call->key + b.key * call->stride + g * D, call->stride, b.keys, D, pass->D_even);
    load_x(pass, s.x2, call->value + b.key * call->stride + g * D, call->stride, b.keys, D, pass->D_even);
    memset(s.lse, 0, BLOCK * sizeof *s.lse);
    memset(s.delta, 0, BLOCK * sizeof *s.delta);
    /* Key blocks and query blocks of a span coincide: one of them is cut by the diagonal, the later ones see all. */
    for (size_t row = call->causal ? begin : 0; row < span->rows; row += BLOCK)
        key_rows(pass, &s, &b, span->first + row, smaller(BLOCK, span->rows - row), call->causal && row == begin);
    for (const struct strata_attention_span *other = call->spans; other < call->spans + call->count; other++) {
        if (other->prefix_rows == 0 || other->prefix != span->first) continue;
        for (size_t row = 0; row < other->rows; row += BLOCK)
            key_rows(pass, &s, &b, other->first + row, smaller(BLOCK, other->rows - row), false);
    }
}

void strata_attention_backward(const struct strata_compute *compute, const struct strata_attention_backward *call) {
    struct pass pass = {
        .compute = compute,
        .call = call,
        .bf16 = compute->type == STRATA_COMPUTE_BF16,
        .R = call->H / call->G,
        .D_padded = (call->D + STRATA_PANEL - 1) / STRATA_PANEL * STRATA_PANEL,
        .D_even = call->D + call->D % 2,
    };
    size_t blocks = 0;
    for (size_t i = 0; i < call->count; i++) blocks += blocks_of(call->spans[i].rows);
    strata_threads_run(compute->threads, call->count, delta_task, &pass);
    strata_threads_run(compute->threads, blocks * call->G, query_task, &pass);
    strata_threads_run(compute->threads, blocks * call->G, key_task, &pass);
}
