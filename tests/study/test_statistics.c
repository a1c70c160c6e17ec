/* The study's statistics against numpy 2.4.6, scipy 1.17.1 and scikit-learn. The bootstrap was computed in Python from
 * the definition: Philox4x32-10 and XXH3-128 (package xxhash) give the same indices, numpy.quantile the ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "difficulty/agreement.h"
#include "study/statistics.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-12)

/* Three seeds of two models on twelve samples; samples 3 and 7 are not in the column. */
static const float a[3][12] = {
    {1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1}, {1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1}, {1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1}};
static const float b[3][12] = {
    {0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0}, {1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 1}, {0, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 1}};
static const size_t chosen[] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 11};

static void test_bootstrap(void **state) {
    (void)state;
    const float *const as[] = {a[0], a[1], a[2]}, *const bs[] = {b[0], b[1], b[2]};
    const struct strata_series series[] = {{3, as, NULL}, {3, as, bs}, {1, as, bs}};
    struct strata_interval out[3];
    assert_int_equal(strata_bootstrap(out, series, 3, chosen, 10, 400, 7, NULL), 0);
    NEAR(out[0].mean, 0.7);
    NEAR(out[0].low, 0.4666666666666666);
    NEAR(out[0].high, 0.9333333333333332);
    NEAR(out[0].wide_low, 0.43250000000000005);
    NEAR(out[0].wide_high, 0.9333333333333332);
    NEAR(out[0].spread, 0.1);
    NEAR(out[0].p, 0.004987531172069825);
    NEAR(out[1].mean, 0.2333333333333333);
    NEAR(out[1].low, 0.06666666666666667);
    NEAR(out[1].high, 0.43333333333333335);
    NEAR(out[1].wide_low, -0.00083333333333329);
    NEAR(out[1].wide_high, 0.4666666666666666);
    NEAR(out[1].spread, 0.05773502691896256);
    NEAR(out[1].p, 0.06982543640897755);
    NEAR(out[2].mean, 0.2);
    NEAR(out[2].low, 0.0);
    NEAR(out[2].high, 0.5);
    NEAR(out[2].wide_high, 0.5);
    NEAR(out[2].spread, 0.0);
    NEAR(out[2].p, 0.2194513715710723);
    /* A series says the same alone: draws of samples are common, those of seeds go by its place. */
    struct strata_interval alone;
    assert_int_equal(strata_bootstrap(&alone, series, 1, chosen, 10, 400, 7, NULL), 0);
    assert_memory_equal(&alone, &out[0], sizeof alone);
    assert_int_not_equal(strata_bootstrap(out, series, 3, chosen, 0, 400, 7, NULL), 0);
}

static void test_quantiles(void **state) {
    (void)state;
    const double sorted[] = {1, 2, 4, 8, 16}, shares[] = {0, .025, .3, .5, .975, 1},
                 expected[] = {1, 1.1, 2.4, 4, 15.2, 16};
    for (size_t i = 0; i < 6; i++) NEAR(strata_quantile(sorted, 5, shares[i]), expected[i]);
    NEAR(strata_quantile(sorted, 1, 0.975), 1);
    NEAR(strata_deviation(sorted, 5), 6.0991802727907627); /* numpy.std(ddof=1) */
    NEAR(strata_deviation(sorted, 1), 0);
}

static void test_holm(void **state) {
    (void)state;
    const double p[] = {.01, .04, .03, .005, .6}, expected[] = {0.04, 0.09, 0.09, 0.025, 0.6};
    double adjusted[5];
    assert_int_equal(strata_holm(adjusted, p, 5, NULL), 0);
    for (size_t i = 0; i < 5; i++) NEAR(adjusted[i], expected[i]);
}

/* scipy.stats.spearmanr and kendalltau of the 200 pairs, sklearn.metrics.cohen_kappa_score. */
static void test_agreement(void **state) {
    (void)state;
    const size_t counts[] = {40, 5, 3, 0, 10, 20, 8, 2, 1, 9, 25, 11, 0, 2, 7, 57};
    NEAR(strata_spearman(counts, 4), 0.8540599082086049);
    NEAR(strata_kendall(counts, 4), 0.7858605867552898);
    NEAR(strata_kappa(counts, 4), 0.6069661855390661);
    const size_t constant[] = {0, 0, 3, 4};
    assert_true(isnan(strata_spearman(constant, 2)));
    assert_true(isnan(strata_kendall(constant, 2)));
    const size_t one[] = {5, 0, 0, 0};
    assert_true(isnan(strata_kappa(one, 2)));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bootstrap), cmocka_unit_test(test_quantiles),
                                       cmocka_unit_test(test_holm), cmocka_unit_test(test_agreement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
