#include "data/parquet_shape.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/memory.h"

#define MAX_DEPTH   12
#define MAX_MEMBERS 256 /* more keys than this are data, not columns */
#define MAX_LEAVES  2000
#define EXACT       ((json_int_t)1 << 53)

static unsigned kind(json_type type) {
    return 1u << type;
}

/* ---- looking ---- */

/* Does the text come back when it is decoded and encoded again? */
static bool is_base64(const json_t *value) {
    struct strata_buffer bytes = {0}, text = {0};
    size_t length = json_string_length(value);
    bool same = !strata_base64_decode(&bytes, json_string_value(value), length, NULL) && !bytes.failed;
    if (same) strata_base64_encode(&text, bytes.data, bytes.length);
    same = same && !text.failed && text.length == length &&
           memcmp(strata_buffer_string(&text), json_string_value(value), length) == 0;
    strata_buffer_free(&bytes);
    strata_buffer_free(&text);
    return same;
}

static int find_member(struct strata_shape **out, struct strata_shape *shape, const char *name,
                       struct strata_error *err) {
    for (size_t i = 0; i < shape->count; i++) {
        *out = &shape->members[i];
        if (strcmp((*out)->name, name) == 0) return 0;
    }
    int code = strata_grow(&shape->members, &shape->capacity, shape->count + 1, sizeof *shape->members, err);
    if (code) return code;
    *out = &shape->members[shape->count];
    **out = (struct strata_shape){.name = strata_strdup(name)};
    if (!(*out)->name) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    shape->count++;
    return 0;
}

/* image: inside a column of images. */
static int look(struct strata_shape *shape, const json_t *value, unsigned depth, bool image, struct strata_error *err) {
    int code = 0;
    shape->kinds |= kind(json_is_false(value) ? JSON_TRUE : json_typeof(value));
    shape->deep |= depth == MAX_DEPTH;
    if (shape->deep) return 0;
    if (json_is_integer(value)) {
        shape->wide |= json_integer_value(value) > EXACT || json_integer_value(value) < -EXACT;
    } else if (json_is_string(value)) {
        shape->binary = shape->binary && is_base64(value);
    } else if (json_is_array(value)) {
        if (!shape->element) code = strata_alloc(&shape->element, 1, sizeof *shape->element, err);
        for (size_t i = 0; !code && i < json_array_size(value); i++)
            code = look(shape->element, json_array_get(value, i), depth + 1, image, err);
    } else if (json_is_object(value)) {
        const char *name;
        json_t *item;
        shape->objects++;
        json_object_foreach((json_t *)(uintptr_t)value, name, item) {
            struct strata_shape *member;
            if (code) break;
            if (shape->count > MAX_MEMBERS && depth) {
                shape->deep = true; /* wide rather, but as hopeless */
                break;
            }
            size_t before = shape->count;
            code = find_member(&member, shape, name, err);
            if (code) break;
            if (shape->count > before) member->binary = image && strcmp(name, "bytes") == 0;
            member->seen++;
            bool images = depth ? image : strcmp(name, "images") == 0 || strcmp(name, "image") == 0;
            code = look(member, item, depth + 1, images, err);
        }
    }
    return code;
}

int strata_shape_add(struct strata_shape *shape, const json_t *record, struct strata_error *err) {
    return look(shape, record, 0, false, err);
}

void strata_shape_free(struct strata_shape *shape) {
    for (size_t i = 0; i < shape->count; i++) strata_shape_free(&shape->members[i]);
    free(shape->members);
    if (shape->element) strata_shape_free(shape->element);
    free(shape->element);
    free(shape->name);
    *shape = (struct strata_shape){0};
}

/* ---- choosing types ---- */

/* Can columns give every value of this place back? */
static bool is_regular(const struct strata_shape *shape, size_t times) {
    unsigned kinds = shape->kinds & ~kind(JSON_NULL);
    if (shape->deep) return false;
    /* Null and absent are one in Parquet. */
    if (times != shape->seen && shape->kinds & kind(JSON_NULL)) return false;
    if (kinds == (kind(JSON_INTEGER) | kind(JSON_REAL))) return !shape->wide;
    if (kinds & (kinds - 1)) return false; /* more than one */
    if (kinds == kind(JSON_ARRAY)) return is_regular(shape->element, shape->element->seen);
    if (kinds != kind(JSON_OBJECT)) return true;
    for (size_t i = 0; i < shape->count; i++)
        if (!is_regular(&shape->members[i], shape->objects)) return false;
    return shape->count > 0;
}

static size_t count_leaves(const struct strata_shape *shape) {
    size_t leaves = 0;
    if (shape->element) return count_leaves(shape->element);
    for (size_t i = 0; i < shape->count; i++) leaves += count_leaves(&shape->members[i]);
    return shape->count ? leaves : 1;
}

static void settle(struct strata_shape *shape, size_t *leaf, unsigned definition, unsigned repetition) {
    unsigned kinds = shape->text ? kind(JSON_STRING) : shape->kinds;
    shape->leaf = *leaf;
    shape->definition = definition + 1;
    shape->repetition = repetition;
    shape->type = STRATA_PARQUET_GROUP;
    if (kinds & kind(JSON_ARRAY)) {
        shape->definition++;
        shape->repetition++;
        settle(shape->element, leaf, shape->definition, shape->repetition);
    } else if (kinds & kind(JSON_OBJECT)) {
        for (size_t i = 0; i < shape->count; i++) {
            struct strata_shape *member = &shape->members[i];
            member->absent = member->seen < shape->objects;
            settle(member, leaf, shape->definition, repetition);
        }
    } else {
        shape->type = kinds & kind(JSON_REAL)      ? STRATA_PARQUET_DOUBLE
                      : kinds & kind(JSON_INTEGER) ? STRATA_PARQUET_INT64
                      : kinds & kind(JSON_TRUE)    ? STRATA_PARQUET_BOOLEAN
                                                   : STRATA_PARQUET_BYTE_ARRAY;
        ++*leaf;
    }
    shape->binary &= shape->type == STRATA_PARQUET_BYTE_ARRAY;
    shape->leaves = *leaf - shape->leaf;
}

static bool is_suffixed(const char *name) {
    size_t length = strlen(name);
    return length >= 5 && strcmp(name + length - 5, ":json") == 0;
}

void strata_shape_settle(struct strata_shape *shape) {
    size_t leaf = 0, leaves = 0;
    for (size_t i = 0; i < shape->count; i++) {
        struct strata_shape *column = &shape->members[i];
        size_t own = count_leaves(column);
        column->text = is_suffixed(column->name) || leaves + own > MAX_LEAVES || !is_regular(column, shape->objects);
        column->absent = !column->text && column->seen < shape->objects;
        leaves += column->text ? 1 : own;
        settle(column, &leaf, 0, 0);
    }
    shape->type = STRATA_PARQUET_GROUP;
    shape->leaves = leaf;
}

/* ---- the schema ---- */

static void put_annotation(struct strata_buffer *out, int *last, int converted, int logical) {
    int inner = 0;
    strata_thrift_put_integer(out, last, 6, STRATA_THRIFT_I32, converted);
    strata_thrift_put_field(out, last, 10, STRATA_THRIFT_STRUCT);
    strata_thrift_put_field(out, &inner, logical, STRATA_THRIFT_STRUCT);
    strata_thrift_put_stop(out);
    strata_thrift_put_stop(out);
}

static void put_group(struct strata_buffer *out, const char *name, enum strata_parquet_repetition repetition,
                      size_t children, bool list) {
    int last = 0;
    strata_thrift_put_integer(out, &last, 3, STRATA_THRIFT_I32, repetition);
    strata_thrift_put_text(out, &last, 4, name);
    strata_thrift_put_integer(out, &last, 5, STRATA_THRIFT_I32, (int64_t)children);
    if (list) put_annotation(out, &last, 3, 3);
    strata_thrift_put_stop(out);
}

static size_t put_shape(struct strata_buffer *out, const struct strata_shape *shape, const char *name) {
    size_t elements = 1;
    if (shape->type == STRATA_PARQUET_GROUP && shape->element) {
        put_group(out, name, STRATA_PARQUET_OPTIONAL, 1, true);
        put_group(out, "list", STRATA_PARQUET_REPEATED, 1, false);
        return 2 + put_shape(out, shape->element, "element");
    }
    if (shape->type == STRATA_PARQUET_GROUP) {
        put_group(out, name, STRATA_PARQUET_OPTIONAL, shape->count, false);
        for (size_t i = 0; i < shape->count; i++)
            elements += put_shape(out, &shape->members[i], shape->members[i].name);
        return elements;
    }
    struct strata_buffer suffixed = {0};
    int last = 0;
    strata_buffer_printf(&suffixed, "%s%s", name, shape->text ? ":json" : "");
    out->failed |= suffixed.failed;
    strata_thrift_put_integer(out, &last, 1, STRATA_THRIFT_I32, shape->type);
    strata_thrift_put_integer(out, &last, 3, STRATA_THRIFT_I32, STRATA_PARQUET_OPTIONAL);
    strata_thrift_put_text(out, &last, 4, strata_buffer_string(&suffixed));
    if (shape->type == STRATA_PARQUET_BYTE_ARRAY && !shape->binary) put_annotation(out, &last, 0, 1);
    strata_thrift_put_stop(out);
    strata_buffer_free(&suffixed);
    return 1;
}

size_t strata_shape_schema(struct strata_buffer *out, const struct strata_shape *shape) {
    size_t elements = 1;
    put_group(out, "schema", STRATA_PARQUET_REQUIRED, shape->count, false);
    for (size_t i = 0; i < shape->count; i++) elements += put_shape(out, &shape->members[i], shape->members[i].name);
    return elements;
}

/* ---- metadata ---- */

static int add_absent(json_t *paths, const struct strata_shape *shape, json_t *path) {
    int failed = 0;
    if (shape->absent) failed |= json_array_append_new(paths, json_copy(path));
    if (shape->type != STRATA_PARQUET_GROUP) return failed;
    if (shape->element) {
        failed |= json_array_append_new(path, json_string("list"));
        failed |= json_array_append_new(path, json_string("element"));
        failed |= add_absent(paths, shape->element, path);
        json_array_remove(path, json_array_size(path) - 1);
        json_array_remove(path, json_array_size(path) - 1);
        return failed;
    }
    for (size_t i = 0; i < shape->count; i++) {
        failed |= json_array_append_new(path, json_string(shape->members[i].name));
        failed |= add_absent(paths, &shape->members[i], path);
        json_array_remove(path, json_array_size(path) - 1);
    }
    return failed;
}

int strata_shape_absent(struct strata_buffer *out, const struct strata_shape *shape, struct strata_error *err) {
    json_t *paths = json_array(), *path = json_array();
    int failed = !paths || !path || add_absent(paths, shape, path);
    if (!failed && json_array_size(paths)) strata_json_write(out, paths);
    json_decref(paths);
    json_decref(path);
    return failed ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory") : strata_buffer_check(out, err);
}

static json_t *feature(const struct strata_shape *shape) {
    static const char *const types[] = {[STRATA_PARQUET_BOOLEAN] = "bool",
                                        [STRATA_PARQUET_INT64] = "int64",
                                        [STRATA_PARQUET_DOUBLE] = "float64",
                                        [STRATA_PARQUET_BYTE_ARRAY] = "string"};
    if (shape->type != STRATA_PARQUET_GROUP)
        return json_pack("{s:s, s:s}", "dtype", shape->binary ? "binary" : types[shape->type], "_type", "Value");
    if (shape->element) return json_pack("[o]", feature(shape->element));
    if (shape->count == 2 && shape->members[0].binary && strcmp(shape->members[1].name, "path") == 0 &&
        shape->members[1].type == STRATA_PARQUET_BYTE_ARRAY)
        return json_pack("{s:s}", "_type", "Image");
    json_t *members = json_object();
    for (size_t i = 0; i < shape->count; i++) {
        const struct strata_shape *member = &shape->members[i];
        struct strata_buffer name = {0};
        strata_buffer_printf(&name, "%s%s", member->name, member->text ? ":json" : "");
        if (name.failed || json_object_set_new(members, strata_buffer_string(&name), feature(member))) {
            json_decref(members);
            members = NULL;
        }
        strata_buffer_free(&name);
    }
    return members;
}

int strata_shape_features(struct strata_buffer *out, const struct strata_shape *shape, struct strata_error *err) {
    json_t *info = json_pack("{s:{s:o}}", "info", "features", feature(shape));
    if (!info) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    strata_json_write(out, info);
    json_decref(info);
    return strata_buffer_check(out, err);
}
