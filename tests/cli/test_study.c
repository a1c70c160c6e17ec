/* Two processes on one study: no stage runs twice, and both come to the same results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "cli/study_setup.h"

static char directory[64], recipe[128], out[128], log_path[128];

/* A line for each stage that starts; appended whole, so that processes do not mix. */
static void on_stage(void *context, const struct strata_plan *plan, size_t stage, enum strata_stage_event event,
                     size_t finished, const struct strata_error *error) {
    char line[200];
    (void)context;
    (void)finished;
    if (event == STRATA_STAGE_DONE || event == STRATA_STAGE_IMPOSSIBLE) return;
    int length = snprintf(line, sizeof line, "%s%s%s\n", event == STRATA_STAGE_FAILED ? "FAILED " : "",
                          plan->stages[stage].place, error ? error->what : "");
    int handle = open(log_path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (handle < 0 || write(handle, line, (size_t)length) != length) _exit(9);
    close(handle);
}

static int run_study(struct strata_buffer *tables) {
    const char *words[] = {recipe, "--out", out, "--quiet", "--pilot", "1"};
    struct strata_arguments arguments;
    struct strata_cli_study study;
    struct strata_error err = {0};
    json_t *results = NULL, *times = NULL;
    int code = strata_arguments_parse(&arguments, strata_command_find("study"), 6, words, &err);
    if (!code) code = strata_cli_study_setup(&study, &arguments, &err);
    if (code) {
        print_error("%s %s\n", err.where, err.what);
        return code;
    }
    study.options.observer.on_stage = on_stage;
    code = strata_study(&results, &times, &study.options, &err);
    if (code) print_error("%s %s\n", err.where, err.what);
    char *path = strata_path_join(out, "tables.md");
    if (!code) code = strata_file_read(tables, path, 0, NULL);
    free(path);
    json_decref(results);
    json_decref(times);
    strata_cli_study_free(&study);
    strata_arguments_free(&arguments);
    return code;
}

static void write_text(const char *path, const char *text) {
    assert_int_equal(strata_file_write(path, text, strlen(text), NULL), 0);
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_two_processes(void **state) {
    (void)state;
    pid_t children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i]) continue;
        struct strata_buffer tables = {0};
        _exit(run_study(&tables) ? 1 : 0);
    }
    for (int i = 0; i < 2; i++) {
        int status;
        waitpid(children[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct strata_buffer log = {0}, tables = {0};
    char *lines[256];
    size_t count = 0;
    assert_int_equal(strata_file_read(&log, log_path, 0, NULL), 0);
    for (char *line = strtok(log.data, "\n"); line && count < 256; line = strtok(NULL, "\n")) lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    assert_true(count > 10);
    for (size_t i = 0; i < count; i++) {
        assert_true(strncmp(lines[i], "FAILED", 6) != 0);
        if (i && strcmp(lines[i], lines[i - 1]) == 0) fail_msg("%s ran twice", lines[i]);
    }
    /* Whoever comes later finds everything done. */
    assert_int_equal(unlink(log_path), 0);
    assert_int_equal(run_study(&tables), 0);
    assert_non_null(strstr(strata_buffer_string(&tables), "GRPO-only(mid+hard)"));
    assert_false(strata_file_exists(log_path));
    strata_buffer_free(&log);
    strata_buffer_free(&tables);
}

static int setup(void **state) {
    (void)state;
    struct strata_buffer text = {0}, data = {0};
    char here[512], path[128];
    strcpy(directory, "/tmp/strata-study-XXXXXX");
    if (!mkdtemp(directory) || !getcwd(here, sizeof here)) return -1;
    snprintf(recipe, sizeof recipe, "%s/recipe.yaml", directory);
    snprintf(out, sizeof out, "%s/out", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    /* The image paths of the sample data made absolute. */
    if (strata_file_read(&data, "tests/data/train/train.jsonl", 0, NULL)) return -1;
    for (const char *at = data.data, *image; *at; at = image) {
        image = strstr(at + 1, "\"images/");
        if (!image) image = at + strlen(at);
        if (strncmp(at, "\"images/", 8) == 0) {
            strata_buffer_printf(&text, "\"%s/tests/data/train/", here);
            at++;
        }
        strata_buffer_append(&text, at, (size_t)(image - at));
    }
    snprintf(path, sizeof path, "%s/data.jsonl", directory);
    write_text(path, strata_buffer_string(&text));
    strata_buffer_clear(&text);
    strata_buffer_printf(&text,
                         "model: models/easyvqa-tiny\ndata: %s/data.jsonl\ntest: %s/data.jsonl\n"
                         "families: {everything: [shape, color, presence]}\nrows: [1, 4, 12]\nresamples: 100\n"
                         "all: {threads: 1, max-new-tokens: 18}\nscore: {draws: 2, ratios: [0, 0.2, 0.9]}\n"
                         "select: {pism-bands: [0.2, 0.9], easy-bound: open}\nsft: {batch-size: 4}\n"
                         "grpo: {prompts: 1, completions: 2, epochs: 0.5}\neval: {limit: 4}\n",
                         directory, directory);
    write_text(recipe, strata_buffer_string(&text));
    strata_buffer_free(&text);
    strata_buffer_free(&data);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return strata_remove_tree(directory, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_processes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
