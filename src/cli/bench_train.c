/* Training steps of the shapes that the peers' scripts have (SFT: 4 conversations of 512 tokens; GRPO: 8 answers to one
 * prompt), run by the real loops on records made for it, and the gain of sharing a prompt. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "train/example.h"
#include "train/train.h"

#define ID(name)      STRATA_OPTION_ID_##name
#define TEXT_TOKENS   64 /* of a prompt: template and question together */
#define CONVERSATIONS 4
#define SEQUENCE      512
#define GROUP         8
#define NEW_TOKENS    64

/* Records with a picture each, written where the loops can read them. */
struct records {
    char directory[512], *data, *out;
    struct strata_model *model; /* without weights */
    size_t prompt_tokens, image_tokens, tokens;
};

static void records_free(struct records *records) {
    struct strata_error unused;
    if (*records->directory) (void)strata_remove_tree(records->directory, &unused);
    strata_model_close(records->model);
    free(records->data);
    free(records->out);
}

/* Tokens of the conversation question + answer; of the question alone when answer is NULL. */
static int count_tokens(size_t *T, size_t *image_tokens, const struct records *records, char *question, char *answer,
                        const struct strata_grid *grid, struct strata_error *err) {
    const struct strata_model *model = records->model;
    struct strata_message messages[2] = {{STRATA_ROLE_USER, question}, {STRATA_ROLE_ASSISTANT, answer}};
    if (answer) {
        struct strata_example example;
        int code = strata_example_build(&example, model, messages, 2, grid, 1, err);
        if (code) return code;
        *T = example.T;
        strata_example_free(&example);
        return 0;
    }
    struct strata_prompt prompt;
    int code = strata_prompt_build(&prompt, model->tokenizer, &model->config.special, messages, 1, grid, 1,
                                   (unsigned)model->config.vision.merge_size, 0, err);
    if (code) return code;
    *T = prompt.T;
    *image_tokens = prompt.image_tokens[0];
    strata_prompt_free(&prompt);
    return 0;
}

/* Question and answer grow word by word to their lengths. */
static int make_texts(struct strata_buffer *question, struct strata_buffer *answer, struct records *records,
                      const struct strata_grid *grid, size_t sequence, struct strata_error *err) {
    int code;
    strata_buffer_text(question, "<image>");
    do {
        strata_buffer_text(question, " is");
        code = count_tokens(&records->prompt_tokens, &records->image_tokens, records, question->data, NULL, grid, err);
    } while (!code && records->prompt_tokens < records->image_tokens + TEXT_TOKENS);
    strata_buffer_text(answer, "yes");
    records->tokens = records->prompt_tokens;
    while (!code && sequence) {
        code = count_tokens(&records->tokens, NULL, records, question->data, answer->data, grid, err);
        if (records->tokens >= sequence) break;
        strata_buffer_text(answer, " is");
    }
    return code;
}

static int write_picture(const struct records *records, size_t index, size_t side, struct strata_error *err) {
    struct strata_image image;
    struct strata_buffer png = {0};
    char name[32];
    snprintf(name, sizeof name, "%zu.png", index);
    char *path = strata_path_join(records->directory, name);
    int code = path ? bench_picture(&image, side, index, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) {
        code = strata_image_encode_png(&png, &image, err);
        strata_image_free(&image);
    }
    if (!code) code = strata_file_write(path, png.data, png.length, err);
    strata_buffer_free(&png);
    free(path);
    return code;
}

/* `count` records of at most `sequence` tokens (0: a prompt to be answered), a different picture in each. */
static int write_records(struct records *records, const struct strata_arguments *arguments, size_t count,
                         size_t sequence, struct strata_error *err) {
    const struct strata_vision_config *vision = &records->model->config.vision;
    size_t side = (size_t)lround(sqrt((double)strata_integer(arguments, ID(IMAGE_TOKENS)))) * vision->patch_size *
                  vision->merge_size;
    struct strata_buffer question = {0}, answer = {0}, lines = {0};
    struct strata_grid grid;
    int code = strata_image_grid(&grid, &records->model->processor, side, side, err);
    if (!code) code = make_texts(&question, &answer, records, &grid, sequence, err);
    for (size_t i = 0; !code && i < count; i++) {
        strata_buffer_printf(&lines,
                             "{\"id\": \"%zu\", \"images\": [\"%zu.png\"], \"solution\": \"%s\", \"verifier\": "
                             "\"word\", \"messages\": [{\"role\": \"user\", \"content\": \"%s\"}]}\n",
                             i, i, answer.data, question.data);
        code = write_picture(records, i, side, err);
    }
    if (!code) code = strata_file_write(records->data, lines.data, lines.length, err);
    strata_buffer_free(&question);
    strata_buffer_free(&answer);
    strata_buffer_free(&lines);
    return code;
}

static int records_make(struct records *records, const struct strata_arguments *arguments, size_t count,
                        size_t sequence, struct strata_error *err) {
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    struct strata_model_options options = {.without_weights = true};
    *records = (struct records){0};
    snprintf(records->directory, sizeof records->directory, "%s/strata-bench-XXXXXX", base);
    if (!mkdtemp(records->directory)) {
        *records->directory = '\0';
        return strata_fail(err, STRATA_ERR_IO, "cannot make a directory below %s", base);
    }
    records->data = strata_path_join(records->directory, "data.jsonl");
    records->out = strata_path_join(records->directory, "run");
    int code = records->data && records->out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_model_open(&records->model, strata_text(arguments, ID(MODEL)), &options, err);
    if (!code) code = write_records(records, arguments, count, sequence, err);
    if (code) records_free(records);
    return code;
}

/* ---- the loops ---- */

/* The parts of a step, in the order of the columns. */
enum { GENERATE, REFERENCE, FORWARD, BACKWARD, OPTIMIZER, WHOLE, PARTS };
static const char *const part_names[PARTS] = {"generate_s", "reference_s", "forward_s",
                                              "backward_s", "optimizer_s", "seconds"};

struct steps {
    const struct bench *bench;
    struct bench_figure figure;
    struct bench_series parts[PARTS];
    double tokens, flops; /* of a step; flops of its forward and backward, 0: not counted */
    double limit;         /* the probe before this step */
    size_t seen, parameters, trained;
};

static void on_plan(void *context, const struct strata_train_plan *plan) {
    struct steps *steps = context;
    steps->parameters = plan->parameters;
    steps->trained = plan->trained_parameters;
}

/* The first step warms up: pages of memory are touched for the first time. */
static void on_step(void *context, const struct strata_train_progress *now) {
    struct steps *steps = context;
    const struct strata_train_seconds *seconds = &now->step_seconds;
    const double values[PARTS] = {seconds->rollout,  seconds->reference, seconds->forward,
                                  seconds->backward, seconds->update,    seconds->whole};
    double limit = bench_probe(steps->bench, steps->figure.limit), best = fmax(limit, steps->limit);
    if (steps->seen++ > 0) {
        for (size_t i = 0; i < PARTS; i++) bench_add(&steps->parts[i], values[i]);
        bench_add(&steps->figure.value, steps->tokens / seconds->whole);
        if (steps->figure.limit != BENCH_UNBOUND) {
            bench_add(&steps->figure.limits, best);
            bench_add(&steps->figure.share, steps->flops / (seconds->forward + seconds->backward) * 1e-9 / best);
        }
    }
    steps->limit = limit;
}

static void setup_run(struct strata_train_options *options, struct steps *steps, const struct records *records) {
    const struct strata_arguments *arguments = steps->bench->arguments;
    options->engine.model = strata_text(arguments, ID(MODEL));
    options->engine.compute = strata_text(arguments, ID(COMPUTE));
    options->engine.isa = strata_text(arguments, ID(ISA));
    options->engine.threads = strata_size(arguments, ID(THREADS));
    options->engine.max_pixels = SIZE_MAX;
    options->data = records->data;
    options->out = records->out;
    options->in_order = true;
    if (strata_choice(arguments, ID(RECOMPUTE))) options->recompute = STRATA_TAPE_LAYERS;
    options->max_steps = steps->bench->rounds + 1;
    options->rate = 1e-6;
    options->no_checkpoints = true;
    options->observer = (struct strata_train_observer){.context = steps, .on_plan = on_plan, .on_progress = on_step};
}

static int print_steps(struct steps *steps, const struct records *records, json_t *details, struct strata_error *err) {
    for (size_t i = 0; details && i < PARTS; i++)
        json_object_set_new(details, part_names[i], json_real(bench_median(&steps->parts[i])));
    if (details) {
        json_object_set_new(details, "prompt_tokens", json_integer((json_int_t)records->prompt_tokens));
        json_object_set_new(details, "image_tokens", json_integer((json_int_t)records->image_tokens));
        json_object_set_new(details, "recompute",
                            json_string(strata_choice(steps->bench->arguments, ID(RECOMPUTE)) ? "layers" : "none"));
        json_object_set_new(details, "trainable_m", json_real((double)steps->trained * 1e-6));
    }
    steps->figure.details = details;
    return bench_print(steps->bench, &steps->figure, err);
}

static int bench_sft(struct bench *bench, struct strata_error *err) {
    struct strata_train_options options;
    struct strata_sft_options sft;
    struct records records;
    struct steps steps = {.bench = bench, .figure = {.task = "sft", .unit = "tok_s", .limit = BENCH_COMPUTE}};
    int code = records_make(&records, bench->arguments, CONVERSATIONS * (bench->rounds + 1), SEQUENCE, err);
    if (code) return code;
    const struct strata_model_config *config = &records.model->config;
    size_t T = records.tokens, response = T - records.prompt_tokens;
    double head = bench_head_flops(config, (double)response);
    /* Forward, and two products for each of its own in the backward; the frozen tower is no part of either. */
    steps.flops = CONVERSATIONS * 3.0 * (bench_language_flops(config, (double)T) + head);
    steps.tokens = (double)(CONVERSATIONS * T);
    strata_sft_defaults(&options, &sft);
    setup_run(&options, &steps, &records);
    sft.batch = CONVERSATIONS;
    sft.target = STRATA_TARGET_SOLUTION;
    code = strata_sft(NULL, &options, &sft, err);
    if (!code)
        code = print_steps(&steps, &records,
                           json_pack("{s:i, s:I, s:I, s:f}", "batch", CONVERSATIONS, "seq", (json_int_t)T,
                                     "response_tokens", (json_int_t)response, "gflop_needed", steps.flops * 1e-9),
                           err);
    records_free(&records);
    return code;
}

static int bench_grpo(struct bench *bench, struct strata_error *err) {
    struct strata_train_options options;
    struct strata_grpo_options grpo;
    struct records records;
    struct steps steps = {.bench = bench, .figure = {.task = "grpo", .unit = "tok_s"}};
    int code = records_make(&records, bench->arguments, bench->rounds + 1, 0, err);
    if (code) return code;
    strata_grpo_defaults(&options, &grpo);
    setup_run(&options, &steps, &records);
    grpo.prompts = 1;
    grpo.completions = GROUP;
    grpo.sampling.max_new_tokens = strata_given(bench->arguments, ID(MAX_NEW_TOKENS))
                                       ? (uint32_t)strata_integer(bench->arguments, ID(MAX_NEW_TOKENS))
                                       : NEW_TOKENS;
    steps.tokens = (double)(GROUP * grpo.sampling.max_new_tokens);
    code = strata_grpo(NULL, &options, &grpo, err);
    if (!code)
        code = print_steps(&steps, &records,
                           json_pack("{s:i, s:I, s:f}", "group", GROUP, "tokens",
                                     (json_int_t)grpo.sampling.max_new_tokens, "beta", grpo.policy.beta),
                           err);
    records_free(&records);
    return code;
}

/* ---- sharing a prompt ---- */

/* One prompt and GROUP answers of random tokens, as one group and as groups of one. */
struct prefix {
    struct strata_engine *engine;
    const struct strata_model *model;
    const struct strata_compute *compute;
    struct strata_tape *tape;
    struct strata_gradients gradients;
    int32_t *ids, *positions; /* prompt, then each answer's */
    float *logps, *dlogps;
    size_t prompt, answer;
    struct strata_tape_response responses[GROUP];
    struct strata_tape_group shared, alone[GROUP];
};

static void prefix_free(struct prefix *prefix) {
    strata_tape_destroy(prefix->tape);
    strata_gradients_free(&prefix->gradients);
    if (prefix->engine) strata_engine_destroy(prefix->engine);
    free(prefix->ids);
    free(prefix->positions);
    free(prefix->logps);
    free(prefix->dlogps);
}

static int prefix_fill(struct prefix *prefix, struct strata_error *err) {
    size_t P = prefix->prompt, R = prefix->answer, V = prefix->model->config.text.vocabulary;
    int code = strata_alloc(&prefix->ids, P + GROUP * R, sizeof *prefix->ids, err);
    if (!code) code = strata_alloc(&prefix->positions, 3 * P, sizeof *prefix->positions, err);
    if (!code) code = strata_alloc(&prefix->logps, GROUP * R, sizeof *prefix->logps, err);
    if (!code) code = strata_alloc(&prefix->dlogps, GROUP * R, sizeof *prefix->dlogps, err);
    if (code) return code;
    struct strata_random random = strata_random_make(0, "bench", STRATA_PURPOSE_TOKEN, 0, 0);
    for (size_t i = 0; i < P + GROUP * R; i++)
        prefix->ids[i] = (int32_t)(strata_random_uniform(&random, i) * (double)(V < 1000 ? V / 2 : 1000));
    for (size_t i = 0; i < 3 * P; i++) prefix->positions[i] = (int32_t)(i % P);
    for (size_t i = 0; i < GROUP * R; i++) prefix->dlogps[i] = -1.0f / (float)(GROUP * R);
    for (size_t g = 0; g < GROUP; g++) {
        prefix->responses[g] = (struct strata_tape_response){.part = {.ids = prefix->ids + P + g * R, .T = R},
                                                             .logps = prefix->logps + g * R,
                                                             .dlogps = prefix->dlogps + g * R};
        prefix->alone[g] =
            (struct strata_tape_group){.prompt = {.ids = prefix->ids, .T = P, .positions = prefix->positions},
                                       .responses = &prefix->responses[g],
                                       .count = 1};
    }
    prefix->shared = prefix->alone[0];
    prefix->shared.count = GROUP;
    return 0;
}

static int prefix_open(struct prefix *prefix, const struct bench *bench, struct strata_error *err) {
    static const bool trained[3] = {[STRATA_GROUP_LANGUAGE] = true};
    struct strata_native_options native;
    strata_native_options_default(&native);
    native.model = strata_text(bench->arguments, ID(MODEL));
    native.compute = strata_text(bench->arguments, ID(COMPUTE));
    native.isa = strata_text(bench->arguments, ID(ISA));
    native.threads = strata_size(bench->arguments, ID(THREADS));
    prefix->prompt = (size_t)strata_integer(bench->arguments, ID(IMAGE_TOKENS)) + TEXT_TOKENS;
    prefix->answer = strata_given(bench->arguments, ID(MAX_NEW_TOKENS))
                         ? (size_t)strata_integer(bench->arguments, ID(MAX_NEW_TOKENS))
                         : NEW_TOKENS;
    struct strata_tape_options options = {.level = STRATA_TAPE_ALL,
                                          .max_rows = GROUP * (prefix->prompt + prefix->answer),
                                          .max_responses = GROUP,
                                          .max_groups = GROUP};
    int code = strata_engine_native(&prefix->engine, &native, err);
    if (code) return code;
    prefix->model = strata_native_train(prefix->engine, &prefix->compute);
    code = prefix_fill(prefix, err);
    if (!code) code = strata_gradients_create(&prefix->gradients, &prefix->model->config, trained, err);
    if (!code)
        code = strata_tape_create(&prefix->tape, &prefix->model->config, &prefix->model->weights, prefix->compute,
                                  &options, err);
    return code;
}

static int time_pass(double *seconds, struct prefix *prefix, const struct strata_tape_group *groups, size_t count,
                     struct strata_error *err) {
    double start = strata_seconds();
    int code = strata_tape_forward(prefix->tape, groups, count, 1.0f, err);
    if (!code) code = strata_tape_backward(prefix->tape, &prefix->gradients, groups, count, err);
    *seconds = strata_seconds() - start;
    return code;
}

/* How many times faster forward and backward are with the prompt computed once, beside the quotient of the work. */
static int bench_prefix(const struct bench *bench, struct strata_error *err) {
    struct prefix prefix = {0};
    struct bench_figure figure = {.task = "prefix", .unit = "gain"};
    struct bench_series shared = {{0}, 0}, alone = {{0}, 0};
    double a = 0.0, b = 0.0;
    int code = prefix_open(&prefix, bench, err);
    if (!code) code = time_pass(&b, &prefix, prefix.alone, GROUP, err); /* warms up */
    for (size_t round = 0; !code && round < bench->rounds; round++) {
        code = time_pass(&a, &prefix, &prefix.shared, 1, err);
        if (!code) code = time_pass(&b, &prefix, prefix.alone, GROUP, err);
        bench_add(&shared, a);
        bench_add(&alone, b);
        bench_add(&figure.value, b / a);
    }
    if (!code) {
        const struct strata_model_config *config = &prefix.model->config;
        double P = (double)prefix.prompt, R = (double)(prefix.answer - 1), head = bench_head_flops(config, R + 1.0);
        double prompt = bench_language_flops(config, P), whole = bench_language_flops(config, P + R);
        double predicted = GROUP * (whole + head) / (prompt + GROUP * (whole - prompt + head));
        figure.details = json_pack("{s:i, s:I, s:I, s:f, s:f, s:f}", "group", GROUP, "prompt_tokens",
                                   (json_int_t)prefix.prompt, "tokens", (json_int_t)prefix.answer, "predicted",
                                   predicted, "shared_s", bench_median(&shared), "alone_s", bench_median(&alone));
        code = bench_print(bench, &figure, err);
    }
    prefix_free(&prefix);
    return code;
}

int bench_train_task(struct bench *bench, const char *task, struct strata_error *err) {
    if (!strata_text(bench->arguments, ID(MODEL)))
        return strata_fail(err, STRATA_ERR_USAGE, "the task %s needs --model", task);
    bench->bf16 = strata_choice(bench->arguments, ID(COMPUTE)) != 1;
    if (strcmp(task, "sft") == 0) return bench_sft(bench, err);
    if (strcmp(task, "grpo") == 0) return bench_grpo(bench, err);
    return bench_prefix(bench, err);
}
