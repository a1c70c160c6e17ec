/* A model directory, opened: config, weights, tokenizer, image processor. Read-only after opening; shared by engines.
 */
#ifndef STRATA_MODEL_MODEL_H
#define STRATA_MODEL_MODEL_H

#include <stdbool.h>

#include "model/config.h"
#include "model/image_processor.h"
#include "model/tokenizer.h"
#include "model/weights.h"
#include "strata/error.h"

struct strata_model {
    struct strata_model_config config;
    struct strata_weights weights;
    struct strata_tokenizer *tokenizer;
    struct strata_image_processor processor;
    int32_t placeholder_ids[5]; /* vision ids that are never sampled: image, video, start, end, pad; -1 where absent */
    char identity[33];          /* hash of the weights (strata_weights_identity) */
    bool weights_cache;         /* options.weights_cache was given, and */
    enum strata_packed packed;  /* this came of it */
};
struct strata_model_options {
    const char *config;              /* another config.json than the directory's, or NULL */
    enum strata_weight_type weights; /* how matrices are kept (weights.h: INT8 is the language model's alone) */
    bool weights_as_stored;          /* bf16 files stay bf16, fp32 and f16 become fp32: `weights` is ignored */
    const char *weights_cache;       /* directory of packed weights (strata_weights_load_packed), or NULL */
    size_t max_pixels;               /* 0: the model's own */
    struct strata_threads *threads;  /* for packing and hashing; may be NULL, changes no result */
    bool without_weights;            /* config, tokenizer and processor only (strata inspect) */
};
/* path: a directory as on the hub. Missing files, an unknown chat template and ids that do not fit the vocabulary are
 * errors. */
int strata_model_open(struct strata_model **out, const char *path, const struct strata_model_options *options,
                      struct strata_error *err);
void strata_model_close(struct strata_model *model);

#endif
