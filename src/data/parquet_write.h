/* Private to the data room: JSON records as one Parquet file: zstd pages of version 1 in row groups of some dozens of
 * megabytes, all columns optional, lists in three levels, as pyarrow and `datasets` read them. Two passes: every record
 * is first looked at, then written. */
#ifndef STRATA_DATA_PARQUET_WRITE_H
#define STRATA_DATA_PARQUET_WRITE_H

#include <stdio.h>

#include "data/parquet_shape.h"

struct strata_parquet_writer;
/* shape: of all records that will come; settled here, borrowed until the end. A failed write shows in stream's error
 * state, which is its owner's to look at. */
int strata_parquet_writer_open(struct strata_parquet_writer **out, FILE *stream, struct strata_shape *shape,
                               struct strata_error *err);
int strata_parquet_writer_add(struct strata_parquet_writer *writer, const json_t *record, struct strata_error *err);
int strata_parquet_writer_finish(struct strata_parquet_writer *writer, struct strata_error *err); /* the footer */
void strata_parquet_writer_free(struct strata_parquet_writer *writer);                            /* NULL is allowed */

#endif
