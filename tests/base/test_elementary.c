/* Accuracy of our own elementary functions against the C library's, in units in the last place. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/elementary.h"
#include "base/random.h"

static double ulps(double value, double reference) {
    if (value == reference) return 0.0;
    double unit = nextafter(fabs(reference), INFINITY) - fabs(reference);
    return fabs(value - reference) / unit;
}

static double float_ulps(float value, double reference) {
    float rounded = fabsf((float)reference);
    double unit = (double)(nextafterf(rounded, INFINITY) - rounded);
    return fabs((double)value - reference) / unit;
}

static double between(uint64_t index, double low, double high) {
    struct strata_random random = strata_random_make(1, "elementary", STRATA_PURPOSE_TEST, 0, 0);
    return low + (high - low) * strata_random_uniform(&random, index);
}

static void test_double_functions(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = between(i, -700.0, 700.0), s, c;
        assert_true(ulps(strata_exp(x), exp(x)) <= 1.0);
        double positive = exp(between(i, -600.0, 600.0));
        assert_true(ulps(strata_log(positive), log(positive)) <= 1.0);
        double near_one = between(i, 0.5, 2.0);
        assert_true(ulps(strata_log(near_one), log(near_one)) <= 1.0);
        double angle = between(i, -1048576.0, 1048576.0);
        strata_sincos(&s, &c, angle);
        assert_true(fabs(s - sin(angle)) <= 5e-16 && fabs(c - cos(angle)) <= 5e-16);
        double y = between(i, -6.5, 6.5);
        if (i % 16 == 0) assert_true(fabs(strata_erf(y) - erf(y)) <= 1e-14);
        double p = between(i, -1.0, 1.0);
        assert_true(fabs(strata_pow(1e6, p) / pow(1e6, p) - 1.0) <= 1e-14);
    }
}

static void test_float_functions(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 500000; i++) {
        float x = (float)between(i, -87.0, 88.7);
        assert_true(float_ulps(strata_expf(x), exp((double)x)) <= 2.0);
        float small = (float)between(i, -1.0, 1.0);
        assert_true(float_ulps(strata_expf(small), exp((double)small)) <= 2.0);
        float y = (float)between(i, -4.5, 4.5);
        assert_true(float_ulps(strata_erff(y), erf((double)y)) <= 1.0);
        float positive = fabsf(x) + 1e-3f;
        assert_true(float_ulps(strata_logf(positive), log((double)positive)) <= 1.0);
    }
}

static void test_special_values(void **state) {
    (void)state;
    assert_true(strata_exp(-1000.0) == 0.0 && isinf(strata_exp(1000.0)) && isnan(strata_exp(NAN)));
    assert_true(strata_exp(0.0) == 1.0 && strata_log(1.0) == 0.0);
    assert_true(isinf(strata_log(0.0)) && isnan(strata_log(-1.0)));
    assert_true(ulps(strata_log(5e-320), log(5e-320)) <= 1.0);
    assert_true(strata_expf(0.0f) == 1.0f && strata_expf(-INFINITY) == 0.0f && strata_expf(-88.0f) == 0.0f);
    assert_true(isinf(strata_expf(89.0f)) && isinf(strata_expf(INFINITY)) && isnan(strata_expf(NAN)));
    assert_true(isfinite(strata_expf(88.72f)));
    assert_true(strata_erff(10.0f) == 1.0f && strata_erff(-INFINITY) == -1.0f && strata_erff(0.0f) == 0.0f);
    assert_true(strata_erf(7.0) == 1.0 && strata_erf(-7.0) == -1.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double_functions),
        cmocka_unit_test(test_float_functions),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
