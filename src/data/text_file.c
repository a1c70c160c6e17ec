#include "data/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"

#define CHUNK 65536

struct strata_text_file {
    gzFile stream; /* passes a plain file through */
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
        {"PAR1", "a Parquet file cannot be read",
         "datasets' to_json() or pandas' to_json(orient=\"records\", lines=True)"},
        {"\x28\xb5\x2f\xfd", "the file is zstd-compressed", "zstd -d unpacks it; gzip is read as it is"},
        {"PK\x03\x04", "the file is a zip archive", "unpack it and give the files"},
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

int strata_text_peek(const char **bytes, size_t *length, struct strata_text_file *file, struct strata_error *err) {
    if (file->begin == file->end) {
        int got = gzread(file->stream, file->chunk, CHUNK), kind = Z_OK;
        file->begin = file->end = 0;
        /* The end of a stream that was cut short is no failure of gzread, only noted. */
        if (got == 0) gzerror(file->stream, &kind);
        if (got < 0 || (kind != Z_OK && kind != Z_STREAM_END)) return read_error(file, err);
        file->end = (size_t)got;
        if (!file->started) {
            int code = refuse_binary(file, err);
            if (code) return code;
            file->started = true;
            if (file->end >= 3 && memcmp(file->chunk, "\xef\xbb\xbf", 3) == 0) file->begin = 3;
        }
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

bool strata_text_is_compressed(struct strata_text_file *file) {
    return !gzdirect(file->stream);
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
    free(file->path);
    free(file);
}
