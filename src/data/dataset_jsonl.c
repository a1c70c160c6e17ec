/* JSONL: one JSON object a line. Memory is one line, however long the file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"

#define LINE_LIMIT ((size_t)1 << 28) /* a longer line is no record but a file of another kind */
#define CHUNK      65536

struct jsonl {
    struct strata_source source;
    FILE *stream;
    char *path;
    size_t number; /* of the line in `line`, from 1 */
    struct strata_buffer line;
    size_t begin, end; /* what is left of chunk */
    char chunk[CHUNK];
};

static int io_error(const struct jsonl *file, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_IO, "cannot read: %s", strerror(errno));
    return strata_fail_at(err, STRATA_ERR_IO, "%s", file->path);
}

/* The next line, without its newline. *got false at the end of the file. */
static int read_line(struct jsonl *file, bool *got, struct strata_error *err) {
    strata_buffer_clear(&file->line);
    *got = false;
    for (;;) {
        if (file->begin == file->end) {
            file->begin = 0;
            file->end = fread(file->chunk, 1, CHUNK, file->stream);
            if (file->end == 0) {
                if (ferror(file->stream)) return io_error(file, err);
                file->number += *got;
                return strata_buffer_check(&file->line, err);
            }
        }
        *got = true;
        char *from = file->chunk + file->begin, *newline = memchr(from, '\n', file->end - file->begin);
        size_t length = newline ? (size_t)(newline - from) : file->end - file->begin;
        if (file->line.length + length > LINE_LIMIT) {
            strata_fail(err, STRATA_ERR_UNSUPPORTED, "a line is longer than %zu bytes", LINE_LIMIT);
            strata_fail_at(err, STRATA_ERR_UNSUPPORTED, "%s:%zu", file->path, file->number + 1);
            return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "JSONL is expected: one JSON object a line");
        }
        strata_buffer_append(&file->line, from, length);
        file->begin += length + (newline != NULL);
        if (!newline) continue;
        file->number++;
        return strata_buffer_check(&file->line, err);
    }
}

static bool is_blank(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!strchr(" \t\r\f\v", text[i]) || !text[i]) return false;
    return true;
}

static int next(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err) {
    struct jsonl *file = (struct jsonl *)source;
    const char *text;
    size_t length;
    *record = NULL;
    do {
        int code = read_line(file, got, err);
        if (code || !*got) return code;
        text = strata_buffer_string(&file->line);
        length = file->line.length;
        if (file->number == 1 && length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
            text += 3; /* a byte order mark, as some editors write */
            length -= 3;
        }
    } while (is_blank(text, length));
    *line = file->number;
    if (!wanted) return 0;
    int code = strata_json_parse(record, text, length, file->path, file->number, err);
    if (code || json_is_object(*record)) return code;
    bool whole_file = json_is_array(*record) && file->number == 1;
    json_decref(*record);
    *record = NULL;
    strata_fail(err, STRATA_ERR_INPUT, "the record is no JSON object");
    if (whole_file) strata_fail_hint(err, STRATA_ERR_INPUT, "a JSON array? JSONL is expected: one object a line");
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", file->path, file->number);
}

static void close_source(struct strata_source *source) {
    struct jsonl *file = (struct jsonl *)source;
    if (file->stream) fclose(file->stream);
    strata_buffer_free(&file->line);
    free(file->path);
    free(file);
}

int strata_source_jsonl(struct strata_source **out, const char *path, struct strata_error *err) {
    struct jsonl *file;
    *out = NULL;
    int code = strata_alloc(&file, 1, sizeof *file, err);
    if (code) return code;
    file->source = (struct strata_source){next, close_source};
    file->path = strata_strdup(path);
    if (!file->path) {
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    } else if (!(file->stream = fopen(path, "rbe"))) {
        strata_fail(err, STRATA_ERR_IO, "cannot open the data set: %s", strerror(errno));
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", path);
    } else {
        setvbuf(file->stream, NULL, _IONBF, 0); /* read_line buffers */
        *out = &file->source;
        return 0;
    }
    close_source(&file->source);
    return code;
}
