/* Contract 2 on a model that crosses every block: 2 layers of 896, FFN 4,864, vocabulary 151,936, a prompt of 1,200
 * tokens; pieces of 1-9, 63-65 and 320 rows. Log-probs and attention masses of a 320-token response must be the same
 * bits however it is cut, generated or scored, on one thread or two. */
#include <math.h>
#include <unistd.h>

#include "model/init.h"
#include "native_support.h"

/* Sanitizers make the products some ten times slower: they get a shorter response and fewer cuts. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#define RESPONSE  70
#else
#define SANITIZED 0
#define RESPONSE  320
#endif
#define GENERATED (SANITIZED ? 2 : 12)

#define TYPES 4 /* what is computed with and how weights are kept: see below */

struct setup {
    char directory[64];
    struct test_prompt prompt;
    char *question;
    int32_t response[RESPONSE];
    struct strata_result baseline[TYPES];
};
static const char *const compute_types[TYPES] = {"f32", "bf16", "bf16", "f32"};
static const char *const weight_types[TYPES] = {"auto", "auto", "int8", "int8"};

static struct strata_native_options options_of(const struct setup *setup, size_t type) {
    struct strata_native_options options;
    strata_native_options_default(&options);
    options.model = setup->directory;
    options.compute = compute_types[type];
    options.weights = weight_types[type];
    options.memory = (size_t)1 << 28;
    options.threads = 2;
    options.batch = 9;
    return options;
}

static struct strata_result score(struct setup *setup, size_t type, size_t chunk, size_t threads) {
    struct strata_native_options options = options_of(setup, type);
    options.prefill_chunk = chunk;
    options.threads = threads;
    struct strata_engine *engine = open_engine(&options);
    struct strata_request request = made_request(&setup->prompt, 0, 1.0f, 1);
    request.forced_ids = setup->response;
    request.forced_count = RESPONSE;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    struct strata_result result = next_result(engine);
    strata_engine_destroy(engine);
    return result;
}

static int make_model(void **state) {
    struct setup *setup = calloc(1, sizeof *setup);
    struct strata_error err;
    snprintf(setup->directory, sizeof setup->directory, "/tmp/strata-large-XXXXXX");
    assert_non_null(mkdtemp(setup->directory));
    struct strata_threads *threads;
    assert_int_equal(strata_threads_create(&threads, 2, &err), 0);
    int code = strata_model_init(setup->directory, "block", "models/easyvqa-tiny", 3, STRATA_DTYPE_BF16, threads, &err);
    strata_threads_destroy(threads);
    if (code) {
        char line[1400];
        fail_msg("%s", strata_error_line(&err, line, sizeof line));
    }
    /* A letter or digit behind a space takes two tokens of this tokenizer. */
    setup->question = calloc(1, 2000);
    strcpy(setup->question, "<image>");
    for (size_t i = 0; i < 560; i++) strcat(setup->question, i % 3 ? " x" : " 7");
    snprintf(setup->prompt.id, sizeof setup->prompt.id, "large");
    setup->prompt.messages[0] = (struct strata_message){STRATA_ROLE_USER, setup->question};
    setup->prompt.message_count = 1;
    setup->prompt.images[0] = made_image("large", 220, 200);
    setup->prompt.image_count = 1;
    struct strata_random random = strata_random_make(1, "response", STRATA_PURPOSE_TEST, 0, 0);
    for (size_t n = 0; n < RESPONSE; n++) setup->response[n] = (int32_t)strata_random_below(&random, n, 151936);
    *state = setup;
    for (size_t type = 0; type < TYPES; type++) setup->baseline[type] = score(setup, type, 512, 2);
    print_message("prompt of %zu tokens\n", setup->baseline[0].prompt_tokens);
    assert_in_range(setup->baseline[0].prompt_tokens, 1150, 1250);
    return 0;
}

static int drop_model(void **state) {
    struct setup *setup = *state;
    static const char *const files[] = {"config.json",          "generation_config.json",   "model.safetensors",
                                        "tokenizer.json",       "preprocessor_config.json", "chat_template.json",
                                        "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", setup->directory, files[i]);
        unlink(path);
    }
    rmdir(setup->directory);
    for (size_t type = 0; type < TYPES; type++) strata_result_free(&setup->baseline[type]);
    strata_image_free(&setup->prompt.images[0]);
    free(setup->question);
    free(setup);
    return 0;
}

static void test_rows_of_every_cut(void **state) {
    struct setup *setup = *state;
    static const struct {
        size_t type, chunk, threads;
    } cuts[] = {{1, 320, 1}, {1, 65, 2}, {1, 64, 2},  {1, 63, 2}, {1, 9, 2}, {0, 320, 2},
                {0, 65, 1},  {0, 7, 2},  {2, 320, 1}, {2, 63, 2}, {2, 7, 2}, {3, 65, 2}};
    for (size_t i = SANITIZED ? 4 : 0; i < sizeof cuts / sizeof *cuts; i += SANITIZED ? 2 : 1) {
        struct strata_result result = score(setup, cuts[i].type, cuts[i].chunk, cuts[i].threads);
        assert_same_result(&result, &setup->baseline[cuts[i].type]);
        strata_result_free(&result);
    }
}

/* M = 1 .. 9 draws decode together; each is then scored alone and must have the same bits. */
static void check_one_to_nine_rows(struct setup *setup, size_t type) {
    struct strata_native_options options = options_of(setup, type);
    struct strata_engine *engine = open_engine(&options);
    for (uint32_t M = SANITIZED ? 9 : 1; M <= 9; M += 2) {
        struct strata_request request = made_request(&setup->prompt, 0, 1.0f, GENERATED);
        struct strata_result results[9];
        request.draws = M;
        assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
        for (uint32_t d = 0; d < M; d++) {
            struct strata_result result = next_result(engine);
            results[result.draw] = result;
        }
        for (uint32_t d = 0; d < M; d += 4) {
            struct strata_request forced = made_request(&setup->prompt, 0, 1.0f, 1);
            forced.forced_ids = results[d].ids;
            forced.forced_count = results[d].N;
            assert_int_equal(strata_engine_submit(engine, &forced, NULL), 0);
            struct strata_result again = next_result(engine);
            assert_same_result(&again, &results[d]);
            strata_result_free(&again);
        }
        for (uint32_t d = 0; d < M; d++) strata_result_free(&results[d]);
    }
    strata_engine_destroy(engine);
}

static void test_one_to_nine_rows(void **state) {
    check_one_to_nine_rows(*state, 1);
}
static void test_one_to_nine_rows_int8(void **state) {
    check_one_to_nine_rows(*state, 2);
}
/* The form of the weights is part of the identity; each loses something. */
static void test_int8_is_named(void **state) {
    struct setup *setup = *state;
    struct strata_native_options options = options_of(setup, 2);
    struct strata_engine *engine = open_engine(&options);
    struct strata_native_plan plan;
    strata_native_plan(&plan, engine);
    assert_string_equal(plan.weights, "int8");
    assert_non_null(strstr(strata_engine_identity(engine), " weights=int8 "));
    strata_engine_destroy(engine);
    options = options_of(setup, 1);
    options.weights = "int4";
    struct strata_error err;
    assert_int_equal(strata_engine_native(&engine, &options, &err), STRATA_ERR_USAGE);
    const float *bf16 = setup->baseline[1].logprobs, *int8 = setup->baseline[2].logprobs;
    double worst = 0.0;
    for (size_t n = 0; n < RESPONSE; n++) worst = fmax(worst, fabs((double)int8[n] - (double)bf16[n]));
    print_message("int8 moves a log-prob by at most %.3g\n", worst);
    assert_true(worst > 0.0 && worst < 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_every_cut),
        cmocka_unit_test(test_one_to_nine_rows),
        cmocka_unit_test(test_one_to_nine_rows_int8),
        cmocka_unit_test(test_int8_is_named),
    };
    return cmocka_run_group_tests(tests, make_model, drop_model);
}
