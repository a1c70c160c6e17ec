/* Every tensor's gradient is the slope of the loss along it: central differences through the whole language model, and
 * through vision tower and merger. What the kernels' own differences (tests/kernels/test_backward.c, in double) cannot
 * see: how the layers are put together. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "model/init.h"
#include "model/tape.h"
#include "model/vision_tape.h"

#define STEP 0.02f

enum { PROMPT = 24, IMAGE_BEGIN = 4, IMAGE_TOKENS = 6, RESPONSES = 2, LONGEST = 9, ROWS = 8, COLUMNS = 12 };

struct world {
    struct strata_model_config config;
    struct strata_weights weights;
    struct strata_weight_row *rows;
    size_t row_count;
    struct strata_threads *threads;
    struct strata_compute compute;
    int32_t ids[PROMPT], positions[3 * PROMPT], responses[RESPONSES][LONGEST];
    float logps[RESPONSES][LONGEST], dlogps[RESPONSES][LONGEST];
    float *embeds, *dembeds, *patches, *d; /* image rows of the prompt; an image, and what its embeds weigh */
    size_t embed_count;                    /* of the image */
    struct strata_tape_response parts[RESPONSES];
    struct strata_tape_group group;
};

static float *random_values(const char *name, size_t count, float scale) {
    const struct strata_random random = strata_random_make(3, name, STRATA_PURPOSE_TEST, 0, 0);
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = scale * (float)(2.0 * strata_random_uniform(&random, i) - 1.0);
    return values;
}

static void set_up_group(struct world *w) {
    const struct strata_random random = strata_random_make(3, "tokens", STRATA_PURPOSE_TEST, 0, 0);
    const double V = (double)w->config.text.vocabulary / 2; /* below the special ids */
    uint64_t draw = 0;
    for (size_t t = 0; t < PROMPT; t++) {
        const bool image = t >= IMAGE_BEGIN && t < IMAGE_BEGIN + IMAGE_TOKENS;
        w->ids[t] = image ? w->config.special.image : (int32_t)(strata_random_uniform(&random, draw++) * V);
        for (size_t axis = 0; axis < 3; axis++) {
            const size_t inside = axis == 0 ? 0 : axis == 1 ? (t - IMAGE_BEGIN) / 3 : (t - IMAGE_BEGIN) % 3;
            w->positions[axis * PROMPT + t] = (int32_t)(t < IMAGE_BEGIN ? t : image ? IMAGE_BEGIN + inside : t - 3);
        }
    }
    for (size_t k = 0; k < RESPONSES; k++) {
        for (size_t t = 0; t < LONGEST; t++) {
            w->responses[k][t] = (int32_t)(strata_random_uniform(&random, draw++) * V);
            w->dlogps[k][t] = (float)(strata_random_uniform(&random, draw++) - 0.6);
        }
        w->parts[k] = (struct strata_tape_response){
            .part = {.ids = w->responses[k], .T = LONGEST - k}, .logps = w->logps[k], .dlogps = w->dlogps[k]};
    }
    w->embeds = random_values("embeds", IMAGE_TOKENS * w->config.text.hidden, 0.3f);
    w->dembeds = calloc(IMAGE_TOKENS * w->config.text.hidden, sizeof *w->dembeds);
    w->group = (struct strata_tape_group){.prompt = {w->ids, PROMPT, w->positions, w->embeds, w->dembeds},
                                          .rope_delta = -3,
                                          .responses = w->parts,
                                          .count = RESPONSES};
}

static void set_up(struct world *w) {
    const struct strata_level *level;
    *w = (struct world){0};
    assert_int_equal(strata_model_preset(&w->config, "tiny", NULL), 0);
    w->config.text.tied = false;
    assert_int_equal(strata_weights_init(&w->weights, &w->config, 0.08, 1, STRATA_WEIGHT_F32, NULL), 0);
    assert_int_equal(strata_weights_table(&w->rows, &w->row_count, &w->config, &w->weights, NULL), 0);
    assert_int_equal(strata_threads_create(&w->threads, 1, NULL), 0);
    assert_int_equal(strata_level_choose(&level, "auto", NULL), 0);
    assert_int_equal(strata_compute_create(&w->compute, level, STRATA_COMPUTE_F32, w->threads, NULL), 0);
    const size_t merge = w->config.vision.merge_size;
    w->embed_count = ROWS * COLUMNS / (merge * merge) * w->config.vision.out_hidden;
    w->patches = random_values("patches", ROWS * COLUMNS * w->weights.patch_embedding.K, 1.0f);
    w->d = random_values("d", w->embed_count, 1.0f);
    set_up_group(w);
}

static void tear_down(struct world *w) {
    free(w->embeds), free(w->dembeds), free(w->patches), free(w->d), free(w->rows);
    strata_weights_free(&w->weights, &w->config);
    strata_compute_free(&w->compute);
    strata_threads_destroy(w->threads);
}

static struct strata_tape *make_tape(struct world *w, enum strata_tape_level level) {
    const struct strata_tape_options options = {
        .level = level, .max_rows = 256, .max_responses = RESPONSES, .max_groups = 1};
    struct strata_tape *tape;
    assert_int_equal(strata_tape_create(&tape, &w->config, &w->weights, &w->compute, &options, NULL), 0);
    return tape;
}

static double language_loss(struct world *w) {
    struct strata_tape *tape = make_tape(w, STRATA_TAPE_FORWARD);
    double loss = 0.0;
    assert_int_equal(strata_tape_forward(tape, &w->group, 1, 0.8f, NULL), 0);
    for (size_t k = 0; k < RESPONSES; k++)
        for (size_t t = 0; t < w->parts[k].part.T; t++) loss += (double)w->dlogps[k][t] * (double)w->logps[k][t];
    strata_tape_destroy(tape);
    return loss;
}

static double vision_loss(struct world *w) {
    float *embeds = malloc(w->embed_count * sizeof *embeds);
    const struct strata_grid grid = {ROWS, COLUMNS};
    double loss = 0.0;
    assert_int_equal(strata_vision_forward(embeds, w->patches, grid, &w->config, &w->weights, &w->compute, NULL, NULL),
                     0);
    for (size_t i = 0; i < w->embed_count; i++) loss += (double)w->d[i] * (double)embeds[i];
    free(embeds);
    return loss;
}

/* The tensor's values; with `from`, set to from + step * direction. */
static void tensor_values(float *out, const struct strata_weight_row *row, const float *from, const float *direction,
                          float step) {
    const size_t count = strata_weight_row_count(row), K = row->matrix ? row->matrix->K : count;
    for (size_t first = 0; first < count; first += K) {
        const size_t n = row->matrix ? row->first_row + first / K : 0;
        if (!from) {
            if (row->matrix)
                strata_matrix_get_row(out + first, row->matrix, n);
            else
                memcpy(out, row->vector, count * sizeof *out);
            continue;
        }
        for (size_t k = 0; k < K; k++) out[first + k] = from[first + k] + step * direction[first + k];
        if (row->matrix)
            strata_matrix_set_rows(row->matrix, n, 1, out + first);
        else
            memcpy(row->vector, out, count * sizeof *out);
    }
}

/* Along a direction u the loss changes by g u a step; u is the gradient's own and a random one together, so that a
 * gradient that is missing shows too. `noise` is what fp32 leaves of a loss. Returns whether the slope stood clear of
 * it. */
static bool check_slope(struct world *w, size_t i, const float *gradient, double (*loss)(struct world *w),
                        double noise) {
    const struct strata_weight_row *row = &w->rows[i];
    const size_t count = strata_weight_row_count(row);
    float *base = malloc(count * sizeof *base), *moved = malloc(count * sizeof *moved);
    float *along = random_values(row->name, count, 1.0f);
    double square = 0.0, length = 0.0, slope = 0.0, above, below;
    for (size_t n = 0; n < count; n++) {
        square += (double)gradient[n] * (double)gradient[n];
        length += (double)along[n] * (double)along[n];
    }
    for (size_t n = 0; n < count; n++) {
        along[n] = (float)((double)along[n] / sqrt(length) + (square > 0.0 ? (double)gradient[n] / sqrt(square) : 0.0));
        slope += (double)along[n] * (double)gradient[n];
    }
    tensor_values(base, row, NULL, NULL, 0.0f);
    tensor_values(moved, row, base, along, STEP);
    above = loss(w);
    tensor_values(moved, row, base, along, -STEP);
    below = loss(w);
    tensor_values(moved, row, base, along, 0.0f);
    const double want = 2.0 * (double)STEP * slope, got = above - below;
    if (fabs(got - want) > 0.01 * fabs(want) + noise)
        fail_msg("%s: the loss changes by %.6g, the gradient says %.6g", row->name, got, want);
    free(base), free(moved), free(along);
    return want > 20.0 * noise;
}

static void check_all(struct world *w, const struct strata_gradients *gradients, double (*loss)(struct world *w),
                      double noise) {
    size_t checked = 0, clear = 0;
    for (size_t i = 0; i < w->row_count; i++) {
        if (!gradients->rows[i]) continue;
        checked++;
        clear += check_slope(w, i, gradients->rows[i], loss, noise);
    }
    assert_true(checked > 20);
    if (10 * clear < 9 * checked) fail_msg("only %zu of %zu tensors stand clear of the noise", clear, checked);
}

static void language_model(void **state) {
    (void)state;
    static const bool trained[3] = {true, false, false};
    struct world w;
    struct strata_gradients gradients;
    set_up(&w);
    assert_int_equal(strata_gradients_create(&gradients, &w.config, trained, NULL), 0);
    struct strata_tape *tape = make_tape(&w, STRATA_TAPE_ALL);
    assert_int_equal(strata_tape_forward(tape, &w.group, 1, 0.8f, NULL), 0);
    assert_int_equal(strata_tape_backward(tape, &gradients, &w.group, 1, NULL), 0);
    strata_tape_destroy(tape);
    check_all(&w, &gradients, language_loss, 5e-6);
    strata_gradients_free(&gradients);
    tear_down(&w);
}

static void vision_tower_and_merger(void **state) {
    (void)state;
    static const bool trained[3] = {false, true, true};
    const struct strata_grid grid = {ROWS, COLUMNS};
    struct world w;
    struct strata_gradients gradients;
    set_up(&w);
    assert_int_equal(strata_gradients_create(&gradients, &w.config, trained, NULL), 0);
    assert_int_equal(strata_vision_backward(&gradients, w.d, w.patches, grid, &w.config, &w.weights, &w.compute, NULL),
                     0);
    check_all(&w, &gradients, vision_loss, 5e-6);
    strata_gradients_free(&gradients);
    tear_down(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(language_model), cmocka_unit_test(vision_tower_and_merger)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
