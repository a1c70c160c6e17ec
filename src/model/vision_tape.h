/* Training of the vision tower and the merger: strata_vision_forward once more, with everything kept, and its backward.
 * The features are those of strata_vision_forward bit for bit. Images are taken one at a time, as in the forward. */
#ifndef STRATA_MODEL_VISION_TAPE_H
#define STRATA_MODEL_VISION_TAPE_H

#include "kernels/kernels.h"
#include "model/gradient.h"
#include "model/vision.h"

/* dembeds (N/merge^2, out_hidden), in the image's order, as strata_tape_backward writes them; adds to the gradients of
 * merger and vision tower. Where only the merger trains, the blocks' backward is not run. patches and grid as in
 * strata_vision_forward. */
int strata_vision_backward(struct strata_gradients *gradients, const float *dembeds, const float *patches,
                           struct strata_grid grid, const struct strata_model_config *config,
                           const struct strata_weights *weights, const struct strata_compute *compute,
                           struct strata_error *err);
size_t strata_vision_backward_bytes(const struct strata_model_config *config, struct strata_grid grid);

#endif
