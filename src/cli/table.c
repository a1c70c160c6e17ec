/* The command table: what there is, in the order of help. */
#include "cli/commands.h"

#define NO_LIMIT ((size_t)-1)

const struct strata_command strata_commands[] = {
    {
        "help",
        "[COMMAND] [options]",
        "this list, or the options of a command",
        "",
        "strata help score",
        NULL,
        0,
        1,
        strata_cli_help,
    },
};
const size_t strata_command_count = sizeof strata_commands / sizeof *strata_commands;
