/* Levels: what may be chosen, and every tuned level against the plain one that stays beside it. */
#include "kernels/support.h"

static void test_choose(void **state) {
    (void)state;
    const struct strata_level *level, *best;
    struct strata_error err = {0};
    assert_int_equal(strata_level_choose(&best, NULL, &err), 0);
    assert_int_equal(strata_level_choose(&level, "auto", &err), 0);
    assert_ptr_equal(level, best);
    for (size_t i = LEVEL_NAMES; i-- > 0;) {
        if (!strata_level_available(level_names[i])) continue;
        assert_int_equal(strata_level_choose(&level, level_names[i], &err), 0);
        assert_string_equal(strata_level_name(level), level_names[i]);
        assert_ptr_equal(level, best); /* the last name that this CPU has is the best */
        break;
    }
    assert_int_equal(strata_level_choose(&level, "plain", &err), 0);
    assert_int_equal(strata_level_choose(&level, "avx1024", &err), STRATA_ERR_USAGE);
    assert_null(level);
    assert_non_null(strstr(err.what, "avx1024"));
    assert_non_null(strstr(err.hint, "plain"));
    assert_false(strata_level_available("avx1024"));
}

struct results {
    float *linear[2], *attention; /* by weight type */
};
#define M  70
#define N  150
#define K  1100
#define H  4
#define D  48
#define T  100
#define HD (H * D)

static struct results measure(const struct strata_compute *compute) {
    struct results results;
    float *x = random_floats("x", M * K), *w = random_floats("w", N * K), *bias = random_floats("bias", N);
    for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_BF16; type++) {
        struct strata_matrix matrix;
        assert_int_equal(strata_matrix_create(&matrix, (enum strata_weight_type)type, N, K, NULL), 0);
        strata_matrix_set_rows(&matrix, 0, N, w);
        results.linear[type] = malloc(M * N * sizeof(float));
        strata_linear_forward(compute, results.linear[type], N, x, K, &matrix, bias, M, false);
        strata_matrix_free(&matrix);
    }
    float *query = random_floats("query", T * HD), *key = random_floats("key", T * HD / 2);
    float *value = random_floats("value", T * HD / 2);
    void *pages[2];
    for (size_t p = 0; p < 2; p++) pages[p] = aligned_alloc(64, (strata_page_bytes(compute, 2, D) + 63) / 64 * 64);
    for (size_t t = 0; t < T; t++)
        strata_page_write(compute, pages[t / 64], t % 64, key + t * HD / 2, value + t * HD / 2, 2, D);
    results.attention = malloc(T * HD * sizeof(float));
    const struct strata_attention_rows item = {
        .out = results.attention, .query = query, .out_stride = HD, .query_stride = HD, .rows = T, .pages = pages};
    strata_attention_forward(compute, &item, 1, H, 2, D, 0.5f);
    free(x), free(w), free(bias), free(query), free(key), free(value), free(pages[0]), free(pages[1]);
    return results;
}

static double difference(const float *a, const float *plain, size_t count) {
    double *reference = malloc(count * sizeof *reference);
    for (size_t i = 0; i < count; i++) reference[i] = (double)plain[i];
    const double l2 = relative_l2(a, reference, count);
    free(reference);
    return l2;
}
static void free_results(struct results *results) {
    free(results->linear[0]), free(results->linear[1]), free(results->attention);
}

static void test_against_plain(void **state) {
    (void)state;
    for (int type = 0; type < 2; type++) {
        const struct strata_level *plain, *level;
        struct strata_compute compute;
        assert_int_equal(strata_level_choose(&plain, "plain", NULL), 0);
        assert_int_equal(strata_compute_create(&compute, plain, (enum strata_compute_type)type, NULL, NULL), 0);
        struct results expected = measure(&compute);
        strata_compute_free(&compute);
        for (size_t i = 1; i < LEVEL_NAMES; i++) {
            if (strata_level_choose(&level, level_names[i], NULL)) {
                print_message("level %s skipped: this CPU or build lacks it\n", level_names[i]);
                continue;
            }
            assert_int_equal(strata_compute_create(&compute, level, (enum strata_compute_type)type, NULL, NULL), 0);
            struct results got = measure(&compute);
            const double f32 = difference(got.linear[0], expected.linear[0], M * N);
            const double bf16 = difference(got.linear[1], expected.linear[1], M * N);
            const double attention = difference(got.attention, expected.attention, T * HD);
            print_message("%s: linear f32 %.1e, bf16 %.1e, attention %.1e\n", level_names[i], f32, bf16, attention);
            /* The same products in fp32, summed with or without a rounding between multiply and add. Attention in bf16
             * may round a probability the other way: 2^-9 of a few of 100. */
            assert_true(f32 < 1e-6 && bf16 < 1e-6);
            assert_true(attention < (type == STRATA_COMPUTE_BF16 ? 1e-4 : 1e-6));
            free_results(&got);
            strata_compute_free(&compute);
        }
        free_results(&expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_against_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
