/* Checkpoint directories: whole or not there, rotated, linked; bf16 weights and moments come back exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/model.h"
#include "train/checkpoint.h"
#include "train/temporary_train.h"

#define MODEL "models/easyvqa-tiny"

struct fixture {
    struct strata_model *model;
    struct strata_weight_row *rows;
    struct strata_parameter *parameters;
    float *gradient;
    size_t count;
    struct strata_optimizer optimizer;
    json_t *state;
    char *out;
};

static void setup_from(struct fixture *fixture, const char *model) {
    const struct strata_model_options options = {.weights_as_stored = true};
    const struct strata_adamw adamw = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8};
    size_t most = 0;
    *fixture = (struct fixture){.out = temporary_directory(), .state = json_pack("{s:i}", "step", 1)};
    assert_int_equal(strata_model_open(&fixture->model, model, &options, NULL), 0);
    assert_int_equal(
        strata_weights_table(&fixture->rows, &fixture->count, &fixture->model->config, &fixture->model->weights, NULL),
        0);
    fixture->parameters = calloc(fixture->count, sizeof *fixture->parameters);
    for (size_t i = 0; i < fixture->count; i++)
        if (strata_weight_row_count(&fixture->rows[i]) > most) most = strata_weight_row_count(&fixture->rows[i]);
    fixture->gradient = malloc(most * sizeof(float));
    for (size_t i = 0; i < most; i++) fixture->gradient[i] = (float)((double)(i % 17) - 8.0) * 1e-3f;
    for (size_t i = 0; i < fixture->count; i++) {
        const struct strata_weight_row *row = &fixture->rows[i];
        fixture->parameters[i] = (struct strata_parameter){.name = row->name,
                                                           .rows = row->matrix ? row->shape[0] : 1,
                                                           .K = row->matrix ? row->matrix->K : row->shape[0],
                                                           .matrix = row->matrix,
                                                           .first_row = row->first_row,
                                                           .vector = row->vector,
                                                           .vector_bf16 = true,
                                                           .gradient = fixture->gradient};
    }
    assert_int_equal(strata_optimizer_create(&fixture->optimizer, fixture->parameters, fixture->count, &adamw, NULL),
                     0);
}

static void setup(struct fixture *fixture) {
    setup_from(fixture, MODEL);
}

static void teardown(struct fixture *fixture) {
    strata_optimizer_free(&fixture->optimizer);
    strata_model_close(fixture->model);
    free(fixture->rows);
    free(fixture->parameters);
    free(fixture->gradient);
    json_decref(fixture->state);
    if (fixture->out) remove_directory(fixture->out);
}

static struct strata_checkpoint checkpoint_of(const struct fixture *fixture) {
    return (struct strata_checkpoint){.out = fixture->out,
                                      .source = MODEL,
                                      .config = &fixture->model->config,
                                      .weights = &fixture->model->weights,
                                      .optimizer = &fixture->optimizer,
                                      .state = fixture->state};
}

static bool there(const struct fixture *fixture, const char *name) {
    char *path = strata_path_join(fixture->out, name);
    struct stat status;
    bool found = lstat(path, &status) == 0;
    free(path);
    return found;
}

/* Norms and biases of a bf16 model are fp32 in memory: they must not lose bits in the file. */
static void test_exact(void **state) {
    struct fixture fixture, again;
    char before[33], after[33], *last = NULL;
    (void)state;
    setup(&fixture);
    for (size_t t = 0; t < 3; t++)
        assert_int_equal(strata_optimizer_step(&fixture.optimizer, 0.1, 1e-3, NULL, NULL), 0);
    struct strata_checkpoint checkpoint = checkpoint_of(&fixture);
    assert_int_equal(strata_checkpoint_save(&checkpoint, 3, false, NULL), 0);
    assert_int_equal(strata_checkpoint_last(&last, fixture.out, NULL), 0);
    assert_non_null(last);
    setup_from(&again, last);
    assert_int_equal(strata_weights_identity(before, &fixture.model->weights, &fixture.model->config, NULL), 0);
    assert_int_equal(strata_weights_identity(after, &again.model->weights, &again.model->config, NULL), 0);
    assert_string_equal(before, after);
    assert_int_equal(strata_checkpoint_optimizer(&again.optimizer, last, NULL), 0);
    assert_int_equal(again.optimizer.block_bytes, fixture.optimizer.block_bytes);
    assert_memory_equal(again.optimizer.block, fixture.optimizer.block, fixture.optimizer.block_bytes);
    free(last);
    teardown(&again);
    teardown(&fixture);
}

static void test_rotation(void **state) {
    struct fixture fixture;
    char *last = NULL, *path;
    (void)state;
    setup(&fixture);
    struct strata_checkpoint checkpoint = checkpoint_of(&fixture);
    assert_int_equal(strata_checkpoint_last(&last, fixture.out, NULL), 0);
    assert_null(last);
    /* What a killed writer left, and a file that only looks like a checkpoint. */
    path = strata_path_join(fixture.out, ".checkpoint-9");
    assert_int_equal(mkdir(path, 0777), 0);
    free(path);
    path = strata_path_join(fixture.out, "checkpoint-abc");
    assert_int_equal(strata_file_write(path, "", 0, NULL), 0);
    free(path);
    for (uint64_t step = 1; step <= 12; step++)
        assert_int_equal(strata_checkpoint_save(&checkpoint, step, step == 2, NULL), 0);
    assert_int_equal(strata_checkpoint_rotate(fixture.out, 3, NULL), 0);
    assert_true(there(&fixture, "checkpoint-2")); /* the best */
    assert_true(there(&fixture, "checkpoint-11") && there(&fixture, "checkpoint-12"));
    assert_false(there(&fixture, "checkpoint-1") || there(&fixture, "checkpoint-3") ||
                 there(&fixture, "checkpoint-10"));
    assert_false(there(&fixture, ".checkpoint-9"));
    assert_true(there(&fixture, "checkpoint-abc"));
    assert_int_equal(strata_checkpoint_last(&last, fixture.out, NULL), 0);
    assert_non_null(strstr(last, "checkpoint-12"));
    /* One whose removal was under way is not taken. */
    path = strata_path_join(last, "trainer_state.json");
    assert_int_equal(unlink(path), 0);
    free(path);
    free(last);
    assert_int_equal(strata_checkpoint_last(&last, fixture.out, NULL), 0);
    assert_non_null(strstr(last, "checkpoint-11"));
    free(last);
    teardown(&fixture);
}

static int fail_to_write(void *context, const char *directory, struct strata_error *err) {
    (void)context;
    (void)directory;
    return strata_fail(err, STRATA_ERR_IO, "disk full");
}

static void test_nothing_half(void **state) {
    struct fixture fixture;
    struct strata_error err;
    (void)state;
    setup(&fixture);
    struct strata_checkpoint checkpoint = checkpoint_of(&fixture);
    checkpoint.extra = fail_to_write;
    assert_int_equal(strata_checkpoint_save(&checkpoint, 1, false, &err), STRATA_ERR_IO);
    assert_false(there(&fixture, "checkpoint-1") || there(&fixture, ".checkpoint-1") || there(&fixture, "last"));
    teardown(&fixture);
}

static void test_weights_alone(void **state) {
    json_t *json = NULL;
    struct strata_error err;
    (void)state;
    assert_int_equal(strata_checkpoint_state(&json, MODEL, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "weights alone"));
    assert_non_null(strstr(err.hint, "--start-from"));
    assert_int_equal(strata_checkpoint_state(&json, "no/such/directory", &err), STRATA_ERR_STATE);
    assert_null(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exact), cmocka_unit_test(test_rotation),
                                       cmocka_unit_test(test_nothing_half), cmocka_unit_test(test_weights_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
