/* A model's shape for tests of weights. */
#ifndef STRATA_TESTS_MODEL_SMALL_CONFIG_H
#define STRATA_TESTS_MODEL_SMALL_CONFIG_H

#include "model/config.h"

/* Every size different and none a multiple of a panel; odd numbers of inputs have padding. */
static inline struct strata_model_config small_config(bool tied) {
    struct strata_model_config config = {.text = {.hidden = 12,
                                                  .layers = 2,
                                                  .heads = 3,
                                                  .kv_heads = 1,
                                                  .head_size = 6,
                                                  .intermediate = 7,
                                                  .vocabulary = 70,
                                                  .context = 100,
                                                  .rms_eps = 1e-6f,
                                                  .rope_theta = 1e4,
                                                  .mrope_sections = {1, 1, 1},
                                                  .tied = tied},
                                         .vision = {.hidden = 8,
                                                    .depth = 2,
                                                    .heads = 2,
                                                    .intermediate = 5,
                                                    .out_hidden = 12,
                                                    .patch_size = 2,
                                                    .merge_size = 2,
                                                    .temporal_patch_size = 2,
                                                    .channels = 3,
                                                    .window_size = 8}};
    return config;
}

#endif
