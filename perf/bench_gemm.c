/* Linear layers beside the machine's limits, probed in the same run between the samples.
 *
 *     bench_gemm [-u] [-i ISA] [-c f32|bf16|int8] [-t 1,2] [-m 1,4,8,…] [-s N,K …]
 *
 * M <= 16 rotates through copies of the weights (256 MB: decoding never finds them in cache) and is shown as a share of
 * the read bandwidth as well. Figures are medians over rounds of medians over short samples (the machine may be shared:
 * a sample that lost its core is passed over); `spread` is (best - worst round) / median. -u takes the process's CPU
 * time over its threads for the time: on a machine that others use it leaves out what they took, and hides waiting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "kernels/peak.h"

#define ROUNDS     9
#define COLD_BYTES ((size_t)256 << 20)
#define MOST       32

static const char *const names[] = {"f32", "bf16", "int8"}; /* by enum strata_weight_type */
static enum strata_weight_type weight_type(const char *name) {
    size_t type = 0;
    while (type < STRATA_WEIGHT_INT8 && strcmp(name, names[type]) != 0) type++;
    return (enum strata_weight_type)type;
}

struct options {
    const char *isa;
    enum strata_weight_type type;
    size_t threads[MOST], thread_count, rows[MOST], row_count;
    size_t N[MOST], K[MOST], shapes;
    bool cpu_time;
};

static double seconds(bool cpu_time, size_t threads) {
    struct timespec time;
    clock_gettime(cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return ((double)time.tv_sec + (double)time.tv_nsec * 1e-9) / (double)(cpu_time ? threads : 1);
}

static size_t list(size_t *out, const char *text) {
    size_t count = 0;
    for (char *end; *text && count < MOST; text = *end ? end + 1 : end) {
        out[count++] = strtoul(text, &end, 10);
        if (end == text) return 0;
    }
    return count;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct series {
    double value[ROUNDS];
};
static double median(struct series *series) {
    qsort(series->value, ROUNDS, sizeof *series->value, ascending);
    return series->value[ROUNDS / 2];
}

static int measure(const struct strata_compute *compute, struct strata_probe *probe, const struct options *options,
                   size_t M, size_t N, size_t K) {
    const size_t threads = strata_threads_count(compute->threads);
    const bool bf16 = compute->type == STRATA_COMPUTE_BF16;
    const bool cpu_time = options->cpu_time;
    const size_t value = !bf16 ? 4 : options->type == STRATA_WEIGHT_INT8 ? 1 : 2, bytes = N * K * value;
    const size_t copies = M <= 16 ? COLD_BYTES / bytes + 1 : 1;
    struct strata_matrix *matrices = calloc(copies, sizeof *matrices);
    float *x = malloc(M * K * sizeof *x), *out = malloc(M * N * sizeof *out), *w = malloc(K * sizeof *w);
    if (!matrices || !x || !out || !w) return 1;
    for (size_t i = 0; i < M * K; i++) x[i] = (float)(i * 2654435761u % 1000) * 1e-3f - 0.5f;
    for (size_t i = 0; i < K; i++) w[i] = (float)(i * 40503u % 1000) * 1e-3f - 0.5f;
    for (size_t c = 0; c < copies; c++) {
        if (strata_matrix_create(&matrices[c], options->type, N, K, NULL)) return 1;
        for (size_t n = 0; n < N; n++) strata_matrix_set_rows(&matrices[c], n, 1, w);
    }
    struct series rate, peak, read;
    size_t next = 0, repeat = 1;
    for (int round = -1; round < ROUNDS; round++) { /* round -1 warms up and finds how often to repeat */
        struct series sample;
        for (int i = 0; i < ROUNDS; i++) {
            const double start = seconds(cpu_time, threads);
            for (size_t j = 0; j < repeat; j++, next = (next + 1) % copies)
                strata_linear_forward(compute, out, N, x, K, &matrices[next], NULL, M, false);
            sample.value[i] = seconds(cpu_time, threads) - start;
        }
        const double took = median(&sample);
        if (round < 0) {
            repeat = (size_t)(0.002 / took) + 1;
            continue;
        }
        rate.value[round] = 2.0 * (double)M * (double)N * (double)K * (double)repeat / took * 1e-9;
        peak.value[round] = bf16 ? strata_probe_bf16(probe, 0.01) : strata_probe_f32(probe, 0.01);
        if (peak.value[round] == 0.0) peak.value[round] = strata_probe_f32(probe, 0.01);
        read.value[round] = M <= 16 ? strata_probe_read(probe, 0.02) : 1.0;
    }
    const double gflops = median(&rate), limit = median(&peak), bandwidth = median(&read);
    const double gbs = gflops / (2.0 * (double)M) * (double)value;
    printf("%zut %6zux%-6zu M=%-5zu %8.1f GFLOP/s  spread %3.0f%%  peak %6.0f  share %5.1f%%", threads, N, K, M, gflops,
           100.0 * (rate.value[ROUNDS - 1] - rate.value[0]) / gflops, limit, 100.0 * gflops / limit);
    if (M <= 16) printf("  weights %6.1f GB/s of %5.1f = %5.1f%%", gbs, bandwidth, 100.0 * gbs / bandwidth);
    printf("\n");
    fflush(stdout);
    for (size_t c = 0; c < copies; c++) strata_matrix_free(&matrices[c]);
    free(matrices), free(x), free(out), free(w);
    return 0;
}

static int run(const struct options *options, size_t thread_count) {
    struct strata_error err;
    char line[1024];
    const struct strata_level *level;
    const bool wide = options->type == STRATA_WEIGHT_F32;
    struct strata_threads *threads = NULL;
    struct strata_compute compute;
    struct strata_probe *probe = NULL;
    if (strata_level_choose(&level, options->isa, &err) || strata_threads_create(&threads, thread_count, &err) ||
        strata_compute_create(&compute, level, wide ? STRATA_COMPUTE_F32 : STRATA_COMPUTE_BF16, threads, &err) ||
        strata_probe_create(&probe, level, threads, (size_t)128 << 20, &err)) {
        fprintf(stderr, "bench_gemm: %s\n", strata_error_line(&err, line, sizeof line));
        return 1;
    }
    int status = 0;
    printf("level %s, %s weights, %zu threads\n", strata_level_name(level), names[options->type], thread_count);
    for (size_t s = 0; s < options->shapes && !status; s++)
        for (size_t m = 0; m < options->row_count && !status; m++)
            status = measure(&compute, probe, options, options->rows[m], options->N[s], options->K[s]);
    strata_probe_free(probe);
    strata_compute_free(&compute);
    strata_threads_destroy(threads);
    return status;
}

int main(int argc, char **argv) {
    static const size_t N[] = {896, 896, 4864, 1152, 3584, 18944, 3584};
    static const size_t K[] = {896, 4864, 896, 896, 18944, 3584, 3584};
    struct options options = {.type = STRATA_WEIGHT_BF16};
    options.thread_count = list(options.threads, "1,2");
    options.row_count = list(options.rows, "1,4,8,16,64,256,1024");
    for (int c; (c = getopt(argc, argv, "ui:c:t:m:s:")) != -1;) {
        size_t shape[MOST];
        if (c == 'u') options.cpu_time = true;
        if (c == 'i') options.isa = optarg;
        if (c == 'c') options.type = weight_type(optarg);
        if (c == 't') options.thread_count = list(options.threads, optarg);
        if (c == 'm') options.row_count = list(options.rows, optarg);
        if (c == 's' && list(shape, optarg) == 2 && options.shapes < MOST) {
            options.N[options.shapes] = shape[0];
            options.K[options.shapes++] = shape[1];
        }
        if (c == '?') return 2;
    }
    if (options.shapes == 0) {
        options.shapes = sizeof N / sizeof *N;
        memcpy(options.N, N, sizeof N);
        memcpy(options.K, K, sizeof K);
    }
    for (size_t i = 0; i < options.thread_count; i++)
        if (run(&options, options.threads[i])) return 1;
    return 0;
}
