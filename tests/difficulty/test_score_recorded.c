/* Answers made elsewhere: what comes out of them is what the engine that made them gives, a file that lacks some leaves
 * those pending, and everything that can be wrong in a file is an error that names its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/md5.h"
#include "difficulty/run_fixture.h"
#include "engine/recorded.h"
#include "model/prompt.h"

#define RECORDS 60 /* one of them, the 50th, has no image */

static const char header[] =
    "{\"format\": \"strata-cmab\", \"version\": 1, \"model\": {\"name\": \"m\", \"hash\": \"sha256:12\"}, "
    "\"settings\": {\"temperature\": 0.0, \"top_p\": 1.0, \"top_k\": 0, \"repetition_penalty\": 1.0, "
    "\"max_new_tokens\": 1024}}\n";

/* What the scripted engine answers, asked as strata_score asks it. */
static void answer(struct strata_result *result, struct strata_engine *engine, const struct strata_sample *sample) {
    struct strata_request request = {.sample_id = sample->id,
                                     .messages = sample->messages,
                                     .message_count = sample->message_count,
                                     .image_count = sample->image_count,
                                     .sampling = {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = 1024},
                                     .seed = 42,
                                     .purpose = STRATA_PURPOSE_CMAB,
                                     .draws = 1,
                                     .want_attention = true,
                                     .solution = sample->solution};
    bool got;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    assert_int_equal(strata_engine_poll(engine, result, &got, NULL), 0);
    assert_true(got);
}

/* The line for one sample, as python/strata_hf writes it. */
static void append_line(struct strata_buffer *out, const struct strata_sample *sample,
                        const struct strata_result *result) {
    const struct strata_attention *attention = result->attention;
    struct strata_buffer chat = {0}, masses = {0};
    char md5[33];
    json_t *ids = json_array(), *segments = json_array();
    assert_int_equal(strata_chat_render(&chat, sample->messages, sample->message_count, true, NULL), 0);
    strata_md5_text(md5, chat.data, chat.length);
    strata_base64_encode(&masses, attention->masses, attention->L * attention->N * attention->S * sizeof(float));
    for (size_t n = 0; n < result->N; n++) json_array_append_new(ids, json_integer(result->ids[n]));
    for (size_t s = 0; s < attention->S; s++) {
        const struct strata_segment *segment = &attention->segments[s];
        json_array_append_new(segments, json_pack("[s, i, i, i]", strata_segment_name(segment->kind),
                                                  (int)segment->begin, (int)segment->count, (int)segment->image));
    }
    json_t *line =
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:i, s:o, s:s}", "id", sample->id, "prompt_md5", md5, "prompt_tokens",
                  (int)attention->T, "finish", result->finish == STRATA_FINISH_LENGTH ? "length" : "stop", "response",
                  result->text, "ids", ids, "layers", (int)attention->L, "segments", segments, "masses", masses.data);
    strata_json_write(out, line);
    strata_buffer_byte(out, '\n');
    json_decref(line);
    strata_buffer_free(&chat);
    strata_buffer_free(&masses);
}

/* A file that answers records [first, last) of the fixture. */
static void write_answers(const struct fixture *fixture, const char *name, size_t first, size_t last) {
    struct strata_dataset_options options = {0};
    struct strata_dataset *dataset;
    struct strata_engine *engine;
    struct strata_sample sample;
    struct strata_buffer text = {0};
    bool got = true;
    strata_buffer_text(&text, header);
    assert_int_equal(strata_engine_scripted(&engine, FIXTURE_SCRIPT, 8, NULL), 0);
    assert_int_equal(strata_dataset_open(&dataset, fixture->data, &options, NULL), 0);
    while (!strata_dataset_next(dataset, &sample, &got, NULL) && got) {
        struct strata_result result;
        if (sample.index >= first && sample.index < last && sample.image_count) {
            answer(&result, engine, &sample);
            append_line(&text, &sample, &result);
            strata_result_free(&result);
        }
        strata_sample_free(&sample);
    }
    assert_int_equal(strata_file_write(fixture_path(fixture, name), text.data, text.length, NULL), 0);
    strata_buffer_free(&text);
    strata_dataset_close(dataset);
    strata_engine_destroy(engine);
}

static int score(struct strata_score_summary *summary, const struct fixture *fixture, const char *out,
                 const char *const *names, size_t count, struct strata_error *err) {
    struct strata_score_options options;
    struct strata_engine *engine;
    const char *paths[4];
    for (size_t i = 0; i < count; i++) paths[i] = fixture_path(fixture, names[i]);
    int code = strata_engine_recorded(&engine, paths, count, err);
    if (code) return code;
    fixture_options(&options, fixture, out);
    options.metrics = STRATA_METRIC_CMAB;
    strata_recorded_sampling(&options.cmab_sampling, engine);
    code = strata_recorded_check(engine, fixture->data, &options.dataset, err);
    if (!code) code = strata_score(summary, engine, &options, err);
    strata_engine_destroy(engine);
    return code;
}

static void test_as_the_engine_itself(void **state) {
    struct fixture fixture;
    struct strata_score_options options;
    struct strata_score_summary summary = {0};
    struct strata_error err = {0};
    char out[160];
    (void)state;
    fixture_make(&fixture, RECORDS);
    fixture_options(&options, &fixture, fixture_path(&fixture, "direct"));
    options.metrics = STRATA_METRIC_CMAB;
    assert_int_equal(fixture_score(NULL, &options, 8, NULL), 0);
    char *want = fixture_read(&fixture, "direct/difficulty.jsonl");
    /* The images are not looked at. */
    assert_int_equal(unlink(fixture_path(&fixture, "image.png")), 0);
    snprintf(out, sizeof out, "%s/imported", fixture.directory);

    /* Half of the answers: the others stay pending, which is no failure. */
    write_answers(&fixture, "first.jsonl", 0, 20);
    write_answers(&fixture, "rest.jsonl", 20, RECORDS);
    assert_int_equal(score(&summary, &fixture, out, (const char *[]){"first.jsonl"}, 1, &err), 0);
    assert_int_equal(summary.pending, RECORDS - 20 - 1);
    assert_int_equal(summary.failed_requests, 0);
    strata_score_summary_free(&summary);
    /* With the rest it is the run that the engine itself makes, byte for byte. */
    assert_int_equal(score(&summary, &fixture, out, (const char *[]){"first.jsonl", "rest.jsonl"}, 2, &err), 0);
    assert_int_equal(summary.pending, 0);
    assert_int_equal(summary.draws_now, RECORDS - 20 - 1);
    strata_score_summary_free(&summary);
    char *got = fixture_read(&fixture, "imported/difficulty.jsonl");
    assert_string_equal(got, want);
    free(got);
    free(want);
    fixture_remove(&fixture);
}

/* What is changed in the second line of the file, and what must be said about it. */
static const struct {
    const char *from, *to, *what;
} faults[] = {
    {"{\"id\"", "{\"id\" ,", "malformed JSON"},
    {"\"id\": \"r00000\"", "\"id\": \"\"", "id is empty"},
    {"\"id\": \"r00000\"", "\"id\": \"r00001\"", "a second answer for \"r00001\""},
    {"\"id\": \"r00000\"", "\"id\": \"other\"", "no record of"},
    {"\"id\": \"r00000\"", "\"name\": \"r00000\"", "\"id\" is missing"},
    {"\"prompt_md5\": \"", "\"prompt_md5\": \"0", "not an MD5"},
    {"\"prompt_tokens\": 47", "\"prompt_tokens\": 48", "the segments cover 47 tokens, the prompt has 48"},
    {"\"prompt_tokens\": 47", "\"prompt_tokens\": 0", "between 1 and"},
    {"[\"system\", 3, 8, 0]", "[\"system\", 4, 8, 0]", "segment 1 begins at token 4"},
    {"[\"system\", 3, 8, 0]", "[\"system\", 3, 0, 0]", "segment 1"},
    {"[\"system\", 3, 8, 0]", "[\"prologue\", 3, 8, 0]", "no known kind"},
    {"[\"system\", 3, 8, 0]", "[\"system\", 3, -8, 0]", "is not [kind"},
    {"[\"system\", 3, 8, 0]", "3", "is not [kind"},
    {"[\"image\", 17, 16, 0]", "[\"image\", 17, 16, 1]", "is image 1 where image 0"},
    {"[\"image\", 17, 16, 0]", "[\"question\", 17, 16, 0]", "saw 0 images, the record has 1"},
    {"\"layers\": 4", "\"layers\": 5", "of float32 are"},
    {"\"layers\": 4", "\"layers\": 0", "between 1 and"},
    {"\"ids\": [", "\"ids\": [0, ", "of float32 are"},
    {"\"ids\": [", "\"ids\": [-1, ", "token 0 of \"ids\""},
    {"\"ids\": [", "\"other\": [", "\"ids\" must be"},
    {"\"masses\": \"", "\"masses\": \"!", "base64"},
    {"\"masses\": \"", "\"masses\": \"AADAfw==", "of float32 are"},
    {"\"masses\": \"", "\"massas\": \"", "\"masses\" is missing"},
    {"\"response\": \"", "\"answer\": \"", "\"response\" must be"},
    {"\"finish\": \"stop\"", "\"finish\": \"tired\"", "stop or length"},
    {"\"id\": \"r00000\"", "\"id\": \"r00002\"", "given to another prompt"}, /* whose question is another, see below */
};

/* `name` becomes first.jsonl with the first `from` after `start` replaced. */
static void write_changed(const struct fixture *fixture, const char *name, const char *text, size_t start,
                          const char *from, const char *to) {
    struct strata_buffer changed = {0};
    const char *at = strstr(text + start, from);
    if (!at) fail_msg("\"%s\" is not in the line", from);
    strata_buffer_append(&changed, text, (size_t)(at - text));
    strata_buffer_text(&changed, to);
    strata_buffer_text(&changed, at + strlen(from));
    assert_int_equal(strata_file_write(fixture_path(fixture, name), changed.data, changed.length, NULL), 0);
    strata_buffer_free(&changed);
}

static void refuse(const struct fixture *fixture, const char *const *names, size_t count, const char *what,
                   const char *where) {
    struct strata_error err = {0};
    char out[160], line[1400];
    snprintf(out, sizeof out, "%s/refused", fixture->directory);
    if (!score(NULL, fixture, out, names, count, &err)) fail_msg("accepted: %s", what);
    strata_error_line(&err, line, sizeof line);
    if (!strstr(err.what, what) || !strstr(err.where, where)) fail_msg("%s / %s, not: %s", where, what, line);
}

static void test_faults(void **state) {
    struct fixture fixture;
    struct strata_buffer copy = {0};
    (void)state;
    fixture_make(&fixture, 2);
    /* A third record with a question of its own. */
    char *data = fixture_read(&fixture, "data.jsonl");
    strata_buffer_text(&copy, data);
    strata_buffer_text(&copy, "{\"id\": \"r00002\", \"question\": \"<image>how many?\", \"images\": [\"image.png\"], "
                              "\"solution\": \"blue\"}\n");
    assert_int_equal(strata_file_write(fixture.data, copy.data, copy.length, NULL), 0);
    write_answers(&fixture, "first.jsonl", 0, 2);
    char *text = fixture_read(&fixture, "first.jsonl");
    const char *changed[] = {"changed.jsonl"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        write_changed(&fixture, "changed.jsonl", text, strlen(header), faults[i].from, faults[i].to);
        /* Two lines then answer r00001: the later one is to blame. */
        const char *where = strstr(faults[i].what, "second answer") ? "changed.jsonl:3" : "changed.jsonl:2";
        refuse(&fixture, changed, 1, faults[i].what, where);
    }
    /* The first line. */
    write_changed(&fixture, "changed.jsonl", text, 0, "strata-cmab", "something");
    refuse(&fixture, changed, 1, "not that of a file of recorded answers", "changed.jsonl:1");
    write_changed(&fixture, "changed.jsonl", text, 0, "\"version\": 1", "\"version\": 2");
    refuse(&fixture, changed, 1, "\"version\"", "changed.jsonl:1");
    write_changed(&fixture, "changed.jsonl", text, 0, "\"hash\"", "\"sum\"");
    refuse(&fixture, changed, 1, "\"hash\" is missing", "changed.jsonl:1");
    write_changed(&fixture, "changed.jsonl", text, 0, "\"top_k\": 0", "\"top_k\": -1");
    refuse(&fixture, changed, 1, "\"top_k\"", "changed.jsonl:1");
    assert_int_equal(strata_file_write(fixture_path(&fixture, "changed.jsonl"), "", 0, NULL), 0);
    refuse(&fixture, changed, 1, "malformed JSON", "changed.jsonl:1");
    /* Two files of different models; the same answers twice. */
    write_changed(&fixture, "changed.jsonl", text, 0, "sha256:12", "sha256:13");
    refuse(&fixture, (const char *[]){"first.jsonl", "changed.jsonl"}, 2, "another model", "changed.jsonl:1");
    refuse(&fixture, (const char *[]){"first.jsonl", "first.jsonl"}, 2, "a second answer", "first.jsonl:");
    free(text);
    free(data);
    strata_buffer_free(&copy);
    fixture_remove(&fixture);
}

/* A mass that is no share of attention, wherever it stands. */
static void test_masses(void **state) {
    static const float values[] = {(float)INFINITY, -0.25f, 1.5f, (float)NAN};
    struct fixture fixture;
    struct strata_buffer masses = {0};
    char other[64];
    (void)state;
    fixture_make(&fixture, 1);
    write_answers(&fixture, "first.jsonl", 0, 1);
    char *text = fixture_read(&fixture, "first.jsonl");
    char *begin = strstr(text, "\"masses\": \"") + strlen("\"masses\": \"");
    for (size_t i = 0; i < 4; i++) {
        for (size_t at = 0; at < 2; at++) { /* the first three values, and the three after them */
            float three[3] = {0.1f, 0.1f, values[i]};
            char before[17];
            strata_buffer_clear(&masses);
            strata_base64_encode(&masses, three, sizeof three);
            memcpy(before, begin + 16 * at, 16);
            before[16] = '\0';
            write_changed(&fixture, "changed.jsonl", text, (size_t)(begin - text) + 16 * at, before, masses.data);
            snprintf(other, sizeof other, "segment %d is", at == 0 ? 2 : 5);
            refuse(&fixture, (const char *[]){"changed.jsonl"}, 1, other, "changed.jsonl:2");
        }
    }
    float three[3] = {0.6f, 0.6f, 0.6f};
    char before[17];
    strata_buffer_clear(&masses);
    strata_base64_encode(&masses, three, sizeof three);
    memcpy(before, begin, 16);
    before[16] = '\0';
    write_changed(&fixture, "changed.jsonl", text, (size_t)(begin - text), before, masses.data);
    refuse(&fixture, (const char *[]){"changed.jsonl"}, 1, "more than 1", "changed.jsonl:2");
    strata_buffer_free(&masses);
    free(text);
    fixture_remove(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_the_engine_itself), cmocka_unit_test(test_faults),
                                       cmocka_unit_test(test_masses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
