/* The command line: one table of options and one of commands (options.def, table.c), from which parsing, range checks,
 * help, the pages of docs/commands and suggestions for misspelt names all follow.
 *
 * An option is read as `--name value` or `--name=value`; a flag takes no value (`--name=false` unsets it). `--` ends
 * the options. The same names are the keys of recipes and of --set, which fill what the command line left open
 * (recipe.h). */
#ifndef STRATA_CLI_OPTIONS_H
#define STRATA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/nearest.h"
#include "strata/error.h"

enum strata_option_type {
    STRATA_OPTION_FLAG,
    STRATA_OPTION_TEXT,
    STRATA_OPTION_TEXTS,   /* may be given several times */
    STRATA_OPTION_INTEGER, /* whole number in [low, high] */
    STRATA_OPTION_SIZE,    /* the same with a suffix K, M, G or T (powers of 1,024) */
    STRATA_OPTION_REAL,    /* finite number in [low, high] */
    STRATA_OPTION_CHOICE,  /* one word of `value`, which reads a|b|c */
    STRATA_OPTION_LIST     /* words of `value`, comma-separated, each at most once */
};

struct strata_option {
    const char *name;
    enum strata_option_type type;
    const char *value;    /* how help names the value: "DIR"; the words of a choice: "auto|f32|bf16" */
    double low, high;     /* inclusive */
    const char *standard; /* the value when not given, as text; NULL: none */
    const char *group;
    const char *commands; /* names of the commands that know it, space-separated */
    const char *help;
};

/* One constant per row of options.def, in its order. */
enum strata_option_id {
#define OPTION(id, name, type, value, low, high, standard, group, commands, help) STRATA_OPTION_ID_##id,
#include "cli/options.def"
#undef OPTION
    STRATA_OPTION_COUNT
};

struct strata_arguments;
struct strata_recipe;

struct strata_command {
    const char *name;
    const char *usage;    /* what follows the name: "DATA --model DIR --out RUN [options]" */
    const char *summary;  /* one line */
    const char *about;    /* paragraphs, separated by an empty line */
    const char *example;  /* command lines, one a line; NULL: none */
    const char *required; /* names of options that must be given, space-separated; NULL: none */
    size_t arguments_least, arguments_most;
    /* Returns a strata_status. A failure with an empty err->what has said on stdout what there is to say. */
    int (*run)(const struct strata_arguments *arguments, struct strata_error *err);
};

extern const struct strata_option strata_options[STRATA_OPTION_COUNT];
extern const struct strata_command strata_commands[];
extern const size_t strata_command_count;

/* NULL when there is none of that name. */
const struct strata_command *strata_command_find(const char *name);
bool strata_option_belongs(const struct strata_option *option, const char *command);

/* Where a value comes from; the later beats the earlier. */
enum strata_origin { STRATA_FROM_STANDARD, STRATA_FROM_RECIPE, STRATA_FROM_SET, STRATA_FROM_COMMAND_LINE };

struct strata_value {
    bool given; /* by the user, not the default */
    enum strata_origin origin;
    size_t line;      /* in the recipe */
    const char *text; /* as given, or the default; NULL when there is neither. Of several, the last */
    int64_t integer;  /* integer, size; flag: 0 or 1 */
    double real;
    const char **items; /* STRATA_OPTION_TEXTS, in order */
    size_t count;
};
struct strata_arguments {
    const struct strata_command *command;
    struct strata_value values[STRATA_OPTION_COUNT];
    const char **operands; /* the words that are no options */
    size_t operand_count;
    struct strata_recipe *recipe; /* that --recipe named, and whose texts the values are; NULL: none */
    bool help;                    /* --help was among them: nothing was checked */
};

/* argv[0..argc): the words after the command's name; they must outlive `arguments`. STRATA_ERR_USAGE with a hint that
 * names the nearest option, the range, or what is missing. */
int strata_arguments_parse(struct strata_arguments *arguments, const struct strata_command *command, int argc,
                           const char *const *argv, struct strata_error *err);
void strata_arguments_free(struct strata_arguments *arguments);
/* Sets one option by name after checking type and range; `where` places the error ("command line", "recipe.yaml:3").
 * value must outlive `arguments`. */
int strata_arguments_set(struct strata_arguments *arguments, const char *name, const char *value, const char *where,
                         struct strata_error *err);

/* The same for a value that only stands where none was given before; it is checked either way. */
int strata_arguments_fill(struct strata_arguments *arguments, const char *name, const char *value,
                          enum strata_origin origin, size_t line, const char *where, struct strata_error *err);

bool strata_flag(const struct strata_arguments *arguments, enum strata_option_id id);
bool strata_given(const struct strata_arguments *arguments, enum strata_option_id id);
const char *strata_text(const struct strata_arguments *arguments, enum strata_option_id id); /* may be NULL */
int64_t strata_integer(const struct strata_arguments *arguments, enum strata_option_id id);  /* 0 when not given */
size_t strata_size(const struct strata_arguments *arguments, enum strata_option_id id);      /* 0 when not given */
double strata_real(const struct strata_arguments *arguments, enum strata_option_id id);      /* 0 when not given */
/* Position of the chosen word in the option's `value` (0-based); choices only. */
int strata_choice(const struct strata_arguments *arguments, enum strata_option_id id);
/* Is `word` among a list option's words? */
bool strata_listed(const struct strata_arguments *arguments, enum strata_option_id id, const char *word);

/* Help as text for a terminal, the page of docs/commands, the man page (of `strata` itself where command is NULL), and
 * completion for bash. */
void strata_help_overview(struct strata_buffer *out);
void strata_help_command(struct strata_buffer *out, const struct strata_command *command);
void strata_help_markdown(struct strata_buffer *out, const struct strata_command *command);
void strata_help_markdown_index(struct strata_buffer *out);
void strata_help_man(struct strata_buffer *out, const struct strata_command *command);
void strata_help_completion(struct strata_buffer *out);
/* An option's help with its default, "required" and "repeatable" behind it. */
void strata_help_description(struct strata_buffer *out, const struct strata_command *command,
                             const struct strata_option *option);

#endif
