#include "study/recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/nearest.h"
#include "study/paradigms.h"

const char *const strata_metric_names[STRATA_STUDY_METRICS] = {"pism", "cmab"};
const char *const strata_metric_titles[STRATA_STUDY_METRICS] = {"PISM", "CMAB"};
const char *const strata_recipe_section_names[STRATA_RECIPE_SECTIONS] = {"all", "score", "select",
                                                                         "sft", "grpo",  "eval"};

static int need_scalar(const struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    if (node->kind == STRATA_YAML_SCALAR && *node->text) return 0;
    return strata_yaml_fail(err, recipe->path, node, "\"%s\" needs one value", node->key ? node->key : "an item");
}

static int need_mapping(const struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    if (node->kind == STRATA_YAML_MAPPING) return 0;
    return strata_yaml_fail(err, recipe->path, node, "\"%s\" needs keys and values", node->key);
}

/* Items of a sequence, or the scalar itself as the one item. */
static int list_of(const struct strata_yaml **items, size_t *count, const struct strata_recipe *recipe,
                   const struct strata_yaml *node, size_t most, struct strata_error *err) {
    *items = node->kind == STRATA_YAML_SEQUENCE ? node->items : node;
    *count = node->kind == STRATA_YAML_SEQUENCE ? node->count : 1;
    if (node->kind == STRATA_YAML_MAPPING || !*count || *count > most)
        return strata_yaml_fail(err, recipe->path, node, "\"%s\" needs 1 to %zu values", node->key, most);
    int code = 0;
    for (size_t i = 0; i < *count && !code; i++) code = need_scalar(recipe, &(*items)[i], err);
    return code;
}

static int read_number(uint64_t *out, const struct strata_recipe *recipe, const struct strata_yaml *node, uint64_t low,
                       uint64_t high, struct strata_error *err) {
    char *end;
    int code = need_scalar(recipe, node, err);
    if (code) return code;
    errno = 0;
    unsigned long long value = strtoull(node->text, &end, 10);
    *out = value;
    if (end != node->text && !*end && node->text[0] != '-' && !errno && value >= low && value <= high) return 0;
    return strata_yaml_fail(err, recipe->path, node, "\"%s\" is no whole number from %llu to %llu", node->text,
                            (unsigned long long)low, (unsigned long long)high);
}

/* One word of `words`; *out is its place. */
static int read_word(int *out, const struct strata_recipe *recipe, const struct strata_yaml *node,
                     const char *const *words, size_t count, struct strata_error *err) {
    int code = need_scalar(recipe, node, err);
    if (code) return code;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], node->text) != 0) continue;
        *out = (int)i;
        return 0;
    }
    code = strata_yaml_fail(err, recipe->path, node, "\"%s\" is not known here", node->text);
    const char *nearest = strata_nearest(node->text, words, count, sizeof *words);
    return strata_fail_hint(err, code, nearest ? "did you mean \"%s\"?" : "for example %s",
                            nearest ? nearest : words[0]);
}

static int metric_of(int *out, const struct strata_recipe *recipe, const struct strata_yaml *node, const char *word,
                     struct strata_error *err) {
    for (int m = 0; m < STRATA_STUDY_METRICS; m++)
        if (strcmp(strata_metric_names[m], word) == 0) {
            *out = m;
            return 0;
        }
    return strata_yaml_fail(err, recipe->path, node, "\"%s\" is neither pism nor cmab", word);
}

/* ---- the keys ---- */

static int read_model(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    recipe->model = node->text;
    return need_scalar(recipe, node, err);
}

static int read_data(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    recipe->data = node->text;
    return need_scalar(recipe, node, err);
}

static int read_test(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    const struct strata_yaml *items;
    int code = list_of(&items, &recipe->test_count, recipe, node, STRATA_STUDY_TESTS, err);
    for (size_t i = 0; i < recipe->test_count && !code; i++) recipe->tests[i] = items[i].text;
    return code;
}

static int add_family(struct strata_recipe *recipe, const char *name, const char *const *abilities, size_t count,
                      struct strata_error *err) {
    struct strata_buffer text = {0};
    for (size_t i = 0; i < count; i++) strata_buffer_printf(&text, "%s%s", i ? "," : "", abilities[i]);
    int code = strata_buffer_check(&text, err);
    recipe->families[recipe->family_count++] = (struct strata_family){name, text.data};
    return code;
}

static int read_families(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    int code = need_mapping(recipe, node, err);
    if (!code && (!node->count || node->count > STRATA_STUDY_FAMILIES))
        code = strata_yaml_fail(err, recipe->path, node, "1 to %d families", STRATA_STUDY_FAMILIES);
    for (size_t f = 0; f < node->count && !code; f++) {
        const struct strata_yaml *items;
        const char *abilities[64];
        size_t count;
        code = list_of(&items, &count, recipe, &node->items[f], 64, err);
        for (size_t i = 0; i < count && !code; i++) abilities[i] = items[i].text;
        if (!code && (strpbrk(node->items[f].key, "/ \t") || strcmp(node->items[f].key, "all") == 0))
            code = strata_yaml_fail(err, recipe->path, &node->items[f],
                                    "a family's name names files: no space or slash, and not \"all\"");
        if (!code) code = add_family(recipe, node->items[f].key, abilities, count, err);
    }
    return code;
}

static int read_metrics(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    const struct strata_yaml *items;
    size_t count;
    int code = list_of(&items, &count, recipe, node, STRATA_STUDY_METRICS, err);
    for (size_t i = 0; i < count && !code; i++) {
        int metric = 0;
        code = metric_of(&metric, recipe, &items[i], items[i].text, err);
        if (!code) recipe->metrics[metric] = true;
    }
    return code;
}

static int read_rows(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    const struct strata_yaml *items;
    size_t count;
    int code = list_of(&items, &count, recipe, node, STRATA_PARADIGMS, err);
    recipe->rows = 0;
    for (size_t i = 0; i < count && !code; i++) {
        unsigned rows;
        code = strata_rows_parse(&rows, items[i].text, err);
        recipe->rows |= rows;
        if (code) strata_fail_at(err, code, "%s:%zu", recipe->path, items[i].line);
    }
    return code;
}

static int read_seeds(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    const struct strata_yaml *items;
    int code = list_of(&items, &recipe->seed_count, recipe, node, STRATA_STUDY_SEEDS, err);
    for (size_t i = 0; i < recipe->seed_count && !code; i++) {
        code = read_number(&recipe->seeds[i], recipe, &items[i], 0, (uint64_t)1 << 53, err);
        for (size_t j = 0; j < i && !code; j++)
            if (recipe->seeds[j] == recipe->seeds[i])
                code = strata_yaml_fail(err, recipe->path, &items[i], "a seed stands twice");
    }
    return code;
}

static int read_match(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    static const char *const words[] = {"epochs", "steps", "tokens"};
    int match = 0, code = read_word(&match, recipe, node, words, 3, err);
    recipe->match = (enum strata_match)match;
    return code;
}

static int read_targets(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    static const char *const words[] = {"assistant", "solution", "self"};
    static const enum strata_target targets[] = {STRATA_TARGET_ASSISTANT, STRATA_TARGET_SOLUTION, STRATA_TARGET_SELF};
    int code = need_mapping(recipe, node, err);
    for (size_t i = 0; i < node->count && !code; i++) {
        int metric = 0, word = 0;
        code = metric_of(&metric, recipe, &node->items[i], node->items[i].key, err);
        if (!code) code = read_word(&word, recipe, &node->items[i], words, 3, err);
        recipe->targets[metric] = targets[word];
        recipe->target_given[metric] = true;
    }
    return code;
}

static int read_resamples(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    uint64_t number = 0;
    int code = read_number(&number, recipe, node, 100, 1000000, err);
    recipe->resamples = (size_t)number;
    return code;
}

static int read_keep(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    static const char *const words[] = {"models", "results"};
    int word = 0, code = read_word(&word, recipe, node, words, 2, err);
    recipe->drop_models = word == 1;
    return code;
}

/* assume: {pism: {VRT: {easy: 5048, …}, …}, …}; needs the families, so it is read last. */
static int read_assume(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    static const char *const words[] = {"unsolved", "hard", "medium", "easy"};
    int code = need_mapping(recipe, node, err);
    for (size_t m = 0; m < node->count && !code; m++) {
        const struct strata_yaml *families = &node->items[m];
        int metric = 0;
        code = metric_of(&metric, recipe, families, families->key, err);
        if (!code) code = need_mapping(recipe, families, err);
        for (size_t f = 0; f < families->count && !code; f++) {
            const struct strata_yaml *strata = &families->items[f];
            size_t family = 0;
            while (family < recipe->family_count && strcmp(recipe->families[family].name, strata->key) != 0) family++;
            if (family == recipe->family_count)
                code = strata_yaml_fail(err, recipe->path, strata, "\"%s\" is not one of the families", strata->key);
            if (!code) code = need_mapping(recipe, strata, err);
            for (size_t s = 0; s < strata->count && !code; s++) {
                const struct strata_yaml key = {.line = strata->items[s].line, .text = strata->items[s].key};
                int word = 0;
                uint64_t number = 0;
                code = read_word(&word, recipe, &key, words, 4, err);
                if (!code) code = read_number(&number, recipe, &strata->items[s], 0, 1000000000, err);
                recipe->assumed[metric][family][word] = (size_t)number;
            }
        }
    }
    return code;
}

/* The options of a command: whoever knows them reads them. */
static int read_section(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err) {
    return need_mapping(recipe, node, err);
}

/* In the order in which they are read, whatever their order in the file. */
static const struct {
    const char *name;
    int (*read)(struct strata_recipe *recipe, const struct strata_yaml *node, struct strata_error *err);
} keys[] = {{"model", read_model},         {"data", read_data},       {"test", read_test},
            {"families", read_families},   {"metrics", read_metrics}, {"rows", read_rows},
            {"seeds", read_seeds},         {"match", read_match},     {"targets", read_targets},
            {"keep", read_keep},           {"assume", read_assume},   {"all", read_section},
            {"resamples", read_resamples}, {"score", read_section},   {"select", read_section},
            {"sft", read_section},         {"grpo", read_section},    {"eval", read_section}};
#define KEYS (sizeof keys / sizeof *keys)

static int check_keys(const struct strata_recipe *recipe, struct strata_error *err) {
    for (size_t i = 0; i < recipe->document.count; i++) {
        const struct strata_yaml *node = &recipe->document.items[i];
        size_t k = 0;
        while (k < KEYS && strcmp(keys[k].name, node->key) != 0) k++;
        if (k < KEYS) continue;
        int code = strata_yaml_fail(err, recipe->path, node, "a recipe has no key \"%s\"", node->key);
        const char *nearest = strata_nearest(node->key, &keys[0].name, KEYS, sizeof *keys);
        if (nearest) return strata_fail_hint(err, code, "did you mean \"%s\"?", nearest);
        return strata_fail_hint(err, code,
                                "options of a command stand below its name: score, select, sft, grpo, eval; "
                                "those of all commands below \"all\"");
    }
    return 0;
}

static int set_defaults(struct strata_recipe *recipe, struct strata_error *err) {
    static const char *const reasoning[] = {"math", "puzzle", "science", "chart"};
    static const char *const perception[] = {"detection", "grounding",    "counting",
                                             "ocr",       "cv_detection", "cv_grounding"};
    int code = 0;
    if (!recipe->metrics[0] && !recipe->metrics[1]) recipe->metrics[0] = recipe->metrics[1] = true;
    if (!recipe->seed_count) recipe->seeds[recipe->seed_count++] = 1;
    if (!recipe->rows) code = strata_rows_parse(&recipe->rows, "all", err);
    if (recipe->family_count) return code;
    if (!code) code = add_family(recipe, "VRT", reasoning, 4, err);
    return code ? code : add_family(recipe, "VPT", perception, 6, err);
}

static int check_complete(const struct strata_recipe *recipe, struct strata_error *err) {
    const char *missing = !recipe->model ? "model" : !recipe->data ? "data" : !recipe->test_count ? "test" : NULL;
    if (!missing) return 0;
    strata_fail(err, STRATA_ERR_USAGE, "the recipe names no %s", missing);
    strata_fail_at(err, STRATA_ERR_USAGE, "%s", recipe->path);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "it needs model (a directory), data and test (files)");
}

static int load_document(struct strata_recipe *out, const char *path, struct strata_error *err) {
    *out = (struct strata_recipe){.path = strata_strdup(path), .resamples = 2000};
    return out->path ? strata_yaml_load(&out->document, path, err)
                     : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

int strata_recipe_open(struct strata_recipe *out, bool *whole, const char *path, struct strata_error *err) {
    int code = load_document(out, path, err);
    *whole = false;
    for (int s = 0; s < STRATA_RECIPE_SECTIONS && !code; s++)
        if (strata_recipe_section(out, (enum strata_recipe_section)s)) *whole = true;
    if (!code && *whole) code = check_keys(out, err);
    for (int s = 0; s < STRATA_RECIPE_SECTIONS && !code; s++) {
        const struct strata_yaml *section = strata_recipe_section(out, (enum strata_recipe_section)s);
        if (section) code = need_mapping(out, section, err);
    }
    if (code) strata_recipe_free(out);
    return code;
}

int strata_recipe_load(struct strata_recipe *out, const char *path, struct strata_error *err) {
    int code = load_document(out, path, err);
    if (!code) code = check_keys(out, err);
    for (size_t k = 0; k < KEYS && !code; k++) {
        if (strcmp(keys[k].name, "assume") == 0) code = set_defaults(out, err);
        for (size_t i = 0; i < out->document.count && !code; i++)
            if (strcmp(out->document.items[i].key, keys[k].name) == 0)
                code = keys[k].read(out, &out->document.items[i], err);
    }
    if (!code) code = check_complete(out, err);
    if (code) strata_recipe_free(out);
    return code;
}

void strata_recipe_free(struct strata_recipe *recipe) {
    for (size_t f = 0; f < recipe->family_count; f++) free(recipe->families[f].abilities);
    strata_yaml_free(&recipe->document);
    free(recipe->path);
    *recipe = (struct strata_recipe){0};
}

const struct strata_yaml *strata_recipe_section(const struct strata_recipe *recipe,
                                                enum strata_recipe_section section) {
    for (size_t i = 0; i < recipe->document.count; i++)
        if (strcmp(recipe->document.items[i].key, strata_recipe_section_names[section]) == 0)
            return &recipe->document.items[i];
    return NULL;
}
