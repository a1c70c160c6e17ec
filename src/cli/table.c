/* The command table: what there is, in the order of help. */
#include "cli/commands.h"

#define NO_LIMIT ((size_t)-1)

const struct strata_command strata_commands[] = {
    {
        "verify",
        "FILE [options]",
        "grade (solution, completion) pairs",
        "FILE is JSONL, one object a line with `solution` and `completion`, optionally `ability`, `verifier`, "
        "`question` and `id`. The answer is the text of the last `<answer>` or `\\boxed{}` after the thinking part; "
        "an answer whose thinking never ends is truncated. Prints the accuracy by grader; with --json one line a "
        "pair: score, grader, extracted answer, reason.",
        "strata verify answers.jsonl\n"
        "strata verify answers.jsonl --json > graded.jsonl",
        NULL,
        1,
        1,
        strata_cli_verify,
    },
    {
        "compare",
        "A B [options]",
        "find the first difference between two dumps, weights or runs",
        "Two safetensors files: every tensor in the order of the forward pass, its relative L2 distance and its worst "
        "element; the first stage that differs is named. Two run directories: samples whose strata differ. Exit 0 "
        "when they agree, 1 when they do not.",
        "strata compare ours.safetensors theirs.safetensors --tolerance 1e-5\n"
        "strata compare run-a run-b",
        NULL,
        2,
        2,
        strata_cli_compare,
    },
    {
        "doctor",
        "[options]",
        "check the installation: CPU, kernels, memory, libraries, and what will be slow",
        "Exit 0 when everything works, also when something will be slow.",
        "strata doctor",
        NULL,
        0,
        0,
        strata_cli_doctor,
    },
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
