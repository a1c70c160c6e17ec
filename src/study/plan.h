/* The stages of a study and what they need of each other, from the recipe alone. */
#ifndef STRATA_STUDY_PLAN_H
#define STRATA_STUDY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "study/paradigms.h"
#include "study/recipe.h"

enum strata_stage_kind {
    STRATA_STAGE_SCORE,
    STRATA_STAGE_SELECT,
    STRATA_STAGE_SFT,
    STRATA_STAGE_GRPO,
    STRATA_STAGE_EVAL,
    STRATA_STAGE_KINDS
};
extern const char *const strata_stage_names[STRATA_STAGE_KINDS];

#define STRATA_NO_STAGE ((size_t)-1)

struct strata_stage {
    enum strata_stage_kind kind;
    char key[33];
    char name[128];  /* readable and unique: "grpo-VRT-pism-hard-after-mid-s1" */
    char place[160]; /* its directory below stages/: the name and part of the key */
    uint64_t seed;
    int metric; /* -1: of none */
    int family; /* -1: all */
    enum strata_subset subset;
    /* What must be there before it: score of a set, set of a training, first training of a second, model of an
     * evaluation, and what sets a matched budget. STRATA_NO_STAGE: none. */
    size_t source;    /* select: score; sft, grpo: select; eval: the trained model */
    size_t start;     /* grpo: the sft that it goes on from */
    size_t reference; /* grpo: the stage whose updates or tokens are the budget */
};

/* One field of the tables. */
struct strata_study_cell {
    int row, metric, family;
    size_t seed; /* place in the recipe's seeds */
    size_t sft, grpo, eval;
};

struct strata_plan {
    const struct strata_recipe *recipe;
    struct strata_stage *stages; /* inputs before what needs them */
    size_t count, capacity;
    struct strata_study_cell *cells;
    size_t cell_count, cell_capacity;
    size_t base;                       /* evaluation of the model that all start from */
    size_t scores[STRATA_STUDY_SEEDS]; /* by seed */
};

struct strata_plan_options {
    const struct strata_recipe *recipe;
    unsigned rows;
    const char *const *settings; /* by kind, see study.h */
    const char *root;            /* identity of model, data, kernels and arithmetic */
    const char *test;            /* identity of the test files */
    bool sampled_eval;           /* evaluation draws: the seed counts */
};
int strata_plan_make(struct strata_plan *out, const struct strata_plan_options *options, struct strata_error *err);
void strata_plan_free(struct strata_plan *plan);

/* Number of samples of a subset, from the sizes of a family's strata (unsolved, hard, medium, easy). */
size_t strata_subset_size(enum strata_subset subset, const size_t strata[4]);

/* What a stage is likely to take; -1: not known. */
struct strata_estimate {
    double samples, steps, tokens, seconds;
    bool done;
};

#endif
