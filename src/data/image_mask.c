/* PISM masks: which pixels are hidden is a pure function of (seed, sample id, ratio, draw, image index). */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/image_codec.h"

#define MAX_IMAGE_INDEX (UINT32_MAX / 16)

/* round(tenths/10 * items), half up, in integers (method.md, exact readings). */
static size_t hidden_count(size_t items, unsigned tenths) {
    return (size_t)((2 * (uint64_t)tenths * items + 10) / 20);
}

static void fill_span(struct strata_image *image, size_t row, size_t first, size_t last, const uint8_t fill[3]) {
    uint8_t *pixel = image->rgb + 3 * (row * image->width + first);
    for (size_t column = first; column < last; column++, pixel += 3) memcpy(pixel, fill, 3);
}

static void fill_box(struct strata_image *image, size_t top, size_t bottom, size_t left, size_t right,
                     const uint8_t fill[3]) {
    for (size_t row = top; row < bottom; row++) fill_span(image, row, left, right, fill);
}

static bool get_bit(const uint64_t *bits, size_t i) {
    return bits[i / 64] >> (i % 64) & 1;
}

/* Sets `chosen` of the `items` bits, each subset equally likely: Floyd's algorithm (Bentley, Floyd, CACM 30(9), 1987),
 * one draw per member and no index array. For item j = items-chosen..items-1 a number t in [0, j] is drawn; t joins the
 * subset, or j where t is in already. */
static void choose(uint64_t *bits, size_t items, size_t chosen, const struct strata_random *random) {
    for (size_t draw = 0; draw < chosen; draw++) {
        const size_t item = items - chosen + draw;
        const size_t drawn = (size_t)strata_random_below(random, draw, item + 1);
        const size_t member = get_bit(bits, drawn) ? item : drawn;
        bits[member / 64] |= UINT64_C(1) << (member % 64);
    }
}

/* A random subset of exactly `hidden` of `items`. Of the subset and its complement the smaller one is drawn; item i is
 * hidden where bit i equals *hidden_bit. *bits is the caller's (free()). */
static int draw_subset(uint64_t **bits, bool *hidden_bit, size_t items, size_t hidden,
                       const struct strata_random *random, struct strata_error *err) {
    *hidden_bit = hidden <= items - hidden;
    int code = strata_alloc(bits, items / 64 + 1, sizeof **bits, err);
    if (code == 0) choose(*bits, items, *hidden_bit ? hidden : items - hidden, random);
    return code;
}

static int mask_pixels(struct strata_image *image, const uint8_t fill[3], unsigned tenths,
                       const struct strata_random *random, struct strata_error *err) {
    const size_t pixels = image->width * image->height;
    uint64_t *bits;
    bool hidden_bit;
    int code = draw_subset(&bits, &hidden_bit, pixels, hidden_count(pixels, tenths), random, err);
    if (code) return code;
    for (size_t word = 0; word * 64 < pixels; word++) {
        uint64_t hidden = hidden_bit ? bits[word] : ~bits[word];
        if (pixels - word * 64 < 64) hidden &= (UINT64_C(1) << (pixels - word * 64)) - 1;
        for (; hidden != 0; hidden &= hidden - 1)
            memcpy(image->rgb + 3 * (word * 64 + (size_t)__builtin_ctzll(hidden)), fill, 3);
    }
    free(bits);
    return 0;
}

static int mask_patches(struct strata_image *image, const struct strata_mask *mask, const uint8_t fill[3],
                        unsigned tenths, const struct strata_random *random, struct strata_error *err) {
    const size_t rows = mask->grid_rows, columns = mask->grid_columns;
    size_t cells, product;
    if (rows == 0 || columns == 0 || !strata_mul_ok(&cells, rows, columns) || cells > STRATA_IMAGE_MAX_PIXELS ||
        !strata_mul_ok(&product, rows, image->height) || !strata_mul_ok(&product, columns, image->width))
        return strata_fail(err, STRATA_ERR_USAGE, "a patch mask needs a grid of cells, not %zu x %zu", rows, columns);
    uint64_t *bits;
    bool hidden_bit;
    int code = draw_subset(&bits, &hidden_bit, cells, hidden_count(cells, tenths), random, err);
    if (code) return code;
    for (size_t cell = 0; cell < cells; cell++) {
        if (get_bit(bits, cell) != hidden_bit) continue;
        const size_t row = cell / columns, column = cell % columns;
        fill_box(image, row * image->height / rows, (row + 1) * image->height / rows, column * image->width / columns,
                 (column + 1) * image->width / columns, fill);
    }
    free(bits);
    return 0;
}

/* floor(side * sqrt(tenths/10)), at least 1, in integers: the largest s with 10 s^2 <= tenths side^2. */
static size_t rectangle_side(size_t side, unsigned tenths) {
    const uint64_t bound = (uint64_t)tenths * side * side;
    uint64_t low = 0, high = side;
    while (low < high) {
        const uint64_t middle = (low + high + 1) / 2;
        if (10 * middle * middle <= bound)
            low = middle;
        else
            high = middle - 1;
    }
    return low > 0 ? (size_t)low : 1;
}

static void mask_rectangle(struct strata_image *image, const uint8_t fill[3], unsigned tenths,
                           const struct strata_random *random) {
    const size_t width = rectangle_side(image->width, tenths), height = rectangle_side(image->height, tenths);
    const size_t left = (size_t)strata_random_below(random, 0, image->width - width + 1);
    const size_t top = (size_t)strata_random_below(random, 1, image->height - height + 1);
    fill_box(image, top, top + height, left, left + width, fill);
}

static void choose_fill(uint8_t fill[3], const struct strata_mask *mask, const struct strata_image *image) {
    memcpy(fill, mask->fill, 3);
    const uint64_t pixels = image->width * image->height;
    if (!mask->fill_mean || !pixels) return;
    uint64_t sums[3] = {0};
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < 3; c++) sums[c] += image->rgb[3 * i + c];
    }
    for (size_t c = 0; c < 3; c++) fill[c] = (uint8_t)((2 * sums[c] + pixels) / (2 * pixels));
}

int strata_image_mask(struct strata_image *image, const struct strata_mask *mask, uint64_t seed, const char *sample_id,
                      unsigned tenths, unsigned draw, unsigned image_index, struct strata_error *err) {
    if (tenths > 10) return strata_fail(err, STRATA_ERR_USAGE, "a mask ratio of %u tenths is above 10", tenths);
    if (image_index > MAX_IMAGE_INDEX)
        return strata_fail(err, STRATA_ERR_USAGE, "image index %u is above %u", image_index, MAX_IMAGE_INDEX);
    if (tenths == 0 || image->width == 0 || image->height == 0) return 0;
    const struct strata_random random =
        strata_random_make(seed, sample_id, STRATA_PURPOSE_MASK, 16 * image_index + tenths, draw);
    uint8_t fill[3];
    choose_fill(fill, mask, image);
    switch (mask->kind) {
    case STRATA_MASK_PIXEL:
        return mask_pixels(image, fill, tenths, &random, err);
    case STRATA_MASK_RECTANGLE:
        mask_rectangle(image, fill, tenths, &random);
        return 0;
    case STRATA_MASK_PATCH:
        return mask_patches(image, mask, fill, tenths, &random, err);
    }
    return strata_fail(err, STRATA_ERR_USAGE, "unknown kind of mask %d", (int)mask->kind);
}
