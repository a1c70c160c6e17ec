/* Gradients of the kernels: linear layers against sums in double, everything else against central differences of a
 * forward in double; and the same bits from one thread and from two. */
#include "kernels/backward.h"
#include "kernels/support.h"

#include "base/elementary.h"

#define STEP 1e-5 /* of central differences in double */

/* A scalar function of one array: the loss whose gradient is asked for. */
typedef double loss_function(const double *x, void *context);

/* Central differences at every `stride`-th of `count` values against a gradient; their relative L2 distance. */
static double difference_to(const float *gradient, double *x, size_t count, size_t stride, loss_function *loss,
                            void *context) {
    double distance = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i += stride) {
        const double kept = x[i];
        x[i] = kept + STEP;
        const double above = loss(x, context);
        x[i] = kept - STEP;
        const double slope = (above - loss(x, context)) / (2.0 * STEP);
        x[i] = kept;
        distance += (slope - (double)gradient[i]) * (slope - (double)gradient[i]);
        norm += slope * slope;
    }
    return sqrt(distance / norm);
}

static double *widened(const float *x, size_t count) {
    double *out = malloc((count + 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < count; i++) out[i] = (double)x[i];
    return out;
}

/* Keeps what one thread gave until two have given theirs. */
struct kept {
    float *values[2][8];
};
static void compare_threads(struct kept *kept, const struct strata_compute *compute, size_t slot, const float *x,
                            size_t count) {
    float **place = &kept->values[compute->type][slot];
    if (strata_threads_count(compute->threads) == 2) assert_same_bits(x, *place, count);
    free(*place);
    *place = malloc((count + 1) * sizeof *x);
    memcpy(*place, x, count * sizeof *x);
}
static void kept_free(struct kept *kept) {
    for (size_t type = 0; type < 2; type++)
        for (size_t i = 0; i < 8; i++) free(kept->values[type][i]);
}
static void for_each_compute_and_threads(each_body *body) {
    struct kept kept = {{{NULL}}};
    for_each_compute(body, &kept);
    kept_free(&kept);
}

/* ---- linear ---- */

struct shape {
    size_t M, N, K;
};
/* Rows across a row block, outputs across a block of sums, odd everything. */
static const struct shape shapes[] = {{1, 1, 1},      {3, 65, 33},   {7, 64, 64},
                                      {513, 70, 131}, {1100, 9, 20}, {5, 1101, 67}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static void linear_case(const struct strata_compute *compute, enum strata_weight_type type, struct shape shape) {
    const size_t M = shape.M, N = shape.N, K = shape.K;
    const bool narrow = type == STRATA_WEIGHT_BF16, rounded = narrow && compute->type == STRATA_COMPUTE_BF16;
    float *w = random_floats("w", N * K), *x = random_floats("x", M * (K + 3)), *dout = random_floats("d", M * (N + 2));
    float *dx = random_floats("dx", M * (K + 1)), *dw = random_floats("dw", N * K), *db = random_floats("db", N);
    double *dx_want = calloc(M * (K + 1), sizeof(double)), *dw_want = widened(dw, N * K), *db_want = widened(db, N);
    struct strata_matrix matrix;
    assert_int_equal(strata_matrix_create(&matrix, type, N, K, NULL), 0);
    strata_matrix_set_rows(&matrix, 0, N, w);
    for (int add = 0; add < 2; add++) {
        for (size_t m = 0; m < M; m++) {
            for (size_t k = 0; k < K; k++) {
                double sum = add ? (double)dx[m * (K + 1) + k] : 0.0;
                for (size_t n = 0; n < N; n++) sum += seen(dout[m * (N + 2) + n], rounded) * seen(w[n * K + k], narrow);
                dx_want[m * (K + 1) + k] = sum;
            }
            dx_want[m * (K + 1) + K] = (double)dx[m * (K + 1) + K]; /* between the rows: not touched */
        }
        strata_linear_backward_input(compute, dx, K + 1, dout, N + 2, &matrix, M, add);
        assert_true(relative_l2(dx, dx_want, M * (K + 1)) < 1e-6);
    }
    for (size_t n = 0; n < N; n++)
        for (size_t m = 0; m < M; m++) {
            db_want[n] += (double)dout[m * (N + 2) + n];
            for (size_t k = 0; k < K; k++)
                dw_want[n * K + k] += seen(dout[m * (N + 2) + n], rounded) * seen(x[m * (K + 3) + k], rounded);
        }
    strata_linear_backward_weight(compute, dw, dout, N + 2, x, K + 3, type, M, N, K);
    assert_true(relative_l2(dw, dw_want, N * K) < 1e-6);
    strata_bias_backward(compute, db, dout, N + 2, M, N);
    assert_true(relative_l2(db, db_want, N) < 1e-6);
    strata_linear_backward_weight(compute, NULL, dout, N + 2, x, K + 3, type, M, N, K); /* not wanted */
    strata_bias_backward(compute, NULL, dout, N + 2, M, N);
    strata_matrix_free(&matrix);
    free(w), free(x), free(dout), free(dx), free(dw), free(db), free(dx_want), free(dw_want), free(db_want);
}
static void linear_cases(const struct strata_compute *compute, void *context) {
    (void)context;
    for (size_t i = 0; i < SHAPES; i++)
        for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_BF16; type++)
            linear_case(compute, (enum strata_weight_type)type, shapes[i]);
}
static void test_linear(void **state) {
    (void)state;
    for_each_compute(linear_cases, NULL);
}

/* A row's dx does not depend on the other rows; sums over rows not on the threads. */
static void linear_bits(const struct strata_compute *compute, void *context) {
    const size_t M = 700, N = 300, K = 200;
    float *w = random_floats("w", N * K), *x = random_floats("x", M * K), *dout = random_floats("d", M * N);
    float *dx = random_floats("dx", M * K), *one = random_floats("one", K), *db = calloc(N, sizeof *db);
    for (int type = STRATA_WEIGHT_F32; type <= STRATA_WEIGHT_BF16; type++) {
        float *dw = calloc(N * K, sizeof *dw);
        struct strata_matrix matrix;
        assert_int_equal(strata_matrix_create(&matrix, (enum strata_weight_type)type, N, K, NULL), 0);
        strata_matrix_set_rows(&matrix, 0, N, w);
        strata_linear_backward_input(compute, dx, K, dout, N, &matrix, M, false);
        for (size_t m = 0; m < M; m += 41) {
            strata_linear_backward_input(compute, one, K, dout + m * N, N, &matrix, 1, false);
            assert_same_bits(one, dx + m * K, K);
        }
        strata_linear_backward_weight(compute, dw, dout, N, x, K, (enum strata_weight_type)type, M, N, K);
        compare_threads(context, compute, (size_t)type * 2, dx, M * K);
        compare_threads(context, compute, (size_t)type * 2 + 1, dw, N * K);
        strata_matrix_free(&matrix);
        free(dw);
    }
    strata_bias_backward(compute, db, dout, N, M, N);
    compare_threads(context, compute, 4, db, N);
    free(w), free(x), free(dout), free(dx), free(one), free(db);
}
static void test_linear_bits(void **state) {
    (void)state;
    for_each_compute_and_threads(linear_bits);
}

/* ---- rows ---- */

enum { M_ROWS = 5, C_ROWS = 37 };
struct norm_loss {
    const double *x, *weight, *d;
    bool by_weight;
};
static double norm_loss(const double *at, void *context) {
    const struct norm_loss *c = context;
    const double *x = c->by_weight ? c->x : at, *weight = c->by_weight ? at : c->weight;
    double sum = 0.0;
    for (size_t m = 0; m < M_ROWS; m++) {
        double squares = 0.0;
        for (size_t i = 0; i < C_ROWS; i++) squares += x[m * C_ROWS + i] * x[m * C_ROWS + i];
        for (size_t i = 0; i < C_ROWS; i++)
            sum += c->d[m * C_ROWS + i] * x[m * C_ROWS + i] / sqrt(squares / C_ROWS + 1e-2) * weight[i];
    }
    return sum;
}
static void rmsnorm_case(const struct strata_compute *compute, void *context) {
    enum { M = M_ROWS, C = C_ROWS };
    float *x = random_floats("x", M * C), *w = random_floats("w", C), *d = random_floats("d", M * C);
    float out[M * C], rstd[M], dx[M * C], dw[C] = {0}, added[M * C];
    (void)context;
    double *x_wide = widened(x, M * C), *w_wide = widened(w, C), *d_wide = widened(d, M * C);
    strata_rmsnorm_forward(compute, out, rstd, x, w, 1e-2f, M, C);
    strata_rmsnorm_backward(compute, dx, dw, d, x, rstd, w, M, C, false);
    struct norm_loss loss = {x_wide, w_wide, d_wide, false};
    assert_true(difference_to(dx, x_wide, M * C, 1, norm_loss, &loss) < 1e-6);
    loss.by_weight = true;
    assert_true(difference_to(dw, w_wide, C, 1, norm_loss, &loss) < 1e-6);
    memcpy(added, x, sizeof added);
    strata_rmsnorm_backward(compute, added, NULL, d, x, rstd, w, M, C, true);
    for (size_t i = 0; i < M * C; i++) assert_true(added[i] == x[i] + dx[i]);
    strata_rmsnorm_backward(compute, d, NULL, d, x, rstd, w, M, C, false); /* in place */
    assert_same_bits(d, dx, M * C);
    free(x), free(w), free(d), free(x_wide), free(w_wide), free(d_wide);
}

struct pair_loss {
    const double *other, *d;
    size_t count;
    bool by_gate;
};
static double swiglu_loss(const double *at, void *context) {
    const struct pair_loss *c = context;
    double sum = 0.0;
    for (size_t i = 0; i < c->count; i++) {
        const double gate = c->by_gate ? at[i] : c->other[i], up = c->by_gate ? c->other[i] : at[i];
        sum += c->d[i] * gate / (1.0 + strata_exp(-gate)) * up;
    }
    return sum;
}
static double gelu_loss(const double *at, void *context) {
    const struct pair_loss *c = context;
    double sum = 0.0;
    for (size_t i = 0; i < c->count; i++)
        sum += c->d[i] * 0.5 * at[i] * (1.0 + strata_erf(at[i] * 0.70710678118654752440));
    return sum;
}
static void activations_case(const struct strata_compute *compute, void *context) {
    enum { M = 4, F = 53 };
    float *gate = random_floats("gate", M * F), *up = random_floats("up", M * F), *d = random_floats("d", M * F);
    float *out = random_floats("out", 2 * M * F);
    (void)context;
    for (size_t i = 0; i < M * F; i++) gate[i] *= 5.0f;
    double *gate_wide = widened(gate, M * F), *up_wide = widened(up, M * F), *d_wide = widened(d, M * F);
    strata_swiglu_backward(compute, out, out + F, 2 * F, d, F, gate, up, F, M, F);
    float dgate[M * F], dup[M * F];
    for (size_t m = 0; m < M; m++) {
        memcpy(dgate + m * F, out + 2 * m * F, F * sizeof(float));
        memcpy(dup + m * F, out + (2 * m + 1) * F, F * sizeof(float));
    }
    struct pair_loss loss = {up_wide, d_wide, M * F, true};
    assert_true(difference_to(dgate, gate_wide, M * F, 1, swiglu_loss, &loss) < 1e-6);
    loss = (struct pair_loss){gate_wide, d_wide, M * F, false};
    assert_true(difference_to(dup, up_wide, M * F, 1, swiglu_loss, &loss) < 1e-6);
    strata_gelu_backward(compute, out, d, gate, M * F);
    assert_true(difference_to(out, gate_wide, M * F, 1, gelu_loss, &loss) < 1e-6);
    free(gate), free(up), free(d), free(out), free(gate_wide), free(up_wide), free(d_wide);
}

/* <y, rope(x)> = <rope_backward(y), x>. */
static void rope_case(const struct strata_compute *compute, void *context) {
    enum { T = 3, H = 2, D = 26 };
    float *x = random_floats("x", T * H * D), *y = random_floats("y", T * H * D), *angle = random_floats("a", T * D);
    float cosines[T * D / 2], sines[T * D / 2];
    double forward = 0.0, backward = 0.0;
    (void)context;
    for (size_t i = 0; i < T * D / 2; i++) {
        double sine, cosine;
        strata_sincos(&sine, &cosine, 3.0 * (double)angle[i]);
        sines[i] = (float)sine;
        cosines[i] = (float)cosine;
    }
    float *turned = random_floats("x", T * H * D), *back = random_floats("y", T * H * D);
    strata_rope_forward(compute, turned, H * D, cosines, sines, T, H, D);
    strata_rope_backward(compute, back, H * D, cosines, sines, T, H, D);
    for (size_t i = 0; i < T * H * D; i++) {
        forward += (double)y[i] * (double)turned[i];
        backward += (double)back[i] * (double)x[i];
    }
    assert_true(fabs(forward - backward) < 1e-5);
    free(x), free(y), free(angle), free(turned), free(back);
}

static double lse_loss(const double *at, void *context) {
    const struct pair_loss *c = context;
    double sum = 0.0;
    for (size_t m = 0; m < 3; m++) {
        double exponentials = 0.0;
        for (size_t v = 0; v < c->count; v++) exponentials += strata_exp(at[m * c->count + v] / 0.7);
        sum += c->d[m] * strata_log(exponentials);
    }
    return sum;
}
static void logsumexp_case(const struct strata_compute *compute, void *context) {
    enum { M = 3, V = 71 };
    float *logits = random_floats("z", M * V), *d = random_floats("d", M), *scaled = random_floats("z", M * V);
    float lse[M], dlogits[M * V];
    (void)context;
    for (size_t i = 0; i < M * V; i++) {
        logits[i] *= 4.0f;
        scaled[i] = logits[i] / 0.7f;
    }
    strata_logsumexp(compute, lse, scaled, V, M, V);
    strata_logsumexp_backward(compute, dlogits, logits, V, lse, d, 0.7f, M, V);
    double *wide = widened(logits, M * V), *d_wide = widened(d, M);
    struct pair_loss loss = {NULL, d_wide, V, false};
    assert_true(difference_to(dlogits, wide, M * V, 1, lse_loss, &loss) < 2e-6);
    free(logits), free(d), free(scaled), free(wide), free(d_wide);
}

static void embedding_case(const struct strata_compute *compute, void *context) {
    enum { T = 6, C = 70, V = 4 };
    static const int32_t ids[T] = {2, -1, 0, 2, 3, 2};
    float *dx = random_floats("dx", T * C), *table = random_floats("t", V * C), *want = random_floats("t", V * C);
    (void)context;
    for (size_t t = 0; t < T; t++)
        for (size_t c = 0; ids[t] >= 0 && c < C; c++) want[(size_t)ids[t] * C + c] += dx[t * C + c];
    strata_embedding_backward(compute, table, dx, ids, T, C);
    assert_same_bits(table, want, V * C);
    free(dx), free(table), free(want);
}
static void test_rows(void **state) {
    (void)state;
    for_each_compute(rmsnorm_case, NULL);
    for_each_compute(activations_case, NULL);
    for_each_compute(rope_case, NULL);
    for_each_compute(logsumexp_case, NULL);
    for_each_compute(embedding_case, NULL);
}

/* ---- attention ---- */

/* What a span's query rows see, in double; x is query (T,H,D), key (T,G,D), value (T,G,D) one after the other. */
struct attention_loss {
    const struct strata_attention_span *spans;
    size_t count, T, H, G, D;
    bool causal;
    double scale, *out, *logsumexp; /* where not NULL: (T,H,D), (T,H) */
    const double *d;
};
static double attend_row(const struct attention_loss *c, const double *x, const struct strata_attention_span *span,
                         size_t row, size_t h) {
    const size_t H = c->H, G = c->G, D = c->D, g = h / (H / G), t = span->first + row;
    const double *query = x + (t * H + h) * D, *keys = x + c->T * H * D, *values = keys + c->T * G * D;
    const size_t own = c->causal ? row + 1 : span->rows, seen = span->prefix_rows + own;
    double weights[512], sum = 0.0, loss = 0.0;
    assert_true(seen <= 512);
    for (size_t j = 0; j < seen; j++) {
        const size_t key = j < span->prefix_rows ? span->prefix + j : span->first + j - span->prefix_rows;
        double score = 0.0;
        for (size_t d = 0; d < D; d++) score += query[d] * keys[(key * G + g) * D + d];
        sum += weights[j] = strata_exp(c->scale * score);
    }
    for (size_t d = 0; d < D; d++) {
        double out = 0.0;
        for (size_t j = 0; j < seen; j++) {
            const size_t key = j < span->prefix_rows ? span->prefix + j : span->first + j - span->prefix_rows;
            out += weights[j] / sum * values[(key * G + g) * D + d];
        }
        loss += out * c->d[(t * H + h) * D + d];
        if (c->out) c->out[(t * H + h) * D + d] = out;
    }
    if (c->logsumexp) c->logsumexp[t * H + h] = strata_log(sum);
    return loss;
}
static double attention_loss(const double *x, void *context) {
    const struct attention_loss *c = context;
    double loss = 0.0;
    for (size_t i = 0; i < c->count; i++)
        for (size_t row = 0; row < c->spans[i].rows; row++)
            for (size_t h = 0; h < c->H; h++) loss += attend_row(c, x, &c->spans[i], row, h);
    return loss;
}

/* (T, heads*D) pieces of x into one row of query, key and value, and back. */
static void to_rows(float *rows, const float *x, size_t T, size_t H, size_t G, size_t D) {
    const size_t W = (H + 2 * G) * D;
    for (size_t t = 0; t < T; t++) {
        memcpy(rows + t * W, x + t * H * D, H * D * sizeof *x);
        for (size_t i = 0; i < 2; i++)
            memcpy(rows + t * W + (H + i * G) * D, x + T * H * D + (i * T + t) * G * D, G * D * sizeof *x);
    }
}
static void from_rows(float *x, const float *rows, size_t T, size_t H, size_t G, size_t D) {
    const size_t W = (H + 2 * G) * D;
    for (size_t t = 0; t < T; t++) {
        memcpy(x + t * H * D, rows + t * W, H * D * sizeof *x);
        for (size_t i = 0; i < 2; i++)
            memcpy(x + T * H * D + (i * T + t) * G * D, rows + t * W + (H + i * G) * D, G * D * sizeof *x);
    }
}

static double cosine(const float *a, const float *b, size_t count) {
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (size_t i = 0; i < count; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Forward's logsumexp, for the door that `causal` says; prefixes are not its business. */
static void check_logsumexp(const struct strata_compute *compute, const struct attention_loss *c, const float *rows) {
    const size_t W = (c->H + 2 * c->G) * c->D, Q = c->H * c->D, span_rows = c->spans[0].rows;
    float *out = malloc(c->T * Q * sizeof *out), *lse = calloc(c->T * c->H, sizeof *lse);
    if (c->causal) {
        void *pages[8];
        for (size_t p = 0; p < 8; p++) pages[p] = calloc(1, strata_page_bytes(compute, c->G, c->D));
        for (size_t t = 0; t < span_rows; t++)
            strata_page_write(compute, pages[t / 64], t % 64, rows + t * W + Q, rows + t * W + Q + c->G * c->D, c->G,
                              c->D);
        const struct strata_attention_rows item = {.out = out,
                                                   .out_stride = Q,
                                                   .query = rows,
                                                   .query_stride = W,
                                                   .rows = span_rows,
                                                   .pages = pages,
                                                   .logsumexp = lse};
        strata_attention_forward(compute, &item, 1, c->H, c->G, c->D, (float)c->scale);
        for (size_t p = 0; p < 8; p++) free(pages[p]);
    } else {
        uint32_t bounds[9] = {0};
        for (size_t i = 0; i < c->count; i++) bounds[i + 1] = (uint32_t)(c->spans[i].first + c->spans[i].rows);
        void *workspace = malloc(strata_window_workspace(compute, bounds, c->count, c->H, c->D));
        strata_attention_window_forward(compute, out, Q, lse, rows, rows + Q, rows + 2 * Q, W, bounds, c->count, c->H,
                                        c->D, (float)c->scale, workspace);
        free(workspace);
    }
    const size_t checked = c->causal ? span_rows : c->T;
    const double bound = compute->type == STRATA_COMPUTE_BF16 ? 1e-2 : 1e-6;
    assert_true(relative_l2(lse, c->logsumexp, checked * c->H) < bound);
    free(out), free(lse);
}

static void attention_case(const struct strata_compute *compute, struct attention_loss c, struct kept *kept,
                           size_t slot) {
    const size_t T = c.T, Q = c.H * c.D, W = (c.H + 2 * c.G) * c.D;
    float *x = random_floats("qkv", T * W), *d = random_floats("d", T * Q), *rows = malloc(T * W * sizeof *rows);
    float *gradient = malloc(T * W * sizeof *gradient), *d_rows = malloc(T * W * sizeof *d_rows);
    float *out = malloc(T * Q * sizeof *out), *lse = malloc(T * c.H * sizeof *lse),
          *delta = malloc(T * c.H * sizeof *lse);
    double *wide = widened(x, T * W), *d_wide = widened(d, T * Q);
    c.d = d_wide;
    c.scale = 1.5 / sqrt((double)c.D);
    c.out = malloc(T * Q * sizeof *c.out);
    c.logsumexp = malloc(T * c.H * sizeof *c.logsumexp);
    attention_loss(wide, &c);
    for (size_t i = 0; i < T * Q; i++) out[i] = (float)c.out[i];
    for (size_t i = 0; i < T * c.H; i++) lse[i] = (float)c.logsumexp[i];
    to_rows(rows, x, T, c.H, c.G, c.D);
    check_logsumexp(compute, &c, rows);
    const struct strata_attention_backward call = {.dquery = d_rows,
                                                   .dkey = d_rows + Q,
                                                   .dvalue = d_rows + Q + c.G * c.D,
                                                   .d_stride = W,
                                                   .query = rows,
                                                   .key = rows + Q,
                                                   .value = rows + Q + c.G * c.D,
                                                   .stride = W,
                                                   .out = out,
                                                   .dout = d,
                                                   .logsumexp = lse,
                                                   .delta = delta,
                                                   .spans = c.spans,
                                                   .count = c.count,
                                                   .H = c.H,
                                                   .G = c.G,
                                                   .D = c.D,
                                                   .causal = c.causal,
                                                   .scale = (float)c.scale};
    for (size_t i = 0; i < T * W; i++) d_rows[i] = NAN; /* all of it is written */
    strata_attention_backward(compute, &call);
    from_rows(gradient, d_rows, T, c.H, c.G, c.D);
    compare_threads(kept, compute, slot, gradient, T * W);
    free(c.out), free(c.logsumexp);
    c.out = c.logsumexp = NULL;
    if (compute->type == STRATA_COMPUTE_BF16) {
        float **reference = &kept->values[STRATA_COMPUTE_F32][slot];
        assert_true(cosine(gradient, *reference, T * W) > 0.9999);
    } else if (strata_threads_count(compute->threads) == 1) {
        const size_t stride = T * W / 60;
        assert_true(difference_to(gradient, wide, T * W, stride, attention_loss, &c) < 1e-5);
    }
    free(x), free(d), free(rows), free(gradient), free(d_rows), free(out), free(lse), free(delta);
    free(wide), free(d_wide);
}

static void attention_cases(const struct strata_compute *compute, void *context) {
    /* Two prompts, the first shared by responses that end in, on and behind a block, one of them without rows. */
    static const struct strata_attention_span shared[] = {{0, 70, 0, 0},    {70, 58, 0, 70}, {128, 0, 0, 70},
                                                          {128, 67, 0, 70}, {195, 3, 0, 0},  {198, 2, 195, 3}};
    static const struct strata_attention_span single[] = {{0, 130, 0, 0}};
    static const struct strata_attention_span windows[] = {{0, 16, 0, 0}, {16, 65, 0, 0}, {81, 1, 0, 0}};
    attention_case(
        compute,
        (struct attention_loss){.spans = shared, .count = 6, .T = 200, .H = 6, .G = 2, .D = 10, .causal = true},
        context, 0);
    attention_case(
        compute,
        (struct attention_loss){.spans = single, .count = 1, .T = 130, .H = 2, .G = 2, .D = 72, .causal = true},
        context, 1);
    attention_case(compute, (struct attention_loss){.spans = windows, .count = 3, .T = 82, .H = 3, .G = 3, .D = 20},
                   context, 2);
}
static void test_attention(void **state) {
    (void)state;
    for_each_compute_and_threads(attention_cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linear_bits),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
