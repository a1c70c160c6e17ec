/* Private to the exports: one writer, and what its files share. */
#ifndef STRATA_DATA_EXPORT_PRIVATE_H
#define STRATA_DATA_EXPORT_PRIVATE_H

#include "base/file.h"
#include "data/export.h"
#include "data/parquet_shape.h"

/* A column of CSV: `json` once a value showed up that a bare cell could not give back. */
struct strata_export_column {
    char *name;
    bool json;
};

struct strata_export {
    enum strata_format format;
    enum strata_export_paths paths;
    char *path;
    char *folder;       /* of what is written; absolute */
    char *image_folder; /* where images from inside records go */
    char *image_prefix; /* that folder as records name it */
    bool absolute;
    struct strata_atomic_file file;
    FILE *packed; /* text on its way into file.stream, where the name asks for gzip or zstd; else NULL */
    struct strata_buffer line;
    /* CSV, Parquet: the columns are known at the end, so records wait in a file without a name, beside the output. */
    FILE *spool;
    struct strata_export_column *columns; /* CSV */
    size_t column_count, column_capacity;
    struct strata_shape shape; /* Parquet */
};

/* The image paths inside a record (images, image, parts of messages) made absolute, in place. */
int strata_export_rebase(json_t *record, const char *folder, struct strata_error *err);
/* The record in a trainer's layout, as a new reference. folder: NULL, or what makes its image names absolute. */
int strata_export_record(json_t **out, struct strata_export *export, const struct strata_sample *sample,
                         const char *folder, struct strata_error *err);

/* The next record that waits, as a new reference; NULL behind the last. line, capacity: getline's, freed by the caller.
 */
int strata_export_spooled(json_t **record, struct strata_export *export, char **line, size_t *capacity,
                          struct strata_error *err);
int strata_export_rewind(struct strata_export *export, struct strata_error *err);

/* Where text goes. */
FILE *strata_export_stream(const struct strata_export *export);

/* exact: cells give the values back; else numbers and null are bare. */
int strata_export_csv_add(struct strata_export *export, const json_t *record, bool exact, struct strata_error *err);
int strata_export_csv_finish(struct strata_export *export, struct strata_error *err); /* into export->file */

/* Takes what only the waiting record needs out of the columns: where an image's bytes are. */
int strata_export_parquet_add(struct strata_export *export, json_t *record, const struct strata_sample *sample,
                              struct strata_error *err);
int strata_export_parquet_finish(struct strata_export *export, struct strata_error *err); /* into export->file */

/* directory/dataset_info.json with an entry for `name`; other entries stay. */
int strata_export_llamafactory_info(const char *directory, const char *name, struct strata_error *err);

#endif
