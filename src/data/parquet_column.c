#include "data/parquet_column.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "data/parquet_codec.h"

#define HEADER_FIRST ((size_t)1 << 12) /* a header is some dozens of bytes, but may hold statistics of long texts */
#define HEADER_LIMIT ((size_t)1 << 24)

void strata_parquet_column_start(struct strata_parquet_column *column, const struct strata_parquet_chunk *chunk) {
    column->chunk = *chunk;
    column->at = chunk->begin;
    column->entries_left = chunk->entries;
    column->page_left = 0;
    column->peeked = false;
    strata_dictionary_free(&column->dictionary);
}

void strata_parquet_column_free(struct strata_parquet_column *column) {
    strata_buffer_free(&column->packed);
    strata_buffer_free(&column->page);
    strata_parquet_values_free(&column->values);
    strata_dictionary_free(&column->dictionary);
}

/* Bytes [column->at, +length) of the file into column->packed. */
static int read_at(struct strata_parquet_column *column, size_t length, struct strata_error *err) {
    size_t done = 0;
    strata_buffer_clear(&column->packed);
    char *bytes = strata_buffer_extend(&column->packed, length);
    if (!bytes) return strata_fail(err, STRATA_ERR_MEMORY, "no memory for a page of %zu bytes", length);
    while (done < length) {
        ssize_t got = pread(column->handle, bytes + done, length - done, (off_t)(column->at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return strata_fail(err, STRATA_ERR_IO, "cannot read: %s", strerror(errno));
        if (got == 0) return strata_parquet_damaged("it became shorter", err);
        done += (size_t)got;
    }
    return 0;
}

static int read_header(struct strata_parquet_page_header *header, struct strata_parquet_column *column,
                       struct strata_error *err) {
    uint64_t left = column->chunk.end - column->at;
    size_t length = 0, tried = HEADER_FIRST;
    for (;; tried *= 8) {
        if (tried > left) tried = (size_t)left;
        int code = read_at(column, tried, err);
        if (!code)
            code = strata_parquet_page_parse(header, &length, (const unsigned char *)column->packed.data, tried, err);
        if (code) return code;
        if (length) break;
        if (tried == left || tried > HEADER_LIMIT) return strata_parquet_damaged("a page's header is cut short", err);
    }
    column->at += length;
    return header->packed > left - length ? strata_parquet_damaged("a page is cut short", err) : 0;
}

static unsigned width_of(unsigned maximum) {
    unsigned width = 0;
    for (; maximum; maximum >>= 1) width++;
    return width;
}

/* Levels of a page of version 1: runs behind their length. */
static bool open_levels(struct strata_runs *runs, const unsigned char **at, const unsigned char *end,
                        unsigned maximum) {
    strata_runs_open(runs, NULL, NULL, 0);
    if (!maximum) return true;
    if (end - *at < 4) return false;
    const unsigned char *begin = *at + 4;
    uint32_t length =
        (uint32_t)(*at)[0] | (uint32_t)(*at)[1] << 8 | (uint32_t)(*at)[2] << 16 | (uint32_t)(*at)[3] << 24;
    if (length > (size_t)(end - begin)) return false;
    strata_runs_open(runs, begin, begin + length, width_of(maximum));
    *at = begin + length;
    return true;
}

static int unpack_page(struct strata_parquet_column *column, const struct strata_parquet_page_header *header,
                       struct strata_buffer *out, struct strata_error *err) {
    const unsigned char *packed = (const unsigned char *)column->packed.data;
    size_t levels = 0, length = header->packed;
    enum strata_parquet_codec codec = column->chunk.codec;
    strata_buffer_clear(out);
    if (header->kind == STRATA_PAGE_DATA_V2) {
        levels = (size_t)header->definition_bytes + header->repetition_bytes;
        if (!header->compressed) codec = STRATA_CODEC_NONE;
    }
    if (levels > length || levels > header->unpacked)
        return strata_parquet_damaged("a page's levels are longer than the page", err);
    strata_buffer_append(out, packed, levels);
    return strata_parquet_unpack(out, header->unpacked - levels, codec, packed + levels, length - levels, err);
}

static int open_data(struct strata_parquet_column *column, const struct strata_parquet_page_header *header,
                     struct strata_error *err) {
    const struct strata_parquet_node *node = column->node;
    int code = unpack_page(column, header, &column->page, err);
    if (code) return code;
    const unsigned char *at = (const unsigned char *)column->page.data, *end = at + column->page.length;
    bool ok = true;
    if (header->kind == STRATA_PAGE_DATA_V2) { /* unpack_page saw that both lengths fit */
        const unsigned char *definitions = at + header->repetition_bytes;
        strata_runs_open(&column->repetitions, at, definitions, width_of(node->maximum_repetition));
        at = definitions + header->definition_bytes;
        strata_runs_open(&column->definitions, definitions, at, width_of(node->maximum_definition));
    } else {
        ok = open_levels(&column->repetitions, &at, end, node->maximum_repetition) &&
             open_levels(&column->definitions, &at, end, node->maximum_definition);
    }
    if (!ok || !strata_parquet_values_open(&column->values, node, header->encoding, &column->dictionary, at, end))
        return strata_parquet_damaged("a page's encoding cannot be read", err);
    column->page_left = header->entries;
    return 0;
}

static int next_page(struct strata_parquet_column *column, struct strata_error *err) {
    struct strata_parquet_page_header header;
    if (column->at >= column->chunk.end) return strata_parquet_damaged("a column ends early", err);
    int code = read_header(&header, column, err);
    if (!code) code = read_at(column, header.packed, err);
    if (code) return code;
    column->at += header.packed;
    if (header.kind == STRATA_PAGE_DICTIONARY) {
        code = unpack_page(column, &header, &column->dictionary.bytes, err);
        return code ? code : strata_dictionary_index(&column->dictionary, column->node, header.entries, err);
    }
    if (header.kind == STRATA_PAGE_INDEX) return 0;
    if (header.entries > column->entries_left) return strata_parquet_damaged("a page has too many values", err);
    return open_data(column, &header, err);
}

int strata_parquet_column_peek(struct strata_parquet_column *column, struct strata_error *err) {
    uint32_t repetition, definition;
    if (column->peeked) return 0;
    if (!column->entries_left) return strata_parquet_damaged("a column ends early", err);
    while (!column->page_left) {
        int code = next_page(column, err);
        if (code) return code;
    }
    if (!strata_runs_next(&repetition, &column->repetitions) || !strata_runs_next(&definition, &column->definitions) ||
        repetition > column->node->maximum_repetition || definition > column->node->maximum_definition)
        return strata_parquet_damaged("a page's levels cannot be read", err);
    column->repetition = repetition;
    column->definition = definition;
    column->peeked = true;
    return 0;
}

int strata_parquet_column_take(struct strata_parquet_value *value, struct strata_parquet_column *column,
                               struct strata_error *err) {
    *value = (struct strata_parquet_value){0};
    column->peeked = false;
    column->page_left--;
    column->entries_left--;
    if (column->definition < column->node->maximum_definition) return 0;
    return strata_parquet_values_next(value, &column->values)
               ? 0
               : strata_parquet_damaged("a page's values cannot be read", err);
}
