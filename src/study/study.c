/* The study as a whole: identity, plan, stages in the order in which they become possible, results. */
#include "study/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/native.h"
#include "study/run.h"
#include "study/tables.h"

#define HEARTBEAT 10.0
#define EXPIRY    120.0
#define WAIT      0.25 /* seconds between two looks at what others do */

/* ---- identity ---- */

struct identity {
    struct strata_buffer root, test;
    char isa[32], compute[16];
    struct strata_engine *engine; /* of the model, for the pilot; NULL where there is no model */
};

static void add_file(struct strata_buffer *out, const char *directory, const char *name) {
    char *path = strata_path_join(directory, name), text[33];
    struct strata_hash hash;
    if (path && strata_file_exists(path) && !strata_hash_file(&hash, path, NULL)) {
        strata_hash_text(text, hash);
        strata_buffer_printf(out, "%s %s\n", name, text);
    }
    free(path);
}

/* What model and data are. A dry run may name what is not there yet: it is known by its name then. */
static int find_identity(struct identity *identity, const struct strata_study_options *options,
                         struct strata_error *err) {
    static const char *const files[] = {"config.json", "tokenizer.json", "preprocessor_config.json"};
    const struct strata_recipe *recipe = options->recipe;
    struct strata_buffer *root = &identity->root;
    struct strata_hash hash;
    char text[33];
    int code = 0;
    if (!options->dry_run || strata_is_directory(recipe->model))
        code = options->open_engine(options->context, &identity->engine, STRATA_STAGE_SCORE, recipe->model, err);
    if (code) return code;
    strata_buffer_printf(root, "model %s\n",
                         identity->engine ? strata_engine_identity(identity->engine) : recipe->model);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) add_file(root, recipe->model, files[i]);
    code = strata_dataset_hash(&hash, recipe->data, options->dry_run ? NULL : err);
    if (!code) strata_hash_text(text, hash);
    strata_buffer_printf(root, "data %s\nmetrics %d%d\n", code ? recipe->data : text, recipe->metrics[0],
                         recipe->metrics[1]);
    if (code && !options->dry_run) return code;
    for (size_t t = 0; t < recipe->test_count; t++) {
        code = strata_file_exists(recipe->tests[t]) ? strata_dataset_hash(&hash, recipe->tests[t], err) : 0;
        if (code) return code;
        strata_hash_text(text, hash);
        strata_buffer_printf(&identity->test, "test %s\n",
                             strata_file_exists(recipe->tests[t]) ? text : recipe->tests[t]);
    }
    code = strata_buffer_check(root, err);
    return code ? code : strata_buffer_check(&identity->test, err);
}

/* All processes of a study must compute the same bits: the first one writes down with what. */
static int pin_kernels(const struct strata_study_options *options, const struct strata_engine *engine,
                       struct strata_error *err) {
    char *path = strata_path_join(options->out, "study.json");
    json_t *before = NULL;
    int code = path ? strata_make_directories(options->out, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    json_t *now = json_pack("{s:s, s:s, s:s}", "version", "1", "engine", strata_engine_identity(engine), "recipe",
                            options->recipe->path);
    if (!code && !now) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && strata_file_exists(path)) {
        const char *engine_then = NULL;
        code = strata_json_load(&before, path, 1 << 20, err);
        if (!code) code = strata_json_string(&engine_then, before, "engine", true, path, err);
        if (!code && strcmp(engine_then, strata_engine_identity(engine)) != 0) {
            strata_fail(err, STRATA_ERR_STATE, "this study was begun with engine %.150s, not %.150s", engine_then,
                        strata_engine_identity(engine));
            strata_fail_at(err, STRATA_ERR_STATE, "%s", path);
            code = strata_fail_hint(err, STRATA_ERR_STATE,
                                    "a study needs one model, and one instruction set and arithmetic on all machines "
                                    "(all: {isa: avx2, compute: f32}); another model is another directory");
        }
    } else if (!code) {
        struct strata_buffer text = {0};
        strata_json_write(&text, now);
        strata_buffer_byte(&text, '\n');
        code = strata_buffer_check(&text, err);
        if (!code) code = strata_file_write(path, text.data, text.length, err);
        strata_buffer_free(&text);
    }
    json_decref(before);
    json_decref(now);
    free(path);
    return code;
}

/* ---- stages ---- */

static bool interrupted(const struct strata_study_run *run) {
    return run->options->interrupt && *run->options->interrupt;
}

static void tell(const struct strata_study_run *run, size_t stage, enum strata_stage_event event, size_t finished,
                 const struct strata_error *error) {
    const struct strata_study_observer *observer = &run->options->observer;
    if (observer->on_stage) observer->on_stage(observer->context, &run->plan, stage, event, finished, error);
}

static bool is_ready(const struct strata_study_run *run, size_t stage) {
    const struct strata_stage *it = &run->plan.stages[stage];
    const size_t inputs[] = {it->source, it->start, it->reference};
    for (size_t i = 0; i < 3; i++)
        if (inputs[i] != STRATA_NO_STAGE && !strata_stage_done(run, inputs[i])) return false;
    return true;
}

/* Can the stage still come to be done? Not when it, or what it needs, failed here. */
static bool is_blocked(const struct strata_study_run *run, size_t stage) {
    const struct strata_stage *it = &run->plan.stages[stage];
    const size_t inputs[] = {it->source, it->start, it->reference};
    if (run->failed[stage]) return true;
    for (size_t i = 0; i < 3; i++)
        if (inputs[i] != STRATA_NO_STAGE && !strata_stage_done(run, inputs[i]) && is_blocked(run, inputs[i]))
            return true;
    return false;
}

static void announce_done(struct strata_study_run *run, size_t stage, size_t finished) {
    json_t *result = NULL;
    struct strata_error reason = {0};
    strata_stage_result(&result, run, stage, NULL);
    const char *impossible = strata_stage_impossible(result);
    if (impossible) strata_fail(&reason, STRATA_ERR_USAGE, "%s", impossible);
    tell(run, stage, impossible ? STRATA_STAGE_IMPOSSIBLE : STRATA_STAGE_DONE, finished, impossible ? &reason : NULL);
    json_decref(result);
}

/* Runs the stage if nobody else does; *worked says whether anything changed. */
static int try_stage(bool *worked, struct strata_study_run *run, size_t stage, size_t finished,
                     struct strata_error *err) {
    const struct strata_stage *it = &run->plan.stages[stage];
    const size_t inputs[] = {it->source, it->start};
    struct strata_lease *lease = NULL;
    int code = 0;
    for (size_t i = 0; i < 2 && !code && !*worked; i++)
        if (inputs[i] != STRATA_NO_STAGE) code = strata_stage_revive(worked, run, inputs[i], err);
    if (!code && !*worked) code = strata_lease_take(&lease, run->leases, it->place, err);
    if (code || !lease) return code;
    if (strata_stage_done(run, stage)) { /* done by another between the look and the lease */
        strata_lease_release(lease);
        *worked = true;
        return 0;
    }
    tell(run, stage, STRATA_STAGE_STARTS, finished, NULL);
    code = strata_stage_run(run, stage, lease, err);
    if (!code) {
        announce_done(run, stage, finished + 1);
        strata_stage_prune(run, stage);
        if (it->source != STRATA_NO_STAGE) strata_stage_prune(run, it->source);
        if (it->start != STRATA_NO_STAGE) strata_stage_prune(run, it->start);
    }
    strata_lease_release(lease);
    if (!code || code == STRATA_ERR_INTERRUPTED) {
        *worked = !code;
        return code;
    }
    if (!run->first_failure.code) run->first_failure = *err;
    run->failed[stage] = true;
    *worked = true;
    tell(run, stage, STRATA_STAGE_FAILED, finished, err);
    return 0;
}

static void wait_a_little(void) {
    struct timespec pause = {.tv_nsec = (long)(WAIT * 1e9)};
    nanosleep(&pause, NULL);
}

/* One look over all stages: works on the first that is possible. *left: stages that are neither done nor blocked. */
static int pass(bool *worked, size_t *left, size_t *waiting, struct strata_study_run *run, struct strata_error *err) {
    size_t finished = 0;
    int code = 0;
    *worked = false;
    *left = 0;
    for (size_t i = 0; i < run->plan.count; i++) finished += strata_stage_done(run, i);
    for (size_t i = 0; i < run->plan.count && !code && !*worked; i++) {
        if (strata_stage_done(run, i) || is_blocked(run, i)) continue;
        ++*left;
        if (!is_ready(run, i)) continue;
        *waiting = i; /* where nothing could be done, others have what is possible */
        code = try_stage(worked, run, i, finished, err);
    }
    return code;
}

static int run_stages(struct strata_study_run *run, struct strata_error *err) {
    const struct strata_study_observer *observer = &run->options->observer;
    bool worked = true, said = false;
    size_t left = 1, waiting = 0;
    int code = 0;
    while (!code && left) {
        if (interrupted(run)) return strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped; the same command goes on");
        code = pass(&worked, &left, &waiting, run, err);
        if (worked) said = false;
        if (code || worked || !left) continue;
        if (!said && observer->on_waiting) observer->on_waiting(observer->context, run->plan.stages[waiting].name);
        said = true;
        wait_a_little();
    }
    return code;
}

/* ---- the whole ---- */

static int write_file(const struct strata_study_run *run, const char *name, const struct strata_buffer *text,
                      struct strata_error *err) {
    char *path = strata_path_join(run->options->out, name);
    int code = path ? strata_buffer_check(text, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_file_write(path, text->data, text->length, err);
    free(path);
    return code;
}

static int write_json(const struct strata_study_run *run, const char *name, const json_t *value,
                      struct strata_error *err) {
    struct strata_buffer text = {0};
    strata_json_write(&text, value);
    strata_buffer_byte(&text, '\n');
    int code = write_file(run, name, &text, err);
    strata_buffer_free(&text);
    return code;
}

static int write_results(const struct strata_study_run *run, const json_t *results, const json_t *times,
                         struct strata_error *err) {
    struct strata_buffer tables = {0};
    int code = write_json(run, "results.json", results, err);
    if (!code) code = write_json(run, "times.json", times, err);
    strata_study_tables(&tables, results);
    if (!code) code = write_file(run, "tables.md", &tables, err);
    strata_buffer_free(&tables);
    return code;
}

static int make_plan(struct strata_study_run *run, struct identity *identity, struct strata_error *err) {
    const struct strata_study_options *options = run->options;
    struct strata_plan_options plan = {.recipe = run->recipe,
                                       .rows = options->only ? options->only & run->recipe->rows : run->recipe->rows,
                                       .settings = options->settings,
                                       .root = strata_buffer_string(&identity->root),
                                       .test = strata_buffer_string(&identity->test),
                                       .sampled_eval = options->eval.sampling.temperature > 0};
    if (!plan.rows) return strata_fail(err, STRATA_ERR_USAGE, "--only names no row of the recipe");
    int code = strata_plan_make(&run->plan, &plan, err);
    if (!code) code = strata_alloc(&run->failed, run->plan.count, sizeof *run->failed, err);
    return code;
}

static int show_plan(struct strata_study_run *run, struct strata_engine *engine, struct strata_error *err) {
    const struct strata_study_observer *observer = &run->options->observer;
    struct strata_estimate *estimates = NULL;
    int code = strata_study_estimate(&estimates, run, engine, err);
    if (!code && observer->on_plan) observer->on_plan(observer->context, &run->plan, estimates);
    free(estimates);
    return code;
}

static int open_leases(struct strata_study_run *run, struct strata_error *err) {
    const struct strata_study_options *options = run->options;
    char *leases = strata_path_join(options->out, "leases");
    int code = leases ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code)
        code = strata_leases_open(&run->leases, leases, options->heartbeat > 0 ? options->heartbeat : HEARTBEAT,
                                  options->expiry > 0 ? options->expiry : EXPIRY, err);
    free(leases);
    return code;
}

static int run_all(json_t **results, json_t **times, struct strata_study_run *run, struct strata_error *err) {
    int code = run_stages(run, err);
    if (code) return code;
    for (size_t i = 0; i < run->plan.count; i++) strata_stage_prune(run, i); /* what a kill left */
    code = strata_study_results(results, run, err);
    if (!code) code = strata_study_times(times, run, err);
    if (!code) code = write_results(run, *results, *times, err);
    if (!code && run->first_failure.code) {
        if (err) *err = run->first_failure;
        code = run->first_failure.code;
    }
    return code;
}

int strata_study(json_t **results, json_t **times, const struct strata_study_options *options,
                 struct strata_error *err) {
    struct strata_study_run run = {
        .options = options, .recipe = options->recipe, .stages = strata_path_join(options->out, "stages")};
    struct identity identity = {0};
    *results = *times = NULL;
    int code =
        run.stages ? find_identity(&identity, options, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && identity.engine && !options->dry_run) code = pin_kernels(options, identity.engine, err);
    if (!code) code = make_plan(&run, &identity, err);
    if (!code && identity.engine) code = open_leases(&run, err); /* a dry run without a model writes nothing */
    if (!code) code = show_plan(&run, options->pilot ? identity.engine : NULL, err);
    strata_engine_destroy(identity.engine);
    if (!code && !options->dry_run) code = run_all(results, times, &run, err);
    strata_leases_close(run.leases);
    strata_buffer_free(&identity.root);
    strata_buffer_free(&identity.test);
    strata_plan_free(&run.plan);
    free(run.failed);
    free(run.stages);
    return code;
}
