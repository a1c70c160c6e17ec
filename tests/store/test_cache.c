#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/cache.h"

static void expect(struct strata_cache *cache, const char *key, const char *want) {
    struct strata_buffer out = {0};
    bool found = false;
    assert_int_equal(strata_cache_get(cache, &out, &found, strata_hash_bytes(key, strlen(key)), NULL), 0);
    assert_int_equal(found, want != NULL);
    if (want) assert_string_equal(strata_buffer_string(&out), want);
    strata_buffer_free(&out);
}

static void keep(struct strata_cache *cache, const char *key, const char *text) {
    assert_int_equal(strata_cache_put(cache, strata_hash_bytes(key, strlen(key)), text, strlen(text), NULL), 0);
}

static void test_texts_come_back_and_the_first_stays(void **state) {
    char directory[] = "/tmp/strata-cache-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/cache.sqlite", directory);
    for (int run = 0; run < 2; run++) {
        struct strata_cache *cache;
        assert_int_equal(strata_cache_open(&cache, path, NULL), 0);
        expect(cache, "one", run ? "first" : NULL);
        keep(cache, "one", run ? "second" : "first");
        keep(cache, "two", "");
        expect(cache, "one", "first");
        expect(cache, "two", "");
        expect(cache, "three", NULL);
        assert_int_equal(strata_cache_close(cache, NULL), 0);
    }
    unlink(path);
    rmdir(directory);
}

static void test_a_file_that_is_no_cache(void **state) {
    struct strata_cache *cache;
    struct strata_error err = {0};
    (void)state;
    assert_int_equal(strata_cache_open(&cache, "/nowhere/at/all", &err), STRATA_ERR_IO);
    assert_int_equal(strata_cache_open(&cache, "tests/store/test_cache.c", &err), STRATA_ERR_IO);
    assert_string_equal(err.where, "tests/store/test_cache.c");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_come_back_and_the_first_stays),
        cmocka_unit_test(test_a_file_that_is_no_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
