/* Inside `strata bench`: what its files share. */
#ifndef STRATA_CLI_BENCH_H
#define STRATA_CLI_BENCH_H

#include "cli/options.h"
#include "engine/native.h"
#include "kernels/peak.h"
#include "strata/error.h"

#define STRATA_BENCH_ROUNDS 64 /* at most */

/* Values of one figure over the rounds. */
struct bench_series {
    double values[STRATA_BENCH_ROUNDS];
    size_t count;
};
void bench_add(struct bench_series *series, double value);
double bench_median(const struct bench_series *series);
double bench_least(const struct bench_series *series);
double bench_most(const struct bench_series *series);

/* What bounds a task: nothing that is probed, multiply-adds, or reading memory. */
enum bench_limit { BENCH_UNBOUND, BENCH_COMPUTE, BENCH_READ };

struct bench {
    const struct strata_arguments *arguments;
    struct strata_threads *threads; /* of the probes; as many as the engine's */
    const struct strata_level *level;
    struct strata_probe *probe; /* NULL: no probes (--no-probe would save its memory) */
    bool bf16;                  /* the engine computes in bf16: its limit is the bf16 rate */
    size_t rounds;
};
/* One round's limit, probed now: GFLOP/s of the engine's compute type, or GB/s. */
double bench_probe(const struct bench *bench, enum bench_limit limit);

/* A finished figure, printed as a table row or a JSON line. */
struct bench_figure {
    const char *task, *unit;
    enum bench_limit limit;
    struct bench_series value;  /* in `unit` */
    struct bench_series share;  /* of the limit probed in the same round */
    struct bench_series limits; /* the probes */
    json_t *details;            /* owned: prompt_tokens, tokens, seconds … */
};
int bench_print(const struct bench *bench, struct bench_figure *figure, struct strata_error *err);

/* bench_engine.c */
int bench_engine_task(struct bench *bench, const char *task, struct strata_error *err);
/* A smooth picture with some noise, `side` pixels square; another one for each `kind`. */
int bench_picture(struct strata_image *image, size_t side, size_t kind, struct strata_error *err);
/* Multiply-adds times two of a forward: T tokens through the layers; the head on `rows` of them; the tower. */
double bench_language_flops(const struct strata_model_config *config, double T);
double bench_head_flops(const struct strata_model_config *config, double rows);
double bench_vision_flops(const struct strata_model_config *config, double image_tokens);
/* bench_train.c: sft, grpo, prefix */
int bench_train_task(struct bench *bench, const char *task, struct strata_error *err);
/* bench_library.c: gemm, verify, store */
int bench_gemm(struct bench *bench, struct strata_error *err);
int bench_verify(struct bench *bench, struct strata_error *err);
int bench_store(struct bench *bench, struct strata_error *err);

#endif
