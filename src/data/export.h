/* Writing data sets in the layouts that other trainers load (docs/formats.md), one sample after the other in bounded
 * memory; what is written appears whole, at the commit. Each layout is read back by strata_dataset_open: ids and
 * columns that the layout does not know survive. */
#ifndef STRATA_DATA_EXPORT_H
#define STRATA_DATA_EXPORT_H

#include <stdbool.h>

#include "data/sample.h"
#include "strata/error.h"

enum strata_format {
    STRATA_FORMAT_JSONL,        /* the record as it was read, with its id */
    STRATA_FORMAT_SWIFT,        /* ms-swift JSONL: messages, images */
    STRATA_FORMAT_LLAMAFACTORY, /* a directory: dataset_info.json and a JSONL file of sharegpt records */
    STRATA_FORMAT_TRL,          /* JSONL: prompt of parts, completion, images */
    STRATA_FORMAT_CSV,          /* CSV, or TSV where the file is called .tsv */
    STRATA_FORMAT_VERL,         /* Parquet: prompt, reward_model, images as bytes */
    STRATA_FORMAT_PARQUET       /* the record as it was read, with its id */
};

enum strata_export_paths {
    STRATA_PATHS_AUTO, /* as written when the output lies in the folder that they start from, else absolute */
    STRATA_PATHS_KEEP, /* image paths as written */
    STRATA_PATHS_ABSOLUTE
};

struct strata_export;

/* path: a file; for STRATA_FORMAT_LLAMAFACTORY a directory, made if need be, whose last name is the data set's. */
int strata_export_open(struct strata_export **out, const char *path, enum strata_format format,
                       enum strata_export_paths paths, struct strata_error *err);
/* May rewrite image paths in sample->record. STRATA_FORMAT_VERL reads the image files at the commit, unless paths are
 * kept: then images are paths without bytes. */
int strata_export_write(struct strata_export *export, const struct strata_sample *sample, struct strata_error *err);
/* A record that is no sample, as it is: JSONL, CSV and PARQUET. CSV's cells are then as other tools want them, not as
 * strata reads them back: numbers bare, null an empty cell. */
int strata_export_write_record(struct strata_export *export, const json_t *record, struct strata_error *err);
/* Were image paths made absolute so far? */
bool strata_export_is_absolute(const struct strata_export *export);
/* Both free it. A failed commit leaves what was there before. */
int strata_export_commit(struct strata_export *export, struct strata_error *err);
void strata_export_abort(struct strata_export *export); /* NULL is allowed */

#endif
