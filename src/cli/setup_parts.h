/* The options of single commands as the library takes them, for the command that is made of them (`strata study`). */
#ifndef STRATA_CLI_SETUP_PARTS_H
#define STRATA_CLI_SETUP_PARTS_H

#include "cli/options.h"
#include "difficulty/score.h"
#include "eval/evaluate.h"
#include "strata/error.h"
#include "train/train.h"

/* score.c; options->dataset.system is owned by the caller. */
int strata_setup_score(struct strata_score_options *options, const struct strata_arguments *arguments,
                       struct strata_error *err);

/* train.c, sft.c, grpo.c: over the defaults (and --paper) that the structs hold already. *system is owned by the caller
 * and borrowed by *options. */
int strata_setup_train_options(struct strata_train_options *options, char **system,
                               const struct strata_arguments *arguments, struct strata_error *err);
void strata_setup_sft(struct strata_sft_options *sft, const struct strata_arguments *arguments);
int strata_setup_grpo(struct strata_grpo_options *grpo, const struct strata_arguments *arguments,
                      struct strata_error *err);

/* eval.c: without texts, observers and a judge. */
void strata_setup_eval(struct strata_eval_options *options, const struct strata_arguments *arguments);
/* The benchmark that an operand of `strata eval` names, and its file (owned by the caller). */
int strata_find_benchmark(enum strata_benchmark *benchmark, char **path, const char *operand,
                          const struct strata_arguments *arguments, struct strata_error *err);

#endif
