/* The footer of a Parquet file: its schema, and its row groups one after the other; and the headers of pages. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/parquet_format.h"

#define MAX_NODES 10000
#define MAX_DEPTH 32

int strata_parquet_damaged(const char *what, struct strata_error *err) {
    return strata_fail(err, STRATA_ERR_IO, "the Parquet file is damaged: %s", what);
}

static int unsupported(const char *what, const char *name, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s%.120s", what, name);
    return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED,
                            "datasets or pandas can write the file anew, or its records as JSONL");
}

/* ---- schema ---- */

static unsigned time_unit(struct strata_thrift *thrift, const struct strata_thrift_field *outer) {
    struct strata_thrift_field unit = {0};
    unsigned digits = 3;
    if (!strata_thrift_struct(thrift, outer)) return digits;
    while (strata_thrift_next(&unit, thrift)) {
        digits = unit.id == 1 ? 3 : unit.id == 2 ? 6 : 9;
        strata_thrift_skip(thrift, &unit);
    }
    return digits;
}

/* The parameters of DECIMAL (scale), TIME and TIMESTAMP (UTC, unit) and INTEGER (width, signed). */
static void parse_parameters(struct strata_parquet_node *node, struct strata_thrift *thrift,
                             const struct strata_thrift_field *outer) {
    struct strata_thrift_field field = {0};
    if (!strata_thrift_struct(thrift, outer)) return;
    while (strata_thrift_next(&field, thrift)) {
        if (outer->id == 5 && field.id == 1) {
            node->scale = (unsigned)strata_thrift_integer(thrift, &field, 0);
        } else if ((outer->id == 7 || outer->id == 8) && field.id == 1) {
            node->utc = strata_thrift_bool(thrift, &field);
        } else if ((outer->id == 7 || outer->id == 8) && field.id == 2) {
            node->unit = time_unit(thrift, &field);
        } else if (outer->id == 10 && field.id == 2) {
            node->meaning = strata_thrift_bool(thrift, &field) ? STRATA_MEANING_NONE : STRATA_MEANING_UNSIGNED;
        } else {
            strata_thrift_skip(thrift, &field);
        }
    }
}

static void parse_logical(struct strata_parquet_node *node, struct strata_thrift *thrift,
                          const struct strata_thrift_field *outer) {
    static const enum strata_parquet_meaning meanings[] = {
        [1] = STRATA_MEANING_TEXT,  [2] = STRATA_MEANING_MAP,       [3] = STRATA_MEANING_LIST,
        [4] = STRATA_MEANING_TEXT,  [5] = STRATA_MEANING_DECIMAL,   [6] = STRATA_MEANING_DATE,
        [7] = STRATA_MEANING_TIME,  [8] = STRATA_MEANING_TIMESTAMP, [12] = STRATA_MEANING_TEXT,
        [14] = STRATA_MEANING_UUID, [15] = STRATA_MEANING_FLOAT16};
    struct strata_thrift_field field = {0};
    if (!strata_thrift_struct(thrift, outer)) return;
    while (strata_thrift_next(&field, thrift)) {
        bool known = field.id > 0 && field.id < (int)(sizeof meanings / sizeof *meanings);
        node->meaning = known ? meanings[field.id] : STRATA_MEANING_NONE;
        parse_parameters(node, thrift, &field);
    }
}

/* The converted type says less than the logical one, which counts where both are there. */
static void use_converted(struct strata_parquet_node *node, int64_t converted) {
    static const struct {
        enum strata_parquet_meaning meaning;
        unsigned unit;
    } types[] = {{STRATA_MEANING_TEXT, 0},      {STRATA_MEANING_MAP, 0},       {STRATA_MEANING_MAP, 0},
                 {STRATA_MEANING_LIST, 0},      {STRATA_MEANING_TEXT, 0},      {STRATA_MEANING_DECIMAL, 0},
                 {STRATA_MEANING_DATE, 0},      {STRATA_MEANING_TIME, 3},      {STRATA_MEANING_TIME, 6},
                 {STRATA_MEANING_TIMESTAMP, 3}, {STRATA_MEANING_TIMESTAMP, 6}, {STRATA_MEANING_UNSIGNED, 0},
                 {STRATA_MEANING_UNSIGNED, 0},  {STRATA_MEANING_UNSIGNED, 0},  {STRATA_MEANING_UNSIGNED, 0},
                 {STRATA_MEANING_NONE, 0},      {STRATA_MEANING_NONE, 0},      {STRATA_MEANING_NONE, 0},
                 {STRATA_MEANING_NONE, 0},      {STRATA_MEANING_TEXT, 0}};
    if (converted < 0 || converted >= (int64_t)(sizeof types / sizeof *types)) return;
    node->meaning = types[converted].meaning;
    node->unit = types[converted].unit;
    node->utc = node->meaning == STRATA_MEANING_TIMESTAMP;
}

/* Does the physical type suit the meaning? Where not, the meaning is dropped. */
static void check_meaning(struct strata_parquet_node *node) {
    const unsigned group = 1u << STRATA_PARQUET_GROUP, bytes = 1u << STRATA_PARQUET_BYTE_ARRAY,
                   fixed = 1u << STRATA_PARQUET_FIXED, i32 = 1u << STRATA_PARQUET_INT32,
                   i64 = 1u << STRATA_PARQUET_INT64;
    const unsigned suited[] = {
        [STRATA_MEANING_NONE] = ~0u,           [STRATA_MEANING_TEXT] = bytes,
        [STRATA_MEANING_UNSIGNED] = i32 | i64, [STRATA_MEANING_DECIMAL] = i32 | i64 | bytes | fixed,
        [STRATA_MEANING_DATE] = i32,           [STRATA_MEANING_TIME] = i32 | i64,
        [STRATA_MEANING_TIMESTAMP] = i64,      [STRATA_MEANING_UUID] = fixed,
        [STRATA_MEANING_FLOAT16] = fixed,      [STRATA_MEANING_LIST] = group,
        [STRATA_MEANING_MAP] = group};
    bool sized = (node->meaning != STRATA_MEANING_UUID || node->length == 16) &&
                 (node->meaning != STRATA_MEANING_FLOAT16 || node->length == 2) && node->scale <= 76;
    if (!(suited[node->meaning] >> node->type & 1) || !sized) node->meaning = STRATA_MEANING_NONE;
}

static int copy_name(struct strata_parquet_node *node, const char *name, size_t length, struct strata_error *err) {
    size_t offset;
    if (memchr(name, '\0', length) || !strata_utf8_valid(name, length, &offset))
        return strata_parquet_damaged("a column's name is not text", err);
    node->name = strndup(name, length);
    return node->name ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int parse_node(struct strata_parquet_node *node, struct strata_thrift *thrift, bool root,
                      struct strata_error *err) {
    struct strata_thrift_field field = {0};
    int64_t type = STRATA_PARQUET_GROUP, repetition = 0, converted = -1, children = 0, length = 0;
    const char *name = "";
    size_t name_length = 0;
    bool logical = false;
    while (strata_thrift_next(&field, thrift)) {
        switch (field.id) {
        case 1:
            type = strata_thrift_integer(thrift, &field, -1);
            break;
        case 2:
            length = strata_thrift_integer(thrift, &field, 0);
            break;
        case 3:
            repetition = strata_thrift_integer(thrift, &field, -1);
            break;
        case 4:
            name = strata_thrift_binary(&name_length, thrift, &field);
            break;
        case 5:
            children = strata_thrift_integer(thrift, &field, 0);
            break;
        case 6:
            converted = strata_thrift_integer(thrift, &field, -1);
            break;
        case 7:
            node->scale = (unsigned)strata_thrift_integer(thrift, &field, 0);
            break;
        case 10:
            parse_logical(node, thrift, &field);
            logical = node->meaning != STRATA_MEANING_NONE;
            break;
        default:
            strata_thrift_skip(thrift, &field);
        }
    }
    if (thrift->failed) return strata_parquet_damaged("the schema cannot be read", err);
    if (children > 0) type = STRATA_PARQUET_GROUP;
    if (type < 0 || type > STRATA_PARQUET_GROUP || repetition < 0 || repetition > 2 || children < 0 ||
        children > MAX_NODES || length < 0 || length > INT32_MAX || (type == STRATA_PARQUET_FIXED && !length) ||
        (type == STRATA_PARQUET_GROUP && !children && !root))
        return strata_parquet_damaged("a column's type is none", err);
    node->type = (enum strata_parquet_type)type;
    node->repetition = root ? STRATA_PARQUET_REQUIRED : (enum strata_parquet_repetition)repetition;
    node->children = (size_t)children;
    node->length = (size_t)length;
    if (!logical) use_converted(node, converted);
    check_meaning(node);
    return copy_name(node, name, name_length, err);
}

/* Walks the subtree at *place, which is then behind it. */
static int index_node(struct strata_parquet_schema *schema, size_t *place, unsigned depth, unsigned definition,
                      unsigned repetition, struct strata_error *err) {
    if (*place >= schema->count || depth > MAX_DEPTH)
        return strata_parquet_damaged("the schema's parts do not fit together", err);
    size_t own = (*place)++;
    struct strata_parquet_node *node = &schema->nodes[own];
    node->maximum_definition = definition + (node->repetition != STRATA_PARQUET_REQUIRED);
    node->maximum_repetition = repetition + (node->repetition == STRATA_PARQUET_REPEATED);
    node->leaf = schema->columns;
    if (node->type != STRATA_PARQUET_GROUP) schema->columns++;
    for (size_t child = 0; child < node->children; child++) {
        size_t first = *place;
        int code = index_node(schema, place, depth + 1, node->maximum_definition, node->maximum_repetition, err);
        if (code) return code;
        for (size_t c = 0, other = own + 1; c < child; c++, other += schema->nodes[other].span)
            if (strcmp(schema->nodes[other].name, schema->nodes[first].name) == 0)
                return unsupported("two columns are called ", schema->nodes[first].name, err);
    }
    node->span = *place - own;
    node->leaves = schema->columns - node->leaf;
    return 0;
}

int strata_parquet_schema_index(struct strata_parquet_schema *schema, struct strata_error *err) {
    size_t place = 0;
    schema->columns = 0;
    int code = index_node(schema, &place, 0, 0, 0, err);
    if (!code && place != schema->count) code = strata_parquet_damaged("the schema's parts do not fit together", err);
    if (!code && schema->nodes[0].type != STRATA_PARQUET_GROUP)
        code = strata_parquet_damaged("the schema is no record", err);
    return code;
}

static int parse_schema(struct strata_parquet_schema *schema, struct strata_thrift *thrift,
                        const struct strata_thrift_field *field, struct strata_error *err) {
    size_t count = strata_thrift_list(thrift, field, STRATA_THRIFT_STRUCT);
    if (!count || schema->nodes) return strata_parquet_damaged("it has no schema", err);
    if (count > MAX_NODES) return unsupported("the schema has too many columns", "", err);
    int code = strata_alloc(&schema->nodes, count, sizeof *schema->nodes, err);
    for (; !code && schema->count < count; schema->count++)
        code = parse_node(&schema->nodes[schema->count], thrift, schema->count == 0, err);
    if (code && schema->nodes) schema->count = count; /* so that all names are freed */
    return code ? code : strata_parquet_schema_index(schema, err);
}

/* ---- the footer ---- */

/* Our own mark of columns whose nulls are absent keys: a JSON list of paths. What does not fit is passed over. */
static void mark_absent(struct strata_parquet_schema *schema, const char *text, size_t length) {
    json_t *paths = NULL;
    if (strata_json_parse(&paths, text, length, "", 1, NULL)) return;
    for (size_t p = 0; p < json_array_size(paths); p++) {
        const json_t *path = json_array_get(paths, p);
        size_t place = 0, step = 0;
        for (; step < json_array_size(path); step++) {
            const char *name = json_string_value(json_array_get(path, step));
            size_t child = place + 1, end = place + schema->nodes[place].span;
            while (name && child < end && strcmp(schema->nodes[child].name, name) != 0)
                child += schema->nodes[child].span;
            if (!name || child >= end) break;
            place = child;
        }
        if (place && step == json_array_size(path)) schema->nodes[place].absent = true;
    }
    json_decref(paths);
}

struct span {
    const char *text;
    size_t length;
};

static void parse_metadata(struct span *absent, struct strata_thrift *thrift, const struct strata_thrift_field *outer) {
    for (size_t count = strata_thrift_list(thrift, outer, STRATA_THRIFT_STRUCT); count && !thrift->failed; count--) {
        struct strata_thrift_field field = {0};
        struct span key = {"", 0}, value = {"", 0};
        while (strata_thrift_next(&field, thrift)) {
            struct span *part = field.id == 1 ? &key : &value;
            part->text = strata_thrift_binary(&part->length, thrift, &field);
        }
        if (key.length == 13 && memcmp(key.text, "strata:absent", 13) == 0) *absent = value;
    }
}

int strata_parquet_footer_parse(struct strata_parquet_footer *out, const unsigned char *bytes, size_t length,
                                struct strata_error *err) {
    struct strata_thrift thrift = {.at = bytes, .end = bytes + length};
    struct strata_thrift_field field = {0};
    struct span absent = {NULL, 0};
    int64_t rows = -1;
    int code = 0;
    *out = (struct strata_parquet_footer){0};
    while (!code && strata_thrift_next(&field, &thrift)) {
        switch (field.id) {
        case 2:
            code = parse_schema(&out->schema, &thrift, &field, err);
            break;
        case 3:
            rows = strata_thrift_integer(&thrift, &field, -1);
            break;
        case 4: {
            struct strata_thrift groups = thrift;
            out->groups = strata_thrift_list(&groups, &field, STRATA_THRIFT_STRUCT);
            out->next_group = groups;
            strata_thrift_skip(&thrift, &field);
            break;
        }
        case 5:
            parse_metadata(&absent, &thrift, &field);
            break;
        case 8:
            code = unsupported("the Parquet file is encrypted", "", err);
            break;
        default:
            strata_thrift_skip(&thrift, &field);
        }
    }
    if (!code && (thrift.failed || rows < 0 || !out->schema.nodes || out->next_group.failed))
        code = strata_parquet_damaged("its footer cannot be read", err);
    out->rows = (uint64_t)rows;
    if (code)
        strata_parquet_footer_free(out);
    else if (absent.text)
        mark_absent(&out->schema, absent.text, absent.length);
    return code;
}

void strata_parquet_footer_free(struct strata_parquet_footer *footer) {
    for (size_t i = 0; i < footer->schema.count; i++) free(footer->schema.nodes[i].name);
    free(footer->schema.nodes);
    *footer = (struct strata_parquet_footer){0};
}

/* ---- row groups ---- */

static int parse_column(struct strata_parquet_chunk *chunk, struct strata_thrift *thrift,
                        const struct strata_thrift_field *outer, struct strata_error *err) {
    struct strata_thrift_field field = {0};
    int64_t codec = -1, entries = -1, packed = -1, data = -1, dictionary = 0;
    if (!strata_thrift_struct(thrift, outer)) return 0;
    while (strata_thrift_next(&field, thrift)) {
        switch (field.id) {
        case 4:
            codec = strata_thrift_integer(thrift, &field, -1);
            break;
        case 5:
            entries = strata_thrift_integer(thrift, &field, -1);
            break;
        case 7:
            packed = strata_thrift_integer(thrift, &field, -1);
            break;
        case 9:
            data = strata_thrift_integer(thrift, &field, -1);
            break;
        case 11:
            dictionary = strata_thrift_integer(thrift, &field, 0);
            break;
        default:
            strata_thrift_skip(thrift, &field);
        }
    }
    int64_t begin = dictionary > 0 && dictionary < data ? dictionary : data;
    if (thrift->failed || entries < 0 || packed < 0 || begin < 0 || packed > INT64_MAX - begin)
        return strata_parquet_damaged("a column's place cannot be read", err);
    if (codec < 0 || codec > STRATA_CODEC_LZ4_RAW || codec == STRATA_CODEC_LZO || codec == STRATA_CODEC_BROTLI)
        return unsupported("the Parquet file is compressed with ",
                           codec == STRATA_CODEC_BROTLI ? "Brotli"
                           : codec == STRATA_CODEC_LZO  ? "LZO"
                                                        : "an unknown codec",
                           err);
    *chunk = (struct strata_parquet_chunk){.codec = (enum strata_parquet_codec)codec,
                                           .begin = (uint64_t)begin,
                                           .end = (uint64_t)(begin + packed),
                                           .entries = (uint64_t)entries};
    return 0;
}

int strata_parquet_group_next(struct strata_parquet_chunk *chunks, uint64_t *rows, struct strata_parquet_footer *footer,
                              uint64_t size, struct strata_error *err) {
    struct strata_thrift *thrift = &footer->next_group;
    struct strata_thrift_field field = {0};
    int64_t count = -1;
    size_t columns = 0;
    int code = 0;
    while (!code && strata_thrift_next(&field, thrift)) {
        if (field.id == 3) {
            count = strata_thrift_integer(thrift, &field, -1);
        } else if (field.id != 1) {
            strata_thrift_skip(thrift, &field);
        } else {
            columns = strata_thrift_list(thrift, &field, STRATA_THRIFT_STRUCT);
            if (columns != footer->schema.columns) break;
            for (size_t c = 0; c < columns && !code; c++) {
                struct strata_thrift_field part = {0};
                chunks[c] = (struct strata_parquet_chunk){0};
                while (!code && strata_thrift_next(&part, thrift)) {
                    if (part.id == 3)
                        code = parse_column(&chunks[c], thrift, &part, err);
                    else if (part.id == 1)
                        code = unsupported("the Parquet file keeps columns in other files", "", err);
                    else if (part.id == 8)
                        code = unsupported("the Parquet file is encrypted", "", err);
                    else
                        strata_thrift_skip(thrift, &part);
                }
                if (!code && !thrift->failed && (chunks[c].end > size || chunks[c].end <= chunks[c].begin) &&
                    chunks[c].entries)
                    code = strata_parquet_damaged("a column lies outside of the file", err);
            }
        }
    }
    if (code) return code;
    if (thrift->failed || columns != footer->schema.columns || count < 0)
        return strata_parquet_damaged("a row group cannot be read", err);
    for (size_t c = 0; c < columns; c++)
        if (chunks[c].entries < (uint64_t)count) return strata_parquet_damaged("a column has too few values", err);
    *rows = (uint64_t)count;
    return 0;
}

/* ---- pages ---- */

static void parse_data_header(struct strata_parquet_page_header *out, int64_t *entries, int64_t *encoding,
                              struct strata_thrift *thrift, const struct strata_thrift_field *outer) {
    struct strata_thrift_field field = {0};
    bool second = outer->id == 8;
    if (!strata_thrift_struct(thrift, outer)) return;
    while (strata_thrift_next(&field, thrift)) {
        if (field.id == 1)
            *entries = strata_thrift_integer(thrift, &field, -1);
        else if (field.id == (second ? 4 : 2))
            *encoding = strata_thrift_integer(thrift, &field, -1);
        else if (second && field.id == 5)
            out->definition_bytes = (uint32_t)strata_thrift_integer(thrift, &field, 0);
        else if (second && field.id == 6)
            out->repetition_bytes = (uint32_t)strata_thrift_integer(thrift, &field, 0);
        else if (second && field.id == 7)
            out->compressed = strata_thrift_bool(thrift, &field);
        else
            strata_thrift_skip(thrift, &field);
    }
}

int strata_parquet_page_parse(struct strata_parquet_page_header *out, size_t *length, const unsigned char *bytes,
                              size_t available, struct strata_error *err) {
    struct strata_thrift thrift = {.at = bytes, .end = bytes + available};
    struct strata_thrift_field field = {0};
    int64_t kind = -1, packed = -1, unpacked = -1, entries = 0, encoding = 0;
    *out = (struct strata_parquet_page_header){.compressed = true};
    *length = 0;
    while (strata_thrift_next(&field, &thrift)) {
        if (field.id == 1)
            kind = strata_thrift_integer(&thrift, &field, -1);
        else if (field.id == 2)
            unpacked = strata_thrift_integer(&thrift, &field, -1);
        else if (field.id == 3)
            packed = strata_thrift_integer(&thrift, &field, -1);
        else if (field.id == 5 || field.id == 7 || field.id == 8)
            parse_data_header(out, &entries, &encoding, &thrift, &field);
        else
            strata_thrift_skip(&thrift, &field);
    }
    if (thrift.failed) return 0;
    if (kind < 0 || kind > STRATA_PAGE_DATA_V2 || packed < 0 || packed > INT32_MAX || unpacked < 0 ||
        unpacked > INT32_MAX || entries < 0 || entries > INT32_MAX || encoding < 0 || encoding > STRATA_ENCODING_SPLIT)
        return strata_parquet_damaged("a page's header makes no sense", err);
    out->kind = (enum strata_parquet_page)kind;
    out->packed = (uint32_t)packed;
    out->unpacked = (uint32_t)unpacked;
    out->entries = (uint32_t)entries;
    out->encoding = (enum strata_parquet_encoding)encoding;
    *length = (size_t)(thrift.at - bytes);
    return 0;
}
