/* config.json and generation_config.json of a Qwen2.5-VL model directory, in both layouts: flat as on the hub, nested
 * `text_config` as transformers 5 writes. Every number is range-checked; a wrong one is an error naming its key. */
#ifndef STRATA_MODEL_CONFIG_H
#define STRATA_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/prompt.h"
#include "strata/error.h"

/* Bounds of what a config may ask for: two sizes of a matrix times the layers times a float stay below 2^50 bytes. */
#define STRATA_MAX_LAYERS       256
#define STRATA_MAX_WIDTH        65536 /* hidden sizes */
#define STRATA_MAX_INTERMEDIATE (1 << 20)
#define STRATA_MAX_VOCABULARY   (1 << 22)
#define STRATA_MAX_CONTEXT      (1 << 24)
#define STRATA_MAX_HEADS        1024
#define STRATA_MAX_HEAD_SIZE    256
#define STRATA_MAX_STOP_IDS     16

struct strata_text_config {
    size_t hidden, layers, heads, kv_heads, head_size, intermediate, vocabulary, context;
    float rms_eps;
    double rope_theta;
    uint32_t mrope_sections[3]; /* temporal, height, width; sums to head_size/2 */
    bool tied;                  /* lm_head is the embedding */
};
struct strata_vision_config {
    size_t hidden, depth, heads, intermediate, out_hidden; /* out_hidden == text hidden */
    size_t patch_size, merge_size, temporal_patch_size, channels, window_size;
    bool full_attention[STRATA_MAX_LAYERS]; /* per block; the others attend within windows */
};
struct strata_model_config {
    struct strata_text_config text;
    struct strata_vision_config vision;
    struct strata_special_ids special;
    int32_t stop_ids[STRATA_MAX_STOP_IDS]; /* generation_config's eos_token_id (else config's) */
    size_t stop_count;
    double initializer_range;            /* standard deviation of new weights; 0.02 where the file has none */
    float generation_repetition_penalty; /* what generation_config asks for; used only when asked (contract 9) */
};
/* Reads DIR/config.json (or the file itself when `path` is one) and, if there, DIR/generation_config.json. im_start and
 * im_end are left -1 here: they come from the tokenizer. */
int strata_model_config_open(struct strata_model_config *out, const char *path, struct strata_error *err);
/* The same from memory, config.json first; `name` places errors. */
int strata_model_config_parse(struct strata_model_config *out, const char *text, size_t length, const char *name,
                              struct strata_error *err);
int strata_generation_config_parse(struct strata_model_config *config, const char *text, size_t length,
                                   const char *name, struct strata_error *err);
/* config.json in the flat hub layout, as text to be written; owned by the caller. */
int strata_model_config_text(char **out, const struct strata_model_config *config, const char *torch_dtype,
                             struct strata_error *err);

#endif
