#include "model/vision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/elementary.h"
#include "base/memory.h"
#include "model/vision_private.h"

#define VISION_THETA 10000.0

void strata_window_order_free(struct strata_window_order *order) {
    free(order->cells);
    free(order->bounds);
    *order = (struct strata_window_order){0};
}

/* get_window_index of Qwen2_5_VisionTransformerPretrainedModel: windows of side window_size/patch/merge cells, cut from
 * the image row by row; windows at the right and bottom edge are smaller. */
int strata_window_order(struct strata_window_order *out, const struct strata_vision_config *config,
                        struct strata_grid grid, struct strata_error *err) {
    size_t side = config->window_size / config->patch_size / config->merge_size;
    size_t rows = grid.rows / config->merge_size, columns = grid.columns / config->merge_size;
    size_t windows_down = (rows + side - 1) / side, windows_across = (columns + side - 1) / side;
    *out = (struct strata_window_order){.cell_count = rows * columns, .windows = windows_down * windows_across};
    int code = strata_alloc(&out->cells, out->cell_count, sizeof *out->cells, err);
    if (!code) code = strata_alloc(&out->bounds, out->windows + 1, sizeof *out->bounds, err);
    if (code) {
        strata_window_order_free(out);
        return code;
    }
    uint32_t cell = 0, window = 0, patches_per_cell = (uint32_t)(config->merge_size * config->merge_size);
    for (size_t down = 0; down < windows_down; down++) {
        for (size_t across = 0; across < windows_across; across++) {
            for (size_t r = down * side; r < (down + 1) * side && r < rows; r++) {
                for (size_t c = across * side; c < (across + 1) * side && c < columns; c++) {
                    out->cells[cell++] = (uint32_t)(r * columns + c);
                }
            }
            out->bounds[++window] = cell * patches_per_cell;
        }
    }
    return 0;
}

void strata_patch_positions(uint32_t *positions, struct strata_grid grid, size_t merge_size) {
    size_t rows = grid.rows / merge_size, columns = grid.columns / merge_size, patch = 0;
    for (size_t cell = 0; cell < rows * columns; cell++) {
        for (size_t inner = 0; inner < merge_size * merge_size; inner++, patch++) {
            positions[2 * patch] = (uint32_t)(cell / columns * merge_size + inner / merge_size);
            positions[2 * patch + 1] = (uint32_t)(cell % columns * merge_size + inner % merge_size);
        }
    }
}

void strata_tower_free(struct strata_tower *tower) {
    strata_window_order_free(&tower->order);
    free(tower->positions);
    free(tower->cosines);
    free(tower->sines);
    free(tower->x);
    free(tower->normed);
    free(tower->attention);
    free(tower->query_key_value);
    free(tower->logsumexp);
    free(tower->gate_up);
    free(tower->inner);
    free(tower->workspace);
}

static int tower_allocate(struct strata_tower *tower, struct strata_grid grid, struct strata_error *err) {
    size_t N = tower->N, E = tower->E, H = tower->H, D = tower->D, I = tower->I;
    int code = strata_window_order(&tower->order, tower->config, grid, err);
    if (code) return code;
    tower->image_bounds[1] = (uint32_t)N;
    size_t windowed = strata_window_workspace(tower->compute, tower->order.bounds, tower->order.windows, H, D);
    size_t full = strata_window_workspace(tower->compute, tower->image_bounds, 1, H, D);
    struct {
        void *pointer;
        size_t count;
    } arrays[] = {{&tower->cosines, N * (D / 2)},
                  {&tower->sines, N * (D / 2)},
                  {&tower->x, N * E},
                  {&tower->normed, N * E},
                  {&tower->attention, N * E},
                  {&tower->query_key_value, N * 3 * E},
                  {&tower->gate_up, STRATA_VISION_ROWS * 2 * I},
                  {&tower->inner, STRATA_VISION_ROWS * I}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        if ((code = strata_alloc_aligned(arrays[i].pointer, arrays[i].count, sizeof(float), err))) return code;
    }
    if ((code = strata_alloc(&tower->positions, 2 * N, sizeof *tower->positions, err))) return code;
    return strata_alloc_aligned(&tower->workspace, windowed > full ? windowed : full, 1, err);
}

/* rot_pos_emb: D/4 frequencies on the row, then the same on the column; frequencies and angles in float32, as torch. */
static void rotary_tables(struct strata_tower *tower) {
    size_t half = tower->D / 2, quarter = half / 2, merge = tower->config->merge_size, cell_size = merge * merge;
    for (size_t place = 0; place < tower->N; place++) {
        size_t patch = tower->order.cells[place / cell_size] * cell_size + place % cell_size;
        for (size_t i = 0; i < half; i++) {
            size_t frequency = i < quarter ? i : i - quarter;
            float inverse = 1.0f / (float)strata_pow(VISION_THETA, (double)((float)(2 * frequency) / (float)half));
            float angle = (float)tower->positions[2 * patch + (i >= quarter)] * inverse;
            double sine, cosine;
            strata_sincos(&sine, &cosine, (double)angle);
            tower->cosines[place * half + i] = (float)cosine;
            tower->sines[place * half + i] = (float)sine;
        }
    }
}

/* Patches of cell order->cells[i] move to place i (or back). */
static void to_window_order(struct strata_tower *tower, float *out, const float *x) {
    size_t cell_floats = tower->config->merge_size * tower->config->merge_size * tower->E;
    for (size_t i = 0; i < tower->order.cell_count; i++) {
        memcpy(out + i * cell_floats, x + tower->order.cells[i] * cell_floats, cell_floats * sizeof *out);
    }
}

static void show(const struct strata_tower *tower, const char *name, const float *values, size_t rows, size_t columns) {
    if (tower->trace) tower->trace->stage(tower->trace->context, name, values, 0, rows, columns);
}

const uint32_t *strata_tower_bounds(const struct strata_tower *tower, size_t index, size_t *segments) {
    bool full = tower->config->full_attention[index];
    *segments = full ? 1 : tower->order.windows;
    return full ? tower->image_bounds : tower->order.bounds;
}

void strata_tower_attention(struct strata_tower *tower, size_t index) {
    const struct strata_vision_block *block = &tower->weights->blocks[index];
    const struct strata_compute *compute = tower->compute;
    size_t N = tower->N, E = tower->E, H = tower->H, D = tower->D, segments;
    const uint32_t *bounds = strata_tower_bounds(tower, index, &segments);
    float *qkv = tower->query_key_value;

    strata_rmsnorm_forward(compute, tower->normed, NULL, tower->x, block->norm1, STRATA_VISION_EPS, N, E);
    strata_linear_forward(compute, qkv, 3 * E, tower->normed, E, &block->query_key_value, block->query_key_value_bias,
                          N, false);
    strata_rope_forward(compute, qkv, 3 * E, tower->cosines, tower->sines, N, H, D);
    strata_rope_forward(compute, qkv + E, 3 * E, tower->cosines, tower->sines, N, H, D);
    float scale = 1.0f / __builtin_sqrtf((float)D);
    strata_attention_window_forward(compute, tower->attention, E, tower->logsumexp, qkv, qkv + E, qkv + 2 * E, 3 * E,
                                    bounds, segments, H, D, scale, tower->workspace);
    strata_linear_forward(compute, tower->x, E, tower->attention, E, &block->output, block->output_bias, N, true);
}

void strata_tower_mlp(struct strata_tower *tower, size_t index) {
    const struct strata_vision_block *block = &tower->weights->blocks[index];
    const struct strata_compute *compute = tower->compute;
    size_t N = tower->N, E = tower->E, I = tower->I;
    strata_rmsnorm_forward(compute, tower->normed, NULL, tower->x, block->norm2, STRATA_VISION_EPS, N, E);
    for (size_t row = 0; row < N; row += STRATA_VISION_ROWS) {
        size_t rows = N - row < STRATA_VISION_ROWS ? N - row : STRATA_VISION_ROWS;
        strata_linear_forward(compute, tower->gate_up, 2 * I, tower->normed + row * E, E, &block->gate_up,
                              block->gate_up_bias, rows, false);
        strata_swiglu_forward(compute, tower->inner, I, tower->gate_up, 2 * I, tower->gate_up + I, 2 * I, rows, I);
        strata_linear_forward(compute, tower->x + row * E, E, tower->inner, I, &block->down, block->down_bias, rows,
                              true);
    }
}

/* Qwen2_5_VLPatchMerger: norm, merge^2 patches side by side, two linear layers with an exact GELU between; rows go back
 * to the image's order. */
static int merge_patches(struct strata_tower *tower, float *embeds, size_t out_hidden, struct strata_error *err) {
    const struct strata_weights *weights = tower->weights;
    size_t cells = tower->order.cell_count, G = tower->config->merge_size * tower->config->merge_size * tower->E;
    float *up, *rows;
    int code = strata_alloc_aligned(&up, cells * G, sizeof *up, err);
    if (code) return code;
    if ((code = strata_alloc_aligned(&rows, cells * out_hidden, sizeof *rows, err))) {
        free(up);
        return code;
    }
    strata_rmsnorm_forward(tower->compute, tower->normed, NULL, tower->x, weights->merger_norm, STRATA_VISION_EPS,
                           tower->N, tower->E);
    strata_linear_forward(tower->compute, up, G, tower->normed, G, &weights->merger_up, weights->merger_up_bias, cells,
                          false);
    strata_gelu_forward(tower->compute, up, up, cells * G);
    strata_linear_forward(tower->compute, rows, out_hidden, up, G, &weights->merger_down, weights->merger_down_bias,
                          cells, false);
    for (size_t i = 0; i < cells; i++) {
        memcpy(embeds + tower->order.cells[i] * out_hidden, rows + i * out_hidden, out_hidden * sizeof *embeds);
    }
    free(up);
    free(rows);
    return 0;
}

int strata_tower_open(struct strata_tower *tower, struct strata_grid grid, const struct strata_model_config *config,
                      const struct strata_weights *weights, const struct strata_compute *compute,
                      struct strata_error *err) {
    const struct strata_vision_config *vision = &config->vision;
    *tower = (struct strata_tower){.config = vision, .weights = weights, .compute = compute};
    tower->N = (size_t)grid.rows * grid.columns;
    tower->E = vision->hidden;
    tower->H = vision->heads;
    tower->D = vision->hidden / vision->heads;
    tower->I = vision->intermediate;
    int code = tower_allocate(tower, grid, err);
    if (code) return code;
    strata_patch_positions(tower->positions, grid, vision->merge_size);
    rotary_tables(tower);
    return 0;
}

void strata_tower_embed(struct strata_tower *tower, const float *patches) {
    const struct strata_matrix *embedding = &tower->weights->patch_embedding;
    strata_linear_forward(tower->compute, tower->normed, tower->E, patches, embedding->K, embedding, NULL, tower->N,
                          false);
    to_window_order(tower, tower->x, tower->normed);
}

int strata_vision_forward(float *embeds, const float *patches, struct strata_grid grid,
                          const struct strata_model_config *config, const struct strata_weights *weights,
                          const struct strata_compute *compute, const struct strata_trace *trace,
                          struct strata_error *err) {
    struct strata_tower tower;
    int code = strata_tower_open(&tower, grid, config, weights, compute, err);
    tower.trace = trace;
    if (!code) {
        strata_tower_embed(&tower, patches);
        show(&tower, "vision.patch_embed", tower.normed, tower.N, tower.E);
    }
    for (size_t index = 0; !code && index < config->vision.depth; index++) {
        char name[48];
        strata_tower_attention(&tower, index);
        strata_tower_mlp(&tower, index);
        snprintf(name, sizeof name, "vision.block.%zu", index);
        show(&tower, name, tower.x, tower.N, tower.E);
    }
    if (!code) code = merge_patches(&tower, embeds, config->vision.out_hidden, err);
    if (!code) show(&tower, "vision_embeds", embeds, tower.order.cell_count, config->vision.out_hidden);
    strata_tower_free(&tower);
    return code;
}
