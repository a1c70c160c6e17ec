/* Private to the data sets: what a file format gives the iterator. One of these per format. */
#ifndef STRATA_DATA_DATASET_SOURCE_H
#define STRATA_DATA_DATASET_SOURCE_H

#include "data/sample.h"

struct strata_source {
    /* The next record, as a new reference in *record (NULL when not `wanted`: it is passed over unread), and its line.
     * *got false at the end. STRATA_ERR_INPUT: this one record is bad, the next call goes on behind it; any other error
     * is final. */
    int (*next)(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err);
    void (*close)(struct strata_source *source);
};

int strata_source_jsonl(struct strata_source **out, const char *path, struct strata_error *err);

/* One record to a sample. Takes over `record`, also on failure. `directory`: where relative image paths start. */
int strata_sample_parse(struct strata_sample *out, json_t *record, const char *where, const char *directory,
                        const char *default_id, const struct strata_dataset_options *options, struct strata_error *err);

#endif
