/* The training pass of the language model: a forward that gives the engine's log-probabilities bit for bit (the same
 * kernels, key blocks at absolute positions) and keeps what the backward needs, then the backward.
 *
 * A *group* is a prompt and the responses that share it: its rows are computed once, forward and backward, and every
 * response's rows stand behind them as if they were contiguous (prefix sharing; G groups of one response each are the
 * same computation without it: log-probs bit-equal, gradients within rounding). Conditions that make this exact are
 * those of PrefixGrouper: positions of each response restart behind the prompt, the last prompt row's logits predict
 * every response's first token, no loss on prompt tokens.
 *
 * A supervised conversation is a group of one response: what stands before the first target is the prompt, the rest is
 * the response, in which `scored` marks the targets. */
#ifndef STRATA_MODEL_TAPE_H
#define STRATA_MODEL_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "model/config.h"
#include "model/gradient.h"
#include "model/weights.h"
#include "strata/error.h"

/* Tokens of a prompt or of a response. */
struct strata_tape_part {
    const int32_t *ids;       /* (T) */
    size_t T;                 /* >= 1 */
    const int32_t *positions; /* (3, T) m-RoPE. NULL for a response of text: its token i stands at index prompt T + i,
                                 at position index + rope_delta on all three axes */
    const float *embeds;      /* (image tokens among ids, C), in order; NULL: there are none */
    float *dembeds;           /* backward: their gradient is written here, same shape; NULL: not wanted */
};
struct strata_tape_response {
    struct strata_tape_part part;
    const bool *scored;  /* (T): which tokens are scored; NULL: all */
    float *logps;        /* (T), out of the forward: log softmax(logits / temperature)[token]; 0 where not scored */
    float *entropies;    /* (T), out of the forward: of the same distribution; NULL: not wanted */
    const float *dlogps; /* (T), into the backward: d loss / d logps; read where scored */
};
struct strata_tape_group {
    struct strata_tape_part prompt;
    int32_t rope_delta; /* of the prompt (strata_rope_positions) */
    const struct strata_tape_response *responses;
    size_t count;
};

enum strata_tape_level {
    STRATA_TAPE_FORWARD, /* log-probs only: nothing is kept */
    STRATA_TAPE_LAYERS,  /* each layer's input is kept, its inside is computed again in the backward */
    /* Nothing is computed again but elementwise pieces. With bf16 compute the MLP's gate and up are kept as bf16: their
     * gradients and down's see them rounded, the forward does not. */
    STRATA_TAPE_ALL
};
struct strata_tape_options {
    enum strata_tape_level level;
    size_t max_rows;      /* rows of a pass: strata_tape_rows */
    size_t max_responses; /* of all groups of a pass together */
    size_t max_groups;
    size_t logit_rows; /* rows whose logits exist at once; 0: as many as fit 32 MiB, 1..128 */
};
/* Rows a group takes: prompt tokens, and of each response all but the last. */
size_t strata_tape_rows(const struct strata_tape_group *group);
/* Bytes that a tape of these options allocates, known before it is made; 0 when they do not fit a size_t. */
size_t strata_tape_bytes(const struct strata_model_config *config, const struct strata_compute *compute,
                         const struct strata_tape_options *options);

struct strata_tape;
/* config, weights and compute must outlive the tape; weights may change between a backward and the next forward. */
int strata_tape_create(struct strata_tape **out, const struct strata_model_config *config,
                       const struct strata_weights *weights, const struct strata_compute *compute,
                       const struct strata_tape_options *options, struct strata_error *err);
void strata_tape_destroy(struct strata_tape *tape);
/* Another set of weights of the same config (the reference model), until changed again. */
void strata_tape_weights(struct strata_tape *tape, const struct strata_weights *weights);

/* Fills the responses' logps. A log-prob that is not finite is STRATA_ERR_NUMERIC, naming group, response and token. */
int strata_tape_forward(struct strata_tape *tape, const struct strata_tape_group *groups, size_t count,
                        float temperature, struct strata_error *err);
/* Of the latest forward, with the same groups: adds to gradients (of the language model; NULL fields are left out) and
 * writes the parts' dembeds. Once per forward. */
int strata_tape_backward(struct strata_tape *tape, struct strata_gradients *gradients,
                         const struct strata_tape_group *groups, size_t count, struct strata_error *err);

#endif
