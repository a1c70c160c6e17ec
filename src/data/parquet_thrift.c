#include "data/parquet_thrift.h"

#include <string.h>

#define MAX_DEPTH 32

static unsigned char read_byte(struct strata_thrift *thrift) {
    if (thrift->failed || thrift->at == thrift->end) {
        thrift->failed = true;
        return 0;
    }
    return *thrift->at++;
}

uint64_t strata_thrift_varint(struct strata_thrift *thrift) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = read_byte(thrift);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return thrift->failed ? 0 : value;
    }
    thrift->failed = true;
    return 0;
}

static int64_t zigzag(struct strata_thrift *thrift) {
    uint64_t value = strata_thrift_varint(thrift);
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static void pass(struct strata_thrift *thrift, uint64_t length) {
    if (length > (uint64_t)(thrift->end - thrift->at))
        thrift->failed = true;
    else
        thrift->at += length;
}

bool strata_thrift_next(struct strata_thrift_field *field, struct strata_thrift *thrift) {
    unsigned char byte = read_byte(thrift);
    if (thrift->failed || !byte) return false;
    int64_t id = byte >> 4 ? field->id + (byte >> 4) : zigzag(thrift);
    field->type = (enum strata_thrift_type)(byte & 15);
    if (id < INT16_MIN || id > INT16_MAX || !field->type || field->type > STRATA_THRIFT_STRUCT) thrift->failed = true;
    field->id = (int)id;
    return !thrift->failed;
}

static size_t list_header(enum strata_thrift_type *type, struct strata_thrift *thrift) {
    unsigned char byte = read_byte(thrift);
    uint64_t count = byte >> 4 == 15 ? strata_thrift_varint(thrift) : byte >> 4;
    *type = (enum strata_thrift_type)(byte & 15);
    if (count > (uint64_t)(thrift->end - thrift->at)) thrift->failed = true;
    return thrift->failed ? 0 : (size_t)count;
}

static void skip(struct strata_thrift *thrift, enum strata_thrift_type type, bool element, unsigned depth);

static void skip_map(struct strata_thrift *thrift, unsigned depth) {
    uint64_t count = strata_thrift_varint(thrift);
    if (!count) return;
    unsigned char types = read_byte(thrift);
    for (; count && !thrift->failed; count--) {
        skip(thrift, (enum strata_thrift_type)(types >> 4), true, depth);
        skip(thrift, (enum strata_thrift_type)(types & 15), true, depth);
    }
}

static void skip(struct strata_thrift *thrift, enum strata_thrift_type type, bool element, unsigned depth) {
    struct strata_thrift_field field = {0};
    if (depth > MAX_DEPTH) thrift->failed = true;
    if (thrift->failed) return;
    switch (type) {
    case STRATA_THRIFT_TRUE:
    case STRATA_THRIFT_FALSE:
        if (element) pass(thrift, 1);
        break;
    case STRATA_THRIFT_BYTE:
        pass(thrift, 1);
        break;
    case STRATA_THRIFT_I16:
    case STRATA_THRIFT_I32:
    case STRATA_THRIFT_I64:
        strata_thrift_varint(thrift);
        break;
    case STRATA_THRIFT_DOUBLE:
        pass(thrift, 8);
        break;
    case STRATA_THRIFT_BINARY:
        pass(thrift, strata_thrift_varint(thrift));
        break;
    case STRATA_THRIFT_LIST:
    case STRATA_THRIFT_SET:
        for (size_t count = list_header(&type, thrift); count && !thrift->failed; count--)
            skip(thrift, type, true, depth + 1);
        break;
    case STRATA_THRIFT_MAP:
        skip_map(thrift, depth + 1);
        break;
    case STRATA_THRIFT_STRUCT:
        while (strata_thrift_next(&field, thrift)) skip(thrift, field.type, false, depth + 1);
        break;
    default:
        thrift->failed = true;
    }
}

void strata_thrift_skip(struct strata_thrift *thrift, const struct strata_thrift_field *field) {
    skip(thrift, field->type, false, 0);
}

int64_t strata_thrift_integer(struct strata_thrift *thrift, const struct strata_thrift_field *field,
                              int64_t otherwise) {
    if (field->type == STRATA_THRIFT_BYTE) return (int8_t)read_byte(thrift);
    if (field->type >= STRATA_THRIFT_I16 && field->type <= STRATA_THRIFT_I64) return zigzag(thrift);
    strata_thrift_skip(thrift, field);
    return otherwise;
}

bool strata_thrift_bool(struct strata_thrift *thrift, const struct strata_thrift_field *field) {
    strata_thrift_skip(thrift, field); /* a boolean has no bytes of its own */
    return field->type == STRATA_THRIFT_TRUE;
}

const char *strata_thrift_binary(size_t *length, struct strata_thrift *thrift,
                                 const struct strata_thrift_field *field) {
    *length = 0;
    if (field->type != STRATA_THRIFT_BINARY) {
        strata_thrift_skip(thrift, field);
        return "";
    }
    uint64_t size = strata_thrift_varint(thrift);
    const char *bytes = (const char *)thrift->at;
    pass(thrift, size);
    if (thrift->failed) return "";
    *length = (size_t)size;
    return bytes;
}

size_t strata_thrift_list(struct strata_thrift *thrift, const struct strata_thrift_field *field,
                          enum strata_thrift_type type) {
    const struct strata_thrift begin = *thrift;
    enum strata_thrift_type elements;
    if (field->type == STRATA_THRIFT_LIST) {
        size_t count = list_header(&elements, thrift);
        if (thrift->failed || elements == type) return thrift->failed ? 0 : count;
        *thrift = begin;
    }
    strata_thrift_skip(thrift, field);
    return 0;
}

bool strata_thrift_struct(struct strata_thrift *thrift, const struct strata_thrift_field *field) {
    if (field->type == STRATA_THRIFT_STRUCT) return true;
    strata_thrift_skip(thrift, field);
    return false;
}

void strata_thrift_put_varint(struct strata_buffer *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) strata_buffer_byte(out, (unsigned char)(value | 0x80));
    strata_buffer_byte(out, (unsigned char)value);
}

void strata_thrift_put_zigzag(struct strata_buffer *out, int64_t value) {
    strata_thrift_put_varint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void strata_thrift_put_field(struct strata_buffer *out, int *last, int id, enum strata_thrift_type type) {
    /* Parquet's ids grow by less than 16 from field to field. */
    strata_buffer_byte(out, (unsigned char)((unsigned)(id - *last) << 4 | type));
    *last = id;
}

void strata_thrift_put_integer(struct strata_buffer *out, int *last, int id, enum strata_thrift_type type,
                               int64_t value) {
    strata_thrift_put_field(out, last, id, type);
    if (type == STRATA_THRIFT_BYTE)
        strata_buffer_byte(out, (unsigned char)value);
    else
        strata_thrift_put_zigzag(out, value);
}

void strata_thrift_put_binary(struct strata_buffer *out, int *last, int id, const char *bytes, size_t length) {
    strata_thrift_put_field(out, last, id, STRATA_THRIFT_BINARY);
    strata_thrift_put_varint(out, length);
    strata_buffer_append(out, bytes, length);
}

void strata_thrift_put_text(struct strata_buffer *out, int *last, int id, const char *text) {
    strata_thrift_put_binary(out, last, id, text, strlen(text));
}

void strata_thrift_put_list(struct strata_buffer *out, int *last, int id, enum strata_thrift_type type, size_t count) {
    strata_thrift_put_field(out, last, id, STRATA_THRIFT_LIST);
    strata_buffer_byte(out, (unsigned char)((count < 15 ? count : 15) << 4 | type));
    if (count >= 15) strata_thrift_put_varint(out, count);
}

void strata_thrift_put_stop(struct strata_buffer *out) {
    strata_buffer_byte(out, 0);
}
