#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "data/image.h"

/* White, so that what a black mask hides can be counted. */
static struct strata_image white(size_t width, size_t height) {
    struct strata_image image = {.width = width, .height = height, .rgb = malloc(3 * width * height)};
    memset(image.rgb, 255, 3 * width * height);
    return image;
}

static bool hidden(const struct strata_image *image, size_t x, size_t y) {
    const uint8_t *pixel = image->rgb + 3 * (y * image->width + x);
    assert_true(pixel[0] == pixel[1] && pixel[1] == pixel[2] && (pixel[0] == 0 || pixel[0] == 255));
    return pixel[0] == 0;
}

static size_t count_hidden(const struct strata_image *image) {
    size_t count = 0;
    for (size_t i = 0; i < image->width * image->height; i++) count += hidden(image, i, 0);
    return count;
}

static struct strata_image masked(size_t width, size_t height, const struct strata_mask *mask, const char *id,
                                  unsigned tenths, unsigned draw, unsigned index) {
    struct strata_image image = white(width, height);
    assert_int_equal(strata_image_mask(&image, mask, 5, id, tenths, draw, index, NULL), 0);
    return image;
}

static void hides_the_exact_count(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {1, 5}, {3, 5}, {64, 64}, {65, 63}, {7, 9}, {8, 8}, {101, 57}};
    const struct strata_mask mask = {.kind = STRATA_MASK_PIXEL};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (unsigned tenths = 0; tenths <= 10; tenths++) {
            struct strata_image image = masked(sizes[s][0], sizes[s][1], &mask, "a", tenths, 0, 0);
            assert_int_equal(count_hidden(&image), (2 * tenths * sizes[s][0] * sizes[s][1] + 10) / 20);
            strata_image_free(&image);
        }
    }
}

/* Every one of the C(6,2) or C(6,4) subsets is equally likely: chi-square with 14 degrees of freedom, 1e-6 beyond 57.
 */
static void every_subset_is_equally_likely(void **state) {
    (void)state;
    const struct strata_mask mask = {.kind = STRATA_MASK_PIXEL};
    static const unsigned ratios[] = {3, 7}; /* 2 and 4 of 6 pixels; the second draws the complement */
    for (size_t r = 0; r < 2; r++) {
        const unsigned draws = 15000;
        unsigned seen[64] = {0};
        for (unsigned draw = 0; draw < draws; draw++) {
            struct strata_image image = masked(3, 2, &mask, "chi", ratios[r], draw, 0);
            size_t subset = 0;
            for (size_t i = 0; i < 6; i++) subset |= (size_t)hidden(&image, i, 0) << i;
            seen[subset]++;
            strata_image_free(&image);
        }
        double chi = 0.0;
        size_t subsets = 0;
        for (size_t i = 0; i < 64; i++) {
            if (seen[i] == 0) continue;
            subsets++;
            chi += ((double)seen[i] - draws / 15.0) * ((double)seen[i] - draws / 15.0) / (draws / 15.0);
        }
        assert_int_equal(subsets, 15);
        assert_true(chi < 57.0);
    }
}

static void depends_on_each_argument_and_nothing_else(void **state) {
    (void)state;
    static const enum strata_mask_kind kinds[] = {STRATA_MASK_PIXEL, STRATA_MASK_RECTANGLE, STRATA_MASK_PATCH};
    for (size_t k = 0; k < 3; k++) {
        const struct strata_mask mask = {.kind = kinds[k], .grid_rows = 20, .grid_columns = 20};
        struct strata_image images[6] = {
            masked(60, 60, &mask, "id", 3, 1, 0),  masked(60, 60, &mask, "id", 3, 1, 0),
            masked(60, 60, &mask, "id2", 3, 1, 0), masked(60, 60, &mask, "id", 3, 2, 0),
            masked(60, 60, &mask, "id", 3, 1, 1),  white(60, 60),
        };
        assert_int_equal(strata_image_mask(&images[5], &mask, 6, "id", 3, 1, 0, NULL), 0); /* another seed */
        assert_memory_equal(images[0].rgb, images[1].rgb, 3 * 60 * 60);
        for (size_t i = 2; i < 6; i++) assert_memory_not_equal(images[0].rgb, images[i].rgb, 3 * 60 * 60);
        for (size_t i = 0; i < 6; i++) strata_image_free(&images[i]);
    }
}

/* Masks are part of the file format of a run: these must never change. */
static void stays_what_it_was(void **state) {
    (void)state;
    static const char *const pinned[3] = {"6ead1757b7e1a538cb5687bdb83ff72e", "9c06e8657942b9ac79b3e6dcbf809227",
                                          "5645734a5ebb2ad3aeaaae1e0610e996"};
    for (int kind = 0; kind < 3; kind++) {
        const struct strata_mask mask = {.kind = (enum strata_mask_kind)kind, .grid_rows = 5, .grid_columns = 7};
        struct strata_image image = masked(101, 57, &mask, "pinned", 4, 2, 1);
        char hash[33];
        strata_hash_text(hash, strata_hash_bytes(image.rgb, 3 * 101 * 57));
        assert_string_equal(hash, pinned[kind]);
        strata_image_free(&image);
    }
}

static size_t side_by_search(size_t side, unsigned tenths) {
    size_t found = 0;
    while (10 * (found + 1) * (found + 1) <= tenths * side * side) found++;
    return found > 0 ? found : 1;
}

static void rectangles_have_the_stated_sides(void **state) {
    (void)state;
    const struct strata_mask mask = {.kind = STRATA_MASK_RECTANGLE};
    for (size_t width = 1; width < 40; width += 3) {
        for (unsigned tenths = 1; tenths <= 10; tenths++) {
            const size_t height = 41 - width, wide = side_by_search(width, tenths),
                         high = side_by_search(height, tenths);
            assert_true(wide == 1 || (double)wide <= (double)width * sqrt(tenths / 10.0) + 1e-9);
            struct strata_image image = masked(width, height, &mask, "r", tenths, 3, 0);
            size_t left = width, top = height, right = 0, bottom = 0;
            for (size_t y = 0; y < height; y++) {
                for (size_t x = 0; x < width; x++) {
                    if (!hidden(&image, x, y)) continue;
                    left = x < left ? x : left;
                    right = x + 1 > right ? x + 1 : right;
                    top = y < top ? y : top;
                    bottom = y + 1 > bottom ? y + 1 : bottom;
                }
            }
            assert_int_equal(right - left, wide);
            assert_int_equal(bottom - top, high);
            assert_int_equal(count_hidden(&image), wide * high);
            strata_image_free(&image);
        }
    }
}

static void rectangles_reach_every_place(void **state) {
    (void)state;
    const struct strata_mask mask = {.kind = STRATA_MASK_RECTANGLE};
    unsigned seen[3][4] = {{0}};
    for (unsigned draw = 0; draw < 1200; draw++) { /* 2 x 2 in 4 x 5: 3 x 4 places */
        struct strata_image image = masked(4, 5, &mask, "places", 3, draw, 0);
        size_t place = 0;
        while (!hidden(&image, place, 0)) place++;
        seen[place % 4][place / 4]++;
        strata_image_free(&image);
    }
    for (size_t x = 0; x < 3; x++) {
        for (size_t y = 0; y < 4; y++) assert_in_range(seen[x][y], 55, 150); /* 100 expected, deviation 9.6 */
    }
}

static void patches_are_whole_cells(void **state) {
    (void)state;
    const struct strata_mask mask = {.kind = STRATA_MASK_PATCH, .grid_rows = 3, .grid_columns = 4};
    const size_t width = 30, height = 20;
    for (unsigned tenths = 1; tenths <= 10; tenths++) {
        struct strata_image image = masked(width, height, &mask, "p", tenths, 0, 0);
        size_t cells = 0;
        for (size_t row = 0; row < 3; row++) {
            for (size_t column = 0; column < 4; column++) {
                const size_t top = row * height / 3, left = column * width / 4;
                cells += hidden(&image, left, top);
                for (size_t y = top; y < (row + 1) * height / 3; y++) {
                    for (size_t x = left; x < (column + 1) * width / 4; x++)
                        assert_int_equal(hidden(&image, x, y), hidden(&image, left, top));
                }
            }
        }
        assert_int_equal(cells, (2 * tenths * 12 + 10) / 20);
        strata_image_free(&image);
    }
    struct strata_image image = white(4, 4);
    const struct strata_mask no_grid = {.kind = STRATA_MASK_PATCH};
    assert_int_equal(strata_image_mask(&image, &no_grid, 1, "p", 1, 0, 0, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_image_mask(&image, &mask, 1, "p", 11, 0, 0, NULL), STRATA_ERR_USAGE);
    assert_int_equal(count_hidden(&image), 0);
    strata_image_free(&image);
}

static void fills_with_what_was_asked(void **state) {
    (void)state;
    struct strata_image image = white(2, 2);
    memcpy(image.rgb, (const uint8_t[]){0, 10, 1, 1, 20, 1, 1, 31, 1, 0, 41, 0}, 12);
    struct strata_mask mask = {.kind = STRATA_MASK_RECTANGLE, .fill_mean = 1, .fill = {9, 9, 9}};
    assert_int_equal(strata_image_mask(&image, &mask, 1, "f", 10, 0, 0, NULL), 0);
    for (size_t i = 0; i < 4; i++) /* means 0.5, 25.5, 0.75 */
        assert_memory_equal(image.rgb + 3 * i, ((const uint8_t[]){1, 26, 1}), 3);
    mask = (struct strata_mask){.kind = STRATA_MASK_PIXEL, .fill = {1, 2, 3}};
    assert_int_equal(strata_image_mask(&image, &mask, 1, "f", 10, 0, 0, NULL), 0);
    for (size_t i = 0; i < 4; i++) assert_memory_equal(image.rgb + 3 * i, mask.fill, 3);
    strata_image_free(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hides_the_exact_count),
        cmocka_unit_test(every_subset_is_equally_likely),
        cmocka_unit_test(depends_on_each_argument_and_nothing_else),
        cmocka_unit_test(stays_what_it_was),
        cmocka_unit_test(rectangles_have_the_stated_sides),
        cmocka_unit_test(rectangles_reach_every_place),
        cmocka_unit_test(patches_are_whole_cells),
        cmocka_unit_test(fills_with_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
