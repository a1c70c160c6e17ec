/* What the native engine's tests share: prompts with made pictures, running them in any order, comparing to the bit. */
#ifndef STRATA_TESTS_NATIVE_SUPPORT_H
#define STRATA_TESTS_NATIVE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/native.h"

struct test_prompt {
    char id[32];
    struct strata_message messages[3];
    size_t message_count;
    struct strata_image images[2];
    size_t image_count;
};

/* A picture that is a pure function of its name and size. */
static inline struct strata_image made_image(const char *name, size_t width, size_t height) {
    struct strata_random random = strata_random_make(5, name, STRATA_PURPOSE_TEST, 0, 0);
    struct strata_image image = {width, height, malloc(3 * width * height)};
    assert_non_null(image.rgb);
    for (size_t i = 0; i < 3 * width * height; i++) {
        image.rgb[i] = (uint8_t)(strata_random_u32(&random, i / 48) >> 24);
    }
    return image;
}

/* Six prompts: text only, one image, two images, an earlier turn; lengths below, at and above one key block. */
static inline size_t made_prompts(struct test_prompt *prompts) {
    static char system[] = "Look at the image and answer the question.";
    static char *questions[] = {
        "what is there?",
        "<image>what shape is in the image?",
        "<image>is there a red shape, a green one, or rather a blue one in this picture?",
        "<image>and<image>which is larger?",
        "<image>what color is the circle?",
        "does the image contain a circle, a triangle, a rectangle, or none of all these shapes?"};
    size_t count = sizeof questions / sizeof *questions;
    for (size_t i = 0; i < count; i++) {
        struct test_prompt *prompt = &prompts[i];
        *prompt = (struct test_prompt){.message_count = 2};
        snprintf(prompt->id, sizeof prompt->id, "prompt-%zu", i);
        prompt->messages[0] = (struct strata_message){STRATA_ROLE_SYSTEM, system};
        prompt->messages[1] = (struct strata_message){STRATA_ROLE_USER, questions[i]};
        for (const char *at = questions[i]; (at = strstr(at, "<image>")); at++) {
            prompt->images[prompt->image_count] = made_image(prompt->id, 64 + 8 * i, 64 - 4 * prompt->image_count);
            prompt->image_count++;
        }
    }
    return count;
}

static inline void prompts_free(struct test_prompt *prompts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < prompts[i].image_count; j++) strata_image_free(&prompts[i].images[j]);
    }
}

static inline struct strata_request made_request(const struct test_prompt *prompt, uint64_t tag, float temperature,
                                                 uint32_t tokens) {
    return (struct strata_request){
        .tag = tag,
        .sample_id = prompt->id,
        .messages = prompt->messages,
        .message_count = prompt->message_count,
        .images = prompt->images,
        .image_count = prompt->image_count,
        .draws = 1,
        .seed = 11,
        .purpose = STRATA_PURPOSE_TOKEN,
        .sampling = {.temperature = temperature, .top_p = 1.0f, .repetition_penalty = 1.0f, .max_new_tokens = tokens},
        .want_attention = true,
        .want_logprobs = true};
}

static inline struct strata_engine *open_engine(const struct strata_native_options *options) {
    struct strata_engine *engine;
    struct strata_error err;
    if (strata_engine_native(&engine, options, &err)) {
        char line[1400];
        fail_msg("%s", strata_error_line(&err, line, sizeof line));
    }
    return engine;
}

static inline struct strata_result next_result(struct strata_engine *engine) {
    struct strata_result result;
    struct strata_error err;
    bool got = false;
    assert_int_equal(strata_engine_poll(engine, &result, &got, &err), 0);
    assert_true(got);
    assert_int_not_equal(result.finish, STRATA_FINISH_ERROR);
    return result;
}

static inline void assert_same_result(const struct strata_result *a, const struct strata_result *b) {
    assert_int_equal(a->N, b->N);
    assert_memory_equal(a->ids, b->ids, a->N * sizeof *a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, a->N * sizeof *a->logprobs);
    assert_memory_equal(a->sampled_logprobs, b->sampled_logprobs, a->N * sizeof *a->sampled_logprobs);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->attention != NULL, b->attention != NULL);
    if (!a->attention) return;
    assert_int_equal(a->attention->L, b->attention->L);
    assert_int_equal(a->attention->S, b->attention->S);
    assert_memory_equal(a->attention->masses, b->attention->masses,
                        a->attention->L * a->N * a->attention->S * sizeof(float));
}

#endif
