/* Private to the study: its state, stages on disk, and the steps of a run. */
#ifndef STRATA_STUDY_RUN_H
#define STRATA_STUDY_RUN_H

#include <jansson.h>

#include "strata/error.h"
#include "study/lease.h"
#include "study/study.h"

struct strata_study_run {
    const struct strata_study_options *options;
    const struct strata_recipe *recipe;
    struct strata_plan plan;
    char *stages; /* OUT/stages */
    struct strata_leases *leases;
    bool *failed; /* (plan.count) in this process */
    struct strata_error first_failure;
};

/* ---- stages on disk (stage_files.c) ---- */

/* OUT/stages/PLACE/NAME, owned by the caller; NULL when memory is out. */
char *strata_stage_path(const struct strata_study_run *run, size_t stage, const char *name);
bool strata_stage_done(const struct strata_study_run *run, size_t stage);
/* result.json and time.json; *out NULL when it is not there. */
int strata_stage_result(json_t **out, const struct strata_study_run *run, size_t stage, struct strata_error *err);
double strata_stage_seconds(const struct strata_study_run *run, size_t stage); /* 0: not known */
/* Why a stage with a result has none to use; NULL for a proper one. Borrowed from the result. */
const char *strata_stage_impossible(const json_t *result);
/* Takes over `result`; time first, so that a result is never without it. */
int strata_stage_finish(const struct strata_study_run *run, size_t stage, json_t *result, double seconds,
                        struct strata_error *err);
/* What a finished training leaves: result and seconds from its files. */
int strata_stage_read_training(json_t **result, double *seconds, const struct strata_study_run *run, size_t stage,
                               struct strata_error *err);
/* Removes what a finished training does not need any more: the optimiser's state; with recipe->drop_models also the
 * weights once they are evaluated and nothing starts from them. */
void strata_stage_prune(const struct strata_study_run *run, size_t stage);
/* A training whose weights were removed, and which another stage needs after all (other rows, a changed recipe), becomes
 * one that is still to be done. *revived false: there is nothing to revive, or another process is at it. */
int strata_stage_revive(bool *revived, const struct strata_study_run *run, size_t stage, struct strata_error *err);
/* Each line of a JSONL file; a torn last line is left out. */
int strata_each_line(const char *path, int (*on_line)(void *context, const json_t *line, struct strata_error *err),
                     void *context, struct strata_error *err);

/* ---- work (stage_run.c, stage_train.c) ---- */

/* Does the stage, whose inputs are done, and writes its result. */
int strata_stage_run(struct strata_study_run *run, size_t stage, struct strata_lease *lease, struct strata_error *err);
int strata_stage_train(json_t **result, double *seconds, const struct strata_study_run *run, size_t index,
                       struct strata_error *err);
/* *out: {"impossible": reason}, a new reference; NULL when memory is out. */
void strata_impossible(json_t **out, const char *format, ...) STRATA_PRINTF(2, 3);
/* Updates that GRPO makes of `samples` samples. */
double strata_grpo_steps(const struct strata_study_options *options, size_t samples);
double strata_sft_steps(const struct strata_study_options *options, size_t samples);

/* ---- estimates (estimate.c) ---- */

/* (plan.count) estimates, owned by the caller. */
int strata_study_estimate(struct strata_estimate **out, struct strata_study_run *run, struct strata_engine *pilot,
                          struct strata_error *err);

/* ---- results (results.c …) ---- */

int strata_study_times(json_t **out, const struct strata_study_run *run, struct strata_error *err);
int strata_study_results(json_t **out, const struct strata_study_run *run, struct strata_error *err);

#endif
