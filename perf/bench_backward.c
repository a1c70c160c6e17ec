/* Forward and backward of training beside the machine's peak, probed in the same run between the samples.
 *
 *     bench_backward [-u] [-i ISA] [-c f32|bf16] [-t THREADS] [-l all|layers] [-T ROWS] [-S SCORED] [-L LAYERS]
 *     bench_backward -k [...]       the two products of linear layers alone, in the shapes of the model
 *
 * The model is the 0.5B preset's language model with random weights (-L fewer layers). Rows are one prompt of ROWS
 * tokens with one response, of which SCORED tokens are scored. The share of the peak counts what the method needs,
 * 2 operations per weight and row forward and 4 backward (the head for scored rows only) and the attention's products;
 * what is computed again costs time and counts nothing. -u takes the process's CPU time over its threads for the time
 * (on a machine that others use it leaves out what they took, and hides waiting). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/backward.h"
#include "kernels/peak.h"
#include "model/init.h"
#include "model/tape.h"

#define ROUNDS 5

struct options {
    const char *isa;
    enum strata_compute_type type;
    enum strata_tape_level level;
    size_t threads, T, scored, layers;
    bool cpu_time, kernels;
};

struct machine {
    struct strata_compute compute;
    struct strata_probe *probe;
    const struct options *options;
};

static double seconds(const struct options *options) {
    struct timespec time;
    clock_gettime(options->cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return ((double)time.tv_sec + (double)time.tv_nsec * 1e-9) / (double)(options->cpu_time ? options->threads : 1);
}

static double peak(const struct machine *machine) {
    return machine->options->type == STRATA_COMPUTE_BF16 ? strata_probe_bf16(machine->probe, 0.1)
                                                         : strata_probe_f32(machine->probe, 0.1);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

static void fill(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = (float)((double)(i * 2654435761u % 4093) / 2048.0 - 1.0);
}

/* ---- products ---- */

static void measure_products(const struct machine *machine, size_t N, size_t K) {
    const size_t M = machine->options->T;
    const enum strata_weight_type type =
        machine->options->type == STRATA_COMPUTE_BF16 ? STRATA_WEIGHT_BF16 : STRATA_WEIGHT_F32;
    struct strata_matrix weight;
    float *out = malloc(M * N * sizeof *out), *x = malloc(M * K * sizeof *x), *dw = calloc(N * K, sizeof *dw);
    if (!out || !x || !dw || strata_matrix_create(&weight, type, N, K, NULL)) exit(1);
    fill(dw, N * K);
    strata_matrix_set_rows(&weight, 0, N, dw);
    fill(out, M * N);
    fill(x, M * K);
    double shares[3][ROUNDS], limits[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        limits[round] = peak(machine);
        for (int kind = 0; kind < 3; kind++) {
            const double start = seconds(machine->options);
            size_t turns = 0;
            double end;
            do {
                if (kind == 0)
                    strata_linear_forward(&machine->compute, out, N, x, K, &weight, NULL, M, false);
                else if (kind == 1)
                    strata_linear_backward_input(&machine->compute, x, K, out, N, &weight, M, false);
                else
                    strata_linear_backward_weight(&machine->compute, dw, out, N, x, K, type, M, N, K);
                turns++;
            } while ((end = seconds(machine->options)) < start + 0.2);
            shares[kind][round] = 2e-9 * (double)(M * N * K * turns) / (end - start) / limits[round];
        }
        fill(out, M * N);
        fill(x, M * K);
    }
    printf("N %6zu K %5zu M %5zu: forward %4.1f %%  d input %4.1f %%  d weight %4.1f %% of %6.1f GFLOP/s\n", N, K, M,
           100.0 * median(shares[0], ROUNDS), 100.0 * median(shares[1], ROUNDS), 100.0 * median(shares[2], ROUNDS),
           median(limits, ROUNDS));
    strata_matrix_free(&weight);
    free(out);
    free(x);
    free(dw);
}

/* ---- the model ---- */

static double operations(const struct strata_text_config *text, size_t T, size_t scored) {
    const double C = (double)text->hidden, F = (double)text->intermediate, D = (double)text->head_size;
    const double Q = (double)text->heads * D, W = Q + 2.0 * (double)text->kv_heads * D, rows = (double)T;
    const double weights = C * W + C * Q + 3.0 * C * F, attention = rows / 2.0 * Q * 2.0;
    return 6.0 * ((double)text->layers * rows * (weights + attention) + (double)scored * C * (double)text->vocabulary);
}

static int measure_model(const struct machine *machine, struct strata_error *err) {
    const struct options *options = machine->options;
    const bool trained[3] = {true};
    struct strata_model_config config;
    struct strata_weights weights;
    struct strata_gradients gradients;
    struct strata_tape *tape;
    int code = strata_model_preset(&config, "0.5b", err);
    config.vision.depth = 1;
    if (options->layers) config.text.layers = options->layers;
    const enum strata_weight_type type = options->type == STRATA_COMPUTE_BF16 ? STRATA_WEIGHT_BF16 : STRATA_WEIGHT_F32;
    if (!code) code = strata_weights_init_threads(&weights, &config, 0.02, 1, type, machine->compute.threads, err);
    if (code) return code;
    const size_t T = options->T, prompt = T - options->scored + 1, response = options->scored;
    int32_t *ids = calloc(T + 1, sizeof *ids), *positions = calloc(3 * T, sizeof *positions);
    float *logps = calloc(response, sizeof *logps), *dlogps = calloc(response, sizeof *dlogps);
    if (!ids || !positions || !logps || !dlogps) exit(1);
    for (size_t t = 0; t <= T; t++) ids[t] = (int32_t)(t * 7919 % 100000);
    for (size_t t = 0; t < prompt; t++)
        for (size_t axis = 0; axis < 3; axis++) positions[axis * prompt + t] = (int32_t)t;
    for (size_t t = 0; t < response; t++) dlogps[t] = -1.0f / (float)response;
    const struct strata_tape_response one = {
        .part = {.ids = ids + prompt, .T = response}, .logps = logps, .dlogps = dlogps};
    const struct strata_tape_group group = {
        .prompt = {.ids = ids, .T = prompt, .positions = positions}, .responses = &one, .count = 1};
    const struct strata_tape_options tape_options = {
        .level = options->level, .max_rows = T, .max_responses = 1, .max_groups = 1};
    code = strata_tape_create(&tape, &config, &weights, &machine->compute, &tape_options, err);
    if (!code) code = strata_gradients_create(&gradients, &config, trained, err);
    const double work = operations(&config.text, T, response) * 1e-9;
    double forward[ROUNDS], both[ROUNDS], share[ROUNDS], limits[ROUNDS];
    for (size_t round = 0; !code && round <= ROUNDS; round++) { /* the first warms up */
        const double before = peak(machine), start = seconds(options);
        code = strata_tape_forward(tape, &group, 1, 1.0f, err);
        const double middle = seconds(options);
        if (!code) code = strata_tape_backward(tape, &gradients, &group, 1, err);
        const double end = seconds(options), limit = (before + peak(machine)) / 2.0;
        const size_t at = round ? round - 1 : 0;
        forward[at] = middle - start;
        both[at] = end - start;
        limits[at] = limit;
        share[at] = work / (end - start) / limit;
    }
    if (code) return code;
    printf("%zu layers, %zu rows, %zu scored, tape %.0f MB: forward %.2f s, with backward %.2f s, %.1f GFLOP/s, "
           "%.1f %% of %.1f\n",
           config.text.layers, T, response, (double)strata_tape_bytes(&config, &machine->compute, &tape_options) * 1e-6,
           median(forward, ROUNDS), median(both, ROUNDS), work / median(both, ROUNDS), 100.0 * median(share, ROUNDS),
           median(limits, ROUNDS));
    strata_gradients_free(&gradients);
    strata_tape_destroy(tape);
    strata_weights_free(&weights, &config);
    free(ids);
    free(positions);
    free(logps);
    free(dlogps);
    return code;
}

int main(int count, char **arguments) {
    struct options options = {
        .isa = "auto", .type = STRATA_COMPUTE_BF16, .level = STRATA_TAPE_LAYERS, .threads = 1, .T = 512, .scored = 128};
    const struct strata_level *level;
    struct strata_threads *threads;
    struct strata_error err;
    for (int letter; (letter = getopt(count, arguments, "uki:c:t:l:T:S:L:")) != -1;) {
        if (letter == 'u') options.cpu_time = true;
        if (letter == 'k') options.kernels = true;
        if (letter == 'i') options.isa = optarg;
        if (letter == 'c') options.type = strcmp(optarg, "f32") ? STRATA_COMPUTE_BF16 : STRATA_COMPUTE_F32;
        if (letter == 't') options.threads = strtoul(optarg, NULL, 10);
        if (letter == 'l') options.level = strcmp(optarg, "all") ? STRATA_TAPE_LAYERS : STRATA_TAPE_ALL;
        if (letter == 'T') options.T = strtoul(optarg, NULL, 10);
        if (letter == 'S') options.scored = strtoul(optarg, NULL, 10);
        if (letter == 'L') options.layers = strtoul(optarg, NULL, 10);
        if (letter == '?') return 2;
    }
    if (options.scored < 1 || options.scored > options.T) return 2;
    struct machine machine = {.options = &options};
    int code = strata_level_choose(&level, options.isa, &err);
    if (!code) code = strata_threads_create(&threads, options.threads, &err);
    if (code) goto failed;
    options.threads = strata_threads_count(threads);
    if ((code = strata_compute_create(&machine.compute, level, options.type, threads, &err)) ||
        (code = strata_probe_create(&machine.probe, level, threads, 0, &err)))
        goto failed;
    printf("%s, %s, %zu threads, %s time\n", strata_level_name(level), options.type ? "bf16" : "f32", options.threads,
           options.cpu_time ? "CPU" : "wall");
    if (options.kernels) {
        static const size_t shapes[][2] = {{1152, 896}, {896, 896}, {9728, 896}, {896, 4864}, {4096, 896}};
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            measure_products(&machine, shapes[i][0], shapes[i][1]);
    } else {
        code = measure_model(&machine, &err);
    }
    if (code) goto failed;
    strata_probe_free(machine.probe);
    strata_compute_free(&machine.compute);
    strata_threads_destroy(threads);
    return 0;
failed:
    fprintf(stderr, "%s\n", err.what);
    return 1;
}
