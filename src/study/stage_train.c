/* Training stages: options, budgets, and what cannot be trained. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "study/run.h"

static size_t per_rollout(const struct strata_study_options *options) {
    return options->grpo.prompts * options->grpo.updates;
}

double strata_grpo_steps(const struct strata_study_options *options, size_t samples) {
    if (options->grpo_train.max_steps) return (double)options->grpo_train.max_steps;
    size_t epoch = samples / per_rollout(options) * options->grpo.updates * options->grpo.iterations;
    return ceil((double)epoch * options->grpo_train.epochs - 1e-9);
}

double strata_sft_steps(const struct strata_study_options *options, size_t samples) {
    if (options->sft_train.max_steps) return (double)options->sft_train.max_steps;
    size_t batch = options->sft.batch, epoch = (samples + batch - 1) / batch;
    return ceil((double)epoch * options->sft_train.epochs - 1e-9);
}

static int count_of(double *out, const struct strata_study_run *run, size_t stage, const char *key,
                    struct strata_error *err) {
    json_t *result = NULL;
    int code = strata_stage_result(&result, run, stage, err);
    *out = json_number_value(json_object_get(result, key));
    json_decref(result);
    return code;
}

static int tokens_of(double *out, const struct strata_study_run *run, size_t stage, struct strata_error *err) {
    double trained = 0, sampled = 0;
    int code = count_of(&trained, run, stage, "trained_tokens", err);
    if (!code) code = count_of(&sampled, run, stage, "sampled_tokens", err);
    *out = trained + sampled;
    return code;
}

/* Updates of GRPO under match: steps or tokens: the reference's budget less what SFT before it took. A token's worth of
 * updates is taken from the reference, so the budget is met about, not exactly; the tables show what was used. */
static int matched_steps(size_t *out, const struct strata_study_run *run, const struct strata_stage *stage,
                         struct strata_error *err) {
    double budget = 0, used = 0, reference_tokens = 0, reference_steps = 0;
    int code = 0;
    if (run->recipe->match == STRATA_MATCH_STEPS) {
        code = count_of(&budget, run, stage->reference, "selected", err);
        budget = strata_grpo_steps(run->options, (size_t)budget);
        if (!code && stage->start != STRATA_NO_STAGE) code = count_of(&used, run, stage->start, "steps", err);
        budget -= used;
    } else {
        code = tokens_of(&reference_tokens, run, stage->reference, err);
        if (!code) code = count_of(&reference_steps, run, stage->reference, "steps", err);
        if (!code && stage->start != STRATA_NO_STAGE) code = tokens_of(&used, run, stage->start, err);
        if (reference_tokens > 0) budget = (reference_tokens - used) * reference_steps / reference_tokens;
    }
    *out = budget >= 1 ? (size_t)llround(budget) : 1;
    return code;
}

/* ---- what is said ---- */

static void on_train(void *context, const struct strata_train_progress *now) {
    const struct strata_study_observer *observer = context;
    char note[96];
    if (now->length > 0.0)
        snprintf(note, sizeof note, "reward %.3f, flat %.0f %%, %.0f tok/s", now->reward, 100 * now->zero_variance,
                 now->tokens_per_second);
    else
        snprintf(note, sizeof note, "loss %.4f, %.0f tok/s", now->loss, now->tokens_per_second);
    if (observer->on_progress) observer->on_progress(observer->context, (size_t)now->step, (size_t)now->steps, note);
}

static void on_message(void *context, const char *text) {
    const struct strata_study_observer *observer = context;
    if (observer->on_message) observer->on_message(observer->context, text);
}

/* ---- the stage ---- */

/* Is the set large enough? Otherwise *result says why not. */
static int check_set(json_t **result, size_t *samples, const struct strata_study_run *run,
                     const struct strata_stage *stage, struct strata_error *err) {
    const char *name = strata_subsets[stage->subset].name;
    double selected = 0;
    int code = count_of(&selected, run, stage->source, "selected", err);
    size_t least = stage->kind == STRATA_STAGE_GRPO ? per_rollout(run->options) : 1;
    *samples = (size_t)selected;
    if (!code && *samples < least)
        strata_impossible(result, "%s has %zu sample%s, %s needs %zu", name, *samples, *samples == 1 ? "" : "s",
                          stage->kind == STRATA_STAGE_GRPO ? "a rollout" : "SFT", least);
    return code;
}

int strata_stage_train(json_t **result, double *seconds, const struct strata_study_run *run, size_t index,
                       struct strata_error *err) {
    const struct strata_study_options *study = run->options;
    const struct strata_stage *stage = &run->plan.stages[index];
    bool policy = stage->kind == STRATA_STAGE_GRPO;
    struct strata_train_options options = policy ? study->grpo_train : study->sft_train;
    struct strata_sft_options sft = study->sft;
    size_t samples = 0;
    int code = check_set(result, &samples, run, stage, err);
    if (code || *result) return code;
    char *data = strata_stage_path(run, stage->source, "set.jsonl"), *out = strata_stage_path(run, index, "train");
    char *start = stage->start == STRATA_NO_STAGE ? NULL : strata_stage_path(run, stage->start, "train/last");
    if (!data || !out || (stage->start != STRATA_NO_STAGE && !start))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    options.engine.model = start ? start : run->recipe->model; /* GRPO's reference is the model it starts from */
    options.data = data;
    options.out = out;
    options.seed = stage->seed;
    options.resume = "last";
    options.save_total_limit = 1;
    options.interrupt = study->interrupt;
    options.observer = (struct strata_train_observer){
        .context = (void *)(uintptr_t)&study->observer, .on_progress = on_train, .on_message = on_message};
    if (!code && stage->reference != STRATA_NO_STAGE) code = matched_steps(&options.max_steps, run, stage, err);
    if (!policy && stage->metric >= 0 && run->recipe->target_given[stage->metric])
        sft.target = run->recipe->targets[stage->metric];
    if (!policy && sft.target == STRATA_TARGET_SELF)
        options.dataset.skip_bad = true; /* no right answer to learn from */
    if (!code) code = policy ? strata_grpo(NULL, &options, &study->grpo, err) : strata_sft(NULL, &options, &sft, err);
    if (!code) code = strata_stage_read_training(result, seconds, run, index, err);
    if (!code) json_object_set_new(*result, "samples", json_integer((json_int_t)samples));
    free(start);
    free(out);
    free(data);
    return code;
}
