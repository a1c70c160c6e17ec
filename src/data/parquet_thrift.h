/* Private to Parquet: Thrift's compact protocol, as far as Parquet's footers and page headers use it. Source: the
 * Apache Thrift compact protocol specification. */
#ifndef STRATA_DATA_PARQUET_THRIFT_H
#define STRATA_DATA_PARQUET_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum strata_thrift_type {
    STRATA_THRIFT_STOP,
    STRATA_THRIFT_TRUE, /* a field's boolean is its type */
    STRATA_THRIFT_FALSE,
    STRATA_THRIFT_BYTE,
    STRATA_THRIFT_I16,
    STRATA_THRIFT_I32,
    STRATA_THRIFT_I64,
    STRATA_THRIFT_DOUBLE,
    STRATA_THRIFT_BINARY,
    STRATA_THRIFT_LIST,
    STRATA_THRIFT_SET,
    STRATA_THRIFT_MAP,
    STRATA_THRIFT_STRUCT
};

/* Reading: bytes [at, end). The first thing that does not fit sets `failed`; from then on every read gives zeros and
 * every struct ends, so that one check at the end suffices. */
struct strata_thrift {
    const unsigned char *at, *end;
    bool failed;
};
struct strata_thrift_field {
    int id; /* 0 before a struct's first field */
    enum strata_thrift_type type;
};
uint64_t strata_thrift_varint(struct strata_thrift *thrift);
/* The next field of a struct; false behind its last. A field that is not read must be skipped. */
bool strata_thrift_next(struct strata_thrift_field *field, struct strata_thrift *thrift);
/* Each reads the field when its type is the wanted one, else skips it and gives `otherwise`. */
int64_t strata_thrift_integer(struct strata_thrift *thrift, const struct strata_thrift_field *field, int64_t otherwise);
bool strata_thrift_bool(struct strata_thrift *thrift, const struct strata_thrift_field *field);
const char *strata_thrift_binary(size_t *length, struct strata_thrift *thrift, const struct strata_thrift_field *field);
/* The number of elements of a list of `type`; 0 where it is another type (then it is skipped). Every element takes at
 * least a byte, so a count beyond what is left is a failure. */
size_t strata_thrift_list(struct strata_thrift *thrift, const struct strata_thrift_field *field,
                          enum strata_thrift_type type);
/* Is the field a struct? Then its fields are next; else it is skipped. */
bool strata_thrift_struct(struct strata_thrift *thrift, const struct strata_thrift_field *field);
void strata_thrift_skip(struct strata_thrift *thrift, const struct strata_thrift_field *field);

/* Writing; *last is the id of the struct's field before, 0 at its begin. */
void strata_thrift_put_varint(struct strata_buffer *out, uint64_t value);
void strata_thrift_put_field(struct strata_buffer *out, int *last, int id, enum strata_thrift_type type);
void strata_thrift_put_integer(struct strata_buffer *out, int *last, int id, enum strata_thrift_type type,
                               int64_t value);
void strata_thrift_put_binary(struct strata_buffer *out, int *last, int id, const char *bytes, size_t length);
void strata_thrift_put_text(struct strata_buffer *out, int *last, int id, const char *text);
void strata_thrift_put_list(struct strata_buffer *out, int *last, int id, enum strata_thrift_type type, size_t count);
void strata_thrift_put_zigzag(struct strata_buffer *out, int64_t value); /* a list's integer */
void strata_thrift_put_stop(struct strata_buffer *out);

#endif
