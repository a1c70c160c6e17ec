#include "model/gradient.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/huge_pages.h"
#include "base/memory.h"

/* Takes pieces of one block: first with block NULL, which only counts. */
struct carver {
    float *block;
    size_t used;
};
static float *take(struct carver *carver, bool wanted, size_t count) {
    if (!wanted) return NULL;
    float *piece = carver->block ? carver->block + carver->used : NULL;
    /* Each on a cache line of its own. Sizes of a checked config do not overflow. */
    carver->used += (count + STRATA_ALIGNMENT / sizeof(float) - 1) & ~(STRATA_ALIGNMENT / sizeof(float) - 1);
    return piece;
}

static void carve_layer(struct carver *carver, struct strata_layer_gradients *layer,
                        const struct strata_text_config *text, bool wanted) {
    const size_t C = text->hidden, F = text->intermediate;
    const size_t Q = text->heads * text->head_size, rows = Q + 2 * text->kv_heads * text->head_size;
    layer->input_norm = take(carver, wanted, C);
    layer->query_key_value = take(carver, wanted, rows * C);
    layer->query_key_value_bias = take(carver, wanted, rows);
    layer->output = take(carver, wanted, C * Q);
    layer->post_norm = take(carver, wanted, C);
    layer->gate_up = take(carver, wanted, 2 * F * C);
    layer->down = take(carver, wanted, C * F);
}

static void carve_block(struct carver *carver, struct strata_block_gradients *block,
                        const struct strata_vision_config *vision, bool wanted) {
    const size_t E = vision->hidden, I = vision->intermediate;
    block->norm1 = take(carver, wanted, E);
    block->norm2 = take(carver, wanted, E);
    block->query_key_value = take(carver, wanted, 3 * E * E);
    block->query_key_value_bias = take(carver, wanted, 3 * E);
    block->output = take(carver, wanted, E * E);
    block->output_bias = take(carver, wanted, E);
    block->gate_up = take(carver, wanted, 2 * I * E);
    block->gate_up_bias = take(carver, wanted, 2 * I);
    block->down = take(carver, wanted, E * I);
    block->down_bias = take(carver, wanted, E);
}

static void carve(struct carver *carver, struct strata_gradients *g, const struct strata_model_config *config,
                  const bool trained[3]) {
    const struct strata_text_config *text = &config->text;
    const struct strata_vision_config *vision = &config->vision;
    const size_t E = vision->hidden, G = vision->merge_size * vision->merge_size * E;
    const size_t P = vision->channels * vision->temporal_patch_size * vision->patch_size * vision->patch_size;
    const bool language = trained[STRATA_GROUP_LANGUAGE], merger = trained[STRATA_GROUP_MERGER];
    g->embedding = take(carver, language, text->vocabulary * text->hidden);
    for (size_t i = 0; i < text->layers; i++) carve_layer(carver, &g->layers[i], text, language);
    g->final_norm = take(carver, language, text->hidden);
    g->head = take(carver, language && !text->tied, text->vocabulary * text->hidden);
    g->patch_embedding = take(carver, trained[STRATA_GROUP_VISION], E * P);
    for (size_t i = 0; i < vision->depth; i++) carve_block(carver, &g->blocks[i], vision, trained[STRATA_GROUP_VISION]);
    g->merger_norm = take(carver, merger, E);
    g->merger_up = take(carver, merger, G * G);
    g->merger_up_bias = take(carver, merger, G);
    g->merger_down = take(carver, merger, vision->out_hidden * G);
    g->merger_down_bias = take(carver, merger, vision->out_hidden);
}

/* rows[i]: the table is asked where tensor i would stand in weights whose memory were the gradients. */
static void stand_in(struct strata_matrix *matrix, float *gradient, size_t K) {
    matrix->panels = gradient;
    matrix->K = K;
}
static int fill_rows(struct strata_gradients *g, const struct strata_model_config *config, struct strata_error *err) {
    const struct strata_text_config *text = &config->text;
    const struct strata_vision_config *vision = &config->vision;
    const size_t C = text->hidden, E = vision->hidden, G = vision->merge_size * vision->merge_size * E;
    struct strata_weights weights = {.final_norm = g->final_norm,
                                     .merger_norm = g->merger_norm,
                                     .merger_up_bias = g->merger_up_bias,
                                     .merger_down_bias = g->merger_down_bias};
    struct strata_weight_row *table = NULL;
    int code = strata_alloc(&weights.layers, text->layers, sizeof *weights.layers, err);
    if (!code) code = strata_alloc(&weights.blocks, vision->depth, sizeof *weights.blocks, err);
    stand_in(&weights.embedding, g->embedding, C);
    stand_in(&weights.head, g->head, C);
    stand_in(&weights.patch_embedding, g->patch_embedding, 0); /* one tensor from row 0 */
    stand_in(&weights.merger_up, g->merger_up, G);
    stand_in(&weights.merger_down, g->merger_down, G);
    for (size_t i = 0; !code && i < text->layers; i++) {
        const struct strata_layer_gradients *from = &g->layers[i];
        struct strata_decoder_layer *to = &weights.layers[i];
        to->input_norm = from->input_norm;
        to->query_key_value_bias = from->query_key_value_bias;
        to->post_norm = from->post_norm;
        stand_in(&to->query_key_value, from->query_key_value, C);
        stand_in(&to->output, from->output, text->heads * text->head_size);
        stand_in(&to->gate_up, from->gate_up, C);
        stand_in(&to->down, from->down, text->intermediate);
    }
    for (size_t i = 0; !code && i < vision->depth; i++) {
        const struct strata_block_gradients *from = &g->blocks[i];
        struct strata_vision_block *to = &weights.blocks[i];
        to->norm1 = from->norm1;
        to->norm2 = from->norm2;
        to->query_key_value_bias = from->query_key_value_bias;
        to->output_bias = from->output_bias;
        to->gate_up_bias = from->gate_up_bias;
        to->down_bias = from->down_bias;
        stand_in(&to->query_key_value, from->query_key_value, E);
        stand_in(&to->output, from->output, E);
        stand_in(&to->gate_up, from->gate_up, E);
        stand_in(&to->down, from->down, vision->intermediate);
    }
    if (!code) code = strata_weights_table(&table, &g->row_count, config, &weights, err);
    if (!code) code = strata_alloc(&g->rows, g->row_count, sizeof *g->rows, err);
    for (size_t i = 0; !code && i < g->row_count; i++) {
        const struct strata_matrix *matrix = table[i].matrix;
        float *gradient = matrix ? matrix->panels : table[i].vector;
        g->rows[i] = matrix && gradient ? gradient + table[i].first_row * matrix->K : gradient;
    }
    free(table);
    free(weights.layers);
    free(weights.blocks);
    return code;
}

int strata_gradients_create(struct strata_gradients *out, const struct strata_model_config *config,
                            const bool trained[3], struct strata_error *err) {
    struct carver carver = {0};
    *out = (struct strata_gradients){0};
    int code = strata_alloc(&out->layers, config->text.layers, sizeof *out->layers, err);
    if (!code) code = strata_alloc(&out->blocks, config->vision.depth, sizeof *out->blocks, err);
    if (!code) {
        carve(&carver, out, config, trained);
        out->count = carver.used;
        code = strata_alloc_huge(&out->values, out->count * sizeof *out->values, err);
    }
    if (!code) {
        strata_gradients_zero(out);
        carver = (struct carver){.block = out->values};
        carve(&carver, out, config, trained);
        code = fill_rows(out, config, err);
    }
    if (code) strata_gradients_free(out);
    return code;
}

void strata_gradients_zero(struct strata_gradients *gradients) {
    memset(gradients->values, 0, gradients->count * sizeof *gradients->values);
}

void strata_gradients_free(struct strata_gradients *gradients) {
    free(gradients->layers);
    free(gradients->blocks);
    free(gradients->rows);
    free(gradients->values);
    *gradients = (struct strata_gradients){0};
}

#define NORM_PIECE ((size_t)1 << 16)

struct squares {
    const struct strata_gradients *gradients;
    double *sums; /* one per piece */
};

static void squares_task(void *context, size_t index, size_t worker) {
    const struct squares *squares = context;
    const size_t begin = index * NORM_PIECE, left = squares->gradients->count - begin;
    const float *x = squares->gradients->values + begin;
    double sums[8] = {0};
    (void)worker;
    for (size_t i = 0; i < (left < NORM_PIECE ? left : NORM_PIECE); i++) sums[i % 8] += (double)x[i] * (double)x[i];
    squares->sums[index] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

int strata_gradients_norm(double *out, const struct strata_gradients *gradients, struct strata_threads *threads,
                          struct strata_error *err) {
    const size_t pieces = (gradients->count + NORM_PIECE - 1) / NORM_PIECE;
    struct squares squares = {.gradients = gradients};
    double sum = 0.0;
    int code = strata_alloc(&squares.sums, pieces, sizeof *squares.sums, err);
    if (code) return code;
    strata_threads_run(threads, pieces, squares_task, &squares);
    for (size_t i = 0; i < pieces; i++) sum += squares.sums[i];
    free(squares.sums);
    *out = sqrt(sum);
    return STRATA_OK;
}
