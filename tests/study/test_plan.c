/* Recipes and the plan that follows from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "study/plan.h"

static char path[64];

static struct strata_recipe recipe_of(const char *text) {
    struct strata_recipe recipe;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    struct strata_error err = {0};
    if (strata_recipe_load(&recipe, path, &err)) fail_msg("%s: %s", err.where, err.what);
    return recipe;
}

static void refused(const char *text, const char *where, const char *what, const char *hint) {
    struct strata_recipe recipe;
    struct strata_error err = {0};
    char place[96];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(strata_recipe_load(&recipe, path, &err), STRATA_ERR_USAGE);
    snprintf(place, sizeof place, "%s%s", path, where);
    assert_string_equal(err.where, place);
    if (!strstr(err.what, what) || !strstr(err.hint, hint)) fail_msg("%s (%s)", err.what, err.hint);
}

#define HEAD "model: m\ndata: d.jsonl\ntest: t.jsonl\n"

static void test_recipes(void **state) {
    (void)state;
    struct strata_recipe recipe =
        recipe_of(HEAD "rows: [1, 3-5, 12]\nseeds: [4, 5]\nmatch: tokens\ntargets: {cmab: self}\nmetrics: cmab\n"
                       "families: {A: [x, y], B: z}\nassume: {cmab: {B: {hard: 7}}}\nkeep: results\n");
    assert_int_equal(recipe.rows, 1 << 1 | 7 << 3 | 1 << 12);
    assert_int_equal(recipe.seed_count, 2);
    assert_int_equal(recipe.seeds[1], 5);
    assert_int_equal(recipe.match, STRATA_MATCH_TOKENS);
    assert_false(recipe.metrics[0]);
    assert_true(recipe.metrics[1] && recipe.target_given[1] && !recipe.target_given[0]);
    assert_int_equal(recipe.targets[1], STRATA_TARGET_SELF);
    assert_string_equal(recipe.families[0].abilities, "x,y");
    assert_int_equal(recipe.assumed[1][1][1], 7);
    assert_true(recipe.drop_models);
    strata_recipe_free(&recipe);
    recipe = recipe_of(HEAD);
    assert_int_equal(recipe.rows, 0x1ffe);
    assert_int_equal(recipe.family_count, 2);
    assert_string_equal(recipe.families[1].name, "VPT");
    strata_recipe_free(&recipe);
}

static void test_bad_recipes(void **state) {
    (void)state;
    refused(HEAD "sedes: 1\n", ":4", "no key \"sedes\"", "did you mean \"seeds\"?");
    refused(HEAD "\nmatch: stpes\n", ":5", "\"stpes\"", "did you mean \"steps\"?");
    refused(HEAD "seeds: [1, two]\n", ":4", "\"two\"", "");
    refused(HEAD "seeds: [1, 1]\n", ":4", "twice", "");
    refused(HEAD "rows: 0-3\n", ":4", "1 to 12", "");
    refused(HEAD "model: n\n", ":4", "twice", "line 1");
    refused("model: m\ndata: d\n", "", "no test", "");
    refused(HEAD "score: 5\n", ":4", "keys and values", "");
    refused(HEAD "score: &a {draws: 1}\n", ":4", "anchors", "");
    refused(HEAD "assume: {pism: {XXX: {hard: 1}}}\n", ":4", "\"XXX\"", "");
    refused(HEAD "score: {draws: 1\n", ":5", "", "");
    refused("- a\n", ":1", "mapping", "");
    refused("", ":1", "empty", "");
}

static struct strata_plan plan_of(const struct strata_recipe *recipe, const char *const *settings, const char *root) {
    struct strata_plan plan = {0};
    const struct strata_plan_options options = {
        .recipe = recipe, .rows = recipe->rows, .settings = settings, .root = root, .test = "t"};
    assert_int_equal(strata_plan_make(&plan, &options, NULL), 0);
    return plan;
}

static size_t count_of(const struct strata_plan *plan, enum strata_stage_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++) count += plan->stages[i].kind == kind;
    return count;
}

static const char *const plain[STRATA_STAGE_KINDS] = {"score", "select", "sft", "grpo", "eval"};

static void test_whole_study(void **state) {
    (void)state;
    struct strata_recipe recipe = recipe_of(HEAD);
    struct strata_plan plan = plan_of(&recipe, plain, "r");
    /* 12 rows x 2 measures x 2 families. */
    assert_int_equal(plan.cell_count, 48);
    assert_int_equal(count_of(&plan, STRATA_STAGE_SCORE), 1);
    /* Of each family: the full set, and seven of each measure. */
    assert_int_equal(count_of(&plan, STRATA_STAGE_SELECT), 2 * (1 + 2 * 7));
    /* SFT on mid, hard, rand_m, rand_h; each feeds two or three rows. */
    assert_int_equal(count_of(&plan, STRATA_STAGE_SFT), 2 * 2 * 4);
    /* GRPO is its own in every row, but the full set's, which belongs to no measure. */
    assert_int_equal(count_of(&plan, STRATA_STAGE_GRPO), 2 * (1 + 2 * 11));
    assert_int_equal(count_of(&plan, STRATA_STAGE_EVAL), 1 + 2 * (1 + 2 * 11));
    for (size_t i = 0; i < plan.count; i++) {
        const struct strata_stage *stage = &plan.stages[i];
        assert_true(stage->source == STRATA_NO_STAGE || stage->source < i);
        assert_true(stage->start == STRATA_NO_STAGE || stage->start < i);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(stage->key, plan.stages[j].key);
            assert_string_not_equal(stage->name, plan.stages[j].name);
        }
    }
    /* Row 7 and row 8 start from the same SFT(hard). */
    size_t seven = STRATA_NO_STAGE, eight = STRATA_NO_STAGE;
    for (size_t i = 0; i < plan.cell_count; i++) {
        const struct strata_study_cell *cell = &plan.cells[i];
        if (cell->metric != 0 || cell->family != 0) continue;
        if (cell->row == 7) seven = cell->sft;
        if (cell->row == 8) eight = cell->sft;
        if (cell->row == 12) assert_true(cell->sft == STRATA_NO_STAGE);
    }
    assert_true(seven == eight && seven != STRATA_NO_STAGE);
    assert_int_equal(plan.stages[seven].subset, STRATA_SUBSET_HARD);
    strata_plan_free(&plan);
    strata_recipe_free(&recipe);
}

/* A changed option changes the keys of what it reaches, and no others. */
static void test_keys(void **state) {
    (void)state;
    static const char *const other_eval[STRATA_STAGE_KINDS] = {"score", "select", "sft", "grpo", "another"};
    static const char *const other_sft[STRATA_STAGE_KINDS] = {"score", "select", "another", "grpo", "eval"};
    struct strata_recipe recipe = recipe_of(HEAD "rows: 3,12\n");
    struct strata_plan plan = plan_of(&recipe, plain, "r"), eval = plan_of(&recipe, other_eval, "r"),
                       sft = plan_of(&recipe, other_sft, "r"), root = plan_of(&recipe, plain, "q");
    for (size_t i = 0; i < plan.count; i++) {
        const struct strata_stage *stage = &plan.stages[i];
        bool is_eval = stage->kind == STRATA_STAGE_EVAL;
        bool after_sft =
            stage->kind == STRATA_STAGE_SFT || stage->start != STRATA_NO_STAGE ||
            (is_eval && stage->source != STRATA_NO_STAGE && plan.stages[stage->source].start != STRATA_NO_STAGE);
        assert_int_equal(strcmp(stage->key, eval.stages[i].key) != 0, is_eval);
        assert_int_equal(strcmp(stage->key, sft.stages[i].key) != 0, after_sft);
        assert_string_not_equal(stage->key, root.stages[i].key);
    }
    strata_plan_free(&plan);
    strata_plan_free(&eval);
    strata_plan_free(&sft);
    strata_plan_free(&root);
    strata_recipe_free(&recipe);
}

static void test_matched_budgets(void **state) {
    (void)state;
    struct strata_recipe recipe = recipe_of(HEAD "rows: 3\nmetrics: pism\nmatch: steps\n");
    struct strata_plan plan = plan_of(&recipe, plain, "r");
    size_t grpo = plan.cells[0].grpo;
    /* The number of updates follows from the size of mid+hard. */
    assert_int_equal(plan.stages[plan.stages[grpo].reference].subset, STRATA_SUBSET_MID_HARD);
    assert_int_equal(count_of(&plan, STRATA_STAGE_GRPO), 2);
    strata_plan_free(&plan);
    recipe.match = STRATA_MATCH_TOKENS;
    /* What row 12 took is known when it has run, asked for or not. */
    plan = plan_of(&recipe, plain, "r");
    assert_int_equal(count_of(&plan, STRATA_STAGE_GRPO), 4);
    assert_int_equal(plan.stages[plan.stages[plan.cells[0].grpo].reference].kind, STRATA_STAGE_GRPO);
    strata_plan_free(&plan);
    strata_recipe_free(&recipe);
}

static int setup(void **state) {
    (void)state;
    strcpy(path, "/tmp/strata-plan-XXXXXX");
    int handle = mkstemp(path);
    return handle < 0 ? -1 : close(handle);
}

static int teardown(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recipes), cmocka_unit_test(test_bad_recipes),
                                       cmocka_unit_test(test_whole_study), cmocka_unit_test(test_keys),
                                       cmocka_unit_test(test_matched_budgets)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
