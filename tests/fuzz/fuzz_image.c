/* Arbitrary bytes into the image decoders, with a small pixel limit. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct strata_image image;
    struct strata_error err = {0};
    int code = strata_image_decode_limited(&image, data, size, 1 << 16, "fuzz", &err);
    if ((code == 0) != (image.rgb != NULL)) abort();
    if (code != 0 && (err.code != code || err.what[0] == '\0' || err.where[0] == '\0')) abort();
    if (code == 0) { /* every pixel is readable and the sizes are right */
        uint8_t sum = 0;
        for (size_t i = 0; i < 3 * image.width * image.height; i++) sum = (uint8_t)(sum + image.rgb[i]);
        *(volatile uint8_t *)&sum = sum;
    }
    strata_image_free(&image);
    return 0;
}
