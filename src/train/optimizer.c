#include "train/optimizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/bf16.h"
#include "base/huge_pages.h"
#include "base/memory.h"
#include "kernels/update.h"

#define PIECE_VALUES ((size_t)1 << 16) /* per task: a few L2 caches of weights, moments and gradient */
#define LINE_ROWS    16                /* rows of a bf16 panel that share a cache line */

static bool has_rest(const struct strata_parameter *parameter) {
    return parameter->matrix ? parameter->matrix->type != STRATA_WEIGHT_F32 : parameter->vector_bf16;
}

static size_t values_of(const struct strata_parameter *parameter) {
    return parameter->rows * parameter->K;
}

/* Arrays of one parameter: whole floats, so that the next one's are aligned. */
static size_t bytes_of(const struct strata_parameter *parameter) {
    size_t values = values_of(parameter), pairs = (values + 1) / 2;
    return (2 * values + (has_rest(parameter) ? pairs : 0)) * sizeof(float);
}

size_t strata_optimizer_bytes(const struct strata_parameter *parameters, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += bytes_of(&parameters[i]);
    return bytes;
}

int strata_optimizer_create(struct strata_optimizer *out, const struct strata_parameter *parameters, size_t count,
                            const struct strata_adamw *options, struct strata_error *err) {
    *out = (struct strata_optimizer){.options = *options, .count = count};
    out->block_bytes = strata_optimizer_bytes(parameters, count);
    int code = strata_alloc(&out->parameters, count, sizeof *out->parameters, err);
    if (!code) code = strata_alloc(&out->moment1, count, sizeof *out->moment1, err);
    if (!code) code = strata_alloc(&out->moment2, count, sizeof *out->moment2, err);
    if (!code) code = strata_alloc(&out->rest, count, sizeof *out->rest, err);
    if (!code) code = strata_alloc(&out->block, out->block_bytes, 1, err);
    if (code) {
        strata_optimizer_free(out);
        return code;
    }
    strata_mark_huge(out->block, out->block_bytes);
    memcpy(out->parameters, parameters, count * sizeof *parameters);
    char *next = out->block;
    for (size_t i = 0; i < count; i++) {
        const size_t values = values_of(&parameters[i]);
        out->values += values;
        out->moment1[i] = (float *)(void *)next;
        out->moment2[i] = out->moment1[i] + values;
        /* Weights are what they are at first: nothing is lost of the master. */
        if (has_rest(&parameters[i])) out->rest[i] = (uint16_t *)(void *)(out->moment2[i] + values);
        next += bytes_of(&parameters[i]);
    }
    return 0;
}

void strata_optimizer_free(struct strata_optimizer *optimizer) {
    free(optimizer->parameters);
    free(optimizer->moment1);
    free(optimizer->moment2);
    free(optimizer->rest);
    free(optimizer->block);
    *optimizer = (struct strata_optimizer){0};
}

double strata_clip_factor(double norm, double max_grad_norm) {
    if (max_grad_norm <= 0.0) return 1.0;
    double factor = max_grad_norm / (norm + 1e-6);
    return factor < 1.0 ? factor : 1.0;
}

struct update {
    struct strata_optimizer *optimizer;
    const struct strata_level *level;
    struct strata_adamw_numbers numbers;
};

/* The bf16 weights of rows [first, first+rows). */
static void get_halves(uint16_t *out, const struct strata_parameter *parameter, size_t first, size_t rows) {
    const float *vector = parameter->vector + first * parameter->K;
    if (parameter->matrix) strata_matrix_get_rows_bf16(out, parameter->matrix, parameter->first_row + first, rows);
    for (size_t i = 0; !parameter->matrix && i < rows * parameter->K; i++) out[i] = strata_bf16_round(vector[i]);
}
static void set_halves(const struct strata_parameter *parameter, size_t first, size_t rows, const uint16_t *halves) {
    float *vector = parameter->vector + first * parameter->K;
    if (parameter->matrix) strata_matrix_set_rows_bf16(parameter->matrix, parameter->first_row + first, rows, halves);
    for (size_t i = 0; !parameter->matrix && i < rows * parameter->K; i++) vector[i] = strata_bf16_widen(halves[i]);
}

/* Rows [first, first+rows) of a parameter. */
static void update_rows(const struct update *update, size_t index, size_t first, size_t rows, float *buffer) {
    const struct strata_optimizer *optimizer = update->optimizer;
    const struct strata_parameter *parameter = &optimizer->parameters[index];
    struct strata_adamw_numbers numbers = update->numbers;
    size_t K = parameter->K, at = first * K;
    float *moment1 = optimizer->moment1[index] + at, *moment2 = optimizer->moment2[index] + at;
    const float *gradient = parameter->gradient + at;
    numbers.shrink = parameter->decay ? numbers.shrink : 1.0f;
    if (optimizer->rest[index]) {
        uint16_t *halves = (uint16_t *)(void *)buffer;
        get_halves(halves, parameter, first, rows);
        strata_adamw_halves(update->level, halves, optimizer->rest[index] + at, moment1, moment2, gradient, rows * K,
                            &numbers);
        set_halves(parameter, first, rows, halves);
        return;
    }
    float *weight = parameter->matrix ? buffer : parameter->vector + at;
    for (size_t n = 0; parameter->matrix && n < rows; n++)
        strata_matrix_get_row(weight + n * K, parameter->matrix, parameter->first_row + first + n);
    for (size_t i = 0; i < rows * K; i++)
        weight[i] = strata_adamw_value(weight[i], &moment1[i], &moment2[i], gradient[i], &numbers);
    if (parameter->matrix) strata_matrix_set_rows(parameter->matrix, parameter->first_row + first, rows, weight);
}

size_t strata_optimizer_rows(const struct strata_parameter *parameter) {
    const size_t rows = PIECE_VALUES / parameter->K / LINE_ROWS * LINE_ROWS;
    return rows ? rows : parameter->matrix ? LINE_ROWS : 1;
}

/* ---- what a checkpoint has ---- */

bool strata_optimizer_has(const struct strata_optimizer *optimizer, enum strata_optimizer_part part, size_t index) {
    return part != STRATA_PART_MASTER || optimizer->rest[index];
}

void strata_optimizer_get(float *out, const struct strata_optimizer *optimizer, enum strata_optimizer_part part,
                          size_t index, size_t first, size_t rows) {
    const struct strata_parameter *parameter = &optimizer->parameters[index];
    const size_t K = parameter->K, at = first * K, count = rows * K;
    const float *moment2 = optimizer->moment2[index] + at;
    if (part != STRATA_PART_MASTER) {
        memcpy(out, part == STRATA_PART_MOMENT1 ? optimizer->moment1[index] + at : moment2, count * sizeof *out);
        for (size_t i = 0; part == STRATA_PART_MOMENT2 && i < count; i++) strata_take_mark(&out[i]);
        return;
    }
    for (size_t n = 0; n < rows; n++) {
        if (parameter->matrix)
            strata_matrix_get_row(out + n * K, parameter->matrix, parameter->first_row + first + n);
        else
            memcpy(out + n * K, parameter->vector + at + n * K, K * sizeof *out);
    }
    for (size_t i = 0; i < count; i++) {
        float v = moment2[i];
        out[i] = strata_bf16_rejoin(strata_bf16_round(out[i]), optimizer->rest[index][at + i], strata_take_mark(&v));
    }
}

void strata_optimizer_set(struct strata_optimizer *optimizer, enum strata_optimizer_part part, size_t index,
                          size_t first, size_t rows, const float *values) {
    const struct strata_parameter *parameter = &optimizer->parameters[index];
    const size_t at = first * parameter->K, count = rows * parameter->K;
    float *moment2 = optimizer->moment2[index] + at;
    if (part == STRATA_PART_MOMENT1) memcpy(optimizer->moment1[index] + at, values, count * sizeof *values);
    for (size_t i = 0; part == STRATA_PART_MOMENT2 && i < count; i++) {
        const uint32_t mark = strata_take_mark(&moment2[i]);
        moment2[i] = values[i];
        strata_set_mark(&moment2[i], mark);
    }
    if (part != STRATA_PART_MASTER) return;
    if (parameter->matrix) strata_matrix_set_rows(parameter->matrix, parameter->first_row + first, rows, values);
    for (size_t i = 0; i < count; i++) {
        if (!parameter->matrix) parameter->vector[at + i] = strata_bf16_widen(strata_bf16_round(values[i]));
        optimizer->rest[index][at + i] = strata_bf16_rest(values[i]);
        strata_set_mark(&moment2[i], strata_bf16_tied_up(values[i]));
    }
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
    size_t most = strata_optimizer_rows(parameter), first = (task - work->first_task[low]) * most;
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
    struct strata_adamw_numbers *numbers = &work.update.numbers;
    size_t widest = 0;
    int code = strata_level_choose(&work.update.level, NULL, err); /* none changes the result */
    if (!code) code = strata_alloc(&work.first_task, optimizer->count + 1, sizeof *work.first_task, err);
    for (size_t i = 0; !code && i < optimizer->count; i++) {
        size_t rows = strata_optimizer_rows(&optimizer->parameters[i]), K = optimizer->parameters[i].K;
        work.first_task[i + 1] = work.first_task[i] + (optimizer->parameters[i].rows + rows - 1) / rows;
        if (optimizer->parameters[i].matrix && rows * K > widest) widest = rows * K;
    }
    work.buffer_values = widest;
    if (!code)
        code = strata_alloc_aligned(&work.buffers, strata_threads_count(threads) * widest, sizeof *work.buffers, err);
    if (!code) {
        uint64_t t = optimizer->updates + 1;
        numbers->clip = (float)strata_clip_factor(norm, options->max_grad_norm);
        numbers->take1 = (float)(1.0 - options->beta1);
        numbers->keep2 = (float)options->beta2;
        numbers->take2 = (float)(1.0 - options->beta2);
        numbers->step = (float)(rate / (1.0 - power(options->beta1, t)));
        numbers->root = (float)__builtin_sqrt(1.0 - power(options->beta2, t));
        numbers->epsilon = (float)options->epsilon;
        numbers->shrink = (float)(1.0 - rate * options->weight_decay);
        strata_threads_run(threads, work.first_task[optimizer->count], update_task, &work);
        optimizer->updates = t;
    }
    free(work.first_task);
    free(work.buffers);
    return code;
}
