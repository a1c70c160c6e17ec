/* Linear layers: against sums in double, and bit for bit over M, threads, strides and cuts. */
#include "kernels/support.h"

struct shape {
    size_t N, K;
};
static const struct shape shapes[] = {{1, 1}, {16, 16}, {64, 64}, {65, 33}, {100, 511}, {130, 513}, {192, 1100}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static struct strata_matrix make_matrix(enum strata_weight_type type, size_t N, size_t K, const float *w) {
    struct strata_matrix matrix;
    assert_int_equal(strata_matrix_create(&matrix, type, N, K, NULL), 0);
    const size_t first = N / 3; /* in two parts that do not end at a panel */
    strata_matrix_set_rows(&matrix, 0, first, w);
    strata_matrix_set_rows(&matrix, first, N - first, w + first * K);
    return matrix;
}

/* W as the matrix of that type holds it, by the words of kernels.h. Owned. */
static double *held_values(enum strata_weight_type type, size_t N, size_t K, const float *w) {
    double *held = malloc(N * K * sizeof *held);
    assert_non_null(held);
    for (size_t i = 0; i < N * K; i++) held[i] = seen(w[i], type == STRATA_WEIGHT_BF16);
    for (size_t n = 0; type == STRATA_WEIGHT_INT8 && n < N; n++)
        for (size_t begin = 0; begin < K; begin += STRATA_GROUP) {
            float largest = 0.0f;
            for (size_t k = begin; k < K && k < begin + STRATA_GROUP; k++)
                largest = fmaxf(largest, fabsf(w[n * K + k]));
            const float scale = largest / 127.0f;
            for (size_t k = begin; k < K && k < begin + STRATA_GROUP; k++)
                held[n * K + k] = scale > 0.0f ? (double)nearbyintf(w[n * K + k] / scale) * (double)scale : 0.0;
        }
    return held;
}

static void check_values(const struct strata_compute *compute, void *context) {
    (void)context;
    for (size_t i = 0; i < SHAPES; i++)
        for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_INT8; type++) {
            const size_t N = shapes[i].N, K = shapes[i].K, M = 7;
            float *w = random_floats("w", N * K), *x = random_floats("x", M * K), *bias = random_floats("bias", N);
            float *out = random_floats("out", M * N);
            double *reference = malloc(M * N * sizeof *reference);
            struct strata_matrix matrix = make_matrix((enum strata_weight_type)type, N, K, w);
            double *held = held_values((enum strata_weight_type)type, N, K, w);
            const bool rounded = type != STRATA_WEIGHT_F32 && compute->type == STRATA_COMPUTE_BF16;
            for (int variant = 0; variant < 4; variant++) {
                const bool add = variant & 1, biased = variant & 2;
                for (size_t m = 0; m < M; m++)
                    for (size_t n = 0; n < N; n++) {
                        double sum = (add ? (double)out[m * N + n] : 0.0) + (biased ? (double)bias[n] : 0.0);
                        for (size_t k = 0; k < K; k++) sum += seen(x[m * K + k], rounded) * held[n * K + k];
                        reference[m * N + n] = sum;
                    }
                strata_linear_forward(compute, out, N, x, K, &matrix, biased ? bias : NULL, M, add);
                assert_true(relative_l2(out, reference, M * N) < 1e-6);
            }
            strata_matrix_free(&matrix);
            free(w), free(x), free(bias), free(out), free(reference), free(held);
        }
}
static void test_values(void **state) {
    (void)state;
    for_each_compute(check_values, NULL);
}

/* Row m of any call equals the one-row call of row m; what lies between the rows of out is not touched. */
static void check_invariance(const struct strata_compute *compute, void *context) {
    float **expected = context; /* the result of one thread, for two to meet */
    static const size_t counts[] = {2, 3, 4, 5, 6, 7, 8, 9, 63, 64, 65, 320};
    const size_t N = 200, K = 1101, most = 320, stride = N + 3, x_stride = K + 5;
    float *w = random_floats("w", N * K), *x = random_floats("x", most * x_stride), *bias = random_floats("bias", N);
    float *out = random_floats("one", most * stride);
    for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_INT8; type++) {
        struct strata_matrix matrix = make_matrix((enum strata_weight_type)type, N, K, w);
        float *one = random_floats("one", most * stride);
        for (size_t m = 0; m < most; m++)
            strata_linear_forward(compute, one + m * stride, stride, x + m * x_stride, x_stride, &matrix, bias, 1,
                                  false);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            const size_t M = counts[i];
            for (size_t m = 0; m < M; m++)
                for (size_t n = 0; n < N; n++) out[m * stride + n] = NAN;
            strata_linear_forward(compute, out, stride, x, x_stride, &matrix, bias, M, false);
            assert_same_bits(out, one, M * stride);
        }
        /* less memory for rounded rows: more parts */
        struct strata_compute narrow = *compute;
        narrow.shared_bytes = (size_t)1 << 18;
        narrow.scratch_bytes = (size_t)48 << 10;
        for (size_t M = 9; M <= 317; M += 308) {
            out[M * stride] = NAN;
            strata_linear_forward(&narrow, out, stride, x, x_stride, &matrix, bias, M, false);
            assert_same_bits(out, one, M * stride);
            assert_true(isnan(out[M * stride])); /* the row behind is not touched */
        }
        float **kept = &expected[3 * (int)compute->type + type];
        if (strata_threads_count(compute->threads) == 2) assert_same_bits(one, *kept, most * stride);
        free(*kept);
        *kept = one;
        strata_matrix_free(&matrix);
    }
    free(w), free(x), free(bias), free(out);
}
static void test_invariance(void **state) {
    (void)state;
    float *expected[6] = {NULL};
    for_each_compute(check_invariance, expected);
    for (size_t i = 0; i < 6; i++) free(expected[i]);
}

static void test_matrix_rows(void **state) {
    (void)state;
    enum { N = 131, K = 2 * STRATA_GROUP + 37 };
    float *w = random_floats("w", N * K), row[K];
    uint16_t *bits = malloc(N * K * sizeof *bits);
    assert_non_null(bits);
    for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_INT8; type++) {
        struct strata_matrix matrix = make_matrix((enum strata_weight_type)type, N, K, w);
        double *held = held_values((enum strata_weight_type)type, N, K, w);
        for (size_t i = 0; i < N * K; i++) bits[i] = strata_bf16_round(w[i]);
        for (size_t n = 0; n < N; n++) {
            strata_matrix_get_row(row, &matrix, n);
            for (size_t k = 0; k < K; k++) assert_true(row[k] == (float)held[n * K + k]);
        }
        for (size_t i = 0; i < N * K; i++) w[i] = strata_bf16_widen(bits[i]);
        double *held_bf16 = held_values((enum strata_weight_type)type, N, K, w);
        strata_matrix_set_rows_bf16(&matrix, 0, N, bits);
        for (size_t n = 0; n < N; n++) {
            strata_matrix_get_row(row, &matrix, n);
            for (size_t k = 0; k < K; k++) assert_true(row[k] == (float)held_bf16[n * K + k]);
        }
        strata_matrix_free(&matrix);
        free(held), free(held_bf16);
    }
    free(w), free(bits);
}

/* What a group cannot tell from zero, and what is not finite, which only must not hurt. */
static void test_int8_extremes(void **state) {
    (void)state;
    const float w[2][4] = {{0.0f, -0.0f, 1e-45f, -1e-45f}, {1.0f, INFINITY, -INFINITY, NAN}};
    float row[4];
    struct strata_matrix matrix;
    assert_int_equal(strata_matrix_create(&matrix, STRATA_WEIGHT_INT8, 2, 4, NULL), 0);
    strata_matrix_set_rows(&matrix, 0, 2, w[0]);
    strata_matrix_get_row(row, &matrix, 0);
    for (size_t k = 0; k < 4; k++) assert_true(row[k] == 0.0f);
    strata_matrix_free(&matrix);
}

static void test_matrix_errors(void **state) {
    (void)state;
    struct strata_matrix matrix;
    struct strata_error err;
    assert_int_equal(strata_matrix_create(&matrix, STRATA_WEIGHT_F32, SIZE_MAX / 1024, 1024, &err), STRATA_ERR_MEMORY);
    assert_null(matrix.panels);
    assert_int_equal(strata_matrix_create(&matrix, STRATA_WEIGHT_BF16, SIZE_MAX, 64, &err), STRATA_ERR_MEMORY);
    assert_int_equal(strata_matrix_create(&matrix, STRATA_WEIGHT_BF16, 64, SIZE_MAX, &err), STRATA_ERR_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_invariance),    cmocka_unit_test(test_matrix_rows),
        cmocka_unit_test(test_int8_extremes), cmocka_unit_test(test_matrix_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
