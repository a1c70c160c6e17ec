/* An attention map over its image, for people to look at. */
#include <math.h>
#include <string.h>

#include "data/image_codec.h"

#define MIN_SIDE 448

/* Ten evenly spaced colours of matplotlib's inferno (CC0), a map of even perceptual steps, linear between them. */
static const uint8_t inferno[10][3] = {{0, 0, 4},     {27, 12, 65},   {75, 12, 107}, {120, 28, 109}, {165, 44, 96},
                                       {207, 68, 70}, {237, 105, 37}, {251, 155, 6}, {247, 209, 61}, {252, 255, 164}};

static void colour_of(float rgb[3], float value) {
    const float place = value * 9.0f;
    const size_t below = place >= 8.0f ? 8 : (size_t)place;
    const float share = place - (float)below;
    for (size_t c = 0; c < 3; c++)
        rgb[c] = (1.0f - share) * (float)inferno[below][c] + share * (float)inferno[below + 1][c];
}

/* Where the centre of output pixel `i` of `size` falls between the centres of `cells` samples: sample `first`, its
 * neighbour `second`, and the neighbour's weight. */
struct between {
    size_t first, second;
    float weight;
};
static struct between place_between(size_t i, size_t size, size_t cells) {
    float place = ((float)i + 0.5f) * (float)cells / (float)size - 0.5f;
    if (place < 0.0f) place = 0.0f;
    if (place > (float)(cells - 1)) place = (float)(cells - 1);
    struct between result = {.first = (size_t)place};
    result.second = result.first + 1 < cells ? result.first + 1 : result.first;
    result.weight = place - (float)result.first;
    return result;
}

static float mix(float a, float b, float weight) {
    return a + weight * (b - a);
}

static float map_at(const float *values, size_t columns, struct between row, struct between column) {
    const float *upper = values + row.first * columns, *lower = values + row.second * columns;
    return mix(mix(upper[column.first], upper[column.second], column.weight),
               mix(lower[column.first], lower[column.second], column.weight), row.weight);
}

static float pixel_at(const struct strata_image *image, struct between row, struct between column, size_t channel) {
    const uint8_t *upper = image->rgb + 3 * row.first * image->width + channel;
    const uint8_t *lower = image->rgb + 3 * row.second * image->width + channel;
    return mix(mix(upper[3 * column.first], upper[3 * column.second], column.weight),
               mix(lower[3 * column.first], lower[3 * column.second], column.weight), row.weight);
}

/* The image, dimmed and half drained of colour, under the map; more of the map where the attention is. */
static void blend(uint8_t out[3], const float image[3], float value) {
    float colour[3];
    colour_of(colour, value);
    const float grey = 0.299f * image[0] + 0.587f * image[1] + 0.114f * image[2];
    const float opacity = 0.45f + 0.25f * value;
    for (size_t c = 0; c < 3; c++) {
        const float under = mix(image[c], grey, 0.4f);
        out[c] = (uint8_t)(mix(under, colour[c], opacity) + 0.5f);
    }
}

static int largest_value(float *largest, const float *values, size_t rows, size_t columns, struct strata_error *err) {
    *largest = 0.0f;
    for (size_t i = 0; i < rows * columns; i++) {
        if (!isfinite(values[i]))
            return strata_fail(err, STRATA_ERR_NUMERIC, "the map's value at row %zu, column %zu is not finite",
                               i / columns, i % columns);
        if (values[i] > *largest) *largest = values[i];
    }
    return 0;
}

int strata_image_heatmap(struct strata_image *out, const struct strata_image *image, const float *values, size_t rows,
                         size_t columns, struct strata_error *err) {
    *out = (struct strata_image){0};
    if (rows == 0 || columns == 0 || image->width == 0 || image->height == 0)
        return strata_fail(err, STRATA_ERR_USAGE, "a heat map of %zu x %zu values over an image of %zu x %zu", rows,
                           columns, image->width, image->height);
    float largest;
    int code = largest_value(&largest, values, rows, columns, err);
    if (code) return code;
    const size_t longer = image->width > image->height ? image->width : image->height;
    const size_t scale = (MIN_SIDE + longer - 1) / longer;
    const struct strata_image_input limits = {.max_pixels = STRATA_IMAGE_MAX_PIXELS, .name = "heat map"};
    code = strata_image_allocate(out, scale * image->width, scale * image->height, &limits, err);
    if (code) return code;
    for (size_t y = 0; y < out->height; y++) {
        const struct between map_row = place_between(y, out->height, rows);
        const struct between row = place_between(y, out->height, image->height);
        for (size_t x = 0; x < out->width; x++) {
            const struct between column = place_between(x, out->width, image->width);
            float value = map_at(values, columns, map_row, place_between(x, out->width, columns));
            value = largest > 0.0f && value > 0.0f ? value / largest : 0.0f;
            float under[3];
            for (size_t c = 0; c < 3; c++) under[c] = pixel_at(image, row, column, c);
            blend(out->rgb + 3 * (y * out->width + x), under, value > 1.0f ? 1.0f : value);
        }
    }
    return 0;
}
