/* Backward of the vision tower. The forward runs once more and keeps every block's input; the inside of a block is
 * computed again when its turn comes. Everything stands in window order between patch embedding and merger. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/backward.h"
#include "model/vision_private.h"
#include "model/vision_tape.h"

/* Beside the tower's own: M cells, G = merge^2 * E, O out_hidden. */
struct keep {
    struct strata_tower tower;
    float *inputs;                       /* (depth+1, N, E): of every block, and of the merger */
    float *middle, *dx, *dnormed;        /* (N, E) */
    float *dattention, *dqkv;            /* (N, E), (N, 3E) */
    float *rstd, *delta;                 /* (N), (N, H) */
    float *dinner;                       /* (chunk, I) */
    float *up, *activated, *drows;       /* (M, G), (M, G), (M, O) */
    struct strata_attention_span *spans; /* (windows) */
    size_t M, G, O;
};

static void keep_free(struct keep *keep) {
    strata_tower_free(&keep->tower);
    free(keep->inputs);
    free(keep->middle);
    free(keep->dx);
    free(keep->dnormed);
    free(keep->dattention);
    free(keep->dqkv);
    free(keep->rstd);
    free(keep->delta);
    free(keep->dinner);
    free(keep->up);
    free(keep->activated);
    free(keep->drows);
    free(keep->spans);
}

static int keep_open(struct keep *keep, struct strata_grid grid, const struct strata_model_config *config,
                     const struct strata_weights *weights, const struct strata_compute *compute,
                     struct strata_error *err) {
    *keep = (struct keep){0};
    struct strata_tower *tower = &keep->tower;
    int code = strata_tower_open(tower, grid, config, weights, compute, err);
    if (code) return code;
    const size_t N = tower->N, E = tower->E, cell = config->vision.merge_size * config->vision.merge_size;
    keep->M = tower->order.cell_count;
    keep->G = cell * E;
    keep->O = config->vision.out_hidden;
    struct {
        void *pointer;
        size_t rows, columns;
    } arrays[] = {{&keep->inputs, (config->vision.depth + 1) * N, E},
                  {&keep->middle, N, E},
                  {&keep->dx, N, E},
                  {&keep->dnormed, N, E},
                  {&keep->dattention, N, E},
                  {&keep->dqkv, N, 3 * E},
                  {&keep->rstd, N, 1},
                  {&keep->delta, N, tower->H},
                  {&tower->logsumexp, N, tower->H},
                  {&keep->dinner, STRATA_VISION_ROWS, tower->I},
                  {&keep->up, keep->M, keep->G},
                  {&keep->activated, keep->M, keep->G},
                  {&keep->drows, keep->M, keep->O}};
    for (size_t i = 0; !code && i < sizeof arrays / sizeof *arrays; i++)
        code = strata_alloc_aligned(arrays[i].pointer, arrays[i].rows, arrays[i].columns * sizeof(float), err);
    if (!code) code = strata_alloc(&keep->spans, tower->order.windows, sizeof *keep->spans, err);
    return code;
}

size_t strata_vision_backward_bytes(const struct strata_model_config *config, struct strata_grid grid) {
    const struct strata_vision_config *vision = &config->vision;
    const size_t N = (size_t)grid.rows * grid.columns, E = vision->hidden,
                 cell = vision->merge_size * vision->merge_size;
    /* The tower's own (x, normed, attention, query_key_value, tables), then what keep_open adds; pages about 2 N E. */
    const size_t tower = N * (6 * E + E / vision->heads) + STRATA_VISION_ROWS * 3 * vision->intermediate + 2 * N * E;
    const size_t kept = N * ((vision->depth + 1) * E + 7 * E + 1 + 2 * vision->heads) +
                        STRATA_VISION_ROWS * vision->intermediate + 2 * N * E + N / cell * vision->out_hidden;
    return (tower + kept) * sizeof(float);
}

/* Forward: normed = rmsnorm(x);  up = cells(normed) W1^T + b1;  rows = gelu(up) W2^T + b2;  embeds[cells[i]] = rows[i]
 */
static void merger_backward(struct keep *keep, struct strata_gradients *g, const float *dembeds, const float *x) {
    const struct strata_tower *tower = &keep->tower;
    const struct strata_weights *weights = tower->weights;
    const struct strata_compute *compute = tower->compute;
    const size_t N = tower->N, E = tower->E, M = keep->M, G = keep->G, O = keep->O;
    strata_rmsnorm_forward(compute, tower->normed, keep->rstd, x, weights->merger_norm, STRATA_VISION_EPS, N, E);
    strata_linear_forward(compute, keep->up, G, tower->normed, G, &weights->merger_up, weights->merger_up_bias, M,
                          false);
    strata_gelu_forward(compute, keep->activated, keep->up, M * G);
    for (size_t i = 0; i < M; i++)
        memcpy(keep->drows + i * O, dembeds + tower->order.cells[i] * O, O * sizeof *dembeds);
    strata_bias_backward(compute, g->merger_down_bias, keep->drows, O, M, O);
    strata_linear_backward_weight(compute, g->merger_down, keep->drows, O, keep->activated, G,
                                  weights->merger_down.type, M, O, G);
    strata_linear_backward_input(compute, keep->activated, G, keep->drows, O, &weights->merger_down, M, false);
    strata_gelu_backward(compute, keep->activated, keep->activated, keep->up, M * G);
    strata_bias_backward(compute, g->merger_up_bias, keep->activated, G, M, G);
    strata_linear_backward_weight(compute, g->merger_up, keep->activated, G, tower->normed, G, weights->merger_up.type,
                                  M, G, G);
    strata_linear_backward_input(compute, keep->dnormed, G, keep->activated, G, &weights->merger_up, M, false);
    strata_rmsnorm_backward(compute, keep->dx, g->merger_norm, keep->dnormed, x, keep->rstd, weights->merger_norm, N, E,
                            false);
}

/* Forward: normed = rmsnorm(middle, norm2);  gate_up = normed Wgu^T + b;  x' = middle + swiglu(gate_up) Wd^T + b */
static void mlp_backward(struct keep *keep, const struct strata_block_gradients *g, size_t index) {
    const struct strata_tower *tower = &keep->tower;
    const struct strata_vision_block *weights = &tower->weights->blocks[index];
    const struct strata_compute *compute = tower->compute;
    const size_t N = tower->N, E = tower->E, I = tower->I;
    float *gate_up = tower->gate_up;
    strata_rmsnorm_forward(compute, tower->normed, keep->rstd, keep->middle, weights->norm2, STRATA_VISION_EPS, N, E);
    for (size_t row = 0; row < N; row += STRATA_VISION_ROWS) {
        const size_t rows = N - row < STRATA_VISION_ROWS ? N - row : STRATA_VISION_ROWS;
        float *dx = keep->dx + row * E;
        const float *normed = tower->normed + row * E;
        strata_linear_forward(compute, gate_up, 2 * I, normed, E, &weights->gate_up, weights->gate_up_bias, rows,
                              false);
        strata_swiglu_forward(compute, tower->inner, I, gate_up, 2 * I, gate_up + I, 2 * I, rows, I);
        strata_bias_backward(compute, g->down_bias, dx, E, rows, E);
        strata_linear_backward_weight(compute, g->down, dx, E, tower->inner, I, weights->down.type, rows, E, I);
        strata_linear_backward_input(compute, keep->dinner, I, dx, E, &weights->down, rows, false);
        strata_swiglu_backward(compute, gate_up, gate_up + I, 2 * I, keep->dinner, I, gate_up, gate_up + I, 2 * I, rows,
                               I);
        strata_bias_backward(compute, g->gate_up_bias, gate_up, 2 * I, rows, 2 * I);
        strata_linear_backward_weight(compute, g->gate_up, gate_up, 2 * I, normed, E, weights->gate_up.type, rows,
                                      2 * I, E);
        strata_linear_backward_input(compute, keep->dnormed + row * E, E, gate_up, 2 * I, &weights->gate_up, rows,
                                     false);
    }
    strata_rmsnorm_backward(compute, keep->dx, g->norm2, keep->dnormed, keep->middle, keep->rstd, weights->norm2, N, E,
                            true);
}

/* Forward: qkv = rope(rmsnorm(x, norm1) W^T + b);  attention in segments;  middle = x + attention Wo^T + bo */
static void attention_backward(struct keep *keep, const struct strata_block_gradients *g, size_t index,
                               const float *x) {
    const struct strata_tower *tower = &keep->tower;
    const struct strata_vision_block *weights = &tower->weights->blocks[index];
    const struct strata_compute *compute = tower->compute;
    const size_t N = tower->N, E = tower->E, H = tower->H, D = tower->D;
    size_t segments;
    const uint32_t *bounds = strata_tower_bounds(tower, index, &segments);
    float *dqkv = keep->dqkv;
    for (size_t i = 0; i < segments; i++)
        keep->spans[i] = (struct strata_attention_span){.first = bounds[i], .rows = bounds[i + 1] - bounds[i]};
    strata_bias_backward(compute, g->output_bias, keep->dx, E, N, E);
    strata_linear_backward_weight(compute, g->output, keep->dx, E, tower->attention, E, weights->output.type, N, E, E);
    strata_linear_backward_input(compute, keep->dattention, E, keep->dx, E, &weights->output, N, false);
    const struct strata_attention_backward call = {.dquery = dqkv,
                                                   .dkey = dqkv + E,
                                                   .dvalue = dqkv + 2 * E,
                                                   .d_stride = 3 * E,
                                                   .query = tower->query_key_value,
                                                   .key = tower->query_key_value + E,
                                                   .value = tower->query_key_value + 2 * E,
                                                   .stride = 3 * E,
                                                   .out = tower->attention,
                                                   .dout = keep->dattention,
                                                   .logsumexp = tower->logsumexp,
                                                   .delta = keep->delta,
                                                   .spans = keep->spans,
                                                   .count = segments,
                                                   .H = H,
                                                   .G = H,
                                                   .D = D,
                                                   .scale = 1.0f / __builtin_sqrtf((float)D)};
    strata_attention_backward(compute, &call);
    strata_rope_backward(compute, dqkv, 3 * E, tower->cosines, tower->sines, N, H, D);
    strata_rope_backward(compute, dqkv + E, 3 * E, tower->cosines, tower->sines, N, H, D);
    strata_bias_backward(compute, g->query_key_value_bias, dqkv, 3 * E, N, 3 * E);
    strata_rmsnorm_forward(compute, tower->normed, keep->rstd, x, weights->norm1, STRATA_VISION_EPS, N, E);
    strata_linear_backward_weight(compute, g->query_key_value, dqkv, 3 * E, tower->normed, E,
                                  weights->query_key_value.type, N, 3 * E, E);
    strata_linear_backward_input(compute, keep->dnormed, E, dqkv, 3 * E, &weights->query_key_value, N, false);
    strata_rmsnorm_backward(compute, keep->dx, g->norm1, keep->dnormed, x, keep->rstd, weights->norm1, N, E, true);
}

/* Forward: x = patches W^T, then cells go to window order. */
static void embed_backward(struct keep *keep, struct strata_gradients *g, const float *patches) {
    const struct strata_tower *tower = &keep->tower;
    const struct strata_matrix *embedding = &tower->weights->patch_embedding;
    for (size_t i = 0; i < keep->M; i++)
        memcpy(keep->dnormed + tower->order.cells[i] * keep->G, keep->dx + i * keep->G, keep->G * sizeof *keep->dx);
    strata_linear_backward_weight(tower->compute, g->patch_embedding, keep->dnormed, tower->E, patches, embedding->K,
                                  embedding->type, tower->N, tower->E, embedding->K);
}

int strata_vision_backward(struct strata_gradients *gradients, const float *dembeds, const float *patches,
                           struct strata_grid grid, const struct strata_model_config *config,
                           const struct strata_weights *weights, const struct strata_compute *compute,
                           struct strata_error *err) {
    struct keep keep;
    int code = keep_open(&keep, grid, config, weights, compute, err);
    if (code) {
        keep_free(&keep);
        return code;
    }
    struct strata_tower *tower = &keep.tower;
    const size_t depth = config->vision.depth, floats = tower->N * tower->E;
    strata_tower_embed(tower, patches);
    for (size_t index = 0; index < depth; index++) {
        memcpy(keep.inputs + index * floats, tower->x, floats * sizeof *tower->x);
        strata_tower_attention(tower, index);
        strata_tower_mlp(tower, index);
    }
    memcpy(keep.inputs + depth * floats, tower->x, floats * sizeof *tower->x);
    merger_backward(&keep, gradients, dembeds, keep.inputs + depth * floats);
    for (size_t index = gradients->patch_embedding ? depth : 0; index-- > 0;) {
        const float *x = keep.inputs + index * floats;
        memcpy(tower->x, x, floats * sizeof *x);
        strata_tower_attention(tower, index);
        memcpy(keep.middle, tower->x, floats * sizeof *x);
        mlp_backward(&keep, &gradients->blocks[index], index);
        attention_backward(&keep, &gradients->blocks[index], index, x);
    }
    if (gradients->patch_embedding) embed_backward(&keep, gradients, patches);
    keep_free(&keep);
    return STRATA_OK;
}
