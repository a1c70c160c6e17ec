/* Looking inside a forward pass: an observer that is handed every named stage. NULL costs nothing. Names are those of
 * the golden README: vision.patch_embed, vision.block.I, vision_embeds, hidden.I (0 = embeddings, then the output of
 * every layer), normed, logits. */
#ifndef STRATA_MODEL_TRACE_H
#define STRATA_MODEL_TRACE_H

#include <stddef.h>

struct strata_trace {
    /* values (rows, columns) fp32, only valid during the call. first_row: 0-based index of the first row in the
     * sequence (a prefill in chunks hands over a stage piece by piece). */
    void (*stage)(void *context, const char *name, const float *values, size_t first_row, size_t rows, size_t columns);
    void *context;
};

#endif
