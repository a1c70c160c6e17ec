/* Requests on their way into the batch. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "engine/native_internal.h"

void strata_native_group_free(struct native *native, struct group *group) {
    if (!group) return;
    strata_sequence_release(native->memory, &group->sequence);
    native->reserved_pages -= group->reserved;
    strata_prompt_free(&group->prompt);
    for (size_t i = 0; group->images && i < group->request.image_count; i++) strata_image_free(&group->images[i]);
    free(group->images);
    free(group->grids);
    free(group->sample_id);
    free(group->embeds);
    free(group->forced_ids);
    free(group->segment_end);
    free(group->first_logits);
    free(group->masses);
    free(group->map_sum);
    free(group->logprobs);
    free(group->sampled_logprobs);
    free(group);
}

static int check_forced(const struct native *native, const struct strata_request *request, struct strata_error *err) {
    if (request->forced_count == 0) return strata_fail(err, STRATA_ERR_INPUT, "the response to be scored is empty");
    for (size_t i = 0; i < request->forced_count; i++) {
        if (request->forced_ids[i] < 0 || (size_t)request->forced_ids[i] >= native->model->config.text.vocabulary) {
            return strata_fail(err, STRATA_ERR_INPUT, "token %zu of the response, %d, is outside the vocabulary", i,
                               request->forced_ids[i]);
        }
    }
    return 0;
}

static int check_sampling(const struct strata_sampling *sampling, struct strata_error *err) {
    /* Written so that NaN fails too. */
    if (!(sampling->temperature >= 0.0f && sampling->temperature <= 100.0f)) {
        return strata_fail(err, STRATA_ERR_USAGE, "temperature %g is outside 0..100", (double)sampling->temperature);
    }
    if (!(sampling->top_p > 0.0f && sampling->top_p <= 1.0f)) {
        return strata_fail(err, STRATA_ERR_USAGE, "top-p %g is outside (0, 1]", (double)sampling->top_p);
    }
    if (!(sampling->repetition_penalty > 0.0f && sampling->repetition_penalty <= 100.0f)) {
        return strata_fail(err, STRATA_ERR_USAGE, "repetition penalty %g is outside (0, 100]",
                           (double)sampling->repetition_penalty);
    }
    return 0;
}

/* Copies of what the request points to, and the prompt. */
static int fill_group(struct group *group, struct native *native, const struct strata_request *request,
                      struct strata_error *err) {
    const struct strata_model *model = native->model;
    int code = 0;
    group->request = *request;
    group->request.messages = NULL;
    group->request.message_count = 0;
    group->request.images = NULL;
    group->request.solution = NULL;
    group->request.image_count = 0; /* counts the copies made, for strata_native_group_free */
    group->sample_id = strata_strdup(request->sample_id ? request->sample_id : "");
    if (!group->sample_id) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    group->request.sample_id = group->sample_id;
    if ((code = strata_alloc(&group->grids, request->image_count, sizeof *group->grids, err)) ||
        (code = strata_alloc(&group->images, request->image_count, sizeof *group->images, err))) {
        return code;
    }
    for (size_t i = 0; i < request->image_count; i++) {
        const struct strata_image *image = &request->images[i];
        if ((code = strata_image_grid(&group->grids[i], &model->processor, image->height, image->width, err)) ||
            (code = strata_image_copy(&group->images[i], image, err))) {
            return code;
        }
        group->request.image_count = i + 1;
    }
    code = strata_prompt_build(&group->prompt, model->tokenizer, &model->config.special, request->messages,
                               request->message_count, group->grids, request->image_count,
                               (unsigned)model->config.vision.merge_size, native->context - 1, err);
    if (code) return code;
    size_t left = native->context - group->prompt.T;
    group->rows = group->prompt.T;
    group->max_new = request->sampling.max_new_tokens < left ? request->sampling.max_new_tokens : (uint32_t)left;
    if (request->forced_ids) {
        if (request->forced_count > left) {
            strata_fail(err, STRATA_ERR_INPUT, "prompt and response have %zu tokens, the model's context %zu",
                        group->prompt.T + request->forced_count, native->context);
            return STRATA_ERR_INPUT;
        }
        if ((code = strata_alloc(&group->forced_ids, request->forced_count, sizeof *group->forced_ids, err)))
            return code;
        memcpy(group->forced_ids, request->forced_ids, request->forced_count * sizeof *group->forced_ids);
        group->request.forced_ids = group->forced_ids;
        group->rows += request->forced_count - 1;
    } else if (group->max_new == 0) {
        return strata_fail(err, STRATA_ERR_USAGE, "max_new_tokens must be at least 1");
    }
    return 0;
}

/* Room for what the prefill's token-producing rows yield. */
static int allocate_outputs(struct group *group, const struct native *native, struct strata_error *err) {
    const struct strata_request *request = &group->request;
    size_t N = request->forced_ids ? request->forced_count : 1, S = group->prompt.segment_count;
    int code = 0;
    if (request->want_attention || request->want_map) {
        if ((code = strata_alloc(&group->segment_end, S, sizeof *group->segment_end, err))) return code;
        for (size_t s = 0; s < S; s++) {
            group->segment_end[s] = group->prompt.segments[s].begin + group->prompt.segments[s].count;
        }
        code = strata_alloc(&group->masses, native->model->config.text.layers * N * S, sizeof *group->masses, err);
    }
    if (!code && request->want_map) {
        code = strata_alloc(&group->map_sum, group->prompt.T, sizeof *group->map_sum, err);
    }
    if (!code && request->forced_ids) {
        code = strata_alloc(&group->logprobs, N, sizeof *group->logprobs, err);
        if (!code) code = strata_alloc(&group->sampled_logprobs, N, sizeof *group->sampled_logprobs, err);
    }
    return code;
}

size_t strata_native_draw_pages(const struct group *group) {
    return strata_key_value_pages_for(group->prompt.T + group->max_new) - group->prompt.T / STRATA_KEY_BLOCK;
}

static size_t group_pages(const struct group *group) {
    size_t prompt = strata_key_value_pages_for(group->rows);
    return group->request.forced_ids ? prompt : prompt + strata_native_draw_pages(group);
}

int strata_native_group_create(struct group **out, struct native *native, const struct strata_request *request,
                               struct strata_error *err) {
    struct group *group;
    *out = NULL;
    int code = strata_alloc(&group, 1, sizeof *group, err);
    if (code) return code;
    if ((code = check_sampling(&request->sampling, err)) ||
        (request->forced_ids && (code = check_forced(native, request, err))) ||
        (code = fill_group(group, native, request, err)) || (code = allocate_outputs(group, native, err))) {
        strata_native_group_free(native, group);
        return code;
    }
    if (group_pages(group) > native->max_pages) {
        strata_fail(err, STRATA_ERR_INPUT,
                    "%zu prompt and %u new tokens need %zu pages of key/value memory, there are %zu", group->prompt.T,
                    group->max_new, group_pages(group), native->max_pages);
        strata_fail_hint(err, STRATA_ERR_INPUT, "give more with --memory, or fewer --max-new-tokens");
        strata_native_group_free(native, group);
        return STRATA_ERR_INPUT;
    }
    *out = group;
    return 0;
}

int strata_native_submit(void *self, const struct strata_request *request, struct strata_error *err) {
    struct native *native = self;
    struct group *group;
    int code = strata_native_group_create(&group, native, request, err);
    if (code) return strata_fail_at_default(err, code, "%s", request->sample_id ? request->sample_id : "");
    *native->waiting_end = group;
    native->waiting_end = &group->next;
    native->waiting_draws += request->draws;
    return 0;
}

/* Features of one image: from the cache, or computed. */
static int image_features(float *embeds, struct native *native, const struct group *group, size_t index,
                          const struct strata_trace *trace, struct strata_error *err) {
    const struct strata_model *model = native->model;
    const struct strata_image *image = &group->images[index];
    size_t count = group->prompt.image_tokens[index] * model->config.text.hidden;
    struct feature_cache *cache = group->request.images_once || trace ? NULL : native->features;
    struct strata_hash key = {0, 0};
    struct feature_files *files = group->request.images_once || trace ? NULL : native->feature_files;
    if (cache || files) key = feature_cache_key(image);
    bool kept = feature_cache_get(cache, key, embeds, count);
    if (!kept && feature_files_get(files, key, embeds, count)) {
        feature_cache_put(cache, key, embeds, count);
        kept = true;
    }
    if (kept) {
        native->stats.reused_images++;
        return 0;
    }
    float *patches = NULL;
    struct strata_grid grid;
    int code = strata_image_patches(&patches, &grid, &model->processor, image, err);
    if (!code) {
        code =
            strata_vision_forward(embeds, patches, grid, &model->config, &model->weights, &native->compute, trace, err);
    }
    free(patches);
    if (!code) feature_cache_put(cache, key, embeds, count);
    if (!code) feature_files_put(files, key, embeds, count);
    return code;
}

int strata_native_image_features(struct native *native, struct group *group, const struct strata_trace *trace,
                                 struct strata_error *err) {
    size_t C = native->model->config.text.hidden, tokens = 0, done = 0;
    for (size_t i = 0; i < group->prompt.image_count; i++) tokens += group->prompt.image_tokens[i];
    if (!tokens) return 0;
    double start = strata_seconds();
    int code = strata_alloc_aligned(&group->embeds, tokens * C, sizeof *group->embeds, err);
    const float *given = group->request.image_features;
    if (!code && given) memcpy(group->embeds, given, tokens * C * sizeof *given);
    for (size_t i = 0; !code && !given && i < group->prompt.image_count; i++) {
        code = image_features(group->embeds + done * C, native, group, i, trace, err);
        strata_image_free(&group->images[i]);
        done += group->prompt.image_tokens[i];
    }
    native->stats.image_tokens += tokens;
    native->stats.vision_seconds += strata_seconds() - start;
    return code;
}

/* Tokens that other prompts may share: those before the first image. The last prompt row is always computed. */
static size_t prefix_length(const struct group *group) {
    size_t first = group->prompt.image_count ? group->prompt.image_begin[0] : 0;
    return first < group->prompt.T ? first : group->prompt.T - 1;
}

void strata_native_keep_prefix(struct native *native, const struct group *group) {
    size_t count = prefix_length(group);
    if (!native->share_prefixes || count == 0 || group->done < count ||
        prefix_cache_has(&native->prefixes, group->prompt.ids, count) ||
        native->reserved_pages + strata_key_value_pages_for(count) > native->max_pages) {
        return;
    }
    prefix_cache_put(&native->prefixes, native->memory, &group->sequence, group->prompt.ids, count,
                     &native->reserved_pages);
}

/* Moves groups from the waiting line into the batch while slots and pages allow. */
int strata_native_admit(struct native *native, struct strata_error *err) {
    while (native->waiting && native->running_draws < native->batch) {
        struct group *group = native->waiting;
        size_t pages = group_pages(group);
        while (native->reserved_pages + pages > native->max_pages) {
            if (!prefix_cache_evict(&native->prefixes, native->memory, &native->reserved_pages)) return 0;
        }
        struct strata_error reason;
        int code = strata_native_image_features(native, group, NULL, &reason);
        native->waiting = group->next;
        if (!native->waiting) native->waiting_end = &native->waiting;
        group->next = NULL;
        native->waiting_draws -= group->request.draws;
        native->running_draws += group->request.draws;
        *native->running_end = group;
        native->running_end = &group->next;
        if (code) {
            strata_fail_at_default(&reason, code, "%s", group->sample_id);
            if ((code = strata_native_group_fail(native, group, &reason, err))) return code;
            continue;
        }
        group->reserved = pages;
        native->reserved_pages += pages;
        group->spare = !group->request.forced_ids;
        group->admitted = strata_seconds();
        native->stats.prompts++;
        native->stats.prompt_tokens += group->prompt.T;
        if (native->share_prefixes) {
            group->done = prefix_cache_fork(&native->prefixes, native->memory, &group->sequence, group->prompt.ids,
                                            prefix_length(group));
            native->stats.shared_prefix_tokens += group->done;
        }
        code = strata_sequence_reserve(native->memory, &group->sequence, group->rows - group->done, err);
        if (code) return code;
    }
    return 0;
}

void strata_native_sweep(struct native *native) {
    struct group **link = &native->running;
    while (*link) {
        struct group *group = *link;
        if (group->finished < group->request.draws) {
            link = &group->next;
            continue;
        }
        *link = group->next;
        native->running_draws -= group->request.draws;
        strata_native_group_free(native, group);
    }
    native->running_end = link;
}

void strata_native_rows(const struct native *native, const struct group *group, size_t first, size_t count, float *x,
                        int32_t *positions, size_t stride) {
    const struct strata_prompt *prompt = &group->prompt;
    size_t C = native->model->config.text.hidden, image_row = 0, image = 0;
    for (size_t r = 0; r < count; r++) {
        size_t t = first + r;
        for (size_t axis = 0; axis < 3; axis++) {
            positions[axis * stride + r] =
                t < prompt->T ? prompt->positions[axis * prompt->T + t] : (int32_t)t + prompt->rope_delta;
        }
        while (image < prompt->image_count && t >= prompt->image_begin[image] + prompt->image_tokens[image]) {
            image_row += prompt->image_tokens[image++];
        }
        if (t < prompt->T && image < prompt->image_count && t >= prompt->image_begin[image]) {
            const float *row = group->embeds + (image_row + t - prompt->image_begin[image]) * C;
            memcpy(x + r * C, row, C * sizeof *x);
        } else {
            int32_t id = t < prompt->T ? prompt->ids[t] : group->forced_ids[t - prompt->T];
            strata_decoder_embed(x + r * C, native->decoder, &id, 1);
        }
    }
}

void strata_native_cancel(void *self, uint64_t tag) {
    struct native *native = self;
    struct group **link = &native->waiting;
    while (*link) {
        struct group *group = *link;
        if (group->request.tag != tag) {
            link = &group->next;
            continue;
        }
        *link = group->next;
        native->waiting_draws -= group->request.draws;
        strata_native_group_free(native, group);
    }
    native->waiting_end = link;
    for (size_t i = 0; i < native->draw_count;) {
        struct draw *draw = &native->draws[i];
        if (draw->group->request.tag != tag) {
            i++;
            continue;
        }
        strata_native_draw_leave(native, i);
    }
    for (struct group *group = native->running; group; group = group->next) {
        if (group->request.tag == tag) group->finished = group->request.draws;
    }
    strata_native_sweep(native);
}
