#include "engine/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "engine/native_internal.h"

#define DEFAULT_MAX_PIXELS    ((size_t)1254400) /* the paper's MAX_PIXELS */
#define DEFAULT_BATCH         32
#define DEFAULT_CHUNK         512
#define DEFAULT_FEATURES      ((size_t)256 << 20)
#define DEFAULT_FEATURE_FILES ((size_t)8 << 30)
#define LOGIT_BYTES           ((size_t)64 << 20) /* logits held at once */
#define DRAWS_NUMBER_TYPE     "draws 1"          /* changes when the same seed would give other tokens */

void strata_native_options_default(struct strata_native_options *options) {
    *options = (struct strata_native_options){.compute = "auto", .weights = "auto", .isa = "auto"};
}

static unsigned capabilities(const void *self) {
    (void)self;
    return STRATA_CAN_TEXT | STRATA_CAN_IDS | STRATA_CAN_LOGPROBS | STRATA_CAN_ATTENTION | STRATA_CAN_FORCE |
           STRATA_CAN_IMAGES;
}

/* One more batch may wait, so that a slot that falls free is filled at the next step. */
static bool has_room(const void *self, uint32_t draws) {
    const struct native *native = self;
    size_t open = native->waiting_draws + native->running_draws;
    return open == 0 || open + draws <= 2 * native->batch;
}

static int poll(void *self, struct strata_result *result, bool *got, struct strata_error *err) {
    struct native *native = self;
    while (native->result_next == native->result_count && (native->waiting || native->running)) {
        int code = strata_native_step(native, err);
        if (code) return code;
    }
    *got = native->result_next < native->result_count;
    if (*got) *result = native->results[native->result_next++];
    return 0;
}

static void stats(const void *self, struct strata_engine_stats *out) {
    *out = ((const struct native *)self)->stats;
}

static const char *identity(const void *self) {
    return ((const struct native *)self)->identity;
}

static void destroy(void *self) {
    struct native *native = self;
    while (native->draw_count) strata_native_draw_leave(native, native->draw_count - 1);
    struct group *lists[] = {native->waiting, native->running};
    for (size_t i = 0; i < 2; i++) {
        for (struct group *group = lists[i], *next; group; group = next) {
            next = group->next;
            strata_native_group_free(native, group);
        }
    }
    for (size_t i = native->result_next; i < native->result_count; i++) strata_result_free(&native->results[i]);
    free(native->results);
    free(native->draws);
    free(native->x);
    free(native->positions);
    free(native->items);
    free(native->item_groups);
    free(native->logits);
    free(native->map);
    free(native->choices);
    for (size_t i = 0; native->samplers && i < native->compute.workers; i++) strata_sampler_free(&native->samplers[i]);
    free(native->samplers);
    feature_cache_destroy(native->features);
    feature_files_close(native->feature_files);
    while (prefix_cache_evict(&native->prefixes, native->memory, &native->reserved_pages)) continue;
    strata_decoder_destroy(native->decoder);
    strata_key_value_destroy(native->memory);
    strata_compute_free(&native->compute);
    strata_threads_destroy(native->threads);
    strata_model_close(native->model);
    free(native);
}

static const struct strata_engine_vtable native_vtable = {.capabilities = capabilities,
                                                          .has_room = has_room,
                                                          .submit = strata_native_submit,
                                                          .poll = poll,
                                                          .cancel = strata_native_cancel,
                                                          .stats = stats,
                                                          .identity = identity,
                                                          .destroy = destroy};

static const char *weights_name(enum strata_weight_type type) {
    return type == STRATA_WEIGHT_INT8 ? "int8" : type == STRATA_WEIGHT_BF16 ? "bf16" : "f32";
}

/* What --weights says, or --compute where it says nothing. */
static int choose_weights(struct strata_model_options *model, const struct strata_native_options *options,
                          const char *compute, struct strata_error *err) {
    const char *weights = options->weights ? options->weights : "auto";
    if (strcmp(weights, "auto") == 0 && strcmp(compute, "bf16") == 0) weights = "bf16";
    model->weights_as_stored = strcmp(weights, "auto") == 0;
    if (model->weights_as_stored) return 0;
    for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_INT8; type++) {
        model->weights = (enum strata_weight_type)type;
        if (strcmp(weights, weights_name(model->weights)) == 0) return 0;
    }
    return strata_fail(err, STRATA_ERR_USAGE, "unknown weight type \"%s\": f32, bf16, int8 or auto", weights);
}

/* Level and compute type, then the model's weights in the form they want. */
static int open_model(struct native *native, const struct strata_native_options *options, struct strata_error *err) {
    const struct strata_level *level;
    const char *compute = options->compute ? options->compute : "auto";
    struct strata_model_options model = {.config = options->config, .weights_cache = options->weights_cache};
    model.max_pixels = options->max_pixels == 0          ? DEFAULT_MAX_PIXELS
                       : options->max_pixels == SIZE_MAX ? 0
                                                         : options->max_pixels;
    bool f32 = strcmp(compute, "f32") == 0, bf16 = strcmp(compute, "bf16") == 0;
    if (!f32 && !bf16 && strcmp(compute, "auto") != 0) {
        return strata_fail(err, STRATA_ERR_USAGE, "unknown compute type \"%s\": f32, bf16 or auto", compute);
    }
    int code = choose_weights(&model, options, compute, err);
    if (!code) code = strata_level_choose(&level, options->isa, err);
    if (!code) code = strata_threads_create(&native->threads, options->threads, err);
    model.threads = native->threads;
    if (!code) code = strata_model_open(&native->model, options->model, &model, err);
    if (code) return code;
    bool wide = native->model->weights.embedding.type == STRATA_WEIGHT_F32;
    if (!f32 && !bf16) bf16 = !wide && strcmp(strata_level_name(level), "avx512bf16") == 0;
    return strata_compute_create(&native->compute, level, bf16 ? STRATA_COMPUTE_BF16 : STRATA_COMPUTE_F32,
                                 native->threads, err);
}

static int plan_memory(struct native *native, const struct strata_native_options *options, struct strata_error *err) {
    const struct strata_text_config *text = &native->model->config.text;
    size_t page = strata_key_value_page_bytes(text, &native->compute);
    size_t bytes = options->memory ? options->memory : strata_available_memory() / 2;
    native->context = text->context;
    native->batch = options->batch ? options->batch : DEFAULT_BATCH;
    native->prefill_chunk = options->prefill_chunk ? options->prefill_chunk : DEFAULT_CHUNK;
    native->max_pages = bytes / page;
    /* More than a full batch of full contexts is never used. */
    size_t useful, per_draw = strata_key_value_pages_for(native->context);
    if (strata_mul_ok(&useful, 2 * per_draw, native->batch) && native->max_pages > useful) native->max_pages = useful;
    if (native->max_pages < 2) {
        strata_fail(err, STRATA_ERR_MEMORY, "%zu bytes of key/value memory hold less than two pages of %zu bytes",
                    bytes, page);
        return strata_fail_hint(err, STRATA_ERR_MEMORY, "give more with --memory");
    }
    native->logit_rows = LOGIT_BYTES / (text->vocabulary * sizeof(float));
    if (native->logit_rows > native->batch) native->logit_rows = native->batch;
    if (native->logit_rows < 1) native->logit_rows = 1;
    native->max_rows = native->batch + native->prefill_chunk;
    native->max_items = 2 * native->batch;
    return 0;
}

static int allocate_buffers(struct native *native, struct strata_error *err) {
    const struct strata_text_config *text = &native->model->config.text;
    int code;
    if ((code = strata_key_value_create(&native->memory, text, &native->compute, native->max_pages, err)) ||
        (code = strata_decoder_create(&native->decoder, &native->model->config, &native->model->weights,
                                      &native->compute, native->memory, native->max_rows, native->max_items, err)) ||
        (code = strata_alloc(&native->samplers, native->compute.workers, sizeof *native->samplers, err)) ||
        (code = strata_alloc(&native->choices, native->logit_rows, sizeof *native->choices, err)) ||
        (code = strata_alloc(&native->draws, native->batch, sizeof *native->draws, err)) ||
        (code = strata_alloc_aligned(&native->x, native->max_rows * text->hidden, sizeof *native->x, err)) ||
        (code = strata_alloc(&native->positions, 3 * native->max_rows, sizeof *native->positions, err)) ||
        (code = strata_alloc(&native->items, native->max_items, sizeof *native->items, err)) ||
        (code = strata_alloc(&native->item_groups, native->max_items, sizeof *native->item_groups, err))) {
        return code;
    }
    for (size_t i = 0; !code && i < native->compute.workers; i++) {
        code = strata_sampler_create(&native->samplers[i], text->vocabulary, err);
    }
    return code ? code
                : strata_alloc_aligned(&native->logits, native->logit_rows * text->vocabulary, sizeof *native->logits,
                                       err);
}

int strata_engine_native(struct strata_engine **out, const struct strata_native_options *options,
                         struct strata_error *err) {
    struct native *native;
    *out = NULL;
    int code = strata_alloc(&native, 1, sizeof *native, err);
    if (code) return code;
    native->waiting_end = &native->waiting;
    native->running_end = &native->running;
    native->allow_placeholders = options->allow_placeholders;
    native->share_prefixes = !options->no_shared_prefix;
    if (options->feature_cache != SIZE_MAX) {
        size_t bytes = options->feature_cache ? options->feature_cache : DEFAULT_FEATURES;
        if ((code = feature_cache_create(&native->features, bytes, err))) {
            free(native);
            return code;
        }
    }
    if ((code = open_model(native, options, err)) || (code = plan_memory(native, options, err)) ||
        (code = allocate_buffers(native, err))) {
        destroy(native);
        return code;
    }
    snprintf(native->identity, sizeof native->identity, "%s %s %s weights=%s max_pixels=%zu " DRAWS_NUMBER_TYPE,
             native->model->identity, strata_level_name(native->compute.level),
             native->compute.type == STRATA_COMPUTE_BF16 ? "bf16" : "f32",
             weights_name(native->model->weights.embedding.type), native->model->processor.max_pixels);
    if (options->feature_files) {
        size_t bytes = options->feature_files_bytes ? options->feature_files_bytes : DEFAULT_FEATURE_FILES;
        code = feature_files_open(&native->feature_files, options->feature_files, bytes, native->identity, err);
        if (code) {
            destroy(native);
            return code;
        }
    }
    return strata_engine_wrap(out, &native_vtable, native, err);
}

void strata_native_plan(struct strata_native_plan *plan, const struct strata_engine *engine) {
    static const char *const kept[] = {" (mapped)", " (kept for the next start)", " (could not be kept)"};
    const struct native *native = strata_engine_self(engine, &native_vtable);
    *plan = (struct strata_native_plan){
        .isa = strata_level_name(native->compute.level),
        .compute = native->compute.type == STRATA_COMPUTE_BF16 ? "bf16" : "f32",
        .weights = weights_name(native->model->weights.embedding.type),
        .kept = native->model->weights_cache ? kept[native->model->packed] : "",
        .threads = strata_threads_count(native->threads),
        .batch = native->batch,
        .weight_bytes = native->model->weights.packed_bytes,
        .page_bytes = strata_key_value_page_bytes(&native->model->config.text, &native->compute),
        .max_pages = native->max_pages,
        .workspace_bytes = strata_decoder_workspace_bytes(&native->model->config, native->max_rows) +
                           (native->logit_rows + 2 * native->compute.workers) * native->samplers[0].V * sizeof(float) +
                           native->compute.workers * native->compute.scratch_bytes,
        .context = native->context,
        .parameters = native->model->weights.parameters,
    };
}

const struct strata_model *strata_native_model(const struct strata_engine *engine) {
    const struct native *native = strata_engine_self(engine, &native_vtable);
    return native->model;
}

struct strata_model *strata_native_train(struct strata_engine *engine, const struct strata_compute **compute) {
    struct native *native = strata_engine_self(engine, &native_vtable);
    *compute = &native->compute;
    return native->model;
}

void strata_native_weights_changed(struct strata_engine *engine, bool vision) {
    struct native *native = strata_engine_self(engine, &native_vtable);
    while (prefix_cache_evict(&native->prefixes, native->memory, &native->reserved_pages)) continue;
    if (!vision) return;
    feature_cache_clear(native->features);
    /* The files are those of the weights that were opened. */
    feature_files_close(native->feature_files);
    native->feature_files = NULL;
}

int strata_native_trace(struct strata_engine *engine, const struct strata_request *request,
                        const struct strata_trace *trace, struct strata_prompt *prompt, struct strata_error *err) {
    struct native *native = strata_engine_self(engine, &native_vtable);
    size_t C = native->model->config.text.hidden;
    struct group *group;
    int code = strata_native_group_create(&group, native, request, err);
    if (code) return code;
    code = strata_native_image_features(native, group, trace, err);
    if (!code) code = strata_sequence_reserve(native->memory, &group->sequence, group->rows, err);
    while (!code && group->done < group->rows) {
        size_t left = group->rows - group->done, count = left < native->prefill_chunk ? left : native->prefill_chunk;
        struct strata_decoder_item item = {.sequence = &group->sequence, .rows = count};
        strata_native_rows(native, group, group->done, count, native->x, native->positions, count);
        code = strata_decoder_forward(native->decoder, native->x, native->positions, &item, 1, trace, err);
        for (size_t r = 0; !code && r < count; r += native->logit_rows) {
            size_t rows = count - r < native->logit_rows ? count - r : native->logit_rows;
            strata_decoder_logits(native->decoder, native->logits, native->x + r * C, rows, group->done + r, trace);
        }
        group->done += count;
    }
    if (!code && prompt) {
        *prompt = group->prompt;
        group->prompt = (struct strata_prompt){0};
    }
    strata_native_group_free(native, group);
    return code;
}
