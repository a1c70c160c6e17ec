/* Post-training in the engine that samples: supervised fine-tuning and GRPO (training.md).
 *
 * OUT/ gets metrics.jsonl, completions.jsonl (GRPO), events/ (TensorBoard), checkpoint-STEP directories in Hugging Face
 * layout and the links `last` and `best`. A run that was killed at any moment goes on from its last checkpoint and ends
 * in the same bits as one that was not. */
#ifndef STRATA_TRAIN_TRAIN_H
#define STRATA_TRAIN_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/sample.h"
#include "engine/native.h"
#include "model/tape.h"
#include "model/weights.h"
#include "strata/error.h"
#include "train/advantage.h"
#include "train/optimizer.h"
#include "train/policy_loss.h"
#include "train/ranks.h"
#include "train/schedule.h"
#include "verify/verify.h"

struct strata_lora_options {
    size_t rank;  /* 0: none, all weights of the trained groups are trained */
    double alpha; /* the update is alpha/rank * B A */
    /* Comma-separated last parts of module names: q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj; NULL: all of
     * these in the language model. */
    const char *targets;
    double b_deviation; /* of B at the start; 0 (as PEFT): the first forward is the base's */
};

/* ---- what is said while it runs ---- */

struct strata_train_plan { /* before the first step */
    size_t samples, bad, held_out;
    size_t prompts_per_step, completions_per_step; /* SFT: conversations, 0 */
    uint64_t steps, steps_done;                    /* in all; done by the run that is continued */
    uint64_t steps_per_epoch;
    size_t trained_parameters, parameters;
    size_t weight_bytes, reference_bytes, gradient_bytes, optimizer_bytes, tape_bytes, cache_bytes, feature_bytes;
    bool reference_in_file; /* and in the gradients' memory while it is needed */
    struct strata_native_plan engine;
    double warmup;    /* updates */
    const char *note; /* something the user should know (top-k and top-p under GRPO), or NULL */
};
/* Where the time of one update goes. The rollout's parts are those of its share of the updates made from it. */
struct strata_train_seconds {
    double rollout, reward, reference; /* GRPO */
    double forward, backward, update;  /* update: norm, clip, AdamW, engine's weights */
    double whole;                      /* of the step; what is missing is loading data */
};
struct strata_train_progress {
    uint64_t step, steps, epoch_steps;
    double loss, grad_norm, rate;
    double reward, kl, length, zero_variance, clipped, truncated; /* GRPO */
    double accuracy;                                              /* of the latest evaluation; -1: none yet */
    double tokens_per_second;                                     /* trained (SFT) or sampled and trained (GRPO) */
    double seconds, eta;
    struct strata_train_seconds step_seconds;
    uint64_t skipped; /* updates skipped for non-finite numbers */
};
struct strata_train_ability {
    char name[64];
    size_t right, count;
};
struct strata_train_evaluation {
    uint64_t step;
    size_t right, count, truncated, failed;
    bool paired;             /* compared with the evaluation before the first update: */
    double gain, gain_error; /* change of the share of right answers, and its standard error over pairs */
    struct strata_train_ability *abilities; /* sorted by name, owned */
    size_t ability_count;
    double seconds;
};
struct strata_train_observer {
    void *context;
    void (*on_plan)(void *context, const struct strata_train_plan *plan);
    void (*on_progress)(void *context, const struct strata_train_progress *progress);
    void (*on_evaluation)(void *context, const struct strata_train_evaluation *evaluation);
    void (*on_message)(void *context, const char *text); /* a skipped update, an unusable prompt */
};

/* ---- options ---- */

struct strata_train_options {
    struct strata_native_options engine; /* engine.model is the starting model, and GRPO's reference */
    const char *data, *held_out;         /* data sets; held_out may be NULL */
    const char *out;
    const char *resume;     /* checkpoint directory, "last" (of out), or NULL: a new run */
    const char *start_from; /* model directory whose weights the policy starts with, or NULL: engine.model's */
    struct strata_dataset_options dataset;
    struct strata_ranks *ranks; /* the processes that train together; NULL: this one alone */
    size_t grad_shards;         /* parts of an update's gradient, summed in a fixed tree; a multiple of the ranks; 0: as
                                   many as there are ranks */
    uint64_t seed;
    bool in_order; /* records as in the file instead of a new permutation each epoch */

    bool trained[3]; /* by enum strata_weight_group; language model alone by default */
    struct strata_lora_options lora;
    double epochs;    /* may be a fraction */
    size_t max_steps; /* 0: as many as epochs make */
    enum strata_schedule_kind schedule;
    double rate, warmup_ratio;
    struct strata_adamw adamw;
    enum strata_tape_level recompute; /* what the backward finds kept: STRATA_TAPE_LAYERS or STRATA_TAPE_ALL */
    size_t micro_rows;                /* rows of one forward and backward; a longer sequence has one to itself */
    size_t feature_bytes;             /* cache of vision features */

    size_t save_steps;       /* 0: at the end only */
    size_t save_total_limit; /* 0: all */
    bool no_checkpoints;     /* for measurements: nothing is ever saved */
    size_t eval_steps;       /* 0: at the end only (with held_out) */
    uint32_t eval_tokens;    /* longest answer in an evaluation */
    size_t max_skipped;      /* updates skipped in a row before the run gives up */
    enum strata_verify_mode verify_mode;
    const char *verifier; /* grader for records that name none; NULL: by ability */

    const volatile sig_atomic_t *interrupt; /* may be NULL */
    struct strata_train_observer observer;
};

enum strata_reduction { STRATA_REDUCE_GLOBAL, STRATA_REDUCE_MICROBATCH, STRATA_REDUCE_SEQUENCE };
enum strata_target { STRATA_TARGET_ASSISTANT, STRATA_TARGET_SOLUTION, STRATA_TARGET_SELF };
struct strata_sft_options {
    size_t batch;                    /* conversations per update */
    size_t micro_batch;              /* conversations per forward and backward; 0: as many as micro_rows hold */
    enum strata_reduction reduction; /* mean over all target tokens of an update; mean of the micro-batches' means; mean
                                        of the conversations' means */
    enum strata_target target;
};

struct strata_grpo_options {
    size_t prompts;     /* per update */
    size_t completions; /* per prompt */
    size_t updates;     /* updates a rollout's prompts are cut into (prompts * updates are sampled at once) */
    size_t iterations;  /* passes over a rollout */
    struct strata_sampling sampling;
    struct strata_policy_options policy;
    struct strata_advantage_options advantage;
    bool overlong_filter;   /* truncated completions are out of the loss */
    size_t resample_tries;  /* dynamic sampling: how often groups of equal rewards are replaced by further prompts; 0:
                               off */
    bool check;             /* first update of a rollout: the training forward's log-probs must be the sampled ones, bit
                               for bit; a difference is STRATA_ERR_STATE */
    size_t log_completions; /* groups per rollout that completions.jsonl gets; SIZE_MAX: all */
};

void strata_sft_defaults(struct strata_train_options *options, struct strata_sft_options *sft);
void strata_grpo_defaults(struct strata_train_options *options, struct strata_grpo_options *grpo);
/* The paper's settings (training.md sections 1 and 2) over the defaults. */
void strata_sft_paper(struct strata_train_options *options, struct strata_sft_options *sft);
void strata_grpo_paper(struct strata_train_options *options, struct strata_grpo_options *grpo);

struct strata_train_summary {
    uint64_t steps, skipped, tokens; /* tokens: trained */
    size_t unusable;                 /* prompts or conversations left out (too long, bad image) */
    double loss, reward;             /* of the last update */
    double accuracy, best_accuracy;  /* last and best evaluation; -1: none */
    double gain, gain_error;         /* last against the one before the first update; error 0: not known */
    uint64_t best_step;
    double seconds;
    size_t peak_bytes;
};

/* STRATA_ERR_INTERRUPTED  stopped by the flag, state saved
 * STRATA_ERR_NUMERIC       max_skipped updates in a row were not finite; state saved
 * STRATA_ERR_STATE         OUT holds another run, or a setting that determines the result differs on --resume
 * summary (may be NULL) is filled in these cases too. */
int strata_sft(struct strata_train_summary *summary, const struct strata_train_options *options,
               const struct strata_sft_options *sft, struct strata_error *err);
int strata_grpo(struct strata_train_summary *summary, const struct strata_train_options *options,
                const struct strata_grpo_options *grpo, struct strata_error *err);

#endif
