/* PISM's rule: parsing, strata, early stopping against the whole grid, chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "difficulty/pism.h"
#include "engine/engine.h"

static void test_need_is_exact(void **state) {
    (void)state;
    static const struct {
        const char *tau;
        unsigned draws, need;
    } cases[] = {{"0.1", 10, 1},   {"0.10", 10, 1},   {"0.1", 11, 2},   {"0.3", 10, 3},         {"0.7", 10, 7},
                 {"1", 10, 10},    {"1.0", 256, 256}, {"0.05", 20, 1},  {"0.100000001", 10, 2}, {".5", 3, 2},
                 {"0.07", 100, 7}, {"0.29", 100, 29}, {"0.57", 100, 57}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned need = 0;
        assert_int_equal(strata_pism_need(&need, cases[i].tau, cases[i].draws, NULL), 0);
        assert_int_equal(need, cases[i].need);
    }
    static const char *const bad[] = {"0",   "0.0",  "1.01", "-0.1",         "",    ".",
                                      "0,1", "1e-1", "nan",  "0.1234567890", " 0.1"};
    unsigned need;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(strata_pism_need(&need, bad[i], 10, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_pism_need(&need, "0.1", 0, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_pism_need(&need, "0.1", 257, NULL), STRATA_ERR_USAGE);
}

static void test_texts(void **state) {
    (void)state;
    unsigned ratios = 0, low = 0, high = 0, bits = 0;
    assert_int_equal(strata_pism_ratios(&ratios, "0,0.3,0.90", NULL), 0);
    assert_int_equal(ratios, 1u << 0 | 1u << 3 | 1u << 9);
    static const char *const bad[] = {"0.1,0.2", "0,0.15", "0,1.0", "0,0.3,0.2", "0,0.3,0.3", "", "0,", "0,x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(strata_pism_ratios(&ratios, bad[i], NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_pism_bands(&low, &high, "0.2,0.5", NULL), 0);
    assert_int_equal(low, 2);
    assert_int_equal(high, 5);
    assert_int_equal(strata_pism_bands(&low, &high, "0.5,0.5", NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_pism_bands(&low, &high, "0.5", NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_stratum_set(&bits, "mid,hard", NULL), 0);
    assert_int_equal(bits, 1u << STRATA_STRATUM_MEDIUM | 1u << STRATA_STRATUM_HARD);
    assert_int_equal(strata_stratum_set(&bits, "all", NULL), 0);
    assert_int_equal(bits, 15);
    assert_int_equal(strata_stratum_set(&bits, "mild", NULL), STRATA_ERR_USAGE);
}

static void test_bounds(void **state) {
    (void)state;
    struct strata_pism_rule rule;
    strata_pism_rule_default(&rule);
    static const enum strata_stratum closed[] = {
        STRATA_STRATUM_UNSOLVED, STRATA_STRATUM_HARD,   STRATA_STRATUM_HARD, STRATA_STRATUM_HARD, STRATA_STRATUM_HARD,
        STRATA_STRATUM_MEDIUM,   STRATA_STRATUM_MEDIUM, STRATA_STRATUM_EASY, STRATA_STRATUM_EASY, STRATA_STRATUM_EASY};
    for (int i = 0; i < 10; i++) {
        rule.easy_open = false;
        assert_int_equal(strata_pism_stratum(&rule, i), closed[i]);
        rule.easy_open = true;
        assert_int_equal(strata_pism_stratum(&rule, i), i == 7 ? STRATA_STRATUM_MEDIUM : closed[i]);
    }
    assert_int_equal(strata_pism_stratum(&rule, -1), STRATA_STRATUM_EASY);
}

/* By hand, K = 10: p 1/4 has P(X >= 5) = 7.8 %, P(X >= 6) = 2.0 %; p 1/2 has P(X >= 8) = 5.5 %, P(X >= 9) = 1.1 %;
 * p 1/3 has P(X >= 6) = 7.7 %, P(X >= 7) = 2.0 %. Then everything against the plain sum in long double. */
static void test_chance_need(void **state) {
    (void)state;
    assert_int_equal(strata_pism_chance_need(10, 0.25), 6);
    assert_int_equal(strata_pism_chance_need(10, 0.5), 9);
    assert_int_equal(strata_pism_chance_need(10, 1.0 / 3), 7);
    assert_int_equal(strata_pism_chance_need(4, 0.5), 5); /* even 4 of 4 is 6.25 % */
    assert_int_equal(strata_pism_chance_need(5, 0.5), 5);
    assert_int_equal(strata_pism_chance_need(256, 0.001), 2);
    for (unsigned K = 1; K <= 40; K++) {
        for (int percent = 1; percent < 100; percent += 7) {
            long double p = (long double)percent / 100, tail = 0;
            unsigned need = K + 1;
            for (unsigned c = K; c > 0; c--) {
                long double term = 1;
                for (unsigned i = 0; i < c; i++) term *= p * (long double)(K - i) / (long double)(c - i);
                for (unsigned i = c; i < K; i++) term *= 1 - p;
                tail += term;
                if (tail > 0.05L) break;
                need = c;
            }
            assert_int_equal(strata_pism_chance_need(K, (double)p), need);
        }
    }
}

/* A whole grid of answers, and what the method's definition says of it, written as plainly as possible. */
struct grid {
    bool right[STRATA_PISM_RATIOS][STRATA_PISM_MAX_DRAWS];
};

static int grid_lambda_star(const struct grid *grid, const struct strata_pism_rule *rule, unsigned need) {
    for (int i = 0; i < STRATA_PISM_RATIOS; i++) {
        unsigned right = 0;
        if (!(rule->ratios >> i & 1)) continue;
        for (unsigned k = 0; k < rule->draws; k++) right += grid->right[i][k];
        if (right < need) return i;
    }
    return -1;
}

/* Draws that the sequential rule makes for tau alone. */
static unsigned grid_draws(const struct grid *grid, const struct strata_pism_rule *rule) {
    unsigned draws = 0;
    for (unsigned i = 0; i < STRATA_PISM_RATIOS; i++) {
        if (!(rule->ratios >> i & 1)) continue;
        unsigned right = 0, drawn = 0;
        while (drawn < rule->draws) {
            if (i > 0 && (right >= rule->need || right + (rule->draws - drawn) < rule->need)) break;
            right += grid->right[i][drawn++];
        }
        draws += drawn;
        if (right < rule->need) break;
    }
    return draws;
}

/* Plays a sample to its end with the grid's answers: many draws in flight, answered in a shuffled order, some lost. */
static void play(struct strata_pism *sample, const struct grid *grid, const struct strata_pism_rule *rule,
                 unsigned speculate_percent, struct strata_random random) {
    struct {
        unsigned tenths, draw;
    } flight[STRATA_PISM_RATIOS * STRATA_PISM_MAX_DRAWS];
    size_t in_flight = 0;
    uint64_t number = 0;
    for (;;) {
        unsigned tenths, draw, count;
        bool speculate = strata_random_below(&random, number++, 100) < speculate_percent;
        if (in_flight < 12 && strata_pism_next(sample, rule, speculate, &tenths, &draw, &count)) {
            assert_true(count == 1 || tenths == 0);
            for (unsigned k = draw; k < draw + count; k++) {
                assert_int_equal(sample->state[tenths][k], STRATA_DRAW_OPEN);
                flight[in_flight].tenths = tenths;
                flight[in_flight++].draw = k;
            }
            strata_pism_ask(sample, tenths, draw, count);
            continue;
        }
        if (in_flight == 0) return;
        size_t chosen = (size_t)strata_random_below(&random, number++, in_flight);
        unsigned i = flight[chosen].tenths, k = flight[chosen].draw;
        flight[chosen] = flight[--in_flight];
        if (strata_random_below(&random, number++, 20) == 0)
            strata_pism_reopen(sample, i, k);
        else
            strata_pism_answer(sample, i, k, grid->right[i][k]);
    }
}

/* Early stopping, with and without speculation and chance, tells exactly what the whole grid tells, and counts what the
 * sequential rule counts, whatever the settings. */
static void test_every_setting_against_the_grid(void **state) {
    (void)state;
    for (uint32_t trial = 0; trial < 4000; trial++) {
        struct strata_random random = strata_random_make(7, "settings", STRATA_PURPOSE_TEST, trial, 0);
        struct strata_pism_rule rule;
        strata_pism_rule_default(&rule);
        rule.draws = 1 + (unsigned)strata_random_below(&random, 0, 16);
        rule.need = 1 + (unsigned)strata_random_below(&random, 1, rule.draws);
        rule.ratios = 1 | (unsigned)strata_random_below(&random, 2, 1024);
        rule.full_curve = strata_random_below(&random, 3, 8) == 0;
        unsigned chance_need = (unsigned)strata_random_below(&random, 4, 18);
        static struct grid grid;
        for (unsigned i = 0; i < 10; i++) {
            double p = strata_random_uniform(&random, 100 + i);
            for (unsigned k = 0; k < rule.draws; k++)
                grid.right[i][k] = strata_random_uniform(&random, 1000 + 100 * i + k) < p;
        }
        struct strata_pism_outcome outcomes[3];
        for (unsigned variant = 0; variant < 3; variant++) {
            struct strata_pism sample = {.chance_need = variant == 2 ? chance_need : 0};
            play(&sample, &grid, &rule, variant == 0 ? 0 : 60,
                 strata_random_make(8, "play", STRATA_PURPOSE_TEST, trial, variant));
            strata_pism_read(&outcomes[variant], &sample, &rule);
            assert_true(outcomes[variant].finished);
            assert_int_equal(outcomes[variant].lambda_star, grid_lambda_star(&grid, &rule, rule.need));
            if (variant == 0) assert_int_equal(outcomes[0].extra, 0);
        }
        if (rule.full_curve)
            assert_int_equal(outcomes[0].draws, rule.draws * (unsigned)__builtin_popcount(rule.ratios));
        else
            assert_int_equal(outcomes[0].draws, grid_draws(&grid, &rule));
        assert_int_equal(outcomes[0].draws + outcomes[0].draws_saved, rule.draws * outcomes[0].curve_count);
        assert_int_equal(outcomes[1].draws, outcomes[0].draws);
        for (unsigned i = 0; i < outcomes[0].curve_count; i++) {
            assert_int_equal(outcomes[1].curve[i].right, outcomes[0].curve[i].right);
            assert_int_equal(outcomes[1].curve[i].drawn, outcomes[0].curve[i].drawn);
            assert_int_equal(outcomes[1].curve[i].decided, outcomes[0].curve[i].decided);
        }
        if (chance_need > 0 && chance_need <= rule.draws)
            assert_int_equal(outcomes[2].chance_lambda_star, grid_lambda_star(&grid, &rule, chance_need));
        else
            assert_int_equal(outcomes[2].chance_stratum, STRATA_STRATUM_NOT_APPLICABLE);
    }
}

/* Early stopping of one sample through the engine's door. */
static void score_one(struct strata_pism *sample, struct strata_engine *engine, const struct strata_pism_rule *rule,
                      const char *id, bool speculate) {
    struct strata_request request = {
        .sample_id = id,
        .seed = 5,
        .purpose = STRATA_PURPOSE_TOKEN,
        .solution = "yes",
        .sampling = {.temperature = 0.7f, .top_p = 1, .repetition_penalty = 1, .max_new_tokens = 16}};
    unsigned tenths, draw, count;
    for (;;) {
        while (strata_pism_next(sample, rule, speculate, &tenths, &draw, &count) &&
               strata_engine_has_room(engine, count)) {
            strata_pism_ask(sample, tenths, draw, count);
            request.tag = request.stream = tenths;
            request.first_draw = draw;
            request.draws = count;
            assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
        }
        struct strata_result result;
        bool got;
        assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
        if (!got) return;
        strata_pism_answer(sample, (unsigned)result.tag, result.draw, strcmp(result.text, "<answer>yes</answer>") == 0);
        strata_result_free(&result);
    }
}

/* 100,000 samples: early stopping through the engine's door against the whole grid of each. */
static void test_a_hundred_thousand_samples(void **state) {
    (void)state;
    enum { SAMPLES = 100000, BATCH = 16 };
    struct strata_engine *engine;
    struct strata_pism_rule rule;
    uint64_t strata[STRATA_STRATA] = {0}, draws = 0, saved = 0, extra = 0;
    double begin = strata_seconds();
    strata_pism_rule_default(&rule);
    assert_int_equal(strata_engine_scripted(&engine, 11, BATCH, NULL), 0);
    for (uint32_t s = 0; s < SAMPLES; s++) {
        char id[24];
        static struct grid grid;
        snprintf(id, sizeof id, "s-%u", s);
        for (unsigned i = 0; i < 10; i++) {
            double p = strata_scripted_probability(11, id, i);
            for (unsigned k = 0; k < 10; k++) {
                struct strata_random answer = strata_random_make(5, id, STRATA_PURPOSE_TOKEN, i, k);
                grid.right[i][k] = strata_random_uniform(&answer, 0) < p;
            }
        }
        struct strata_pism sample = {0};
        struct strata_pism_outcome outcome;
        score_one(&sample, engine, &rule, id, s % 8 == 0);
        strata_pism_read(&outcome, &sample, &rule);
        assert_true(outcome.finished);
        assert_int_equal(outcome.stratum, strata_pism_stratum(&rule, grid_lambda_star(&grid, &rule, rule.need)));
        assert_int_equal(outcome.draws, grid_draws(&grid, &rule));
        strata[outcome.stratum]++;
        draws += outcome.draws;
        saved += outcome.draws_saved;
        extra += outcome.extra;
    }
    strata_engine_destroy(engine);
    print_message(
        "100,000 samples in %.1f s: %u unsolved, %u hard, %u medium, %u easy; %u draws, %u saved (%.1f %%), %u "
        "speculative; each stratum equals the whole grid's\n",
        strata_seconds() - begin, (unsigned)strata[0], (unsigned)strata[1], (unsigned)strata[2], (unsigned)strata[3],
        (unsigned)draws, (unsigned)saved, 100.0 * (double)saved / (double)(draws + saved), (unsigned)extra);
    for (int i = 0; i < 4; i++) assert_true(strata[i] >= SAMPLES / 10);
}

static void test_what_may_be_asked(void **state) {
    (void)state;
    struct strata_pism_rule rule;
    struct strata_pism sample = {0};
    struct strata_pism_outcome outcome;
    unsigned tenths, draw, count;
    strata_pism_rule_default(&rule);
    strata_pism_read(&outcome, &sample, &rule);
    assert_false(outcome.finished);
    assert_int_equal(outcome.stratum, STRATA_STRATUM_PENDING);
    assert_true(strata_pism_next(&sample, &rule, false, &tenths, &draw, &count));
    assert_true(tenths == 0 && draw == 0 && count == 10); /* one request: the ten share a prompt */
    strata_pism_ask(&sample, 0, 0, 10);
    assert_false(strata_pism_next(&sample, &rule, false, &tenths, &draw, &count));
    for (unsigned k = 0; k < 9; k++) strata_pism_answer(&sample, 0, k, true);
    strata_pism_read(&outcome, &sample, &rule);
    assert_false(outcome.finished); /* ratio 0 runs all its draws */
    strata_pism_answer(&sample, 0, 9, false);
    assert_true(strata_pism_next(&sample, &rule, false, &tenths, &draw, &count));
    assert_true(tenths == 1 && draw == 0 && count == 1);
    strata_pism_ask(&sample, 1, 0, 1);
    assert_false(strata_pism_next(&sample, &rule, false, &tenths, &draw, &count));
    /* Mostly right so far: the first draw of the next ratio; mostly wrong: the second of this one. */
    assert_true(strata_pism_next(&sample, &rule, true, &tenths, &draw, &count));
    assert_true(tenths == 2 && draw == 0 && count == 1);
    for (unsigned k = 1; k < 9; k++) strata_pism_answer(&sample, 0, k, false);
    assert_true(strata_pism_next(&sample, &rule, true, &tenths, &draw, &count));
    assert_true(tenths == 1 && draw == 1 && count == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_need_is_exact),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_chance_need),
        cmocka_unit_test(test_what_may_be_asked),
        cmocka_unit_test(test_every_setting_against_the_grid),
        cmocka_unit_test(test_a_hundred_thousand_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
