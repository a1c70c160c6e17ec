/* Records out of the columns of a Parquet file (the record assembly of the Dremel paper, by recursion over the schema:
 * a definition level says how deep a value is there, a repetition level which list goes on). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/parquet.h"
#include "data/parquet_column.h"
#include "data/text_file.h"

#define MAGIC_LENGTH 4
#define FOOTER_LIMIT ((size_t)1 << 28)
#define ENTRY_WEIGHT 16 /* of a null in a list, roughly */

struct strata_parquet_reader {
    int handle;
    uint64_t size;
    struct strata_buffer bytes; /* of the footer */
    struct strata_parquet_footer footer;
    struct strata_parquet_column *columns;
    struct strata_parquet_chunk *chunks;
    size_t groups_read;
    uint64_t rows_read, group_rows; /* group_rows: not yet read of the open row group */
    uint64_t skipped;               /* passed over, while the columns still stand before them */
    int bad;                        /* of the record being read: the first error that ends only it */
    size_t weight;                  /* of the record being read: what its values take */
};

/* ---- opening ---- */

static int read_exactly(void *out, int handle, size_t length, uint64_t at, struct strata_error *err) {
    for (size_t done = 0; done < length;) {
        ssize_t got = pread(handle, (char *)out + done, length - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return strata_fail(err, STRATA_ERR_IO, "cannot read: %s", strerror(errno));
        if (got == 0) return strata_parquet_damaged("it is cut short", err);
        done += (size_t)got;
    }
    return 0;
}

static int read_footer(struct strata_parquet_reader *reader, struct strata_error *err) {
    unsigned char tail[8] = {0};
    if (reader->size < MAGIC_LENGTH + sizeof tail) return strata_parquet_damaged("it is cut short", err);
    int code = read_exactly(tail, reader->handle, sizeof tail, reader->size - sizeof tail, err);
    if (code) return code;
    size_t length = (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "the Parquet file is encrypted");
    if (memcmp(tail + 4, "PAR1", 4) != 0) return strata_parquet_damaged("it does not end as it should", err);
    if (length > FOOTER_LIMIT || length > reader->size - sizeof tail - MAGIC_LENGTH)
        return strata_parquet_damaged("its footer cannot be that long", err);
    char *bytes = strata_buffer_extend(&reader->bytes, length);
    if (!bytes) return strata_fail(err, STRATA_ERR_MEMORY, "no memory for a footer of %zu bytes", length);
    code = read_exactly(bytes, reader->handle, length, reader->size - sizeof tail - length, err);
    return code ? code : strata_parquet_footer_parse(&reader->footer, (unsigned char *)bytes, length, err);
}

static int open_file(struct strata_parquet_reader *reader, const char *path, struct strata_error *err) {
    struct stat status;
    reader->handle = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->handle < 0 || fstat(reader->handle, &status))
        return strata_fail(err, STRATA_ERR_IO, "cannot open the data set: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return strata_fail(err, STRATA_ERR_IO, "a Parquet file is read from its end: it must be a regular file");
    reader->size = (uint64_t)status.st_size;
    int code = read_footer(reader, err);
    size_t columns = reader->footer.schema.columns;
    if (!code) code = strata_alloc(&reader->columns, columns, sizeof *reader->columns, err);
    if (!code) code = strata_alloc(&reader->chunks, columns, sizeof *reader->chunks, err);
    for (size_t n = 0; !code && n < reader->footer.schema.count; n++) {
        const struct strata_parquet_node *node = &reader->footer.schema.nodes[n];
        if (node->type == STRATA_PARQUET_GROUP) continue;
        reader->columns[node->leaf].node = node;
        reader->columns[node->leaf].handle = reader->handle;
    }
    return code;
}

int strata_parquet_reader_open(struct strata_parquet_reader **out, const char *path, struct strata_error *err) {
    struct strata_parquet_reader *reader;
    *out = NULL;
    int code = strata_alloc(&reader, 1, sizeof *reader, err);
    if (code) return code;
    code = open_file(reader, path, err);
    if (code) {
        strata_fail_at(err, code, "%s", path);
        strata_parquet_reader_close(reader);
    } else {
        *out = reader;
    }
    return code;
}

void strata_parquet_reader_close(struct strata_parquet_reader *reader) {
    if (!reader) return;
    for (size_t c = 0; reader->columns && c < reader->footer.schema.columns; c++)
        strata_parquet_column_free(&reader->columns[c]);
    free(reader->columns);
    free(reader->chunks);
    strata_parquet_footer_free(&reader->footer);
    strata_buffer_free(&reader->bytes);
    if (reader->handle >= 0) close(reader->handle);
    free(reader);
}

uint64_t strata_parquet_reader_rows(const struct strata_parquet_reader *reader) {
    return reader->footer.rows;
}

/* ---- assembly ---- */

/* What stays the same while one record is put together. */
struct assembly {
    struct strata_parquet_reader *reader;
    const struct strata_parquet_node *nodes;
    struct strata_error *err;
};

/* The next entry of a column, which must continue where the record's other columns do. */
static int expect(const struct assembly *assembly, struct strata_parquet_column *column, unsigned repetition) {
    int code = strata_parquet_column_peek(column, assembly->err);
    if (code) return code;
    return column->repetition == repetition
               ? 0
               : strata_parquet_damaged("columns disagree where lists go on", assembly->err);
}

/* Few bytes of runs and a dictionary can stand for any number of values. */
static int weigh(const struct assembly *assembly, size_t length) {
    assembly->reader->weight += ENTRY_WEIGHT + length;
    if (assembly->reader->weight <= STRATA_RECORD_LIMIT) return 0;
    return strata_fail(assembly->err, STRATA_ERR_UNSUPPORTED, "a record is longer than %zu bytes", STRATA_RECORD_LIMIT);
}

/* Passes an absent value: one entry in each column below the node. */
static int pass_absent(const struct assembly *assembly, const struct strata_parquet_node *node, unsigned repetition) {
    for (size_t c = node->leaf; c < node->leaf + node->leaves; c++) {
        struct strata_parquet_column *column = &assembly->reader->columns[c];
        struct strata_parquet_value value;
        int code = expect(assembly, column, repetition);
        if (code) return code;
        if (column->definition >= node->maximum_definition)
            return strata_parquet_damaged("columns disagree where values are missing", assembly->err);
        code = strata_parquet_column_take(&value, column, assembly->err);
        if (!code) code = weigh(assembly, 0);
        if (code) return code;
    }
    return 0;
}

static int build(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *node,
                 unsigned repetition);

static int build_leaf(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *node,
                      unsigned repetition) {
    struct strata_parquet_column *column = &assembly->reader->columns[node->leaf];
    struct strata_parquet_value value;
    struct strata_error *err = assembly->reader->bad ? NULL : assembly->err;
    int code = expect(assembly, column, repetition);
    if (code) return code;
    if (column->definition < node->maximum_definition)
        return strata_parquet_damaged("a value is missing that must be there", assembly->err);
    code = strata_parquet_column_take(&value, column, assembly->err);
    if (!code) code = weigh(assembly, value.length);
    if (!code) code = strata_parquet_json(out, node, &value, err);
    if (code != STRATA_ERR_INPUT) return code;
    assembly->reader->bad = code; /* the rest of the record is still to be passed */
    *out = json_null();
    return 0;
}

static int build_group(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *node,
                       unsigned repetition) {
    const struct strata_parquet_node *child = node + 1;
    int code = 0;
    *out = json_object();
    if (!*out) return strata_fail(assembly->err, STRATA_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < node->children && !code; i++, child += child->span) {
        json_t *value = NULL;
        code = build(&value, assembly, child, repetition);
        if (code) break;
        if (child->absent && json_is_null(value))
            json_decref(value);
        else if (json_object_set_new_nocheck(*out, child->name, value))
            code = strata_fail(assembly->err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (code) {
        json_decref(*out);
        *out = NULL;
    }
    return code;
}

/* One round of a repeated node, without asking whether it is there. */
static int build_inner(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *node,
                       unsigned repetition) {
    return node->children ? build_group(out, assembly, node, repetition) : build_leaf(out, assembly, node, repetition);
}

/* The rounds of a repeated node, each built as `element` (the node itself, or its only child). */
static int build_rounds(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *node,
                        const struct strata_parquet_node *element, unsigned repetition) {
    const struct strata_parquet_column *first = &assembly->reader->columns[node->leaf];
    int code = expect(assembly, &assembly->reader->columns[node->leaf], repetition);
    *out = NULL;
    if (code) return code;
    *out = json_array();
    if (!*out) return strata_fail(assembly->err, STRATA_ERR_MEMORY, "out of memory");
    bool more = first->definition >= node->maximum_definition;
    if (!more) code = pass_absent(assembly, node, repetition);
    while (more && !code) {
        json_t *value = NULL;
        code = element == node ? build_inner(&value, assembly, node, repetition)
                               : build(&value, assembly, element, repetition);
        if (!code && json_array_append_new(*out, value))
            code = strata_fail(assembly->err, STRATA_ERR_MEMORY, "out of memory");
        more = false;
        if (!code && first->entries_left) {
            code = strata_parquet_column_peek(&assembly->reader->columns[node->leaf], assembly->err);
            more = !code && first->repetition == node->maximum_repetition;
        }
        repetition = node->maximum_repetition;
    }
    if (code) {
        json_decref(*out);
        *out = NULL;
    }
    return code;
}

/* What an element of a LIST is: the repeated node's only child, except in files of old writers (LogicalTypes.md,
 * "Backward-compatibility rules"). */
static const struct strata_parquet_node *list_element(const struct strata_parquet_node *list) {
    const struct strata_parquet_node *repeated = list + 1;
    size_t length = strlen(list->name);
    bool tuple = strncmp(repeated->name, list->name, length) == 0 && strcmp(repeated->name + length, "_tuple") == 0;
    bool itself = repeated->children != 1 || strcmp(repeated->name, "array") == 0 || tuple ||
                  repeated[1].repetition == STRATA_PARQUET_REPEATED;
    return itself ? repeated : repeated + 1;
}

/* {key: value, …} of [{"key": …, "value": …}, …], whose members' names are not fixed; pairs where a key is no text. */
static int build_map(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *entry,
                     unsigned repetition) {
    const struct strata_parquet_node *key = entry + 1, *value = key + key->span;
    json_t *rounds = NULL;
    int code = build_rounds(&rounds, assembly, entry, entry, repetition);
    *out = NULL;
    if (code) return code;
    bool texts = key->meaning == STRATA_MEANING_TEXT, failed = false;
    *out = texts ? json_object() : json_array();
    for (size_t i = 0; i < json_array_size(rounds) && *out; i++) {
        json_t *round = json_array_get(rounds, i), *name = json_object_get(round, key->name),
               *held = json_object_get(round, value->name);
        if (!name) name = json_null();
        if (!held) held = json_null();
        if (!texts)
            failed |= json_array_append_new(*out, json_pack("[O, O]", name, held)) != 0;
        else if (json_is_string(name))
            failed |= json_object_setn(*out, json_string_value(name), json_string_length(name), held) != 0;
    }
    json_decref(rounds);
    if (*out && !failed) return 0;
    json_decref(*out);
    *out = NULL;
    return strata_fail(assembly->err, STRATA_ERR_MEMORY, "out of memory");
}

static int build(json_t **out, const struct assembly *assembly, const struct strata_parquet_node *node,
                 unsigned repetition) {
    const struct strata_parquet_node *child = node + 1;
    *out = NULL;
    if (node->repetition == STRATA_PARQUET_REPEATED) return build_rounds(out, assembly, node, node, repetition);
    if (node->repetition == STRATA_PARQUET_OPTIONAL) {
        const struct strata_parquet_column *first = &assembly->reader->columns[node->leaf];
        int code = expect(assembly, &assembly->reader->columns[node->leaf], repetition);
        if (code) return code;
        if (first->definition < node->maximum_definition) {
            *out = json_null();
            return pass_absent(assembly, node, repetition);
        }
    }
    bool repeats = node->children == 1 && child->repetition == STRATA_PARQUET_REPEATED;
    if (repeats && node->meaning == STRATA_MEANING_LIST)
        return build_rounds(out, assembly, child, list_element(node), repetition);
    if (repeats && node->meaning == STRATA_MEANING_MAP && child->children == 2)
        return build_map(out, assembly, child, repetition);
    return build_inner(out, assembly, node, repetition);
}

/* ---- rows ---- */

static int next_group(struct strata_parquet_reader *reader, struct strata_error *err) {
    struct strata_parquet_footer *footer = &reader->footer;
    if (reader->groups_read == footer->groups) return strata_parquet_damaged("it has fewer rows than it says", err);
    int code = strata_parquet_group_next(reader->chunks, &reader->group_rows, footer, reader->size, err);
    if (code) return code;
    reader->groups_read++;
    if (reader->group_rows > footer->rows - reader->rows_read)
        return strata_parquet_damaged("it has more rows than it says", err);
    for (size_t c = 0; c < footer->schema.columns; c++)
        strata_parquet_column_start(&reader->columns[c], &reader->chunks[c]);
    return 0;
}

/* Passes the rows that were not wanted. */
static int pass_skipped(struct strata_parquet_reader *reader, struct strata_error *err) {
    for (size_t c = 0; c < reader->footer.schema.columns; c++) {
        struct strata_parquet_column *column = &reader->columns[c];
        /* A row begins where the repetition level is 0; the last row to pass ends before the next such entry. */
        for (uint64_t begun = 0; column->entries_left;) {
            struct strata_parquet_value value;
            int code = strata_parquet_column_peek(column, err);
            if (!code && column->repetition == 0 && begun++ == reader->skipped) break;
            if (!code) code = strata_parquet_column_take(&value, column, err);
            if (code) return code;
        }
    }
    reader->skipped = 0;
    return 0;
}

int strata_parquet_reader_next(struct strata_parquet_reader *reader, bool wanted, json_t **record, bool *got,
                               struct strata_error *err) {
    const struct assembly assembly = {reader, reader->footer.schema.nodes, err};
    int code = 0;
    *record = NULL;
    *got = false;
    if (reader->rows_read == reader->footer.rows) return 0;
    while (!reader->group_rows) {
        reader->skipped = 0;
        code = next_group(reader, err);
        if (code) return code;
    }
    reader->rows_read++;
    reader->group_rows--;
    *got = true;
    if (!wanted) {
        reader->skipped++;
        return 0;
    }
    if (reader->skipped) code = pass_skipped(reader, err);
    reader->bad = 0;
    reader->weight = 0;
    if (!code) code = build_group(record, &assembly, assembly.nodes, 0);
    if (code || !reader->bad) return code;
    json_decref(*record);
    *record = NULL;
    return reader->bad;
}
