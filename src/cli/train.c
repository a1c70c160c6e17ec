#include "cli/train.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/recipe.h"
#include "cli/setup.h"
#include "cli/setup_parts.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

/* ---- before the start ---- */

static void row(struct strata_table *table, const char *name, const char *value) {
    strata_table_cell(table, "%s", name);
    strata_table_cell(table, "%s", value);
}

static void row_bytes(struct strata_table *table, const char *name, size_t bytes) {
    char text[32];
    if (bytes) row(table, name, strata_bytes_text(text, (double)bytes));
}

/* What was asked for, and where; a run that is taken up again says what it was taken up with. */
static void write_account(const struct strata_cli_training *training) {
    const struct strata_arguments *arguments = training->arguments;
    char *path = strata_path_join(strata_text(arguments, ID(OUT)), "options.json");
    json_t *account = strata_recipe_account(arguments);
    char *text = account ? json_dumps(account, JSON_INDENT(2)) : NULL;
    struct strata_error err = {0};
    int code = path && text ? strata_file_write(path, text, strlen(text), &err)
                            : strata_fail(&err, STRATA_ERR_MEMORY, "out of memory");
    if (code) strata_progress_message(training->progress, "options.json could not be written: %s", err.what);
    free(text);
    free(path);
    json_decref(account);
}

static void on_plan(void *context, const struct strata_train_plan *plan) {
    struct strata_cli_training *training = context;
    struct strata_table table = {.columns = 2};
    char text[96], count[32], all[32];
    write_account(training);
    if (strata_flag(training->arguments, ID(QUIET))) return;
    strata_print_data(training->arguments->operands[0]);
    row(&table, "what", "");
    if (strata_given(training->arguments, ID(RECIPE)))
        row(&table, "recipe", strata_text(training->arguments, ID(RECIPE)));
    snprintf(text, sizeof text, "%zu", plan->samples);
    row(&table, "records", text);
    if (plan->bad) strata_table_cell(&table, "bad records left out"), strata_table_cell(&table, "%zu", plan->bad);
    if (plan->held_out) strata_table_cell(&table, "held-out records"), strata_table_cell(&table, "%zu", plan->held_out);
    if (plan->completions_per_step) {
        snprintf(text, sizeof text, "%zu prompts, %zu completions", plan->prompts_per_step, plan->completions_per_step);
    } else {
        snprintf(text, sizeof text, "%zu conversations", plan->prompts_per_step);
    }
    row(&table, "an update takes", text);
    snprintf(text, sizeof text, "%llu (%llu an epoch, %.0f of warm-up)", (unsigned long long)plan->steps,
             (unsigned long long)plan->steps_per_epoch, plan->warmup);
    row(&table, "updates", text);
    if (plan->steps_done)
        strata_table_cell(&table, "made already"),
            strata_table_cell(&table, "%llu", (unsigned long long)plan->steps_done);
    snprintf(text, sizeof text, "%s of %s", strata_count_text(count, (double)plan->trained_parameters),
             strata_count_text(all, (double)plan->parameters));
    row(&table, "parameters trained", text);
    snprintf(text, sizeof text, "%s, %s, %zu threads", plan->engine.isa, plan->engine.compute, plan->engine.threads);
    row(&table, "computes with", text);
    row_bytes(&table, "memory: weights", plan->weight_bytes);
    if (plan->reference_in_file)
        row(&table, "memory: reference", "that of the gradients, from OUT/reference");
    else
        row_bytes(&table, "memory: reference", plan->reference_bytes);
    row_bytes(&table, "memory: gradients", plan->gradient_bytes);
    row_bytes(&table, "memory: optimiser", plan->optimizer_bytes);
    row_bytes(&table, "memory: activations", plan->tape_bytes);
    row_bytes(&table, "memory: keys and values, at most", plan->cache_bytes);
    row_bytes(&table, "memory: vision features, at most", plan->feature_bytes);
    /* A table on stdout is a result; this one is a log. */
    for (size_t i = 2; i + 1 < table.count; i += 2)
        fprintf(stderr, "%-34s%s\n", table.cells[i] ? table.cells[i] : "",
                table.cells[i + 1] ? table.cells[i + 1] : "");
    strata_table_free(&table);
    if (plan->note) fprintf(stderr, "note: %s\n", plan->note);
}

/* ---- while it runs ---- */

static void on_progress(void *context, const struct strata_train_progress *now) {
    struct strata_cli_training *training = context;
    const struct strata_train_seconds *seconds = &now->step_seconds;
    double share = seconds->whole > 0.0 ? 100 / seconds->whole : 0.0;
    char note[320];
    int at = 0;
    if (!training->started) {
        strata_progress_start(training->progress, training->label, (size_t)now->steps, (size_t)now->step - 1);
        training->started = true;
    }
    if (now->length > 0.0)
        at = snprintf(note, sizeof note,
                      "reward %.3f, kl %.2g, length %.1f, flat %.0f %%, clipped %.1f %%, cut off %.0f %%", now->reward,
                      now->kl, now->length, 100 * now->zero_variance, 100 * now->clipped, 100 * now->truncated);
    else
        at = snprintf(note, sizeof note, "loss %.4f, norm %.2f", now->loss, now->grad_norm);
    if (now->accuracy >= 0.0 && at > 0 && (size_t)at < sizeof note)
        at += snprintf(note + at, sizeof note - (size_t)at, ", held out %.1f %%", 100 * now->accuracy);
    if (at > 0 && (size_t)at < sizeof note)
        at += snprintf(note + at, sizeof note - (size_t)at, ", %.0f tok/s", now->tokens_per_second);
    if (now->length > 0.0 && at > 0 && (size_t)at < sizeof note)
        at += snprintf(note + at, sizeof note - (size_t)at, " (sample %.0f, grade %.0f, reference %.0f, train %.0f %%)",
                       share * seconds->rollout, share * seconds->reward, share * seconds->reference,
                       share * (seconds->forward + seconds->backward + seconds->update));
    if (now->skipped && at > 0 && (size_t)at < sizeof note)
        snprintf(note + at, sizeof note - (size_t)at, ", %llu skipped", (unsigned long long)now->skipped);
    strata_progress_update(training->progress, (size_t)now->step, note);
}

static void on_evaluation(void *context, const struct strata_train_evaluation *evaluation) {
    struct strata_cli_training *training = context;
    struct strata_buffer text = {0};
    for (size_t i = 0; i < evaluation->ability_count; i++) {
        const struct strata_train_ability *ability = &evaluation->abilities[i];
        strata_buffer_printf(&text, "%s %s %.1f %%", i ? "," : ":", *ability->name ? ability->name : "other",
                             100 * (double)ability->right / (double)ability->count);
    }
    strata_progress_message(training->progress, "step %llu, held out: %zu of %zu right (%.1f %%)%s",
                            (unsigned long long)evaluation->step, evaluation->right, evaluation->count,
                            evaluation->count ? 100 * (double)evaluation->right / (double)evaluation->count : 0,
                            strata_buffer_string(&text));
    if (evaluation->paired)
        strata_progress_message(training->progress, "  against the start: %+.1f points, standard error %.1f (paired)",
                                100 * evaluation->gain, 100 * evaluation->gain_error);
    strata_buffer_free(&text);
}

static void on_message(void *context, const char *text) {
    struct strata_cli_training *training = context;
    strata_progress_message(training->progress, "%s", text);
}

/* ---- options ---- */

static void setup_engine(struct strata_native_options *engine, const struct strata_arguments *arguments) {
    *engine = (struct strata_native_options){.model = strata_text(arguments, ID(MODEL)),
                                             .compute = strata_text(arguments, ID(COMPUTE)),
                                             .isa = strata_text(arguments, ID(ISA)),
                                             .threads = strata_size(arguments, ID(THREADS)),
                                             .batch = strata_size(arguments, ID(BATCH)),
                                             .memory = strata_size(arguments, ID(MEMORY)),
                                             .max_pixels = strata_size(arguments, ID(MAX_PIXELS))};
    if (!engine->max_pixels) engine->max_pixels = SIZE_MAX; /* the model's own */
}

static void setup_optimiser(struct strata_train_options *options, const struct strata_arguments *arguments) {
    static const enum strata_schedule_kind schedules[] = {STRATA_SCHEDULE_COSINE, STRATA_SCHEDULE_LINEAR,
                                                          STRATA_SCHEDULE_CONSTANT};
    const struct {
        enum strata_option_id id;
        double *out;
    } reals[] = {{ID(EPOCHS), &options->epochs},
                 {ID(LEARNING_RATE), &options->rate},
                 {ID(WARMUP_RATIO), &options->warmup_ratio},
                 {ID(WEIGHT_DECAY), &options->adamw.weight_decay},
                 {ID(BETA1), &options->adamw.beta1},
                 {ID(BETA2), &options->adamw.beta2},
                 {ID(MAX_GRAD_NORM), &options->adamw.max_grad_norm},
                 {ID(LORA_ALPHA), &options->lora.alpha}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (strata_given(arguments, reals[i].id)) *reals[i].out = strata_real(arguments, reals[i].id);
    options->schedule = schedules[strata_choice(arguments, ID(SCHEDULE))];
    options->max_steps = strata_size(arguments, ID(MAX_STEPS));
    options->trained[STRATA_GROUP_LANGUAGE] = strata_listed(arguments, ID(TRAIN), "language");
    options->trained[STRATA_GROUP_MERGER] = strata_listed(arguments, ID(TRAIN), "merger");
    options->trained[STRATA_GROUP_VISION] = strata_listed(arguments, ID(TRAIN), "vision");
    options->lora.rank = strata_size(arguments, ID(LORA_RANK));
    options->lora.targets = strata_text(arguments, ID(LORA_TARGETS));
}

/* An option that would do nothing is a misunderstanding. */
static int check_effects(const struct strata_arguments *arguments, struct strata_error *err) {
    static const struct {
        enum strata_option_id option, needs;
        const char *name, *needed;
    } pairs[] = {{ID(LORA_ALPHA), ID(LORA_RANK), "--lora-alpha", "--lora-rank"},
                 {ID(LORA_TARGETS), ID(LORA_RANK), "--lora-targets", "--lora-rank"},
                 {ID(EVAL_STEPS), ID(HELD_OUT), "--eval-steps", "--held-out"},
                 {ID(EVAL_TOKENS), ID(HELD_OUT), "--eval-tokens", "--held-out"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (strata_given(arguments, pairs[i].option) && !strata_given(arguments, pairs[i].needs))
            return strata_fail(err, STRATA_ERR_USAGE, "%s has no effect without %s", pairs[i].name, pairs[i].needed);
    }
    if (strata_given(arguments, ID(MAX_STEPS)) && strata_given(arguments, ID(EPOCHS)))
        return strata_fail(err, STRATA_ERR_USAGE, "--max-steps replaces --epochs: give one of them");
    return 0;
}

int strata_setup_train_options(struct strata_train_options *options, char **system,
                               const struct strata_arguments *arguments, struct strata_error *err) {
    int status = check_effects(arguments, err);
    if (!status) status = strata_setup_text(system, arguments, ID(SYSTEM), err);
    if (!status) status = strata_setup_shard(&options->dataset, strata_text(arguments, ID(SHARD)), err);
    if (status) return status;
    options->grad_shards = strata_size(arguments, ID(GRAD_SHARDS));
    setup_engine(&options->engine, arguments);
    setup_optimiser(options, arguments);
    options->data = arguments->operands[0];
    options->held_out = strata_text(arguments, ID(HELD_OUT));
    options->out = strata_text(arguments, ID(OUT));
    options->resume = strata_text(arguments, ID(RESUME));
    options->start_from = strata_text(arguments, ID(START_FROM));
    options->dataset.skip_bad = strata_flag(arguments, ID(SKIP_BAD));
    options->dataset.prepend_missing_image = strata_choice(arguments, ID(MISSING_IMAGE)) == 1;
    options->dataset.system = *system;
    options->dataset.limit = strata_size(arguments, ID(LIMIT));
    options->seed = (uint64_t)strata_integer(arguments, ID(SEED));
    options->in_order = strata_flag(arguments, ID(IN_ORDER));
    options->recompute = strata_choice(arguments, ID(RECOMPUTE)) ? STRATA_TAPE_LAYERS : STRATA_TAPE_ALL;
    options->micro_rows = strata_size(arguments, ID(MICRO_ROWS));
    options->save_steps = strata_size(arguments, ID(SAVE_STEPS));
    options->save_total_limit = strata_size(arguments, ID(SAVE_TOTAL_LIMIT));
    options->eval_steps = strata_size(arguments, ID(EVAL_STEPS));
    if (strata_given(arguments, ID(EVAL_TOKENS)))
        options->eval_tokens = (uint32_t)strata_integer(arguments, ID(EVAL_TOKENS));
    options->max_skipped = strata_size(arguments, ID(MAX_SKIPPED));
    if (strata_given(arguments, ID(VERIFY_MODE)))
        options->verify_mode = (enum strata_verify_mode)strata_choice(arguments, ID(VERIFY_MODE));
    options->verifier = strata_text(arguments, ID(VERIFIER));
    return 0;
}

int strata_setup_training(struct strata_train_options *options, struct strata_cli_training *training,
                          const struct strata_arguments *arguments, const char *label, struct strata_error *err) {
    *training = (struct strata_cli_training){.arguments = arguments, .label = label};
    int status = strata_setup_train_options(options, &training->system, arguments, err);
    if (!status) status = strata_ranks_open(&training->ranks, err);
    if (status) return status;
    options->ranks = training->ranks;
    options->interrupt = strata_interruptible();
    options->observer = (struct strata_train_observer){.context = training,
                                                       .on_plan = on_plan,
                                                       .on_progress = on_progress,
                                                       .on_evaluation = on_evaluation,
                                                       .on_message = on_message};
    /* One process speaks for all. */
    bool silent = strata_ranks_index(training->ranks) > 0;
    if (silent) options->observer = (struct strata_train_observer){0};
    training->progress = strata_progress_create(stderr, silent || strata_flag(arguments, ID(QUIET)));
    return 0;
}

/* ---- the end ---- */

static int print_json(const struct strata_train_summary *summary, struct strata_error *err) {
    json_t *object = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:I, s:f, s:I}", "steps", (json_int_t)summary->steps, "skipped",
        (json_int_t)summary->skipped, "tokens", (json_int_t)summary->tokens, "unusable", (json_int_t)summary->unusable,
        "loss", summary->loss, "reward", summary->reward, "accuracy",
        summary->accuracy < 0 ? json_null() : json_real(summary->accuracy), "best_accuracy",
        summary->best_accuracy < 0 ? json_null() : json_real(summary->best_accuracy), "best_step",
        (json_int_t)summary->best_step, "seconds", summary->seconds, "peak_bytes", (json_int_t)summary->peak_bytes);
    return strata_print_json(object, err);
}

static void print_summary(const struct strata_train_options *options, const struct strata_train_summary *summary) {
    char seconds[32], bytes[32];
    printf("%llu updates in %s, peak memory %s", (unsigned long long)summary->steps,
           strata_duration_text(seconds, summary->seconds), strata_bytes_text(bytes, (double)summary->peak_bytes));
    if (summary->skipped) printf(", %llu skipped (not finite)", (unsigned long long)summary->skipped);
    if (summary->unusable) printf(", %zu records left out", summary->unusable);
    printf("\nmodel: %s/last\n", options->out);
    if (summary->gain_error > 0)
        printf("held out, against the start: %+.1f points, %.1f paired standard errors\n", 100 * summary->gain,
               summary->gain / summary->gain_error);
    if (summary->best_accuracy >= 0)
        printf("held out: last %.1f %%, best %.1f %% at step %llu: %s/best\n", 100 * summary->accuracy,
               100 * summary->best_accuracy, (unsigned long long)summary->best_step, options->out);
}

int strata_finish_training(struct strata_cli_training *training, const struct strata_train_options *options,
                           const struct strata_train_summary *summary, int status, struct strata_error *err) {
    if (training->started) strata_progress_finish(training->progress);
    strata_progress_destroy(training->progress);
    free(training->system);
    bool silent = strata_ranks_index(training->ranks) > 0;
    if (silent && strata_ranks_agreed(training->ranks)) *err = (struct strata_error){.code = status};
    strata_ranks_close(training->ranks, status);
    if (status || silent) return status;
    if (strata_flag(training->arguments, ID(JSON))) return print_json(summary, err);
    print_summary(options, summary);
    return 0;
}
