/* Attention of one layer: prefill of T tokens beside the matrix peak, and one decoding step over T keys, each with and
 * without segment masses.
 *
 *     bench_attention [-u] [-i ISA] [-c f32|bf16] [-t 1,2] [-T 320,1600] [-s H,G,D …]
 *
 * Samples with and without masses alternate. -u: CPU time over threads, as in bench_gemm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"
#include "kernels/peak.h"

#define ROUNDS   25
#define MOST     16
#define SEGMENTS 4

struct options {
    const char *isa;
    enum strata_compute_type type;
    size_t threads[MOST], thread_count, T[MOST], T_count, H[MOST], G[MOST], D[MOST], shapes;
    bool cpu_time;
};

static size_t list(size_t *out, const char *text) {
    size_t count = 0;
    for (char *end; *text && count < MOST; text = *end ? end + 1 : end) {
        out[count++] = strtoul(text, &end, 10);
        if (end == text) return 0;
    }
    return count;
}

static double seconds(bool cpu_time, size_t threads) {
    struct timespec time;
    clock_gettime(cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return ((double)time.tv_sec + (double)time.tv_nsec * 1e-9) / (double)(cpu_time ? threads : 1);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double value[ROUNDS]) {
    qsort(value, ROUNDS, sizeof *value, ascending);
    return value[ROUNDS / 2];
}

struct layer {
    struct strata_attention_rows rows;
    float *q, *kv;
    void **pages;
    size_t page_count;
};

static int make_layer(struct layer *layer, const struct strata_compute *compute, size_t T, size_t H, size_t G,
                      size_t D) {
    static uint32_t ends[SEGMENTS];
    const size_t Q = H * D;
    *layer = (struct layer){.page_count = (T + STRATA_KEY_BLOCK - 1) / STRATA_KEY_BLOCK};
    ends[0] = 20, ends[1] = (uint32_t)(T * 3 / 4), ends[2] = (uint32_t)(T - 10), ends[3] = (uint32_t)T;
    layer->q = malloc(T * Q * sizeof *layer->q), layer->kv = malloc(T * 2 * G * D * sizeof *layer->kv);
    layer->pages = calloc(layer->page_count, sizeof *layer->pages);
    layer->rows = (struct strata_attention_rows){
        .out = malloc(T * Q * sizeof(float)),
        .query = layer->q,
        .out_stride = Q,
        .query_stride = Q,
        .rows = T,
        .pages = layer->pages,
        .masses = malloc(T * SEGMENTS * sizeof(float)),
        .segment_end = ends,
        .S = SEGMENTS,
        .mass_scratch = malloc(T * H * SEGMENTS * sizeof(float)),
    };
    if (!layer->q || !layer->kv || !layer->pages || !layer->rows.out || !layer->rows.masses) return 1;
    for (size_t i = 0; i < T * Q; i++) layer->q[i] = (float)(i * 2654435761u % 1000) * 4e-3f - 2.0f;
    for (size_t i = 0; i < T * 2 * G * D; i++) layer->kv[i] = (float)(i * 40503u % 1009) * 2e-3f - 1.0f;
    for (size_t p = 0; p < layer->page_count; p++)
        if (posix_memalign(&layer->pages[p], 64, strata_page_bytes(compute, G, D))) return 1;
    for (size_t t = 0; t < T; t++)
        strata_page_write(compute, layer->pages[t / STRATA_KEY_BLOCK], t % STRATA_KEY_BLOCK, layer->kv + t * 2 * G * D,
                          layer->kv + (t * 2 + 1) * G * D, G, D);
    return 0;
}
static void free_layer(struct layer *layer) {
    for (size_t p = 0; p < layer->page_count; p++) free(layer->pages[p]);
    free(layer->pages), free(layer->q), free(layer->kv), free(layer->rows.out), free(layer->rows.masses);
    free(layer->rows.mass_scratch);
}

/* One step: all rows, or the last one. */
static void step(const struct strata_compute *compute, const struct layer *layer, bool last, bool masses, size_t H,
                 size_t G, size_t D) {
    struct strata_attention_rows rows = layer->rows;
    if (last) rows.first = rows.rows - 1, rows.rows = 1;
    if (!masses) rows.masses = NULL;
    strata_attention_forward(compute, &rows, 1, H, G, D, 0.125f);
}

static int measure(const struct strata_compute *compute, struct strata_probe *probe, bool cpu_time, bool last, size_t T,
                   size_t H, size_t G, size_t D) {
    const size_t threads = strata_threads_count(compute->threads);
    struct layer layer;
    if (make_layer(&layer, compute, T, H, G, D)) return 1;
    double time[2][ROUNDS], peak[ROUNDS];
    size_t repeat = 1;
    for (int round = -1; round < ROUNDS; round++) {
        for (int masses = 0; masses < 2; masses++) {
            const double start = seconds(cpu_time, threads);
            for (size_t i = 0; i < repeat; i++) step(compute, &layer, last, masses, H, G, D);
            const double took = (seconds(cpu_time, threads) - start) / (double)repeat;
            if (round < 0)
                repeat = (size_t)(0.002 / took) + 1;
            else
                time[masses][round] = took;
        }
        if (round < 0) continue;
        peak[round] = compute->type == STRATA_COMPUTE_BF16 ? strata_probe_bf16(probe, 0.005) : 0.0;
        if (peak[round] == 0.0) peak[round] = strata_probe_f32(probe, 0.005);
    }
    const double plain = median(time[0]), massed = median(time[1]), limit = median(peak);
    const double pairs = last ? (double)T : (double)T * (double)(T + 1) / 2.0;
    const double gflops = 4.0 * (double)(H * D) * pairs / plain * 1e-9;
    printf("%zut H=%zu G=%zu D=%-3zu %s T=%-5zu %9.1f us  spread %3.0f%%  %6.1f GFLOP/s = %4.1f%% of %.0f  with masses "
           "%9.1f us (%+.1f%%)\n",
           threads, H, G, D, last ? "decode " : "prefill", T, plain * 1e6,
           100.0 * (time[0][ROUNDS - 1] - time[0][0]) / plain, gflops, 100.0 * gflops / limit, limit, massed * 1e6,
           100.0 * (massed / plain - 1.0));
    fflush(stdout);
    free_layer(&layer);
    return 0;
}

static int run(const struct options *options, size_t thread_count) {
    struct strata_error err;
    char line[1024];
    const struct strata_level *level;
    struct strata_threads *threads = NULL;
    struct strata_compute compute;
    struct strata_probe *probe = NULL;
    if (strata_level_choose(&level, options->isa, &err) || strata_threads_create(&threads, thread_count, &err) ||
        strata_compute_create(&compute, level, options->type, threads, &err) ||
        strata_probe_create(&probe, level, threads, 0, &err)) {
        fprintf(stderr, "bench_attention: %s\n", strata_error_line(&err, line, sizeof line));
        return 1;
    }
    int status = 0;
    printf("level %s, %s, %zu threads\n", strata_level_name(level),
           options->type == STRATA_COMPUTE_BF16 ? "bf16" : "f32", thread_count);
    for (size_t s = 0; s < options->shapes && !status; s++)
        for (size_t t = 0; t < options->T_count && !status; t++)
            for (int last = 0; last < 2 && !status; last++)
                status = measure(&compute, probe, options->cpu_time, last, options->T[t], options->H[s], options->G[s],
                                 options->D[s]);
    strata_probe_free(probe);
    strata_compute_free(&compute);
    strata_threads_destroy(threads);
    return status;
}

int main(int argc, char **argv) {
    struct options options = {.type = STRATA_COMPUTE_BF16, .H = {14, 28}, .G = {2, 4}, .D = {64, 128}};
    options.thread_count = list(options.threads, "1,2");
    options.T_count = list(options.T, "320,1600");
    for (int c; (c = getopt(argc, argv, "ui:c:t:T:s:")) != -1;) {
        size_t shape[MOST];
        if (c == 'u') options.cpu_time = true;
        if (c == 'i') options.isa = optarg;
        if (c == 'c') options.type = strcmp(optarg, "f32") == 0 ? STRATA_COMPUTE_F32 : STRATA_COMPUTE_BF16;
        if (c == 't') options.thread_count = list(options.threads, optarg);
        if (c == 'T') options.T_count = list(options.T, optarg);
        if (c == 's' && list(shape, optarg) == 3 && options.shapes < MOST) {
            options.H[options.shapes] = shape[0];
            options.G[options.shapes] = shape[1];
            options.D[options.shapes++] = shape[2];
        }
        if (c == '?') return 2;
    }
    if (options.shapes == 0) options.shapes = 2;
    for (size_t i = 0; i < options.thread_count; i++)
        if (run(&options, options.threads[i])) return 1;
    return 0;
}
