/* Private to Parquet: the encodings of levels and values inside a page. All reading is of one value at a time and stays
 * inside the page's bytes; false says that the bytes do not hold what they should. Source: Encodings.md of the format
 * specification. */
#ifndef STRATA_DATA_PARQUET_ENCODING_H
#define STRATA_DATA_PARQUET_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "data/parquet_format.h"

/* Runs and bit-packed groups (RLE), for levels, dictionary indices and booleans. */
struct strata_runs {
    const unsigned char *at, *end;
    unsigned width; /* bits a value, at most 32; 0: every value is 0 */
    bool packed;
    uint64_t left; /* values left in the run */
    uint64_t bit;  /* packed: where in `packed_bytes` the next value begins */
    const unsigned char *packed_bytes;
    uint32_t value; /* not packed */
};
void strata_runs_open(struct strata_runs *runs, const unsigned char *at, const unsigned char *end, unsigned width);
bool strata_runs_next(uint32_t *value, struct strata_runs *runs);
/* Appends values (count), each below 2^width, as runs where they repeat and packed groups elsewhere. */
void strata_runs_write(struct strata_buffer *out, const unsigned char *values, size_t count, unsigned width);

/* DELTA_BINARY_PACKED. */
struct strata_delta {
    const unsigned char *at, *end; /* at: behind the miniblock being read */
    uint64_t left;                 /* values to come */
    uint64_t per_miniblock, miniblocks;
    const unsigned char *widths;
    size_t miniblock;
    struct strata_runs bits; /* only its packed part is used */
    uint64_t bits_left;
    uint64_t minimum, last;
    bool first;
};
bool strata_delta_open(struct strata_delta *delta, const unsigned char *at, const unsigned char *end);
bool strata_delta_next(int64_t *value, struct strata_delta *delta);

/* A value of a column: integers (BOOLEAN, INT32, INT64), reals, or bytes (the rest). */
struct strata_parquet_value {
    int64_t integer;
    double real;
    const unsigned char *bytes; /* valid until the column's next page is read or its next value taken */
    size_t length;
};

/* A page of PLAIN values that indices refer to. */
struct strata_dictionary {
    struct strata_buffer bytes;
    const unsigned char **values; /* where each begins, its length before it where it has one */
    uint32_t count;
};

/* The values of a data page. */
struct strata_parquet_values {
    enum strata_parquet_encoding encoding;
    enum strata_parquet_type type;
    size_t length; /* of FIXED */
    const unsigned char *at, *end;
    const struct strata_dictionary *dictionary;
    struct strata_runs runs;               /* indices; booleans */
    struct strata_delta lengths, prefixes; /* DELTA…: lengths of texts, or the integers themselves */
    struct strata_buffer text;             /* DELTA_BYTE_ARRAY: the value before */
    unsigned char split[32];               /* BYTE_STREAM_SPLIT: one value put together */
    size_t index, stride;
};
/* `values` must be zero at first; text is kept from page to page. False: this encoding does not go with this type, or
 * the bytes are damaged at their begin. */
bool strata_parquet_values_open(struct strata_parquet_values *values, const struct strata_parquet_node *node,
                                enum strata_parquet_encoding encoding, const struct strata_dictionary *dictionary,
                                const unsigned char *at, const unsigned char *end);
bool strata_parquet_values_next(struct strata_parquet_value *value, struct strata_parquet_values *values);
void strata_parquet_values_free(struct strata_parquet_values *values);

/* Indexes a dictionary page's bytes (count values). STRATA_ERR_IO: damaged. */
int strata_dictionary_index(struct strata_dictionary *dictionary, const struct strata_parquet_node *node,
                            uint32_t count, struct strata_error *err);
void strata_dictionary_free(struct strata_dictionary *dictionary);

#endif
