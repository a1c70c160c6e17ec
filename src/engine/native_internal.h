/* Inside the native engine; included by native*.c only.
 *
 * A *group* is one request: a prompt and its draws. It waits, is prefilled in chunks, and then its draws start as batch
 * slots and key/value pages allow, each forking the prompt's pages. A *draw* in the batch contributes one row per step.
 * A forced response (teacher forcing) is prefilled behind its prompt: the same rows, computed by the same kernels, so
 * its log-probs and masses are those of generating it, bit for bit.
 *
 * Pages are reserved for the worst case before anything starts, so a draw that runs never has to wait for memory. */
#ifndef STRATA_ENGINE_NATIVE_INTERNAL_H
#define STRATA_ENGINE_NATIVE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/feature_files.h"
#include "engine/native.h"
#include "engine/native_cache.h"
#include "engine/sampler.h"
#include "kernels/kernels.h"
#include "model/decoder.h"
#include "model/key_value.h"
#include "model/model.h"
#include "model/vision.h"

struct group {
    struct group *next;
    struct strata_request request; /* pointers into what follows, or NULL */
    char *sample_id;
    struct strata_prompt prompt;
    struct strata_image *images; /* until their features are computed */
    struct strata_grid *grids;
    float *embeds; /* (image tokens of the prompt, C) */
    int32_t *forced_ids;
    uint32_t *segment_end; /* (S) */
    struct strata_sequence sequence;
    size_t rows, done; /* to prefill: prompt, plus all but the last forced token; done so far */
    uint32_t max_new;  /* the request's limit, cut to the context */
    uint32_t started, finished;
    float *first_logits; /* (V) of the last prompt row, until every draw has started */
    /* Masses and map of the rows that produce tokens during prefill: the last prompt row (N = 1), or all forced ones.
     */
    float *masses;           /* (L, N, S) */
    float *map_sum;          /* (T) summed over inner layers and tokens */
    float *logprobs;         /* (N) forced only */
    float *sampled_logprobs; /* (N) forced only */
    size_t reserved;         /* pages: the prompt's and those of one draw */
    bool spare;              /* no draw uses the reservation for one draw at the moment */
    double admitted;
};

struct draw {
    struct group *group;
    uint32_t index; /* first_draw + d */
    struct strata_sequence sequence;
    struct strata_random random;
    int32_t *ids;
    float *logprobs, *sampled_logprobs;
    size_t N, capacity;
    float *masses; /* (N, L, S): step by step; turned into (L, N, S) at the end */
    size_t mass_capacity;
    float *map_sum;
    uint64_t *seen;  /* bit set over the vocabulary, when the penalty is not 1 */
    size_t streamed; /* bytes of text already handed to on_text */
    size_t reserved; /* pages of its own; 0: it uses its group's spare */
};

/* What the logits of one row decide. */
struct choice {
    int32_t id;
    float logprob, sampled_logprob; /* of softmax(logits), and of what was sampled from */
    int code;
    struct strata_error reason;
};

struct native {
    struct strata_model *model;
    struct strata_threads *threads;
    struct strata_compute compute;
    struct strata_key_value *memory;
    struct strata_decoder *decoder;
    struct strata_sampler *samplers;     /* one per worker */
    struct feature_cache *features;      /* NULL: none */
    struct feature_files *feature_files; /* NULL: none */
    struct prefix_cache prefixes;
    bool share_prefixes;
    size_t batch, max_pages, prefill_chunk, context, logit_rows, max_rows, max_items;
    bool allow_placeholders;
    char identity[128];

    struct group *waiting, **waiting_end; /* not yet admitted, in order of submission */
    struct group *running, **running_end; /* admitted, in order */
    size_t waiting_draws, running_draws;  /* draws asked and not yet finished */
    struct draw *draws;                   /* (batch), the first draw_count are active */
    size_t draw_count;
    size_t reserved_pages;

    struct strata_result *results; /* finished, [result_next, result_count) not yet polled */
    size_t result_next, result_count, result_capacity;

    /* Buffers of one step. */
    float *x;           /* (max_rows, C) */
    int32_t *positions; /* (3, max_rows) */
    struct strata_decoder_item *items;
    struct group **item_groups; /* the group of each prefill item */
    float *rows;                /* (logit_rows, C) gathered */
    float *logits;              /* (logit_rows, V) */
    struct choice *choices;     /* (logit_rows) */
    float *map;                 /* step's maps */
    size_t map_capacity;
    struct strata_engine_stats stats;
};

/* native_group.c: making, admitting and dropping groups. */
int strata_native_submit(void *self, const struct strata_request *request, struct strata_error *err);
int strata_native_admit(struct native *native, struct strata_error *err);
/* After a chunk of the group's prefill: keeps its text before the first image for others. */
void strata_native_keep_prefix(struct native *native, const struct group *group);
/* Unlinks groups whose draws have all come out and frees them. */
void strata_native_sweep(struct native *native);
void strata_native_group_free(struct native *native, struct group *group);
int strata_native_group_create(struct group **out, struct native *native, const struct strata_request *request,
                               struct strata_error *err);
int strata_native_image_features(struct native *native, struct group *group, const struct strata_trace *trace,
                                 struct strata_error *err);
/* Embeddings and positions of rows [first, first+count) of the group's prefill into x (count, C) and positions
 * (3, stride). */
void strata_native_rows(const struct native *native, const struct group *group, size_t first, size_t count, float *x,
                        int32_t *positions, size_t stride);
void strata_native_cancel(void *self, uint64_t tag);
/* Pages that one draw may take beyond the prompt's full pages. */
size_t strata_native_draw_pages(const struct group *group);

/* native_step.c */
int strata_native_step(struct native *native, struct strata_error *err);

/* native_draw.c: draws and results. */
int strata_native_start_draws(struct native *native, struct strata_error *err);
/* Samples the next token of draw `index` from the logits of its newest row, in `worker`'s memory: draws can choose side
 * by side. */
void strata_native_draw_choose(struct choice *choice, const struct native *native, size_t index, const float *logits,
                               size_t worker);
/* Records what draw `index` chose. A draw that ends (also in an error of its own, which is its result) leaves the
 * batch: the last draw stands in its place. */
int strata_native_draw_take(struct native *native, size_t index, const struct choice *choice, struct strata_error *err);
/* Takes a draw out of the batch and gives its memory back. */
void strata_native_draw_leave(struct native *native, size_t index);
/* Room for the masses of the draw's next token. */
int strata_native_draw_reserve(struct native *native, struct draw *draw, struct strata_error *err);
/* sum (T) += map (L, rows, T) over the inner layers and the rows. */
void strata_native_add_map(const struct native *native, float *sum, const float *map, size_t rows, size_t T);
int strata_native_result_push(struct native *native, struct strata_result *result, struct strata_error *err);
/* The result of a forced group, once its rows are computed. */
int strata_native_forced_result(struct native *native, struct group *group, struct strata_error *err);
/* Every open draw of the group comes out as an error of the engine. */
int strata_native_group_fail(struct native *native, struct group *group, const struct strata_error *reason,
                             struct strata_error *err);
/* log softmax(logits)[id], and the same of logits/temperature, in `worker`'s memory. */
void strata_native_logprobs(struct choice *choice, const struct native *native, const float *logits, int32_t id,
                            float temperature, size_t worker);

#endif
