/* Metrics and files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "eval/evaluate_run.h"

const char *strata_eval_column(enum strata_benchmark benchmark) {
    return benchmark == STRATA_MMVET            ? "score"
           : benchmark == STRATA_MATHVISTA      ? "res"
           : benchmark == STRATA_HALLUSIONBENCH ? "extracted"
                                                : "opt";
}

int strata_eval_mark(json_t *row, enum strata_benchmark benchmark, struct strata_error *err) {
    const json_t *verdict = json_object_get(row, strata_eval_column(benchmark)), *answer;
    bool choices = strata_benchmarks[benchmark].choices, hit = false;
    if (benchmark == STRATA_MMVET || benchmark == STRATA_MATHVISTA) return 0;
    int code = benchmark == STRATA_OCRBENCH ? strata_ocrbench_hit(&hit, row, false, err)
                                            : strata_row_cell(&answer, row, "answer", err);
    if (code) return code;
    if (benchmark == STRATA_OCRBENCH)
        return json_object_set_new(row, "hit", json_boolean(hit)) ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory")
                                                                  : 0;
    json_t *truth = choices ? strata_choice_truth(answer, benchmark) : json_deep_copy(answer);
    bool right = strata_python_equal(verdict, truth);
    json_decref(truth);
    return json_object_set_new(row, choices ? "hit" : "score", choices ? json_integer(right) : json_boolean(right))
               ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory")
               : 0;
}

/* All rows with an answer and, where the benchmark has them, a verdict. */
static int gather(json_t *rows, struct evaluation *run, struct strata_error *err) {
    enum strata_benchmark benchmark = run->options->benchmark;
    int code = 0;
    for (size_t i = 0; i < run->count && !code; i++) {
        const char *index = strata_eval_dataset_index(run->dataset, i);
        const json_t *verdict = strata_journal_get(run->verdicts, index);
        json_t *row = NULL;
        bool found;
        if (run->left_out[i]) continue;
        code = strata_eval_answered(&row, &found, run, i, err);
        if (code) break;
        if (!found || (run->facts->judge_tries && !verdict)) {
            run->pending++;
            json_decref(row);
            continue;
        }
        run->truncated += json_is_true(json_object_get(strata_journal_get(run->answers, index), "truncated"));
        if (verdict) {
            json_object_set(row, strata_eval_column(benchmark), json_object_get(verdict, "result"));
            json_object_set(row, "log", json_object_get(verdict, "log"));
        }
        code = strata_eval_mark(row, benchmark, err);
        if (code) {
            code = strata_eval_reject(run, i, code, err);
            json_decref(row);
        } else if (json_array_append_new(rows, row)) {
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        }
    }
    return code;
}

static int metrics_of(json_t **metrics, json_t **fine, const json_t *rows, const struct evaluation *run,
                      struct strata_error *err) {
    switch (run->options->benchmark) {
    case STRATA_MATHVISTA:
        return strata_score_mathvista(metrics, rows, run->options->kit, err);
    case STRATA_MMVET:
        return strata_score_mmvet(metrics, fine, rows, false, err);
    case STRATA_OCRBENCH:
        return strata_score_ocrbench(metrics, rows, err);
    case STRATA_HALLUSIONBENCH:
        return strata_score_hallusion(metrics, rows, err);
    default:
        return strata_score_choices(metrics, rows, err);
    }
}

/* ---- files ---- */

static void csv_cell(struct strata_buffer *out, const char *text) {
    if (!strpbrk(text, ",\"\n\r")) {
        strata_buffer_text(out, text);
        return;
    }
    strata_buffer_byte(out, '"');
    for (; *text; text++) {
        if (*text == '"') strata_buffer_byte(out, '"');
        strata_buffer_byte(out, (unsigned char)*text);
    }
    strata_buffer_byte(out, '"');
}

/* Nested metrics as lines "group,measure,value". */
static void csv_lines(struct strata_buffer *out, const char *group, json_t *metrics) {
    const char *key;
    json_t *value;
    size_t index;
    json_array_foreach(metrics, index, value) {
        json_t *name = json_object_iter_value(json_object_iter(value));
        csv_lines(out, json_string_value(name) ? json_string_value(name) : "", value);
    }
    json_object_foreach(metrics, key, value) {
        if (json_is_object(value)) csv_lines(out, key, value);
        if (!json_is_number(value) && !json_is_null(value)) continue;
        csv_cell(out, group);
        strata_buffer_byte(out, ',');
        csv_cell(out, key);
        strata_buffer_byte(out, ',');
        if (!json_is_null(value)) strata_python_str(out, value);
        strata_buffer_byte(out, '\n');
    }
}

static int write_file(const struct evaluation *run, const char *suffix, const struct strata_buffer *text,
                      struct strata_error *err) {
    char *path = strata_eval_path(run, suffix);
    int code = strata_buffer_check(text, err);
    if (!code)
        code = path ? strata_file_write(path, strata_buffer_string(text), text->length, err)
                    : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    return code;
}

static int write_files(json_t *result, const json_t *rows, const struct evaluation *run, struct strata_error *err) {
    struct strata_buffer text = {0};
    strata_json_write(&text, result);
    strata_buffer_byte(&text, '\n');
    int code = write_file(run, ".json", &text, err);
    strata_buffer_clear(&text);
    strata_buffer_text(&text, "group,measure,value\n");
    csv_lines(&text, "", json_object_get(result, "metrics"));
    if (!code) code = write_file(run, ".csv", &text, err);
    strata_buffer_clear(&text);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        strata_json_write(&text, json_array_get(rows, i));
        strata_buffer_byte(&text, '\n');
    }
    if (!code) code = write_file(run, ".rows.jsonl", &text, err);
    strata_buffer_free(&text);
    return code;
}

static json_t *number_or_null(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *paper_of(const struct strata_benchmark_facts *facts) {
    return json_pack("{s:f, s:f, s:f, s:f}", "PISM VRT", facts->paper[0], "PISM VPT", facts->paper[1], "CMAB VRT",
                     facts->paper[2], "CMAB VPT", facts->paper[3]);
}

int strata_eval_report(json_t **result, struct evaluation *run, struct strata_error *err) {
    const struct strata_eval_options *options = run->options;
    json_t *rows = json_array(), *metrics = NULL, *fine = NULL;
    int code = gather(rows, run, err);
    /* Nothing graded: no metrics, not zeros. */
    if (!code && json_array_size(rows)) code = metrics_of(&metrics, &fine, rows, run, err);
    if (!code) code = strata_headline_parts(rows, options->benchmark, options->kit, err);
    if (!code) {
        *result = json_pack(
            "{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:b, s:s, s:b, s:s, s:s}",
            "benchmark", run->facts->name, "dataset", run->facts->dataset, "kit", strata_kit_name(options->kit),
            "headline", run->facts->headline, "value", number_or_null(strata_headline(metrics, options->benchmark)),
            "scale", run->facts->choices ? "0-1" : "0-100", "paper", paper_of(run->facts), "rows",
            (json_int_t)run->count, "graded", (json_int_t)json_array_size(rows), "pending", (json_int_t)run->pending,
            "bad", (json_int_t)run->bad, "truncated", (json_int_t)run->truncated, "judge",
            run->judge ? strata_engine_identity(run->judge) : "exact matching", "judge_prompts",
            run->judge ? options->judge_words : "none", "split_think", options->split_think, "md5",
            strata_eval_dataset_file(run->dataset)->md5, "published_file",
            strcmp(strata_eval_dataset_file(run->dataset)->md5, run->facts->md5) == 0, "engine",
            strata_engine_identity(run->engine), "system", options->system ? options->system : "");
        if (!*result) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (!code) {
        json_object_set(*result, "metrics", metrics ? metrics : json_null());
        if (fine) json_object_set(*result, "fine", fine);
        code = write_files(*result, rows, run, err);
    }
    json_decref(rows);
    json_decref(metrics);
    json_decref(fine);
    return code;
}
