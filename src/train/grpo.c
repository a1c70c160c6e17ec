/* GRPO: rollouts through the engine, then updates on the ids that were sampled, with the log-probs they were sampled
 * with. At equal weights the training forward gives those log-probs bit for bit, so the first ratio is exactly 1. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "train/rollout.h"
#include "train/trainer.h"

/* Of one completion. */
struct policy_sums {
    struct strata_policy_sums policy;
    double entropy;
};

struct grpo {
    struct strata_trainer trainer;
    const struct strata_grpo_options *options;
    struct strata_rollout rollout;
    bool *unusable; /* by record */
    struct strata_policy_options policy;
    /* Of one update: */
    struct strata_tape_group *groups;       /* (prompts) */
    struct strata_tape_response *responses; /* (prompts * G) */
    struct policy_sums *sums;               /* (prompts * G) */
    struct strata_policy_sums *group_sums;  /* (G) */
    size_t *indices;                        /* (prompts) groups of the micro-batch */
    double loss, norm, rate, kl, clipped_low, clipped_high, ratio, entropy;
    uint64_t tokens;
    /* What a shard needs to know: */
    size_t first, count; /* groups of the update */
    bool check;
    struct strata_policy_totals totals;
};

/* ---- one update ---- */

/* What the sums are divided by: the completions in the loss of groups [first, first+count). */
static struct strata_policy_totals totals_of(const struct strata_rollout *rollout, size_t first, size_t count) {
    struct strata_policy_totals totals = {0};
    for (size_t i = 0; i < rollout->count * rollout->G; i++) {
        size_t tokens = rollout->begin[i + 1] - rollout->begin[i];
        if (rollout->excluded[i]) continue;
        totals.rollout_tokens += tokens;
        if (i < first * rollout->G || i >= (first + count) * rollout->G) continue;
        totals.completions++;
        totals.tokens += tokens;
    }
    return totals;
}

/* --check: the training forward must give the bits that were sampled with. */
static int check_ratio(const struct grpo *grpo, size_t group, struct strata_error *err) {
    const struct strata_rollout *rollout = &grpo->rollout;
    for (size_t i = group * rollout->G; i < (group + 1) * rollout->G; i++) {
        for (size_t t = rollout->begin[i]; t < rollout->begin[i + 1]; t++) {
            uint32_t trained, sampled; /* bits: 0 and -0 are not the same */
            memcpy(&trained, &rollout->logps[t], sizeof trained);
            memcpy(&sampled, &rollout->old[t], sizeof sampled);
            if (trained == sampled) continue;
            strata_fail(err, STRATA_ERR_STATE,
                        "--check: token %zu of completion %zu was sampled with log-prob %.9g, training computes %.9g",
                        t - rollout->begin[i], i % rollout->G, (double)rollout->old[t], (double)rollout->logps[t]);
            return strata_fail_at(err, STRATA_ERR_STATE, "%s",
                                  grpo->trainer.data.samples[rollout->groups[group].sample].id);
        }
    }
    return 0;
}

/* Loss and derivatives of one group's completions. */
static int group_loss(struct grpo *grpo, size_t group, struct strata_error *err) {
    struct strata_rollout *rollout = &grpo->rollout;
    size_t at = group * rollout->G;
    struct strata_policy_batch batch = {.completions = rollout->G,
                                        .begin = rollout->begin + at,
                                        .logp = rollout->logps,
                                        .old = rollout->old,
                                        .ref = rollout->reference,
                                        .advantages = rollout->advantages + at,
                                        .excluded = rollout->excluded + at};
    int code = strata_policy_loss(rollout->dlogps, grpo->group_sums, &batch, &grpo->totals, &grpo->policy, err);
    for (size_t i = 0; !code && i < rollout->G; i++) {
        struct policy_sums *sums = &grpo->sums[at - grpo->first * rollout->G + i];
        sums->policy = grpo->group_sums[i];
        for (size_t t = rollout->begin[at + i]; sums->policy.tokens && t < rollout->begin[at + i + 1]; t++)
            sums->entropy += (double)rollout->entropies[t];
    }
    return code;
}

/* Groups indices[0..count) in one forward and backward. */
static int run_pass(struct grpo *grpo, size_t count, struct strata_error *err) {
    struct strata_trainer *trainer = &grpo->trainer;
    struct strata_rollout *rollout = &grpo->rollout;
    size_t G = rollout->G, rows = 0;
    for (size_t i = 0; i < count; i++) {
        strata_rollout_tape(&grpo->groups[i], grpo->responses + i * G, rollout, grpo->indices[i], false);
        rows += strata_tape_rows(&grpo->groups[i]);
    }
    int code = strata_trainer_tape(trainer, rows, count * G, count, err);
    if (!code) code = strata_trainer_forward(trainer, grpo->groups, count, grpo->options->sampling.temperature, err);
    for (size_t i = 0; !code && i < count; i++) {
        if (grpo->check) code = check_ratio(grpo, grpo->indices[i], err);
        if (!code) code = group_loss(grpo, grpo->indices[i], err);
    }
    if (!code) code = strata_trainer_backward(trainer, grpo->groups, count, err);
    for (size_t i = 0; !code && i < count; i++) {
        const struct strata_rollout_group *group = &rollout->groups[grpo->indices[i]];
        if (group->dembeds) code = strata_trainer_vision_backward(trainer, group->dembeds, &group->images, err);
    }
    grpo->tokens += rows;
    return code;
}

/* Has this group any gradient? Equal rewards without a KL term have none. */
static bool has_gradient(const struct grpo *grpo, size_t group) {
    const float *advantages = grpo->rollout.advantages + group * grpo->rollout.G;
    if (grpo->policy.beta != 0.0) return true;
    for (size_t i = 0; i < grpo->rollout.G; i++)
        if (advantages[i] != 0.0f) return true;
    return false;
}

static void sum_up(struct grpo *grpo) {
    double tokens = 0.0;
    for (size_t i = 0; i < grpo->count * grpo->rollout.G; i++) {
        const struct strata_policy_sums *sums = &grpo->sums[i].policy;
        grpo->loss += sums->loss;
        grpo->kl += sums->kl;
        grpo->ratio += sums->ratio;
        grpo->clipped_low += sums->clipped_low;
        grpo->clipped_high += sums->clipped_high;
        grpo->entropy += grpo->sums[i].entropy;
        tokens += (double)sums->tokens;
    }
    double divisor = tokens > 0.0 ? tokens : 1.0;
    grpo->kl /= divisor;
    grpo->ratio /= divisor;
    grpo->clipped_low /= divisor;
    grpo->clipped_high /= divisor;
    grpo->entropy /= divisor;
}

/* Gradients of a shard's groups, in passes of at most micro_rows rows. */
static int gather_shard(void *context, size_t shard, struct strata_error *err) {
    struct grpo *grpo = context;
    const struct strata_trainer *trainer = &grpo->trainer;
    size_t waiting = 0, rows = 0;
    size_t from = grpo->first + strata_trainer_shard_begin(trainer, shard, grpo->count);
    size_t to = grpo->first + strata_trainer_shard_begin(trainer, shard + 1, grpo->count);
    int code = 0;
    for (size_t g = from; !code && g < to; g++) {
        if (!has_gradient(grpo, g)) continue;
        strata_rollout_tape(&grpo->groups[0], grpo->responses, &grpo->rollout, g, false);
        size_t own = strata_tape_rows(&grpo->groups[0]);
        if (waiting && rows + own > trainer->options->micro_rows) {
            code = run_pass(grpo, waiting, err);
            waiting = rows = 0;
        }
        grpo->indices[waiting++] = g;
        rows += own;
    }
    if (!code && waiting) code = run_pass(grpo, waiting, err);
    return code;
}

static int gather_gradients(struct grpo *grpo, struct strata_error *err) {
    struct strata_trainer *trainer = &grpo->trainer;
    grpo->totals = totals_of(&grpo->rollout, grpo->first, grpo->count);
    memset(grpo->sums, 0, grpo->count * grpo->rollout.G * sizeof *grpo->sums);
    int code = strata_trainer_gather(trainer, gather_shard, grpo, err);
    if (!code) code = strata_trainer_share(trainer, grpo->sums, grpo->rollout.G * sizeof *grpo->sums, grpo->count, err);
    if (!code) code = strata_trainer_add_up(trainer, &grpo->tokens, err);
    if (!code) sum_up(grpo);
    return code;
}

/* Features move with the tower: those of the rollout are of the weights that sampled. */
static int refresh_features(struct grpo *grpo, struct strata_error *err) {
    struct strata_trainer *trainer = &grpo->trainer;
    size_t first, last;
    int code = 0;
    strata_trainer_own(&first, &last, trainer, grpo->count);
    for (size_t g = grpo->first + first; !code && g < grpo->first + last; g++) {
        struct strata_rollout_group *group = &grpo->rollout.groups[g];
        free(group->embeds);
        code = strata_features_get(&group->embeds, &trainer->features, group->sample, &group->images, err);
    }
    return code;
}

static int train_update(struct grpo *grpo, size_t first, size_t count, bool fresh, struct strata_error *err) {
    struct strata_trainer *trainer = &grpo->trainer;
    int code = 0;
    grpo->loss = grpo->norm = grpo->rate = grpo->kl = grpo->ratio = grpo->entropy = 0.0;
    grpo->clipped_low = grpo->clipped_high = 0.0;
    grpo->tokens = 0;
    grpo->first = first;
    grpo->count = count;
    grpo->check = fresh && grpo->options->check;
    if (!fresh && strata_trainer_trains_vision(trainer)) code = refresh_features(grpo, err);
    if (!code) code = gather_gradients(grpo, err);
    if (code == STRATA_ERR_NUMERIC) {
        struct strata_error reason = *err;
        return strata_trainer_skip(trainer, &reason, err);
    }
    if (code) return code;
    trainer->counters.tokens += grpo->tokens;
    return strata_trainer_update(trainer, &grpo->norm, &grpo->rate, err);
}

/* ---- what is said ---- */

struct lengths {
    size_t sum, least, most, truncated;
};

static struct lengths lengths_of(const struct strata_rollout *rollout) {
    struct lengths lengths = {.least = SIZE_MAX};
    for (size_t i = 0; i < rollout->count * rollout->G; i++) {
        const struct strata_completion *completion = &rollout->groups[i / rollout->G].completions[i % rollout->G];
        lengths.sum += completion->N;
        if (completion->N < lengths.least) lengths.least = completion->N;
        if (completion->N > lengths.most) lengths.most = completion->N;
        lengths.truncated += completion->truncated;
    }
    return lengths;
}

/* Mean reward of each ability in the rollout. */
static json_t *rewards_by_ability(const struct grpo *grpo) {
    const struct strata_rollout *rollout = &grpo->rollout;
    json_t *object = json_object(), *counts = json_object();
    for (size_t g = 0; object && counts && g < rollout->count; g++) {
        const char *ability = grpo->trainer.data.samples[rollout->groups[g].sample].ability;
        const char *key = *ability ? ability : "other";
        double sum = json_number_value(json_object_get(object, key));
        for (size_t i = 0; i < rollout->G; i++) sum += (double)rollout->rewards[g * rollout->G + i];
        json_object_set_new(object, key, json_real(sum));
        json_object_set_new(counts, key,
                            json_integer(json_integer_value(json_object_get(counts, key)) + (json_int_t)rollout->G));
    }
    const char *key;
    json_t *count;
    json_object_foreach(counts, key, count) {
        double sum = json_number_value(json_object_get(object, key));
        json_object_set_new(object, key, json_real(sum / (double)json_integer_value(count)));
    }
    json_decref(counts);
    return object;
}

static json_t *metrics_line(const struct grpo *grpo) {
    const struct strata_trainer *trainer = &grpo->trainer;
    const struct strata_rollout *rollout = &grpo->rollout;
    struct lengths lengths = lengths_of(rollout);
    double completions = (double)(rollout->count * rollout->G);
    const struct strata_train_seconds *seconds = &trainer->seconds;
    json_t *time = json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "rollout", seconds->rollout, "reward", seconds->reward,
                             "reference", seconds->reference, "forward", seconds->forward, "backward",
                             seconds->backward, "update", seconds->update);
    json_t *line = json_pack(
        "{s:I, s:f, s:o, s:o, s:f, s:f, s:f, s:f, s:I, s:o, s:o, s:o, s:{s:f, s:f, s:f}, s:{s:f, s:I, s:I, s:f}, s:o, "
        "s:I}",
        "step", (json_int_t)trainer->counters.step, "epoch",
        (double)trainer->counters.step / (double)trainer->steps_per_epoch, "loss", strata_metrics_number(grpo->loss),
        "grad_norm", strata_metrics_number(grpo->norm), "learning_rate", grpo->rate, "reward",
        rollout->stats.reward_mean, "reward_std", rollout->stats.reward_std, "frac_reward_zero_std",
        (double)rollout->stats.zero_variance / (double)rollout->count, "resampled", (json_int_t)rollout->resampled,
        "kl", strata_metrics_number(grpo->kl), "ratio", strata_metrics_number(grpo->ratio), "entropy",
        strata_metrics_number(grpo->entropy), "clip_ratio", "low", grpo->clipped_low, "high", grpo->clipped_high,
        "region", grpo->clipped_low + grpo->clipped_high, "completions", "mean_length",
        (double)lengths.sum / completions, "min_length", (json_int_t)lengths.least, "max_length",
        (json_int_t)lengths.most, "clipped_ratio", (double)lengths.truncated / completions, "rewards",
        rewards_by_ability(grpo), "skipped", (json_int_t)trainer->counters.skipped);
    if (line) json_object_set_new(line, "time", time);
    return line;
}

static void tell_progress(const struct grpo *grpo) {
    const struct strata_trainer *trainer = &grpo->trainer;
    const struct strata_rollout *rollout = &grpo->rollout;
    const struct strata_train_observer *observer = &trainer->options->observer;
    struct lengths lengths = lengths_of(rollout);
    double completions = (double)(rollout->count * rollout->G), now = strata_seconds() - trainer->start;
    uint64_t done = trainer->counters.step - trainer->first_step;
    struct strata_train_progress progress = {
        .step = trainer->counters.step,
        .steps = trainer->steps,
        .epoch_steps = trainer->steps_per_epoch,
        .loss = grpo->loss,
        .grad_norm = grpo->norm,
        .rate = grpo->rate,
        .reward = rollout->stats.reward_mean,
        .kl = grpo->kl,
        .length = (double)lengths.sum / completions,
        .zero_variance = (double)rollout->stats.zero_variance / (double)rollout->count,
        .clipped = grpo->clipped_low + grpo->clipped_high,
        .truncated = (double)lengths.truncated / completions,
        .accuracy = trainer->accuracy,
        .tokens_per_second = ((double)lengths.sum / (double)(grpo->options->updates * grpo->options->iterations) +
                              (double)grpo->tokens) /
                             trainer->seconds.whole,
        .seconds = now,
        .eta = done ? now / (double)done * (double)(trainer->steps - trainer->counters.step) : 0.0,
        .step_seconds = trainer->seconds,
        .skipped = trainer->counters.skipped};
    if (observer->on_progress) observer->on_progress(observer->context, &progress);
}

static json_t *completion_line(const struct grpo *grpo, size_t index) {
    const struct strata_rollout *rollout = &grpo->rollout;
    const struct strata_rollout_group *group = &rollout->groups[index];
    const struct strata_sample *record = &grpo->trainer.data.samples[group->sample];
    json_t *images = json_array(), *texts = json_array(), *rewards = json_array(), *advantages = json_array();
    json_t *truncated = json_array();
    for (size_t i = 0; i < record->image_count; i++)
        json_array_append_new(images, json_string(record->images[i].name ? record->images[i].name : ""));
    for (size_t i = 0; i < rollout->G; i++) {
        json_array_append_new(texts, json_string(group->completions[i].text));
        json_array_append_new(truncated, json_boolean(group->completions[i].truncated));
        json_array_append_new(rewards, json_real((double)rollout->rewards[index * rollout->G + i]));
        json_array_append_new(advantages, json_real((double)rollout->advantages[index * rollout->G + i]));
    }
    return json_pack("{s:I, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "step", (json_int_t)grpo->trainer.counters.step,
                     "id", record->id, "prompt",
                     record->message_count ? record->messages[record->message_count - 1].text : "", "images", images,
                     "solution", record->solution, "completions", texts, "truncated", truncated, "rewards", rewards,
                     "advantages", advantages);
}

static int log_completions(struct grpo *grpo, struct strata_error *err) {
    int code = 0;
    for (size_t g = 0; !code && g < grpo->rollout.count && g < grpo->options->log_completions; g++)
        code = strata_metrics_completion(&grpo->trainer.metrics, completion_line(grpo, g), err);
    return code;
}

/* ---- the loop ---- */

/* One rollout and its updates; stops early only when the planned number of updates is reached. */
static int train_rollout(struct grpo *grpo, struct strata_error *err) {
    const struct strata_grpo_options *options = grpo->options;
    struct strata_trainer *trainer = &grpo->trainer;
    struct strata_train_counters before = trainer->counters;
    int code = strata_rollout_collect(&grpo->rollout, trainer, options, grpo->unusable, err);
    if (code == STRATA_ERR_INTERRUPTED) {
        trainer->counters = before; /* the rollout will be made again, in the same bits */
        return 0;
    }
    if (!code) code = log_completions(grpo, err);
    double share = 1.0 / (double)(options->updates * options->iterations);
    for (size_t u = 0; !code && u < options->updates * options->iterations; u++) {
        if (trainer->counters.step == trainer->steps) break;
        double start = strata_seconds();
        trainer->seconds = (struct strata_train_seconds){.rollout = share * grpo->rollout.rollout_seconds,
                                                         .reward = share * grpo->rollout.reward_seconds,
                                                         .reference = share * grpo->rollout.reference_seconds};
        code = train_update(grpo, u % options->updates * options->prompts, options->prompts, u == 0, err);
        trainer->seconds.whole =
            trainer->seconds.rollout + trainer->seconds.reward + trainer->seconds.reference + strata_seconds() - start;
        if (!code) code = strata_metrics_write(&trainer->metrics, metrics_line(grpo), err);
        if (!code) tell_progress(grpo);
    }
    return code;
}

/* Golds that no answer can satisfy are found before the first step. */
static int check_golds(struct grpo *grpo, struct strata_error *err) {
    struct strata_trainer *trainer = &grpo->trainer;
    const struct strata_train_options *options = trainer->options;
    size_t bad = 0;
    struct strata_error first = {0};
    struct strata_verdict verdict = {0};
    for (size_t i = 0; i < trainer->data.count; i++) {
        const struct strata_sample *record = &trainer->data.samples[i];
        struct strata_verify_input input = {.solution = record->solution,
                                            .solution_length = strlen(record->solution),
                                            .completion = "",
                                            .ability = record->ability,
                                            .verifier = *record->verifier ? record->verifier : options->verifier};
        struct strata_error reason;
        int code = strata_verify(&verdict, &input, options->verify_mode, &reason);
        if (!code) continue;
        if (code != STRATA_ERR_INPUT) {
            *err = reason;
            strata_verdict_free(&verdict);
            return code;
        }
        strata_fail_at_default(&reason, STRATA_ERR_INPUT, "%s", record->where);
        if (bad++ == 0) first = reason;
        grpo->unusable[i] = true;
    }
    strata_verdict_free(&verdict);
    if (!bad) return 0;
    if (!options->dataset.skip_bad || bad == trainer->data.count) {
        *err = first;
        return strata_fail_hint(err, STRATA_ERR_INPUT,
                                "%zu of %zu records have no usable gold answer; --skip-bad "
                                "leaves them out",
                                bad, trainer->data.count);
    }
    strata_trainer_message(trainer, "%zu of %zu records have no usable gold answer and are left out; the first: %s",
                           bad, trainer->data.count, first.where);
    return 0;
}

static int check_options(const struct strata_grpo_options *options, struct strata_error *err) {
    if (options->completions < 2)
        return strata_fail(err, STRATA_ERR_USAGE, "a group needs at least 2 completions: one alone has no advantage");
    if (!options->prompts || !options->updates || !options->iterations)
        return strata_fail(err, STRATA_ERR_USAGE, "prompts, updates and iterations are at least 1");
    if (!(options->sampling.temperature > 0.0f))
        return strata_fail(err, STRATA_ERR_USAGE, "at temperature 0 all completions of a prompt are the same");
    if (options->sampling.repetition_penalty != 1.0f)
        return strata_fail(err, STRATA_ERR_USAGE,
                           "a repetition penalty changes what is sampled but not what is "
                           "trained; it must be 1");
    if (options->policy.delta != 0.0 && !(options->policy.delta > 1.0 + options->policy.epsilon_high))
        return strata_fail(err, STRATA_ERR_USAGE, "delta %g must be above 1 + epsilon-high = %g", options->policy.delta,
                           1.0 + options->policy.epsilon_high);
    return 0;
}

static json_t *settings_of(const struct strata_grpo_options *options) {
    const struct strata_sampling *sampling = &options->sampling;
    const struct strata_policy_options *policy = &options->policy;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:b, s:I, s:b, s:b, s:I}",
                     "mode", "grpo", "prompts", (json_int_t)options->prompts, "completions",
                     (json_int_t)options->completions, "updates", (json_int_t)options->updates, "iterations",
                     (json_int_t)options->iterations, "temperature", (double)sampling->temperature, "top_p",
                     (double)sampling->top_p, "top_k", (json_int_t)sampling->top_k, "max_new_tokens",
                     (json_int_t)sampling->max_new_tokens, "loss", (json_int_t)policy->type, "beta", policy->beta,
                     "epsilon_low", policy->epsilon_low, "epsilon_high", policy->epsilon_high, "delta", policy->delta,
                     "sequence_level", policy->sequence_level, "scale", (json_int_t)options->advantage.scale,
                     "leave_one_out", options->advantage.leave_one_out, "overlong_filter", options->overlong_filter,
                     "resample_tries", (json_int_t)options->resample_tries);
}

static int allocate(struct grpo *grpo, struct strata_error *err) {
    size_t P = grpo->options->prompts, G = grpo->options->completions;
    int code = strata_rollout_create(&grpo->rollout, P * grpo->options->updates, G, err);
    if (!code) code = strata_alloc(&grpo->unusable, grpo->trainer.data.count, sizeof *grpo->unusable, err);
    if (!code) code = strata_alloc(&grpo->groups, P, sizeof *grpo->groups, err);
    if (!code) code = strata_alloc(&grpo->responses, P * G, sizeof *grpo->responses, err);
    if (!code) code = strata_alloc(&grpo->sums, P * G, sizeof *grpo->sums, err);
    if (!code) code = strata_alloc(&grpo->group_sums, G, sizeof *grpo->group_sums, err);
    if (!code) code = strata_alloc(&grpo->indices, P, sizeof *grpo->indices, err);
    return code;
}

int strata_grpo(struct strata_train_summary *summary, const struct strata_train_options *options,
                const struct strata_grpo_options *grpo_options, struct strata_error *err) {
    struct grpo grpo = {.options = grpo_options, .policy = grpo_options->policy};
    struct strata_trainer *trainer = &grpo.trainer;
    bool cut = grpo_options->sampling.top_k || grpo_options->sampling.top_p < 1.0f;
    struct strata_trainer_needs needs = {
        .reference = grpo_options->policy.beta != 0.0,
        .completions = true,
        .per_round = grpo_options->prompts * grpo_options->updates,
        .updates_per_round = grpo_options->updates * grpo_options->iterations,
        .drop_last = true,
        .prompts_per_step = grpo_options->prompts,
        .completions_per_step = grpo_options->prompts * grpo_options->completions,
        .tape_responses = grpo_options->prompts * grpo_options->completions,
        .tape_groups = grpo_options->prompts,
        .note = cut ? "top-k or top-p cut what is sampled, the loss sees the full distribution: they differ" : NULL};
    int code = check_options(grpo_options, err);
    if (!code) code = strata_trainer_open(trainer, options, settings_of(grpo_options), &needs, err);
    if (code) return code;
    grpo.policy.max_completion_length = grpo_options->sampling.max_new_tokens;
    code = allocate(&grpo, err);
    if (!code) code = check_golds(&grpo, err);
    if (!code) code = strata_trainer_baseline(trainer, err);
    while (!code && trainer->counters.step < trainer->steps) {
        code = train_rollout(&grpo, err);
        if (!code) code = strata_trainer_step_end(trainer, trainer->counters.step == trainer->steps, err);
    }
    if (summary) {
        *summary = (struct strata_train_summary){.loss = grpo.loss, .reward = grpo.rollout.stats.reward_mean};
        strata_trainer_summary(summary, trainer);
    }
    strata_rollout_free(&grpo.rollout);
    free(grpo.unusable);
    free(grpo.groups);
    free(grpo.responses);
    free(grpo.sums);
    free(grpo.group_sums);
    free(grpo.indices);
    strata_trainer_close(trainer);
    return code;
}
