#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/prompt.h"
#include "model/safetensors.h"

static int in_directory(char **path, const char *directory, const char *name, struct strata_error *err) {
    *path = strata_path_join(directory, name);
    return *path ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int open_tokenizer(struct strata_model *model, const char *directory, struct strata_error *err) {
    static const char *const placeholders[] = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
                                               "<|vision_pad|>"};
    char *path;
    int code = in_directory(&path, directory, "tokenizer.json", err);
    if (!code) code = strata_tokenizer_open(&model->tokenizer, path, err);
    free(path);
    if (code) return code;
    if (strata_tokenizer_size(model->tokenizer) > model->config.text.vocabulary) {
        strata_fail(err, STRATA_ERR_INPUT, "tokenizer.json has ids up to %zu, but the model's vocabulary has %zu rows",
                    strata_tokenizer_size(model->tokenizer) - 1, model->config.text.vocabulary);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", directory);
    }
    for (size_t i = 0; i < sizeof placeholders / sizeof *placeholders; i++) {
        model->placeholder_ids[i] = strata_tokenizer_id(model->tokenizer, placeholders[i]);
    }
    model->config.special.im_start = strata_tokenizer_id(model->tokenizer, "<|im_start|>");
    model->config.special.im_end = strata_tokenizer_id(model->tokenizer, "<|im_end|>");
    if (model->placeholder_ids[0] != model->config.special.image ||
        model->placeholder_ids[2] != model->config.special.vision_start) {
        strata_fail(err, STRATA_ERR_INPUT,
                    "config.json says image token %d and vision start %d, tokenizer.json %d and %d",
                    model->config.special.image, model->config.special.vision_start, model->placeholder_ids[0],
                    model->placeholder_ids[2]);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", directory);
    }
    return 0;
}

/* The dtype of the checkpoint's largest tensor decides what "as stored" means. */
static enum strata_weight_type stored_type(const struct strata_safetensors *file) {
    const struct strata_tensor *largest = NULL;
    for (size_t i = 0; i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        if (!largest || tensor->count > largest->count) largest = tensor;
    }
    return largest && largest->dtype == STRATA_DTYPE_BF16 ? STRATA_WEIGHT_BF16 : STRATA_WEIGHT_F32;
}

static int open_weights(struct strata_model *model, const char *directory, const struct strata_model_options *options,
                        struct strata_error *err) {
    struct strata_safetensors *file;
    int code = strata_safetensors_open(&file, directory, err);
    if (code) return code;
    enum strata_weight_type type = options->weights_as_stored ? stored_type(file) : options->weights;
    model->weights_cache = options->weights_cache != NULL;
    if (model->weights_cache)
        code = strata_weights_load_packed(&model->weights, model->identity, &model->packed, options->weights_cache,
                                          &model->config, file, type, options->threads, err);
    else
        code = strata_weights_load_threads(&model->weights, &model->config, file, type, options->threads, err);
    strata_safetensors_close(file);
    if (!code && !options->weights_cache)
        code = strata_weights_identity_threads(model->identity, &model->weights, &model->config, options->threads, err);
    return code;
}

int strata_model_open(struct strata_model **out, const char *path, const struct strata_model_options *options,
                      struct strata_error *err) {
    struct strata_model *model = calloc(1, sizeof *model);
    char *processor = NULL;
    *out = NULL;
    if (!model) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = 0;
    if (!strata_is_directory(path)) {
        strata_fail(err, STRATA_ERR_INPUT, "no model directory");
        strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
        code = strata_fail_hint(err, STRATA_ERR_INPUT,
                                "give a directory with config.json, model.safetensors and tokenizer.json");
    }
    if (!code) code = strata_model_config_open(&model->config, path, err);
    if (!code && options->config) {
        int32_t stop_ids[STRATA_MAX_STOP_IDS];
        size_t stop_count = model->config.stop_count;
        memcpy(stop_ids, model->config.stop_ids, sizeof stop_ids);
        code = strata_model_config_open(&model->config, options->config, err);
        /* Stop ids stay those of the directory's generation_config.json. */
        memcpy(model->config.stop_ids, stop_ids, sizeof stop_ids);
        model->config.stop_count = stop_count;
    }
    if (!code) code = open_tokenizer(model, path, err);
    if (!code) code = strata_chat_template_check_model(path, err);
    if (!code) code = in_directory(&processor, path, "preprocessor_config.json", err);
    if (!code) code = strata_image_processor_open(&model->processor, processor, options->max_pixels, err);
    free(processor);
    if (!code && (model->processor.patch_size != model->config.vision.patch_size ||
                  model->processor.merge_size != model->config.vision.merge_size ||
                  model->processor.temporal_patch_size != model->config.vision.temporal_patch_size)) {
        strata_fail(err, STRATA_ERR_INPUT, "preprocessor_config.json and config.json disagree on the patch sizes");
        code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
    }
    if (!code && !options->without_weights) code = open_weights(model, path, options, err);
    if (code) {
        strata_model_close(model);
        return code;
    }
    *out = model;
    return 0;
}

void strata_model_close(struct strata_model *model) {
    if (!model) return;
    strata_weights_free(&model->weights, &model->config);
    strata_tokenizer_close(model->tokenizer);
    free(model);
}
