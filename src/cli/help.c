/* Help for a terminal and the pages of docs/commands, both from the tables alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "cli/commands.h"

#define WIDTH 100

/* One paragraph text[0..length): its words, broken before `width` columns; lines after the first begin with `indent`
 * spaces. `column` is where the first word stands. */
static void wrap_paragraph(struct strata_buffer *out, const char *text, size_t length, size_t column, size_t indent,
                           size_t width) {
    bool first = true;
    for (size_t at = 0; at < length;) {
        size_t size = 0;
        while (at + size < length && text[at + size] != ' ') size++;
        if (!first && column + 1 + size > width) {
            strata_buffer_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            strata_buffer_byte(out, ' ');
            column++;
        }
        strata_buffer_append(out, text + at, size);
        column += size;
        at += size + 1;
        first = false;
    }
}

/* Paragraphs are parted by an empty line, and stay so. */
static void wrap(struct strata_buffer *out, const char *text, size_t column, size_t indent, size_t width) {
    for (const char *end; (end = strstr(text, "\n\n")); text = end + 2, column = indent) {
        wrap_paragraph(out, text, (size_t)(end - text), column, indent, width);
        strata_buffer_printf(out, "\n\n%*s", (int)indent, "");
    }
    wrap_paragraph(out, text, strlen(text), column, indent, width);
}

/* "--name VALUE" */
static void spelling(struct strata_buffer *out, const struct strata_option *option) {
    strata_buffer_printf(out, "--%s", option->name);
    if (option->value) strata_buffer_printf(out, " %s", option->value);
}

static bool required(const struct strata_command *command, const struct strata_option *option) {
    const char *found = command->required ? strstr(command->required, option->name) : NULL;
    size_t length = strlen(option->name);
    return found && (found == command->required || found[-1] == ' ') && (!found[length] || found[length] == ' ');
}

void strata_help_description(struct strata_buffer *out, const struct strata_command *command,
                             const struct strata_option *option) {
    strata_buffer_text(out, option->help);
    if (required(command, option)) strata_buffer_text(out, " (required)");
    if (option->standard) strata_buffer_printf(out, " [%s]", option->standard);
    if (option->type == STRATA_OPTION_TEXTS) strata_buffer_text(out, " (repeatable)");
}

/* The first option of its group that this command knows begins a new heading. */
static bool begins_group(const struct strata_command *command, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(strata_options[i].group, strata_options[index].group) == 0 &&
            strata_option_belongs(&strata_options[i], command->name))
            return false;
    return true;
}

void strata_help_overview(struct strata_buffer *out) {
    strata_buffer_text(out,
                       "strata: how hard is each sample for this vision-language model, and which ones to train on\n"
                       "\n"
                       "usage: strata COMMAND [arguments] [options]\n"
                       "\n");
    for (size_t i = 0; i < strata_command_count; i++)
        strata_buffer_printf(out, "  %-10s %s\n", strata_commands[i].name, strata_commands[i].summary);
    strata_buffer_text(out,
                       "\n"
                       "strata COMMAND --help lists a command's options. Exit status: 0 done, 1 failed, 2 wrong use,\n"
                       "130 interrupted with the state saved.\n");
}

void strata_help_command(struct strata_buffer *out, const struct strata_command *command) {
    strata_buffer_printf(out, "strata %s: %s\n\nusage: strata %s %s\n", command->name, command->summary, command->name,
                         command->usage);
    if (*command->about) {
        strata_buffer_text(out, "\n");
        wrap(out, command->about, 0, 0, WIDTH);
        strata_buffer_text(out, "\n");
    }
    struct strata_buffer text = {0};
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_option *option = &strata_options[i];
        if (!strata_option_belongs(option, command->name)) continue;
        if (begins_group(command, i)) {
            strata_buffer_printf(out, "\n%s\n", option->group);
            /* Groups need not be contiguous in the table: gather them here. */
            for (size_t j = i; j < STRATA_OPTION_COUNT; j++) {
                const struct strata_option *member = &strata_options[j];
                if (strcmp(member->group, option->group) != 0 || !strata_option_belongs(member, command->name))
                    continue;
                strata_buffer_clear(&text);
                spelling(&text, member);
                size_t column = text.length + 2;
                strata_buffer_printf(out, "  %s", strata_buffer_string(&text));
                if (column > 26) {
                    strata_buffer_printf(out, "\n%28s", "");
                } else {
                    strata_buffer_printf(out, "%*s", (int)(28 - column), "");
                }
                strata_buffer_clear(&text);
                strata_help_description(&text, command, member);
                wrap(out, strata_buffer_string(&text), 28, 28, WIDTH);
                strata_buffer_text(out, "\n");
            }
        }
    }
    strata_buffer_free(&text);
    if (!command->example) return;
    strata_buffer_text(out, "\nExamples\n");
    for (const char *line = command->example; *line;) {
        size_t length = strcspn(line, "\n");
        strata_buffer_printf(out, "  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

/* Table cells: a bar would end the cell. */
static void cell(struct strata_buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') strata_buffer_byte(out, '\\');
        strata_buffer_byte(out, (unsigned char)*text);
    }
}

void strata_help_markdown(struct strata_buffer *out, const struct strata_command *command) {
    strata_buffer_printf(out,
                         "<!-- Made by `strata help --markdown` from the option table; `make docs` renews it. -->\n"
                         "# strata %s\n\n%c%s.\n\n```\nstrata %s %s\n```\n",
                         command->name, command->summary[0] - 'a' + 'A', command->summary + 1, command->name,
                         command->usage);
    if (*command->about) {
        strata_buffer_text(out, "\n");
        wrap(out, command->about, 0, 0, WIDTH);
        strata_buffer_text(out, "\n");
    }
    struct strata_buffer text = {0};
    const char *group = "";
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_option *option = &strata_options[i];
        if (!strata_option_belongs(option, command->name)) continue;
        if (strcmp(group, option->group) != 0)
            strata_buffer_printf(out, "\n## %s\n\n| option | meaning |\n|---|---|\n", option->group);
        group = option->group;
        strata_buffer_clear(&text);
        spelling(&text, option);
        strata_buffer_text(out, "| `");
        cell(out, strata_buffer_string(&text));
        strata_buffer_text(out, "` | ");
        strata_buffer_clear(&text);
        strata_help_description(&text, command, option);
        cell(out, strata_buffer_string(&text));
        strata_buffer_text(out, " |\n");
    }
    strata_buffer_free(&text);
    if (command->example) strata_buffer_printf(out, "\n## Examples\n\n```sh\n%s\n```\n", command->example);
}

void strata_help_markdown_index(struct strata_buffer *out) {
    strata_buffer_text(out, "<!-- Made by `strata help --markdown` from the command table; `make docs` renews it. -->\n"
                            "# Commands\n\n| command | what it does |\n|---|---|\n");
    for (size_t i = 0; i < strata_command_count; i++)
        strata_buffer_printf(out, "| [%s](%s.md) | %s |\n", strata_commands[i].name, strata_commands[i].name,
                             strata_commands[i].summary);
    strata_buffer_text(
        out, "\nExit status: 0 done, 1 failed, 2 wrong use, 130 interrupted with the state saved. Results go to "
             "stdout, progress and\nmessages to stderr.\n");
}

static int write_page(const char *directory, const char *name, const char *suffix, struct strata_buffer *page,
                      struct strata_error *err) {
    char file[80];
    snprintf(file, sizeof file, "%s.%s", name, suffix);
    char *path = strata_path_join(directory, file);
    int status = path ? strata_buffer_check(page, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!status) status = strata_file_write(path, page->data, page->length, err);
    free(path);
    return status;
}

static int write_pages(const char *directory, struct strata_error *err) {
    struct strata_buffer page = {0};
    int status = strata_make_directories(directory, err);
    for (size_t i = 0; i < strata_command_count && !status; i++) {
        strata_buffer_clear(&page);
        strata_help_markdown(&page, &strata_commands[i]);
        status = write_page(directory, strata_commands[i].name, "md", &page, err);
    }
    if (!status) {
        strata_buffer_clear(&page);
        strata_help_markdown_index(&page);
        status = write_page(directory, "README", "md", &page, err);
    }
    strata_buffer_free(&page);
    return status;
}

static int write_man_pages(const char *directory, struct strata_error *err) {
    struct strata_buffer page = {0};
    int status = strata_make_directories(directory, err);
    for (size_t i = 0; i <= strata_command_count && !status; i++) {
        const struct strata_command *command = i < strata_command_count ? &strata_commands[i] : NULL;
        char name[64];
        snprintf(name, sizeof name, command ? "strata-%s" : "strata%s", command ? command->name : "");
        strata_buffer_clear(&page);
        strata_help_man(&page, command);
        status = write_page(directory, name, "1", &page, err);
    }
    strata_buffer_free(&page);
    return status;
}

int strata_cli_help(const struct strata_arguments *arguments, struct strata_error *err) {
    const char *directory = strata_text(arguments, STRATA_OPTION_ID_MARKDOWN);
    const char *man = strata_text(arguments, STRATA_OPTION_ID_MAN);
    if (directory) return write_pages(directory, err);
    if (man) return write_man_pages(man, err);
    struct strata_buffer text = {0};
    if (strata_flag(arguments, STRATA_OPTION_ID_COMPLETION)) {
        strata_help_completion(&text);
    } else if (arguments->operand_count) {
        const char *name = arguments->operands[0];
        const struct strata_command *command = strata_command_find(name);
        if (!command) {
            strata_fail(err, STRATA_ERR_USAGE, "there is no command \"%s\"", name);
            return strata_fail_hint(err, STRATA_ERR_USAGE, "strata help lists them");
        }
        strata_help_command(&text, command);
    } else {
        strata_help_overview(&text);
    }
    int status = strata_buffer_check(&text, err);
    if (!status) fputs(strata_buffer_string(&text), stdout);
    strata_buffer_free(&text);
    return status;
}
