/* The safetensors reader and writer: files made by hand, one fault each; every error must name the tensor or place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "base/buffer.h"
#include "model/safetensors.h"
#include "model/temporary.h"

/* A file of this header and `data` bytes 0, 1, 2, … */
static struct strata_buffer make(const char *header, size_t data) {
    struct strata_buffer file = {0};
    uint64_t length = strlen(header);
    strata_buffer_append(&file, &length, sizeof length);
    strata_buffer_text(&file, header);
    for (size_t i = 0; i < data; i++) strata_buffer_byte(&file, (unsigned char)i);
    return file;
}

static void expect_error(const char *bytes, size_t length, int code, const char *part) {
    struct strata_error err = {0};
    struct strata_safetensors *file;
    char line[1400];
    assert_int_equal(strata_safetensors_parse(&file, bytes, length, "bad.safetensors", &err), code);
    assert_null(file);
    strata_error_line(&err, line, sizeof line);
    if (!strstr(line, part) || !strstr(line, "bad.safetensors")) fail_msg("'%s' lacks '%s'", line, part);
}

static void expect_header_error(const char *header, size_t data, int code, const char *part) {
    struct strata_buffer file = make(header, data);
    expect_error(file.data, file.length, code, part);
    strata_buffer_free(&file);
}

static void refuses_bad_headers(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        int code;
        const char *part;
    } cases[] = {
        /* voxtral.c's: 4 * (2^62 + 1) wraps to 4 */
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4, 1, "'w'"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, 1, "overflows"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", 4, 1,
         "bad.safetensors"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, 1, "'w': 8 bytes for 1 elements"},
        {"{\"w\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,6]}}", 6, 1, "'w': 6 bytes for 4 elements"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, 1, "'w': dimension 0"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, 1, "'w': dimension 0"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,4]}}", 4, 1, "'w': 'shape'"},
        {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, 1, "'w': 'shape'"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, 1, "'w' has 9"},
        {"{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, 5, "'w' has dtype 'F8_E4M3'"},
        {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, 1, "'w' has no 'dtype'"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, 1, "'w' begins at 4"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, 1, "'w': 'data_offsets'"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, 1, "'w': 'data_offsets'"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, 1,
         "[0, 4) of the data, of which the file "
         "has 3"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, 1, "1 bytes after the last tensor"},
        {"{}", 1, 1, "1 bytes after the last tensor"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, 1, "4 bytes before tensor 'w'"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
         7, 1, "'a' and 'b' overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         4, 1, "'a' and 'b' overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
         3, 1, "1 bytes before tensor 'b'"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, 1, "a"},
        {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 1, "bad.safetensors"},
        {"{\"w\":7}", 0, 1, "'w'"},
        {"{\"__metadata__\":{\"format\":7}}", 0, 1, "'format'"},
        {"{\"__metadata__\":[]}", 0, 1, "'__metadata__'"},
        {"[]", 0, 1, "not a JSON object"},
        {"{\"w\":", 0, 1, "bad.safetensors"},
        {"{} {}", 0, 1, "bad.safetensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_header_error(cases[i].header, cases[i].data, cases[i].code, cases[i].part);
}

static void refuses_bad_lengths(void **state) {
    (void)state;
    expect_error("", 0, STRATA_ERR_INPUT, "truncated: 0 bytes");
    expect_error("\2\0\0\0\0\0\0", 7, STRATA_ERR_INPUT, "truncated: 7 bytes");
    expect_error("\3\0\0\0\0\0\0\0{}", 10, STRATA_ERR_INPUT, "header ends at byte 11, the file at byte 10");
    expect_error("\377\377\377\377\377\377\377\377{}", 10, STRATA_ERR_INPUT, "not a safetensors file");
    expect_error("\1\341\365\5\0\0\0\0{}", 10, STRATA_ERR_INPUT, "100000001 bytes");
}

/* Cut anywhere, a good file is refused. */
static void refuses_every_truncation(void **state) {
    (void)state;
    struct strata_buffer file = make("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    for (size_t length = 0; length < file.length; length++) {
        struct strata_safetensors *out;
        char *copy = malloc(length ? length : 1); /* of its own, so that a sanitizer sees reads past the end */
        assert_non_null(copy);
        memcpy(copy, file.data, length);
        assert_int_equal(strata_safetensors_parse(&out, copy, length, "cut", NULL), STRATA_ERR_INPUT);
        free(copy);
    }
    strata_buffer_free(&file);
}

static void reads_in_file_order(void **state) {
    (void)state;
    /* An odd header puts every tensor at an odd address; the header's order is not the file's. */
    struct strata_buffer bytes =
        make("{\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},\"__metadata__\":"
             "{\"format\":\"pt\"},\"e\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[4,4]}"
             ",\"b\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}  ",
             8);
    struct strata_safetensors *file;
    struct strata_error err = {0};
    assert_int_equal(strata_safetensors_parse(&file, bytes.data, bytes.length, "x", &err), STRATA_OK);
    assert_int_equal(strata_safetensors_count(file), 3);
    assert_string_equal(strata_safetensors_at(file, 0)->name, "b");
    assert_string_equal(strata_safetensors_at(file, 1)->name, "e");
    assert_string_equal(strata_safetensors_at(file, 2)->name, "z");
    assert_null(strata_safetensors_find(file, "__metadata__"));
    assert_null(strata_safetensors_find(file, "bb"));
    const struct strata_tensor *z = strata_safetensors_find(file, "z");
    float value;
    uint32_t bits;
    assert_int_equal(z->rank, 0);
    assert_int_equal(z->count, 1);
    assert_int_equal(strata_tensor_floats(&value, z, 0, 1, &err), STRATA_OK);
    memcpy(&bits, &value, sizeof bits);
    assert_int_equal(bits, 0x07060504);
    const struct strata_tensor *b = strata_safetensors_find(file, "b");
    assert_int_equal(strata_tensor_floats(&value, b, 1, 1, &err), STRATA_OK);
    memcpy(&bits, &value, sizeof bits);
    assert_int_equal(bits, 0x03020000);
    assert_int_equal(strata_tensor_floats(&value, b, 1, 2, &err), STRATA_ERR_USAGE);
    assert_int_equal(strata_safetensors_find(file, "e")->count, 0);
    strata_safetensors_close(file);
    strata_buffer_free(&bytes);
}

static float half_value(uint16_t half) {
    struct strata_tensor tensor = {.name = "h", .dtype = STRATA_DTYPE_F16, .count = 1, .data = &half};
    float value = 0;
    assert_int_equal(strata_tensor_floats(&value, &tensor, 0, 1, NULL), STRATA_OK);
    return value;
}

static void converts_halves(void **state) {
    (void)state;
    assert_true(half_value(0x3c00) == 1.0f && half_value(0xc000) == -2.0f && half_value(0x7bff) == 65504.0f);
    assert_true(half_value(0x0001) == 0x1p-24f && half_value(0x83ff) == -0x3ffp-24f && half_value(0x0400) == 0x1p-14f);
    assert_true(half_value(0x7c00) == __builtin_inff() && half_value(0xfc00) == -__builtin_inff());
    assert_true(half_value(0x7e01) != half_value(0x7e01));
    assert_true(half_value(0x3555) == 0x1.554p-2f && half_value(0) == 0.0f);
}

static void rounds_to_bf16(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) { /* every bf16 value survives */
        float value = strata_bf16_widen((uint16_t)bits);
        if (value == value) assert_int_equal(strata_bf16_round(value), bits);
    }
    assert_int_equal(strata_bf16_round(0x1.01p0f), 0x3f80);       /* tie: to even, down */
    assert_int_equal(strata_bf16_round(0x1.03p0f), 0x3f82);       /* tie: to even, up */
    assert_int_equal(strata_bf16_round(0x1.010002p0f), 0x3f81);   /* just above a tie */
    assert_int_equal(strata_bf16_round(0x1.fffffep127f), 0x7f80); /* the largest float rounds to infinity */
    float nan;
    memcpy(&nan, &(uint32_t){0x7fffffff}, sizeof nan);
    assert_int_equal(strata_bf16_round(nan), 0x7fff); /* rounding up would have given -0 */
    memcpy(&nan, &(uint32_t){0x7f800001}, sizeof nan);
    assert_int_equal(strata_bf16_round(nan), 0x7fc0); /* cutting would have given infinity */
}

static void writes_what_it_reads(void **state) {
    char path[512];
    struct strata_safetensors_writer *writer;
    struct strata_safetensors *file;
    struct strata_error err = {0};
    const float values[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t bytes[3] = {7, 8, 9};
    temporary_path(path, sizeof path, *state, "w.safetensors");
    assert_int_equal(strata_safetensors_create(&writer, path, &err), STRATA_OK);
    assert_int_equal(strata_safetensors_declare(writer, "a.w\"\xc3\xa9", STRATA_DTYPE_F32, (size_t[]){2, 3}, 2, &err),
                     0);
    assert_int_equal(strata_safetensors_declare(writer, "a.w\"\xc3\xa9", STRATA_DTYPE_F32, NULL, 0, &err),
                     STRATA_ERR_USAGE);
    assert_int_equal(strata_safetensors_declare(writer, "\xff", STRATA_DTYPE_F32, NULL, 0, &err), STRATA_ERR_USAGE);
    assert_int_equal(strata_safetensors_declare(writer, "__metadata__", STRATA_DTYPE_U8, NULL, 0, &err),
                     STRATA_ERR_USAGE);
    assert_int_equal(strata_safetensors_declare(writer, "huge", STRATA_DTYPE_U8,
                                                (size_t[]){(size_t)1 << 32, (size_t)1 << 32}, 2, &err),
                     STRATA_ERR_MEMORY);
    assert_int_equal(strata_safetensors_declare(writer, "b", STRATA_DTYPE_U8, (size_t[]){3}, 1, &err), 0);
    assert_int_equal(strata_safetensors_declare(writer, "c", STRATA_DTYPE_F32, NULL, 0, &err), STRATA_ERR_USAGE);
    assert_int_equal(strata_safetensors_write(writer, values, 10, &err), 0);
    assert_int_equal(strata_safetensors_write(writer, (const char *)values + 10, 14, &err), 0);
    assert_int_equal(strata_safetensors_declare(writer, "d", STRATA_DTYPE_U8, NULL, 0, &err), STRATA_ERR_USAGE);
    assert_int_equal(strata_safetensors_write(writer, bytes, 3, &err), 0);
    assert_int_equal(strata_safetensors_write(writer, bytes, 1, &err), STRATA_ERR_USAGE);
    assert_false(strata_file_exists(path));
    assert_int_equal(strata_safetensors_commit(writer, &err), STRATA_OK);

    assert_int_equal(strata_safetensors_open(&file, path, &err), STRATA_OK);
    const struct strata_tensor *a = strata_safetensors_find(file, "a.w\"\xc3\xa9");
    assert_non_null(a);
    assert_int_equal(a->rank, 2);
    assert_int_equal(a->shape[1], 3);
    assert_memory_equal(a->data, values, sizeof values);
    assert_int_equal((uintptr_t)a->data % 8, 0);
    assert_memory_equal(strata_safetensors_find(file, "b")->data, bytes, 3);
    strata_safetensors_release(file, a);
    assert_memory_equal(a->data, values, sizeof values); /* still readable */
    assert_string_equal(strata_safetensors_path(file, a), path);
    strata_safetensors_close(file);
}

static void incomplete_files_do_not_appear(void **state) {
    char path[512];
    struct strata_safetensors_writer *writer;
    temporary_path(path, sizeof path, *state, "incomplete.safetensors");
    for (int aborted = 0; aborted < 2; aborted++) {
        assert_int_equal(strata_safetensors_create(&writer, path, NULL), STRATA_OK);
        assert_int_equal(strata_safetensors_declare(writer, "a", STRATA_DTYPE_U8, (size_t[]){3}, 1, NULL), 0);
        assert_int_equal(strata_safetensors_write(writer, "ab", 2, NULL), STRATA_OK);
        if (aborted)
            strata_safetensors_abort(writer);
        else
            assert_int_equal(strata_safetensors_commit(writer, NULL), STRATA_ERR_USAGE);
        assert_false(strata_file_exists(path));
    }
}

static void write_text(const char *directory, const char *name, const char *text) {
    char path[512];
    temporary_path(path, sizeof path, directory, name);
    assert_int_equal(strata_file_write(path, text, strlen(text), NULL), STRATA_OK);
}

static void write_shard(const char *directory, const char *name, const char *header, size_t data) {
    char path[512];
    struct strata_buffer file = make(header, data);
    temporary_path(path, sizeof path, directory, name);
    assert_int_equal(strata_file_write(path, file.data, file.length, NULL), STRATA_OK);
    strata_buffer_free(&file);
}

static void expect_index_error(const char *directory, const char *weight_map, const char *part) {
    struct strata_safetensors *file;
    struct strata_error err = {0};
    char text[1024], line[1400];
    snprintf(text, sizeof text, "{\"metadata\":{},\"weight_map\":%s}", weight_map);
    write_text(directory, "model.safetensors.index.json", text);
    int code = strata_safetensors_open(&file, directory, &err);
    strata_error_line(&err, line, sizeof line);
    if (!part) {
        if (code) fail_msg("%s", line);
        assert_int_equal(strata_safetensors_count(file), 2);
        assert_string_equal(strata_safetensors_at(file, 0)->name, "b"); /* by shard */
        strata_safetensors_close(file);
        return;
    }
    if (code == STRATA_OK || !strstr(line, part)) fail_msg("'%s' lacks '%s'", line, part);
}

static void checks_the_index(void **state) {
    char directory[512];
    struct strata_safetensors *file;
    temporary_path(directory, sizeof directory, *state, "sharded");
    assert_int_equal(strata_make_directories(directory, NULL), STRATA_OK);
    assert_int_equal(strata_safetensors_open(&file, directory, NULL), STRATA_ERR_IO);
    write_shard(directory, "1.safetensors", "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    write_shard(directory, "2.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    write_shard(directory, "3.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1);
    expect_index_error(directory, "{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}", NULL);
    expect_index_error(directory, "{\"a\":\"2.safetensors\",\"c\":\"2.safetensors\",\"b\":\"1.safetensors\"}", "'c'");
    expect_index_error(directory, "{\"b\":\"2.safetensors\"}", "tensor 'a'");
    expect_index_error(directory, "{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}", "the index says");
    expect_index_error(directory, "{\"a\":\"2.safetensors\",\"b\":\"3.safetensors\"}", "in both");
    expect_index_error(directory, "{\"a\":\"4.safetensors\"}", "4.safetensors");
    expect_index_error(directory, "{\"a\":\"../sharded/2.safetensors\"}", "plain file name");
    expect_index_error(directory, "{\"a\":\"/etc/passwd\"}", "plain file name");
    expect_index_error(directory, "{\"a\":\"..\"}", "plain file name");
    expect_index_error(directory, "{\"a\":\"\"}", "plain file name");
    expect_index_error(directory, "{\"a\":2}", "'a'");
    expect_index_error(directory, "{}", "weight_map");
    expect_index_error(directory, "[]", "weight_map");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_headers),      cmocka_unit_test(refuses_bad_lengths),
        cmocka_unit_test(refuses_every_truncation), cmocka_unit_test(reads_in_file_order),
        cmocka_unit_test(converts_halves),          cmocka_unit_test(rounds_to_bf16),
        cmocka_unit_test(writes_what_it_reads),     cmocka_unit_test(incomplete_files_do_not_appear),
        cmocka_unit_test(checks_the_index),
    };
    return cmocka_run_group_tests_name("safetensors", tests, temporary_setup, temporary_teardown);
}
