#include "train/policy_loss.h"

#include <string.h>

#include "base/elementary.h"

int strata_loss_type_parse(enum strata_loss_type *out, const char *name, struct strata_error *err) {
    static const char *const names[] = {"grpo", "bnpo", "dr_grpo", "dapo"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (enum strata_loss_type)i;
        return 0;
    }
    return strata_fail(err, STRATA_ERR_USAGE, "unknown loss \"%s\": grpo, bnpo, dr_grpo or dapo", name);
}

/* What each token's loss is multiplied by. */
static double token_weight(const struct strata_policy_options *options, const struct strata_policy_totals *totals,
                           size_t tokens) {
    double divisor = 1.0;
    switch (options->type) {
    case STRATA_LOSS_GRPO:
        divisor = (double)totals->completions * (double)tokens;
        break;
    case STRATA_LOSS_BNPO:
        divisor = (double)totals->tokens;
        break;
    case STRATA_LOSS_DR_GRPO:
        divisor = (double)totals->completions * (double)options->max_completion_length;
        break;
    case STRATA_LOSS_DAPO:
        divisor = (double)totals->rollout_tokens;
        break;
    }
    return divisor > 0.0 ? 1.0 / divisor : 0.0;
}

/* The policy term at ratio rho and its derivative by log rho. */
static double policy_term(double *derivative, double rho, double advantage,
                          const struct strata_policy_options *options) {
    double low = 1.0 - options->epsilon_low, high = 1.0 + options->epsilon_high;
    bool cut = options->delta > 0.0 && rho > options->delta;
    double clipped = rho < low ? low : rho > high ? high : rho;
    double free_side = (cut ? options->delta : rho) * advantage, clip_side = clipped * advantage;
    /* Where the two agree, rho lies inside the clip range and the derivative is that of rho. */
    bool follow = free_side <= clip_side && !cut;
    *derivative = follow ? -rho * advantage : 0.0;
    return -(free_side < clip_side ? free_side : clip_side);
}

static double mean_log_ratio(const float *logp, const float *old, size_t tokens) {
    double sum = 0.0;
    for (size_t t = 0; t < tokens; t++) sum += (double)logp[t] - (double)old[t];
    return tokens ? sum / (double)tokens : 0.0;
}

/* One completion of `tokens` tokens; pointers stand at its first. */
static void completion_loss(float *dlogp, struct strata_policy_sums *sums, const float *logp, const float *old,
                            const float *ref, size_t tokens, double advantage, double weight,
                            const struct strata_policy_options *options) {
    double shared = options->sequence_level && old ? mean_log_ratio(logp, old, tokens) : 0.0;
    for (size_t t = 0; t < tokens; t++) {
        double log_ratio = !old ? 0.0 : options->sequence_level ? shared : (double)logp[t] - (double)old[t];
        /* Under a sequence-level ratio each token moves all tokens' losses by a T-th: T times a T-th is one. */
        double rho = strata_exp(log_ratio), derivative, kl = 0.0;
        double policy = policy_term(&derivative, rho, advantage, options);
        if (ref) {
            double gap = (double)ref[t] - (double)logp[t], grown = strata_exp(gap);
            kl = grown - gap - 1.0;
            derivative += options->beta * (1.0 - grown);
        }
        dlogp[t] = (float)(weight * derivative);
        sums->loss += weight * (policy + options->beta * kl);
        sums->policy += policy;
        sums->kl += kl;
        sums->ratio += rho;
        sums->clipped_low += rho < 1.0 - options->epsilon_low && advantage < 0.0;
        sums->clipped_high += rho > 1.0 + options->epsilon_high && advantage > 0.0;
    }
    sums->tokens = tokens;
}

int strata_policy_loss(float *dlogp, struct strata_policy_sums *sums, const struct strata_policy_batch *batch,
                       const struct strata_policy_totals *totals, const struct strata_policy_options *options,
                       struct strata_error *err) {
    const float *ref = options->beta != 0.0 ? batch->ref : NULL;
    if (options->beta != 0.0 && !ref)
        return strata_fail(err, STRATA_ERR_USAGE, "a KL term (beta %g) needs the reference's log-probabilities",
                           options->beta);
    for (size_t i = 0; i < batch->completions; i++) {
        size_t first = batch->begin[i], tokens = batch->begin[i + 1] - first;
        double advantage = (double)batch->advantages[i];
        sums[i] = (struct strata_policy_sums){0};
        memset(dlogp + first, 0, tokens * sizeof *dlogp);
        if (batch->excluded && batch->excluded[i]) continue;
        completion_loss(dlogp + first, &sums[i], batch->logp + first, batch->old ? batch->old + first : NULL,
                        ref ? ref + first : NULL, tokens, advantage, token_weight(options, totals, tokens), options);
        bool finite = __builtin_isfinite(sums[i].loss);
        for (size_t t = 0; finite && t < tokens; t++) finite = __builtin_isfinite(dlogp[first + t]);
        if (!finite)
            return strata_fail(err, STRATA_ERR_NUMERIC, "the loss of completion %zu (%zu tokens) is not finite", i,
                               tokens);
    }
    return 0;
}
