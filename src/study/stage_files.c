/* Stages as they lie on the disk. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "study/run.h"

#define RESULT       "result.json"
#define TIME         "time.json"
#define MODEL        "train/last/model.safetensors"
#define RESULT_LIMIT ((size_t)64 << 20)

char *strata_stage_path(const struct strata_study_run *run, size_t stage, const char *name) {
    char *directory = strata_path_join(run->stages, run->plan.stages[stage].place);
    char *path = directory ? strata_path_join(directory, name) : NULL;
    free(directory);
    return path;
}

bool strata_stage_done(const struct strata_study_run *run, size_t stage) {
    char *path = strata_stage_path(run, stage, RESULT);
    bool done = path && strata_file_exists(path);
    free(path);
    return done;
}

int strata_stage_result(json_t **out, const struct strata_study_run *run, size_t stage, struct strata_error *err) {
    char *path = strata_stage_path(run, stage, RESULT);
    *out = NULL;
    int code = path ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && strata_file_exists(path)) code = strata_json_load(out, path, RESULT_LIMIT, err);
    free(path);
    return code;
}

double strata_stage_seconds(const struct strata_study_run *run, size_t stage) {
    char *path = strata_stage_path(run, stage, TIME);
    json_t *time = NULL;
    double seconds = 0;
    if (path && strata_file_exists(path) && !strata_json_load(&time, path, RESULT_LIMIT, NULL))
        seconds = json_number_value(json_object_get(time, "seconds"));
    json_decref(time);
    free(path);
    return seconds;
}

const char *strata_stage_impossible(const json_t *result) {
    return json_string_value(json_object_get(result, "impossible"));
}

static int write_json(const struct strata_study_run *run, size_t stage, const char *name, json_t *value,
                      struct strata_error *err) {
    char *path = strata_stage_path(run, stage, name);
    struct strata_buffer text = {0};
    if (value) strata_json_write(&text, value);
    strata_buffer_byte(&text, '\n');
    int code = path && value ? strata_buffer_check(&text, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_file_write(path, text.data, text.length, err);
    strata_buffer_free(&text);
    json_decref(value);
    free(path);
    return code;
}

int strata_stage_finish(const struct strata_study_run *run, size_t stage, json_t *result, double seconds,
                        struct strata_error *err) {
    char *directory = strata_stage_path(run, stage, ".");
    int code =
        directory ? strata_make_directories(directory, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(directory);
    if (!code) code = write_json(run, stage, TIME, json_pack("{s:f}", "seconds", seconds), err);
    if (code) {
        json_decref(result);
        return code;
    }
    return write_json(run, stage, RESULT, result, err);
}

int strata_each_line(const char *path, int (*on_line)(void *context, const json_t *line, struct strata_error *err),
                     void *context, struct strata_error *err) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0, number = 0;
    ssize_t length;
    int code = 0;
    if (!file) {
        strata_fail(err, STRATA_ERR_IO, "cannot read: %s", strerror(errno));
        return strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    }
    while (!code && (length = getline(&text, &size, file)) > 0 && text[length - 1] == '\n') {
        json_t *line;
        code = strata_json_parse(&line, text, (size_t)length - 1, path, ++number, err);
        if (code) break;
        code = on_line(context, line, err);
        json_decref(line);
    }
    free(text);
    fclose(file);
    return code;
}

/* ---- trainings ---- */

struct account {
    size_t lines;
    double seconds, sampled, flat, reward_first, reward_last, loss;
    size_t first, last; /* lines in the two rewards */
    size_t group;       /* completions of a rollout's line */
    double share;       /* of a rollout that one line stands for */
    size_t total;       /* lines there will be */
};

static double number_at(const json_t *line, const char *outer, const char *inner) {
    const json_t *value = json_object_get(line, outer);
    return json_number_value(inner ? json_object_get(value, inner) : value);
}

/* Rewards of the first and the last tenth of the updates say whether it learns. */
static int on_metrics(void *context, const json_t *line, struct strata_error *err) {
    struct account *account = context;
    (void)err;
    if (!json_object_get(line, "loss")) return 0; /* an evaluation */
    size_t tenth = account->total / 10 ? account->total / 10 : 1;
    double reward = number_at(line, "reward", NULL);
    account->lines++;
    account->loss = number_at(line, "loss", NULL);
    account->seconds += number_at(line, "time", "step") + number_at(line, "time", "train") +
                        account->share * (number_at(line, "time", "rollout") + number_at(line, "time", "reward") +
                                          number_at(line, "time", "reference"));
    account->sampled += account->share * (double)account->group * number_at(line, "completions", "mean_length");
    account->flat += number_at(line, "frac_reward_zero_std", NULL);
    if (account->lines <= tenth) account->reward_first += reward, account->first++;
    if (account->lines + tenth > account->total) account->reward_last += reward, account->last++;
    return 0;
}

static int read_state(json_t **out, const struct strata_study_run *run, size_t stage, struct strata_error *err) {
    char *path = strata_stage_path(run, stage, "train/last/trainer_state.json");
    int code =
        path ? strata_json_load(out, path, RESULT_LIMIT, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    return code;
}

int strata_stage_read_training(json_t **result, double *seconds, const struct strata_study_run *run, size_t stage,
                               struct strata_error *err) {
    const struct strata_grpo_options *grpo = &run->options->grpo;
    bool policy = run->plan.stages[stage].kind == STRATA_STAGE_GRPO;
    struct account account = {.group = grpo->prompts * grpo->updates * grpo->completions,
                              .share = 1.0 / (double)(grpo->updates * grpo->iterations)};
    json_t *state = NULL;
    char *path = strata_stage_path(run, stage, "train/metrics.jsonl");
    int64_t steps = 0, tokens = 0, skipped = 0, unusable = 0;
    int code = path ? read_state(&state, run, stage, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_json_int(&steps, state, "step", true, 0, INT64_MAX, path, err);
    if (!code) code = strata_json_int(&tokens, state, "tokens", true, 0, INT64_MAX, path, err);
    if (!code) code = strata_json_int(&skipped, state, "skipped", true, 0, INT64_MAX, path, err);
    if (!code) code = strata_json_int(&unusable, state, "unusable", true, 0, INT64_MAX, path, err);
    account.total = (size_t)steps;
    if (!code) code = strata_each_line(path, on_metrics, &account, err);
    double lines = account.lines ? (double)account.lines : 1.0;
    if (!code)
        *result = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "steps", (json_int_t)steps, "trained_tokens",
                            (json_int_t)tokens, "sampled_tokens", policy ? (json_int_t)llround(account.sampled) : 0,
                            "skipped", (json_int_t)skipped, "unusable", (json_int_t)unusable, "loss", account.loss);
    if (!code && policy && *result) {
        json_object_set_new(*result, "zero_variance", json_real(account.flat / lines));
        json_object_set_new(*result, "reward_first",
                            json_real(account.first ? account.reward_first / (double)account.first : 0));
        json_object_set_new(*result, "reward_last",
                            json_real(account.last ? account.reward_last / (double)account.last : 0));
    }
    if (!code && !*result) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    *seconds = account.seconds;
    json_decref(state);
    free(path);
    return code;
}

static void remove_file(const struct strata_study_run *run, size_t stage, const char *name) {
    char *path = strata_stage_path(run, stage, name);
    if (path) unlink(path);
    free(path);
}

void strata_stage_prune(const struct strata_study_run *run, size_t stage) {
    const struct strata_plan *plan = &run->plan;
    bool trained = plan->stages[stage].kind == STRATA_STAGE_SFT || plan->stages[stage].kind == STRATA_STAGE_GRPO;
    bool needed = !run->recipe->drop_models, evaluated = false;
    if (!trained || !strata_stage_done(run, stage)) return;
    remove_file(run, stage, "train/last/optimizer.safetensors");
    for (size_t i = 0; i < plan->count; i++) {
        const struct strata_stage *other = &plan->stages[i];
        if (other->start == stage && !strata_stage_done(run, i)) needed = true;
        if (other->start == stage || (other->kind == STRATA_STAGE_EVAL && other->source == stage)) {
            needed |= !strata_stage_done(run, i);
            evaluated = true;
        }
    }
    if (!needed && evaluated) remove_file(run, stage, MODEL);
}

static bool was_dropped(const struct strata_study_run *run, size_t stage) {
    const enum strata_stage_kind kind = run->plan.stages[stage].kind;
    if (kind != STRATA_STAGE_SFT && kind != STRATA_STAGE_GRPO) return false;
    json_t *result = NULL;
    char *model = strata_stage_path(run, stage, MODEL);
    bool missing = model && !strata_file_exists(model);
    free(model);
    if (missing) strata_stage_result(&result, run, stage, NULL);
    bool dropped = result && !strata_stage_impossible(result);
    json_decref(result);
    return dropped;
}

int strata_stage_revive(bool *revived, const struct strata_study_run *run, size_t stage, struct strata_error *err) {
    struct strata_lease *lease = NULL;
    *revived = false;
    if (!was_dropped(run, stage)) return 0;
    int code = strata_lease_take(&lease, run->leases, run->plan.stages[stage].place, err);
    if (code || !lease) return code;
    if (was_dropped(run, stage)) { /* nobody revived it between the look and the lease */
        char *training = strata_stage_path(run, stage, "train");
        remove_file(run, stage, RESULT);
        code = training ? strata_remove_tree(training, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        free(training);
        *revived = !code;
    }
    strata_lease_release(lease);
    return code;
}
