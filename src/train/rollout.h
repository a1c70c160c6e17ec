/* GRPO's rollouts: groups of completions sampled by the engine, graded, with what training needs of them. Private to
 * this room. */
#ifndef STRATA_TRAIN_ROLLOUT_H
#define STRATA_TRAIN_ROLLOUT_H

#include "train/trainer.h"

struct strata_completion {
    int32_t *ids; /* (N) as sampled, stop token included */
    size_t N;
    char *text;
    float *sampled; /* (N) log-probs it was sampled with */
    bool truncated;
};
/* With several ranks each has the completions of all groups, but prompt, images and features of its own only. */
struct strata_rollout_group {
    size_t sample; /* index in the data */
    struct strata_train_images images;
    struct strata_prompt prompt;
    float *embeds, *dembeds, *reference_embeds; /* of its images; the latter two only where needed, else NULL */
    struct strata_completion *completions;      /* (G) */
    bool flat;                                  /* equal rewards */
    int status; /* 0, or why it cannot be used: STRATA_ERR_ENGINE, it failed; _INPUT or _IO: the record's fault */
    struct strata_error reason;
};
struct strata_rollout {
    struct strata_rollout_group *groups; /* (want) */
    size_t want, count, G;
    /* Over all completions, group by group: */
    float *rewards, *advantages;       /* (count*G) */
    bool *excluded;                    /* (count*G) overlong filter */
    size_t *begin;                     /* (count*G + 1) first token of each */
    float *old, *reference;            /* (tokens) log-probs as sampled; of the reference (NULL: none) */
    float *logps, *dlogps, *entropies; /* (tokens) */
    struct strata_advantage_stats stats;
    size_t resampled; /* groups of equal rewards that were replaced */
    double rollout_seconds, reward_seconds, reference_seconds;
};
int strata_rollout_create(struct strata_rollout *out, size_t groups, size_t G, struct strata_error *err);
/* The next rollout: takes prompts from the data order (moving counters.place on), samples, grades, computes advantages
 * and the reference's log-probs. STRATA_ERR_INTERRUPTED when the user stopped it: nothing has been trained on. unusable
 * (one per record) marks those that cannot be used; more are added. */
int strata_rollout_collect(struct strata_rollout *rollout, struct strata_trainer *trainer,
                           const struct strata_grpo_options *options, bool *unusable, struct strata_error *err);
/* Completions, rewards and failures of the groups from `count` on: every rank gets those of the others
 * (rollout_exchange.c). */
int strata_rollout_exchange(struct strata_rollout *rollout, struct strata_trainer *trainer, size_t prompts,
                            struct strata_error *err);
/* The groups' tape form, logps and so on pointing into the rollout's arrays: responses (G of each group) is the
 * caller's. */
void strata_rollout_tape(struct strata_tape_group *out, struct strata_tape_response *responses,
                         struct strata_rollout *rollout, size_t index, bool reference);
/* Frees the groups of the latest rollout, or everything. */
void strata_rollout_clear(struct strata_rollout *rollout);
void strata_rollout_free(struct strata_rollout *rollout);

#endif
