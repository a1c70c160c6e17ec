/* Gradients of a model, laid out like its weights: fp32, each matrix (N,K) row-major as in the checkpoint. */
#ifndef STRATA_MODEL_GRADIENT_H
#define STRATA_MODEL_GRADIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "model/config.h"
#include "model/weights.h"
#include "strata/error.h"

/* The fields are those of weights.h. NULL: not wanted (its group is frozen). */
struct strata_layer_gradients {
    float *input_norm, *query_key_value, *query_key_value_bias, *output, *post_norm, *gate_up, *down;
};
struct strata_block_gradients {
    float *norm1, *norm2, *query_key_value, *query_key_value_bias, *output, *output_bias, *gate_up, *gate_up_bias,
        *down, *down_bias;
};
struct strata_gradients {
    float *embedding; /* with a tied head the sum of both uses */
    float *final_norm, *head;
    struct strata_layer_gradients *layers; /* always (layers), fields NULL where frozen */
    float *patch_embedding;
    struct strata_block_gradients *blocks; /* always (depth) */
    float *merger_norm, *merger_up, *merger_up_bias, *merger_down, *merger_down_bias;
    /* The same by row of strata_weights_table: rows[i] holds strata_weight_row_count values, NULL where frozen. */
    float **rows;
    size_t row_count;
    float *values; /* all of them, one block */
    size_t count;  /* floats in it */
};
/* Zero gradients of the groups that train: trained[STRATA_GROUP_LANGUAGE], [STRATA_GROUP_MERGER],
 * [STRATA_GROUP_VISION]. */
int strata_gradients_create(struct strata_gradients *out, const struct strata_model_config *config,
                            const bool trained[3], struct strata_error *err);
void strata_gradients_zero(struct strata_gradients *gradients);
void strata_gradients_free(struct strata_gradients *gradients);
/* L2 norm over everything, summed in double in one fixed order whatever the threads. */
int strata_gradients_norm(double *out, const struct strata_gradients *gradients, struct strata_threads *threads,
                          struct strata_error *err);

#endif
