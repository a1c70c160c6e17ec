/* Man pages and bash completion, from the tables alone. */
#include <string.h>

#include "cli/options.h"
#include "strata/version.h"

/* Text for roff: what it would take for requests or escapes is escaped, a hyphen stays a hyphen. */
static void roff(struct strata_buffer *out, const char *text) {
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) strata_buffer_text(out, "\\&");
        line_start = *text == '\n';
        if (*text == '\\')
            strata_buffer_text(out, "\\e");
        else if (*text == '-')
            strata_buffer_text(out, "\\-");
        else
            strata_buffer_byte(out, (unsigned char)*text);
    }
}

static void paragraphs(struct strata_buffer *out, const char *text) {
    struct strata_buffer one = {0};
    for (const char *end = text; end; text = end + 2) {
        end = strstr(text, "\n\n");
        strata_buffer_clear(&one);
        strata_buffer_append(&one, text, end ? (size_t)(end - text) : strlen(text));
        strata_buffer_text(out, ".PP\n");
        roff(out, strata_buffer_string(&one));
        strata_buffer_byte(out, '\n');
        if (!end) break;
    }
    out->failed |= one.failed;
    strata_buffer_free(&one);
}

static void example(struct strata_buffer *out, const char *text) {
    strata_buffer_text(out, ".SH EXAMPLES\n.nf\n");
    roff(out, text);
    strata_buffer_text(out, "\n.fi\n");
}

static void overview_page(struct strata_buffer *out) {
    strata_buffer_text(out, ".TH STRATA 1 \"\" \"strata " STRATA_VERSION "\" \"User Commands\"\n"
                            ".SH NAME\nstrata \\- difficulty\\-aware post\\-training for vision\\-language models\n"
                            ".SH SYNOPSIS\n.B strata\n.I COMMAND\n[options]\n.SH COMMANDS\n");
    for (size_t i = 0; i < strata_command_count; i++) {
        strata_buffer_printf(out, ".TP\n.BR strata\\-%s (1)\n", strata_commands[i].name);
        roff(out, strata_commands[i].summary);
        strata_buffer_byte(out, '\n');
    }
    strata_buffer_text(out, ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong use, 130 interrupted with the state saved.\n");
}

void strata_help_man(struct strata_buffer *out, const struct strata_command *command) {
    if (!command) {
        overview_page(out);
        return;
    }
    strata_buffer_printf(out, ".TH STRATA\\-%s 1 \"\" \"strata %s\" \"User Commands\"\n.SH NAME\nstrata\\-%s \\- ",
                         command->name, STRATA_VERSION, command->name);
    roff(out, command->summary);
    strata_buffer_printf(out, "\n.SH SYNOPSIS\n.B strata %s\n", command->name);
    roff(out, command->usage);
    strata_buffer_text(out, "\n.SH DESCRIPTION\n");
    paragraphs(out, *command->about ? command->about : command->summary);
    const char *group = "";
    struct strata_buffer help = {0};
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_option *option = &strata_options[i];
        if (!strata_option_belongs(option, command->name)) continue;
        if (!*group) strata_buffer_text(out, ".SH OPTIONS\n");
        if (strcmp(group, option->group) != 0) strata_buffer_printf(out, ".SS \"%s\"\n", option->group);
        group = option->group;
        strata_buffer_text(out, ".TP\n.B \\-\\-");
        roff(out, option->name);
        if (option->value) {
            strata_buffer_text(out, " ");
            roff(out, option->value);
        }
        strata_buffer_clear(&help);
        strata_help_description(&help, command, option);
        strata_buffer_byte(out, '\n');
        roff(out, strata_buffer_string(&help));
        strata_buffer_byte(out, '\n');
    }
    strata_buffer_free(&help);
    if (command->example) example(out, command->example);
    strata_buffer_text(out, ".SH SEE ALSO\n.BR strata (1)\n");
}

/* ---- completion ---- */

/* "a|b|c" as "a b c". */
static void words(struct strata_buffer *out, const char *value) {
    for (; *value; value++) strata_buffer_byte(out, *value == '|' ? ' ' : (unsigned char)*value);
}

static void complete_options(struct strata_buffer *out, const struct strata_command *command) {
    strata_buffer_printf(out, "    %s) words=\"", command->name);
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++)
        if (strata_option_belongs(&strata_options[i], command->name))
            strata_buffer_printf(out, "--%s ", strata_options[i].name);
    strata_buffer_text(out, "--help\" ;;\n");
}

void strata_help_completion(struct strata_buffer *out) {
    strata_buffer_text(out, "# Completion of strata for bash, from its option table.\n"
                            "_strata() {\n"
                            "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
                            "    COMPREPLY=()\n"
                            "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                            "        mapfile -t COMPREPLY < <(compgen -W \"");
    for (size_t i = 0; i < strata_command_count; i++) strata_buffer_printf(out, "%s ", strata_commands[i].name);
    strata_buffer_text(out, "--version\" -- \"$word\")\n"
                            "        return\n"
                            "    fi\n"
                            "    case $before in\n");
    for (size_t i = 0; i < STRATA_OPTION_COUNT; i++) {
        const struct strata_option *option = &strata_options[i];
        if (option->type != STRATA_OPTION_CHOICE && option->type != STRATA_OPTION_LIST) continue;
        strata_buffer_printf(out, "    --%s) words=\"", option->name);
        words(out, option->value);
        strata_buffer_text(out, "\" ;;\n");
    }
    strata_buffer_text(out, "    esac\n"
                            "    if [ -z \"$words\" ] && [[ $word == -* ]]; then\n"
                            "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < strata_command_count; i++) complete_options(out, &strata_commands[i]);
    strata_buffer_text(out, "    esac\n"
                            "    fi\n"
                            "    [ -z \"$words\" ] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                            "}\n"
                            "complete -o default -F _strata strata\n");
}
