#include "eval/tsv.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"

/* A cell as it stands in the file, quotes included. */
struct cell {
    size_t begin, length;
};
struct column {
    char *name;
    enum strata_column_type type;
};
struct strata_tsv {
    struct strata_map map; /* of an opened file */
    const char *text;
    size_t length;
    char *name;
    struct column *columns;
    size_t column_count;
    struct cell *cells; /* (rows, column_count) */
    size_t *lines;      /* (rows) */
    size_t row_count, cell_capacity, line_capacity;
};

/* ---- cutting ---- */

struct reader {
    struct strata_tsv *tsv;
    size_t at, line;
};

static bool at_line_end(const struct reader *reader) {
    char c = reader->tsv->text[reader->at];
    return c == '\n' || c == '\r';
}

/* Past the line break, which may be LF, CR or both. */
static void skip_line_end(struct reader *reader) {
    const struct strata_tsv *tsv = reader->tsv;
    bool both = tsv->text[reader->at] == '\r' && reader->at + 1 < tsv->length && tsv->text[reader->at + 1] == '\n';
    reader->at += both ? 2 : 1;
    reader->line++;
}

/* Lines of nothing, or of blanks only, are no records. */
static void skip_empty_lines(struct reader *reader) {
    const struct strata_tsv *tsv = reader->tsv;
    while (reader->at < tsv->length) {
        size_t begin = reader->at;
        while (reader->at < tsv->length && tsv->text[reader->at] == ' ') reader->at++;
        if (reader->at < tsv->length && !at_line_end(reader)) {
            reader->at = begin;
            return;
        }
        if (reader->at < tsv->length) skip_line_end(reader);
    }
}

/* Passes one cell; at its end stands a tab, a line break or the end of the file. */
static int skip_cell(struct cell *cell, struct reader *reader, struct strata_error *err) {
    const struct strata_tsv *tsv = reader->tsv;
    const char *text = tsv->text;
    size_t begin = reader->at, line = reader->line;
    if (begin < tsv->length && text[begin] == '"') {
        for (reader->at++;; reader->at++) {
            const char *quote = memchr(text + reader->at, '"', tsv->length - reader->at);
            size_t end = quote ? (size_t)(quote - text) : tsv->length;
            for (const char *feed = text + reader->at; (feed = memchr(feed, '\n', (size_t)(text + end - feed))); feed++)
                reader->line++;
            if (!quote) {
                strata_fail(err, STRATA_ERR_INPUT, "a quotation mark is never closed");
                return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", tsv->name, line);
            }
            reader->at = end + 1;
            if (reader->at >= tsv->length || text[reader->at] != '"') break;
        }
    }
    while (reader->at < tsv->length && text[reader->at] != '\t' && !at_line_end(reader)) reader->at++;
    *cell = (struct cell){begin, reader->at - begin};
    return 0;
}

static void cell_text(struct strata_buffer *out, const struct strata_tsv *tsv, struct cell cell) {
    const char *text = tsv->text + cell.begin;
    size_t at = 0;
    if (cell.length && text[0] == '"') {
        for (at = 1; at < cell.length; at++) {
            if (text[at] == '"') {
                at++;
                if (at == cell.length || text[at] != '"') break; /* the closing one; what follows is literal */
            }
            strata_buffer_byte(out, (unsigned char)text[at]);
        }
    }
    if (at < cell.length) strata_buffer_append(out, text + at, cell.length - at);
}

/* The text without copying where there are no quotes. */
static struct strata_span cell_span(struct strata_buffer *scratch, const struct strata_tsv *tsv, struct cell cell) {
    if (!cell.length || tsv->text[cell.begin] != '"') return (struct strata_span){tsv->text + cell.begin, cell.length};
    strata_buffer_clear(scratch);
    cell_text(scratch, tsv, cell);
    return (struct strata_span){strata_buffer_string(scratch), scratch->length};
}

/* ---- header and rows ---- */

static int add_column(struct strata_tsv *tsv, size_t *capacity, struct cell cell, struct strata_error *err) {
    int code = strata_grow(&tsv->columns, capacity, tsv->column_count + 1, sizeof *tsv->columns, err);
    if (code) return code;
    struct strata_buffer name = {0};
    cell_text(&name, tsv, cell);
    if (!name.length) strata_buffer_printf(&name, "Unnamed: %zu", tsv->column_count);
    for (size_t i = 0; i < tsv->column_count && !name.failed; i++) {
        if (strcmp(tsv->columns[i].name, name.data) != 0) continue;
        strata_fail(err, STRATA_ERR_INPUT, "two columns are called \"%s\"", name.data);
        code = strata_fail_at(err, STRATA_ERR_INPUT, "%s:1", tsv->name);
    }
    if (!code && memchr(strata_buffer_string(&name), '\0', name.length))
        code = strata_fail(err, STRATA_ERR_INPUT, "the name of column %zu holds a NUL byte", tsv->column_count + 1);
    if (!code) code = strata_buffer_check(&name, err);
    if (code) {
        strata_buffer_free(&name);
        return code;
    }
    tsv->columns[tsv->column_count++] = (struct column){.name = name.data};
    return 0;
}

static int read_header(struct reader *reader, struct strata_error *err) {
    struct strata_tsv *tsv = reader->tsv;
    size_t capacity = 0;
    skip_empty_lines(reader);
    if (reader->at >= tsv->length) {
        strata_fail(err, STRATA_ERR_INPUT, "there is no header line");
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", tsv->name);
    }
    for (;;) {
        struct cell cell;
        int code = skip_cell(&cell, reader, err);
        if (!code) code = add_column(tsv, &capacity, cell, err);
        if (code) return code;
        if (reader->at >= tsv->length) return 0;
        if (at_line_end(reader)) {
            skip_line_end(reader);
            return 0;
        }
        reader->at++;
    }
}

/* A short row lacks its last cells; a long one is an error. */
static int read_row(struct reader *reader, struct strata_error *err) {
    struct strata_tsv *tsv = reader->tsv;
    size_t first = tsv->row_count * tsv->column_count, count = 0;
    int code = strata_grow(&tsv->cells, &tsv->cell_capacity, first + tsv->column_count, sizeof *tsv->cells, err);
    if (!code) code = strata_grow(&tsv->lines, &tsv->line_capacity, tsv->row_count + 1, sizeof *tsv->lines, err);
    if (code) return code;
    memset(tsv->cells + first, 0, tsv->column_count * sizeof *tsv->cells);
    tsv->lines[tsv->row_count] = reader->line;
    for (bool more = true; more; count++) {
        struct cell cell;
        code = skip_cell(&cell, reader, err);
        if (code) return code;
        if (count < tsv->column_count) tsv->cells[first + count] = cell;
        more = reader->at < tsv->length && tsv->text[reader->at] == '\t';
        if (more) reader->at++;
    }
    if (reader->at < tsv->length) skip_line_end(reader);
    if (count > tsv->column_count) {
        strata_fail(err, STRATA_ERR_INPUT, "a row of %zu cells where the header has %zu columns", count,
                    tsv->column_count);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", tsv->name, tsv->lines[tsv->row_count]);
    }
    tsv->row_count++;
    return 0;
}

static int type_columns(struct strata_tsv *tsv, struct strata_error *err) {
    struct strata_buffer scratch = {0};
    for (size_t c = 0; c < tsv->column_count; c++) {
        struct strata_column column = {0};
        bool image = strcmp(tsv->columns[c].name, "image") == 0;
        for (size_t r = 0; r < tsv->row_count && !column.text && !image; r++)
            strata_column_add(&column, cell_span(&scratch, tsv, tsv->cells[r * tsv->column_count + c]));
        tsv->columns[c].type = strata_column_type(&column);
    }
    int code = strata_buffer_check(&scratch, err);
    strata_buffer_free(&scratch);
    return code;
}

static int read_all(struct strata_tsv *tsv, struct strata_error *err) {
    struct reader reader = {.tsv = tsv, .line = 1};
    size_t offset;
    if (!strata_utf8_valid(tsv->text, tsv->length, &offset)) {
        strata_fail(err, STRATA_ERR_INPUT, "not UTF-8 at byte %zu", offset);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", tsv->name);
    }
    if (tsv->length >= 3 && memcmp(tsv->text, "\xEF\xBB\xBF", 3) == 0) reader.at = 3;
    int code = read_header(&reader, err);
    for (skip_empty_lines(&reader); !code && reader.at < tsv->length; skip_empty_lines(&reader))
        code = read_row(&reader, err);
    return code ? code : type_columns(tsv, err);
}

int strata_tsv_parse(struct strata_tsv **out, const char *text, size_t length, const char *name,
                     struct strata_error *err) {
    int code = strata_alloc(out, 1, sizeof **out, err);
    if (code) return code;
    **out = (struct strata_tsv){.text = text, .length = length, .name = strata_strdup(name)};
    code = (*out)->name ? read_all(*out, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code) {
        strata_tsv_close(*out);
        *out = NULL;
    }
    return code;
}

int strata_tsv_open(struct strata_tsv **out, const char *path, struct strata_error *err) {
    struct strata_map map;
    *out = NULL;
    int code = strata_map_open(&map, path, err);
    if (!code) code = strata_tsv_parse(out, map.data ? (const char *)map.data : "", map.size, path, err);
    if (code) {
        strata_map_close(&map);
    } else {
        (*out)->map = map;
    }
    return code;
}

void strata_tsv_close(struct strata_tsv *tsv) {
    if (!tsv) return;
    for (size_t i = 0; i < tsv->column_count; i++) free(tsv->columns[i].name);
    free(tsv->columns);
    free(tsv->cells);
    free(tsv->lines);
    free(tsv->name);
    if (tsv->map.data) strata_map_close(&tsv->map);
    free(tsv);
}

/* ---- reading ---- */

size_t strata_tsv_rows(const struct strata_tsv *tsv) {
    return tsv->row_count;
}

size_t strata_tsv_column(const struct strata_tsv *tsv, const char *name) {
    for (size_t i = 0; i < tsv->column_count; i++) {
        if (strcmp(tsv->columns[i].name, name) == 0) return i;
    }
    return STRATA_NOT_FOUND;
}

void strata_tsv_text(struct strata_buffer *out, const struct strata_tsv *tsv, size_t row, size_t column) {
    cell_text(out, tsv, tsv->cells[row * tsv->column_count + column]);
}

struct strata_span strata_tsv_span(struct strata_buffer *scratch, const struct strata_tsv *tsv, size_t row,
                                   size_t column) {
    return cell_span(scratch, tsv, tsv->cells[row * tsv->column_count + column]);
}

json_t *strata_tsv_row(const struct strata_tsv *tsv, size_t row) {
    json_t *object = json_object();
    struct strata_buffer scratch = {0};
    for (size_t c = 0; c < tsv->column_count && object; c++) {
        if (strcmp(tsv->columns[c].name, "image") == 0) continue;
        struct strata_span text = cell_span(&scratch, tsv, tsv->cells[row * tsv->column_count + c]);
        json_t *value = scratch.failed ? NULL : strata_column_cell(text, tsv->columns[c].type);
        if (json_object_set_new_nocheck(object, tsv->columns[c].name, value)) {
            json_decref(object);
            object = NULL;
        }
    }
    strata_buffer_free(&scratch);
    return object;
}

size_t strata_tsv_line(const struct strata_tsv *tsv, size_t row) {
    return tsv->lines[row];
}
