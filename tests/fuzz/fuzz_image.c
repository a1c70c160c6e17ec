/* Arbitrary bytes into the image decoders, with a small pixel limit. Checksums of PNG chunks are repaired first, or
 * nothing would get beyond them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t checksum(const uint8_t *bytes, size_t length) {
    uint32_t value = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        value ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
    }
    return ~value;
}

static void repair_png(uint8_t *bytes, size_t size) {
    if (size < 8 || memcmp(bytes, "\x89PNG", 4) != 0) return;
    for (size_t at = 8; size - at >= 12;) {
        const uint8_t *head = bytes + at;
        const size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        if (length > size - at - 12) return;
        const uint32_t sum = checksum(bytes + at + 4, length + 4);
        for (size_t i = 0; i < 4; i++) bytes[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        at += length + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct strata_image image;
    struct strata_error err = {0};
    uint8_t *bytes = malloc(size + 1);
    if (size > 0) memcpy(bytes, data, size);
    repair_png(bytes, size);
    int code = strata_image_decode_limited(&image, bytes, size, 1 << 16, "fuzz", &err);
    free(bytes);
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
