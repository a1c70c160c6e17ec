/* strata sft: train on given answers. */
#include "cli/commands.h"
#include "cli/setup_parts.h"
#include "cli/train.h"

#define ID(name) STRATA_OPTION_ID_##name

void strata_setup_sft(struct strata_sft_options *sft, const struct strata_arguments *arguments) {
    static const enum strata_reduction reductions[] = {STRATA_REDUCE_GLOBAL, STRATA_REDUCE_MICROBATCH,
                                                       STRATA_REDUCE_SEQUENCE};
    static const enum strata_target targets[] = {STRATA_TARGET_ASSISTANT, STRATA_TARGET_SOLUTION, STRATA_TARGET_SELF};
    if (strata_given(arguments, ID(BATCH_SIZE))) sft->batch = strata_size(arguments, ID(BATCH_SIZE));
    if (strata_given(arguments, ID(MICRO_BATCH))) sft->micro_batch = strata_size(arguments, ID(MICRO_BATCH));
    if (strata_given(arguments, ID(REDUCTION))) sft->reduction = reductions[strata_choice(arguments, ID(REDUCTION))];
    sft->target = targets[strata_choice(arguments, ID(TARGET))];
}

int strata_cli_sft(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_train_options options;
    struct strata_sft_options sft;
    struct strata_cli_training training;
    struct strata_train_summary summary = {0};
    strata_sft_defaults(&options, &sft);
    if (strata_flag(arguments, ID(PAPER))) strata_sft_paper(&options, &sft);
    strata_setup_sft(&sft, arguments);
    int status = strata_setup_training(&options, &training, arguments, "sft", err);
    if (!status) status = strata_sft(&summary, &options, &sft, err);
    return strata_finish_training(&training, &options, &summary, status, err);
}
