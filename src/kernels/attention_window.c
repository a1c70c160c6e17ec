/* Attention of the vision tower: keys and values of each (segment, head) are packed into pages of one head, then every
 * row of the segment sees all of them. */
#include <string.h>

#include "base/memory.h"
#include "kernels/attend.h"

struct window {
    const struct strata_compute *compute;
    float *out, *logsumexp;
    const float *query, *key, *value;
    size_t out_stride, stride, segments, H, D, tile, page_bytes;
    const uint32_t *bounds;
    float scale;
    void **pages; /* block-major within a segment: page (block, head) of segment s is pages[first block of s ...] */
};

static size_t blocks_of(const uint32_t *bounds, size_t segment) {
    return (bounds[segment + 1] - bounds[segment] + STRATA_KEY_BLOCK - 1) / STRATA_KEY_BLOCK;
}
static size_t blocks_before(const uint32_t *bounds, size_t segment) {
    size_t blocks = 0;
    for (size_t s = 0; s < segment; s++) blocks += blocks_of(bounds, s);
    return blocks;
}
/* The table of page addresses stands in front of the pages. */
static size_t table_bytes(size_t pages) {
    return (pages * sizeof(void *) + STRATA_ALIGNMENT - 1) / STRATA_ALIGNMENT * STRATA_ALIGNMENT;
}

size_t strata_window_workspace(const struct strata_compute *compute, const uint32_t *bounds, size_t segments, size_t H,
                               size_t D) {
    const size_t pages = blocks_before(bounds, segments) * H;
    return table_bytes(pages) + pages * strata_page_bytes(compute, 1, D);
}

static void pack_task(void *context, size_t index, size_t worker) {
    const struct window *window = context;
    const size_t segment = index / window->H, h = index % window->H, D = window->D;
    (void)worker;
    void **pages =
        window->pages + blocks_before(window->bounds, segment) * window->H + h * blocks_of(window->bounds, segment);
    for (size_t t = window->bounds[segment], i = 0; t < window->bounds[segment + 1]; t++, i++)
        strata_page_write(window->compute, pages[i / STRATA_KEY_BLOCK], i % STRATA_KEY_BLOCK,
                          window->key + t * window->stride + h * D, window->value + t * window->stride + h * D, 1, D);
}

static size_t tiles_of(const struct window *window, size_t segment) {
    return (window->bounds[segment + 1] - window->bounds[segment] + window->tile - 1) / window->tile;
}

static void attend_task(void *context, size_t index, size_t worker) {
    const struct window *window = context;
    const size_t D = window->D;
    size_t segment = 0, block = 0;
    for (; index >= tiles_of(window, segment) * window->H; segment++) {
        index -= tiles_of(window, segment) * window->H;
        block += blocks_of(window->bounds, segment);
    }
    const size_t h = index % window->H, begin = index / window->H * window->tile;
    const size_t first = window->bounds[segment], T = window->bounds[segment + 1] - first, left = T - begin;
    const struct strata_attend attend = {
        .compute = window->compute,
        .out = window->out + first * window->out_stride + h * D,
        .query = window->query + first * window->stride + h * D,
        .out_stride = window->out_stride,
        .query_stride = window->stride,
        .R = 1,
        .D = D,
        .pages = window->pages + block * window->H + h * blocks_of(window->bounds, segment),
        .value_offset = strata_key_bytes(window->compute, D),
        .keys = T,
        .scale = window->scale,
        .logsumexp = window->logsumexp ? window->logsumexp + first * window->H + h : NULL,
        .H = window->H,
    };
    strata_attend(&attend, begin, left < window->tile ? left : window->tile, window->compute->scratch[worker]);
}

void strata_attention_window_forward(const struct strata_compute *compute, float *out, size_t out_stride,
                                     float *logsumexp, const float *query, const float *key, const float *value,
                                     size_t stride, const uint32_t *bounds, size_t segments, size_t H, size_t D,
                                     float scale, void *workspace) {
    struct window window = {
        .compute = compute,
        .out = out,
        .logsumexp = logsumexp,
        .query = query,
        .key = key,
        .value = value,
        .out_stride = out_stride,
        .stride = stride,
        .bounds = bounds,
        .segments = segments,
        .H = H,
        .D = D,
        .scale = scale,
        .pages = workspace,
    };
    window.tile = strata_attend_rows(compute, D);
    window.page_bytes = strata_page_bytes(compute, 1, D);
    const size_t pages = blocks_before(bounds, segments) * H;
    for (size_t p = 0; p < pages; p++) window.pages[p] = (char *)workspace + table_bytes(pages) + p * window.page_bytes;
    strata_threads_run(compute->threads, segments * H, pack_task, &window);
    size_t tasks = 0;
    for (size_t s = 0; s < segments; s++) tasks += tiles_of(&window, s) * H;
    strata_threads_run(compute->threads, tasks, attend_task, &window);
}
