#include "model/init.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "model/prompt.h"
#include "model/weights.h"

#define TOKENIZER_LIMIT ((size_t)256 << 20) /* bytes of tokenizer.json; Qwen2.5's has 7 MB */
#define SETTINGS_LIMIT  ((size_t)16 << 20)  /* bytes of tokenizer_config.json */

static int out_of_memory(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* The path of `name` in what may be a directory, or the file beside it: NULL when memory is out. */
static char *beside(const char *path, const char *name) {
    if (strata_is_directory(path)) return strata_path_join(path, name);
    char *directory = strata_path_directory(path), *out = directory ? strata_path_join(directory, name) : NULL;
    free(directory);
    return out;
}

static int write_text(const char *directory, const char *name, const char *text, struct strata_error *err) {
    char *path = strata_path_join(directory, name);
    int code = path ? strata_file_write(path, text, strlen(text), err) : out_of_memory(err);
    free(path);
    return code;
}

/* Takes the reference to value; NULL is out of memory. */
static int write_json(const char *directory, const char *name, json_t *value, struct strata_error *err) {
    char *text = value ? json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    int code = text ? write_text(directory, name, text, err) : out_of_memory(err);
    free(text);
    json_decref(value);
    return code;
}

static int copy_file(const char *from, const char *directory, const char *name, struct strata_error *err) {
    struct strata_buffer bytes = {0};
    char *to = strata_path_join(directory, name);
    int code = to ? strata_file_read(&bytes, from, TOKENIZER_LIMIT, err) : out_of_memory(err);
    if (!code) code = strata_file_write(to, bytes.data, bytes.length, err);
    strata_buffer_free(&bytes);
    free(to);
    return code;
}

static bool is_preset(const char *config) {
    struct strata_model_config unused;
    return strata_model_preset(&unused, config, NULL) == STRATA_OK;
}

struct token_id {
    const char *content;
    int32_t *id;
};

/* A preset takes its ids, and tiny its vocabulary, from the tokenizer. */
static int adopt_tokenizer(struct strata_model_config *config, const struct strata_tokenizer *tokenizer, bool tiny,
                           struct strata_error *err) {
    const struct token_id tokens[] = {{"<|image_pad|>", &config->special.image},
                                      {"<|video_pad|>", &config->special.video},
                                      {"<|vision_start|>", &config->special.vision_start},
                                      {"<|vision_end|>", &config->special.vision_end},
                                      {"<|im_end|>", &config->stop_ids[0]},
                                      {"<|endoftext|>", &config->stop_ids[1]}};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        *tokens[i].id = strata_tokenizer_id(tokenizer, tokens[i].content);
        if (*tokens[i].id < 0)
            return strata_fail(err, STRATA_ERR_INPUT, "the tokenizer has no '%s'", tokens[i].content);
    }
    if (tiny) config->text.vocabulary = (strata_tokenizer_size(tokenizer) + 63) / 64 * 64;
    return STRATA_OK;
}

static int check_tokenizer(struct strata_model_config *config, const struct strata_tokenizer *tokenizer,
                           struct strata_error *err) {
    const struct token_id tokens[] = {{"<|image_pad|>", &config->special.image},
                                      {"<|vision_start|>", &config->special.vision_start},
                                      {"<|vision_end|>", &config->special.vision_end}};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        int32_t id = strata_tokenizer_id(tokenizer, tokens[i].content);
        if (id != *tokens[i].id)
            return strata_fail(err, STRATA_ERR_INPUT, "'%s' is %d in the config and %d in the tokenizer",
                               tokens[i].content, *tokens[i].id, id);
    }
    return STRATA_OK;
}

static int fit_tokenizer(struct strata_model_config *config, const char *config_name, const char *tokenizer_path,
                         struct strata_error *err) {
    struct strata_tokenizer *tokenizer = NULL;
    char *path = beside(tokenizer_path, "tokenizer.json");
    int code = path ? strata_tokenizer_open(&tokenizer, path, err) : out_of_memory(err);
    if (!code) {
        code = is_preset(config_name) ? adopt_tokenizer(config, tokenizer, strcmp(config_name, "tiny") == 0, err)
                                      : check_tokenizer(config, tokenizer, err);
        if (!code && strata_tokenizer_size(tokenizer) > config->text.vocabulary)
            code = strata_fail(err, STRATA_ERR_INPUT, "the tokenizer has %zu ids, the model's vocabulary %zu",
                               strata_tokenizer_size(tokenizer), config->text.vocabulary);
        if (code) strata_fail_at(err, code, "%s", path);
    }
    strata_tokenizer_close(tokenizer);
    free(path);
    return code;
}

/* tokenizer_config.json of the source, or a small one, with the chat template that a Qwen2.5-VL model is asked with:
 * a text model's tokenizer brings another. */
static int write_tokenizer_settings(const char *directory, const char *tokenizer_path, struct strata_error *err) {
    json_t *settings = NULL;
    char *from = beside(tokenizer_path, "tokenizer_config.json");
    int code = from ? STRATA_OK : out_of_memory(err);
    if (!code && strata_file_exists(from))
        code = strata_json_load(&settings, from, SETTINGS_LIMIT, err);
    else if (!code)
        settings = json_pack("{s:s, s:s, s:s}", "tokenizer_class", "Qwen2Tokenizer", "eos_token", "<|im_end|>",
                             "pad_token", "<|endoftext|>");
    free(from);
    if (!code && (json_object_set_new(settings, "chat_template", json_string(strata_chat_template_text())) ||
                  json_object_set_new(settings, "processor_class", json_string("Qwen2_5_VLProcessor")))) {
        json_decref(settings);
        return strata_fail(err, STRATA_ERR_INPUT, "tokenizer_config.json is not an object");
    }
    return code ? code : write_json(directory, "tokenizer_config.json", settings, err);
}

static int write_tokenizer(const char *directory, const char *tokenizer_path, struct strata_error *err) {
    char *from = beside(tokenizer_path, "tokenizer.json");
    int code = from ? copy_file(from, directory, "tokenizer.json", err) : out_of_memory(err);
    if (!code) code = write_tokenizer_settings(directory, tokenizer_path, err);
    free(from);
    return code;
}

/* Qwen2.5-VL's published processor: 4 to 16,384 image tokens. */
static json_t *processor_object(const struct strata_vision_config *vision) {
    const json_int_t side = (json_int_t)vision->patch_size * (json_int_t)vision->merge_size;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:[f, f, f], s:[f, f, f], s:s, s:s}", "min_pixels", 4 * side * side,
                     "max_pixels", 16384 * side * side, "patch_size", (json_int_t)vision->patch_size,
                     "temporal_patch_size", (json_int_t)vision->temporal_patch_size, "merge_size",
                     (json_int_t)vision->merge_size, "image_mean", 0.48145466, 0.4578275, 0.40821073, "image_std",
                     0.26862954, 0.26130258, 0.27577711, "image_processor_type", "Qwen2VLImageProcessor",
                     "processor_class", "Qwen2_5_VLProcessor");
}

static int write_processor(const char *directory, const char *config_name, const struct strata_model_config *config,
                           struct strata_error *err) {
    const char *name = "preprocessor_config.json";
    char *from = is_preset(config_name) ? NULL : beside(config_name, name);
    int code = from && strata_file_exists(from) ? copy_file(from, directory, name, err)
                                                : write_json(directory, name, processor_object(&config->vision), err);
    free(from);
    return code;
}

static int write_generation(const char *directory, const struct strata_model_config *config, struct strata_error *err) {
    json_t *ids = json_array();
    for (size_t i = 0; i < config->stop_count; i++) json_array_append_new(ids, json_integer(config->stop_ids[i]));
    json_t *object = json_pack("{s:b, s:o, s:f}", "do_sample", 0, "eos_token_id", ids, "repetition_penalty", 1.0);
    if (object && config->stop_count > 0)
        json_object_set_new(object, "pad_token_id", json_integer(config->stop_ids[config->stop_count - 1]));
    return write_json(directory, "generation_config.json", object, err);
}

static int write_weights(const char *directory, const struct strata_model_config *config, uint64_t seed,
                         enum strata_dtype dtype, struct strata_threads *threads, struct strata_error *err) {
    const enum strata_weight_type type = dtype == STRATA_DTYPE_BF16 ? STRATA_WEIGHT_BF16 : STRATA_WEIGHT_F32;
    struct strata_weights weights = {0};
    char *path = strata_path_join(directory, "model.safetensors");
    int code = path ? strata_weights_init_threads(&weights, config, config->initializer_range, seed, type, threads, err)
                    : out_of_memory(err);
    if (!code) {
        code = strata_weights_save(&weights, config, path, dtype, err);
        strata_weights_free(&weights, config);
    }
    free(path);
    return code;
}

/* Nothing that is already there may be mistaken for a part of the new model. */
static int check_free(const char *directory, struct strata_error *err) {
    static const char *const names[] = {"config.json", "model.safetensors", "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = strata_path_join(directory, names[i]);
        if (!path) return out_of_memory(err);
        bool there = strata_file_exists(path);
        if (there) {
            strata_fail(err, STRATA_ERR_STATE, "the directory already holds a model");
            strata_fail_at(err, STRATA_ERR_STATE, "%s", path);
            strata_fail_hint(err, STRATA_ERR_STATE, "name a new directory, or remove this one");
        }
        free(path);
        if (there) return STRATA_ERR_STATE;
    }
    return STRATA_OK;
}

static int write_config(const char *directory, const struct strata_model_config *config, enum strata_dtype dtype,
                        struct strata_error *err) {
    char *text;
    int code = strata_model_config_text(&text, config, dtype == STRATA_DTYPE_BF16 ? "bfloat16" : "float32", err);
    if (!code) code = write_text(directory, "config.json", text, err);
    free(text);
    return code;
}

int strata_model_init(const char *directory, const char *config_name, const char *tokenizer, uint64_t seed,
                      enum strata_dtype dtype, struct strata_threads *threads, struct strata_error *err) {
    struct strata_model_config config;
    if (dtype != STRATA_DTYPE_F32 && dtype != STRATA_DTYPE_BF16)
        return strata_fail(err, STRATA_ERR_USAGE, "weights are made as F32 or BF16, not %s", strata_dtype_name(dtype));
    int code = is_preset(config_name) ? strata_model_preset(&config, config_name, err)
                                      : strata_model_config_open(&config, config_name, err);
    if (!code && tokenizer) code = fit_tokenizer(&config, config_name, tokenizer, err);
    if (!code) code = strata_make_directories(directory, err);
    if (!code) code = check_free(directory, err);
    if (!code) code = write_weights(directory, &config, seed, dtype, threads, err);
    if (!code && tokenizer) code = write_tokenizer(directory, tokenizer, err);
    if (!code)
        code = write_json(directory, "chat_template.json",
                          json_pack("{s:s}", "chat_template", strata_chat_template_text()), err);
    if (!code) code = write_processor(directory, config_name, &config, err);
    if (!code) code = write_generation(directory, &config, err);
    return code ? code : write_config(directory, &config, dtype, err);
}
