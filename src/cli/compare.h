/* The two halves of `strata compare`: tensors (compare.c) and runs (compare_runs.c). */
#ifndef STRATA_CLI_COMPARE_H
#define STRATA_CLI_COMPARE_H

#include "cli/options.h"

/* Two run directories by their difficulty.jsonl: samples in one only, and those whose strata or measures differ.
 * 0 when they agree, STRATA_ERR_INPUT with an empty err when they do not. */
int strata_compare_runs(const struct strata_arguments *arguments, struct strata_error *err);

#endif
