/* `strata study`: score -> select -> the twelve paradigms for each measure's strata and each family -> evaluate ->
 * tables with intervals (docs/study.md).
 *
 * A study is a graph of stages. A stage's key is a hash of everything that determines its result, the keys of what it
 * reads included; two rows that need the same stage share it, and a changed recipe repeats only what it changes.
 *
 *   OUT/study.json             what the study was begun with (kernels, arithmetic)
 *   OUT/stages/NAME-KEY/       a stage: its files, result.json once it is done, time.json
 *   OUT/leases/                who works on what (study/lease.h)
 *   OUT/results.json           everything the tables and the report show; no clock in it
 *   OUT/tables.md              the same to read
 *   OUT/times.json             seconds, by kind of stage and by field of the tables
 *
 * Killed at any moment it goes on, and ends in the same bytes of results.json, tables.md and every model. Several
 * processes, also on several machines, may run the same study in one directory; no stage runs twice. */
#ifndef STRATA_STUDY_STUDY_H
#define STRATA_STUDY_STUDY_H

#include <jansson.h>
#include <signal.h>

#include "eval/own.h"
#include "study/plan.h"
#include "study/recipe.h"

enum strata_stage_event { STRATA_STAGE_STARTS, STRATA_STAGE_DONE, STRATA_STAGE_IMPOSSIBLE, STRATA_STAGE_FAILED };
struct strata_study_observer {
    void *context;
    /* The plan with estimates, before anything runs. */
    void (*on_plan)(void *context, const struct strata_plan *plan, const struct strata_estimate *estimates);
    /* `finished` of the plan's stages have a result. */
    void (*on_stage)(void *context, const struct strata_plan *plan, size_t stage, enum strata_stage_event event,
                     size_t finished, const struct strata_error *error);
    void (*on_progress)(void *context, size_t done, size_t total, const char *note);
    void (*on_waiting)(void *context, const char *stage); /* all that is left is in other processes' hands */
    void (*on_message)(void *context, const char *text);
};

struct strata_study_options {
    const struct strata_recipe *recipe;
    const char *out;
    /* What the recipe's sections say, in the commands' own terms. Paths, seeds, bands of subsets and observers are the
     * study's to set. */
    struct strata_score_options score;
    struct strata_cut cut; /* of the subsets: that of scoring, changed by the select section */
    struct strata_train_options sft_train, grpo_train;
    struct strata_sft_options sft;
    struct strata_grpo_options grpo;
    struct strata_eval_options eval;
    struct strata_dataset_options eval_dataset;
    enum strata_verify_mode eval_mode;
    /* By enum strata_stage_kind: the options that determine results, as text, in one canonical order. */
    const char *settings[STRATA_STAGE_KINDS];
    /* An engine for scoring or evaluating with this model directory. */
    int (*open_engine)(void *context, struct strata_engine **out, enum strata_stage_kind kind, const char *model,
                       struct strata_error *err);
    /* The file of a test that is a benchmark of the kit; owned by the caller. */
    int (*find_benchmark)(void *context, enum strata_benchmark *benchmark, char **path, const char *name,
                          struct strata_error *err);
    void *context;
    struct strata_engine *judge; /* or NULL */
    unsigned only;               /* rows, as recipe->rows; 0: all of the recipe's */
    bool dry_run;                /* plan and estimates only */
    size_t pilot;                /* samples answered for the estimate; 0: none */
    double heartbeat, expiry;    /* of leases, seconds; 0: 10 and 120 */
    const volatile sig_atomic_t *interrupt;
    struct strata_study_observer observer;
};

/* *results and *times (new references; NULL after a dry run) are what results.json and times.json hold.
 * STRATA_ERR_INTERRUPTED: stopped, the same call goes on. Other failures of a stage leave the others going; the first
 * is returned at the end, with *results of what is there. */
int strata_study(json_t **results, json_t **times, const struct strata_study_options *options,
                 struct strata_error *err);

#endif
