/* strata eval: benchmarks and own data. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/setup_http.h"
#include "cli/setup_parts.h"
#include "cli/terminal.h"
#include "eval/evaluate.h"
#include "eval/own.h"

#define ID(name)    STRATA_OPTION_ID_##name
#define EVAL_TOKENS 2048 /* the kit's max_new_tokens */

struct session {
    const struct strata_arguments *arguments;
    struct strata_eval_options options;
    struct strata_judge_texts texts;
    struct strata_cache *cache;
    struct strata_engine *engine, *judge;
    struct strata_progress *progress;
    const char *phase; /* that the bar shows */
    char *system;
    json_t *results;
};

static void on_progress(void *context, const char *phase, size_t done, size_t total) {
    struct session *session = context;
    if (session->phase != phase) strata_progress_start(session->progress, phase, total, done);
    session->phase = phase;
    strata_progress_update(session->progress, done, NULL);
}

static void on_warning(void *context, const char *text) {
    struct session *session = context;
    strata_progress_message(session->progress, "warning: %s", text);
}

static void on_bad(void *context, const struct strata_error *error) {
    char line[1400];
    on_warning(context, strata_error_line(error, line, sizeof line));
}

/* ---- options ---- */

int strata_find_benchmark(enum strata_benchmark *benchmark, char **path, const char *operand,
                          const struct strata_arguments *arguments, struct strata_error *err) {
    const char *equals = strchr(operand, '='), *slash = strrchr(operand, '/');
    const char *name = equals ? operand : slash ? slash + 1 : operand, *directory = strata_text(arguments, ID(TSV_DIR));
    size_t length = equals ? (size_t)(equals - operand) : strlen(name);
    bool file = !equals && strata_path_ends(name, ".tsv");
    char *wanted = strndup(name, file ? length - 4 : length);
    struct strata_buffer text = {0};
    int code = wanted ? strata_benchmark_parse(benchmark, wanted, err) : STRATA_ERR_MEMORY;
    free(wanted);
    if (code) return code;
    const char *home = getenv("HOME"), *data = getenv("LMUData");
    if (equals || file) {
        strata_buffer_text(&text, equals ? equals + 1 : operand);
    } else if (directory || (data && *data)) {
        strata_buffer_printf(&text, "%s/%s.tsv", directory ? directory : data, strata_benchmarks[*benchmark].dataset);
    } else {
        strata_buffer_printf(&text, "%s/LMUData/%s.tsv", home ? home : ".", strata_benchmarks[*benchmark].dataset);
    }
    if (!text.failed && !strata_file_exists(text.data)) {
        strata_fail(err, STRATA_ERR_IO, "there is no %s", text.data);
        code = strata_fail_hint(err, STRATA_ERR_IO,
                                "fetch it from https://opencompass.openxlab.space/utils/VLMEval/%s.tsv "
                                "(md5 %s), or give NAME=FILE",
                                strata_benchmarks[*benchmark].dataset, strata_benchmarks[*benchmark].md5);
    }
    if (!code) code = strata_buffer_check(&text, err);
    if (code) {
        strata_buffer_free(&text);
    } else {
        *path = text.data;
    }
    return code;
}

static int set_up_texts(struct session *session, struct strata_error *err) {
    const char *directory = strata_text(session->arguments, ID(JUDGE_PROMPTS));
    session->options.judge_words = directory ? "kit" : "ours";
    session->options.judge_texts = &session->texts;
    return directory ? strata_judge_texts_kit(&session->texts, directory, err)
                     : strata_judge_texts_ours(&session->texts, err);
}

void strata_setup_eval(struct strata_eval_options *options, const struct strata_arguments *arguments) {
    bool tokens = strata_given(arguments, ID(MAX_NEW_TOKENS));
    *options = (struct strata_eval_options){
        .kit = (enum strata_kit)strata_choice(arguments, ID(KIT)),
        .out = strata_text(arguments, ID(OUT)),
        .limit = strata_size(arguments, ID(LIMIT)),
        .sampling = {.temperature = (float)strata_real(arguments, ID(TEMPERATURE)),
                     .top_p = (float)strata_real(arguments, ID(TOP_P)),
                     .top_k = (uint32_t)strata_integer(arguments, ID(TOP_K)),
                     .repetition_penalty = (float)strata_real(arguments, ID(REPETITION_PENALTY)),
                     .max_new_tokens = tokens ? (uint32_t)strata_integer(arguments, ID(MAX_NEW_TOKENS)) : EVAL_TOKENS},
        .seed = (uint64_t)strata_integer(arguments, ID(SEED)),
        .skip_bad = strata_flag(arguments, ID(SKIP_BAD)),
        .split_think = strata_flag(arguments, ID(SPLIT_THINK)),
    };
}

static int set_up(struct session *session, struct strata_error *err) {
    const struct strata_arguments *arguments = session->arguments;
    struct strata_eval_options *options = &session->options;
    strata_setup_eval(options, arguments);
    options->on_progress = on_progress;
    options->on_warning = on_warning;
    options->context = session;
    session->progress = strata_progress_create(stderr, strata_flag(arguments, ID(QUIET)));
    int code = strata_setup_text(&session->system, arguments, ID(SYSTEM), err);
    options->system = session->system;
    if (!code) code = set_up_texts(session, err);
    if (code || strata_flag(arguments, ID(AUDIT))) return code;
    options->interrupt = strata_interruptible();
    code = strata_setup_cache(&session->cache, arguments, err);
    if (!code && strata_choice(arguments, ID(ENGINE)) == 2) {
        code = strata_setup_http(&session->engine, session->cache, arguments, err);
    } else if (!code) {
        code = strata_setup_engine(&session->engine, arguments, err);
    }
    return code ? code : strata_setup_judge(&session->judge, session->cache, arguments, err);
}

/* ---- one operand ---- */

static int evaluate_own(json_t **result, struct session *session, const char *path, struct strata_error *err) {
    const struct strata_arguments *arguments = session->arguments;
    const struct strata_dataset_options dataset = {.skip_bad = strata_flag(arguments, ID(SKIP_BAD)),
                                                   .prepend_missing_image =
                                                       strata_choice(arguments, ID(MISSING_IMAGE)) == 1,
                                                   .system = session->system,
                                                   .limit = session->options.limit,
                                                   .on_bad = on_bad,
                                                   .context = session};
    enum strata_verify_mode mode = (enum strata_verify_mode)strata_choice(arguments, ID(VERIFY_MODE));
    if (strata_flag(arguments, ID(AUDIT)))
        return strata_fail(err, STRATA_ERR_USAGE, "--audit is about the benchmarks of the kit, not about own data");
    return strata_evaluate_own(result, session->engine, path, &dataset, mode, &session->options, err);
}

static int evaluate_one(struct session *session, const char *operand, struct strata_error *err) {
    json_t *result = NULL;
    char *path = NULL;
    int code;
    session->phase = NULL;
    if (strata_eval_is_own(operand)) {
        code = evaluate_own(&result, session, operand, err);
    } else {
        code = strata_find_benchmark(&session->options.benchmark, &path, operand, session->arguments, err);
        session->options.tsv = path;
        if (!code)
            code = strata_flag(session->arguments, ID(AUDIT))
                       ? strata_eval_audit(&result, &session->options, err)
                       : strata_evaluate_benchmark(&result, session->engine, session->judge, &session->options, err);
    }
    if (result) json_array_append_new(session->results, result);
    strata_progress_finish(session->progress);
    free(path);
    return code;
}

/* ---- printing ---- */

static void number_cell(struct strata_table *table, const json_t *value, bool share) {
    double number = json_number_value(value);
    if (!json_is_number(value)) {
        strata_table_cell(table, "-");
    } else {
        strata_table_cell(table, share ? "%.4f" : "%.3f", number);
    }
}

/* The headlines beside the paper's four. */
static void print_headlines(const json_t *results) {
    static const char *const heads[] = {"benchmark", "headline", "ours",     "rows",    "pending",
                                        "PISM VRT",  "PISM VPT", "CMAB VRT", "CMAB VPT"};
    struct strata_table table = {.columns = 9, .left = 2};
    size_t index, lines = 0;
    json_t *result;
    for (size_t i = 0; i < 9; i++) strata_table_cell(&table, "%s", heads[i]);
    json_array_foreach(results, index, result) {
        const json_t *paper = json_object_get(result, "paper");
        if (!paper) continue;
        bool share = strcmp(strata_json_text(result, "scale"), "0-1") == 0;
        strata_table_cell(&table, "%s", strata_json_text(result, "benchmark"));
        strata_table_cell(&table, "%s", strata_json_text(result, "headline"));
        number_cell(&table, json_object_get(result, "value"), share);
        strata_table_cell(&table, "%" PRId64, (int64_t)json_integer_value(json_object_get(result, "rows")));
        strata_table_cell(&table, "%" PRId64, (int64_t)json_integer_value(json_object_get(result, "pending")));
        for (size_t i = 5; i < 9; i++) number_cell(&table, json_object_get(paper, heads[i]), share);
        lines++;
    }
    if (lines) {
        strata_table_print(&table, 0, false);
        printf("the last four: Qwen2.5-VL-7B after GRPO on medium and hard samples, as published\n");
    }
    strata_table_free(&table);
    json_array_foreach(results, index, result) {
        json_int_t bad = json_integer_value(json_object_get(result, "bad"));
        if (bad) printf("%s: %" PRId64 " bad rows left out\n", strata_json_text(result, "benchmark"), (int64_t)bad);
    }
}

static void print_own(const json_t *result) {
    struct strata_table table = {.columns = 4};
    const char *name;
    json_t *entry;
    static const char *const heads[] = {"ability", "rows", "accuracy", "mean score"};
    for (size_t i = 0; i < 4; i++) strata_table_cell(&table, "%s", heads[i]);
    printf("%s\n", strata_json_text(result, "benchmark"));
    json_object_foreach(json_object_get(result, "metrics"), name, entry) {
        strata_table_cell(&table, "%s", name);
        strata_table_cell(&table, "%" PRId64, (int64_t)json_integer_value(json_object_get(entry, "rows")));
        strata_table_cell(&table, "%.1f %%", 100 * json_number_value(json_object_get(entry, "accuracy")));
        strata_table_cell(&table, "%.4f", json_number_value(json_object_get(entry, "score")));
    }
    strata_table_print(&table, 0, false);
    strata_table_free(&table);
}

static void print_audit(const json_t *result) {
    size_t index;
    json_t *row;
    printf("%s, kit %s: %" PRId64 " rows with an image, %" PRId64 " without\n", strata_json_text(result, "benchmark"),
           strata_json_text(result, "kit"), (int64_t)json_integer_value(json_object_get(result, "rows")),
           (int64_t)json_integer_value(json_object_get(result, "without_image")));
    printf("  ceiling without a judge  %.1f %% (%" PRId64 " rows that the right answer does not win",
           100 * json_number_value(json_object_get(result, "ceiling")),
           (int64_t)json_integer_value(json_object_get(result, "unwinnable")));
    json_array_foreach(json_object_get(result, "unwinnable_rows"), index, row) {
        printf("%s %s", index ? "," : ":", json_string_value(row));
    }
    printf(")\n  won by an empty answer   %" PRId64 "\n  won by a constant \"A\"    %" PRId64 "\n",
           (int64_t)json_integer_value(json_object_get(result, "won_by_silence")),
           (int64_t)json_integer_value(json_object_get(result, "won_by_A")));
}

static int print_results(const struct session *session, struct strata_error *err) {
    size_t index;
    json_t *result;
    if (strata_flag(session->arguments, ID(JSON))) return strata_print_json(json_incref(session->results), err);
    json_array_foreach(session->results, index, result) {
        if (json_object_get(result, "ceiling")) print_audit(result);
        if (json_object_get(result, "grading")) print_own(result);
    }
    print_headlines(session->results);
    if (!strata_flag(session->arguments, ID(AUDIT)) && json_array_size(session->results))
        printf("by category: %s/*.csv, row by row: %s/*.rows.jsonl\n", session->options.out, session->options.out);
    return 0;
}

static int close_session(struct session *session, int code, struct strata_error *err) {
    strata_progress_destroy(session->progress);
    if (!strata_flag(session->arguments, ID(QUIET))) {
        strata_print_account("model", session->engine);
        strata_print_account("judge", session->judge);
    }
    strata_engine_destroy(session->engine);
    strata_engine_destroy(session->judge);
    int closed = strata_cache_close(session->cache, code ? NULL : err);
    strata_judge_texts_free(&session->texts);
    json_decref(session->results);
    free(session->system);
    return code ? code : closed;
}

int strata_cli_eval(const struct strata_arguments *arguments, struct strata_error *err) {
    struct session session = {.arguments = arguments, .results = json_array()};
    int code = set_up(&session, err), first = 0;
    struct strata_error pending = {0};
    for (size_t i = 0; i < arguments->operand_count && !code; i++) {
        code = evaluate_one(&session, arguments->operands[i], err);
        if (code != STRATA_ERR_ENGINE || !json_array_size(session.results)) continue;
        if (!first) pending = *err; /* rows are pending: the other benchmarks go on */
        first = code;
        code = 0;
    }
    if (!code) code = print_results(&session, err);
    if (!code && first) {
        code = first;
        *err = pending;
    }
    return close_session(&session, code, err);
}
