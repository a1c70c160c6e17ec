/* Writing config.json in the flat hub layout, which every transformers since 4.49 and the converters read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "model/config.h"

/* The shortest decimal number that reads back as this float: 1e-06, not 9.9999999747524271e-07. */
static double shortest_decimal(float value) {
    char text[32];
    for (int digits = 0; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    return strtod(text, NULL);
}

static bool survives(double value) {
    char text[32];
    snprintf(text, sizeof text, "%.15g", value);
    return strtod(text, NULL) == value;
}

static json_t *vision_object(const struct strata_vision_config *vision) {
    json_t *blocks = json_array();
    for (size_t i = 0; i < vision->depth; i++)
        if (vision->full_attention[i]) json_array_append_new(blocks, json_integer((json_int_t)i));
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:i, s:I, s:s}", "depth",
                     (json_int_t)vision->depth, "hidden_act", "silu", "hidden_size", (json_int_t)vision->hidden,
                     "intermediate_size", (json_int_t)vision->intermediate, "num_heads", (json_int_t)vision->heads,
                     "in_chans", (json_int_t)vision->channels, "out_hidden_size", (json_int_t)vision->out_hidden,
                     "patch_size", (json_int_t)vision->patch_size, "spatial_merge_size", (json_int_t)vision->merge_size,
                     "spatial_patch_size", (json_int_t)vision->patch_size, "window_size",
                     (json_int_t)vision->window_size, "fullatt_block_indexes", blocks, "tokens_per_second", 2,
                     "temporal_patch_size", (json_int_t)vision->temporal_patch_size, "model_type", "qwen2_5_vl");
}

static json_t *stop_value(const struct strata_model_config *config) {
    if (config->stop_count == 0) return json_null();
    if (config->stop_count == 1) return json_integer(config->stop_ids[0]);
    json_t *list = json_array();
    for (size_t i = 0; i < config->stop_count; i++) json_array_append_new(list, json_integer(config->stop_ids[i]));
    return list;
}

static json_t *config_object(const struct strata_model_config *config, const char *torch_dtype) {
    const struct strata_text_config *text = &config->text;
    const struct strata_special_ids *special = &config->special;
    json_t *object = json_pack(
        "{s:[s], s:f, s:o, s:i, s:i, s:i, s:i}", "architectures", "Qwen2_5_VLForConditionalGeneration",
        "attention_dropout", 0.0, "eos_token_id", stop_value(config), "vision_start_token_id", special->vision_start,
        "vision_end_token_id", special->vision_end, "image_token_id", special->image, "video_token_id", special->video);
    json_t *sizes = json_pack(
        "{s:s, s:I, s:f, s:I, s:I, s:s, s:I, s:I, s:I, s:I}", "hidden_act", "silu", "hidden_size",
        (json_int_t)text->hidden, "initializer_range", config->initializer_range, "intermediate_size",
        (json_int_t)text->intermediate, "max_position_embeddings", (json_int_t)text->context, "model_type",
        "qwen2_5_vl", "num_attention_heads", (json_int_t)text->heads, "num_hidden_layers", (json_int_t)text->layers,
        "num_key_value_heads", (json_int_t)text->kv_heads, "vocab_size", (json_int_t)text->vocabulary);
    json_t *rest = json_pack("{s:f, s:f, s:b, s:s, s:s, s:b, s:b, s:o, s:{s:s, s:[i, i, i]}}", "rms_norm_eps",
                             shortest_decimal(text->rms_eps), "rope_theta", text->rope_theta, "tie_word_embeddings",
                             (int)text->tied, "torch_dtype", torch_dtype, "transformers_version", "4.49.0", "use_cache",
                             1, "use_sliding_window", 0, "vision_config", vision_object(&config->vision),
                             "rope_scaling", "type", "mrope", "mrope_section", (int)text->mrope_sections[0],
                             (int)text->mrope_sections[1], (int)text->mrope_sections[2]);
    bool good =
        object && sizes && rest && json_object_update(object, sizes) == 0 && json_object_update(object, rest) == 0;
    if (good && text->head_size * text->heads != text->hidden)
        good = json_object_set_new(object, "head_dim", json_integer((json_int_t)text->head_size)) == 0;
    json_decref(sizes);
    json_decref(rest);
    if (good) return object;
    json_decref(object);
    return NULL;
}

int strata_model_config_text(char **out, const struct strata_model_config *config, const char *torch_dtype,
                             struct strata_error *err) {
    json_t *object = config_object(config, torch_dtype);
    /* 15 digits print a decimal number as it was written (1e-06); 17 only where bits would be lost. */
    bool short_form = survives(config->text.rope_theta) && survives(config->initializer_range);
    size_t digits = short_form ? 15 : 17;
    *out = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(digits)) : NULL;
    json_decref(object);
    return *out ? STRATA_OK : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}
