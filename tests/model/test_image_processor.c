#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "model/image_processor.h"

#define FOLDER "tests/data/images/"

static struct strata_image load(const char *name) {
    char path[256];
    struct strata_image image;
    struct strata_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (strata_image_load(&image, path, &err)) fail_msg("%s: %s", path, err.what);
    return image;
}

/* Settings as if read from a file with this text. */
static int open_text(struct strata_image_processor *out, const char *text, size_t limit, struct strata_error *err) {
    char path[] = "/tmp/strata-processor-XXXXXX";
    const int handle = mkstemp(path);
    assert_true(handle >= 0);
    assert_int_equal(write(handle, text, strlen(text)), strlen(text));
    close(handle);
    int code = strata_image_processor_open(out, path, limit, err);
    unlink(path);
    return code;
}

static void check_resize(const char *name, size_t width, size_t height, const char *expected) {
    struct strata_image image = load(name), resized;
    char hash[33];
    assert_int_equal(strata_image_resize(&resized, &image, height, width, NULL), 0);
    assert_int_equal(resized.width, width);
    assert_int_equal(resized.height, height);
    strata_hash_text(hash, strata_hash_bytes(resized.rgb, 3 * width * height));
    if (strcmp(hash, expected) != 0) fail_msg("%s to %zu x %zu: other pixels than Pillow's", name, width, height);
    strata_image_free(&resized);
    strata_image_free(&image);
}

static void check_patches(const char *name, size_t low, size_t high, unsigned rows, unsigned columns,
                          const char *expected) {
    struct strata_image_processor processor;
    assert_int_equal(open_text(&processor, "{}", 0, NULL), 0);
    processor.min_pixels = low;
    processor.max_pixels = high;
    struct strata_image image = load(name);
    struct strata_grid grid;
    float *patches;
    char hash[33];
    assert_int_equal(strata_image_patches(&patches, &grid, &processor, &image, NULL), 0);
    assert_int_equal(grid.rows, rows);
    assert_int_equal(grid.columns, columns);
    strata_hash_text(hash, strata_hash_bytes(patches, (size_t)rows * columns * 1176 * sizeof *patches));
    if (strcmp(hash, expected) != 0) fail_msg("%s, %zu..%zu pixels: other patches than numpy's", name, low, high);
    free(patches);
    strata_image_free(&image);
}

/* The `resize` and `patches` lines of expected.txt. */
static void resizes_and_cuts_as_transformers(void **state) {
    (void)state;
    struct strata_buffer list = {0};
    assert_int_equal(strata_file_read(&list, FOLDER "expected.txt", 0, NULL), 0);
    size_t resizes = 0, cuts = 0;
    for (char *rest = list.data, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char name[64], hash[33];
        size_t first, second;
        unsigned rows, columns;
        if (sscanf(line, "resize %63s %zu %zu %32s", name, &first, &second, hash) == 4) {
            check_resize(name, first, second, hash);
            resizes++;
        } else if (sscanf(line, "patches %63s %zu %zu %u %u %32s", name, &first, &second, &rows, &columns, hash) == 6) {
            check_patches(name, first, second, rows, columns, hash);
            cuts++;
        }
    }
    assert_int_equal(resizes, 40);
    assert_int_equal(cuts, 10);
    strata_buffer_free(&list);
}

static void refuses_impossible_resizes(void **state) {
    (void)state;
    struct strata_image image = load("exif_6.jpg"), out;
    assert_int_equal(strata_image_resize(&out, &image, 0, 5, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_image_resize(&out, &image, 5, 0, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_image_resize(&out, &image, 1 << 20, 1 << 20, NULL), STRATA_ERR_USAGE);
    assert_null(out.rgb);
    strata_image_free(&image);
}

/* Of the golden smart_resize cases, those that a slip would change. */
static void sizes_as_transformers(void **state) {
    (void)state;
    static const size_t cases[][6] = {
        {42, 70, 3136, 1003520, 56, 56},     /* 1.5 and 2.5 both round to 2 */
        {14, 14, 1024, 262144, 56, 56},      /* 0.5 rounds to 0, min_pixels repairs it */
        {14, 2800, 15680, 31360, 28, 1792},  /* exactly 200 : 1 */
        {1, 200, 200704, 1003520, 56, 6356}, /* a growing side */
        {27, 29, 15680, 31360, 140, 140},    {41, 43, 3136, 1254400, 56, 84},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t height = 0, width = 0;
        assert_int_equal(
            strata_smart_resize(&height, &width, cases[i][0], cases[i][1], 28, cases[i][2], cases[i][3], NULL), 0);
        assert_int_equal(height, cases[i][4]);
        assert_int_equal(width, cases[i][5]);
    }
    size_t height, width;
    struct strata_error err = {0};
    assert_int_equal(strata_smart_resize(&height, &width, 14, 2801, 28, 3136, 9408, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "2801 x 14"));
    assert_int_equal(strata_smart_resize(&height, &width, 0, 5, 28, 3136, 9408, NULL), STRATA_ERR_USAGE);
}

static void reads_both_notations(void **state) {
    (void)state;
    struct strata_image_processor processor;
    assert_int_equal(
        open_text(&processor, "{\"min_pixels\": 100, \"max_pixels\": 2000, \"image_std\": [1, 2, 3]}", 0, NULL), 0);
    assert_int_equal(processor.min_pixels, 100);
    assert_int_equal(processor.max_pixels, 2000);
    assert_true(processor.std[2] == 3.0f);
    assert_int_equal(open_text(&processor, "{\"size\": {\"shortest_edge\": 50, \"longest_edge\": 900}}", 0, NULL), 0);
    assert_int_equal(processor.min_pixels, 50);
    assert_int_equal(processor.max_pixels, 900);
    /* Both given: min_pixels and max_pixels win. A limit lowers both where it must. */
    const char *both = "{\"size\": {\"shortest_edge\": 50, \"longest_edge\": 900}, \"max_pixels\": 800}";
    assert_int_equal(open_text(&processor, both, 0, NULL), 0);
    assert_int_equal(processor.max_pixels, 800);
    assert_int_equal(open_text(&processor, both, 700, NULL), 0);
    assert_int_equal(processor.max_pixels, 700);
    assert_int_equal(open_text(&processor, both, 40, NULL), 0);
    assert_int_equal(processor.min_pixels, 40);
    assert_int_equal(open_text(&processor, "{\"image_processor\": {\"patch_size\": 16}}", 0, NULL), 0);
    assert_int_equal(processor.patch_size, 16);
    assert_int_equal(processor.max_pixels, 28 * 28 * 1280);
}

static void refuses_bad_settings(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
        int code;
    } cases[] = {
        {"[1]", "object", STRATA_ERR_INPUT},
        {"{\"patch_size\": 0}", "patch_size", STRATA_ERR_INPUT},
        {"{\"merge_size\": \"2\"}", "merge_size", STRATA_ERR_INPUT},
        {"{\"min_pixels\": 9, \"max_pixels\": 8}", "min_pixels", STRATA_ERR_INPUT},
        {"{\"image_std\": [1, 0, 1]}", "image_std", STRATA_ERR_INPUT},
        {"{\"image_mean\": [1, 1]}", "image_mean", STRATA_ERR_INPUT},
        {"{\"do_rescale\": false}", "do_rescale", STRATA_ERR_UNSUPPORTED},
        {"{\"resample\": 2}", "resample", STRATA_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct strata_image_processor processor;
        struct strata_error err = {0};
        assert_int_equal(open_text(&processor, cases[i].text, 0, &err), cases[i].code);
        if (strstr(err.what, cases[i].word) == NULL) fail_msg("%s: %s", cases[i].text, err.what);
        assert_non_null(strstr(err.where, "strata-processor-"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes_and_cuts_as_transformers),
        cmocka_unit_test(refuses_impossible_resizes),
        cmocka_unit_test(sizes_as_transformers),
        cmocka_unit_test(reads_both_notations),
        cmocka_unit_test(refuses_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
