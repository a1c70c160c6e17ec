/* Ids seen, with so little memory that they spill into runs and merge again and again: nothing seen is forgotten,
 * nothing else is taken for seen, and the runs stay few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include "data/seen.h"

enum { TINY = 2048 }; /* bytes: 48 ids in the table */

static struct strata_hash number(uint64_t value) {
    return strata_hash_bytes(&value, sizeof value);
}

static bool add(struct strata_seen *seen, struct strata_hash id) {
    bool fresh = false;
    assert_int_equal(strata_seen_add(seen, &fresh, id, NULL), 0);
    return fresh;
}

static void test_in_memory(void **state) {
    (void)state;
    struct strata_seen *seen;
    assert_int_equal(strata_seen_open(&seen, TINY, NULL), 0);
    for (uint64_t i = 0; i < 40; i++) assert_true(add(seen, number(i)));
    for (uint64_t i = 0; i < 40; i++) assert_false(add(seen, number(i)));
    assert_int_equal(strata_seen_runs(seen), 0);
    strata_seen_close(seen);
}

/* After each id an earlier one is asked for: recent ones are in the table, older ones in small runs, the oldest in runs
 * that were merged many times. A duplicate of the last id is asked for at once. */
static void test_spilled_and_merged(void **state) {
    (void)state;
    enum { IDS = 60000 };
    struct strata_seen *seen;
    size_t most = 0;
    assert_int_equal(strata_seen_open(&seen, TINY, NULL), 0);
    for (uint64_t i = 0; i < IDS; i++) {
        assert_true(add(seen, number(i)));
        assert_false(add(seen, number(i)));
        assert_false(add(seen, number(number(i).low % (i + 1))));
        if (strata_seen_runs(seen) > most) most = strata_seen_runs(seen);
    }
    /* 1,250 full tables: log2 of them, and one. */
    assert_in_range(most, 5, 11);
    for (uint64_t i = 0; i < IDS; i++) assert_false(add(seen, number(i)));
    strata_seen_close(seen);
}

/* Hashes that are not spread at all: alike in the high half, or in the low one, the empty slot's among them; the search
 * in a run must end and find. */
static void test_crowded(void **state) {
    (void)state;
    enum { IDS = 3000 };
    for (int half = 0; half < 2; half++) {
        struct strata_seen *seen;
        assert_int_equal(strata_seen_open(&seen, TINY, NULL), 0);
        for (int round = 0; round < 2; round++)
            for (uint64_t i = 0; i < IDS; i++) {
                /* {0,0} is kept as {1,0}: leave that one out */
                struct strata_hash id = half ? (struct strata_hash){i ? i + 1 : 0, 0} : (struct strata_hash){7, i};
                assert_int_equal(add(seen, id), round == 0);
            }
        strata_seen_close(seen);
    }
}

static size_t entries(const char *directory) {
    DIR *list = opendir(directory);
    size_t count = 0;
    assert_non_null(list);
    while (readdir(list)) count++;
    closedir(list);
    return count - 2;
}

static void test_temporary_directory(void **state) {
    (void)state;
    char directory[] = "/tmp/strata-test-seen-XXXXXX", gone[64];
    struct strata_error err = {0};
    struct strata_seen *seen;
    bool fresh;
    int code = 0;
    assert_non_null(mkdtemp(directory));
    setenv("TMPDIR", directory, 1);
    assert_int_equal(strata_seen_open(&seen, TINY, NULL), 0);
    for (uint64_t i = 0; i < 1000; i++) assert_true(add(seen, number(i)));
    assert_true(strata_seen_runs(seen) > 0);
    assert_int_equal(entries(directory), 0); /* the files have no names: a kill leaves nothing */
    strata_seen_close(seen);

    snprintf(gone, sizeof gone, "%s/gone", directory);
    setenv("TMPDIR", gone, 1);
    assert_int_equal(strata_seen_open(&seen, TINY, NULL), 0);
    for (uint64_t i = 0; i < 1000 && !code; i++) code = strata_seen_add(seen, &fresh, number(i), &err);
    assert_int_equal(code, STRATA_ERR_IO);
    assert_non_null(strstr(err.what, "create the temporary file"));
    assert_non_null(strstr(err.hint, "TMPDIR"));
    assert_string_equal(err.where, gone);
    strata_seen_close(seen);
    unsetenv("TMPDIR");
    rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test(test_spilled_and_merged),
        cmocka_unit_test(test_crowded),
        cmocka_unit_test(test_temporary_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
