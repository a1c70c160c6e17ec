/* What a run is continued from. Private to trainer*.c. */
#ifndef STRATA_TRAIN_TRAINER_STATE_H
#define STRATA_TRAIN_TRAINER_STATE_H

#include "train/trainer.h"

struct strata_train_resume {
    char *directory; /* NULL: a new run */
    json_t *state;
    struct strata_metrics_mark mark;
};
/* Locks the run directory and finds the checkpoint that options->resume names. */
int strata_trainer_find(struct strata_train_resume *resume, struct strata_trainer *trainer, struct strata_error *err);
/* Completes the settings, compares them with the checkpoint's, and loads counters, moments and adapters. */
int strata_trainer_take_up(struct strata_trainer *trainer, struct strata_train_resume *resume,
                           struct strata_error *err);

#endif
