/* Inside the data room: what image.c shares with the decoders. */
#ifndef STRATA_DATA_IMAGE_CODEC_H
#define STRATA_DATA_IMAGE_CODEC_H

#include "data/image.h"

/* One file being decoded. */
struct strata_image_input {
    const uint8_t *bytes;
    size_t length;
    size_t max_pixels;
    const char *name;
};

/* Allocates out's pixels after checking both sides and the pixel limit; out is left empty on error. */
int strata_image_allocate(struct strata_image *out, uint64_t width, uint64_t height,
                          const struct strata_image_input *input, struct strata_error *err);

/* Each fills *out with the stored picture as RGB and *orientation with EXIF's value (1: as stored). */
int strata_image_decode_png(struct strata_image *out, unsigned *orientation, const struct strata_image_input *input,
                            struct strata_error *err);
int strata_image_decode_jpeg(struct strata_image *out, unsigned *orientation, const struct strata_image_input *input,
                             struct strata_error *err);
int strata_image_decode_webp(struct strata_image *out, unsigned *orientation, const struct strata_image_input *input,
                             struct strata_error *err);

/* Orientation as Pillow's getexif finds it: the tag of the EXIF block (a TIFF file, with or without "Exif\0\0" before
 * it), else tiff:Orientation of the XMP text, else 1. Either may be NULL. A block that does not parse counts as absent
 * (Pillow refuses the file). */
unsigned strata_exif_orientation(const uint8_t *exif, size_t exif_length, const uint8_t *xmp, size_t xmp_length);

#endif
