/* One function a command; the file src/cli/NAME.c has it. Each returns a strata_status. */
#ifndef STRATA_CLI_COMMANDS_H
#define STRATA_CLI_COMMANDS_H

#include "cli/options.h"

typedef int strata_command_run(const struct strata_arguments *arguments, struct strata_error *err);

strata_command_run strata_cli_bench, strata_cli_compare, strata_cli_convert, strata_cli_doctor, strata_cli_dump,
    strata_cli_eval, strata_cli_generate, strata_cli_grpo, strata_cli_help, strata_cli_init, strata_cli_inspect,
    strata_cli_merge, strata_cli_report, strata_cli_score, strata_cli_select, strata_cli_sft, strata_cli_study,
    strata_cli_synth, strata_cli_verify;

#endif
