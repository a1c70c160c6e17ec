#include "report/thumbnail.h"

#include <stdlib.h>

#include "base/memory.h"
#include "report/html.h"

/* Mean of the pixels of one box, rounded. */
static void box_mean(uint8_t out[3], const struct strata_image *image, size_t top, size_t bottom, size_t left,
                     size_t right) {
    uint64_t sum[3] = {0}, count = 0;
    for (size_t row = top; row < bottom; row++) {
        const uint8_t *pixel = image->rgb + 3 * (row * image->width + left);
        for (size_t column = left; column < right; column++, count++, pixel += 3)
            for (int c = 0; c < 3; c++) sum[c] += pixel[c];
    }
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)(count ? (sum[c] + count / 2) / count : 0);
}

static int shrink(struct strata_image *out, const struct strata_image *image, size_t longer, size_t side,
                  struct strata_error *err) {
    out->width = image->width * side / longer;
    out->height = image->height * side / longer;
    out->width += out->width == 0;
    out->height += out->height == 0;
    int code = strata_alloc(&out->rgb, out->width * out->height, 3, err);
    for (size_t row = 0; !code && row < out->height; row++)
        for (size_t column = 0; column < out->width; column++)
            box_mean(out->rgb + 3 * (row * out->width + column), image, row * image->height / out->height,
                     (row + 1) * image->height / out->height, column * image->width / out->width,
                     (column + 1) * image->width / out->width);
    return code;
}

int strata_thumbnail(struct strata_buffer *url, const struct strata_image *image, size_t side,
                     struct strata_error *err) {
    struct strata_image small = {0};
    struct strata_buffer png = {0};
    size_t longer = image->width > image->height ? image->width : image->height;
    int code = longer > side ? shrink(&small, image, longer, side, err) : 0;
    if (!code) code = strata_image_encode_png(&png, longer > side ? &small : image, err);
    if (!code) {
        strata_html_png_url(url, png.data, png.length);
        code = strata_buffer_check(url, err);
    }
    strata_buffer_free(&png);
    strata_image_free(&small);
    return code;
}
