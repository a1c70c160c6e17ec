/* Private to `strata study`: the sections of a recipe as options of the commands that they are named after. */
#ifndef STRATA_CLI_STUDY_SETUP_H
#define STRATA_CLI_STUDY_SETUP_H

#include "cli/options.h"
#include "store/cache.h"
#include "study/study.h"

struct strata_cli_study {
    const struct strata_arguments *own; /* of `strata study` */
    struct strata_recipe recipe;
    struct strata_arguments parts[STRATA_RECIPE_SECTIONS]; /* by section; all: not used */
    bool parsed[STRATA_RECIPE_SECTIONS];
    char *systems[STRATA_STAGE_KINDS], *settings[STRATA_STAGE_KINDS]; /* owned */
    struct strata_judge_texts texts;
    struct strata_cache *cache;
    struct strata_engine *judge;
    struct strata_study_options options;
};
/* Reads the recipe and every option in it; strata_cli_study_free also after a failure. */
int strata_cli_study_setup(struct strata_cli_study *out, const struct strata_arguments *arguments,
                           struct strata_error *err);
void strata_cli_study_free(struct strata_cli_study *study);

/* The outcome on stdout: one table for each measure and family; --json: results.json (study_print.c). */
int strata_cli_study_print(json_t *results, const json_t *times, const struct strata_arguments *arguments,
                           struct strata_error *err);

#endif
