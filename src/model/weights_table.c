/* The one description of Qwen2.5-VL's tensors: every name, shape and place. Names and order: transformers'
 * Qwen2_5_VLForConditionalGeneration as published on the hub (vision tower, language model, head). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/weights_pieces.h"

#define ROWS_PER_BLOCK 12 /* tensors of a vision block; of a decoder layer too */

struct builder {
    struct strata_weight_row *rows;
    size_t count;
    enum strata_weight_group group;
    bool placed;     /* pointers into real weights, not into a stand-in */
    char prefix[48]; /* of the names of the block or layer at hand */
};

/* Hugging Face Trainer's rule (get_decay_parameter_names), by name. `norm1`, `norm2` and `ln_q` escape its patterns and
 * are decayed there, so they are here. */
static bool decays(const char *name) {
    return !strstr(name, "bias") && !strstr(name, "layernorm") && !strstr(name, ".norm.");
}

static struct strata_weight_row *add_row(struct builder *builder, const char *name) {
    struct strata_weight_row *row = &builder->rows[builder->count++];
    *row = (struct strata_weight_row){.group = builder->group};
    snprintf(row->name, sizeof row->name, "%s%s", builder->prefix, name);
    row->decay = decays(row->name);
    return row;
}

static struct strata_weight_row *add_matrix(struct builder *builder, struct strata_matrix *matrix, size_t first_row,
                                            const size_t shape[2], const char *name) {
    struct strata_weight_row *row = add_row(builder, name);
    row->rank = 2;
    row->shape[0] = shape[0];
    row->shape[1] = shape[1];
    row->matrix = builder->placed ? matrix : NULL;
    row->first_row = first_row;
    return row;
}

static void add_vector(struct builder *builder, float *vector, size_t first, size_t count, const char *name) {
    struct strata_weight_row *row = add_row(builder, name);
    row->rank = 1;
    row->shape[0] = count;
    row->vector = builder->placed && vector ? vector + first : NULL;
}

#define SHAPE(rows, columns) ((const size_t[2]){(rows), (columns)})

static void add_block(struct builder *builder, struct strata_vision_block *block,
                      const struct strata_vision_config *config, size_t i) {
    const size_t E = config->hidden, F = config->intermediate;
    snprintf(builder->prefix, sizeof builder->prefix, "visual.blocks.%zu.", i);
    add_vector(builder, block->norm1, 0, E, "norm1.weight");
    add_vector(builder, block->norm2, 0, E, "norm2.weight");
    add_matrix(builder, &block->query_key_value, 0, SHAPE(3 * E, E), "attn.qkv.weight");
    add_vector(builder, block->query_key_value_bias, 0, 3 * E, "attn.qkv.bias");
    add_matrix(builder, &block->output, 0, SHAPE(E, E), "attn.proj.weight");
    add_vector(builder, block->output_bias, 0, E, "attn.proj.bias");
    add_matrix(builder, &block->gate_up, 0, SHAPE(F, E), "mlp.gate_proj.weight");
    add_vector(builder, block->gate_up_bias, 0, F, "mlp.gate_proj.bias");
    add_matrix(builder, &block->gate_up, F, SHAPE(F, E), "mlp.up_proj.weight");
    add_vector(builder, block->gate_up_bias, F, F, "mlp.up_proj.bias");
    add_matrix(builder, &block->down, 0, SHAPE(E, F), "mlp.down_proj.weight");
    add_vector(builder, block->down_bias, 0, E, "mlp.down_proj.bias");
}

static size_t patch_values(const struct strata_vision_config *config) {
    return config->channels * config->temporal_patch_size * config->patch_size * config->patch_size;
}

static void add_vision(struct builder *builder, struct strata_weights *weights,
                       const struct strata_vision_config *config) {
    const size_t E = config->hidden, G = config->merge_size * config->merge_size * E, P = patch_values(config);
    struct strata_vision_block stand_in = {0};
    builder->group = STRATA_GROUP_VISION;
    struct strata_weight_row *patch =
        add_matrix(builder, &weights->patch_embedding, 0, SHAPE(E, P), "visual.patch_embed.proj.weight");
    const size_t shape[5] = {E, config->channels, config->temporal_patch_size, config->patch_size, config->patch_size};
    patch->rank = 5;
    memcpy(patch->shape, shape, sizeof shape);
    for (size_t i = 0; i < config->depth; i++)
        add_block(builder, weights->blocks ? &weights->blocks[i] : &stand_in, config, i);
    builder->group = STRATA_GROUP_MERGER;
    builder->prefix[0] = 0;
    add_vector(builder, weights->merger_norm, 0, E, "visual.merger.ln_q.weight");
    add_matrix(builder, &weights->merger_up, 0, SHAPE(G, G), "visual.merger.mlp.0.weight");
    add_vector(builder, weights->merger_up_bias, 0, G, "visual.merger.mlp.0.bias");
    add_matrix(builder, &weights->merger_down, 0, SHAPE(config->out_hidden, G), "visual.merger.mlp.2.weight");
    add_vector(builder, weights->merger_down_bias, 0, config->out_hidden, "visual.merger.mlp.2.bias");
}

static void add_layer(struct builder *builder, struct strata_decoder_layer *layer,
                      const struct strata_text_config *config, size_t i) {
    const size_t C = config->hidden, F = config->intermediate;
    const size_t Q = config->heads * config->head_size, KV = config->kv_heads * config->head_size;
    struct strata_matrix *qkv = &layer->query_key_value;
    snprintf(builder->prefix, sizeof builder->prefix, "model.layers.%zu.", i);
    add_matrix(builder, qkv, 0, SHAPE(Q, C), "self_attn.q_proj.weight");
    add_vector(builder, layer->query_key_value_bias, 0, Q, "self_attn.q_proj.bias");
    add_matrix(builder, qkv, Q, SHAPE(KV, C), "self_attn.k_proj.weight");
    add_vector(builder, layer->query_key_value_bias, Q, KV, "self_attn.k_proj.bias");
    add_matrix(builder, qkv, Q + KV, SHAPE(KV, C), "self_attn.v_proj.weight");
    add_vector(builder, layer->query_key_value_bias, Q + KV, KV, "self_attn.v_proj.bias");
    add_matrix(builder, &layer->output, 0, SHAPE(C, Q), "self_attn.o_proj.weight");
    add_matrix(builder, &layer->gate_up, 0, SHAPE(F, C), "mlp.gate_proj.weight");
    add_matrix(builder, &layer->gate_up, F, SHAPE(F, C), "mlp.up_proj.weight");
    add_matrix(builder, &layer->down, 0, SHAPE(C, F), "mlp.down_proj.weight");
    add_vector(builder, layer->input_norm, 0, C, "input_layernorm.weight");
    add_vector(builder, layer->post_norm, 0, C, "post_attention_layernorm.weight");
}

static void add_language(struct builder *builder, struct strata_weights *weights,
                         const struct strata_text_config *config) {
    const size_t V = config->vocabulary, C = config->hidden;
    struct strata_decoder_layer stand_in = {0};
    builder->group = STRATA_GROUP_LANGUAGE;
    add_matrix(builder, &weights->embedding, 0, SHAPE(V, C), "model.embed_tokens.weight");
    for (size_t i = 0; i < config->layers; i++)
        add_layer(builder, weights->layers ? &weights->layers[i] : &stand_in, config, i);
    builder->prefix[0] = 0;
    add_vector(builder, weights->final_norm, 0, C, "model.norm.weight");
    if (!config->tied) add_matrix(builder, &weights->head, 0, SHAPE(V, C), "lm_head.weight");
}

int strata_weights_table(struct strata_weight_row **rows, size_t *count, const struct strata_model_config *config,
                         struct strata_weights *weights, struct strata_error *err) {
    struct strata_weights stand_in = {0};
    struct builder builder = {.placed = weights != NULL};
    size_t total = ROWS_PER_BLOCK * (config->vision.depth + config->text.layers) + 6 + 2 + (config->text.tied ? 0 : 1);
    *rows = NULL;
    *count = 0;
    int code = strata_alloc(&builder.rows, total, sizeof *builder.rows, err);
    if (code) return code;
    add_vision(&builder, weights ? weights : &stand_in, &config->vision);
    add_language(&builder, weights ? weights : &stand_in, &config->text);
    *rows = builder.rows;
    *count = builder.count;
    return STRATA_OK;
}

size_t strata_weight_row_count(const struct strata_weight_row *row) {
    size_t count = 1;
    for (size_t i = 0; i < row->rank; i++) count *= row->shape[i];
    return count;
}

/* Allocation: the first failure stays in code, later calls do nothing. */
struct maker {
    enum strata_weight_type type; /* of the matrices at hand */
    strata_matrix_maker *make;
    size_t bytes;
    int code;
    struct strata_error *err;
};

static void make_matrix(struct maker *maker, struct strata_matrix *matrix, size_t N, size_t K) {
    if (!maker->code) maker->code = maker->make(matrix, maker->type, N, K, maker->err);
    maker->bytes += matrix->bytes;
}

static void make_vector(struct maker *maker, float **vector, size_t count) {
    if (!maker->code) maker->code = strata_alloc_aligned(vector, count, sizeof **vector, maker->err);
    if (maker->code) return;
    memset(*vector, 0, count * sizeof **vector);
    maker->bytes += count * sizeof **vector;
}

static void make_layer(struct maker *maker, struct strata_decoder_layer *layer,
                       const struct strata_text_config *config) {
    const size_t C = config->hidden, F = config->intermediate;
    const size_t Q = config->heads * config->head_size, KV = config->kv_heads * config->head_size;
    make_vector(maker, &layer->input_norm, C);
    make_matrix(maker, &layer->query_key_value, Q + 2 * KV, C);
    make_vector(maker, &layer->query_key_value_bias, Q + 2 * KV);
    make_matrix(maker, &layer->output, C, Q);
    make_vector(maker, &layer->post_norm, C);
    make_matrix(maker, &layer->gate_up, 2 * F, C);
    make_matrix(maker, &layer->down, C, F);
}

static void make_block(struct maker *maker, struct strata_vision_block *block,
                       const struct strata_vision_config *config) {
    const size_t E = config->hidden, F = config->intermediate;
    make_vector(maker, &block->norm1, E);
    make_vector(maker, &block->norm2, E);
    make_matrix(maker, &block->query_key_value, 3 * E, E);
    make_vector(maker, &block->query_key_value_bias, 3 * E);
    make_matrix(maker, &block->output, E, E);
    make_vector(maker, &block->output_bias, E);
    make_matrix(maker, &block->gate_up, 2 * F, E);
    make_vector(maker, &block->gate_up_bias, 2 * F);
    make_matrix(maker, &block->down, E, F);
    make_vector(maker, &block->down_bias, E);
}

static size_t count_parameters(const struct strata_weight_row *rows, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += strata_weight_row_count(&rows[i]);
    return total;
}

int strata_weights_create(struct strata_weights *out, const struct strata_model_config *config,
                          enum strata_weight_type type, struct strata_error *err) {
    return strata_weights_make(out, config, type, strata_matrix_create, err);
}

int strata_weights_make(struct strata_weights *out, const struct strata_model_config *config,
                        enum strata_weight_type type, strata_matrix_maker *make, struct strata_error *err) {
    const struct strata_text_config *text = &config->text;
    const struct strata_vision_config *vision = &config->vision;
    const size_t E = vision->hidden, G = vision->merge_size * vision->merge_size * E;
    struct maker maker = {.type = type, .make = make, .err = err};
    struct strata_weight_row *rows = NULL;
    size_t count = 0;
    *out = (struct strata_weights){0};
    maker.code = strata_alloc(&out->layers, text->layers, sizeof *out->layers, err);
    if (!maker.code) maker.code = strata_alloc(&out->blocks, vision->depth, sizeof *out->blocks, err);
    make_matrix(&maker, &out->embedding, text->vocabulary, text->hidden);
    for (size_t i = 0; !maker.code && i < text->layers; i++) make_layer(&maker, &out->layers[i], text);
    make_vector(&maker, &out->final_norm, text->hidden);
    if (!text->tied) make_matrix(&maker, &out->head, text->vocabulary, text->hidden);
    /* The tower and the merger run once an image, on many rows: int8 would save nothing there. */
    if (type == STRATA_WEIGHT_INT8) maker.type = STRATA_WEIGHT_BF16;
    make_matrix(&maker, &out->patch_embedding, E, patch_values(vision));
    for (size_t i = 0; !maker.code && i < vision->depth; i++) make_block(&maker, &out->blocks[i], vision);
    make_vector(&maker, &out->merger_norm, E);
    make_matrix(&maker, &out->merger_up, G, G);
    make_vector(&maker, &out->merger_up_bias, G);
    make_matrix(&maker, &out->merger_down, vision->out_hidden, G);
    make_vector(&maker, &out->merger_down_bias, vision->out_hidden);
    if (!maker.code) maker.code = strata_weights_table(&rows, &count, config, NULL, err);
    if (maker.code) {
        strata_weights_free(out, config);
        return maker.code;
    }
    out->parameters = count_parameters(rows, count);
    out->packed_bytes = maker.bytes;
    free(rows);
    return STRATA_OK;
}

static void free_layer(struct strata_decoder_layer *layer) {
    free(layer->input_norm);
    free(layer->query_key_value_bias);
    free(layer->post_norm);
    strata_matrix_free(&layer->query_key_value);
    strata_matrix_free(&layer->output);
    strata_matrix_free(&layer->gate_up);
    strata_matrix_free(&layer->down);
}

static void free_block(struct strata_vision_block *block) {
    free(block->norm1);
    free(block->norm2);
    free(block->query_key_value_bias);
    free(block->output_bias);
    free(block->gate_up_bias);
    free(block->down_bias);
    strata_matrix_free(&block->query_key_value);
    strata_matrix_free(&block->output);
    strata_matrix_free(&block->gate_up);
    strata_matrix_free(&block->down);
}

void strata_weights_free(struct strata_weights *weights, const struct strata_model_config *config) {
    for (size_t i = 0; weights->layers && i < config->text.layers; i++) free_layer(&weights->layers[i]);
    for (size_t i = 0; weights->blocks && i < config->vision.depth; i++) free_block(&weights->blocks[i]);
    free(weights->layers);
    free(weights->blocks);
    free(weights->final_norm);
    free(weights->merger_norm);
    free(weights->merger_up_bias);
    free(weights->merger_down_bias);
    strata_matrix_free(&weights->embedding);
    strata_matrix_free(&weights->head);
    strata_matrix_free(&weights->patch_embedding);
    strata_matrix_free(&weights->merger_up);
    strata_matrix_free(&weights->merger_down);
    strata_map_close(&weights->map);
    *weights = (struct strata_weights){0};
}
