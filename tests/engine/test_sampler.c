/* The quick draw from a whole vocabulary against the definition: weights added up in the order of the ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "base/elementary.h"
#include "base/random.h"
#include "engine/sampler.h"
#include "kernels/kernels.h"

#define V 9001

static int32_t defined(const float *logits, float temperature, double uniform) {
    double total = 0.0, walked = 0.0;
    float largest = -INFINITY;
    int32_t chosen = 0;
    for (size_t i = 0; i < V; i++) largest = fmaxf(largest, logits[i] / temperature);
    for (size_t i = 0; i < V; i++) total += (double)strata_expf(logits[i] / temperature - largest);
    for (size_t i = 0; i < V; i++) {
        float weight = strata_expf(logits[i] / temperature - largest);
        if (weight <= 0.0f) continue;
        chosen = (int32_t)i;
        walked += (double)weight;
        if (walked > uniform * total) break;
    }
    return chosen;
}

static void fill(float logits[V], const struct strata_random *random, float spread) {
    for (size_t i = 0; i < V; i++) logits[i] = spread * (float)(strata_random_uniform(random, i) - 0.5);
}

static void draws_follow_the_definition(void **state) {
    static float logits[V];
    struct strata_sampler sampler;
    (void)state;
    assert_int_equal(strata_sampler_create(&sampler, V, NULL), 0);
    const float spreads[] = {0.0f, 1.0f, 20.0f, 400.0f}, temperatures[] = {1.0f, 0.7f};
    for (size_t s = 0; s < 4; s++) {
        struct strata_random random = strata_random_make(7, "draw", STRATA_PURPOSE_TOKEN, 0, (uint32_t)s);
        fill(logits, &random, spreads[s]);
        logits[5] = -INFINITY;
        for (uint64_t d = 0; d < 400; d++) {
            const struct strata_sampling sampling = {
                .temperature = temperatures[d % 2], .top_p = 1.0f, .repetition_penalty = 1.0f};
            int32_t id;
            assert_int_equal(strata_sample(&id, &sampler, logits, &sampling, NULL, NULL, 0, &random, V + d, NULL), 0);
            assert_int_equal(id, defined(logits, sampling.temperature, strata_random_uniform(&random, V + d)));
        }
    }
    strata_sampler_free(&sampler);
}

/* The same from the walk over candidates, which top-k and top-p share. */
static void all_candidates_are_no_cut(void **state) {
    static float logits[V];
    struct strata_sampler sampler;
    (void)state;
    assert_int_equal(strata_sampler_create(&sampler, V, NULL), 0);
    struct strata_random random = strata_random_make(8, "draw", STRATA_PURPOSE_TOKEN, 0, 0);
    fill(logits, &random, 12.0f);
    logits[V - 1] = -INFINITY; /* so that V - 1 candidates are all there are */
    for (uint64_t d = 0; d < 200; d++) {
        struct strata_sampling sampling = {.temperature = 0.7f, .top_p = 1.0f, .repetition_penalty = 1.0f};
        int32_t whole, cut;
        assert_int_equal(strata_sample(&whole, &sampler, logits, &sampling, NULL, NULL, 0, &random, V + d, NULL), 0);
        sampling.top_k = V - 1;
        assert_int_equal(strata_sample(&cut, &sampler, logits, &sampling, NULL, NULL, 0, &random, V + d, NULL), 0);
        assert_int_equal(whole, cut);
    }
    strata_sampler_free(&sampler);
}

static void argmax_takes_the_first_and_sees_nan(void **state) {
    static float x[V];
    (void)state;
    for (size_t at = 0; at < V; at += 13) {
        for (size_t i = 0; i < V; i++) x[i] = -2.0f - (float)(i % 7);
        x[at] = 3.0f;
        x[V - 1] = 3.0f;
        assert_int_equal(strata_argmax(x, V), at);
        x[(at * 31) % V] = NAN;
        assert_int_equal(strata_argmax(x, V), V);
    }
    for (size_t i = 0; i < V; i++) x[i] = -INFINITY;
    assert_int_equal(strata_argmax(x, V), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(draws_follow_the_definition),
                                       cmocka_unit_test(all_candidates_are_no_cut),
                                       cmocka_unit_test(argmax_takes_the_first_and_sees_nan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
