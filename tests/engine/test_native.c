/* The native engine on the shipped model: what comes out depends on the request alone, bit for bit (contracts 1 and
 * 2), whatever the threads, the batch, the chunking, the order, and whether a response is generated or scored. */
#include <math.h>

#include <dirent.h>
#include <unistd.h>

#include "native_support.h"

#define MODEL   "models/easyvqa-tiny"
#define PROMPTS 6
#define DRAWS   3

struct setup {
    struct test_prompt prompts[PROMPTS];
    struct strata_result baseline[PROMPTS][DRAWS];
};

static struct strata_native_options plain_options(void) {
    struct strata_native_options options;
    strata_native_options_default(&options);
    options.model = MODEL;
    options.compute = "f32";
    options.threads = 1;
    options.batch = 1;
    options.memory = (size_t)1 << 28;
    options.feature_cache = SIZE_MAX;
    options.no_shared_prefix = true;
    return options;
}

static struct strata_request draw_request(const struct setup *setup, size_t prompt, size_t draw) {
    struct strata_request request = made_request(&setup->prompts[prompt], prompt * DRAWS + draw, 1.0f, 24);
    request.first_draw = (uint32_t)draw;
    request.stream = (uint32_t)prompt;
    return request;
}

/* One at a time, one thread, a batch of one. */
static int make_baseline(void **state) {
    struct setup *setup = calloc(1, sizeof *setup);
    struct strata_native_options options = plain_options();
    struct strata_engine *engine = open_engine(&options);
    assert_int_equal(made_prompts(setup->prompts), PROMPTS);
    for (size_t p = 0; p < PROMPTS; p++) {
        for (size_t d = 0; d < DRAWS; d++) {
            struct strata_request request = draw_request(setup, p, d);
            assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
            setup->baseline[p][d] = next_result(engine);
        }
    }
    strata_engine_destroy(engine);
    *state = setup;
    return 0;
}

static int drop_baseline(void **state) {
    struct setup *setup = *state;
    for (size_t p = 0; p < PROMPTS; p++) {
        for (size_t d = 0; d < DRAWS; d++) strata_result_free(&setup->baseline[p][d]);
    }
    prompts_free(setup->prompts, PROMPTS);
    free(setup);
    return 0;
}

/* Everything at once, in an order shuffled by `order`. */
static void run_together(const struct setup *setup, const struct strata_native_options *options, uint32_t order) {
    struct strata_engine *engine = open_engine(options);
    struct strata_random random = strata_random_make(order, "order", STRATA_PURPOSE_TEST, 0, 0);
    uint64_t items[PROMPTS * DRAWS];
    for (size_t i = 0; i < PROMPTS * DRAWS; i++) items[i] = i;
    strata_random_shuffle(&random, items, PROMPTS * DRAWS);
    for (size_t i = 0; i < PROMPTS * DRAWS; i++) {
        struct strata_request request = draw_request(setup, items[i] / DRAWS, items[i] % DRAWS);
        assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    }
    for (size_t i = 0; i < PROMPTS * DRAWS; i++) {
        struct strata_result result = next_result(engine);
        assert_same_result(&result, &setup->baseline[result.tag / DRAWS][result.tag % DRAWS]);
        strata_result_free(&result);
    }
    strata_engine_destroy(engine);
}

static void test_threads_batches_chunks_and_order(void **state) {
    static const size_t threads[] = {1, 2, 2, 3, 2}, batches[] = {8, 7, 1, 32, 13}, chunks[] = {512, 5, 64, 1, 63};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        struct strata_native_options options = plain_options();
        options.threads = threads[i];
        options.batch = batches[i];
        options.prefill_chunk = chunks[i];
        run_together(*state, &options, (uint32_t)i);
    }
}

static void remove_directory(const char *path) {
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char name[512];
        snprintf(name, sizeof name, "%s/%.255s", path, entry->d_name);
        if (entry->d_name[0] != '.') assert_int_equal(unlink(name), 0);
    }
    closedir(directory);
    assert_int_equal(rmdir(path), 0);
}

/* Shared prefixes and kept features save work and change nothing, also when memory is so short that prefixes go again.
 */
static void test_caches_change_nothing(void **state) {
    const struct setup *setup = *state;
    struct strata_native_plan plan;
    struct strata_native_options options = plain_options();
    options.no_shared_prefix = false;
    options.feature_cache = 0;
    char directory[] = "/tmp/strata-features-XXXXXX";
    assert_non_null(mkdtemp(directory));
    for (size_t round = 0; round < 3; round++) {
        options.batch = round ? 3 : 1;
        if (round == 2) {
            options.memory = 6 * plan.page_bytes;
            options.feature_cache = 40000; /* a few images' features */
        }
        /* The last round finds on disk what the others left there. */
        options.feature_files = directory;
        struct strata_engine *engine = open_engine(&options);
        strata_native_plan(&plan, engine);
        for (size_t i = 0; i < 2 * PROMPTS; i++) {
            struct strata_request request = draw_request(setup, i % PROMPTS, 0);
            request.images_once = i % 5 == 4;
            assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
        }
        for (size_t i = 0; i < 2 * PROMPTS; i++) {
            struct strata_result result = next_result(engine);
            assert_same_result(&result, &setup->baseline[result.tag / DRAWS][0]);
            strata_result_free(&result);
        }
        struct strata_engine_stats stats;
        strata_engine_stats(engine, &stats);
        if (round < 2) assert_true(stats.shared_prefix_tokens > 0 && stats.reused_images > 0);
        /* Images shown once are not kept; the last round's memory is too small to keep any, the files are not. */
        if (round == 2) assert_true(stats.reused_images > 0);
        strata_engine_destroy(engine);
    }
    remove_directory(directory);
}

static void test_shared_prompt_equals_alone(void **state) {
    const struct setup *setup = *state;
    struct strata_native_options options = plain_options();
    options.batch = 2; /* fewer slots than draws: the third joins when one leaves */
    struct strata_engine *engine = open_engine(&options);
    for (size_t p = 0; p < PROMPTS; p++) {
        struct strata_request request = draw_request(setup, p, 0);
        request.draws = DRAWS;
        assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    }
    for (size_t i = 0; i < PROMPTS * DRAWS; i++) {
        struct strata_result result = next_result(engine);
        assert_same_result(&result, &setup->baseline[result.tag / DRAWS][result.draw]);
        strata_result_free(&result);
    }
    strata_engine_destroy(engine);
}

static void test_scoring_equals_generating(void **state) {
    const struct setup *setup = *state;
    static const size_t chunks[] = {512, 1, 7, 64};
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
        struct strata_native_options options = plain_options();
        options.batch = 8;
        options.prefill_chunk = chunks[c];
        struct strata_engine *engine = open_engine(&options);
        for (size_t p = 0; p < PROMPTS; p++) {
            struct strata_request request = draw_request(setup, p, 0);
            request.forced_ids = setup->baseline[p][0].ids;
            request.forced_count = setup->baseline[p][0].N;
            assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
        }
        for (size_t p = 0; p < PROMPTS; p++) {
            struct strata_result result = next_result(engine);
            assert_same_result(&result, &setup->baseline[result.tag / DRAWS][0]);
            strata_result_free(&result);
        }
        strata_engine_destroy(engine);
    }
}

static void test_draws_differ_and_masses_sum(void **state) {
    const struct setup *setup = *state;
    size_t different = 0;
    for (size_t p = 0; p < PROMPTS; p++) {
        const struct strata_result *a = &setup->baseline[p][0], *b = &setup->baseline[p][1];
        different += a->N != b->N || memcmp(a->ids, b->ids, a->N * sizeof *a->ids) != 0;
        const struct strata_attention *attention = a->attention;
        for (size_t row = 0; row < attention->L * attention->N; row++) {
            float sum = 0.0f;
            for (size_t s = 0; s < attention->S; s++) sum += attention->masses[row * attention->S + s];
            /* The rest goes to the response tokens; the first row sees none. */
            assert_true(sum > 0.0f && sum <= 1.0f + 1e-5f);
            if (row % attention->N == 0) assert_true(fabsf(sum - 1.0f) < 1e-5f);
        }
    }
    assert_true(different > 0);
}

static void test_vision_placeholders_are_never_sampled(void **state) {
    const struct setup *setup = *state;
    struct strata_native_options options = plain_options();
    options.batch = 32;
    struct strata_engine *engine = open_engine(&options);
    const struct strata_model *model = strata_native_model(engine);
    struct strata_request request = made_request(&setup->prompts[1], 0, 50.0f, 64); /* nearly uniform */
    request.draws = 32;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    for (size_t d = 0; d < 32; d++) {
        struct strata_result result = next_result(engine);
        for (size_t n = 0; n < result.N; n++) {
            for (size_t i = 0; i < 5; i++) assert_int_not_equal(result.ids[n], model->placeholder_ids[i]);
        }
        strata_result_free(&result);
    }
    strata_engine_destroy(engine);
}

static void test_limits_and_refusals(void **state) {
    const struct setup *setup = *state;
    struct strata_native_options options = plain_options();
    struct strata_engine *engine = open_engine(&options);
    struct strata_error err;
    struct strata_request request = made_request(&setup->prompts[1], 0, 0.0f, 3);
    assert_int_equal(strata_engine_submit(engine, &request, &err), 0);
    struct strata_result result = next_result(engine);
    assert_int_equal(result.N, 3);
    assert_int_equal(result.finish, STRATA_FINISH_LENGTH);
    strata_result_free(&result);
    char *longer = malloc(20001);
    memset(longer, 'x', 20000);
    longer[20000] = '\0';
    struct strata_message message = {STRATA_ROLE_USER, longer};
    request.messages = &message;
    request.message_count = 1;
    request.images = NULL;
    request.image_count = 0;
    assert_int_equal(strata_engine_submit(engine, &request, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "2047"));
    free(longer);
    request = made_request(&setup->prompts[1], 0, NAN, 3);
    assert_int_equal(strata_engine_submit(engine, &request, &err), STRATA_ERR_USAGE);
    request = made_request(&setup->prompts[1], 0, 0.0f, 3);
    int32_t outside = 5000;
    request.forced_ids = &outside;
    request.forced_count = 1;
    assert_int_equal(strata_engine_submit(engine, &request, &err), STRATA_ERR_INPUT);
    bool got = true;
    assert_int_equal(strata_engine_poll(engine, &result, &got, &err), 0);
    assert_false(got);
    strata_engine_destroy(engine);
    options.memory = 1000;
    assert_int_equal(strata_engine_native(&engine, &options, &err), STRATA_ERR_MEMORY);
}

static void test_cancelled_requests_leave_the_others_alone(void **state) {
    const struct setup *setup = *state;
    struct strata_native_options options = plain_options();
    options.batch = 4;
    struct strata_engine *engine = open_engine(&options);
    for (size_t p = 0; p < PROMPTS; p++) {
        struct strata_request request = draw_request(setup, p, 0);
        request.draws = 2;
        assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    }
    struct strata_result first = next_result(engine);
    for (size_t p = 1; p < PROMPTS; p += 2) strata_engine_cancel(engine, p * DRAWS);
    size_t left = 0;
    for (struct strata_result result = first;;) {
        assert_same_result(&result, &setup->baseline[result.tag / DRAWS][result.draw]);
        left += result.tag / DRAWS % 2 == 0;
        strata_result_free(&result);
        bool got;
        assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
        if (!got) break;
    }
    assert_int_equal(left, PROMPTS / 2 * 2);
    strata_engine_destroy(engine);
}

static void append_text(void *context, const char *text, size_t length) {
    strata_buffer_append(context, text, length);
}

static void test_streamed_text_is_the_text(void **state) {
    const struct setup *setup = *state;
    struct strata_native_options options = plain_options();
    struct strata_engine *engine = open_engine(&options);
    struct strata_buffer streamed = {0};
    struct strata_request request = made_request(&setup->prompts[1], 0, 3.0f, 64); /* odd bytes, half characters */
    request.on_text = append_text;
    request.on_text_context = &streamed;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    struct strata_result result = next_result(engine);
    assert_int_equal(streamed.length, result.text_length);
    assert_memory_equal(streamed.data, result.text, result.text_length);
    strata_result_free(&result);
    strata_buffer_free(&streamed);
    strata_engine_destroy(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_batches_chunks_and_order),
        cmocka_unit_test(test_caches_change_nothing),
        cmocka_unit_test(test_shared_prompt_equals_alone),
        cmocka_unit_test(test_scoring_equals_generating),
        cmocka_unit_test(test_draws_differ_and_masses_sum),
        cmocka_unit_test(test_vision_placeholders_are_never_sampled),
        cmocka_unit_test(test_limits_and_refusals),
        cmocka_unit_test(test_cancelled_requests_leave_the_others_alone),
        cmocka_unit_test(test_streamed_text_is_the_text),
    };
    return cmocka_run_group_tests(tests, make_baseline, drop_baseline);
}
