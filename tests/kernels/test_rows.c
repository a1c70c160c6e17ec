/* Norms, activations, rotary embedding, logits: against double, over threads and row cuts, and the same bits on every
 * level (these kernels use no fused multiply-add). */
#include "base/elementary.h"
#include "kernels/support.h"

static const size_t widths[] = {1, 15, 16, 17, 64, 896, 1027};
#define WIDTHS (sizeof widths / sizeof *widths)
#define ROWS   67

/* One result kept from the first level; every later level and thread count must meet its bits. */
static void keep_or_compare(float **kept, float *result, size_t count) {
    if (*kept) {
        assert_same_bits(result, *kept, count);
        free(result);
    } else {
        *kept = result;
    }
}

static void check_rmsnorm(const struct strata_compute *compute, void *context) {
    float **kept = context;
    for (size_t i = 0; i < WIDTHS; i++) {
        const size_t C = widths[i];
        float *x = random_floats("x", ROWS * C), *weight = random_floats("weight", C);
        float *out = random_floats("out", ROWS * C), rstd[ROWS];
        double *reference = malloc(ROWS * C * sizeof *reference);
        strata_rmsnorm_forward(compute, out, rstd, x, weight, 1e-6f, ROWS, C);
        for (size_t m = 0; m < ROWS; m++) {
            double sum = 0.0;
            for (size_t c = 0; c < C; c++) sum += (double)x[m * C + c] * (double)x[m * C + c];
            const double r = 1.0 / sqrt(sum / (double)C + 1e-6);
            assert_true(fabs((double)rstd[m] / r - 1.0) < 1e-6);
            for (size_t c = 0; c < C; c++) reference[m * C + c] = (double)x[m * C + c] * r * (double)weight[c];
        }
        assert_true(relative_l2(out, reference, ROWS * C) < 3e-7);
        float *one = malloc(C * sizeof *one);
        strata_rmsnorm_forward(compute, one, NULL, x + 5 * C, weight, 1e-6f, 1, C);
        assert_same_bits(one, out + 5 * C, C);
        keep_or_compare(&kept[i], out, ROWS * C);
        free(x), free(weight), free(one), free(reference);
    }
}

static void check_swiglu(const struct strata_compute *compute, void *context) {
    float **kept = context;
    for (size_t i = 0; i < WIDTHS; i++) {
        const size_t F = widths[i], stride = 2 * F + 1;
        float *x = random_floats("gate_up", ROWS * stride), *out = random_floats("out", ROWS * F);
        double *reference = malloc(ROWS * F * sizeof *reference);
        for (size_t j = 0; j < ROWS * stride; j++) x[j] *= 20.0f;
        x[0] = -100.0f; /* exp overflows: silu is -0 */
        for (size_t m = 0; m < ROWS; m++)
            for (size_t f = 0; f < F; f++) {
                const double gate = (double)x[m * stride + f], up = (double)x[m * stride + F + f];
                reference[m * F + f] = gate / (1.0 + exp(-gate)) * up;
            }
        strata_swiglu_forward(compute, out, F, x, stride, x + F, stride, ROWS, F);
        assert_true(relative_l2(out, reference, ROWS * F) < 3e-7);
        keep_or_compare(&kept[i], out, ROWS * F);
        free(x), free(reference);
    }
}

static void check_gelu(const struct strata_compute *compute, void *context) {
    float **kept = context;
    const size_t count = 100003;
    float *x = random_floats("x", count), *out = random_floats("out", count);
    double *reference = malloc(count * sizeof *reference);
    for (size_t i = 0; i < count; i++) {
        x[i] *= 6.0f;
        reference[i] = 0.5 * (double)x[i] * (1.0 + erf((double)x[i] / sqrt(2.0)));
    }
    strata_gelu_forward(compute, out, x, count);
    assert_true(relative_l2(out, reference, count) < 3e-7);
    strata_gelu_forward(compute, x, x, count); /* in place */
    assert_same_bits(x, out, count);
    keep_or_compare(kept, out, count);
    free(x), free(reference);
}

static void check_rope(const struct strata_compute *compute, void *context) {
    float **kept = context;
    static const size_t sizes[] = {16, 24, 64, 80};
    for (size_t i = 0; i < 4; i++) {
        const size_t D = sizes[i], H = 3, stride = H * D + 2;
        float *x = random_floats("x", ROWS * stride), *before = random_floats("x", ROWS * stride);
        float cosines[ROWS * 40], sines[ROWS * 40];
        for (size_t j = 0; j < ROWS * (D / 2); j++) {
            cosines[j] = cosf((float)j);
            sines[j] = sinf((float)j);
        }
        strata_rope_forward(compute, x, stride, cosines, sines, ROWS, H, D);
        for (size_t t = 0; t < ROWS; t++)
            for (size_t h = 0; h < H; h++)
                for (size_t d = 0; d < D / 2; d++) {
                    const double c = (double)cosines[t * (D / 2) + d], s = (double)sines[t * (D / 2) + d];
                    const double a = (double)before[t * stride + h * D + d];
                    const double b = (double)before[t * stride + h * D + D / 2 + d];
                    assert_true(fabs((double)x[t * stride + h * D + d] - (a * c - b * s)) < 3e-7);
                    assert_true(fabs((double)x[t * stride + h * D + D / 2 + d] - (b * c + a * s)) < 3e-7);
                }
        keep_or_compare(&kept[i], x, ROWS * stride);
        free(before);
    }
}

static void check_logsumexp(const struct strata_compute *compute, void *context) {
    float **kept = context;
    static const size_t sizes[] = {1, 17, 1000, 151936};
    for (size_t i = 0; i < 4; i++) {
        const size_t V = sizes[i], M = 3, stride = V + 1;
        float *x = random_floats("logits", M * stride), *out = malloc(M * sizeof *out);
        for (size_t j = 0; j < M * stride; j++) x[j] *= 300.0f; /* far beyond exp's range */
        strata_logsumexp(compute, out, x, stride, M, V);
        for (size_t m = 0; m < M; m++) {
            double largest = -INFINITY, sum = 0.0;
            for (size_t v = 0; v < V; v++) largest = fmax(largest, (double)x[m * stride + v]);
            for (size_t v = 0; v < V; v++) sum += exp((double)x[m * stride + v] - largest);
            // cppcheck-suppress invalidFunctionArg ; V > 0
            assert_true(fabs((double)out[m] - (largest + log(sum))) < 2e-5);
        }
        keep_or_compare(&kept[i], out, M);
        free(x);
    }
}

static void run(each_body *body) {
    float *kept[WIDTHS] = {NULL};
    for_each_compute(body, kept);
    for (size_t i = 0; i < WIDTHS; i++) free(kept[i]);
}
static void test_rmsnorm(void **state) {
    (void)state;
    run(check_rmsnorm);
}
static void test_swiglu(void **state) {
    (void)state;
    run(check_swiglu);
}
static void test_gelu(void **state) {
    (void)state;
    run(check_gelu);
}
static void test_rope(void **state) {
    (void)state;
    run(check_rope);
}
static void test_logsumexp(void **state) {
    (void)state;
    run(check_logsumexp);
}

static void test_argmax(void **state) {
    (void)state;
    float x[5] = {1.0f, 3.0f, -2.0f, 3.0f, 0.0f};
    assert_int_equal(strata_argmax(x, 5), 1);
    x[4] = NAN;
    assert_int_equal(strata_argmax(x, 5), 5);
    x[4] = INFINITY;
    assert_int_equal(strata_argmax(x, 5), 4);
    for (size_t i = 0; i < 5; i++) x[i] = -INFINITY;
    assert_int_equal(strata_argmax(x, 5), 0);
}

/* The lane form of exp in the level equals strata_expf: swiglu with gate -x and up 1 shows every bit of it. */
static void check_exp(const struct strata_compute *compute, void *context) {
    (void)context;
    const size_t count = 200001;
    float *x = malloc(count * sizeof *x), *one = malloc(count * sizeof *one), *out = malloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        x[i] = 100.0f - (float)i * 1e-3f;
        one[i] = 1.0f;
    }
    strata_swiglu_forward(compute, out, count, x, count, one, count, 1, count);
    for (size_t i = 0; i < count; i++) one[i] = x[i] / (1.0f + strata_expf(-x[i])) * 1.0f;
    assert_same_bits(out, one, count);
    free(x), free(one), free(out);
}
static void test_exp(void **state) {
    (void)state;
    for_each_compute(check_exp, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rmsnorm), cmocka_unit_test(test_swiglu),    cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_rope),    cmocka_unit_test(test_logsumexp), cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_exp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
