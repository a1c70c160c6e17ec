#include "data/parquet_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/parquet_codec.h"
#include "data/parquet_encoding.h"
#include "strata/version.h"

#define PAGE_BYTES  ((size_t)1 << 20)
#define GROUP_BYTES ((size_t)1 << 25) /* of pages as they are written */
#define GROUP_ROWS  ((size_t)1 << 17)

/* A column of the row group that is being filled. */
struct column {
    const struct strata_shape *shape;
    struct strata_buffer repetitions, definitions; /* of the open page, a byte an entry */
    struct strata_buffer values;                   /* PLAIN; booleans a byte each until the page is closed */
    struct strata_buffer pages;                    /* closed ones, as they will stand in the file */
    size_t entries, unpacked;                      /* of the closed pages */
};

struct strata_parquet_writer {
    FILE *stream;
    struct strata_shape *shape;
    struct column *columns;
    struct strata_buffer scratch, text;
    struct strata_buffer groups; /* row groups' metadata */
    size_t group_count, group_rows, rows;
    uint64_t at; /* bytes written */
};

static int no_memory(struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static void put(struct strata_parquet_writer *writer, const void *bytes, size_t length) {
    fwrite(bytes, 1, length, writer->stream);
    writer->at += length;
}

static void place_columns(struct column *columns, const struct strata_shape *shape) {
    if (shape->type != STRATA_PARQUET_GROUP) {
        columns[shape->leaf].shape = shape;
    } else if (shape->element) {
        place_columns(columns, shape->element);
    } else {
        for (size_t i = 0; i < shape->count; i++) place_columns(columns, &shape->members[i]);
    }
}

int strata_parquet_writer_open(struct strata_parquet_writer **out, FILE *stream, struct strata_shape *shape,
                               struct strata_error *err) {
    struct strata_parquet_writer *writer;
    *out = NULL;
    int code = strata_alloc(&writer, 1, sizeof *writer, err);
    if (code) return code;
    strata_shape_settle(shape);
    writer->stream = stream;
    writer->shape = shape;
    code = strata_alloc(&writer->columns, shape->leaves, sizeof *writer->columns, err);
    if (code) {
        free(writer);
        return code;
    }
    place_columns(writer->columns, shape);
    put(writer, "PAR1", 4);
    *out = writer;
    return 0;
}

void strata_parquet_writer_free(struct strata_parquet_writer *writer) {
    if (!writer) return;
    for (size_t c = 0; c < writer->shape->leaves; c++) {
        struct column *column = &writer->columns[c];
        strata_buffer_free(&column->repetitions);
        strata_buffer_free(&column->definitions);
        strata_buffer_free(&column->values);
        strata_buffer_free(&column->pages);
    }
    free(writer->columns);
    strata_buffer_free(&writer->scratch);
    strata_buffer_free(&writer->text);
    strata_buffer_free(&writer->groups);
    free(writer);
}

/* ---- pages ---- */

static void put_little(struct strata_buffer *out, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) strata_buffer_byte(out, (unsigned char)(value >> 8 * i));
}

/* Runs behind their length. */
static void put_levels(struct strata_buffer *out, const struct strata_buffer *levels, unsigned maximum) {
    unsigned width = 0;
    size_t begin = out->length;
    if (!maximum) return;
    for (; maximum; maximum >>= 1) width++;
    put_little(out, 0, 4);
    strata_runs_write(out, (const unsigned char *)levels->data, levels->length, width);
    if (out->failed) return;
    size_t length = out->length - begin - 4;
    for (unsigned i = 0; i < 4; i++) out->data[begin + i] = (char)(unsigned char)(length >> 8 * i);
}

static void put_values(struct strata_buffer *out, const struct column *column) {
    const struct strata_buffer *values = &column->values;
    if (column->shape->type != STRATA_PARQUET_BOOLEAN) {
        strata_buffer_append(out, values->data, values->length);
        return;
    }
    for (size_t i = 0; i < values->length; i += 8) {
        unsigned bits = 0;
        for (size_t b = 0; b < 8 && i + b < values->length; b++) bits |= (unsigned)values->data[i + b] << b;
        strata_buffer_byte(out, (unsigned char)bits);
    }
}

static void put_page_header(struct strata_buffer *out, size_t unpacked, size_t packed, size_t entries) {
    int last = 0, inner = 0;
    strata_thrift_put_integer(out, &last, 1, STRATA_THRIFT_I32, STRATA_PAGE_DATA);
    strata_thrift_put_integer(out, &last, 2, STRATA_THRIFT_I32, (int64_t)unpacked);
    strata_thrift_put_integer(out, &last, 3, STRATA_THRIFT_I32, (int64_t)packed);
    strata_thrift_put_field(out, &last, 5, STRATA_THRIFT_STRUCT);
    strata_thrift_put_integer(out, &inner, 1, STRATA_THRIFT_I32, (int64_t)entries);
    strata_thrift_put_integer(out, &inner, 2, STRATA_THRIFT_I32, STRATA_ENCODING_PLAIN);
    strata_thrift_put_integer(out, &inner, 3, STRATA_THRIFT_I32, STRATA_ENCODING_RLE);
    strata_thrift_put_integer(out, &inner, 4, STRATA_THRIFT_I32, STRATA_ENCODING_RLE);
    strata_thrift_put_stop(out);
    strata_thrift_put_stop(out);
}

/* Images are compressed already. */
static bool is_packed(const struct column *column) {
    return !column->shape->binary;
}

static int close_page(struct strata_parquet_writer *writer, struct column *column, struct strata_error *err) {
    const struct strata_shape *shape = column->shape;
    struct strata_buffer *body = &writer->scratch, *packed = &writer->text;
    size_t entries = column->definitions.length;
    int code = 0;
    if (!entries) return 0;
    strata_buffer_clear(body);
    strata_buffer_clear(packed);
    put_levels(body, &column->repetitions, shape->repetition);
    put_levels(body, &column->definitions, shape->definition);
    put_values(body, column);
    if (body->failed) return no_memory(err);
    if (body->length > INT32_MAX)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "a record is too long for a page of Parquet");
    if (is_packed(column)) code = strata_parquet_pack(packed, body->data, body->length, err);
    if (code) return code;
    const struct strata_buffer *written = is_packed(column) ? packed : body;
    size_t begin = column->pages.length;
    put_page_header(&column->pages, body->length, written->length, entries);
    column->unpacked += column->pages.length - begin + body->length;
    strata_buffer_append(&column->pages, written->data, written->length);
    column->entries += entries;
    strata_buffer_clear(&column->repetitions);
    strata_buffer_clear(&column->definitions);
    strata_buffer_clear(&column->values);
    return strata_buffer_check(&column->pages, err);
}

/* ---- values ---- */

static int put_text(struct strata_parquet_writer *writer, struct column *column, const json_t *value,
                    struct strata_error *err) {
    struct strata_buffer *text = &writer->text;
    const char *bytes = json_string_value(value);
    size_t length = json_string_length(value);
    int code = 0;
    strata_buffer_clear(text);
    if (column->shape->text)
        strata_json_write(text, value);
    else if (column->shape->binary)
        code = strata_base64_decode(text, bytes, length, err);
    if (code || text->failed) return code ? code : no_memory(err);
    if (column->shape->text || column->shape->binary) {
        bytes = strata_buffer_string(text);
        length = text->length;
    }
    if (length > INT32_MAX - 64)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "a value is too long for a page of Parquet");
    put_little(&column->values, length, 4);
    strata_buffer_append(&column->values, bytes, length);
    return 0;
}

static int put_leaf(struct strata_parquet_writer *writer, struct column *column, const json_t *value,
                    unsigned repetition, struct strata_error *err) {
    double real = json_number_value(value);
    uint64_t bits;
    int code = 0;
    strata_buffer_byte(&column->repetitions, (unsigned char)repetition);
    strata_buffer_byte(&column->definitions, (unsigned char)column->shape->definition);
    switch (column->shape->type) {
    case STRATA_PARQUET_BOOLEAN:
        strata_buffer_byte(&column->values, json_is_true(value));
        break;
    case STRATA_PARQUET_INT64:
        put_little(&column->values, (uint64_t)json_integer_value(value), 8);
        break;
    case STRATA_PARQUET_DOUBLE:
        memcpy(&bits, &real, sizeof bits);
        put_little(&column->values, bits, 8);
        break;
    default:
        code = put_text(writer, column, value, err);
    }
    bool failed = column->repetitions.failed || column->definitions.failed || column->values.failed;
    return !code && failed ? no_memory(err) : code;
}

/* Nothing at this place: one entry in each column below. */
static int put_absent(struct strata_parquet_writer *writer, const struct strata_shape *shape, unsigned definition,
                      unsigned repetition, struct strata_error *err) {
    for (size_t c = shape->leaf; c < shape->leaf + shape->leaves; c++) {
        struct column *column = &writer->columns[c];
        strata_buffer_byte(&column->repetitions, (unsigned char)repetition);
        strata_buffer_byte(&column->definitions, (unsigned char)definition);
        if (column->repetitions.failed || column->definitions.failed) return no_memory(err);
    }
    return 0;
}

/* definition: of the place around; value: NULL where the key is not there. */
static int put_value(struct strata_parquet_writer *writer, const struct strata_shape *shape, const json_t *value,
                     unsigned definition, unsigned repetition, struct strata_error *err) {
    int code = 0;
    if (!value || (json_is_null(value) && !shape->text)) return put_absent(writer, shape, definition, repetition, err);
    if (shape->type != STRATA_PARQUET_GROUP)
        return put_leaf(writer, &writer->columns[shape->leaf], value, repetition, err);
    if (!shape->element) {
        for (size_t i = 0; i < shape->count && !code; i++)
            code = put_value(writer, &shape->members[i], json_object_get(value, shape->members[i].name),
                             shape->definition, repetition, err);
        return code;
    }
    if (!json_array_size(value)) return put_absent(writer, shape, shape->definition - 1, repetition, err);
    for (size_t i = 0; i < json_array_size(value) && !code; i++)
        code = put_value(writer, shape->element, json_array_get(value, i), shape->definition,
                         i ? shape->repetition : repetition, err);
    return code;
}

/* ---- row groups and the footer ---- */

static void put_path(struct strata_buffer *out, int *last, const struct strata_shape *shape, size_t leaf) {
    const struct strata_shape *steps[64];
    size_t count = 0, names = 0;
    for (const struct strata_shape *at = shape; at->type == STRATA_PARQUET_GROUP;) {
        if (at->element) {
            at = at->element;
        } else {
            size_t i = 0;
            while (leaf >= at->members[i].leaf + at->members[i].leaves) i++;
            at = &at->members[i];
        }
        steps[count++] = at; /* depth is bounded where shapes are made */
        names += at->name ? 1 : 2;
    }
    strata_thrift_put_list(out, last, 3, STRATA_THRIFT_BINARY, names);
    for (size_t i = 0; i < count; i++) {
        static const char *const rounds[] = {"list", "element"};
        for (int r = 0; r < (steps[i]->name ? 1 : 2); r++) {
            const char *name = steps[i]->name ? steps[i]->name : rounds[r];
            const char *suffix = steps[i]->text ? ":json" : "";
            strata_thrift_put_varint(out, strlen(name) + strlen(suffix));
            strata_buffer_text(out, name);
            strata_buffer_text(out, suffix);
        }
    }
}

static void put_chunk(struct strata_parquet_writer *writer, const struct column *column) {
    struct strata_buffer *out = &writer->groups;
    int last = 0, inner = 0;
    strata_thrift_put_integer(out, &last, 2, STRATA_THRIFT_I64, (int64_t)writer->at);
    strata_thrift_put_field(out, &last, 3, STRATA_THRIFT_STRUCT);
    strata_thrift_put_integer(out, &inner, 1, STRATA_THRIFT_I32, column->shape->type);
    strata_thrift_put_list(out, &inner, 2, STRATA_THRIFT_I32, 2);
    strata_thrift_put_zigzag(out, STRATA_ENCODING_PLAIN);
    strata_thrift_put_zigzag(out, STRATA_ENCODING_RLE);
    put_path(out, &inner, writer->shape, column->shape->leaf);
    strata_thrift_put_integer(out, &inner, 4, STRATA_THRIFT_I32,
                              is_packed(column) ? STRATA_CODEC_ZSTD : STRATA_CODEC_NONE);
    strata_thrift_put_integer(out, &inner, 5, STRATA_THRIFT_I64, (int64_t)column->entries);
    strata_thrift_put_integer(out, &inner, 6, STRATA_THRIFT_I64, (int64_t)column->unpacked);
    strata_thrift_put_integer(out, &inner, 7, STRATA_THRIFT_I64, (int64_t)column->pages.length);
    strata_thrift_put_integer(out, &inner, 9, STRATA_THRIFT_I64, (int64_t)writer->at);
    strata_thrift_put_stop(out);
    strata_thrift_put_stop(out);
}

static int close_group(struct strata_parquet_writer *writer, struct strata_error *err) {
    size_t C = writer->shape->leaves, unpacked = 0;
    int last = 0;
    if (!writer->group_rows) return 0;
    for (size_t c = 0; c < C; c++) {
        int code = close_page(writer, &writer->columns[c], err);
        if (code) return code;
        unpacked += writer->columns[c].unpacked;
    }
    strata_thrift_put_list(&writer->groups, &last, 1, STRATA_THRIFT_STRUCT, C);
    for (size_t c = 0; c < C; c++) {
        struct column *column = &writer->columns[c];
        put_chunk(writer, column);
        put(writer, column->pages.data, column->pages.length);
        strata_buffer_clear(&column->pages);
        column->entries = column->unpacked = 0;
    }
    strata_thrift_put_integer(&writer->groups, &last, 2, STRATA_THRIFT_I64, (int64_t)unpacked);
    strata_thrift_put_integer(&writer->groups, &last, 3, STRATA_THRIFT_I64, (int64_t)writer->group_rows);
    strata_thrift_put_stop(&writer->groups);
    writer->group_count++;
    writer->group_rows = 0;
    return strata_buffer_check(&writer->groups, err);
}

int strata_parquet_writer_add(struct strata_parquet_writer *writer, const json_t *record, struct strata_error *err) {
    size_t bytes = 0;
    int code = 0;
    for (size_t i = 0; i < writer->shape->count && !code; i++) {
        const struct strata_shape *column = &writer->shape->members[i];
        code = put_value(writer, column, json_object_get(record, column->name), 0, 0, err);
    }
    writer->rows++;
    writer->group_rows++;
    for (size_t c = 0; c < writer->shape->leaves && !code; c++) {
        struct column *column = &writer->columns[c];
        if (column->values.length + column->definitions.length >= PAGE_BYTES) code = close_page(writer, column, err);
        bytes += column->pages.length;
    }
    if (!code && (bytes >= GROUP_BYTES || writer->group_rows >= GROUP_ROWS)) code = close_group(writer, err);
    return code;
}

static void put_pair(struct strata_buffer *out, const char *key, const struct strata_buffer *value) {
    int last = 0;
    strata_thrift_put_text(out, &last, 1, key);
    strata_thrift_put_text(out, &last, 2, strata_buffer_string(value));
    strata_thrift_put_stop(out);
}

int strata_parquet_writer_finish(struct strata_parquet_writer *writer, struct strata_error *err) {
    struct strata_buffer footer = {0}, schema = {0}, absent = {0}, features = {0};
    int last = 0, code = close_group(writer, err);
    if (!code) code = strata_shape_absent(&absent, writer->shape, err);
    if (!code) code = strata_shape_features(&features, writer->shape, err);
    if (!code) {
        size_t elements = strata_shape_schema(&schema, writer->shape);
        strata_thrift_put_integer(&footer, &last, 1, STRATA_THRIFT_I32, 2);
        strata_thrift_put_list(&footer, &last, 2, STRATA_THRIFT_STRUCT, elements);
        strata_buffer_append(&footer, schema.data, schema.length);
        strata_thrift_put_integer(&footer, &last, 3, STRATA_THRIFT_I64, (int64_t)writer->rows);
        strata_thrift_put_list(&footer, &last, 4, STRATA_THRIFT_STRUCT, writer->group_count);
        strata_buffer_append(&footer, writer->groups.data, writer->groups.length);
        strata_thrift_put_list(&footer, &last, 5, STRATA_THRIFT_STRUCT, absent.length ? 2 : 1);
        put_pair(&footer, "huggingface", &features);
        if (absent.length) put_pair(&footer, "strata:absent", &absent);
        strata_thrift_put_text(&footer, &last, 6, "strata version " STRATA_VERSION);
        strata_thrift_put_stop(&footer);
        size_t length = footer.length;
        put_little(&footer, length, 4);
        strata_buffer_text(&footer, "PAR1");
        code = footer.failed || schema.failed ? no_memory(err) : 0;
    }
    if (!code) put(writer, footer.data, footer.length);
    strata_buffer_free(&footer);
    strata_buffer_free(&schema);
    strata_buffer_free(&absent);
    strata_buffer_free(&features);
    return code;
}
