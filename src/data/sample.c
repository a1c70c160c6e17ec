/* One record to a sample: names and their aliases, checks, and errors that say what to change. */
#include "data/sample.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"

#define IMAGE_MARK "<image>"

void strata_sample_free(struct strata_sample *sample) {
    for (size_t i = 0; i < sample->message_count; i++) free(sample->messages[i].text);
    for (size_t i = 0; i < sample->image_count; i++) strata_image_source_free(&sample->images[i]);
    free(sample->messages);
    free(sample->images);
    free(sample->id);
    free(sample->ability);
    free(sample->solution);
    free(sample->verifier);
    free(sample->assistant);
    free(sample->where);
    free(sample->directory);
    json_decref(sample->record);
    *sample = (struct strata_sample){0};
}

/* What parsing carries along. */
struct parser {
    struct strata_sample *sample;
    const char *where, *directory;
    struct strata_error *err;
};

static int bad(const struct parser *parser, const char *what, const char *detail, const char *hint) {
    strata_fail(parser->err, STRATA_ERR_INPUT, "%s%s", what, detail);
    strata_fail_at(parser->err, STRATA_ERR_INPUT, "%s", parser->where);
    return strata_fail_hint(parser->err, STRATA_ERR_INPUT, "%s", hint);
}

static int copy(char **out, const char *text, const struct parser *parser) {
    free(*out);
    *out = strata_strdup(text);
    return *out ? 0 : strata_fail(parser->err, STRATA_ERR_MEMORY, "out of memory");
}

json_t *strata_record_value(const json_t *record, const char *key) {
    json_t *value = json_object_get(record, key);
    return json_is_null(value) ? NULL : value;
}

static const json_t *present(const json_t *object, const char *key) {
    return strata_record_value(object, key);
}

static bool is_empty(const char *text) {
    while (isspace((unsigned char)*text)) text++;
    return !*text;
}

/* A string or a number, as text; anything else is an error naming the key. */
static int text_of(char **out, const json_t *value, const char *key, const struct parser *parser) {
    if (json_is_string(value)) {
        if (strlen(json_string_value(value)) != json_string_length(value))
            return bad(parser, "a NUL character in ", key, "");
        return copy(out, json_string_value(value), parser);
    }
    if (!json_is_number(value)) return bad(parser, key, " must be a string or a number", "");
    free(*out);
    *out = strata_json_line(value);
    return *out ? 0 : strata_fail(parser->err, STRATA_ERR_MEMORY, "out of memory");
}

static int optional_text(char **out, const char *key, const struct parser *parser) {
    const json_t *value = present(parser->sample->record, key);
    return value ? text_of(out, value, key, parser) : copy(out, "", parser);
}

/* ---- images ---- */

/* The base64 text of an inline image, or NULL where `text` is a path. Bare base64 is told by the first bytes of the
 * four formats that people send, and by having no character that base64 has not: paths have a dot or are short. */
static const char *inline_text(const char *text) {
    static const char *const magic[] = {"iVBORw0KGgo", "/9j/", "UklGR", "R0lGOD"};
    if (strncmp(text, "data:", 5) == 0) {
        const char *comma = strchr(text, ',');
        return comma && comma - text >= 7 && strncmp(comma - 7, ";base64", 7) == 0 ? comma + 1 : NULL;
    }
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++) {
        if (strncmp(text, magic[i], strlen(magic[i])) != 0) continue;
        size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n");
        return !text[length] && length >= 64 ? text : NULL;
    }
    return NULL;
}

bool strata_image_is_inline(const char *text) {
    return inline_text(text) != NULL;
}

static bool is_text(const json_t *value) {
    return json_string_length(value) > 0 && strlen(json_string_value(value)) == json_string_length(value);
}

static int inline_image(struct strata_image_source *image, const char *base64, const char *name,
                        const struct parser *parser) {
    struct strata_buffer bytes = {0};
    int code = strata_base64_decode(&bytes, base64, strlen(base64), parser->err);
    if (!code && !bytes.length) code = strata_fail(parser->err, STRATA_ERR_INPUT, "the inline image is empty");
    image->name = code ? NULL : strata_strdup(name);
    if (code || !image->name) {
        strata_buffer_free(&bytes);
        if (!code) code = strata_fail(parser->err, STRATA_ERR_MEMORY, "out of memory");
        return strata_fail_at(parser->err, code, "%s", parser->where);
    }
    image->bytes = (unsigned char *)bytes.data;
    image->length = bytes.length;
    return 0;
}

/* A path, a data URL, base64, or {"bytes": base64 or null, "path": …}. */
static int add_image(const struct parser *parser, size_t *capacity, const json_t *value) {
    struct strata_sample *sample = parser->sample;
    const json_t *bytes = json_is_object(value) ? present(value, "bytes") : NULL;
    const json_t *path = json_is_object(value) ? present(value, "path") : value;
    const char *text = json_string_value(bytes ? bytes : path);
    if (!text || !is_text(bytes ? bytes : path))
        return bad(parser, "an image must be a path, a data URL or {\"bytes\": base64}", "",
                   "\"images\": [\"path\", …], relative to the data set's folder");
    const char *base64 = inline_text(text);
    if (!base64 && bytes) base64 = text;
    if (!base64 && (strncmp(text, "data:", 5) == 0 || strstr(text, "://")))
        return bad(parser, "the image is at an address: ", text, "images must be files, data URLs or base64");
    int code = strata_grow(&sample->images, capacity, sample->image_count + 1, sizeof *sample->images, parser->err);
    if (code) return code;
    struct strata_image_source *image = &sample->images[sample->image_count++];
    *image = (struct strata_image_source){0};
    if (base64) return inline_image(image, base64, bytes && is_text(path) ? json_string_value(path) : "", parser);
    image->name = strata_strdup(text);
    image->path = strata_path_join(parser->directory, text);
    return image->name && image->path ? 0 : strata_fail(parser->err, STRATA_ERR_MEMORY, "out of memory");
}

/* "images": [..] (or one path), or "image": one path. */
static int read_images(const struct parser *parser, size_t *capacity) {
    const json_t *images = present(parser->sample->record, "images");
    if (!images) images = present(parser->sample->record, "image");
    if (!images) return 0;
    if (!json_is_array(images)) return add_image(parser, capacity, images);
    for (size_t i = 0; i < json_array_size(images); i++) {
        int code = add_image(parser, capacity, json_array_get(images, i));
        if (code) return code;
    }
    return 0;
}

/* The text of a turn: a string, or the list of parts that chat APIs use. Images named in parts join the sample's. */
static int read_content(struct strata_buffer *out, const struct parser *parser, size_t *images, const json_t *content) {
    if (json_is_string(content)) {
        if (strlen(json_string_value(content)) != json_string_length(content))
            return bad(parser, "a NUL character in a message", "", "");
        strata_buffer_text(out, json_string_value(content));
        return 0;
    }
    if (!json_is_array(content)) return bad(parser, "a message's \"content\" must be text or a list of parts", "", "");
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = NULL, *text = NULL;
        int code = strata_json_string(&type, part, "type", true, parser->where, parser->err);
        if (code) return code;
        if (strcmp(type, "text") == 0) {
            code = strata_json_string(&text, part, "text", true, parser->where, parser->err);
            if (code) return code;
            strata_buffer_text(out, text);
        } else if (strcmp(type, "image") == 0) {
            strata_buffer_text(out, IMAGE_MARK);
            const json_t *image = present(part, "image");
            if (image && (code = add_image(parser, images, image))) return code;
        } else {
            return bad(parser, "a message part has the unknown type ", type, "text and image are known");
        }
    }
    return 0;
}

static int add_message(const struct parser *parser, size_t *capacity, enum strata_role role, const char *text) {
    struct strata_sample *sample = parser->sample;
    int code =
        strata_grow(&sample->messages, capacity, sample->message_count + 1, sizeof *sample->messages, parser->err);
    if (code) return code;
    struct strata_message *message = &sample->messages[sample->message_count];
    *message = (struct strata_message){.role = role};
    code = copy(&message->text, text, parser);
    if (!code) sample->message_count++;
    return code;
}

/* How a list of turns names its members and roles. */
struct turn_names {
    const char *role, *content, *roles[3], *others[3]; /* by enum strata_role; others: a second spelling, or NULL */
};
static const struct turn_names openai_names = {"role", "content", {"system", "user", "assistant"}, {NULL}};
static const struct turn_names sharegpt_names = {
    "from", "value", {"system", "human", "gpt"}, {NULL, "user", "assistant"}};

static int read_messages(const struct parser *parser, size_t *capacity, size_t *images, const json_t *messages,
                         const struct turn_names *names) {
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *message = json_array_get(messages, i);
        const char *role = NULL;
        struct strata_buffer text = {0};
        int code = strata_json_string(&role, message, names->role, true, parser->where, parser->err), kind = -1;
        for (int r = 0; !code && r < 3; r++)
            if (strcmp(role, names->roles[r]) == 0 || (names->others[r] && strcmp(role, names->others[r]) == 0))
                kind = r;
        if (!code && kind < 0) {
            strata_fail(parser->err, STRATA_ERR_INPUT, "unknown role %.100s", role);
            strata_fail_at(parser->err, STRATA_ERR_INPUT, "%s", parser->where);
            code = strata_fail_hint(parser->err, STRATA_ERR_INPUT, "%s, %s and %s are known", names->roles[0],
                                    names->roles[1], names->roles[2]);
        }
        if (!code && kind == STRATA_ROLE_SYSTEM && i > 0)
            code = bad(parser, "a system turn that is not the first", "", "");
        if (!code) code = read_content(&text, parser, images, json_object_get(message, names->content));
        if (!code) code = strata_buffer_check(&text, parser->err);
        if (!code) code = add_message(parser, capacity, (enum strata_role)kind, strata_buffer_string(&text));
        strata_buffer_free(&text);
        if (code) return code;
    }
    return 0;
}

static int add_text(const struct parser *parser, size_t *capacity, enum strata_role role, const json_t *text) {
    char *copied = NULL;
    int code = json_is_string(text) ? text_of(&copied, text, "a turn", parser)
                                    : bad(parser, "the prompt must be text or a list of messages", "", "");
    if (!code) code = add_message(parser, capacity, role, copied);
    free(copied);
    return code;
}

/* alpaca: system, history [[question, answer], …], instruction and input as one question, output. */
static int read_alpaca(const struct parser *parser, size_t *capacity, const char *system) {
    const json_t *record = parser->sample->record, *own = present(record, "system");
    const json_t *history = present(record, "history"), *input = present(record, "input");
    const json_t *output = present(record, "output"), *instruction = present(record, "instruction");
    int code = 0;
    if (json_string_length(own) > 0)
        code = add_text(parser, capacity, STRATA_ROLE_SYSTEM, own);
    else if (system && *system)
        code = add_message(parser, capacity, STRATA_ROLE_SYSTEM, system);
    for (size_t i = 0; i < json_array_size(history) && !code; i++) {
        const json_t *pair = json_array_get(history, i);
        code = add_text(parser, capacity, STRATA_ROLE_USER, json_array_get(pair, 0));
        if (!code) code = add_text(parser, capacity, STRATA_ROLE_ASSISTANT, json_array_get(pair, 1));
    }
    if (!code && (!is_text(instruction) || (input && !json_is_string(input))))
        code = bad(parser, "\"instruction\" and \"input\" must be texts", "", "");
    if (code) return code;
    struct strata_buffer question = {0};
    strata_buffer_text(&question, json_string_value(instruction));
    if (is_text(input)) strata_buffer_printf(&question, "\n%s", json_string_value(input));
    code = strata_buffer_check(&question, parser->err);
    if (!code) code = add_message(parser, capacity, STRATA_ROLE_USER, strata_buffer_string(&question));
    strata_buffer_free(&question);
    return code || json_string_length(output) == 0 ? code : add_text(parser, capacity, STRATA_ROLE_ASSISTANT, output);
}

const char *strata_turns_key(enum strata_turns turns) {
    static const char *const keys[] = {"messages", "conversations", "prompt", "question", "instruction"};
    return turns < STRATA_TURNS_NONE ? keys[turns] : NULL;
}

enum strata_turns strata_record_turns(const json_t *record) {
    int turns = 0;
    while (turns < STRATA_TURNS_NONE && !strata_record_value(record, strata_turns_key((enum strata_turns)turns)))
        turns++;
    return (enum strata_turns)turns;
}

/* TRL keeps the answer beside the prompt, as a list of one turn. */
static int read_completion(const struct parser *parser, size_t *capacity, size_t *images) {
    const json_t *completion = present(parser->sample->record, "completion");
    if (!json_is_array(completion)) return 0;
    return read_messages(parser, capacity, images, completion, &openai_names);
}

/* The turns, wherever the record has them. The final assistant turn becomes the SFT target. */
static int read_turns(const struct parser *parser, const char *system, size_t *images) {
    struct strata_sample *sample = parser->sample;
    enum strata_turns kind = strata_record_turns(sample->record);
    size_t capacity = 0;
    int code = 0;
    if (kind == STRATA_TURNS_NONE)
        return bad(parser, "\"messages\" is missing", "",
                   "messages, conversations, prompt, question or instruction hold what is asked");
    const json_t *turns = present(sample->record, strata_turns_key(kind));
    if (kind == STRATA_TURNS_INSTRUCTION) {
        code = read_alpaca(parser, &capacity, system);
    } else {
        const struct turn_names *names = kind == STRATA_TURNS_CONVERSATIONS ? &sharegpt_names : &openai_names;
        const char *role = json_string_value(json_object_get(json_array_get(turns, 0), names->role));
        bool own = role && strcmp(role, "system") == 0;
        if (!own && system && *system) code = add_message(parser, &capacity, STRATA_ROLE_SYSTEM, system);
        /* A default system turn shifts nothing: read_messages checks places within the record's own turns. */
        if (!code)
            code = json_is_array(turns) ? read_messages(parser, &capacity, images, turns, names)
                                        : add_text(parser, &capacity, STRATA_ROLE_USER, turns);
        if (!code && kind == STRATA_TURNS_PROMPT) code = read_completion(parser, &capacity, images);
    }
    if (code) return code;
    if (sample->message_count && sample->messages[sample->message_count - 1].role == STRATA_ROLE_ASSISTANT)
        sample->assistant = sample->messages[--sample->message_count].text;
    if (!sample->message_count || sample->messages[sample->message_count - 1].role != STRATA_ROLE_USER)
        return bad(parser, "there is no user turn to answer", "",
                   "the last turn, or the last before the final assistant "
                   "turn, must be the user's");
    return 0;
}

static int read_solution(const struct parser *parser) {
    static const char *const keys[] = {"solution", "answer", "ground_truth"};
    const json_t *record = parser->sample->record, *value = NULL;
    for (size_t i = 0; i < 3 && !value; i++) value = present(record, keys[i]);
    const json_t *reward = present(record, "reward_model");
    if (!value && json_is_object(reward)) value = present(reward, "ground_truth");
    if (!value && parser->sample->assistant) return copy(&parser->sample->solution, parser->sample->assistant, parser);
    if (!value)
        return bad(parser, "\"solution\" is missing", "",
                   "solution, answer, ground_truth, reward_model.ground_truth, or a final assistant turn");
    int code = text_of(&parser->sample->solution, value, "solution", parser);
    if (!code && is_empty(parser->sample->solution)) code = bad(parser, "the solution is empty", "", "");
    return code;
}

static size_t marks(const char *text) {
    size_t count = 0;
    while ((text = strstr(text, IMAGE_MARK))) count++, text += sizeof IMAGE_MARK - 1;
    return count;
}

/* Does the turn say anything beside its image marks? */
static bool asks_nothing(const char *text) {
    for (const char *mark; (mark = strstr(text, IMAGE_MARK)); text = mark + sizeof IMAGE_MARK - 1)
        for (; text < mark; text++)
            if (!isspace((unsigned char)*text)) return false;
    return is_empty(text);
}

static int prepend_marks(struct strata_message *message, size_t count, const struct parser *parser) {
    struct strata_buffer text = {0};
    for (size_t i = 0; i < count; i++) strata_buffer_text(&text, IMAGE_MARK);
    strata_buffer_text(&text, message->text);
    int code = strata_buffer_check(&text, parser->err);
    if (code) {
        strata_buffer_free(&text);
        return code;
    }
    free(message->text);
    message->text = text.data;
    return 0;
}

static int check_turns(const struct parser *parser, bool prepend) {
    static const char *const placeholders[] = {"<|image_pad|>", "<|video_pad|>", "<|vision_pad|>", "<|vision_start|>",
                                               "<|vision_end|>"};
    struct strata_sample *sample = parser->sample;
    size_t found = 0, first_user = sample->message_count - 1;
    if (asks_nothing(sample->messages[sample->message_count - 1].text))
        return bad(parser, "the question is empty", "", "");
    for (size_t i = sample->message_count; i-- > 0;) {
        const struct strata_message *message = &sample->messages[i];
        if (message->role == STRATA_ROLE_USER) first_user = i;
        if (message->role != STRATA_ROLE_ASSISTANT) found += marks(message->text);
        for (size_t p = 0; p < sizeof placeholders / sizeof *placeholders; p++)
            if (strstr(message->text, placeholders[p]))
                return bad(parser, "the text holds the placeholder ", placeholders[p],
                           "write <image> where an image belongs");
    }
    if (found == sample->image_count) return 0;
    if (found == 0 && prepend) return prepend_marks(&sample->messages[first_user], sample->image_count, parser);
    strata_fail(parser->err, STRATA_ERR_INPUT, "%zu images but %zu <image> marks in the text", sample->image_count,
                found);
    strata_fail_at(parser->err, STRATA_ERR_INPUT, "%s", parser->where);
    return found ? STRATA_ERR_INPUT
                 : strata_fail_hint(parser->err, STRATA_ERR_INPUT,
                                    "--missing-image prepend puts them before the first question");
}

int strata_sample_parse(struct strata_sample *out, json_t *record, const char *where, const char *directory,
                        const char *default_id, const struct strata_dataset_options *options,
                        struct strata_error *err) {
    struct parser parser = {.sample = out, .where = where, .directory = directory, .err = err};
    size_t images = 0;
    *out = (struct strata_sample){.record = record};
    const json_t *id = present(record, "id");
    int code = copy(&out->where, where, &parser);
    if (!code) code = copy(&out->directory, directory, &parser);
    if (!code) code = id ? text_of(&out->id, id, "id", &parser) : copy(&out->id, default_id, &parser);
    if (!code && is_empty(out->id)) code = bad(&parser, "the id is empty", "", "");
    if (!code) code = optional_text(&out->ability, "ability", &parser);
    if (!code) code = optional_text(&out->verifier, "verifier", &parser);
    if (!code) code = read_images(&parser, &images);
    if (!code) code = read_turns(&parser, options->system, &images);
    if (!code) code = read_solution(&parser);
    if (!code) code = check_turns(&parser, options->prepend_missing_image);
    if (code) strata_sample_free(out);
    return code;
}
