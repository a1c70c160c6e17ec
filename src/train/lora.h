/* Low-rank adapters: W = base + alpha/rank * B A for chosen linear layers of the language model.
 *
 * The sum is written into the packed weights after every update, so engine and training pass know no adapters: they see
 * one set of weights, as after merging. The price is the full gradient of the adapted matrices (dA = s B^T dW,
 * dB = s dW A^T) and a copy of their base; what is saved is the optimiser's state. Files are PEFT's. */
#ifndef STRATA_TRAIN_LORA_H
#define STRATA_TRAIN_LORA_H

#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "model/gradient.h"
#include "model/weights.h"
#include "strata/error.h"
#include "train/optimizer.h"

struct strata_lora_module {
    struct strata_weight_row row;  /* the adapted tensor */
    char name_a[192], name_b[192]; /* as PEFT calls them */
    size_t N, K;
    float *base;    /* (N,K) */
    float *a, *b;   /* (rank,K), (N,rank) */
    float *da, *db; /* their gradients */
    float *dw;      /* (N,K): the tensor's, in strata_gradients */
};
struct strata_lora {
    struct strata_lora_module *modules;
    size_t count, rank, parameters; /* numbers in all adapters */
    double alpha;
    char *targets, *base_model;
    float *block; /* all of a, b, da, db */
};
struct strata_lora_options;

/* Adapters for the matching tensors of `weights`: A uniform in +-sqrt(1/K) (PEFT's kaiming_uniform(a=sqrt(5))), drawn
 * by name, B zero (or normal of b_deviation). gradients must have the language model; the fields that no adapter needs
 * are set to NULL in it. STRATA_ERR_USAGE when a target names nothing. */
int strata_lora_create(struct strata_lora *out, const struct strata_lora_options *options,
                       const struct strata_model_config *config, struct strata_weights *weights,
                       struct strata_gradients *gradients, const char *base_model, uint64_t seed,
                       struct strata_error *err);
void strata_lora_free(struct strata_lora *lora);
/* Two per module, A then B: for strata_optimizer_create. parameters (2*count). */
void strata_lora_parameters(struct strata_parameter *parameters, const struct strata_lora *lora);
/* da and db from the full gradients; their global L2 norm. */
double strata_lora_gradients(struct strata_lora *lora, struct strata_threads *threads);
/* Writes base + s B A into the packed weights. */
int strata_lora_merge(struct strata_lora *lora, struct strata_threads *threads, struct strata_error *err);
/* adapter_config.json and adapter_model.safetensors in `directory` (made if need be). */
int strata_lora_save(const struct strata_lora *lora, const char *directory, struct strata_error *err);
/* The adapters of such a directory; rank and tensors must fit. Does not merge. */
int strata_lora_load(struct strata_lora *lora, const char *directory, struct strata_error *err);

#endif
