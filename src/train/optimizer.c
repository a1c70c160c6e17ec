#include "train/optimizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/memory.h"

#define PIECE_VALUES ((size_t)1 << 16) /* per task: a few L2 caches of weights, moments and gradient */

static bool needs_master(const struct strata_parameter *parameter) {
    return parameter->matrix ? parameter->matrix->type != STRATA_WEIGHT_F32 : parameter->vector_bf16;
}

size_t strata_optimizer_bytes(const struct strata_parameter *parameters, size_t count) {
    size_t values = 0;
    for (size_t i = 0; i < count; i++)
        values += parameters[i].rows * parameters[i].K * (needs_master(&parameters[i]) ? 3 : 2);
    return values * sizeof(float);
}

static void read_master(float *master, const struct strata_parameter *parameter) {
    if (!parameter->matrix) memcpy(master, parameter->vector, parameter->rows * parameter->K * sizeof *master);
    if (!parameter->matrix) return;
    for (size_t n = 0; n < parameter->rows; n++)
        strata_matrix_get_row(master + n * parameter->K, parameter->matrix, parameter->first_row + n);
}

int strata_optimizer_create(struct strata_optimizer *out, const struct strata_parameter *parameters, size_t count,
                            const struct strata_adamw *options, struct strata_error *err) {
    *out = (struct strata_optimizer){.options = *options, .count = count};
    out->block_values = strata_optimizer_bytes(parameters, count) / sizeof(float);
    int code = strata_alloc(&out->parameters, count, sizeof *out->parameters, err);
    if (!code) code = strata_alloc(&out->moment1, count, sizeof *out->moment1, err);
    if (!code) code = strata_alloc(&out->moment2, count, sizeof *out->moment2, err);
    if (!code) code = strata_alloc(&out->master, count, sizeof *out->master, err);
    if (!code) code = strata_alloc(&out->block, out->block_values, sizeof *out->block, err);
    if (code) {
        strata_optimizer_free(out);
        return code;
    }
    memcpy(out->parameters, parameters, count * sizeof *parameters);
    float *next = out->block;
    for (size_t i = 0; i < count; i++) {
        size_t values = parameters[i].rows * parameters[i].K;
        out->values += values;
        out->moment1[i] = next;
        out->moment2[i] = next + values;
        next += 2 * values;
        if (!needs_master(&parameters[i])) continue;
        out->master[i] = next;
        next += values;
        read_master(out->master[i], &parameters[i]);
    }
    return 0;
}

void strata_optimizer_free(struct strata_optimizer *optimizer) {
    free(optimizer->parameters);
    free(optimizer->moment1);
    free(optimizer->moment2);
    free(optimizer->master);
    free(optimizer->block);
    *optimizer = (struct strata_optimizer){0};
}

double strata_clip_factor(double norm, double max_grad_norm) {
    if (max_grad_norm <= 0.0) return 1.0;
    double factor = max_grad_norm / (norm + 1e-6);
    return factor < 1.0 ? factor : 1.0;
}

/* The numbers of one update, as torch's fp32 loops see them. */
struct update {
    struct strata_optimizer *optimizer;
    float clip, take1, keep2, take2, step, root, epsilon, shrink;
};

static void update_values(float *weight, float *moment1, float *moment2, const float *gradient, size_t count,
                          const struct update *update, bool decay) {
    const struct update u = *update;
    const float shrink = decay ? u.shrink : 1.0f;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * u.clip;
        float m = moment1[i] + (g - moment1[i]) * u.take1; /* torch: lerp */
        float v = moment2[i] * u.keep2 + u.take2 * g * g;
        moment1[i] = m;
        moment2[i] = v;
        weight[i] = weight[i] * shrink - u.step * (m / (__builtin_sqrtf(v) / u.root + u.epsilon));
    }
}

/* Rows [first, first+rows) of a parameter. */
static void update_rows(const struct update *update, size_t index, size_t first, size_t rows, float *buffer) {
    const struct strata_optimizer *optimizer = update->optimizer;
    const struct strata_parameter *parameter = &optimizer->parameters[index];
    size_t K = parameter->K, at = first * K;
    float *moment1 = optimizer->moment1[index] + at, *moment2 = optimizer->moment2[index] + at;
    const float *gradient = parameter->gradient + at;
    float *master = optimizer->master[index] ? optimizer->master[index] + at : NULL;
    float *weight = master ? master : parameter->matrix ? buffer : parameter->vector + at;
    for (size_t n = 0; weight == buffer && n < rows; n++)
        strata_matrix_get_row(weight + n * K, parameter->matrix, parameter->first_row + first + n);
    update_values(weight, moment1, moment2, gradient, rows * K, update, parameter->decay);
    if (parameter->matrix)
        strata_matrix_set_rows(parameter->matrix, parameter->first_row + first, rows, weight);
    else if (master)
        for (size_t i = 0; i < rows * K; i++)
            parameter->vector[at + i] = strata_bf16_widen(strata_bf16_round(master[i]));
}

/* Rows of one task: at least one. */
static size_t piece_rows(const struct strata_parameter *parameter) {
    size_t rows = PIECE_VALUES / parameter->K;
    return rows ? rows : 1;
}

struct work {
    struct update update;
    size_t *first_task; /* (count+1) */
    float *buffers;     /* per worker */
    size_t buffer_values;
};

static void update_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    const struct strata_optimizer *optimizer = work->update.optimizer;
    size_t low = 0, high = optimizer->count;
    while (high - low > 1) { /* the parameter whose tasks include this one */
        size_t middle = (low + high) / 2;
        if (work->first_task[middle] <= task)
            low = middle;
        else
            high = middle;
    }
    const struct strata_parameter *parameter = &optimizer->parameters[low];
    size_t most = piece_rows(parameter), first = (task - work->first_task[low]) * most;
    size_t rows = parameter->rows - first < most ? parameter->rows - first : most;
    update_rows(&work->update, low, first, rows, work->buffers + worker * work->buffer_values);
}

static double power(double base, uint64_t exponent) {
    double result = 1.0;
    for (; exponent; exponent >>= 1, base *= base) {
        if (exponent & 1) result *= base;
    }
    return result;
}

int strata_optimizer_step(struct strata_optimizer *optimizer, double norm, double rate, struct strata_threads *threads,
                          struct strata_error *err) {
    const struct strata_adamw *options = &optimizer->options;
    struct work work = {.update = {.optimizer = optimizer}};
    struct update *update = &work.update;
    size_t widest = 0;
    int code = strata_alloc(&work.first_task, optimizer->count + 1, sizeof *work.first_task, err);
    for (size_t i = 0; !code && i < optimizer->count; i++) {
        size_t rows = piece_rows(&optimizer->parameters[i]), K = optimizer->parameters[i].K;
        work.first_task[i + 1] = work.first_task[i] + (optimizer->parameters[i].rows + rows - 1) / rows;
        if (optimizer->parameters[i].matrix && rows * K > widest) widest = rows * K;
    }
    work.buffer_values = widest;
    if (!code)
        code = strata_alloc_aligned(&work.buffers, strata_threads_count(threads) * widest, sizeof *work.buffers, err);
    if (!code) {
        uint64_t t = optimizer->updates + 1;
        update->clip = (float)strata_clip_factor(norm, options->max_grad_norm);
        update->take1 = (float)(1.0 - options->beta1);
        update->keep2 = (float)options->beta2;
        update->take2 = (float)(1.0 - options->beta2);
        update->step = (float)(rate / (1.0 - power(options->beta1, t)));
        update->root = (float)__builtin_sqrt(1.0 - power(options->beta2, t));
        update->epsilon = (float)options->epsilon;
        update->shrink = (float)(1.0 - rate * options->weight_decay);
        strata_threads_run(threads, work.first_task[optimizer->count], update_task, &work);
        optimizer->updates = t;
    }
    free(work.first_task);
    free(work.buffers);
    return code;
}
