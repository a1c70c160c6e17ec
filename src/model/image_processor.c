#include "model/image_processor.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

#define CONFIG_LIMIT      ((size_t)1 << 20)
#define MAX_ASPECT        200.0 /* smart_resize refuses more */
#define BICUBIC           3     /* Pillow's number for it */
#define MAX_PATCH_SIZE    256
#define MAX_MERGE_SIZE    16
#define MAX_TEMPORAL_SIZE 16

/* Three reals, or one for all channels. Absent leaves *out. */
static int read_channels(float out[3], const json_t *config, const char *key, bool positive, const char *path,
                         struct strata_error *err) {
    const json_t *value = json_object_get(config, key);
    if (value == NULL || json_is_null(value)) return 0;
    const bool list = json_is_array(value) && json_array_size(value) == 3;
    for (size_t c = 0; c < 3; c++) {
        const json_t *item = list ? json_array_get(value, c) : value;
        const float number = (float)json_number_value(item);
        if (!json_is_number(item) || !isfinite(number) || (positive && number <= 0.0f)) {
            strata_fail(err, STRATA_ERR_INPUT, "%s must be three %snumbers", key, positive ? "positive " : "");
            return strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
        }
        out[c] = number;
    }
    return 0;
}

static int read_size(unsigned *out, const json_t *config, const char *key, int64_t high, const char *path,
                     struct strata_error *err) {
    int64_t value = *out;
    int code = strata_json_int(&value, config, key, false, 1, high, path, err);
    *out = (unsigned)value;
    return code;
}

/* min_pixels / max_pixels win over size, as in transformers. */
static int read_pixel_bounds(struct strata_image_processor *out, const json_t *config, const char *path,
                             struct strata_error *err) {
    int64_t low = (int64_t)out->min_pixels, high = (int64_t)out->max_pixels;
    const int64_t most = INT64_C(1) << 40;
    const json_t *size = json_object_get(config, "size");
    int code = 0;
    if (json_is_object(size)) {
        code = strata_json_int(&low, size, "shortest_edge", false, 1, most, path, err);
        if (code == 0) code = strata_json_int(&high, size, "longest_edge", false, 1, most, path, err);
    }
    if (code == 0) code = strata_json_int(&low, config, "min_pixels", false, 1, most, path, err);
    if (code == 0) code = strata_json_int(&high, config, "max_pixels", false, 1, most, path, err);
    if (code) return code;
    if (low > high) {
        strata_fail(err, STRATA_ERR_INPUT, "min_pixels %lld is above max_pixels %lld", (long long)low, (long long)high);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
    }
    out->min_pixels = (size_t)low;
    out->max_pixels = (size_t)high;
    return 0;
}

/* Settings that would make another computation of it than the one built here. */
static int refuse_other_steps(const json_t *config, const char *path, struct strata_error *err) {
    static const char *const steps[] = {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        bool on = true;
        int code = strata_json_bool(&on, config, steps[i], false, path, err);
        if (code) return code;
        if (!on) {
            strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s is false; only the full Qwen2-VL processing is built",
                        steps[i]);
            return strata_fail_at(err, STRATA_ERR_UNSUPPORTED, "%s", path);
        }
    }
    int64_t resample = BICUBIC;
    int code = strata_json_int(&resample, config, "resample", false, 0, 5, path, err);
    if (code) return code;
    if (resample != BICUBIC) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "resample is %lld; only 3 (bicubic) is built", (long long)resample);
        return strata_fail_at(err, STRATA_ERR_UNSUPPORTED, "%s", path);
    }
    return 0;
}

static int read_config(struct strata_image_processor *out, const json_t *config, const char *path,
                       struct strata_error *err) {
    /* The defaults of transformers' Qwen2VLImageProcessor (OpenAI CLIP's mean and deviation). */
    *out = (struct strata_image_processor){.min_pixels = (size_t)56 * 56,
                                           .max_pixels = (size_t)28 * 28 * 1280,
                                           .patch_size = 14,
                                           .temporal_patch_size = 2,
                                           .merge_size = 2,
                                           .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                                           .std = {0.26862954f, 0.26130258f, 0.27577711f},
                                           .rescale = 1.0 / 255.0};
    int code = refuse_other_steps(config, path, err);
    if (code == 0) code = read_pixel_bounds(out, config, path, err);
    if (code == 0) code = read_size(&out->patch_size, config, "patch_size", MAX_PATCH_SIZE, path, err);
    if (code == 0)
        code = read_size(&out->temporal_patch_size, config, "temporal_patch_size", MAX_TEMPORAL_SIZE, path, err);
    if (code == 0) code = read_size(&out->merge_size, config, "merge_size", MAX_MERGE_SIZE, path, err);
    if (code == 0) code = read_channels(out->mean, config, "image_mean", false, path, err);
    if (code == 0) code = read_channels(out->std, config, "image_std", true, path, err);
    if (code == 0) code = strata_json_real(&out->rescale, config, "rescale_factor", false, path, err);
    return code;
}

int strata_image_processor_open(struct strata_image_processor *out, const char *path, size_t max_pixels_limit,
                                struct strata_error *err) {
    json_t *config = NULL;
    int code = strata_json_load(&config, path, CONFIG_LIMIT, err);
    if (code) return code;
    if (!json_is_object(config)) {
        code = strata_fail(err, STRATA_ERR_INPUT, "the image processor's settings are not a JSON object");
        strata_fail_at(err, code, "%s", path);
    } else {
        const json_t *nested = json_object_get(config, "image_processor"); /* processor_config.json */
        code = read_config(out, json_is_object(nested) ? nested : config, path, err);
    }
    json_decref(config);
    if (code) return code;
    if (max_pixels_limit != 0 && max_pixels_limit < out->max_pixels) {
        out->max_pixels = max_pixels_limit;
        if (out->min_pixels > out->max_pixels) out->min_pixels = out->max_pixels;
    }
    return 0;
}

/* Python's round(side / factor): half to even. */
static size_t round_half_even(size_t side, size_t factor) {
    const size_t below = side / factor, twice_rest = 2 * (side % factor);
    if (twice_rest == factor) return below + (below & 1);
    return twice_rest > factor ? below + 1 : below;
}

int strata_smart_resize(size_t *out_height, size_t *out_width, size_t height, size_t width, size_t factor,
                        size_t min_pixels, size_t max_pixels, struct strata_error *err) {
    const size_t longer = height > width ? height : width, shorter = height > width ? width : height;
    if (shorter == 0 || longer > STRATA_IMAGE_MAX_PIXELS || factor == 0 || factor > STRATA_IMAGE_MAX_PIXELS)
        return strata_fail(err, STRATA_ERR_USAGE, "no target size for an image of %zu x %zu (factor %zu)", width,
                           height, factor);
    const double aspect = (double)longer / (double)shorter;
    if (aspect > MAX_ASPECT)
        return strata_fail(err, STRATA_ERR_INPUT, "the image is %zu x %zu; one side may be at most 200 times the other",
                           width, height);
    const double pixels = (double)height * (double)width, step = (double)factor;
    size_t high = round_half_even(height, factor) * factor, wide = round_half_even(width, factor) * factor;
    if (high * wide > max_pixels) {
        const double beta = sqrt(pixels / (double)max_pixels);
        high = (size_t)((double)height / beta / step) * factor;
        wide = (size_t)((double)width / beta / step) * factor;
        if (high < factor) high = factor;
        if (wide < factor) wide = factor;
    } else if (high * wide < min_pixels) {
        const double beta = sqrt((double)min_pixels / pixels);
        high = (size_t)ceil((double)height * beta / step) * factor;
        wide = (size_t)ceil((double)width * beta / step) * factor;
    }
    if (high == 0 || wide == 0)
        return strata_fail(err, STRATA_ERR_INPUT, "an image of %zu x %zu rounds to no pixels", width, height);
    *out_height = high;
    *out_width = wide;
    return 0;
}

static int target_size(size_t *height, size_t *width, const struct strata_image_processor *processor,
                       size_t stored_height, size_t stored_width, struct strata_error *err) {
    return strata_smart_resize(height, width, stored_height, stored_width,
                               (size_t)processor->patch_size * processor->merge_size, processor->min_pixels,
                               processor->max_pixels, err);
}

int strata_image_grid(struct strata_grid *out, const struct strata_image_processor *processor, size_t height,
                      size_t width, struct strata_error *err) {
    size_t target_height = 0, target_width = 0;
    int code = target_size(&target_height, &target_width, processor, height, width, err);
    if (code) return code;
    out->rows = (uint32_t)(target_height / processor->patch_size);
    out->columns = (uint32_t)(target_width / processor->patch_size);
    return 0;
}

/* What numpy makes of each byte: rescaled in double and rounded to float, then (x - mean) / std in float. */
static void make_levels(float levels[3][256], const struct strata_image_processor *processor) {
    for (size_t c = 0; c < 3; c++) {
        for (int byte = 0; byte < 256; byte++) {
            const float rescaled = (float)((double)byte * processor->rescale);
            levels[c][byte] = (rescaled - processor->mean[c]) / processor->std[c];
        }
    }
}

/* One patch: (channel, frame, patch, patch), all frames the same. Returns where the next one goes. */
static float *write_patch(float *out, const struct strata_image *image, size_t top, size_t left,
                          const struct strata_image_processor *processor, float levels[3][256]) {
    const size_t side = processor->patch_size;
    for (size_t c = 0; c < 3; c++) {
        const float *frame = out;
        for (size_t y = 0; y < side; y++) {
            const uint8_t *pixel = image->rgb + 3 * ((top + y) * image->width + left) + c;
            for (size_t x = 0; x < side; x++, pixel += 3) *out++ = levels[c][*pixel];
        }
        for (unsigned repeat = 1; repeat < processor->temporal_patch_size; repeat++) {
            memcpy(out, frame, side * side * sizeof *out);
            out += side * side;
        }
    }
    return out;
}

/* Patches in the order of the vision tower: blocks of merge x merge patches row by row, inside a block row by row. */
static void write_patches(float *out, const struct strata_image *image, struct strata_grid grid,
                          const struct strata_image_processor *processor) {
    const size_t merge = processor->merge_size, side = processor->patch_size;
    float levels[3][256];
    make_levels(levels, processor);
    for (size_t block_row = 0; block_row < grid.rows; block_row += merge) {
        for (size_t block_column = 0; block_column < grid.columns; block_column += merge) {
            for (size_t i = 0; i < merge * merge; i++)
                out = write_patch(out, image, (block_row + i / merge) * side, (block_column + i % merge) * side,
                                  processor, levels);
        }
    }
}

int strata_image_patches(float **out, struct strata_grid *grid, const struct strata_image_processor *processor,
                         const struct strata_image *image, struct strata_error *err) {
    *out = NULL;
    const size_t side = processor->patch_size;
    struct strata_image resized;
    int code = strata_image_grid(grid, processor, image->height, image->width, err);
    if (code) return code;
    code = strata_image_resize(&resized, image, grid->rows * side, grid->columns * side, err);
    if (code) return code;
    code = strata_alloc_aligned(out, (size_t)grid->rows * grid->columns,
                                3 * side * side * processor->temporal_patch_size * sizeof **out, err);
    if (code == 0) write_patches(*out, &resized, *grid, processor);
    strata_image_free(&resized);
    return code;
}
