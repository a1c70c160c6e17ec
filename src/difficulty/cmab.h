/* CMAB, Cross-Modality Attention Balance (method.md section 2): from the attention mass of each response token on the
 * prompt's segments to one number a sample and its stratum.
 *
 *   rho(l,t) = S_img(l,t) / S_txt(l,t)     rho_t = exp(mean over layers of log(rho(l,t) + 1e-8))     rho = mean of
 * rho_t
 *
 * Segments are folded into the five classes from which every option follows, so that a stored sample can be cut again
 * without the model. Computation in double. */
#ifndef STRATA_DIFFICULTY_CMAB_H
#define STRATA_DIFFICULTY_CMAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "difficulty/strata.h"
#include "engine/engine.h"
#include "strata/error.h"

enum strata_cmab_pool { STRATA_CMAB_SUM, STRATA_CMAB_MEAN };
enum strata_cmab_over {
    STRATA_CMAB_OVER_MEAN,
    STRATA_CMAB_OVER_RATIO_OF_SUMS,
    STRATA_CMAB_OVER_MEDIAN,
    STRATA_CMAB_OVER_GEOMEAN,
    STRATA_CMAB_OVERS
};
enum strata_cmab_text { STRATA_CMAB_TEXT_PROMPT, STRATA_CMAB_TEXT_BEFORE_IMAGE, STRATA_CMAB_TEXT_QUESTION };

#define STRATA_CMAB_LAYERS_INNER (-1)
#define STRATA_CMAB_LAYERS_ALL   (-2)

struct strata_cmab_options {
    enum strata_cmab_pool pool;
    int layers; /* STRATA_CMAB_LAYERS_INNER: 1..L-2, STRATA_CMAB_LAYERS_ALL, or one 0-based index */
    enum strata_cmab_over over;
    enum strata_cmab_text text;
    bool skip_first; /* leave out the row that produced the first token */
    double bands[4]; /* 0.1, 0.4, 1.6, 1.9: hard inside the inner pair, medium up to the outer, easy beyond */
};
void strata_cmab_paper(struct strata_cmab_options *options);         /* --preset paper, and the default */
void strata_cmab_released_code(struct strata_cmab_options *options); /* --preset released-code; bands as the paper's */

/* The option texts: sum|mean; inner|all|INDEX; mean|ratio-of-sums|median|geomean; prompt|before-image|question;
 * "0.1,0.4,1.6,1.9". Unknown text is STRATA_ERR_USAGE. */
int strata_cmab_pool_parse(enum strata_cmab_pool *out, const char *text, struct strata_error *err);
int strata_cmab_layers_parse(int *out, const char *text, struct strata_error *err);
int strata_cmab_over_parse(enum strata_cmab_over *out, const char *text, struct strata_error *err);
int strata_cmab_text_parse(enum strata_cmab_text *out, const char *text, struct strata_error *err);
int strata_cmab_bands_parse(double bands[4], const char *text, struct strata_error *err);
const char *strata_cmab_pool_name(enum strata_cmab_pool pool);
const char *strata_cmab_over_name(enum strata_cmab_over over);
const char *strata_cmab_text_name(enum strata_cmab_text text);

/* Prompt tokens by what the options ask of them. */
enum strata_cmab_class {
    STRATA_CMAB_IMAGE,
    STRATA_CMAB_BEFORE,          /* text before the first image token, no user's own text (vision_start is here) */
    STRATA_CMAB_BEFORE_QUESTION, /* user's own text before the first image token */
    STRATA_CMAB_AFTER,
    STRATA_CMAB_AFTER_QUESTION,
    STRATA_CMAB_CLASSES
};
struct strata_cmab_masses {
    size_t L, N;                          /* layers, response tokens (a generated stop token counts) */
    uint32_t tokens[STRATA_CMAB_CLASSES]; /* prompt tokens of each class */
    float *masses;                        /* (L, N, STRATA_CMAB_CLASSES), owned */
};
/* Folds an engine's segments; sums in double, kept in float. */
int strata_cmab_fold(struct strata_cmab_masses *out, const struct strata_attention *attention,
                     struct strata_error *err);
void strata_cmab_masses_free(struct strata_cmab_masses *masses);
/* The stored form, little-endian: "CMAB", version, L, N, five token counts (u32 each), then (L, N, classes that have
 * tokens) float32. 4 bytes x L x N x (classes present, at most 5). */
int strata_cmab_pack(struct strata_buffer *out, const struct strata_cmab_masses *masses, struct strata_error *err);
int strata_cmab_unpack(struct strata_cmab_masses *out, const void *bytes, size_t length, const char *name,
                       struct strata_error *err);

struct strata_cmab_rho {
    bool defined;                   /* false: no image, no text of the chosen kind, or no token left after skip_first */
    double rho;                     /* under options->over */
    double over[STRATA_CMAB_OVERS]; /* the same cut under every way over tokens */
};
/* An S_txt of exactly zero (underflow) counts as FLT_MIN. STRATA_ERR_USAGE when the layer does not exist or there is no
 * inner one. rho_t (N) and rho_lt (L,N), for inspection, may be NULL; both ignore skip_first. */
int strata_cmab_rho(struct strata_cmab_rho *out, double *rho_t, double *rho_lt, const struct strata_cmab_masses *masses,
                    const struct strata_cmab_options *options, struct strata_error *err);
enum strata_stratum strata_cmab_stratum(const struct strata_cmab_options *options, const struct strata_cmab_rho *rho,
                                        bool correct);

#endif
