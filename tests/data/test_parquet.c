/* Parquet in: what pyarrow wrote (tests/data/data/make_parquet.py) against the same rows as JSON, and damaged files.
 * Parquet out: what is written reads back. That pyarrow reads it too is tests/cli/python_readers.sh's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "data/dataset_source.h"
#include "data/export.h"
#include "data/parquet.h"
#include "data/parquet_codec.h"
#include "data/parquet_encoding.h"
#include "data/sample.h"

#define FOLDER "tests/data/data/parquet/"

static json_t *read_lines(const char *path) {
    json_t *rows = json_array(), *row;
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t capacity = 0;
    assert_non_null(file);
    for (ssize_t length; (length = getline(&line, &capacity, file)) > 0;) {
        assert_int_equal(strata_json_parse(&row, line, (size_t)length, path, 1, NULL), 0);
        json_array_append_new(rows, row);
    }
    free(line);
    fclose(file);
    return rows;
}

/* Every `step`-th row, from `first` on, is wanted. */
static void check_rows(const char *path, const json_t *expected, size_t first, size_t step) {
    struct strata_parquet_reader *reader;
    struct strata_error err = {0};
    json_t *row;
    bool got = true;
    if (strata_parquet_reader_open(&reader, path, &err)) fail_msg("%s: %s", path, err.what);
    assert_int_equal(strata_parquet_reader_rows(reader), json_array_size(expected));
    for (size_t i = 0; i < json_array_size(expected); i++) {
        bool wanted = i >= first && (i - first) % step == 0;
        if (strata_parquet_reader_next(reader, wanted, &row, &got, &err))
            fail_msg("%s, row %zu: %s", path, i, err.what);
        assert_true(got);
        assert_int_equal(row != NULL, wanted);
        if (row && !json_equal(row, json_array_get(expected, i))) {
            char *a = strata_json_line(row), *b = strata_json_line(json_array_get(expected, i));
            fail_msg("%s, row %zu:\n%s\nwhere\n%s\nis expected", path, i, a, b);
        }
        json_decref(row);
    }
    assert_int_equal(strata_parquet_reader_next(reader, true, &row, &got, &err), 0);
    assert_false(got);
    strata_parquet_reader_close(reader);
}

static void test_what_pyarrow_writes(void **state) {
    (void)state;
    static const char *const files[] = {"odd-none-v1", "odd-snappy-v1", "odd-gzip-v2",
                                        "odd-zstd-v2", "odd-lz4-v1",    "odd-delta-v2"};
    json_t *expected = read_lines(FOLDER "odd.jsonl");
    assert_int_equal(json_array_size(expected), 37);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        snprintf(path, sizeof path, FOLDER "%s.parquet", files[i]);
        check_rows(path, expected, 0, 1);
        check_rows(path, expected, 0, 3); /* as --shard reads */
        check_rows(path, expected, 25, 7);
    }
    json_decref(expected);
}

static void test_long_deltas(void **state) {
    (void)state;
    json_t *expected = json_array();
    char xs[64] = "", text[96];
    for (long i = 0; i < 3000; i++) {
        memset(xs, 'x', (size_t)(i % 50));
        xs[i % 50] = '\0';
        snprintf(text, sizeof text, "%s-%ld", xs, i);
        json_array_append_new(expected,
                              json_pack("{s:I, s:s}", "n", (json_int_t)(i * i * 1234567 % 10007 - 5000), "s", text));
    }
    check_rows(FOLDER "long-delta.parquet", expected, 0, 1);
    check_rows(FOLDER "long-delta.parquet", expected, 2, 997);
    json_decref(expected);
}

/* Orsta-Data-47k as a data set. */
static void test_orsta(void **state) {
    (void)state;
    const struct strata_dataset_options options = {0};
    struct strata_dataset *dataset;
    struct strata_sample sample;
    struct strata_buffer layout = {0};
    bool got;
    json_t *expected = read_lines(FOLDER "orsta.jsonl");
    check_rows(FOLDER "orsta.parquet", expected, 0, 1);
    json_decref(expected);
    assert_int_equal(strata_dataset_layout(&layout, FOLDER "orsta.parquet", NULL), 0);
    assert_string_equal(strata_buffer_string(&layout), "Parquet, prompt and reward_model (verl)");
    strata_buffer_free(&layout);
    size_t count;
    assert_int_equal(strata_dataset_count(&count, FOLDER "orsta.parquet", NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(strata_dataset_open(&dataset, FOLDER "orsta.parquet", &options, NULL), 0);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0);
    assert_string_equal(sample.id, "orsta-0");
    assert_string_equal(sample.ability, "math");
    assert_string_equal(sample.solution, "\\boxed{4}");
    assert_string_equal(sample.messages[0].text, "<image>Find \xe2\x88\xa0"
                                                 "ABC.");
    assert_int_equal(sample.image_count, 1);
    assert_null(sample.images[0].path);
    assert_int_equal(sample.images[0].length, 67);
    strata_sample_free(&sample);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0);
    assert_true(got);
    assert_int_equal(sample.message_count, 2);
    assert_int_equal(sample.image_count, 2);
    assert_string_equal(sample.images[1].name, "c.png");
    assert_non_null(strstr(sample.where, "orsta.parquet:2"));
    strata_sample_free(&sample);
    strata_dataset_close(dataset);
}

static char scratch[64];

static int setup(void **state) {
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/strata-test-parquet-%ld", (long)getpid());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(scratch);
    return 0;
}

/* Reads all of a file that may be damaged; true when it could be opened and read to its end. */
static bool survives(const char *bytes, size_t length) {
    struct strata_parquet_reader *reader;
    struct strata_error err = {0};
    json_t *row;
    bool got = true;
    FILE *file = fopen(scratch, "we"); /* strata_file_write would sync each of hundreds */
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
    int code = strata_parquet_reader_open(&reader, scratch, &err);
    while (!code && got) {
        code = strata_parquet_reader_next(reader, true, &row, &got, &err);
        json_decref(row);
        if (code == STRATA_ERR_INPUT) code = 0;
    }
    strata_parquet_reader_close(reader);
    if (code) assert_true(err.what[0] != '\0');
    return !code;
}

static void test_damaged_files(void **state) {
    (void)state;
    static const char *const files[] = {"orsta", "odd-delta-v2", "odd-zstd-v2"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        struct strata_buffer whole = {0};
        char path[256];
        snprintf(path, sizeof path, FOLDER "%s.parquet", files[f]);
        assert_int_equal(strata_file_read(&whole, path, 0, NULL), 0);
        assert_true(survives(whole.data, whole.length));
        for (size_t cut = 0; cut < whole.length; cut += 1 + cut / 7) assert_false(survives(whole.data, cut));
        for (size_t at = 0; at < whole.length; at += f ? 97 : 23) {
            whole.data[at] = (char)(whole.data[at] ^ (1 << at % 8));
            (void)survives(whole.data, whole.length); /* read or refused, nothing else */
            whole.data[at] = (char)(whole.data[at] ^ (1 << at % 8));
        }
        strata_buffer_free(&whole);
    }
}

static void test_refusals(void **state) {
    (void)state;
    struct strata_parquet_reader *reader;
    struct strata_error err = {0};
    json_t *row;
    bool got;
    assert_int_equal(strata_parquet_reader_open(&reader, FOLDER "none.parquet", &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.where, "none.parquet"));
    assert_int_equal(strata_parquet_reader_open(&reader, FOLDER, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.what, "regular file"));
    assert_int_equal(strata_parquet_reader_open(&reader, FOLDER "brotli.parquet", &err), 0);
    assert_int_equal(strata_parquet_reader_next(reader, true, &row, &got, &err), STRATA_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.what, "Brotli"));
    strata_parquet_reader_close(reader);
}

/* Writes the records and reads them back. */
static void check_round_trip(const json_t *records) {
    struct strata_export *export;
    struct strata_source *source;
    struct strata_error err = {0};
    json_t *row;
    size_t line;
    bool got;
    assert_int_equal(strata_export_open(&export, scratch, STRATA_FORMAT_PARQUET, STRATA_PATHS_KEEP, NULL), 0);
    for (size_t i = 0; i < json_array_size(records); i++)
        assert_int_equal(strata_export_write_record(export, json_array_get(records, i), NULL), 0);
    if (strata_export_commit(export, &err)) fail_msg("%s", err.what);
    if (strata_source_open(&source, scratch, &err)) fail_msg("%s", err.what);
    for (size_t i = 0; i < json_array_size(records); i++) {
        if (source->next(source, true, &row, &line, &got, &err)) fail_msg("row %zu: %s", i, err.what);
        assert_true(got);
        if (!json_equal(row, json_array_get(records, i))) {
            char *a = strata_json_line(row), *b = strata_json_line(json_array_get(records, i));
            fail_msg("row %zu:\n%s\nwhere\n%s\nwas written", i, a, b);
        }
        json_decref(row);
    }
    assert_int_equal(source->next(source, true, &row, &line, &got, &err), 0);
    assert_false(got);
    strata_source_close(source);
}

/* Records whose columns differ in ways that one schema has and has not room for. */
static void test_odd_records_come_back(void **state) {
    (void)state;
    static const char *const sets[] = {
        "[]",
        "[{}, {}]",
        "[{\"a\": null}, {}]",
        "[{\"a\": null}, {\"a\": null}]",
        "[{\"a\": 1}, {\"b\": \"\"}, {\"a\": -9223372036854775808, \"b\": \"\\u0000\\u2603\"}]",
        "[{\"a\": 1}, {\"a\": \"1\"}, {\"a\": null}, {}, {\"a\": [1]}, {\"a\": {\"b\": 1}}, {\"a\": true}]",
        "[{\"a\": [[], null, [null, [1, 2], []], [[3]]]}, {\"a\": []}, {\"a\": null}]",
        "[{\"a\": {\"b\": {\"c\": 1}}}, {\"a\": {\"b\": {}}}, {\"a\": {}}]",
        "[{\"a\": {}}, {\"a\": {}}]",
        "[{\"a\": [{\"b\": 1}, {\"c\": [true, false]}, {}]}, {\"a\": [{\"b\": null}]}]",
        "[{\"a\": [{\"b\": 1}, {\"c\": [true, false, null]}, {}]}, {\"x:json\": 7, \"\": 8, \":json\": 9}]",
        "[{\"a\": 0.1}, {\"a\": -1e300}, {\"a\": 4.9e-324}]",
        "[{\"a\": 9007199254740993}, {\"a\": 0.5}]",
        ("[{\"images\": [{\"bytes\": \"AAEC\", \"path\": null}, {\"bytes\": \"\", \"path\": \"x\"}]}, {\"images\": "
         "null}]"),
        ("[{\"images\": [{\"bytes\": \"no base64\", \"path\": null}]}, {\"image\": {\"bytes\": \"AA==\", \"path\": "
         "\"y\"}}]"),
        "[{\"list\": [{\"element\": [{\"list\": 1}]}], \"key_value\": {\"key\": 1, \"value\": 2}}]",
        "[{\"a\": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}]",
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        json_t *records;
        assert_int_equal(strata_json_parse(&records, sets[i], strlen(sets[i]), "set", 1, NULL), 0);
        check_round_trip(records);
        json_decref(records);
    }
}

static uint64_t draw(uint64_t *random, uint64_t below) {
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % below;
}

static json_t *random_value(uint64_t *random, unsigned depth) {
    static const char *const names[] = {"a", "b", "bytes", "path", "x:json", "\u00e4"};
    char text[40];
    json_t *value;
    switch (draw(random, depth < 4 ? 9 : 6)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(draw(random, 2));
    case 2:
        return json_integer((json_int_t)draw(random, 1000) - 500);
    case 3:
        return json_real((double)draw(random, 1000) / 7 + 0.01);
    case 4:
    case 5:
        snprintf(text, sizeof text, "%.*s%u", (int)draw(random, 30), "abcdefghijklmnopqrstuvwxyzabcdefghij",
                 (unsigned)draw(random, 3));
        return json_string(text);
    case 6:
        value = json_array();
        for (uint64_t n = draw(random, 4); n; n--) json_array_append_new(value, random_value(random, depth + 1));
        return value;
    default:
        value = json_object();
        for (uint64_t n = draw(random, 4); n; n--)
            json_object_set_new(value, names[draw(random, 6)], random_value(random, depth + 1));
        return value;
    }
}

static void test_random_records_come_back(void **state) {
    (void)state;
    uint64_t random = 7;
    for (unsigned round = 0; round < 60; round++) {
        json_t *records = json_array();
        for (uint64_t n = draw(&random, 20); n; n--) {
            /* One shape a round in half of the rounds: else nearly all columns are irregular. */
            uint64_t same = round, *source = round % 2 ? &same : &random;
            json_t *record = json_pack("{s:o, s:o, s:o}", "id", json_integer((json_int_t)n), "one",
                                       random_value(source, 0), "images", random_value(source, 0));
            json_array_append_new(records, record);
        }
        check_round_trip(records);
        json_decref(records);
    }
}

/* Several row groups and pages. */
static void test_many_records(void **state) {
    (void)state;
    enum { ROWS = 150000 };
    struct strata_export *export;
    struct strata_source *source;
    json_t *row;
    bool got;
    size_t line;
    char text[80];
    assert_int_equal(strata_export_open(&export, scratch, STRATA_FORMAT_PARQUET, STRATA_PATHS_KEEP, NULL), 0);
    for (int i = 0; i < ROWS; i++) {
        snprintf(text, sizeof text, "%0*d", 1 + i % 50, i);
        row = json_pack("{s:i, s:s, s:[s, i]}", "n", i, "text", text, i % 3 ? "list" : "more", "x", i % 7);
        json_array_remove(json_object_get(row, "list"), 0);
        assert_int_equal(strata_export_write_record(export, row, NULL), 0);
        json_decref(row);
    }
    assert_int_equal(strata_export_commit(export, NULL), 0);
    assert_int_equal(strata_source_open(&source, scratch, NULL), 0);
    for (int i = 0; i < ROWS; i++) {
        bool wanted = i % 1000 == 0 || i == ROWS - 1 || (i > 131000 && i < 131100);
        assert_int_equal(source->next(source, wanted, &row, &line, &got, NULL), 0);
        assert_true(got);
        if (!wanted) continue;
        snprintf(text, sizeof text, "%0*d", 1 + i % 50, i);
        assert_int_equal(line, i + 1);
        assert_int_equal(json_integer_value(json_object_get(row, "n")), i);
        assert_string_equal(json_string_value(json_object_get(row, "text")), text);
        assert_int_equal(json_integer_value(json_array_get(json_object_get(row, "list"), 0)), i % 3 ? i % 7 : 0);
        json_decref(row);
    }
    strata_source_close(source);
}

/* What is written as levels comes back, whatever the runs. */
static void test_runs(void **state) {
    (void)state;
    uint64_t random = 1;
    for (unsigned round = 0; round < 400; round++) {
        unsigned char values[600];
        unsigned width = 1 + round % 4;
        size_t count = round < 40 ? round : round * 3 / 2;
        struct strata_buffer out = {0};
        struct strata_runs runs;
        for (size_t i = 0; i < count; i++) {
            bool repeat = i && draw(&random, round % 23 + 1) > 1;
            values[i] = repeat ? values[i - 1] : (unsigned char)draw(&random, 1u << width);
        }
        strata_runs_write(&out, values, count, width);
        const unsigned char *bytes = (const unsigned char *)strata_buffer_string(&out);
        strata_runs_open(&runs, bytes, bytes + out.length, width);
        for (size_t i = 0; i < count; i++) {
            uint32_t value;
            assert_true(strata_runs_next(&value, &runs));
            assert_int_equal(value, values[i]);
        }
        strata_buffer_free(&out);
    }
}

/* Blocks by hand, from the format descriptions: a literal, copies that overlap themselves, and what must be refused. */
static void test_blocks(void **state) {
    (void)state;
    static const struct {
        enum strata_parquet_codec codec;
        const char *packed;
        size_t length, size;
        const char *expected; /* NULL: refused */
    } cases[] = {
        {STRATA_CODEC_SNAPPY,
         "\x03\x08"
         "abc",
         5, 3, "abc"},
        {STRATA_CODEC_SNAPPY,
         "\x09\x08"
         "abc\x09\x03",
         7, 9, "abcabcabc"},
        {STRATA_CODEC_SNAPPY,
         "\x09\x08"
         "abc\x16\x03\x00",
         8, 9, "abcabcabc"},
        {STRATA_CODEC_SNAPPY,
         "\x09\x08"
         "abc\x17\x03\x00\x00\x00",
         10, 9, "abcabcabc"},
        {STRATA_CODEC_SNAPPY,
         "\x03\xf0\x02"
         "abc",
         6, 3, "abc"},
        {STRATA_CODEC_SNAPPY,
         "\x04\x08"
         "abc",
         5, 4, NULL}, /* too short */
        {STRATA_CODEC_SNAPPY,
         "\x03\x08"
         "abcd",
         6, 3, NULL}, /* something follows */
        {STRATA_CODEC_SNAPPY,
         "\x09\x08"
         "abc\x09\x04",
         7, 9, NULL}, /* copies from before the begin */
        {STRATA_CODEC_SNAPPY,
         "\x09\x08"
         "abc\x09\x00",
         7, 9, NULL},
        {STRATA_CODEC_SNAPPY,
         "\x08\x08"
         "abc\x09\x03",
         7, 8, NULL}, /* too long */
        {STRATA_CODEC_SNAPPY,
         "\x03\x10"
         "abc",
         5, 3, NULL},
        {STRATA_CODEC_LZ4_RAW,
         "\x30"
         "abc",
         4, 3, "abc"},
        {STRATA_CODEC_LZ4_RAW,
         "\x32"
         "abc\x03\x00\x10"
         "z",
         8, 10, "abcabcabcz"},
        {STRATA_CODEC_LZ4_RAW,
         "\x1f"
         "a\x01\x00\x01\x00",
         6, 21, "aaaaaaaaaaaaaaaaaaaaa"},
        {STRATA_CODEC_LZ4_RAW,
         "\x32"
         "abc\x04\x00\x10"
         "z",
         8, 10, NULL},
        {STRATA_CODEC_LZ4_RAW,
         "\x40"
         "abc",
         4, 3, NULL},
        {STRATA_CODEC_LZ4,
         "\0\0\0\3\0\0\0\4\x30"
         "abc\0\0\0\1\0\0\0\2\x10"
         "d",
         22, 4, "abcd"},
        {STRATA_CODEC_LZ4,
         "\x30"
         "abc",
         4, 3, "abc"}, /* frames left out */
        {STRATA_CODEC_ZSTD, "abc", 3, 3, NULL},
        {STRATA_CODEC_GZIP, "abc", 3, 3, NULL},
        {STRATA_CODEC_NONE, "abc", 3, 4, NULL},
        {STRATA_CODEC_SNAPPY,
         "\xff\xff\xff\xff\x07"
         "a",
         6, INT32_MAX, NULL}, /* no such ratio: nothing is allocated */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_buffer out = {0};
        int code = strata_parquet_unpack(&out, cases[i].size, cases[i].codec, (const unsigned char *)cases[i].packed,
                                         cases[i].length, NULL);
        if (code != (cases[i].expected ? 0 : STRATA_ERR_IO)) fail_msg("case %zu: %d", i, code);
        if (!code) assert_int_equal(out.length, cases[i].size);
        if (!code) assert_memory_equal(out.data, cases[i].expected, cases[i].size);
        strata_buffer_free(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_pyarrow_writes),
        cmocka_unit_test(test_long_deltas),
        cmocka_unit_test(test_orsta),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_odd_records_come_back),
        cmocka_unit_test(test_random_records_come_back),
        cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
