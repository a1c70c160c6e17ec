/* Attention: against plain softmax in double, and bit for bit over tiles, threads, chunks and neighbours. */
#include "kernels/support.h"

struct shape {
    size_t H, G, D, T;
};
static const struct shape shapes[] = {{2, 1, 16, 5},  {4, 2, 24, 64},  {7, 1, 32, 65}, {14, 2, 64, 130},
                                      {2, 2, 80, 70}, {4, 2, 128, 40}, {3, 1, 5, 67}};
#define SHAPES (sizeof shapes / sizeof *shapes)

struct sequence {
    struct shape shape;
    float *query, *key, *value; /* (T, H*D), (T, G*D) */
    void **pages;
    size_t page_count;
};

static struct sequence make_sequence(const struct strata_compute *compute, struct shape shape) {
    struct sequence s = {.shape = shape, .page_count = (shape.T + STRATA_KEY_BLOCK - 1) / STRATA_KEY_BLOCK};
    s.query = random_floats("query", shape.T * shape.H * shape.D);
    s.key = random_floats("key", shape.T * shape.G * shape.D);
    s.value = random_floats("value", shape.T * shape.G * shape.D);
    for (size_t i = 0; i < shape.T * shape.H * shape.D; i++) s.query[i] *= 4.0f; /* a softmax that is not flat */
    s.pages = malloc(s.page_count * sizeof *s.pages);
    const size_t bytes = strata_page_bytes(compute, shape.G, shape.D);
    for (size_t p = 0; p < s.page_count; p++) {
        s.pages[p] = aligned_alloc(64, (bytes + 63) / 64 * 64);
        memset(s.pages[p], 0xff, bytes); /* NaN in every slot that is not written */
    }
    for (size_t t = 0; t < shape.T; t++)
        strata_page_write(compute, s.pages[t / STRATA_KEY_BLOCK], t % STRATA_KEY_BLOCK, s.key + t * shape.G * shape.D,
                          s.value + t * shape.G * shape.D, shape.G, shape.D);
    return s;
}
static void free_sequence(struct sequence *s) {
    for (size_t p = 0; p < s->page_count; p++) free(s->pages[p]);
    free(s->pages), free(s->query), free(s->key), free(s->value);
}

/* Softmax of one query over keys [0, count), in double; probabilities (count) and out (D). */
static void attend_one(double *out, double *probabilities, const float *query, const float *key, const float *value,
                       size_t stride, size_t count, size_t D, double scale, bool rounded) {
    double largest = -INFINITY, sum = 0.0;
    for (size_t j = 0; j < count; j++) {
        double score = 0.0;
        for (size_t d = 0; d < D; d++) score += seen(query[d], rounded) * seen(key[j * stride + d], rounded);
        probabilities[j] = score * scale;
        largest = fmax(largest, probabilities[j]);
    }
    for (size_t j = 0; j < count; j++) sum += probabilities[j] = exp(probabilities[j] - largest);
    for (size_t d = 0; d < D; d++) out[d] = 0.0;
    for (size_t j = 0; j < count; j++) {
        probabilities[j] /= sum;
        for (size_t d = 0; d < D; d++) out[d] += probabilities[j] * seen(value[j * stride + d], rounded);
    }
}

/* bf16 rounds the probabilities too, which the reference does not: 2^-9 a value, averaged over keys. */
static double bound(const struct strata_compute *compute) {
    return compute->type == STRATA_COMPUTE_BF16 ? 3e-3 : 2e-6;
}

static void check_values(const struct strata_compute *compute, void *context) {
    (void)context;
    for (size_t i = 0; i < SHAPES; i++) {
        const struct shape shape = shapes[i];
        const size_t H = shape.H, G = shape.G, D = shape.D, T = shape.T, Q = H * D;
        struct sequence s = make_sequence(compute, shape);
        const bool rounded = compute->type == STRATA_COMPUTE_BF16;
        const float scale = 1.0f / sqrtf((float)D);
        /* an empty segment, one of a single key, one over a block border, keys that are not counted */
        const uint32_t end[4] = {(uint32_t)(T / 4), (uint32_t)(T / 4), (uint32_t)(T / 4 + 1), (uint32_t)(T - 1)};
        const size_t S = 4, mass_first = 2;
        float *out = random_floats("out", T * Q), *masses = random_floats("masses", T * S);
        float *scratch = random_floats("scratch", T * H * S);
        double *reference = malloc(T * Q * sizeof *reference), *mass_reference = calloc(T * S, sizeof(double));
        double *probabilities = malloc(T * sizeof *probabilities);
        for (size_t t = 0; t < T; t++)
            for (size_t h = 0; h < H; h++) {
                const size_t g = h / (H / G);
                attend_one(reference + t * Q + h * D, probabilities, s.query + t * Q + h * D, s.key + g * D,
                           s.value + g * D, G * D, t + 1, D, (double)scale, rounded);
                if (t < mass_first) continue;
                for (size_t j = 0, segment = 0; j <= t; j++) {
                    while (segment < S && j >= end[segment]) segment++;
                    if (segment < S) mass_reference[(t - mass_first) * S + segment] += probabilities[j] / (double)H;
                }
            }
        const struct strata_attention_rows item = {.out = out,
                                                   .query = s.query,
                                                   .out_stride = Q,
                                                   .query_stride = Q,
                                                   .rows = T,
                                                   .first = 0,
                                                   .pages = s.pages,
                                                   .masses = masses,
                                                   .segment_end = end,
                                                   .S = S,
                                                   .mass_first = mass_first,
                                                   .mass_scratch = scratch};
        strata_attention_forward(compute, &item, 1, H, G, D, scale);
        assert_true(relative_l2(out, reference, T * Q) < bound(compute));
        for (size_t m = 0; m < (T - mass_first) * S; m++)
            assert_true(fabs((double)masses[m] - mass_reference[m]) < 2e-6);
        free(out), free(masses), free(scratch), free(reference), free(mass_reference), free(probabilities);
        free_sequence(&s);
    }
}
static void test_values(void **state) {
    (void)state;
    for_each_compute(check_values, NULL);
}

/* One token at a time, odd chunks, and beside another sequence: the same bits as all rows at once, masses included. */
static void check_invariance(const struct strata_compute *compute, void *context) {
    float **expected = context;
    const struct shape shape = {.H = 14, .G = 2, .D = 64, .T = 330};
    const size_t H = shape.H, Q = H * shape.D, T = shape.T, S = 3;
    const uint32_t end[3] = {20, 276, 300};
    struct sequence s = make_sequence(compute, shape), other = make_sequence(compute, (struct shape){14, 2, 64, 100});
    float *all = malloc(T * Q * sizeof *all), *part = malloc(T * Q * sizeof *part);
    float *all_masses = malloc(T * S * sizeof *all_masses), *masses = malloc(T * S * sizeof *masses);
    float *scratch = malloc(T * H * S * sizeof *scratch), *unused = malloc(100 * Q * sizeof *unused);
    struct strata_attention_rows item = {.out = all,
                                         .query = s.query,
                                         .out_stride = Q,
                                         .query_stride = Q,
                                         .rows = T,
                                         .first = 0,
                                         .pages = s.pages,
                                         .masses = all_masses,
                                         .segment_end = end,
                                         .S = S,
                                         .mass_first = 0,
                                         .mass_scratch = scratch};
    strata_attention_forward(compute, &item, 1, H, shape.G, shape.D, 0.125f);
    static const size_t chunks[] = {1, 7, 64, 100};
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
        for (size_t first = 0; first < T; first += chunks[c]) {
            struct strata_attention_rows items[2] = {item, item};
            items[0].rows = first + chunks[c] < T ? chunks[c] : T - first;
            items[0].first = first;
            items[0].query = s.query + first * Q;
            items[0].out = part + first * Q;
            items[0].masses = masses + first * S;
            items[1] = (struct strata_attention_rows){.out = unused,
                                                      .query = other.query,
                                                      .out_stride = Q,
                                                      .query_stride = Q,
                                                      .rows = 100,
                                                      .pages = other.pages};
            /* without masses every second time: they must not touch the result */
            if (c == 2) items[0].masses = NULL;
            strata_attention_forward(compute, items, c == 1 ? 2 : 1, H, shape.G, shape.D, 0.125f);
            assert_same_bits(part + first * Q, all + first * Q, items[0].rows * Q);
            if (items[0].masses) assert_same_bits(masses + first * S, all_masses + first * S, items[0].rows * S);
        }
    float **kept = &expected[compute->type];
    if (strata_threads_count(compute->threads) == 2) assert_same_bits(all, *kept, T * Q);
    free(*kept);
    *kept = all;
    free(part), free(all_masses), free(masses), free(scratch), free(unused);
    free_sequence(&s);
    free_sequence(&other);
}
static void test_invariance(void **state) {
    (void)state;
    float *expected[2] = {NULL};
    for_each_compute(check_invariance, expected);
    for (size_t i = 0; i < 2; i++) free(expected[i]);
}

static void check_window(const struct strata_compute *compute, void *context) {
    (void)context;
    static const size_t sizes[] = {16, 80};
    const uint32_t bounds[] = {0, 64, 68, 68, 200};
    const size_t segments = 4, H = 3, T = 200;
    for (size_t i = 0; i < 2; i++) {
        const size_t D = sizes[i], Q = H * D, stride = 3 * Q + 1;
        float *qkv = random_floats("qkv", T * stride), *out = random_floats("out", T * Q);
        double *reference = malloc(T * Q * sizeof *reference), probabilities[200];
        const float scale = 1.0f / sqrtf((float)D);
        for (size_t s = 0; s < segments; s++)
            for (size_t t = bounds[s]; t < bounds[s + 1]; t++)
                for (size_t h = 0; h < H; h++) {
                    const float *start = qkv + bounds[s] * stride + h * D;
                    attend_one(reference + t * Q + h * D, probabilities, qkv + t * stride + h * D, start + Q,
                               start + 2 * Q, stride, bounds[s + 1] - bounds[s], D, (double)scale,
                               compute->type == STRATA_COMPUTE_BF16);
                }
        const size_t bytes = strata_window_workspace(compute, bounds, segments, H, D);
        void *workspace = aligned_alloc(64, (bytes + 63) / 64 * 64);
        memset(workspace, 0xff, bytes);
        strata_attention_window_forward(compute, out, Q, NULL, qkv, qkv + Q, qkv + 2 * Q, stride, bounds, segments, H,
                                        D, scale, workspace);
        assert_true(relative_l2(out, reference, T * Q) < bound(compute));
        /* the segments alone give the same bits */
        float *alone = random_floats("alone", T * Q);
        for (size_t s = 0; s < segments; s++) {
            const uint32_t own[] = {0, bounds[s + 1] - bounds[s]};
            const float *start = qkv + bounds[s] * stride;
            strata_attention_window_forward(compute, alone + bounds[s] * Q, Q, NULL, start, start + Q, start + 2 * Q,
                                            stride, own, 1, H, D, scale, workspace);
        }
        assert_same_bits(alone, out, T * Q);
        free(qkv), free(out), free(reference), free(workspace), free(alone);
    }
}
static void test_window(void **state) {
    (void)state;
    for_each_compute(check_window, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_invariance),
        cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
