/* Adapters: gradients by finite differences of the merged weights, files that come back, what is frozen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/model.h"
#include "model/tape.h"
#include "train/lora.h"
#include "train/temporary_train.h"
#include "train/train.h"

#define MODEL  "models/easyvqa-tiny"
#define TOKENS 9

struct fixture {
    struct strata_model *model;
    struct strata_gradients gradients;
    struct strata_lora lora;
    struct strata_compute compute;
    struct strata_threads *threads;
    struct strata_tape *tape;
    int32_t ids[TOKENS];
    float logps[TOKENS], dlogps[TOKENS];
    struct strata_tape_response response;
    struct strata_tape_group group;
};

static void setup(struct fixture *fixture, const struct strata_lora_options *options) {
    static const bool trained[3] = {true, false, false};
    static const int32_t positions[3] = {0, 0, 0};
    static const int32_t first[1] = {7};
    const struct strata_model_options open = {.weights = STRATA_WEIGHT_F32};
    const struct strata_level *level;
    struct strata_tape_options tape = {
        .level = STRATA_TAPE_ALL, .max_rows = TOKENS + 1, .max_responses = 1, .max_groups = 1};
    *fixture = (struct fixture){0};
    assert_int_equal(strata_model_open(&fixture->model, MODEL, &open, NULL), 0);
    assert_int_equal(strata_level_choose(&level, NULL, NULL), 0);
    assert_int_equal(strata_threads_create(&fixture->threads, 2, NULL), 0);
    assert_int_equal(strata_compute_create(&fixture->compute, level, STRATA_COMPUTE_F32, fixture->threads, NULL), 0);
    assert_int_equal(strata_gradients_create(&fixture->gradients, &fixture->model->config, trained, NULL), 0);
    assert_int_equal(strata_lora_create(&fixture->lora, options, &fixture->model->config, &fixture->model->weights,
                                        &fixture->gradients, MODEL, 5, NULL),
                     0);
    assert_int_equal(strata_tape_create(&fixture->tape, &fixture->model->config, &fixture->model->weights,
                                        &fixture->compute, &tape, NULL),
                     0);
    struct strata_random random = strata_random_make(1, "lora", STRATA_PURPOSE_TEST, 0, 0);
    for (size_t t = 0; t < TOKENS; t++) {
        fixture->ids[t] = (int32_t)strata_random_below(&random, t, 900);
        fixture->dlogps[t] = (float)strata_random_normal(&random, 100 + t);
    }
    fixture->response = (struct strata_tape_response){
        .part = {.ids = fixture->ids, .T = TOKENS}, .logps = fixture->logps, .dlogps = fixture->dlogps};
    fixture->group = (struct strata_tape_group){
        .prompt = {.ids = first, .T = 1, .positions = positions}, .responses = &fixture->response, .count = 1};
}

static void teardown(struct fixture *fixture) {
    strata_tape_destroy(fixture->tape);
    strata_lora_free(&fixture->lora);
    strata_gradients_free(&fixture->gradients);
    strata_compute_free(&fixture->compute);
    strata_threads_destroy(fixture->threads);
    strata_model_close(fixture->model);
}

/* sum of dlogps * logps at the adapters as they stand */
static double objective(struct fixture *fixture) {
    double sum = 0.0;
    assert_int_equal(strata_lora_merge(&fixture->lora, fixture->threads, NULL), 0);
    assert_int_equal(strata_tape_forward(fixture->tape, &fixture->group, 1, 1.0f, NULL), 0);
    for (size_t t = 0; t < TOKENS; t++) sum += (double)fixture->dlogps[t] * (double)fixture->logps[t];
    return sum;
}

/* The derivative along the gradient itself is its squared norm: one direction that every element takes part in. */
static void check_direction(struct fixture *fixture, size_t module, bool b) {
    struct strata_lora_module *m = &fixture->lora.modules[module];
    size_t count = b ? m->N * fixture->lora.rank : fixture->lora.rank * m->K;
    float *values = b ? m->b : m->a;
    const float *gradient = b ? m->db : m->da;
    double squares = 0.0, ends[2];
    float *start = malloc(count * sizeof *start);
    memcpy(start, values, count * sizeof *start);
    for (size_t i = 0; i < count; i++) squares += (double)gradient[i] * (double)gradient[i];
    double step = 3e-3 / sqrt(squares);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++)
            values[i] = (float)((double)start[i] + (side ? -step : step) * (double)gradient[i]);
        ends[side] = objective(fixture);
    }
    memcpy(values, start, count * sizeof *start);
    free(start);
    double slope = (ends[0] - ends[1]) / (2 * step);
    if (!(fabs(slope - squares) <= 0.02 * squares))
        fail_msg("%s: slope %g, squared norm %g", b ? m->name_b : m->name_a, slope, squares);
}

static void test_gradients(void **state) {
    struct strata_lora_options options = {.rank = 3, .alpha = 5.0, .b_deviation = 0.05};
    struct fixture fixture;
    (void)state;
    setup(&fixture, &options);
    objective(&fixture);
    assert_int_equal(strata_tape_backward(fixture.tape, &fixture.gradients, &fixture.group, 1, NULL), 0);
    double norm = strata_lora_gradients(&fixture.lora, fixture.threads), sum = 0.0;
    for (size_t i = 0; i < fixture.lora.count; i++) {
        const struct strata_lora_module *m = &fixture.lora.modules[i];
        for (size_t j = 0; j < 3 * m->K; j++) sum += (double)m->da[j] * (double)m->da[j];
        for (size_t j = 0; j < 3 * m->N; j++) sum += (double)m->db[j] * (double)m->db[j];
    }
    assert_true(fabs(norm - sqrt(sum)) <= 1e-9 * norm);
    assert_int_equal(fixture.lora.count, 6 * 7);
    for (size_t i = 0; i < 7; i++) {
        check_direction(&fixture, i, false);
        check_direction(&fixture, i, true);
    }
    teardown(&fixture);
}

/* With B zero the merged model is the base, and what no adapter touches has no gradient. */
static void test_start(void **state) {
    struct strata_lora_options options = {.rank = 2, .alpha = 8.0, .targets = "q_proj,down_proj"};
    struct fixture fixture;
    char before[33], after[33];
    (void)state;
    setup(&fixture, &options);
    const struct strata_model_config *config = &fixture.model->config;
    assert_int_equal(strata_weights_identity(before, &fixture.model->weights, config, NULL), 0);
    objective(&fixture);
    assert_int_equal(strata_weights_identity(after, &fixture.model->weights, config, NULL), 0);
    assert_string_equal(before, after);
    assert_int_equal(fixture.lora.count, 12);
    assert_null(fixture.gradients.embedding);
    assert_null(fixture.gradients.layers[0].gate_up);
    assert_null(fixture.gradients.layers[0].input_norm);
    assert_non_null(fixture.gradients.layers[0].query_key_value);
    assert_int_equal(strata_tape_backward(fixture.tape, &fixture.gradients, &fixture.group, 1, NULL), 0);
    assert_true(strata_lora_gradients(&fixture.lora, NULL) > 0.0); /* of B alone */
    for (size_t j = 0; j < 2 * fixture.lora.modules[0].K; j++) assert_true(fixture.lora.modules[0].da[j] == 0.0f);
    teardown(&fixture);
}

/* W = base + alpha/rank B A, as PEFT merges it. */
static void test_scale(void **state) {
    struct strata_lora_options options = {.rank = 4, .alpha = 6.0, .b_deviation = 0.3, .targets = "up_proj"};
    struct fixture fixture;
    (void)state;
    setup(&fixture, &options);
    assert_int_equal(strata_lora_merge(&fixture.lora, NULL, NULL), 0);
    const struct strata_lora_module *m = &fixture.lora.modules[2];
    float *row = malloc(m->K * sizeof *row);
    for (size_t n = 0; n < m->N; n++) {
        strata_matrix_get_row(row, m->row.matrix, m->row.first_row + n);
        for (size_t k = 0; k < m->K; k++) {
            double sum = 0.0;
            for (size_t r = 0; r < 4; r++) sum += (double)m->b[n * 4 + r] * (double)m->a[r * m->K + k];
            double want = (double)m->base[n * m->K + k] + 1.5 * sum;
            if (!(fabs((double)row[k] - want) <= 1e-6)) fail_msg("%zu, %zu: %g, not %g", n, k, (double)row[k], want);
        }
    }
    free(row);
    teardown(&fixture);
}

static void test_files(void **state) {
    struct strata_lora_options options = {.rank = 2, .alpha = 8.0, .b_deviation = 1.0, .targets = "o_proj"};
    struct strata_lora_options empty = {.rank = 2, .alpha = 8.0, .targets = "o_proj"};
    struct strata_lora_options wider = {.rank = 4, .alpha = 8.0, .targets = "o_proj"};
    struct fixture saved, loaded;
    struct strata_error err;
    char *directory = temporary_directory(), path[4200];
    (void)state;
    setup(&saved, &options);
    setup(&loaded, &empty);
    assert_int_equal(strata_lora_save(&saved.lora, directory, NULL), 0);
    assert_int_equal(strata_lora_load(&loaded.lora, directory, NULL), 0);
    assert_memory_equal(saved.lora.modules[3].b, loaded.lora.modules[3].b, 2 * saved.lora.modules[3].N * sizeof(float));
    assert_true(objective(&saved) == objective(&loaded));
    json_t *config;
    snprintf(path, sizeof path, "%s/adapter_config.json", directory);
    assert_int_equal(strata_json_load(&config, path, 0, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(config, "peft_type")), "LORA");
    assert_int_equal(json_integer_value(json_object_get(config, "r")), 2);
    assert_string_equal(json_string_value(json_object_get(config, "target_modules")), ".*language_model.*\\.(o_proj)");
    json_decref(config);
    teardown(&loaded);
    setup(&loaded, &wider);
    assert_int_equal(strata_lora_load(&loaded.lora, directory, &err), STRATA_ERR_STATE);
    teardown(&loaded);
    teardown(&saved);
    remove_directory(directory);
}

static void test_unknown_target(void **state) {
    static const bool trained[3] = {true, false, false};
    struct strata_lora_options options = {.rank = 2, .alpha = 8.0, .targets = "q_proj,lm_head"};
    const struct strata_model_options open = {.weights = STRATA_WEIGHT_F32};
    struct strata_model *model;
    struct strata_gradients gradients;
    struct strata_lora lora;
    struct strata_error err;
    (void)state;
    assert_int_equal(strata_model_open(&model, MODEL, &open, NULL), 0);
    assert_int_equal(strata_gradients_create(&gradients, &model->config, trained, NULL), 0);
    assert_int_equal(strata_lora_create(&lora, &options, &model->config, &model->weights, &gradients, MODEL, 1, &err),
                     STRATA_ERR_USAGE);
    assert_non_null(strstr(err.what, "lm_head"));
    strata_gradients_free(&gradients);
    strata_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gradients), cmocka_unit_test(test_start),
                                       cmocka_unit_test(test_scale), cmocka_unit_test(test_files),
                                       cmocka_unit_test(test_unknown_target)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
