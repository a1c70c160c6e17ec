/* Labels by LLaMA-Factory's rule against the golden conversations, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "conformance/golden.h"
#include "train/example.h"
#include "train/golden_train.h"

static struct strata_model *open_model(const char *directory) {
    struct strata_model *model;
    struct strata_model_options options = {.without_weights = true};
    struct strata_error err;
    if (strata_model_open(&model, directory, &options, &err)) fail_msg("%s", err.what);
    return model;
}

static void check_conversation(const struct strata_model *model, const json_t *entry, const char *images) {
    struct golden_prompt prompt;
    struct strata_example example;
    struct strata_grid grids[16];
    struct strata_error err;
    assert_int_equal(golden_prompt_load(&prompt, entry, images, &err), 0);
    for (size_t i = 0; i < prompt.image_count; i++)
        assert_int_equal(
            strata_image_grid(&grids[i], &model->processor, prompt.images[i].height, prompt.images[i].width, &err), 0);
    if (strata_example_build(&example, model, prompt.messages, prompt.message_count, grids, prompt.image_count, &err))
        fail_msg("%s", err.what);
    const json_t *ids = json_object_get(entry, "input_ids"), *labels = json_object_get(entry, "labels");
    assert_int_equal(example.T, json_array_size(ids));
    assert_int_equal(example.targets, json_integer_value(json_object_get(entry, "target_tokens")));
    for (size_t t = 0; t < example.T; t++) {
        assert_int_equal(example.ids[t], json_integer_value(json_array_get(ids, t)));
        assert_int_equal(example.labels[t], json_integer_value(json_array_get(labels, t)));
    }
    for (size_t i = 0; i < example.image_count; i++)
        assert_int_equal(example.ids[example.image_begin[i]], model->config.special.image);
    strata_example_free(&example);
    golden_prompt_free(&prompt);
}

static void test_golden_labels(void **state) {
    static const char *const names[] = {"dev-a", "dev-b", "dev-c"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *directory = golden_model(names[i]), *images = golden_model("images");
        if (!directory || !images) return;
        struct strata_model *model = open_model(directory);
        char *path = strata_path_join(directory, "sft.json");
        json_t *root, *entry;
        size_t index;
        assert_int_equal(strata_json_load(&root, path, 0, NULL), 0);
        json_array_foreach(json_object_get(root, "conversations"), index, entry) {
            check_conversation(model, entry, images);
        }
        assert_true(index > 0);
        json_decref(root);
        free(path);
        strata_model_close(model);
        free(directory);
        free(images);
    }
}

static char *message_text(const char *text) {
    char *copy = strata_strdup(text);
    assert_non_null(copy);
    return copy;
}

static void refuse(const struct strata_model *model, const struct strata_message *messages, size_t count,
                   const struct strata_grid *grids, size_t images, const char *why) {
    struct strata_example example;
    struct strata_error err = {0};
    assert_int_equal(strata_example_build(&example, model, messages, count, grids, images, &err), STRATA_ERR_INPUT);
    if (!strstr(err.what, why)) fail_msg("\"%s\" does not say \"%s\"", err.what, why);
    assert_null(example.ids);
}

static void test_refused(void **state) {
    (void)state;
    struct strata_model *model = open_model("models/easyvqa-tiny");
    struct strata_grid grids[2] = {{8, 8}, {8, 8}};
    struct strata_message messages[] = {{STRATA_ROLE_USER, message_text("<image>what?")},
                                        {STRATA_ROLE_ASSISTANT, message_text(" \n")},
                                        {STRATA_ROLE_ASSISTANT, message_text("red <image>")}};
    refuse(model, messages, 1, grids, 1, "does not end with an assistant turn");
    refuse(model, messages, 0, grids, 0, "does not end with an assistant turn");
    refuse(model, messages, 2, grids, 1, "is empty");
    messages[1].text[0] = 'a';
    refuse(model, messages, 2, grids, 0, "more images");
    refuse(model, messages, 2, grids, 2, "there are 2");
    /* An image mark that an assistant wrote is text, and both turns are targets. */
    struct strata_example example;
    struct strata_error err;
    assert_int_equal(strata_example_build(&example, model, messages, 3, grids, 1, &err), 0);
    assert_int_equal(example.image_count, 1);
    assert_int_equal(example.image_tokens[0], 16);
    assert_int_equal(example.labels[example.T - 2], model->config.special.im_end);
    strata_example_free(&example);
    for (size_t i = 0; i < 3; i++) free(messages[i].text);
    strata_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_labels), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
