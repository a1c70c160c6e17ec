/* The six benchmarks from small files in their layouts to their scores: a real model (models/easyvqa-tiny), a judge
 * behind HTTP, failing judges, stopping and going on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/memory.h"
#include "engine/http.h"
#include "engine/http_server.h"
#include "engine/native.h"
#include "eval/evaluate.h"
#include "eval/own.h"

static char directory[] = "/tmp/strata-eval-XXXXXX";

/* A picture of one colour as base64. */
static void picture(struct strata_buffer *out, uint8_t red, uint8_t green, uint8_t blue) {
    uint8_t pixels[64 * 64 * 3];
    struct strata_image image = {.width = 64, .height = 64, .rgb = pixels};
    struct strata_buffer png = {0};
    for (size_t i = 0; i < sizeof pixels; i += 3) {
        pixels[i] = red;
        pixels[i + 1] = green;
        pixels[i + 2] = blue;
    }
    assert_int_equal(strata_image_encode_png(&png, &image, NULL), 0);
    strata_base64_encode(out, png.data, png.length);
    strata_buffer_free(&png);
}

/* Replaces $R and $B by pictures and writes DIRECTORY/NAME.tsv; the path is owned by the caller. */
static char *write_table(const char *name, const char *text) {
    struct strata_buffer table = {0}, path = {0};
    for (; *text; text++) {
        if (*text == '$') {
            text++;
            picture(&table, *text == 'R' ? 220 : 10, 10, *text == 'R' ? 10 : 220);
        } else {
            strata_buffer_byte(&table, (unsigned char)*text);
        }
    }
    strata_buffer_printf(&path, "%s/%s.tsv", directory, name);
    assert_int_equal(strata_file_write(path.data, table.data, table.length, NULL), 0);
    strata_buffer_free(&table);
    return path.data;
}

static const char *const tables[STRATA_BENCHMARKS] = {
    [STRATA_MATHVISTA] =
        "index\timage\tquestion\tquestion_type\tanswer_type\tanswer\tanswer_option\tchoices\ttask\tskills\n"
        "1\t$R\tWhat colour?\tmulti_choice\ttext\tred\tA\t['red', 'blue']\tfigure question answering\t['colour']\n"
        "2\t$B\tHow many?\tfree_form\tinteger\t14\t\t\tmath word problem\t['arithmetic reasoning']\n"
        "3\t1\tHow many?\tfree_form\tinteger\t3\t\t\tmath word problem\t['arithmetic reasoning']\n",
    [STRATA_MMVET] = "index\timage\tquestion\tanswer\tcategory\n"
                     "v1_0\t$R\tWhat colour?\tred<OR>crimson\trec\n"
                     "v1_1\t$B\tWhat colour?\tblue\trec,know\n",
    [STRATA_OCRBENCH] = "index\timage\tquestion\tanswer\tcategory\n"
                        "0\t$R\tread\t['answer']\tRegular Text Recognition\n"
                        "1\t$B\tread\t['nothing like it']\tDoc-oriented VQA\n",
    [STRATA_HALLUSIONBENCH] = "index\timage\timage_path\tquestion\tanswer\tcategory\tl2-category\n"
                              "VD_figure_1_0_1_0\t$R\ta.png\tIs it red?\tYes\tVD\tVD_figure\n"
                              "VD_figure_1_0_2_0\t$B\tb.png\tIs it red?\tNo\tVD\tVD_figure\n"
                              "VS_chart_0_0_0_0\t\t\tNo picture?\tNo\tVS\tVS_chart\n",
    [STRATA_MMMU] = "index\timage\timage_path\tquestion\tA\tB\tanswer\tcategory\tl2-category\tsplit\n"
                    "1\t['$R', '$B']\t['a.png', 'b.png']\tCompare <image 1> and <image 2>\tsame\tother\tB\tArt\tArt & "
                    "Design\tvalidation\n"
                    "2\t$B\tc.png\tHow many?\t\t\t24\tPhysics\tScience\tdev\n",
    [STRATA_MMSTAR] = "index\timage\tquestion\tA\tB\tC\tD\tanswer\tcategory\tl2_category\tbench\n"
                      "0\t$R\tWhich colour?\tred\tblue\tgreen\tblack\tA\tmath\tx\ty\n"
                      "1\t$B\tWhich colour?\tred\tblue\tgreen\tblack\tB\tcoarse perception\tx\ty\n",
};
static const size_t rows[STRATA_BENCHMARKS] = {3, 2, 2, 2, 2, 2};

static struct strata_engine *native(void) {
    struct strata_native_options options;
    struct strata_engine *engine = NULL;
    struct strata_error err = {0};
    strata_native_options_default(&options);
    options.model = "models/easyvqa-tiny";
    options.max_pixels = SIZE_MAX;
    options.batch = 4;
    options.memory = (size_t)256 << 20;
    if (strata_engine_native(&engine, &options, &err)) fail_msg("%s", err.what);
    return engine;
}

static struct strata_engine *judge_at(const struct server *server) {
    const char *const urls[] = {server->url};
    const struct strata_http_options options = {.urls = urls,
                                                .url_count = 1,
                                                .model = "judge",
                                                .pause = 0.01,
                                                .patience = 0.2,
                                                .attempts = 3,
                                                .identity = "judge"};
    struct strata_engine *judge = NULL;
    assert_int_equal(strata_engine_http(&judge, &options, NULL), 0);
    return judge;
}

static struct strata_eval_options options_for(enum strata_benchmark benchmark, const char *tsv,
                                              const struct strata_judge_texts *texts) {
    return (struct strata_eval_options){.benchmark = benchmark,
                                        .kit = STRATA_KIT_DEFAULT,
                                        .tsv = tsv,
                                        .out = directory,
                                        .sampling = {.top_p = 1, .repetition_penalty = 1, .max_new_tokens = 24},
                                        .judge_texts = texts,
                                        .judge_words = "ours"};
}

static json_int_t number(const json_t *result, const char *key) {
    return json_integer_value(json_object_get(result, key));
}

static uint64_t prompts(const struct strata_engine *engine) {
    struct strata_engine_stats stats;
    strata_engine_stats(engine, &stats);
    return stats.prompts;
}

/* The rows' own numbers have the printed one as their mean. */
static void check_rows(const json_t *result, const char *dataset) {
    struct strata_buffer text = {0};
    char path[128];
    double sum = 0, value = json_number_value(json_object_get(result, "value"));
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s.rows.jsonl", directory, dataset);
    assert_int_equal(strata_file_read(&text, path, 0, NULL), 0);
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *part = json_object_get(row, "headline");
        assert_non_null(part);
        count += json_is_number(part);
        sum += json_number_value(part);
        json_decref(row);
    }
    if (count && fabs(sum / (double)count - value) > 1e-9)
        fail_msg("%s: %g, not %g", dataset, sum / (double)count, value);
    assert_true(count || json_is_null(json_object_get(result, "value")));
    strata_buffer_free(&text);
}

static void test_every_layout(void **state) {
    struct strata_judge_texts texts;
    struct strata_engine *engine = native();
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.content = "0.5"}));
    struct strata_engine *judge = judge_at(&server);
    assert_int_equal(strata_judge_texts_ours(&texts, NULL), 0);
    for (int b = 0; b < STRATA_BENCHMARKS; b++) {
        char *path = write_table(strata_benchmarks[b].dataset, tables[b]);
        const struct strata_eval_options options = options_for((enum strata_benchmark)b, path, &texts);
        struct strata_engine *asked = strata_benchmarks[b].judge_tries ? judge : NULL;
        struct strata_error err = {0};
        json_t *first = NULL, *second = NULL;
        uint64_t before = prompts(engine);
        if (strata_evaluate_benchmark(&first, engine, asked, &options, &err))
            fail_msg("%s: %s (%s)", strata_benchmarks[b].name, err.what, err.where);
        assert_int_equal(number(first, "rows"), rows[b]);
        assert_int_equal(number(first, "graded"), rows[b]);
        assert_int_equal(number(first, "pending"), 0);
        assert_int_equal(prompts(engine) - before, rows[b]);
        assert_true(json_is_number(json_object_get(first, "value")) || b == STRATA_MMMU);
        check_rows(first, strata_benchmarks[b].dataset);
        if (b == STRATA_MMVET) assert_true(json_number_value(json_object_get(first, "value")) == 50.0);
        /* Again: nothing is asked, and the result is the same. */
        assert_int_equal(strata_evaluate_benchmark(&second, engine, asked, &options, &err), 0);
        assert_int_equal(prompts(engine) - before, rows[b]);
        assert_true(json_equal(first, second));
        json_decref(first);
        json_decref(second);
        free(path);
    }
    strata_judge_texts_free(&texts);
    strata_engine_destroy(judge);
    strata_engine_destroy(engine);
    server_stop(&server);
}

/* A judge that fails leaves rows pending; with a good one the same call finishes them. */
static void test_a_failing_judge_is_no_verdict(void **state) {
    struct strata_judge_texts texts;
    struct strata_engine *engine = native();
    char *path = write_table("pending", tables[STRATA_MMVET]), out[64];
    struct strata_eval_options options = options_for(STRATA_MMVET, path, &texts);
    json_t *result = NULL;
    struct strata_error err = {0};
    struct server bad, good;
    (void)state;
    snprintf(out, sizeof out, "%s/pending", directory);
    options.out = out;
    assert_int_equal(strata_judge_texts_ours(&texts, NULL), 0);
    assert_true(server_start(&bad, &(struct server_plan){.status = 500}));
    assert_true(server_start(&good, &(struct server_plan){.content = "1.0"}));
    struct strata_engine *judges[] = {judge_at(&bad), judge_at(&good)};
    assert_int_equal(strata_evaluate_benchmark(&result, engine, judges[0], &options, &err), STRATA_ERR_ENGINE);
    assert_int_equal(number(result, "pending"), 2);
    assert_int_equal(number(result, "graded"), 0);
    assert_true(json_is_null(json_object_get(result, "value")));
    assert_non_null(strstr(err.what, "500"));
    json_decref(result);
    assert_int_equal(strata_evaluate_benchmark(&result, engine, judges[1], &options, &err), 0);
    assert_int_equal(number(result, "pending"), 0);
    assert_true(json_number_value(json_object_get(result, "value")) == 100.0);
    assert_int_equal(prompts(engine), 2);
    json_decref(result);
    /* Other sampling in the same directory is refused, naming it. */
    options.sampling.max_new_tokens = 25;
    assert_int_equal(strata_evaluate_benchmark(&result, engine, judges[1], &options, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "max-new-tokens"));
    for (int i = 0; i < 2; i++) strata_engine_destroy(judges[i]);
    strata_judge_texts_free(&texts);
    strata_engine_destroy(engine);
    server_stop(&bad);
    server_stop(&good);
    free(path);
}

static void test_no_judge(void **state) {
    struct strata_judge_texts texts;
    struct strata_engine *engine = native();
    char *path = write_table("nojudge", tables[STRATA_MMVET]);
    const struct strata_eval_options options = options_for(STRATA_MMVET, path, &texts);
    struct strata_error err = {0};
    json_t *result = NULL;
    (void)state;
    assert_int_equal(strata_judge_texts_ours(&texts, NULL), 0);
    assert_int_equal(strata_evaluate_benchmark(&result, engine, NULL, &options, &err), STRATA_ERR_USAGE);
    assert_non_null(strstr(err.hint, "--judge"));
    strata_judge_texts_free(&texts);
    strata_engine_destroy(engine);
    free(path);
}

/* A torn last line, as a kill leaves it, costs that row only. */
static void test_a_torn_line(void **state) {
    struct strata_judge_texts texts;
    struct strata_engine *engine = native();
    char *path = write_table("torn", tables[STRATA_OCRBENCH]), out[64], file[128];
    struct strata_eval_options options = options_for(STRATA_OCRBENCH, path, &texts);
    json_t *first = NULL, *second = NULL;
    struct strata_buffer text = {0};
    (void)state;
    snprintf(out, sizeof out, "%s/torn", directory);
    snprintf(file, sizeof file, "%s/OCRBench.answers.jsonl", out);
    options.out = out;
    assert_int_equal(strata_judge_texts_ours(&texts, NULL), 0);
    assert_int_equal(strata_evaluate_benchmark(&first, engine, NULL, &options, NULL), 0);
    assert_int_equal(strata_file_read(&text, file, 0, NULL), 0);
    assert_int_equal(truncate(file, (off_t)text.length - 5), 0);
    assert_int_equal(strata_evaluate_benchmark(&second, engine, NULL, &options, NULL), 0);
    assert_int_equal(prompts(engine), 3);
    assert_true(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    strata_buffer_free(&text);
    strata_judge_texts_free(&texts);
    strata_engine_destroy(engine);
    free(path);
}

static void keep_warning(void *context, const char *text) {
    struct strata_buffer *all = context;
    strata_buffer_printf(all, "%s\n", text);
}

/* A row that cannot be shown, one that shares an image that is not there, one that cannot be graded: errors with their
 * place, or left out and counted; never wrong answers. */
static void test_bad_rows(void **state) {
    static const char bytes[] = "bm90IGFuIGltYWdl"; /* "not an image" */
    struct strata_judge_texts texts;
    struct strata_engine *engine = native();
    struct strata_buffer table = {0}, said = {0};
    struct strata_error err = {0};
    json_t *result = NULL;
    char out[64];
    (void)state;
    strata_buffer_text(&table, "index\timage\tquestion\tanswer\tcategory\n"
                               "0\t$R\tread\t['']\tRegular Text Recognition\n1\t");
    for (int i = 0; i < 5; i++) strata_buffer_text(&table, bytes);
    strata_buffer_text(&table, "\tread\t['']\tRegular Text Recognition\n"
                               "2\t77\tread\t['']\tRegular Text Recognition\n"
                               "3\t$B\tread\t[not 1]\tRegular Text Recognition\n"
                               "4\t0\tread\t['']\tRegular Text Recognition\n");
    char *path = write_table("bad", strata_buffer_string(&table));
    struct strata_eval_options options = options_for(STRATA_OCRBENCH, path, &texts);
    snprintf(out, sizeof out, "%s/bad", directory);
    options.out = out;
    options.on_warning = keep_warning;
    options.context = &said;
    assert_int_equal(strata_judge_texts_ours(&texts, NULL), 0);
    assert_int_equal(strata_evaluate_benchmark(&result, engine, NULL, &options, &err), STRATA_ERR_INPUT);
    assert_null(result);
    options.skip_bad = true;
    if (strata_evaluate_benchmark(&result, engine, NULL, &options, &err)) fail_msg("%s (%s)", err.what, err.where);
    assert_int_equal(number(result, "bad"), 3);
    assert_int_equal(number(result, "graded"), 2);
    assert_int_equal(number(result, "pending"), 0);
    assert_int_equal(number(json_object_get(result, "metrics"), "Final Score"), 2); /* an empty gold always hits */
    assert_non_null(strstr(said.data, "skipped: /tmp/strata-eval-"));
    for (int i = 1; i <= 3; i++) {
        char place[24];
        snprintf(place, sizeof place, "index %d", i);
        assert_non_null(strstr(said.data, place));
    }
    json_decref(result);
    strata_judge_texts_free(&texts);
    strata_buffer_free(&table);
    strata_buffer_free(&said);
    strata_engine_destroy(engine);
    free(path);
}

static void test_audit(void **state) {
    struct strata_judge_texts texts;
    char *path =
        write_table("audit", "index\timage\tquestion\tquestion_type\tanswer_type\tanswer\tanswer_option\tchoices\n"
                             "1\t$R\tq\tmulti_choice\ttext\tred\tA\t['red', 'n']\n"
                             "2\t$B\tq\tfree_form\tlist\t[1, 2]\t\t\n"
                             "3\t$B\tq\tfree_form\tfloat\t0.5\t\t\n");
    const struct strata_eval_options options = options_for(STRATA_MATHVISTA, path, &texts);
    json_t *result = NULL;
    (void)state;
    assert_int_equal(strata_eval_audit(&result, &options, NULL), 0);
    assert_int_equal(number(result, "unwinnable"), 1); /* lists can never be right */
    assert_string_equal(json_string_value(json_array_get(json_object_get(result, "unwinnable_rows"), 0)), "2");
    assert_int_equal(number(result, "won_by_silence"), 0); /* "nan" names option B, and A is right */
    assert_int_equal(number(result, "won_by_A"), 1);
    json_decref(result);
    free(path);
}

static void test_own_data(void **state) {
    static const char text[] = "{\"id\": \"a\", \"messages\": [{\"role\": \"user\", \"content\": \"1+1?\"}], "
                               "\"images\": [], \"solution\": \"2\", "
                               "\"ability\": \"sum\"}\n"
                               "{\"id\": \"b\", \"messages\": [{\"role\": \"user\", \"content\": \"2+2?\"}], "
                               "\"images\": [], \"solution\": \"4\", "
                               "\"ability\": \"sum\"}\n";
    struct strata_judge_texts texts;
    struct server server;
    char path[80], out[64];
    struct strata_error err = {0};
    json_t *result = NULL;
    (void)state;
    snprintf(path, sizeof path, "%s/own.jsonl", directory);
    snprintf(out, sizeof out, "%s/own", directory);
    assert_int_equal(strata_file_write(path, text, strlen(text), NULL), 0);
    assert_true(server_start(&server, &(struct server_plan){.content = "<answer>4</answer>"}));
    struct strata_engine *engine = judge_at(&server);
    struct strata_eval_options options = options_for(STRATA_MMSTAR, NULL, &texts);
    const struct strata_dataset_options dataset = {0};
    options.out = out;
    if (strata_evaluate_own(&result, engine, path, &dataset, STRATA_VERIFY_STRICT, &options, &err))
        fail_msg("%s (%s)", err.what, err.where);
    const json_t *all = json_object_get(json_object_get(result, "metrics"), "all");
    assert_true(json_number_value(json_object_get(all, "accuracy")) == 0.5);
    json_decref(result);
    strata_engine_destroy(engine);
    server_stop(&server);
}

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state) {
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layout), cmocka_unit_test(test_a_failing_judge_is_no_verdict),
        cmocka_unit_test(test_no_judge),     cmocka_unit_test(test_a_torn_line),
        cmocka_unit_test(test_bad_rows),     cmocka_unit_test(test_audit),
        cmocka_unit_test(test_own_data),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
