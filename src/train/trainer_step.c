/* One update, and what is due after it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/vision_tape.h"
#include "train/trainer.h"

bool strata_trainer_interrupted(const struct strata_trainer *trainer) {
    return trainer->ranks ? trainer->stop : trainer->options->interrupt && *trainer->options->interrupt;
}

void strata_trainer_message(const struct strata_trainer *trainer, const char *format, ...) {
    const struct strata_train_observer *observer = &trainer->options->observer;
    char text[1600];
    va_list arguments;
    if (!observer->on_message) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    observer->on_message(observer->context, text);
}

int strata_trainer_tape(struct strata_trainer *trainer, size_t rows, size_t responses, size_t groups,
                        struct strata_error *err) {
    struct strata_tape_options *options = &trainer->tape_options;
    if (trainer->tape && rows <= options->max_rows && responses <= options->max_responses &&
        groups <= options->max_groups)
        return 0;
    options->level = trainer->options->recompute;
    if (rows > options->max_rows) options->max_rows = rows;
    if (responses > options->max_responses) options->max_responses = responses;
    if (groups > options->max_groups) options->max_groups = groups;
    strata_tape_destroy(trainer->tape);
    trainer->tape = NULL;
    return strata_tape_create(&trainer->tape, &trainer->model->config, &trainer->model->weights, trainer->compute,
                              options, err);
}

size_t strata_trainer_shard_begin(const struct strata_trainer *trainer, size_t shard, size_t count) {
    return shard * count / trainer->shards;
}

void strata_trainer_own(size_t *first, size_t *last, const struct strata_trainer *trainer, size_t count) {
    size_t from, to;
    strata_ranks_shards(&from, &to, trainer->ranks, trainer->shards);
    *first = strata_trainer_shard_begin(trainer, from, count);
    *last = strata_trainer_shard_begin(trainer, to, count);
}

int strata_trainer_gather(struct strata_trainer *trainer, strata_shard_function *shard, void *context,
                          struct strata_error *err) {
    return strata_ranks_sum(trainer->ranks, trainer->gradients.values, trainer->gradients.count, trainer->shards, shard,
                            context, err);
}

int strata_trainer_share(struct strata_trainer *trainer, void *values, size_t item_bytes, size_t count,
                         struct strata_error *err) {
    struct strata_buffer mine = {0}, all = {0};
    size_t first, last;
    if (!trainer->ranks || count == 0) return 0;
    strata_trainer_own(&first, &last, trainer, count);
    strata_buffer_append(&mine, (char *)values + first * item_bytes, (last - first) * item_bytes);
    int code = strata_ranks_exchange(trainer->ranks, &all, &mine, err);
    if (!code && all.length != count * item_bytes)
        code = strata_fail(err, STRATA_ERR_STATE, "the ranks do not work on the same update");
    if (!code) memcpy(values, all.data, all.length);
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
    return code;
}

int strata_trainer_add_up(struct strata_trainer *trainer, uint64_t *value, struct strata_error *err) {
    struct strata_buffer mine = {0}, all = {0};
    if (!trainer->ranks) return 0;
    strata_buffer_append(&mine, value, sizeof *value);
    int code = strata_ranks_exchange(trainer->ranks, &all, &mine, err);
    *value = 0;
    for (size_t at = 0; !code && at < all.length; at += sizeof *value) {
        uint64_t one;
        memcpy(&one, all.data + at, sizeof one);
        *value += one;
    }
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
    return code;
}

int strata_trainer_forward(struct strata_trainer *trainer, const struct strata_tape_group *groups, size_t count,
                           float temperature, struct strata_error *err) {
    double start = strata_seconds();
    int code = strata_tape_forward(trainer->tape, groups, count, temperature, err);
    trainer->seconds.forward += strata_seconds() - start;
    return code;
}

int strata_trainer_backward(struct strata_trainer *trainer, const struct strata_tape_group *groups, size_t count,
                            struct strata_error *err) {
    double start = strata_seconds();
    int code = strata_tape_backward(trainer->tape, &trainer->gradients, groups, count, err);
    trainer->seconds.backward += strata_seconds() - start;
    return code;
}

bool strata_trainer_trains_vision(const struct strata_trainer *trainer) {
    return trainer->options->trained[STRATA_GROUP_MERGER] || trainer->options->trained[STRATA_GROUP_VISION];
}

int strata_trainer_vision_backward(struct strata_trainer *trainer, const float *dembeds,
                                   const struct strata_train_images *images, struct strata_error *err) {
    const struct strata_model *model = trainer->model;
    size_t merge = model->config.vision.merge_size, done = 0;
    double start = strata_seconds();
    int code = 0;
    for (size_t i = 0; !code && i < images->count; i++) {
        float *patches = NULL;
        struct strata_grid grid;
        code = strata_image_patches(&patches, &grid, &model->processor, &images->images[i], err);
        if (!code)
            code = strata_vision_backward(&trainer->gradients, dembeds + done * model->config.text.hidden, patches,
                                          grid, &model->config, &model->weights, trainer->compute, err);
        free(patches);
        done += (size_t)images->grids[i].rows * images->grids[i].columns / (merge * merge);
    }
    trainer->seconds.backward += strata_seconds() - start;
    return code;
}

int strata_trainer_skip(struct strata_trainer *trainer, const struct strata_error *reason, struct strata_error *err) {
    char line[1400];
    strata_gradients_zero(&trainer->gradients);
    trainer->counters.step++;
    trainer->counters.skipped++;
    trainer->skipped_in_row++;
    strata_trainer_message(trainer, "update %llu skipped: %s", (unsigned long long)trainer->counters.step,
                           strata_error_line(reason, line, sizeof line));
    if (trainer->skipped_in_row < trainer->options->max_skipped) return 0;
    int code = strata_trainer_save(trainer, false, err);
    if (code) return code;
    strata_fail(err, STRATA_ERR_NUMERIC, "%zu updates in a row were not finite; the last: %s", trainer->skipped_in_row,
                reason->what);
    return strata_fail_hint(err, STRATA_ERR_NUMERIC,
                            "the state is saved in %.200s/last; a lower learning rate or a larger warm-up may help",
                            trainer->options->out);
}

int strata_trainer_update(struct strata_trainer *trainer, double *norm, double *rate, struct strata_error *err) {
    struct strata_threads *threads = trainer->compute->threads;
    double start = strata_seconds();
    int code = 0;
    if (trainer->lora.count)
        *norm = strata_lora_gradients(&trainer->lora, threads);
    else
        code = strata_gradients_norm(norm, &trainer->gradients, threads, err);
    if (code) return code;
    *rate = strata_learning_rate(&trainer->schedule, trainer->counters.step);
    if (!isfinite(*norm)) {
        struct strata_error reason;
        strata_fail(&reason, STRATA_ERR_NUMERIC, "the gradient norm is %g", *norm);
        return strata_trainer_skip(trainer, &reason, err);
    }
    code = strata_optimizer_step(&trainer->optimizer, *norm, *rate, threads, err);
    if (!code && trainer->lora.count) code = strata_lora_merge(&trainer->lora, threads, err);
    strata_native_weights_changed(trainer->engine, strata_trainer_trains_vision(trainer));
    strata_gradients_zero(&trainer->gradients);
    trainer->seconds.update += strata_seconds() - start;
    if (code) return code;
    trainer->counters.step++;
    trainer->skipped_in_row = 0;
    return 0;
}

/* Was a multiple of `every` passed since the last end of a step? */
static bool is_due(const struct strata_trainer *trainer, size_t every) {
    return every && trainer->counters.step / every > trainer->ended_step / every;
}

static json_t *evaluation_line(const struct strata_train_evaluation *evaluation) {
    json_t *abilities = json_object();
    for (size_t i = 0; abilities && i < evaluation->ability_count; i++) {
        const struct strata_train_ability *ability = &evaluation->abilities[i];
        json_object_set_new(abilities, *ability->name ? ability->name : "other",
                            json_real((double)ability->right / (double)ability->count));
    }
    double graded = evaluation->count ? (double)evaluation->count : 1.0;
    json_t *line = json_pack("{s:I, s:{s:f, s:I, s:I, s:I, s:o}, s:{s:f}}", "step", (json_int_t)evaluation->step,
                             "eval", "accuracy", (double)evaluation->right / graded, "count",
                             (json_int_t)evaluation->count, "truncated", (json_int_t)evaluation->truncated, "failed",
                             (json_int_t)evaluation->failed, "ability", abilities, "time", "eval", evaluation->seconds);
    if (line && evaluation->paired)
        json_object_set_new(line, "paired",
                            json_pack("{s:f, s:f}", "gain", evaluation->gain, "error", evaluation->gain_error));
    return line;
}

static int evaluate(struct strata_trainer *trainer, bool *best, struct strata_error *err) {
    struct strata_train_evaluation evaluation;
    char *marks = NULL;
    int code = strata_evaluate_held_out(&evaluation, &marks, trainer, err);
    if (!code && trainer->counters.step == 0) {
        trainer->baseline = marks;
        marks = NULL;
    } else if (!code && trainer->baseline) {
        evaluation.paired = strata_paired_gain(&evaluation.gain, &evaluation.gain_error, trainer->baseline, marks);
        trainer->gain = evaluation.gain;
        trainer->gain_error = evaluation.gain_error;
    }
    free(marks);
    if (!code && evaluation.count) {
        trainer->accuracy = (double)evaluation.right / (double)evaluation.count;
        *best = trainer->counters.step > 0 && trainer->accuracy > trainer->counters.best_accuracy;
        if (*best) {
            trainer->counters.best_accuracy = trainer->accuracy;
            trainer->counters.best_step = trainer->counters.step;
        }
        code = strata_metrics_write(&trainer->metrics, evaluation_line(&evaluation), err);
        if (trainer->options->observer.on_evaluation)
            trainer->options->observer.on_evaluation(trainer->options->observer.context, &evaluation);
    }
    free(evaluation.abilities);
    return code;
}

int strata_trainer_baseline(struct strata_trainer *trainer, struct strata_error *err) {
    bool best = false;
    return trainer->held_out.count && trainer->counters.step == 0 ? evaluate(trainer, &best, err) : 0;
}

int strata_trainer_step_end(struct strata_trainer *trainer, bool final, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    bool best = false;
    int code = 0;
    if (trainer->ranks)
        code = strata_ranks_any(&trainer->stop, trainer->ranks, options->interrupt && *options->interrupt, err);
    if (code) return code;
    bool stopped = strata_trainer_interrupted(trainer);
    if (trainer->held_out.count && !stopped && (final || is_due(trainer, options->eval_steps)))
        code = evaluate(trainer, &best, err);
    bool moved = trainer->counters.step > trainer->first_step;
    if (!code && moved && (final || best || stopped || is_due(trainer, options->save_steps)))
        code = strata_trainer_save(trainer, best, err);
    trainer->ended_step = trainer->counters.step;
    if (!code && stopped) {
        code = strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped after step %llu of %llu, state saved",
                           (unsigned long long)trainer->counters.step, (unsigned long long)trainer->steps);
        code = strata_ranks_agree(trainer->ranks, code, err);
    }
    return code;
}

void strata_trainer_summary(struct strata_train_summary *summary, const struct strata_trainer *trainer) {
    const struct strata_train_counters *counters = &trainer->counters;
    summary->steps = counters->step;
    summary->skipped = counters->skipped;
    summary->tokens = counters->tokens;
    summary->unusable = (size_t)counters->unusable;
    summary->accuracy = trainer->accuracy;
    summary->gain = trainer->gain;
    summary->gain_error = trainer->gain_error;
    summary->best_accuracy = counters->best_accuracy;
    summary->best_step = counters->best_step;
    summary->seconds = strata_seconds() - trainer->start;
    summary->peak_bytes = strata_peak_memory();
}
