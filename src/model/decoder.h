/* The language model: rows of many sequences at once, prefill chunks and decode steps mixed freely. A row's result
 * depends on its own sequence only, bit for bit (contract 2). */
#ifndef STRATA_MODEL_DECODER_H
#define STRATA_MODEL_DECODER_H

#include "kernels/kernels.h"
#include "model/config.h"
#include "model/key_value.h"
#include "model/trace.h"
#include "model/weights.h"
#include "strata/error.h"

/* Consecutive rows of one sequence: they are appended at its length (which moves on). */
struct strata_decoder_item {
    struct strata_sequence *sequence; /* reserved for `rows` more tokens */
    size_t rows;
    /* CMAB: for rows [mass_first, rows), attention mass per segment and layer into masses[(layer*mass_stride + r)*S +
     * s], r counted from mass_first; segment s covers prompt tokens [segment_end[s-1], segment_end[s]). NULL: not
     * wanted. */
    float *masses;
    size_t mass_stride, mass_first, S;
    const uint32_t *segment_end;
    /* The same per prompt token: map[(layer*map_stride + r)*map_tokens + token] for rows [mass_first, rows). NULL: not
     * wanted.*/
    float *map;
    size_t map_stride, map_tokens;
};

/* Scratch of a forward, sized once for at most max_rows rows in max_items sequences. */
struct strata_decoder;
int strata_decoder_create(struct strata_decoder **out, const struct strata_model_config *config,
                          const struct strata_weights *weights, const struct strata_compute *compute,
                          struct strata_key_value *memory, size_t max_rows, size_t max_items, struct strata_error *err);
void strata_decoder_destroy(struct strata_decoder *decoder);
size_t strata_decoder_workspace_bytes(const struct strata_model_config *config, size_t max_rows);

/* Text embeddings of ids into x (T, C). */
void strata_decoder_embed(float *x, const struct strata_decoder *decoder, const int32_t *ids, size_t T);

/* x (T, C), T = all items' rows in order: embeddings in, output of the last layer (before the final norm) out.
 * positions (3, T): m-RoPE. A row that overflows spoils its own sequence only;
 * whoever reads its logits sees it. */
int strata_decoder_forward(struct strata_decoder *decoder, float *x, const int32_t *positions,
                           const struct strata_decoder_item *items, size_t count, const struct strata_trace *trace,
                           struct strata_error *err);
/* logits (M, V) of rows x (M, C) as forward left them: final norm, then head. M <= max_rows. first_row only tells the
 * trace which rows these are. */
void strata_decoder_logits(struct strata_decoder *decoder, float *logits, const float *x, size_t M, size_t first_row,
                           const struct strata_trace *trace);

#endif
