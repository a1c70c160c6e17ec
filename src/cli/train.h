/* What `sft` and `grpo` share on the command line: options, the table before the start, progress, the closing lines. */
#ifndef STRATA_CLI_TRAIN_H
#define STRATA_CLI_TRAIN_H

#include "base/progress.h"
#include "cli/options.h"
#include "strata/error.h"
#include "train/train.h"

struct strata_cli_training {
    const struct strata_arguments *arguments;
    const char *label; /* of the progress line */
    struct strata_progress *progress;
    char *system;
    struct strata_ranks *ranks;
    bool started;
};
/* Reads the shared options over the defaults (and preset) that *options holds already. */
int strata_setup_training(struct strata_train_options *options, struct strata_cli_training *training,
                          const struct strata_arguments *arguments, const char *label, struct strata_error *err);
/* Prints the outcome when the run came to an end, good or bad, and frees what _setup took. Returns `status`. */
int strata_finish_training(struct strata_cli_training *training, const struct strata_train_options *options,
                           const struct strata_train_summary *summary, int status, struct strata_error *err);

#endif
