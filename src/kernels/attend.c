/* Online softmax over blocks of 64 keys at absolute positions:
 *     s = scale q k;  m' = max(m, s);  c = exp(m - m');  p = exp(s - m');  l' = l c + sum p;  o' = o c + p v
 * A row takes part in the blocks it sees and in no other, and each of its sums is its own, so that a row's bits do not
 * depend on the rows that share its tile. */
#include "kernels/attend.h"

#include <string.h>

#include "base/elementary.h"
#include "base/memory.h"
#include "kernels/level.h"

#define ATTEND_ROWS 96 /* rows of a tile: its queries, scores and sums stay in L2 beside a key/value block */

struct scratch {
    void *query;         /* (rows, D) as the score tile reads it */
    float *scores;       /* (rows, 64) */
    void *probabilities; /* (rows, 64) as the value tile reads them: scores themselves in fp32 */
    float *sums;         /* (rows, D_padded) */
    float *maximum, *sum, *correction, *block_sum;
    uint32_t *visible;
    size_t query_stride, sums_stride;
};

static size_t panels_of(size_t D) {
    return (D + STRATA_PANEL - 1) / STRATA_PANEL;
}
static size_t row_bytes(size_t D) {
    const size_t D_padded = panels_of(D) * STRATA_PANEL;
    return (2 * D_padded + 2 * STRATA_KEY_BLOCK) * sizeof(float) + 4 * sizeof(float) + sizeof(uint32_t);
}
size_t strata_attend_rows(const struct strata_compute *compute, size_t D) {
    const size_t fit = (compute->scratch_bytes - 16 * STRATA_ALIGNMENT) / row_bytes(D);
    return fit < ATTEND_ROWS ? fit : ATTEND_ROWS;
}

size_t strata_key_bytes(const struct strata_compute *compute, size_t D) {
    const size_t values = compute->type == STRATA_COMPUTE_BF16 ? D + D % 2 : D;
    return values * STRATA_KEY_BLOCK * (compute->type == STRATA_COMPUTE_BF16 ? sizeof(uint16_t) : sizeof(float));
}
size_t strata_value_bytes(const struct strata_compute *compute, size_t D) {
    const size_t value = compute->type == STRATA_COMPUTE_BF16 ? sizeof(uint16_t) : sizeof(float);
    return panels_of(D) * STRATA_PANEL * STRATA_KEY_BLOCK * value;
}

static void *take(char **at, size_t bytes) {
    void *block = *at;
    *at += (bytes + STRATA_ALIGNMENT - 1) / STRATA_ALIGNMENT * STRATA_ALIGNMENT;
    return block;
}
static struct scratch scratch_cut(void *block, size_t rows, size_t D) {
    char *at = block;
    const size_t D_padded = panels_of(D) * STRATA_PANEL;
    struct scratch s = {.query_stride = D + D % 2, .sums_stride = D_padded};
    s.query = take(&at, rows * s.query_stride * sizeof(float));
    s.scores = take(&at, rows * STRATA_KEY_BLOCK * sizeof(float));
    s.probabilities = take(&at, rows * STRATA_KEY_BLOCK * sizeof(float));
    s.sums = take(&at, rows * D_padded * sizeof(float));
    s.maximum = take(&at, rows * sizeof(float));
    s.sum = take(&at, rows * sizeof(float));
    s.correction = take(&at, rows * sizeof(float));
    s.block_sum = take(&at, rows * sizeof(float));
    s.visible = take(&at, rows * sizeof(uint32_t));
    return s;
}

static void load_queries(const struct strata_attend *a, const struct scratch *s, size_t begin, size_t rows) {
    const struct strata_level *level = a->compute->level;
    const bool bf16 = a->compute->type == STRATA_COMPUTE_BF16;
    for (size_t r = 0; r < rows; r++) {
        const float *query = a->query + (begin + r) / a->R * a->query_stride + (begin + r) % a->R * a->D;
        if (bf16)
            level->round_rows((char *)s->query + r * s->query_stride * level->activation_bytes, s->query_stride, query,
                              a->D, 1, a->D);
        else
            memcpy((float *)s->query + r * s->query_stride, query, a->D * sizeof *query);
    }
}

static size_t keys_seen(const struct strata_attend *a, size_t row) {
    return a->keys + (a->causal ? row / a->R : 0);
}

/* Adds this block's probabilities to the running masses of one row; earlier ones are brought to the new maximum. */
static void add_masses(const struct strata_attend *a, const struct scratch *s, size_t r, size_t row, size_t block) {
    const size_t token = row / a->R;
    if (token < a->mass_first) return;
    float *masses = a->masses + ((token - a->mass_first) * a->H + row % a->R) * a->S;
    const size_t first = block * STRATA_KEY_BLOCK, last = first + STRATA_KEY_BLOCK;
    const float *probabilities = s->scores + r * STRATA_KEY_BLOCK;
    if (block == 0)
        memset(masses, 0, a->S * sizeof *masses);
    else if (s->correction[r] != 1.0f)
        for (size_t i = 0; i < a->S; i++) masses[i] *= s->correction[r];
    for (size_t i = 0, begin = 0; i < a->S && begin < last; begin = a->segment_end[i++]) {
        const size_t end = a->segment_end[i];
        if (end <= first || end <= begin) continue;
        if (begin <= first && end >= last)
            masses[i] += s->block_sum[r];
        else
            masses[i] += a->compute->level->range_sum(probabilities, begin > first ? begin - first : 0,
                                                      (end < last ? end : last) - first);
    }
}

static void add_values(const struct strata_attend *a, const struct scratch *s, size_t r0, size_t rows, size_t block,
                       size_t keys) {
    const struct strata_level *level = a->compute->level;
    const bool bf16 = a->compute->type == STRATA_COMPUTE_BF16;
    const size_t panels = panels_of(a->D);
    const char *values = (const char *)a->pages[block] + a->value_offset;
    const void *x = s->scores + r0 * STRATA_KEY_BLOCK;
    if (bf16) {
        level->round_rows(s->probabilities, STRATA_KEY_BLOCK, x, STRATA_KEY_BLOCK, rows, STRATA_KEY_BLOCK);
        x = s->probabilities;
    }
    for (size_t p = 0; p < panels; p++)
        (bf16 ? level->tile_bf16 : level->tile_f32)(&(struct strata_tile){
            .out = s->sums + r0 * s->sums_stride + p * STRATA_PANEL,
            .out_stride = s->sums_stride,
            .x = x,
            .x_stride = STRATA_KEY_BLOCK,
            .panel = values + p * (strata_value_bytes(a->compute, a->D) / panels),
            .K = keys,
            .rows = rows,
            .columns = STRATA_PANEL,
            .add = block > 0,
        });
}

/* Rows r0.. of the tile (the others see nothing of this block). */
static void attend_block(const struct strata_attend *a, const struct scratch *s, size_t begin, size_t r0, size_t rows,
                         size_t block) {
    const struct strata_level *level = a->compute->level;
    const bool bf16 = a->compute->type == STRATA_COMPUTE_BF16;
    const size_t value = bf16 ? level->activation_bytes : sizeof(float), first = block * STRATA_KEY_BLOCK;
    strata_tile_function *const score_tile = bf16 ? level->tile_bf16 : level->tile_f32;
    for (size_t k = 0; k < a->D; k += STRATA_K_BLOCK)
        score_tile(&(struct strata_tile){
            .out = s->scores + r0 * STRATA_KEY_BLOCK,
            .out_stride = STRATA_KEY_BLOCK,
            .x = (const char *)s->query + (r0 * s->query_stride + k) * value,
            .x_stride = s->query_stride,
            .panel = (const char *)a->pages[block] + a->key_offset +
                     k * STRATA_KEY_BLOCK * (bf16 ? sizeof(uint16_t) : sizeof(float)),
            .K = a->D - k < STRATA_K_BLOCK ? a->D - k : STRATA_K_BLOCK,
            .rows = rows,
            .columns = STRATA_KEY_BLOCK,
            .add = k > 0,
        });
    size_t most = 0;
    for (size_t r = r0; r < r0 + rows; r++) {
        const size_t seen = keys_seen(a, begin + r) - first;
        s->visible[r] = (uint32_t)(seen < STRATA_KEY_BLOCK ? seen : STRATA_KEY_BLOCK);
        most = s->visible[r] > most ? s->visible[r] : most;
    }
    level->softmax_block(&(struct strata_softmax_block){
        .scores = s->scores + r0 * STRATA_KEY_BLOCK,
        .visible = s->visible + r0,
        .maximum = s->maximum + r0,
        .sum = s->sum + r0,
        .correction = s->correction + r0,
        .block_sum = s->block_sum + r0,
        .scale = a->scale,
        .rows = rows,
    });
    for (size_t r = r0; r < r0 + rows; r++) {
        if (a->masses) add_masses(a, s, r, begin + r, block);
        if (block > 0 && s->correction[r] != 1.0f)
            level->scale_row(s->sums + r * s->sums_stride, s->correction[r], s->sums_stride);
    }
    add_values(a, s, r0, rows, block, most);
}

void strata_attend(const struct strata_attend *a, size_t begin, size_t rows, void *scratch) {
    const struct strata_level *level = a->compute->level;
    const struct scratch s = scratch_cut(scratch, rows, a->D);
    load_queries(a, &s, begin, rows);
    for (size_t r = 0; r < rows; r++) {
        s.maximum[r] = -__builtin_inff();
        s.sum[r] = 0.0f;
    }
    const size_t most = keys_seen(a, begin + rows - 1); /* later rows see at least as much */
    for (size_t block = 0, r0 = 0; block * STRATA_KEY_BLOCK < most; block++) {
        while (keys_seen(a, begin + r0) <= block * STRATA_KEY_BLOCK) r0++;
        attend_block(a, &s, begin, r0, rows - r0, block);
    }
    for (size_t r = 0; r < rows; r++) {
        const size_t token = (begin + r) / a->R, head = (begin + r) % a->R;
        float *out = a->out + token * a->out_stride + head * a->D;
        const float inverse = 1.0f / s.sum[r];
        memcpy(out, s.sums + r * s.sums_stride, a->D * sizeof *out);
        level->scale_row(out, inverse, a->D);
        if (a->logsumexp) a->logsumexp[token * a->H + head] = s.maximum[r] + strata_logf(s.sum[r]);
        if (a->masses && token >= a->mass_first)
            level->scale_row(a->masses + ((token - a->mass_first) * a->H + head) * a->S, inverse, a->S);
    }
}
