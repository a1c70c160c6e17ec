/* Image features on disk: found again, bounded, and never wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/feature_files.h"

#define COUNT 250

static char directory[64];

static int setup(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/strata-features-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

/* Calls visit for every file; returns how many there are and adds their sizes up. */
static size_t each_file(size_t *bytes, void (*visit)(const char *path)) {
    DIR *opened = opendir(directory);
    size_t count = 0;
    assert_non_null(opened);
    *bytes = 0;
    for (struct dirent *entry; (entry = readdir(opened));) {
        struct stat facts;
        if (entry->d_name[0] == '.') continue;
        char *path = strata_path_join(directory, entry->d_name);
        if (visit) visit(path);
        if (!stat(path, &facts)) *bytes += (size_t)facts.st_size, count++;
        free(path);
    }
    closedir(opened);
    return count;
}

static void remove_file(const char *path) {
    unlink(path);
}

static int teardown(void **state) {
    size_t bytes;
    (void)state;
    each_file(&bytes, remove_file);
    return rmdir(directory);
}

static struct feature_files *opened(size_t limit, const char *identity) {
    struct feature_files *files;
    assert_int_equal(feature_files_open(&files, directory, limit, identity, NULL), 0);
    return files;
}

static void make(float values[COUNT], struct strata_hash *image, unsigned number) {
    for (size_t i = 0; i < COUNT; i++) values[i] = (float)(number * 1000 + i);
    *image = strata_hash_bytes(&number, sizeof number);
}

static bool is_there(struct feature_files *files, unsigned number) {
    float values[COUNT], found[COUNT];
    struct strata_hash image;
    make(values, &image, number);
    if (!feature_files_get(files, image, found, COUNT)) return false;
    assert_memory_equal(found, values, sizeof values);
    return true;
}

static void keep(struct feature_files *files, unsigned number) {
    float values[COUNT];
    struct strata_hash image;
    make(values, &image, number);
    feature_files_put(files, image, values, COUNT);
}

static void found_again_by_the_same_model_only(void **state) {
    float other[COUNT];
    struct strata_hash image;
    (void)state;
    struct feature_files *files = opened(1 << 20, "model a");
    assert_false(is_there(files, 1));
    keep(files, 1);
    assert_true(is_there(files, 1));
    feature_files_close(files);
    files = opened(1 << 20, "model a");
    assert_true(is_there(files, 1));
    assert_false(is_there(files, 2));
    make(other, &image, 1);
    assert_false(feature_files_get(files, image, other, COUNT - 1)); /* another grid */
    feature_files_close(files);
    files = opened(1 << 20, "model b");
    assert_false(is_there(files, 1));
    feature_files_close(files);
}

static void age(const char *path) {
    struct stat facts;
    stat(path, &facts);
    const struct timespec times[2] = {{facts.st_atim.tv_sec - 10, 0}, {facts.st_mtim.tv_sec - 10, 0}};
    utimensat(-100, path, times, 0); /* AT_FDCWD */
}

static void bounded_and_oldest_first(void **state) {
    size_t bytes;
    const size_t limit = 16 * (COUNT * sizeof(float) + 64);
    (void)state;
    struct feature_files *files = opened(limit, "bounded");
    for (unsigned i = 10; i < 18; i++) {
        each_file(&bytes, age);
        keep(files, i);
    }
    assert_true(is_there(files, 10)); /* used: now the youngest */
    for (unsigned i = 18; i < 60; i++) {
        each_file(&bytes, age);
        if (i == 24) assert_true(is_there(files, 10));
        keep(files, i);
        each_file(&bytes, NULL);
        assert_true(bytes <= limit);
        if (i == 27) assert_true(is_there(files, 10));
        if (i == 27) assert_false(is_there(files, 11));
    }
    assert_true(is_there(files, 59));
    feature_files_close(files);
    files = opened(limit / 4, "bounded"); /* a smaller limit holds from the start */
    each_file(&bytes, NULL);
    assert_true(bytes <= limit / 4);
    feature_files_close(files);
}

static void change(const char *path) {
    struct strata_buffer whole = {0};
    assert_int_equal(strata_file_read(&whole, path, 0, NULL), 0);
    whole.data[whole.length - 9] = (char)(whole.data[whole.length - 9] ^ 1);
    assert_int_equal(strata_file_write(path, whole.data, whole.length, NULL), 0);
    strata_buffer_free(&whole);
}

static void cut_short(const char *path) {
    assert_int_equal(truncate(path, 300), 0);
}

static void damage_is_seen(void **state) {
    size_t bytes;
    (void)state;
    each_file(&bytes, remove_file);
    struct feature_files *files = opened(1 << 20, "damaged");
    void (*damages[])(const char *) = {change, cut_short};
    for (size_t i = 0; i < 2; i++) {
        keep(files, 7);
        assert_true(is_there(files, 7));
        assert_int_equal(each_file(&bytes, damages[i]), 1);
        assert_false(is_there(files, 7));
    }
    feature_files_close(files);
    /* What a killed process left is not read, and goes when room is needed. */
    char *path = strata_path_join(directory, "0.features.tmp-1");
    assert_int_equal(strata_file_write(path, directory, sizeof directory, NULL), 0);
    files = opened(10, "damaged");
    assert_false(strata_file_exists(path));
    feature_files_close(files);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(found_again_by_the_same_model_only),
                                       cmocka_unit_test(bounded_and_oldest_first), cmocka_unit_test(damage_is_seen)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
