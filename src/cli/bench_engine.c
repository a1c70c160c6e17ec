/* The engine's tasks: one picture of N x N merged tokens and some text, as the scripts of the peers have it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "cli/setup.h"

#define ID(name)    STRATA_OPTION_ID_##name
#define TEXT_TOKENS 64 /* template and question together */
#define NEW_TOKENS  64

struct workload {
    struct strata_engine *engine;
    const struct strata_model *model;
    struct strata_native_plan plan;
    struct strata_image image;
    char *question;
    size_t prompt_tokens, image_tokens, new_tokens;
    double open_seconds;
};

static void workload_free(struct workload *work) {
    strata_engine_destroy(work->engine);
    strata_image_free(&work->image);
    free(work->question);
}

int bench_picture(struct strata_image *image, size_t side, size_t kind, struct strata_error *err) {
    *image = (struct strata_image){.width = side, .height = side};
    int code = strata_alloc(&image->rgb, side * side, 3, err);
    for (size_t i = 0; !code && i < 3 * side * side; i++) {
        size_t x = i / 3 % side, y = i / 3 / side;
        image->rgb[i] = (uint8_t)(i % 3 == 0 ? x * 255 / side : i % 3 == 1 ? y * 255 / side : (x * (y + kind)) & 255);
    }
    return code;
}

static struct strata_request make_request(const struct workload *work, const struct strata_message *message,
                                          uint32_t draws, uint32_t tokens) {
    return (struct strata_request){
        .sample_id = "bench",
        .messages = message,
        .message_count = 1,
        .images = &work->image,
        .image_count = 1,
        .images_once = true, /* the vision tower is part of what is measured */
        .purpose = STRATA_PURPOSE_TOKEN,
        .draws = draws,
        .sampling = {.temperature = 1.0f, .top_p = 1.0f, .repetition_penalty = 1.0f, .max_new_tokens = tokens}};
}

/* Words are added until the prompt has the wanted length (a word is one token or two). */
static int make_question(struct workload *work, size_t wanted, struct strata_error *err) {
    struct strata_buffer text = {0};
    struct strata_grid grid;
    int code = strata_image_grid(&grid, &work->model->processor, work->image.height, work->image.width, err);
    strata_buffer_text(&text, "<image>");
    while (!code) {
        struct strata_message message = {STRATA_ROLE_USER, text.data};
        struct strata_prompt prompt;
        code = strata_prompt_build(&prompt, work->model->tokenizer, &work->model->config.special, &message, 1, &grid, 1,
                                   (unsigned)work->model->config.vision.merge_size, 0, err);
        if (code) break;
        work->prompt_tokens = prompt.T;
        work->image_tokens = prompt.image_tokens[0];
        strata_prompt_free(&prompt);
        if (work->prompt_tokens >= work->image_tokens + wanted) break;
        strata_buffer_text(&text, " is");
    }
    work->question = text.data;
    return code;
}

static int workload_open(struct workload *work, const struct bench *bench, struct strata_error *err) {
    double start = strata_seconds();
    int code = strata_setup_engine(&work->engine, bench->arguments, err);
    if (code) return code;
    work->open_seconds = strata_seconds() - start;
    work->model = strata_native_model(work->engine);
    strata_native_plan(&work->plan, work->engine);
    const struct strata_vision_config *vision = &work->model->config.vision;
    size_t side = (size_t)lround(sqrt((double)strata_integer(bench->arguments, ID(IMAGE_TOKENS))));
    work->new_tokens = strata_given(bench->arguments, ID(MAX_NEW_TOKENS))
                           ? (size_t)strata_integer(bench->arguments, ID(MAX_NEW_TOKENS))
                           : NEW_TOKENS;
    code = bench_picture(&work->image, side * vision->patch_size * vision->merge_size, 0, err);
    return code ? code : make_question(work, TEXT_TOKENS, err);
}

double bench_language_flops(const struct strata_model_config *config, double T) {
    const struct strata_text_config *text = &config->text;
    double C = (double)text->hidden, F = (double)text->intermediate;
    double Q = (double)(text->heads * text->head_size), KV = (double)(text->kv_heads * text->head_size);
    return (double)text->layers * (2.0 * T * (C * (Q + 2.0 * KV) + Q * C + 3.0 * C * F) + 2.0 * Q * T * (T + 1.0));
}

double bench_head_flops(const struct strata_model_config *config, double rows) {
    return 2.0 * rows * (double)config->text.hidden * (double)config->text.vocabulary;
}

double bench_vision_flops(const struct strata_model_config *config, double image_tokens) {
    const struct strata_vision_config *vision = &config->vision;
    double merge = (double)(vision->merge_size * vision->merge_size), N = image_tokens * merge;
    double E = (double)vision->hidden, I = (double)vision->intermediate, G = merge * E;
    double P = (double)(vision->channels * vision->temporal_patch_size * vision->patch_size * vision->patch_size);
    const size_t side = vision->window_size / vision->patch_size; /* whole patches */
    double window = (double)side;
    double flops = 2.0 * N * P * E + 2.0 * (N / merge) * (G * G + G * (double)vision->out_hidden);
    for (size_t i = 0; i < vision->depth; i++) {
        double keys = vision->full_attention[i] ? N : fmin(N, window * window);
        flops += 2.0 * N * (4.0 * E * E + 3.0 * E * I) + 4.0 * E * N * keys;
    }
    return flops;
}

/* Of one prefill: vision tower, language model, head on the last position. */
static double prefill_flops(const struct workload *work) {
    const struct strata_model_config *config = &work->model->config;
    return bench_language_flops(config, (double)work->prompt_tokens) + bench_head_flops(config, 1.0) +
           bench_vision_flops(config, (double)work->image_tokens);
}

/* Bytes that one decode step has to read: all weights of the language model once, and every row's keys and values. */
static double step_bytes(const struct workload *work, double rows, double context) {
    const struct strata_text_config *text = &work->model->config.text;
    double C = (double)text->hidden, F = (double)text->intermediate;
    double Q = (double)(text->heads * text->head_size), KV = (double)(text->kv_heads * text->head_size);
    double weights = (double)text->layers * (C * (Q + 2.0 * KV) + Q * C + 3.0 * C * F) + C * (double)text->vocabulary;
    double width = (double)work->model->weights.embedding.bytes / (C * (double)text->vocabulary);
    double cached = (double)work->plan.page_bytes / STRATA_KEY_BLOCK;
    return weights * width + rows * context * cached;
}

struct timing {
    double seconds, vision, prefill, decode;
    size_t tokens, attention_bytes;
};

/* Runs one request to its end; adds up the tokens of its draws and the bytes of the masses that came with them. */
static int run_request(struct timing *timing, const struct workload *work, const struct strata_request *request,
                       struct strata_error *err) {
    timing->tokens = timing->attention_bytes = 0;
    int code = strata_engine_submit(work->engine, request, err);
    for (uint32_t d = 0; !code && d < request->draws; d++) {
        struct strata_result result;
        bool got = false;
        code = strata_engine_poll(work->engine, &result, &got, err);
        if (code || !got) break;
        if (result.finish == STRATA_FINISH_ERROR) {
            *err = result.error;
            code = result.error.code;
        }
        timing->tokens += result.N;
        const struct strata_attention *attention = result.attention;
        if (attention)
            timing->attention_bytes += attention->L * attention->N * attention->S * sizeof *attention->masses;
        strata_result_free(&result);
    }
    return code;
}

static int time_request(struct timing *timing, const struct workload *work, const struct strata_request *request,
                        struct strata_error *err) {
    struct strata_engine_stats before, after;
    double start = strata_seconds();
    strata_engine_stats(work->engine, &before);
    int code = run_request(timing, work, request, err);
    strata_engine_stats(work->engine, &after);
    timing->seconds = strata_seconds() - start;
    timing->vision = after.vision_seconds - before.vision_seconds;
    timing->prefill = after.prefill_seconds - before.prefill_seconds;
    timing->decode = after.decode_seconds - before.decode_seconds;
    return code;
}

static json_t *describe(const struct workload *work, size_t batch, const struct timing *timing) {
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "compute", work->plan.compute, "weights",
                     work->plan.weights, "batch", (json_int_t)batch, "prompt_tokens", (json_int_t)work->prompt_tokens,
                     "image_tokens", (json_int_t)work->image_tokens, "tokens", (json_int_t)timing->tokens, "seconds",
                     timing->seconds, "first_token_s", timing->vision + timing->prefill, "vision_s", timing->vision,
                     "decode_s", timing->decode);
}

static int prefill(const struct bench *bench, const struct workload *work, struct strata_error *err) {
    struct strata_message message = {STRATA_ROLE_USER, work->question};
    struct strata_request request = make_request(work, &message, 1, 1);
    struct bench_figure figure = {.task = "prefill", .unit = "tok_s", .limit = BENCH_COMPUTE};
    struct timing timing = {0};
    int code = time_request(&timing, work, &request, err);
    for (size_t round = 0; !code && round < bench->rounds; round++) {
        double before = bench_probe(bench, BENCH_COMPUTE);
        if ((code = time_request(&timing, work, &request, err))) break;
        double limit = fmax(before, bench_probe(bench, BENCH_COMPUTE));
        bench_add(&figure.value, (double)work->prompt_tokens / timing.seconds);
        bench_add(&figure.limits, limit);
        bench_add(&figure.share, prefill_flops(work) / timing.seconds * 1e-9 / limit);
    }
    if (code) return code;
    figure.details = describe(work, 1, &timing);
    return bench_print(bench, &figure, err);
}

/* `draws` sequences of one prompt; tok_s counts what follows each first token. */
static int decode(const struct bench *bench, const struct workload *work, const char *task, uint32_t draws,
                  struct strata_error *err) {
    struct strata_message message = {STRATA_ROLE_USER, work->question};
    struct strata_request request = make_request(work, &message, draws, (uint32_t)work->new_tokens);
    struct bench_figure figure = {.task = task, .unit = "tok_s", .limit = BENCH_READ};
    struct timing timing = {0};
    int code = 0;
    for (size_t round = 0; round < bench->rounds; round++) {
        double before = bench_probe(bench, BENCH_READ);
        if ((code = time_request(&timing, work, &request, err))) return code;
        double limit = fmax(before, bench_probe(bench, BENCH_READ));
        const size_t each = timing.tokens / draws;
        double steps = (double)(each - 1), rows = (double)draws;
        double context = (double)work->prompt_tokens + steps / 2.0;
        bench_add(&figure.value, (double)(timing.tokens - draws) / timing.decode);
        bench_add(&figure.limits, limit);
        bench_add(&figure.share, steps * step_bytes(work, rows, context) / timing.decode * 1e-9 / limit);
    }
    figure.details = describe(work, draws, &timing);
    return bench_print(bench, &figure, err);
}

/* Decoding with attention masses beside plain decoding, round by round: seconds with over seconds without. */
static int cmab(const struct bench *bench, const struct workload *work, struct strata_error *err) {
    struct strata_message message = {STRATA_ROLE_USER, work->question};
    struct bench_figure figure = {.task = "cmab", .unit = "tok_s"};
    struct bench_series overhead = {{0}, 0};
    struct timing plain = {0}, measured = {0};
    int code = 0;
    for (size_t round = 0; round < bench->rounds; round++) {
        struct strata_request request = make_request(work, &message, 1, (uint32_t)work->new_tokens);
        request.want_attention = round % 2 == 0;
        if ((code = time_request(request.want_attention ? &measured : &plain, work, &request, err))) return code;
        request.want_attention = !request.want_attention;
        if ((code = time_request(request.want_attention ? &measured : &plain, work, &request, err))) return code;
        bench_add(&figure.value, (double)(measured.tokens - 1) / measured.decode);
        bench_add(&overhead, measured.decode / plain.decode - 1.0);
    }
    figure.details = describe(work, 1, &measured);
    json_object_set_new(figure.details, "kept_mb", json_real((double)measured.attention_bytes / 1e6));
    json_object_set_new(figure.details, "overhead", json_real(bench_median(&overhead)));
    json_object_set_new(figure.details, "overhead_lowest", json_real(bench_least(&overhead)));
    json_object_set_new(figure.details, "overhead_highest", json_real(bench_most(&overhead)));
    return bench_print(bench, &figure, err);
}

/* Masked draws as PISM makes them: every draw its own picture, `batch` in flight. */
static int pism(const struct bench *bench, const struct workload *work, struct strata_error *err) {
    struct strata_message message = {STRATA_ROLE_USER, work->question};
    struct strata_mask mask = {.kind = STRATA_MASK_PIXEL};
    struct bench_figure figure = {.task = "pism", .unit = "generations_s"};
    struct timing timing = {0};
    const size_t draws = 20;
    int code = 0;
    for (size_t round = 0; !code && round < bench->rounds; round++) {
        double start = strata_seconds();
        size_t submitted = 0, received = 0;
        timing.tokens = 0;
        while (!code && received < draws) {
            while (!code && submitted < draws && strata_engine_has_room(work->engine, 1)) {
                struct strata_request request = make_request(work, &message, 1, (uint32_t)work->new_tokens);
                struct strata_image masked;
                if ((code = strata_image_copy(&masked, &work->image, err))) break;
                code = strata_image_mask(&masked, &mask, round, "bench", (unsigned)(submitted / 10 + 3),
                                         (unsigned)(submitted % 10), 0, err);
                request.images = &masked;
                request.first_draw = (uint32_t)submitted++;
                if (!code) code = strata_engine_submit(work->engine, &request, err);
                strata_image_free(&masked);
            }
            struct strata_result result;
            bool got = false;
            if (!code) code = strata_engine_poll(work->engine, &result, &got, err);
            if (code || !got) break;
            received++;
            timing.tokens += result.N;
            strata_result_free(&result);
        }
        timing.seconds = strata_seconds() - start;
        bench_add(&figure.value, (double)draws / timing.seconds);
    }
    if (code) return code;
    figure.details = describe(work, work->plan.batch, &timing);
    return bench_print(bench, &figure, err);
}

/* Opening the model to the first token of a prompt. */
static int load(const struct bench *bench, struct strata_error *err) {
    struct bench_figure figure = {.task = "load", .unit = "seconds"};
    struct bench_series opened = {{0}, 0};
    int code = 0;
    for (size_t round = 0; !code && round < bench->rounds; round++) {
        struct workload work = {0};
        struct timing timing = {0};
        code = workload_open(&work, bench, err);
        if (!code) {
            struct strata_message message = {STRATA_ROLE_USER, work.question};
            struct strata_request request = make_request(&work, &message, 1, 1);
            code = time_request(&timing, &work, &request, err);
        }
        if (!code) {
            bench_add(&opened, work.open_seconds);
            bench_add(&figure.value, work.open_seconds + timing.seconds);
            if (round + 1 == bench->rounds) figure.details = describe(&work, 1, &timing);
        }
        workload_free(&work);
    }
    if (code) return code;
    json_object_set_new(figure.details, "open_s", json_real(bench_median(&opened)));
    return bench_print(bench, &figure, err);
}

int bench_engine_task(struct bench *bench, const char *task, struct strata_error *err) {
    struct workload work = {0};
    if (!strata_text(bench->arguments, ID(MODEL))) {
        return strata_fail(err, STRATA_ERR_USAGE, "the task %s needs --model", task);
    }
    if (strcmp(task, "load") == 0) return load(bench, err);
    int code = workload_open(&work, bench, err);
    if (!code) {
        bench->bf16 = strcmp(work.plan.compute, "bf16") == 0;
        if (strcmp(task, "prefill") == 0) code = prefill(bench, &work, err);
        if (strcmp(task, "decode") == 0) code = decode(bench, &work, "decode", 1, err);
        if (strcmp(task, "batch") == 0) code = decode(bench, &work, "batch", 8, err);
        if (strcmp(task, "cmab") == 0) code = cmab(bench, &work, err);
        if (strcmp(task, "pism") == 0) code = pism(bench, &work, err);
    }
    workload_free(&work);
    return code;
}
