#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "data/image.h"

#define FOLDER "tests/data/images/"

static void read_file(struct strata_buffer *out, const char *name) {
    char path[256];
    struct strata_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s", name);
    if (strata_file_read(out, path, 0, &err)) fail_msg("%s: %s", path, err.what);
}

/* The `rgb` lines of expected.txt: what Pillow sees in each picture of the folder. */
static void decodes_as_pillow(void **state) {
    (void)state;
    struct strata_buffer list = {0};
    read_file(&list, "expected.txt");
    size_t pictures = 0;
    for (char *rest = list.data, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char name[64], hash[33], ours[33], path[128];
        size_t width, height;
        if (sscanf(line, "rgb %63s %zu %zu %32s", name, &width, &height, hash) != 4) continue;
        snprintf(path, sizeof path, FOLDER "%s", name);
        struct strata_image image;
        struct strata_error err = {0};
        if (strata_image_load(&image, path, &err)) fail_msg("%s: %s", name, err.what);
        strata_hash_text(ours, strata_hash_bytes(image.rgb, 3 * image.width * image.height));
        if (image.width != width || image.height != height || strcmp(ours, hash) != 0)
            fail_msg("%s: %zu x %zu, expected %zu x %zu, or other pixels", name, image.width, image.height, width,
                     height);
        strata_image_free(&image);
        pictures++;
    }
    assert_true(pictures > 80);
    strata_buffer_free(&list);
}

static void refuses_every_truncation(void **state) {
    (void)state;
    static const char *const names[] = {"png_c6_b8.png",   "adam7_pal_13x9.png", "sampling_2.jpg",
                                        "progressive.jpg", "lossy.webp",         "animated.webp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct strata_buffer file = {0};
        read_file(&file, names[i]);
        for (size_t length = 0; length < file.length; length++) {
            struct strata_image image;
            struct strata_error err = {0};
            unsigned char *exact = malloc(length + 1); /* its own block, so that a sanitizer sees a read beyond it */
            memcpy(exact, file.data, length);
            if (strata_image_decode(&image, exact, length, names[i], &err) == 0)
                fail_msg("%s cut to %zu of %zu bytes decodes", names[i], length, file.length);
            assert_null(image.rgb);
            assert_string_equal(err.where, names[i]);
            assert_true(err.what[0] != '\0');
            free(exact);
        }
        strata_buffer_free(&file);
    }
}

static void refuse(const char *bytes, size_t length, int code, const char *word) {
    struct strata_image image;
    struct strata_error err = {0};
    assert_int_equal(strata_image_decode(&image, bytes, length, "the.name", &err), code);
    assert_null(image.rgb);
    assert_string_equal(err.where, "the.name");
    if (strstr(err.what, word) == NULL) fail_msg("'%s' does not say '%s'", err.what, word);
}

static void refuses_what_is_no_image(void **state) {
    (void)state;
    refuse("", 0, STRATA_ERR_INPUT, "empty");
    refuse("GIF89a......", 12, STRATA_ERR_UNSUPPORTED, "GIF");
    refuse("BM..........", 12, STRATA_ERR_UNSUPPORTED, "BMP");
    refuse("<!DOCTYPE html>", 15, STRATA_ERR_UNSUPPORTED, "HTML");
    refuse("version https://git-lfs", 23, STRATA_ERR_UNSUPPORTED, "LFS");
    refuse("hello world!", 12, STRATA_ERR_INPUT, "not a PNG, JPEG or WebP");
    refuse("\xff\xd8\xff\xd9", 4, STRATA_ERR_INPUT, "JPEG");
}

static void refuses_too_many_pixels(void **state) {
    (void)state;
    /* A header alone: 40000 x 40000 RGB, with a right checksum. */
    static const char bomb[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x9c\x40\0\0\x9c\x40\x08\x02\0\0\0\xde\x6e\x99\x52"
                               "\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82";
    refuse(bomb, sizeof bomb - 1, STRATA_ERR_INPUT, "limit of 178956970 pixels");
    struct strata_buffer file = {0};
    struct strata_image image;
    struct strata_error err = {0};
    static const char *const names[] = {"lossy.webp", "sampling_0.jpg", "animated.png"};
    for (size_t i = 0; i < 3; i++) {
        read_file(&file, names[i]); /* each is 31 x 23 */
        assert_int_equal(strata_image_decode_limited(&image, file.data, file.length, 31 * 23 - 1, names[i], &err),
                         STRATA_ERR_INPUT);
        assert_int_equal(strata_image_decode_limited(&image, file.data, file.length, 31 * 23, names[i], &err), 0);
        strata_image_free(&image);
    }
    strata_buffer_free(&file);
}

static void names_a_missing_file(void **state) {
    (void)state;
    struct strata_image image;
    struct strata_error err = {0};
    char line[1500];
    assert_int_not_equal(strata_image_load(&image, FOLDER "no such file.png", &err), 0);
    assert_non_null(strstr(strata_error_line(&err, line, sizeof line), "no such file.png"));
    assert_null(image.rgb);
}

static void encodes_exact_pixels(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {1, 70}, {333, 1}, {31, 17}, {640, 3}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct strata_image image = {.width = sizes[i][0], .height = sizes[i][1]}, back, copy;
        const size_t samples = 3 * image.width * image.height;
        image.rgb = malloc(samples);
        for (size_t k = 0; k < samples; k++) image.rgb[k] = (uint8_t)(k * k * 7 >> 3);
        struct strata_buffer png = {0};
        strata_buffer_text(&png, "before"); /* appended, not overwritten */
        assert_int_equal(strata_image_encode_png(&png, &image, NULL), 0);
        assert_int_equal(strata_image_decode(&back, png.data + 6, png.length - 6, "png", NULL), 0);
        assert_int_equal(back.width, image.width);
        assert_int_equal(back.height, image.height);
        assert_memory_equal(back.rgb, image.rgb, samples);
        assert_int_equal(strata_image_copy(&copy, &back, NULL), 0);
        assert_memory_equal(copy.rgb, image.rgb, samples);
        strata_image_free(&copy);
        strata_image_free(&back);
        strata_image_free(&image);
        strata_buffer_free(&png);
    }
}

static unsigned brightness(const struct strata_image *image, size_t x, size_t y) {
    const uint8_t *pixel = image->rgb + 3 * (y * image->width + x);
    return (unsigned)pixel[0] + pixel[1] + pixel[2];
}

static void draws_the_map_where_it_belongs(void **state) {
    (void)state;
    struct strata_image image = {.width = 64, .height = 40, .rgb = calloc(3 * 64 * 40, 1)}, map;
    float values[2][3] = {{0, 0, 0}, {0, 0, 8}}; /* lower right */
    assert_int_equal(strata_image_heatmap(&map, &image, values[0], 2, 3, NULL), 0);
    assert_int_equal(map.width, 448);
    assert_int_equal(map.height, 280);
    assert_true(brightness(&map, 440, 270) > 300);
    assert_true(brightness(&map, 10, 10) < 30);
    assert_true(brightness(&map, 440, 10) < 30);
    assert_true(brightness(&map, 10, 270) < 30);
    strata_image_free(&map);
    memset(values, 0, sizeof values); /* nothing to normalise by */
    assert_int_equal(strata_image_heatmap(&map, &image, values[0], 2, 3, NULL), 0);
    strata_image_free(&map);
    values[1][0] = NAN;
    assert_int_equal(strata_image_heatmap(&map, &image, values[0], 2, 3, NULL), STRATA_ERR_NUMERIC);
    assert_int_equal(strata_image_heatmap(&map, &image, values[0], 0, 3, NULL), STRATA_ERR_USAGE);
    strata_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_as_pillow),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_what_is_no_image),
        cmocka_unit_test(refuses_too_many_pixels),
        cmocka_unit_test(names_a_missing_file),
        cmocka_unit_test(encodes_exact_pixels),
        cmocka_unit_test(draws_the_map_where_it_belongs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
