/* Dispatch: finds the command, parses its options, runs it, turns its outcome into an exit status. */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/terminal.h"
#include "strata/version.h"

static int wrong_command(const char *name) {
    struct strata_error err = {0};
    strata_fail(&err, STRATA_ERR_USAGE, "there is no command \"%s\"", name);
    const char *nearest = strata_nearest(name, &strata_commands[0].name, strata_command_count, sizeof *strata_commands);
    if (nearest) {
        strata_fail_hint(&err, STRATA_ERR_USAGE, "did you mean \"strata %s\"?", nearest);
    } else {
        strata_fail_hint(&err, STRATA_ERR_USAGE, "strata help lists them");
    }
    strata_print_error(NULL, &err);
    return strata_exit_status(STRATA_ERR_USAGE);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    if (name && (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0)) {
        puts("strata " STRATA_VERSION);
        return 0;
    }
    bool bare = !name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    const struct strata_command *command = strata_command_find(bare ? "help" : name);
    if (!command) return wrong_command(name);

    struct strata_error err = {0};
    struct strata_arguments arguments;
    int words = bare ? 0 : argc - 2;
    int status = strata_arguments_parse(&arguments, command, words, (const char *const *)argv + argc - words, &err);
    if (!status && arguments.help) {
        struct strata_buffer text = {0};
        strata_help_command(&text, command);
        fputs(strata_buffer_string(&text), stdout);
        strata_buffer_free(&text);
    } else if (!status) {
        status = command->run(&arguments, &err);
    }
    if (!status) status = strata_finish_output(&err);
    if (status) strata_print_error(bare ? NULL : name, &err);
    strata_arguments_free(&arguments);
    if (!name && !status) return strata_exit_status(STRATA_ERR_USAGE); /* no command at all is wrong use */
    return strata_exit_status(status);
}
