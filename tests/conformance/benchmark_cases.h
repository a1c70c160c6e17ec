/* The functions that conformance_benchmarks knows, each on one case: input -> what the kit's function returns. A key of
 * the output that begins with "*" counts only where the case states it. */
#ifndef STRATA_TESTS_BENCHMARK_CASES_H
#define STRATA_TESTS_BENCHMARK_CASES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "eval/score.h"
#include "eval/tsv.h"
#include "sha256.h"

struct conformance_case {
    const char *function, *benchmark;
    json_t *input; /* a copy: may be changed */
    json_t *want;  /* likewise */
    enum strata_kit kit;
    const struct strata_judge_texts *texts;
    bool kit_texts; /* texts are the kit's own */
};
typedef int run_function(json_t **got, const struct conformance_case *one, struct strata_error *err);

static enum strata_benchmark benchmark_of(const struct conformance_case *one) {
    enum strata_benchmark benchmark = STRATA_MMSTAR;
    strata_benchmark_parse(&benchmark, one->benchmark, NULL);
    return benchmark;
}

static bool function_is(const struct conformance_case *one, const char *name) {
    return strcmp(one->function, name) == 0;
}

static struct strata_span span_of_json(const json_t *text) {
    return (struct strata_span){json_string_value(text) ? json_string_value(text) : "", json_string_length(text)};
}

static json_t *json_of(const struct strata_buffer *text) {
    return json_stringn(strata_buffer_string(text), text->length);
}

/* A table made of rows has every column in every row, as a data frame has. */
static json_t *table_of(json_t *rows) {
    json_t *columns = json_object(), *row, *cell;
    size_t index;
    const char *name;
    json_array_foreach(rows, index, row) {
        json_object_update_missing(columns, row);
    }
    json_array_foreach(rows, index, row) {
        json_object_foreach(columns, name, cell) {
            if (!json_object_get(row, name)) json_object_set_new(row, name, json_null());
        }
    }
    json_decref(columns);
    return rows;
}

/* ---- options ---- */

static int infer_with(json_t **got, const struct conformance_case *one, const json_t *answer,
                      struct strata_choices *choices, struct strata_error *err) {
    struct strata_buffer text = {0};
    const char *key = NULL;
    int code = 0;
    strata_python_str(&text, answer);
    struct strata_span span = {strata_buffer_string(&text), text.length};
    if (function_is(one, "can_infer_option"))
        key = strata_infer_option(span, choices, one->kit);
    else if (function_is(one, "can_infer_text"))
        code = strata_infer_text(&key, span, choices, one->kit, err);
    else
        code = strata_infer(&key, span, choices, one->kit, err);
    if (!code) *got = key ? json_string(key) : json_false();
    strata_buffer_free(&text);
    strata_choices_free(choices);
    return code;
}

static int run_infer(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_choices choices = {0};
    const char *key;
    json_t *value;
    int code = 0;
    json_object_foreach(json_object_get(one->input, "choices"), key, value) {
        if (!code) code = strata_choices_add(&choices, key, value, err);
    }
    return code ? code : infer_with(got, one, json_object_get(one->input, "answer"), &choices, err);
}

static int run_prefetch(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_choices choices = {0};
    const json_t *row = json_object_get(one->input, "row"), *prediction = json_object_get(row, "prediction");
    json_t *nan = json_string("nan");
    int code = strata_choices_from_row(&choices, row, err);
    if (!code) code = infer_with(got, one, json_is_null(prediction) ? nan : prediction, &choices, err);
    json_decref(nan);
    return code;
}

static int run_build_choices(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_choices choices = {0};
    const json_t *row = json_object_get(one->input, "row");
    int code = strata_choices_from_row(&choices, row, err);
    *got = json_object();
    for (size_t i = 0; i < choices.count; i++)
        json_object_set(*got, choices.items[i].key, json_object_get(row, choices.items[i].key));
    strata_choices_free(&choices);
    return code;
}

/* build_option_str: the options' block of the judge prompt. */
static int run_option_text(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_buffer tail = {0};
    json_t *row = json_object_get(one->input, "row");
    json_object_set_new(row, "question", json_string(""));
    json_object_set_new(row, "prediction", json_string(""));
    int code = strata_judge_tail(&tail, row, STRATA_MMSTAR, false, err);
    struct strata_span text = {strata_buffer_string(&tail), tail.length};
    size_t begin = strlen("?\nOptions: "), end = text.length - strlen("\nAnswer: \nYour output: ");
    if (!code) *got = json_stringn(text.data + begin, end - begin);
    strata_buffer_free(&tail);
    return code;
}

static int run_list_to_dict(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_choices choices = {0};
    const json_t *list = json_object_get(one->input, "list");
    int code = strata_choices_from_list(&choices, list, err);
    *got = json_object();
    for (size_t i = 0; i < choices.count; i++) json_object_set(*got, choices.items[i].key, json_array_get(list, i));
    strata_choices_free(&choices);
    return code;
}

static int run_post_check(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    return strata_mathvista_check(got, json_object_get(one->input, "row"),
                                  json_is_true(json_object_get(one->input, "prefetch")), one->kit, err);
}

static int run_yes_no(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    (void)err;
    struct strata_span text = span_of_json(json_object_get(one->input, "text"));
    struct strata_buffer plain = {0};
    if (function_is(one, "process_punctuation")) {
        strata_process_punctuation(&plain, text);
        *got = json_of(&plain);
    } else {
        *got = json_string(strata_yes_or_no(text));
    }
    strata_buffer_free(&plain);
    return 0;
}

static int run_split_thinking(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    (void)err;
    struct strata_buffer joined = {0};
    struct strata_span prediction, thinking;
    strata_split_thinking(&prediction, &thinking, &joined, span_of_json(json_object_get(one->input, "text")));
    *got = json_object();
    json_object_set_new(*got, "prediction", json_stringn(prediction.data, prediction.length));
    json_object_set_new(*got, "thinking", json_stringn(thinking.data, thinking.length));
    strata_buffer_free(&joined);
    return 0;
}

/* ---- the judge ---- */

/* Item `call` of a script of replies; the last one repeats. */
static struct strata_span scripted(const json_t *replies, size_t call) {
    size_t count = json_array_size(replies);
    return count ? span_of_json(json_array_get(replies, call < count ? call : count - 1))
                 : strata_span_of("Failed to obtain answer via API. ");
}

static int run_judging(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_judging judging;
    enum strata_benchmark benchmark = benchmark_of(one);
    const json_t *replies = json_object_get(one->input, "replies");
    json_t *temperatures = json_array();
    /* the kit's function is called where the prediction said nothing, and does not look again */
    if (function_is(one, "YOrN_auxeval"))
        json_object_set_new(json_object_get(one->input, "row"), "prediction", json_string(""));
    int code = strata_judging_begin(&judging, json_object_get(one->input, "row"), benchmark, one->kit,
                                    !json_is_null(replies), one->texts, err);
    for (size_t call = 0; !code && judging.asking; call++) {
        struct strata_span reply = scripted(replies, call);
        json_array_append_new(temperatures, judging.temperature < 0 ? json_null() : json_real(judging.temperature));
        code = strata_judging_reply(&judging, reply.data, reply.length, err);
    }
    if (!code) {
        const char *name = benchmark == STRATA_MMVET            ? "score"
                           : benchmark == STRATA_MATHVISTA      ? "res"
                           : benchmark == STRATA_HALLUSIONBENCH ? "result"
                                                                : "opt";
        *got = json_pack("{s:i, s:O}", "*judge_calls", (int)judging.calls, "*temperatures", temperatures);
        json_object_set_new(*got, name,
                            judging.random_over ? json_pack("{s:O}", "random_over", judging.random_over)
                                                : json_incref(judging.result));
        if (benchmark != STRATA_HALLUSIONBENCH) json_object_set_new(*got, "log", json_of(&judging.log));
    }
    strata_judging_free(&judging);
    json_decref(temperatures);
    return code;
}

static void add_digest(json_t *got, const char *hash, const char *count, struct strata_span text) {
    char digest[65];
    sha256_text(digest, text.data, text.length);
    json_object_set_new(got, hash, json_string(digest));
    json_object_set_new(got, count, json_integer((json_int_t)strata_python_length(text)));
}

static int run_judge_prompt(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    static const char *const digests[] = {"sha256", "n_chars", "head_sha256", "head_chars"};
    struct strata_buffer tail = {0}, prompt = {0};
    const json_t *row = json_object_get(one->input, "row");
    const char *language = json_string_value(json_object_get(one->input, "lang"));
    enum strata_benchmark benchmark = benchmark_of(one);
    bool chinese = language ? strcmp(language, "cn") == 0 : strata_judge_chinese(row);
    int code = strata_judge_tail(&tail, row, benchmark, chinese, err);
    if (!code) code = strata_judge_prompt(&prompt, row, benchmark, one->texts, err);
    if (!code) {
        struct strata_span whole = {strata_buffer_string(&prompt), prompt.length};
        *got = json_object();
        json_object_set_new(*got, "tail", json_of(&tail));
        add_digest(*got, "sha256", "n_chars", whole);
        add_digest(*got, "head_sha256", "head_chars", strata_span_sub(whole, 0, whole.length - tail.length));
        for (size_t i = 0; i < 4 && !one->kit_texts; i++) { /* our own words have other digests */
            json_object_del(*got, digests[i]);
            json_object_del(one->want, digests[i]);
        }
    }
    strata_buffer_free(&tail);
    strata_buffer_free(&prompt);
    return code;
}

/* ---- scores ---- */

static int run_mmmu_prepare(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    json_t *table = table_of(json_object_get(one->input, "table"));
    int code = strata_mmmu_prepare(table, err);
    if (!code) *got = json_incref(table);
    return code;
}

static int run_primary(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    return strata_primary_metric(got, json_object_get(one->input, "metrics"), benchmark_of(one), err);
}

static int run_score(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    json_t *table = json_object_get(one->input, "table"), *fine = NULL;
    if (!table) table = json_object_get(one->input, "predictions");
    table_of(table);
    int code = function_is(one, "report_acc") ? 0 : strata_cells_round_trip(table, one->kit, err);
    if (code) return code;
    switch (benchmark_of(one)) {
    case STRATA_MATHVISTA:
        return strata_score_mathvista(got, table, one->kit, err);
    case STRATA_OCRBENCH:
        return strata_score_ocrbench(got, table, err);
    case STRATA_HALLUSIONBENCH:
        return strata_score_hallusion(got, table, err);
    case STRATA_MMVET:
        code = strata_score_mmvet(got, &fine, table, true, err);
        if (!code) *got = json_pack("{s:o, s:o}", "score", *got, "score_fine", fine);
        return code;
    default:
        return strata_score_choices(got, table, err);
    }
}

/* ---- whole evaluations ---- */

/* The mean of the rows' parts is the number that is printed. */
static int check_parts(json_t *rows, const json_t *metrics, enum strata_benchmark benchmark, enum strata_kit kit,
                       struct strata_error *err) {
    double sum = 0, headline = strata_headline(metrics, benchmark);
    size_t index, count = 0;
    json_t *row;
    int code = strata_headline_parts(rows, benchmark, kit, err);
    json_array_foreach(rows, index, row) {
        const json_t *part = json_object_get(row, "headline");
        count += json_is_number(part);
        sum += json_number_value(part);
    }
    if (code || (!count && !isfinite(headline)) || fabs(sum / (double)count - headline) <= 1e-9) return code;
    return strata_fail(err, STRATA_ERR_STATE, "the rows' parts have mean %.17g over %zu, the headline is %.17g",
                       sum / (double)count, count, headline);
}

/* The reply of the first rule whose text stands in the prompt; each rule counts its own calls. */
static struct strata_span ruled(json_t *rules, struct strata_span prompt) {
    size_t index;
    json_t *rule;
    json_array_foreach(rules, index, rule) {
        const char *text = json_string_value(json_object_get(rule, "contains"));
        if (!text || strata_span_find(prompt, text, 0) == STRATA_NOT_FOUND) continue;
        json_int_t calls = json_integer_value(json_object_get(rule, "calls"));
        json_object_set_new(rule, "calls", json_integer(calls + 1));
        return scripted(json_object_get(rule, "replies"), (size_t)calls);
    }
    return strata_span_of("Failed to obtain answer via API. ");
}

/* Grades one row; result and log go into the row as columns. */
static int grade_row(const struct conformance_case *one, json_t *row, const char *column, size_t *calls,
                     struct strata_error *err) {
    struct strata_judging judging;
    json_t *rules = json_object_get(one->input, "judge");
    struct strata_buffer tail = {0}; /* rules are about the row, not about the words before it, which may be ours */
    int code = strata_judging_begin(&judging, row, benchmark_of(one), one->kit, rules != NULL, one->texts, err);
    if (!code) code = strata_judge_tail(&tail, row, benchmark_of(one), strata_judge_chinese(row), err);
    while (!code && judging.asking) {
        struct strata_span reply = ruled(rules, (struct strata_span){strata_buffer_string(&tail), tail.length});
        code = strata_judging_reply(&judging, reply.data, reply.length, err);
        (*calls)++;
    }
    if (!code) {
        json_object_set_new(row, column, judging.result ? json_incref(judging.result) : json_string("random"));
        json_object_set_new(row, "log", json_of(&judging.log));
    }
    strata_buffer_free(&tail);
    strata_judging_free(&judging);
    return code;
}

/* A column by index: {"0": …}. */
static json_t *by_index(const json_t *rows, const char *column) {
    json_t *out = json_object(), *row;
    size_t index;
    json_array_foreach(rows, index, row) {
        struct strata_buffer key = {0};
        strata_python_cell(&key, json_object_get(row, "index"));
        json_object_set(out, strata_buffer_string(&key), json_object_get(row, column));
        strata_buffer_free(&key);
    }
    return out;
}

/* Predictions are turned into text after reading (all but MathVista's). */
static void predictions_as_text(json_t *rows) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        struct strata_buffer text = {0};
        strata_python_cell(&text, json_object_get(row, "prediction"));
        json_object_set_new(row, "prediction", json_of(&text));
        strata_buffer_free(&text);
    }
}

/* hit and the kit's log line of a multiple-choice row. */
static int mark_choices(const struct conformance_case *one, json_t *rows, struct strata_error *err) {
    json_t *meta = json_object_get(one->input, "meta"), *answers = by_index(meta, "answer"), *row;
    size_t index;
    int code = 0;
    json_array_foreach(rows, index, row) {
        struct strata_buffer key = {0}, log = {0};
        strata_python_cell(&key, json_object_get(row, "index"));
        const json_t *answer = json_object_get(answers, strata_buffer_string(&key));
        if (!answer)
            code = strata_fail(err, STRATA_ERR_INPUT, "AssertionError: row \"%s\" is not in the data set", key.data);
        json_t *truth = strata_choice_truth(answer, benchmark_of(one));
        json_object_set_new(row, "hit", json_integer(strata_python_equal(json_object_get(row, "opt"), truth)));
        struct strata_span match = span_of_json(json_object_get(row, "log"));
        strata_buffer_printf(&log, "Match Log: %s. ", match.data);
        json_object_set_new(row, "log", json_of(&log));
        json_decref(truth);
        strata_buffer_free(&key);
        strata_buffer_free(&log);
    }
    json_decref(answers);
    return code;
}

static void mark_yes_no(json_t *rows) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        bool right = strata_python_equal(json_object_get(row, "extracted"), json_object_get(row, "answer"));
        json_object_set_new(row, "score", json_boolean(right));
    }
}

static int run_evaluate(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    enum strata_benchmark benchmark = benchmark_of(one);
    const char *column = benchmark == STRATA_MMVET            ? "score"
                         : benchmark == STRATA_MATHVISTA      ? "res"
                         : benchmark == STRATA_HALLUSIONBENCH ? "extracted"
                                                              : "opt";
    json_t *rows = table_of(json_object_get(one->input, "predictions")), *metrics = NULL, *fine = NULL, *row;
    size_t index, calls = 0;
    int code = strata_cells_round_trip(rows, one->kit, err);
    if (benchmark != STRATA_MATHVISTA && benchmark != STRATA_MMVET) predictions_as_text(rows);
    if (!code && benchmark == STRATA_MMMU) code = strata_mmmu_prepare(rows, err);
    json_array_foreach(rows, index, row) {
        if (!code) code = grade_row(one, row, column, &calls, err);
    }
    if (!code && strata_benchmarks[benchmark].choices) code = mark_choices(one, rows, err);
    if (!code && benchmark == STRATA_HALLUSIONBENCH) mark_yes_no(rows);
    if (!code) code = strata_cells_round_trip(rows, one->kit, err);
    if (!code && strata_benchmarks[benchmark].choices) code = strata_score_choices(&metrics, rows, err);
    if (!code && benchmark == STRATA_HALLUSIONBENCH) code = strata_score_hallusion(&metrics, rows, err);
    if (!code && benchmark == STRATA_MATHVISTA) code = strata_score_mathvista(&metrics, rows, one->kit, err);
    if (!code && benchmark == STRATA_MMVET) code = strata_score_mmvet(&metrics, &fine, rows, true, err);
    if (!code) code = check_parts(rows, metrics, benchmark, one->kit, err);
    if (code) return code;
    *got = json_pack("{s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "metrics", metrics, "*judge_calls", (int)calls,
                     "*judge_max_tokens", (int)strata_judge_max_tokens(benchmark, one->kit), "*hit",
                     by_index(rows, "hit"), "*log", by_index(rows, "log"), "*extracted", by_index(rows, "extracted"),
                     "*score", by_index(rows, "score"), "*res", by_index(rows, "res"));
    if (fine) json_object_set_new(*got, "*fine", fine);
    return 0;
}

/* ---- prompts and images ---- */

static enum strata_benchmark benchmark_of_kind(const json_t *input, enum strata_benchmark otherwise) {
    const char *kind = json_string_value(json_object_get(input, "kind"));
    if (!kind) return otherwise;
    return strcmp(kind, "mmmu") == 0   ? STRATA_MMMU
           : strcmp(kind, "mcq") == 0  ? STRATA_MMSTAR
           : strcmp(kind, "yorn") == 0 ? STRATA_HALLUSIONBENCH
                                       : STRATA_MATHVISTA;
}

static int prompt_of(json_t **got, const json_t *row, enum strata_benchmark benchmark, struct strata_error *err) {
    struct strata_parts parts = {0};
    const json_t *cell;
    json_t *paths = NULL;
    int code = strata_row_cell(&cell, row, "image_path", err);
    if (!code && !json_is_string(cell)) code = strata_fail(err, STRATA_ERR_INPUT, "NotImplementedError: no image path");
    if (!code) code = strata_text_list(&paths, span_of_json(cell), err);
    if (!code) code = strata_benchmark_prompt(&parts, row, json_array_size(paths), benchmark, err);
    if (!code) *got = json_array();
    for (size_t i = 0; i < parts.count && !code; i++) {
        const struct strata_part *part = &parts.items[i];
        json_array_append_new(
            *got, part->image ? json_pack("{s:s, s:O}", "type", "image", "value", json_array_get(paths, part->index))
                              : json_pack("{s:s, s:s}", "type", "text", "value", part->text));
    }
    strata_parts_free(&parts);
    json_decref(paths);
    return code;
}

static int run_build_prompt(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    return prompt_of(got, json_object_get(one->input, "row"), benchmark_of_kind(one->input, benchmark_of(one)), err);
}

static int run_tsv_prompt(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    struct strata_tsv *tsv;
    struct strata_span text = span_of_json(json_object_get(one->input, "tsv"));
    int code = strata_tsv_parse(&tsv, text.data, text.length, "case.tsv", err);
    if (code) return code;
    *got = json_array();
    for (size_t i = 0; i < strata_tsv_rows(tsv) && !code; i++) {
        json_t *row = strata_tsv_row(tsv, i), *prompt = NULL;
        code = prompt_of(&prompt, row, benchmark_of_kind(one->input, benchmark_of(one)), err);
        if (!code) json_array_append_new(*got, prompt);
        json_decref(row);
    }
    strata_tsv_close(tsv);
    return code;
}

static int run_text_list(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    return strata_text_list(got, span_of_json(json_object_get(one->input, "s")), err);
}

/* An index as the data set has it: an integer where all are, else a text. */
static json_t *indices_of(const struct strata_image_cell *cells, size_t count) {
    json_t *texts = json_array(), *numbers = json_array();
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        json_t *value = NULL;
        bool whole = !strata_python_eval(&value, strata_span_of(cells[i].index), NULL) && json_is_integer(value);
        all = all && whole;
        json_array_append_new(texts, json_string(cells[i].index));
        if (whole) json_array_append(numbers, value);
        json_decref(value);
    }
    json_decref(all ? texts : numbers);
    return all ? numbers : texts;
}

static int run_images(json_t **got, const struct conformance_case *one, struct strata_error *err) {
    json_t *table = json_object_get(one->input, "table"), *row, *images = json_array();
    struct strata_image_cell cells[64];
    size_t index, count = 0;
    json_array_foreach(table, index, row) {
        const json_t *image = json_object_get(row, "image");
        struct strata_buffer name = {0};
        if (!json_is_string(image) || count == 64) continue;
        strata_python_cell(&name, json_object_get(row, "index"));
        cells[count++] = (struct strata_image_cell){name.data, span_of_json(image)};
    }
    int code = strata_images_resolve(cells, count, one->kit, false, err);
    for (size_t i = 0; i < count && !code; i++) {
        json_t *list = NULL;
        code = strata_text_list(&list, cells[i].text, err);
        if (code) break;
        json_array_append(images, json_array_size(list) == 1 ? json_array_get(list, 0) : list);
        json_decref(list);
    }
    if (!code) *got = json_pack("{s:o, s:O, s:b}", "index", indices_of(cells, count), "image", images, "meta_only", 0);
    for (size_t i = 0; i < count; i++) free(cells[i].index);
    json_decref(images);
    return code;
}

#endif
