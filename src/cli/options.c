#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/recipe.h"

const struct strata_option strata_options[STRATA_OPTION_COUNT] = {
#define OPTION(id, name, type, value, low, high, standard, group, commands, help)                                      \
    {name, STRATA_OPTION_##type, value, low, high, standard, group, commands, help},
#include "cli/options.def"
#undef OPTION
};

/* Is word[0..length) one of the words of list, which `separator` parts? *position counts them from 0. */
static bool word_in(const char *list, char separator, const char *word, size_t length, int *position) {
    int index = 0;
    for (const char *begin = list; begin && *begin; index++) {
        const char *end = strchr(begin, separator);
        size_t size = end ? (size_t)(end - begin) : strlen(begin);
        if (size == length && memcmp(begin, word, length) == 0) {
            if (position) *position = index;
            return true;
        }
        begin = end ? end + 1 : NULL;
    }
    return false;
}

bool strata_option_belongs(const struct strata_option *option, const char *command) {
    return word_in(option->commands, ' ', command, strlen(command), NULL);
}

const struct strata_command *strata_command_find(const char *name) {
    for (size_t i = 0; i < strata_command_count; i++)
        if (strcmp(strata_commands[i].name, name) == 0) return &strata_commands[i];
    return NULL;
}

/* ---- suggestions ---- */

#define LONGEST_NAME 40

/* The nearest option that `command` knows. */
static const char *nearest_option(const char *word, const char *command) {
    const char *names[STRATA_OPTION_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++)
        if (strata_option_belongs(&strata_options[i], command)) names[count++] = strata_options[i].name;
    return strata_nearest(word, names, count, sizeof *names);
}

/* ---- values ---- */

static int wrong_value(const struct strata_option *option, const char *value, const char *expected, const char *where,
                       struct strata_error *err) {
    strata_fail(err, STRATA_ERR_USAGE, "--%s is \"%s\", which is not %s", option->name, value, expected);
    return strata_fail_at(err, STRATA_ERR_USAGE, "%s", where);
}

static int check_range(const struct strata_option *option, const char *value, double number, const char *where,
                       struct strata_error *err) {
    if (number >= option->low && number <= option->high) return 0;
    strata_fail(err, STRATA_ERR_USAGE, "--%s is %s, outside its range of %.15g to %.15g", option->name, value,
                option->low, option->high);
    return strata_fail_at(err, STRATA_ERR_USAGE, "%s", where);
}

static int read_integer(struct strata_value *out, const struct strata_option *option, const char *value,
                        const char *where, struct strata_error *err) {
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool overflow = errno == ERANGE;
    if (end == value) return wrong_value(option, value, "a whole number", where, err);
    if (option->type == STRATA_OPTION_SIZE && *end) {
        static const char suffixes[] = "KMGT";
        const char *suffix = strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end);
        if (!suffix) return wrong_value(option, value, "a size like 800M or 16G", where, err);
        for (long i = 0; i <= suffix - suffixes; i++) overflow |= __builtin_mul_overflow(number, 1024LL, &number);
        end++;
        if (*end == 'i') end++;
        if (*end == 'B') end++;
    }
    if (*end) return wrong_value(option, value, "a whole number", where, err);
    if (overflow) return check_range(option, value, INFINITY, where, err);
    out->integer = number;
    return check_range(option, value, (double)number, where, err);
}

static int read_real(struct strata_value *out, const struct strata_option *option, const char *value, const char *where,
                     struct strata_error *err) {
    char *end;
    out->real = strtod(value, &end);
    if (end == value || *end || !isfinite(out->real)) return wrong_value(option, value, "a number", where, err);
    return check_range(option, value, out->real, where, err);
}

static int read_words(struct strata_value *out, const struct strata_option *option, const char *value,
                      const char *where, struct strata_error *err) {
    char words[256], expected[320];
    size_t length = strlen(option->value);
    bool list = option->type == STRATA_OPTION_LIST;
    for (size_t i = 0; i <= length && i < sizeof words; i++)
        words[i] = option->value[i] == '|' ? ' ' : option->value[i];
    words[sizeof words - 1] = '\0';
    snprintf(expected, sizeof expected, "%s: %s", list ? "a comma-separated list of" : "one of", words);
    uint64_t seen = 0;
    for (const char *begin = value;;) {
        size_t size = list ? strcspn(begin, ",") : strlen(begin);
        int position = 0;
        if (!word_in(option->value, '|', begin, size, &position))
            return wrong_value(option, value, expected, where, err);
        if (seen >> position & 1) return wrong_value(option, value, "free of repetitions", where, err);
        seen |= (uint64_t)1 << position;
        out->integer = position;
        if (!begin[size]) return 0;
        begin += size + 1;
    }
}

static int read_flag(struct strata_value *out, const struct strata_option *option, const char *value, const char *where,
                     struct strata_error *err) {
    out->integer = strcmp(value, "true") == 0;
    if (!out->integer && strcmp(value, "false") != 0) return wrong_value(option, value, "true or false", where, err);
    return 0;
}

static int set_value(struct strata_value *out, const struct strata_option *option, const char *value, const char *where,
                     struct strata_error *err) {
    out->text = value;
    switch (option->type) {
    case STRATA_OPTION_FLAG:
        return read_flag(out, option, value, where, err);
    case STRATA_OPTION_INTEGER:
    case STRATA_OPTION_SIZE:
        return read_integer(out, option, value, where, err);
    case STRATA_OPTION_REAL:
        return read_real(out, option, value, where, err);
    case STRATA_OPTION_CHOICE:
    case STRATA_OPTION_LIST:
        return read_words(out, option, value, where, err);
    case STRATA_OPTION_TEXTS: {
        size_t capacity = out->count;
        int status = strata_grow(&out->items, &capacity, out->count + 1, sizeof *out->items, err);
        if (status) return status;
        out->items[out->count++] = value;
        return 0;
    }
    case STRATA_OPTION_TEXT:
        break;
    }
    if (!*value) return wrong_value(option, value, "a text with something in it", where, err);
    return 0;
}

static int unknown_option(const char *name, const struct strata_command *command, const char *where,
                          struct strata_error *err) {
    strata_fail(err, STRATA_ERR_USAGE, "strata %s has no option --%s", command->name, name);
    strata_fail_at(err, STRATA_ERR_USAGE, "%s", where);
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++)
        if (strcmp(strata_options[i].name, name) == 0)
            return strata_fail_hint(err, STRATA_ERR_USAGE, "it is an option of: %s", strata_options[i].commands);
    const char *nearest = nearest_option(name, command->name);
    if (nearest) return strata_fail_hint(err, STRATA_ERR_USAGE, "did you mean --%s?", nearest);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "strata %s --help lists them", command->name);
}

static const struct strata_option *find_option(const char *name, size_t length, const char *command) {
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++)
        if (strlen(strata_options[i].name) == length && memcmp(strata_options[i].name, name, length) == 0 &&
            strata_option_belongs(&strata_options[i], command))
            return &strata_options[i];
    return NULL;
}

int strata_arguments_set(struct strata_arguments *arguments, const char *name, const char *value, const char *where,
                         struct strata_error *err) {
    const struct strata_option *option = find_option(name, strlen(name), arguments->command->name);
    if (!option) return unknown_option(name, arguments->command, where, err);
    struct strata_value *slot = &arguments->values[option - strata_options];
    slot->given = true;
    slot->origin = STRATA_FROM_COMMAND_LINE;
    return set_value(slot, option, value, where, err);
}

int strata_arguments_fill(struct strata_arguments *arguments, const char *name, const char *value,
                          enum strata_origin origin, size_t line, const char *where, struct strata_error *err) {
    const struct strata_option *option = find_option(name, strlen(name), arguments->command->name);
    if (!option) return unknown_option(name, arguments->command, where, err);
    struct strata_value *slot = &arguments->values[option - strata_options];
    struct strata_value filled = {.given = true, .origin = origin, .line = line};
    int status = set_value(&filled, option, value, where, err);
    if (status || slot->given) {
        free(filled.items);
    } else {
        free(slot->items);
        *slot = filled;
    }
    return status;
}

/* ---- the command line ---- */

#define COMMAND_LINE "command line"

static int set_defaults(struct strata_arguments *arguments, struct strata_error *err) {
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_option *option = &strata_options[i];
        if (!option->standard || !strata_option_belongs(option, arguments->command->name)) continue;
        int status = set_value(&arguments->values[i], option, option->standard, "the option table", err);
        if (status) return status;
    }
    return 0;
}

/* Reads the option argv[0] ("--name" or "--name=value"); *used says how many words it took. */
static int read_option(struct strata_arguments *arguments, int *used, int argc, const char *const *argv,
                       struct strata_error *err) {
    const char *name = argv[0] + 2, *value = strchr(name, '=');
    size_t length = value ? (size_t)(value - name) : strlen(name);
    const struct strata_option *option = find_option(name, length, arguments->command->name);
    *used = 1;
    if (!option) {
        char word[LONGEST_NAME + 1];
        snprintf(word, sizeof word, "%.*s", (int)(length < LONGEST_NAME ? length : LONGEST_NAME), name);
        return unknown_option(word, arguments->command, COMMAND_LINE, err);
    }
    if (value) {
        value++;
    } else if (option->type == STRATA_OPTION_FLAG) {
        value = "true";
    } else if (argc > 1) {
        value = argv[1];
        *used = 2;
    } else {
        strata_fail(err, STRATA_ERR_USAGE, "--%s needs a value: %s", option->name, option->value);
        return strata_fail_at(err, STRATA_ERR_USAGE, COMMAND_LINE);
    }
    return strata_arguments_set(arguments, option->name, value, COMMAND_LINE, err);
}

static int check_complete(const struct strata_arguments *arguments, struct strata_error *err) {
    const struct strata_command *command = arguments->command;
    for (size_t i = 0; command->required && i < STRATA_OPTION_COUNT; i++) {
        const char *name = strata_options[i].name;
        if (word_in(command->required, ' ', name, strlen(name), NULL) && !arguments->values[i].given) {
            strata_fail(err, STRATA_ERR_USAGE, "strata %s needs --%s", command->name, name);
            return strata_fail_hint(err, STRATA_ERR_USAGE, "usage: strata %s %s", command->name, command->usage);
        }
    }
    if (arguments->operand_count < command->arguments_least) {
        strata_fail(err, STRATA_ERR_USAGE, "strata %s needs %zu argument%s, and there %s %zu", command->name,
                    command->arguments_least, command->arguments_least == 1 ? "" : "s",
                    arguments->operand_count == 1 ? "is" : "are", arguments->operand_count);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "usage: strata %s %s", command->name, command->usage);
    }
    if (arguments->operand_count > command->arguments_most) {
        strata_fail(err, STRATA_ERR_USAGE, "strata %s does not know what to do with \"%s\"", command->name,
                    arguments->operands[command->arguments_most]);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "usage: strata %s %s", command->name, command->usage);
    }
    return 0;
}

int strata_arguments_parse(struct strata_arguments *arguments, const struct strata_command *command, int argc,
                           const char *const *argv, struct strata_error *err) {
    *arguments = (struct strata_arguments){.command = command};
    int status = strata_alloc(&arguments->operands, (size_t)argc + 1, sizeof *arguments->operands, err);
    if (status) return status;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) arguments->help = true;
    if (arguments->help) return 0;
    status = set_defaults(arguments, err);
    bool options = true;
    for (int i = 0; i < argc && !status;) {
        int used = 1;
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            status = read_option(arguments, &used, argc - i, argv + i, err);
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            strata_fail(err, STRATA_ERR_USAGE, "there are no one-letter options: %s", argv[i]);
            status = strata_fail_hint(err, STRATA_ERR_USAGE, "strata %s --help lists the options", command->name);
        } else {
            arguments->operands[arguments->operand_count++] = argv[i];
        }
        i += used;
    }
    if (!status) status = strata_recipe_apply(arguments, err);
    if (!status) status = check_complete(arguments, err);
    if (status) strata_arguments_free(arguments);
    return status;
}

void strata_arguments_free(struct strata_arguments *arguments) {
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) free(arguments->values[i].items);
    free(arguments->operands);
    if (arguments->recipe) strata_recipe_free(arguments->recipe);
    free(arguments->recipe);
    *arguments = (struct strata_arguments){.command = arguments->command};
}

bool strata_flag(const struct strata_arguments *arguments, enum strata_option_id id) {
    return arguments->values[id].integer != 0;
}

bool strata_given(const struct strata_arguments *arguments, enum strata_option_id id) {
    return arguments->values[id].given;
}

const char *strata_text(const struct strata_arguments *arguments, enum strata_option_id id) {
    return arguments->values[id].text;
}

int64_t strata_integer(const struct strata_arguments *arguments, enum strata_option_id id) {
    return arguments->values[id].integer;
}

size_t strata_size(const struct strata_arguments *arguments, enum strata_option_id id) {
    int64_t value = arguments->values[id].integer;
    return value > 0 ? (size_t)value : 0;
}

double strata_real(const struct strata_arguments *arguments, enum strata_option_id id) {
    return arguments->values[id].real;
}

int strata_choice(const struct strata_arguments *arguments, enum strata_option_id id) {
    return (int)arguments->values[id].integer;
}

bool strata_listed(const struct strata_arguments *arguments, enum strata_option_id id, const char *word) {
    return word_in(arguments->values[id].text, ',', word, strlen(word), NULL);
}
