/* A JSON array of objects, as LLaMA-Factory and pandas write them. Cut into elements by counting brackets outside
 * strings, so that memory is one element; each is then parsed as a line of JSONL would be. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "data/dataset_source.h"

struct array {
    struct strata_source source;
    struct strata_buffer element;
    bool begun, ended;
};

static int malformed(const struct array *array, const char *what, struct strata_error *err) {
    /* Where elements begin is unknown from here on: the end of reading, not of one record. */
    strata_fail(err, STRATA_ERR_IO, "malformed JSON array: %s", what);
    return strata_fail_at(err, STRATA_ERR_IO, "%s:%zu", strata_text_path(array->source.file),
                          strata_text_line_number(array->source.file));
}

/* Passes white space; *byte is the one after it, still unread, or 0 at the end. */
static int skip_space(char *byte, struct strata_text_file *file, struct strata_error *err) {
    for (;;) {
        const char *bytes;
        size_t length, space = 0;
        int code = strata_text_peek(&bytes, &length, file, err);
        *byte = '\0';
        if (code || !length) return code;
        while (space < length && bytes[space] && strchr(" \t\r\n", bytes[space])) space++;
        *byte = space < length ? bytes[space] : '\0';
        strata_text_skip(file, space);
        if (space < length) return 0;
    }
}

/* Where an element is while it is being cut. */
struct cut {
    size_t depth;
    bool in_string, escaped;
};

/* Is `byte` behind the element? Updates the place. */
static bool ends_element(struct cut *cut, char byte) {
    if (cut->in_string) {
        if (cut->escaped)
            cut->escaped = false;
        else if (byte == '\\')
            cut->escaped = true;
        else if (byte == '"')
            cut->in_string = false;
        return false;
    }
    if (cut->depth == 0 && (byte == ',' || byte == ']')) return true;
    if (byte == '"') cut->in_string = true;
    if (byte == '{' || byte == '[') cut->depth++;
    if ((byte == '}' || byte == ']') && cut->depth) cut->depth--;
    return false;
}

static int read_element(struct array *array, struct strata_error *err) {
    struct strata_text_file *file = array->source.file;
    struct cut cut = {0};
    size_t first = strata_text_line_number(file);
    strata_buffer_clear(&array->element);
    for (;;) {
        const char *bytes;
        size_t length, size = 0;
        int code = strata_text_peek(&bytes, &length, file, err);
        if (code) return code;
        if (!length) return malformed(array, "the file ends inside it", err);
        bool ended = false;
        while (size < length && !(ended = ends_element(&cut, bytes[size]))) size++;
        if (array->element.length + size > STRATA_RECORD_LIMIT) return strata_text_too_long(file, first, err);
        strata_buffer_append(&array->element, bytes, size);
        strata_text_skip(file, size);
        if (ended) return strata_buffer_check(&array->element, err);
    }
}

/* Past the bracket or comma before an element; *got false behind the closing bracket. */
static int find_element(struct array *array, bool *got, struct strata_error *err) {
    struct strata_text_file *file = array->source.file;
    char byte;
    int code = skip_space(&byte, file, err);
    *got = false;
    if (code) return code;
    if (array->ended) return byte ? malformed(array, "something follows it", err) : 0;
    if (!array->begun) { /* its '[' is how the layout was told */
        strata_text_skip(file, 1);
        array->begun = true;
        code = skip_space(&byte, file, err);
        if (code || byte != ']') {
            *got = !code;
            return code;
        }
    }
    if (!byte) return malformed(array, "the file ends inside it", err);
    strata_text_skip(file, 1); /* read_element stops at a comma or the closing bracket only */
    array->ended = byte == ']';
    if (array->ended) return find_element(array, got, err);
    *got = true;
    return skip_space(&byte, file, err);
}

static int next(struct strata_source *source, bool wanted, json_t **record, size_t *line, bool *got,
                struct strata_error *err) {
    struct array *array = (struct array *)source;
    *record = NULL;
    int code = find_element(array, got, err);
    if (code || !*got) return code;
    *line = strata_text_line_number(source->file);
    code = read_element(array, err);
    return code || !wanted ? code : strata_source_object(record, &array->element, source, *line, err);
}

static void close_source(struct strata_source *source) {
    struct array *array = (struct array *)source;
    strata_buffer_free(&array->element);
    free(array);
}

int strata_source_array(struct strata_source **out, struct strata_error *err) {
    struct array *array;
    *out = NULL;
    int code = strata_alloc(&array, 1, sizeof *array, err);
    if (code) return code;
    array->source = (struct strata_source){.next = next, .close = close_source, .layout = "JSON array"};
    *out = &array->source;
    return 0;
}
