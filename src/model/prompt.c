/* Messages to token ids, positions and segments.
 *
 * The text between two markers of ChatML is tokenised on its own: the markers are added tokens, which cut the text
 * before anything else looks at it, so the ids are those of the whole rendered text, and where a message's own text
 * begins is known to the byte. A token belongs to the segment that its first byte is in. */
#include "model/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/chat.h"

static const char *const segment_names[] = {"template", "system", "question", "reply", "vision", "image"};

const char *strata_segment_name(enum strata_segment_kind kind) {
    return segment_names[kind];
}

bool strata_segment_parse(enum strata_segment_kind *out, const char *name) {
    for (size_t i = 0; i < sizeof segment_names / sizeof *segment_names; i++) {
        if (strcmp(segment_names[i], name) != 0) continue;
        *out = (enum strata_segment_kind)i;
        return true;
    }
    return false;
}

/* The kind and image of every token before images are expanded. */
struct label {
    enum strata_segment_kind kind;
    uint32_t image;
};

struct builder {
    const struct strata_tokenizer *tokenizer;
    struct strata_tokens tokens; /* one token for each image */
    struct label *labels;
    size_t labelled, capacity;
    size_t images; /* marks seen so far */
    struct strata_error *err;
};

/* Labels the tokens that have been added since the last call: those that begin before `own` as `first`, the others as
 * `second`. */
static int label_tokens(struct builder *builder, size_t own, enum strata_segment_kind first,
                        enum strata_segment_kind second) {
    size_t count = builder->tokens.count;
    int code = strata_grow(&builder->labels, &builder->capacity, count, sizeof *builder->labels, builder->err);
    if (code) return code;
    for (; builder->labelled < count; builder->labelled++) {
        bool before = builder->tokens.begin[builder->labelled] < own;
        builder->labels[builder->labelled] = (struct label){before ? first : second, 0};
    }
    return STRATA_OK;
}

static int add_marker(struct builder *builder, const char *content, enum strata_segment_kind kind, uint32_t image) {
    int code = strata_tokenizer_encode(builder->tokenizer, &builder->tokens, content, strlen(content), builder->err);
    if (!code) code = label_tokens(builder, 0, kind, kind);
    if (!code) builder->labels[builder->labelled - 1].image = image;
    return code;
}

/* `head` (a template's ASCII text) followed by text[0..length) of a message. */
static int add_text(struct builder *builder, const char *head, const char *text, size_t length,
                    enum strata_segment_kind kind) {
    struct strata_buffer joined = {0};
    strata_buffer_text(&joined, head);
    size_t own = joined.length;
    strata_buffer_append(&joined, text, length);
    int code = strata_buffer_check(&joined, builder->err);
    if (!code) {
        code = strata_tokenizer_encode(builder->tokenizer, &builder->tokens, strata_buffer_string(&joined),
                                       joined.length, builder->err);
    }
    if (!code) code = label_tokens(builder, own, STRATA_SEGMENT_TEMPLATE, kind);
    strata_buffer_free(&joined);
    return code;
}

static int add_image(struct builder *builder) {
    uint32_t image = (uint32_t)builder->images++;
    int code = add_marker(builder, "<|vision_start|>", STRATA_SEGMENT_VISION, image);
    if (!code) code = add_marker(builder, "<|image_pad|>", STRATA_SEGMENT_IMAGE, image);
    if (!code) code = add_marker(builder, "<|vision_end|>", STRATA_SEGMENT_VISION, image);
    return code;
}

static int add_turn(struct builder *builder, const struct strata_message *message) {
    static const enum strata_segment_kind kinds[] = {STRATA_SEGMENT_SYSTEM, STRATA_SEGMENT_QUESTION,
                                                     STRATA_SEGMENT_REPLY};
    enum strata_segment_kind kind = kinds[message->role];
    char head[16];
    size_t role_length = strlen(strata_role_name(message->role));
    memcpy(head, strata_role_name(message->role), role_length);
    memcpy(head + role_length, "\n", 2);
    const char *text = message->text, *image;
    int code = add_marker(builder, "<|im_start|>", STRATA_SEGMENT_TEMPLATE, 0);
    while (!code && (image = strata_message_image(message, text))) {
        code = add_text(builder, head, text, (size_t)(image - text), kind);
        if (!code) code = add_image(builder);
        text = image + strlen(STRATA_IMAGE_MARK);
        head[0] = 0;
    }
    if (!code) code = add_text(builder, head, text, strlen(text), kind);
    if (!code) code = add_marker(builder, "<|im_end|>", STRATA_SEGMENT_TEMPLATE, 0);
    if (!code) code = add_text(builder, "\n", "", 0, kind);
    return code;
}

static int add_messages(struct builder *builder, const struct strata_message *messages, size_t count) {
    int code = STRATA_OK;
    if (count > 0 && messages[0].role != STRATA_ROLE_SYSTEM) {
        char text[] = STRATA_DEFAULT_SYSTEM;
        code = add_turn(builder, &(struct strata_message){.role = STRATA_ROLE_SYSTEM, .text = text});
    }
    for (size_t i = 0; i < count && !code; i++) {
        code = strata_message_check(&messages[i], i, builder->err);
        if (!code) code = add_turn(builder, &messages[i]);
    }
    if (!code) code = add_marker(builder, "<|im_start|>", STRATA_SEGMENT_TEMPLATE, 0);
    if (!code) code = add_text(builder, "assistant\n", "", 0, STRATA_SEGMENT_TEMPLATE);
    return code;
}

/* The markers must be single tokens of the tokenizer, and those the config numbers must be the same tokens. */
static int check_markers(const struct strata_tokenizer *tokenizer, const struct strata_special_ids *special,
                         struct strata_error *err) {
    const struct {
        const char *content;
        int32_t id;
    } markers[] = {{"<|image_pad|>", special->image},
                   {"<|vision_start|>", special->vision_start},
                   {"<|vision_end|>", special->vision_end},
                   {"<|im_start|>", special->im_start},
                   {"<|im_end|>", special->im_end}};
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        int32_t id = strata_tokenizer_id(tokenizer, markers[i].content);
        if (id < 0 || !strata_tokenizer_is_special(tokenizer, id)) {
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "the tokenizer has no special token %s",
                               markers[i].content);
        }
        if (markers[i].id >= 0 && markers[i].id != id) {
            return strata_fail(err, STRATA_ERR_INPUT, "%s is token %d of the tokenizer, but %d in the config",
                               markers[i].content, (int)id, (int)markers[i].id);
        }
    }
    return STRATA_OK;
}

/* image_tokens of the prompt, and T. */
static int count_tokens(struct strata_prompt *out, const struct builder *builder, const struct strata_grid *grids,
                        unsigned merge, size_t context, struct strata_error *err) {
    size_t T = builder->tokens.count - out->image_count;
    for (size_t i = 0; i < out->image_count; i++) {
        size_t tokens;
        if (merge == 0 || grids[i].rows % merge || grids[i].columns % merge ||
            !strata_mul_ok(&tokens, grids[i].rows / merge, grids[i].columns / merge) || tokens == 0 ||
            tokens > INT32_MAX || !strata_add_ok(&T, T, tokens)) {
            return strata_fail(err, STRATA_ERR_INPUT, "image %zu: grid of %u x %u patches, merged by %u", i + 1,
                               grids[i].rows, grids[i].columns, merge);
        }
        out->image_tokens[i] = (uint32_t)tokens;
    }
    size_t limit = context > 0 && context < INT32_MAX ? context : INT32_MAX;
    if (T > limit) {
        return strata_fail(err, STRATA_ERR_INPUT, "prompt of %zu tokens, but the context holds %zu", T, limit);
    }
    out->T = T;
    return STRATA_OK;
}

/* Writes ids and segments, each image's token as often as its grid wants. */
static void expand(struct strata_prompt *out, const struct builder *builder) {
    struct strata_segment *segments = out->segments;
    size_t T = 0;
    for (size_t i = 0; i < builder->tokens.count; i++) {
        struct label label = builder->labels[i];
        size_t repeat = 1;
        if (label.kind == STRATA_SEGMENT_IMAGE) {
            repeat = out->image_tokens[label.image];
            out->image_begin[label.image] = (uint32_t)T;
        }
        size_t last = out->segment_count;
        if (last == 0 || segments[last - 1].kind != label.kind || segments[last - 1].image != label.image) {
            segments[last++] = (struct strata_segment){.kind = label.kind, .begin = (uint32_t)T, .image = label.image};
            out->segment_count = last;
        }
        segments[last - 1].count += (uint32_t)repeat;
        for (size_t k = 0; k < repeat; k++) out->ids[T++] = builder->tokens.ids[i];
    }
}

static int fill(struct strata_prompt *out, const struct builder *builder, const struct strata_grid *grids,
                unsigned merge, size_t context, struct strata_error *err) {
    int code = strata_alloc(&out->image_tokens, out->image_count, sizeof *out->image_tokens, err);
    if (!code) code = strata_alloc(&out->image_begin, out->image_count, sizeof *out->image_begin, err);
    if (!code) code = count_tokens(out, builder, grids, merge, context, err);
    if (!code) code = strata_alloc(&out->ids, out->T, sizeof *out->ids, err);
    if (!code) code = strata_alloc(&out->positions, out->T, 3 * sizeof *out->positions, err);
    if (!code) code = strata_alloc(&out->segments, builder->tokens.count, sizeof *out->segments, err);
    if (code) return code;
    expand(out, builder);
    return strata_rope_positions(
        out->positions, &out->rope_delta, out->ids, out->T, strata_tokenizer_id(builder->tokenizer, "<|image_pad|>"),
        strata_tokenizer_id(builder->tokenizer, "<|vision_start|>"), grids, out->image_count, merge, err);
}

int strata_prompt_build(struct strata_prompt *out, const struct strata_tokenizer *tokenizer,
                        const struct strata_special_ids *special, const struct strata_message *messages, size_t count,
                        const struct strata_grid *grids, size_t image_count, unsigned merge, size_t context,
                        struct strata_error *err) {
    *out = (struct strata_prompt){.image_count = image_count};
    struct builder builder = {.tokenizer = tokenizer, .err = err};
    int code = check_markers(tokenizer, special, err);
    if (!code) code = add_messages(&builder, messages, count);
    if (!code && builder.images != image_count) {
        code = strata_fail(err, STRATA_ERR_INPUT, "%zu \"" STRATA_IMAGE_MARK "\" marks, but %zu images", builder.images,
                           image_count);
    }
    if (!code) code = fill(out, &builder, grids, merge, context, err);
    strata_tokens_free(&builder.tokens);
    free(builder.labels);
    if (code) strata_prompt_free(out);
    return code;
}

void strata_prompt_free(struct strata_prompt *prompt) {
    free(prompt->ids);
    free(prompt->positions);
    free(prompt->segments);
    free(prompt->image_begin);
    free(prompt->image_tokens);
    *prompt = (struct strata_prompt){0};
}
