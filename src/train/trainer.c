/* Opening and closing a run. */
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/trainer_state.h"

#define FEATURE_BYTES ((size_t)1 << 30)
#define MICRO_ROWS    4096

static void common_defaults(struct strata_train_options *options) {
    *options = (struct strata_train_options){.trained = {[STRATA_GROUP_LANGUAGE] = true},
                                             .lora = {.alpha = 32.0},
                                             .epochs = 1.0,
                                             .schedule = STRATA_SCHEDULE_COSINE,
                                             .rate = 1e-6,
                                             .recompute = STRATA_TAPE_ALL,
                                             .micro_rows = MICRO_ROWS,
                                             .feature_bytes = FEATURE_BYTES,
                                             .save_steps = 100,
                                             .save_total_limit = 3,
                                             .eval_tokens = 1024,
                                             .max_skipped = 5};
    strata_native_options_default(&options->engine);
}

void strata_sft_defaults(struct strata_train_options *options, struct strata_sft_options *sft) {
    common_defaults(options);
    options->warmup_ratio = 0.1;
    options->adamw = (struct strata_adamw){.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .max_grad_norm = 1.0};
    *sft = (struct strata_sft_options){.batch = 16};
}

void strata_grpo_defaults(struct strata_train_options *options, struct strata_grpo_options *grpo) {
    common_defaults(options);
    options->warmup_ratio = 0.01;
    options->adamw =
        (struct strata_adamw){.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .max_grad_norm = 1.0};
    *grpo = (struct strata_grpo_options){
        .prompts = 8,
        .completions = 8,
        .updates = 1,
        .iterations = 1,
        .sampling = {.temperature = 1.0f, .top_p = 1.0f, .repetition_penalty = 1.0f, .max_new_tokens = 1024},
        .policy = {.beta = 0.001, .epsilon_low = 0.2, .epsilon_high = 0.2},
        .log_completions = SIZE_MAX};
}

/* Effective batch 128 in micro-batches of 4 whose means are averaged, 5 epochs (training.md 2.1, 2.6). */
void strata_sft_paper(struct strata_train_options *options, struct strata_sft_options *sft) {
    options->epochs = 5.0;
    options->rate = 1e-6;
    sft->batch = 128;
    sft->micro_batch = 4;
    sft->reduction = STRATA_REDUCE_MICROBATCH;
}

/* top-k 50 and top-p 0.9 were ms-swift's defaults, the rewards are those of the authors' plugin (1.5, 3). */
void strata_grpo_paper(struct strata_train_options *options, struct strata_grpo_options *grpo) {
    options->rate = 5e-7;
    options->verify_mode = STRATA_VERIFY_COMPAT;
    grpo->sampling.top_k = 50;
    grpo->sampling.top_p = 0.9f;
}

/* ---- opening ---- */

static int check_options(const struct strata_train_options *options, struct strata_error *err) {
    if (!options->trained[0] && !options->trained[1] && !options->trained[2])
        return strata_fail(err, STRATA_ERR_USAGE,
                           "nothing is trained: language model, merger and vision tower are all "
                           "frozen");
    if (options->lora.rank && (!options->trained[STRATA_GROUP_LANGUAGE] || options->trained[STRATA_GROUP_MERGER] ||
                               options->trained[STRATA_GROUP_VISION]))
        return strata_fail(err, STRATA_ERR_USAGE, "adapters train linear layers of the language model alone");
    if (!(options->rate > 0.0) || !(options->warmup_ratio >= 0.0 && options->warmup_ratio <= 1.0))
        return strata_fail(err, STRATA_ERR_USAGE, "a learning rate of %g with a warm-up of %g", options->rate,
                           options->warmup_ratio);
    if (!options->max_steps && !(options->epochs > 0.0))
        return strata_fail(err, STRATA_ERR_USAGE, "%g epochs leave nothing to do", options->epochs);
    if (!options->held_out && options->eval_steps)
        return strata_fail(err, STRATA_ERR_USAGE, "evaluation every %zu steps needs a held-out data set",
                           options->eval_steps);
    if (options->grad_shards % strata_ranks_count(options->ranks)) {
        strata_fail(err, STRATA_ERR_USAGE, "%zu gradient shards cannot be divided among %zu processes",
                    options->grad_shards, strata_ranks_count(options->ranks));
        return strata_fail_hint(err, STRATA_ERR_USAGE, "--grad-shards is a multiple of mpirun's -n");
    }
    if (options->recompute == STRATA_TAPE_FORWARD || options->micro_rows == 0)
        return strata_fail(err, STRATA_ERR_USAGE, "a training pass must keep something to go back from");
    return 0;
}

/* The policy's weights: the checkpoint's, unless adapters are put on the starting model's again. */
static int open_engine(struct strata_trainer *trainer, const char *checkpoint, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    struct strata_native_options native = options->engine;
    if (options->start_from) native.model = options->start_from;
    if (checkpoint && !options->lora.rank) native.model = checkpoint;
    int code = strata_engine_native(&trainer->engine, &native, err);
    if (!code) trainer->model = strata_native_train(trainer->engine, &trainer->compute);
    return code;
}

static int open_reference(struct strata_trainer *trainer, struct strata_error *err) {
    size_t limit = trainer->options->engine.max_pixels;
    struct strata_model_options options = {.config = trainer->options->engine.config,
                                           .weights = trainer->model->weights.embedding.type,
                                           .max_pixels = limit == SIZE_MAX ? 0 : limit,
                                           .threads = trainer->compute->threads};
    return strata_reference_open(&trainer->reference, trainer->options->engine.model, &options, trainer->options->out,
                                 err);
}

/* All tensors of the trained groups, or the adapters. */
static int open_parameters(struct strata_trainer *trainer, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    struct strata_weight_row *rows = NULL;
    struct strata_parameter *parameters = NULL;
    char(*names)[128] = NULL;
    size_t count = 0, used = 0;
    int code = strata_weights_table(&rows, &count, &trainer->model->config, &trainer->model->weights, err);
    if (!code && options->lora.rank) {
        code = strata_lora_create(
            &trainer->lora, &options->lora, &trainer->model->config, &trainer->model->weights, &trainer->gradients,
            options->start_from ? options->start_from : options->engine.model, options->seed, err);
        if (!code) code = strata_alloc(&parameters, 2 * trainer->lora.count, sizeof *parameters, err);
        if (!code) strata_lora_parameters(parameters, &trainer->lora);
        used = 2 * trainer->lora.count;
    } else if (!code) {
        bool bf16 = trainer->model->weights.embedding.type == STRATA_WEIGHT_BF16;
        code = strata_alloc(&parameters, count, sizeof *parameters, err);
        if (!code) code = strata_alloc(&names, count, sizeof *names, err);
        for (size_t i = 0; !code && i < count; i++) {
            const struct strata_weight_row *row = &rows[i];
            if (!trainer->gradients.rows[i]) continue;
            memcpy(names[used], row->name, sizeof row->name);
            parameters[used] =
                (struct strata_parameter){.name = names[used],
                                          .rows = row->matrix ? row->shape[0] : 1,
                                          .K = row->matrix ? row->matrix->K : strata_weight_row_count(row),
                                          .decay = row->decay,
                                          .matrix = row->matrix,
                                          .first_row = row->first_row,
                                          .vector = row->vector,
                                          .vector_bf16 = bf16,
                                          .gradient = trainer->gradients.rows[i]};
            used++;
        }
    }
    trainer->names = names;
    if (!code) code = strata_optimizer_create(&trainer->optimizer, parameters, used, &options->adamw, err);
    free(parameters);
    free(rows);
    return code;
}

static int open_features(struct strata_trainer *trainer, bool reference, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    bool moving = options->trained[STRATA_GROUP_MERGER] || options->trained[STRATA_GROUP_VISION];
    int code = strata_features_create(&trainer->features, trainer->model, &trainer->model->weights, trainer->compute,
                                      trainer->data.count, moving ? 0 : options->feature_bytes, err);
    /* Where the tower is frozen the reference sees the policy's features, unless it started from another model. */
    trainer->own_reference_features = reference && (moving || options->start_from);
    if (!code && trainer->own_reference_features)
        code = strata_features_create(&trainer->reference_features, trainer->reference.model,
                                      &trainer->reference.model->weights, trainer->compute, trainer->data.count,
                                      options->feature_bytes, err);
    return code;
}

static int open_data(struct strata_trainer *trainer, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    struct strata_dataset_options held_out = options->dataset;
    held_out.limit = held_out.shard = held_out.shards = 0;
    int code = strata_train_data_load(&trainer->data, options->data, &options->dataset, err);
    if (!code && options->held_out)
        code = strata_train_data_load(&trainer->held_out, options->held_out, &held_out, err);
    if (!code) code = strata_order_create(&trainer->order, trainer->data.count, options->seed, !options->in_order, err);
    return code;
}

/* Updates of an epoch and in all (transformers: the product rounded up). */
static int plan_steps(struct strata_trainer *trainer, const struct strata_trainer_needs *needs,
                      struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    size_t count = trainer->data.count;
    size_t whole = count / needs->per_round, rest = count % needs->per_round;
    if (!whole && needs->drop_last) {
        strata_fail(err, STRATA_ERR_USAGE, "the data set has %zu records, one rollout takes %zu", count,
                    needs->per_round);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "fewer --prompts");
    }
    trainer->steps_per_epoch = (whole + (rest && !needs->drop_last ? 1 : 0)) * needs->updates_per_round;
    double steps = ceil((double)trainer->steps_per_epoch * options->epochs - 1e-9);
    trainer->steps = options->max_steps ? options->max_steps : (uint64_t)steps;
    trainer->schedule = (struct strata_schedule){.kind = options->schedule,
                                                 .rate = options->rate,
                                                 .warmup = strata_warmup_updates(options->warmup_ratio, trainer->steps),
                                                 .total = trainer->steps};
    return 0;
}

static void tell_plan(const struct strata_trainer *trainer, const struct strata_trainer_needs *needs) {
    const struct strata_train_options *options = trainer->options;
    struct strata_train_plan plan = {
        .samples = trainer->data.count,
        .bad = trainer->data.bad,
        .held_out = trainer->held_out.count,
        .prompts_per_step = needs->prompts_per_step,
        .completions_per_step = needs->completions_per_step,
        .steps = trainer->steps,
        .steps_done = trainer->counters.step,
        .steps_per_epoch = trainer->steps_per_epoch,
        .trained_parameters = trainer->optimizer.values,
        .parameters = trainer->model->weights.parameters,
        .weight_bytes = trainer->model->weights.packed_bytes,
        .reference_bytes = trainer->reference.model ? trainer->reference.model->weights.packed_bytes : 0,
        .reference_in_file = trainer->reference.directory != NULL,
        .gradient_bytes = trainer->gradients.count * sizeof(float),
        .optimizer_bytes = trainer->optimizer.block_bytes,
        .tape_bytes = strata_tape_bytes(&trainer->model->config, trainer->compute, &trainer->tape_options),
        .feature_bytes = trainer->features.limit,
        .warmup = (double)trainer->schedule.warmup,
        .note = needs->note};
    strata_native_plan(&plan.engine, trainer->engine);
    plan.cache_bytes = plan.engine.page_bytes * plan.engine.max_pages;
    if (options->observer.on_plan) options->observer.on_plan(options->observer.context, &plan);
}

/* Ranks with other settings (another CPU, another copy of the data) would not compute the same numbers. */
static int compare_ranks(const struct strata_trainer *trainer, struct strata_error *err) {
    struct strata_buffer mine = {0}, all = {0};
    if (!trainer->ranks) return 0;
    char *line = strata_json_line(trainer->settings);
    if (line) strata_buffer_text(&mine, line);
    int code = line ? strata_ranks_exchange(trainer->ranks, &all, &mine, err)
                    : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    bool same = !code && all.length == mine.length * strata_ranks_count(trainer->ranks);
    for (size_t at = 0; same && at < all.length; at += mine.length)
        same = memcmp(all.data + at, mine.data, mine.length) == 0;
    if (!code && !same)
        code =
            strata_fail(err, STRATA_ERR_STATE,
                        "the processes do not have the same settings: options, data and instruction set (--isa) must "
                        "be the same everywhere");
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
    free(line);
    return code;
}

int strata_trainer_open(struct strata_trainer *out, const struct strata_train_options *options, json_t *settings,
                        const struct strata_trainer_needs *needs, struct strata_error *err) {
    struct strata_train_resume resume = {0};
    *out = (struct strata_trainer){.options = options,
                                   .settings = settings,
                                   .accuracy = -1.0,
                                   .start = strata_seconds(),
                                   .lock = -1,
                                   .ranks = options->ranks,
                                   .shards =
                                       options->grad_shards ? options->grad_shards : strata_ranks_count(options->ranks),
                                   .counters = {.best_accuracy = -1.0}};
    bool writes = strata_ranks_index(options->ranks) == 0;
    int code = settings ? check_options(options, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_trainer_find(&resume, out, err);
    if (!code) code = open_engine(out, resume.directory, err);
    if (!code && needs->reference) code = open_reference(out, err);
    if (!code) code = strata_gradients_create(&out->gradients, &out->model->config, options->trained, err);
    if (!code) code = open_parameters(out, err);
    if (!code) code = open_data(out, err);
    if (!code) code = open_features(out, needs->reference, err);
    if (!code) code = plan_steps(out, needs, err);
    if (!code) code = strata_trainer_take_up(out, &resume, err);
    if (!code) code = compare_ranks(out, err);
    if (!code && out->lora.count) code = strata_lora_merge(&out->lora, out->compute->threads, err);
    if (!code && writes)
        code = strata_metrics_open(&out->metrics, options->out, needs->completions,
                                   resume.directory ? &resume.mark : NULL, out->counters.step, err);
    if (!code) code = strata_trainer_tape(out, options->micro_rows, needs->tape_responses, needs->tape_groups, err);
    free(resume.directory);
    json_decref(resume.state);
    code = strata_ranks_agree(options->ranks, code, err);
    if (code) {
        strata_trainer_close(out);
        return code;
    }
    out->first_step = out->ended_step = out->counters.step;
    tell_plan(out, needs);
    return 0;
}

void strata_trainer_close(struct strata_trainer *trainer) {
    strata_metrics_close(&trainer->metrics);
    strata_tape_destroy(trainer->tape);
    strata_features_free(&trainer->features);
    strata_features_free(&trainer->reference_features);
    strata_order_free(&trainer->order);
    strata_train_data_free(&trainer->data);
    strata_train_data_free(&trainer->held_out);
    strata_optimizer_free(&trainer->optimizer);
    strata_lora_free(&trainer->lora);
    strata_reference_close(&trainer->reference, strata_ranks_index(trainer->ranks) == 0);
    strata_gradients_free(&trainer->gradients);
    if (trainer->engine) strata_engine_destroy(trainer->engine);
    if (trainer->lock >= 0) strata_lock_release(trainer->lock);
    free(trainer->baseline);
    free(trainer->names);
    json_decref(trainer->settings);
    *trainer = (struct strata_trainer){.lock = -1};
}
