/* Checkpoints: directories OUT/checkpoint-STEP in Hugging Face layout (config, tokenizer and processor files of the
 * starting model, model.safetensors) with the trainer's state beside them:
 *
 *   trainer_state.json           counters, settings, what the loop needs to go on (an object the loop owns)
 *   optimizer.safetensors        exp_avg.NAME, exp_avg_sq.NAME, and master.NAME where the weights are not fp32
 *
 * A checkpoint appears whole: it is written as a temporary directory, synced, and renamed. OUT/last and OUT/best are
 * symbolic links to the newest and to the one with the best evaluation; both are kept whatever the limit. */
#ifndef STRATA_TRAIN_CHECKPOINT_H
#define STRATA_TRAIN_CHECKPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/config.h"
#include "model/weights.h"
#include "strata/error.h"
#include "train/optimizer.h"

struct strata_checkpoint {
    const char *out;    /* run directory */
    const char *source; /* model directory whose configuration and tokenizer files are copied */
    const struct strata_model_config *config;
    const struct strata_weights *weights;
    const struct strata_optimizer *optimizer; /* NULL: weights only */
    const json_t *state;                      /* trainer_state.json */
    /* Writes more files into the checkpoint's (temporary) directory; may be NULL. */
    int (*extra)(void *context, const char *directory, struct strata_error *err);
    void *extra_context;
};
/* Writes OUT/checkpoint-`step` and points OUT/last (and, when `best`, OUT/best) at it. One that is there already is
 * replaced. */
int strata_checkpoint_save(const struct strata_checkpoint *checkpoint, uint64_t step, bool best,
                           struct strata_error *err);
/* Removes the oldest checkpoints until `limit` are left (0: no limit); never the last, nor the best. Also removes what
 * killed writers left. */
int strata_checkpoint_rotate(const char *out, size_t limit, struct strata_error *err);
/* Path of the newest complete checkpoint, owned by the caller; *path NULL when there is none. */
int strata_checkpoint_last(char **path, const char *out, struct strata_error *err);

/* The state of a checkpoint, a new reference. A directory with weights alone is STRATA_ERR_STATE, saying so. */
int strata_checkpoint_state(json_t **state, const char *directory, struct strata_error *err);
/* Moments and masters of a checkpoint into an optimiser of the same parameters. (The weights are the model's: a
 * checkpoint is opened as any model directory.) */
int strata_checkpoint_optimizer(struct strata_optimizer *optimizer, const char *directory, struct strata_error *err);

#endif
