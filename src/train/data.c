#include "train/data.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/vision.h"

/* ---- records ---- */

int strata_train_data_load(struct strata_train_data *out, const char *path,
                           const struct strata_dataset_options *options, struct strata_error *err) {
    struct strata_dataset *dataset;
    size_t capacity = 0;
    bool got = true;
    *out = (struct strata_train_data){0};
    int code = strata_dataset_open(&dataset, path, options, err);
    if (code) return code;
    while (!code) {
        struct strata_sample sample;
        code = strata_dataset_next(dataset, &sample, &got, err);
        if (code || !got) break;
        code = strata_grow(&out->samples, &capacity, out->count + 1, sizeof *out->samples, err);
        if (code)
            strata_sample_free(&sample);
        else
            out->samples[out->count++] = sample;
    }
    out->bad = strata_dataset_bad(dataset);
    strata_dataset_close(dataset);
    if (!code && out->count == 0) {
        strata_fail(err, STRATA_ERR_INPUT, "no records to train on");
        code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
    }
    if (code) strata_train_data_free(out);
    return code;
}

void strata_train_data_free(struct strata_train_data *data) {
    for (size_t i = 0; i < data->count; i++) strata_sample_free(&data->samples[i]);
    free(data->samples);
    *data = (struct strata_train_data){0};
}

/* ---- images ---- */

int strata_train_images_load(struct strata_train_images *out, const struct strata_sample *sample,
                             const struct strata_image_processor *processor, struct strata_error *err) {
    *out = (struct strata_train_images){0};
    int code = strata_alloc(&out->images, sample->image_count, sizeof *out->images, err);
    if (!code) code = strata_alloc(&out->grids, sample->image_count, sizeof *out->grids, err);
    for (size_t i = 0; !code && i < sample->image_count; i++) {
        const struct strata_image_source *source = &sample->images[i];
        struct strata_image *image = &out->images[i];
        code = strata_image_source_load(image, source, err);
        if (code) break;
        out->count = i + 1;
        code = strata_image_grid(&out->grids[i], processor, image->height, image->width, err);
    }
    if (code) {
        strata_fail_at_default(err, code, "%s", sample->where ? sample->where : sample->id);
        strata_train_images_free(out);
    }
    return code;
}

void strata_train_images_free(struct strata_train_images *images) {
    for (size_t i = 0; i < images->count; i++) strata_image_free(&images->images[i]);
    free(images->images);
    free(images->grids);
    *images = (struct strata_train_images){0};
}

/* ---- features ---- */

struct strata_feature {
    float *embeds; /* NULL: not held */
    size_t bytes, newer, older;
};

int strata_features_create(struct strata_features *out, const struct strata_model *model,
                           const struct strata_weights *weights, const struct strata_compute *compute, size_t samples,
                           size_t limit, struct strata_error *err) {
    *out = (struct strata_features){.config = &model->config,
                                    .processor = &model->processor,
                                    .weights = weights,
                                    .compute = compute,
                                    .count = samples,
                                    .newest = samples,
                                    .oldest = samples,
                                    .limit = limit};
    return strata_alloc(&out->entries, samples, sizeof *out->entries, err);
}

static void unlink_entry(struct strata_features *features, size_t index) {
    const struct strata_feature *entry = &features->entries[index];
    if (entry->newer < features->count)
        features->entries[entry->newer].older = entry->older;
    else
        features->newest = entry->older;
    if (entry->older < features->count)
        features->entries[entry->older].newer = entry->newer;
    else
        features->oldest = entry->newer;
}

static void push_newest(struct strata_features *features, size_t index) {
    struct strata_feature *entry = &features->entries[index];
    entry->newer = features->count;
    entry->older = features->newest;
    if (features->newest < features->count)
        features->entries[features->newest].newer = index;
    else
        features->oldest = index;
    features->newest = index;
}

static void drop(struct strata_features *features, size_t index) {
    struct strata_feature *entry = &features->entries[index];
    unlink_entry(features, index);
    features->bytes -= entry->bytes;
    free(entry->embeds);
    entry->embeds = NULL;
}

static int compute_features(float **embeds, size_t *bytes, struct strata_features *features,
                            const struct strata_train_images *images, struct strata_error *err) {
    size_t C = features->config->text.hidden, merge = features->config->vision.merge_size, tokens = 0, done = 0;
    double start = strata_seconds();
    for (size_t i = 0; i < images->count; i++)
        tokens += (size_t)images->grids[i].rows * images->grids[i].columns / (merge * merge);
    int code = strata_alloc_aligned(embeds, tokens * C, sizeof **embeds, err);
    for (size_t i = 0; !code && i < images->count; i++) {
        float *patches = NULL;
        struct strata_grid grid;
        code = strata_image_patches(&patches, &grid, features->processor, &images->images[i], err);
        if (!code)
            code = strata_vision_forward(*embeds + done * C, patches, grid, features->config, features->weights,
                                         features->compute, NULL, err);
        free(patches);
        done += (size_t)images->grids[i].rows * images->grids[i].columns / (merge * merge);
    }
    *bytes = tokens * C * sizeof **embeds;
    features->seconds += strata_seconds() - start;
    if (code) {
        free(*embeds);
        *embeds = NULL;
    }
    return code;
}

/* Takes a copy into the cache when it fits; a failure to allocate it only means that it is not kept. */
static void keep(struct strata_features *features, size_t index, const float *embeds, size_t bytes) {
    struct strata_feature *entry = &features->entries[index];
    if (bytes > features->limit) return;
    while (features->bytes + bytes > features->limit && features->oldest < features->count)
        drop(features, features->oldest);
    entry->embeds = malloc(bytes);
    if (!entry->embeds) return;
    memcpy(entry->embeds, embeds, bytes);
    entry->bytes = bytes;
    features->bytes += bytes;
    push_newest(features, index);
}

int strata_features_get(float **embeds, struct strata_features *features, size_t index,
                        const struct strata_train_images *images, struct strata_error *err) {
    struct strata_feature *entry = &features->entries[index];
    size_t bytes;
    *embeds = NULL;
    if (images->count == 0) return 0;
    if (entry->embeds) {
        int code = strata_alloc_aligned(embeds, entry->bytes, 1, err);
        if (code) return code;
        memcpy(*embeds, entry->embeds, entry->bytes);
        unlink_entry(features, index);
        push_newest(features, index);
        return 0;
    }
    int code = compute_features(embeds, &bytes, features, images, err);
    if (!code) keep(features, index, *embeds, bytes);
    return code;
}

void strata_features_free(struct strata_features *features) {
    for (size_t i = 0; features->entries && i < features->count; i++) free(features->entries[i].embeds);
    free(features->entries);
    *features = (struct strata_features){0};
}
