/* transformers' get_rope_index for text and images: text advances all three rows together; an image's tokens share the
 * temporal position and count rows and columns of its merged grid; what follows goes on at start + max(rows, columns).
 */
#include "model/prompt.h"

int strata_rope_positions(int32_t *positions, int32_t *rope_delta, const int32_t *ids, size_t T, int32_t image_token,
                          int32_t vision_start_token, const struct strata_grid *grids, size_t image_count,
                          unsigned merge, struct strata_error *err) {
    if (merge == 0) return strata_fail(err, STRATA_ERR_USAGE, "spatial merge size 0");
    if (T > INT32_MAX) return strata_fail(err, STRATA_ERR_INPUT, "prompt of %zu tokens", T);
    int32_t *temporal = positions, *height = positions + T, *width = positions + 2 * T;
    int32_t next = 0;
    size_t image = 0;
    for (size_t i = 0; i < T;) {
        if (ids[i] != image_token) {
            temporal[i] = height[i] = width[i] = next++;
            i++;
            continue;
        }
        if (image == image_count) {
            return strata_fail(err, STRATA_ERR_INPUT, "image token at position %zu, after the last of %zu images", i,
                               image_count);
        }
        /* Without the marker two images in a row would be one run of image tokens, and the reference would take them
         * for one image. */
        if (i == 0 || ids[i - 1] != vision_start_token) {
            return strata_fail(err, STRATA_ERR_INPUT, "image token at position %zu does not follow a vision start", i);
        }
        uint32_t rows = grids[image].rows / merge, columns = grids[image].columns / merge;
        if (rows == 0 || columns == 0 || grids[image].rows % merge || grids[image].columns % merge ||
            (uint64_t)rows * columns > T - i) {
            return strata_fail(err, STRATA_ERR_INPUT, "image %zu: grid of %u x %u patches does not fit %zu tokens",
                               image + 1, grids[image].rows, grids[image].columns, T - i);
        }
        for (uint32_t row = 0; row < rows; row++) {
            for (uint32_t column = 0; column < columns; column++, i++) {
                if (ids[i] != image_token) {
                    return strata_fail(err, STRATA_ERR_INPUT, "image %zu: token at position %zu is not an image token",
                                       image + 1, i);
                }
                temporal[i] = next;
                height[i] = next + (int32_t)row;
                width[i] = next + (int32_t)column;
            }
        }
        next += (int32_t)(rows > columns ? rows : columns);
        image++;
    }
    if (image != image_count) {
        return strata_fail(err, STRATA_ERR_INPUT, "%zu images, but image tokens for %zu", image_count, image);
    }
    *rope_delta = next - (int32_t)T;
    return STRATA_OK;
}
