/* Errors, buffers, files, JSON glue and the thread pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/threads.h"

static void test_error_line(void **state) {
    (void)state;
    struct strata_error error;
    char line[256];
    assert_int_equal(strata_fail(&error, STRATA_ERR_INPUT, "bad %s", "shape"), STRATA_ERR_INPUT);
    strata_fail_at(&error, STRATA_ERR_INPUT, "file:%d", 3);
    strata_fail_at_default(&error, STRATA_ERR_INPUT, "elsewhere");
    strata_fail_hint(&error, STRATA_ERR_INPUT, "look again");
    assert_string_equal(strata_error_line(&error, line, sizeof line), "file:3: bad shape (look again)");
    assert_int_equal(strata_fail(NULL, STRATA_ERR_IO, "ignored"), STRATA_ERR_IO);
}

static void test_sizes_are_checked(void **state) {
    (void)state;
    struct strata_error error;
    void *memory;
    size_t product;
    /* volatile: the compiler would warn of the very sizes that the test wants refused */
    volatile size_t absurd = SIZE_MAX / 2;
    assert_int_equal(strata_alloc(&memory, absurd, 3, &error), STRATA_ERR_MEMORY);
    assert_null(memory);
    assert_int_equal(strata_alloc_aligned(&memory, absurd, 3, &error), STRATA_ERR_MEMORY);
    assert_false(strata_mul_ok(&product, SIZE_MAX, 2));
    assert_true(strata_mul_ok(&product, 6, 7) && product == 42);
    assert_int_equal(strata_alloc_aligned(&memory, 3, 5, &error), 0);
    assert_int_equal((uintptr_t)memory % STRATA_ALIGNMENT, 0);
    free(memory);
}

static void test_buffer(void **state) {
    (void)state;
    struct strata_buffer buffer = {0};
    assert_string_equal(strata_buffer_string(&buffer), "");
    for (int i = 0; i < 1000; i++) strata_buffer_printf(&buffer, "%d,", i);
    assert_int_equal(buffer.length, 3890);
    assert_int_equal(strlen(buffer.data), 3890);
    assert_int_equal(strata_buffer_check(&buffer, NULL), 0);
    strata_buffer_free(&buffer);
}

static void test_atomic_write_replaces_whole(void **state) {
    (void)state;
    char directory[] = "/tmp/strata-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char *path = strata_path_join(directory, "sub/file"), *parent = strata_path_directory(path);
    struct strata_error error;
    assert_int_equal(strata_file_write(path, "x", 1, &error), STRATA_ERR_IO);
    assert_int_equal(strata_make_directories(parent, &error), 0);
    assert_int_equal(strata_file_write(path, "first", 5, &error), 0);
    struct strata_atomic_file file;
    assert_int_equal(strata_atomic_open(&file, path, &error), 0);
    fputs("half", file.stream);
    strata_atomic_abort(&file);
    struct strata_buffer text = {0};
    assert_int_equal(strata_file_read(&text, path, 0, &error), 0);
    assert_string_equal(text.data, "first");
    assert_int_equal(strata_file_read(&text, path, 3, &error), STRATA_ERR_INPUT);
    strata_buffer_free(&text);
    unlink(path);
    rmdir(parent);
    rmdir(directory);
    free(parent);
    free(path);
}

/* A file's hash is that of its bytes, however many pieces it is read in. */
static void test_hash_of_a_file(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, (1 << 20) - 1, 1 << 20, (24 << 20) + 7};
    char path[] = "/tmp/strata-test-XXXXXX";
    int handle = mkstemp(path);
    assert_true(handle >= 0);
    struct strata_hash expected[5], hash;
    size_t length = 0;
    for (int i = 0; i < 5; i++) {
        unsigned char *bytes = calloc(lengths[i] + 1, 1);
        assert_non_null(bytes);
        for (size_t at = 0; at < lengths[i]; at++) bytes[at] = (unsigned char)(at * 7 + at / 251);
        expected[i] = strata_hash_bytes(bytes, lengths[i]);
        assert_int_equal(write(handle, bytes + length, lengths[i] - length), (ssize_t)(lengths[i] - length));
        length = lengths[i];
        assert_int_equal(strata_hash_file(&hash, path, NULL), 0);
        assert_true(hash.low == expected[i].low && hash.high == expected[i].high);
        free(bytes);
    }
    close(handle);
    unlink(path);
    assert_int_equal(strata_hash_file(&hash, path, NULL), STRATA_ERR_IO);
}

static void test_lock_has_one_holder(void **state) {
    (void)state;
    char path[] = "/tmp/strata-lock-XXXXXX";
    int handle = mkstemp(path), first, second;
    struct strata_error error;
    close(handle);
    assert_int_equal(strata_lock_acquire(&first, path, &error), 0);
    assert_int_equal(strata_lock_acquire(&second, path, &error), STRATA_ERR_STATE);
    assert_non_null(strstr(error.what, "pid"));
    strata_lock_release(first);
    assert_int_equal(strata_lock_acquire(&second, path, &error), 0);
    strata_lock_release(second);
    unlink(path);
}

static void test_json_errors_name_the_place(void **state) {
    (void)state;
    struct strata_error error;
    json_t *value;
    const char *bad = "{\"a\": 1,\n \"a\": 2}";
    assert_int_equal(strata_json_parse(&value, bad, strlen(bad), "f.json", 10, &error), STRATA_ERR_INPUT);
    assert_non_null(strstr(error.where, "f.json:11:"));
    const char *good = "{\"n\": 3, \"s\": \"x\", \"big\": 99}";
    assert_int_equal(strata_json_parse(&value, good, strlen(good), "f.json", 1, &error), 0);
    int64_t number = 0;
    assert_int_equal(strata_json_int(&number, value, "n", true, 0, 10, "f.json", &error), 0);
    assert_int_equal(number, 3);
    assert_int_equal(strata_json_int(&number, value, "big", true, 0, 10, "f.json", &error), STRATA_ERR_INPUT);
    assert_int_equal(strata_json_int(&number, value, "s", true, 0, 10, "f.json", &error), STRATA_ERR_INPUT);
    assert_int_equal(strata_json_int(&number, value, "none", false, 0, 10, "f.json", &error), 0);
    assert_int_equal(number, 3);
    json_decref(value);
}

struct counts {
    atomic_int visits[1000];
    atomic_int busy[8];
    atomic_bool shared;
};

static void count_visit(void *context, size_t index, size_t worker) {
    struct counts *counts = context;
    if (atomic_fetch_add(&counts->busy[worker], 1)) atomic_store(&counts->shared, true);
    atomic_fetch_add(&counts->visits[index], 1);
    atomic_fetch_sub(&counts->busy[worker], 1);
}

static void test_threads_run_each_task_once(void **state) {
    (void)state;
    for (size_t count = 1; count <= 5; count++) {
        struct strata_threads *threads;
        assert_int_equal(strata_threads_create(&threads, count, NULL), 0);
        assert_int_equal(strata_threads_count(threads), count);
        static struct counts counts;
        memset(&counts, 0, sizeof counts);
        for (int run = 0; run < 300; run++) strata_threads_run(threads, (size_t)run * 3, count_visit, &counts);
        for (int i = 0; i < 1000; i++) assert_int_equal(counts.visits[i], i < 897 ? 299 - i / 3 : 0);
        assert_false(counts.shared);
        strata_threads_destroy(threads);
    }
}

static double cpu_seconds(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void test_idle_threads_sleep(void **state) {
    (void)state;
    struct strata_threads *threads;
    static struct counts counts;
    assert_int_equal(strata_threads_create(&threads, 4, NULL), 0);
    for (int run = 0; run < 300; run++) strata_threads_run(threads, 8, count_visit, &counts);
    usleep(100000); /* they may wait a moment for more */
    double before = cpu_seconds();
    usleep(500000);
    double idle = cpu_seconds() - before;
    /* CPU time, so that other processes do not count. Three spinning workers take half a second each on free cores; on
     * a busy machine less, but not this little. */
    if (idle > 0.005) fail_msg("four idle threads took %.4f s of CPU in half a second", idle);
    strata_threads_destroy(threads);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_line),
        cmocka_unit_test(test_sizes_are_checked),
        cmocka_unit_test(test_buffer),
        cmocka_unit_test(test_atomic_write_replaces_whole),
        cmocka_unit_test(test_hash_of_a_file),
        cmocka_unit_test(test_lock_has_one_holder),
        cmocka_unit_test(test_json_errors_name_the_place),
        cmocka_unit_test(test_idle_threads_sleep),
        cmocka_unit_test(test_threads_run_each_task_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
