#include "data/parquet_codec.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* Bytes being read and the place being written; both stay inside their bounds. */
struct block {
    const unsigned char *at, *end;
    unsigned char *out, *out_begin, *out_end;
};

static bool copy_literal(struct block *block, size_t length) {
    if (length > (size_t)(block->end - block->at) || length > (size_t)(block->out_end - block->out)) return false;
    if (length) memcpy(block->out, block->at, length);
    block->at += length;
    block->out += length;
    return true;
}

/* A copy of what was written `distance` bytes before; it may reach into itself. */
static bool copy_match(struct block *block, size_t distance, size_t length) {
    if (!distance || distance > (size_t)(block->out - block->out_begin) ||
        length > (size_t)(block->out_end - block->out))
        return false;
    if (distance >= length) {
        memcpy(block->out, block->out - distance, length);
        block->out += length;
        return true;
    }
    for (; length; length--, block->out++) *block->out = *(block->out - distance);
    return true;
}

/* A little-endian number of `size` bytes. */
static bool read_number(size_t *value, struct block *block, size_t size) {
    *value = 0;
    if (size > (size_t)(block->end - block->at)) return false;
    for (size_t i = 0; i < size; i++) *value |= (size_t)*block->at++ << 8 * i;
    return true;
}

/* ---- Snappy ---- */

static bool snappy_element(struct block *block) {
    size_t tag, distance, length;
    if (!read_number(&tag, block, 1)) return false;
    switch (tag & 3) {
    case 0:
        length = tag >> 2;
        if (length >= 60 && !read_number(&length, block, length - 59)) return false;
        return copy_literal(block, length + 1);
    case 1:
        if (!read_number(&distance, block, 1)) return false;
        return copy_match(block, distance | (tag >> 5) << 8, (tag >> 2 & 7) + 4);
    default:
        if (!read_number(&distance, block, (tag & 3) == 2 ? 2 : 4)) return false;
        return copy_match(block, distance, (tag >> 2) + 1);
    }
}

static bool unpack_snappy(struct block *block) {
    struct strata_thrift header = {.at = block->at, .end = block->end};
    if (strata_thrift_varint(&header) != (size_t)(block->out_end - block->out) || header.failed) return false;
    block->at = header.at;
    while (block->at < block->end)
        if (!snappy_element(block)) return false;
    return true;
}

/* ---- LZ4 ---- */

/* 15 in four bits goes on in bytes until one is not 255. */
static bool lz4_length(size_t *length, struct block *block) {
    size_t more = 255;
    while (more == 255) {
        if (!read_number(&more, block, 1)) return false;
        *length += more;
    }
    return true;
}

static bool unpack_lz4(struct block *block) {
    while (block->at < block->end) {
        size_t token, distance;
        if (!read_number(&token, block, 1)) return false;
        size_t literal = token >> 4, match = token & 15;
        if (literal == 15 && !lz4_length(&literal, block)) return false;
        if (!copy_literal(block, literal)) return false;
        if (block->at == block->end) break; /* the last sequence has no match */
        if (!read_number(&distance, block, 2)) return false;
        if (match == 15 && !lz4_length(&match, block)) return false;
        if (!copy_match(block, distance, match + 4)) return false;
    }
    return true;
}

static size_t big_endian(const unsigned char *bytes) {
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

/* The codec LZ4 should be frames of Hadoop (size unpacked, size packed, both big-endian, a block); some writers left
 * the frames out. */
static bool unpack_lz4_hadoop(struct block *block) {
    const struct block begin = *block;
    while (block->end - block->at >= 8) {
        size_t size = big_endian(block->at), packed = big_endian(block->at + 4);
        block->at += 8;
        if (packed > (size_t)(block->end - block->at) || size > (size_t)(block->out_end - block->out)) break;
        struct block frame = {.at = block->at,
                              .end = block->at + packed,
                              .out = block->out,
                              .out_begin = block->out,
                              .out_end = block->out + size};
        if (!unpack_lz4(&frame) || frame.out != frame.out_end) break;
        block->at += packed;
        block->out += size;
        if (block->at == block->end) return true;
    }
    *block = begin;
    return unpack_lz4(block);
}

/* ---- gzip, zstd ---- */

static bool unpack_gzip(struct block *block) {
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)block->at,
                       .avail_in = (unsigned)(block->end - block->at)};
    stream.next_out = block->out;
    stream.avail_out = (unsigned)(block->out_end - block->out);
    if (inflateInit2(&stream, 15 + 32) != Z_OK) return false;
    int status = inflate(&stream, Z_FINISH);
    block->out = stream.next_out;
    inflateEnd(&stream);
    return status == Z_STREAM_END;
}

static bool unpack_zstd(struct block *block) {
    size_t size = (size_t)(block->out_end - block->out);
    size_t got = ZSTD_decompress(block->out, size, block->at, (size_t)(block->end - block->at));
    if (ZSTD_isError(got)) return false;
    block->out += got;
    return true;
}

int strata_parquet_unpack(struct strata_buffer *out, size_t size, enum strata_parquet_codec codec,
                          const unsigned char *packed, size_t length, struct strata_error *err) {
    /* The most that a byte can become: so no few bytes make us reserve gigabytes. */
    static const size_t ratios[] = {1, 32, 1100, 0, 0, 256, 40000, 256};
    static bool (*const unpackers[])(struct block *) = {NULL, unpack_snappy,     unpack_gzip, NULL,
                                                        NULL, unpack_lz4_hadoop, unpack_zstd, unpack_lz4};
    if (codec == STRATA_CODEC_NONE) {
        if (length != size) return strata_parquet_damaged("a page has another size than its header says", err);
        strata_buffer_append(out, packed, length);
        return strata_buffer_check(out, err);
    }
    if (size / ratios[codec] > length) return strata_parquet_damaged("a page cannot be decompressed", err);
    unsigned char *bytes = strata_buffer_extend(out, size);
    if (!bytes) return strata_fail(err, STRATA_ERR_MEMORY, "no memory for a page of %zu bytes", size);
    struct block block = {
        .at = packed, .end = packed + length, .out = bytes, .out_begin = bytes, .out_end = bytes + size};
    bool ok = size == 0 || (unpackers[codec](&block) && block.out == block.out_end);
    return ok ? 0 : strata_parquet_damaged("a page cannot be decompressed", err);
}

int strata_parquet_pack(struct strata_buffer *out, const void *bytes, size_t length, struct strata_error *err) {
    size_t begin = out->length, bound = ZSTD_compressBound(length);
    void *packed = strata_buffer_extend(out, bound);
    size_t size = packed ? ZSTD_compress(packed, bound, bytes, length, 3) : 0;
    if (!packed || ZSTD_isError(size)) return strata_fail(err, STRATA_ERR_MEMORY, "no memory to compress a page");
    out->length = begin + size;
    return 0;
}
