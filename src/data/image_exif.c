/* EXIF (TIFF 6.0 layout) and XMP, read only as far as the orientation. */
#include <stdbool.h>
#include <string.h>

#include "data/image_codec.h"

#define TAG_ORIENTATION 0x0112

struct tiff {
    const uint8_t *bytes;
    size_t length;
    bool big_endian;
};

static uint32_t tiff_number(const struct tiff *tiff, size_t offset, size_t width) {
    uint32_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | tiff->bytes[offset + (tiff->big_endian ? i : width - 1 - i)];
    return value;
}

static size_t integer_width(uint32_t type) {
    switch (type) {
    case 6: /* signed byte */
        return 1;
    case 3: /* short */
    case 8: /* signed short */
        return 2;
    case 4:  /* long */
    case 9:  /* signed long */
    case 13: /* offset of a directory */
        return 4;
    default:
        return 0;
    }
}

/* The first value of one 12-byte directory entry; false when it is no integer or lies outside the block. */
static bool entry_value(uint32_t *value, const struct tiff *tiff, size_t entry) {
    const size_t width = integer_width(tiff_number(tiff, entry + 2, 2));
    const uint64_t count = tiff_number(tiff, entry + 4, 4);
    if (width == 0 || count == 0) return false;
    size_t place = entry + 8;
    if (count * width > 4) {
        place = tiff_number(tiff, entry + 8, 4);
        if (place > tiff->length || count * width > tiff->length - place) return false;
    }
    *value = tiff_number(tiff, place, width);
    return true;
}

/* True when the first directory has an orientation. */
static bool exif_orientation(uint32_t *orientation, const uint8_t *exif, size_t length) {
    for (int i = 0; i < 2 && length >= 6 && memcmp(exif, "Exif\0\0", 6) == 0; i++) {
        exif += 6;
        length -= 6;
    }
    struct tiff tiff = {.bytes = exif, .length = length};
    if (length < 8) return false;
    if (memcmp(exif, "MM\0*", 4) == 0)
        tiff.big_endian = true;
    else if (memcmp(exif, "II*\0", 4) != 0)
        return false;
    const size_t directory = tiff_number(&tiff, 4, 4);
    if (directory > length || length - directory < 2) return false;
    const size_t stated = tiff_number(&tiff, directory, 2);
    const size_t present = (length - directory - 2) / 12;
    bool found = false;
    for (size_t i = 0; i < (stated < present ? stated : present); i++) {
        const size_t entry = directory + 2 + 12 * i;
        if (tiff_number(&tiff, entry, 2) == TAG_ORIENTATION && entry_value(orientation, &tiff, entry)) found = true;
    }
    return found;
}

/* tiff:Orientation="6" or <tiff:Orientation>6<. */
static bool xmp_orientation(uint32_t *orientation, const uint8_t *xmp, size_t length) {
    static const char key[] = "tiff:Orientation";
    const size_t key_length = sizeof key - 1;
    for (const uint8_t *at = xmp, *end = xmp + length; (at = memmem(at, (size_t)(end - at), key, key_length)) != NULL;
         at++) {
        const uint8_t *rest = at + key_length;
        const size_t left = (size_t)(end - rest);
        size_t skip = 0;
        if (left >= 3 && rest[0] == '=' && rest[1] == '"') skip = 2;
        if (left >= 2 && rest[0] == '>') skip = 1;
        if (skip == 0 || rest[skip] < '0' || rest[skip] > '9') continue;
        *orientation = (uint32_t)(rest[skip] - '0');
        return true;
    }
    return false;
}

unsigned strata_exif_orientation(const uint8_t *exif, size_t exif_length, const uint8_t *xmp, size_t xmp_length) {
    uint32_t orientation = 1;
    if (exif == NULL || !exif_orientation(&orientation, exif, exif_length)) {
        if (xmp != NULL) xmp_orientation(&orientation, xmp, xmp_length);
    }
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}
