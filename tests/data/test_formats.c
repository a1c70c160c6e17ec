/* Every layout behind the data set iterator: the same two samples read from each, files in many pieces, and what is
 * refused where. Writing is in tests/cli/convert.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "data/sample.h"

static char folder[] = "/tmp/strata-test-formats-XXXXXX";
static char path[512];

static int setup(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* Writes text to NAME in the folder; `path` becomes its path. */
static void put(const char *name, const char *text) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *directory = strata_path_directory(path);
    assert_int_equal(strata_make_directories(directory, NULL), 0);
    free(directory);
    assert_int_equal(strata_file_write(path, text, strlen(text), NULL), 0);
}

static const struct strata_dataset_options plain;

static void check_layout(const char *expected) {
    struct strata_buffer layout = {0};
    assert_int_equal(strata_dataset_layout(&layout, path, NULL), 0);
    assert_string_equal(strata_buffer_string(&layout), expected);
    strata_buffer_free(&layout);
}

/* The data set at `path` is the two samples that every layout below writes. */
static void check_two(const char *layout, const char *image, bool assistant) {
    struct strata_dataset *dataset;
    struct strata_sample sample;
    struct strata_error err = {0};
    size_t count = 0;
    bool got;
    check_layout(layout);
    assert_int_equal(strata_dataset_count(&count, path, NULL), 0);
    assert_int_equal(count, 2);
    if (strata_dataset_open(&dataset, path, &plain, &err)) fail_msg("%s: %s", err.where, err.what);
    if (strata_dataset_next(dataset, &sample, &got, &err)) fail_msg("%s: %s", err.where, err.what);
    assert_true(got);
    assert_string_equal(sample.id, "a");
    assert_string_equal(sample.solution, "drei \xe2\x98\x83");
    assert_int_equal(sample.message_count, 2);
    assert_int_equal(sample.messages[0].role, STRATA_ROLE_SYSTEM);
    assert_string_equal(sample.messages[0].text, "S");
    assert_int_equal(sample.messages[1].role, STRATA_ROLE_USER);
    assert_string_equal(sample.messages[1].text, "<image>How \"many\"?\nNow");
    assert_int_equal(sample.image_count, 1);
    assert_string_equal(sample.images[0].path, image);
    assert_string_equal(json_string_value(json_object_get(sample.record, "source")), "x,y");
    if (assistant) assert_string_equal(sample.assistant, "drei \xe2\x98\x83");
    strata_sample_free(&sample);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), 0);
    assert_true(got);
    assert_string_equal(sample.id, "b");
    assert_string_equal(sample.messages[sample.message_count - 1].text, "And?");
    assert_int_equal(sample.image_count, 0);
    strata_sample_free(&sample);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), 0);
    assert_false(got);
    strata_dataset_close(dataset);
}

#define TEXT "<image>How \\\"many\\\"?\\nNow"
#define GOLD "drei \xe2\x98\x83"

static const char *in_folder(const char *name) {
    static char full[512];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    return full;
}

static const char swift[] =
    "{\"id\": \"a\", \"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": "
    "\"" TEXT "\"}], \"images\": [\"i/a.png\"], \"solution\": \"" GOLD "\", \"source\": \"x,y\"}\n\n"
    "{\"id\": \"b\", \"messages\": [{\"role\": \"user\", \"content\": \"And?\"}], \"solution\": \"y\"}\n";

static void test_jsonl(void **state) {
    (void)state;
    put("swift.jsonl", swift);
    check_two("JSONL, messages (ms-swift)", in_folder("i/a.png"), false);
    put("trl.jsonl",
        "{\"id\": \"a\", \"prompt\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": "
        "[{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"How \\\"many\\\"?\\nNow\"}]}], \"completion\": "
        "[{\"role\": \"assistant\", \"content\": \"" GOLD "\"}], \"images\": [\"i/a.png\"], \"source\": \"x,y\"}\n"
        "{\"id\": \"b\", \"prompt\": [{\"role\": \"user\", \"content\": \"And?\"}], \"solution\": \"y\"}");
    check_two("JSONL, prompt of messages (TRL)", in_folder("i/a.png"), true);
}

static void test_array(void **state) {
    (void)state;
    put("array.json",
        "\xef\xbb\xbf \n[\n {\"id\": \"a\", \"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": "
        "\"user\",\n \"content\": \"" TEXT "\"}], \"images\": [\"i/a.png\"], \"solution\": \"" GOLD
        "\", \"source\": \"x,y\", \"odd\": \"\\\\x\\\"]}, {\"}\n , {\"id\": \"b\", \"question\": \"And?\", "
        "\"answer\": \"y\"}\n]\n");
    check_two("JSON array, messages (ms-swift)", in_folder("i/a.png"), false);
}

static void test_gzip(void **state) {
    (void)state;
    size_t half = strlen(swift) / 2;
    snprintf(path, sizeof path, "%s/packed.jsonl.gz", folder);
    for (int member = 0; member < 2; member++) { /* two members are one text */
        gzFile file = gzopen(path, member ? "ab" : "wb");
        assert_non_null(file);
        assert_int_not_equal(
            gzwrite(file, swift + (member ? half : 0), (unsigned)(member ? strlen(swift) - half : half)), 0);
        gzclose(file);
    }
    check_two("JSONL, gzip, messages (ms-swift)", in_folder("i/a.png"), false);
    struct strata_buffer whole = {0};
    assert_int_equal(strata_file_read(&whole, path, 0, NULL), 0);
    assert_int_equal(strata_file_write(path, whole.data, whole.length - 12, NULL), 0);
    strata_buffer_free(&whole);
    size_t count;
    struct strata_error err = {0};
    assert_int_equal(strata_dataset_count(&count, path, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.what, "cut short"));
    assert_non_null(strstr(err.where, "packed.jsonl.gz:"));
}

static void test_zstd(void **state) {
    (void)state;
    char packed[4096];
    size_t half = strlen(swift) / 2, length = 0, count;
    for (int frame = 0; frame < 2; frame++) { /* two frames are one text */
        size_t got = ZSTD_compress(packed + length, sizeof packed - length, swift + (frame ? half : 0),
                                   frame ? strlen(swift) - half : half, 3);
        assert_false(ZSTD_isError(got));
        length += got;
    }
    snprintf(path, sizeof path, "%s/packed.jsonl.zst", folder);
    assert_int_equal(strata_file_write(path, packed, length, NULL), 0);
    check_two("JSONL, zstd, messages (ms-swift)", in_folder("i/a.png"), false);
    for (size_t cut = 1; cut < length; cut += 9) {
        struct strata_error err = {0};
        assert_int_equal(strata_file_write(path, packed, length - cut, NULL), 0);
        int code = strata_dataset_count(&count, path, &err);
        if (code && !strstr(err.what, "cut short")) fail_msg("cut by %zu: %s", cut, err.what);
        if (!code) assert_true(count < 2); /* cut between the frames, or before the magic number ends */
    }
}

static void test_csv(void **state) {
    (void)state;
    put("t.csv",
        "id,question,answer,images,source,empty,messages:json\r\n"
        "a,,drei \xe2\x98\x83,\"[\"\"i/a.png\"\"]\",\"x,y\",\"\",\"[{\"\"role\"\": \"\"system\"\", \"\"content\"\": "
        "\"\"S\"\"}, {\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"<image>How "
        "\\\"\"many\\\"\"?\\nNow\"\"}]\"\r\n\r\n"
        "b,And?,y,,,,\r\n");
    check_two("CSV, messages (ms-swift)", in_folder("i/a.png"), false);
    put("t.tsv", "id\tquestion\tanswer\timage\tsource\n1\t\"<image>a\tb\n\"\"c\"\"\"\t007\ti/a.png\tnull\n");
    struct strata_dataset *dataset;
    struct strata_sample sample;
    bool got;
    assert_int_equal(strata_dataset_open(&dataset, path, &plain, NULL), 0);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0);
    assert_string_equal(sample.id, "1");
    assert_string_equal(sample.solution, "007");
    assert_string_equal(sample.messages[0].text, "<image>a\tb\n\"c\"");
    assert_string_equal(sample.images[0].name, "i/a.png");
    strata_sample_free(&sample);
    strata_dataset_close(dataset);
}

#define SHAREGPT                                                                                                       \
    "[{\"id\": \"a\", \"conversations\": [{\"from\": \"system\", \"value\": \"S\"}, {\"from\": \"human\", \"value\": " \
    "\"" TEXT "\"}, {\"from\": \"gpt\", \"value\": \"" GOLD                                                            \
    "\"}], \"images\": [\"i/a.png\"], \"source\": \"x,y\"}, {\"id\": \"b\", "                                          \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"And?\"}, {\"from\": \"gpt\", \"value\": \"y\"}]}]"

static void test_llamafactory(void **state) {
    (void)state;
    put("lf/one/data.json", SHAREGPT);
    check_two("JSON array, conversations (LLaMA-Factory sharegpt)", in_folder("lf/one/i/a.png"), true);
    put("lf/one/dataset_info.json", "{\"d\": {\"file_name\": \"data.json\", \"formatting\": \"sharegpt\", \"columns\": "
                                    "{\"messages\": \"conversations\", \"images\": \"images\"}}}");
    snprintf(path, sizeof path, "%s/lf/one", folder);
    check_two("JSON array, LLaMA-Factory sharegpt", in_folder("lf/one/i/a.png"), true);

    put("lf/two/x.jsonl",
        "{\"id\": \"a\", \"sys\": \"S\", \"talk\": [{\"who\": \"U\", \"what\": \"" TEXT "\"}, {\"who\": \"A\", "
        "\"what\": \"" GOLD "\"}], \"images\": 7, \"pics\": [\"i/a.png\"], \"source\": \"x,y\"}\n{\"id\": "
        "\"b\", \"talk\": [{\"who\": \"U\", \"what\": \"And?\"}, {\"who\": \"A\", \"what\": \"y\"}]}");
    put("lf/two/y.json",
        "[{\"id\": \"a\", \"system\": \"S\", \"q\": \"<image>How \\\"many\\\"?\", \"input\": \"Now\", \"output\": "
        "\"" GOLD "\", \"history\": null, \"images\": [\"i/a.png\"], \"source\": \"x,y\"}, {\"id\": \"b\", \"q\": "
        "\"And?\", \"output\": \"y\", \"history\": [[\"one\", \"two\"]]}]");
    put("lf/two/dataset_info.json",
        "{\"x\": {\"file_name\": \"x.jsonl\", \"formatting\": \"sharegpt\", \"columns\": {\"messages\": \"talk\", "
        "\"images\": "
        "\"pics\", \"system\": \"sys\"}, \"tags\": {\"role_tag\": \"who\", \"content_tag\": \"what\", \"user_tag\": "
        "\"U\", "
        "\"assistant_tag\": \"A\"}}, \"y\": {\"file_name\": \"y.json\", \"columns\": {\"prompt\": \"q\"}}}");
    snprintf(path, sizeof path, "%s/lf/two:x", folder);
    check_two("JSONL, LLaMA-Factory sharegpt", in_folder("lf/two/i/a.png"), true);
    snprintf(path, sizeof path, "%s/lf/two:y", folder);
    check_two("JSON array, LLaMA-Factory alpaca", in_folder("lf/two/i/a.png"), true);

    struct strata_dataset *dataset;
    struct strata_error err = {0};
    snprintf(path, sizeof path, "%s/lf/two", folder);
    assert_int_equal(strata_dataset_open(&dataset, path, &plain, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.hint, "x, y"));
    snprintf(path, sizeof path, "%s/lf/two:z", folder);
    assert_int_equal(strata_dataset_open(&dataset, path, &plain, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "\"z\""));
}

static void test_several_files(void **state) {
    (void)state;
    put("many/part-2.jsonl", "{\"id\": \"b\", \"question\": \"And?\", \"answer\": \"y\"}\n");
    put("many/part-1.csv", "id,question,answer,source,system\n");
    put("many/part-0.jsonl",
        "{\"id\": \"a\", \"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": "
        "\"" TEXT "\"}], \"images\": [\"a.png\"], \"solution\": \"" GOLD "\", \"source\": \"x,y\"}\n");
    snprintf(path, sizeof path, "%s/many/part-*", folder);
    check_two("3 files, the first: JSONL, messages (ms-swift)", in_folder("many/a.png"), false);
    struct strata_hash all, one;
    assert_int_equal(strata_dataset_hash(&all, path, NULL), 0);
    assert_int_equal(strata_dataset_hash(&one, in_folder("many/part-0.jsonl"), NULL), 0);
    assert_true(all.low != one.low);
    assert_int_equal(strata_hash_file(&all, in_folder("many/part-0.jsonl"), NULL), 0);
    assert_true(all.low == one.low && all.high == one.high);
}

/* A 67-byte PNG in each spelling of an inline image. */
#define PIXEL "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="

static void test_inline_images(void **state) {
    (void)state;
    static const char *const spellings[] = {"\"" PIXEL "\"", "\"data:image/png;base64," PIXEL "\"",
                                            "{\"bytes\": \"" PIXEL "\", \"path\": \"n.png\"}",
                                            "{\"bytes\": \"" PIXEL "\", \"path\": null}"};
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        char record[1024];
        struct strata_dataset *dataset;
        struct strata_sample sample;
        bool got;
        snprintf(record, sizeof record, "{\"question\": \"<image>q\", \"answer\": \"y\", \"images\": [%s]}",
                 spellings[i]);
        put("inline.jsonl", record);
        assert_int_equal(strata_dataset_open(&dataset, path, &plain, NULL), 0);
        assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0);
        assert_null(sample.images[0].path);
        assert_int_equal(sample.images[0].length, 67);
        assert_memory_equal(sample.images[0].bytes, "\x89PNG", 4);
        assert_string_equal(sample.images[0].name, i == 2 ? "n.png" : "");
        strata_sample_free(&sample);
        strata_dataset_close(dataset);
    }
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *what, *where;
        int code;
    } cases[] = {
        {"r.json", "[{\"question\": \"q\", \"answer\": 1},\n {\"question\":: 1}]", "malformed JSON",
         "r.json:2:", STRATA_ERR_INPUT},
        {"r.json", "[{\"question\": \"q\", \"answer\": 1},\n {\"question\":", "file ends", "r.json:2", STRATA_ERR_IO},
        {"r.json", "[{\"question\": \"q\", \"answer\": 1}]\n{}", "something follows", "r.json:2", STRATA_ERR_IO},
        {"r.csv", "question,answer\nq,y\n\"a\nb\",1,2\n", "3 cells where the header has 2", "r.csv:3",
         STRATA_ERR_INPUT},
        {"r.csv", "question,answer\nq,y\nq,\"y\n", "never closed", "r.csv:3", STRATA_ERR_INPUT},
        {"r.csv", "question,answer\nq,y\nq,\xff\n", "UTF-8", "r.csv:3", STRATA_ERR_INPUT},
        {"r.csv", "question,answer,answer\nq,y,z\n", "two columns", "r.csv:1", STRATA_ERR_IO},
        {"r.csv", "question,answer:json\nq,1\nq,{\n", "malformed JSON", "r.csv:3", STRATA_ERR_INPUT},
        {"r.jsonl", "PAR1....PAR1", "Parquet file is damaged", "r.jsonl", STRATA_ERR_IO},
        {"r.jsonl", "\x28\xb5\x2f\xfd....", "zstd data is damaged", "r.jsonl:1", STRATA_ERR_IO},
        {"r.jsonl", "PK\x03\x04....", "zip archive", "r.jsonl", STRATA_ERR_UNSUPPORTED},
        {"r.jsonl", "{\"conversations\": [{\"from\": \"tool\", \"value\": \"x\"}], \"answer\": \"y\"}", "unknown role",
         "r.jsonl:1", STRATA_ERR_INPUT},
        {"r.jsonl", "{\"question\": \"<image>q\", \"answer\": \"y\", \"images\": [\"https://a/b.png\"]}",
         "at an address", "r.jsonl:1", STRATA_ERR_INPUT},
        {"r.jsonl", "{\"question\": \"<image>q\", \"answer\": \"y\", \"images\": [\"data:image/png;base64,*\"]}",
         "base64", "r.jsonl:1", STRATA_ERR_INPUT},
        {"r.jsonl", "{\"question\": \"<image>q\", \"answer\": \"y\", \"images\": [{\"bytes\": 3}]}", "must be a path",
         "r.jsonl:1", STRATA_ERR_INPUT},
        {"r.jsonl", "{\"instruction\": \"q\", \"input\": 3, \"output\": \"y\"}", "must be texts", "r.jsonl:1",
         STRATA_ERR_INPUT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_dataset *dataset = NULL;
        struct strata_sample sample;
        struct strata_error err = {0};
        bool got = true;
        put(cases[i].name, cases[i].text);
        int code = strata_dataset_open(&dataset, path, &plain, &err);
        while (!code && got) {
            code = strata_dataset_next(dataset, &sample, &got, &err);
            if (!code && got) strata_sample_free(&sample);
        }
        strata_dataset_close(dataset);
        if (code != cases[i].code || !strstr(err.what, cases[i].what) || !strstr(err.where, cases[i].where))
            fail_msg("case %zu: %d \"%s\" at \"%s\"", i, code, err.what, err.where);
    }
}

/* A bad row in the middle is left out, and reading goes on behind it. */
static void test_skip_bad(void **state) {
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"s.csv", "id,question,answer:json\n1,q,1\n2,\"q\nq\",{\n3,q,1,4\n4,q,4\n"},
        {"s.json", "[{\"id\": 1, \"question\": \"q\", \"answer\": 1}, {\"id\": :}, 7, {\"id\": 4, \"question\": \"q\", "
                   "\"answer\": 4}]"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct strata_dataset_options options = {.skip_bad = true};
        struct strata_dataset *dataset;
        struct strata_sample sample;
        bool got = true;
        char ids[8] = "";
        put(cases[i].name, cases[i].text);
        assert_int_equal(strata_dataset_open(&dataset, path, &options, NULL), 0);
        while (assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0), got) {
            strcat(ids, sample.id);
            strata_sample_free(&sample);
        }
        assert_string_equal(ids, "14");
        assert_int_equal(strata_dataset_bad(dataset), 2);
        strata_dataset_close(dataset);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl),         cmocka_unit_test(test_array),         cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_zstd),          cmocka_unit_test(test_csv),           cmocka_unit_test(test_llamafactory),
        cmocka_unit_test(test_several_files), cmocka_unit_test(test_inline_images), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_skip_bad),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
