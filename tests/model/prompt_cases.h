/* Reading the fixtures' prompts.json: messages whose content is a string or a list of parts, and grids. */
#ifndef TESTS_MODEL_PROMPT_CASES_H
#define TESTS_MODEL_PROMPT_CASES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "model/prompt.h"

#define PROMPT_CASE_MAX 64

struct prompt_case {
    const char *name;
    struct strata_message messages[PROMPT_CASE_MAX];
    size_t count;
    struct strata_grid grids[PROMPT_CASE_MAX];
    size_t image_count;
    bool header; /* add_generation_prompt */
};

static inline void prompt_case_free(struct prompt_case *prompt) {
    for (size_t i = 0; i < prompt->count; i++) free(prompt->messages[i].text);
}

static inline bool prompt_case_read(struct prompt_case *out, const json_t *object) {
    *out = (struct prompt_case){.name = json_string_value(json_object_get(object, "name"))};
    const json_t *messages = json_object_get(object, "messages"), *grids = json_object_get(object, "image_grid_thw");
    if (!out->name || json_array_size(messages) > PROMPT_CASE_MAX || json_array_size(grids) > PROMPT_CASE_MAX) {
        return false;
    }
    out->header = !json_is_false(json_object_get(object, "add_generation_prompt"));
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i), *content = json_object_get(message, "content");
        const char *role = json_string_value(json_object_get(message, "role"));
        struct strata_buffer text = {0};
        if (!role) return false;
        if (json_is_string(content)) strata_buffer_text(&text, json_string_value(content));
        for (size_t k = 0; k < json_array_size(content); k++) {
            const json_t *part = json_array_get(content, k);
            const char *words = json_string_value(json_object_get(part, "text"));
            strata_buffer_text(&text, words ? words : "<image>");
        }
        struct strata_message *to = &out->messages[out->count++];
        to->text = strata_strdup(strata_buffer_string(&text));
        to->role = strcmp(role, "system") == 0 ? STRATA_ROLE_SYSTEM
                   : strcmp(role, "user") == 0 ? STRATA_ROLE_USER
                                               : STRATA_ROLE_ASSISTANT;
        strata_buffer_free(&text);
    }
    for (size_t i = 0; i < json_array_size(grids); i++) {
        const json_t *grid = json_array_get(grids, i);
        out->grids[out->image_count++] = (struct strata_grid){
            .rows = (uint32_t)json_integer_value(json_array_get(grid, 1)),
            .columns = (uint32_t)json_integer_value(json_array_get(grid, 2)),
        };
    }
    return true;
}

#endif
