#include "train/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

#define MOST_FAILURES 16 /* prompts in a row that the engine could not answer */

int strata_rollout_create(struct strata_rollout *out, size_t groups, size_t G, struct strata_error *err) {
    *out = (struct strata_rollout){.want = groups, .G = G};
    int code = strata_alloc(&out->groups, groups, sizeof *out->groups, err);
    if (!code) code = strata_alloc(&out->rewards, groups * G, sizeof *out->rewards, err);
    if (!code) code = strata_alloc(&out->advantages, groups * G, sizeof *out->advantages, err);
    if (!code) code = strata_alloc(&out->excluded, groups * G, sizeof *out->excluded, err);
    if (!code) code = strata_alloc(&out->begin, groups * G + 1, sizeof *out->begin, err);
    return code;
}

static void group_free(struct strata_rollout_group *group, size_t G) {
    for (size_t i = 0; group->completions && i < G; i++) {
        free(group->completions[i].ids);
        free(group->completions[i].text);
        free(group->completions[i].sampled);
    }
    free(group->completions);
    free(group->embeds);
    free(group->dembeds);
    free(group->reference_embeds);
    strata_prompt_free(&group->prompt);
    strata_train_images_free(&group->images);
    *group = (struct strata_rollout_group){0};
}

void strata_rollout_clear(struct strata_rollout *rollout) {
    for (size_t i = 0; rollout->groups && i < rollout->want; i++) group_free(&rollout->groups[i], rollout->G);
    free(rollout->old);
    free(rollout->reference);
    free(rollout->logps);
    free(rollout->dlogps);
    free(rollout->entropies);
    rollout->old = rollout->reference = rollout->logps = rollout->dlogps = rollout->entropies = NULL;
    rollout->count = rollout->resampled = 0;
    rollout->rollout_seconds = rollout->reward_seconds = rollout->reference_seconds = 0.0;
}

void strata_rollout_free(struct strata_rollout *rollout) {
    strata_rollout_clear(rollout);
    free(rollout->groups);
    free(rollout->rewards);
    free(rollout->advantages);
    free(rollout->excluded);
    free(rollout->begin);
    *rollout = (struct strata_rollout){0};
}

/* ---- sampling ---- */

struct collector {
    struct strata_rollout *rollout;
    struct strata_trainer *trainer;
    const struct strata_grpo_options *options;
    bool *unusable;
    struct strata_verdict verdict;
    size_t failures;
};

/* Does this rank sample group `index`? It is the one that trains on it, if the group keeps its place. */
static bool is_own(const struct collector *collector, size_t index) {
    size_t first, last, prompts = collector->options->prompts;
    strata_trainer_own(&first, &last, collector->trainer, prompts);
    return index % prompts >= first && index % prompts < last;
}

/* Leaves a record out for the rest of the run. */
static int leave_out(struct collector *collector, size_t sample, const struct strata_error *reason,
                     struct strata_error *err) {
    char line[1400];
    collector->unusable[sample] = true;
    collector->trainer->counters.unusable++;
    strata_trainer_message(collector->trainer, "prompt left out: %s", strata_error_line(reason, line, sizeof line));
    for (size_t i = 0; i < collector->trainer->data.count; i++)
        if (!collector->unusable[i]) return 0;
    strata_fail(err, STRATA_ERR_INPUT, "no record of the data set can be used; the last: %s", reason->what);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", reason->where);
}

/* Prompt and features of a group's sample. STRATA_ERR_INPUT or _IO: this sample cannot be used. */
static int prepare(struct strata_rollout_group *group, struct collector *collector, struct strata_error *err) {
    struct strata_trainer *trainer = collector->trainer;
    const struct strata_model *model = trainer->model;
    size_t sample = group->sample;
    const struct strata_sample *record = &trainer->data.samples[sample];
    size_t merge = model->config.vision.merge_size, context = model->config.text.context;
    int code = strata_train_images_load(&group->images, record, &model->processor, err);
    if (!code)
        code = strata_prompt_build(&group->prompt, model->tokenizer, &model->config.special, record->messages,
                                   record->message_count, group->images.grids, group->images.count, (unsigned)merge,
                                   context - 1, err);
    if (!code) code = strata_features_get(&group->embeds, &trainer->features, sample, &group->images, err);
    if (!code && trainer->own_reference_features)
        code = strata_features_get(&group->reference_embeds, &trainer->reference_features, sample, &group->images, err);
    if (!code && group->embeds && strata_trainer_trains_vision(trainer)) {
        size_t tokens = 0;
        for (size_t i = 0; i < group->prompt.image_count; i++) tokens += group->prompt.image_tokens[i];
        code = strata_alloc(&group->dembeds, tokens * model->config.text.hidden, sizeof *group->dembeds, err);
    }
    return code ? strata_fail_at_default(err, code, "%s", record->where) : 0;
}

static int submit(struct collector *collector, size_t index, struct strata_error *err) {
    const struct strata_rollout_group *group = &collector->rollout->groups[index];
    struct strata_trainer *trainer = collector->trainer;
    const struct strata_sample *record = &trainer->data.samples[group->sample];
    struct strata_request request = {
        .tag = index,
        .sample_id = record->id,
        .messages = record->messages,
        .message_count = record->message_count,
        .images = group->images.images,
        .image_count = group->images.count,
        .image_features = group->embeds,
        .sampling = collector->options->sampling,
        .seed = trainer->options->seed,
        .purpose = STRATA_PURPOSE_ROLLOUT,
        .stream = (uint32_t)trainer->counters.rollouts, /* a record comes again in another rollout */
        .draws = (uint32_t)collector->rollout->G,
        .want_logprobs = true};
    return strata_engine_submit(trainer->engine, &request, err);
}

/* The next usable record of the data order into group `index`; its request to the engine, where this rank samples it.
 * Records that turn out to be of no use are marked: what is taken next must not depend on who found out. */
static int start_group(struct collector *collector, size_t index, struct strata_error *err) {
    struct strata_trainer *trainer = collector->trainer;
    struct strata_rollout_group *group = &collector->rollout->groups[index];
    *group = (struct strata_rollout_group){0};
    do {
        group->sample = strata_order_at(&trainer->order, trainer->counters.place++);
    } while (collector->unusable[group->sample]);
    int code = strata_alloc(&group->completions, collector->rollout->G, sizeof *group->completions, err);
    if (code || !is_own(collector, index)) return code;
    code = prepare(group, collector, &group->reason);
    if (!code) code = submit(collector, index, &group->reason);
    if (code == STRATA_ERR_INPUT || code == STRATA_ERR_IO) {
        group->status = code;
        return 0;
    }
    if (code) *err = group->reason;
    return code;
}

static void take_result(struct collector *collector, struct strata_result *result) {
    struct strata_rollout_group *group = &collector->rollout->groups[result->tag];
    struct strata_completion *completion = &group->completions[result->draw];
    if (result->finish == STRATA_FINISH_ERROR || !result->sampled_logprobs) {
        group->status = STRATA_ERR_ENGINE;
        group->reason = result->error;
        return;
    }
    completion->ids = result->ids;
    completion->N = result->N;
    completion->text = result->text;
    completion->sampled = result->sampled_logprobs;
    completion->truncated = result->finish == STRATA_FINISH_LENGTH;
    result->ids = NULL;
    result->text = NULL;
    result->sampled_logprobs = NULL;
}

/* Runs the groups [first, want) to their end, as many at a time as the engine has room for. */
static int sample_groups(struct collector *collector, size_t first, struct strata_error *err) {
    struct strata_trainer *trainer = collector->trainer;
    struct strata_rollout *rollout = collector->rollout;
    size_t next = first;
    bool got = true;
    int code = 0;
    while (!code && (got || next < rollout->want)) {
        while (!code && next < rollout->want &&
               (!is_own(collector, next) || strata_engine_has_room(trainer->engine, (uint32_t)rollout->G)))
            code = start_group(collector, next++, err);
        struct strata_result result = {0};
        if (!code) code = strata_engine_poll(trainer->engine, &result, &got, err);
        if (!code && got) {
            take_result(collector, &result);
            strata_result_free(&result);
        }
        if (!code && strata_trainer_interrupted(trainer))
            code = strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped while sampling");
    }
    for (size_t i = first; code && i < next; i++) strata_engine_cancel(trainer->engine, i);
    return code;
}

/* ---- rewards ---- */

static int grade_group(struct collector *collector, size_t index, struct strata_error *err) {
    struct strata_rollout *rollout = collector->rollout;
    const struct strata_rollout_group *group = &rollout->groups[index];
    const struct strata_train_options *options = collector->trainer->options;
    const struct strata_sample *record = &collector->trainer->data.samples[group->sample];
    for (size_t i = 0; i < rollout->G; i++) {
        const struct strata_completion *completion = &group->completions[i];
        struct strata_verify_input input = {
            .solution = record->solution,
            .solution_length = strlen(record->solution),
            .completion = completion->text,
            .completion_length = strlen(completion->text),
            .ability = record->ability,
            .verifier = *record->verifier ? record->verifier : options->verifier,
            .question = record->message_count ? record->messages[record->message_count - 1].text : NULL};
        int code = strata_verify(&collector->verdict, &input, options->verify_mode, err);
        if (code) return strata_fail_at_default(err, code, "%s", record->where);
        rollout->rewards[index * rollout->G + i] = (float)collector->verdict.score;
    }
    return 0;
}

static bool is_flat(const float *rewards, size_t G) {
    for (size_t i = 1; i < G; i++)
        if (rewards[i] != rewards[0]) return false;
    return true;
}

/* Group `from` becomes group `to`, which is empty. */
static void move_group(struct strata_rollout *rollout, size_t to, size_t from) {
    if (to == from) return;
    rollout->groups[to] = rollout->groups[from];
    rollout->groups[from] = (struct strata_rollout_group){0};
    memcpy(rollout->rewards + to * rollout->G, rollout->rewards + from * rollout->G,
           rollout->G * sizeof *rollout->rewards);
}

/* Grades this rank's groups from `count` on. A gold that cannot be graded is the record's fault. */
static int grade_groups(struct collector *collector, struct strata_error *err) {
    struct strata_rollout *rollout = collector->rollout;
    for (size_t i = rollout->count; i < rollout->want; i++) {
        struct strata_rollout_group *group = &rollout->groups[i];
        if (group->status || !is_own(collector, i)) continue;
        int code = grade_group(collector, i, &group->reason);
        if (code && code != STRATA_ERR_INPUT) {
            *err = group->reason;
            return code;
        }
        group->status = code;
    }
    return 0;
}

/* Closes ranks over the groups from `count` on that are dropped: those that cannot be used, and with `resample` those
 * of equal rewards. */
static int keep_groups(struct collector *collector, bool resample, struct strata_error *err) {
    struct strata_rollout *rollout = collector->rollout;
    for (size_t i = rollout->count; i < rollout->want; i++) {
        struct strata_rollout_group *group = &rollout->groups[i];
        bool flat = !group->status && is_flat(rollout->rewards + i * rollout->G, rollout->G);
        int code = 0;
        if (group->status == STRATA_ERR_ENGINE) {
            if (++collector->failures >= MOST_FAILURES)
                return strata_fail(err, STRATA_ERR_ENGINE, "the engine failed %d prompts in a row; the last: %s",
                                   MOST_FAILURES, group->reason.what);
        } else if (group->status && !collector->unusable[group->sample]) {
            code = leave_out(collector, group->sample, &group->reason, err);
        }
        if (code) return code;
        if (!group->status && !(flat && resample)) {
            collector->failures = 0;
            move_group(rollout, rollout->count++, i);
            continue;
        }
        rollout->resampled += flat && resample;
        group_free(group, rollout->G);
    }
    return 0;
}

/* ---- what training needs ---- */

static int lay_out_tokens(struct strata_rollout *rollout, const struct strata_grpo_options *options, bool reference,
                          struct strata_error *err) {
    size_t total = 0, index = 0;
    for (size_t g = 0; g < rollout->count; g++) {
        for (size_t i = 0; i < rollout->G; i++, index++) {
            const struct strata_completion *completion = &rollout->groups[g].completions[i];
            rollout->begin[index] = total;
            rollout->excluded[index] = options->overlong_filter && completion->truncated;
            total += completion->N;
        }
    }
    rollout->begin[index] = total;
    int code = strata_alloc(&rollout->old, total, sizeof *rollout->old, err);
    if (!code) code = strata_alloc(&rollout->logps, total, sizeof *rollout->logps, err);
    if (!code) code = strata_alloc(&rollout->dlogps, total, sizeof *rollout->dlogps, err);
    if (!code) code = strata_alloc(&rollout->entropies, total, sizeof *rollout->entropies, err);
    if (!code && reference) code = strata_alloc(&rollout->reference, total, sizeof *rollout->reference, err);
    for (size_t i = 0; !code && i < index; i++) {
        const struct strata_completion *completion = &rollout->groups[i / rollout->G].completions[i % rollout->G];
        memcpy(rollout->old + rollout->begin[i], completion->sampled, completion->N * sizeof *rollout->old);
    }
    return code;
}

void strata_rollout_tape(struct strata_tape_group *out, struct strata_tape_response *responses,
                         struct strata_rollout *rollout, size_t index, bool reference) {
    struct strata_rollout_group *group = &rollout->groups[index];
    const struct strata_prompt *prompt = &group->prompt;
    for (size_t i = 0; i < rollout->G; i++) {
        const struct strata_completion *completion = &group->completions[i];
        size_t first = rollout->begin[index * rollout->G + i];
        responses[i] = (struct strata_tape_response){.part = {.ids = completion->ids, .T = completion->N},
                                                     .logps = (reference ? rollout->reference : rollout->logps) + first,
                                                     .entropies = reference ? NULL : rollout->entropies + first,
                                                     .dlogps = rollout->dlogps + first};
    }
    *out = (struct strata_tape_group){
        .prompt = {.ids = prompt->ids,
                   .T = prompt->T,
                   .positions = prompt->positions,
                   .embeds = reference && group->reference_embeds ? group->reference_embeds : group->embeds,
                   .dembeds = reference ? NULL : group->dembeds},
        .rope_delta = prompt->rope_delta,
        .responses = responses,
        .count = rollout->G};
}

/* The frozen starting model's log-probs of what was sampled. */
static int score_reference(struct collector *collector, struct strata_error *err) {
    struct strata_rollout *rollout = collector->rollout;
    struct strata_trainer *trainer = collector->trainer;
    struct strata_tape_response *responses;
    double start = strata_seconds();
    int code = strata_alloc(&responses, rollout->G, sizeof *responses, err);
    if (!code) code = strata_reference_begin(&trainer->reference, &trainer->gradients, trainer->compute->threads, err);
    for (size_t g = 0; !code && g < rollout->count; g++) {
        struct strata_tape_group group;
        if (!is_own(collector, g)) continue;
        strata_rollout_tape(&group, responses, rollout, g, true);
        code = strata_trainer_tape(trainer, strata_tape_rows(&group), rollout->G, 1, err);
        if (code) break;
        strata_tape_weights(trainer->tape, &trainer->reference.model->weights);
        code = strata_tape_forward(trainer->tape, &group, 1, collector->options->sampling.temperature, err);
        strata_tape_weights(trainer->tape, &trainer->model->weights);
    }
    strata_reference_end(&trainer->reference);
    free(responses);
    rollout->reference_seconds += strata_seconds() - start;
    return code;
}

int strata_rollout_collect(struct strata_rollout *rollout, struct strata_trainer *trainer,
                           const struct strata_grpo_options *options, bool *unusable, struct strata_error *err) {
    struct collector collector = {.rollout = rollout, .trainer = trainer, .options = options, .unusable = unusable};
    /* An epoch's rest that is too small for a rollout is dropped. */
    uint64_t N = trainer->data.count, left = N - trainer->counters.place % N;
    if (left < rollout->want) trainer->counters.place += left;
    int code = 0;
    strata_rollout_clear(rollout);
    size_t tries = 0;
    while (!code && rollout->count < rollout->want) {
        size_t resampled = rollout->resampled;
        double start = strata_seconds();
        code = sample_groups(&collector, rollout->count, err);
        double sampled = strata_seconds();
        if (!code) code = grade_groups(&collector, err);
        if (!code) code = strata_rollout_exchange(rollout, trainer, options->prompts, err);
        if (!code) code = keep_groups(&collector, tries < options->resample_tries, err);
        tries += rollout->resampled > resampled;
        rollout->rollout_seconds += sampled - start;
        rollout->reward_seconds += strata_seconds() - sampled;
    }
    if (!code)
        code = strata_advantages(rollout->advantages, NULL, &rollout->stats, rollout->rewards, rollout->count,
                                 rollout->G, &options->advantage, err);
    for (size_t g = 0; !code && g < rollout->count; g++)
        rollout->groups[g].flat = is_flat(rollout->rewards + g * rollout->G, rollout->G);
    /* A group that moved up may have come to another rank. */
    for (size_t g = 0; !code && g < rollout->count; g++)
        if (is_own(&collector, g) && !rollout->groups[g].prompt.ids)
            code = prepare(&rollout->groups[g], &collector, err);
    if (!code) code = lay_out_tokens(rollout, options, trainer->reference.model != NULL, err);
    if (!code && trainer->reference.model) code = score_reference(&collector, err);
    strata_verdict_free(&collector.verdict);
    if (!code) trainer->counters.rollouts++;
    return code;
}
