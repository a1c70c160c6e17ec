#include "study/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

#define LEVEL 0.95

double strata_quantile(const double *sorted, size_t count, double share) {
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static double mean_of(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return count ? sum / (double)count : 0;
}

double strata_deviation(const double *values, size_t count) {
    double mean = mean_of(values, count), sum = 0;
    for (size_t i = 0; i < count; i++) sum += (values[i] - mean) * (values[i] - mean);
    return count > 1 ? sqrt(sum / (double)(count - 1)) : 0;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- bootstrap ---- */

struct bootstrap {
    const struct strata_series *series;
    size_t count, resamples, most; /* series, resamples, most seeds of a series */
    uint64_t seed;
    double *means;         /* (most): of one series, by seed */
    double *narrow, *wide; /* (series, resamples) */
};

/* Mean over the samples of `indices`, by seed. */
static void seed_means(double *out, const struct strata_series *series, const size_t *indices, size_t n) {
    for (size_t s = 0; s < series->seeds; s++) {
        const float *values = series->values[s], *minus = series->minus ? series->minus[s] : NULL;
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)values[indices[i]] - (minus ? (double)minus[indices[i]] : 0.0);
        out[s] = sum / (double)n;
    }
}

/* The same seeds' means with seeds drawn with replacement. */
static double mean_of_drawn(const struct bootstrap *bootstrap, size_t series, size_t resample) {
    struct strata_random random =
        strata_random_make(bootstrap->seed, "seeds", STRATA_PURPOSE_BOOTSTRAP, (uint32_t)resample, (uint32_t)series);
    size_t seeds = bootstrap->series[series].seeds;
    double sum = 0;
    for (size_t s = 0; s < seeds; s++) sum += bootstrap->means[strata_random_below(&random, s, seeds)];
    return sum / (double)seeds;
}

static void draw_all(struct bootstrap *bootstrap, size_t *indices, const size_t *chosen, size_t n) {
    for (size_t r = 0; r < bootstrap->resamples; r++) {
        struct strata_random random =
            strata_random_make(bootstrap->seed, "samples", STRATA_PURPOSE_BOOTSTRAP, (uint32_t)r, 0);
        for (size_t i = 0; i < n; i++) indices[i] = chosen[strata_random_below(&random, i, n)];
        for (size_t m = 0; m < bootstrap->count; m++) {
            size_t at = m * bootstrap->resamples + r, seeds = bootstrap->series[m].seeds;
            seed_means(bootstrap->means, &bootstrap->series[m], indices, n);
            bootstrap->narrow[at] = mean_of(bootstrap->means, seeds);
            bootstrap->wide[at] = seeds > 1 ? mean_of_drawn(bootstrap, m, r) : bootstrap->narrow[at];
        }
    }
}

/* Twice the share of resamples on the smaller side of 0, never 0 itself. */
static double two_sided(const double *sorted, size_t count) {
    size_t below = 0, above = 0;
    for (size_t i = 0; i < count; i++) {
        below += sorted[i] <= 0;
        above += sorted[i] >= 0;
    }
    size_t smaller = below < above ? below : above;
    double p = 2.0 * (double)(smaller + 1) / (double)(count + 1);
    return p < 1 ? p : 1;
}

static void read_interval(struct strata_interval *out, struct bootstrap *bootstrap, size_t m, const size_t *chosen,
                          size_t n) {
    const struct strata_series *series = &bootstrap->series[m];
    size_t B = bootstrap->resamples;
    double *narrow = bootstrap->narrow + m * B, *wide = bootstrap->wide + m * B, tail = (1 - LEVEL) / 2;
    seed_means(bootstrap->means, series, chosen, n);
    qsort(narrow, B, sizeof *narrow, ascending);
    qsort(wide, B, sizeof *wide, ascending);
    double p = two_sided(narrow, B), wide_p = two_sided(wide, B);
    *out = (struct strata_interval){.mean = mean_of(bootstrap->means, series->seeds),
                                    .low = strata_quantile(narrow, B, tail),
                                    .high = strata_quantile(narrow, B, 1 - tail),
                                    .wide_low = strata_quantile(wide, B, tail),
                                    .wide_high = strata_quantile(wide, B, 1 - tail),
                                    .spread = strata_deviation(bootstrap->means, series->seeds),
                                    .p = p > wide_p ? p : wide_p};
}

int strata_bootstrap(struct strata_interval *out, const struct strata_series *series, size_t series_count,
                     const size_t *chosen, size_t count, size_t resamples, uint64_t seed, struct strata_error *err) {
    struct bootstrap bootstrap = {.series = series, .count = series_count, .resamples = resamples, .seed = seed};
    size_t *indices = NULL, cells;
    for (size_t m = 0; m < series_count; m++) {
        if (!series[m].seeds) return strata_fail(err, STRATA_ERR_USAGE, "a series without seeds has no interval");
        if (series[m].seeds > bootstrap.most) bootstrap.most = series[m].seeds;
    }
    if (!count || !resamples) return strata_fail(err, STRATA_ERR_USAGE, "no samples to draw from");
    if (!strata_mul_ok(&cells, series_count, resamples)) return strata_fail(err, STRATA_ERR_MEMORY, "too many series");
    int code = strata_alloc(&indices, count, sizeof *indices, err);
    if (!code) code = strata_alloc(&bootstrap.means, bootstrap.most, sizeof(double), err);
    if (!code) code = strata_alloc(&bootstrap.narrow, cells, sizeof(double), err);
    if (!code) code = strata_alloc(&bootstrap.wide, cells, sizeof(double), err);
    if (!code) draw_all(&bootstrap, indices, chosen, count);
    for (size_t m = 0; m < series_count && !code; m++) read_interval(&out[m], &bootstrap, m, chosen, count);
    free(bootstrap.wide);
    free(bootstrap.narrow);
    free(bootstrap.means);
    free(indices);
    return code;
}

/* ---- many comparisons ---- */

int strata_holm(double *adjusted, const double *p, size_t count, struct strata_error *err) {
    size_t *order;
    double most = 0;
    int code = strata_alloc(&order, count, sizeof *order, err);
    if (code) return code;
    for (size_t i = 0; i < count; i++) { /* a handful: insertion */
        size_t at = i;
        for (; at > 0 && p[order[at - 1]] > p[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (size_t i = 0; i < count; i++) {
        double value = p[order[i]] * (double)(count - i);
        if (value > most) most = value;
        adjusted[order[i]] = most < 1 ? most : 1;
    }
    free(order);
    return 0;
}
