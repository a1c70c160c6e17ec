/* Training data in memory: the records, their images decoded when asked for, and the vision tower's features of frozen
 * towers, kept up to a limit. Private to this room. */
#ifndef STRATA_TRAIN_DATA_H
#define STRATA_TRAIN_DATA_H

#include <stdbool.h>
#include <stddef.h>

#include "data/image.h"
#include "data/sample.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "strata/error.h"

struct strata_train_data {
    struct strata_sample *samples;
    size_t count, bad; /* bad: left out by skip_bad */
};
int strata_train_data_load(struct strata_train_data *out, const char *path,
                           const struct strata_dataset_options *options, struct strata_error *err);
void strata_train_data_free(struct strata_train_data *data);

/* A sample's images, decoded, and their grids under the model's processor. */
struct strata_train_images {
    struct strata_image *images;
    struct strata_grid *grids;
    size_t count;
};
int strata_train_images_load(struct strata_train_images *out, const struct strata_sample *sample,
                             const struct strata_image_processor *processor, struct strata_error *err);
void strata_train_images_free(struct strata_train_images *images);

/* Features of all images of a sample, one behind the other: (image tokens, C). They are constants while the vision
 * tower and the merger are frozen, so they are computed once for policy and reference alike. */
struct strata_features {
    const struct strata_model_config *config;
    const struct strata_image_processor *processor;
    const struct strata_weights *weights; /* whose vision tower */
    const struct strata_compute *compute;
    struct strata_feature *entries; /* (count) by sample index */
    size_t count, newest, oldest;   /* list of the entries that hold features; `count` ends it */
    size_t bytes, limit;            /* kept, at most */
    double seconds;                 /* spent in the tower */
};
/* limit: bytes kept, least recently used dropped first; 0: nothing is kept. */
int strata_features_create(struct strata_features *out, const struct strata_model *model,
                           const struct strata_weights *weights, const struct strata_compute *compute, size_t samples,
                           size_t limit, struct strata_error *err);
/* A copy, owned by the caller; NULL for a sample without images. */
int strata_features_get(float **embeds, struct strata_features *features, size_t index,
                        const struct strata_train_images *images, struct strata_error *err);
void strata_features_free(struct strata_features *features);

#endif
