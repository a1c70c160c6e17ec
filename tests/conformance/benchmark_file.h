/* Running a file of benchmark cases: which functions there are, comparing, counting. */
#ifndef STRATA_TESTS_BENCHMARK_FILE_H
#define STRATA_TESTS_BENCHMARK_FILE_H

#include "benchmark_cases.h"

struct function {
    const char *name;
    run_function *run;
    enum strata_kit since; /* states before it lack the function */
    size_t passed[STRATA_KITS], failed[STRATA_KITS];
};
static struct function functions[] = {
    {"can_infer", run_infer, 0, {0}, {0}},
    {"can_infer_option", run_infer, 0, {0}, {0}},
    {"can_infer_text", run_infer, 0, {0}, {0}},
    {"build_choices", run_build_choices, 0, {0}, {0}},
    {"build_option_str", run_option_text, 0, {0}, {0}},
    {"prefetch_answer", run_prefetch, 0, {0}, {0}},
    {"extract_answer_from_item", run_judging, 0, {0}, {0}},
    {"YOrN_auxeval", run_judging, 0, {0}, {0}},
    {"MathVista_auxeval", run_judging, 0, {0}, {0}},
    {"MMVet_auxeval", run_judging, 0, {0}, {0}},
    {"judge_prompt_mcq", run_judge_prompt, 0, {0}, {0}},
    {"judge_prompt_yorn", run_judge_prompt, 0, {0}, {0}},
    {"judge_prompt_mathvista", run_judge_prompt, 0, {0}, {0}},
    {"judge_prompt_mmvet", run_judge_prompt, 0, {0}, {0}},
    {"MMMU_preproc", run_mmmu_prepare, 0, {0}, {0}},
    {"report_acc", run_score, 0, {0}, {0}},
    {"Hallusion_rating", run_score, 0, {0}, {0}},
    {"MathVista_acc", run_score, 0, {0}, {0}},
    {"MMVet_acc", run_score, 0, {0}, {0}},
    {"evaluate_ocrbench", run_score, 0, {0}, {0}},
    {"evaluate_mcq", run_evaluate, 0, {0}, {0}},
    {"evaluate_yorn", run_evaluate, 0, {0}, {0}},
    {"evaluate_mathvista", run_evaluate, 0, {0}, {0}},
    {"evaluate_mmvet", run_evaluate, 0, {0}, {0}},
    {"build_prompt", run_build_prompt, 0, {0}, {0}},
    {"toliststr", run_text_list, 0, {0}, {0}},
    {"load_dataset_images", run_images, 0, {0}, {0}},
    {"load_tsv_prompt", run_tsv_prompt, 0, {0}, {0}},
    {"YOrN_Extraction", run_yes_no, 0, {0}, {0}},
    {"process_punctuation", run_yes_no, 0, {0}, {0}},
    {"mathvista_post_check", run_post_check, 0, {0}, {0}},
    {"list_to_dict", run_list_to_dict, 0, {0}, {0}},
    {"split_thinking", run_split_thinking, STRATA_KIT_202511, {0}, {0}},
    {"primary_metric", run_primary, STRATA_KIT_HEAD, {0}, {0}},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

/* ---- comparing ---- */

/* Numbers to 1e-9; "NaN" is null; `want` may leave out keys that ours has only where it is an object of metrics. */
static bool same(const json_t *got, const json_t *want) {
    const char *text = json_string_value(want);
    if (text && (strcmp(text, "NaN") == 0) && json_is_null(got)) return true;
    if (json_is_number(want) && json_is_number(got)) {
        double a = json_number_value(got), b = json_number_value(want);
        double size = fabs(b) > 1 ? fabs(b) : 1;
        return fabs(a - b) <= 1e-9 * size;
    }
    if (json_is_object(want) && json_is_object(got)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)want, key, value) {
            const json_t *ours = json_object_get(got, key);
            if (!ours || !same(ours, value)) return false;
        }
        return json_object_size(got) == json_object_size(want);
    }
    if (json_is_array(want) && json_is_array(got)) {
        if (json_array_size(got) != json_array_size(want)) return false;
        for (size_t i = 0; i < json_array_size(want); i++) {
            if (!same(json_array_get(got, i), json_array_get(want, i))) return false;
        }
        return true;
    }
    return json_equal(got, want);
}

/* Drops from `got` what the case does not state, one level deep. */
static void restrict_to(json_t *got, const json_t *want) {
    void *next;
    const char *key;
    json_t *value;
    if (!json_is_object(got) || !json_is_object(want)) return;
    json_object_foreach_safe(got, next, key, value) {
        if (key[0] == '*' && !json_object_get(want, key + 1)) json_object_del(got, key);
    }
    json_object_foreach_safe(got, next, key, value) {
        if (key[0] != '*') continue;
        json_object_set(got, key + 1, value);
        json_object_del(got, key);
    }
}

static json_t *error_value(const struct strata_error *err) {
    const char *colon = strchr(err->what, ':');
    return json_pack("{s:o}", "error",
                     json_stringn(err->what, colon ? (size_t)(colon - err->what) : strlen(err->what)));
}

static void run_case(struct function *function, const json_t *record, enum strata_kit kit, size_t line,
                     const struct strata_judge_texts *texts, bool kit_texts) {
    const json_t *stated = json_object_get(json_object_get(record, "expected_by_kit"), strata_kit_name(kit));
    json_t *want = json_deep_copy(stated ? stated : json_object_get(record, "expected"));
    struct strata_error err = {0};
    json_t *got = NULL, *input = json_deep_copy(json_object_get(record, "input"));
    struct conformance_case one = {.function = function->name,
                                   .benchmark = json_string_value(json_object_get(record, "benchmark")),
                                   .input = input,
                                   .want = want,
                                   .kit = kit,
                                   .texts = texts,
                                   .kit_texts = kit_texts};
    int code = function->run(&got, &one, &err);
    if (code) {
        json_decref(got);
        got = error_value(&err);
    }
    restrict_to(got, want);
    bool good = same(got, want);
    (good ? function->passed : function->failed)[kit]++;
    if (!good) {
        char *ours = strata_json_line(got), *theirs = strata_json_line(want), *given = strata_json_line(input);
        printf("FAIL line %zu %s %s: got %.1500s, want %.1500s, input %.600s %s\n", line, function->name,
               strata_kit_name(kit), ours, theirs, given, code ? err.what : "");
        free(ours);
        free(theirs);
        free(given);
    }
    json_decref(got);
    json_decref(want);
    json_decref(input);
}

static struct function *function_of(const json_t *record) {
    const char *name = json_string_value(json_object_get(record, "function"));
    for (size_t i = 0; i < FUNCTIONS && name; i++) {
        if (strcmp(name, functions[i].name) == 0) return &functions[i];
    }
    return NULL;
}

static size_t run_line(const char *line, size_t length, size_t number, const char *path,
                       const struct strata_judge_texts *texts, bool kit_texts) {
    struct strata_error err = {0};
    json_t *record = NULL;
    if (strata_json_parse(&record, line, length, path, number, &err)) {
        printf("FAIL line %zu: %s\n", number, err.what);
        return 1;
    }
    struct function *function = function_of(record);
    if (!function) printf("FAIL line %zu: unknown function\n", number);
    for (int kit = 0; kit < STRATA_KITS && function; kit++) {
        if ((enum strata_kit)kit >= function->since)
            run_case(function, record, (enum strata_kit)kit, number, texts, kit_texts);
    }
    json_decref(record);
    return function ? 0 : 1;
}

static int summary(size_t failed) {
    size_t passed = 0;
    printf("%-26s %12s %12s %12s\n", "function", "202507", "202511", "head");
    for (size_t i = 0; i < FUNCTIONS; i++) {
        char cells[STRATA_KITS][40];
        size_t all = 0;
        for (int kit = 0; kit < STRATA_KITS; kit++) {
            size_t count = functions[i].passed[kit] + functions[i].failed[kit];
            snprintf(cells[kit], sizeof cells[kit], "%zu/%zu", functions[i].passed[kit], count);
            passed += functions[i].passed[kit];
            failed += functions[i].failed[kit];
            all += count;
        }
        if (all) printf("%-26s %12s %12s %12s\n", functions[i].name, cells[0], cells[1], cells[2]);
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed || !passed;
}

/* Runs every line of the file; 0 when all passed. With the sources of a kit the judge prompts are also compared by
 * hash, and counted. */
static int run_benchmark_file(const char *path, const char *kit_sources, struct strata_error *err) {
    struct strata_buffer file = {0};
    struct strata_judge_texts texts = {0};
    size_t failed = 0, number = 1;
    int code = kit_sources ? strata_judge_texts_kit(&texts, kit_sources, err) : strata_judge_texts_ours(&texts, err);
    if (!code) code = strata_file_read(&file, path, 0, err);
    for (const char *line = strata_buffer_string(&file); *line && !code; number++) {
        size_t length = strcspn(line, "\n");
        if (length) failed += run_line(line, length, number, path, &texts, kit_sources != NULL);
        line += length + (line[length] != 0);
    }
    strata_buffer_free(&file);
    strata_judge_texts_free(&texts);
    return code ? code : summary(failed);
}

#endif
