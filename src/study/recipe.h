/* A study's recipe: which model and data, which rows, families, measures and seeds, and the options of the commands
 * that the study is made of, under the commands' own names (recipes/ has three, docs/study.md explains them). */
#ifndef STRATA_STUDY_RECIPE_H
#define STRATA_STUDY_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "difficulty/score.h"
#include "strata/error.h"
#include "study/yaml.h"
#include "train/train.h"

enum strata_match { STRATA_MATCH_EPOCHS, STRATA_MATCH_STEPS, STRATA_MATCH_TOKENS };

/* Options of one command. ALL go to every command that knows them. */
enum strata_recipe_section {
    STRATA_RECIPE_ALL,
    STRATA_RECIPE_SCORE,
    STRATA_RECIPE_SELECT,
    STRATA_RECIPE_SFT,
    STRATA_RECIPE_GRPO,
    STRATA_RECIPE_EVAL,
    STRATA_RECIPE_SECTIONS
};

#define STRATA_STUDY_FAMILIES 8
#define STRATA_STUDY_SEEDS    64
#define STRATA_STUDY_TESTS    16
#define STRATA_STUDY_METRICS  2 /* 0: PISM, 1: CMAB */

extern const char *const strata_metric_names[STRATA_STUDY_METRICS];  /* "pism", "cmab" */
extern const char *const strata_metric_titles[STRATA_STUDY_METRICS]; /* "PISM", "CMAB" */

struct strata_family {
    const char *name;
    char *abilities; /* comma-separated, as the ability filter takes them; owned */
};
struct strata_recipe {
    char *path;
    struct strata_yaml document; /* owns the texts below */
    const char *model, *data;
    const char *tests[STRATA_STUDY_TESTS]; /* files, or benchmarks as `strata eval` takes them */
    size_t test_count;
    struct strata_family families[STRATA_STUDY_FAMILIES]; /* VRT and VPT where the recipe has none */
    size_t family_count;
    bool metrics[STRATA_STUDY_METRICS];
    unsigned rows; /* bits 1 << row */
    uint64_t seeds[STRATA_STUDY_SEEDS];
    size_t seed_count;
    enum strata_match match;
    enum strata_target targets[STRATA_STUDY_METRICS]; /* of SFT */
    bool target_given[STRATA_STUDY_METRICS];
    size_t resamples; /* of the bootstrap */
    bool drop_models; /* a trained model that has been evaluated and that nothing starts from is removed */
    /* Sizes of unsolved, hard, medium, easy for the estimate before scoring; all 0: not said. */
    size_t assumed[STRATA_STUDY_METRICS][STRATA_STUDY_FAMILIES][4];
};
/* Unknown keys are STRATA_ERR_USAGE with the line and the nearest key; those of the commands' sections are checked by
 * whoever knows the commands. */
int strata_recipe_load(struct strata_recipe *out, const char *path, struct strata_error *err);
/* The document alone, for a command that looks for its own options in it. *whole: it is a study's recipe, whose options
 * stand in sections; its keys are checked, the values of the study's own keys are not looked at. Otherwise the keys at
 * the top are options, which the caller checks. */
int strata_recipe_open(struct strata_recipe *out, bool *whole, const char *path, struct strata_error *err);
void strata_recipe_free(struct strata_recipe *recipe);
/* The section's mapping, or NULL. */
const struct strata_yaml *strata_recipe_section(const struct strata_recipe *recipe, enum strata_recipe_section section);
extern const char *const strata_recipe_section_names[STRATA_RECIPE_SECTIONS];

#endif
