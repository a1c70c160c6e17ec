/* The scripted engine: answers without a model. What a draw answers is a pure function of the request, so everything
 * above the engine's door (early stopping, batching, resuming, speculation) can be tested on any number of samples. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/elementary.h"
#include "base/memory.h"
#include "engine/engine.h"

/* One draw waiting to be polled. */
struct waiting {
    uint64_t tag, seed;
    char *sample_id, *solution;
    enum strata_purpose purpose;
    uint32_t stream, draw;
    float temperature;
    int32_t *forced_ids;
    size_t forced_count, image_count;
    bool want_attention;
};

struct scripted {
    uint64_t seed;
    size_t batch;
    struct waiting *waiting;
    size_t count, capacity;
    uint64_t polls;
    struct strata_engine_stats stats;
    char identity[48];
};

/* Families of the script's own numbers, beside the ratios 0..9. */
enum { SCRIPT_SAMPLE = 100, SCRIPT_ORDER, SCRIPT_BALANCE, SCRIPT_MASSES, SCRIPT_LENGTH };

double strata_scripted_probability(uint64_t seed, const char *sample_id, unsigned tenths) {
    struct strata_random sample = strata_random_make(seed, sample_id, STRATA_PURPOSE_SCRIPTED, SCRIPT_SAMPLE, 0);
    struct strata_random ratio = strata_random_make(seed, sample_id, STRATA_PURPOSE_SCRIPTED, tenths, 0);
    double kind = strata_random_uniform(&sample, 0), place = strata_random_uniform(&sample, 1);
    double level = strata_random_uniform(&ratio, 0);
    /* The ratio from which on the sample is mostly lost: 0 for a quarter of the samples, 1..4 (hard), 5..6 (medium) and
     * 7..10 (easy) for a quarter each. */
    unsigned lost = kind < 0.25   ? 0
                    : kind < 0.5  ? 1 + (unsigned)(place * 4)
                    : kind < 0.75 ? 5 + (unsigned)(place * 2)
                                  : 7 + (unsigned)(place * 4);
    return tenths < lost ? 0.25 + 0.75 * level : 0.04 * level;
}

static unsigned capabilities(const void *self) {
    (void)self;
    return STRATA_CAN_TEXT | STRATA_CAN_IDS | STRATA_CAN_ATTENTION | STRATA_CAN_FORCE | STRATA_CAN_IMAGES;
}

static bool has_room(const void *self, uint32_t draws) {
    const struct scripted *engine = self;
    return engine->count == 0 || engine->count + draws <= engine->batch;
}

static void waiting_free(struct waiting *waiting) {
    free(waiting->sample_id);
    free(waiting->solution);
    free(waiting->forced_ids);
}

static int add(struct scripted *engine, const struct strata_request *request, uint32_t draw, struct strata_error *err) {
    int code = strata_grow(&engine->waiting, &engine->capacity, engine->count + 1, sizeof *engine->waiting, err);
    if (code) return code;
    struct waiting *waiting = &engine->waiting[engine->count];
    *waiting = (struct waiting){.tag = request->tag,
                                .seed = request->seed,
                                .sample_id = strata_strdup(request->sample_id),
                                .solution = strata_strdup(request->solution ? request->solution : ""),
                                .purpose = request->purpose,
                                .stream = request->stream,
                                .draw = draw,
                                .temperature = request->sampling.temperature,
                                .forced_count = request->forced_count,
                                .image_count = request->image_count,
                                .want_attention = request->want_attention};
    if (request->forced_ids) {
        code = strata_alloc(&waiting->forced_ids, request->forced_count, sizeof *waiting->forced_ids, err);
        if (!code) memcpy(waiting->forced_ids, request->forced_ids, request->forced_count * sizeof(int32_t));
    }
    if (!code && (!waiting->sample_id || !waiting->solution))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code)
        waiting_free(waiting);
    else
        engine->count++;
    return code;
}

static int submit(void *self, const struct strata_request *request, struct strata_error *err) {
    struct scripted *engine = self;
    size_t before = engine->count;
    for (uint32_t d = 0; d < request->draws; d++) {
        int code = add(engine, request, request->first_draw + d, err);
        if (!code) continue;
        while (engine->count > before) waiting_free(&engine->waiting[--engine->count]);
        return code;
    }
    engine->stats.prompts++;
    engine->stats.image_tokens += 16 * request->image_count;
    if (engine->count > engine->stats.peak_batch) engine->stats.peak_batch = engine->count;
    return 0;
}

/* Layers of the made-up decoder, and one segment of each kind that CMAB tells apart. */
enum { L = 4, S = 7 };
static const struct strata_segment layout[S] = {
    {STRATA_SEGMENT_TEMPLATE, 0, 3, 0},  {STRATA_SEGMENT_SYSTEM, 3, 8, 0},  {STRATA_SEGMENT_TEMPLATE, 11, 5, 0},
    {STRATA_SEGMENT_VISION, 16, 1, 0},   {STRATA_SEGMENT_IMAGE, 17, 16, 0}, {STRATA_SEGMENT_QUESTION, 33, 9, 0},
    {STRATA_SEGMENT_TEMPLATE, 42, 5, 0},
};

/* Masses whose balance image : text is the sample's own, spread evenly in the logarithm from 0.02 to 4 so that each
 * CMAB stratum occurs. */
static int make_attention(struct strata_attention **out, const struct scripted *engine, const struct waiting *waiting,
                          size_t N, struct strata_error *err) {
    struct strata_attention *attention;
    int code = strata_alloc(&attention, 1, sizeof *attention, err);
    if (code) return code;
    *out = attention;
    attention->L = L;
    attention->N = N;
    attention->S = S;
    attention->T = 47;
    if ((code = strata_alloc(&attention->masses, L * N * S, sizeof(float), err)) ||
        (code = strata_alloc(&attention->segments, S, sizeof *attention->segments, err)))
        return code;
    memcpy(attention->segments, layout, sizeof layout);
    struct strata_random balance =
        strata_random_make(engine->seed, waiting->sample_id, STRATA_PURPOSE_SCRIPTED, SCRIPT_BALANCE, 0);
    struct strata_random noise =
        strata_random_make(engine->seed, waiting->sample_id, STRATA_PURPOSE_SCRIPTED, SCRIPT_MASSES, waiting->draw);
    double rho = strata_exp(strata_log(0.02) + strata_random_uniform(&balance, 0) * strata_log(200.0));
    for (size_t i = 0; i < L * N; i++) {
        double text = 0.9 / (1 + rho), shares[S] = {0}, sum = 0;
        for (size_t s = 0; s < S; s++)
            if (layout[s].kind != STRATA_SEGMENT_IMAGE)
                sum += shares[s] = 0.5 + strata_random_uniform(&noise, i * S + s);
        for (size_t s = 0; s < S; s++)
            attention->masses[i * S + s] =
                (float)(layout[s].kind == STRATA_SEGMENT_IMAGE ? 0.9 - text : text * shares[s] / sum);
    }
    return 0;
}

static bool is_right(const struct scripted *engine, const struct waiting *waiting) {
    /* Greedy decoding answers the same whatever the draw. */
    uint32_t draw = waiting->temperature > 0 ? waiting->draw : 0;
    struct strata_random answer =
        strata_random_make(waiting->seed, waiting->sample_id, waiting->purpose, waiting->stream, draw);
    return strata_random_uniform(&answer, 0) <
           strata_scripted_probability(engine->seed, waiting->sample_id, waiting->stream);
}

static int answer(struct strata_result *result, struct scripted *engine, const struct waiting *waiting,
                  struct strata_error *err) {
    struct strata_random length = strata_random_make(waiting->seed, waiting->sample_id, STRATA_PURPOSE_SCRIPTED,
                                                     SCRIPT_LENGTH, waiting->stream << 16 | waiting->draw);
    struct strata_buffer text = {0};
    size_t N = waiting->forced_ids ? waiting->forced_count : 3 + (size_t)strata_random_below(&length, 0, 6);
    strata_buffer_printf(&text, "<answer>%s</answer>", is_right(engine, waiting) ? waiting->solution : "wrong");
    *result = (struct strata_result){.tag = waiting->tag,
                                     .draw = waiting->draw,
                                     .finish = STRATA_FINISH_STOP,
                                     .text = text.data,
                                     .text_length = text.length,
                                     .N = N,
                                     .prompt_tokens = 47};
    int code = strata_buffer_check(&text, err);
    if (!code) code = strata_alloc(&result->ids, N, sizeof *result->ids, err);
    for (size_t n = 0; !code && n < N; n++)
        result->ids[n] = waiting->forced_ids ? waiting->forced_ids[n] : 100 + (int32_t)n;
    if (!code && waiting->want_attention) code = make_attention(&result->attention, engine, waiting, N, err);
    *(waiting->forced_ids ? &engine->stats.forced_tokens : &engine->stats.generated_tokens) += N;
    engine->stats.prompt_tokens += 47;
    if (code) strata_result_free(result);
    return code;
}

/* Answers in an order of its own, which depends on how many draws wait: callers must not depend on it. */
static int poll(void *self, struct strata_result *result, bool *got, struct strata_error *err) {
    struct scripted *engine = self;
    if (engine->count == 0) return 0;
    struct strata_random order = strata_random_make(engine->seed, "", STRATA_PURPOSE_SCRIPTED, SCRIPT_ORDER, 0);
    size_t chosen = (size_t)strata_random_below(&order, engine->polls++, engine->count);
    struct waiting waiting = engine->waiting[chosen];
    engine->waiting[chosen] = engine->waiting[--engine->count];
    int code = answer(result, engine, &waiting, err);
    waiting_free(&waiting);
    *got = code == 0;
    return code;
}

static void cancel(void *self, uint64_t tag) {
    struct scripted *engine = self;
    size_t kept = 0;
    for (size_t i = 0; i < engine->count; i++) {
        if (engine->waiting[i].tag == tag)
            waiting_free(&engine->waiting[i]);
        else
            engine->waiting[kept++] = engine->waiting[i];
    }
    engine->count = kept;
}

static void statistics(const void *self, struct strata_engine_stats *stats) {
    *stats = ((const struct scripted *)self)->stats;
}

static const char *identity(const void *self) {
    return ((const struct scripted *)self)->identity;
}

static void destroy(void *self) {
    struct scripted *engine = self;
    for (size_t i = 0; i < engine->count; i++) waiting_free(&engine->waiting[i]);
    free(engine->waiting);
    free(engine);
}

int strata_engine_scripted(struct strata_engine **out, uint64_t seed, size_t batch, struct strata_error *err) {
    static const struct strata_engine_vtable vtable = {capabilities, has_room,   submit,   poll,
                                                       cancel,       statistics, identity, destroy};
    struct scripted *engine;
    int code = strata_alloc(&engine, 1, sizeof *engine, err);
    if (code) return code;
    engine->seed = seed;
    engine->batch = batch;
    snprintf(engine->identity, sizeof engine->identity, "scripted-%" PRIu64, seed);
    return strata_engine_wrap(out, &vtable, engine, err);
}
