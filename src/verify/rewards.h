/* Rewards for training: weighted sums of terms. A term that does not apply (an unusable gold, a detection reward on a
 * sample without boxes) is left out of the sum and of its weights; it is not 0. */
#ifndef STRATA_VERIFY_REWARDS_H
#define STRATA_VERIFY_REWARDS_H

#include "verify/custom.h"
#include "verify/verify.h"

enum strata_reward_kind {
    STRATA_REWARD_ACCURACY,      /* [0,1]: the verdict's score */
    STRATA_REWARD_FORMAT,        /* 0 or 1: <think>...</think> then <answer>...</answer>, each once, nothing else */
    STRATA_REWARD_TAGS,          /* [0,1]: a quarter for each of <think> </think> <answer> </answer> (V-Triune) */
    STRATA_REWARD_SOFT_OVERLONG, /* [-1,0]: DAPO, Yu et al. 2025: 0 up to limit - buffer tokens, then linear to -1 */
    STRATA_REWARD_REPETITION,    /* [-1,0]: minus the share of n-grams that repeat an earlier one (ms-swift) */
    STRATA_REWARD_DETECTION,     /* [0,1]: V-Triune's detection reward, its threshold by progress or fixed */
    STRATA_REWARD_CUSTOM,        /* [0,1]: an external grader */
};
struct strata_reward_term {
    enum strata_reward_kind kind;
    double weight;
    size_t limit, buffer;                /* SOFT_OVERLONG: tokens; buffer > 0 */
    size_t ngram;                        /* REPETITION: words in a gram, >= 1 */
    double threshold;                    /* DETECTION: IoU; 0: the published schedule */
    struct strata_custom_grader *custom; /* CUSTOM */
};
/* "accuracy", "format", "tags", "soft_overlong", "repetition", "detection"; STRATA_ERR_USAGE for another name. Fills
 * kind, weight 1 and the published parameters (ngram 3; limit and buffer are the caller's). */
int strata_reward_term_parse(struct strata_reward_term *out, const char *name, struct strata_error *err);

struct strata_reward_input {
    const struct strata_verify_input *answer;
    enum strata_verify_mode mode;
    size_t tokens;   /* of the completion */
    double progress; /* of training, [0,1] */
};
struct strata_reward_value {
    double value;
    bool applicable;
};
#define STRATA_REWARD_TERMS 16
/* values[k] for each term and their weighted sum (with `mean`, divided by the weights that apply: V-Triune's mixing of
 * accuracy and format). *applicable is false, and total 0, when no term applies. verdict (may be NULL) gets the
 * accuracy term's verdict. Errors: a failing custom grader, lack of memory; an unusable gold is none. */
int strata_reward(double *total, bool *applicable, struct strata_reward_value *values, struct strata_verdict *verdict,
                  const struct strata_reward_input *input, const struct strata_reward_term *terms, size_t count,
                  bool mean, struct strata_error *err);

#endif
