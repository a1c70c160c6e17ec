/* A benchmark's file, ready to be asked: rows with an image, their indices, their images (spec: benchmarks, 1.3). */
#ifndef STRATA_EVAL_DATASET_H
#define STRATA_EVAL_DATASET_H

#include "data/image.h"
#include "eval/benchmark.h"

struct strata_eval_dataset;
struct strata_eval_file {
    char md5[33];
    size_t rows, without_image; /* of the file; rows without an image are not asked */
};

/* keep_bad: a row that shares an image that is not there is an error of its own (strata_eval_dataset_images), not of
 * the file. */
int strata_eval_dataset_open(struct strata_eval_dataset **out, const char *path, enum strata_benchmark benchmark,
                             enum strata_kit kit, bool keep_bad, struct strata_error *err);
void strata_eval_dataset_close(struct strata_eval_dataset *dataset);
const struct strata_eval_file *strata_eval_dataset_file(const struct strata_eval_dataset *dataset);

size_t strata_eval_dataset_count(const struct strata_eval_dataset *dataset);
const char *strata_eval_dataset_index(const struct strata_eval_dataset *dataset, size_t row); /* as text */
/* The row's cells without the image (new reference). */
int strata_eval_dataset_row(json_t **out, const struct strata_eval_dataset *dataset, size_t row,
                            struct strata_error *err);
/* The row's images, decoded; owned by the caller. Errors name file, line and index. */
int strata_eval_dataset_images(struct strata_image **out, size_t *count, const struct strata_eval_dataset *dataset,
                               size_t row, struct strata_error *err);

#endif
