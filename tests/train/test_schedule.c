/* Learning rates, warm-up counts and data order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "train/order.h"
#include "train/schedule.h"

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) fail_msg("%.17g instead of %.17g", got, want);
}

static void test_cosine(void **state) {
    struct strata_schedule schedule = {STRATA_SCHEDULE_COSINE, 1e-3, 2, 6};
    (void)state;
    near(strata_learning_rate(&schedule, 0), 0);
    near(strata_learning_rate(&schedule, 1), 5e-4);
    near(strata_learning_rate(&schedule, 2), 1e-3);
    near(strata_learning_rate(&schedule, 3), 0.0008535533905932737); /* sft.json's fourth update */
    near(strata_learning_rate(&schedule, 6), 0);
    near(strata_learning_rate(&schedule, 600), 0);
    for (size_t s = 2; s < 6; s++)
        near(strata_learning_rate(&schedule, s), 1e-3 * 0.5 * (1 + cos(M_PI * (double)(s - 2) / 4)));
    schedule.warmup = 0;
    near(strata_learning_rate(&schedule, 0), 1e-3);
}

static void test_others(void **state) {
    struct strata_schedule schedule = {STRATA_SCHEDULE_LINEAR, 2.0, 0, 4};
    enum strata_schedule_kind kind;
    (void)state;
    near(strata_learning_rate(&schedule, 0), 2.0);
    near(strata_learning_rate(&schedule, 3), 0.5);
    schedule = (struct strata_schedule){STRATA_SCHEDULE_CONSTANT, 2.0, 4, 4};
    near(strata_learning_rate(&schedule, 3), 1.5);
    near(strata_learning_rate(&schedule, 30), 2.0);
    assert_int_equal(strata_warmup_updates(0.01, 790), 8); /* 7.9 */
    assert_int_equal(strata_warmup_updates(0.1, 20), 2);
    assert_int_equal(strata_warmup_updates(0.0, 20), 0);
    assert_int_equal(strata_schedule_parse(&kind, "linear", NULL), 0);
    assert_int_equal(kind, STRATA_SCHEDULE_LINEAR);
    assert_int_equal(strata_schedule_parse(&kind, "polynomial", NULL), STRATA_ERR_USAGE);
}

static void test_order(void **state) {
    struct strata_order order, again;
    bool seen[37] = {false}, moved = false;
    (void)state;
    assert_int_equal(strata_order_create(&order, 37, 5, true, NULL), 0);
    assert_int_equal(strata_order_create(&again, 37, 5, true, NULL), 0);
    for (size_t i = 0; i < 37; i++) {
        size_t item = strata_order_at(&order, 37 + i);
        assert_true(item < 37 && !seen[item]);
        seen[item] = true;
        moved |= item != strata_order_at(&again, i);
    }
    assert_true(moved); /* epochs differ */
    /* A place is a place, however one comes there. */
    for (uint64_t place = 120; place > 0; place--)
        assert_int_equal(strata_order_at(&order, place - 1), strata_order_at(&again, place - 1));
    strata_order_free(&order);
    strata_order_free(&again);
    assert_int_equal(strata_order_create(&order, 3, 5, false, NULL), 0);
    assert_int_equal(strata_order_at(&order, 7), 1);
    strata_order_free(&order);
    assert_int_equal(strata_order_create(&order, 0, 5, false, NULL), STRATA_ERR_INPUT);
    strata_order_free(&order);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cosine), cmocka_unit_test(test_others),
                                       cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
