#include "model/decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/rotary.h"

/* Dimensions: T rows of this call, C hidden, H query heads, G key/value heads, D head size, F intermediate, L layers,
 * V vocabulary. Q = H*D, KV = G*D. */

struct strata_decoder {
    const struct strata_model_config *config;
    const struct strata_weights *weights;
    const struct strata_compute *compute;
    struct strata_key_value *memory;
    size_t max_rows, max_items;
    double *frequencies;                /* (D/2) */
    float *cosines, *sines;             /* (T, D/2) */
    float *normed;                      /* (T, C) */
    float *query_key_value;             /* (T, Q+2KV) */
    float *attention, *ignored;         /* (T, Q) */
    float *gate_up, *inner;             /* (T, 2F), (T, F) */
    struct strata_attention_rows *rows; /* (2*max_items): an item with a map takes two */
    void **pages;                       /* page addresses of one layer, all items */
    size_t page_capacity;
    float *mass_scratch;
    size_t mass_capacity;
};

size_t strata_decoder_workspace_bytes(const struct strata_model_config *config, size_t max_rows) {
    const struct strata_text_config *text = &config->text;
    size_t Q = text->heads * text->head_size, KV = text->kv_heads * text->head_size;
    return max_rows * (text->head_size + text->hidden + 3 * Q + 2 * KV + 3 * text->intermediate) * sizeof(float);
}

void strata_decoder_destroy(struct strata_decoder *decoder) {
    if (!decoder) return;
    free(decoder->frequencies);
    free(decoder->cosines);
    free(decoder->sines);
    free(decoder->normed);
    free(decoder->query_key_value);
    free(decoder->attention);
    free(decoder->ignored);
    free(decoder->gate_up);
    free(decoder->inner);
    free(decoder->rows);
    free(decoder->pages);
    free(decoder->mass_scratch);
    free(decoder);
}

int strata_decoder_create(struct strata_decoder **out, const struct strata_model_config *config,
                          const struct strata_weights *weights, const struct strata_compute *compute,
                          struct strata_key_value *memory, size_t max_rows, size_t max_items,
                          struct strata_error *err) {
    const struct strata_text_config *text = &config->text;
    size_t half = text->head_size / 2, Q = text->heads * text->head_size, KV = text->kv_heads * text->head_size;
    struct strata_decoder *decoder;
    *out = NULL;
    int code = strata_alloc(&decoder, 1, sizeof *decoder, err);
    if (code) return code;
    decoder->config = config;
    decoder->weights = weights;
    decoder->compute = compute;
    decoder->memory = memory;
    decoder->max_rows = max_rows;
    decoder->max_items = max_items;
    struct {
        void *pointer;
        size_t columns;
    } arrays[] = {{&decoder->cosines, half},
                  {&decoder->sines, half},
                  {&decoder->normed, text->hidden},
                  {&decoder->query_key_value, Q + 2 * KV},
                  {&decoder->attention, Q},
                  {&decoder->ignored, Q},
                  {&decoder->gate_up, 2 * text->intermediate},
                  {&decoder->inner, text->intermediate}};
    for (size_t i = 0; !code && i < sizeof arrays / sizeof *arrays; i++) {
        code = strata_alloc_aligned(arrays[i].pointer, max_rows * arrays[i].columns, sizeof(float), err);
    }
    if (!code) code = strata_alloc(&decoder->rows, 2 * max_items, sizeof *decoder->rows, err);
    if (!code) code = strata_alloc(&decoder->frequencies, half, sizeof *decoder->frequencies, err);
    if (code) {
        strata_decoder_destroy(decoder);
        return code;
    }
    strata_rotary_frequencies(decoder->frequencies, text);
    *out = decoder;
    return 0;
}

void strata_decoder_embed(float *x, const struct strata_decoder *decoder, const int32_t *ids, size_t T) {
    size_t C = decoder->config->text.hidden;
    for (size_t t = 0; t < T; t++) strata_matrix_get_row(x + t * C, &decoder->weights->embedding, (size_t)ids[t]);
}

/* Memory that depends on the items: page tables of one layer, scratch for the masses. */
static int size_scratch(struct strata_decoder *decoder, const struct strata_decoder_item *items, size_t count,
                        struct strata_error *err) {
    size_t pages = 0, masses = 0, H = decoder->config->text.heads;
    for (size_t i = 0; i < count; i++) {
        size_t measured = items[i].rows - items[i].mass_first;
        pages += strata_key_value_pages_for(items[i].sequence->length + items[i].rows);
        if (items[i].masses) masses += measured * H * items[i].S;
        if (items[i].map) masses += measured * H * items[i].map_tokens;
    }
    int code = strata_grow(&decoder->pages, &decoder->page_capacity, pages, sizeof *decoder->pages, err);
    if (!code) {
        code = strata_grow(&decoder->mass_scratch, &decoder->mass_capacity, masses, sizeof *decoder->mass_scratch, err);
    }
    return code;
}

/* Segment ends 1, 2, … for the map; one table serves every item. Owned by the caller. */
static int token_segments(uint32_t **out, const struct strata_decoder_item *items, size_t count,
                          struct strata_error *err) {
    size_t most = 0;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (items[i].map && items[i].map_tokens > most) most = items[i].map_tokens;
    }
    if (!most) return 0;
    int code = strata_alloc(out, most, sizeof **out, err);
    for (size_t i = 0; !code && i < most; i++) (*out)[i] = (uint32_t)(i + 1);
    return code;
}

/* Writes this layer's keys and values into the pages and describes the rows for the attention kernel. */
static size_t prepare_attention(struct strata_decoder *decoder, const struct strata_decoder_item *items, size_t count,
                                size_t layer, const uint32_t *tokens) {
    const struct strata_text_config *text = &decoder->config->text;
    size_t H = text->heads, G = text->kv_heads, D = text->head_size, Q = H * D, KV = G * D, stride = Q + 2 * KV;
    size_t row = 0, used = 0, described = 0;
    float *scratch = decoder->mass_scratch;
    for (size_t i = 0; i < count; i++) {
        const struct strata_decoder_item *item = &items[i];
        size_t first = item->sequence->length, pages = strata_key_value_pages_for(first + item->rows);
        void **table = decoder->pages + used;
        used += pages;
        for (size_t p = 0; p < pages; p++) table[p] = strata_sequence_page(decoder->memory, item->sequence, p, layer);
        const float *qkv = decoder->query_key_value + row * stride;
        for (size_t r = 0; r < item->rows; r++) {
            const float *key = qkv + r * stride + Q;
            strata_page_write(decoder->compute, table[(first + r) / STRATA_KEY_BLOCK], (first + r) % STRATA_KEY_BLOCK,
                              key, key + KV, G, D);
        }
        struct strata_attention_rows rows = {.out = decoder->attention + row * Q,
                                             .query = qkv,
                                             .out_stride = Q,
                                             .query_stride = stride,
                                             .rows = item->rows,
                                             .first = first,
                                             .pages = table};
        struct strata_attention_rows *plain = &decoder->rows[described++];
        *plain = rows;
        size_t measured = item->rows - item->mass_first;
        if (item->masses && measured) {
            plain->masses = item->masses + layer * item->mass_stride * item->S;
            plain->segment_end = item->segment_end;
            plain->S = item->S;
            plain->mass_first = item->mass_first;
            plain->mass_scratch = scratch;
            scratch += measured * H * item->S;
        }
        if (item->map && measured) {
            /* The map repeats the attention of its rows with one segment per token, so that asking for a map does not
             * change a bit of the segment masses. */
            struct strata_attention_rows *map = &decoder->rows[described++];
            *map = rows;
            map->out = decoder->ignored + row * Q;
            map->masses = item->map + layer * item->map_stride * item->map_tokens;
            map->segment_end = tokens;
            map->S = item->map_tokens;
            map->mass_first = item->mass_first;
            map->mass_scratch = scratch;
            scratch += measured * H * item->map_tokens;
        }
        row += item->rows;
    }
    return described;
}

static void layer_forward(struct strata_decoder *decoder, float *x, const struct strata_decoder_item *items,
                          size_t count, size_t T, size_t index, const uint32_t *tokens) {
    const struct strata_decoder_layer *layer = &decoder->weights->layers[index];
    const struct strata_compute *compute = decoder->compute;
    const struct strata_text_config *text = &decoder->config->text;
    size_t C = text->hidden, H = text->heads, G = text->kv_heads, D = text->head_size, F = text->intermediate;
    size_t Q = H * D, stride = Q + 2 * G * D;
    float *qkv = decoder->query_key_value;

    strata_rmsnorm_forward(compute, decoder->normed, NULL, x, layer->input_norm, text->rms_eps, T, C);
    strata_linear_forward(compute, qkv, stride, decoder->normed, C, &layer->query_key_value,
                          layer->query_key_value_bias, T, false);
    strata_rope_forward(compute, qkv, stride, decoder->cosines, decoder->sines, T, H, D);
    strata_rope_forward(compute, qkv + Q, stride, decoder->cosines, decoder->sines, T, G, D);
    size_t described = prepare_attention(decoder, items, count, index, tokens);
    strata_attention_forward(compute, decoder->rows, described, H, G, D, 1.0f / __builtin_sqrtf((float)D));
    strata_linear_forward(compute, x, C, decoder->attention, Q, &layer->output, NULL, T, true);

    strata_rmsnorm_forward(compute, decoder->normed, NULL, x, layer->post_norm, text->rms_eps, T, C);
    strata_linear_forward(compute, decoder->gate_up, 2 * F, decoder->normed, C, &layer->gate_up, NULL, T, false);
    strata_swiglu_forward(compute, decoder->inner, F, decoder->gate_up, 2 * F, decoder->gate_up + F, 2 * F, T, F);
    strata_linear_forward(compute, x, C, decoder->inner, F, &layer->down, NULL, T, true);
}

static void show_hidden(const struct strata_decoder *decoder, const struct strata_trace *trace,
                        const struct strata_decoder_item *items, size_t T, size_t index, const float *x) {
    char name[32];
    if (!trace) return;
    snprintf(name, sizeof name, "hidden.%zu", index);
    trace->stage(trace->context, name, x, items[0].sequence->length, T, decoder->config->text.hidden);
}

int strata_decoder_forward(struct strata_decoder *decoder, float *x, const int32_t *positions,
                           const struct strata_decoder_item *items, size_t count, const struct strata_trace *trace,
                           struct strata_error *err) {
    size_t T = 0;
    for (size_t i = 0; i < count; i++) T += items[i].rows;
    if (T > decoder->max_rows || count > decoder->max_items) {
        return strata_fail(err, STRATA_ERR_USAGE, "%zu rows of %zu sequences exceed the decoder's %zu and %zu", T,
                           count, decoder->max_rows, decoder->max_items);
    }
    int code = size_scratch(decoder, items, count, err);
    uint32_t *tokens = NULL;
    if (!code) code = token_segments(&tokens, items, count, err);
    if (code) return code;
    strata_rotary_tables(decoder->cosines, decoder->sines, decoder->frequencies, &decoder->config->text, positions, T);
    show_hidden(decoder, trace, items, T, 0, x);
    for (size_t index = 0; index < decoder->config->text.layers; index++) {
        layer_forward(decoder, x, items, count, T, index, tokens);
        show_hidden(decoder, trace, items, T, index + 1, x);
    }
    free(tokens);
    for (size_t i = 0; i < count; i++) items[i].sequence->length += items[i].rows;
    return 0;
}

void strata_decoder_logits(struct strata_decoder *decoder, float *logits, const float *x, size_t M, size_t first_row,
                           const struct strata_trace *trace) {
    const struct strata_text_config *text = &decoder->config->text;
    const struct strata_matrix *head = text->tied ? &decoder->weights->embedding : &decoder->weights->head;
    strata_rmsnorm_forward(decoder->compute, decoder->normed, NULL, x, decoder->weights->final_norm, text->rms_eps, M,
                           text->hidden);
    if (trace) trace->stage(trace->context, "normed", decoder->normed, first_row, M, text->hidden);
    strata_linear_forward(decoder->compute, logits, text->vocabulary, decoder->normed, text->hidden, head, NULL, M,
                          false);
    if (trace) trace->stage(trace->context, "logits", logits, first_row, M, text->vocabulary);
}
