/* A sample as a record of another trainer: its id, its turns under that trainer's names, its images, its solution, then
 * every other column as it was read. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"
#include "data/export_private.h"

#define IMAGE_MARK "<image>"
#define INFO_LIMIT ((size_t)1 << 24)

static int no_memory(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* ---- turns ---- */

/* Text cut at its image marks: [{"type": "image"}, {"type": "text", "text": …}, …]. */
static json_t *parts_of(const char *text) {
    json_t *parts = json_array();
    while (*text) {
        const char *mark = strstr(text, IMAGE_MARK);
        size_t length = mark ? (size_t)(mark - text) : strlen(text);
        if (length) json_array_append_new(parts, json_pack("{s:s, s:s%}", "type", "text", "text", text, length));
        if (mark) json_array_append_new(parts, json_pack("{s:s}", "type", "image"));
        text += length + (mark ? strlen(IMAGE_MARK) : 0);
    }
    return parts;
}

static json_t *turn(enum strata_format format, enum strata_role role, const char *text) {
    static const char *const openai[] = {"system", "user", "assistant"}, *const sharegpt[] = {"system", "human", "gpt"};
    if (format == STRATA_FORMAT_LLAMAFACTORY) return json_pack("{s:s, s:s}", "from", sharegpt[role], "value", text);
    if (format == STRATA_FORMAT_TRL) return json_pack("{s:s, s:o}", "role", openai[role], "content", parts_of(text));
    return json_pack("{s:s, s:s}", "role", openai[role], "content", text);
}

/* Are the turns called prompt, with the answer beside them? */
static bool is_prompt(enum strata_format format) {
    return format == STRATA_FORMAT_TRL || format == STRATA_FORMAT_VERL;
}

static enum strata_turns written_turns(enum strata_format format) {
    return format == STRATA_FORMAT_LLAMAFACTORY ? STRATA_TURNS_CONVERSATIONS
           : is_prompt(format)                  ? STRATA_TURNS_PROMPT
                                                : STRATA_TURNS_MESSAGES;
}

static int add_turns(json_t *record, enum strata_format format, const struct strata_sample *sample) {
    /* LLaMA-Factory trains on an answer in every record. */
    const char *answer = sample->assistant                      ? sample->assistant
                         : format == STRATA_FORMAT_LLAMAFACTORY ? sample->solution
                                                                : NULL;
    json_t *turns = json_array();
    int failed = 0;
    for (size_t i = 0; i < sample->message_count; i++)
        failed |= json_array_append_new(turns, turn(format, sample->messages[i].role, sample->messages[i].text));
    if (answer && !is_prompt(format))
        failed |= json_array_append_new(turns, turn(format, STRATA_ROLE_ASSISTANT, answer));
    failed |= json_object_set_new(record, strata_turns_key(written_turns(format)), turns);
    if (answer && is_prompt(format))
        failed |=
            json_object_set_new(record, "completion", json_pack("[o]", turn(format, STRATA_ROLE_ASSISTANT, answer)));
    return failed;
}

/* ---- images ---- */

static const char *image_type(const struct strata_image_source *image) {
    static const struct {
        const char *magic, *type;
    } kinds[] = {{"\x89PNG", "png"}, {"\xff\xd8\xff", "jpeg"}, {"RIFF", "webp"}, {"GIF8", "gif"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].magic);
        if (image->length > length && memcmp(image->bytes, kinds[i].magic, length) == 0) return kinds[i].type;
    }
    return "bin";
}

/* Bytes to a file called after their hash, so that equal images are written once. */
static int extract_image(char **name, const struct strata_export *export, const struct strata_image_source *image,
                         struct strata_error *err) {
    char hash[33], file[48];
    strata_hash_text(hash, strata_hash_bytes(image->bytes, image->length));
    snprintf(file, sizeof file, "%s.%s", hash, image_type(image));
    char *path = strata_path_join(export->image_folder, file);
    *name = strata_path_join(export->image_prefix, file);
    int code = path && *name ? strata_make_directories(export->image_folder, err) : no_memory(err);
    if (!code && !strata_file_exists(path)) code = strata_file_write(path, image->bytes, image->length, err);
    free(path);
    return code;
}

/* Bytes as a file beside what is written. */
static int file_name(char **name, const struct strata_export *export, const struct strata_image_source *image,
                     struct strata_error *err) {
    int code = extract_image(name, export, image, err);
    if (code || export->paths != STRATA_PATHS_ABSOLUTE) return code;
    char *full = strata_path_join(export->folder, *name);
    free(*name);
    *name = full;
    return full ? 0 : no_memory(err);
}

/* No trainer looks into archives: a member becomes a file. */
static int member_name(char **name, const struct strata_export *export, const struct strata_image_source *image,
                       struct strata_error *err) {
    struct strata_buffer bytes = {0};
    int code = strata_image_source_read(&bytes, image, err);
    const struct strata_image_source inside = {.bytes = (unsigned char *)bytes.data, .length = bytes.length};
    if (!code) code = file_name(name, export, &inside, err);
    strata_buffer_free(&bytes);
    return code;
}

/* ms-swift reads data URLs; LLaMA-Factory and TRL want files. */
static int image_name(char **name, const struct strata_export *export, const struct strata_image_source *image,
                      const char *folder, struct strata_error *err) {
    *name = NULL;
    if (image->archive && export->paths != STRATA_PATHS_KEEP) return member_name(name, export, image, err);
    if (!image->bytes) {
        *name = folder ? strata_path_join(folder, image->name) : strata_strdup(image->name);
        return *name ? 0 : no_memory(err);
    }
    if (export->format != STRATA_FORMAT_SWIFT) return file_name(name, export, image, err);
    struct strata_buffer url = {0};
    strata_buffer_printf(&url, "data:image/%s;base64,", image_type(image));
    strata_base64_encode(&url, image->bytes, image->length);
    *name = url.data;
    return strata_buffer_check(&url, err);
}

static int not_text(const struct strata_sample *sample, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_INPUT, "an image's name is not UTF-8");
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", sample->where);
}

/* verl: {"bytes": base64, "path": name}. Those of files are read as they are written (export_parquet.c). */
static int add_verl_image(json_t *images, const struct strata_image_source *image, const struct strata_sample *sample,
                          struct strata_error *err) {
    struct strata_buffer base64 = {0};
    if (image->bytes) strata_base64_encode(&base64, image->bytes, image->length);
    json_t *bytes = image->bytes ? json_stringn(strata_buffer_string(&base64), base64.length) : json_null();
    json_t *name = image->name && *image->name ? json_string(image->name) : json_null();
    strata_buffer_free(&base64);
    if (!name) json_decref(bytes);
    if (!name) return not_text(sample, err);
    json_t *pair = bytes ? json_pack("{s:o, s:o}", "bytes", bytes, "path", name) : NULL;
    return pair && !json_array_append_new(images, pair) ? 0 : no_memory(err);
}

static int add_images(json_t *record, const struct strata_export *export, const struct strata_sample *sample,
                      const char *folder, struct strata_error *err) {
    json_t *images = json_array();
    int code = json_object_set_new(record, "images", images) ? no_memory(err) : 0;
    for (size_t i = 0; i < sample->image_count && !code; i++) {
        char *name;
        if (export->format == STRATA_FORMAT_VERL) {
            code = add_verl_image(images, &sample->images[i], sample, err);
            continue;
        }
        code = image_name(&name, export, &sample->images[i], folder, err);
        if (!code && json_array_append_new(images, json_string(name))) code = not_text(sample, err);
        free(name);
    }
    return code;
}

/* ---- the other columns ---- */

static bool is_one_of(const char *key, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, names[i]) == 0) return true;
    return false;
}

/* Is what this column held written under another name already? */
static bool is_consumed(const char *key, const json_t *record) {
    static const char *const alpaca[] = {"instruction", "input", "output", "history", "system"};
    enum strata_turns kind = strata_record_turns(record);
    const char *images = strata_record_value(record, "images") ? "images" : "image";
    if (strcmp(key, "id") == 0 || strcmp(key, images) == 0 || strcmp(key, strata_turns_key(kind)) == 0) return true;
    if (kind == STRATA_TURNS_INSTRUCTION && is_one_of(key, alpaca, sizeof alpaca / sizeof *alpaca)) return true;
    return kind == STRATA_TURNS_PROMPT && strcmp(key, "completion") == 0 && json_is_array(json_object_get(record, key));
}

/* Would this column, under its own name, be taken for a part of the layout? */
static bool is_ambiguous(const char *key, enum strata_format format) {
    enum strata_turns written = written_turns(format);
    for (int t = 0; t <= (int)written; t++)
        if (strcmp(key, strata_turns_key((enum strata_turns)t)) == 0) return true;
    return strcmp(key, "images") == 0 || (is_prompt(format) && strcmp(key, "completion") == 0);
}

/* Has the record a solution of its own, or is it the assistant's turn? */
static bool has_solution(const json_t *record) {
    return strata_record_value(record, "solution") || strata_record_value(record, "answer") ||
           strata_record_value(record, "ground_truth") ||
           strata_record_value(strata_record_value(record, "reward_model"), "ground_truth");
}

/* Is this column written already, in a shape that verl needs? */
static bool is_verl(const json_t *record, const char *key) {
    const json_t *value = strata_record_value(record, key);
    if (strcmp(key, "data_source") == 0) return json_is_string(value);
    if (strcmp(key, "extra_info") == 0) return json_is_object(value);
    return json_is_object(value) && strata_record_value(value, "ground_truth");
}

/* What verl expects beside prompt and images, where the record has not got it. */
static int add_verl(json_t *out, const struct strata_sample *sample) {
    static const char *const keys[] = {"data_source", "reward_model", "extra_info"};
    int failed = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = is_verl(sample->record, keys[i]) ? json_incref(json_object_get(sample->record, keys[i]))
                        : i == 0                         ? json_string("strata")
                        : i == 1 ? json_pack("{s:s, s:s}", "style", "rule", "ground_truth", sample->solution)
                                 : json_pack("{s:I}", "index", (json_int_t)sample->index);
        failed |= json_object_set_new(out, keys[i], value);
    }
    return failed;
}

static int add_columns(json_t *out, enum strata_format format, const struct strata_sample *sample) {
    json_t *value, *solution = strata_record_value(sample->record, "solution");
    static const char *const verl[] = {"data_source", "reward_model", "extra_info"};
    const char *key;
    int failed = 0;
    if (format == STRATA_FORMAT_VERL) failed |= add_verl(out, sample);
    if (solution)
        failed |= json_object_set(out, "solution", solution);
    else if (format != STRATA_FORMAT_VERL && has_solution(sample->record))
        failed |= json_object_set_new(out, "solution", json_string(sample->solution));
    json_object_foreach(sample->record, key, value) {
        /* What add_verl wrote of its own stands where the record's column would. */
        bool ambiguous = is_ambiguous(key, format) || (format == STRATA_FORMAT_VERL && is_one_of(key, verl, 3));
        if (is_consumed(key, sample->record) || json_object_get(out, key) == value) continue;
        if ((ambiguous || strcmp(key, "solution") == 0) && json_is_null(value)) continue;
        struct strata_buffer name = {0};
        strata_buffer_printf(&name, "%s%s", ambiguous ? "original_" : "", key);
        failed |= name.failed || json_object_set(out, strata_buffer_string(&name), value);
        strata_buffer_free(&name);
    }
    return failed;
}

int strata_export_record(json_t **out, struct strata_export *export, const struct strata_sample *sample,
                         const char *folder, struct strata_error *err) {
    json_t *id = strata_record_value(sample->record, "id");
    json_t *record = id ? json_pack("{s:O}", "id", id) : json_pack("{s:s}", "id", sample->id);
    int code = !record || add_turns(record, export->format, sample) ? no_memory(err) : 0;
    if (!code) code = add_images(record, export, sample, folder, err);
    if (!code && add_columns(record, export->format, sample)) code = no_memory(err);
    if (code)
        json_decref(record);
    else
        *out = record;
    return code;
}

int strata_export_llamafactory_info(const char *directory, const char *name, struct strata_error *err) {
    char *path = strata_path_join(directory, STRATA_LLAMAFACTORY_INFO);
    json_t *info = NULL;
    struct strata_buffer text = {0}, file = {0};
    int code = path ? 0 : no_memory(err);
    if (!code && strata_file_exists(path)) code = strata_json_load(&info, path, INFO_LIMIT, err);
    if (!code && !info) info = json_object();
    strata_buffer_printf(&file, "%s.jsonl", name);
    if (!code) {
        json_t *entry = json_pack("{s:s, s:s, s:{s:s, s:s}}", "file_name", strata_buffer_string(&file), "formatting",
                                  "sharegpt", "columns", "messages", "conversations", "images", "images");
        if (json_object_set_new(info, name, entry)) code = no_memory(err);
    }
    char *pretty = code ? NULL : json_dumps(info, JSON_INDENT(2));
    if (pretty) strata_buffer_printf(&text, "%s\n", pretty);
    if (!code && (!pretty || text.failed)) code = no_memory(err);
    if (!code) code = strata_file_write(path, text.data, text.length, err);
    free(pretty);
    free(path);
    json_decref(info);
    strata_buffer_free(&text);
    strata_buffer_free(&file);
    return code;
}
