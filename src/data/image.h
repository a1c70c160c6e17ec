/* Images: decode, mask, draw, encode. Pixels are 8-bit RGB, rows top to bottom, no padding.
 *
 * Decoding follows what transformers sees of a file given by path: EXIF orientation applied, converted to RGB as
 * Pillow's convert("RGB") does (alpha dropped, 16-bit grey clipped, a single transparent colour painted white). */
#ifndef STRATA_DATA_IMAGE_H
#define STRATA_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "strata/error.h"

struct strata_image {
    size_t width, height;
    uint8_t *rgb; /* (height, width, 3), owned */
};

#define STRATA_IMAGE_MAX_PIXELS ((size_t)178956970) /* Pillow's decompression-bomb limit */

/* PNG, JPEG or WebP, told by content, not by name. `name` places the error. A damaged or truncated file, also one that
 * lacks only its end mark, is an error; on error *out is empty. */
int strata_image_decode(struct strata_image *out, const void *bytes, size_t length, const char *name,
                        struct strata_error *err);
/* The same with a pixel limit of the caller's choice (at most STRATA_IMAGE_MAX_PIXELS is ever accepted). */
int strata_image_decode_limited(struct strata_image *out, const void *bytes, size_t length, size_t max_pixels,
                                const char *name, struct strata_error *err);
int strata_image_load(struct strata_image *out, const char *path, struct strata_error *err);
int strata_image_copy(struct strata_image *out, const struct strata_image *image, struct strata_error *err);
void strata_image_free(struct strata_image *image);

/* PISM masks (method.md section 1), in place. `tenths` is the ratio in tenths, 0..10; 0 changes nothing. */
enum strata_mask_kind {
    STRATA_MASK_PIXEL,     /* exactly (2*i*H*W + 10) div 20 pixels, uniformly at random */
    STRATA_MASK_RECTANGLE, /* one rectangle of sides floor(W*sqrt(i/10)) x floor(H*sqrt(i/10)), at least 1 */
    STRATA_MASK_PATCH      /* the same fraction of the merged patch grid's cells, rounded as pixels are */
};
struct strata_mask {
    enum strata_mask_kind kind;
    uint8_t fill[3];
    int fill_mean; /* nonzero: fill with the image's mean colour (each channel rounded half up) */
    /* Cells of the merged patch grid for STRATA_MASK_PATCH: the image is cut into rows x columns cells with edges at
     * floor(r*H/rows), floor(c*W/columns). */
    size_t grid_rows, grid_columns;
};
/* The draw is (seed, sample_id, tenths, draw, image_index) and nothing else: purpose STRATA_PURPOSE_MASK with indices
 * (16*image_index + tenths, draw). */
int strata_image_mask(struct strata_image *image, const struct strata_mask *mask, uint64_t seed, const char *sample_id,
                      unsigned tenths, unsigned draw, unsigned image_index, struct strata_error *err);

/* Fast lossless PNG of the exact pixels, appended to out. */
int strata_image_encode_png(struct strata_buffer *out, const struct strata_image *image, struct strata_error *err);
/* The image with an attention map over it: values (rows, columns), any scale (normalised by their maximum), drawn as a
 * colour overlay; out is at least 448 pixels on its longer side. */
int strata_image_heatmap(struct strata_image *out, const struct strata_image *image, const float *values, size_t rows,
                         size_t columns, struct strata_error *err);

#endif
