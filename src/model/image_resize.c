/* Pillow's bicubic resize, bit for bit (libImaging/Resample.c, versions before 13): two passes, horizontal first, each
 * a sum of bytes times 22-bit fixed-point weights, rounded and clipped to a byte. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/image_processor.h"

#define WEIGHT_BITS 22 /* 8 bits of pixel and 2 of overshoot are left of 32 */

/* For every output position: `count` weights from input position `first` on. */
struct taps {
    size_t *first, *count;
    int32_t *weights; /* (size, width) */
    size_t width;     /* most weights any position has */
};

static void free_taps(struct taps *taps) {
    free(taps->first);
    free(taps->count);
    free(taps->weights);
}

/* Keys' cubic convolution with a = -0.5, in Pillow's order of operations. */
static double bicubic(double x) {
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static int32_t fixed_point(double weight) {
    const double scaled = weight * (double)(1 << WEIGHT_BITS);
    return (int32_t)(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

static void position_taps(struct taps *taps, double *weights, size_t position, size_t in_size, size_t out_size) {
    const double scale = (double)in_size / (double)out_size;
    const double stretch = scale < 1.0 ? 1.0 : scale; /* antialiased: the kernel widens when shrinking */
    const double support = 2.0 * stretch, inverse = 1.0 / stretch;
    const double center = ((double)position + 0.5) * scale;
    const double low = center - support + 0.5, high = center + support + 0.5;
    const size_t first = low > 0.0 ? (size_t)low : 0;
    const size_t end = high < (double)in_size ? (size_t)high : in_size;
    double sum = 0.0;
    for (size_t i = 0; i < end - first; i++) {
        weights[i] = bicubic(((double)i + (double)first - center + 0.5) * inverse);
        sum += weights[i];
    }
    for (size_t i = 0; i < end - first; i++)
        taps->weights[position * taps->width + i] = fixed_point(sum != 0.0 ? weights[i] / sum : weights[i]);
    taps->first[position] = first;
    taps->count[position] = end - first;
}

static int make_taps(struct taps *taps, size_t in_size, size_t out_size, struct strata_error *err) {
    *taps = (struct taps){0};
    const double scale = (double)in_size / (double)out_size;
    const double support = scale < 1.0 ? 2.0 : 2.0 * scale;
    taps->width = (size_t)support + 1; /* ceil, at least */
    taps->width = 2 * taps->width + 1;
    double *weights = NULL;
    size_t total;
    int code =
        strata_mul_ok(&total, out_size, taps->width)
            ? 0
            : strata_fail(err, STRATA_ERR_MEMORY, "resizing %zu to %zu needs too many weights", in_size, out_size);
    if (code == 0) code = strata_alloc(&taps->first, out_size, sizeof *taps->first, err);
    if (code == 0) code = strata_alloc(&taps->count, out_size, sizeof *taps->count, err);
    if (code == 0) code = strata_alloc(&taps->weights, total, sizeof *taps->weights, err);
    if (code == 0) code = strata_alloc(&weights, taps->width, sizeof *weights, err);
    if (code == 0) {
        for (size_t i = 0; i < out_size; i++) position_taps(taps, weights, i, in_size, out_size);
    }
    free(weights);
    return code;
}

static uint8_t round_and_clip(int32_t sum) {
    const int32_t level = sum >> WEIGHT_BITS;
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

static void horizontal_row(uint8_t *out, const uint8_t *in, const struct taps *taps, size_t out_width) {
    for (size_t x = 0; x < out_width; x++, out += 3) {
        const int32_t *weights = taps->weights + x * taps->width;
        const uint8_t *pixel = in + 3 * taps->first[x];
        const int32_t half = 1 << (WEIGHT_BITS - 1);
        int32_t red = half, green = half, blue = half;
        for (size_t i = 0; i < taps->count[x]; i++, pixel += 3) {
            red += pixel[0] * weights[i];
            green += pixel[1] * weights[i];
            blue += pixel[2] * weights[i];
        }
        out[0] = round_and_clip(red);
        out[1] = round_and_clip(green);
        out[2] = round_and_clip(blue);
    }
}

/* sums: scratch of `samples` numbers. Row by row, so that it runs along memory. */
static void vertical_row(uint8_t *out, int32_t *sums, const uint8_t *in, const struct taps *taps, size_t y,
                         size_t samples) {
    for (size_t i = 0; i < samples; i++) sums[i] = 1 << (WEIGHT_BITS - 1);
    for (size_t tap = 0; tap < taps->count[y]; tap++) {
        const int32_t weight = taps->weights[y * taps->width + tap];
        const uint8_t *row = in + (taps->first[y] + tap) * samples;
        for (size_t i = 0; i < samples; i++) sums[i] += row[i] * weight;
    }
    for (size_t i = 0; i < samples; i++) out[i] = round_and_clip(sums[i]);
}

static int resize_width(struct strata_image *out, const struct strata_image *image, struct strata_error *err) {
    struct taps taps;
    int code = make_taps(&taps, image->width, out->width, err);
    if (code == 0) code = strata_alloc(&out->rgb, out->width * out->height, 3, err);
    if (code == 0) {
        for (size_t y = 0; y < image->height; y++)
            horizontal_row(out->rgb + 3 * y * out->width, image->rgb + 3 * y * image->width, &taps, out->width);
    }
    free_taps(&taps);
    return code;
}

static int resize_height(struct strata_image *out, const struct strata_image *image, struct strata_error *err) {
    const size_t samples = 3 * image->width;
    struct taps taps;
    int32_t *sums = NULL;
    int code = make_taps(&taps, image->height, out->height, err);
    if (code == 0) code = strata_alloc(&out->rgb, out->width * out->height, 3, err);
    if (code == 0) code = strata_alloc(&sums, samples, sizeof *sums, err);
    if (code == 0) {
        for (size_t y = 0; y < out->height; y++)
            vertical_row(out->rgb + y * samples, sums, image->rgb, &taps, y, samples);
    }
    free(sums);
    free_taps(&taps);
    return code;
}

int strata_image_resize(struct strata_image *out, const struct strata_image *image, size_t height, size_t width,
                        struct strata_error *err) {
    *out = (struct strata_image){0};
    const size_t limit = STRATA_IMAGE_MAX_PIXELS;
    if (width == 0 || height == 0 || width > limit / height || image->width == 0 || image->height == 0 ||
        width > limit / image->height)
        return strata_fail(err, STRATA_ERR_USAGE, "an image of %zu x %zu cannot be resized to %zu x %zu", image->width,
                           image->height, width, height);
    if (width == image->width && height == image->height) return strata_image_copy(out, image, err);
    struct strata_image middle = {.width = width, .height = image->height};
    int code = 0;
    if (width != image->width) code = resize_width(&middle, image, err);
    *out = (struct strata_image){.width = width, .height = height};
    if (code == 0 && height == image->height) {
        *out = middle;
        return 0;
    }
    if (code == 0) code = resize_height(out, width != image->width ? &middle : image, err);
    free(middle.rgb);
    if (code) strata_image_free(out);
    return code;
}
