#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/image_codec.h"

#define FILE_LIMIT ((size_t)1 << 30)

int strata_image_allocate(struct strata_image *out, uint64_t width, uint64_t height,
                          const struct strata_image_input *input, struct strata_error *err) {
    *out = (struct strata_image){0};
    size_t limit = input->max_pixels < STRATA_IMAGE_MAX_PIXELS ? input->max_pixels : STRATA_IMAGE_MAX_PIXELS;
    if (width == 0 || height == 0) {
        strata_fail(err, STRATA_ERR_INPUT, "the image has no pixels (%llu x %llu)", (unsigned long long)width,
                    (unsigned long long)height);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", input->name);
    }
    if (width > limit || height > limit / width) {
        strata_fail(err, STRATA_ERR_INPUT, "the image is %llu x %llu, more than the limit of %zu pixels",
                    (unsigned long long)width, (unsigned long long)height, limit);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", input->name);
    }
    int code = strata_alloc(&out->rgb, (size_t)(width * height), 3, err);
    if (code) return strata_fail_at(err, code, "%s", input->name);
    out->width = (size_t)width;
    out->height = (size_t)height;
    return 0;
}

void strata_image_free(struct strata_image *image) {
    free(image->rgb);
    *image = (struct strata_image){0};
}

int strata_image_copy(struct strata_image *out, const struct strata_image *image, struct strata_error *err) {
    const struct strata_image_input input = {.max_pixels = STRATA_IMAGE_MAX_PIXELS, .name = "copy of an image"};
    int code = strata_image_allocate(out, image->width, image->height, &input, err);
    if (code == 0) memcpy(out->rgb, image->rgb, 3 * image->width * image->height);
    return code;
}

/* The walk through the stored picture that makes each EXIF orientation upright. */
struct walk {
    bool from_right, from_bottom; /* the first upright pixel is at that side of the stored picture */
    bool transposed;              /* upright rows run along stored columns */
};
static const struct walk walks[9] = {
    [2] = {.from_right = true},
    [3] = {.from_right = true, .from_bottom = true},
    [4] = {.from_bottom = true},
    [5] = {.transposed = true},
    [6] = {.from_bottom = true, .transposed = true},
    [7] = {.from_right = true, .from_bottom = true, .transposed = true},
    [8] = {.from_right = true, .transposed = true},
};

static int make_upright(struct strata_image *image, unsigned orientation, const struct strata_image_input *input,
                        struct strata_error *err) {
    if (orientation <= 1 || orientation > 8) return 0;
    const struct walk *walk = &walks[orientation];
    const ptrdiff_t width = (ptrdiff_t)image->width, height = (ptrdiff_t)image->height;
    struct strata_image upright;
    int code = strata_image_allocate(&upright, walk->transposed ? image->height : image->width,
                                     walk->transposed ? image->width : image->height, input, err);
    if (code) return code;
    const ptrdiff_t along_row = walk->from_right ? -1 : 1;
    const ptrdiff_t down_column = walk->from_bottom ? -width : width;
    const ptrdiff_t start = (walk->from_right ? width - 1 : 0) + (walk->from_bottom ? (height - 1) * width : 0);
    const ptrdiff_t column_step = walk->transposed ? down_column : along_row;
    const ptrdiff_t row_step = walk->transposed ? along_row : down_column;
    uint8_t *target = upright.rgb;
    for (size_t row = 0; row < upright.height; row++) {
        ptrdiff_t at = start + (ptrdiff_t)row * row_step;
        for (size_t column = 0; column < upright.width; column++, at += column_step, target += 3)
            memcpy(target, image->rgb + 3 * at, 3);
    }
    strata_image_free(image);
    *image = upright;
    return 0;
}

static const char *known_other_format(const uint8_t *bytes, size_t length) {
    static const struct {
        const char *magic, *name;
    } formats[] = {{"GIF8", "a GIF"},
                   {"BM", "a BMP"},
                   {"II*", "a TIFF"},
                   {"MM", "a TIFF"},
                   {"%PDF", "a PDF"},
                   {"<", "HTML or an SVG"},
                   {"{", "JSON"},
                   {"RIFF", "RIFF, but no WebP"},
                   {"version ", "a Git LFS pointer"}};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const size_t magic_length = strlen(formats[i].magic);
        if (length >= magic_length && memcmp(bytes, formats[i].magic, magic_length) == 0) return formats[i].name;
    }
    return NULL;
}

static int refuse_format(const struct strata_image_input *input, struct strata_error *err) {
    const char *looks_like = known_other_format(input->bytes, input->length);
    if (input->length == 0)
        strata_fail(err, STRATA_ERR_INPUT, "the image is empty (0 bytes)");
    else if (looks_like != NULL)
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "not a PNG, JPEG or WebP image; it looks like %s", looks_like);
    else
        strata_fail(err, STRATA_ERR_INPUT, "not a PNG, JPEG or WebP image");
    return strata_fail_at(err, input->length == 0 || looks_like == NULL ? STRATA_ERR_INPUT : STRATA_ERR_UNSUPPORTED,
                          "%s", input->name);
}

int strata_image_decode_limited(struct strata_image *out, const void *bytes, size_t length, size_t max_pixels,
                                const char *name, struct strata_error *err) {
    *out = (struct strata_image){0};
    const struct strata_image_input input = {bytes, length, max_pixels, name};
    unsigned orientation = 1;
    int code;
    if (length >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0)
        code = strata_image_decode_png(out, &orientation, &input, err);
    else if (length >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0)
        code = strata_image_decode_jpeg(out, &orientation, &input, err);
    else if (length >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(input.bytes + 8, "WEBP", 4) == 0)
        code = strata_image_decode_webp(out, &orientation, &input, err);
    else
        return refuse_format(&input, err);
    if (code == 0) code = make_upright(out, orientation, &input, err);
    if (code) strata_image_free(out);
    return code;
}

int strata_image_decode(struct strata_image *out, const void *bytes, size_t length, const char *name,
                        struct strata_error *err) {
    return strata_image_decode_limited(out, bytes, length, STRATA_IMAGE_MAX_PIXELS, name, err);
}

int strata_image_load(struct strata_image *out, const char *path, struct strata_error *err) {
    *out = (struct strata_image){0};
    struct strata_buffer file = {0};
    int code = strata_file_read(&file, path, FILE_LIMIT, err);
    if (code == 0) code = strata_image_decode(out, file.data, file.length, path, err);
    strata_buffer_free(&file);
    return code;
}
