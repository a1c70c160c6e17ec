/* strata select: cut a run again, write the chosen records. */
#include "study/select.h"

#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

static int setup_select(struct strata_select_options *options, struct strata_cut *cut,
                        const struct strata_arguments *arguments, struct strata_error *err) {
    strata_select_options_default(options);
    options->run = arguments->operands[0];
    options->data = strata_text(arguments, ID(DATA));
    options->out = strata_text(arguments, ID(OUT));
    options->ability = strata_text(arguments, ID(ABILITY));
    options->paths = strata_setup_paths(arguments);
    options->format = strata_setup_format(arguments, options->out);
    options->launch = true;
    options->random_like = strata_flag(arguments, ID(RANDOM_LIKE));
    options->seed = (uint64_t)strata_integer(arguments, ID(SEED));
    options->agreement = (enum strata_agreement)strata_choice(arguments, ID(AGREEMENT));
    options->cap = strata_size(arguments, ID(CAP));
    options->responses = strata_flag(arguments, ID(RESPONSES));
    int status = 0;
    if (strata_given(arguments, ID(STRATA)))
        status = strata_stratum_set(&options->strata, strata_text(arguments, ID(STRATA)), err);
    if (!status && strata_given(arguments, ID(PASS_RATE))) {
        double band[2];
        options->pass_rate = true;
        status = strata_setup_numbers(band, 2, strata_text(arguments, ID(PASS_RATE)), "pass-rate", err);
        options->pass_low = status ? 0 : band[0];
        options->pass_high = status ? 0 : band[1];
        if (!status && !(band[0] >= 0 && band[0] <= band[1] && band[1] <= 1))
            status = strata_fail(err, STRATA_ERR_USAGE, "--pass-rate is A,B with 0 <= A <= B <= 1");
    }
    if (!status && !options->strata && !options->pass_rate && !options->ability && !options->agreement &&
        !options->cap) {
        strata_fail(err, STRATA_ERR_USAGE, "nothing says what to select");
        status =
            strata_fail_hint(err, STRATA_ERR_USAGE, "--strata mid,hard, or --pass-rate, --ability, --agreement, --cap");
    }
    unsigned metrics = 0;
    if (!status) status = strata_select_cut(cut, &metrics, options->run, err);
    if (!status) status = strata_setup_cut(cut, arguments, err);
    options->cut = cut;
    /* Where the run measured one thing only, that is what is meant. */
    bool cmab = strata_given(arguments, ID(BY)) ? strata_choice(arguments, ID(BY)) == 1 : metrics == STRATA_METRIC_CMAB;
    options->metric = cmab ? STRATA_METRIC_CMAB : STRATA_METRIC_PISM;
    options->by_chance = strata_choice(arguments, ID(BY)) == 2;
    return status;
}

static int summary_json(const struct strata_select_summary *summary, struct strata_error *err) {
    json_t *strata = json_object();
    for (int s = 0; s < STRATA_STRATA; s++)
        json_object_set_new(strata, strata_stratum_name((enum strata_stratum)s),
                            json_integer((json_int_t)summary->strata[s]));
    return strata_print_json(json_pack("{s:I, s:I, s:I, s:I, s:o, s:s}", "samples", (json_int_t)summary->samples,
                                       "selected", (json_int_t)summary->selected, "pending",
                                       (json_int_t)summary->pending, "incomplete", (json_int_t)summary->incomplete,
                                       "strata", strata, "launch", summary->launch),
                             err);
}

int strata_cli_select(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_select_options options;
    struct strata_select_summary summary = {0};
    struct strata_cut cut;
    int status = setup_select(&options, &cut, arguments, err);
    if (!status) status = strata_select(&summary, &options, err);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON))) return summary_json(&summary, err);

    static const enum strata_stratum order[] = {STRATA_STRATUM_EASY, STRATA_STRATUM_MEDIUM, STRATA_STRATUM_HARD,
                                                STRATA_STRATUM_UNSOLVED};
    printf("%zu of %zu samples -> %s%s\n", summary.selected, summary.samples, options.out,
           options.random_like ? " (drawn at random)" : "");
    printf("  %s strata:", options.metric == STRATA_METRIC_CMAB ? "CMAB" : "PISM");
    for (size_t i = 0; i < 4; i++)
        printf("%s %zu %s", i ? "," : "", summary.strata[order[i]], strata_stratum_name(order[i]));
    putchar('\n');
    if (summary.launch[0])
        printf("  launch file: %s%s\n", summary.launch, summary.launch_kept ? " (was there, left as it is)" : "");
    if (summary.pending)
        printf("  %zu more need answers that were not drawn: `strata score` with these settings draws them\n",
               summary.pending);
    if (summary.incomplete) printf("  %zu more have no complete pass rate\n", summary.incomplete);
    return 0;
}
