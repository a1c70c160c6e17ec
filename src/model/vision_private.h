/* The vision tower at work, shared by its forward and its backward. Private to vision*.c. */
#ifndef STRATA_MODEL_VISION_PRIVATE_H
#define STRATA_MODEL_VISION_PRIVATE_H

#include "model/vision.h"

/* Dimensions: N patches, E vision hidden, H heads, D head size, I intermediate. */

#define STRATA_VISION_EPS  1e-6f /* of the tower's norms, whatever rms_norm_eps says (Qwen2_5_VLVisionBlock) */
#define STRATA_VISION_ROWS 512   /* rows per piece of the MLP: bounds the memory of its inner activations */

struct strata_tower {
    const struct strata_vision_config *config;
    const struct strata_weights *weights;
    const struct strata_compute *compute;
    const struct strata_trace *trace;
    size_t N, E, H, D, I;
    struct strata_window_order order;
    uint32_t image_bounds[2];
    uint32_t *positions;           /* (N, 2), the image's order */
    float *cosines, *sines;        /* (N, D/2), window order */
    float *x, *normed, *attention; /* (N, E) */
    float *query_key_value;        /* (N, 3E) */
    float *logsumexp;              /* (N, H), for a backward; else NULL */
    float *gate_up, *inner;        /* (STRATA_VISION_ROWS, 2I), (STRATA_VISION_ROWS, I) */
    void *workspace;
};

/* Allocates for an image and fills the tables; free also after a failure. */
int strata_tower_open(struct strata_tower *tower, struct strata_grid grid, const struct strata_model_config *config,
                      const struct strata_weights *weights, const struct strata_compute *compute,
                      struct strata_error *err);
void strata_tower_free(struct strata_tower *tower);
/* x = patches through the patch embedding, in window order; normed keeps them in the image's order. */
void strata_tower_embed(struct strata_tower *tower, const float *patches);
/* x += attention of block `index`; query_key_value, attention and logsumexp stay. */
void strata_tower_attention(struct strata_tower *tower, size_t index);
/* x += MLP of block `index`. */
void strata_tower_mlp(struct strata_tower *tower, size_t index);
/* Segments among which block `index` attends. */
const uint32_t *strata_tower_bounds(const struct strata_tower *tower, size_t index, size_t *segments);

#endif
