/* The one attention routine behind both doors (pages of the decoder, windows of the vision tower): query rows of one
 * group of heads against packed key/value pages. Private to this room. */
#ifndef STRATA_KERNELS_ATTEND_H
#define STRATA_KERNELS_ATTEND_H

#include "kernels/kernels.h"

/* Rows are flat: row f is token f / R, head f % R of the R query heads that share one key/value head. */
struct strata_attend {
    const struct strata_compute *compute;
    float *out;         /* token t, head r of the group: out[t * out_stride + r * D] */
    const float *query; /* likewise */
    size_t out_stride, query_stride, R, D;
    void *const *pages;              /* one per STRATA_KEY_BLOCK keys */
    size_t key_offset, value_offset; /* bytes in a page to the panels of this key/value head */
    size_t keys;                     /* causal: what token 0 sees, token t sees keys + t; else what every token sees */
    bool causal;
    float scale;
    /* Segment masses of tokens from mass_first on: token t, head r: masses[((t - mass_first) * H + r) * S]. */
    float *masses;
    const uint32_t *segment_end;
    size_t S, mass_first, H;
    float *logsumexp; /* token t, head r: logsumexp[t * H + r]; NULL: not wanted */
};

/* Rows that one task does at once; a row's result does not depend on it. */
size_t strata_attend_rows(const struct strata_compute *compute, size_t D);
/* Rows [begin, begin + rows), rows <= strata_attend_rows, in the worker's scratch. */
void strata_attend(const struct strata_attend *attend, size_t begin, size_t rows, void *scratch);

/* Bytes of one head's key panels, and of its value panels, in a page. */
size_t strata_key_bytes(const struct strata_compute *compute, size_t D);
size_t strata_value_bytes(const struct strata_compute *compute, size_t D);

#endif
