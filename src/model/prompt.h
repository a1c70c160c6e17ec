/* From messages to what the decoder reads: chat template, tokens with image tokens expanded, m-RoPE positions, and the
 * segments whose attention mass CMAB keeps apart. */
#ifndef STRATA_MODEL_PROMPT_H
#define STRATA_MODEL_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/sample.h"
#include "model/tokenizer.h"
#include "strata/error.h"

enum strata_segment_kind {
    STRATA_SEGMENT_TEMPLATE, /* role markers, newlines, special tokens of the template */
    STRATA_SEGMENT_SYSTEM,   /* the system turn's own text */
    STRATA_SEGMENT_QUESTION, /* text of user turns */
    STRATA_SEGMENT_REPLY,    /* text of earlier assistant turns */
    STRATA_SEGMENT_VISION,   /* <|vision_start|>, <|vision_end|> */
    STRATA_SEGMENT_IMAGE     /* image tokens; `image` says which */
};
/* "template", "system", "question", "reply", "vision", "image"; parse: false for another name. */
const char *strata_segment_name(enum strata_segment_kind kind);
bool strata_segment_parse(enum strata_segment_kind *out, const char *name);
/* A maximal run of prompt tokens of one kind (and image): tokens [begin, begin+count). Segments cover the prompt in
 * order. A token that holds bytes of two kinds ("\n" of the template and "\n" of a question) counts by its first. */
struct strata_segment {
    enum strata_segment_kind kind;
    uint32_t begin, count;
    uint32_t image; /* index of the image for STRATA_SEGMENT_IMAGE (and its two markers), else 0 */
};

/* Patch grid of one image (before merging): t is 1 for images. Tokens = rows*columns / merge^2. */
struct strata_grid {
    uint32_t rows, columns;
};

struct strata_prompt {
    int32_t *ids; /* (T) */
    size_t T;
    int32_t *positions; /* (3, T): temporal, height, width */
    int32_t rope_delta; /* position of token index i >= T is i + rope_delta, in all three rows */
    struct strata_segment *segments;
    size_t segment_count;
    uint32_t *image_begin, *image_tokens; /* (images): first token and number of tokens of each image */
    size_t image_count;
};

struct strata_special_ids {
    int32_t image, video, vision_start, vision_end, im_start, im_end;
};

/* Renders Qwen's ChatML: the default system text "You are a helpful assistant." where there is no system turn (a
 * record's own wins), and the assistant header at the end when add_generation_prompt. "<image>" in the text becomes
 * <|vision_start|><|image_pad|><|vision_end|> in user and system turns. Appends to out. Vision placeholder tokens
 * written out in any turn's text are STRATA_ERR_INPUT. */
int strata_chat_render(struct strata_buffer *out, const struct strata_message *messages, size_t count,
                       bool add_generation_prompt, struct strata_error *err);
/* How many "<image>" marks a message has; what an assistant wrote has none. */
size_t strata_chat_marks(const struct strata_message *message);
/* A given response as tokens (appended): its text, closed by the end-of-turn token as a generated one is. */
int strata_chat_response(struct strata_tokens *out, const struct strata_tokenizer *tokenizer, const char *response,
                         struct strata_error *err);
/* Is this chat template (the Jinja text of chat_template.json/.jinja or tokenizer_config.json) one of Qwen2-VL's /
 * Qwen2.5-VL's that strata_chat_render reproduces? STRATA_ERR_UNSUPPORTED with the first difference if not. Compared is
 * the whole text, after what Jinja ignores has been taken out of it (spaces in tags, kind of quotes, comments, white
 * space that trim_blocks, lstrip_blocks and minus signs remove). */
int strata_chat_template_check(const char *jinja, struct strata_error *err);
/* The Jinja text that it knows, for a new model directory. */
const char *strata_chat_template_text(void);
/* The same for the template that transformers would use for the model in this directory: chat_template.jinja, else
 * chat_template.json, else tokenizer_config.json's. No template at all passes: then Qwen's is meant. */
int strata_chat_template_check_model(const char *directory, struct strata_error *err);

/* The rendered chat as tokens, the assistant header at its end. grids: one per image, in order of their "<image>"
 * marks. `merge` is the spatial merge size (2). special: ids that are -1 come from the tokenizer; others must agree
 * with it. context: largest T allowed (0: no limit); a longer prompt is an error that names both numbers, never cut. */
int strata_prompt_build(struct strata_prompt *out, const struct strata_tokenizer *tokenizer,
                        const struct strata_special_ids *special, const struct strata_message *messages, size_t count,
                        const struct strata_grid *grids, size_t image_count, unsigned merge, size_t context,
                        struct strata_error *err);
void strata_prompt_free(struct strata_prompt *prompt);

/* m-RoPE positions of a token sequence (get_rope_index of transformers) into positions (3,T); every case: text only,
 * several images, images at the start, middle and end. Each run of image tokens must follow a vision start and be as
 * long as its grid says. */
int strata_rope_positions(int32_t *positions, int32_t *rope_delta, const int32_t *ids, size_t T, int32_t image_token,
                          int32_t vision_start_token, const struct strata_grid *grids, size_t image_count,
                          unsigned merge, struct strata_error *err);

#endif
