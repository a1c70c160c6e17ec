/* Evaluation: its steps in order, and the asking. */
#include "eval/evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "eval/evaluate_run.h"

char *strata_eval_path(const struct evaluation *run, const char *suffix) {
    char name[96];
    snprintf(name, sizeof name, "%s%s", run->facts->dataset, suffix);
    return strata_path_join(run->options->out, name);
}

void strata_eval_progress(const struct evaluation *run, const char *phase, size_t done, size_t total) {
    if (run->options->on_progress) run->options->on_progress(run->options->context, phase, done, total);
}

bool strata_eval_interrupted(const struct evaluation *run) {
    return run->options->interrupt && *run->options->interrupt;
}

int strata_eval_reject(struct evaluation *run, size_t number, int code, struct strata_error *err) {
    char line[1400], text[1500];
    strata_fail_at_default(err, code, "%s, index %s", run->options->tsv,
                           strata_eval_dataset_index(run->dataset, number));
    if (code != STRATA_ERR_INPUT || !run->options->skip_bad) return code;
    run->left_out[number] = true;
    run->bad++;
    if (!run->options->on_warning || !err) return 0;
    snprintf(text, sizeof text, "skipped: %s", strata_error_line(err, line, sizeof line));
    run->options->on_warning(run->options->context, text);
    return 0;
}

/* ---- asking ---- */

struct question {
    char *text;                        /* with "<image>" marks */
    struct strata_image *images, *all; /* in the order of the marks (borrowed); all of the row (owned) */
    size_t image_count, all_count;
};

static void question_free(struct question *question) {
    for (size_t i = 0; i < question->all_count; i++) strata_image_free(&question->all[i]);
    free(question->all);
    free(question->images);
    free(question->text);
    *question = (struct question){0};
}

/* The kit's messages as one user turn. */
static int join_parts(struct question *question, const struct strata_parts *parts, struct strata_error *err) {
    struct strata_buffer text = {0};
    int code = strata_alloc(&question->images, parts->count, sizeof *question->images, err);
    for (size_t i = 0; i < parts->count && !code; i++) {
        const struct strata_part *part = &parts->items[i];
        if (part->image) {
            strata_buffer_text(&text, "<image>");
            question->images[question->image_count++] = question->all[part->index];
        } else if (strstr(part->text, "<image>")) {
            code = strata_fail(err, STRATA_ERR_INPUT, "the question itself contains \"<image>\"");
        } else {
            strata_buffer_text(&text, part->text);
        }
    }
    if (!code) code = strata_buffer_check(&text, err);
    question->text = text.data;
    return code;
}

static int make_question(struct question *question, const struct evaluation *run, size_t number,
                         struct strata_error *err) {
    struct strata_parts parts = {0};
    json_t *row = NULL;
    *question = (struct question){0};
    int code = strata_eval_dataset_images(&question->all, &question->all_count, run->dataset, number, err);
    if (!code) code = strata_eval_dataset_row(&row, run->dataset, number, err);
    if (!code) code = strata_benchmark_prompt(&parts, row, question->all_count, run->options->benchmark, err);
    if (!code) code = join_parts(question, &parts, err);
    strata_parts_free(&parts);
    json_decref(row);
    if (code) question_free(question);
    return code;
}

static int submit(const struct evaluation *run, size_t number, struct strata_error *err) {
    struct question question;
    struct strata_message messages[2];
    size_t count = 0;
    int code = make_question(&question, run, number, err);
    if (code) return code;
    char *system = strata_strdup(run->options->system);
    if (system) messages[count++] = (struct strata_message){STRATA_ROLE_SYSTEM, system};
    messages[count++] = (struct strata_message){STRATA_ROLE_USER, question.text};
    const struct strata_request request = {.tag = number,
                                           .sample_id = strata_eval_dataset_index(run->dataset, number),
                                           .messages = messages,
                                           .message_count = count,
                                           .images = question.images,
                                           .image_count = question.image_count,
                                           .sampling = run->options->sampling,
                                           .seed = run->options->seed,
                                           .purpose = STRATA_PURPOSE_TOKEN,
                                           .draws = 1,
                                           .solution = ""};
    code = strata_engine_submit(run->engine, &request, err);
    free(system);
    question_free(&question);
    return code;
}

static int keep_answer(struct evaluation *run, const struct strata_result *result, struct strata_error *err) {
    if (result->finish == STRATA_FINISH_ERROR) run->last_failure = result->error;
    if (result->finish != STRATA_FINISH_STOP && result->finish != STRATA_FINISH_LENGTH) return 0;
    struct strata_buffer text = {0}; /* a model may break off within a character */
    strata_utf8_append_lossy(&text, result->text, result->text_length);
    json_t *record = json_pack("{s:o, s:b, s:I}", "prediction", json_stringn(strata_buffer_string(&text), text.length),
                               "truncated", result->finish == STRATA_FINISH_LENGTH, "tokens", (json_int_t)result->N);
    strata_buffer_free(&text);
    return strata_journal_put(run->answers, strata_eval_dataset_index(run->dataset, (size_t)result->tag), record, err);
}

static bool answered(const struct evaluation *run, size_t number) {
    return strata_journal_get(run->answers, strata_eval_dataset_index(run->dataset, number)) != NULL;
}

int strata_eval_ask(struct evaluation *run, struct strata_error *err) {
    size_t next = 0;
    bool got = true;
    int code = 0;
    while (!code && (next < run->count || got)) {
        if (strata_eval_interrupted(run))
            return strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped; the same command goes on");
        if (next < run->count && answered(run, next)) {
            next++;
        } else if (next < run->count && strata_engine_has_room(run->engine, 1)) {
            code = submit(run, next, err);
            if (code) code = strata_eval_reject(run, next, code, err);
            next++;
        } else {
            struct strata_result result;
            code = strata_engine_poll(run->engine, &result, &got, err);
            if (!code && got) code = keep_answer(run, &result, err);
            strata_result_free(&result);
            strata_eval_progress(run, "answers", strata_journal_count(run->answers), run->count);
        }
    }
    return code;
}

int strata_eval_answered(json_t **row, bool *found, const struct evaluation *run, size_t number,
                         struct strata_error *err) {
    const json_t *answer = strata_journal_get(run->answers, strata_eval_dataset_index(run->dataset, number));
    struct strata_buffer joined = {0};
    *row = NULL;
    *found = answer != NULL;
    if (!answer) return 0;
    int code = strata_eval_dataset_row(row, run->dataset, number, err);
    if (code) return code;
    const json_t *text = json_object_get(answer, "prediction");
    struct strata_span prediction = {json_string_value(text), json_string_length(text)}, thinking;
    if (run->options->split_think) strata_split_thinking(&prediction, &thinking, &joined, prediction);
    json_t *cell = json_stringn(prediction.data, prediction.length);
    json_t *read = cell ? strata_cell_round_trip(cell, run->options->kit) : NULL;
    json_decref(cell);
    strata_buffer_free(&joined);
    json_t *rows = json_pack("[O]", *row);
    if (json_object_set_new(*row, "prediction", read)) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && run->options->benchmark == STRATA_MMMU) code = strata_mmmu_prepare(rows, err);
    json_decref(rows);
    return code;
}

/* ---- the whole ---- */

static json_t *answer_settings(const struct evaluation *run) {
    const struct strata_eval_options *options = run->options;
    const struct strata_sampling *sampling = &options->sampling;
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:i, s:f, s:i, s:I}", "dataset", run->facts->dataset, "md5",
                     strata_eval_dataset_file(run->dataset)->md5, "engine", strata_engine_identity(run->engine),
                     "system", options->system ? options->system : "", "temperature", (double)sampling->temperature,
                     "top-p", (double)sampling->top_p, "top-k", (int)sampling->top_k, "repetition-penalty",
                     (double)sampling->repetition_penalty, "max-new-tokens", (int)sampling->max_new_tokens, "seed",
                     (json_int_t)options->seed);
}

static json_t *verdict_settings(const struct evaluation *run) {
    return json_pack("{s:s, s:s, s:s, s:b}", "kit", strata_kit_name(run->options->kit), "judge",
                     run->judge ? strata_engine_identity(run->judge) : "exact matching", "judge-prompts",
                     run->options->judge_words, "split-think", run->options->split_think);
}

static int open_journal(struct strata_journal **out, const struct evaluation *run, const char *suffix, json_t *settings,
                        bool fresh, struct strata_error *err) {
    char *path = strata_eval_path(run, suffix);
    int code = path && settings ? strata_journal_open(out, path, settings, fresh, err)
                                : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    json_decref(settings);
    free(path);
    return code;
}

static void check_sum(const struct evaluation *run) {
    const char *md5 = strata_eval_dataset_file(run->dataset)->md5;
    char text[300];
    if (strcmp(md5, run->facts->md5) == 0 || !run->options->on_warning) return;
    snprintf(text, sizeof text, "%s is not the published file: md5 %s instead of %s", run->facts->dataset, md5,
             run->facts->md5);
    run->options->on_warning(run->options->context, text);
}

static int open_all(struct evaluation *run, struct strata_error *err) {
    const struct strata_eval_options *options = run->options;
    int code = strata_make_directories(options->out, err);
    if (!code)
        code = strata_eval_dataset_open(&run->dataset, options->tsv, options->benchmark, options->kit,
                                        options->skip_bad, err);
    if (code) return code;
    run->count = strata_eval_dataset_count(run->dataset);
    if (options->limit && run->count > options->limit) run->count = options->limit;
    check_sum(run);
    code = strata_alloc(&run->left_out, run->count, sizeof *run->left_out, err);
    if (code) return code;
    code = open_journal(&run->answers, run, ".answers.jsonl", answer_settings(run), false, err);
    return code ? code : open_journal(&run->verdicts, run, ".verdicts.jsonl", verdict_settings(run), true, err);
}

int strata_evaluate_benchmark(json_t **result, struct strata_engine *engine, struct strata_engine *judge,
                              const struct strata_eval_options *options, struct strata_error *err) {
    struct strata_error local_error; /* bad rows are reported through it */
    if (!err) err = &local_error;
    struct evaluation run = {
        .options = options, .facts = &strata_benchmarks[options->benchmark], .engine = engine, .judge = judge};
    *result = NULL;
    if (run.facts->needs_judge && !judge) {
        strata_fail(err, STRATA_ERR_USAGE, "%s is scored by a judge", run.facts->name);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "--judge URL --judge-model NAME");
    }
    int code = open_all(&run, err);
    if (!code) code = strata_eval_ask(&run, err);
    if (!code) code = strata_eval_judge(&run, err);
    if (!code) code = strata_eval_report(result, &run, err);
    if (!code && run.pending) {
        code = strata_fail(err, STRATA_ERR_ENGINE, "%zu of %zu rows of %s are pending: %.300s", run.pending, run.count,
                           run.facts->name, run.last_failure.what);
        strata_fail_at(err, code, "%s", run.last_failure.where);
        strata_fail_hint(err, code, "run again to finish them; the score counts only the others");
    }
    free(run.left_out);
    int closed = strata_journal_close(run.answers, code ? NULL : err);
    if (!code) code = closed;
    closed = strata_journal_close(run.verdicts, code ? NULL : err);
    if (!code) code = closed;
    strata_eval_dataset_close(run.dataset);
    return code;
}
