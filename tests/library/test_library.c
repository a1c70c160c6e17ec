/* The public interface: what it says is what the rooms below say, whatever it is asked together with; wrong use is an
 * error that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "difficulty/run_fixture.h"
#include "strata/strata.h"

#define MODEL "models/easyvqa-tiny"
#define SHAPE "tests/data/cli/shape.png"

static struct strata_vlm *vlm;

static int open_model(void **state) {
    struct strata_vlm_options options = {.size = sizeof options, .threads = 1, .batch = 3};
    (void)state;
    return strata_vlm_open(&vlm, MODEL, &options, NULL);
}

static int close_model(void **state) {
    (void)state;
    strata_vlm_close(vlm);
    return 0;
}

static struct strata_vlm_turn question = {STRATA_TURN_USER, "what shape is in the image?"};
static struct strata_vlm_image shape = {.path = SHAPE};

static struct strata_vlm_prompt ask(void) {
    return (struct strata_vlm_prompt){.size = sizeof(struct strata_vlm_prompt),
                                      .turns = &question,
                                      .turn_count = 1,
                                      .images = &shape,
                                      .image_count = 1,
                                      .max_new_tokens = 24,
                                      .want = STRATA_WANT_ATTENTION | STRATA_WANT_MAP};
}

static void assert_same(const struct strata_reply *a, const struct strata_reply *b) {
    size_t N = strata_reply_tokens(a), S = strata_reply_segments(a), rows, columns;
    assert_int_equal(N, strata_reply_tokens(b));
    assert_string_equal(strata_reply_text(a, NULL), strata_reply_text(b, NULL));
    assert_memory_equal(strata_reply_ids(a), strata_reply_ids(b), N * sizeof(int32_t));
    assert_memory_equal(strata_reply_logprobs(a), strata_reply_logprobs(b), N * sizeof(float));
    assert_int_equal(S, strata_reply_segments(b));
    assert_memory_equal(strata_reply_masses(a), strata_reply_masses(b), strata_vlm_layers(vlm) * N * S * sizeof(float));
    assert_non_null(strata_reply_map(a, 0, &rows, &columns));
    /* A map sums tokens and layers in the order in which they were computed. */
    for (size_t i = 0; i < rows * columns; i++)
        assert_true(fabsf(strata_reply_map(a, 0, NULL, NULL)[i] - strata_reply_map(b, 0, NULL, NULL)[i]) < 1e-6f);
}

/* More prompts than the engine holds at once, drawn and greedy, by path, bytes and pixels: each as if alone. */
static void test_together_as_alone(void **state) {
    enum { COUNT = 7 };
    struct strata_vlm_prompt prompts[COUNT];
    const struct strata_vlm_prompt *pointers[COUNT];
    struct strata_reply *together[COUNT], *alone;
    struct strata_buffer file = {0};
    struct strata_image pixels;
    (void)state;
    assert_int_equal(strata_file_read(&file, SHAPE, 0, NULL), 0);
    assert_int_equal(strata_image_load(&pixels, SHAPE, NULL), 0);
    struct strata_vlm_image images[3] = {{.path = SHAPE},
                                         {.bytes = file.data, .length = file.length},
                                         {.rgb = pixels.rgb, .width = pixels.width, .height = pixels.height}};
    for (unsigned i = 0; i < COUNT; i++) {
        prompts[i] = ask();
        prompts[i].images = &images[i % 3];
        prompts[i].temperature = i < 3 ? 0 : 1;
        prompts[i].seed = i;
        pointers[i] = &prompts[i];
    }
    assert_int_equal(strata_vlm_generate_all(together, vlm, pointers, COUNT, NULL), 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(strata_vlm_generate(&alone, vlm, &prompts[i], NULL), 0);
        assert_same(together[i], alone);
        if (i > 0 && i < 3) assert_same(together[i], together[0]);
        strata_reply_free(alone);
    }
    for (size_t i = 0; i < COUNT; i++) strata_reply_free(together[i]);
    strata_image_free(&pixels);
    strata_buffer_free(&file);
}

static void test_segments_and_balance(void **state) {
    struct strata_vlm_prompt prompt = ask();
    struct strata_reply *reply;
    struct strata_balance_options median = {.size = sizeof median, .over = "median"};
    double rho, other, rho_t[64], rho_lt[1024], mean = 0;
    size_t begin, count, image, covered = 0, rows, columns;
    (void)state;
    assert_int_equal(strata_vlm_generate(&reply, vlm, &prompt, NULL), 0);
    size_t N = strata_reply_tokens(reply), S = strata_reply_segments(reply), L = strata_vlm_layers(vlm);
    assert_true(N > 3 && N <= 64 && L * N <= 1024);
    for (size_t s = 0; s < S; s++) {
        const char *kind = strata_reply_segment(reply, s, &begin, &count, &image);
        assert_int_equal(begin, covered);
        covered += count;
        if (strcmp(kind, "image") == 0) {
            assert_non_null(strata_reply_map(reply, image, &rows, &columns));
            assert_int_equal(rows * columns, count);
        }
    }
    assert_int_equal(covered, strata_reply_prompt_tokens(reply));
    assert_null(strata_reply_segment(reply, S, NULL, NULL, NULL));
    assert_null(strata_reply_map(reply, 1, NULL, NULL));
    assert_int_equal(strata_reply_balance(&rho, rho_t, rho_lt, reply, NULL, NULL), 0);
    for (size_t n = 0; n < N; n++) mean += rho_t[n] / (double)N;
    assert_true(fabs(rho - mean) < 1e-12 * rho);
    assert_true(rho_lt[0] > 0 && rho_lt[L * N - 1] > 0);
    assert_int_equal(strata_reply_balance(&other, NULL, NULL, reply, &median, NULL), 0);
    assert_true(other > 0 && other < rho);

    /* Given as the answer it is the same reply. */
    struct strata_reply *forced;
    prompt.response = strata_reply_text(reply, NULL);
    assert_int_equal(strata_vlm_generate(&forced, vlm, &prompt, NULL), 0);
    assert_same(reply, forced);
    strata_reply_free(forced);
    prompt.response = NULL;
    prompt.forced_ids = strata_reply_ids(reply);
    prompt.forced_count = N;
    assert_int_equal(strata_vlm_generate(&forced, vlm, &prompt, NULL), 0);
    assert_same(reply, forced);
    strata_reply_free(forced);
    strata_reply_free(reply);

    /* No image: no balance. */
    prompt = ask();
    prompt.image_count = 0;
    assert_int_equal(strata_vlm_generate(&reply, vlm, &prompt, NULL), 0);
    assert_int_equal(strata_reply_balance(&rho, rho_t, NULL, reply, NULL, NULL), 0);
    assert_true(isnan(rho) && isnan(rho_t[0]));
    strata_reply_free(reply);
}

static void refuse(const struct strata_vlm_prompt *prompt, int code, const char *part) {
    struct strata_vlm_prompt good = ask();
    const struct strata_vlm_prompt *three[] = {&good, prompt, &good};
    struct strata_reply *replies[3];
    struct strata_error err = {0};
    assert_int_equal(strata_vlm_generate_all(replies, vlm, three, 3, &err), code);
    if (!strstr(err.what, part)) fail_msg("\"%s\" is not in \"%s\"", part, err.what);
    for (int i = 0; i < 3; i++) assert_null(replies[i]);
}

static void test_wrong_use(void **state) {
    struct strata_vlm_prompt prompt = ask();
    struct strata_vlm_turn turn = question;
    struct strata_vlm_image image = shape;
    struct strata_reply *reply;
    struct strata_error err = {0};
    double rho;
    (void)state;
    prompt.size = 8;
    refuse(&prompt, STRATA_ERR_USAGE, "its size is 8");
    prompt = ask();
    prompt.turn_count = 0;
    refuse(&prompt, STRATA_ERR_USAGE, "no turn");
    prompt = ask();
    prompt.turns = &turn;
    turn.role = 7;
    refuse(&prompt, STRATA_ERR_USAGE, "role");
    turn = (struct strata_vlm_turn){STRATA_TURN_USER, "<image>and<image>"};
    refuse(&prompt, STRATA_ERR_INPUT, "marks");
    turn = (struct strata_vlm_turn){STRATA_TURN_SYSTEM, "no question"};
    refuse(&prompt, STRATA_ERR_USAGE, "no user turn");
    prompt = ask();
    prompt.images = &image;
    image.rgb = (const uint8_t *)"abc";
    refuse(&prompt, STRATA_ERR_USAGE, "exactly one");
    image = (struct strata_vlm_image){.path = "no-such.png"};
    refuse(&prompt, STRATA_ERR_IO, "No such file");
    image = (struct strata_vlm_image){.rgb = (const uint8_t *)"abc", .width = SIZE_MAX, .height = 2};
    refuse(&prompt, STRATA_ERR_INPUT, "pixels");
    prompt = ask();
    prompt.response = "x";
    prompt.forced_ids = (const int32_t[]){1};
    refuse(&prompt, STRATA_ERR_USAGE, "not both");
    refuse(NULL, STRATA_ERR_USAGE, "NULL");

    /* The engine is as good as new, and a prompt without attention has none. */
    prompt = ask();
    prompt.want = 0;
    assert_int_equal(strata_vlm_generate(&reply, vlm, &prompt, &err), 0);
    assert_null(strata_reply_masses(reply));
    assert_int_equal(strata_reply_balance(&rho, NULL, NULL, reply, NULL, &err), STRATA_ERR_USAGE);
    strata_reply_free(reply);
    struct strata_vlm *none;
    assert_int_equal(strata_vlm_open(&none, "no-such-model", NULL, &err), STRATA_ERR_INPUT);
    assert_null(none);
    assert_int_equal(strata_vlm_open(&none, MODEL, &(struct strata_vlm_options){.size = sizeof *&none}, &err),
                     STRATA_ERR_USAGE);
    strata_vlm_close(NULL);
    strata_reply_free(NULL);
    strata_grade_free(NULL);
}

/* A header newer than the library: its unknown fields may be zero, not more. */
static void test_newer_header(void **state) {
    struct {
        struct strata_grade_input known;
        size_t more;
    } input = {.known = {.size = sizeof input, .solution = "4", .completion = "<answer>4</answer>"}};
    struct strata_grade *grade;
    struct strata_error err;
    (void)state;
    assert_int_equal(strata_grade(&grade, &input.known, &err), 0);
    assert_true(strata_grade_correct(grade) && strata_grade_score(grade) >= 1);
    assert_string_equal(strata_grade_kind(grade), "math");
    assert_string_equal(strata_grade_extracted(grade), "4");
    strata_grade_free(grade);
    input.more = 1;
    assert_int_equal(strata_grade(&grade, &input.known, &err), STRATA_ERR_UNSUPPORTED);
    assert_null(grade);
    input.more = 0;
    input.known.mode = "lenient";
    assert_int_equal(strata_grade(&grade, &input.known, &err), STRATA_ERR_USAGE);
}

struct rows {
    const char *expected; /* difficulty.jsonl, line by line, or NULL */
    size_t count, stop_at;
    size_t strata[2];
};

static int on_row(void *context, const struct strata_run_row *row) {
    struct rows *rows = context;
    size_t length = strlen(row->json);
    assert_int_equal(row->index, rows->count);
    if (rows->expected) {
        assert_memory_equal(rows->expected, row->json, length);
        assert_int_equal(rows->expected[length], '\n');
        rows->expected += length + 1;
    }
    rows->strata[0] += strcmp(row->pism, "hard") == 0;
    rows->strata[1] += strcmp(row->cmab, "hard") == 0;
    assert_int_equal(row->correct == -1, row->response == NULL);
    return ++rows->count == rows->stop_at ? 77 : 0;
}

static void test_run(void **state) {
    struct fixture fixture;
    struct strata_score_options options;
    struct strata_balance_options all = {.size = sizeof all, .layers = "all", .text = "question"};
    (void)state;
    fixture_make(&fixture, 120);
    fixture_options(&options, &fixture, fixture_path(&fixture, "run"));
    assert_int_equal(fixture_score(NULL, &options, 8, NULL), 0);
    char *text = fixture_read(&fixture, "run/difficulty.jsonl");
    struct rows rows = {.expected = text}, again = {0}, stopped = {.stop_at = 5};
    assert_int_equal(strata_run_read(options.out, NULL, on_row, &rows, NULL), 0);
    assert_int_equal(rows.count, 120);
    assert_int_equal(*rows.expected, 0);
    assert_true(rows.strata[0] > 10 && rows.strata[1] > 10);
    assert_int_equal(strata_run_read(options.out, &all, on_row, &again, NULL), 0);
    assert_int_equal(again.strata[0], rows.strata[0]);
    assert_int_not_equal(again.strata[1], rows.strata[1]);
    assert_int_equal(strata_run_read(options.out, NULL, on_row, &stopped, NULL), 77);
    assert_int_equal(stopped.count, 5);
    free(text);
    struct strata_error err;
    assert_int_not_equal(strata_run_read(fixture.directory, NULL, on_row, &again, &err), 0);
    fixture_remove(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_together_as_alone),
                                       cmocka_unit_test(test_segments_and_balance), cmocka_unit_test(test_wrong_use),
                                       cmocka_unit_test(test_newer_header), cmocka_unit_test(test_run)};
    assert_string_equal(strata_version(), STRATA_VERSION);
    return cmocka_run_group_tests(tests, open_model, close_model);
}
