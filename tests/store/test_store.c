/* The run store: what goes in comes out, settings, locking, reading beside a writer, kills, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "store/store.h"

static char directory[128];

static int setup(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/strata-test-store-XXXXXX");
    return mkdtemp(directory) ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "chmod -R u+w '%s'; rm -rf '%s'", directory, directory);
    return system(command);
}

static void put_sample(struct strata_store *store, size_t index, const char *id) {
    struct strata_stored_sample sample = {.index = index, .id = id, .ability = "a", .images = 1, .chance = 0.25};
    assert_int_equal(strata_store_put_sample(store, &sample, NULL), 0);
}

static void put_draw(struct strata_store *store, size_t index, unsigned ratio, unsigned number, bool right) {
    struct strata_stored_draw draw = {.ratio = ratio, .draw = number, .right = right, .tokens = 7};
    assert_int_equal(strata_store_put_draw(store, index, &draw, NULL), 0);
}

static int count_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    (void)err;
    (void)sample;
    ++*(size_t *)context;
    return 0;
}

static size_t samples_of(struct strata_store *store, size_t end) {
    size_t count = 0;
    assert_int_equal(strata_store_samples(store, end, count_sample, &count, NULL), 0);
    return count;
}

/* Reads draws as "ratio.draw:right " into a text. */
static int list_draw(void *context, const struct strata_stored_draw *draw, struct strata_error *err) {
    (void)err;
    strata_buffer_printf(context, "%u.%u:%d ", draw->ratio, draw->draw, draw->right);
    if (draw->response) strata_buffer_append(context, draw->response, draw->response_length);
    return 0;
}

static int check_attempt(void *context, const struct strata_stored_attempt *attempt, struct strata_error *err) {
    (void)err;
    assert_int_equal(attempt->attempt, *(unsigned *)context);
    ++*(unsigned *)context;
    assert_int_equal(attempt->response_length, 5);
    assert_memory_equal(attempt->response, "a\0b\xc3\xa9", 5);
    assert_int_equal(attempt->masses_length, attempt->attempt ? 0 : 4);
    if (attempt->masses) assert_memory_equal(attempt->masses, "\0\1\2\3", 4);
    return 0;
}

static int check_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    (void)context;
    (void)err;
    assert_int_equal(sample->index, 7);
    assert_string_equal(sample->id, "s7");
    assert_string_equal(sample->ability, "a");
    assert_true(sample->chance == 0.25);
    return 0;
}

static void test_rows(void **state) {
    (void)state;
    struct strata_store *store;
    struct strata_buffer text = {0};
    bool found;
    assert_int_equal(strata_store_open(&store, directory, NULL), 0);
    put_sample(store, 7, "s7");
    put_sample(store, 3, "s3");
    put_draw(store, 7, 1, 0, true);
    put_draw(store, 7, 0, 1, false);
    put_draw(store, 7, 0, 0, true);
    put_draw(store, 7, 0, 0, false); /* the first answer stands */
    struct strata_stored_draw draw = {.ratio = 2, .draw = 0, .response = "x\0y", .response_length = 3};
    assert_int_equal(strata_store_put_draw(store, 7, &draw, NULL), 0);
    struct strata_stored_attempt attempt = {
        .right = true, .response = "a\0b\xc3\xa9", .response_length = 5, .masses = "\0\1\2\3", .masses_length = 4};
    assert_int_equal(strata_store_put_attempt(store, 7, &attempt, NULL), 0);
    attempt.attempt = 1;
    attempt.masses = NULL;
    attempt.masses_length = 0;
    assert_int_equal(strata_store_put_attempt(store, 7, &attempt, NULL), 0);
    assert_int_equal(strata_store_close(store, NULL), 0);

    assert_int_equal(strata_store_read(&store, directory, NULL), 0);
    assert_int_equal(strata_store_draws(store, 7, list_draw, &text, NULL), 0);
    assert_int_equal(text.length, strlen("0.0:1 0.1:0 1.0:1 2.0:0 ") + 3);
    assert_memory_equal(text.data, "0.0:1 0.1:0 1.0:1 2.0:0 x\0y", text.length);
    unsigned attempts = 0;
    assert_int_equal(strata_store_attempts(store, 7, check_attempt, &attempts, NULL), 0);
    assert_int_equal(attempts, 2);
    assert_int_equal(strata_store_sample(store, 7, &found, check_sample, NULL, NULL), 0);
    assert_true(found);
    assert_int_equal(strata_store_sample(store, 8, &found, check_sample, NULL, NULL), 0);
    assert_false(found);
    assert_int_equal(samples_of(store, SIZE_MAX), 2);
    assert_int_equal(samples_of(store, 7), 1);
    assert_true(strata_store_bytes(store) > 0);
    struct strata_error err;
    assert_int_equal(strata_store_put_draw(store, 7, &draw, &err), STRATA_ERR_STATE); /* open for reading */
    strata_store_close(store, NULL);

    assert_int_equal(strata_store_open(&store, directory, NULL), 0);
    assert_int_equal(strata_store_forget(store, 7, NULL), 0);
    strata_buffer_clear(&text);
    assert_int_equal(strata_store_draws(store, 7, list_draw, &text, NULL), 0);
    assert_int_equal(text.length, 0);
    assert_int_equal(samples_of(store, SIZE_MAX), 1);
    strata_store_close(store, NULL);
    strata_buffer_free(&text);
}

static void test_settings(void **state) {
    (void)state;
    struct strata_setting settings[] = {{"seed", "1", STRATA_SETTING_DRAWS},
                                        {"bands", "0.4,0.7", STRATA_SETTING_CUT},
                                        {"data", "/somewhere", STRATA_SETTING_PLACE},
                                        {"temperature", "0.7", STRATA_SETTING_DRAWS}};
    struct strata_store *store;
    struct strata_buffer value = {0};
    struct strata_error err;
    bool found;
    assert_int_equal(strata_store_open(&store, directory, NULL), 0);
    assert_int_equal(strata_store_settle(store, settings, 3, NULL), 0);
    settings[1].value = "0.3,0.7";
    settings[2].value = "/elsewhere";
    assert_int_equal(strata_store_settle(store, settings, 4, NULL), 0); /* a new one joins */
    assert_int_equal(strata_store_setting(store, "bands", &value, &found, NULL), 0);
    assert_true(found);
    assert_string_equal(value.data, "0.3,0.7");
    settings[3].value = "1";
    settings[1].value = "0,1";
    assert_int_equal(strata_store_settle(store, settings, 4, &err), STRATA_ERR_STATE);
    assert_string_equal(err.what, "this run was made with another temperature: it has 0.7, now 1 is asked for");
    assert_int_equal(strata_store_setting(store, "bands", &value, &found, NULL), 0);
    assert_string_equal(value.data, "0.3,0.7"); /* nothing of a refused set is taken over */
    assert_int_equal(strata_store_setting(store, "absent", &value, &found, NULL), 0);
    assert_false(found);
    strata_store_close(store, NULL);
    strata_buffer_free(&value);
}

static void test_one_writer_many_readers(void **state) {
    (void)state;
    struct strata_store *writer, *reader, *second;
    struct strata_error err;
    assert_int_equal(strata_store_open(&writer, directory, NULL), 0);
    put_sample(writer, 0, "s0");
    assert_int_equal(strata_store_commit(writer, NULL), 0);
    put_sample(writer, 1, "s1"); /* gathered, not yet seen by others */
    assert_int_equal(strata_store_read(&reader, directory, NULL), 0);
    assert_int_equal(samples_of(reader, SIZE_MAX), 1);
    assert_int_equal(strata_store_tick(writer, 10, NULL), 0); /* something long comes: saved before it */
    assert_int_equal(samples_of(reader, SIZE_MAX), 2);
    strata_store_close(reader, NULL);
    assert_int_equal(strata_store_open(&second, directory, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "in use"));
    strata_store_close(writer, NULL);
    assert_int_equal(strata_store_open(&second, directory, NULL), 0);
    strata_store_close(second, NULL);
}

static void test_read_only_directory(void **state) {
    (void)state;
    struct strata_store *store;
    assert_int_equal(strata_store_open(&store, directory, NULL), 0);
    put_sample(store, 0, "s0");
    strata_store_close(store, NULL);
    pid_t child = fork(); /* as a user who may not write there */
    assert_true(child >= 0);
    if (child == 0) {
        if (chmod(directory, 0555) || (geteuid() == 0 && setuid(65534))) _exit(2);
        if (strata_store_read(&store, directory, NULL)) _exit(3);
        size_t count = 0;
        if (strata_store_samples(store, SIZE_MAX, count_sample, &count, NULL) || count != 1) _exit(4);
        strata_store_close(store, NULL);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A process killed while it writes as fast as it can: what was committed is there, the file is sound. */
static void test_kill(void **state) {
    (void)state;
    for (int round = 0; round < 5; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct strata_store *store;
            if (strata_store_open(&store, directory, NULL)) _exit(1);
            size_t base = samples_of(store, SIZE_MAX);
            for (size_t i = base;; i++) {
                char id[32];
                snprintf(id, sizeof id, "s%zu", i);
                put_sample(store, i, id);
                if (i % 50 == 49) {
                    if (strata_store_commit(store, NULL)) _exit(1);
                    size_t committed = i + 1;
                    if (write(pipes[1], &committed, sizeof committed) != sizeof committed) _exit(1);
                }
            }
        }
        close(pipes[1]);
        size_t told = 0, value;
        for (int i = 0; i < 20 + round; i++)
            if (read(pipes[0], &value, sizeof value) == sizeof value) told = value;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(pipes[0], &value, sizeof value) == sizeof value) told = value;
        close(pipes[0]);
        struct strata_store *store;
        assert_int_equal(strata_store_open(&store, directory, NULL), 0);
        assert_true(told > 0 && samples_of(store, SIZE_MAX) >= told);
        strata_store_close(store, NULL);
    }
}

static void test_damaged_and_foreign_files(void **state) {
    (void)state;
    struct strata_store *store;
    struct strata_error err;
    char path[192];
    assert_int_equal(strata_store_read(&store, directory, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.what, "no run here"));
    snprintf(path, sizeof path, "%s/" STRATA_STORE_FILE, directory);
    assert_int_equal(strata_file_write(path, "this is no database, it only lies in its place", 46, NULL), 0);
    assert_int_equal(strata_store_read(&store, directory, &err), STRATA_ERR_STATE);
    assert_int_equal(strata_store_open(&store, directory, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.where, STRATA_STORE_FILE));
    assert_int_equal(strata_file_write(path, "", 0, NULL), 0);
    assert_int_equal(strata_store_read(&store, directory, &err), STRATA_ERR_STATE); /* empty: no store yet */
    assert_int_equal(strata_store_open(&store, directory, &err), 0);
    strata_store_close(store, NULL);
}

int main(void) {
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_rows),
        STORE_TEST(test_settings),
        STORE_TEST(test_one_writer_many_readers),
        STORE_TEST(test_read_only_directory),
        STORE_TEST(test_kill),
        STORE_TEST(test_damaged_and_foreign_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
