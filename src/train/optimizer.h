/* AdamW as torch runs it, with fp32 master weights and moments (training.md 1.10).
 *
 * A weight kept as bf16 is the nearest to its master, so only what it lacks of the master is kept beside it: 2 bytes
 * instead of 4, the same numbers (base/bf16.h).
 *
 * It knows parameters, not models: a list of named tensors, each a part of a packed matrix or an fp32 vector. Gradients
 * are fp32, row-major. The result does not depend on the threads. */
#ifndef STRATA_TRAIN_OPTIMIZER_H
#define STRATA_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "kernels/kernels.h"
#include "strata/error.h"

struct strata_parameter {
    const char *name; /* not owned; must outlive the optimiser */
    size_t rows, K;   /* a vector is one row */
    bool decay;
    struct strata_matrix *matrix; /* rows [first_row, first_row+rows) of it, K == matrix->K; or NULL: */
    size_t first_row;
    float *vector;         /* (rows, K) fp32, updated in place */
    bool vector_bf16;      /* the vector's values are bf16's (its checkpoint's): a master is kept and rounded into it */
    const float *gradient; /* (rows, K) */
};

struct strata_adamw {
    double beta1, beta2, epsilon;
    double weight_decay;  /* decoupled; on parameters with `decay` */
    double max_grad_norm; /* 0: no clipping */
};

/* Two moments of every parameter, and the rest of the master of those kept in less than fp32; zero and the weights at
 * first. */
struct strata_optimizer {
    struct strata_adamw options;
    struct strata_parameter *parameters; /* copied */
    size_t count, values;                /* parameters; numbers in all of them */
    float **moment1, **moment2; /* (count) each (rows, K). No second moment is negative: its sign is the master's
                                   strata_bf16_tied_up */
    uint16_t **rest;            /* (count), strata_bf16_rest; NULL where the weights are fp32 themselves */
    void *block;                /* holds all of these */
    size_t block_bytes;
    uint64_t updates; /* made so far */
};
int strata_optimizer_create(struct strata_optimizer *out, const struct strata_parameter *parameters, size_t count,
                            const struct strata_adamw *options, struct strata_error *err);
void strata_optimizer_free(struct strata_optimizer *optimizer);
/* Bytes that _create takes for these parameters. */
size_t strata_optimizer_bytes(const struct strata_parameter *parameters, size_t count);

/* What a checkpoint has of a parameter. */
enum strata_optimizer_part { STRATA_PART_MOMENT1, STRATA_PART_MOMENT2, STRATA_PART_MASTER, STRATA_PARTS };
bool strata_optimizer_has(const struct strata_optimizer *optimizer, enum strata_optimizer_part part, size_t index);
/* Its rows [first, first+rows), fp32 (rows, K). Setting a master sets the weights too: they are its nearest. */
void strata_optimizer_get(float *out, const struct strata_optimizer *optimizer, enum strata_optimizer_part part,
                          size_t index, size_t first, size_t rows);
void strata_optimizer_set(struct strata_optimizer *optimizer, enum strata_optimizer_part part, size_t index,
                          size_t first, size_t rows, const float *values);
/* Rows of a parameter that are done at once (at least one), here and when a checkpoint is written or read. */
size_t strata_optimizer_rows(const struct strata_parameter *parameter);

/* min(1, max/(norm + 1e-6)), torch's clip_grad_norm_; 1 when max is 0. */
double strata_clip_factor(double norm, double max_grad_norm);
/* One update: gradients times the clip factor of `norm` (their global L2 norm), learning rate `rate`; packed weights
 * follow their masters. threads may be NULL. On an error (memory) nothing has changed. */
int strata_optimizer_step(struct strata_optimizer *optimizer, double norm, double rate, struct strata_threads *threads,
                          struct strata_error *err);

#endif
