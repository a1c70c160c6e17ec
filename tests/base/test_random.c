/* Philox4x32-10 against the published vectors (Random123's kat_vectors), and the draws built on it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static void test_published_vectors(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}},
        {{0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu},
         {0xffffffffu, 0xffffffffu},
         {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}},
        {{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
         {0xa4093822u, 0x299f31d0u},
         {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t out[4];
        strata_philox(out, vectors[i].counter, vectors[i].key);
        assert_memory_equal(out, vectors[i].expected, sizeof out);
    }
}

static void test_families_differ(void **state) {
    (void)state;
    struct strata_random a = strata_random_make(7, "sample", STRATA_PURPOSE_MASK, 1, 2);
    struct strata_random same = strata_random_make(7, "sample", STRATA_PURPOSE_MASK, 1, 2);
    assert_int_equal(strata_random_u64(&a, 5), strata_random_u64(&same, 5));
    const struct strata_random others[] = {
        strata_random_make(8, "sample", STRATA_PURPOSE_MASK, 1, 2),
        strata_random_make(7, "sampl", STRATA_PURPOSE_MASK, 1, 2),
        strata_random_make(7, "sample", STRATA_PURPOSE_TOKEN, 1, 2),
        strata_random_make(7, "sample", STRATA_PURPOSE_MASK, 2, 2),
        strata_random_make(7, "sample", STRATA_PURPOSE_MASK, 1, 3),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_not_equal(strata_random_u64(&a, 5), strata_random_u64(&others[i], 5));
    }
}

static void test_moments(void **state) {
    (void)state;
    struct strata_random random = strata_random_make(3, "moments", STRATA_PURPOSE_TEST, 0, 0);
    double sum = 0.0, normal = 0.0, square = 0.0;
    size_t counts[7] = {0};
    const size_t draws = 200000;
    for (uint64_t i = 0; i < draws; i++) {
        double u = strata_random_uniform(&random, i), n = strata_random_normal(&random, i);
        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
        normal += n;
        square += n * n;
        counts[strata_random_below(&random, i, 7)]++;
    }
    double N = (double)draws, tolerance = 4.0 / sqrt(N);
    assert_true(fabs(sum / N - 0.5) < 0.2887 * tolerance);
    assert_true(fabs(normal / N) < tolerance && fabs(square / N - 1.0) < 1.415 * tolerance);
    for (size_t i = 0; i < 7; i++) assert_true(fabs((double)counts[i] - N / 7.0) < 4.0 * sqrt(N / 7.0));
}

static void test_shuffle_moves_and_keeps(void **state) {
    (void)state;
    struct strata_random random = strata_random_make(3, "shuffle", STRATA_PURPOSE_TEST, 0, 0);
    uint64_t items[100], seen[100] = {0};
    for (uint64_t i = 0; i < 100; i++) items[i] = i;
    strata_random_shuffle(&random, items, 100);
    size_t fixed = 0;
    for (size_t i = 0; i < 100; i++) {
        seen[items[i]]++;
        fixed += items[i] == i;
    }
    for (size_t i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    assert_true(fixed < 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_families_differ),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_shuffle_moves_and_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
