/* The vision tower: patches of one image to language-model embeddings (Qwen2_5_VisionTransformer of transformers).
 * Windowed and full attention, 2-D rotary embedding, merger. Each image is computed alone, so its features do not
 * depend on what it is batched with. */
#ifndef STRATA_MODEL_VISION_H
#define STRATA_MODEL_VISION_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "model/prompt.h"
#include "model/trace.h"
#include "model/weights.h"
#include "strata/error.h"

/* Where patches go: merged cells are ordered window by window, blocks run in that order. */
struct strata_window_order {
    uint32_t *cells;  /* (N/merge^2): cells[i] = the image's cell at place i (window_index of transformers) */
    uint32_t *bounds; /* (windows+1): patch bounds of the windows (cu_window_seqlens) */
    size_t cell_count, windows;
};
int strata_window_order(struct strata_window_order *out, const struct strata_vision_config *config,
                        struct strata_grid grid, struct strata_error *err);
void strata_window_order_free(struct strata_window_order *order);
/* (h, w) of each patch in the image processor's order, into positions (N, 2). */
void strata_patch_positions(uint32_t *positions, struct strata_grid grid, size_t merge_size);

/* embeds (N/merge^2, out_hidden), in the image's order; patches (N, P) in the image processor's order. Memory beside
 * them: about N * (6 E + 2 D-panels) floats, freed before returning. */
int strata_vision_forward(float *embeds, const float *patches, struct strata_grid grid,
                          const struct strata_model_config *config, const struct strata_weights *weights,
                          const struct strata_compute *compute, const struct strata_trace *trace,
                          struct strata_error *err);

#endif
