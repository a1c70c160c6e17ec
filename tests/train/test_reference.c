/* GRPO's reference: its weights are in the gradients' memory while it computes, and in a file of OUT before and after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "temporary_train.h"
#include "train/reference.h"

#define MODEL "models/easyvqa-tiny"

struct fixture {
    char *out;
    struct strata_model *plain;
    struct strata_reference reference;
    struct strata_gradients gradients;
};

static void setup(struct fixture *fixture, const bool trained[3]) {
    const struct strata_model_options options = {.weights = STRATA_WEIGHT_BF16};
    *fixture = (struct fixture){.out = temporary_directory()};
    assert_int_equal(strata_model_open(&fixture->plain, MODEL, &options, NULL), 0);
    assert_int_equal(strata_reference_open(&fixture->reference, MODEL, &options, fixture->out, NULL), 0);
    assert_int_equal(strata_gradients_create(&fixture->gradients, &fixture->plain->config, trained, NULL), 0);
    assert_non_null(fixture->reference.directory);
}

static bool has_file(const struct fixture *fixture) {
    struct stat status;
    char path[512];
    snprintf(path, sizeof path, "%s/reference", fixture->out);
    return stat(path, &status) == 0;
}

static void teardown(struct fixture *fixture) {
    strata_reference_close(&fixture->reference, false);
    assert_true(has_file(fixture));
    const struct strata_model_options options = {.weights = STRATA_WEIGHT_BF16};
    assert_int_equal(strata_reference_open(&fixture->reference, MODEL, &options, fixture->out, NULL), 0);
    strata_reference_close(&fixture->reference, true);
    assert_false(has_file(fixture));
    strata_gradients_free(&fixture->gradients);
    strata_model_close(fixture->plain);
    remove_directory(fixture->out);
}

static void assert_same(const struct strata_matrix *a, const struct strata_matrix *b) {
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->panels, b->panels, a->bytes);
}

/* Where the matrices of the language model stand, and that they are the checkpoint's. */
static void check(const struct fixture *fixture, bool lent) {
    const struct strata_weights *weights = &fixture->reference.model->weights, *plain = &fixture->plain->weights;
    const float *first = fixture->gradients.values, *end = first + fixture->gradients.count;
    const struct strata_decoder_layer *layer = &weights->layers[0], *other = &plain->layers[0];
    const struct strata_matrix *matrices[] = {&weights->embedding, &layer->query_key_value, &layer->gate_up};
    const struct strata_matrix *others[] = {&plain->embedding, &other->query_key_value, &other->gate_up};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        const float *panels = matrices[i]->panels;
        assert_int_equal(panels >= first && panels < end, lent);
        assert_same(matrices[i], others[i]);
    }
    assert_same(&weights->patch_embedding, &plain->patch_embedding);
}

static void stands_in_the_gradients(void **state) {
    static const bool language[3] = {true, false, false};
    struct fixture fixture;
    (void)state;
    setup(&fixture, language);
    check(&fixture, false);
    for (size_t round = 0; round < 2; round++) {
        assert_int_equal(strata_reference_begin(&fixture.reference, &fixture.gradients, NULL, NULL), 0);
        check(&fixture, true);
        strata_reference_end(&fixture.reference);
        check(&fixture, false);
        for (size_t i = 0; i < fixture.gradients.count; i++) assert_true(fixture.gradients.values[i] == 0.0f);
    }
    teardown(&fixture);
}

static void small_gradients_are_left_alone(void **state) {
    static const bool merger[3] = {false, true, false};
    struct fixture fixture;
    (void)state;
    setup(&fixture, merger);
    assert_int_equal(strata_reference_begin(&fixture.reference, &fixture.gradients, NULL, NULL), 0);
    check(&fixture, false);
    strata_reference_end(&fixture.reference);
    check(&fixture, false);
    teardown(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stands_in_the_gradients),
                                       cmocka_unit_test(small_gradients_are_left_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
