/* Checkpoints of a run: what is kept, compared and taken up again. */
#include "train/trainer_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/sample.h"

#define ADAPTER "adapter"

/* ---- settings ---- */

/* What of the run determines its result, beside the loop's own settings. */
static int complete_settings(struct strata_trainer *trainer, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    const struct strata_adamw *adamw = &options->adamw;
    struct strata_native_plan engine;
    struct strata_hash hash;
    char data[33];
    int code = strata_dataset_hash(&hash, options->data, err);
    if (code) return code;
    strata_hash_text(data, hash);
    strata_native_plan(&engine, trainer->engine);
    json_t *common = json_pack(
        "{s:I, s:s, s:I, s:s, s:s, s:s?, s:I, s:f, s:f, s:I, s:b, s:f, s:f, s:f, s:f, s:f, s:I, s:b, s:b, s:b, s:I, "
        "s:f, s:I}",
        "seed", (json_int_t)options->seed, "data", data, "records", (json_int_t)trainer->data.count, "isa", engine.isa,
        "compute", engine.compute, "system", options->dataset.system, "steps", (json_int_t)trainer->steps, "rate",
        options->rate, "warmup_ratio", options->warmup_ratio, "schedule", (json_int_t)options->schedule, "in_order",
        options->in_order, "beta1", adamw->beta1, "beta2", adamw->beta2, "epsilon", adamw->epsilon, "weight_decay",
        adamw->weight_decay, "max_grad_norm", adamw->max_grad_norm, "micro_rows", (json_int_t)options->micro_rows,
        "train_language", options->trained[0], "train_merger", options->trained[1], "train_vision", options->trained[2],
        "lora_rank", (json_int_t)options->lora.rank, "lora_alpha", options->lora.rank ? options->lora.alpha : 0.0,
        "grad_shards", (json_int_t)trainer->shards);
    /* With bf16 what is kept is rounded (tape.h). */
    if (common && trainer->compute->type == STRATA_COMPUTE_BF16)
        json_object_set_new(common, "recompute",
                            json_string(options->recompute == STRATA_TAPE_LAYERS ? "layers" : "none"));
    if (common && trainer->reference.model)
        json_object_set_new(common, "reference", json_string(trainer->reference.model->identity));
    if (common && trainer->lora.count) json_object_set_new(common, "lora_targets", json_string(trainer->lora.targets));
    /* With adapters the engine is opened with their base. */
    if (common && trainer->lora.count) json_object_set_new(common, "base", json_string(trainer->model->identity));
    if (common)
        json_object_set_new(common, "max_pixels", json_integer((json_int_t)trainer->model->processor.max_pixels));
    if (!common || json_object_update_new(trainer->settings, common))
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    return 0;
}

/* The first setting in which two runs differ is an error naming it and both values. */
static int compare_settings(const json_t *now, const json_t *then, struct strata_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)now, key, value) {
        const json_t *other = json_object_get(then, key);
        /* Through text, because a number like 5e-7 comes back from a file as its nearest. */
        char *here = strata_json_line(value), *there = other ? strata_json_line(other) : strata_strdup("nothing");
        bool same = here && there && strcmp(here, there) == 0;
        int code = same ? 0
                        : strata_fail(err, STRATA_ERR_STATE, "the run was started with %s %.100s, not %.100s", key,
                                      there ? there : "", here ? here : "");
        free(here);
        free(there);
        if (code)
            return strata_fail_hint(err, code,
                                    "continue with the setting it had, or begin anew in another directory "
                                    "with --start-from");
    }
    return 0;
}

/* ---- finding ---- */

int strata_trainer_find(struct strata_train_resume *resume, struct strata_trainer *trainer, struct strata_error *err) {
    const struct strata_train_options *options = trainer->options;
    char *lock = strata_path_join(options->out, "run.lock"), *last = NULL;
    int code = lock ? strata_make_directories(options->out, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && strata_ranks_index(trainer->ranks) == 0) code = strata_lock_acquire(&trainer->lock, lock, err);
    free(lock);
    if (!code) code = strata_checkpoint_last(&last, options->out, err);
    if (code) return code;
    if (options->resume && strcmp(options->resume, "last") != 0) {
        free(last);
        last = strata_strdup(options->resume);
        if (!last) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    } else if (last && !options->resume) {
        strata_fail(err, STRATA_ERR_STATE, "this directory holds a run already");
        strata_fail_at(err, STRATA_ERR_STATE, "%s", options->out);
        free(last);
        return strata_fail_hint(err, STRATA_ERR_STATE, "--resume last continues it");
    }
    resume->directory = last;
    if (last && options->start_from)
        return strata_fail(err, STRATA_ERR_USAGE,
                           "--start-from begins a new run, --resume continues one: give one of "
                           "them");
    return last ? strata_checkpoint_state(&resume->state, last, err) : 0;
}

static int read_counters(struct strata_trainer *trainer, struct strata_train_resume *resume, struct strata_error *err) {
    struct strata_train_counters *counters = &trainer->counters;
    const struct {
        const char *key;
        uint64_t *out;
    } whole[] = {{"step", &counters->step},           {"place", &counters->place},
                 {"rollouts", &counters->rollouts},   {"skipped", &counters->skipped},
                 {"tokens", &counters->tokens},       {"unusable", &counters->unusable},
                 {"best_step", &counters->best_step}, {"updates", &trainer->optimizer.updates}};
    int64_t value = 0;
    int code = 0;
    for (size_t i = 0; !code && i < sizeof whole / sizeof *whole; i++) {
        code = strata_json_int(&value, resume->state, whole[i].key, true, 0, INT64_MAX, resume->directory, err);
        *whole[i].out = (uint64_t)value;
    }
    if (!code)
        code = strata_json_real(&counters->best_accuracy, resume->state, "best_accuracy", true, resume->directory, err);
    const char *baseline = NULL;
    if (!code) code = strata_json_string(&baseline, resume->state, "baseline", false, resume->directory, err);
    if (!code && baseline && !(trainer->baseline = strata_strdup(baseline)))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_json_real(&trainer->accuracy, resume->state, "accuracy", true, resume->directory, err);
    if (!code)
        code = strata_json_int(&resume->mark.metrics, resume->state, "metrics_bytes", true, 0, INT64_MAX,
                               resume->directory, err);
    if (!code)
        code = strata_json_int(&resume->mark.completions, resume->state, "completions_bytes", true, 0, INT64_MAX,
                               resume->directory, err);
    return code;
}

int strata_trainer_take_up(struct strata_trainer *trainer, struct strata_train_resume *resume,
                           struct strata_error *err) {
    int code = complete_settings(trainer, err);
    if (code || !resume->directory) return code;
    code = compare_settings(trainer->settings, json_object_get(resume->state, "settings"), err);
    if (code) return strata_fail_at(err, code, "%s", resume->directory);
    if ((code = read_counters(trainer, resume, err))) return code;
    if ((code = strata_checkpoint_optimizer(&trainer->optimizer, resume->directory, err))) return code;
    if (!trainer->lora.count) return 0;
    char *adapter = strata_path_join(resume->directory, ADAPTER);
    code =
        adapter ? strata_lora_load(&trainer->lora, adapter, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(adapter);
    return code;
}

/* ---- saving ---- */

static int save_adapter(void *context, const char *directory, struct strata_error *err) {
    const struct strata_trainer *trainer = context;
    char *path = strata_path_join(directory, ADAPTER);
    int code =
        path ? strata_lora_save(&trainer->lora, path, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    return code;
}

int strata_trainer_save(struct strata_trainer *trainer, bool best, struct strata_error *err) {
    const struct strata_train_counters *counters = &trainer->counters;
    struct strata_metrics_mark mark;
    if (trainer->options->no_checkpoints || strata_ranks_index(trainer->ranks)) return 0;
    int code = strata_metrics_sync(&mark, &trainer->metrics, err);
    if (code) return code;
    json_t *state =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:O}", "step",
                  (json_int_t)counters->step, "place", (json_int_t)counters->place, "rollouts",
                  (json_int_t)counters->rollouts, "updates", (json_int_t)trainer->optimizer.updates, "skipped",
                  (json_int_t)counters->skipped, "tokens", (json_int_t)counters->tokens, "unusable",
                  (json_int_t)counters->unusable, "best_step", (json_int_t)counters->best_step, "best_accuracy",
                  counters->best_accuracy, "accuracy", trainer->accuracy, "metrics_bytes", (json_int_t)mark.metrics,
                  "completions_bytes", (json_int_t)mark.completions, "settings", trainer->settings);
    if (!state) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (trainer->baseline) json_object_set_new(state, "baseline", json_string(trainer->baseline));
    struct strata_checkpoint checkpoint = {.out = trainer->options->out,
                                           .source = trainer->options->engine.model,
                                           .config = &trainer->model->config,
                                           .weights = &trainer->model->weights,
                                           .optimizer = &trainer->optimizer,
                                           .state = state,
                                           .extra = trainer->lora.count ? save_adapter : NULL,
                                           .extra_context = trainer};
    code = strata_checkpoint_save(&checkpoint, counters->step, best, err);
    json_decref(state);
    if (!code) code = strata_checkpoint_rotate(trainer->options->out, trainer->options->save_total_limit, err);
    return code;
}
