/* The Qwen2-VL image processor: smart_resize, bicubic resize (8 bits between the passes, horizontal first), rescale,
 * normalise, patches in the vision tower's order. */
#ifndef STRATA_MODEL_IMAGE_PROCESSOR_H
#define STRATA_MODEL_IMAGE_PROCESSOR_H

#include <stddef.h>
#include <stdint.h>

#include "data/image.h"
#include "model/prompt.h"
#include "strata/error.h"

struct strata_image_processor {
    size_t min_pixels, max_pixels;
    unsigned patch_size, temporal_patch_size, merge_size; /* 14, 2, 2 */
    float mean[3], std[3];
    double rescale; /* 1/255: multiplied in double, then rounded to float, as numpy does */
};
/* preprocessor_config.json in both notations (min_pixels/max_pixels, or size {shortest_edge, longest_edge}).
 * max_pixels_limit: 0 leaves the file's; else min(file, limit) (contract 4's default is 1,254,400). */
int strata_image_processor_open(struct strata_image_processor *out, const char *path, size_t max_pixels_limit,
                                struct strata_error *err);
/* Target size of transformers' smart_resize (Python's round: half to even); refuses what it refuses. */
int strata_smart_resize(size_t *out_height, size_t *out_width, size_t height, size_t width, size_t factor,
                        size_t min_pixels, size_t max_pixels, struct strata_error *err);
/* The grid an image of this size will have, without touching pixels. */
int strata_image_grid(struct strata_grid *out, const struct strata_image_processor *processor, size_t height,
                      size_t width, struct strata_error *err);
/* Bicubic (a = -0.5), antialiased, 22-bit fixed-point weights, two passes, as Pillow < 13. */
int strata_image_resize(struct strata_image *out, const struct strata_image *image, size_t height, size_t width,
                        struct strata_error *err);
/* patches: (rows*columns, 3*temporal*patch*patch) floats in the processor's order, owned by the caller (free()). */
int strata_image_patches(float **out, struct strata_grid *grid, const struct strata_image_processor *processor,
                         const struct strata_image *image, struct strata_error *err);

#endif
