/* Supervised fine-tuning. Micro-batches are sequences one behind the other, each attending to itself only: there is no
 * padding, so "packing" is how every pass is made. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "train/example.h"
#include "train/trainer.h"

/* A conversation as the tape takes it: prompt up to the first target, the rest is the response. */
struct conversation {
    struct strata_example example;
    struct strata_train_images images;
    float *embeds, *dembeds; /* of all its images */
    int32_t *positions;      /* prompt's (3, first), then response's (3, T - first) */
    size_t sample;           /* index in the data */
    size_t first, rows;      /* first target; rows of the pass */
    bool *scored;            /* (T - first), as are: */
    float *logps, *dlogps;
    struct strata_tape_response response;
    struct strata_tape_group group;
    double loss;
};

struct sft {
    struct strata_trainer trainer;
    const struct strata_sft_options *options;
    struct conversation *conversations; /* (batch) of this update */
    size_t count;
    size_t *micro_first; /* (count+1): first conversation of each micro-batch; no shard's border is inside one */
    size_t *shard_first; /* (shards+1): first micro-batch of each shard */
    size_t micro_count;
    struct strata_tape_group *groups; /* (count) of a micro-batch */
    double loss, norm, rate;
    size_t targets;
    uint64_t tokens;
};

static void conversation_free(struct conversation *conversation) {
    strata_example_free(&conversation->example);
    strata_train_images_free(&conversation->images);
    free(conversation->embeds);
    free(conversation->dembeds);
    free(conversation->positions);
    free(conversation->scored);
    free(conversation->logps);
    free(conversation->dlogps);
    *conversation = (struct conversation){0};
}

/* The text that a record trains towards. */
static int target_of(const char **out, const struct strata_sample *sample, enum strata_target target,
                     struct strata_error *err) {
    const char *self = json_string_value(json_object_get(sample->record, "response"));
    *out = target == STRATA_TARGET_SELF                             ? self
           : target == STRATA_TARGET_ASSISTANT && sample->assistant ? sample->assistant
                                                                    : sample->solution;
    if (*out && **out) return 0;
    strata_fail(err, STRATA_ERR_INPUT, "the record has no %s to train towards",
                target == STRATA_TARGET_SELF ? "\"response\"" : "assistant turn and no solution");
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", sample->where);
}

static int build_example(struct conversation *conversation, const struct sft *sft, const struct strata_sample *sample,
                         struct strata_error *err) {
    struct strata_message *messages;
    const char *target;
    int code = target_of(&target, sample, sft->options->target, err);
    if (code) return code;
    if ((code = strata_alloc(&messages, sample->message_count + 1, sizeof *messages, err))) return code;
    memcpy(messages, sample->messages, sample->message_count * sizeof *messages);
    messages[sample->message_count] =
        (struct strata_message){.role = STRATA_ROLE_ASSISTANT, .text = strata_strdup(target)};
    code = messages[sample->message_count].text ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code)
        code = strata_example_build(&conversation->example, sft->trainer.model, messages, sample->message_count + 1,
                                    conversation->images.grids, conversation->images.count, err);
    free(messages[sample->message_count].text);
    free(messages);
    return code ? strata_fail_at_default(err, code, "%s", sample->where) : 0;
}

static void copy_positions(int32_t *out, const struct strata_example *example, size_t first, size_t count) {
    for (size_t axis = 0; axis < 3; axis++)
        memcpy(out + axis * count, example->positions + axis * example->T + first, count * sizeof *out);
}

static int make_group(struct conversation *conversation, bool trains_vision, size_t C, struct strata_error *err) {
    const struct strata_example *example = &conversation->example;
    size_t T = example->T, first = 0, image_tokens = 0, before = 0;
    while (example->labels[first] == STRATA_IGNORED) first++;
    for (size_t i = 0; i < example->image_count; i++) {
        image_tokens += example->image_tokens[i];
        if (example->image_begin[i] < first) before += example->image_tokens[i];
    }
    size_t rest = T - first;
    int code = strata_alloc(&conversation->positions, 3 * T, sizeof *conversation->positions, err);
    if (!code) code = strata_alloc(&conversation->scored, rest, sizeof *conversation->scored, err);
    if (!code) code = strata_alloc(&conversation->logps, rest, sizeof *conversation->logps, err);
    if (!code) code = strata_alloc(&conversation->dlogps, rest, sizeof *conversation->dlogps, err);
    if (!code && trains_vision && image_tokens)
        code = strata_alloc(&conversation->dembeds, image_tokens * C, sizeof *conversation->dembeds, err);
    if (code) return code;
    copy_positions(conversation->positions, example, 0, first);
    copy_positions(conversation->positions + 3 * first, example, first, rest);
    for (size_t t = 0; t < rest; t++) conversation->scored[t] = example->labels[first + t] != STRATA_IGNORED;
    float *embeds = conversation->embeds, *dembeds = conversation->dembeds;
    bool more = image_tokens > before;
    conversation->first = first;
    conversation->response =
        (struct strata_tape_response){.part = {.ids = example->ids + first,
                                               .T = rest,
                                               .positions = conversation->positions + 3 * first,
                                               .embeds = more ? embeds + before * C : NULL,
                                               .dembeds = more && dembeds ? dembeds + before * C : NULL},
                                      .scored = conversation->scored,
                                      .logps = conversation->logps,
                                      .dlogps = conversation->dlogps};
    conversation->group = (struct strata_tape_group){.prompt = {.ids = example->ids,
                                                                .T = first,
                                                                .positions = conversation->positions,
                                                                .embeds = before ? embeds : NULL,
                                                                .dembeds = before ? dembeds : NULL},
                                                     .responses = &conversation->response,
                                                     .count = 1};
    return 0;
}

static int load_conversation(struct conversation *conversation, struct sft *sft, size_t index,
                             struct strata_error *err) {
    struct strata_trainer *trainer = &sft->trainer;
    const struct strata_sample *sample = &trainer->data.samples[index];
    int code = strata_train_images_load(&conversation->images, sample, &trainer->model->processor, err);
    if (!code) code = build_example(conversation, sft, sample, err);
    conversation->sample = index;
    conversation->rows = conversation->example.T - 1;
    return code;
}

/* Features and tape form of this rank's conversations. */
static int prepare_own(struct sft *sft, struct strata_error *err) {
    struct strata_trainer *trainer = &sft->trainer;
    size_t first, last, C = trainer->model->config.text.hidden;
    int code = 0;
    strata_ranks_shards(&first, &last, trainer->ranks, trainer->shards);
    size_t begin = sft->micro_first[sft->shard_first[first]], end = sft->micro_first[sft->shard_first[last]];
    for (size_t i = begin; !code && i < end; i++) {
        struct conversation *conversation = &sft->conversations[i];
        code = strata_features_get(&conversation->embeds, &trainer->features, conversation->sample,
                                   &conversation->images, err);
        if (!code) code = make_group(conversation, strata_trainer_trains_vision(trainer), C, err);
    }
    return code;
}

/* The conversations of update `step`. What cannot be used is left out and counted where the user asked for that. */
static int load_batch(struct sft *sft, struct strata_error *err) {
    struct strata_trainer *trainer = &sft->trainer;
    uint64_t step = trainer->counters.step, epoch = step / trainer->steps_per_epoch;
    size_t N = trainer->data.count, B = sft->options->batch, from = (size_t)(step % trainer->steps_per_epoch) * B;
    sft->count = 0;
    for (size_t i = from; i < N && i < from + B; i++) {
        size_t index = strata_order_at(&trainer->order, epoch * N + i);
        int code = load_conversation(&sft->conversations[sft->count], sft, index, err);
        if (!code) {
            sft->count++;
            continue;
        }
        conversation_free(&sft->conversations[sft->count]);
        if (code != STRATA_ERR_INPUT || !trainer->options->dataset.skip_bad) return code;
        char line[1400];
        strata_trainer_message(trainer, "left out: %s", strata_error_line(err, line, sizeof line));
        trainer->counters.unusable++;
    }
    return 0;
}

/* Cuts the batch into shards, and these into micro-batches: of `micro_batch` conversations, or as many as fit
 * micro_rows. */
static void cut_batch(struct sft *sft) {
    const struct strata_trainer *trainer = &sft->trainer;
    size_t most = sft->options->micro_batch, unit = most ? most : 1, units = (sft->count + unit - 1) / unit;
    sft->micro_count = 0;
    for (size_t s = 0; s < trainer->shards; s++) {
        size_t begin = strata_trainer_shard_begin(trainer, s, units) * unit, rows = 0;
        size_t end = strata_trainer_shard_begin(trainer, s + 1, units) * unit;
        sft->shard_first[s] = sft->micro_count;
        for (size_t i = begin; i < end && i < sft->count; i++) {
            size_t own = sft->conversations[i].rows;
            bool full = most ? i % most == 0 : rows + own > trainer->options->micro_rows;
            if (i == begin || full) {
                sft->micro_first[sft->micro_count++] = i;
                rows = 0;
            }
            rows += own;
        }
    }
    sft->shard_first[trainer->shards] = sft->micro_count;
    sft->micro_first[sft->micro_count] = sft->count;
}

/* d loss / d logp of every target, for all three reductions -1 over something. */
static void set_weights(struct sft *sft) {
    size_t all = 0;
    for (size_t i = 0; i < sft->count; i++) all += sft->conversations[i].example.targets;
    for (size_t m = 0; m < sft->micro_count; m++) {
        size_t own = 0;
        for (size_t i = sft->micro_first[m]; i < sft->micro_first[m + 1]; i++)
            own += sft->conversations[i].example.targets;
        for (size_t i = sft->micro_first[m]; i < sft->micro_first[m + 1]; i++) {
            struct conversation *conversation = &sft->conversations[i];
            size_t targets = conversation->example.targets;
            double divisor = sft->options->reduction == STRATA_REDUCE_GLOBAL ? (double)all
                             : sft->options->reduction == STRATA_REDUCE_MICROBATCH
                                 ? (double)own * (double)sft->micro_count
                                 : (double)targets * (double)sft->count;
            /* Another rank's conversation has none. */
            for (size_t t = 0; conversation->dlogps && t < conversation->response.part.T; t++)
                conversation->dlogps[t] = conversation->scored[t] ? (float)(-1.0 / divisor) : 0.0f;
        }
    }
    sft->targets = all;
}

static int run_micro_batch(struct sft *sft, size_t micro, struct strata_error *err) {
    struct strata_trainer *trainer = &sft->trainer;
    struct strata_tape_group *groups = sft->groups;
    size_t first = sft->micro_first[micro], count = sft->micro_first[micro + 1] - first, rows = 0;
    for (size_t i = 0; i < count; i++) {
        groups[i] = sft->conversations[first + i].group;
        rows += sft->conversations[first + i].rows;
    }
    int code = strata_trainer_tape(trainer, rows, count, count, err);
    if (!code) code = strata_trainer_forward(trainer, groups, count, 1.0f, err);
    if (!code) code = strata_trainer_backward(trainer, groups, count, err);
    for (size_t i = 0; !code && i < count; i++) {
        struct conversation *conversation = &sft->conversations[first + i];
        if (conversation->dembeds)
            code = strata_trainer_vision_backward(trainer, conversation->dembeds, &conversation->images, err);
        for (size_t t = 0; t < conversation->response.part.T; t++)
            conversation->loss += (double)conversation->dlogps[t] * (double)conversation->logps[t];
        sft->tokens += conversation->example.T;
    }
    return code;
}

static int run_shard(void *context, size_t shard, struct strata_error *err) {
    struct sft *sft = context;
    int code = 0;
    for (size_t m = sft->shard_first[shard]; !code && m < sft->shard_first[shard + 1]; m++)
        code = run_micro_batch(sft, m, err);
    return code;
}

/* The loss is the sum of the conversations' in their order, whoever computed them. */
static int sum_losses(struct sft *sft, struct strata_error *err) {
    struct strata_trainer *trainer = &sft->trainer;
    struct strata_buffer mine = {0}, all = {0};
    size_t first, last;
    strata_ranks_shards(&first, &last, trainer->ranks, trainer->shards);
    size_t begin = sft->micro_first[sft->shard_first[first]], end = sft->micro_first[sft->shard_first[last]];
    for (size_t i = begin; i < end; i++)
        strata_buffer_append(&mine, &sft->conversations[i].loss, sizeof sft->conversations[i].loss);
    int code = strata_ranks_exchange(trainer->ranks, &all, &mine, err);
    for (size_t at = 0; !code && at < all.length; at += sizeof sft->loss) {
        double loss;
        memcpy(&loss, all.data + at, sizeof loss);
        sft->loss += loss;
    }
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
    return code;
}

static json_t *metrics_line(const struct sft *sft) {
    const struct strata_trainer *trainer = &sft->trainer;
    const struct strata_train_seconds *seconds = &trainer->seconds;
    return json_pack(
        "{s:I, s:f, s:o, s:o, s:f, s:I, s:I, s:{s:f, s:f, s:f, s:f, s:f}}", "step", (json_int_t)trainer->counters.step,
        "epoch", (double)trainer->counters.step / (double)trainer->steps_per_epoch, "loss",
        strata_metrics_number(sft->loss), "grad_norm", strata_metrics_number(sft->norm), "learning_rate", sft->rate,
        "target_tokens", (json_int_t)sft->targets, "skipped", (json_int_t)trainer->counters.skipped, "time", "step",
        seconds->whole, "forward", seconds->forward, "backward", seconds->backward, "update", seconds->update,
        "tokens_per_second", (double)sft->tokens / seconds->whole);
}

static void tell_progress(const struct sft *sft) {
    const struct strata_trainer *trainer = &sft->trainer;
    const struct strata_train_observer *observer = &trainer->options->observer;
    double seconds = strata_seconds() - trainer->start;
    uint64_t done = trainer->counters.step - trainer->first_step;
    struct strata_train_progress progress = {
        .step = trainer->counters.step,
        .steps = trainer->steps,
        .epoch_steps = trainer->steps_per_epoch,
        .loss = sft->loss,
        .grad_norm = sft->norm,
        .rate = sft->rate,
        .accuracy = trainer->accuracy,
        .tokens_per_second = (double)sft->tokens / trainer->seconds.whole,
        .seconds = seconds,
        .eta = done ? seconds / (double)done * (double)(trainer->steps - trainer->counters.step) : 0.0,
        .step_seconds = trainer->seconds,
        .skipped = trainer->counters.skipped};
    if (observer->on_progress) observer->on_progress(observer->context, &progress);
}

/* Forward, backward, update. Numbers that are not finite end in a skipped update. */
static int train_batch(struct sft *sft, struct strata_error *err) {
    struct strata_trainer *trainer = &sft->trainer;
    sft->loss = sft->norm = sft->rate = 0.0;
    sft->tokens = 0;
    cut_batch(sft);
    int code = prepare_own(sft, err);
    if (code) return code;
    set_weights(sft);
    code = strata_trainer_gather(trainer, run_shard, sft, err);
    if (code == STRATA_ERR_NUMERIC) {
        struct strata_error reason = *err;
        return strata_trainer_skip(trainer, &reason, err);
    }
    if (!code) code = sum_losses(sft, err);
    if (!code) code = strata_trainer_add_up(trainer, &sft->tokens, err);
    if (code) return code;
    trainer->counters.tokens += sft->tokens;
    return strata_trainer_update(trainer, &sft->norm, &sft->rate, err);
}

static int train_step(struct sft *sft, struct strata_error *err) {
    double start = strata_seconds();
    sft->trainer.seconds = (struct strata_train_seconds){0};
    int code = load_batch(sft, err);
    if (!code && sft->count == 0)
        sft->trainer.counters.step++; /* nothing usable: the schedule goes on */
    else if (!code)
        code = train_batch(sft, err);
    sft->trainer.seconds.whole = strata_seconds() - start;
    if (!code) code = strata_metrics_write(&sft->trainer.metrics, metrics_line(sft), err);
    if (!code) tell_progress(sft);
    for (size_t i = 0; i < sft->count; i++) conversation_free(&sft->conversations[i]);
    return code;
}

static json_t *settings_of(const struct strata_sft_options *options) {
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "mode", "sft", "batch", (json_int_t)options->batch, "micro_batch",
                     (json_int_t)options->micro_batch, "reduction", (json_int_t)options->reduction, "target",
                     (json_int_t)options->target);
}

int strata_sft(struct strata_train_summary *summary, const struct strata_train_options *options,
               const struct strata_sft_options *sft_options, struct strata_error *err) {
    struct sft sft = {.options = sft_options};
    struct strata_trainer *trainer = &sft.trainer;
    size_t batch = sft_options->batch, groups = sft_options->micro_batch ? sft_options->micro_batch : batch;
    struct strata_trainer_needs needs = {.per_round = batch,
                                         .updates_per_round = 1,
                                         .prompts_per_step = batch,
                                         .tape_responses = groups,
                                         .tape_groups = groups};
    if (batch == 0 || sft_options->micro_batch > batch)
        return strata_fail(err, STRATA_ERR_USAGE, "%zu conversations per update in micro-batches of %zu", batch,
                           sft_options->micro_batch);
    if (sft_options->reduction == STRATA_REDUCE_MICROBATCH && !sft_options->micro_batch)
        return strata_fail(err, STRATA_ERR_USAGE,
                           "the reduction by micro-batch needs their size (--micro-batch): it "
                           "changes the result");
    int code = strata_trainer_open(trainer, options, settings_of(sft_options), &needs, err);
    if (code) return code;
    code = strata_alloc(&sft.conversations, batch, sizeof *sft.conversations, err);
    if (!code) code = strata_alloc(&sft.micro_first, batch + 1, sizeof *sft.micro_first, err);
    if (!code) code = strata_alloc(&sft.shard_first, trainer->shards + 1, sizeof *sft.shard_first, err);
    if (!code) code = strata_alloc(&sft.groups, batch, sizeof *sft.groups, err);
    if (!code) code = strata_trainer_baseline(trainer, err);
    while (!code && trainer->counters.step < trainer->steps) {
        code = train_step(&sft, err);
        if (!code) code = strata_trainer_step_end(trainer, trainer->counters.step == trainer->steps, err);
    }
    if (summary) {
        *summary = (struct strata_train_summary){.loss = sft.loss};
        strata_trainer_summary(summary, trainer);
    }
    free(sft.conversations);
    free(sft.micro_first);
    free(sft.shard_first);
    free(sft.groups);
    strata_trainer_close(trainer);
    return code;
}
