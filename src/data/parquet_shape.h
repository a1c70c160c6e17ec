/* Private to Parquet: which columns records need. Every record is looked at before the first is written, since a file's
 * schema stands for all of them. */
#ifndef STRATA_DATA_PARQUET_SHAPE_H
#define STRATA_DATA_PARQUET_SHAPE_H

#include <jansson.h>

#include "data/parquet_format.h"

/* What was seen at one place of the records. shapes[0].members are the columns. */
struct strata_shape {
    char *name;
    unsigned kinds;               /* bits: 1 << json_type; true and false are one, JSON_TRUE */
    bool wide;                    /* an integer that no double holds */
    bool deep;                    /* nested too deeply to go on */
    bool binary;                  /* the bytes of an image: texts are base64, and so far all of them are */
    size_t seen;                  /* times the key was there */
    size_t objects;               /* times the value was an object */
    struct strata_shape *members; /* of objects, in the order of their first sight */
    size_t count, capacity;
    struct strata_shape *element; /* of lists */

    /* Once settled. */
    bool text;                     /* a column: its values are written as JSON texts, in a column called "NAME:json" */
    bool absent;                   /* null says that the key was not there */
    enum strata_parquet_type type; /* GROUP: a struct or, with `element`, a list */
    size_t leaf, leaves;
    unsigned definition, repetition; /* a list's: of its rounds; else of a value that is there */
};
/* Looks at another record. shape: zero at first. */
int strata_shape_add(struct strata_shape *shape, const json_t *record, struct strata_error *err);
/* Chooses types: a column whose values no type gives back becomes a text. */
void strata_shape_settle(struct strata_shape *shape);
void strata_shape_free(struct strata_shape *shape);

/* Appends the schema's elements as Thrift (their number is returned), the list of paths whose nulls are absent keys as
 * JSON ("" when there is none), and the columns as `datasets` describes them, so that images load as pictures. */
size_t strata_shape_schema(struct strata_buffer *out, const struct strata_shape *shape);
int strata_shape_absent(struct strata_buffer *out, const struct strata_shape *shape, struct strata_error *err);
int strata_shape_features(struct strata_buffer *out, const struct strata_shape *shape, struct strata_error *err);

#endif
