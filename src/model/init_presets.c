#include <string.h>

#include "model/init.h"

struct preset {
    const char *name;
    struct strata_text_config text;
    struct strata_vision_config vision;
};

#define QWEN_IMAGES .patch_size = 14, .merge_size = 2, .temporal_patch_size = 2, .channels = 3, .window_size = 112
#define QWEN_TEXT   .rms_eps = 1e-6f, .rope_theta = 1e6, .tied = true

static const struct preset PRESETS[] = {
    {"tiny",
     {QWEN_TEXT, .hidden = 128, .layers = 4, .heads = 4, .kv_heads = 2, .head_size = 32, .intermediate = 344,
      .vocabulary = 1024, .context = 4096, .mrope_sections = {4, 6, 6}},
     {QWEN_IMAGES, .hidden = 64, .depth = 4, .heads = 4, .intermediate = 172, .out_hidden = 128,
      .full_attention = {[1] = true, [3] = true}}},
    {"block",
     {QWEN_TEXT, .hidden = 896, .layers = 2, .heads = 14, .kv_heads = 2, .head_size = 64, .intermediate = 4864,
      .vocabulary = 151936, .context = 32768, .mrope_sections = {8, 12, 12}},
     {QWEN_IMAGES, .hidden = 64, .depth = 2, .heads = 4, .intermediate = 172, .out_hidden = 896,
      .full_attention = {[1] = true}}},
    {"0.5b",
     {QWEN_TEXT, .hidden = 896, .layers = 24, .heads = 14, .kv_heads = 2, .head_size = 64, .intermediate = 4864,
      .vocabulary = 151936, .context = 128000, .mrope_sections = {8, 12, 12}},
     {QWEN_IMAGES, .hidden = 640, .depth = 16, .heads = 10, .intermediate = 1712, .out_hidden = 896,
      .full_attention = {[3] = true, [7] = true, [11] = true, [15] = true}}},
    {"3b",
     {QWEN_TEXT, .hidden = 2048, .layers = 36, .heads = 16, .kv_heads = 2, .head_size = 128, .intermediate = 11008,
      .vocabulary = 151936, .context = 128000, .mrope_sections = {16, 24, 24}},
     {QWEN_IMAGES, .hidden = 1280, .depth = 32, .heads = 16, .intermediate = 3420, .out_hidden = 2048,
      .full_attention = {[7] = true, [15] = true, [23] = true, [31] = true}}},
    {"7b",
     {.rms_eps = 1e-6f,
      .rope_theta = 1e6,
      .tied = false,
      .hidden = 3584,
      .layers = 28,
      .heads = 28,
      .kv_heads = 4,
      .head_size = 128,
      .intermediate = 18944,
      .vocabulary = 152064,
      .context = 128000,
      .mrope_sections = {16, 24, 24}},
     {QWEN_IMAGES, .hidden = 1280, .depth = 32, .heads = 16, .intermediate = 3420, .out_hidden = 3584,
      .full_attention = {[7] = true, [15] = true, [23] = true, [31] = true}}},
};

int strata_model_preset(struct strata_model_config *out, const char *name, struct strata_error *err) {
    for (size_t i = 0; i < sizeof PRESETS / sizeof *PRESETS; i++) {
        const struct preset *preset = &PRESETS[i];
        if (strcmp(name, preset->name) != 0) continue;
        /* Qwen's special tokens are consecutive from <|endoftext|>; a small vocabulary has them at 1000. */
        const int32_t end_of_text = preset->text.vocabulary > 151643 ? 151643 : 1000;
        *out = (struct strata_model_config){.text = preset->text,
                                            .vision = preset->vision,
                                            .special = {.image = end_of_text + 12,
                                                        .video = end_of_text + 13,
                                                        .vision_start = end_of_text + 9,
                                                        .vision_end = end_of_text + 10,
                                                        .im_start = -1,
                                                        .im_end = -1},
                                            .stop_ids = {end_of_text + 2, end_of_text},
                                            .stop_count = 2,
                                            .initializer_range = 0.02,
                                            .generation_repetition_penalty = 1.0f};
        return STRATA_OK;
    }
    strata_fail(err, STRATA_ERR_USAGE, "no preset '%.64s'", name);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "there are tiny, block, 0.5b, 3b and 7b");
}
