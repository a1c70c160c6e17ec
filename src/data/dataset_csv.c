/* CSV and TSV with a header line (RFC 4180: quotes doubled inside quotes, line breaks kept inside them). Cells are
 * texts; a column named "NAME:json" holds JSON, and so does an `images`, `messages` or `prompt` cell that begins with
 * '['. An empty cell that is not quoted is an absent key. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/dataset_source.h"

struct column {
    char *name;
    bool json, list; /* every cell is JSON; a cell with '[' first is */
};
struct csv {
    struct strata_source source;
    char separator;
    struct column *columns;
    size_t count, capacity;
    bool begun;
    struct strata_buffer cell;
};

static int refuse(const struct csv *csv, size_t line, const char *what, const char *detail, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_INPUT, "%s%s", what, detail);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", strata_text_path(csv->source.file), line);
}

/* The next byte without passing it, or -1 at the end. */
static int look(int *byte, const struct csv *csv, struct strata_error *err) {
    const char *bytes;
    size_t length;
    int code = strata_text_peek(&bytes, &length, csv->source.file, err);
    *byte = code || !length ? -1 : (unsigned char)*bytes;
    return code;
}

/* Appends bytes up to the first that is in `stops`, which stays unread. *byte: that one, or -1 at the end. */
static int take_until(int *byte, struct csv *csv, const char *stops, struct strata_error *err) {
    for (;;) {
        const char *bytes;
        size_t length, size = 0;
        int code = strata_text_peek(&bytes, &length, csv->source.file, err);
        *byte = -1;
        if (code || !length) return code;
        while (size < length && (!bytes[size] || !strchr(stops, bytes[size]))) size++;
        if (csv->cell.length + size > STRATA_RECORD_LIMIT)
            return strata_text_too_long(csv->source.file, strata_text_line_number(csv->source.file), err);
        strata_buffer_append(&csv->cell, bytes, size);
        if (size < length) *byte = (unsigned char)bytes[size];
        strata_text_skip(csv->source.file, size);
        if (size < length) return 0;
    }
}

/* One cell into csv->cell; behind it stands a separator, a line break or the end (*byte, unread). */
static int read_cell(int *byte, bool *quoted, struct csv *csv, struct strata_error *err) {
    const char stops[] = {csv->separator, '\r', '\n', '\0'};
    size_t line = strata_text_line_number(csv->source.file);
    strata_buffer_clear(&csv->cell);
    int code = look(byte, csv, err);
    *quoted = *byte == '"';
    if (code || !*quoted) return code ? code : take_until(byte, csv, stops, err);
    do {
        strata_text_skip(csv->source.file, 1); /* the opening quote, or the second of two */
        code = take_until(byte, csv, "\"", err);
        if (code) return code;
        if (*byte < 0) return refuse(csv, line, "a quotation mark is never closed", "", err);
        strata_text_skip(csv->source.file, 1);
        code = look(byte, csv, err);
        if (!code && *byte == '"') strata_buffer_byte(&csv->cell, '"');
    } while (!code && *byte == '"');
    return code ? code : take_until(byte, csv, stops, err); /* what follows the quotes is literal */
}

/* Past a line break, which may be LF, CR or both. */
static int skip_line_end(int byte, struct csv *csv, struct strata_error *err) {
    if (byte < 0) return 0;
    strata_text_skip(csv->source.file, 1);
    if (byte != '\r') return 0;
    int code = look(&byte, csv, err);
    if (!code && byte == '\n') strata_text_skip(csv->source.file, 1);
    return code;
}

static int check_text(const struct csv *csv, size_t line, struct strata_error *err) {
    size_t offset;
    const char *text = strata_buffer_string(&csv->cell);
    if (csv->cell.failed) return strata_buffer_check(&csv->cell, err);
    if (!strata_utf8_valid(text, csv->cell.length, &offset)) return refuse(csv, line, "the text is not UTF-8", "", err);
    return 0;
}

static int add_column(struct csv *csv, size_t line, struct strata_error *err) {
    static const char *const lists[] = {"images", "messages", "prompt", "conversations"};
    const char *name = strata_buffer_string(&csv->cell);
    size_t length = csv->cell.length;
    int code = check_text(csv, line, err);
    if (code) return code;
    if (!length || memchr(name, '\0', length)) return refuse(csv, line, "a column has no name", "", err);
    bool json = length > 5 && strcmp(name + length - 5, ":json") == 0;
    code = strata_grow(&csv->columns, &csv->capacity, csv->count + 1, sizeof *csv->columns, err);
    if (code) return code;
    struct column column = {.name = strata_strdup(name), .json = json};
    if (!column.name) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (json) column.name[length - 5] = '\0';
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) column.list |= strcmp(column.name, lists[i]) == 0;
    csv->columns[csv->count++] = column;
    for (size_t i = 0; i + 1 < csv->count; i++)
        if (strcmp(csv->columns[i].name, column.name) == 0)
            return refuse(csv, line, "two columns are called ", column.name, err);
    return 0;
}

static int read_header(struct csv *csv, struct strata_error *err) {
    int byte, code;
    do {
        size_t line = strata_text_line_number(csv->source.file);
        bool quoted;
        code = read_cell(&byte, &quoted, csv, err);
        if (!code) code = add_column(csv, line, err);
        /* Without a header nothing of the file can be read. */
        if (code == STRATA_ERR_INPUT) return strata_fail_hint(err, code, "the first line names the columns");
        if (!code && byte == csv->separator) strata_text_skip(csv->source.file, 1);
    } while (!code && byte == csv->separator);
    return code ? code : skip_line_end(byte, csv, err);
}

/* The cell as the value of its column; *value NULL for an absent key. */
static int cell_value(json_t **value, const struct csv *csv, const struct column *column, bool quoted, size_t line,
                      struct strata_error *err) {
    const char *text = strata_buffer_string(&csv->cell), *path = strata_text_path(csv->source.file);
    *value = NULL;
    if (!csv->cell.length && !quoted) return 0;
    if (column->json || (column->list && text[0] == '[')) {
        int code = strata_json_parse(value, text, csv->cell.length, path, line, err);
        return code == STRATA_ERR_INPUT ? strata_fail_hint(err, code, "the cell of column \"%s\"", column->name) : code;
    }
    *value = json_stringn(text, csv->cell.length);
    return *value ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* The rest of a row. An error of one record is kept until the row is passed, so that the next call goes on behind it.
 */
static int read_row(json_t *record, struct csv *csv, size_t line, struct strata_error *err) {
    size_t count = 0;
    int byte, kept = 0;
    for (bool more = true; more; count++) {
        bool quoted;
        struct strata_error *target = kept ? NULL : err;
        int code = read_cell(&byte, &quoted, csv, err);
        if (code) return code;
        json_t *value = NULL;
        if (record && count < csv->count && !kept) {
            kept = check_text(csv, line, target);
            if (!kept) kept = cell_value(&value, csv, &csv->columns[count], quoted, line, target);
            if (value && json_object_set_new(record, csv->columns[count].name, value))
                kept = strata_fail(target, STRATA_ERR_MEMORY, "out of memory");
        }
        more = byte == csv->separator;
        if (more) strata_text_skip(csv->source.file, 1);
    }
    int code = skip_line_end(byte, csv, err);
    if (code || kept) return code ? code : kept;
    if (count == csv->count) return 0;
    strata_fail(err, STRATA_ERR_INPUT, "a row of %zu cells where the header has %zu columns", count, csv->count);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", strata_text_path(csv->source.file), line);
}

static int next(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err) {
    struct csv *csv = (struct csv *)source;
    int byte, code = 0;
    *record = NULL;
    *got = false;
    if (!csv->begun) {
        code = look(&byte, csv, err);
        if (code || byte < 0) return code;
        code = read_header(csv, err);
        if (code == STRATA_ERR_INPUT) code = STRATA_ERR_IO; /* the file's, not a record's */
        if (code && err) err->code = code;
        if (code) return code;
        csv->begun = true;
    }
    do { /* empty lines are no records */
        code = look(&byte, csv, err);
        if (code || byte < 0) return code;
        if (byte == '\n' || byte == '\r') code = skip_line_end(byte, csv, err);
    } while (!code && (byte == '\n' || byte == '\r'));
    if (code) return code;
    *got = true;
    *line = strata_text_line_number(source->file);
    if (wanted && !(*record = json_object())) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    code = read_row(*record, csv, *line, err);
    if (!wanted && code == STRATA_ERR_INPUT) return 0;
    if (code) {
        json_decref(*record);
        *record = NULL;
    }
    return code;
}

static void close_source(struct strata_source *source) {
    struct csv *csv = (struct csv *)source;
    for (size_t i = 0; i < csv->count; i++) free(csv->columns[i].name);
    free(csv->columns);
    strata_buffer_free(&csv->cell);
    free(csv);
}

int strata_source_csv(struct strata_source **out, char separator, struct strata_error *err) {
    struct csv *csv;
    *out = NULL;
    int code = strata_alloc(&csv, 1, sizeof *csv, err);
    if (code) return code;
    csv->source =
        (struct strata_source){.next = next, .close = close_source, .layout = separator == '\t' ? "TSV" : "CSV"};
    csv->separator = separator;
    *out = &csv->source;
    return 0;
}
