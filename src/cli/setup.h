/* From options to what the rooms below take: engines, cuts, prompts. Shared by the commands. */
#ifndef STRATA_CLI_SETUP_H
#define STRATA_CLI_SETUP_H

#include "cli/options.h"
#include "data/export.h"
#include "data/image.h"
#include "data/sample.h"
#include "difficulty/score.h"
#include "engine/engine.h"
#include "strata/error.h"

/* The engine that --engine, --model, --compute, --weights, --isa, --threads, --batch, --memory and --max-pixels ask
 * for. */
int strata_setup_engine(struct strata_engine **out, const struct strata_arguments *arguments, struct strata_error *err);

/* What the native engine settled on and what memory it may take, on stderr; nothing for other engines. */
void strata_print_plan(const struct strata_engine *engine, const struct strata_arguments *arguments);

/* The layout that the data set was taken for, on stderr; nothing where it cannot be read, which reading it will say. */
void strata_print_data(const char *path);

/* --format (a file called .csv or .tsv is one, where it is not given) and --paths. */
enum strata_format strata_setup_format(const struct strata_arguments *arguments, const char *out);
enum strata_export_paths strata_setup_paths(const struct strata_arguments *arguments);

/* Applies --preset, then every method option that was given, onto *cut. Options that the command does not know are
 * never given. */
int strata_setup_cut(struct strata_cut *cut, const struct strata_arguments *arguments, struct strata_error *err);
/* The same for the attention balance alone. */
int strata_setup_cmab(struct strata_cmab_options *cmab, const struct strata_arguments *arguments,
                      struct strata_error *err);

/* The text of an option, or the content of FILE for "@FILE" (one newline at its end removed). *out is owned by the
 * caller; NULL when not given. */
int strata_setup_text(char **out, const struct strata_arguments *arguments, enum strata_option_id id,
                      struct strata_error *err);
/* `count` numbers parted by commas into out; `what` names the option in errors. */
int strata_setup_numbers(double *out, size_t count, const char *text, const char *what, struct strata_error *err);

/* --shard I/N into dataset; NULL leaves it. */
int strata_setup_shard(struct strata_dataset_options *dataset, const char *text, struct strata_error *err);

/* One prompt as `generate` and `dump` take it: --system, the question, --image. */
struct strata_setup_prompt {
    struct strata_message messages[2];
    size_t message_count;
    struct strata_image *images;
    size_t image_count;
};
/* Images without an <image> mark in the question get theirs before it; otherwise the counts must agree. */
int strata_setup_prompt(struct strata_setup_prompt *out, const struct strata_arguments *arguments, const char *question,
                        struct strata_error *err);
void strata_setup_prompt_free(struct strata_setup_prompt *prompt);

#endif
