/* From rewards to advantages: one number per completion, the same for all its tokens (training.md 1.6). */
#ifndef STRATA_TRAIN_ADVANTAGE_H
#define STRATA_TRAIN_ADVANTAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "strata/error.h"

/* Added to a standard deviation before dividing by it, as ms-swift and TRL do. */
#define STRATA_ADVANTAGE_EPSILON 1e-4

enum strata_advantage_scale {
    STRATA_SCALE_GROUP, /* divide by the group's standard deviation (ddof 1): the default, the paper's */
    STRATA_SCALE_BATCH, /* divide by the standard deviation of all rewards of the batch */
    STRATA_SCALE_NONE   /* centre only (Dr. GRPO) */
};

struct strata_advantage_options {
    enum strata_advantage_scale scale;
    bool leave_one_out; /* the baseline of a completion is the mean of the *others* of its group (RLOO) */
};

struct strata_advantage_stats {
    double reward_mean, reward_std; /* over all completions; mean of the groups' deviations */
    size_t zero_variance;           /* groups whose rewards are all equal: their advantages are exactly 0 */
};

/* advantages (groups*G) from rewards (groups*G), group after group; G >= 2. flat (groups), may be NULL: true for groups
 * of zero variance. A reward that is not finite is STRATA_ERR_NUMERIC. */
int strata_advantages(float *advantages, bool *flat, struct strata_advantage_stats *stats, const float *rewards,
                      size_t groups, size_t G, const struct strata_advantage_options *options,
                      struct strata_error *err);

#endif
