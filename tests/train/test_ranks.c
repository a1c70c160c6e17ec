/* The tree in which shards are summed, on one rank (tests/cli/mpi.sh runs several). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "train/ranks.h"

#define COUNT 3

struct shards {
    float *values;
    size_t calls, failing; /* the shard that fails; 100: none */
    size_t order[8];
};

/* Sums of these depend on the order: 1e8 swallows what is small. */
static const float numbers[8] = {1e8f, 3.0f, -1e8f, 5.0f, 0.25f, 7.0f, 1e-3f, 2.0f};

static int shard(void *context, size_t index, struct strata_error *err) {
    struct shards *shards = context;
    shards->order[shards->calls++] = index;
    for (size_t i = 0; i < COUNT; i++) shards->values[i] += numbers[index] * (float)(i + 1);
    if (index != shards->failing) return 0;
    return strata_fail(err, STRATA_ERR_NUMERIC, "shard %zu", index);
}

static float tree(size_t from, size_t to, float factor) {
    if (to - from == 1) return numbers[from] * factor;
    size_t middle = from + (to - from) / 2;
    volatile float left = tree(from, middle, factor), right = tree(middle, to, factor);
    return left + right;
}

static void test_tree(void **state) {
    (void)state;
    for (size_t S = 1; S <= 8; S++) {
        float values[COUNT] = {0};
        struct shards shards = {.values = values, .failing = 100};
        struct strata_error err;
        assert_int_equal(strata_ranks_sum(NULL, values, COUNT, S, shard, &shards, &err), 0);
        assert_int_equal(shards.calls, S);
        for (size_t s = 0; s < S; s++) assert_int_equal(shards.order[s], s);
        for (size_t i = 0; i < COUNT; i++) {
            float expected = tree(0, S, (float)(i + 1));
            assert_memory_equal(&values[i], &expected, sizeof expected);
        }
    }
    /* It is not the order of one after the other. */
    volatile float in_turn = 0.0f;
    for (size_t s = 0; s < 4; s++) in_turn += numbers[s];
    assert_true(in_turn != tree(0, 4, 1.0f));
}

static void test_failing_shard(void **state) {
    float values[COUNT] = {0};
    struct shards shards = {.values = values, .failing = 1};
    struct strata_error err = {0};
    (void)state;
    assert_int_equal(strata_ranks_sum(NULL, values, COUNT, 4, shard, &shards, &err), STRATA_ERR_NUMERIC);
    assert_string_equal(err.what, "shard 1");
    assert_int_equal(shards.calls, 2); /* what follows is not computed */
}

static void test_alone(void **state) {
    struct strata_buffer mine = {0}, all = {0};
    struct strata_error err;
    size_t first, last;
    bool any = true;
    (void)state;
    assert_int_equal(strata_ranks_count(NULL), 1);
    assert_int_equal(strata_ranks_index(NULL), 0);
    strata_ranks_shards(&first, &last, NULL, 6);
    assert_int_equal(first, 0);
    assert_int_equal(last, 6);
    assert_int_equal(strata_ranks_owner(NULL, 5, 6), 0);
    strata_buffer_text(&mine, "mine");
    assert_int_equal(strata_ranks_exchange(NULL, &all, &mine, &err), 0);
    assert_string_equal(strata_buffer_string(&all), "mine");
    assert_int_equal(strata_ranks_any(&any, NULL, false, &err), 0);
    assert_false(any);
    assert_int_equal(strata_ranks_agree(NULL, STRATA_ERR_IO, &err), STRATA_ERR_IO);
    assert_false(strata_ranks_agreed(NULL));
    strata_buffer_free(&mine);
    strata_buffer_free(&all);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tree), cmocka_unit_test(test_failing_shard),
                                       cmocka_unit_test(test_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
