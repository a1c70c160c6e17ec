/* Images for a page: scaled down, as PNG data URLs. */
#ifndef STRATA_REPORT_THUMBNAIL_H
#define STRATA_REPORT_THUMBNAIL_H

#include "base/buffer.h"
#include "data/image.h"
#include "strata/error.h"

/* Appends the URL of the image, its longer side at most `side` pixels (box average; never enlarged). */
int strata_thumbnail(struct strata_buffer *url, const struct strata_image *image, size_t side,
                     struct strata_error *err);

#endif
