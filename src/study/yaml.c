#include "study/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define DEPTH      16

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    const char *path;
    struct strata_error *err;
};

static int fail_line(const struct reader *reader, size_t line, const char *what) {
    strata_fail(reader->err, STRATA_ERR_USAGE, "%s", what);
    return strata_fail_at(reader->err, STRATA_ERR_USAGE, "%s:%zu", reader->path, line);
}

/* The next event into reader->event, which the caller deletes by asking for the next one. */
static int next_event(struct reader *reader) {
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event)) return 0;
    const char *problem = reader->parser.problem ? reader->parser.problem : "not YAML";
    memset(&reader->event, 0, sizeof reader->event);
    return fail_line(reader, reader->parser.problem_mark.line + 1, problem);
}

static size_t line_of(const struct reader *reader) {
    return reader->event.start_mark.line + 1;
}

static int refuse_extras(const struct reader *reader) {
    const yaml_event_t *event = &reader->event;
    bool anchor = (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
                  (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
                  (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
    bool tag = (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
               (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag) ||
               (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag);
    if (anchor || event->type == YAML_ALIAS_EVENT)
        return fail_line(reader, line_of(reader), "anchors and aliases are not read here: write the value out");
    return tag ? fail_line(reader, line_of(reader), "tags are not read here") : 0;
}

static int take_text(char **out, struct reader *reader) {
    const yaml_event_t *event = &reader->event;
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) return fail_line(reader, line_of(reader), "a text with a NUL in it");
    *out = strata_strdup(text);
    return *out ? 0 : strata_fail(reader->err, STRATA_ERR_MEMORY, "out of memory");
}

static struct strata_yaml *add_item(struct strata_yaml *node, struct strata_error *err) {
    if (strata_grow(&node->items, &node->capacity, node->count + 1, sizeof *node->items, err)) return NULL;
    node->items[node->count] = (struct strata_yaml){0};
    return &node->items[node->count++];
}

static int read_node(struct strata_yaml *out, struct reader *reader, unsigned depth);

static int read_mapping(struct strata_yaml *out, struct reader *reader, unsigned depth) {
    int code = next_event(reader);
    while (!code && reader->event.type != YAML_MAPPING_END_EVENT) {
        size_t line = line_of(reader);
        struct strata_yaml *item;
        char *key = NULL;
        code = refuse_extras(reader);
        if (!code && reader->event.type != YAML_SCALAR_EVENT) code = fail_line(reader, line, "a key must be a text");
        if (!code) code = take_text(&key, reader);
        for (size_t i = 0; !code && key && i < out->count; i++)
            if (strcmp(out->items[i].key, key) == 0) {
                fail_line(reader, line, "a key stands twice");
                code = strata_fail_hint(reader->err, STRATA_ERR_USAGE, "\"%s\" is in line %zu already", key,
                                        out->items[i].line);
            }
        if (!code && !(item = add_item(out, reader->err))) code = STRATA_ERR_MEMORY;
        if (code) {
            free(key);
            return code;
        }
        item->key = key;
        code = next_event(reader);
        if (!code) code = read_node(item, reader, depth);
        item->line = line; /* of the key: an empty value may stand lines below */
        if (!code) code = next_event(reader);
    }
    return code;
}

static int read_sequence(struct strata_yaml *out, struct reader *reader, unsigned depth) {
    int code = next_event(reader);
    while (!code && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        struct strata_yaml *item = add_item(out, reader->err);
        code = item ? read_node(item, reader, depth) : STRATA_ERR_MEMORY;
        if (!code) code = next_event(reader);
    }
    return code;
}

/* The node that reader->event begins; ends at its last event. */
static int read_node(struct strata_yaml *out, struct reader *reader, unsigned depth) {
    int code = refuse_extras(reader);
    out->line = line_of(reader);
    if (code) return code;
    if (depth == DEPTH) return fail_line(reader, out->line, "nested too deeply");
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT:
        out->kind = STRATA_YAML_SCALAR;
        return take_text(&out->text, reader);
    case YAML_SEQUENCE_START_EVENT:
        out->kind = STRATA_YAML_SEQUENCE;
        return read_sequence(out, reader, depth + 1);
    case YAML_MAPPING_START_EVENT:
        out->kind = STRATA_YAML_MAPPING;
        return read_mapping(out, reader, depth + 1);
    default:
        return fail_line(reader, out->line, "a value is missing");
    }
}

static int read_document(struct strata_yaml *out, struct reader *reader) {
    int code = next_event(reader); /* stream start */
    if (!code) code = next_event(reader);
    if (!code && reader->event.type == YAML_STREAM_END_EVENT) return fail_line(reader, 1, "the file is empty");
    if (!code) code = next_event(reader);
    if (!code) code = read_node(out, reader, 0);
    if (!code && out->kind != STRATA_YAML_MAPPING)
        return fail_line(reader, out->line, "a recipe is a mapping of keys to values");
    if (!code) code = next_event(reader); /* document end */
    if (!code) code = next_event(reader);
    if (!code && reader->event.type != YAML_STREAM_END_EVENT)
        code = fail_line(reader, line_of(reader), "a second document");
    return code;
}

int strata_yaml_load(struct strata_yaml *out, const char *path, struct strata_error *err) {
    struct reader reader = {.path = path, .err = err};
    struct strata_buffer text = {0};
    *out = (struct strata_yaml){0};
    int code = strata_file_read(&text, path, FILE_LIMIT, err);
    if (code) return code;
    if (yaml_parser_initialize(&reader.parser)) {
        yaml_parser_set_input_string(&reader.parser, (const unsigned char *)strata_buffer_string(&text), text.length);
        code = read_document(out, &reader);
        yaml_event_delete(&reader.event);
        yaml_parser_delete(&reader.parser);
    } else {
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    strata_buffer_free(&text);
    if (code) strata_yaml_free(out);
    return code;
}

void strata_yaml_free(struct strata_yaml *node) {
    for (size_t i = 0; i < node->count; i++) strata_yaml_free(&node->items[i]);
    free(node->items);
    free(node->key);
    free(node->text);
    *node = (struct strata_yaml){0};
}

int strata_yaml_fail(struct strata_error *err, const char *path, const struct strata_yaml *node, const char *format,
                     ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    strata_fail(err, STRATA_ERR_USAGE, "%s", text);
    return strata_fail_at(err, STRATA_ERR_USAGE, "%s:%zu", path, node->line);
}
