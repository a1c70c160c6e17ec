/* Qwen2-VL's ChatML, and the check that a model's own template is that one. */
#include "model/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/chat.h"

#define TEMPLATE_FILE_LIMIT ((size_t)16 << 20) /* the real ones have some kB */

const char *strata_role_name(enum strata_role role) {
    static const char *const names[] = {"system", "user", "assistant"};
    return names[role];
}

int strata_message_check(const struct strata_message *message, size_t index, struct strata_error *err) {
    static const char *const placeholders[] = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
                                               "<|vision_pad|>"};
    size_t offset;
    if (!strata_utf8_valid(message->text, strlen(message->text), &offset)) {
        strata_fail(err, STRATA_ERR_INPUT, "message %zu (%s) is not UTF-8", index + 1, strata_role_name(message->role));
        return strata_fail_at(err, STRATA_ERR_INPUT, "byte offset %zu of the message", offset);
    }
    for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
        if (!strstr(message->text, placeholders[i])) continue;
        strata_fail(err, STRATA_ERR_INPUT, "message %zu (%s) has the vision placeholder %s in its text", index + 1,
                    strata_role_name(message->role), placeholders[i]);
        return strata_fail_hint(err, STRATA_ERR_INPUT, "the place of an image is written " STRATA_IMAGE_MARK);
    }
    return STRATA_OK;
}

const char *strata_message_image(const struct strata_message *message, const char *text) {
    return message->role == STRATA_ROLE_ASSISTANT ? NULL : strstr(text, STRATA_IMAGE_MARK);
}

size_t strata_chat_marks(const struct strata_message *message) {
    size_t count = 0;
    for (const char *at = message->text; (at = strata_message_image(message, at)); at += strlen(STRATA_IMAGE_MARK))
        count++;
    return count;
}

int strata_chat_response(struct strata_tokens *out, const struct strata_tokenizer *tokenizer, const char *response,
                         struct strata_error *err) {
    int code = strata_tokenizer_encode(tokenizer, out, response, strlen(response), err);
    return code ? code : strata_tokenizer_encode(tokenizer, out, "<|im_end|>", strlen("<|im_end|>"), err);
}

int strata_chat_render(struct strata_buffer *out, const struct strata_message *messages, size_t count,
                       bool add_generation_prompt, struct strata_error *err) {
    if (count > 0 && messages[0].role != STRATA_ROLE_SYSTEM) {
        strata_buffer_text(out, "<|im_start|>system\n" STRATA_DEFAULT_SYSTEM "<|im_end|>\n");
    }
    for (size_t i = 0; i < count; i++) {
        int code = strata_message_check(&messages[i], i, err);
        if (code) return code;
        strata_buffer_printf(out, "<|im_start|>%s\n", strata_role_name(messages[i].role));
        const char *text = messages[i].text, *image;
        while ((image = strata_message_image(&messages[i], text))) {
            strata_buffer_append(out, text, (size_t)(image - text));
            strata_buffer_text(out, "<|vision_start|><|image_pad|><|vision_end|>");
            text = image + strlen(STRATA_IMAGE_MARK);
        }
        strata_buffer_text(out, text);
        strata_buffer_text(out, "<|im_end|>\n");
    }
    if (add_generation_prompt) strata_buffer_text(out, "<|im_start|>assistant\n");
    return strata_buffer_check(out, err);
}

/* The template of Qwen2-VL-*-Instruct and Qwen2.5-VL-*-Instruct, with the words that are not text in the form that
 * normalize() gives them. */
static const char qwen_vl_template[] =
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* One tag, "{%…%}" or "{{…}}" with its minus signs taken off: single spaces between words, single quotes. */
static void normalize_tag(struct strata_buffer *out, const char *inside, size_t length, char kind) {
    strata_buffer_byte(out, '{');
    strata_buffer_byte(out, (unsigned char)kind);
    bool gap = true;
    for (size_t i = 0; i < length; i++) {
        if (is_space(inside[i])) {
            gap = true;
            continue;
        }
        if (gap) strata_buffer_byte(out, ' ');
        gap = false;
        strata_buffer_byte(out, inside[i] == '"' ? '\'' : (unsigned char)inside[i]);
    }
    strata_buffer_byte(out, ' ');
    strata_buffer_byte(out, kind == '{' ? '}' : '%');
    strata_buffer_byte(out, '}');
}

/* Takes the white space off the end of out that Jinja takes off before a tag: all of it for "{%-", else the
 * indentation of a statement that begins its line (lstrip_blocks). `floor`: where the text before the tag begins. */
static void trim_before(struct strata_buffer *out, size_t floor, bool minus, char kind) {
    size_t end = out->length;
    if (minus) {
        while (end > floor && is_space(out->data[end - 1])) end--;
    } else if (kind == '%') {
        while (end > floor && (out->data[end - 1] == ' ' || out->data[end - 1] == '\t')) end--;
        bool line_start = end == 0 || out->data[end - 1] == '\n';
        if (!line_start) return;
    }
    out->length = end;
    if (out->data) out->data[end] = 0;
}

/* The template with all freedom of writing taken out, under the settings transformers gives Jinja (trim_blocks,
 * lstrip_blocks): equal results are equal templates. False for an unclosed tag. */
static bool normalize(struct strata_buffer *out, const char *jinja) {
    size_t floor = 0;
    while (*jinja) {
        char kind = jinja[0] == '{' ? jinja[1] : 0;
        if (kind != '%' && kind != '{' && kind != '#') {
            strata_buffer_byte(out, (unsigned char)*jinja++);
            continue;
        }
        char closing[3] = {kind == '{' ? '}' : kind, '}', 0};
        const char *inside = jinja + 2, *close = strstr(inside, closing);
        if (!close) return false;
        bool minus = *inside == '-' && inside < close;
        trim_before(out, floor, minus, kind == '#' ? '%' : kind);
        if (minus) inside++;
        size_t length = (size_t)(close - inside);
        bool minus_after = length > 0 && inside[length - 1] == '-';
        if (kind != '#') normalize_tag(out, inside, length - minus_after, kind);
        jinja = close + 2;
        if (minus_after) {
            while (is_space(*jinja)) jinja++;
        } else if (kind != '{' && *jinja == '\n') {
            jinja++;
        }
        floor = out->length;
    }
    /* Jinja drops one newline at the end of a template (keep_trailing_newline is off). */
    if (out->length > floor && out->data[out->length - 1] == '\n') out->data[--out->length] = 0;
    return true;
}

const char *strata_chat_template_text(void) {
    return qwen_vl_template;
}

int strata_chat_template_check(const char *jinja, struct strata_error *err) {
    struct strata_buffer known = {0}, given = {0};
    normalize(&known, qwen_vl_template);
    bool closed = normalize(&given, jinja);
    int code = strata_buffer_check(&known, err);
    if (!code) code = strata_buffer_check(&given, err);
    if (!code && !closed) code = strata_fail(err, STRATA_ERR_UNSUPPORTED, "chat template with an unclosed tag");
    const char *a = strata_buffer_string(&known), *b = strata_buffer_string(&given);
    if (!code && strcmp(a, b) != 0) {
        size_t same = 0;
        while (a[same] && a[same] == b[same]) same++;
        size_t from = same > 20 ? same - 20 : 0;
        code =
            strata_fail(err, STRATA_ERR_UNSUPPORTED,
                        "the chat template is not that of Qwen2-VL and Qwen2.5-VL: \"%.60s\" where they have \"%.60s\"",
                        b + from, a + from);
        strata_fail_hint(err, code, "a model with another chat template can be used through the HTTP engine");
    }
    strata_buffer_free(&known);
    strata_buffer_free(&given);
    return code;
}

/* The template of one file: its text, or what a JSON file has under "chat_template": a string, or a list of
 * {name, template} with one "default". */
static int template_of_file(struct strata_buffer *out, bool *found, const char *path, bool json,
                            struct strata_error *err) {
    if (!strata_file_exists(path)) return STRATA_OK;
    if (!json) {
        *found = true;
        return strata_file_read(out, path, TEMPLATE_FILE_LIMIT, err);
    }
    json_t *root = NULL;
    int code = strata_json_load(&root, path, TEMPLATE_FILE_LIMIT, err);
    if (code) return code;
    const json_t *value = json_object_get(root, "chat_template"), *entry;
    size_t i;
    json_array_foreach((json_t *)value, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name && strcmp(name, "default") == 0) {
            value = json_object_get(entry, "template");
            break;
        }
    }
    *found = json_is_string(value);
    if (*found) {
        strata_buffer_text(out, json_string_value(value));
        code = strata_buffer_check(out, err);
    } else if (value && !json_is_null(value)) {
        code = strata_fail(err, STRATA_ERR_UNSUPPORTED, "chat_template is neither a text nor a list with a default");
    }
    json_decref(root);
    return code;
}

int strata_chat_template_check_model(const char *directory, struct strata_error *err) {
    static const struct {
        const char *name;
        bool json;
    } places[] = {{"chat_template.jinja", false}, {"chat_template.json", true}, {"tokenizer_config.json", true}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct strata_buffer text = {0};
        bool found = false;
        char *path = strata_path_join(directory, places[i].name);
        int code = path ? template_of_file(&text, &found, path, places[i].json, err)
                        : strata_fail(err, STRATA_ERR_MEMORY, "no memory for a path");
        if (!code && found) code = strata_chat_template_check(strata_buffer_string(&text), err);
        if (code && path) strata_fail_at_default(err, code, "%s", path);
        strata_buffer_free(&text);
        free(path);
        if (code || found) return code;
    }
    return STRATA_OK;
}
