/* Reading config.json. Defaults where a key is absent, and what wins where a key stands twice, follow transformers'
 * Qwen2_5_VLConfig, Qwen2_5_VLTextConfig and Qwen2_5_VLVisionConfig: `text_config` before the top level, but special
 * token ids and tie_word_embeddings belong to the top level. What transformers would compute differently from us is
 * refused, not ignored. */
#include "model/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#define FILE_LIMIT (1u << 20) /* bytes of a config file */

/* The three objects a key can be in. text is the top level itself in the flat layout. */
struct source {
    const json_t *top, *text, *vision;
    const char *name; /* of the file */
};

static bool has(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return value && !json_is_null(value);
}

/* The object to read `key` from: the first of the two that has it. */
static const json_t *holder(const json_t *first, const json_t *second, const char *key) {
    return has(first, key) || !has(second, key) ? first : second;
}

static int fail(const struct source *source, int code, struct strata_error *err) {
    return strata_fail_at(err, code, "%s", source->name);
}

struct size_key {
    const char *key;
    size_t offset; /* of the size_t in its struct */
    int64_t low, high;
    size_t absent; /* value where the key is absent; 0: the key is required */
};

#define TEXT(member)   offsetof(struct strata_text_config, member)
#define VISION(member) offsetof(struct strata_vision_config, member)
static const struct size_key TEXT_KEYS[] = {
    {"hidden_size", TEXT(hidden), 1, STRATA_MAX_WIDTH, 0},
    {"num_hidden_layers", TEXT(layers), 1, STRATA_MAX_LAYERS, 0},
    {"num_attention_heads", TEXT(heads), 1, STRATA_MAX_HEADS, 0},
    {"intermediate_size", TEXT(intermediate), 1, STRATA_MAX_INTERMEDIATE, 0},
    {"vocab_size", TEXT(vocabulary), 1, STRATA_MAX_VOCABULARY, 0},
    {"max_position_embeddings", TEXT(context), 1, STRATA_MAX_CONTEXT, 32768},
};
static const struct size_key VISION_KEYS[] = {
    {"depth", VISION(depth), 1, STRATA_MAX_LAYERS, 32},
    {"num_heads", VISION(heads), 1, STRATA_MAX_HEADS, 16},
    {"intermediate_size", VISION(intermediate), 1, STRATA_MAX_INTERMEDIATE, 3420},
    {"patch_size", VISION(patch_size), 1, 64, 14},
    {"spatial_merge_size", VISION(merge_size), 1, 8, 2},
    {"temporal_patch_size", VISION(temporal_patch_size), 1, 8, 2},
    {"window_size", VISION(window_size), 1, 1 << 16, 112},
};

static int read_size(size_t *out, const struct source *source, const json_t *first, const json_t *second,
                     const struct size_key *key, struct strata_error *err) {
    int64_t value = (int64_t)key->absent;
    int code = strata_json_int(&value, holder(first, second, key->key), key->key, key->absent == 0, key->low, key->high,
                               source->name, err);
    if (!code) *out = (size_t)value;
    return code;
}

static int read_sizes(void *config, const struct source *source, const json_t *first, const json_t *second,
                      const struct size_key *keys, size_t count, struct strata_error *err) {
    for (size_t i = 0; i < count; i++) {
        size_t *member = (size_t *)(void *)((char *)config + keys[i].offset);
        int code = read_size(member, source, first, second, &keys[i], err);
        if (code) return code;
    }
    return STRATA_OK;
}

/* object[key], when present, must be one of the two words. */
static int check_word(const struct source *source, const json_t *object, const char *key, const char *word,
                      const char *other, struct strata_error *err) {
    const char *value = NULL;
    int code = strata_json_string(&value, object, key, false, source->name, err);
    if (code || !value || strcmp(value, word) == 0 || strcmp(value, other) == 0) return code;
    strata_fail(err, STRATA_ERR_UNSUPPORTED, "'%s' is '%.64s'; only '%s' is implemented", key, value, word);
    return fail(source, STRATA_ERR_UNSUPPORTED, err);
}

/* Everything that would make it another model than the one implemented here. */
static int check_supported(const struct source *source, struct strata_error *err) {
    bool sliding = false;
    int code;
    if (!has(source->top, "model_type")) {
        strata_fail(err, STRATA_ERR_INPUT, "key 'model_type' is missing");
        return fail(source, STRATA_ERR_INPUT, err);
    }
    if ((code = check_word(source, source->top, "model_type", "qwen2_5_vl", "qwen2_5_vl_text", err)) ||
        (code = check_word(source, source->text, "model_type", "qwen2_5_vl_text", "qwen2_5_vl", err)) ||
        (code = check_word(source, source->vision, "model_type", "qwen2_5_vl", "qwen2_5_vl_vision", err)) ||
        (code = check_word(source, source->text, "hidden_act", "silu", "silu", err)) ||
        (code = check_word(source, source->vision, "hidden_act", "silu", "silu", err)) ||
        (code = strata_json_bool(&sliding, source->text, "use_sliding_window", false, source->name, err)))
        return code;
    if (sliding) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "'use_sliding_window' is true; only full attention is implemented");
        return fail(source, STRATA_ERR_UNSUPPORTED, err);
    }
    const json_t *types = json_object_get(source->text, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type && strcmp(type, "full_attention") == 0) continue;
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "'layer_types': layer %zu is not 'full_attention'", i);
        return fail(source, STRATA_ERR_UNSUPPORTED, err);
    }
    if (has(source->top, "quantization_config")) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "'quantization_config': quantised checkpoints are not read");
        strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "use the bf16 checkpoint it was made from");
        return fail(source, STRATA_ERR_UNSUPPORTED, err);
    }
    return STRATA_OK;
}

static int read_rope(struct strata_text_config *text, const struct source *source, struct strata_error *err) {
    const char *key = has(source->text, "rope_parameters") ? "rope_parameters" : "rope_scaling";
    const json_t *rope = json_object_get(holder(source->text, source->top, key), key);
    bool interleaved = false;
    int code;
    if (!json_is_object(rope)) {
        strata_fail(err, STRATA_ERR_INPUT, "key 'rope_scaling' (or 'rope_parameters') is missing or not an object");
        return fail(source, STRATA_ERR_INPUT, err);
    }
    if ((code = check_word(source, rope, "type", "mrope", "default", err)) ||
        (code = check_word(source, rope, "rope_type", "default", "mrope", err)) ||
        (code = strata_json_bool(&interleaved, rope, "mrope_interleaved", false, source->name, err)) ||
        (code = strata_json_real(&text->rope_theta,
                                 holder(rope, holder(source->text, source->top, "rope_theta"), "rope_theta"),
                                 "rope_theta", true, source->name, err)))
        return code;
    if (interleaved) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED,
                    "'mrope_interleaved' is true; only Qwen2.5-VL's layout is implemented");
        return fail(source, STRATA_ERR_UNSUPPORTED, err);
    }
    if (!(text->rope_theta >= 1.0 && text->rope_theta <= 1e12)) {
        strata_fail(err, STRATA_ERR_INPUT, "'rope_theta' is %g, not within [1, 1e12]", text->rope_theta);
        return fail(source, STRATA_ERR_INPUT, err);
    }
    const json_t *sections = json_object_get(rope, "mrope_section");
    size_t sum = 0;
    bool good = json_array_size(sections) == 3;
    for (size_t i = 0; good && i < 3; i++) {
        const json_t *section = json_array_get(sections, i);
        json_int_t value = json_is_integer(section) ? json_integer_value(section) : -1;
        good = value >= 0 && value <= STRATA_MAX_HEAD_SIZE;
        if (!good) break;
        text->mrope_sections[i] = (uint32_t)value;
        sum += (size_t)value;
    }
    if (!good || sum * 2 != text->head_size) {
        strata_fail(err, STRATA_ERR_INPUT, "'mrope_section' must be three sizes that sum to half the head size, %zu",
                    text->head_size / 2);
        return fail(source, STRATA_ERR_INPUT, err);
    }
    return STRATA_OK;
}

static int read_tied(bool *tied, const struct source *source, struct strata_error *err) {
    bool top = false, text = false;
    const char *key = "tie_word_embeddings";
    int code = strata_json_bool(&top, source->top, key, false, source->name, err);
    if (!code) code = strata_json_bool(&text, source->text, key, false, source->name, err);
    if (code) return code;
    if (has(source->top, key) && has(source->text, key) && top != text) {
        strata_fail(err, STRATA_ERR_INPUT, "'%s' is %s at the top level and %s in 'text_config'", key,
                    top ? "true" : "false", text ? "true" : "false");
        strata_fail_hint(err, STRATA_ERR_INPUT, "true if the checkpoint has no lm_head.weight");
        return fail(source, STRATA_ERR_INPUT, err);
    }
    *tied = top || text;
    return STRATA_OK;
}

static int read_text(struct strata_text_config *text, const struct source *source, struct strata_error *err) {
    double eps = 0;
    int code =
        read_sizes(text, source, source->text, source->top, TEXT_KEYS, sizeof TEXT_KEYS / sizeof *TEXT_KEYS, err);
    if (code) return code;
    const struct size_key kv_key = {"num_key_value_heads", 0, 1, STRATA_MAX_HEADS, text->heads};
    /* A derived head size of 0 (more heads than channels) must not read as "required": it is refused below. */
    size_t derived = text->hidden / text->heads;
    const struct size_key head_key = {"head_dim", 0, 1, STRATA_MAX_HEAD_SIZE, derived > 0 ? derived : 1};
    if ((code = read_size(&text->kv_heads, source, source->text, source->top, &kv_key, err)) ||
        (code = read_size(&text->head_size, source, source->text, source->top, &head_key, err)) ||
        (code = strata_json_real(&eps, holder(source->text, source->top, "rms_norm_eps"), "rms_norm_eps", true,
                                 source->name, err)) ||
        (code = read_tied(&text->tied, source, err)))
        return code;
    if (text->heads % text->kv_heads != 0)
        strata_fail(err, code = STRATA_ERR_INPUT,
                    "'num_attention_heads' (%zu) is no multiple of "
                    "'num_key_value_heads' (%zu)",
                    text->heads, text->kv_heads);
    else if (!has(holder(source->text, source->top, "head_dim"), "head_dim") && text->hidden % text->heads != 0)
        strata_fail(err, code = STRATA_ERR_INPUT, "'hidden_size' (%zu) is no multiple of 'num_attention_heads' (%zu)",
                    text->hidden, text->heads);
    else if (text->head_size % 2 != 0 || text->head_size > STRATA_MAX_HEAD_SIZE)
        strata_fail(err, code = STRATA_ERR_INPUT, "the head size (%zu) is odd or larger than %d", text->head_size,
                    STRATA_MAX_HEAD_SIZE);
    else if (!(eps >= 1e-30 && eps < 1))
        strata_fail(err, code = STRATA_ERR_INPUT, "'rms_norm_eps' is %g, not within [1e-30, 1)", eps);
    if (code) return fail(source, code, err);
    text->rms_eps = (float)eps;
    return read_rope(text, source, err);
}

/* Indices past the last block are ignored, as transformers does: small models saved with its default list have them. */
static int read_full_attention(struct strata_vision_config *vision, const struct source *source,
                               struct strata_error *err) {
    static const size_t absent[] = {7, 15, 23, 31};
    const json_t *list = json_object_get(source->vision, "fullatt_block_indexes");
    if (!list || json_is_null(list)) {
        for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
            if (absent[i] < vision->depth) vision->full_attention[absent[i]] = true;
        return STRATA_OK;
    }
    bool good = json_is_array(list);
    for (size_t i = 0; good && i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        good = json_is_integer(value) && json_integer_value(value) >= 0;
        if (good && json_integer_value(value) < (json_int_t)vision->depth)
            vision->full_attention[json_integer_value(value)] = true;
    }
    if (good) return STRATA_OK;
    strata_fail(err, STRATA_ERR_INPUT, "'fullatt_block_indexes' is not a list of block indices");
    return fail(source, STRATA_ERR_INPUT, err);
}

static int check_vision(const struct strata_vision_config *vision, size_t text_hidden, struct strata_error *err) {
    if (vision->out_hidden != text_hidden)
        return strata_fail(err, STRATA_ERR_INPUT, "'out_hidden_size' (%zu) differs from the text's 'hidden_size' (%zu)",
                           vision->out_hidden, text_hidden);
    if (vision->hidden % vision->heads != 0)
        return strata_fail(err, STRATA_ERR_INPUT, "vision 'hidden_size' (%zu) is no multiple of 'num_heads' (%zu)",
                           vision->hidden, vision->heads);
    size_t head_size = vision->hidden / vision->heads;
    if (head_size % 4 != 0 || head_size > STRATA_MAX_HEAD_SIZE) /* half for rows, half for columns, each in pairs */
        return strata_fail(err, STRATA_ERR_INPUT, "the vision head size (%zu) is no multiple of 4 up to %d", head_size,
                           STRATA_MAX_HEAD_SIZE);
    if (vision->window_size % (vision->patch_size * vision->merge_size) != 0)
        return strata_fail(err, STRATA_ERR_INPUT,
                           "'window_size' (%zu) is no multiple of 'patch_size' x "
                           "'spatial_merge_size' (%zu)",
                           vision->window_size, vision->patch_size * vision->merge_size);
    if (vision->channels != 3)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "'in_chans' is %zu; only RGB is implemented", vision->channels);
    return STRATA_OK;
}

static int read_vision(struct strata_vision_config *vision, const struct source *source, size_t text_hidden,
                       struct strata_error *err) {
    const json_t *object = source->vision;
    if (!json_is_object(object)) {
        strata_fail(err, STRATA_ERR_INPUT, "key 'vision_config' is missing or not an object");
        return fail(source, STRATA_ERR_INPUT, err);
    }
    if (has(object, "embed_dim") && has(object, "hidden_size") &&
        !json_equal(json_object_get(object, "embed_dim"), json_object_get(object, "hidden_size"))) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED,
                    "'embed_dim' and vision 'hidden_size' differ: a Qwen2-VL vision tower, "
                    "not Qwen2.5-VL's");
        return fail(source, STRATA_ERR_UNSUPPORTED, err);
    }
    const struct size_key hidden = {has(object, "hidden_size") ? "hidden_size" : "embed_dim", 0, 1, STRATA_MAX_WIDTH,
                                    0};
    const struct size_key out_hidden = {"out_hidden_size", 0, 1, STRATA_MAX_WIDTH, text_hidden};
    const struct size_key channels = {has(object, "in_chans") ? "in_chans" : "in_channels", 0, 1, 64, 3};
    int code = read_sizes(vision, source, object, NULL, VISION_KEYS, sizeof VISION_KEYS / sizeof *VISION_KEYS, err);
    if (code || (code = read_size(&vision->hidden, source, object, NULL, &hidden, err)) ||
        (code = read_size(&vision->out_hidden, source, object, NULL, &out_hidden, err)) ||
        (code = read_size(&vision->channels, source, object, NULL, &channels, err)) ||
        (code = read_full_attention(vision, source, err)))
        return code;
    code = check_vision(vision, text_hidden, err);
    return code ? fail(source, code, err) : STRATA_OK;
}

static int read_special(struct strata_special_ids *special, const struct source *source, size_t vocabulary,
                        struct strata_error *err) {
    const struct {
        const char *key;
        int32_t *id;
        int64_t absent;
    } keys[] = {{"image_token_id", &special->image, 151655},
                {"video_token_id", &special->video, 151656},
                {"vision_start_token_id", &special->vision_start, 151652},
                {"vision_end_token_id", &special->vision_end, 151653}};
    special->im_start = special->im_end = -1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int64_t id = keys[i].absent;
        int code =
            strata_json_int(&id, holder(source->top, source->text, keys[i].key), keys[i].key,
                            keys[i].absent >= (int64_t)vocabulary, 0, (int64_t)vocabulary - 1, source->name, err);
        if (code) return code;
        *keys[i].id = (int32_t)id;
        for (size_t j = 0; j < i; j++) {
            if (*keys[j].id != *keys[i].id) continue;
            strata_fail(err, STRATA_ERR_INPUT, "'%s' and '%s' are both %lld", keys[j].key, keys[i].key, (long long)id);
            return fail(source, STRATA_ERR_INPUT, err);
        }
    }
    return STRATA_OK;
}

static int add_stop_id(struct strata_model_config *config, const json_t *value, const struct source *source,
                       struct strata_error *err) {
    json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    if (id < 0 || id >= (json_int_t)config->text.vocabulary) {
        strata_fail(err, STRATA_ERR_INPUT, "'eos_token_id' is not an id (or a list of ids) below 'vocab_size', %zu",
                    config->text.vocabulary);
        return fail(source, STRATA_ERR_INPUT, err);
    }
    for (size_t i = 0; i < config->stop_count; i++)
        if (config->stop_ids[i] == (int32_t)id) return STRATA_OK;
    if (config->stop_count == STRATA_MAX_STOP_IDS) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "'eos_token_id' has more than %d ids", STRATA_MAX_STOP_IDS);
        return fail(source, STRATA_ERR_UNSUPPORTED, err);
    }
    config->stop_ids[config->stop_count++] = (int32_t)id;
    return STRATA_OK;
}

static int read_stop_ids(struct strata_model_config *config, const json_t *value, const struct source *source,
                         struct strata_error *err) {
    config->stop_count = 0;
    if (!json_is_array(value)) return add_stop_id(config, value, source, err);
    for (size_t i = 0; i < json_array_size(value); i++) {
        int code = add_stop_id(config, json_array_get(value, i), source, err);
        if (code) return code;
    }
    return STRATA_OK;
}

static int read_initializer_range(double *range, const struct source *source, struct strata_error *err) {
    const char *key = "initializer_range";
    int code = strata_json_real(range, holder(source->text, source->top, key), key, false, source->name, err);
    if (code || (*range > 0 && *range <= 100)) return code;
    strata_fail(err, STRATA_ERR_INPUT, "'%s' is %g, not within (0, 100]", key, *range);
    return fail(source, STRATA_ERR_INPUT, err);
}

int strata_model_config_parse(struct strata_model_config *out, const char *text, size_t length, const char *name,
                              struct strata_error *err) {
    json_t *top = NULL;
    int code = strata_json_parse(&top, text, length, name, 1, err);
    if (code) return code;
    const json_t *nested = json_object_get(top, "text_config");
    const struct source source = {.top = top,
                                  .text = json_is_object(nested) ? nested : top,
                                  .vision = json_object_get(top, "vision_config"),
                                  .name = name};
    *out = (struct strata_model_config){.generation_repetition_penalty = 1.0f, .initializer_range = 0.02};
    if (!json_is_object(top) || (nested && !json_is_object(nested))) {
        strata_fail(err, code = STRATA_ERR_INPUT, "%s is not an object", json_is_object(top) ? "'text_config'" : "it");
        code = fail(&source, code, err);
    }
    if (!code) code = check_supported(&source, err);
    if (!code) code = read_text(&out->text, &source, err);
    if (!code) code = read_vision(&out->vision, &source, out->text.hidden, err);
    if (!code) code = read_special(&out->special, &source, out->text.vocabulary, err);
    if (!code) code = read_initializer_range(&out->initializer_range, &source, err);
    const json_t *eos = holder(source.top, source.text, "eos_token_id");
    if (!code && has(eos, "eos_token_id"))
        code = read_stop_ids(out, json_object_get(eos, "eos_token_id"), &source, err);
    json_decref(top);
    return code;
}

int strata_generation_config_parse(struct strata_model_config *config, const char *text, size_t length,
                                   const char *name, struct strata_error *err) {
    json_t *top = NULL;
    double penalty = 1.0;
    int code = strata_json_parse(&top, text, length, name, 1, err);
    if (code) return code;
    const struct source source = {.top = top, .text = top, .name = name};
    if (!json_is_object(top)) {
        strata_fail(err, code = STRATA_ERR_INPUT, "it is not an object");
        code = fail(&source, code, err);
    }
    if (!code && has(top, "eos_token_id"))
        code = read_stop_ids(config, json_object_get(top, "eos_token_id"), &source, err);
    if (!code) code = strata_json_real(&penalty, top, "repetition_penalty", false, name, err);
    if (!code && !(penalty > 0 && penalty <= 1000)) {
        strata_fail(err, code = STRATA_ERR_INPUT, "'repetition_penalty' is %g, not within (0, 1000]", penalty);
        code = fail(&source, code, err);
    }
    if (!code) config->generation_repetition_penalty = (float)penalty;
    json_decref(top);
    return code;
}

static int read_files(struct strata_model_config *out, const char *config_path, const char *generation_path,
                      struct strata_error *err) {
    struct strata_buffer text = {0};
    int code = strata_file_read(&text, config_path, FILE_LIMIT, err);
    if (!code) code = strata_model_config_parse(out, strata_buffer_string(&text), text.length, config_path, err);
    if (!code && strata_file_exists(generation_path)) {
        code = strata_file_read(&text, generation_path, FILE_LIMIT, err);
        if (!code)
            code = strata_generation_config_parse(out, strata_buffer_string(&text), text.length, generation_path, err);
    }
    strata_buffer_free(&text);
    return code;
}

int strata_model_config_open(struct strata_model_config *out, const char *path, struct strata_error *err) {
    bool is_directory = strata_is_directory(path);
    char *directory = is_directory ? strata_strdup(path) : strata_path_directory(path);
    char *config_path = is_directory ? strata_path_join(path, "config.json") : strata_strdup(path);
    char *generation_path = directory ? strata_path_join(directory, "generation_config.json") : NULL;
    int code = config_path && generation_path ? read_files(out, config_path, generation_path, err)
                                              : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(directory);
    free(config_path);
    free(generation_path);
    return code;
}
