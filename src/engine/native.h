/* The native engine: continuous batching over the decoder, on this machine's CPU. */
#ifndef STRATA_ENGINE_NATIVE_H
#define STRATA_ENGINE_NATIVE_H

#include "engine/engine.h"
#include "model/model.h"
#include "model/trace.h"

struct strata_native_options {
    const char *model;   /* model directory */
    const char *config;  /* another config.json than the directory's, or NULL */
    const char *compute; /* "f32", "bf16" or "auto" (bf16 for bf16 and int8 weights where the CPU has it) */
    const char *weights; /* "f32", "bf16", "int8" or "auto" (as stored; bf16 where compute is "bf16"): how the matrices
                            are kept. int8: those of the language model, head and embedding included; the vision tower
                            and the merger are bf16 then */
    const char *weights_cache;  /* directory that keeps packed weights between runs, or NULL */
    const char *isa;            /* "auto", "plain", "avx2", "avx512", "avx512bf16" */
    size_t threads;             /* 0: all cores of this process */
    size_t batch;               /* draws decoded together at most; 0: 32 */
    size_t memory;              /* bytes of key/value memory at most; 0: half of what the machine has free */
    size_t max_pixels;          /* image size limit; 0: 1,254,400 (the paper's); SIZE_MAX: the model's own */
    const char *feature_files;  /* directory that keeps image features between runs, or NULL */
    size_t feature_files_bytes; /* at most in it; 0: 8 GiB */
    size_t feature_cache;       /* bytes of image features kept for other requests; 0: 256 MiB; SIZE_MAX: none */
    bool no_shared_prefix;      /* compute every prompt from its first token */
    size_t prefill_chunk;       /* prompt rows computed per step beside the decoding draws; 0: 512 */
    bool allow_placeholders;    /* let vision placeholder tokens be sampled (conformance only) */
};
void strata_native_options_default(struct strata_native_options *options);
int strata_engine_native(struct strata_engine **out, const struct strata_native_options *options,
                         struct strata_error *err);

/* What the engine settled on, for doctor, inspect and the line before the start. */
struct strata_native_plan {
    const char *isa, *compute, *weights;
    const char *kept; /* after the weights' size: "", or what came of weights_cache */
    size_t threads, batch, weight_bytes, page_bytes, max_pages, workspace_bytes, context, parameters;
};
void strata_native_plan(struct strata_native_plan *plan, const struct strata_engine *engine);
const struct strata_model *strata_native_model(const struct strata_engine *engine);
/* For training (f32 or bf16 weights): the model whose weights the engine reads, and what it computes with. Weights may
 * be changed while nothing is in flight, and then strata_native_weights_changed must be called: what the engine keeps
 * between requests is of the old ones (image features only where `vision`: tower or merger). Its identity stays that of
 * the weights it was opened with. */
struct strata_model *strata_native_train(struct strata_engine *engine, const struct strata_compute **compute);
void strata_native_weights_changed(struct strata_engine *engine, bool vision);

/* One prompt's forward pass with every stage handed to `trace` (strata dump): vision tower, layers, logits of all
 * positions, in rows of at most prefill_chunk. Needs an idle engine. prompt (may be NULL) receives the prompt. */
int strata_native_trace(struct strata_engine *engine, const struct strata_request *request,
                        const struct strata_trace *trace, struct strata_prompt *prompt, struct strata_error *err);

#endif
