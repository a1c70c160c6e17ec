/* Budgets: under match steps and tokens rows 3 to 10 really make the updates (take the tokens) of row 12, counted from
 * what the trainings wrote; and a benchmark among the tests has intervals and claims as own data do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/study_setup.h"

#define COMPLETIONS 2 /* of a rollout, which is one prompt */
#define RECORDS     6 /* in the test sets */

static char directory[64];

static void write_text(const char *name, const struct strata_buffer *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(strata_file_write(path, text->data, text->length, NULL), 0);
}

/* out: the directory of the study, for the caller. */
static json_t *run_study(char out[128], const char *match) {
    char recipe[128];
    const char *words[] = {recipe, "--out", out, "--quiet", "--pilot", "1"};
    struct strata_buffer text = {0};
    struct strata_arguments arguments;
    struct strata_cli_study study;
    struct strata_error err = {0};
    json_t *results = NULL, *times = NULL;
    snprintf(out, 128, "%s/%s", directory, match);
    snprintf(recipe, sizeof recipe, "%s/recipe.yaml", directory);
    strata_buffer_printf(
        &text,
        "model: models/easyvqa-tiny\ndata: %s/data.jsonl\ntest: [%s/test.jsonl, 'OCRBench=%s/OCRBench.tsv']\n"
        "families: {everything: [shape, color, presence]}\nrows: 3-12\nmetrics: pism\nseeds: 3\nmatch: %s\n"
        "resamples: 200\nall: {threads: 1, max-new-tokens: 18}\nscore: {draws: 2, ratios: [0, 0.2, 0.9]}\n"
        "select: {pism-bands: [0.2, 0.9], easy-bound: open}\n"
        "sft: {batch-size: 4, save-steps: 0}\ngrpo: {prompts: 1, completions: %d, save-steps: 0, epochs: 2}\n",
        directory, directory, directory, match, COMPLETIONS);
    write_text("recipe.yaml", &text);
    strata_buffer_free(&text);
    int code = strata_arguments_parse(&arguments, strata_command_find("study"), 6, words, &err);
    if (!code) code = strata_cli_study_setup(&study, &arguments, &err);
    if (!code) code = strata_study(&results, &times, &study.options, &err);
    if (code) fail_msg("%s %s", err.where, err.what);
    json_decref(times);
    strata_cli_study_free(&study);
    strata_arguments_free(&arguments);
    return results;
}

/* ---- what the trainings wrote ---- */

struct work {
    size_t updates;
    double sampled, trained; /* tokens */
};

/* Of one training, from its metrics and its last checkpoint. */
static void add_work(struct work *work, const char *out, const json_t *place, double group) {
    struct strata_buffer text = {0};
    char path[256];
    json_t *state = NULL;
    if (!json_is_string(place)) return;
    snprintf(path, sizeof path, "%s/stages/%s/train/metrics.jsonl", out, json_string_value(place));
    assert_int_equal(strata_file_read(&text, path, 0, NULL), 0);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *metrics = json_loads(line, 0, NULL);
        assert_non_null(json_object_get(metrics, "loss"));
        work->updates++;
        work->sampled +=
            group * json_number_value(json_object_get(json_object_get(metrics, "completions"), "mean_length"));
        json_decref(metrics);
    }
    strata_buffer_free(&text);
    snprintf(path, sizeof path, "%s/stages/%s/train/last/trainer_state.json", out, json_string_value(place));
    assert_int_equal(strata_json_load(&state, path, 1 << 20, NULL), 0);
    work->trained += json_number_value(json_object_get(state, "tokens"));
    json_decref(state);
}

/* Of SFT and GRPO of a row, which must be what the results say. */
static struct work work_of(const json_t *row, const char *out) {
    const json_t *seed = json_array_get(json_object_get(row, "seeds"), 0), *cost = json_object_get(row, "cost");
    struct work work = {0};
    add_work(&work, out, json_object_get(seed, "sft"), 0);
    add_work(&work, out, json_object_get(seed, "grpo"), COMPLETIONS);
    double steps = strata_json_number_or_nan(cost, "grpo_steps");
    if (json_object_get(cost, "sft_steps")) steps += strata_json_number_or_nan(cost, "sft_steps");
    assert_true(steps == (double)work.updates);
    assert_true(strata_json_number_or_nan(cost, "sampled_tokens") == work.sampled);
    assert_true(strata_json_number_or_nan(cost, "trained_tokens") == work.trained);
    return work;
}

static const json_t *rows_of(const json_t *results) {
    const json_t *rows = json_object_get(json_array_get(json_object_get(results, "tables"), 0), "rows");
    assert_int_equal(json_array_size(rows), 10);
    for (size_t r = 0; r < 10; r++) {
        const json_t *row = json_array_get(rows, r);
        assert_true(strata_json_number_or_nan(row, "row") == (double)(r + 3));
        if (json_object_get(row, "impossible")) fail_msg("row %zu: %s", r + 3, strata_json_text(row, "impossible"));
    }
    return rows;
}

static void test_steps(void **state) {
    (void)state;
    char out[128];
    json_t *results = run_study(out, "steps");
    const json_t *rows = rows_of(results);
    size_t budget = work_of(json_array_get(rows, 9), out).updates;
    assert_true(budget > 8);
    for (size_t r = 0; r < 9; r++) {
        struct work work = work_of(json_array_get(rows, r), out);
        if (work.updates != budget) fail_msg("row %zu makes %zu updates, row 12 %zu", r + 3, work.updates, budget);
    }
    json_decref(results);
}

static void test_tokens(void **state) {
    (void)state;
    char out[128];
    json_t *results = run_study(out, "tokens");
    const json_t *rows = rows_of(results);
    struct work claimed = work_of(json_array_get(rows, 9), out);
    double budget = claimed.trained + claimed.sampled;
    for (size_t r = 0; r < 9; r++) {
        struct work work = work_of(json_array_get(rows, r), out);
        double tokens = work.trained + work.sampled;
        /* Whole updates; and the prompts of another set are a little longer or shorter. */
        if (fabs(tokens - budget) > budget / (double)claimed.updates)
            fail_msg("row %zu takes %.0f tokens, row 12 %.0f", r + 3, tokens, budget);
    }
    json_decref(results);
}

/* As in the paper, row 12 makes more updates than rows 3 to 10: the two tests above are of a difference. */
static void test_epochs(void **state) {
    (void)state;
    char out[128];
    json_t *results = run_study(out, "epochs");
    const json_t *rows = rows_of(results);
    size_t budget = work_of(json_array_get(rows, 9), out).updates;
    for (size_t r = 0; r < 8; r++) assert_true(work_of(json_array_get(rows, r), out).updates + 2 < budget);

    /* The benchmark: the kit's number, an interval around it, row 12 minus row k with a corrected p. */
    const json_t *column = json_array_get(json_object_get(results, "columns"), 5);
    assert_string_equal(strata_json_text(column, "name"), "OCRBench");
    assert_int_equal(json_integer_value(json_object_get(column, "samples")), RECORDS);
    const json_t *base = json_object_get(json_object_get(results, "base"), "OCRBench");
    double mean = strata_json_number_or_nan(base, "mean"), hits = 10 * mean;
    assert_true(hits > 0.5 && hits < RECORDS - 0.5 && fabs(hits - round(hits)) < 1e-5);
    assert_true(strata_json_number_or_nan(base, "low") < mean && strata_json_number_or_nan(base, "high") > mean);
    for (size_t r = 0; r < 10; r++) {
        const json_t *row = json_array_get(rows, r),
                     *claim = json_object_get(json_object_get(row, "claim"), "OCRBench");
        assert_true(json_object_get(json_object_get(json_object_get(row, "score"), "OCRBench"), "low") != NULL);
        assert_int_equal(claim != NULL, r < 9);
        assert_int_equal(json_object_get(claim, "p_holm") != NULL, r < 8);
    }
    json_decref(results);
}

/* ---- the data ---- */

static void add_row(struct strata_buffer *table, const json_t *record, size_t index) {
    struct strata_buffer image = {0};
    const char *question =
        json_string_value(json_object_get(json_array_get(json_object_get(record, "messages"), 1), "content"));
    assert_int_equal(strncmp(question, "<image>", 7), 0);
    assert_int_equal(
        strata_file_read(&image, json_string_value(json_array_get(json_object_get(record, "images"), 0)), 0, NULL), 0);
    strata_buffer_printf(table, "%zu\t", index);
    strata_base64_encode(table, image.data, image.length);
    strata_buffer_printf(table, "\t%s\t['%s']\tScene Text-centric VQA\n", question + 7,
                         strata_json_text(record, "solution"));
    strata_buffer_free(&image);
}

static int setup(void **state) {
    (void)state;
    struct strata_buffer data = {0}, all = {0}, test = {0}, table = {0};
    char here[512], path[1024];
    size_t count = 0;
    strcpy(directory, "/tmp/strata-match-XXXXXX");
    if (!mkdtemp(directory) || !getcwd(here, sizeof here)) return -1;
    if (strata_file_read(&data, "tests/data/train/train.jsonl", 0, NULL)) return -1;
    strata_buffer_text(&table, "index\timage\tquestion\tanswer\tcategory\n");
    for (char *line = strtok(data.data, "\n"); line; line = strtok(NULL, "\n"), count++) {
        json_t *record = json_loads(line, 0, NULL), *images = json_object_get(record, "images");
        snprintf(path, sizeof path, "%s/tests/data/train/%s", here, json_string_value(json_array_get(images, 0)));
        json_array_set_new(images, 0, json_string(path));
        char *text = json_dumps(record, 0);
        strata_buffer_printf(&all, "%s\n", text);
        if (count < RECORDS) {
            strata_buffer_printf(&test, "%s\n", text);
            add_row(&table, record, count);
        }
        free(text);
        json_decref(record);
    }
    write_text("data.jsonl", &all);
    write_text("test.jsonl", &test);
    write_text("OCRBench.tsv", &table);
    strata_buffer_free(&data);
    strata_buffer_free(&all);
    strata_buffer_free(&test);
    strata_buffer_free(&table);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return strata_remove_tree(directory, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps), cmocka_unit_test(test_tokens),
                                       cmocka_unit_test(test_epochs)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
