#include "train/example.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct builder {
    struct strata_example *example;
    const struct strata_model *model;
    const struct strata_grid *grids;
    size_t image_count, images_used, id_capacity, label_capacity;
    struct strata_error *err;
};

static int append_id(struct builder *builder, int32_t id, int32_t label) {
    struct strata_example *example = builder->example;
    int code = strata_grow(&example->ids, &builder->id_capacity, example->T + 1, sizeof *example->ids, builder->err);
    if (!code)
        code = strata_grow(&example->labels, &builder->label_capacity, example->T + 1, sizeof *example->labels,
                           builder->err);
    if (code) return code;
    example->ids[example->T] = id;
    example->labels[example->T++] = label;
    example->targets += label != STRATA_IGNORED;
    return 0;
}

/* One image token of the template stands for as many as the image's grid has merged cells. */
static int append_image(struct builder *builder) {
    struct strata_example *example = builder->example;
    size_t merge = builder->model->config.vision.merge_size, image = builder->images_used++;
    if (image >= builder->image_count)
        return strata_fail(builder->err, STRATA_ERR_INPUT, "the text marks more images than the %zu there are",
                           builder->image_count);
    size_t cells = (size_t)builder->grids[image].rows * builder->grids[image].columns / (merge * merge);
    example->image_begin[image] = (uint32_t)example->T;
    example->image_tokens[image] = (uint32_t)cells;
    for (size_t i = 0; i < cells; i++) {
        int code = append_id(builder, builder->model->config.special.image, STRATA_IGNORED);
        if (code) return code;
    }
    return 0;
}

static int append_text(struct builder *builder, const char *text, size_t length, bool target) {
    struct strata_tokens tokens = {0};
    int code = strata_tokenizer_encode(builder->model->tokenizer, &tokens, text, length, builder->err);
    for (size_t i = 0; !code && i < tokens.count; i++) {
        int32_t id = tokens.ids[i];
        /* Image tokens written out in a text are refused by the template, so these are its own. */
        code = id == builder->model->config.special.image ? append_image(builder)
                                                          : append_id(builder, id, target ? id : STRATA_IGNORED);
    }
    strata_tokens_free(&tokens);
    return code;
}

static bool is_blank(const char *text) {
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* The rendered chat grows turn by turn: what an assistant turn adds behind its header is a target, all else is not. */
static int append_turns(struct builder *builder, const struct strata_message *messages, size_t count) {
    struct strata_buffer source = {0}, whole = {0};
    size_t done = 0;
    int code = 0;
    for (size_t i = 0; i < count && !code; i++) {
        if (messages[i].role != STRATA_ROLE_ASSISTANT) continue;
        if (is_blank(messages[i].text)) {
            code = strata_fail(builder->err, STRATA_ERR_INPUT, "the assistant's text (message %zu) is empty", i + 1);
            break;
        }
        strata_buffer_clear(&source);
        strata_buffer_clear(&whole);
        code = strata_chat_render(&source, messages, i, true, builder->err);
        if (!code) code = strata_chat_render(&whole, messages, i + 1, false, builder->err);
        if (!code) code = strata_buffer_check(&source, builder->err);
        if (!code) code = strata_buffer_check(&whole, builder->err);
        if (!code) code = append_text(builder, source.data + done, source.length - done, false);
        if (!code) code = append_text(builder, whole.data + source.length, whole.length - source.length, true);
        done = whole.length;
    }
    strata_buffer_free(&source);
    strata_buffer_free(&whole);
    if (!code && (count == 0 || messages[count - 1].role != STRATA_ROLE_ASSISTANT))
        code = strata_fail(builder->err, STRATA_ERR_INPUT, "the conversation does not end with an assistant turn");
    return code;
}

int strata_example_build(struct strata_example *out, const struct strata_model *model,
                         const struct strata_message *messages, size_t count, const struct strata_grid *grids,
                         size_t image_count, struct strata_error *err) {
    struct builder builder = {.example = out, .model = model, .grids = grids, .image_count = image_count, .err = err};
    *out = (struct strata_example){0};
    const struct strata_special_ids *special = &model->config.special;
    int code = strata_alloc(&out->image_begin, image_count, sizeof *out->image_begin, err);
    if (!code) code = strata_alloc(&out->image_tokens, image_count, sizeof *out->image_tokens, err);
    if (!code) code = append_turns(&builder, messages, count);
    if (!code && builder.images_used != image_count)
        code = strata_fail(err, STRATA_ERR_INPUT, "the text marks %zu images, there are %zu", builder.images_used,
                           image_count);
    out->image_count = image_count;
    if (!code && out->T > model->config.text.context)
        code = strata_fail(err, STRATA_ERR_INPUT, "the conversation has %zu tokens, the model's context is %zu", out->T,
                           model->config.text.context);
    int32_t delta;
    if (!code) code = strata_alloc(&out->positions, 3 * out->T, sizeof *out->positions, err);
    if (!code)
        code = strata_rope_positions(out->positions, &delta, out->ids, out->T, special->image, special->vision_start,
                                     grids, image_count, (unsigned)model->config.vision.merge_size, err);
    if (code) strata_example_free(out);
    return code;
}

void strata_example_free(struct strata_example *example) {
    free(example->ids);
    free(example->labels);
    free(example->positions);
    free(example->image_begin);
    free(example->image_tokens);
    *example = (struct strata_example){0};
}
