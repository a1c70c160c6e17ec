/* conformance_models DIR [--isa LEVEL [--optional]] [--compute f32|bf16] [--threads N]
 *
 * Everything a forward pass computes against transformers, for every model directory of DIR (a golden set), with both
 * config layouts: positions, vision stages, hidden states, logits, greedy decoding with and without repetition penalty,
 * batches. Tolerances are those the golden README suggests. */
#include "golden_engine.h"

#include "model/trace.h"
#include "model/vision.h"

struct tolerances {
    double relative; /* hidden states, logits, vision embeddings: relative L2 */
    double logprob;  /* absolute */
    bool same_ids;   /* greedy ids must be equal */
};
static const struct tolerances reference = {1e-5, 5e-4, true};
/* Contract 3's bound for the fast path; its own greedy ids may differ at near ties. Measured on the dev set: 1.9e-2 and
 * 0.13 where the checkpoint is bf16; 3.6e-2 and 0.33 where an fp32 one is rounded first (2.5e-2 from that alone). */
static const struct tolerances fast = {2e-2, 0.15, false}, fast_rounded = {5e-2, 0.5, false};

/* Stages of one prompt's forward pass, each collected whole. */
struct stage {
    char name[48];
    float *values;
    size_t count, capacity, columns;
};
struct stages {
    struct stage list[512];
    size_t count;
};

static struct stage *find_stage(struct stages *stages, const char *name) {
    for (size_t i = 0; i < stages->count; i++) {
        if (strcmp(stages->list[i].name, name) == 0) return &stages->list[i];
    }
    return NULL;
}

static void collect(void *context, const char *name, const float *values, size_t first_row, size_t rows,
                    size_t columns) {
    struct stages *stages = context;
    struct stage *stage = find_stage(stages, name);
    (void)first_row; /* pieces arrive in order */
    if (!stage) {
        stage = &stages->list[stages->count++];
        *stage = (struct stage){.columns = columns};
        snprintf(stage->name, sizeof stage->name, "%s", name);
    }
    if (strata_grow(&stage->values, &stage->capacity, stage->count + rows * columns, sizeof(float), NULL)) return;
    memcpy(stage->values + stage->count, values, rows * columns * sizeof(float));
    stage->count += rows * columns;
}

static void stages_free(struct stages *stages) {
    for (size_t i = 0; i < stages->count; i++) free(stages->list[i].values);
    stages->count = 0;
}

static struct strata_request request_of(const struct golden_prompt *prompt, uint32_t max_new_tokens, float penalty) {
    return (struct strata_request){
        .sample_id = prompt->name,
        .messages = prompt->messages,
        .message_count = prompt->message_count,
        .images = prompt->images,
        .image_count = prompt->image_count,
        .draws = 1,
        .sampling = {.top_p = 1.0f, .repetition_penalty = penalty, .max_new_tokens = max_new_tokens},
        .want_logprobs = true};
}

static double logsumexp(const float *x, size_t count) {
    double largest = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, (double)x[i]);
    for (size_t i = 0; i < count; i++) sum += exp((double)x[i] - largest);
    return largest + log(sum); // cppcheck-suppress invalidFunctionArg ; count > 0
}

static void check_positions(struct tally *tally, const struct strata_prompt *prompt,
                            const struct strata_safetensors *golden) {
    const int32_t *ids = golden_ints(tally, golden, "input_ids", prompt->T);
    const int32_t *positions = golden_ints(tally, golden, "position_ids", 3 * prompt->T);
    const int32_t *delta = golden_ints(tally, golden, "rope_delta", 1);
    if (!ids || !positions || !delta) return;
    tally_case(tally, memcmp(ids, prompt->ids, prompt->T * sizeof *ids) == 0, "input_ids differ");
    tally_case(tally, memcmp(positions, prompt->positions, 3 * prompt->T * sizeof *ids) == 0, "position_ids differ");
    tally_case(tally, *delta == prompt->rope_delta, "rope_delta is %d instead of %d", prompt->rope_delta, *delta);
}

static void check_window_order(struct tally *tally, const struct strata_model *model,
                               const struct golden_prompt *prompt, const struct strata_safetensors *golden) {
    const struct strata_tensor *index = strata_safetensors_find(golden, "vision.window_index");
    const struct strata_tensor *bounds = strata_safetensors_find(golden, "vision.cu_window_seqlens");
    const struct strata_tensor *places = strata_safetensors_find(golden, "vision.position_ids");
    if (!index || !bounds || !places) return;
    size_t cells = 0, windows = 0, patches = 0, merge = model->config.vision.merge_size, area = merge * merge;
    bool same = true;
    for (size_t i = 0; i < prompt->image_count; i++) {
        struct strata_grid grid;
        struct strata_window_order order;
        struct strata_error err;
        if (strata_image_grid(&grid, &model->processor, prompt->images[i].height, prompt->images[i].width, &err) ||
            strata_window_order(&order, &model->config.vision, grid, &err)) {
            tally_error(tally, &err);
            return;
        }
        uint32_t *positions = malloc(2 * order.cell_count * area * sizeof *positions);
        strata_patch_positions(positions, grid, merge);
        for (size_t c = 0; c < order.cell_count && same; c++) {
            same = cells + c < index->count &&
                   ((const int32_t *)index->data)[cells + c] == (int32_t)(order.cells[c] + cells);
        }
        for (size_t w = 1; w <= order.windows && same; w++) {
            same = windows + w < bounds->count &&
                   ((const int32_t *)bounds->data)[windows + w] == (int32_t)(order.bounds[w] + patches);
        }
        for (size_t p = 0; p < 2 * order.cell_count * area && same; p++) {
            same = 2 * patches + p < places->count &&
                   ((const int32_t *)places->data)[2 * patches + p] == (int32_t)positions[p];
        }
        free(positions);
        cells += order.cell_count;
        windows += order.windows;
        patches += order.cell_count * area;
        strata_window_order_free(&order);
    }
    tally_case(tally, same && cells == index->count && windows + 1 == bounds->count && 2 * patches == places->count,
               "window order, bounds or patch positions differ");
}

/* A conversation without the assistant's header is the beginning of one with it: the header is the engine's, and what
 * comes later changes nothing before it. */
static void drop_header(struct stages *stages, struct strata_prompt *prompt, const struct strata_safetensors *golden) {
    const struct strata_tensor *ids = strata_safetensors_find(golden, "input_ids");
    if (!ids || ids->count >= prompt->T) return;
    const size_t T = ids->count;
    for (size_t axis = 1; axis < 3; axis++)
        memmove(prompt->positions + axis * T, prompt->positions + axis * prompt->T, T * sizeof *prompt->positions);
    prompt->T = T;
    for (size_t i = 0; i < stages->count; i++) {
        struct stage *stage = &stages->list[i];
        if (strncmp(stage->name, "vision", 6) != 0 && stage->count > T * stage->columns)
            stage->count = T * stage->columns;
    }
}

/* A stage under its golden name, when both have it. */
static void check_stage(struct tally *tally, struct stages *stages, const char *name,
                        const struct strata_safetensors *golden, double tolerance) {
    struct stage *stage = find_stage(stages, name);
    if (!stage) return;
    const float *want = golden_floats(tally, golden, name, stage->count);
    if (want) compare_relative(tally, name, stage->values, want, stage->count, tolerance);
}

static void check_hidden(struct tally *tally, struct stages *stages, size_t layers, size_t T, size_t C,
                         const struct strata_safetensors *golden, double tolerance) {
    const float *all = golden_floats(tally, golden, "hidden", (layers + 1) * T * C);
    const float *last = golden_floats(tally, golden, "hidden_last", (layers + 1) * C);
    for (size_t l = 0; l <= layers; l++) {
        char name[48];
        snprintf(name, sizeof name, "hidden.%zu", l);
        struct stage *stage = find_stage(stages, name);
        if (!stage || stage->count != T * C) {
            tally_case(tally, false, "%s was not computed", name);
        } else if (all) {
            compare_relative(tally, name, stage->values, all + l * T * C, T * C, tolerance);
        } else if (last) {
            compare_relative(tally, name, stage->values + (T - 1) * C, last + l * C, C, tolerance);
        }
    }
}

static void check_logits(struct tally *tally, const struct stage *logits, const struct strata_prompt *prompt,
                         const struct strata_safetensors *golden, const struct tolerances *bounds) {
    size_t V = logits->columns, T = prompt->T, sparse = (V + 15) / 16;
    const float *every16 = golden_floats(tally, golden, "logits_every16", T * sparse);
    const float *last = golden_floats(tally, golden, "logits_last", V);
    const float *sums = golden_floats(tally, golden, "logsumexp", T);
    const float *next = golden_floats(tally, golden, "next_logprob", T - 1);
    const float *top = golden_floats(tally, golden, "top5_logits", T * 5);
    const int32_t *top_ids = golden_ints(tally, golden, "top5_ids", T * 5);
    float *picked = malloc((T * sparse + 3 * T + 5 * T) * sizeof *picked), *our_sums = picked + T * sparse;
    float *our_next = our_sums + T, *our_top = our_next + T;
    for (size_t t = 0; t < T; t++) {
        const float *row = logits->values + t * V;
        for (size_t i = 0; i < sparse; i++) picked[t * sparse + i] = row[16 * i];
        our_sums[t] = (float)logsumexp(row, V);
        if (t + 1 < T) our_next[t] = (float)((double)row[prompt->ids[t + 1]] - logsumexp(row, V));
        for (size_t i = 0; top_ids && i < 5; i++) our_top[5 * t + i] = row[top_ids[5 * t + i]];
    }
    if (every16) compare_relative(tally, "logits_every16", picked, every16, T * sparse, bounds->relative);
    if (last) compare_relative(tally, "logits_last", logits->values + (T - 1) * V, last, V, bounds->relative);
    if (sums) compare_absolute(tally, "logsumexp", our_sums, sums, T, bounds->logprob);
    if (next) compare_absolute(tally, "next_logprob", our_next, next, T - 1, bounds->logprob);
    if (top && top_ids) compare_relative(tally, "top5_logits", our_top, top, 5 * T, bounds->relative);
    free(picked);
}

static void check_forward(struct tally *tally, struct strata_engine *engine, const struct golden_prompt *prompt,
                          const struct strata_safetensors *golden, const struct tolerances *bounds) {
    static struct stages stages;
    struct strata_trace trace = {collect, &stages};
    struct strata_request request = request_of(prompt, 1, 1.0f);
    struct strata_prompt built;
    struct strata_error err;
    const struct strata_model *model = strata_native_model(engine);
    stages_free(&stages);
    if (strata_native_trace(engine, &request, &trace, &built, &err)) {
        tally_error(tally, &err);
        return;
    }
    if (!prompt->header) drop_header(&stages, &built, golden);
    check_positions(tally, &built, golden);
    check_window_order(tally, model, prompt, golden);
    check_stage(tally, &stages, "vision.patch_embed", golden, bounds->relative);
    for (size_t i = 0; i < model->config.vision.depth; i++) {
        char name[48];
        snprintf(name, sizeof name, "vision.block.%zu", i);
        check_stage(tally, &stages, name, golden, bounds->relative);
    }
    check_stage(tally, &stages, "vision_embeds", golden, bounds->relative);
    check_hidden(tally, &stages, model->config.text.layers, built.T, model->config.text.hidden, golden,
                 bounds->relative);
    check_stage(tally, &stages, "normed", golden, bounds->relative);
    check_stage(tally, &stages, "logits", golden, bounds->relative);
    check_logits(tally, find_stage(&stages, "logits"), &built, golden, bounds);
    strata_prompt_free(&built);
    stages_free(&stages);
}

static int one_result(struct strata_engine *engine, const struct strata_request *request, struct strata_result *result,
                      struct strata_error *err) {
    bool got;
    int code = strata_engine_submit(engine, request, err);
    if (!code) code = strata_engine_poll(engine, result, &got, err);
    if (!code && result->finish == STRATA_FINISH_ERROR) {
        *err = result->error;
        code = result->error.code;
    }
    return code;
}

/* The prompt that a run of greedy.json is about, or NULL. */
static const struct golden_prompt *find_prompt(const struct golden_prompt *prompts, size_t count, const json_t *run) {
    const char *name = json_string_value(json_object_get(run, "name"));
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(prompts[i].name, name) == 0) return &prompts[i];
    return NULL;
}

static bool ids_equal(const struct strata_result *result, const json_t *ids) {
    if (result->N != json_array_size(ids)) return false;
    for (size_t n = 0; n < result->N; n++) {
        if (result->ids[n] != json_integer_value(json_array_get(ids, n))) return false;
    }
    return true;
}

static void check_greedy(struct tally *tally, struct strata_engine *engine, const struct golden_prompt *prompt,
                         const json_t *entry, const struct strata_safetensors *golden, uint32_t max_new,
                         const struct tolerances *bounds) {
    static const struct {
        const char *key;
        float penalty;
    } runs[] = {{"generated_ids", 1.0f}, {"generated_ids_repetition_penalty_1.05", 1.05f}};
    for (size_t i = 0; i < 2; i++) {
        struct strata_request request = request_of(prompt, max_new, runs[i].penalty);
        struct strata_result result = {0};
        struct strata_error err;
        const json_t *ids = json_object_get(entry, runs[i].key);
        if (!ids) continue;
        if (one_result(engine, &request, &result, &err)) {
            tally_error(tally, &err);
        } else if (bounds->same_ids) {
            tally_case(tally, ids_equal(&result, ids), "greedy %s differ", runs[i].key);
            const float *logprob = i == 0 && golden ? golden_floats(tally, golden, "logprob", result.N) : NULL;
            if (logprob) {
                compare_absolute(tally, "greedy logprob", result.logprobs, logprob, result.N, bounds->logprob);
            }
            const char *text = json_string_value(json_object_get(entry, "text"));
            bool stopped = result.finish == STRATA_FINISH_STOP;
            const char *finish = json_string_value(json_object_get(entry, "finish"));
            if (i == 0 && finish)
                tally_case(tally, stopped == (strcmp(finish, "eos") == 0), "finish is not %s", finish);
            (void)text; /* decoding has its own cases (conformance_tokenizer) */
        }
        strata_result_free(&result);
    }
}

/* The generated ids, teacher-forced: logits of each step, and the log-probs of scoring equal those of generating. */
static void check_forced(struct tally *tally, struct strata_engine *engine, const struct golden_prompt *prompt,
                         const struct strata_safetensors *golden, const struct tolerances *bounds) {
    static struct stages stages;
    const struct strata_tensor *ids = strata_safetensors_find(golden, "generated_ids");
    const struct strata_tensor *top = strata_safetensors_find(golden, "top8_logits");
    const struct strata_tensor *top_ids = strata_safetensors_find(golden, "top8_ids");
    if (!ids || !top || !top_ids || !prompt->header) return;
    struct strata_trace trace = {collect, &stages};
    struct strata_request request = request_of(prompt, 1, 1.0f);
    request.forced_ids = ids->data;
    request.forced_count = ids->count;
    struct strata_prompt built;
    struct strata_error err;
    stages_free(&stages);
    if (strata_native_trace(engine, &request, &trace, &built, &err)) {
        tally_error(tally, &err);
        return;
    }
    size_t N = ids->count, V = strata_native_model(engine)->config.text.vocabulary;
    const float *rows = find_stage(&stages, "logits")->values + (built.T - 1) * V;
    const float *logits = golden_floats(tally, golden, "logits", N * V);
    const float *sums = golden_floats(tally, golden, "logsumexp", N);
    float *ours = malloc((9 * N) * sizeof *ours);
    for (size_t n = 0; n < N; n++) {
        for (size_t i = 0; i < 8; i++)
            ours[8 * n + i] = rows[n * V + (size_t)((const int32_t *)top_ids->data)[8 * n + i]];
        ours[8 * N + n] = (float)logsumexp(rows + n * V, V);
    }
    if (logits) compare_relative(tally, "generated logits", rows, logits, N * V, bounds->relative);
    compare_relative(tally, "generated top8_logits", ours, top->data, 8 * N, bounds->relative);
    if (sums) compare_absolute(tally, "generated logsumexp", ours + 8 * N, sums, N, bounds->logprob);
    free(ours);
    struct strata_result result = {0};
    const float *logprob = golden_floats(tally, golden, "logprob", N);
    if (one_result(engine, &request, &result, &err)) {
        tally_error(tally, &err);
    } else if (logprob) {
        compare_absolute(tally, "forced logprob", result.logprobs, logprob, N, bounds->logprob);
    }
    strata_result_free(&result);
    strata_prompt_free(&built);
    stages_free(&stages);
}

/* Every prompt that a list of runs names in flight together, `times` over: each comes out as recorded. */
static void check_batch(struct tally *tally, struct strata_engine *engine, const struct golden_prompt *prompts,
                        size_t count, const json_t *runs, size_t times, uint32_t max_new,
                        const struct tolerances *bounds) {
    struct strata_error err;
    size_t submitted = 0, index;
    const json_t *run;
    if (!bounds->same_ids) return;
    for (size_t round = 0; round < times; round++) {
        json_array_foreach(runs, index, run) {
            const struct golden_prompt *prompt = find_prompt(prompts, count, run);
            if (!prompt || !prompt->header) continue;
            struct strata_request request = request_of(prompt, max_new, 1.0f);
            request.tag = index;
            if (strata_engine_submit(engine, &request, &err))
                tally_error(tally, &err);
            else
                submitted++;
        }
    }
    for (size_t i = 0; i < submitted; i++) {
        struct strata_result result = {0};
        bool got = false;
        if (strata_engine_poll(engine, &result, &got, &err) || !got) {
            tally_case(tally, false, "a batch of %zu ended after %zu", submitted, i);
            return;
        }
        run = json_array_get(runs, result.tag);
        tally_case(tally, ids_equal(&result, json_object_get(run, "generated_ids")),
                   "%s in a batch of %zu differs from what was recorded",
                   json_string_value(json_object_get(run, "name")), submitted);
        strata_result_free(&result);
    }
}

static json_t *load_json(struct tally *tally, const char *directory, const char *name) {
    struct strata_error err;
    json_t *value = NULL;
    char *path = strata_path_join(directory, name);
    if (strata_json_load(&value, path, 0, &err)) tally_error(tally, &err);
    free(path);
    return value;
}

static struct strata_safetensors *load_tensors(const char *directory, const char *prefix, const char *name) {
    struct strata_safetensors *file = NULL;
    struct strata_buffer path = {0};
    struct strata_error err;
    strata_buffer_printf(&path, "%s/%s_%s.safetensors", directory, prefix, name);
    if (strata_file_exists(path.data) && strata_safetensors_open(&file, path.data, &err)) file = NULL;
    strata_buffer_free(&path);
    return file;
}

static void check_model(struct tally *tally, struct strata_engine *engine, const char *directory, const char *images,
                        const struct tolerances *bounds) {
    json_t *entries = load_json(tally, directory, "prompts.json"), *greedy = load_json(tally, directory, "greedy.json");
    json_t *runs = json_object_get(greedy, "prompts"), *run;
    uint32_t max_new = (uint32_t)json_integer_value(json_object_get(greedy, "max_new_tokens"));
    size_t count = json_array_size(entries), index;
    struct golden_prompt *prompts = calloc(count ? count : 1, sizeof *prompts);
    struct strata_error err;
    char scope[sizeof tally->scope];
    snprintf(scope, sizeof scope, "%s", tally->scope);
    for (size_t i = 0; i < count; i++) {
        if (golden_prompt_load(&prompts[i], json_array_get(entries, i), images, &err)) {
            tally_error(tally, &err);
            goto done;
        }
        snprintf(tally->scope, sizeof tally->scope, "%.200s %.50s", scope, prompts[i].name);
        struct strata_safetensors *golden = load_tensors(directory, "prompt", prompts[i].name);
        if (golden) check_forward(tally, engine, &prompts[i], golden, bounds);
        strata_safetensors_close(golden);
        golden = load_tensors(directory, "greedy", prompts[i].name);
        json_array_foreach(runs, index, run) {
            if (prompts[i].header && find_prompt(&prompts[i], 1, run))
                check_greedy(tally, engine, &prompts[i], run, golden, max_new, bounds);
        }
        if (golden) check_forced(tally, engine, &prompts[i], golden, bounds);
        strata_safetensors_close(golden);
    }
    snprintf(tally->scope, sizeof tally->scope, "%s", scope);
    check_batch(tally, engine, prompts, count, runs, 2, max_new, bounds);
    check_batch(tally, engine, prompts, count, json_object_get(greedy, "left_padded_batch"), 1, max_new, bounds);
done:
    for (size_t i = 0; i < count; i++) golden_prompt_free(&prompts[i]);
    free(prompts);
    json_decref(entries);
    json_decref(greedy);
}

int main(int count, char **arguments) {
    struct tally tally = {0};
    if (count < 2) {
        fprintf(stderr, "usage: %s MODELS_DIR [--isa LEVEL [--optional]] [--compute f32|bf16] [--threads N]\n",
                arguments[0]);
        return 2;
    }
    const char *compute = golden_option(count, arguments, "--compute", "f32");
    const char *isa = golden_option(count, arguments, "--isa", "auto");
    if (golden_level_missing(count, arguments, isa)) return 77;
    char *images = golden_images(arguments[1]);
    char **names = golden_directories(arguments[1], "prompts.json");
    static const char *const configs[] = {"config.json", "config_v5.json"};
    for (size_t m = 0; names && names[m]; m++) {
        char *directory = strata_path_join(arguments[1], names[m]);
        for (size_t c = 0; c < 2; c++) {
            char *config = strata_path_join(directory, configs[c]);
            struct strata_native_options options = golden_engine_options(count, arguments, directory);
            struct strata_engine *engine;
            struct strata_error err;
            options.config = c ? config : NULL;
            options.prefill_chunk = c ? 23 : 0; /* the second layout also runs in odd pieces */
            snprintf(tally.scope, sizeof tally.scope, "%.100s/%s", names[m], configs[c]);
            if (strata_file_exists(config)) {
                if (strata_engine_native(&engine, &options, &err)) {
                    tally_error(&tally, &err);
                } else {
                    check_model(&tally, engine, directory, images,
                                strcmp(compute, "f32") == 0     ? &reference
                                : golden_stored_bf16(directory) ? &fast
                                                                : &fast_rounded);
                    strata_engine_destroy(engine);
                }
            }
            free(config);
        }
        free(directory);
        free(names[m]);
    }
    free(names);
    free(images);
    return tally_close(&tally);
}
