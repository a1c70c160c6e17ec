/* The scripted engine: a pure function of the request behind the engine's door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "engine/engine.h"

static struct strata_request request_of(const char *id, uint32_t ratio, uint32_t first, uint32_t draws) {
    return (struct strata_request){.tag = ratio,
                                   .sample_id = id,
                                   .seed = 3,
                                   .purpose = STRATA_PURPOSE_TOKEN,
                                   .stream = ratio,
                                   .first_draw = first,
                                   .draws = draws,
                                   .solution = "42",
                                   .sampling = {.temperature = 0.7f, .top_p = 1, .max_new_tokens = 8}};
}

/* Answers of ten draws of one sample and ratio as bits. */
static unsigned answers(size_t batch, uint32_t chunk, const char *id, uint32_t ratio) {
    struct strata_engine *engine;
    unsigned bits = 0, seen = 0;
    uint32_t asked = 0;
    bool got = true;
    assert_int_equal(strata_engine_scripted(&engine, 1, batch, NULL), 0);
    while (got) {
        while (asked < 10 && strata_engine_has_room(engine, chunk)) {
            struct strata_request request = request_of(id, ratio, asked, asked + chunk > 10 ? 10 - asked : chunk);
            assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
            asked += request.draws;
        }
        struct strata_result result;
        assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
        if (!got) break;
        bool right = strcmp(result.text, "<answer>42</answer>") == 0;
        assert_true(right || strcmp(result.text, "<answer>wrong</answer>") == 0);
        assert_int_equal(result.tag, ratio);
        assert_true(result.N > 0 && result.ids && result.finish == STRATA_FINISH_STOP);
        assert_false(seen >> result.draw & 1);
        seen |= 1u << result.draw;
        bits |= (unsigned)right << result.draw;
        strata_result_free(&result);
    }
    assert_int_equal(seen, 1023);
    strata_engine_destroy(engine);
    return bits;
}

static void test_answers_depend_on_the_request_only(void **state) {
    (void)state;
    for (uint32_t ratio = 0; ratio < 10; ratio++) {
        unsigned bits = answers(1, 1, "some-sample", ratio);
        assert_int_equal(answers(4, 1, "some-sample", ratio), bits);
        assert_int_equal(answers(64, 10, "some-sample", ratio), bits);
        assert_int_equal(answers(7, 3, "some-sample", ratio), bits);
    }
}

static void test_probability_and_frequency_agree(void **state) {
    (void)state;
    double expected = 0, right = 0;
    for (uint32_t s = 0; s < 300; s++) {
        char id[16];
        snprintf(id, sizeof id, "f%u", s);
        for (uint32_t ratio = 0; ratio < 10; ratio += 3) {
            double p = strata_scripted_probability(1, id, ratio);
            assert_true(p >= 0 && p <= 1);
            expected += 10 * p;
            right += __builtin_popcount(answers(16, 5, id, ratio));
        }
    }
    /* 12,000 draws: four standard deviations are at most 220. */
    assert_true(fabs(expected - right) < 220);
    assert_true(strata_scripted_probability(1, "f0", 0) != strata_scripted_probability(2, "f0", 0));
}

static void test_greedy_attention_and_forcing(void **state) {
    (void)state;
    struct strata_engine *engine;
    struct strata_result result;
    bool got;
    assert_int_equal(strata_engine_scripted(&engine, 1, 4, NULL), 0);
    struct strata_request request = request_of("x", 0, 0, 2);
    request.sampling.temperature = 0;
    request.want_attention = true;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    char *first = NULL;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
        assert_true(got);
        const struct strata_attention *attention = result.attention;
        assert_int_equal(attention->N, result.N);
        for (size_t row = 0; row < attention->L * attention->N; row++) {
            float sum = 0;
            for (size_t s = 0; s < attention->S; s++) sum += attention->masses[row * attention->S + s];
            assert_true(sum > 0.89f && sum < 0.91f);
        }
        uint32_t token = 0;
        for (size_t s = 0; s < attention->S; s++) {
            assert_int_equal(attention->segments[s].begin, token);
            token += attention->segments[s].count;
        }
        assert_int_equal(token, result.prompt_tokens);
        if (first) assert_string_equal(first, result.text); /* greedy: every draw the same */
        if (!first) first = strdup(result.text);
        strata_result_free(&result);
    }
    free(first);
    const int32_t ids[3] = {5, 6, 7};
    request.forced_ids = ids;
    request.forced_count = 3;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), STRATA_ERR_USAGE); /* two draws */
    request.draws = 1;
    assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
    assert_int_equal(result.N, 3);
    assert_memory_equal(result.ids, ids, sizeof ids);
    strata_result_free(&result);
    struct strata_engine_stats stats;
    strata_engine_stats(engine, &stats);
    assert_int_equal(stats.forced_tokens, 3);
    assert_int_equal(stats.peak_batch, 2);
    strata_engine_destroy(engine);
}

static void test_room_and_cancel(void **state) {
    (void)state;
    struct strata_engine *engine;
    struct strata_result result;
    bool got;
    assert_int_equal(strata_engine_scripted(&engine, 1, 4, NULL), 0);
    assert_true(strata_engine_has_room(engine, 9)); /* an empty engine takes any request */
    struct strata_request one = request_of("x", 1, 0, 3), two = request_of("y", 2, 0, 1);
    assert_int_equal(strata_engine_submit(engine, &one, NULL), 0);
    assert_true(strata_engine_has_room(engine, 1));
    assert_false(strata_engine_has_room(engine, 2));
    assert_int_equal(strata_engine_submit(engine, &two, NULL), 0);
    assert_false(strata_engine_has_room(engine, 1));
    strata_engine_cancel(engine, 1);
    assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
    assert_true(got && result.tag == 2);
    strata_result_free(&result);
    assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
    assert_false(got);
    assert_int_equal(strata_engine_submit(engine, &one, NULL), 0);
    strata_engine_destroy(engine); /* with work in flight: nothing leaks */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_depend_on_the_request_only),
        cmocka_unit_test(test_probability_and_frequency_agree),
        cmocka_unit_test(test_greedy_attention_and_forcing),
        cmocka_unit_test(test_room_and_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
