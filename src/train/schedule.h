/* Learning rate by update (training.md 1.10). */
#ifndef STRATA_TRAIN_SCHEDULE_H
#define STRATA_TRAIN_SCHEDULE_H

#include <stddef.h>

#include "strata/error.h"

enum strata_schedule_kind { STRATA_SCHEDULE_COSINE, STRATA_SCHEDULE_LINEAR, STRATA_SCHEDULE_CONSTANT };

struct strata_schedule {
    enum strata_schedule_kind kind;
    double rate;          /* the peak */
    size_t warmup, total; /* updates */
};
/* "cosine", "linear", "constant"; STRATA_ERR_USAGE for another name. */
int strata_schedule_parse(enum strata_schedule_kind *out, const char *name, struct strata_error *err);
/* ceil(ratio * total), as transformers counts warm-up; ratio in [0,1]. */
size_t strata_warmup_updates(double ratio, size_t total);
/* Rate of the update made after `updates` others: linear from 0 (so the first is 0 when there is a warm-up) to the peak
 * at `warmup`, then half a cosine to 0 at `total`, a line to 0, or the peak. */
double strata_learning_rate(const struct strata_schedule *schedule, size_t updates);

#endif
