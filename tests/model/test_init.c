/* New model directories: complete, readable by our own loader, equal for equal seeds, never over an old model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/init.h"
#include "model/model.h"
#include "model/temporary.h"

static void presets_are_valid_configs(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t parameters;
    } presets[] = {
        {"tiny", 1233056}, {"block", 166432112}, {"0.5b", 582570368}, {"3b", 3754622976}, {"7b", 8292166656}};
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct strata_model_config config, again;
        struct strata_weight_row *rows;
        struct strata_error err = {0};
        char *text, *written;
        size_t count, parameters = 0;
        assert_int_equal(strata_model_preset(&config, presets[i].name, &err), STRATA_OK);
        assert_int_equal(strata_model_config_text(&text, &config, "bfloat16", &err), STRATA_OK);
        if (strata_model_config_parse(&again, text, strlen(text), presets[i].name, &err)) fail_msg("%s", err.what);
        assert_int_equal(strata_model_config_text(&written, &again, "bfloat16", &err), STRATA_OK);
        assert_string_equal(text, written);
        free(written);
        free(text);
        assert_int_equal(strata_weights_table(&rows, &count, &config, NULL, NULL), STRATA_OK);
        for (size_t j = 0; j < count; j++) parameters += strata_weight_row_count(&rows[j]);
        free(rows);
        assert_int_equal(parameters, presets[i].parameters);
    }
    struct strata_error err = {0};
    struct strata_model_config config;
    assert_int_equal(strata_model_preset(&config, "13b", &err), STRATA_ERR_USAGE);
    assert_non_null(strstr(err.hint, "0.5b"));
}

static void load_identity(char out[33], const char *directory, enum strata_weight_type type) {
    struct strata_model_config config;
    struct strata_safetensors *file;
    struct strata_weights weights;
    assert_int_equal(strata_model_config_open(&config, directory, NULL), STRATA_OK);
    assert_int_equal(strata_safetensors_open(&file, directory, NULL), STRATA_OK);
    assert_int_equal(strata_weights_load(&weights, &config, file, type, NULL), STRATA_OK);
    assert_int_equal(strata_weights_identity(out, &weights, &config, NULL), STRATA_OK);
    strata_weights_free(&weights, &config);
    strata_safetensors_close(file);
}

static void makes_the_same_model_again(void **state) {
    char one[512], two[512], three[512], first[33], second[33];
    struct strata_threads *threads;
    struct strata_error err = {0};
    temporary_path(one, sizeof one, *state, "one/deep");
    temporary_path(two, sizeof two, *state, "two");
    temporary_path(three, sizeof three, *state, "three");
    assert_int_equal(strata_model_init(one, "tiny", NULL, 5, STRATA_DTYPE_F32, NULL, &err), STRATA_OK);
    assert_int_equal(strata_threads_create(&threads, 2, NULL), STRATA_OK);
    assert_int_equal(strata_model_init(two, "tiny", NULL, 5, STRATA_DTYPE_F32, threads, &err), STRATA_OK);
    strata_threads_destroy(threads);
    load_identity(first, one, STRATA_WEIGHT_F32);
    load_identity(second, two, STRATA_WEIGHT_F32);
    assert_string_equal(first, second);
    /* from the first one's config, in the other type: the same draws, rounded */
    assert_int_equal(strata_model_init(three, one, NULL, 5, STRATA_DTYPE_BF16, NULL, &err), STRATA_OK);
    load_identity(first, one, STRATA_WEIGHT_BF16);
    load_identity(second, three, STRATA_WEIGHT_BF16);
    assert_string_equal(first, second);
    assert_int_equal(strata_model_init(two, "tiny", NULL, 5, STRATA_DTYPE_F32, NULL, &err), STRATA_ERR_STATE);
    assert_int_equal(strata_model_init(two, "tiny", NULL, 5, STRATA_DTYPE_F16, NULL, &err), STRATA_ERR_USAGE);
}

/* Everything that strata_model_open checks of a directory: ids, template, processor, weights. */
static void makes_complete_directories(void **state) {
    char tokenizer[512], path[512];
    struct strata_model *model;
    struct strata_error err = {0};
    char line[1400];
    if (!shared_path(tokenizer, sizeof tokenizer, "golden/models/dev-b")) return;
    for (int from_config = 0; from_config < 2; from_config++) {
        temporary_path(path, sizeof path, *state, from_config ? "complete-config" : "complete-preset");
        if (strata_model_init(path, from_config ? tokenizer : "tiny", tokenizer, 1, STRATA_DTYPE_BF16, NULL, &err))
            fail_msg("%s", strata_error_line(&err, line, sizeof line));
        const struct strata_model_options options = {.weights_as_stored = true};
        if (strata_model_open(&model, path, &options, &err)) fail_msg("%s", strata_error_line(&err, line, sizeof line));
        const struct strata_model_config *config = &model->config;
        assert_int_equal(config->special.image, 1212);
        assert_int_equal(config->stop_ids[0], 1202);
        assert_int_equal(config->stop_ids[1], 1200);
        assert_int_equal(config->text.vocabulary, from_config ? 1222 : 1280);
        strata_model_close(model);
    }
}

static void refuses_a_tokenizer_that_does_not_fit(void **state) {
    char config[512], tokenizer[512], path[512];
    struct strata_error err = {0};
    if (!shared_path(config, sizeof config, "golden/models/dev-a") ||
        !shared_path(tokenizer, sizeof tokenizer, "golden/models/dev-b"))
        return;
    temporary_path(path, sizeof path, *state, "misfit");
    assert_int_equal(strata_model_init(path, config, tokenizer, 1, STRATA_DTYPE_F32, NULL, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "<|image_pad|>"));
    assert_false(strata_is_directory(path));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_are_valid_configs),
        cmocka_unit_test(makes_the_same_model_again),
        cmocka_unit_test(makes_complete_directories),
        cmocka_unit_test(refuses_a_tokenizer_that_does_not_fit),
    };
    return cmocka_run_group_tests_name("init", tests, temporary_setup, temporary_teardown);
}
