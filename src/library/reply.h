/* Private to the public interface: what a reply keeps. */
#ifndef STRATA_LIBRARY_REPLY_H
#define STRATA_LIBRARY_REPLY_H

#include "engine/engine.h"

struct strata_reply {
    struct strata_result result;
    struct strata_grid *cells; /* (image_count) grid of each image's tokens, or NULL */
    size_t image_count;
};

#endif
