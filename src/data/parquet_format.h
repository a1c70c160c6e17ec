/* Private to Parquet: the names of the file format and what a footer and its page headers say. Source: the Apache
 * Parquet format specification (parquet.thrift, Encodings.md, LogicalTypes.md), version 2.11. */
#ifndef STRATA_DATA_PARQUET_FORMAT_H
#define STRATA_DATA_PARQUET_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "data/parquet_thrift.h"
#include "strata/error.h"

enum strata_parquet_type {
    STRATA_PARQUET_BOOLEAN,
    STRATA_PARQUET_INT32,
    STRATA_PARQUET_INT64,
    STRATA_PARQUET_INT96,
    STRATA_PARQUET_FLOAT,
    STRATA_PARQUET_DOUBLE,
    STRATA_PARQUET_BYTE_ARRAY,
    STRATA_PARQUET_FIXED,
    STRATA_PARQUET_GROUP /* no type: it has children */
};
enum strata_parquet_repetition { STRATA_PARQUET_REQUIRED, STRATA_PARQUET_OPTIONAL, STRATA_PARQUET_REPEATED };
enum strata_parquet_codec {
    STRATA_CODEC_NONE,
    STRATA_CODEC_SNAPPY,
    STRATA_CODEC_GZIP,
    STRATA_CODEC_LZO,
    STRATA_CODEC_BROTLI,
    STRATA_CODEC_LZ4, /* with Hadoop's frames */
    STRATA_CODEC_ZSTD,
    STRATA_CODEC_LZ4_RAW
};
enum strata_parquet_encoding {
    STRATA_ENCODING_PLAIN = 0,
    STRATA_ENCODING_PLAIN_DICTIONARY = 2,
    STRATA_ENCODING_RLE = 3,
    STRATA_ENCODING_DELTA = 5,
    STRATA_ENCODING_DELTA_LENGTH = 6,
    STRATA_ENCODING_DELTA_BYTES = 7,
    STRATA_ENCODING_DICTIONARY = 8,
    STRATA_ENCODING_SPLIT = 9
};
enum strata_parquet_page { STRATA_PAGE_DATA, STRATA_PAGE_INDEX, STRATA_PAGE_DICTIONARY, STRATA_PAGE_DATA_V2 };

/* What a column's values mean: its logical type, or the older converted one. */
enum strata_parquet_meaning {
    STRATA_MEANING_NONE, /* that of the physical type; BYTE_ARRAY and FIXED are bytes */
    STRATA_MEANING_TEXT,
    STRATA_MEANING_UNSIGNED,
    STRATA_MEANING_DECIMAL,
    STRATA_MEANING_DATE,
    STRATA_MEANING_TIME,
    STRATA_MEANING_TIMESTAMP,
    STRATA_MEANING_UUID,
    STRATA_MEANING_FLOAT16,
    STRATA_MEANING_LIST,
    STRATA_MEANING_MAP
};

/* One element of the schema. A schema is an array in preorder: a node's first child is the next element, the element
 * behind its subtree is `span` further on. */
struct strata_parquet_node {
    char *name;
    enum strata_parquet_type type;
    enum strata_parquet_repetition repetition;
    enum strata_parquet_meaning meaning;
    unsigned unit; /* decimal digits of a TIME's or TIMESTAMP's second: 3, 6 or 9 */
    bool utc;
    size_t length;       /* of FIXED values */
    unsigned scale;      /* of DECIMAL */
    size_t children;     /* of a group, at least 1 but for an empty file's record */
    size_t span;         /* nodes of its subtree, itself included */
    size_t leaf, leaves; /* its leaves are columns [leaf, leaf + leaves) */
    unsigned maximum_definition, maximum_repetition;
    bool absent; /* our own files: null says that the key was not there */
};
struct strata_parquet_schema {
    struct strata_parquet_node *nodes; /* nodes[0]: the record itself */
    size_t count, columns;
};

/* A column's pages in one row group. */
struct strata_parquet_chunk {
    enum strata_parquet_codec codec;
    uint64_t begin, end; /* place in the file */
    uint64_t entries;    /* values, nulls included */
};

struct strata_parquet_footer {
    struct strata_parquet_schema schema;
    uint64_t rows;
    size_t groups;
    struct strata_thrift next_group; /* where in the footer's bytes the next row group is */
};
/* Parses the bytes of a footer, which must outlive it: row groups are read from them one after the other, so that a
 * file of many needs no memory for them. */
int strata_parquet_footer_parse(struct strata_parquet_footer *out, const unsigned char *bytes, size_t length,
                                struct strata_error *err);
void strata_parquet_footer_free(struct strata_parquet_footer *footer);
/* The next row group's chunks (schema.columns of them, within the file's first `size` bytes) and its rows. */
int strata_parquet_group_next(struct strata_parquet_chunk *chunks, uint64_t *rows, struct strata_parquet_footer *footer,
                              uint64_t size, struct strata_error *err);

struct strata_parquet_page_header {
    enum strata_parquet_page kind;
    uint32_t packed, unpacked; /* bytes that follow; bytes once decompressed */
    uint32_t entries;
    enum strata_parquet_encoding encoding;
    /* Version 2: levels stand uncompressed before the values. */
    uint32_t definition_bytes, repetition_bytes;
    bool compressed;
};
/* *length: the header's own bytes; 0 where more than `available` are needed to tell. */
int strata_parquet_page_parse(struct strata_parquet_page_header *out, size_t *length, const unsigned char *bytes,
                              size_t available, struct strata_error *err);

int strata_parquet_damaged(const char *what, struct strata_error *err); /* STRATA_ERR_IO */

/* Fills the maximum levels, spans and leaves of nodes [0, count), whose children counts are set. */
int strata_parquet_schema_index(struct strata_parquet_schema *schema, struct strata_error *err);

#endif
