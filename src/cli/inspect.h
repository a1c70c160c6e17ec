/* The half of `strata inspect` that reads runs (inspect_run.c). */
#ifndef STRATA_CLI_INSPECT_H
#define STRATA_CLI_INSPECT_H

#include "cli/options.h"

int strata_inspect_run(const struct strata_arguments *arguments, const char *run, struct strata_error *err);

#endif
