/* The library's tasks that need no model: products, graders, the run store. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/bench.h"
#include "difficulty/score.h"
#include "verify/verify.h"

#define ID(name) STRATA_OPTION_ID_##name

/* Layer shapes (N, K) of a 0.5B and a 7B model. */
static const struct {
    size_t N, K;
} shapes[] = {{1152, 896}, {896, 896}, {9728, 896}, {896, 4864}, {3584, 3584}, {37888, 3584}, {3584, 18944}};

static int one_product(const struct bench *bench, const struct strata_compute *compute, size_t M, size_t N, size_t K,
                       struct strata_error *err) {
    struct bench_figure figure = {.unit = "gflops", .limit = M < 64 ? BENCH_READ : BENCH_COMPUTE};
    struct strata_matrix weight;
    float *x = NULL, *out = NULL;
    char task[64];
    snprintf(task, sizeof task, "gemm %zux%zux%zu", M, N, K);
    figure.task = task;
    bool bf16 = compute->type == STRATA_COMPUTE_BF16;
    int code = strata_matrix_create(&weight, bf16 ? STRATA_WEIGHT_BF16 : STRATA_WEIGHT_F32, N, K, err);
    if (code) return code;
    memset(weight.panels, 0, weight.bytes);
    if (!(code = strata_alloc(&x, M * K, sizeof *x, err))) code = strata_alloc(&out, M * N, sizeof *out, err);
    double flops = 2.0 * (double)M * (double)N * (double)K, bytes = (double)weight.bytes;
    for (size_t round = 0; !code && round < bench->rounds; round++) {
        double limit = bench_probe(bench, figure.limit), start = strata_seconds(), spent;
        size_t calls = 0;
        do {
            strata_linear_forward(compute, out, N, x, K, &weight, NULL, M, false);
            calls++;
            spent = strata_seconds() - start;
        } while (spent < 0.2);
        limit = fmax(limit, bench_probe(bench, figure.limit));
        double per_call = spent / (double)calls;
        bench_add(&figure.value, flops / per_call * 1e-9);
        bench_add(&figure.limits, limit);
        bench_add(&figure.share, (figure.limit == BENCH_READ ? bytes : flops) / per_call * 1e-9 / limit);
    }
    free(x);
    free(out);
    strata_matrix_free(&weight);
    return code ? code : bench_print(bench, &figure, err);
}

int bench_gemm(struct bench *bench, struct strata_error *err) {
    static const size_t rows[] = {1, 8, 256, 1024};
    struct strata_compute compute;
    bench->bf16 = strata_choice(bench->arguments, ID(COMPUTE)) != 1;
    int code = strata_compute_create(&compute, bench->level, bench->bf16 ? STRATA_COMPUTE_BF16 : STRATA_COMPUTE_F32,
                                     bench->threads, err);
    if (code) return code;
    for (size_t s = 0; !code && s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t r = 0; !code && r < sizeof rows / sizeof *rows; r++) {
            code = one_product(bench, &compute, rows[r], shapes[s].N, shapes[s].K, err);
        }
    }
    strata_compute_free(&compute);
    return code;
}

int bench_verify(struct bench *bench, struct strata_error *err) {
    static const char *const pairs[][2] = {{"circle", "<think>It is round.</think><answer>circle</answer>"},
                                           {"yes", "<think>The image shows a red circle.</think><answer>no</answer>"},
                                           {"42", "<answer>42</answer>"},
                                           {"1/2", "The answer is \\boxed{0.5}"},
                                           {"B", "<think>A is wrong.</think><answer>(B)</answer>"}};
    const size_t count = sizeof pairs / sizeof *pairs, repeats = 4000;
    struct bench_figure figure = {.task = "verify", .unit = "gradings_s"};
    struct strata_verdict verdict = {0};
    int code = 0;
    for (size_t round = 0; !code && round < bench->rounds; round++) {
        double start = strata_seconds();
        for (size_t i = 0; !code && i < count * repeats; i++) {
            const char *const *pair = pairs[i % count];
            struct strata_verify_input input = {.solution = pair[0],
                                                .solution_length = strlen(pair[0]),
                                                .completion = pair[1],
                                                .completion_length = strlen(pair[1])};
            code = strata_verify(&verdict, &input, STRATA_VERIFY_STRICT, err);
        }
        bench_add(&figure.value, (double)(count * repeats) / (strata_seconds() - start));
    }
    strata_verdict_free(&verdict);
    return code ? code : bench_print(bench, &figure, err);
}

/* Text-free records are enough: what is measured is asking, grading and storing. */
static int write_records(const char *directory, size_t records, struct strata_error *err) {
    struct strata_atomic_file file;
    char *path = strata_path_join(directory, "data.jsonl"), *picture = strata_path_join(directory, "p.png");
    struct strata_image image = {.width = 8, .height = 8};
    struct strata_buffer png = {0};
    int code = path && picture ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_alloc(&image.rgb, 64, 3, err);
    if (!code) code = strata_image_encode_png(&png, &image, err);
    if (!code) code = strata_file_write(picture, png.data, png.length, err);
    if (!code) code = strata_atomic_open(&file, path, err);
    if (!code) {
        for (size_t i = 0; i < records; i++) {
            fprintf(file.stream,
                    "{\"id\": \"r%zu\", \"messages\": [{\"role\": \"user\", \"content\": \"<image>what is it?\"}], "
                    "\"images\": [\"p.png\"], \"solution\": \"yes\", \"ability\": \"a%zu\"}\n",
                    i, i % 8);
        }
        code = strata_atomic_commit(&file, err);
    }
    strata_buffer_free(&png);
    strata_image_free(&image);
    free(path);
    free(picture);
    return code;
}

int bench_store(struct bench *bench, struct strata_error *err) {
    struct bench_figure figure = {.task = "store", .unit = "draws_s"};
    size_t records =
        strata_given(bench->arguments, ID(LIMIT)) ? (size_t)strata_integer(bench->arguments, ID(LIMIT)) : 5000;
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char directory[512];
    snprintf(directory, sizeof directory, "%s/strata-bench-XXXXXX", base);
    if (!mkdtemp(directory)) return strata_fail(err, STRATA_ERR_IO, "cannot make a directory below %s", base);
    char *data = strata_path_join(directory, "data.jsonl"), *run = strata_path_join(directory, "run");
    struct strata_engine *engine = NULL;
    struct strata_score_summary summary = {0};
    int code = write_records(directory, records, err);
    if (!code) code = strata_engine_scripted(&engine, 1, 256, err);
    if (!code) {
        struct strata_score_options options;
        strata_score_options_default(&options);
        options.data = data;
        options.out = run;
        double start = strata_seconds();
        code = strata_score(&summary, engine, &options, err);
        double spent = strata_seconds() - start;
        bench_add(&figure.value, (double)summary.draws_now / spent);
        figure.details = json_pack("{s:I, s:I, s:f, s:f}", "records", (json_int_t)records, "draws",
                                   (json_int_t)summary.draws_now, "seconds", spent, "store_s", summary.store_seconds);
    }
    strata_score_summary_free(&summary);
    strata_engine_destroy(engine);
    struct strata_error unused;
    (void)strata_remove_tree(directory, &unused);
    free(data);
    free(run);
    return code ? code : bench_print(bench, &figure, err);
}
