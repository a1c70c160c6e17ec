/* What can be said of a difference, and with what certainty: bootstrap over test samples and seeds. Every random number
 * is a function of the seed given (base/random.h), so equal inputs give equal intervals everywhere. */
#ifndef STRATA_STUDY_STATISTICS_H
#define STRATA_STUDY_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "strata/error.h"

/* Linear interpolation between order statistics (numpy's default): share 0 is the smallest, 1 the largest. count >= 1.
 */
double strata_quantile(const double *sorted, size_t count, double share);
/* Standard deviation with divisor count - 1; 0 for fewer than two. */
double strata_deviation(const double *values, size_t count);

/* Scores of one model, or the difference of two, on the same test samples under several training seeds. */
struct strata_series {
    size_t seeds;
    const float *const *values; /* (seeds)(samples) */
    const float *const *minus;  /* (seeds)(samples), the other model's; NULL: none. Paired by seed and by sample. */
};
struct strata_interval {
    double mean;
    double low, high;           /* 95 %, test samples drawn anew, the seeds as they are */
    double wide_low, wide_high; /* 95 %, test samples and seeds drawn anew: what another run would give */
    double spread;              /* standard deviation of the seeds' means */
    double p;                   /* two-sided, of the mean being 0: samples and seeds drawn anew; where the samples' own
                                   interval is wider, that one's */
};
/* One interval a series, over test samples chosen[0..count). All series see the same draws of samples, so that they may
 * be compared; draws of seeds are each series' own. With one seed the wide interval is the narrow one. */
int strata_bootstrap(struct strata_interval *out, const struct strata_series *series, size_t series_count,
                     const size_t *chosen, size_t count, size_t resamples, uint64_t seed, struct strata_error *err);

/* Holm's step-down correction: adjusted[i] >= p[i], in the order given. */
int strata_holm(double *adjusted, const double *p, size_t count, struct strata_error *err);

#endif
