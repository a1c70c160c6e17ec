/* Data sets: what is accepted, every refusal with its place, limit, shard, streaming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/sample.h"

enum {
    ADDRESS_SANITIZER =
#if defined(__SANITIZE_ADDRESS__) /* gcc's name */
        1
#elif defined(__has_feature) /* clang's */
#if __has_feature(address_sanitizer)
        1
#else
        0
#endif
#else
        0
#endif
};

static char path[256];

static int setup(void **state) {
    (void)state;
    snprintf(path, sizeof path, "/tmp/strata-test-dataset-%ld.jsonl", (long)getpid());
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static void put(const char *text) {
    assert_int_equal(strata_file_write(path, text, strlen(text), NULL), 0);
}

static const struct strata_dataset_options plain;

/* The first record of `text`. */
static int first(struct strata_sample *sample, const char *text, const struct strata_dataset_options *options,
                 struct strata_error *err) {
    struct strata_dataset *dataset;
    bool got = false;
    put(text);
    assert_int_equal(strata_dataset_open(&dataset, path, options, err), 0);
    int code = strata_dataset_next(dataset, sample, &got, err);
    assert_int_equal(got, code == 0);
    strata_dataset_close(dataset);
    return code;
}

static void test_reads_a_record(void **state) {
    (void)state;
    struct strata_sample sample;
    const char *text = "\xef\xbb\xbf\r\n  \n{\"id\": \"a\", \"messages\": [{\"role\": \"system\", \"content\": \"S\"}, "
                       "{\"role\": \"user\", \"content\": \"<image>what?\"}, {\"role\": \"assistant\", \"content\": "
                       "\"red\"}], \"images\": [\"i/x.png\"], \"solution\": \"red\", \"ability\": \"color\", "
                       "\"verifier\": \"word\", \"extra\": [1, {\"b\": null}]}\r\n";
    assert_int_equal(first(&sample, text, &plain, NULL), 0);
    assert_string_equal(sample.id, "a");
    assert_string_equal(sample.ability, "color");
    assert_string_equal(sample.solution, "red");
    assert_string_equal(sample.verifier, "word");
    assert_string_equal(sample.assistant, "red");
    assert_int_equal(sample.message_count, 2);
    assert_int_equal(sample.messages[0].role, STRATA_ROLE_SYSTEM);
    assert_string_equal(sample.messages[1].text, "<image>what?");
    assert_int_equal(sample.image_count, 1);
    assert_string_equal(sample.images[0].name, "i/x.png");
    assert_string_equal(sample.images[0].path, "/tmp/i/x.png");
    assert_non_null(json_object_get(sample.record, "extra"));
    assert_non_null(strstr(sample.where, ".jsonl:3"));
    strata_sample_free(&sample);
}

static void test_aliases(void **state) {
    (void)state;
    static const struct {
        const char *text, *solution, *question;
    } cases[] = {
        {"{\"question\": \"q?\", \"answer\": 42}", "42", "q?"},
        {"{\"prompt\": \"q?\", \"ground_truth\": 0.1}", "0.1", "q?"},
        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"q?\"}], \"reward_model\": {\"ground_truth\": \"x\"}}", "x",
         "q?"},
        {"{\"question\": \"q?\", \"solution\": null, \"answer\": -1e300}", "-1e+300", "q?"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\", \"image\": \"a.png\"}, {\"type\": "
         "\"text\", \"text\": \"q?\"}]}], \"solution\": \"B\"}",
         "B", "<image>q?"},
        {"{\"question\": \"<image>q?\", \"image\": {\"path\": \"a.png\", \"bytes\": null}, \"answer\": \"y\"}", "y",
         "<image>q?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_sample sample;
        assert_int_equal(first(&sample, cases[i].text, &plain, NULL), 0);
        assert_string_equal(sample.solution, cases[i].solution);
        assert_string_equal(sample.messages[0].text, cases[i].question);
        assert_string_equal(sample.ability, "");
        assert_non_null(strstr(sample.id, "-0")); /* <stem>-<index> */
        assert_null(sample.assistant);
        strata_sample_free(&sample);
    }
}

static void test_options(void **state) {
    (void)state;
    struct strata_sample sample;
    struct strata_dataset_options options = {.system = "be brief", .prepend_missing_image = true};
    assert_int_equal(
        first(&sample, "{\"question\": \"q?\", \"images\": [\"a\", \"b\"], \"answer\": \"y\"}", &options, NULL), 0);
    assert_string_equal(sample.messages[0].text, "be brief");
    assert_string_equal(sample.messages[1].text, "<image><image>q?");
    strata_sample_free(&sample);
    assert_int_equal(first(&sample,
                           "{\"messages\": [{\"role\": \"system\", \"content\": \"own\"}, {\"role\": \"user\", "
                           "\"content\": \"q?\"}], \"answer\": \"y\"}",
                           &options, NULL),
                     0);
    assert_string_equal(sample.messages[0].text, "own");
    assert_int_equal(sample.message_count, 2);
    strata_sample_free(&sample);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *what, *where;
    } cases[] = {
        {"\n{\"a\": 1,, }", "malformed JSON", ".jsonl:2:9"},
        {"{\"question\": \"q\", \"answer\": \"\xff\"}", "malformed JSON", ".jsonl:1:"},
        {"{\"question\": \"q\", \"question\": \"r\"}", "malformed JSON", ".jsonl:1:"},
        {"{\"question\": \"q\"", "malformed JSON", ".jsonl:1:"},
        {"[1]", "no JSON object", ".jsonl:1"},
        {"{\"answer\": \"y\"}", "\"messages\" is missing", ".jsonl:1"},
        {"{\"question\": \"q\"}", "\"solution\" is missing", ".jsonl:1"},
        {"{\"question\": \"q\", \"answer\": \" \\t\"}", "solution is empty", ".jsonl:1"},
        {"{\"question\": \"q\", \"answer\": [\"y\"]}", "solution must be", ".jsonl:1"},
        {"{\"question\": \"q\", \"answer\": \"a\\u0000b\"}", "NUL", ".jsonl:1"},
        {"{\"question\": \" \\n\", \"answer\": \"y\"}", "question is empty", ".jsonl:1"},
        {"{\"question\": \"<image> \", \"images\": [\"a\"], \"answer\": \"y\"}", "question is empty", ".jsonl:1"},
        {"{\"question\": 7, \"answer\": \"y\"}", "prompt must be", ".jsonl:1"},
        {"{\"question\": \"q\", \"images\": [\"a\"], \"answer\": \"y\"}", "1 images but 0 <image>", ".jsonl:1"},
        {"{\"question\": \"<image><image>q\", \"images\": [\"a\"], \"answer\": \"y\"}", "1 images but 2", ".jsonl:1"},
        {"{\"question\": \"<image>q\", \"answer\": \"y\"}", "0 images but 1", ".jsonl:1"},
        {"{\"question\": \"<image>q\", \"images\": [3], \"answer\": \"y\"}", "must be a path", ".jsonl:1"},
        {"{\"question\": \"<|image_pad|>q\", \"answer\": \"y\"}", "<|image_pad|>", ".jsonl:1"},
        {"{\"question\": \"q\", \"answer\": \"y\", \"id\": {}}", "id must be", ".jsonl:1"},
        {"{\"question\": \"q\", \"answer\": \"y\", \"id\": \"\"}", "id is empty", ".jsonl:1"},
        {"{\"messages\": [], \"answer\": \"y\"}", "no user turn", ".jsonl:1"},
        {"{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}], \"answer\": \"y\"}", "no user turn",
         ".jsonl:1"},
        {"{\"messages\": [{\"role\": \"tool\", \"content\": \"x\"}], \"answer\": \"y\"}", "unknown role", ".jsonl:1"},
        {"{\"messages\": [{\"role\": \"user\"}], \"answer\": \"y\"}", "content", ".jsonl:1"},
        {"{\"messages\": [3], \"answer\": \"y\"}", "role", ".jsonl:1"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"system\", \"content\": \"x\"}], "
         "\"answer\": \"y\"}",
         "system turn", ".jsonl:1"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"video\"}]}], \"answer\": \"y\"}", "video",
         ".jsonl:1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_sample sample;
        struct strata_error err = {0};
        assert_int_equal(first(&sample, cases[i].text, &plain, &err), STRATA_ERR_INPUT);
        if (!strstr(err.what, cases[i].what) || !strstr(err.where, cases[i].where))
            fail_msg("%s: \"%s\" at \"%s\"", cases[i].text, err.what, err.where);
    }
}

static void count_bad(void *context, const struct strata_error *err) {
    assert_true(err->what[0] && err->where[0]);
    ++*(size_t *)context;
}

static void test_skip_bad(void **state) {
    (void)state;
    size_t told = 0, good = 0;
    struct strata_dataset_options options = {.skip_bad = true, .on_bad = count_bad, .context = &told};
    struct strata_dataset *dataset;
    struct strata_sample sample;
    bool got = true;
    put("{\"id\": 1, \"question\": \"q\", \"answer\": \"y\"}\nnonsense\n{\"id\": 1, \"question\": \"q\", \"answer\": "
        "\"y\"}\n\n{\"id\": \"2\", \"question\": \"q\", \"answer\": \"y\"}");
    assert_int_equal(strata_dataset_open(&dataset, path, &options, NULL), 0);
    size_t indices[4] = {0};
    while (assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0), got) {
        indices[good++] = sample.index;
        strata_sample_free(&sample);
    }
    assert_int_equal(good, 2);
    assert_int_equal(indices[0], 0);
    assert_int_equal(indices[1], 3);
    assert_int_equal(told, 2);
    assert_int_equal(strata_dataset_bad(dataset), 2);
    strata_dataset_close(dataset);
    options.skip_bad = false;
    assert_int_equal(strata_dataset_open(&dataset, path, &options, NULL), 0);
    struct strata_error err;
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), 0);
    strata_sample_free(&sample);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), STRATA_ERR_INPUT);
    strata_dataset_close(dataset);
}

static void test_duplicate_id(void **state) {
    (void)state;
    struct strata_dataset *dataset;
    struct strata_sample sample;
    struct strata_error err;
    bool got;
    put("{\"id\": \"x\", \"question\": \"q\", \"answer\": \"y\"}\n{\"id\": \"x\", \"question\": \"q\", \"answer\": "
        "\"y\"}\n");
    assert_int_equal(strata_dataset_open(&dataset, path, &plain, NULL), 0);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), 0);
    strata_sample_free(&sample);
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "\"x\" occurs twice"));
    assert_non_null(strstr(err.where, ":2"));
    strata_dataset_close(dataset);
}

/* Twice the same id, farther apart than the table of ids seen is long: found as well, in its place. */
static void test_duplicate_far_away(void **state) {
    (void)state;
    enum { RECORDS = 250000 };
    struct strata_atomic_file file;
    struct strata_dataset *dataset;
    struct strata_sample sample;
    struct strata_error err;
    bool got;
    assert_int_equal(strata_atomic_open(&file, path, NULL), 0);
    for (int i = 0; i <= RECORDS; i++)
        fprintf(file.stream, "{\"id\": %d, \"question\": \"q\", \"answer\": \"y\"}\n", i < RECORDS ? i : 5);
    assert_int_equal(strata_atomic_commit(&file, NULL), 0);
    assert_int_equal(strata_dataset_open(&dataset, path, &plain, NULL), 0);
    for (int i = 0; i < RECORDS; i++) {
        assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0);
        assert_true(got);
        strata_sample_free(&sample);
    }
    assert_int_equal(strata_dataset_next(dataset, &sample, &got, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "\"5\" occurs twice"));
    assert_non_null(strstr(err.where, ":250001"));
    strata_dataset_close(dataset);
}

/* Shards part the records; each has the index and the id it has without shards; memory does not grow with the file. */
static void test_shards_limit_and_memory(void **state) {
    (void)state;
    enum { RECORDS = 60000, SHARDS = 3 };
    static unsigned char seen[RECORDS];
    struct strata_atomic_file file;
    size_t count = 0;
    memset(seen, 0, sizeof seen);
    assert_int_equal(strata_atomic_open(&file, path, NULL), 0);
    for (int i = 0; i < RECORDS; i++)
        fprintf(file.stream, "{\"question\": \"how many? %0512d\", \"answer\": %d}\n%s", i, i, i % 5 ? "" : "\n");
    assert_int_equal(strata_atomic_commit(&file, NULL), 0);
    assert_int_equal(strata_dataset_count(&count, path, NULL), 0);
    assert_int_equal(count, RECORDS);
    size_t before = strata_peak_memory();
    struct strata_hash hash;
    assert_int_equal(strata_dataset_hash(&hash, path, NULL), 0);
    for (size_t shard = 1; shard <= SHARDS; shard++) {
        struct strata_dataset_options options = {.shard = shard, .shards = SHARDS, .limit = RECORDS - 1};
        struct strata_dataset *dataset;
        struct strata_sample sample;
        bool got;
        assert_int_equal(strata_dataset_open(&dataset, path, &options, NULL), 0);
        while (assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0), got) {
            char number[24];
            assert_int_equal(sample.index % SHARDS + 1, shard);
            snprintf(number, sizeof number, "%zu", sample.index);
            assert_string_equal(sample.solution, number);
            assert_string_equal(strrchr(sample.id, '-') + 1, number);
            assert_int_equal(seen[sample.index]++, 0);
            strata_sample_free(&sample);
        }
        strata_dataset_close(dataset);
    }
    for (size_t i = 0; i < RECORDS; i++) assert_int_equal(seen[i], i + 1 < RECORDS);
    /* The file is 35 MB; the ids of a shard take about a megabyte. AddressSanitizer keeps what is freed. */
    if (before && !ADDRESS_SANITIZER) assert_true(strata_peak_memory() - before < (size_t)8 << 20);
    struct strata_dataset_options wrong = {.shard = 4, .shards = 3};
    struct strata_dataset *dataset;
    assert_int_equal(strata_dataset_open(&dataset, path, &wrong, NULL), STRATA_ERR_USAGE);
}

static void test_easyvqa(void **state) {
    (void)state;
    const char *shared = getenv("STRATA_SHARED");
    char name[512];
    struct strata_dataset *dataset;
    struct strata_sample sample;
    bool got = true;
    size_t records = 0;
    snprintf(name, sizeof name, "%s/data/easyvqa/train.jsonl", shared ? shared : "../shared");
    if (!strata_file_exists(name)) {
        print_message("skipped: no %s\n", name);
        skip();
    }
    assert_int_equal(strata_dataset_open(&dataset, name, &plain, NULL), 0);
    while (assert_int_equal(strata_dataset_next(dataset, &sample, &got, NULL), 0), got) {
        assert_true(strata_file_exists(sample.images[0].path));
        records++;
        strata_sample_free(&sample);
    }
    assert_int_equal(records, 1960);
    strata_dataset_close(dataset);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_record),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_skip_bad),
        cmocka_unit_test(test_duplicate_id),
        cmocka_unit_test(test_easyvqa),
        cmocka_unit_test(test_shards_limit_and_memory),
        cmocka_unit_test(test_duplicate_far_away),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
