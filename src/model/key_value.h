/* Key/value memory in pages of STRATA_KEY_BLOCK tokens, all layers of a page together. Pages are counted, so that the
 * draws of one prompt share its pages; the last, partly filled one is copied when a sharer writes on. Token i of a
 * sequence is always slot i mod 64 of page i/64: attention reduces over blocks at absolute positions, shared or not
 * (contract 2). Not thread-safe: one engine owns it. */
#ifndef STRATA_MODEL_KEY_VALUE_H
#define STRATA_MODEL_KEY_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "model/config.h"
#include "strata/error.h"

struct strata_key_value;

/* At most max_pages pages are ever allocated, each when first needed. */
int strata_key_value_create(struct strata_key_value **out, const struct strata_text_config *config,
                            const struct strata_compute *compute, size_t max_pages, struct strata_error *err);
void strata_key_value_destroy(struct strata_key_value *memory);
size_t strata_key_value_page_bytes(const struct strata_text_config *config, const struct strata_compute *compute);
size_t strata_key_value_pages_for(size_t tokens);                    /* ceil(tokens/64) */
size_t strata_key_value_used(const struct strata_key_value *memory); /* pages */

struct strata_sequence {
    uint32_t *pages; /* indices into the memory, owned */
    size_t page_count, page_capacity;
    size_t length; /* tokens written */
};
/* Makes tokens [length, length+more) writable: allocates pages, copies a shared last page. STRATA_ERR_MEMORY when
 * max_pages are in use. The length is moved on by the decoder. */
int strata_sequence_reserve(struct strata_key_value *memory, struct strata_sequence *sequence, size_t more,
                            struct strata_error *err);
/* copy becomes a second sequence with the first `length` tokens, sharing the pages. The original may go on writing
 * behind them in place: what it writes there, the copy never reads. */
int strata_sequence_fork(struct strata_key_value *memory, struct strata_sequence *copy,
                         const struct strata_sequence *sequence, size_t length, struct strata_error *err);
void strata_sequence_release(struct strata_key_value *memory, struct strata_sequence *sequence);
/* Address of layer `layer` of the sequence's page number `page`. */
void *strata_sequence_page(const struct strata_key_value *memory, const struct strata_sequence *sequence, size_t page,
                           size_t layer);

#endif
