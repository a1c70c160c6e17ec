/* What a run writes while it goes: metrics.jsonl, completions.jsonl and TensorBoard event files in its directory.
 *
 * A line of metrics.jsonl is one JSON object with `step`; everything that depends on the clock is inside its "time"
 * object, the rest is the same in a run that was killed and resumed. */
#ifndef STRATA_TRAIN_METRICS_H
#define STRATA_TRAIN_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "strata/error.h"
#include "train/event_file.h"

struct strata_metrics {
    FILE *metrics, *completions; /* the latter NULL where there are none */
    char *metrics_path, *completions_path;
    struct strata_event_file events;
};
/* Lengths of the two files at a checkpoint: what follows was written by steps that a resumed run makes again. */
struct strata_metrics_mark {
    int64_t metrics, completions;
};
/* Opens OUT's files at `mark` (NULL: new, empty), dropping what follows. */
int strata_metrics_open(struct strata_metrics *out, const char *directory, bool completions,
                        const struct strata_metrics_mark *mark, uint64_t step, struct strata_error *err);
/* A JSON number, or null for one that is not finite (JSON has none). */
json_t *strata_metrics_number(double value);
/* Where the files are not open (a process that does not write them) lines are dropped.
 * Takes the reference to `line` over. Numbers, also inside nested objects, become TensorBoard scalars named
 * outer/inner. A NULL line is out of memory. */
int strata_metrics_write(struct strata_metrics *metrics, json_t *line, struct strata_error *err);
int strata_metrics_completion(struct strata_metrics *metrics, json_t *line, struct strata_error *err);
/* Everything written so far is on the disk; its lengths. */
int strata_metrics_sync(struct strata_metrics_mark *mark, struct strata_metrics *metrics, struct strata_error *err);
void strata_metrics_close(struct strata_metrics *metrics);

#endif
