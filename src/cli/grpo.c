/* strata grpo: train by reinforcement on graded answers. */
#include "cli/commands.h"
#include "cli/setup_parts.h"
#include "cli/train.h"

#define ID(name) STRATA_OPTION_ID_##name

static int setup_policy(struct strata_policy_options *policy, const struct strata_arguments *arguments,
                        struct strata_error *err) {
    int status = strata_loss_type_parse(&policy->type, strata_text(arguments, ID(LOSS)), err);
    if (strata_given(arguments, ID(KL_BETA))) policy->beta = strata_real(arguments, ID(KL_BETA));
    if (strata_given(arguments, ID(CLIP_LOW)))
        policy->epsilon_low = policy->epsilon_high = strata_real(arguments, ID(CLIP_LOW));
    if (strata_given(arguments, ID(CLIP_HIGH))) policy->epsilon_high = strata_real(arguments, ID(CLIP_HIGH));
    if (strata_given(arguments, ID(DELTA))) policy->delta = strata_real(arguments, ID(DELTA));
    if (strata_given(arguments, ID(RATIO))) policy->sequence_level = strata_choice(arguments, ID(RATIO)) == 1;
    return status;
}

/* With one update a rollout the policy is the one that sampled: the ratio is 1 and nothing is ever clipped. */
static int check_ratio_options(const struct strata_grpo_options *grpo, const struct strata_arguments *arguments,
                               struct strata_error *err) {
    static const struct {
        enum strata_option_id id;
        const char *name;
    } options[] = {
        {ID(CLIP_LOW), "--clip-low"}, {ID(CLIP_HIGH), "--clip-high"}, {ID(DELTA), "--delta"}, {ID(RATIO), "--ratio"}};
    if (grpo->updates * grpo->iterations > 1) return 0;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (!strata_given(arguments, options[i].id)) continue;
        strata_fail(err, STRATA_ERR_USAGE, "%s has no effect: with one update a rollout every ratio is 1",
                    options[i].name);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "--updates or --iterations above 1 make it matter");
    }
    return 0;
}

int strata_setup_grpo(struct strata_grpo_options *grpo, const struct strata_arguments *arguments,
                      struct strata_error *err) {
    static const enum strata_advantage_scale scales[] = {STRATA_SCALE_GROUP, STRATA_SCALE_BATCH, STRATA_SCALE_NONE};
    struct strata_sampling *sampling = &grpo->sampling;
    grpo->prompts = strata_size(arguments, ID(PROMPTS));
    grpo->completions = strata_size(arguments, ID(COMPLETIONS));
    grpo->updates = strata_size(arguments, ID(UPDATES));
    grpo->iterations = strata_size(arguments, ID(ITERATIONS));
    if (strata_given(arguments, ID(TEMPERATURE)))
        sampling->temperature = (float)strata_real(arguments, ID(TEMPERATURE));
    if (strata_given(arguments, ID(TOP_P))) sampling->top_p = (float)strata_real(arguments, ID(TOP_P));
    if (strata_given(arguments, ID(TOP_K))) sampling->top_k = (uint32_t)strata_integer(arguments, ID(TOP_K));
    sampling->max_new_tokens = (uint32_t)strata_integer(arguments, ID(MAX_NEW_TOKENS));
    grpo->advantage.scale = scales[strata_choice(arguments, ID(SCALE))];
    grpo->advantage.leave_one_out = strata_flag(arguments, ID(LEAVE_ONE_OUT));
    grpo->overlong_filter = strata_flag(arguments, ID(OVERLONG_FILTER));
    grpo->resample_tries = strata_size(arguments, ID(RESAMPLE));
    grpo->check = strata_flag(arguments, ID(CHECK));
    int status = setup_policy(&grpo->policy, arguments, err);
    return status ? status : check_ratio_options(grpo, arguments, err);
}

int strata_cli_grpo(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_train_options options;
    struct strata_grpo_options grpo;
    struct strata_cli_training training = {0};
    struct strata_train_summary summary = {0};
    strata_grpo_defaults(&options, &grpo);
    if (strata_flag(arguments, ID(PAPER))) strata_grpo_paper(&options, &grpo);
    int status = strata_setup_grpo(&grpo, arguments, err);
    if (status) return status;
    status = strata_setup_training(&options, &training, arguments, "grpo", err);
    if (!status) status = strata_grpo(&summary, &options, &grpo, err);
    return strata_finish_training(&training, &options, &summary, status, err);
}
