#include "data/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/memory.h"

#define CHUNK 65536

/* zstd between the file and its text. */
struct unpacker {
    ZSTD_DStream *stream;
    ZSTD_inBuffer in; /* of bytes */
    size_t pending;   /* what zstd still expects of a frame; 0 between frames */
    char bytes[CHUNK];
};

struct strata_text_file {
    gzFile stream; /* passes a file that is not gzip's through */
    struct unpacker *zstd;
    char *path;
    size_t number, begin, end; /* line of the next byte; what is left of chunk */
    bool started;
    char chunk[CHUNK];
};

static int refuse(const struct strata_text_file *file, int code, const char *what, const char *hint,
                  struct strata_error *err) {
    strata_fail(err, code, "%s", what);
    strata_fail_at(err, code, "%s", file->path);
    return strata_fail_hint(err, code, "%s", hint);
}

/* Files that people take for text, told by their first bytes. */
static int refuse_binary(const struct strata_text_file *file, struct strata_error *err) {
    static const struct {
        const char *magic, *what, *hint;
    } kinds[] = {
        {"PK\x03\x04", "the file is a zip archive", "unpack it and give the files (images may stay in it)"},
        {"ARROW1", "an Arrow file cannot be read", "datasets' to_json() writes JSONL"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].magic);
        if (file->end >= length && memcmp(file->chunk, kinds[i].magic, length) == 0)
            return refuse(file, STRATA_ERR_UNSUPPORTED, kinds[i].what, kinds[i].hint, err);
    }
    return 0;
}

static int read_error(const struct strata_text_file *file, struct strata_error *err) {
    int number = errno, kind;
    const char *text = gzerror(file->stream, &kind);
    if (kind == Z_ERRNO) {
        strata_fail(err, STRATA_ERR_IO, "cannot read: %s", strerror(number));
        return strata_fail_at(err, STRATA_ERR_IO, "%s", file->path);
    }
    strata_fail(err, STRATA_ERR_IO, "the gzip data is damaged or cut short: %s", text);
    return strata_fail_at(err, STRATA_ERR_IO, "%s:%zu", file->path, file->number);
}

/* Up to CHUNK bytes of the file, gzip undone. *got 0: the end. */
static int read_file(size_t *got, char *out, struct strata_text_file *file, struct strata_error *err) {
    int count = gzread(file->stream, out, CHUNK), kind = Z_OK;
    *got = 0;
    /* The end of a stream that was cut short is no failure of gzread, only noted. */
    if (count == 0) gzerror(file->stream, &kind);
    if (count < 0 || (kind != Z_OK && kind != Z_STREAM_END)) return read_error(file, err);
    *got = (size_t)count;
    return 0;
}

static int zstd_error(const struct strata_text_file *file, const char *what, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_IO, "the zstd data is damaged or cut short: %s", what);
    return strata_fail_at(err, STRATA_ERR_IO, "%s:%zu", file->path, file->number);
}

static int unpack_zstd(struct strata_text_file *file, struct strata_error *err) {
    struct unpacker *zstd = file->zstd;
    ZSTD_outBuffer out = {.dst = file->chunk, .size = CHUNK};
    while (!out.pos) {
        if (zstd->in.pos == zstd->in.size) {
            int code = read_file(&zstd->in.size, zstd->bytes, file, err);
            zstd->in.pos = 0;
            if (code) return code;
        }
        /* At the end of the file a call may still give text that was held back. */
        size_t pending = ZSTD_decompressStream(zstd->stream, &out, &zstd->in);
        if (ZSTD_isError(pending)) return zstd_error(file, ZSTD_getErrorName(pending), err);
        if (zstd->in.size || out.pos) zstd->pending = pending;
        if (!zstd->in.size && !out.pos) return zstd->pending ? zstd_error(file, "the file ends", err) : 0;
    }
    file->end = out.pos;
    return 0;
}

/* The first bytes are in file->chunk: if they are zstd's, they are its input. */
static int begin_zstd(struct strata_text_file *file, struct strata_error *err) {
    if (file->end < 4 || memcmp(file->chunk, "\x28\xb5\x2f\xfd", 4) != 0) return 0;
    int code = strata_alloc(&file->zstd, 1, sizeof *file->zstd, err);
    if (code) return code;
    file->zstd->stream = ZSTD_createDStream();
    if (!file->zstd->stream) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    memcpy(file->zstd->bytes, file->chunk, file->end);
    file->zstd->in = (ZSTD_inBuffer){.src = file->zstd->bytes, .size = file->end};
    file->end = 0;
    return unpack_zstd(file, err);
}

int strata_text_peek(const char **bytes, size_t *length, struct strata_text_file *file, struct strata_error *err) {
    if (file->begin == file->end) {
        file->begin = file->end = 0;
        int code = file->zstd ? unpack_zstd(file, err) : read_file(&file->end, file->chunk, file, err);
        if (!code && !file->started) {
            file->started = true;
            code = begin_zstd(file, err);
            if (!code) code = refuse_binary(file, err);
            if (file->end >= 3 && memcmp(file->chunk, "\xef\xbb\xbf", 3) == 0) file->begin = 3;
        }
        if (code) return code;
    }
    *bytes = file->chunk + file->begin;
    *length = file->end - file->begin;
    return 0;
}

void strata_text_skip(struct strata_text_file *file, size_t length) {
    const char *at = file->chunk + file->begin, *end = at + length;
    for (; (at = memchr(at, '\n', (size_t)(end - at))); at++) file->number++;
    file->begin += length;
}

size_t strata_text_line_number(const struct strata_text_file *file) {
    return file->number;
}

const char *strata_text_path(const struct strata_text_file *file) {
    return file->path;
}

const char *strata_text_compression(struct strata_text_file *file) {
    return file->zstd ? "zstd" : gzdirect(file->stream) ? NULL : "gzip";
}

int strata_text_too_long(const struct strata_text_file *file, size_t number, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_UNSUPPORTED, "a record is longer than %zu bytes", STRATA_RECORD_LIMIT);
    strata_fail_at(err, STRATA_ERR_UNSUPPORTED, "%s:%zu", file->path, number);
    return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "JSONL, a JSON array, CSV or TSV is expected");
}

int strata_text_line(struct strata_buffer *line, bool *got, struct strata_text_file *file, struct strata_error *err) {
    size_t number = file->number, length = 0;
    const char *bytes = NULL;
    strata_buffer_clear(line);
    *got = false;
    for (;;) {
        int code = strata_text_peek(&bytes, &length, file, err);
        if (code) return code;
        if (!length) return strata_buffer_check(line, err);
        *got = true;
        const char *newline = memchr(bytes, '\n', length);
        size_t size = newline ? (size_t)(newline - bytes) : length;
        if (line->length + size > STRATA_RECORD_LIMIT) return strata_text_too_long(file, number, err);
        strata_buffer_append(line, bytes, size);
        strata_text_skip(file, size + (newline != NULL));
        if (newline) return strata_buffer_check(line, err);
    }
}

int strata_text_open(struct strata_text_file **out, const char *path, struct strata_error *err) {
    struct strata_text_file *file;
    *out = NULL;
    int code = strata_alloc(&file, 1, sizeof *file, err), handle = -1;
    if (code) return code;
    file->number = 1;
    file->path = strata_strdup(path);
    if (!file->path) {
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    } else if ((handle = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        strata_fail(err, STRATA_ERR_IO, "cannot open the data set: %s", strerror(errno));
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    } else if (!(file->stream = gzdopen(handle, "rb"))) {
        close(handle);
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (code) {
        strata_text_close(file);
        return code;
    }
    gzbuffer(file->stream, CHUNK);
    *out = file;
    return 0;
}

void strata_text_close(struct strata_text_file *file) {
    if (!file) return;
    if (file->stream) gzclose(file->stream);
    if (file->zstd) ZSTD_freeDStream(file->zstd->stream);
    free(file->zstd);
    free(file->path);
    free(file);
}
