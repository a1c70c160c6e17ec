/* The weights of a Qwen2.5-VL model, packed for the kernels, and the one table that describes them.
 *
 * One row of the table per tensor: hub name, shape from the config, where it lives in the struct, what group it is in
 * (language model, merger, vision tower) and whether weight decay applies. Loading, checking, counting, saving and
 * (later) the optimiser all iterate the table. Both name layouts are accepted, independently of the config's layout:
 * hub (`visual.*`, `model.layers.*`, `lm_head.weight`) and nested (`model.visual.*`, `model.language_model.*`). */
#ifndef STRATA_MODEL_WEIGHTS_H
#define STRATA_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/file.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "strata/error.h"

/* Q = heads*head_size, KV = kv_heads*head_size, F = intermediate, C = hidden. */
struct strata_decoder_layer {
    float *input_norm;                    /* (C) input_layernorm.weight */
    struct strata_matrix query_key_value; /* (Q+2*KV, C): q_proj, k_proj, v_proj stacked */
    float *query_key_value_bias;          /* (Q+2*KV) */
    struct strata_matrix output;          /* (C, Q) o_proj */
    float *post_norm;                     /* (C) post_attention_layernorm.weight */
    struct strata_matrix gate_up;         /* (2F, C): gate_proj, up_proj stacked */
    struct strata_matrix down;            /* (C, F) */
};
/* Vision: E = vision hidden, I = vision intermediate, P = channels*temporal*patch*patch, G = merge^2 * E. */
struct strata_vision_block {
    float *norm1, *norm2;                 /* (E) RMS norms, eps 1e-6 always */
    struct strata_matrix query_key_value; /* (3E, E) attn.qkv */
    float *query_key_value_bias;          /* (3E) */
    struct strata_matrix output;          /* (E, E) attn.proj */
    float *output_bias;                   /* (E) */
    struct strata_matrix gate_up;         /* (2I, E) mlp.gate_proj, mlp.up_proj stacked */
    float *gate_up_bias;                  /* (2I) */
    struct strata_matrix down;            /* (E, I) */
    float *down_bias;                     /* (E) */
};
struct strata_weights {
    struct strata_matrix embedding; /* (V, C); also the head when tied */
    struct strata_decoder_layer *layers;
    float *final_norm;                    /* (C) */
    struct strata_matrix head;            /* (V, C); N == 0 when tied */
    struct strata_matrix patch_embedding; /* (E, P), the Conv3d flattened */
    struct strata_vision_block *blocks;
    float *merger_norm;               /* (E) ln_q */
    struct strata_matrix merger_up;   /* (G, G) merger.mlp.0 */
    float *merger_up_bias;            /* (G) */
    struct strata_matrix merger_down; /* (out_hidden, G) merger.mlp.2 */
    float *merger_down_bias;          /* (out_hidden) */
    size_t parameters;                /* of the checkpoint, tied head counted once */
    size_t packed_bytes;              /* what the packed form takes */
    struct strata_map map;            /* of the packed file that lends the matrices, else empty */
};

/* Reads every tensor, tensor by tensor, releasing source pages as it goes. Checks name, rank, every dimension, dtype
 * and that every value is finite; what is missing, extra, duplicated or misshapen is an error naming it. `type` is how
 * matrices are kept (norms and biases are always fp32; INT8 is for the language model, and the vision tower and merger
 * are then BF16); a value that would round to infinity in it is an error too. A
 * tied checkpoint may repeat the embedding as lm_head.weight, bit for bit. On failure nothing is left to free. */
int strata_weights_load(struct strata_weights *out, const struct strata_model_config *config,
                        const struct strata_safetensors *file, enum strata_weight_type type, struct strata_error *err);
/* The same with a thread pool (may be NULL); the result does not depend on it. */
int strata_weights_load_threads(struct strata_weights *out, const struct strata_model_config *config,
                                const struct strata_safetensors *file, enum strata_weight_type type,
                                struct strata_threads *threads, struct strata_error *err);
/* The same by way of a cache: a directory of packed weights, keyed by the content of the checkpoint and by the form.
 * What is there and matches is mapped read-only (several processes share it; it is never written to); else the
 * checkpoint is packed, and kept for the next time. A file that is cut short, changed or of another version is not used
 * but replaced. Same bits either way. identity: strata_weights_identity. */
enum strata_packed { STRATA_PACKED_MAPPED, STRATA_PACKED_WRITTEN, STRATA_PACKED_NOT_WRITTEN };
int strata_weights_load_packed(struct strata_weights *out, char identity[33], enum strata_packed *packed,
                               const char *directory, const struct strata_model_config *config,
                               const struct strata_safetensors *file, enum strata_weight_type type,
                               struct strata_threads *threads, struct strata_error *err);
/* All matrices and vectors of the config, zero: for what is computed in the shape of a model. */
int strata_weights_create(struct strata_weights *out, const struct strata_model_config *config,
                          enum strata_weight_type type, struct strata_error *err);
void strata_weights_free(struct strata_weights *weights, const struct strata_model_config *config);
/* A hash of names, shapes and values as packed (fp32-widened): equal weights give equal hashes whatever the sharding,
 * naming or file layout. Rounding is part of it: a checkpoint has one hash for each form its values are kept in (a bf16
 * checkpoint the same one as f32 and as bf16, another as int8). The int8 form's is that of scale * value, the weights
 * that are computed with, and like the others depends on the checkpoint alone: not on level, threads or machine. */
int strata_weights_identity(char out[33], const struct strata_weights *weights,
                            const struct strata_model_config *config, struct strata_error *err);
int strata_weights_identity_threads(char out[33], const struct strata_weights *weights,
                                    const struct strata_model_config *config, struct strata_threads *threads,
                                    struct strata_error *err);

/* One row of the table. */
enum strata_weight_group { STRATA_GROUP_LANGUAGE, STRATA_GROUP_MERGER, STRATA_GROUP_VISION };
struct strata_weight_row {
    char name[128]; /* hub name */
    size_t rank, shape[5];
    enum strata_weight_group group;
    bool decay;
    struct strata_matrix *matrix; /* the packed matrix it is part of, with its first row; or */
    size_t first_row;
    float *vector; /* the fp32 vector, with its first element */
};
size_t strata_weight_row_count(const struct strata_weight_row *row); /* product of its shape */
/* Every tensor in checkpoint order; *rows is owned by the caller (free()). Pointers are into weights (which may be
 * NULL: then they are NULL too). */
int strata_weights_table(struct strata_weight_row **rows, size_t *count, const struct strata_model_config *config,
                         struct strata_weights *weights, struct strata_error *err);
/* Writes a checkpoint directory's weights (hub names) as model.safetensors in `dtype` (F32 or BF16). */
int strata_weights_save(const struct strata_weights *weights, const struct strata_model_config *config,
                        const char *path, enum strata_dtype dtype, struct strata_error *err);
/* `strata init`: fresh weights as transformers' _init_weights (normal(0, initializer_range) matrices, ones for norms,
 * zeros for biases), drawn with STRATA_PURPOSE_INIT by tensor name and element index. _threads: with a pool (may be
 * NULL), which does not change them. */
int strata_weights_init(struct strata_weights *out, const struct strata_model_config *config, double standard_deviation,
                        uint64_t seed, enum strata_weight_type type, struct strata_error *err);
int strata_weights_init_threads(struct strata_weights *out, const struct strata_model_config *config,
                                double standard_deviation, uint64_t seed, enum strata_weight_type type,
                                struct strata_threads *threads, struct strata_error *err);

#endif
