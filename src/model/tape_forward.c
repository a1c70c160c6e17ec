/* Forward of the training pass: decoder.c's layer, row for row the same kernel calls, over all rows of the pass. */
#include <math.h>
#include <string.h>

#include "base/elementary.h"
#include "model/key_value.h"
#include "model/rotary.h"
#include "model/tape_private.h"

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- rows ---- */

static int check_part(const struct strata_tape *tape, const struct strata_tape_place *place, struct strata_error *err) {
    const struct strata_tape_part *part = place->part;
    const int32_t image = tape->config->special.image;
    if (part->T == 0 || (!place->response && !part->positions))
        return strata_fail(err, STRATA_ERR_USAGE, "a prompt without tokens or positions, or an empty response");
    for (size_t t = 0; t < part->T; t++) {
        if (part->ids[t] < 0 || (size_t)part->ids[t] >= tape->V)
            return strata_fail(err, STRATA_ERR_INPUT, "token %zu, %d, is outside the vocabulary", t, part->ids[t]);
        if (part->ids[t] == image && !part->embeds && t < place->rows)
            return strata_fail(err, STRATA_ERR_INPUT, "token %zu is an image token, but there are no features", t);
    }
    return STRATA_OK;
}

static int check_sizes(const struct strata_tape *tape, const struct strata_tape_group *groups, size_t count,
                       struct strata_error *err) {
    struct strata_tape_place place = {0};
    size_t T = 0, responses = 0;
    for (size_t i = 0; i < count; i++) responses += groups[i].count;
    if (count > tape->options.max_groups || responses > tape->options.max_responses)
        return strata_fail(err, STRATA_ERR_USAGE, "%zu groups of %zu responses exceed the pass's %zu and %zu", count,
                           responses, tape->options.max_groups, tape->options.max_responses);
    while (strata_tape_next(&place, groups, count)) {
        int code = check_part(tape, &place, err);
        if (code) return code;
        T += place.rows;
        if (T > tape->options.max_rows)
            return strata_fail(err, STRATA_ERR_USAGE, "more rows than the pass's %zu", tape->options.max_rows);
    }
    return STRATA_OK;
}

/* Embeddings, positions and ids of a part's rows. */
static void fill_part(struct strata_tape *tape, const struct strata_tape_place *place, size_t T) {
    const struct strata_tape_part *part = place->part;
    const float *embeds = part->embeds;
    for (size_t i = 0; i < place->rows; i++) {
        const size_t row = place->first + i;
        const bool image = part->ids[i] == tape->config->special.image;
        float *x = tape->layers[0].x + row * tape->C;
        tape->ids[row] = image ? -1 : part->ids[i];
        if (image) {
            memcpy(x, embeds, tape->C * sizeof *x);
            embeds += tape->C;
        } else {
            strata_matrix_get_row(x, &tape->weights->embedding, (size_t)part->ids[i]);
        }
        for (size_t axis = 0; axis < 3; axis++)
            tape->positions[axis * T + row] = part->positions
                                                  ? part->positions[axis * part->T + i]
                                                  : (int32_t)(place->owner->prompt.T + i) + place->owner->rope_delta;
    }
}

static void add_target(struct strata_tape *tape, size_t *used, size_t row, const struct strata_tape_place *place,
                       size_t token) {
    if (tape->U == 0 || tape->scored_rows[tape->U - 1] != row) {
        tape->scored_rows[tape->U] = (uint32_t)row;
        tape->target_begin[tape->U++] = (uint32_t)*used;
    }
    tape->targets[(*used)++] = (struct strata_tape_target){.group = (uint32_t)place->group,
                                                           .response = (uint32_t)place->index,
                                                           .token = (uint32_t)token,
                                                           .id = place->part->ids[token]};
}

static bool is_scored(const struct strata_tape_response *response, size_t token) {
    return !response->scored || response->scored[token];
}

/* Which rows need logits, in row order, and for which tokens: a prompt's last row for every response's first token,
 * row i of a response for its token i + 1. */
static void find_targets(struct strata_tape *tape, const struct strata_tape_group *groups, size_t count) {
    struct strata_tape_place place = {0};
    size_t used = 0;
    tape->U = 0;
    while (strata_tape_next(&place, groups, count)) {
        if (place.response) {
            memset(place.response->logps, 0, place.part->T * sizeof *place.response->logps);
            if (place.response->entropies)
                memset(place.response->entropies, 0, place.part->T * sizeof *place.response->entropies);
            for (size_t i = 0; i < place.rows; i++)
                if (is_scored(place.response, i + 1)) add_target(tape, &used, place.first + i, &place, i + 1);
            continue;
        }
        struct strata_tape_place first = place;
        for (size_t k = 0; k < place.owner->count; k++) {
            first.part = &place.owner->responses[k].part;
            first.index = k;
            if (is_scored(&place.owner->responses[k], 0))
                add_target(tape, &used, place.first + place.rows - 1, &first, 0);
        }
    }
    tape->target_begin[tape->U] = (uint32_t)used;
}

/* Spans, and page tables: a response's table begins with its prompt's full pages; where the prompt ends inside a page,
 * the response has a copy of that page, so that all keys stand at absolute positions. */
static void lay_pages(struct strata_tape *tape, const struct strata_tape_group *groups, size_t count) {
    struct strata_tape_place place = {0};
    size_t span = 0, page = 0, prompt_span = 0;
    while (strata_tape_next(&place, groups, count)) {
        void **table = tape->tables + span * tape->table_capacity;
        size_t shared = 0, prefix = 0;
        if (place.response) {
            prefix = place.owner->prompt.T;
            shared = prefix / STRATA_KEY_BLOCK;
            memcpy(table, tape->tables + prompt_span * tape->table_capacity, shared * sizeof *table);
        } else {
            prompt_span = span;
        }
        const size_t pages = place.rows ? strata_key_value_pages_for(prefix + place.rows) : shared;
        for (size_t p = shared; p < pages; p++) table[p] = tape->pages + page++ * tape->page_bytes;
        tape->spans[span] =
            (struct strata_attention_span){.first = place.first,
                                           .rows = place.rows,
                                           .prefix = place.response ? tape->spans[prompt_span].first : 0,
                                           .prefix_rows = prefix};
        tape->rows[span++] = (struct strata_attention_rows){.rows = place.rows, .first = prefix, .pages = table};
    }
    tape->span_count = span;
}

/* ---- layers ---- */

struct writing {
    const struct strata_tape *tape;
    const struct strata_tape_layer *layer;
    bool prompts; /* this round; the responses, which copy from them, follow */
};
/* Writes a span's keys and values into its pages; a page that a response shares in part is copied first. */
static void write_task(void *context, size_t index, size_t worker) {
    const struct writing *writing = context;
    const struct strata_tape *tape = writing->tape;
    const struct strata_attention_span *span = &tape->spans[index];
    void *const *table = tape->rows[index].pages;
    const size_t KV = tape->G * tape->D, partial = span->prefix_rows / STRATA_KEY_BLOCK;
    (void)worker;
    if ((span->prefix_rows == 0) != writing->prompts || span->rows == 0) return;
    if (span->prefix_rows % STRATA_KEY_BLOCK) {
        size_t prompt = index;
        while (tape->spans[prompt].prefix_rows) prompt--;
        memcpy(table[partial], tape->rows[prompt].pages[partial], tape->page_bytes);
    }
    for (size_t r = 0; r < span->rows; r++) {
        const size_t token = span->prefix_rows + r;
        const float *key = writing->layer->query_key_value + (span->first + r) * tape->W + tape->Q;
        strata_page_write(tape->compute, table[token / STRATA_KEY_BLOCK], token % STRATA_KEY_BLOCK, key, key + KV,
                          tape->G, tape->D);
    }
}

void strata_tape_attention(struct strata_tape *tape, size_t index) {
    const struct strata_tape_layer *layer = &tape->layers[index];
    const struct strata_decoder_layer *weights = &tape->weights->layers[index];
    const struct strata_compute *compute = tape->compute;
    const size_t T = tape->T, C = tape->C, W = tape->W, Q = tape->Q;
    float *qkv = layer->query_key_value;
    for (size_t row = 0; row < T; row += STRATA_TAPE_CHUNK) {
        const size_t rows = smaller(STRATA_TAPE_CHUNK, T - row);
        strata_rmsnorm_forward(compute, tape->normed, NULL, layer->x + row * C, weights->input_norm,
                               tape->config->text.rms_eps, rows, C);
        strata_linear_forward(compute, qkv + row * W, W, tape->normed, C, &weights->query_key_value,
                              weights->query_key_value_bias, rows, false);
    }
    strata_rope_forward(compute, qkv, W, tape->cosines, tape->sines, T, tape->H, tape->D);
    strata_rope_forward(compute, qkv + Q, W, tape->cosines, tape->sines, T, tape->G, tape->D);
    struct writing writing = {.tape = tape, .layer = layer, .prompts = true};
    strata_threads_run(compute->threads, tape->span_count, write_task, &writing);
    writing.prompts = false;
    strata_threads_run(compute->threads, tape->span_count, write_task, &writing);
    for (size_t i = 0; i < tape->span_count; i++) {
        const size_t first = tape->spans[i].first;
        tape->rows[i].out = layer->attention + first * Q;
        tape->rows[i].out_stride = Q;
        tape->rows[i].query = qkv + first * W;
        tape->rows[i].query_stride = W;
        tape->rows[i].logsumexp = layer->logsumexp ? layer->logsumexp + first * tape->H : NULL;
    }
    strata_attention_forward(compute, tape->rows, tape->span_count, tape->H, tape->G, tape->D,
                             1.0f / __builtin_sqrtf((float)tape->D));
    if (layer->kept_query_key_value) strata_tape_narrow(tape, layer->kept_query_key_value, qkv, T * W);
    if (layer->middle != layer->x) memcpy(layer->middle, layer->x, T * C * sizeof *layer->x);
    strata_linear_forward(compute, layer->middle, C, layer->attention, Q, &weights->output, NULL, T, true);
}

float *strata_tape_gate_up(struct strata_tape *tape, size_t index, size_t row, size_t rows, bool again) {
    const struct strata_tape_layer *layer = &tape->layers[index];
    const struct strata_decoder_layer *weights = &tape->weights->layers[index];
    const size_t width = 2 * tape->F;
    const bool kept = tape->options.level == STRATA_TAPE_ALL, whole = kept && !tape->narrow;
    float *gate_up = layer->gate_up + (whole ? row * width : 0);
    uint16_t *narrow = layer->kept_gate_up ? layer->kept_gate_up + row * width : NULL;
    strata_rmsnorm_forward(tape->compute, tape->normed, tape->rstd, layer->middle + row * tape->C, weights->post_norm,
                           tape->config->text.rms_eps, rows, tape->C);
    if (!kept || !again) {
        strata_linear_forward(tape->compute, gate_up, width, tape->normed, tape->C, &weights->gate_up, NULL, rows,
                              false);
        if (narrow) strata_tape_narrow(tape, narrow, gate_up, rows * width);
    } else if (narrow) {
        strata_tape_widen(tape, gate_up, narrow, rows * width);
    }
    return gate_up;
}

static void mlp(struct strata_tape *tape, size_t index) {
    const struct strata_tape_layer *layer = &tape->layers[index];
    const size_t F = tape->F, C = tape->C;
    float *out = tape->layers[index + 1].x;
    if (out != layer->middle) memcpy(out, layer->middle, tape->T * C * sizeof *out);
    for (size_t row = 0; row < tape->T; row += STRATA_TAPE_CHUNK) {
        const size_t rows = smaller(STRATA_TAPE_CHUNK, tape->T - row);
        const float *gate_up = strata_tape_gate_up(tape, index, row, rows, false);
        strata_swiglu_forward(tape->compute, tape->inner, F, gate_up, 2 * F, gate_up + F, 2 * F, rows, F);
        strata_linear_forward(tape->compute, out + row * C, C, tape->inner, F, &tape->weights->layers[index].down, NULL,
                              rows, true);
    }
}

/* ---- log-probs ---- */

struct scoring {
    const struct strata_tape *tape;
    const struct strata_tape_group *groups;
    size_t first; /* scored row of the first row of logits */
};
/* As strata_native_logprobs: logits / temperature, their logsumexp, the token's own minus that. */
static void score_task(void *context, size_t index, size_t worker) {
    const struct scoring *scoring = context;
    const struct strata_tape *tape = scoring->tape;
    const size_t V = tape->V, u = scoring->first + index;
    float *logits = tape->logits + index * V;
    const struct strata_compute alone = {.level = tape->compute->level};
    (void)worker;
    for (size_t v = 0; tape->temperature != 1.0f && v < V; v++) logits[v] = logits[v] / tape->temperature;
    strata_logsumexp(&alone, &tape->lse[u], logits, V, 1, V);
    bool measured = false;
    float entropy = 0.0f;
    for (size_t i = tape->target_begin[u]; i < tape->target_begin[u + 1]; i++) {
        const struct strata_tape_target *target = &tape->targets[i];
        const struct strata_tape_response *response = &scoring->groups[target->group].responses[target->response];
        response->logps[target->token] = logits[target->id] - tape->lse[u];
        if (!response->entropies) continue;
        if (!measured) {
            double sum = 0.0; /* of p (lse - logit) */
            for (size_t v = 0; v < V; v++)
                sum += (double)(strata_expf(logits[v] - tape->lse[u]) * (tape->lse[u] - logits[v]));
            entropy = (float)sum;
            measured = true;
        }
        response->entropies[target->token] = entropy;
    }
}

static void score(struct strata_tape *tape, const struct strata_tape_group *groups) {
    const float *hidden = tape->layers[tape->L].x;
    const size_t C = tape->C, V = tape->V;
    const bool kept = tape->options.level != STRATA_TAPE_FORWARD;
    for (size_t first = 0; first < tape->U; first += tape->logit_rows) {
        const size_t rows = smaller(tape->logit_rows, tape->U - first), at = kept ? first : 0;
        float *x = tape->scored_x + at * C, *normed = tape->scored_normed + at * C;
        for (size_t i = 0; i < rows; i++) memcpy(x + i * C, hidden + tape->scored_rows[first + i] * C, C * sizeof *x);
        strata_rmsnorm_forward(tape->compute, normed, tape->scored_rstd + at, x, tape->weights->final_norm,
                               tape->config->text.rms_eps, rows, C);
        strata_linear_forward(tape->compute, tape->logits, V, normed, C, strata_tape_head(tape), NULL, rows, false);
        struct scoring scoring = {.tape = tape, .groups = groups, .first = first};
        strata_threads_run(tape->compute->threads, rows, score_task, &scoring);
    }
}

static int check_finite(const struct strata_tape *tape, const struct strata_tape_group *groups,
                        struct strata_error *err) {
    for (size_t i = 0; i < tape->target_begin[tape->U]; i++) {
        const struct strata_tape_target *target = &tape->targets[i];
        if (!isfinite(groups[target->group].responses[target->response].logps[target->token]))
            return strata_fail(err, STRATA_ERR_NUMERIC, "the log-prob of group %u, response %u, token %u is not finite",
                               target->group, target->response, target->token);
    }
    return STRATA_OK;
}

int strata_tape_forward(struct strata_tape *tape, const struct strata_tape_group *groups, size_t count,
                        float temperature, struct strata_error *err) {
    struct strata_tape_place place = {0};
    tape->ready = false;
    if (!(temperature > 0.0f && temperature <= 100.0f))
        return strata_fail(err, STRATA_ERR_USAGE, "temperature %g is outside (0, 100]", (double)temperature);
    int code = check_sizes(tape, groups, count, err);
    if (code) return code;
    tape->temperature = temperature;
    tape->T = 0;
    for (size_t i = 0; i < count; i++) tape->T += strata_tape_rows(&groups[i]);
    while (strata_tape_next(&place, groups, count)) fill_part(tape, &place, tape->T);
    strata_rotary_tables(tape->cosines, tape->sines, tape->frequencies, &tape->config->text, tape->positions, tape->T);
    find_targets(tape, groups, count);
    lay_pages(tape, groups, count);
    for (size_t index = 0; index < tape->L; index++) {
        strata_tape_attention(tape, index);
        mlp(tape, index);
    }
    score(tape, groups);
    code = check_finite(tape, groups, err);
    tape->ready = code == STRATA_OK && tape->options.level != STRATA_TAPE_FORWARD;
    return code;
}
