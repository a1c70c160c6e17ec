/* What SFT and GRPO share: the model under training, its optimiser, checkpoints, evaluation, metrics. Private to this
 * room.
 *
 * The engine owns the policy's weights; the tape computes with the same packed matrices, and an update writes into
 * them, so that the next rollout samples from what was just trained, without a copy. */
#ifndef STRATA_TRAIN_TRAINER_H
#define STRATA_TRAIN_TRAINER_H

#include "model/gradient.h"
#include "train/checkpoint.h"
#include "train/data.h"
#include "train/lora.h"
#include "train/metrics.h"
#include "train/order.h"
#include "train/reference.h"
#include "train/train.h"

/* What a checkpoint keeps beside the optimiser's state. */
struct strata_train_counters {
    uint64_t step;     /* updates made or skipped */
    uint64_t place;    /* in the data order */
    uint64_t rollouts; /* GRPO */
    uint64_t skipped, tokens, unusable;
    double best_accuracy; /* -1: none */
    uint64_t best_step;
};

struct strata_trainer {
    const struct strata_train_options *options;
    struct strata_engine *engine;
    struct strata_model *model; /* the engine's */
    const struct strata_compute *compute;
    struct strata_reference reference; /* its model is NULL: none */
    struct strata_gradients gradients;
    struct strata_lora lora;
    struct strata_optimizer optimizer;
    struct strata_schedule schedule;
    struct strata_tape *tape;
    struct strata_tape_options tape_options;
    struct strata_train_data data, held_out;
    struct strata_features features, reference_features; /* the latter only where the tower is trained */
    bool own_reference_features;
    struct strata_order order;
    struct strata_metrics metrics;
    struct strata_train_counters counters;
    json_t *settings; /* what determines the result: fixed for the life of a run */
    char *baseline;   /* per held-out record: 'r'ight, 'w'rong or '-' before the first update; NULL: not evaluated */
    double gain, gain_error;
    size_t skipped_in_row;
    double accuracy; /* of the latest evaluation; -1 */
    double start;
    struct strata_train_seconds seconds; /* of the step that is being made: forward, backward, update */
    uint64_t first_step;                 /* of this process */
    uint64_t steps, steps_per_epoch;
    struct strata_ranks *ranks; /* NULL: alone */
    size_t shards;
    bool stop;           /* several ranks: they agreed to stop */
    uint64_t ended_step; /* the step that strata_trainer_step_end last saw */
    char (*names)[128];  /* of the parameters */
    int lock;
};

/* What a loop asks for. A *round* is what it takes from the data at once: an update's conversations, a rollout's
 * prompts.
 */
struct strata_trainer_needs {
    bool reference, completions; /* a frozen copy of the starting model; completions.jsonl */
    size_t per_round;            /* records */
    size_t updates_per_round;    /* SFT: 1 */
    bool drop_last;              /* an epoch's incomplete last round is dropped (GRPO) or made (SFT) */
    size_t prompts_per_step, completions_per_step; /* for the plan */
    size_t tape_responses, tape_groups;            /* of a usual pass */
    const char *note;
};
/* Opens model, data and run directory, and takes up a checkpoint where options->resume says so. `settings` (taken over,
 * NULL is out of memory) are the loop's own. */
int strata_trainer_open(struct strata_trainer *out, const struct strata_train_options *options, json_t *settings,
                        const struct strata_trainer_needs *needs, struct strata_error *err);
void strata_trainer_close(struct strata_trainer *trainer);

/* First of an update's `count` items that is in shard `shard`: shards are contiguous. */
size_t strata_trainer_shard_begin(const struct strata_trainer *trainer, size_t shard, size_t count);
/* The items [*first, *last) of an update that this rank computes. */
void strata_trainer_own(size_t *first, size_t *last, const struct strata_trainer *trainer, size_t count);
/* Gathers the gradients of an update, shard by shard: each adds its own to trainer->gradients. What one rank says went
 * wrong went wrong for all. */
int strata_trainer_gather(struct strata_trainer *trainer, strata_shard_function *shard, void *context,
                          struct strata_error *err);
/* `values` of the items this rank computed become those of all ranks' items; item_bytes each. */
int strata_trainer_share(struct strata_trainer *trainer, void *values, size_t item_bytes, size_t count,
                         struct strata_error *err);
/* *value: the sum of all ranks'. */
int strata_trainer_add_up(struct strata_trainer *trainer, uint64_t *value, struct strata_error *err);
/* Forward and backward of the tape, timed. */
int strata_trainer_forward(struct strata_trainer *trainer, const struct strata_tape_group *groups, size_t count,
                           float temperature, struct strata_error *err);
int strata_trainer_backward(struct strata_trainer *trainer, const struct strata_tape_group *groups, size_t count,
                            struct strata_error *err);
/* A tape that holds at least this much; the one there is kept when it does. */
int strata_trainer_tape(struct strata_trainer *trainer, size_t rows, size_t responses, size_t groups,
                        struct strata_error *err);
bool strata_trainer_trains_vision(const struct strata_trainer *trainer);
/* Adds the gradients of merger and tower for images whose features' gradient is dembeds. */
int strata_trainer_vision_backward(struct strata_trainer *trainer, const float *dembeds,
                                   const struct strata_train_images *images, struct strata_error *err);
/* One update from the gradients gathered (which it zeroes): norm, clip, AdamW, engine's weights. What is not finite is
 * counted and not used (*norm then is not finite). */
int strata_trainer_update(struct strata_trainer *trainer, double *norm, double *rate, struct strata_error *err);
/* A step whose losses were not finite: counted, gradients zeroed, learning goes on. STRATA_ERR_NUMERIC after
 * max_skipped in a row; the caller saves. */
int strata_trainer_skip(struct strata_trainer *trainer, const struct strata_error *reason, struct strata_error *err);
/* Evaluation and checkpoint where this step (or `final`) is due one. */
int strata_trainer_step_end(struct strata_trainer *trainer, bool final, struct strata_error *err);
int strata_trainer_save(struct strata_trainer *trainer, bool best, struct strata_error *err);
/* Should the run stop? Several ranks see this at the end of a step only, where they agree on it. */
bool strata_trainer_interrupted(const struct strata_trainer *trainer);
void strata_trainer_message(const struct strata_trainer *trainer, const char *format, ...) STRATA_PRINTF(2, 3);
void strata_trainer_summary(struct strata_train_summary *summary, const struct strata_trainer *trainer);

/* Evaluates a new run before its first update: what later evaluations are compared with. */
int strata_trainer_baseline(struct strata_trainer *trainer, struct strata_error *err);
/* Greedy answers to the held-out set, graded (evaluate.c); marks (one per record, NUL at the end; owned by the caller):
 * 'r', 'w' or '-' for a record without an answer. */
int strata_evaluate_held_out(struct strata_train_evaluation *out, char **marks, struct strata_trainer *trainer,
                             struct strata_error *err);
/* Share right in `after` minus share right in `before`, over records answered in both; the standard error of its mean
 * (ddof 1). False when fewer than two pairs. */
bool strata_paired_gain(double *gain, double *standard_error, const char *before, const char *after);

#endif
