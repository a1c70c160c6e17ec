/* Shared by the kernel tests: inputs from the counter-based generator, every level this CPU has, comparisons. */
#ifndef TESTS_KERNELS_SUPPORT_H
#define TESTS_KERNELS_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "base/random.h"
#include "kernels/kernels.h"

#define UNUSED __attribute__((unused))

static const char *const level_names[] = {"plain", "avx2", "avx512", "avx512bf16"};
#define LEVEL_NAMES (sizeof level_names / sizeof *level_names)

/* Values in [-1, 1), owned. */
UNUSED static float *random_floats(const char *name, size_t count) {
    const struct strata_random random = strata_random_make(7, name, STRATA_PURPOSE_TEST, 0, 0);
    float *x = malloc((count + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < count; i++) x[i] = (float)(2.0 * strata_random_uniform(&random, i) - 1.0);
    return x;
}

/* |a - b| / |b| over whole tensors. */
UNUSED static double relative_l2(const float *a, const double *b, size_t count) {
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return sqrt(difference / (norm > 0.0 ? norm : 1.0));
}

UNUSED static void assert_same_bits(const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("value %zu of %zu: %.9g and %.9g", i, count, (double)a[i], (double)b[i]);
}

/* Runs body with every level here, both compute types and one and two threads. */
typedef void each_body(const struct strata_compute *compute, void *context);
UNUSED static void for_each_compute(each_body *body, void *context) {
    for (size_t i = 0; i < LEVEL_NAMES; i++) {
        const struct strata_level *level;
        if (strata_level_choose(&level, level_names[i], NULL)) {
            print_message("level %s skipped: this CPU or build lacks it\n", level_names[i]);
            continue;
        }
        for (size_t count = 1; count <= 2; count++) {
            struct strata_threads *threads;
            assert_int_equal(strata_threads_create(&threads, count, NULL), 0);
            for (int type = 0; type < 2; type++) {
                struct strata_compute compute;
                assert_int_equal(strata_compute_create(&compute, level, (enum strata_compute_type)type, threads, NULL),
                                 0);
                body(&compute, context);
                strata_compute_free(&compute);
            }
            strata_threads_destroy(threads);
        }
    }
}

/* x as a product sees it: unchanged, or rounded to bf16. */
UNUSED static double seen(float x, bool rounded) {
    return (double)(rounded ? strata_bf16_widen(strata_bf16_round(x)) : x);
}

#endif
