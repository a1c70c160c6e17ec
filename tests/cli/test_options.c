/* The option table is sound, parsing accepts both spellings and refuses what is wrong with exit-2 errors that help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "cli/options.h"

#define ID(name) STRATA_OPTION_ID_##name

static struct strata_arguments arguments;
static struct strata_error error;

static int parse_words(const char *command, int count, const char *const *words) {
    error = (struct strata_error){0};
    return strata_arguments_parse(&arguments, strata_command_find(command), count, words, &error);
}
#define PARSE(command, ...)                                                                                            \
    parse_words(command, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

static char recipe[64];
#define GRPO "d.jsonl", "--model", "m", "--out", "o"

#define SCORE "data.jsonl", "--out", "run", "--model", "m"

static void reads_both_spellings(void **state) {
    (void)state;
    assert_int_equal(PARSE("score", SCORE, "--draws", "7", "--tau=0.2", "--json", "--metric=cmab"), 0);
    assert_int_equal(strata_integer(&arguments, ID(DRAWS)), 7);
    assert_string_equal(strata_text(&arguments, ID(TAU)), "0.2");
    assert_true(strata_flag(&arguments, ID(JSON)));
    assert_false(strata_flag(&arguments, ID(QUIET)));
    assert_true(strata_listed(&arguments, ID(METRIC), "cmab"));
    assert_false(strata_listed(&arguments, ID(METRIC), "pism"));
    assert_int_equal(arguments.operand_count, 1);
    assert_string_equal(arguments.operands[0], "data.jsonl");
    strata_arguments_free(&arguments);
}

static void defaults_are_not_given(void **state) {
    (void)state;
    assert_int_equal(PARSE("score", SCORE), 0);
    assert_int_equal(strata_integer(&arguments, ID(DRAWS)), 10);
    assert_false(strata_given(&arguments, ID(DRAWS)));
    assert_true(strata_given(&arguments, ID(MODEL)));
    assert_int_equal(strata_choice(&arguments, ID(MASK)), 0);
    assert_null(strata_text(&arguments, ID(TAU)));
    strata_arguments_free(&arguments);
}

static void sizes_have_suffixes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"16G", 16LL << 30}, {"800M", 800LL << 20}, {"4k", 4096},
                 {"512", 512},        {"2GiB", 2LL << 30},   {"1T", 1LL << 40}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(PARSE("score", SCORE, "--memory", cases[i].text), 0);
        assert_int_equal(strata_integer(&arguments, ID(MEMORY)), cases[i].bytes);
        strata_arguments_free(&arguments);
    }
}

static void repeats_keep_their_order(void **state) {
    (void)state;
    assert_int_equal(PARSE("generate", "what?", "--model", "m", "--image", "a.png", "--image=b.png"), 0);
    const struct strata_value *images = &arguments.values[ID(IMAGE)];
    assert_int_equal(images->count, 2);
    assert_string_equal(images->items[0], "a.png");
    assert_string_equal(images->items[1], "b.png");
    strata_arguments_free(&arguments);
}

static void two_dashes_end_the_options(void **state) {
    (void)state;
    assert_int_equal(PARSE("generate", "--model", "m", "--", "--what is this?"), 0);
    assert_string_equal(arguments.operands[0], "--what is this?");
    strata_arguments_free(&arguments);
}

static void refuses(const char *what, const char *hint) {
    assert_int_equal(error.code, STRATA_ERR_USAGE);
    if (!strstr(error.what, what)) fail_msg("\"%s\" does not say \"%s\"", error.what, what);
    if (hint && !strstr(error.hint, hint)) fail_msg("hint \"%s\" does not say \"%s\"", error.hint, hint);
}

static void wrong_use_is_refused(void **state) {
    (void)state;
    assert_int_equal(PARSE("score", SCORE, "--drwas", "3"), STRATA_ERR_USAGE);
    refuses("--drwas", "did you mean --draws?");
    assert_int_equal(PARSE("score", SCORE, "--max-new", "3"), STRATA_ERR_USAGE);
    refuses("--max-new", "did you mean --max-new-tokens?");
    assert_int_equal(PARSE("score", SCORE, "--tolerance", "3"), STRATA_ERR_USAGE);
    refuses("strata score has no option --tolerance", "it is an option of: compare");
    assert_int_equal(PARSE("score", SCORE, "--xyzzy"), STRATA_ERR_USAGE);
    refuses("--xyzzy", "strata score --help");
    assert_int_equal(PARSE("score", SCORE, "--draws", "0"), STRATA_ERR_USAGE);
    refuses("outside its range of 1 to 256", NULL);
    assert_int_equal(PARSE("score", SCORE, "--draws", "99999999999999999999"), STRATA_ERR_USAGE);
    refuses("outside its range", NULL);
    assert_int_equal(PARSE("score", SCORE, "--memory", "9999999999G"), STRATA_ERR_USAGE);
    refuses("outside its range", NULL);
    assert_int_equal(PARSE("score", SCORE, "--draws", "ten"), STRATA_ERR_USAGE);
    refuses("not a whole number", NULL);
    assert_int_equal(PARSE("score", SCORE, "--draws", "1.5"), STRATA_ERR_USAGE);
    refuses("not a whole number", NULL);
    assert_int_equal(PARSE("score", SCORE, "--temperature", "nan"), STRATA_ERR_USAGE);
    refuses("not a number", NULL);
    assert_int_equal(PARSE("score", SCORE, "--mask", "stripes"), STRATA_ERR_USAGE);
    refuses("one of: pixel rectangle patch", NULL);
    assert_int_equal(PARSE("score", SCORE, "--metric", "pism,pism"), STRATA_ERR_USAGE);
    refuses("repetitions", NULL);
    assert_int_equal(PARSE("score", SCORE, "--metric", ""), STRATA_ERR_USAGE);
    refuses("pism cmab", NULL);
    assert_int_equal(PARSE("score", SCORE, "--draws"), STRATA_ERR_USAGE);
    refuses("--draws needs a value", NULL);
    assert_int_equal(PARSE("score", SCORE, "--json=perhaps"), STRATA_ERR_USAGE);
    refuses("true or false", NULL);
    assert_int_equal(PARSE("score", "data.jsonl"), STRATA_ERR_USAGE);
    refuses("needs --out", "usage: strata score");
    assert_int_equal(PARSE("score", "--out", "run"), STRATA_ERR_USAGE);
    refuses("needs 1 argument", "usage: strata score");
    assert_int_equal(PARSE("score", SCORE, "more.jsonl"), STRATA_ERR_USAGE);
    refuses("\"more.jsonl\"", "usage: strata score");
    assert_int_equal(PARSE("score", SCORE, "-x"), STRATA_ERR_USAGE);
    refuses("-x", NULL);
}

static void help_wins_over_what_is_wrong(void **state) {
    (void)state;
    assert_int_equal(PARSE("score", "--drwas", "--help"), 0);
    assert_true(arguments.help);
    strata_arguments_free(&arguments);
}

static void write_recipe(const char *text) {
    assert_int_equal(strata_file_write(recipe, text, strlen(text), NULL), 0);
}

static void recipe_is_refused(const char *text, const char *what, const char *where, const char *hint) {
    write_recipe(text);
    assert_int_equal(PARSE("grpo", GRPO, "--recipe", recipe), STRATA_ERR_USAGE);
    refuses(what, hint);
    if (!strstr(error.where, where)) fail_msg("\"%s\" is placed at \"%s\", not %s", what, error.where, where);
}

/* Command line over --set over the recipe's own section over `all` over the default. */
static void nearer_settings_win(void **state) {
    (void)state;
    write_recipe("model: none\n" /* the study's keys are its own */
                 "all: {max-pixels: 10000, temperature: 0.5, top-k: 7, threads: 3, draws: 4}\n"
                 "sft: {batch-size: 3}\n"
                 "grpo: {temperature: 0.6, top-k: 8, threads: 4, train: [language, merger]}\n");
    assert_int_equal(PARSE("grpo", GRPO, "--set", "top-k=9", "--recipe", recipe, "--set", "threads=5", "--threads", "6",
                           "--set", "top-k=10"),
                     0);
    assert_int_equal(strata_integer(&arguments, ID(MAX_PIXELS)), 10000);
    assert_string_equal(strata_text(&arguments, ID(TEMPERATURE)), "0.6");
    assert_int_equal(strata_integer(&arguments, ID(TOP_K)), 10);
    assert_int_equal(strata_integer(&arguments, ID(THREADS)), 6);
    assert_true(strata_listed(&arguments, ID(TRAIN), "merger"));
    assert_int_equal(strata_integer(&arguments, ID(PROMPTS)), 8);
    assert_string_equal(strata_text(&arguments, ID(MODEL)), "m");
    assert_true(strata_given(&arguments, ID(TOP_K)));
    assert_false(strata_given(&arguments, ID(PROMPTS)));
    assert_int_equal(arguments.values[ID(MAX_PIXELS)].origin, STRATA_FROM_RECIPE);
    assert_int_equal(arguments.values[ID(MAX_PIXELS)].line, 2);
    assert_int_equal(arguments.values[ID(TOP_K)].origin, STRATA_FROM_SET);
    assert_int_equal(arguments.values[ID(THREADS)].origin, STRATA_FROM_COMMAND_LINE);
    strata_arguments_free(&arguments);
}

/* A file of one command's options; what the command needs may stand in it. The nearer of two options that replace each
 * other wins. */
static void a_recipe_may_be_flat(void **state) {
    (void)state;
    write_recipe("model: here\nepochs: 3\ncheck: true\n");
    assert_int_equal(PARSE("grpo", "d.jsonl", "--out", "o", "--recipe", recipe), 0);
    assert_string_equal(strata_text(&arguments, ID(MODEL)), "here");
    assert_true(strata_flag(&arguments, ID(CHECK)));
    assert_int_equal((int)strata_real(&arguments, ID(EPOCHS)), 3);
    strata_arguments_free(&arguments);
    assert_int_equal(PARSE("grpo", GRPO, "--recipe", recipe, "--max-steps", "4", "--check=false"), 0);
    assert_false(strata_given(&arguments, ID(EPOCHS)));
    assert_int_equal(strata_integer(&arguments, ID(MAX_STEPS)), 4);
    assert_false(strata_flag(&arguments, ID(CHECK)));
    strata_arguments_free(&arguments);
}

static void wrong_recipes_are_refused(void **state) {
    (void)state;
    recipe_is_refused("prompts: 2\nlearning-rat: 1\n", "has no option --learning-rat", ".yaml:2",
                      "did you mean --learning-rate?");
    recipe_is_refused("prompts: 2\nbatch-size: 1\n", "has no option --batch-size", ".yaml:2",
                      "it is an option of: sft");
    recipe_is_refused("all: {threads: 1}\ngrpo:\n  draws: 1\n", "has no option --draws", ".yaml:3", NULL);
    recipe_is_refused("grpo: {prompts: 1}\ngrop: {prompts: 1}\n", "no key \"grop\"", ".yaml:2",
                      "did you mean \"grpo\"?");
    recipe_is_refused("all: {thraeds: 1}\n", "has no option --thraeds", ".yaml:1", "did you mean --threads?");
    recipe_is_refused("grpo:\n  prompts: none\n", "not a whole number", ".yaml:2", NULL);
    recipe_is_refused("grpo:\n  prompts: {a: 1}\n", "needs a value", ".yaml:2", NULL);
    recipe_is_refused("sft: {epochs: 1}\n", "says nothing to grpo", ".yaml", "below \"grpo\"");
    recipe_is_refused("recipe: other.yaml\n", "on the command line only", ".yaml:1", NULL);
    /* Wrong is wrong, also where the command line wins. */
    write_recipe("prompts: none\n");
    assert_int_equal(PARSE("grpo", GRPO, "--recipe", recipe, "--prompts", "3"), STRATA_ERR_USAGE);
    refuses("not a whole number", NULL);
    write_recipe("epochs: none\n");
    assert_int_equal(PARSE("grpo", GRPO, "--recipe", recipe, "--max-steps", "3"), STRATA_ERR_USAGE);
    refuses("not a number", NULL);
    assert_int_equal(PARSE("grpo", GRPO, "--set", "prompts"), STRATA_ERR_USAGE);
    refuses("KEY=VALUE", "--set learning-rate=1e-5");
    assert_int_equal(PARSE("grpo", GRPO, "--set", "promts=3"), STRATA_ERR_USAGE);
    refuses("--promts", "did you mean --prompts?");
    assert_string_equal(error.where, "--set promts=3");
    assert_true(PARSE("grpo", GRPO, "--recipe", "nowhere.yaml") != 0);
    assert_int_equal(PARSE("score", SCORE, "--recipe", recipe), STRATA_ERR_USAGE);
    unlink(recipe);
}

/* Every row: a unique name, known commands, a default inside its own range; every command's needs are options of it. */
static void the_tables_are_sound(void **state) {
    (void)state;
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_option *option = &strata_options[i];
        for (size_t j = 0; j < i; j++) assert_string_not_equal(option->name, strata_options[j].name);
        char *commands = strdup(option->commands);
        size_t count = 0;
        for (char *name = strtok(commands, " "); name; name = strtok(NULL, " "), count++)
            if (!strata_command_find(name)) fail_msg("--%s belongs to an unknown command %s", option->name, name);
        assert_true(count > 0);
        free(commands);
        bool number = option->type == STRATA_OPTION_INTEGER || option->type == STRATA_OPTION_SIZE ||
                      option->type == STRATA_OPTION_REAL;
        if (number && !(option->low < option->high)) fail_msg("--%s has an empty range", option->name);
        if ((option->type == STRATA_OPTION_FLAG) != (option->value == NULL))
            fail_msg("--%s: flags, and only they, have no value", option->name);
    }
    for (size_t c = 0; c < strata_command_count; c++) {
        const struct strata_command *command = &strata_commands[c];
        struct strata_arguments parsed = {.command = command};
        for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
            const struct strata_option *option = &strata_options[i];
            struct strata_error err = {0};
            if (!option->standard || !strata_option_belongs(option, command->name)) continue;
            if (strata_arguments_set(&parsed, option->name, option->standard, "test", &err)) fail_msg("%s", err.what);
        }
        char *needs = strdup(command->required ? command->required : "");
        for (char *name = strtok(needs, " "); name; name = strtok(NULL, " ")) {
            size_t i = 0;
            while (i < STRATA_OPTION_COUNT && strcmp(strata_options[i].name, name) != 0) i++;
            assert_true(i < STRATA_OPTION_COUNT);
            assert_true(strata_option_belongs(&strata_options[i], command->name));
        }
        free(needs);
        strata_arguments_free(&parsed);
    }
}

static void nearest_names(void **state) {
    (void)state;
    static const struct {
        const char *word, *expected;
    } cases[] = {{"scroe", "score"}, {"selct", "select"}, {"scores", "score"}, {"gen", "generate"},
                 {"xyzzy", NULL},    {"", NULL},          {"docter", "doctor"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found =
            strata_nearest(cases[i].word, &strata_commands[0].name, strata_command_count, sizeof *strata_commands);
        if (!cases[i].expected) {
            assert_null(found);
        } else {
            assert_non_null(found);
            assert_string_equal(found, cases[i].expected);
        }
    }
}

static void read_text(struct strata_buffer *out, const char *path) {
    struct strata_error err = {0};
    if (strata_file_read(out, path, 1 << 20, &err)) fail_msg("%s: %s", path, err.what);
}

/* docs/commands is what the table says now. */
static void pages_have_not_drifted(void **state) {
    (void)state;
    for (size_t c = 0; c <= strata_command_count; c++) {
        struct strata_buffer page = {0}, file = {0};
        char path[128];
        const char *name = c < strata_command_count ? strata_commands[c].name : "README";
        snprintf(path, sizeof path, "docs/commands/%s.md", name);
        if (c < strata_command_count) {
            strata_help_markdown(&page, &strata_commands[c]);
        } else {
            strata_help_markdown_index(&page);
        }
        read_text(&file, path);
        if (strcmp(strata_buffer_string(&page), strata_buffer_string(&file)) != 0)
            fail_msg("%s is not what the option table says: `make docs` renews it", path);
        strata_buffer_free(&page);
        strata_buffer_free(&file);
    }
}

static void the_readme_lists_every_command(void **state) {
    (void)state;
    struct strata_buffer readme = {0};
    read_text(&readme, "README.md");
    for (size_t c = 0; c < strata_command_count; c++) {
        char link[96];
        snprintf(link, sizeof link, "(docs/commands/%s.md)", strata_commands[c].name);
        if (strcmp(strata_commands[c].name, "help") != 0 && !strstr(strata_buffer_string(&readme), link))
            fail_msg("README.md does not link %s", link);
    }
    strata_buffer_free(&readme);
}

int main(void) {
    snprintf(recipe, sizeof recipe, "/tmp/strata-recipe-%d.yaml", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_both_spellings),         cmocka_unit_test(defaults_are_not_given),
        cmocka_unit_test(sizes_have_suffixes),          cmocka_unit_test(repeats_keep_their_order),
        cmocka_unit_test(two_dashes_end_the_options),   cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(help_wins_over_what_is_wrong), cmocka_unit_test(nearer_settings_win),
        cmocka_unit_test(a_recipe_may_be_flat),         cmocka_unit_test(wrong_recipes_are_refused),
        cmocka_unit_test(the_tables_are_sound),         cmocka_unit_test(nearest_names),
        cmocka_unit_test(pages_have_not_drifted),       cmocka_unit_test(the_readme_lists_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
