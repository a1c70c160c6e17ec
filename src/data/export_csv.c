/* CSV and TSV that read back as the same records. A cell is a text; where any value of a column is more than a text
 * that a bare cell can give back (a number, null, a list, "", …), the column is called "NAME:json" and its cells are
 * JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/export_private.h"

/* Does a bare cell give this value back? Mirrors how dataset_csv.c reads one. */
static bool is_plain(const char *name, const json_t *value) {
    size_t length = strlen(name);
    const char *text = json_string_value(value);
    if (!text || !*text || text[0] == '[' || strlen(text) != json_string_length(value)) return false;
    return length < 5 || strcmp(name + length - 5, ":json") != 0;
}

static int find_column(struct strata_export_column **out, struct strata_export *export, const char *name,
                       struct strata_error *err) {
    for (size_t i = 0; i < export->column_count; i++) {
        *out = &export->columns[i];
        if (strcmp((*out)->name, name) == 0) return 0;
    }
    int code =
        strata_grow(&export->columns, &export->column_capacity, export->column_count + 1, sizeof *export->columns, err);
    if (code) return code;
    *out = &export->columns[export->column_count];
    **out = (struct strata_export_column){.name = strata_strdup(name)};
    if (!(*out)->name) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    export->column_count++;
    return 0;
}

int strata_export_csv_add(struct strata_export *export, const json_t *record, bool exact, struct strata_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)record, key, value) {
        struct strata_export_column *column;
        if (!*key) return strata_fail(err, STRATA_ERR_UNSUPPORTED, "a column without a name cannot be written as CSV");
        int code = find_column(&column, export, key, err);
        if (code) return code;
        column->json |= exact ? !is_plain(key, value) : json_is_array(value) || json_is_object(value);
    }
    return 0;
}

static void write_cell(struct strata_buffer *out, const char *text, size_t length, char separator) {
    const char special[] = {separator, '"', '\r', '\n', '\0'};
    if (!memchr(text, '\0', length) && strcspn(text, special) == length && text[0] != ' ') {
        strata_buffer_append(out, text, length);
        return;
    }
    strata_buffer_byte(out, '"');
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') strata_buffer_byte(out, '"');
        strata_buffer_byte(out, (unsigned char)text[i]);
    }
    strata_buffer_byte(out, '"');
}

static int write_row(const struct strata_export *export, struct strata_buffer *row, struct strata_buffer *cell,
                     const json_t *record, char separator, struct strata_error *err) {
    strata_buffer_clear(row);
    for (size_t i = 0; i < export->column_count; i++) {
        const struct strata_export_column *column = &export->columns[i];
        const json_t *value = record ? json_object_get(record, column->name) : NULL;
        if (i) strata_buffer_byte(row, (unsigned char)separator);
        strata_buffer_clear(cell);
        if (!record)
            strata_buffer_printf(cell, "%s%s", column->name, column->json ? ":json" : "");
        else if (value && (column->json || json_is_number(value) || json_is_boolean(value)))
            strata_json_write(cell, value);
        else if (json_is_string(value))
            strata_buffer_text(cell, json_string_value(value));
        if (cell->length) write_cell(row, strata_buffer_string(cell), cell->length, separator);
    }
    strata_buffer_byte(row, '\n');
    if (cell->failed || row->failed) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    fwrite(row->data, 1, row->length, strata_export_stream(export));
    return 0;
}

int strata_export_csv_finish(struct strata_export *export, struct strata_error *err) {
    char separator = strata_path_is_called(export->path, ".tsv") ? '\t' : ',', *line = NULL;
    size_t capacity = 0;
    struct strata_buffer row = {0}, cell = {0};
    int code = strata_export_rewind(export, err);
    if (!code && export->column_count) code = write_row(export, &row, &cell, NULL, separator, err);
    while (!code) {
        json_t *record;
        code = strata_export_spooled(&record, export, &line, &capacity, err);
        if (code || !record) break;
        code = write_row(export, &row, &cell, record, separator, err);
        json_decref(record);
    }
    free(line);
    strata_buffer_free(&row);
    strata_buffer_free(&cell);
    return code;
}
