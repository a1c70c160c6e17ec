#include "cli/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define ID(name) STRATA_OPTION_ID_##name

static bool knows(const char *command, const char *name) {
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++)
        if (strcmp(strata_options[i].name, name) == 0 && strata_option_belongs(&strata_options[i], command))
            return true;
    return false;
}

static bool anybody_knows(const char *name) {
    for (int s = STRATA_RECIPE_SCORE; s < STRATA_RECIPE_SECTIONS; s++)
        if (knows(strata_recipe_section_names[s], name)) return true;
    return false;
}

/* A sequence is a list, comma-separated; the text is put into the node, which owns it. */
static int flatten(struct strata_yaml *node, const char *path, struct strata_error *err) {
    struct strata_buffer text = {0};
    if (node->kind == STRATA_YAML_SCALAR) return 0;
    for (size_t i = 0; i < node->count; i++) {
        if (node->items[i].kind != STRATA_YAML_SCALAR || node->kind == STRATA_YAML_MAPPING) {
            strata_buffer_free(&text);
            return strata_yaml_fail(err, path, node, "\"%s\" needs a value or a list of values", node->key);
        }
        strata_buffer_printf(&text, "%s%s", i ? "," : "", node->items[i].text);
    }
    int code = strata_buffer_check(&text, err);
    node->kind = STRATA_YAML_SCALAR;
    node->text = text.data ? text.data : strata_strdup("");
    return code || node->text ? code : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* Options that say the same in two ways: the one that was given nearer to the user replaces the other. */
static bool is_replaced(const struct strata_arguments *arguments, const char *name, enum strata_origin origin) {
    static const enum strata_option_id pairs[][2] = {{ID(EPOCHS), ID(MAX_STEPS)}, {ID(MAX_STEPS), ID(EPOCHS)}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strcmp(strata_options[pairs[i][0]].name, name) == 0 && arguments->values[pairs[i][1]].origin > origin)
            return true;
    return false;
}

static int fill_option(struct strata_arguments *arguments, const char *name, const char *value,
                       enum strata_origin origin, size_t line, const char *where, struct strata_error *err) {
    if (strcmp(name, "recipe") == 0 || strcmp(name, "set") == 0) {
        strata_fail(err, STRATA_ERR_USAGE, "\"%s\" stands on the command line only", name);
        return strata_fail_at(err, STRATA_ERR_USAGE, "%s", where);
    }
    /* Checked before it is passed over: a wrong value is wrong whoever wins. */
    struct strata_arguments scratch = {.command = arguments->command};
    bool replaced = is_replaced(arguments, name, origin);
    int code = strata_arguments_fill(replaced ? &scratch : arguments, name, value, origin, line, where, err);
    if (replaced) strata_arguments_free(&scratch);
    return code;
}

int strata_recipe_fill(struct strata_arguments *arguments, struct strata_yaml *section, const char *path, bool shared,
                       struct strata_error *err) {
    const char *command = arguments->command->name;
    int code = 0;
    for (size_t i = 0; i < section->count && !code; i++) {
        struct strata_yaml *item = &section->items[i];
        char where[512];
        bool known = knows(command, item->key);
        if (shared && !known && anybody_knows(item->key)) continue;
        snprintf(where, sizeof where, "%.400s:%zu", path, item->line);
        if (known) code = flatten(item, path, err);
        if (!code)
            code = fill_option(arguments, item->key, item->kind == STRATA_YAML_SCALAR ? item->text : "",
                               STRATA_FROM_RECIPE, item->line, where, err);
    }
    return code;
}

/* ---- --recipe and --set ---- */

static int apply_set(struct strata_arguments *arguments, const char *item, struct strata_error *err) {
    const char *equals = strchr(item, '=');
    char name[64], where[256];
    snprintf(where, sizeof where, "--set %.200s", item);
    if (!equals || equals == item) {
        strata_fail(err, STRATA_ERR_USAGE, "--set takes KEY=VALUE");
        strata_fail_at(err, STRATA_ERR_USAGE, "%s", where);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "for example --set learning-rate=1e-5");
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - item < 63 ? equals - item : 63), item);
    return fill_option(arguments, name, equals + 1, STRATA_FROM_SET, 0, where, err);
}

/* The sections of `all` and of the command; one of them must be there, or the recipe would have no effect. */
static int apply_sections(struct strata_arguments *arguments, const struct strata_recipe *recipe,
                          struct strata_error *err) {
    const char *command = arguments->command->name;
    struct strata_yaml *own = NULL, *all = NULL;
    for (size_t i = 0; i < recipe->document.count; i++) {
        struct strata_yaml *node = &recipe->document.items[i];
        if (strcmp(node->key, command) == 0) own = node;
        if (strcmp(node->key, strata_recipe_section_names[STRATA_RECIPE_ALL]) == 0) all = node;
    }
    if (!own && !all) {
        strata_fail(err, STRATA_ERR_USAGE, "the recipe says nothing to %s", command);
        strata_fail_at(err, STRATA_ERR_USAGE, "%s", recipe->path);
        return strata_fail_hint(err, STRATA_ERR_USAGE,
                                "its options stand below \"%s\", those of all commands below "
                                "\"all\"",
                                command);
    }
    int code = own ? strata_recipe_fill(arguments, own, recipe->path, false, err) : 0;
    return code || !all ? code : strata_recipe_fill(arguments, all, recipe->path, true, err);
}

int strata_recipe_apply(struct strata_arguments *arguments, struct strata_error *err) {
    const struct strata_value *sets = &arguments->values[ID(SET)];
    const char *path = strata_text(arguments, ID(RECIPE));
    bool whole = false;
    int code = 0;
    for (size_t i = sets->count; i-- > 0 && !code;) code = apply_set(arguments, sets->items[i], err);
    if (code || !path) return code;
    code = strata_alloc(&arguments->recipe, 1, sizeof *arguments->recipe, err);
    if (!code) code = strata_recipe_open(arguments->recipe, &whole, path, err);
    if (code) return code;
    return whole ? apply_sections(arguments, arguments->recipe, err)
                 : strata_recipe_fill(arguments, &arguments->recipe->document, path, false, err);
}

json_t *strata_recipe_account(const struct strata_arguments *arguments) {
    json_t *options = json_object();
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_value *value = &arguments->values[i];
        char from[512] = "command line";
        if (!value->given || i == ID(SET) || i == ID(RECIPE)) continue;
        if (value->origin == STRATA_FROM_SET) snprintf(from, sizeof from, "--set");
        if (value->origin == STRATA_FROM_RECIPE)
            snprintf(from, sizeof from, "%.400s:%zu", arguments->recipe->path, value->line);
        json_object_set_new(options, strata_options[i].name,
                            json_pack("{s:s, s:s}", "value", value->text, "from", from));
    }
    return json_pack("{s:s, s:s, s:s?, s:o}", "command", arguments->command->name, "data", arguments->operands[0],
                     "recipe", strata_text(arguments, ID(RECIPE)), "options", options);
}
