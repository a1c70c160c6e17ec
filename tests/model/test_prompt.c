/* Chat, ids, positions and segments: golden prompts, then rule by rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "model/prompt.h"
#include "model/prompt_cases.h"
#include "model/safetensors.h"
#include "model/temporary.h"
#include "model/tiny_tokenizer.h"

#define DATA "tests/data/model/qwen-tiny/"

/* Bytes, a token for two newlines, and the markers. */
enum { TWO_NEWLINES = 256, IM_START, IM_END, VISION_START, VISION_END, IMAGE_PAD };
#define MARKER(id, content) "{\"id\":" #id ",\"content\":\"<|" content "|>\",\"normalized\":false,\"special\":true}"
static const struct tiny_tokenizer with_markers = {
    .tokens = ",\"\xC4\x8A\xC4\x8A\":256",
    .merges = "\"\xC4\x8A \xC4\x8A\"",
    .added = MARKER(257, "im_start") "," MARKER(258, "im_end") "," MARKER(259, "vision_start") "," MARKER(
        260, "vision_end") "," MARKER(261, "image_pad"),
};
static const struct strata_special_ids ids_of_config = {.image = IMAGE_PAD,
                                                        .video = -1,
                                                        .vision_start = VISION_START,
                                                        .vision_end = VISION_END,
                                                        .im_start = -1,
                                                        .im_end = -1};

static int setup(void **state) {
    struct strata_buffer json = {0};
    struct strata_tokenizer *tokenizer = NULL;
    tiny_json(&json, &with_markers);
    int code = strata_tokenizer_parse(&tokenizer, strata_buffer_string(&json), json.length, "tiny", NULL);
    strata_buffer_free(&json);
    *state = tokenizer;
    return code;
}

static int teardown(void **state) {
    strata_tokenizer_close(*state);
    return 0;
}

static void check_numbers(const char *what, const int32_t *got, size_t count, const json_t *wanted) {
    if (count != json_array_size(wanted)) fail_msg("%s: %zu, not %zu", what, count, json_array_size(wanted));
    for (size_t i = 0; i < count; i++) {
        if (got[i] != json_integer_value(json_array_get(wanted, i))) fail_msg("%s: token %zu is %d", what, i, got[i]);
    }
}

/* prompts.json of a golden model: the rendered text, ids and delta that the reference gives. */
static void test_golden(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer;
    json_t *cases;
    const struct strata_special_ids special = {1012, 1013, 1009, 1010, -1, -1};
    assert_int_equal(strata_tokenizer_open(&tokenizer, DATA "tokenizer.json", NULL), 0);
    assert_int_equal(strata_json_load(&cases, DATA "prompts.json", 0, NULL), 0);
    assert_int_equal(json_array_size(cases), 8);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *wanted = json_array_get(cases, i);
        struct prompt_case prompt_case;
        struct strata_prompt prompt;
        struct strata_buffer text = {0};
        struct strata_error error = {0};
        assert_true(prompt_case_read(&prompt_case, wanted));
        assert_int_equal(strata_chat_render(&text, prompt_case.messages, prompt_case.count, true, &error), 0);
        assert_string_equal(text.data, json_string_value(json_object_get(wanted, "rendered")));
        if (strata_prompt_build(&prompt, tokenizer, &special, prompt_case.messages, prompt_case.count,
                                prompt_case.grids, prompt_case.image_count, 2, 0, &error)) {
            fail_msg("%s: %s", prompt_case.name, error.what);
        }
        check_numbers(prompt_case.name, prompt.ids, prompt.T, json_object_get(wanted, "input_ids"));
        assert_int_equal(prompt.rope_delta, json_integer_value(json_object_get(wanted, "rope_delta")));
        strata_prompt_free(&prompt);
        strata_buffer_free(&text);
        prompt_case_free(&prompt_case);
    }
    json_decref(cases);
    strata_tokenizer_close(tokenizer);
}

struct expected_segment {
    enum strata_segment_kind kind;
    uint32_t count, image;
};

static void check_segments(const struct strata_prompt *prompt, const struct expected_segment *wanted, size_t count) {
    uint32_t begin = 0;
    assert_int_equal(prompt->segment_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct strata_segment *segment = &prompt->segments[i];
        if (segment->kind != wanted[i].kind || segment->count != wanted[i].count || segment->image != wanted[i].image) {
            fail_msg("segment %zu: kind %d, %u tokens, image %u", i, (int)segment->kind, segment->count,
                     segment->image);
        }
        assert_int_equal(segment->begin, begin);
        begin += segment->count;
    }
    assert_int_equal(begin, prompt->T);
}

/* Two images in a row, text on both sides; every byte of text is a token, so that counts are lengths. */
static void test_segments_and_positions(void **state) {
    struct strata_message messages[] = {{STRATA_ROLE_SYSTEM, (char[]){"Be."}},
                                        {STRATA_ROLE_USER, (char[]){"a<image><image>bc"}},
                                        {STRATA_ROLE_ASSISTANT, (char[]){"<image>"}}};
    const struct strata_grid grids[] = {{4, 6}, {2, 2}};
    struct strata_prompt prompt;
    struct strata_error error = {0};
    if (strata_prompt_build(&prompt, *state, &ids_of_config, messages, 3, grids, 2, 2, 0, &error)) {
        fail_msg("%s", error.what);
    }
    const struct expected_segment wanted[] = {
        {STRATA_SEGMENT_TEMPLATE, 8, 0},                                  /* im_start system \n */
        {STRATA_SEGMENT_SYSTEM, 3, 0},   {STRATA_SEGMENT_TEMPLATE, 8, 0}, /* im_end \n im_start user \n */
        {STRATA_SEGMENT_QUESTION, 1, 0}, {STRATA_SEGMENT_VISION, 1, 0},    {STRATA_SEGMENT_IMAGE, 6, 0},
        {STRATA_SEGMENT_VISION, 1, 0},   {STRATA_SEGMENT_VISION, 1, 1},    {STRATA_SEGMENT_IMAGE, 1, 1},
        {STRATA_SEGMENT_VISION, 1, 1},   {STRATA_SEGMENT_QUESTION, 2, 0},  {STRATA_SEGMENT_TEMPLATE, 13, 0},
        {STRATA_SEGMENT_REPLY, 7, 0},    {STRATA_SEGMENT_TEMPLATE, 13, 0},
    };
    check_segments(&prompt, wanted, sizeof wanted / sizeof *wanted);
    assert_int_equal(prompt.image_begin[0], 21);
    assert_int_equal(prompt.image_tokens[0], 6);
    assert_int_equal(prompt.image_begin[1], 29);
    assert_int_equal(prompt.image_tokens[1], 1);
    /* From the first vision start on: temporal, height and width by hand. */
    const int32_t temporal[] = {20, 21, 21, 21, 21, 21, 21, 24, 25, 26, 27, 28};
    const int32_t height[] = {20, 21, 21, 21, 22, 22, 22, 24, 25, 26, 27, 28};
    const int32_t width[] = {20, 21, 22, 23, 21, 22, 23, 24, 25, 26, 27, 28};
    assert_memory_equal(prompt.positions + 20, temporal, sizeof temporal);
    assert_memory_equal(prompt.positions + prompt.T + 20, height, sizeof height);
    assert_memory_equal(prompt.positions + 2 * prompt.T + 20, width, sizeof width);
    assert_int_equal(prompt.rope_delta, -3);
    assert_int_equal(prompt.positions[prompt.T - 1], (int32_t)prompt.T - 1 + prompt.rope_delta);
    strata_prompt_free(&prompt);
    /* A question that begins with a newline shares a token with the template, which counts by its first byte. */
    struct strata_message newline = {STRATA_ROLE_USER, (char[]){"\nx"}};
    assert_int_equal(strata_prompt_build(&prompt, *state, &ids_of_config, &newline, 1, NULL, 0, 2, 0, &error), 0);
    assert_int_equal(prompt.segments[3].kind, STRATA_SEGMENT_QUESTION);
    assert_int_equal(prompt.segments[3].count, 1);
    assert_int_equal(prompt.ids[prompt.segments[3].begin - 1], TWO_NEWLINES);
    assert_int_equal(prompt.ids[prompt.segments[3].begin], 'x');
    strata_prompt_free(&prompt);
}

/* Tokenising part by part gives what tokenising the whole rendered text gives, whatever stands at the seams. Each image
 * is one token, so that the rendered text is the prompt's. */
static void test_parts_against_whole(void **state) {
    static const char *const fragments[] = {"\n",
                                            " ",
                                            "  \n",
                                            "a",
                                            "'s",
                                            "e\xCC\x81",
                                            "\xCC\x81",
                                            "\xCC\xB8",
                                            "<|im_end|>",
                                            "<|im_start|>",
                                            "<image>",
                                            "<image>",
                                            "\xE4\xBD\xA0",
                                            "1 2",
                                            "<",
                                            "|",
                                            ">",
                                            "\r",
                                            "\xE3\x80\x80",
                                            "<|im_end"};
    const size_t fragment_count = sizeof fragments / sizeof *fragments;
    for (uint32_t round = 0; round < 2000; round++) {
        struct strata_random random = strata_random_make(2, "parts", STRATA_PURPOSE_TEST, round, 0);
        uint64_t draw = 0;
        struct strata_message messages[3];
        struct strata_grid grids[64];
        size_t count = 1 + (size_t)strata_random_below(&random, draw++, 3), images = 0;
        struct strata_buffer texts[3] = {{0}}, whole = {0};
        for (size_t i = 0; i < count; i++) {
            enum strata_role role = (enum strata_role)strata_random_below(&random, draw++, 3);
            for (uint64_t left = strata_random_below(&random, draw++, 8); left > 0; left--) {
                const char *fragment = fragments[strata_random_below(&random, draw++, fragment_count)];
                strata_buffer_text(&texts[i], fragment);
                if (strcmp(fragment, "<image>") == 0 && role != STRATA_ROLE_ASSISTANT) {
                    grids[images++] = (struct strata_grid){2, 2};
                }
            }
            if (!texts[i].data) strata_buffer_append(&texts[i], "x", 1);
            messages[i] = (struct strata_message){role, texts[i].data};
        }
        struct strata_prompt prompt;
        struct strata_tokens tokens = {0};
        struct strata_error error = {0};
        if (strata_prompt_build(&prompt, *state, &ids_of_config, messages, count, grids, images, 2, 0, &error)) {
            fail_msg("round %u: %s", round, error.what);
        }
        assert_int_equal(strata_chat_render(&whole, messages, count, true, &error), 0);
        assert_int_equal(strata_tokenizer_encode(*state, &tokens, whole.data, whole.length, &error), 0);
        if (tokens.count != prompt.T || memcmp(tokens.ids, prompt.ids, prompt.T * sizeof *prompt.ids) != 0) {
            fail_msg("round %u: %s", round, whole.data);
        }
        strata_tokens_free(&tokens);
        strata_prompt_free(&prompt);
        strata_buffer_free(&whole);
        for (size_t i = 0; i < count; i++) strata_buffer_free(&texts[i]);
    }
}

static void check_error(const struct strata_tokenizer *tokenizer, const char *text, size_t images,
                        const struct strata_grid *grids, size_t context, const char *what) {
    struct strata_message message = {STRATA_ROLE_USER, strata_strdup(text)};
    struct strata_prompt prompt;
    struct strata_error error = {0};
    int code = strata_prompt_build(&prompt, tokenizer, &ids_of_config, &message, 1, grids, images, 2, context, &error);
    if (code != STRATA_ERR_INPUT || !strstr(error.what, what)) fail_msg("%s: %d, %s", text, code, error.what);
    assert_null(prompt.ids);
    free(message.text);
}

static void test_prompt_errors(void **state) {
    const struct strata_grid good[] = {{2, 2}, {2, 2}}, odd = {3, 2}, none = {0, 2}, huge = {1U << 31, 1U << 31};
    check_error(*state, "<image>", 0, NULL, 0, "1 \"<image>\" marks, but 0 images");
    check_error(*state, "<image>", 2, good, 0, "1 \"<image>\" marks, but 2 images");
    check_error(*state, "no mark", 1, good, 0, "0 \"<image>\" marks, but 1 images");
    check_error(*state, "<image>", 1, &odd, 0, "3 x 2");
    check_error(*state, "<image>", 1, &none, 0, "0 x 2");
    check_error(*state, "<image>", 1, &huge, 0, "2147483648");
    check_error(*state, "<image>x", 1, good, 10, "prompt of 61 tokens, but the context holds 10");
    check_error(*state, "<image>x", 1, good, 60, "prompt of 61 tokens, but the context holds 60");
    const char *placeholders[] = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
                                  "<|vision_pad|>"};
    for (size_t i = 0; i < 5; i++) {
        char text[64];
        struct strata_buffer out = {0};
        snprintf(text, sizeof text, "look: %s", placeholders[i]);
        check_error(*state, text, 0, NULL, 0, placeholders[i]);
        struct strata_message message = {STRATA_ROLE_USER, text};
        assert_int_equal(strata_chat_render(&out, &message, 1, true, NULL), STRATA_ERR_INPUT);
        strata_buffer_free(&out);
    }
    check_error(*state, "bad \xFF", 0, NULL, 0, "UTF-8");
    /* A config that numbers the markers otherwise than the tokenizer. */
    struct strata_special_ids other = ids_of_config;
    struct strata_message message = {STRATA_ROLE_USER, (char[]){"x"}};
    struct strata_prompt prompt;
    struct strata_error error = {0};
    other.image = 7;
    assert_int_equal(strata_prompt_build(&prompt, *state, &other, &message, 1, NULL, 0, 2, 0, &error),
                     STRATA_ERR_INPUT);
    assert_non_null(strstr(error.what, "261"));
    assert_int_equal(strata_prompt_build(&prompt, *state, &ids_of_config, &message, 1, NULL, 0, 2, 66, &error), 0);
    strata_prompt_free(&prompt);
}

static void test_rope_positions(void **state) {
    (void)state;
    const struct strata_grid grid = {2, 4};
    const int32_t ids[] = {7, VISION_START, IMAGE_PAD, IMAGE_PAD, VISION_END};
    int32_t positions[15], delta;
    struct strata_error error = {0};
    assert_int_equal(strata_rope_positions(positions, &delta, ids, 5, IMAGE_PAD, VISION_START, &grid, 1, 2, &error), 0);
    const int32_t wanted[] = {0, 1, 2, 2, 4, 0, 1, 2, 2, 4, 0, 1, 2, 3, 4};
    assert_memory_equal(positions, wanted, sizeof wanted);
    assert_int_equal(delta, 0);
    const int32_t bad[][5] = {{7, IMAGE_PAD, IMAGE_PAD, 7, 7},                               /* no marker before it */
                              {7, 7, VISION_START, IMAGE_PAD, 7},                            /* shorter than its grid */
                              {VISION_START, IMAGE_PAD, IMAGE_PAD, VISION_START, IMAGE_PAD}, /* one too many */
                              {7, 7, 7, 7, 7},                                               /* none */
                              {7, 7, 7, VISION_START, IMAGE_PAD}};                           /* cut off */
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(
            strata_rope_positions(positions, &delta, bad[i], 5, IMAGE_PAD, VISION_START, &grid, 1, 2, NULL),
            STRATA_ERR_INPUT);
    }
    assert_int_equal(strata_rope_positions(positions, &delta, bad[3], 5, IMAGE_PAD, VISION_START, NULL, 0, 2, NULL), 0);
    assert_int_equal(positions[14], 4);
    assert_int_equal(delta, 0);
}

/* position_ids and question_positions of the golden prompts, which lie in files too large to ship. */
static void test_golden_positions(void **state) {
    (void)state;
    char directory[512], path[1024];
    struct strata_tokenizer *tokenizer;
    json_t *cases;
    const struct strata_special_ids special = {1012, 1013, 1009, 1010, -1, -1};
    if (!shared_path(directory, sizeof directory, "golden/models/dev-a")) skip();
    assert_int_equal(strata_tokenizer_open(&tokenizer, DATA "tokenizer.json", NULL), 0);
    assert_int_equal(strata_json_load(&cases, DATA "prompts.json", 0, NULL), 0);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        struct prompt_case prompt_case;
        struct strata_prompt prompt;
        struct strata_safetensors *file;
        assert_true(prompt_case_read(&prompt_case, json_array_get(cases, i)));
        assert_int_equal(strata_prompt_build(&prompt, tokenizer, &special, prompt_case.messages, prompt_case.count,
                                             prompt_case.grids, prompt_case.image_count, 2, 0, NULL),
                         0);
        snprintf(path, sizeof path, "%s/prompt_%s.safetensors", directory, prompt_case.name);
        assert_int_equal(strata_safetensors_open(&file, path, NULL), 0);
        const struct strata_tensor *positions = strata_safetensors_find(file, "position_ids");
        const struct strata_tensor *question = strata_safetensors_find(file, "question_positions");
        assert_int_equal(positions->count, 3 * prompt.T);
        assert_memory_equal(positions->data, prompt.positions, 3 * prompt.T * sizeof(int32_t));
        size_t count = 0;
        for (size_t s = 0; s < prompt.segment_count; s++) {
            for (uint32_t k = 0; k < prompt.segments[s].count; k++) {
                int32_t wanted;
                if (prompt.segments[s].kind != STRATA_SEGMENT_QUESTION) continue;
                assert_true(count < question->count);
                memcpy(&wanted, (const char *)question->data + count++ * sizeof wanted, sizeof wanted);
                assert_int_equal(prompt.segments[s].begin + k, wanted);
            }
        }
        assert_int_equal(count, question->count);
        strata_safetensors_close(file);
        strata_prompt_free(&prompt);
        prompt_case_free(&prompt_case);
    }
    json_decref(cases);
    strata_tokenizer_close(tokenizer);
}

static void test_template(void **state) {
    (void)state;
    struct strata_error error = {0};
    json_t *root;
    if (strata_json_load(&root, DATA "chat_template.json", 0, &error)) fail_msg("%s", error.what);
    const char *known = json_string_value(json_object_get(root, "chat_template"));
    assert_non_null(known);
    if (strata_chat_template_check(known, &error)) fail_msg("%s", error.what);
    /* What Jinja does not care about. */
    const char *const same[][2] = {{"{% for message in messages %}", "{%for  message\n in messages%}"},
                                   {"{{ message['role'] }}", "{{message[\"role\"]}}"},
                                   {"{% for content in", "{# parts #}{% for content in"},
                                   {"{% elif 'text' in", "\n    {%- elif 'text' in"},
                                   {"{% elif 'text' in", "{# c #}\n {%- elif 'text' in"},
                                   {"'content'] is string %}", "'content'] is string -%} "},
                                   {"{% endfor %}<|im_end|>", "{% endfor %}\n<|im_end|>"},
                                   {"<|im_end|>\n{% endif %}{% endfor %}", "<|im_end|>\n \t{% endif %}{% endfor %}"}};
    /* What it does. */
    const char *const other[][2] = {
        {"You are a helpful assistant.", "You are a helpful  assistant."},
        {"You are a helpful assistant.", "You are Qwen."},
        {"loop.first and", "loop.first or"},
        {"loop.first and", "loop.firstand"},
        {"<|im_start|>assistant\n", "<|im_start|>assistant"},
        {"<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n"},
        {"{{ content['text'] }}", "{{ content['text'] }}\n"},
        {"{% elif 'text' in", "  {# c #}\n {%- elif 'text' in"}, /* the minus does not reach behind the comment */
        {"{{ content['text'] }}", "{{ content['text'] | trim }}"},
        {"{% endfor %}<|im_end|>", "{% endfor %}\n\n<|im_end|>"},
        {"{% if add_generation_prompt %}", "{% if add_generation_prompt"}};
    const size_t same_count = sizeof same / sizeof *same, count = same_count + sizeof other / sizeof *other;
    for (size_t i = 0; i < count; i++) {
        const char *const *edit = i < same_count ? same[i] : other[i - same_count];
        const char *at = strstr(known, edit[0]);
        struct strata_buffer edited = {0};
        assert_non_null(at);
        strata_buffer_append(&edited, known, (size_t)(at - known));
        strata_buffer_text(&edited, edit[1]);
        strata_buffer_text(&edited, at + strlen(edit[0]));
        int wanted = i < same_count ? 0 : STRATA_ERR_UNSUPPORTED;
        if (strata_chat_template_check(edited.data, &error) != wanted) fail_msg("edit %zu: %s", i, edit[1]);
        strata_buffer_free(&edited);
    }
    assert_int_equal(strata_chat_template_check("", &error), STRATA_ERR_UNSUPPORTED);
    json_decref(root);
}

/* Where a model's template is found, and that it is checked there. */
static void test_template_files(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *where; /* where NULL: passes */
    } steps[] = {
        {"tokenizer_config.json", "{\"chat_template\":null}", NULL},
        {"tokenizer_config.json", "{\"chat_template\":\"A\"}", "tokenizer_config.json"},
        {"tokenizer_config.json", "{\"chat_template\":[{\"name\":\"default\",\"template\":\"B\"}]}",
         "tokenizer_config"},
        {"chat_template.json", "{\"chat_template\":7}", "chat_template.json"},
        {"chat_template.json", "{", "chat_template.json"},
        {"chat_template.jinja", "C", "chat_template.jinja"},
    };
    void *directory;
    struct strata_error error = {0};
    assert_int_equal(strata_chat_template_check_model("tests/data/model/qwen-tiny", &error), 0);
    assert_int_equal(temporary_setup(&directory), 0);
    assert_int_equal(strata_chat_template_check_model(directory, &error), 0); /* none */
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char path[512];
        temporary_path(path, sizeof path, directory, steps[i].name);
        assert_int_equal(strata_file_write(path, steps[i].text, strlen(steps[i].text), NULL), 0);
        int code = strata_chat_template_check_model(directory, &error);
        if (!steps[i].where)
            assert_int_equal(code, 0);
        else if (!code || !strstr(error.where, steps[i].where))
            fail_msg("step %zu: %d, %s", i, code, error.where);
    }
    temporary_teardown(&directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_golden_positions),
        cmocka_unit_test(test_prompt_errors),
        cmocka_unit_test(test_segments_and_positions),
        cmocka_unit_test(test_rope_positions),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_parts_against_whole),
        cmocka_unit_test(test_template_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
