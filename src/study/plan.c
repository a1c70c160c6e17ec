#include "study/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/memory.h"
#include "strata/version.h"

const char *const strata_stage_names[STRATA_STAGE_KINDS] = {"score", "select", "sft", "grpo", "eval"};

struct planning {
    struct strata_plan *plan;
    const struct strata_plan_options *options;
    struct strata_error *err;
};

static const char *key_of(const struct strata_plan *plan, size_t stage) {
    return stage == STRATA_NO_STAGE ? "" : plan->stages[stage].key;
}

/* Everything that determines the stage's result; `detail` is what its kind adds. */
static int set_key(struct strata_stage *stage, const struct planning *planning, const char *detail) {
    const struct strata_plan_options *options = planning->options;
    const struct strata_plan *plan = planning->plan;
    struct strata_buffer text = {0};
    strata_buffer_printf(&text, "strata %s\n%s\n%s\n%s\nseed %llu\n", STRATA_VERSION, strata_stage_names[stage->kind],
                         options->root, options->settings[stage->kind] ? options->settings[stage->kind] : "",
                         (unsigned long long)stage->seed);
    strata_buffer_printf(&text, "from %s %s %s\n%s", key_of(plan, stage->source), key_of(plan, stage->start),
                         key_of(plan, stage->reference), detail);
    int code = strata_buffer_check(&text, planning->err);
    if (!code) strata_hash_text(stage->key, strata_hash_bytes(text.data, text.length));
    strata_buffer_free(&text);
    return code;
}

/* The stage in the plan with this key, added if there is none. */
static int add_stage(size_t *index, struct planning *planning, struct strata_stage *stage, const char *detail) {
    struct strata_plan *plan = planning->plan;
    int code = set_key(stage, planning, detail);
    for (size_t i = 0; i < plan->count && !code; i++)
        if (strcmp(plan->stages[i].key, stage->key) == 0) {
            *index = i;
            return 0;
        }
    if (!code) code = strata_grow(&plan->stages, &plan->capacity, plan->count + 1, sizeof *stage, planning->err);
    if (code) return code;
    snprintf(stage->place, sizeof stage->place, "%s-%.12s", stage->name, stage->key);
    *index = plan->count;
    plan->stages[plan->count++] = *stage;
    return 0;
}

static const struct strata_stage blank = {
    .metric = -1, .family = -1, .source = STRATA_NO_STAGE, .start = STRATA_NO_STAGE, .reference = STRATA_NO_STAGE};

static int add_score(size_t *index, struct planning *planning, uint64_t seed) {
    struct strata_stage stage = blank;
    stage.kind = STRATA_STAGE_SCORE;
    stage.seed = seed;
    snprintf(stage.name, sizeof stage.name, "score-s%llu", (unsigned long long)seed);
    return add_stage(index, planning, &stage, "");
}

/* Where a set comes from, short: "VRT-pism-mid"; the full set belongs to no measure. */
static void name_subset(char out[80], const struct strata_recipe *recipe, const struct strata_stage *stage) {
    const char *family = recipe->families[stage->family].name, *subset = strata_subsets[stage->subset].name;
    if (stage->metric < 0)
        snprintf(out, 80, "%.40s-%s", family, subset);
    else
        snprintf(out, 80, "%.40s-%s-%s", family, strata_metric_names[stage->metric], subset);
}

static int add_select(size_t *index, struct planning *planning, size_t score, int metric, int family,
                      enum strata_subset subset) {
    const struct strata_recipe *recipe = planning->options->recipe;
    struct strata_stage stage = blank;
    struct strata_buffer detail = {0};
    char name[80];
    stage.kind = STRATA_STAGE_SELECT;
    stage.source = score;
    stage.seed = planning->plan->stages[score].seed;
    stage.metric = subset == STRATA_SUBSET_FULL ? -1 : metric;
    stage.family = family;
    stage.subset = subset;
    name_subset(name, recipe, &stage);
    snprintf(stage.name, sizeof stage.name, "set-%s-s%llu", name, (unsigned long long)stage.seed);
    strata_buffer_printf(&detail, "%d %s of %s\n", stage.metric, strata_subsets[subset].name,
                         recipe->families[family].abilities);
    int code = strata_buffer_check(&detail, planning->err);
    if (!code) code = add_stage(index, planning, &stage, detail.data);
    strata_buffer_free(&detail);
    return code;
}

/* A training on set `source`, after the training `start`. */
static int add_training(size_t *index, struct planning *planning, enum strata_stage_kind kind, size_t source,
                        size_t start, size_t reference, int metric) {
    const struct strata_plan *plan = planning->plan;
    const struct strata_recipe *recipe = planning->options->recipe;
    struct strata_stage stage = plan->stages[source];
    char name[80], detail[64] = "";
    name_subset(name, recipe, &stage);
    stage.kind = kind;
    stage.source = source;
    stage.start = start;
    stage.reference = reference;
    if (kind == STRATA_STAGE_SFT)
        snprintf(detail, sizeof detail, "target %d %d\n", recipe->target_given[metric], (int)recipe->targets[metric]);
    else
        snprintf(detail, sizeof detail, "match %d\n", reference == STRATA_NO_STAGE ? 0 : (int)recipe->match);
    if (start == STRATA_NO_STAGE)
        snprintf(stage.name, sizeof stage.name, "%s-%s-s%llu", strata_stage_names[kind], name,
                 (unsigned long long)stage.seed);
    else
        snprintf(stage.name, sizeof stage.name, "%s-%s-after-%s-s%llu", strata_stage_names[kind], name,
                 strata_subsets[plan->stages[start].subset].name, (unsigned long long)stage.seed);
    return add_stage(index, planning, &stage, detail);
}

/* The evaluation of a trained model, or of the one that all start from. */
static int add_evaluation(size_t *index, struct planning *planning, size_t source, uint64_t seed) {
    const struct strata_plan_options *options = planning->options;
    struct strata_stage stage = source == STRATA_NO_STAGE ? blank : planning->plan->stages[source];
    char name[sizeof stage.name];
    snprintf(name, sizeof name, "%s", source == STRATA_NO_STAGE ? "base" : stage.name);
    stage.kind = STRATA_STAGE_EVAL;
    stage.source = source;
    stage.start = stage.reference = STRATA_NO_STAGE;
    stage.seed = options->sampled_eval ? seed : 0;
    snprintf(stage.name, sizeof stage.name, "eval-%.120s", name);
    return add_stage(index, planning, &stage, options->test);
}

static int add_cell(struct planning *planning, int row, int metric, int family, size_t seed) {
    struct strata_plan *plan = planning->plan;
    const struct strata_recipe *recipe = planning->options->recipe;
    const struct strata_paradigm *paradigm = &strata_paradigms[row - 1];
    struct strata_study_cell cell = {.row = row, .metric = metric, .family = family, .seed = seed};
    size_t set, reference = STRATA_NO_STAGE, score = plan->scores[seed];
    int code = 0;
    cell.sft = STRATA_NO_STAGE;
    /* A matched budget is that of the claimed row: its number of samples (steps), or what it took (tokens). */
    if (recipe->match != STRATA_MATCH_EPOCHS && row != STRATA_ROW_CLAIM) {
        code = add_select(&reference, planning, score, metric, family, STRATA_SUBSET_MID_HARD);
        if (!code && recipe->match == STRATA_MATCH_TOKENS)
            code = add_training(&reference, planning, STRATA_STAGE_GRPO, reference, STRATA_NO_STAGE, STRATA_NO_STAGE,
                                metric);
    }
    if (!code && paradigm->sft) {
        code = add_select(&set, planning, score, metric, family, paradigm->sft);
        if (!code)
            code = add_training(&cell.sft, planning, STRATA_STAGE_SFT, set, STRATA_NO_STAGE, STRATA_NO_STAGE, metric);
    }
    if (!code) code = add_select(&set, planning, score, metric, family, paradigm->grpo);
    if (!code) code = add_training(&cell.grpo, planning, STRATA_STAGE_GRPO, set, cell.sft, reference, metric);
    if (!code) code = add_evaluation(&cell.eval, planning, cell.grpo, recipe->seeds[seed]);
    if (!code)
        code =
            strata_grow(&plan->cells, &plan->cell_capacity, plan->cell_count + 1, sizeof *plan->cells, planning->err);
    if (!code) plan->cells[plan->cell_count++] = cell;
    return code;
}

/* Seeds outermost: the first seed's tables are there first. */
int strata_plan_make(struct strata_plan *out, const struct strata_plan_options *options, struct strata_error *err) {
    const struct strata_recipe *recipe = options->recipe;
    struct planning planning = {out, options, err};
    *out = (struct strata_plan){.recipe = recipe};
    int code = add_evaluation(&out->base, &planning, STRATA_NO_STAGE, 0);
    for (size_t s = 0; s < recipe->seed_count && !code; s++) {
        code = add_score(&out->scores[s], &planning, recipe->seeds[s]);
        for (size_t f = 0; f < recipe->family_count; f++)
            for (int m = 0; m < STRATA_STUDY_METRICS; m++)
                for (int row = STRATA_PARADIGMS; row >= 1 && !code; row--)
                    if (recipe->metrics[m] && options->rows >> row & 1) code = add_cell(&planning, row, m, (int)f, s);
    }
    if (code) strata_plan_free(out);
    return code;
}

void strata_plan_free(struct strata_plan *plan) {
    free(plan->stages);
    free(plan->cells);
    *plan = (struct strata_plan){0};
}

size_t strata_subset_size(enum strata_subset subset, const size_t strata[4]) {
    switch (subset) {
    case STRATA_SUBSET_FULL:
        return strata[0] + strata[1] + strata[2] + strata[3];
    case STRATA_SUBSET_UNSOLVED:
        return strata[0];
    case STRATA_SUBSET_HARD:
    case STRATA_SUBSET_RANDOM_HARD:
        return strata[1];
    case STRATA_SUBSET_MID:
    case STRATA_SUBSET_RANDOM_MID:
        return strata[2];
    case STRATA_SUBSET_MID_HARD:
    case STRATA_SUBSET_RANDOM:
        return strata[1] + strata[2];
    case STRATA_SUBSET_NONE:
    case STRATA_SUBSETS:
        break;
    }
    return 0;
}
