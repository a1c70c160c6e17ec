/* Draws: from the logits of a row to a token, and from tokens to a result. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "engine/native_internal.h"

int strata_native_result_push(struct native *native, struct strata_result *result, struct strata_error *err) {
    if (native->result_next == native->result_count) native->result_next = native->result_count = 0;
    int code =
        strata_grow(&native->results, &native->result_capacity, native->result_count + 1, sizeof *native->results, err);
    if (code) {
        strata_result_free(result);
        return code;
    }
    native->results[native->result_count++] = *result;
    return 0;
}

static struct strata_result empty_result(const struct group *group, uint32_t index) {
    return (struct strata_result){.tag = group->request.tag,
                                  .draw = index,
                                  .prompt_tokens = group->prompt.T,
                                  .seconds = strata_seconds() - group->admitted};
}

int strata_native_group_fail(struct native *native, struct group *group, const struct strata_error *reason,
                             struct strata_error *err) {
    for (; group->started < group->request.draws; group->started++) {
        struct strata_result result = empty_result(group, group->request.first_draw + group->started);
        result.finish = STRATA_FINISH_ERROR;
        result.error = *reason;
        int code = strata_native_result_push(native, &result, err);
        if (code) return code;
        group->finished++;
    }
    return 0;
}

void strata_native_logprobs(struct choice *choice, const struct native *native, const float *logits, int32_t id,
                            float temperature, size_t worker) {
    size_t V = native->samplers[worker].V;
    float sum;
    strata_logsumexp(&native->compute, &sum, logits, V, 1, V);
    choice->logprob = choice->sampled_logprob = logits[id] - sum;
    if (temperature > 0.0f && temperature != 1.0f) {
        float *scaled = native->samplers[worker].scores;
        for (size_t i = 0; i < V; i++) scaled[i] = logits[i] / temperature;
        strata_logsumexp(&native->compute, &sum, scaled, V, 1, V);
        choice->sampled_logprob = scaled[id] - sum;
    }
    choice->id = id;
    choice->code = isfinite(choice->logprob) && isfinite(choice->sampled_logprob)
                       ? 0
                       : strata_fail(&choice->reason, STRATA_ERR_NUMERIC, "the logits are not finite");
}

void strata_native_add_map(const struct native *native, float *sum, const float *map, size_t rows, size_t T) {
    size_t L = native->model->config.text.layers, first = L > 2 ? 1 : 0, last = L > 2 ? L - 1 : L;
    for (size_t l = first; l < last; l++) {
        for (size_t r = 0; r < rows; r++) {
            for (size_t t = 0; t < T; t++) sum[t] += map[(l * rows + r) * T + t];
        }
    }
}

/* Masses (L, N, S) and the mean map, handed over to a result. masses is taken; map_sum (T) or NULL is copied. */
static int make_attention(struct strata_attention **out, const struct native *native, const struct group *group,
                          float **masses, const float *map_sum, size_t N, struct strata_error *err) {
    struct strata_attention *attention;
    size_t S = group->prompt.segment_count, T = group->prompt.T, L = native->model->config.text.layers;
    int code = strata_alloc(&attention, 1, sizeof *attention, err);
    if (code) return code;
    *attention = (struct strata_attention){.L = L, .N = N, .S = S, .T = T};
    *out = attention; /* from here on strata_result_free releases it */
    if ((code = strata_alloc(&attention->segments, S, sizeof *attention->segments, err))) return code;
    memcpy(attention->segments, group->prompt.segments, S * sizeof *attention->segments);
    attention->masses = *masses;
    *masses = NULL;
    if (!map_sum) return 0;
    if ((code = strata_alloc(&attention->map, T, sizeof *attention->map, err))) return code;
    float share = 1.0f / (float)(N * (L > 2 ? L - 2 : L));
    for (size_t t = 0; t < T; t++) attention->map[t] = map_sum[t] * share;
    return 0;
}

static bool is_stop(const struct native *native, int32_t id) {
    const struct strata_model_config *config = &native->model->config;
    for (size_t i = 0; i < config->stop_count; i++) {
        if (config->stop_ids[i] == id) return true;
    }
    return false;
}

/* Text of ids, the stop token left out. */
static int decode_text(struct strata_result *result, const struct native *native, const int32_t *ids, size_t N,
                       struct strata_error *err) {
    struct strata_buffer text = {0};
    size_t shown = N && is_stop(native, ids[N - 1]) ? N - 1 : N;
    int code = strata_tokenizer_decode(native->model->tokenizer, &text, ids, shown, true, err);
    if (!code) strata_buffer_append(&text, "", 0); /* an empty text is "", not NULL */
    if (!code) code = strata_buffer_check(&text, err);
    if (code) {
        strata_buffer_free(&text);
        return code;
    }
    result->text = text.data;
    result->text_length = text.length;
    return 0;
}

/* Turns (N, L, S) into (L, N, S). */
static int order_masses(float **out, const float *masses, size_t N, size_t L, size_t S, struct strata_error *err) {
    int code = strata_alloc(out, N * L * S, sizeof **out, err);
    if (code) return code;
    for (size_t n = 0; n < N; n++) {
        for (size_t l = 0; l < L; l++) memcpy(*out + (l * N + n) * S, masses + (n * L + l) * S, S * sizeof **out);
    }
    return 0;
}

static int finish_draw(struct native *native, struct draw *draw, struct strata_error *err) {
    struct group *group = draw->group;
    struct strata_result result = empty_result(group, draw->index);
    result.finish = is_stop(native, draw->ids[draw->N - 1]) ? STRATA_FINISH_STOP : STRATA_FINISH_LENGTH;
    int code = decode_text(&result, native, draw->ids, draw->N, err);
    if (!code && draw->masses) {
        float *masses;
        size_t L = native->model->config.text.layers;
        code = order_masses(&masses, draw->masses, draw->N, L, group->prompt.segment_count, err);
        if (!code) {
            code = make_attention(&result.attention, native, group, &masses, draw->map_sum, draw->N, err);
            free(masses);
        }
    }
    if (code) {
        strata_result_free(&result);
        return code;
    }
    result.N = draw->N;
    result.ids = draw->ids;
    draw->ids = NULL;
    if (group->request.want_logprobs) {
        result.logprobs = draw->logprobs;
        result.sampled_logprobs = draw->sampled_logprobs;
        draw->logprobs = draw->sampled_logprobs = NULL;
    }
    return strata_native_result_push(native, &result, err);
}

int strata_native_forced_result(struct native *native, struct group *group, struct strata_error *err) {
    struct strata_result result = empty_result(group, group->request.first_draw);
    size_t N = group->request.forced_count;
    result.finish = STRATA_FINISH_STOP;
    int code = decode_text(&result, native, group->forced_ids, N, err);
    if (!code && group->masses) {
        code = make_attention(&result.attention, native, group, &group->masses, group->map_sum, N, err);
    }
    if (code) {
        strata_result_free(&result);
        return code;
    }
    result.N = N;
    result.ids = group->forced_ids;
    result.logprobs = group->logprobs;
    result.sampled_logprobs = group->sampled_logprobs;
    group->forced_ids = NULL;
    group->logprobs = group->sampled_logprobs = NULL;
    native->stats.forced_tokens += N;
    group->started = group->finished = group->request.draws;
    return strata_native_result_push(native, &result, err);
}

void strata_native_draw_leave(struct native *native, size_t index) {
    struct draw *draw = &native->draws[index];
    struct group *group = draw->group;
    strata_sequence_release(native->memory, &draw->sequence);
    if (draw->reserved) {
        native->reserved_pages -= draw->reserved;
    } else {
        group->spare = true;
    }
    free(draw->ids);
    free(draw->logprobs);
    free(draw->sampled_logprobs);
    free(draw->masses);
    free(draw->map_sum);
    free(draw->seen);
    group->finished++;
    native->draws[index] = native->draws[--native->draw_count];
}

static void mark_seen(uint64_t *seen, int32_t id) {
    seen[(size_t)id / 64] |= (uint64_t)1 << ((size_t)id % 64);
}

/* A new draw at the end of the batch, its pages shared with the prompt. */
static int create_draw(struct native *native, struct group *group, struct strata_error *err) {
    const struct strata_request *request = &group->request;
    struct draw *draw = &native->draws[native->draw_count];
    size_t pages = strata_native_draw_pages(group), T = group->prompt.T;
    *draw = (struct draw){.group = group, .index = request->first_draw + group->started};
    int code = strata_sequence_fork(native->memory, &draw->sequence, &group->sequence, group->prompt.T, err);
    if (code) return code;
    if (group->spare) {
        group->spare = false;
    } else {
        draw->reserved = pages;
        native->reserved_pages += pages;
    }
    native->draw_count++;
    group->started++;
    draw->random = strata_random_make(request->seed, group->sample_id, request->purpose, request->stream, draw->index);
    if ((code = strata_alloc(&draw->ids, group->max_new, sizeof *draw->ids, err)) ||
        (code = strata_alloc(&draw->logprobs, group->max_new, sizeof *draw->logprobs, err)) ||
        (code = strata_alloc(&draw->sampled_logprobs, group->max_new, sizeof *draw->sampled_logprobs, err))) {
        return code;
    }
    if (group->masses) {
        size_t step = native->model->config.text.layers * group->prompt.segment_count;
        if ((code = strata_grow(&draw->masses, &draw->mass_capacity, step, sizeof *draw->masses, err))) return code;
        memcpy(draw->masses, group->masses, step * sizeof *draw->masses);
    }
    if (group->map_sum) {
        if ((code = strata_alloc(&draw->map_sum, T, sizeof *draw->map_sum, err))) return code;
        memcpy(draw->map_sum, group->map_sum, T * sizeof *draw->map_sum);
    }
    if (request->sampling.repetition_penalty != 1.0f) {
        if ((code = strata_alloc(&draw->seen, native->samplers[0].V / 64 + 1, sizeof *draw->seen, err))) return code;
        for (size_t t = 0; t < T; t++) mark_seen(draw->seen, group->prompt.ids[t]);
    }
    return 0;
}

int strata_native_start_draws(struct native *native, struct strata_error *err) {
    for (struct group *group = native->running; group; group = group->next) {
        if (!group->first_logits) continue;
        while (group->started < group->request.draws && native->draw_count < native->batch &&
               (group->spare || native->reserved_pages + strata_native_draw_pages(group) <= native->max_pages)) {
            int code = create_draw(native, group, err);
            if (code) return code;
            strata_native_draw_choose(native->choices, native, native->draw_count - 1, group->first_logits, 0);
            if ((code = strata_native_draw_take(native, native->draw_count - 1, native->choices, err))) return code;
        }
        if (group->started == group->request.draws) {
            free(group->first_logits);
            group->first_logits = NULL;
        }
    }
    if (native->draw_count > native->stats.peak_batch) native->stats.peak_batch = native->draw_count;
    return 0;
}

int strata_native_draw_reserve(struct native *native, struct draw *draw, struct strata_error *err) {
    if (!draw->masses) return 0;
    size_t step = native->model->config.text.layers * draw->group->prompt.segment_count;
    return strata_grow(&draw->masses, &draw->mass_capacity, (draw->N + 1) * step, sizeof *draw->masses, err);
}

/* Length of the longest prefix of text that ends in no cut-off UTF-8 character (a U+FFFD at the end may be one). */
static size_t complete_prefix(const struct strata_buffer *text, bool final) {
    size_t length = text->length;
    while (!final && length >= 3 && memcmp(text->data + length - 3, "\xEF\xBF\xBD", 3) == 0) length -= 3;
    return length;
}

static int stream_text(struct native *native, struct draw *draw, bool final, struct strata_error *err) {
    const struct strata_request *request = &draw->group->request;
    if (!request->on_text) return 0;
    struct strata_buffer text = {0};
    size_t shown = final && is_stop(native, draw->ids[draw->N - 1]) ? draw->N - 1 : draw->N;
    int code = strata_tokenizer_decode(native->model->tokenizer, &text, draw->ids, shown, true, err);
    if (!code) code = strata_buffer_check(&text, err);
    size_t length = code ? 0 : complete_prefix(&text, final);
    if (length > draw->streamed) {
        request->on_text(request->on_text_context, text.data + draw->streamed, length - draw->streamed);
        draw->streamed = length;
    }
    strata_buffer_free(&text);
    return code;
}

void strata_native_draw_choose(struct choice *choice, const struct native *native, size_t index, const float *logits,
                               size_t worker) {
    const struct draw *draw = &native->draws[index];
    const struct strata_sampling *sampling = &draw->group->request.sampling;
    size_t banned = native->allow_placeholders ? 0 : sizeof native->model->placeholder_ids / sizeof(int32_t);
    int32_t id;
    choice->code = strata_sample(&id, &native->samplers[worker], logits, sampling, draw->seen,
                                 native->model->placeholder_ids, banned, &draw->random, draw->N, &choice->reason);
    if (!choice->code) strata_native_logprobs(choice, native, logits, id, sampling->temperature, worker);
}

int strata_native_draw_take(struct native *native, size_t index, const struct choice *choice,
                            struct strata_error *err) {
    struct draw *draw = &native->draws[index];
    struct group *group = draw->group;
    if (choice->code) {
        /* This draw's own failure: the others go on. */
        struct strata_result result = empty_result(group, draw->index);
        result.finish = STRATA_FINISH_ERROR;
        result.error = choice->reason;
        strata_fail_at_default(&result.error, choice->code, "%s", group->sample_id);
        strata_native_draw_leave(native, index);
        return strata_native_result_push(native, &result, err);
    }
    draw->logprobs[draw->N] = choice->logprob;
    draw->sampled_logprobs[draw->N] = choice->sampled_logprob;
    draw->ids[draw->N++] = choice->id;
    if (draw->seen) mark_seen(draw->seen, choice->id);
    native->stats.generated_tokens++;
    bool ended = is_stop(native, choice->id) || draw->N == group->max_new;
    int code = stream_text(native, draw, ended, err);
    if (!code && ended) {
        code = finish_draw(native, draw, err);
        strata_native_draw_leave(native, index);
    }
    return code;
}
