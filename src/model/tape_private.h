/* Inside the training pass; included by tape*.c and decoder_backward.c only. */
#ifndef STRATA_MODEL_TAPE_PRIVATE_H
#define STRATA_MODEL_TAPE_PRIVATE_H

#include "kernels/backward.h"
#include "model/tape.h"

/* Dimensions: T rows of the pass, C hidden, H query heads, G key/value heads, D head size, F intermediate, L layers,
 * V vocabulary, Q = H*D, W = Q + 2*G*D; U rows whose logits are wanted. */

#define STRATA_TAPE_CHUNK STRATA_ROW_BLOCK /* rows of the MLP at once */

/* What a layer leaves for its backward. With STRATA_TAPE_LAYERS all layers share everything but x; with
 * STRATA_TAPE_FORWARD also x, which is then middle too. */
struct strata_tape_layer {
    float *x;               /* (T, C) in; the next layer's is this one's output */
    float *query_key_value; /* (T, W), roped */
    float *attention;       /* (T, Q) */
    float *logsumexp;       /* (T, H) */
    float *middle;          /* (T, C) x + attention's output */
    float *gate_up;         /* (T, 2F), or the chunk (STRATA_TAPE_CHUNK, 2F) */
    /* Where products are bf16, STRATA_TAPE_ALL keeps the two widest as bf16, and all layers share the arrays above.
     * query_key_value enters products only: nothing is lost. NULL: they are kept as they are. */
    uint16_t *kept_query_key_value, *kept_gate_up; /* (T, W), (T, 2F) */
};

/* A row's token that is scored: response `response` of group `group`. */
struct strata_tape_target {
    uint32_t group, response, token;
    int32_t id;
};

struct strata_tape {
    const struct strata_model_config *config;
    const struct strata_weights *weights;
    const struct strata_compute *compute;
    struct strata_tape_options options;
    bool narrow; /* kept as bf16 */
    size_t C, H, G, D, F, L, V, Q, W;
    void *memory; /* all arrays below */

    struct strata_tape_layer *layers; /* (L+1); of the last only x, the hidden states */
    double *frequencies;
    float *cosines, *sines; /* (T, D/2) */
    int32_t *positions;     /* (3, T) */
    int32_t *ids;           /* (T); -1: an image token */
    float *normed, *rstd;   /* (chunk, C), (chunk) */
    float *inner;           /* (chunk, F) */

    /* Attention: one layer's pages, made anew for each; a page table per span. */
    struct strata_attention_span *spans; /* prompts and responses in row order */
    struct strata_attention_rows *rows;
    void **tables;
    char *pages;
    size_t page_bytes, page_capacity, table_capacity, span_capacity;

    /* Head. */
    float *logits; /* logit_floats: (logit_rows, V) forward, (U, part of V) backward */
    size_t logit_rows, logit_floats;
    float *scored_x, *scored_normed, *scored_dnormed; /* (U, C) */
    float *scored_rstd, *lse, *dlse;                  /* (U) */
    uint32_t *scored_rows, *target_begin;             /* (U), (U+1) */
    struct strata_tape_target *targets;

    /* Backward. */
    float *dx;               /* (T, C) */
    float *dquery_key_value; /* (T, W) */
    float *dattention;       /* (T, Q) */
    float *delta;            /* (T, H) */
    float *dnormed, *dinner; /* (chunk, C), (chunk, F) */

    /* The latest forward. */
    size_t T, span_count, U;
    float temperature;
    bool ready; /* for a backward */
};

/* Where the parts of a pass stand: called for every part in row order. */
struct strata_tape_place {
    const struct strata_tape_part *part;
    const struct strata_tape_response *response; /* NULL: the prompt */
    const struct strata_tape_group *owner;
    size_t group, index; /* of the response */
    size_t first, rows;  /* rows of the pass: rows of the part that are computed */
};
/* *place is the part after it; start with .part NULL. False at the end. */
bool strata_tape_next(struct strata_tape_place *place, const struct strata_tape_group *groups, size_t count);

/* tape_narrow.c: kept = values, rounded to bf16; and values = kept. */
void strata_tape_narrow(const struct strata_tape *tape, uint16_t *kept, float *values, size_t count);
void strata_tape_widen(const struct strata_tape *tape, float *values, uint16_t *kept, size_t count);

/* tape_forward.c: layer `index` up to `middle`, from its x. */
void strata_tape_attention(struct strata_tape *tape, size_t index);
/* normed and rstd of rows [row, row+rows) of middle, and gate_up of them, computed unless it was kept. */
float *strata_tape_gate_up(struct strata_tape *tape, size_t index, size_t row, size_t rows, bool again);
const struct strata_matrix *strata_tape_head(const struct strata_tape *tape);

#endif
