/* The work of a stage: the rooms' doors, called with what the recipe says. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "eval/own.h"
#include "study/run.h"
#include "study/select.h"

void strata_impossible(json_t **out, const char *format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    *out = json_pack("{s:s}", "impossible", text);
}

static int no_memory(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* ---- score ---- */

static void on_score(void *context, const struct strata_score_progress *now) {
    const struct strata_study_observer *observer = context;
    char note[64];
    snprintf(note, sizeof note, "%.0f tok/s", now->seconds > 0 ? (double)now->generated_tokens / now->seconds : 0);
    if (observer->on_progress) observer->on_progress(observer->context, now->samples_done, now->samples_total, note);
}

static int run_score(json_t **result, double *seconds, const struct strata_study_run *run, size_t stage,
                     struct strata_error *err) {
    const struct strata_study_options *study = run->options;
    struct strata_score_options options = study->score;
    struct strata_score_summary summary = {0};
    struct strata_engine *engine = NULL;
    char *out = strata_stage_path(run, stage, "run");
    options.data = run->recipe->data;
    options.out = out;
    options.seed = run->plan.stages[stage].seed;
    options.metrics =
        (run->recipe->metrics[0] ? STRATA_METRIC_PISM : 0u) | (run->recipe->metrics[1] ? STRATA_METRIC_CMAB : 0u);
    options.interrupt = study->interrupt;
    options.on_progress = on_score;
    options.progress_context = (void *)(uintptr_t)&study->observer;
    int code = out ? strata_make_directories(out, err) : no_memory(err);
    if (!code) code = study->open_engine(study->context, &engine, STRATA_STAGE_SCORE, run->recipe->model, err);
    if (!code) code = strata_score(&summary, engine, &options, err);
    if (!code)
        *result = json_pack("{s:I, s:I, s:I, s:I}", "samples", (json_int_t)summary.samples, "draws",
                            (json_int_t)summary.draws, "draws_saved", (json_int_t)summary.draws_saved, "truncated",
                            (json_int_t)summary.truncated);
    *seconds = summary.seconds;
    strata_score_summary_free(&summary);
    strata_engine_destroy(engine);
    free(out);
    return code;
}

/* ---- select ---- */

/* Random sets of different names are independent draws. */
static uint64_t draw_seed(const struct strata_study_run *run, const struct strata_stage *stage) {
    char text[160];
    snprintf(text, sizeof text, "%llu %d %s %s", (unsigned long long)stage->seed, stage->metric,
             run->recipe->families[stage->family].name, strata_subsets[stage->subset].name);
    return strata_hash_bytes(text, strlen(text)).low >> 11;
}

static int run_select(json_t **result, const struct strata_study_run *run, size_t index, struct strata_error *err) {
    const struct strata_stage *stage = &run->plan.stages[index];
    const struct strata_subset_facts *facts = &strata_subsets[stage->subset];
    const struct strata_recipe *recipe = run->recipe;
    struct strata_select_options options;
    struct strata_select_summary summary;
    struct strata_hash hash = {0};
    char *out = strata_stage_path(run, index, "set.jsonl"), *scored = strata_stage_path(run, stage->source, "run");
    char *directory = strata_stage_path(run, index, "."), text[33];
    int metric = stage->metric >= 0 ? stage->metric : recipe->metrics[0] ? 0 : 1;
    strata_select_options_default(&options);
    options.run = scored;
    options.data = recipe->data;
    options.out = out;
    options.metric = metric == 1 ? STRATA_METRIC_CMAB : STRATA_METRIC_PISM;
    options.ability = recipe->families[stage->family].abilities;
    options.random_like = facts->random;
    options.seed = draw_seed(run, stage);
    options.cut = &run->options->cut;
    options.responses = recipe->metrics[1] && stage->metric >= 0 && recipe->target_given[metric] &&
                        recipe->targets[metric] == STRATA_TARGET_SELF;
    int code = out && scored && directory ? strata_make_directories(directory, err) : no_memory(err);
    if (!code && *facts->strata) code = strata_stratum_set(&options.strata, facts->strata, err);
    if (!code) code = strata_select(&summary, &options, err);
    if (!code && summary.selected) code = strata_hash_file(&hash, out, err);
    strata_hash_text(text, hash);
    if (!code)
        *result = json_pack("{s:I, s:I, s:I, s:s}", "samples", (json_int_t)summary.samples, "selected",
                            (json_int_t)summary.selected, "pending", (json_int_t)summary.pending, "hash", text);
    free(directory);
    free(scored);
    free(out);
    return code;
}

/* ---- evaluation ---- */

static void on_answers(void *context, const char *phase, size_t done, size_t total) {
    const struct strata_study_observer *observer = context;
    if (observer->on_progress) observer->on_progress(observer->context, done, total, phase);
}

static int run_test(json_t *results, const struct strata_study_run *run, size_t stage, size_t test,
                    struct strata_engine *engine, struct strata_error *err) {
    const struct strata_study_options *study = run->options;
    struct strata_eval_options options = study->eval;
    const char *name = run->recipe->tests[test];
    char folder[32], *path = NULL;
    json_t *result = NULL;
    snprintf(folder, sizeof folder, "test-%zu", test + 1);
    char *out = strata_stage_path(run, stage, folder);
    options.out = out;
    options.seed = run->plan.stages[stage].seed;
    options.interrupt = study->interrupt;
    options.on_progress = on_answers;
    options.on_warning = NULL;
    options.context = (void *)(uintptr_t)&study->observer;
    int code = out ? 0 : no_memory(err);
    if (!code && strata_eval_is_own(name)) {
        code = strata_evaluate_own(&result, engine, name, &study->eval_dataset, study->eval_mode, &options, err);
        if (!code && !json_integer_value(json_object_get(result, "rows"))) {
            strata_fail(err, STRATA_ERR_INPUT, "the test set has no records");
            code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", name);
        }
    } else if (!code) {
        code = study->find_benchmark(study->context, &options.benchmark, &path, name, err);
        options.tsv = path;
        if (!code) code = strata_evaluate_benchmark(&result, engine, study->judge, &options, err);
    }
    if (result) json_object_del(result, "engine"); /* names machines, not results */
    if (!code && json_array_append(results, result)) code = no_memory(err);
    json_decref(result);
    free(path);
    free(out);
    return code;
}

static int run_eval(json_t **result, const struct strata_study_run *run, size_t index, struct strata_error *err) {
    const struct strata_stage *stage = &run->plan.stages[index];
    struct strata_engine *engine = NULL;
    bool base = stage->source == STRATA_NO_STAGE;
    char *trained = base ? NULL : strata_stage_path(run, stage->source, "train/last");
    json_t *results = json_array();
    int code = results && (base || trained) ? 0 : no_memory(err);
    if (!code)
        code = run->options->open_engine(run->options->context, &engine, STRATA_STAGE_EVAL,
                                         base ? run->recipe->model : trained, err);
    for (size_t t = 0; t < run->recipe->test_count && !code; t++) code = run_test(results, run, index, t, engine, err);
    if (!code) *result = json_pack("{s:O}", "tests", results);
    json_decref(results);
    strata_engine_destroy(engine);
    free(trained);
    return code;
}

/* ---- all ---- */

/* The first input that is impossible makes this stage so too. */
static int inherit(json_t **result, const struct strata_study_run *run, size_t index, struct strata_error *err) {
    const struct strata_stage *stage = &run->plan.stages[index];
    const size_t inputs[] = {stage->source, stage->start, stage->reference};
    int code = 0;
    for (size_t i = 0; i < 3 && !code && !*result; i++) {
        json_t *input = NULL;
        if (inputs[i] == STRATA_NO_STAGE) continue;
        code = strata_stage_result(&input, run, inputs[i], err);
        if (!code && strata_stage_impossible(input)) strata_impossible(result, "%s", strata_stage_impossible(input));
        json_decref(input);
    }
    return code;
}

int strata_stage_run(struct strata_study_run *run, size_t stage, struct strata_lease *lease, struct strata_error *err) {
    double start = strata_seconds(), seconds = 0;
    json_t *result = NULL;
    int code = inherit(&result, run, stage, err);
    if (!code && !result) {
        switch (run->plan.stages[stage].kind) {
        case STRATA_STAGE_SCORE:
            code = run_score(&result, &seconds, run, stage, err);
            break;
        case STRATA_STAGE_SELECT:
            code = run_select(&result, run, stage, err);
            break;
        case STRATA_STAGE_SFT:
        case STRATA_STAGE_GRPO:
            code = strata_stage_train(&result, &seconds, run, stage, err);
            break;
        case STRATA_STAGE_EVAL:
            code = run_eval(&result, run, stage, err);
            break;
        case STRATA_STAGE_KINDS:
            break;
        }
    }
    if (!code && !result) code = no_memory(err);
    if (!code && !strata_lease_held(lease)) { /* whoever took over finds these files and writes the same result */
        json_decref(result);
        return 0;
    }
    if (code) {
        json_decref(result);
        return code;
    }
    return strata_stage_finish(run, stage, result, seconds > 0 ? seconds : strata_seconds() - start, err);
}
