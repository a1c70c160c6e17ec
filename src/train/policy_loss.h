/* The policy loss of GRPO and its relatives, and its derivative by each token's log-probability (training.md 1.8).
 *
 * Per token, rho = exp(lp - old):  l = -min(min(rho, delta) A, clip(rho, 1-low, 1+high) A) + beta (exp(d) - d - 1),
 * d = ref - lp. With a sequence-level ratio (GSPO) the log-ratio of every token is its mean over the completion.
 *
 * Completions are ragged: completion i owns the tokens [begin[i], begin[i+1]). What a completion contributes depends on
 * its own tokens and on the totals of its optimiser step only, so any cut into micro-batches gives the same bits. */
#ifndef STRATA_TRAIN_POLICY_LOSS_H
#define STRATA_TRAIN_POLICY_LOSS_H

#include <stdbool.h>
#include <stddef.h>

#include "strata/error.h"

enum strata_loss_type {
    STRATA_LOSS_GRPO,    /* mean over completions of the mean over their tokens: ms-swift's, the paper's */
    STRATA_LOSS_BNPO,    /* mean over all tokens of the optimiser step */
    STRATA_LOSS_DR_GRPO, /* sum / (completions * max_completion_length) */
    STRATA_LOSS_DAPO     /* sum / tokens of the whole rollout */
};
/* "grpo", "bnpo", "dr_grpo", "dapo"; STRATA_ERR_USAGE for another name. */
int strata_loss_type_parse(enum strata_loss_type *out, const char *name, struct strata_error *err);

struct strata_policy_options {
    enum strata_loss_type type;
    double beta;                      /* of the KL term; 0: ref is not looked at */
    double epsilon_low, epsilon_high; /* 0.2, 0.2 */
    double delta;                     /* upper bound of rho on the unclipped side (two-sided clip); 0: none */
    bool sequence_level;              /* GSPO */
    size_t max_completion_length;     /* for dr_grpo */
};

/* What the sums are divided by: counted over the completions that are in the loss. */
struct strata_policy_totals {
    size_t completions;    /* of the optimiser step */
    size_t tokens;         /* of the optimiser step */
    size_t rollout_tokens; /* of the rollout (dapo) */
};

struct strata_policy_batch {
    size_t completions;
    const size_t *begin;     /* (completions+1) */
    const float *logp;       /* (begin[completions]) of the policy */
    const float *old;        /* of the policy that sampled; NULL: the same, rho is exactly 1 */
    const float *ref;        /* of the reference; NULL when beta is 0 */
    const float *advantages; /* (completions) */
    const bool *excluded;    /* completions left out (overlong filter), or NULL */
};

/* Of one completion: sums over its tokens. Add them up in order of completions. */
struct strata_policy_sums {
    double loss;                      /* its share of the step's loss */
    double policy, kl;                /* sums over tokens of the policy term and of k3 */
    double ratio;                     /* sum of rho */
    double clipped_low, clipped_high; /* tokens where the clip is active: A<0 below, A>0 above */
    size_t tokens;                    /* 0 when excluded */
};

/* dlogp (tokens): d loss / d logp, 0 for excluded completions; sums (completions). STRATA_ERR_NUMERIC when a loss or a
 * derivative is not finite, naming the completion. */
int strata_policy_loss(float *dlogp, struct strata_policy_sums *sums, const struct strata_policy_batch *batch,
                       const struct strata_policy_totals *totals, const struct strata_policy_options *options,
                       struct strata_error *err);

#endif
