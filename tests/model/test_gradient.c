/* The training pass: the same log-probs as the engine's forward bit for bit; the same gradients however the pass is
 * cut, kept or threaded; directional derivatives; the fast path beside the reference. The golden gradients are
 * conformance_gradients'. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "model/decoder.h"
#include "model/init.h"
#include "model/tape.h"
#include "model/vision_tape.h"

enum { PROMPT = 150, IMAGE_BEGIN = 20, IMAGE_TOKENS = 6, RESPONSES = 3, LONGEST = 70 };
static const size_t lengths[RESPONSES] = {1, 40, LONGEST}; /* 150 + 39 stays in page 2; 150 + 69 goes on to page 3 */
static const bool trained_all[3] = {true, true, true};

/* A model whose sizes cross the blocks of every sum, two prompts alike but for one token, and their responses. */
struct world {
    struct strata_model_config config;
    struct strata_weights weights;
    struct strata_threads *threads;
    struct strata_compute compute;
    int32_t ids[PROMPT], positions[3 * PROMPT], responses[RESPONSES][LONGEST];
    bool scored[LONGEST];
    float *embeds, dembeds[2][IMAGE_TOKENS * 896];
    float logps[2][RESPONSES][LONGEST], dlogps[RESPONSES][LONGEST], entropies[LONGEST];
    struct strata_tape_response parts[2][RESPONSES];
    struct strata_tape_group groups[2], apart[RESPONSES];
};

static void set_up_tokens(struct world *w) {
    const struct strata_random random = strata_random_make(3, "tokens", STRATA_PURPOSE_TEST, 0, 0);
    uint64_t draw = 0;
    for (size_t t = 0; t < PROMPT; t++) {
        const bool image = t >= IMAGE_BEGIN && t < IMAGE_BEGIN + IMAGE_TOKENS;
        w->ids[t] = image ? w->config.special.image : (int32_t)(strata_random_uniform(&random, draw++) * 1000.0);
        for (size_t axis = 0; axis < 3; axis++) {
            const size_t inside = axis == 0 ? 0 : axis == 1 ? (t - IMAGE_BEGIN) / 3 : (t - IMAGE_BEGIN) % 3;
            w->positions[axis * PROMPT + t] = (int32_t)(t < IMAGE_BEGIN ? t : image ? IMAGE_BEGIN + inside : t - 3);
        }
    }
    for (size_t k = 0; k < RESPONSES; k++)
        for (size_t t = 0; t < LONGEST; t++) {
            w->responses[k][t] = (int32_t)(strata_random_uniform(&random, draw++) * 1000.0);
            w->dlogps[k][t] = (float)(strata_random_uniform(&random, draw++) - 0.6) * 0.1f;
        }
    w->embeds = malloc(IMAGE_TOKENS * w->config.text.hidden * sizeof *w->embeds);
    for (size_t i = 0; i < IMAGE_TOKENS * w->config.text.hidden; i++)
        w->embeds[i] = (float)(strata_random_uniform(&random, draw++) - 0.5) * 0.2f;
    for (size_t t = 0; t < LONGEST; t++) w->scored[t] = t % 3 != 1;
}

static void set_up_groups(struct world *w) {
    for (size_t g = 0; g < 2; g++) {
        for (size_t k = 0; k < RESPONSES; k++) {
            w->parts[g][k] = (struct strata_tape_response){
                .part = {.ids = w->responses[k], .T = lengths[k]}, .logps = w->logps[g][k], .dlogps = w->dlogps[k]};
        }
        w->parts[g][2].scored = w->scored;
        w->groups[g] = (struct strata_tape_group){.prompt = {w->ids, PROMPT, w->positions, w->embeds, w->dembeds[g]},
                                                  .rope_delta = -3,
                                                  .responses = w->parts[g],
                                                  .count = RESPONSES};
    }
    w->groups[1].prompt.T = 64; /* ends with a page; its positions are set where it is used */
    for (size_t k = 0; k < RESPONSES; k++) {
        w->apart[k] = w->groups[0];
        w->apart[k].responses = &w->parts[0][k];
        w->apart[k].count = 1;
        w->apart[k].prompt.dembeds = NULL;
    }
}

static struct world *world_create(enum strata_compute_type type, enum strata_weight_type weights, size_t threads,
                                  bool tied) {
    struct world *w = calloc(1, sizeof *w);
    const struct strata_level *level;
    assert_non_null(w);
    assert_int_equal(strata_model_preset(&w->config, "block", NULL), 0);
    w->config.text.vocabulary = 2000;
    w->config.text.intermediate = 600;
    w->config.text.tied = tied;
    w->config.special.image = 1012;
    w->config.special.vision_start = 1009;
    assert_int_equal(strata_weights_init(&w->weights, &w->config, 0.05, 1, weights, NULL), 0);
    assert_int_equal(strata_threads_create(&w->threads, threads, NULL), 0);
    assert_int_equal(strata_level_choose(&level, "auto", NULL), 0);
    assert_int_equal(strata_compute_create(&w->compute, level, type, w->threads, NULL), 0);
    set_up_tokens(w);
    set_up_groups(w);
    return w;
}
static struct world *reference_world(void) {
    return world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_F32, 1, true);
}
static void world_free(struct world *w) {
    strata_weights_free(&w->weights, &w->config);
    strata_compute_free(&w->compute);
    strata_threads_destroy(w->threads);
    free(w->embeds);
    free(w);
}

static struct strata_tape *make_tape(struct world *w, enum strata_tape_level level, size_t logit_rows) {
    const struct strata_tape_options options = {
        .level = level, .max_rows = 1024, .max_responses = 8, .max_groups = 4, .logit_rows = logit_rows};
    struct strata_tape *tape;
    assert_int_equal(strata_tape_create(&tape, &w->config, &w->weights, &w->compute, &options, NULL), 0);
    return tape;
}

/* A pass over groups, its gradients added to out. */
static void pass(struct world *w, struct strata_gradients *out, const struct strata_tape_group *groups, size_t count,
                 enum strata_tape_level level, size_t logit_rows) {
    struct strata_tape *tape = make_tape(w, level, logit_rows);
    struct strata_error err;
    if (strata_tape_forward(tape, groups, count, 0.8f, &err)) fail_msg("%s", err.what);
    if (strata_tape_backward(tape, out, groups, count, &err)) fail_msg("%s", err.what);
    strata_tape_destroy(tape);
}
static struct strata_gradients gradients_of(const struct world *w, const bool trained[3]) {
    struct strata_gradients gradients;
    assert_int_equal(strata_gradients_create(&gradients, &w->config, trained, NULL), 0);
    return gradients;
}

static void assert_same(const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0)
            fail_msg("value %zu of %zu: %.9g and %.9g", i, count, (double)a[i], (double)b[i]);
}
static double distance(const float *a, const float *b, size_t count) {
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / (norm > 0.0 ? norm : 1.0));
}
static double cosine(const float *a, const float *b, size_t count) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa * bb > 0.0 ? ab / sqrt(aa * bb) : 1.0;
}

/* ---- the engine's way: prefill in pieces, fork, one token after the other ---- */

static void decode(struct world *w, struct strata_decoder *decoder, struct strata_key_value *memory,
                   struct strata_sequence *sequence, float *x, const int32_t *positions, size_t rows) {
    const struct strata_decoder_item item = {.sequence = sequence, .rows = rows};
    (void)w;
    assert_int_equal(strata_sequence_reserve(memory, sequence, rows, NULL), 0);
    assert_int_equal(strata_decoder_forward(decoder, x, positions, &item, 1, NULL, NULL), 0);
}

static float token_logp(struct world *w, const float *logits, int32_t id, float temperature) {
    const size_t V = w->config.text.vocabulary;
    float *scaled = malloc(V * sizeof *scaled), sum;
    for (size_t v = 0; v < V; v++) scaled[v] = temperature == 1.0f ? logits[v] : logits[v] / temperature;
    strata_logsumexp(&w->compute, &sum, scaled, V, 1, V);
    const float logp = scaled[id] - sum;
    free(scaled);
    return logp;
}

static void engine_logps(struct world *w, float logps[RESPONSES][LONGEST], float temperature) {
    const size_t C = w->config.text.hidden, V = w->config.text.vocabulary, piece = 37;
    struct strata_key_value *memory;
    struct strata_decoder *decoder;
    struct strata_sequence prompt = {0};
    float *x = malloc(PROMPT * C * sizeof *x), *last = malloc(C * sizeof *x), *logits = malloc(V * sizeof *logits);
    assert_int_equal(strata_key_value_create(&memory, &w->config.text, &w->compute, 64, NULL), 0);
    assert_int_equal(strata_decoder_create(&decoder, &w->config, &w->weights, &w->compute, memory, PROMPT, 1, NULL), 0);
    for (size_t first = 0; first < PROMPT; first += piece) {
        const size_t rows = PROMPT - first < piece ? PROMPT - first : piece;
        int32_t positions[3 * 37];
        for (size_t r = 0; r < rows; r++) {
            const size_t t = first + r;
            const bool image = w->ids[t] == w->config.special.image;
            if (image) memcpy(x + r * C, w->embeds + (t - IMAGE_BEGIN) * C, C * sizeof *x);
            if (!image) strata_decoder_embed(x + r * C, decoder, &w->ids[t], 1);
            for (size_t axis = 0; axis < 3; axis++) positions[axis * rows + r] = w->positions[axis * PROMPT + t];
        }
        decode(w, decoder, memory, &prompt, x, positions, rows);
        memcpy(last, x + (rows - 1) * C, C * sizeof *x);
    }
    for (size_t k = 0; k < RESPONSES; k++) {
        struct strata_sequence sequence;
        assert_int_equal(strata_sequence_fork(memory, &sequence, &prompt, prompt.length, NULL), 0);
        memcpy(x, last, C * sizeof *x);
        for (size_t t = 0; t < lengths[k]; t++) {
            strata_decoder_logits(decoder, logits, x, 1, 0, NULL);
            logps[k][t] = token_logp(w, logits, w->responses[k][t], temperature);
            const int32_t at = (int32_t)(PROMPT + t) - 3, positions[3] = {at, at, at};
            strata_decoder_embed(x, decoder, &w->responses[k][t], 1);
            decode(w, decoder, memory, &sequence, x, positions, 1);
        }
        strata_sequence_release(memory, &sequence);
    }
    strata_sequence_release(memory, &prompt);
    strata_decoder_destroy(decoder);
    strata_key_value_destroy(memory);
    free(x), free(last), free(logits);
}

static void same_logps_as_the_engine(void **state) {
    (void)state;
    for (int narrow = 0; narrow < 2; narrow++) {
        struct world *w = world_create(narrow ? STRATA_COMPUTE_BF16 : STRATA_COMPUTE_F32,
                                       narrow ? STRATA_WEIGHT_BF16 : STRATA_WEIGHT_F32, 2, true);
        for (enum strata_tape_level level = STRATA_TAPE_FORWARD; level <= STRATA_TAPE_ALL; level++) {
            const float temperature = level == STRATA_TAPE_ALL ? 1.0f : 0.7f;
            static float want[RESPONSES][LONGEST];
            struct strata_tape *tape = make_tape(w, level, 13);
            if (level != STRATA_TAPE_LAYERS) engine_logps(w, want, temperature);
            assert_int_equal(strata_tape_forward(tape, w->groups, 1, temperature, NULL), 0);
            for (size_t k = 0; k < RESPONSES; k++)
                for (size_t t = 0; t < lengths[k]; t++) {
                    const bool scored = k != 2 || w->scored[t];
                    const float expected = scored ? want[k][t] : 0.0f;
                    assert_same(&w->logps[0][k][t], &expected, 1);
                }
            strata_tape_destroy(tape);
        }
        world_free(w);
    }
}

static void entropies_are_of_the_distribution(void **state) {
    (void)state;
    struct world *w = reference_world();
    struct strata_tape *tape = make_tape(w, STRATA_TAPE_FORWARD, 0);
    w->parts[0][1].entropies = w->entropies;
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 100.0f, NULL), 0);
    /* At a temperature of 100 it is nearly uniform. */
    for (size_t t = 0; t < lengths[1]; t++) assert_true(fabs((double)w->entropies[t] - log(2000.0)) < 1e-3);
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 0.2f, NULL), 0);
    for (size_t t = 0; t < lengths[1]; t++) assert_true(w->entropies[t] > 0.0f && w->entropies[t] < 7.0f);
    strata_tape_destroy(tape);
    world_free(w);
}

/* ---- however it is cut ---- */

static void cuts_do_not_show(void **state) {
    (void)state;
    struct world *w = reference_world(), *two = world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_F32, 2, true);
    struct strata_gradients a = gradients_of(w, trained_all), b = gradients_of(w, trained_all);
    struct strata_gradients c = gradients_of(w, trained_all), d = gradients_of(w, trained_all);
    pass(w, &a, w->groups, 1, STRATA_TAPE_LAYERS, 0);
    pass(w, &b, w->groups, 1, STRATA_TAPE_ALL, 0);
    pass(two, &c, two->groups, 1, STRATA_TAPE_LAYERS, 5);
    assert_same(b.values, a.values, a.count);
    assert_same(c.values, a.values, a.count);
    assert_same(two->dembeds[0], w->dembeds[0], IMAGE_TOKENS * w->config.text.hidden);
    float together[RESPONSES][LONGEST];
    memcpy(together, w->logps[0], sizeof together);
    pass(w, &d, w->apart, RESPONSES, STRATA_TAPE_LAYERS, 0);
    assert_same(w->logps[0][0], together[0], RESPONSES * LONGEST);
    assert_true(distance(d.values, a.values, a.count) < 1e-5);
    double norm, other;
    assert_int_equal(strata_gradients_norm(&norm, &a, NULL, NULL), 0);
    assert_int_equal(strata_gradients_norm(&other, &a, two->threads, NULL), 0);
    assert_true(norm == other && norm > 0.1);
    strata_gradients_free(&a), strata_gradients_free(&b), strata_gradients_free(&c), strata_gradients_free(&d);
    world_free(w), world_free(two);
}

static void two_groups_are_two_passes(void **state) {
    (void)state;
    struct world *w = reference_world();
    struct strata_gradients a = gradients_of(w, trained_all), b = gradients_of(w, trained_all);
    int32_t positions[3 * 64];
    for (size_t axis = 0; axis < 3; axis++)
        memcpy(positions + axis * 64, w->positions + axis * PROMPT, 64 * sizeof *positions);
    w->groups[1].prompt.positions = positions;
    pass(w, &a, w->groups, 2, STRATA_TAPE_LAYERS, 0);
    static float together[2][RESPONSES][LONGEST];
    memcpy(together, w->logps, sizeof together);
    pass(w, &b, w->groups, 1, STRATA_TAPE_LAYERS, 0);
    pass(w, &b, w->groups + 1, 1, STRATA_TAPE_LAYERS, 0);
    assert_same(w->logps[0][0], together[0][0], 2 * RESPONSES * LONGEST);
    assert_true(distance(b.values, a.values, a.count) < 1e-5);
    strata_gradients_free(&a), strata_gradients_free(&b);
    world_free(w);
}

static void frozen_is_left_out(void **state) {
    (void)state;
    struct world *w = world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_F32, 1, false);
    static const bool language[3] = {true, false, false}, merger[3] = {false, true, false};
    struct strata_gradients a = gradients_of(w, language), b = gradients_of(w, merger);
    static float want[IMAGE_TOKENS * 896];
    for (size_t i = 0; i < a.row_count; i++) assert_true(!a.rows[i] || !b.rows[i]);
    pass(w, &a, w->groups, 1, STRATA_TAPE_LAYERS, 0);
    memcpy(want, w->dembeds[0], sizeof want);
    memset(w->dembeds[0], 0, sizeof w->dembeds[0]);
    pass(w, &b, w->groups, 1, STRATA_TAPE_LAYERS, 0);
    assert_same(w->dembeds[0], want, IMAGE_TOKENS * 896);
    for (size_t i = 0; i < b.count; i++) assert_true(b.values[i] == 0.0f);
    strata_gradients_free(&a), strata_gradients_free(&b);
    world_free(w);
}

/* ---- values ---- */

/* weights += step * gradient, tensor by tensor. */
static void move(struct world *w, const struct strata_gradients *gradients, float step) {
    struct strata_weight_row *rows;
    size_t count;
    assert_int_equal(strata_weights_table(&rows, &count, &w->config, &w->weights, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        const float *gradient = gradients->rows[i];
        const size_t values = strata_weight_row_count(&rows[i]);
        for (size_t n = 0; gradient && rows[i].vector && n < values; n++) rows[i].vector[n] += step * gradient[n];
        if (!gradient || !rows[i].matrix) continue;
        const size_t K = rows[i].matrix->K;
        float *row = malloc(K * sizeof *row);
        for (size_t n = 0; n < rows[i].shape[0]; n++) {
            strata_matrix_get_row(row, rows[i].matrix, rows[i].first_row + n);
            for (size_t k = 0; k < K; k++) row[k] += step * gradient[n * K + k];
            strata_matrix_set_rows(rows[i].matrix, rows[i].first_row + n, 1, row);
        }
        free(row);
    }
    free(rows);
}

static double loss_of(struct world *w) {
    struct strata_tape *tape = make_tape(w, STRATA_TAPE_FORWARD, 0);
    double loss = 0.0;
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 0.8f, NULL), 0);
    for (size_t k = 0; k < RESPONSES; k++)
        for (size_t t = 0; t < lengths[k]; t++) loss += (double)w->dlogps[k][t] * (double)w->logps[0][k][t];
    strata_tape_destroy(tape);
    return loss;
}

/* Along its own direction the loss rises by the gradient's norm. */
static void the_gradient_is_the_slope(void **state) {
    (void)state;
    struct world *w = world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_F32, 2, false);
    struct strata_gradients gradients = gradients_of(w, trained_all);
    double norm;
    pass(w, &gradients, w->groups, 1, STRATA_TAPE_ALL, 0);
    assert_int_equal(strata_gradients_norm(&norm, &gradients, NULL, NULL), 0);
    const float step = (float)(5e-3 / norm);
    move(w, &gradients, step);
    const double above = loss_of(w);
    move(w, &gradients, -2.0f * step);
    const double slope = (above - loss_of(w)) / (2.0 * (double)step);
    assert_true(fabs(slope / (norm * norm) - 1.0) < 2e-3);
    strata_gradients_free(&gradients);
    world_free(w);
}

static void bf16_points_the_same_way(void **state) {
    (void)state;
    struct world *narrow = world_create(STRATA_COMPUTE_BF16, STRATA_WEIGHT_BF16, 2, true);
    struct world *wide = world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_BF16, 2, true);
    struct strata_gradients a = gradients_of(narrow, trained_all), b = gradients_of(wide, trained_all);
    struct strata_weight_row *rows;
    size_t count;
    assert_int_equal(strata_weights_table(&rows, &count, &wide->config, NULL, NULL), 0);
    pass(narrow, &a, narrow->groups, 1, STRATA_TAPE_LAYERS, 0);
    pass(wide, &b, wide->groups, 1, STRATA_TAPE_LAYERS, 0);
    assert_true(cosine(a.values, b.values, a.count) > 0.999);
    for (size_t i = 0; i < count; i++)
        if (rows[i].group == STRATA_GROUP_LANGUAGE) {
            const double c = cosine(a.rows[i], b.rows[i], strata_weight_row_count(&rows[i]));
            if (c < 0.999) fail_msg("%s: cosine %.6f", rows[i].name, c);
        }
    free(rows);
    strata_gradients_free(&a), strata_gradients_free(&b);
    world_free(narrow), world_free(wide);
}

/* What is kept as bf16 shows in the memory and in the gradients alone: they are no further from those of fp32 than
 * bf16's own rounding takes them. */
static void bf16_is_kept_narrow(void **state) {
    (void)state;
    struct world *w = world_create(STRATA_COMPUTE_BF16, STRATA_WEIGHT_BF16, 2, true);
    struct world *wide = world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_BF16, 2, true);
    struct strata_gradients a = gradients_of(w, trained_all), b = gradients_of(w, trained_all);
    struct strata_gradients exact = gradients_of(wide, trained_all);
    float whole[RESPONSES][LONGEST];
    const struct strata_tape_options options = {
        .level = STRATA_TAPE_ALL, .max_rows = 2048, .max_responses = 8, .max_groups = 4};
    const size_t L = w->config.text.layers, F = w->config.text.intermediate;
    pass(w, &a, w->groups, 1, STRATA_TAPE_LAYERS, 0);
    memcpy(whole, w->logps[0], sizeof whole);
    pass(w, &b, w->groups, 1, STRATA_TAPE_ALL, 0);
    assert_same(w->logps[0][0], whole[0], RESPONSES * LONGEST);
    pass(wide, &exact, wide->groups, 1, STRATA_TAPE_LAYERS, 0);
    const double rounding = distance(a.values, exact.values, a.count), away = distance(b.values, exact.values, a.count);
    if (!(away != rounding && away < 1.05 * rounding)) fail_msg("%g away, without keeping %g", away, rounding);
    assert_true(strata_tape_bytes(&w->config, &w->compute, &options) + L * 2048 * 2 * F <
                strata_tape_bytes(&wide->config, &wide->compute, &options));
    strata_gradients_free(&a), strata_gradients_free(&b), strata_gradients_free(&exact);
    world_free(w), world_free(wide);
}

/* ---- vision ---- */

static double embeds_loss(struct world *w, const float *patches, struct strata_grid grid, const float *d,
                          size_t count) {
    float *embeds = malloc(count * sizeof *embeds);
    double loss = 0.0;
    assert_int_equal(strata_vision_forward(embeds, patches, grid, &w->config, &w->weights, &w->compute, NULL, NULL), 0);
    for (size_t i = 0; i < count; i++) loss += (double)d[i] * (double)embeds[i];
    free(embeds);
    return loss;
}

static void vision_gradient_is_the_slope(void **state) {
    (void)state;
    struct world *w = reference_world(), *two = world_create(STRATA_COMPUTE_F32, STRATA_WEIGHT_F32, 2, true);
    static const bool vision[3] = {false, true, true}, merger[3] = {false, true, false};
    const struct strata_grid grid = {10, 12};
    const size_t P = w->weights.patch_embedding.K, N = 120, count = N / 4 * w->config.vision.out_hidden;
    const struct strata_random random = strata_random_make(3, "patches", STRATA_PURPOSE_TEST, 0, 0);
    float *patches = malloc(N * P * sizeof *patches), *d = malloc(count * sizeof *d);
    for (size_t i = 0; i < N * P; i++) patches[i] = (float)(strata_random_uniform(&random, i) * 2.0 - 1.0);
    for (size_t i = 0; i < count; i++) d[i] = (float)(strata_random_uniform(&random, N * P + i) * 2.0 - 1.0);
    struct strata_gradients a = gradients_of(w, vision), b = gradients_of(w, vision), c = gradients_of(w, merger);
    double norm;
    assert_int_equal(strata_vision_backward(&a, d, patches, grid, &w->config, &w->weights, &w->compute, NULL), 0);
    assert_int_equal(strata_vision_backward(&b, d, patches, grid, &two->config, &two->weights, &two->compute, NULL), 0);
    assert_int_equal(strata_vision_backward(&c, d, patches, grid, &w->config, &w->weights, &w->compute, NULL), 0);
    assert_same(b.values, a.values, a.count);
    for (size_t i = 0; i < c.row_count; i++) assert_true(!c.rows[i] || (a.rows[i] && *c.rows[i] == *a.rows[i]));
    assert_int_equal(strata_gradients_norm(&norm, &a, NULL, NULL), 0);
    const float step = (float)(1e-3 / norm);
    move(w, &a, step);
    const double above = embeds_loss(w, patches, grid, d, count);
    move(w, &a, -2.0f * step);
    const double slope = (above - embeds_loss(w, patches, grid, d, count)) / (2.0 * (double)step);
    assert_true(fabs(slope / (norm * norm) - 1.0) < 2e-3);
    strata_gradients_free(&a), strata_gradients_free(&b), strata_gradients_free(&c);
    free(patches), free(d);
    world_free(w), world_free(two);
}

/* ---- wrong use ---- */

static void wrong_use_is_refused(void **state) {
    (void)state;
    struct world *w = reference_world();
    struct strata_gradients gradients = gradients_of(w, trained_all);
    const struct strata_tape_options none = {.level = STRATA_TAPE_ALL, .max_rows = 10};
    const struct strata_tape_options huge = {
        .level = STRATA_TAPE_ALL, .max_rows = SIZE_MAX / 8, .max_groups = 1, .max_responses = 1};
    struct strata_tape *tape;
    assert_int_equal(strata_tape_create(&tape, &w->config, &w->weights, &w->compute, &none, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_tape_create(&tape, &w->config, &w->weights, &w->compute, &huge, NULL), STRATA_ERR_MEMORY);
    tape = make_tape(w, STRATA_TAPE_FORWARD, 0);
    assert_int_equal(strata_tape_backward(tape, &gradients, w->groups, 1, NULL), STRATA_ERR_STATE);
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 0.0f, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, NAN, NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 1.0f, NULL), 0);
    assert_int_equal(strata_tape_backward(tape, &gradients, w->groups, 1, NULL), STRATA_ERR_STATE); /* nothing kept */
    struct strata_tape_group bad = w->groups[0];
    bad.prompt.embeds = NULL;
    assert_int_equal(strata_tape_forward(tape, &bad, 1, 1.0f, NULL), STRATA_ERR_INPUT);
    bad = w->groups[0];
    bad.prompt.T = 0;
    assert_int_equal(strata_tape_forward(tape, &bad, 1, 1.0f, NULL), STRATA_ERR_USAGE);
    w->responses[1][3] = 2000;
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 1.0f, NULL), STRATA_ERR_INPUT);
    w->responses[1][3] = 0;
    struct strata_tape_group many[9];
    for (size_t i = 0; i < 9; i++) many[i] = w->groups[0];
    assert_int_equal(strata_tape_forward(tape, many, 9, 1.0f, NULL), STRATA_ERR_USAGE);
    w->weights.final_norm[0] = NAN;
    assert_int_equal(strata_tape_forward(tape, w->groups, 1, 1.0f, NULL), STRATA_ERR_NUMERIC);
    strata_tape_destroy(tape);
    strata_gradients_free(&gradients);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_logps_as_the_engine),
        cmocka_unit_test(entropies_are_of_the_distribution),
        cmocka_unit_test(cuts_do_not_show),
        cmocka_unit_test(two_groups_are_two_passes),
        cmocka_unit_test(frozen_is_left_out),
        cmocka_unit_test(the_gradient_is_the_slope),
        cmocka_unit_test(bf16_points_the_same_way),
        cmocka_unit_test(bf16_is_kept_narrow),
        cmocka_unit_test(vision_gradient_is_the_slope),
        cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
