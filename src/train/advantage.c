#include "train/advantage.h"

static double mean_of(const float *x, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) sum += (double)x[i];
    return sum / (double)count;
}

/* ddof 1, as torch.std. */
static double deviation_of(const float *x, size_t count, double mean) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    return count > 1 ? __builtin_sqrt(sum / (double)(count - 1)) : 0.0;
}

static bool all_equal(const float *x, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (x[i] != x[0]) return false;
    }
    return true;
}

int strata_advantages(float *advantages, bool *flat, struct strata_advantage_stats *stats, const float *rewards,
                      size_t groups, size_t G, const struct strata_advantage_options *options,
                      struct strata_error *err) {
    *stats = (struct strata_advantage_stats){0};
    if (groups == 0 || G < 2)
        return strata_fail(err, STRATA_ERR_USAGE, "%zu groups of %zu completions have no advantages", groups, G);
    for (size_t i = 0; i < groups * G; i++) {
        if (!__builtin_isfinite(rewards[i]))
            return strata_fail(err, STRATA_ERR_NUMERIC, "the reward of completion %zu of group %zu is %g", i % G, i / G,
                               (double)rewards[i]);
    }
    stats->reward_mean = mean_of(rewards, groups * G);
    double batch_deviation = deviation_of(rewards, groups * G, stats->reward_mean);
    for (size_t g = 0; g < groups; g++) {
        const float *group = rewards + g * G;
        bool equal = all_equal(group, G);
        /* Of equal rewards the mean may round away from them: their advantage is 0, not that rounding error. */
        double mean = equal ? (double)group[0] : mean_of(group, G), deviation = deviation_of(group, G, mean);
        double divisor = options->scale == STRATA_SCALE_GROUP   ? deviation + STRATA_ADVANTAGE_EPSILON
                         : options->scale == STRATA_SCALE_BATCH ? batch_deviation + STRATA_ADVANTAGE_EPSILON
                                                                : 1.0;
        /* r_i - mean of the others = (r_i - mean) * G/(G-1) */
        double factor = options->leave_one_out ? (double)G / (double)(G - 1) : 1.0;
        for (size_t i = 0; i < G; i++) advantages[g * G + i] = (float)(((double)group[i] - mean) * factor / divisor);
        stats->reward_std += deviation / (double)groups;
        stats->zero_variance += equal;
        if (flat) flat[g] = equal;
    }
    return 0;
}
