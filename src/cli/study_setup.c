#include "cli/study_setup.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/recipe.h"
#include "cli/setup.h"
#include "cli/setup_http.h"
#include "cli/setup_parts.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

/* ---- which options a section may have ---- */

static bool is_among(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == length && memcmp(at, name, length) == 0) return true;
    return false;
}

/* What the study sets itself, or what would make no sense below it. */
static const char *const refused[STRATA_RECIPE_SECTIONS] = {
    [STRATA_RECIPE_ALL] = "model out data seed recipe set quiet json dry-run pilot",
    [STRATA_RECIPE_SCORE] = "model out seed metric shard dry-run pilot quiet json",
    [STRATA_RECIPE_SELECT] =
        ("out data seed by strata ability pass-rate agreement cap responses random-like format paths "
         "json"),
    [STRATA_RECIPE_SFT] = "model out seed resume start-from held-out eval-steps eval-tokens shard limit quiet json",
    [STRATA_RECIPE_GRPO] = "model out seed resume start-from held-out eval-steps eval-tokens shard limit quiet json",
    [STRATA_RECIPE_EVAL] = "model out seed engine audit quiet json",
};

/* Options that change speed and memory only: no key depends on them. */
static const char effortless[] =
    "threads batch memory prefill-chunk speculation save-steps save-total-limit max-skipped "
    "url api-key-env api-key-file in-flight timeout call-budget cache no-cache judge-key-env";

/* What a section says and the study leaves to it. */
static int apply_section(struct strata_arguments *arguments, const struct strata_recipe *recipe,
                         enum strata_recipe_section section, struct strata_error *err) {
    bool shared = section == STRATA_RECIPE_ALL;
    for (size_t i = 0; i < recipe->document.count; i++) {
        struct strata_yaml *node = &recipe->document.items[i];
        if (strcmp(node->key, strata_recipe_section_names[section]) != 0) continue;
        for (size_t k = 0; k < node->count; k++) {
            if (!is_among(refused[section], node->items[k].key)) continue;
            strata_yaml_fail(err, recipe->path, &node->items[k], "\"%s\" is the study's own to set",
                             node->items[k].key);
            return strata_fail_hint(err, STRATA_ERR_USAGE,
                                    "see the keys at the top: model, data, test, seeds, metrics");
        }
        return strata_recipe_fill(arguments, node, recipe->path, shared, err);
    }
    return 0;
}

/* The arguments of a command as the recipe gives them. */
static int parse_part(struct strata_cli_study *study, enum strata_recipe_section section, struct strata_error *err) {
    const struct strata_recipe *recipe = &study->recipe;
    const struct strata_command *command = strata_command_find(strata_recipe_section_names[section]);
    struct strata_arguments *arguments = &study->parts[section];
    const char *words[5] = {recipe->data, "--out", strata_text(study->own, ID(OUT)), "--model", recipe->model};
    int count = strata_option_belongs(&strata_options[ID(MODEL)], command->name) ? 5 : 3;
    int code = strata_arguments_parse(arguments, command, count, words, err);
    if (code) return code;
    study->parsed[section] = true;
    if (strata_given(study->own, ID(THREADS)) && strata_option_belongs(&strata_options[ID(THREADS)], command->name))
        code = strata_arguments_set(arguments, "threads", strata_text(study->own, ID(THREADS)), "command line", err);
    if (!code) code = apply_section(arguments, recipe, section, err);
    return code ? code : apply_section(arguments, recipe, STRATA_RECIPE_ALL, err);
}

/* Every option that determines results, in the order of the table. */
static int describe(char **out, const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_buffer text = {0};
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_value *value = &arguments->values[i];
        const char *name = strata_options[i].name;
        if (!value->given || is_among(effortless, name) || is_among("out model data", name)) continue;
        strata_buffer_printf(&text, "%s=%s\n", name, value->text ? value->text : "");
    }
    int code = strata_buffer_check(&text, err);
    *out = code ? NULL : strata_strdup(strata_buffer_string(&text));
    strata_buffer_free(&text);
    return code || *out ? code : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* ---- the commands' structs ---- */

static int setup_trainings(struct strata_cli_study *study, struct strata_error *err) {
    struct strata_study_options *options = &study->options;
    const struct strata_arguments *sft = &study->parts[STRATA_RECIPE_SFT], *grpo = &study->parts[STRATA_RECIPE_GRPO];
    strata_sft_defaults(&options->sft_train, &options->sft);
    if (strata_flag(sft, ID(PAPER))) strata_sft_paper(&options->sft_train, &options->sft);
    strata_setup_sft(&options->sft, sft);
    int code = strata_setup_train_options(&options->sft_train, &study->systems[STRATA_STAGE_SFT], sft, err);
    strata_grpo_defaults(&options->grpo_train, &options->grpo);
    if (strata_flag(grpo, ID(PAPER))) strata_grpo_paper(&options->grpo_train, &options->grpo);
    if (!code) code = strata_setup_grpo(&options->grpo, grpo, err);
    if (!code) code = strata_setup_train_options(&options->grpo_train, &study->systems[STRATA_STAGE_GRPO], grpo, err);
    return code;
}

static int setup_evaluation(struct strata_cli_study *study, struct strata_error *err) {
    struct strata_study_options *options = &study->options;
    const struct strata_arguments *arguments = &study->parts[STRATA_RECIPE_EVAL];
    const char *prompts = strata_text(arguments, ID(JUDGE_PROMPTS));
    char **system = &study->systems[STRATA_STAGE_EVAL];
    strata_setup_eval(&options->eval, arguments);
    int code = strata_setup_text(system, arguments, ID(SYSTEM), err);
    options->eval.system = *system;
    options->eval.judge_words = prompts ? "kit" : "ours";
    options->eval.judge_texts = &study->texts;
    if (!code)
        code =
            prompts ? strata_judge_texts_kit(&study->texts, prompts, err) : strata_judge_texts_ours(&study->texts, err);
    options->eval_mode = (enum strata_verify_mode)strata_choice(arguments, ID(VERIFY_MODE));
    options->eval_dataset =
        (struct strata_dataset_options){.skip_bad = strata_flag(arguments, ID(SKIP_BAD)),
                                        .prepend_missing_image = strata_choice(arguments, ID(MISSING_IMAGE)) == 1,
                                        .system = *system,
                                        .limit = strata_size(arguments, ID(LIMIT))};
    if (!code) code = strata_setup_cache(&study->cache, arguments, err);
    if (!code) code = strata_setup_judge(&study->judge, study->cache, arguments, err);
    options->judge = study->judge;
    return code;
}

/* Scoring takes the engine that its section names; evaluation always the built-in one, with what was trained. */
static int open_engine(void *context, struct strata_engine **out, enum strata_stage_kind kind, const char *model,
                       struct strata_error *err) {
    struct strata_cli_study *study = context;
    struct strata_arguments arguments =
        study->parts[kind == STRATA_STAGE_SCORE ? STRATA_RECIPE_SCORE : STRATA_RECIPE_EVAL];
    arguments.values[ID(MODEL)].text = model;
    if (kind == STRATA_STAGE_SCORE && strcmp(strata_text(&arguments, ID(ENGINE)), "http") == 0)
        return strata_setup_http(out, study->cache, &arguments, err);
    return strata_setup_engine(out, &arguments, err);
}

static int find_benchmark(void *context, enum strata_benchmark *benchmark, char **path, const char *name,
                          struct strata_error *err) {
    const struct strata_cli_study *study = context;
    return strata_find_benchmark(benchmark, path, name, &study->parts[STRATA_RECIPE_EVAL], err);
}

int strata_cli_study_setup(struct strata_cli_study *out, const struct strata_arguments *arguments,
                           struct strata_error *err) {
    static const enum strata_recipe_section sections[STRATA_STAGE_KINDS] = {[STRATA_STAGE_SCORE] = STRATA_RECIPE_SCORE,
                                                                            [STRATA_STAGE_SELECT] =
                                                                                STRATA_RECIPE_SELECT,
                                                                            [STRATA_STAGE_SFT] = STRATA_RECIPE_SFT,
                                                                            [STRATA_STAGE_GRPO] = STRATA_RECIPE_GRPO,
                                                                            [STRATA_STAGE_EVAL] = STRATA_RECIPE_EVAL};
    struct strata_study_options *options = &out->options;
    *out = (struct strata_cli_study){.own = arguments};
    int code = strata_recipe_load(&out->recipe, arguments->operands[0], err);
    for (int k = 0; k < STRATA_STAGE_KINDS && !code; k++) {
        code = parse_part(out, sections[k], err);
        if (!code) code = describe(&out->settings[k], &out->parts[sections[k]], err);
        options->settings[k] = out->settings[k];
    }
    if (!code) code = strata_setup_score(&options->score, &out->parts[STRATA_RECIPE_SCORE], err);
    options->cut = options->score.cut;
    if (!code) code = strata_setup_cut(&options->cut, &out->parts[STRATA_RECIPE_SELECT], err);
    if (!code) code = setup_trainings(out, err);
    if (!code) code = setup_evaluation(out, err);
    if (!code && strata_given(arguments, ID(ONLY)))
        code = strata_rows_parse(&options->only, strata_text(arguments, ID(ONLY)), err);
    options->recipe = &out->recipe;
    options->out = strata_text(arguments, ID(OUT));
    options->open_engine = open_engine;
    options->find_benchmark = find_benchmark;
    options->context = out;
    options->dry_run = strata_flag(arguments, ID(DRY_RUN));
    options->pilot = strata_size(arguments, ID(PILOT));
    return code;
}

void strata_cli_study_free(struct strata_cli_study *study) {
    for (int s = 0; s < STRATA_RECIPE_SECTIONS; s++)
        if (study->parsed[s]) strata_arguments_free(&study->parts[s]);
    for (int k = 0; k < STRATA_STAGE_KINDS; k++) {
        free(study->systems[k]);
        free(study->settings[k]);
    }
    free((char *)(uintptr_t)study->options.score.dataset.system);
    strata_judge_texts_free(&study->texts);
    strata_engine_destroy(study->judge);
    strata_cache_close(study->cache, NULL);
    strata_recipe_free(&study->recipe);
}
