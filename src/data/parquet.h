/* Private to the data room: Parquet files as JSON records, one after the other in bounded memory.
 *
 * How values become JSON (and back, where the writer has a choice): texts, integers, reals and booleans are what they
 * are; structs are objects; lists are arrays; a map with text keys is an object, any other a list of [key, value];
 * bytes are base64; dates and times are ISO 8601 texts; decimals are texts of their digits; NaN and infinities are
 * null.
 */
#ifndef STRATA_DATA_PARQUET_H
#define STRATA_DATA_PARQUET_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "data/parquet_format.h"
#include "strata/error.h"

struct strata_parquet_reader;
/* path: a regular file. Reads the footer; the data is read with the records. */
int strata_parquet_reader_open(struct strata_parquet_reader **out, const char *path, struct strata_error *err);
void strata_parquet_reader_close(struct strata_parquet_reader *reader); /* NULL is allowed */
uint64_t strata_parquet_reader_rows(const struct strata_parquet_reader *reader);
/* The next record, as a new reference (NULL when not `wanted`: it is passed over). *got false at the end.
 * STRATA_ERR_INPUT: a value of this record is bad, the next call goes on behind it; any other error is final. */
int strata_parquet_reader_next(struct strata_parquet_reader *reader, bool wanted, json_t **record, bool *got,
                               struct strata_error *err);

/* A leaf's value as a new reference. STRATA_ERR_INPUT: a text that is no text. */
struct strata_parquet_value;
int strata_parquet_json(json_t **out, const struct strata_parquet_node *node, const struct strata_parquet_value *value,
                        struct strata_error *err);

#endif
