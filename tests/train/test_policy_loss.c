/* Advantages and policy losses: training.md's vectors, the golden cases, finite differences for what neither has. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"
#include "train/advantage.h"
#include "train/golden_train.h"
#include "train/policy_loss.h"

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.9g instead of %.9g (tolerance %g)", got, want, tolerance);
}

/* training.md 1.6: k correct of 8. */
static void test_binary_rewards(void **state) {
    static const double table[9][3] = {{0, 0, 0},
                                       {0.353553, 2.474174, -0.353453},
                                       {0.462910, 1.619835, -0.539945},
                                       {0.517549, 1.207381, -0.724429},
                                       {0.534522, 0.935239, -0.935239},
                                       {0.517549, 0.724429, -1.207381},
                                       {0.462910, 0.539945, -1.619835},
                                       {0.353553, 0.353453, -2.474174},
                                       {0, 0, 0}};
    (void)state;
    for (size_t k = 0; k <= 8; k++) {
        float rewards[8], advantages[8];
        bool flat;
        struct strata_advantage_options options = {0};
        struct strata_advantage_stats stats;
        for (size_t i = 0; i < 8; i++) rewards[i] = i < k ? 1.0f : 0.0f;
        assert_int_equal(strata_advantages(advantages, &flat, &stats, rewards, 1, 8, &options, NULL), 0);
        near(stats.reward_std, table[k][0], 5e-7);
        near((double)stats.reward_mean, (double)k / 8, 1e-9);
        assert_int_equal(flat, k == 0 || k == 8);
        assert_int_equal(stats.zero_variance, flat);
        for (size_t i = 0; i < 8; i++) near((double)advantages[i], table[k][i < k ? 1 : 2], 1e-6);
    }
}

static void test_fractional_rewards(void **state) {
    static const float rewards[8] = {.9f, .35f, 0, 0, .62f, .1f, 1, .2f};
    static const double want[8] = {1.264269, -0.116074, -0.994475, -0.994475, 0.561549, -0.743503, 1.515241, -0.492532};
    float advantages[8];
    struct strata_advantage_options options = {0};
    struct strata_advantage_stats stats;
    (void)state;
    assert_int_equal(strata_advantages(advantages, NULL, &stats, rewards, 1, 8, &options, NULL), 0);
    for (size_t i = 0; i < 8; i++) near((double)advantages[i], want[i], 1e-6);
    near(stats.reward_std, .3983515, 1e-7);
}

static void test_scales_and_baselines(void **state) {
    static const float rewards[8] = {1, 0, 0, 1, 0.1f, 0.1f, 0.1f, 0.1f};
    float advantages[8];
    bool flat[2];
    struct strata_advantage_stats stats;
    struct strata_advantage_options options = {.scale = STRATA_SCALE_NONE};
    (void)state;
    assert_int_equal(strata_advantages(advantages, flat, &stats, rewards, 2, 4, &options, NULL), 0);
    near((double)advantages[0], 0.5, 1e-9);
    near((double)advantages[1], -0.5, 1e-9);
    /* 0.1 has no exact mean of four in binary: still exactly zero. */
    for (size_t i = 4; i < 8; i++) assert_true(advantages[i] == 0.0f);
    assert_false(flat[0]);
    assert_true(flat[1]);
    options.leave_one_out = true; /* 1 - mean(0,0,1) = 2/3 */
    assert_int_equal(strata_advantages(advantages, flat, &stats, rewards, 2, 4, &options, NULL), 0);
    near((double)advantages[0], 2.0 / 3, 1e-7);
    near((double)advantages[1], -2.0 / 3, 1e-7);
    options = (struct strata_advantage_options){.scale = STRATA_SCALE_BATCH};
    assert_int_equal(strata_advantages(advantages, flat, &stats, rewards, 2, 4, &options, NULL), 0);
    /* std of the eight, ddof 1, by hand: mean .3, sum of squares 1.32 */
    near((double)advantages[0], 0.5 / (sqrt(1.32 / 7) + 1e-4), 1e-6);
    float bad[2] = {1, NAN};
    struct strata_error err;
    assert_int_equal(strata_advantages(advantages, NULL, &stats, bad, 1, 2, &options, &err), STRATA_ERR_NUMERIC);
    assert_int_equal(strata_advantages(advantages, NULL, &stats, bad, 1, 1, &options, &err), STRATA_ERR_USAGE);
}

/* training.md 1.8 */
static const size_t vector_begin[5] = {0, 3, 4, 6, 10};
static const float vector_logp[10] = {-.5f, -1, -.2f, -2, -.1f, -.7f, -1.5f, -.3f, -.9f, -.05f};
static const float vector_ref[10] = {-.6f, -.9f, -.2f, -1.5f, -.3f, -.7f, -1.4f, -.4f, -1.2f, -.05f};
static const float vector_old[10] = {-.5f, -1.3f, -.2f, -1.6f, -.1f, -.4f, -1.5f, -.3f, -1.3f, -.05f};
static const float vector_advantages[4] = {.935241f, -.935241f, 1.619838f, -.539946f};

static struct strata_policy_batch vector_batch(bool off) {
    return (struct strata_policy_batch){.completions = 4,
                                        .begin = vector_begin,
                                        .logp = vector_logp,
                                        .old = off ? vector_old : NULL,
                                        .ref = vector_ref,
                                        .advantages = vector_advantages};
}

static double total_loss(const struct strata_policy_sums *sums, size_t count) {
    double loss = 0.0;
    for (size_t i = 0; i < count; i++) loss += sums[i].loss;
    return loss;
}

static void test_published_vector(void **state) {
    static const struct {
        bool off;
        enum strata_loss_type type;
        double beta, loss;
    } cases[] = {{false, STRATA_LOSS_GRPO, .001, -0.26992947},    {false, STRATA_LOSS_BNPO, .001, -0.29501457},
                 {false, STRATA_LOSS_DR_GRPO, .001, -0.09219205}, {true, STRATA_LOSS_GRPO, .04, -0.26150462},
                 {true, STRATA_LOSS_BNPO, .04, -0.26299477},      {true, STRATA_LOSS_DR_GRPO, .04, -0.08218586}};
    static const double gradient[2][10] = {{-.07792882, -.07794551, -.07793675, .23364807, -.20245709, -.20247975,
                                            .03374005, .03375257, .03376282, .03374663},
                                           {-.07761954, -.00035057, -.07793675, -.00648721, -.2015734, -.15000069,
                                            .0334837, .03398453, .050992, .03374663}};
    struct strata_policy_totals totals = {.completions = 4, .tokens = 10, .rollout_tokens = 10};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct strata_policy_options options = {.type = cases[c].type,
                                                .beta = cases[c].beta,
                                                .epsilon_low = .2,
                                                .epsilon_high = .2,
                                                .max_completion_length = 8};
        struct strata_policy_batch batch = vector_batch(cases[c].off);
        struct strata_policy_sums sums[4];
        float dlogp[10];
        assert_int_equal(strata_policy_loss(dlogp, sums, &batch, &totals, &options, NULL), 0);
        near(total_loss(sums, 4), cases[c].loss, 2e-8);
        double kl = 0.0;
        for (size_t i = 0; i < 4; i++) kl += sums[i].kl;
        near(kl / 10, 0.02282869, 2e-8);
        for (size_t t = 0; cases[c].type == STRATA_LOSS_GRPO && t < 10; t++)
            near((double)dlogp[t], gradient[cases[c].off][t], 1e-7);
    }
}

/* Central differences of the loss by each log-prob, far from the clip's corners. */
static void check_differences(const struct strata_policy_options *options) {
    struct strata_policy_totals totals = {.completions = 4, .tokens = 10, .rollout_tokens = 23};
    struct strata_policy_batch batch = vector_batch(true);
    struct strata_policy_sums sums[4];
    float dlogp[10], moved[10], unused[10];
    assert_int_equal(strata_policy_loss(dlogp, sums, &batch, &totals, options, NULL), 0);
    batch.logp = moved;
    for (size_t t = 0; t < 10; t++) {
        double losses[2];
        float step[2];
        for (int side = 0; side < 2; side++) {
            memcpy(moved, vector_logp, sizeof moved);
            moved[t] += side ? -1e-3f : 1e-3f;
            step[side] = moved[t];
            assert_int_equal(strata_policy_loss(unused, sums, &batch, &totals, options, NULL), 0);
            losses[side] = total_loss(sums, 4);
        }
        near((double)dlogp[t], (losses[0] - losses[1]) / ((double)step[0] - (double)step[1]), 2e-6);
    }
}

static void test_finite_differences(void **state) {
    (void)state;
    for (int type = STRATA_LOSS_GRPO; type <= STRATA_LOSS_DAPO; type++) {
        for (int sequence = 0; sequence < 2; sequence++) {
            for (int cut = 0; cut < 2; cut++) {
                struct strata_policy_options options = {.type = (enum strata_loss_type)type,
                                                        .beta = .04,
                                                        .epsilon_low = .2,
                                                        .epsilon_high = .28,
                                                        .delta = cut ? 1.45 : 0.0,
                                                        .sequence_level = sequence,
                                                        .max_completion_length = 8};
                check_differences(&options);
            }
        }
    }
}

/* Token 8 has rho = e^0.4 = 1.49 and A < 0: the plain clip lets it through, a delta of 1.45 stops it. */
static void test_delta(void **state) {
    struct strata_policy_totals totals = {.completions = 4, .tokens = 10};
    struct strata_policy_options options = {.epsilon_low = .2, .epsilon_high = .2};
    struct strata_policy_batch batch = vector_batch(true);
    struct strata_policy_sums sums[4];
    float dlogp[10];
    (void)state;
    assert_int_equal(strata_policy_loss(dlogp, sums, &batch, &totals, &options, NULL), 0);
    near((double)dlogp[8], exp(.4) * .539946 / 16, 1e-6);
    options.delta = 1.45;
    assert_int_equal(strata_policy_loss(dlogp, sums, &batch, &totals, &options, NULL), 0);
    assert_true(dlogp[8] == 0.0f);
    assert_true(dlogp[7] != 0.0f);
}

static void test_excluded_and_cut(void **state) {
    static const bool excluded[4] = {false, true, false, true};
    struct strata_policy_totals totals = {.completions = 2, .tokens = 5, .rollout_tokens = 5};
    struct strata_policy_options options = {.epsilon_low = .2, .epsilon_high = .2, .beta = .04};
    struct strata_policy_batch batch = vector_batch(true);
    struct strata_policy_sums whole[4], part[2];
    float dlogp[10], part_dlogp[10];
    (void)state;
    batch.excluded = excluded;
    assert_int_equal(strata_policy_loss(dlogp, whole, &batch, &totals, &options, NULL), 0);
    assert_true(dlogp[3] == 0.0f && dlogp[9] == 0.0f);
    assert_int_equal(whole[1].tokens, 0);
    assert_true(whole[1].loss == 0.0 && whole[3].kl == 0.0);
    /* The same bits when the batch is cut. */
    batch.completions = 2;
    batch.begin += 2;
    batch.advantages += 2;
    batch.excluded += 2;
    assert_int_equal(strata_policy_loss(part_dlogp, part, &batch, &totals, &options, NULL), 0);
    assert_memory_equal(part_dlogp + 4, dlogp + 4, 6 * sizeof *dlogp);
    assert_memory_equal(&part[0], &whole[2], sizeof part[0]);
    float huge[10];
    memcpy(huge, vector_logp, sizeof huge);
    huge[3] = 2000.0f; /* A < 0: no clip holds it */
    batch = vector_batch(true);
    batch.logp = huge;
    struct strata_error err;
    assert_int_equal(strata_policy_loss(dlogp, whole, &batch, &totals, &options, &err), STRATA_ERR_NUMERIC);
    assert_non_null(strstr(err.what, "completion 1"));
    batch.ref = NULL;
    assert_int_equal(strata_policy_loss(dlogp, whole, &batch, &totals, &options, &err), STRATA_ERR_USAGE);
}

/* ---- the golden cases, from the golden log-probs ---- */

struct golden_grpo {
    json_t *root;
    struct strata_safetensors *file;
    size_t G, W, begin[65];
};

/* The row-padded golden tensor as ragged tokens. */
static void ragged(float *out, const struct golden_grpo *golden, const char *name) {
    const struct strata_tensor *tensor = strata_safetensors_find(golden->file, name);
    assert_non_null(tensor);
    for (size_t i = 0; i < golden->G; i++) {
        assert_int_equal(strata_tensor_floats(out + golden->begin[i], tensor, i * golden->W,
                                              golden->begin[i + 1] - golden->begin[i], NULL),
                         0);
    }
}

static void check_golden_case(const struct golden_grpo *golden, const json_t *entry) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    double temperature = json_number_value(json_object_get(entry, "temperature"));
    size_t tokens = golden->begin[golden->G];
    float *values[6], advantages[64];
    char key[128];
    struct strata_policy_sums sums[64];
    for (size_t i = 0; i < 6; i++) assert_int_equal(strata_alloc(&values[i], tokens, sizeof(float), NULL), 0);
    snprintf(key, sizeof key, "logp_t%.1f", temperature);
    ragged(values[0], golden, key);
    snprintf(key, sizeof key, "old_logp_t%.1f", temperature);
    ragged(values[1], golden, key);
    snprintf(key, sizeof key, "ref_logp_t%.1f", temperature);
    ragged(values[2], golden, key);
    snprintf(key, sizeof key, "dlogp.%s", name);
    ragged(values[3], golden, key);
    const json_t *list = json_object_get(golden->root, "advantages");
    for (size_t i = 0; i < golden->G; i++) advantages[i] = (float)json_number_value(json_array_get(list, i));
    struct strata_policy_options options = {
        .beta = json_number_value(json_object_get(entry, "beta")),
        .epsilon_low = json_number_value(json_object_get(golden->root, "epsilon_low")),
        .epsilon_high = json_number_value(json_object_get(golden->root, "epsilon_high")),
        .max_completion_length = (size_t)json_integer_value(json_object_get(golden->root, "max_completion_length"))};
    assert_int_equal(
        strata_loss_type_parse(&options.type, json_string_value(json_object_get(entry, "loss_type")), NULL), 0);
    struct strata_policy_batch batch = {.completions = golden->G,
                                        .begin = golden->begin,
                                        .logp = values[0],
                                        .old = json_is_true(json_object_get(entry, "on_policy")) ? NULL : values[1],
                                        .ref = values[2],
                                        .advantages = advantages};
    struct strata_policy_totals totals = {.completions = golden->G,
                                          .tokens = tokens,
                                          .rollout_tokens =
                                              (size_t)json_integer_value(json_object_get(golden->root, "dapo_tokens"))};
    assert_int_equal(strata_policy_loss(values[4], sums, &batch, &totals, &options, NULL), 0);
    double kl = 0, low = 0, high = 0;
    for (size_t i = 0; i < golden->G; i++) {
        kl += sums[i].kl;
        low += sums[i].clipped_low;
        high += sums[i].clipped_high;
    }
    near(total_loss(sums, golden->G), json_number_value(json_object_get(entry, "loss")), 2e-6);
    near(kl / (double)tokens, json_number_value(json_object_get(entry, "mean_kl")), 2e-6);
    near(low / (double)tokens, json_number_value(json_object_get(entry, "clip_low")), 1e-6);
    near(high / (double)tokens, json_number_value(json_object_get(entry, "clip_high")), 1e-6);
    for (size_t t = 0; t < tokens; t++) near((double)values[4][t], (double)values[3][t], 1e-6);
    for (size_t i = 0; i < 6; i++) free(values[i]);
}

static void check_golden_model(const char *directory) {
    struct golden_grpo golden = {0};
    char *path = strata_path_join(directory, "grpo.json");
    assert_int_equal(strata_json_load(&golden.root, path, 0, NULL), 0);
    free(path);
    path = strata_path_join(directory, "grpo.safetensors");
    assert_int_equal(strata_safetensors_open(&golden.file, path, NULL), 0);
    free(path);
    const json_t *completions = json_object_get(golden.root, "completions"), *list;
    size_t index;
    json_t *entry;
    float rewards[64], advantages[64];
    golden.G = json_array_size(completions);
    for (size_t i = 0; i < golden.G; i++) {
        golden.begin[i + 1] = golden.begin[i] + json_array_size(json_array_get(completions, i));
        rewards[i] = (float)json_number_value(json_array_get(json_object_get(golden.root, "rewards"), i));
    }
    golden.W = strata_safetensors_find(golden.file, "mask")->shape[1];
    struct strata_advantage_options options = {0};
    struct strata_advantage_stats stats;
    assert_int_equal(strata_advantages(advantages, NULL, &stats, rewards, 1, golden.G, &options, NULL), 0);
    list = json_object_get(golden.root, "advantages");
    for (size_t i = 0; i < golden.G; i++) near((double)advantages[i], json_number_value(json_array_get(list, i)), 1e-6);
    json_array_foreach(json_object_get(golden.root, "cases"), index, entry) {
        check_golden_case(&golden, entry);
    }
    assert_true(index > 0);
    strata_safetensors_close(golden.file);
    json_decref(golden.root);
}

static void test_golden_cases(void **state) {
    static const char *const names[] = {"dev-a", "dev-b", "dev-c"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *directory = golden_model(names[i]);
        if (directory) check_golden_model(directory);
        free(directory);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_rewards),       cmocka_unit_test(test_fractional_rewards),
        cmocka_unit_test(test_scales_and_baselines), cmocka_unit_test(test_published_vector),
        cmocka_unit_test(test_finite_differences),   cmocka_unit_test(test_delta),
        cmocka_unit_test(test_excluded_and_cut),     cmocka_unit_test(test_golden_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
