#include "data/parquet_encoding.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- little-endian numbers ---- */

static uint32_t load32(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t load64(const unsigned char *bytes) {
    return load32(bytes) | (uint64_t)load32(bytes + 4) << 32;
}

/* ---- runs ---- */

void strata_runs_open(struct strata_runs *runs, const unsigned char *at, const unsigned char *end, unsigned width) {
    *runs = (struct strata_runs){.at = at, .end = end, .width = width};
}

static uint64_t varint(const unsigned char **at, const unsigned char *end, bool *ok) {
    struct strata_thrift bytes = {.at = *at, .end = end};
    uint64_t value = strata_thrift_varint(&bytes);
    *at = bytes.at;
    *ok = !bytes.failed;
    return value;
}

static bool next_run(struct strata_runs *runs) {
    bool ok;
    uint64_t header = varint(&runs->at, runs->end, &ok);
    size_t available = (size_t)(runs->end - runs->at), size = (runs->width + 7) / 8;
    if (!ok || !(header >> 1)) return false;
    runs->packed = header & 1;
    if (runs->packed) {
        /* The last group may be cut short by the end of the data. */
        uint64_t groups = header >> 1, bytes = groups > available ? available : groups * runs->width;
        if (bytes > available) bytes = available;
        runs->packed_bytes = runs->at;
        runs->bit = 0;
        runs->left = bytes * 8 / runs->width;
        if (runs->left > groups * 8) runs->left = groups * 8;
        runs->at += bytes;
        return runs->left > 0;
    }
    if (available < size) return false;
    runs->value = 0;
    for (size_t i = 0; i < size; i++) runs->value |= (uint32_t)runs->at[i] << 8 * i;
    runs->at += size;
    runs->left = header >> 1;
    return runs->width == 32 || runs->value >> runs->width == 0;
}

/* `width` <= 64 bits of which the first is bit number `bit` of bytes [at, end). */
static uint64_t unpack(const unsigned char *at, const unsigned char *end, uint64_t bit, unsigned width) {
    const unsigned char *byte = at + bit / 8;
    unsigned shift = bit % 8, have = 8 - shift;
    uint64_t value = byte < end ? (uint64_t)*byte >> shift : 0;
    for (byte++; have < width && byte < end; have += 8, byte++) value |= (uint64_t)*byte << have;
    return width < 64 ? value & (((uint64_t)1 << width) - 1) : value;
}

bool strata_runs_next(uint32_t *value, struct strata_runs *runs) {
    *value = 0;
    if (!runs->width) return true;
    if (!runs->left && !next_run(runs)) return false;
    runs->left--;
    if (!runs->packed) {
        *value = runs->value;
        return true;
    }
    *value = (uint32_t)unpack(runs->packed_bytes, runs->end, runs->bit, runs->width);
    runs->bit += runs->width;
    return true;
}

void strata_runs_write(struct strata_buffer *out, const unsigned char *values, size_t count, unsigned width) {
    for (size_t i = 0; i < count;) {
        size_t run = 1;
        while (i + run < count && values[i + run] == values[i]) run++;
        if (run >= 8 || i + run == count) {
            strata_thrift_put_varint(out, (uint64_t)run << 1);
            strata_buffer_byte(out, values[i]); /* levels are below 256 */
            i += run;
            continue;
        }
        /* Groups of eight until the next long run begins at a group's begin. */
        size_t groups = 0, begin = i;
        do {
            groups++;
            i += 8;
            run = 0;
            while (i + run < count && run < 8 && values[i + run] == values[i]) run++;
        } while (i < count && run < 8 && groups < 63);
        strata_thrift_put_varint(out, (uint64_t)groups << 1 | 1);
        uint32_t bits = 0;
        unsigned have = 0;
        for (size_t v = begin; v < begin + 8 * groups; v++) {
            bits |= (uint32_t)(v < count ? values[v] : 0) << have;
            for (have += width; have >= 8; have -= 8, bits >>= 8) strata_buffer_byte(out, (unsigned char)bits);
        }
    }
}

/* ---- delta ---- */

bool strata_delta_open(struct strata_delta *delta, const unsigned char *at, const unsigned char *end) {
    bool ok[4];
    *delta = (struct strata_delta){.end = end, .first = true};
    uint64_t block = varint(&at, end, &ok[0]);
    delta->miniblocks = varint(&at, end, &ok[1]);
    delta->left = varint(&at, end, &ok[2]);
    uint64_t first = varint(&at, end, &ok[3]);
    delta->at = at;
    delta->last = first >> 1 ^ (0 - (first & 1));
    if (!ok[0] || !ok[1] || !ok[2] || !ok[3] || !delta->miniblocks || delta->miniblocks > 4096 || block > 1u << 24 ||
        block % delta->miniblocks || delta->left > INT32_MAX)
        return false;
    delta->per_miniblock = block / delta->miniblocks;
    return delta->per_miniblock && delta->per_miniblock % 8 == 0;
}

static bool next_miniblock(struct strata_delta *delta) {
    bool ok = true;
    if (!delta->widths || delta->miniblock == delta->miniblocks) {
        uint64_t minimum = varint(&delta->at, delta->end, &ok);
        delta->minimum = minimum >> 1 ^ (0 - (minimum & 1));
        if (!ok || (uint64_t)(delta->end - delta->at) < delta->miniblocks) return false;
        delta->widths = delta->at;
        delta->at += delta->miniblocks;
        delta->miniblock = 0;
    }
    unsigned width = delta->widths[delta->miniblock++];
    uint64_t available = (uint64_t)(delta->end - delta->at), bytes = delta->per_miniblock / 8 * width;
    if (width > 64) return false;
    /* The last miniblock's padding may be missing. */
    if (bytes > available) {
        if (delta->left * width > available * 8) return false;
        bytes = available;
    }
    delta->bits = (struct strata_runs){.at = delta->at, .end = delta->at + bytes, .width = width};
    delta->bits_left = delta->per_miniblock;
    delta->at += bytes;
    return true;
}

bool strata_delta_next(int64_t *value, struct strata_delta *delta) {
    *value = 0;
    if (!delta->left) return false;
    if (!delta->first) {
        if (!delta->bits_left && !next_miniblock(delta)) return false;
        uint64_t step = unpack(delta->bits.at, delta->bits.end, delta->bits.bit, delta->bits.width);
        if (!delta->bits.width) step = 0;
        delta->bits.bit += delta->bits.width;
        delta->bits_left--;
        delta->last += delta->minimum + step;
    }
    delta->first = false;
    delta->left--;
    *value = (int64_t)delta->last;
    return true;
}

/* ---- values ---- */

/* Bytes of a value of this type; 0 where it depends on the value. */
static size_t type_size(enum strata_parquet_type type, size_t fixed) {
    static const size_t sizes[] = {0, 4, 8, 12, 4, 8, 0, 0, 0};
    return type == STRATA_PARQUET_FIXED ? fixed : sizes[type];
}

static void load(struct strata_parquet_value *value, enum strata_parquet_type type, const unsigned char *bytes,
                 size_t size) {
    uint64_t bits = size >= 8 ? load64(bytes) : size >= 4 ? load32(bytes) : 0;
    float single;
    uint32_t low = (uint32_t)bits;
    switch (type) {
    case STRATA_PARQUET_INT32:
        value->integer = (int32_t)low;
        break;
    case STRATA_PARQUET_INT64:
        value->integer = (int64_t)bits;
        break;
    case STRATA_PARQUET_FLOAT:
        memcpy(&single, &low, sizeof single);
        value->real = (double)single;
        break;
    case STRATA_PARQUET_DOUBLE:
        memcpy(&value->real, &bits, sizeof bits);
        break;
    default:
        value->bytes = bytes;
        value->length = size;
    }
}

/* One PLAIN value of a type with whole bytes. */
static bool plain(struct strata_parquet_value *value, const unsigned char **at, const unsigned char *end,
                  enum strata_parquet_type type, size_t fixed) {
    size_t available = (size_t)(end - *at), size = type_size(type, fixed);
    if (type == STRATA_PARQUET_BYTE_ARRAY) {
        if (available < 4) return false;
        size = load32(*at);
        *at += 4;
        available -= 4;
    }
    if (size > available) return false;
    if (type == STRATA_PARQUET_BYTE_ARRAY) {
        value->bytes = *at;
        value->length = size;
    } else {
        load(value, type, *at, size);
    }
    *at += size;
    return true;
}

/* Opens the lengths at `at`; *behind is where what they are of begins. */
static bool open_lengths(struct strata_delta *lengths, const unsigned char **behind, const unsigned char *at,
                         const unsigned char *end) {
    if (!strata_delta_open(lengths, at, end)) return false;
    struct strata_delta ahead = *lengths;
    while (ahead.left > 1) { /* the first value stands in the header */
        if (!next_miniblock(&ahead)) return false;
        ahead.left -= ahead.per_miniblock < ahead.left - 1 ? ahead.per_miniblock : ahead.left - 1;
    }
    *behind = ahead.at;
    return true;
}

static bool open_boolean(struct strata_parquet_values *values) {
    if (values->encoding == STRATA_ENCODING_PLAIN) return true;
    /* Version 2: runs behind their length. */
    if (values->encoding != STRATA_ENCODING_RLE || values->end - values->at < 4) return false;
    strata_runs_open(&values->runs, values->at + 4, values->end, 1);
    return true;
}

bool strata_parquet_values_open(struct strata_parquet_values *values, const struct strata_parquet_node *node,
                                enum strata_parquet_encoding encoding, const struct strata_dictionary *dictionary,
                                const unsigned char *at, const unsigned char *end) {
    enum strata_parquet_type type = node->type;
    bool integer = type == STRATA_PARQUET_INT32 || type == STRATA_PARQUET_INT64;
    bool bytes = type == STRATA_PARQUET_BYTE_ARRAY || type == STRATA_PARQUET_FIXED;
    values->encoding = encoding;
    values->type = type;
    values->length = node->length;
    values->at = at;
    values->end = end;
    values->index = 0;
    strata_buffer_clear(&values->text);
    switch (encoding) {
    case STRATA_ENCODING_PLAIN:
        return true;
    case STRATA_ENCODING_PLAIN_DICTIONARY:
    case STRATA_ENCODING_DICTIONARY:
        values->encoding = STRATA_ENCODING_DICTIONARY;
        values->dictionary = dictionary;
        if (at == end) return true; /* a page of nulls */
        if (!dictionary->values || *at > 32) return false;
        strata_runs_open(&values->runs, at + 1, end, *at);
        return true;
    case STRATA_ENCODING_RLE:
        return type == STRATA_PARQUET_BOOLEAN && open_boolean(values);
    case STRATA_ENCODING_DELTA:
        return integer && strata_delta_open(&values->lengths, at, end);
    case STRATA_ENCODING_DELTA_LENGTH:
        return type == STRATA_PARQUET_BYTE_ARRAY && open_lengths(&values->lengths, &values->at, at, end);
    case STRATA_ENCODING_DELTA_BYTES:
        return bytes && open_lengths(&values->prefixes, &at, at, end) &&
               open_lengths(&values->lengths, &values->at, at, end);
    case STRATA_ENCODING_SPLIT:
        values->length = type_size(type, node->length);
        values->stride = values->length ? (size_t)(end - at) / values->length : 0;
        return values->length && values->length <= sizeof values->split && type != STRATA_PARQUET_INT96;
    }
    return false;
}

static bool take(struct strata_parquet_value *value, struct strata_parquet_values *values, int64_t length) {
    if (length < 0 || length > values->end - values->at) return false;
    value->bytes = values->at;
    value->length = (size_t)length;
    values->at += length;
    return true;
}

/* A text that shares its begin with the one before. */
static bool take_suffix(struct strata_parquet_value *value, struct strata_parquet_values *values) {
    int64_t prefix, length;
    if (!strata_delta_next(&prefix, &values->prefixes) || !strata_delta_next(&length, &values->lengths) || prefix < 0 ||
        (uint64_t)prefix > values->text.length || !take(value, values, length))
        return false;
    values->text.length = (size_t)prefix;
    strata_buffer_append(&values->text, value->bytes, value->length);
    value->bytes = (const unsigned char *)strata_buffer_string(&values->text);
    value->length = values->text.length;
    return !values->text.failed && (values->type != STRATA_PARQUET_FIXED || value->length == values->length);
}

bool strata_parquet_values_next(struct strata_parquet_value *value, struct strata_parquet_values *values) {
    uint32_t index;
    int64_t length;
    *value = (struct strata_parquet_value){0};
    switch (values->encoding) {
    case STRATA_ENCODING_PLAIN:
        if (values->type != STRATA_PARQUET_BOOLEAN)
            return plain(value, &values->at, values->end, values->type, values->length);
        if (values->at + values->index / 8 >= values->end) return false;
        value->integer = values->at[values->index / 8] >> values->index % 8 & 1;
        values->index++;
        return true;
    case STRATA_ENCODING_RLE:
        if (!strata_runs_next(&index, &values->runs)) return false;
        value->integer = index;
        return true;
    case STRATA_ENCODING_PLAIN_DICTIONARY: /* values_open calls both DICTIONARY */
    case STRATA_ENCODING_DICTIONARY: {
        if (values->at == values->end || !strata_runs_next(&index, &values->runs) || index >= values->dictionary->count)
            return false;
        const unsigned char *at = values->dictionary->values[index];
        const struct strata_buffer *bytes = &values->dictionary->bytes;
        return plain(value, &at, (const unsigned char *)bytes->data + bytes->length, values->type, values->length);
    }
    case STRATA_ENCODING_DELTA:
        if (!strata_delta_next(&value->integer, &values->lengths)) return false;
        if (values->type == STRATA_PARQUET_INT32) value->integer = (int32_t)(uint32_t)(uint64_t)value->integer;
        return true;
    case STRATA_ENCODING_DELTA_LENGTH:
        return strata_delta_next(&length, &values->lengths) && take(value, values, length);
    case STRATA_ENCODING_DELTA_BYTES:
        return take_suffix(value, values);
    case STRATA_ENCODING_SPLIT:
        if (values->index >= values->stride) return false;
        for (size_t i = 0; i < values->length; i++) values->split[i] = values->at[i * values->stride + values->index];
        values->index++;
        load(value, values->type, values->split, values->length);
        return true;
    }
    return false;
}

void strata_parquet_values_free(struct strata_parquet_values *values) {
    strata_buffer_free(&values->text);
}

/* ---- dictionaries ---- */

int strata_dictionary_index(struct strata_dictionary *dictionary, const struct strata_parquet_node *node,
                            uint32_t count, struct strata_error *err) {
    const unsigned char *at = (const unsigned char *)strata_buffer_string(&dictionary->bytes);
    const unsigned char *end = at + dictionary->bytes.length;
    size_t least = node->type == STRATA_PARQUET_BYTE_ARRAY ? 4 : type_size(node->type, node->length);
    free(dictionary->values);
    dictionary->values = NULL;
    dictionary->count = 0;
    if (!least || count > (size_t)(end - at) / least) return strata_parquet_damaged("a dictionary is too short", err);
    int code = strata_alloc(&dictionary->values, count, sizeof *dictionary->values, err);
    dictionary->count = code ? 0 : count;
    for (uint32_t i = 0; !code && i < count; i++) {
        struct strata_parquet_value value = {0};
        dictionary->values[i] = at;
        if (!plain(&value, &at, end, node->type, node->length))
            code = strata_parquet_damaged("a dictionary is too short", err);
    }
    return code;
}

void strata_dictionary_free(struct strata_dictionary *dictionary) {
    strata_buffer_free(&dictionary->bytes);
    free(dictionary->values);
    *dictionary = (struct strata_dictionary){0};
}
