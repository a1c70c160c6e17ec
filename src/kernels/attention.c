/* Attention of the decoder: pages, and the cut into tasks (item, key/value head, row tile). */
#include <string.h>

#include "base/bf16.h"
#include "kernels/attend.h"
#include "kernels/level.h"

size_t strata_page_bytes(const struct strata_compute *compute, size_t G, size_t D) {
    return G * (strata_key_bytes(compute, D) + strata_value_bytes(compute, D));
}

/* bf16 bits of count <= STRATA_PANEL values, zeros behind them. Where tiles read bf16 the level has an instruction. */
static void round_panel(const struct strata_compute *compute, uint16_t out[STRATA_PANEL], const float *x,
                        size_t count) {
    memset(out, 0, STRATA_PANEL * sizeof *out);
    if (compute->level->activation_bytes == sizeof *out)
        compute->level->round_rows(out, STRATA_PANEL, x, count, 1, count);
    else
        for (size_t i = 0; i < count; i++) out[i] = strata_bf16_round(x[i]);
}
static void write_bf16(const struct strata_compute *compute, uint16_t *keys, uint16_t *values, size_t slot,
                       const float *key, const float *value, size_t D) {
    uint16_t rounded[STRATA_PANEL];
    for (size_t first = 0; first < D; first += STRATA_PANEL) {
        const size_t count = D - first < STRATA_PANEL ? D - first : STRATA_PANEL;
        round_panel(compute, rounded, key + first, count);
        uint16_t *pair = keys + (first / 2 * STRATA_KEY_BLOCK + slot) * 2;
        for (size_t d = 0; d < count; d += 2) memcpy(pair + d * STRATA_KEY_BLOCK, rounded + d, 2 * sizeof *pair);
        round_panel(compute, rounded, value + first, count);
        uint16_t *column = values + first * STRATA_KEY_BLOCK + slot / 2 * (2 * STRATA_PANEL) + slot % 2;
        for (size_t d = 0; d < STRATA_PANEL; d++) column[2 * d] = rounded[d];
    }
}
static void write_f32(float *keys, float *values, size_t slot, const float *key, const float *value, size_t D) {
    for (size_t d = 0; d < D; d++) keys[d * STRATA_KEY_BLOCK + slot] = key[d];
    for (size_t d = 0; d < (D + STRATA_PANEL - 1) / STRATA_PANEL * STRATA_PANEL; d++)
        values[(d / STRATA_PANEL * STRATA_KEY_BLOCK + slot) * STRATA_PANEL + d % STRATA_PANEL] = d < D ? value[d] : 0;
}

void strata_page_write(const struct strata_compute *compute, void *page, size_t slot, const float *key,
                       const float *value, size_t G, size_t D) {
    const size_t key_bytes = strata_key_bytes(compute, D), value_bytes = strata_value_bytes(compute, D);
    for (size_t g = 0; g < G; g++) {
        void *keys = (char *)page + g * key_bytes;
        void *values = (char *)page + G * key_bytes + g * value_bytes;
        if (compute->type == STRATA_COMPUTE_BF16)
            write_bf16(compute, keys, values, slot, key + g * D, value + g * D, D);
        else
            write_f32(keys, values, slot, key + g * D, value + g * D, D);
    }
}

#define FEW_PRODUCTS ((size_t)1 << 19)

struct attention {
    const struct strata_compute *compute;
    const struct strata_attention_rows *items;
    size_t count, H, G, D, tile;
    float scale;
};

static size_t tiles_of(const struct attention *attention, const struct strata_attention_rows *item) {
    return (item->rows * (attention->H / attention->G) + attention->tile - 1) / attention->tile;
}

static void attention_task(void *context, size_t index, size_t worker) {
    const struct attention *attention = context;
    const size_t G = attention->G, D = attention->D, R = attention->H / G;
    const struct strata_attention_rows *item = attention->items;
    while (index >= tiles_of(attention, item) * G) index -= tiles_of(attention, item++) * G;
    const size_t g = index % G, tiles = tiles_of(attention, item);
    /* The last rows see most keys: first out, so that the threads end together. */
    const size_t begin = (tiles - 1 - index / G) * attention->tile, left = item->rows * R - begin;
    const size_t key_bytes = strata_key_bytes(attention->compute, D);
    const struct strata_attend attend = {
        .compute = attention->compute,
        .out = item->out + g * R * D,
        .query = item->query + g * R * D,
        .out_stride = item->out_stride,
        .query_stride = item->query_stride,
        .R = R,
        .D = D,
        .pages = item->pages,
        .key_offset = g * key_bytes,
        .value_offset = G * key_bytes + g * strata_value_bytes(attention->compute, D),
        .keys = item->first + 1,
        .causal = true,
        .scale = attention->scale,
        .masses = item->masses ? item->mass_scratch + g * R * item->S : NULL,
        .segment_end = item->segment_end,
        .S = item->S,
        .mass_first = item->mass_first,
        .H = attention->H,
        .logsumexp = item->logsumexp ? item->logsumexp + g * R : NULL,
    };
    strata_attend(&attend, begin, left < attention->tile ? left : attention->tile, attention->compute->scratch[worker]);
}

/* Mean over heads, in head order. */
static void join_masses(const struct strata_attention_rows *item, size_t H) {
    const size_t S = item->S;
    for (size_t m = 0; m + item->mass_first < item->rows; m++)
        for (size_t s = 0; s < S; s++) {
            float sum = 0.0f;
            for (size_t h = 0; h < H; h++) sum += item->mass_scratch[(m * H + h) * S + s];
            item->masses[m * S + s] = sum / (float)H;
        }
}

void strata_attention_forward(const struct strata_compute *compute, const struct strata_attention_rows *items,
                              size_t count, size_t H, size_t G, size_t D, float scale) {
    struct attention attention = {
        .compute = compute, .items = items, .count = count, .H = H, .G = G, .D = D, .scale = scale};
    attention.tile = strata_attend_rows(compute, D);
    size_t tasks = 0, scores = 0;
    for (size_t i = 0; i < count; i++) {
        tasks += tiles_of(&attention, &items[i]) * G;
        scores += (items[i].first + items[i].rows) * items[i].rows * H;
    }
    /* One row over a few hundred keys takes less time than waking another thread. */
    struct strata_threads *threads = scores * D > FEW_PRODUCTS ? compute->threads : NULL;
    strata_threads_run(threads, tasks, attention_task, &attention);
    for (size_t i = 0; i < count; i++)
        if (items[i].masses) join_masses(&items[i], H);
}
