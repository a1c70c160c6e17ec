/* The JSON of a call, and the JSON of its reply. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/memory.h"
#include "engine/http_internal.h"
#include "model/image_processor.h"

/* ---- out ---- */

static void write_text(struct strata_buffer *out, const char *text, size_t length) {
    json_t *value = json_stringn(text, length);
    if (value) {
        strata_json_write(out, value);
    } else {
        out->failed = true;
    }
    json_decref(value);
}

/* The image as it is sent: resized like Qwen2.5-VL's processor does where it is too large. */
static int encode_image(struct strata_buffer *png, const struct strata_image *image, size_t max_pixels,
                        struct strata_error *err) {
    enum { FACTOR = 28, MIN_PIXELS = 56 * 56 };
    size_t height, width;
    if (!max_pixels || image->width * image->height <= max_pixels) return strata_image_encode_png(png, image, err);
    struct strata_image small = {0};
    int code = strata_smart_resize(&height, &width, image->height, image->width, FACTOR, MIN_PIXELS, max_pixels, err);
    if (!code) code = strata_image_resize(&small, image, height, width, err);
    if (!code) code = strata_image_encode_png(png, &small, err);
    strata_image_free(&small);
    return code;
}

static int write_image(struct strata_buffer *out, const struct strata_image *image, size_t max_pixels,
                       struct strata_error *err) {
    struct strata_buffer png = {0};
    int code = encode_image(&png, image, max_pixels, err);
    if (!code) {
        strata_buffer_text(out, "{\"type\": \"image_url\", \"image_url\": {\"url\": \"data:image/png;base64,");
        strata_base64_encode(out, png.data, png.length);
        strata_buffer_text(out, "\"}}");
    }
    strata_buffer_free(&png);
    return code;
}

static void write_part(struct strata_buffer *out, const char *text, size_t length, bool *first) {
    if (!length) return;
    if (!*first) strata_buffer_text(out, ", ");
    *first = false;
    strata_buffer_text(out, "{\"type\": \"text\", \"text\": ");
    write_text(out, text, length);
    strata_buffer_byte(out, '}');
}

/* A turn with images: text and image parts in the order of the marks. */
static int write_parts(struct strata_buffer *out, const char *text, const struct strata_request *request, size_t *image,
                       size_t max_pixels, struct strata_error *err) {
    static const char mark[] = "<image>";
    bool first = true;
    strata_buffer_byte(out, '[');
    for (const char *next; (next = strstr(text, mark)); text = next + strlen(mark)) {
        write_part(out, text, (size_t)(next - text), &first);
        if (*image == request->image_count)
            return strata_fail(err, STRATA_ERR_INPUT, "there are more <image> marks than images (%zu)", *image);
        if (!first) strata_buffer_text(out, ", ");
        first = false;
        int code = write_image(out, &request->images[(*image)++], max_pixels, err);
        if (code) return code;
    }
    write_part(out, text, strlen(text), &first);
    strata_buffer_byte(out, ']');
    return 0;
}

static int write_messages(struct strata_buffer *out, const struct http *http, const struct strata_request *request,
                          struct strata_error *err) {
    static const char *const roles[] = {"system", "user", "assistant"};
    size_t image = 0;
    int code = 0;
    strata_buffer_byte(out, '[');
    for (size_t i = 0; i < request->message_count && !code; i++) {
        const struct strata_message *message = &request->messages[i];
        strata_buffer_printf(out, "%s{\"role\": \"%s\", \"content\": ", i ? ", " : "", roles[message->role]);
        if (message->role != STRATA_ROLE_ASSISTANT && strstr(message->text, "<image>")) {
            code = write_parts(out, message->text, request, &image, http->options.max_pixels, err);
        } else {
            write_text(out, message->text, strlen(message->text));
        }
        strata_buffer_byte(out, '}');
    }
    strata_buffer_byte(out, ']');
    if (!code && image != request->image_count)
        code = strata_fail(err, STRATA_ERR_INPUT, "there are %zu images and %zu <image> marks", request->image_count,
                           image);
    return code;
}

int strata_http_body(struct strata_buffer *out, const struct http *http, const struct strata_request *request,
                     struct strata_error *err) {
    const struct strata_sampling *sampling = &request->sampling;
    strata_buffer_text(out, "{\"model\": ");
    write_text(out, http->model, strlen(http->model));
    strata_buffer_text(out, ", \"messages\": ");
    int code = write_messages(out, http, request, err);
    if (code) return strata_fail_at_default(err, code, "%s", request->sample_id);
    strata_buffer_printf(out, ", \"temperature\": %.7g, \"max_tokens\": %" PRIu32, (double)sampling->temperature,
                         sampling->max_new_tokens);
    /* What is off is not sent: top_k and repetition_penalty are no part of OpenAI's interface. */
    if (sampling->top_p > 0 && sampling->top_p < 1)
        strata_buffer_printf(out, ", \"top_p\": %.7g", (double)sampling->top_p);
    if (sampling->top_k) strata_buffer_printf(out, ", \"top_k\": %" PRIu32, sampling->top_k);
    if (sampling->repetition_penalty > 0 && fabsf(sampling->repetition_penalty - 1) > 0)
        strata_buffer_printf(out, ", \"repetition_penalty\": %.7g", (double)sampling->repetition_penalty);
    if (request->want_logprobs) strata_buffer_text(out, ", \"logprobs\": true");
    return strata_buffer_check(out, err);
}

void strata_http_suffix(struct call *call, const struct strata_random *random) {
    uint64_t seed = strata_random_u64(random, 0) >> 33; /* 31 bits: every server takes them */
    int length = snprintf(call->suffix, sizeof call->suffix, ", \"seed\": %" PRIu64, seed);
    if (call->count > 1)
        length +=
            snprintf(call->suffix + length, sizeof call->suffix - (size_t)length, ", \"n\": %" PRIu32, call->count);
    length += snprintf(call->suffix + length, sizeof call->suffix - (size_t)length, "}");
    call->suffix_length = (size_t)length;
}

/* ---- in ---- */

static int nonsense(struct strata_error *err, const char *what) {
    return strata_fail(err, STRATA_ERR_ENGINE, "the server's reply makes no sense: %s", what);
}

/* The answer's text; reasoning that a server parts from it goes back in front. */
static char *text_of(const json_t *message, bool cut, size_t *length) {
    const json_t *content = json_object_get(message, "content");
    const json_t *reasoning = json_object_get(message, "reasoning_content");
    if (!json_string_length(reasoning)) reasoning = json_object_get(message, "reasoning");
    if (!json_is_string(content) && !(json_is_null(content) && cut)) return NULL;
    struct strata_buffer text = {0};
    strata_buffer_text(&text, "");
    if (json_string_length(reasoning)) {
        strata_buffer_printf(&text, "<think>%s", json_string_value(reasoning));
        if (json_string_length(content)) strata_buffer_text(&text, "</think>");
    }
    if (json_is_string(content)) strata_buffer_append(&text, json_string_value(content), json_string_length(content));
    *length = text.length;
    return text.data;
}

static int take_logprobs(struct strata_result *result, const json_t *choice, struct strata_error *err) {
    const json_t *content = json_object_get(json_object_get(choice, "logprobs"), "content");
    size_t count = json_array_size(content);
    if (!count) return 0;
    int code = strata_alloc(&result->logprobs, count, sizeof *result->logprobs, err);
    for (size_t i = 0; i < count && !code; i++) {
        const json_t *value = json_object_get(json_array_get(content, i), "logprob");
        if (!json_is_number(value)) return nonsense(err, "a log-prob that is no number");
        result->logprobs[i] = (float)json_number_value(value);
    }
    result->N = count;
    return code;
}

static int take_choice(struct strata_result *result, const json_t *choice, bool logprobs, struct strata_error *err) {
    const char *reason = json_string_value(json_object_get(choice, "finish_reason"));
    if (!reason) return nonsense(err, "no finish_reason");
    bool cut = strcmp(reason, "length") == 0;
    bool stopped = strcmp(reason, "stop") == 0 || strcmp(reason, "eos") == 0 || strcmp(reason, "eos_token") == 0 ||
                   strcmp(reason, "stop_sequence") == 0;
    if (!cut && !stopped) return strata_fail(err, STRATA_ERR_ENGINE, "the server stopped with \"%.60s\"", reason);
    char *text = text_of(json_object_get(choice, "message"), cut, &result->text_length);
    if (!text) return nonsense(err, "no message.content");
    result->text = text;
    result->finish = cut ? STRATA_FINISH_LENGTH : STRATA_FINISH_STOP;
    return logprobs ? take_logprobs(result, choice, err) : 0;
}

/* Each choice goes to the draw that its index names; a second one for the same draw is dropped. */
static int take_choices(struct strata_result *results, const json_t *choices, const struct call *call,
                        struct strata_error *err) {
    size_t position;
    json_t *choice;
    if (json_array_size(choices) == 0) return nonsense(err, "no choices");
    json_array_foreach(choices, position, choice) {
        const json_t *index = json_object_get(choice, "index");
        json_int_t draw = json_is_integer(index) ? json_integer_value(index) : (json_int_t)position;
        if (draw < 0 || draw >= (json_int_t)call->count) return nonsense(err, "a choice that was not asked for");
        if (results[draw].text) continue;
        int code = take_choice(&results[draw], choice, call->group->logprobs, err);
        if (code) return code;
    }
    return 0;
}

static uint64_t token_count(const json_t *usage, const char *key) {
    json_int_t count = json_integer_value(json_object_get(usage, key));
    return count > 0 && count < (json_int_t)1 << 40 ? (uint64_t)count : 0;
}

/* Tokens are reported for the call as a whole: the first draws carry what does not divide. */
static void share_tokens(struct strata_result *results, uint32_t count, const json_t *usage) {
    uint64_t completion = token_count(usage, "completion_tokens");
    for (uint32_t i = 0; i < count; i++) {
        results[i].prompt_tokens = (size_t)token_count(usage, "prompt_tokens");
        if (!results[i].N) results[i].N = (size_t)(completion / count + (i < completion % count));
    }
}

int strata_http_parse(struct strata_result *results, struct http *http, const struct call *call,
                      struct strata_error *err) {
    json_t *reply = NULL;
    struct strata_error bad = {0};
    if (strncmp(call->echoed_id, call->request_id, STRATA_HTTP_ID_OURS) == 0 &&
        strcmp(call->echoed_id, call->request_id) != 0)
        return nonsense(err, "it answers another request");
    if (strata_json_parse(&reply, strata_buffer_string(&call->reply), call->reply.length, "reply", 1, &bad))
        return nonsense(err, "not JSON");
    int code = take_choices(results, json_object_get(reply, "choices"), call, err);
    if (!code) {
        const json_t *usage = json_object_get(reply, "usage");
        share_tokens(results, call->count, usage);
        http->account.prompt_tokens += token_count(usage, "prompt_tokens");
        http->account.completion_tokens += token_count(usage, "completion_tokens");
    }
    for (uint32_t i = 0; i < call->count && code; i++) strata_result_free(&results[i]);
    json_decref(reply);
    return code;
}

void strata_http_message(char *out, size_t size, const struct http *http, const struct strata_buffer *reply) {
    json_t *value = NULL;
    const char *text = NULL;
    if (reply->length && !strata_json_parse(&value, reply->data, reply->length, "reply", 1, NULL)) {
        const json_t *error = json_object_get(value, "error");
        text = json_string_value(json_is_object(error) ? json_object_get(error, "message") : error);
        if (!text) text = json_string_value(json_object_get(value, "message"));
        if (!text) text = json_string_value(json_object_get(value, "detail"));
    }
    snprintf(out, size, "%s", text ? text : "");
    /* A server may repeat the key that it refuses. */
    for (char *hit; http->key && *http->key && (hit = strstr(out, http->key));) memset(hit, '*', strlen(http->key));
    if (http->key && strlen(http->key) >= 8) { /* nor any part of it that is cut off at the end */
        char *hit = strstr(out, (char[9]){http->key[0], http->key[1], http->key[2], http->key[3], http->key[4],
                                          http->key[5], http->key[6], http->key[7], '\0'});
        if (hit) *hit = '\0';
    }
    json_decref(value);
}

/* ---- kept ---- */

void strata_http_pack(struct strata_buffer *out, const struct strata_result *results, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct strata_result *result = &results[i];
        json_t *item = json_pack("{s:o, s:b, s:I, s:I}", "text", json_stringn(result->text, result->text_length), "cut",
                                 result->finish == STRATA_FINISH_LENGTH, "tokens", (json_int_t)result->N,
                                 "prompt_tokens", (json_int_t)result->prompt_tokens);
        json_t *logprobs = result->logprobs ? json_array() : NULL;
        for (size_t n = 0; n < result->N && logprobs; n++)
            json_array_append_new(logprobs, json_real((double)result->logprobs[n]));
        if (logprobs) json_object_set_new(item, "logprobs", logprobs);
        if (json_array_append_new(list, item)) out->failed = true;
    }
    strata_json_write(out, list);
    json_decref(list);
}

static bool unpack_one(struct strata_result *result, const json_t *item) {
    const json_t *text = json_object_get(item, "text"), *logprobs = json_object_get(item, "logprobs");
    if (!json_is_string(text) || strata_alloc(&result->text, json_string_length(text) + 1, 1, NULL)) return false;
    result->text_length = json_string_length(text);
    memcpy(result->text, json_string_value(text), result->text_length);
    result->finish = json_is_true(json_object_get(item, "cut")) ? STRATA_FINISH_LENGTH : STRATA_FINISH_STOP;
    result->N = (size_t)json_integer_value(json_object_get(item, "tokens"));
    result->prompt_tokens = (size_t)json_integer_value(json_object_get(item, "prompt_tokens"));
    if (logprobs && json_array_size(logprobs) == result->N &&
        !strata_alloc(&result->logprobs, result->N, sizeof *result->logprobs, NULL)) {
        for (size_t n = 0; n < result->N; n++)
            result->logprobs[n] = (float)json_number_value(json_array_get(logprobs, n));
    }
    return true;
}

bool strata_http_unpack(struct strata_result *results, size_t count, const struct strata_buffer *text) {
    json_t *list = NULL;
    bool good = !strata_json_parse(&list, strata_buffer_string(text), text->length, "cache", 1, NULL) &&
                json_array_size(list) == count;
    for (size_t i = 0; i < count && good; i++) good = unpack_one(&results[i], json_array_get(list, i));
    for (size_t i = 0; i < count && !good; i++) strata_result_free(&results[i]);
    json_decref(list);
    return good;
}
