/* conformance_images MODELS_DIR: images.json, images.safetensors and images/ of a directory like shared/golden/models.
 * Everything here is exact: pixels, patches, grids and sizes must be equal, bit for bit. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "data/image.h"
#include "model/image_processor.h"
#include "model/safetensors.h"

struct conformance {
    const char *directory;
    json_t *description; /* images.json */
    struct strata_safetensors *tensors;
    size_t passed, failed;
};

static bool check(struct conformance *run, bool good, const char *name, const char *what) {
    if (good) {
        run->passed++;
    } else {
        run->failed++;
        printf("FAIL %s: %s\n", name, what);
    }
    return good;
}

static void check_error(struct conformance *run, const char *name, const struct strata_error *err) {
    char line[1500];
    check(run, false, name, strata_error_line(err, line, sizeof line));
}

static bool has_suffix(const char *text, const char *suffix) {
    const size_t length = strlen(text), end = strlen(suffix);
    return length > end && strcmp(text + length - end, suffix) == 0;
}

static int load(struct strata_image *out, const struct conformance *run, const char *name, struct strata_error *err) {
    char *images = strata_path_join(run->directory, "images");
    char *path = images != NULL ? strata_path_join(images, name) : NULL;
    int code = path != NULL ? strata_image_load(out, path, err) : strata_fail(err, STRATA_ERR_MEMORY, "no memory");
    free(path);
    free(images);
    return code;
}

static void compare_pixels(struct conformance *run, const struct strata_image *image,
                           const struct strata_tensor *tensor) {
    char what[256];
    if (tensor->dtype != STRATA_DTYPE_U8 || tensor->rank != 3 || tensor->shape[0] != image->height ||
        tensor->shape[1] != image->width || tensor->shape[2] != 3) {
        snprintf(what, sizeof what, "is %zu x %zu (width x height), the tensor's shape differs", image->width,
                 image->height);
        check(run, false, tensor->name, what);
        return;
    }
    const uint8_t *expected = tensor->data;
    size_t differing = 0, first = 0;
    int largest = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        const int distance = abs((int)image->rgb[i] - (int)expected[i]);
        if (distance > 0 && differing++ == 0) first = i;
        if (distance > largest) largest = distance;
    }
    snprintf(what, sizeof what, "%zu of %zu samples differ, by up to %d levels (tolerance 0); the first is %zu",
             differing, tensor->count, largest, first);
    check(run, differing == 0, tensor->name, what);
}

static void compare_floats(struct conformance *run, const float *values, size_t count,
                           const struct strata_tensor *tensor) {
    char what[256];
    if (tensor->dtype != STRATA_DTYPE_F32 || tensor->count != count) {
        snprintf(what, sizeof what, "%zu values, the tensor has %zu", count, tensor->count);
        check(run, false, tensor->name, what);
        return;
    }
    const float *expected = tensor->data;
    size_t differing = 0, first = 0;
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&values[i], &expected[i], sizeof values[i]) != 0 && differing++ == 0) first = i;
    }
    snprintf(what, sizeof what, "%zu of %zu values differ in bits (tolerance 0); the first is %zu: %.9g, expected %.9g",
             differing, count, first, (double)values[first], (double)expected[first]);
    check(run, differing == 0, tensor->name, what);
}

static void check_rgb(struct conformance *run, const struct strata_tensor *tensor) {
    char *name = strndup(tensor->name, strlen(tensor->name) - strlen(".rgb"));
    struct strata_image image;
    struct strata_error err = {0};
    if (load(&image, run, name, &err)) {
        check_error(run, tensor->name, &err);
    } else {
        compare_pixels(run, &image, tensor);
        strata_image_free(&image);
    }
    free(name);
}

/* NAME.HxW.u8 */
static void check_resized(struct conformance *run, const struct strata_tensor *tensor) {
    char *name = strndup(tensor->name, strlen(tensor->name) - strlen(".u8"));
    char *size = strrchr(name, '.');
    unsigned long height = 0, width = 0;
    if (size == NULL || sscanf(size, ".%lux%lu", &height, &width) != 2) {
        check(run, false, tensor->name, "the name is not NAME.HxW.u8");
        free(name);
        return;
    }
    *size = '\0';
    struct strata_image image = {0}, resized = {0};
    struct strata_error err = {0};
    if (load(&image, run, name, &err) || strata_image_resize(&resized, &image, height, width, &err))
        check_error(run, tensor->name, &err);
    else
        compare_pixels(run, &resized, tensor);
    strata_image_free(&image);
    strata_image_free(&resized);
    free(name);
}

static int processor_of_setting(struct strata_image_processor *out, const json_t *setting, struct strata_error *err) {
    int64_t low = 0, high = 0;
    *out = (struct strata_image_processor){.patch_size = 14,
                                           .temporal_patch_size = 2,
                                           .merge_size = 2,
                                           .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                                           .std = {0.26862954f, 0.26130258f, 0.27577711f},
                                           .rescale = 1.0 / 255.0};
    int code = strata_json_int(&low, setting, "min_pixels", true, 1, INT64_MAX, "images.json", err);
    if (code == 0) code = strata_json_int(&high, setting, "max_pixels", true, 1, INT64_MAX, "images.json", err);
    out->min_pixels = (size_t)low;
    out->max_pixels = (size_t)high;
    return code;
}

/* KEY.pixel_values, where such a tensor is there. */
static void check_patches(struct conformance *run, const struct strata_image *image, const char *key,
                          const struct strata_image_processor *processor) {
    char name[640];
    snprintf(name, sizeof name, "%s.pixel_values", key);
    const struct strata_tensor *tensor = strata_safetensors_find(run->tensors, name);
    if (tensor == NULL) return;
    float *patches = NULL;
    struct strata_grid grid;
    struct strata_error err = {0};
    if (strata_image_patches(&patches, &grid, processor, image, &err))
        check_error(run, name, &err);
    else
        compare_floats(run, patches, (size_t)grid.rows * grid.columns * 1176, tensor);
    free(patches);
}

static void check_setting(struct conformance *run, const char *image_name, const struct strata_image *image,
                          const char *setting_name, const json_t *setting) {
    char name[512], what[1400], key[600];
    snprintf(name, sizeof name, "%s, setting %s", image_name, setting_name);
    struct strata_image_processor processor;
    struct strata_grid grid;
    struct strata_error err = {0};
    const json_t *thw = json_object_get(setting, "grid_thw");
    int code = processor_of_setting(&processor, setting, &err);
    if (code == 0) code = strata_image_grid(&grid, &processor, image->height, image->width, &err);
    if (!json_is_array(thw)) {
        check(run, code != 0, name, "accepted, transformers refuses it");
        return;
    }
    if (code) {
        check_error(run, name, &err);
        return;
    }
    const json_int_t rows = json_integer_value(json_array_get(thw, 1)),
                     columns = json_integer_value(json_array_get(thw, 2));
    snprintf(what, sizeof what, "grid %u x %u, expected %lld x %lld (tolerance 0)", grid.rows, grid.columns,
             (long long)rows, (long long)columns);
    check(run, grid.rows == rows && grid.columns == columns, name, what);
    const json_int_t tokens = json_integer_value(json_object_get(setting, "image_tokens"));
    const json_int_t ours = (json_int_t)grid.rows * grid.columns / 4;
    snprintf(what, sizeof what, "%lld image tokens, expected %lld (tolerance 0)", (long long)ours, (long long)tokens);
    check(run, ours == tokens, name, what);
    const char *expected_key = json_string_value(json_object_get(setting, "key"));
    if (expected_key == NULL) return;
    snprintf(key, sizeof key, "%s.%ux%u", image_name, 14 * grid.rows, 14 * grid.columns);
    snprintf(what, sizeof what, "resized to %s, expected %s", key, expected_key);
    if (check(run, strcmp(key, expected_key) == 0, name, what)) check_patches(run, image, key, &processor);
}

static void check_image(struct conformance *run, const char *name, const json_t *description) {
    char tensor[512];
    snprintf(tensor, sizeof tensor, "%s.rgb", name);
    check(run, strata_safetensors_find(run->tensors, tensor) != NULL, tensor, "the golden file lacks this tensor");
    struct strata_image image;
    struct strata_error err = {0};
    if (load(&image, run, name, &err)) {
        check_error(run, name, &err);
        return;
    }
    const char *setting_name;
    json_t *setting;
    json_object_foreach(json_object_get(description, "settings"), setting_name, setting) {
        check_setting(run, name, &image, setting_name, setting);
    }
    strata_image_free(&image);
}

static void check_smart_resize(struct conformance *run, size_t index, const json_t *one) {
    const size_t height = (size_t)json_integer_value(json_object_get(one, "height"));
    const size_t width = (size_t)json_integer_value(json_object_get(one, "width"));
    const size_t low = (size_t)json_integer_value(json_object_get(one, "min_pixels"));
    const size_t high = (size_t)json_integer_value(json_object_get(one, "max_pixels"));
    const json_t *expected = json_object_get(one, "hf");
    const bool refused = !json_is_array(expected);
    const json_int_t expected_height = json_integer_value(json_array_get(expected, 0)),
                     expected_width = json_integer_value(json_array_get(expected, 1));
    char name[128], what[256];
    snprintf(name, sizeof name, "smart_resize case %zu (%zu x %zu, %zu..%zu pixels)", index, height, width, low, high);
    size_t our_height = 0, our_width = 0;
    const int code = strata_smart_resize(&our_height, &our_width, height, width, 28, low, high, NULL);
    if (code != 0 || refused) {
        check(run, code != 0 && refused, name, refused ? "accepted, transformers refuses it" : "refused");
        return;
    }
    snprintf(what, sizeof what, "[%zu, %zu], expected [%lld, %lld] (tolerance 0)", our_height, our_width,
             (long long)expected_height, (long long)expected_width);
    check(run, (json_int_t)our_height == expected_height && (json_int_t)our_width == expected_width, name, what);
}

static void run_all(struct conformance *run) {
    for (size_t i = 0; i < strata_safetensors_count(run->tensors); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(run->tensors, i);
        if (has_suffix(tensor->name, ".rgb")) check_rgb(run, tensor);
        if (has_suffix(tensor->name, ".u8")) check_resized(run, tensor);
    }
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(run->description, "images"), name, value) {
        check_image(run, name, value);
    }
    size_t index;
    json_array_foreach(json_object_get(run->description, "smart_resize"), index, value) {
        check_smart_resize(run, index, value);
    }
}

static int open_set(struct conformance *run, struct strata_error *err) {
    char *description = strata_path_join(run->directory, "images.json");
    char *tensors = strata_path_join(run->directory, "images.safetensors");
    int code = description != NULL && tensors != NULL ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "no memory");
    if (code == 0) code = strata_json_load(&run->description, description, 0, err);
    if (code == 0) code = strata_safetensors_open(&run->tensors, tensors, err);
    free(description);
    free(tensors);
    return code;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: conformance_images MODELS_DIR\n");
        return 2;
    }
    struct conformance run = {.directory = argv[1]};
    struct strata_error err = {0};
    char *description = strata_path_join(argv[1], "images.json");
    const bool there = strata_file_exists(description);
    free(description);
    if (!there)
        printf("skipped: %s has no images.json\n", argv[1]);
    else if (open_set(&run, &err))
        check_error(&run, argv[1], &err);
    else
        run_all(&run);
    json_decref(run.description);
    strata_safetensors_close(run.tensors);
    printf("%zu passed, %zu failed\n", run.passed, run.failed);
    return run.failed > 0 ? 1 : 0;
}
