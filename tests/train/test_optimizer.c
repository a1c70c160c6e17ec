/* AdamW against the formula in double, for fp32 and bf16 matrices and vectors, whatever the threads. */
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
#include "train/optimizer.h"

#define ROWS  70
#define WIDTH 1100

static void fill(float *out, size_t count, const char *name, float scale) {
    struct strata_random random = strata_random_make(1, name, STRATA_PURPOSE_TEST, 0, 0);
    for (size_t i = 0; i < count; i++) out[i] = scale * (float)strata_random_normal(&random, i);
}

struct fixture {
    float *start, *gradient, vector[WIDTH], vector_gradient[WIDTH];
    struct strata_matrix matrix;
    struct strata_parameter parameters[2];
    struct strata_optimizer optimizer;
    struct strata_threads *threads;
};

static const struct strata_adamw paper = {
    .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .max_grad_norm = 1.0};

/* A matrix whose rows 3.. are the parameter, and a vector without decay. */
static void setup(struct fixture *fixture, enum strata_weight_type type, size_t threads) {
    *fixture = (struct fixture){0};
    fixture->start = malloc((ROWS + 3) * WIDTH * sizeof(float));
    fixture->gradient = malloc(ROWS * WIDTH * sizeof(float));
    fill(fixture->start, (ROWS + 3) * WIDTH, "start", 0.5f);
    fill(fixture->gradient, ROWS * WIDTH, "gradient", 0.01f);
    fill(fixture->vector, WIDTH, "vector", 1.0f);
    fill(fixture->vector_gradient, WIDTH, "vector gradient", 0.02f);
    assert_int_equal(strata_matrix_create(&fixture->matrix, type, ROWS + 3, WIDTH, NULL), 0);
    strata_matrix_set_rows(&fixture->matrix, 0, ROWS + 3, fixture->start);
    fixture->parameters[0] = (struct strata_parameter){.name = "matrix",
                                                       .rows = ROWS,
                                                       .K = WIDTH,
                                                       .decay = true,
                                                       .matrix = &fixture->matrix,
                                                       .first_row = 3,
                                                       .gradient = fixture->gradient};
    fixture->parameters[1] = (struct strata_parameter){
        .name = "vector", .rows = 1, .K = WIDTH, .vector = fixture->vector, .gradient = fixture->vector_gradient};
    assert_int_equal(strata_optimizer_create(&fixture->optimizer, fixture->parameters, 2, &paper, NULL), 0);
    assert_int_equal(strata_threads_create(&fixture->threads, threads, NULL), 0);
}

static void teardown(struct fixture *fixture) {
    strata_threads_destroy(fixture->threads);
    strata_optimizer_free(&fixture->optimizer);
    strata_matrix_free(&fixture->matrix);
    free(fixture->start);
    free(fixture->gradient);
}

static double clip_of(double norm) {
    return fmin(1.0, 1.0 / (norm + 1e-6));
}

/* The weight after `updates` equal gradients g at rate 1e-3. */
static double by_formula(double weight, double g, double norm, size_t updates, bool decay) {
    double m = 0, v = 0;
    g *= clip_of(norm);
    for (size_t t = 1; t <= updates; t++) {
        m = 0.9 * m + 0.1 * g;
        v = 0.95 * v + 0.05 * g * g;
        if (decay) weight *= 1 - 1e-3 * 0.1;
        weight -= 1e-3 * (m / (1 - pow(0.9, (double)t))) / (sqrt(v / (1 - pow(0.95, (double)t))) + 1e-8);
    }
    return weight;
}

static void check_type(enum strata_weight_type type, double tolerance) {
    struct fixture fixture;
    float row[WIDTH], before[WIDTH];
    setup(&fixture, type, 2);
    memcpy(before, fixture.vector, sizeof before);
    if (type == STRATA_WEIGHT_BF16)
        assert_non_null(fixture.optimizer.rest[0]);
    else
        assert_null(fixture.optimizer.rest[0]);
    assert_null(fixture.optimizer.rest[1]);
    assert_int_equal(fixture.optimizer.values, ROWS * WIDTH + WIDTH);
    float *first = malloc((ROWS + 3) * WIDTH * sizeof(float)); /* as the matrix holds them: rounded where it is bf16 */
    for (size_t n = 0; n < ROWS + 3; n++) strata_matrix_get_row(first + n * WIDTH, &fixture.matrix, n);
    for (size_t t = 0; t < 5; t++)
        assert_int_equal(strata_optimizer_step(&fixture.optimizer, 3.0, 1e-3, fixture.threads, NULL), 0);
    for (size_t n = 0; n < ROWS + 3; n++) {
        strata_matrix_get_row(row, &fixture.matrix, n);
        for (size_t k = 0; k < WIDTH; k++) {
            double start = (double)first[n * WIDTH + k];
            double want =
                n < 3 ? start : by_formula(start, (double)fixture.gradient[(n - 3) * WIDTH + k], 3.0, 5, true);
            if (!(fabs((double)row[k] - want) <= tolerance * (1 + fabs(want))))
                fail_msg("row %zu, %zu: %.9g instead of %.9g", n, k, (double)row[k], want);
        }
    }
    for (size_t k = 0; k < WIDTH; k++) {
        double want = by_formula((double)before[k], (double)fixture.vector_gradient[k], 3.0, 5, false);
        if (!(fabs((double)fixture.vector[k] - want) <= 1e-6)) fail_msg("vector %zu", k);
    }
    free(first);
    teardown(&fixture);
}

static void test_formula(void **state) {
    (void)state;
    check_type(STRATA_WEIGHT_F32, 1e-6);
    check_type(STRATA_WEIGHT_BF16, 4e-3);
}

/* Updates far below a bf16 step add up in the master. */
static void test_small_updates(void **state) {
    struct fixture fixture;
    (void)state;
    setup(&fixture, STRATA_WEIGHT_BF16, 1);
    fixture.optimizer.options.weight_decay = 0;
    float before[WIDTH], after[WIDTH], master[WIDTH];
    strata_matrix_get_row(before, &fixture.matrix, 3);
    for (size_t t = 0; t < 200; t++)
        assert_int_equal(strata_optimizer_step(&fixture.optimizer, 0.5, 1e-5, NULL, NULL), 0);
    strata_matrix_get_row(after, &fixture.matrix, 3);
    strata_optimizer_get(master, &fixture.optimizer, STRATA_PART_MASTER, 0, 0, 1);
    size_t moved = 0;
    for (size_t k = 0; k < WIDTH; k++) {
        double want = (double)before[k] - 200e-5 * (fixture.gradient[k] > 0 ? 1 : -1);
        if (fabs((double)master[k] - want) > 2e-5) fail_msg("master %zu", k);
        moved += after[k] != before[k];
    }
    assert_true(moved > WIDTH / 2);
    teardown(&fixture);
}

/* The same updates of fp32 masters kept whole, from which the weights are rounded. */
struct plain {
    float master[ROWS * WIDTH], moment1[ROWS * WIDTH], moment2[ROWS * WIDTH];
};
static void plain_update(struct plain *plain, const float *gradient, size_t t, double norm, double rate) {
    const float clip = (float)strata_clip_factor(norm, paper.max_grad_norm), shrink = (float)(1.0 - rate * 0.1);
    double power1 = 1.0, power2 = 1.0;
    for (size_t i = 0; i < t; i++) power1 *= 0.9, power2 *= 0.95;
    const float step = (float)(rate / (1.0 - power1)), root = (float)sqrt(1.0 - power2);
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++) {
        float g = gradient[i] * clip;
        float m = plain->moment1[i] = plain->moment1[i] + (g - plain->moment1[i]) * (float)(1.0 - 0.9);
        float v = plain->moment2[i] = plain->moment2[i] * (float)0.95 + (float)(1.0 - 0.95) * g * g;
        plain->master[i] = plain->master[i] * shrink - step * (m / (sqrtf(v) / root + (float)1e-8));
    }
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void compare_plain(const struct fixture *fixture, const struct plain *plain) {
    static float part[STRATA_PARTS][ROWS * WIDTH];
    float row[WIDTH];
    for (int p = 0; p < STRATA_PARTS; p++)
        strata_optimizer_get(part[p], &fixture->optimizer, (enum strata_optimizer_part)p, 0, 0, ROWS);
    assert_memory_equal(part[STRATA_PART_MASTER], plain->master, sizeof plain->master);
    assert_memory_equal(part[STRATA_PART_MOMENT1], plain->moment1, sizeof plain->moment1);
    assert_memory_equal(part[STRATA_PART_MOMENT2], plain->moment2, sizeof plain->moment2);
    for (size_t n = 0; n < ROWS; n++) {
        strata_matrix_get_row(row, &fixture->matrix, n + 3);
        for (size_t k = 0; k < WIDTH; k++)
            assert_int_equal(bits_of(row[k]) >> 16, strata_bf16_round(plain->master[n * WIDTH + k]));
    }
}

/* A master in two halves makes the updates of a whole one, bit for bit: from weights as they are, and from masters that
 * are ties of both directions, in the first column of a row, which stay ties while nothing moves them. */
static void test_halves(void **state) {
    struct fixture fixture;
    static struct plain plain;
    (void)state;
    setup(&fixture, STRATA_WEIGHT_BF16, 2);
    memset(&plain, 0, sizeof plain);
    for (size_t n = 0; n < ROWS; n++) {
        float *row = plain.master + n * WIDTH;
        strata_matrix_get_row(row, &fixture.matrix, n + 3);
        const uint32_t tie = bits_of(row[0]) >> 16 << 16 | 0x8000u;
        memcpy(&row[0], &tie, sizeof tie);
        fixture.gradient[n * WIDTH] = 0.0f;
    }
    strata_optimizer_set(&fixture.optimizer, STRATA_PART_MASTER, 0, 0, ROWS, plain.master);
    for (size_t t = 1; t <= 6; t++) {
        const double norm = t % 2 ? 3.0 : 0.5, rate = t == 1 ? 0.0 : 1e-4 * (double)t;
        compare_plain(&fixture, &plain);
        plain_update(&plain, fixture.gradient, t, norm, rate);
        assert_int_equal(strata_optimizer_step(&fixture.optimizer, norm, rate, fixture.threads, NULL), 0);
    }
    compare_plain(&fixture, &plain);
    teardown(&fixture);
}

/* Signs and exponents, some mantissas of each, and all that can be left: whatever is rounded comes back. */
static void test_rejoin(void **state) {
    const uint32_t mantissas[] = {0, 1, 2, 0x3f, 0x40, 0x7e, 0x7f};
    size_t ties = 0, wrong = 0, not_a_number = 0;
    (void)state;
    for (uint32_t top = 0; top < 512; top++)
        for (size_t m = 0; m < sizeof mantissas / sizeof *mantissas; m++)
            for (uint32_t rest = 0; rest < 0x10000; rest++) {
                const uint32_t bits = top << 23 | mantissas[m] << 16 | rest;
                float value;
                memcpy(&value, &bits, sizeof value);
                const float again =
                    strata_bf16_rejoin(strata_bf16_round(value), strata_bf16_rest(value), strata_bf16_tied_up(value));
                ties += strata_bf16_tied_up(value);
                if ((bits & 0x7fffffffu) > 0x7f800000u)
                    not_a_number += isnan(again) ? 0 : 1;
                else
                    wrong += bits_of(again) != bits;
            }
    assert_int_equal(wrong, 0);
    assert_int_equal(not_a_number, 0);
    assert_int_equal(ties, 512 * 3); /* of the mantissas that are odd */
}

static void test_threads(void **state) {
    struct fixture one, three;
    (void)state;
    setup(&one, STRATA_WEIGHT_F32, 1);
    setup(&three, STRATA_WEIGHT_F32, 3);
    for (size_t t = 0; t < 3; t++) {
        assert_int_equal(strata_optimizer_step(&one.optimizer, 2.0, 1e-3, one.threads, NULL), 0);
        assert_int_equal(strata_optimizer_step(&three.optimizer, 2.0, 1e-3, three.threads, NULL), 0);
    }
    assert_memory_equal(one.matrix.panels, three.matrix.panels, one.matrix.bytes);
    assert_memory_equal(one.optimizer.block, three.optimizer.block, one.optimizer.block_bytes);
    assert_memory_equal(one.vector, three.vector, sizeof one.vector);
    teardown(&one);
    teardown(&three);
}

static void test_clip(void **state) {
    (void)state;
    assert_true(strata_clip_factor(0.5, 1.0) == 1.0);
    assert_true(strata_clip_factor(4.0, 1.0) == 1.0 / (4.0 + 1e-6));
    assert_true(strata_clip_factor(4.0, 0.0) == 1.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula), cmocka_unit_test(test_small_updates),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_clip),
                                       cmocka_unit_test(test_halves),  cmocka_unit_test(test_rejoin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
