/* Private to Parquet: one column of one row group, entry by entry. Memory is one page (packed and unpacked) and the
 * dictionary. */
#ifndef STRATA_DATA_PARQUET_COLUMN_H
#define STRATA_DATA_PARQUET_COLUMN_H

#include "data/parquet_encoding.h"

struct strata_parquet_column {
    const struct strata_parquet_node *node;
    int handle; /* the file, borrowed */
    struct strata_parquet_chunk chunk;
    uint64_t at;           /* where in the file the next page is */
    uint64_t entries_left; /* in the chunk, those of the open page included */
    uint32_t page_left;    /* entries of the open page */
    struct strata_buffer packed, page;
    struct strata_runs repetitions, definitions;
    struct strata_parquet_values values;
    struct strata_dictionary dictionary;
    bool peeked;
    unsigned repetition, definition; /* of the entry that was peeked at */
};
void strata_parquet_column_start(struct strata_parquet_column *column, const struct strata_parquet_chunk *chunk);
/* Sets repetition and definition to those of the next entry, which stays. There must be one (entries_left). */
int strata_parquet_column_peek(struct strata_parquet_column *column, struct strata_error *err);
/* Passes the entry that was peeked at; *value is its value when it has one (definition is the node's maximum). */
int strata_parquet_column_take(struct strata_parquet_value *value, struct strata_parquet_column *column,
                               struct strata_error *err);
void strata_parquet_column_free(struct strata_parquet_column *column);

#endif
