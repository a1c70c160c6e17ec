/* A vision-language model, loaded: it answers prompts and says where its attention went.
 *
 *     struct strata_error err;
 *     struct strata_vlm *vlm;
 *     struct strata_reply *reply;
 *     struct strata_vlm_turn turn = {STRATA_TURN_USER, "What is this?"};
 *     struct strata_vlm_image image = {.path = "shape.png"};
 *     struct strata_vlm_prompt prompt = {.size = sizeof prompt, .turns = &turn, .turn_count = 1, .images = &image,
 *                                        .image_count = 1, .want = STRATA_WANT_ATTENTION};
 *     if (strata_vlm_open(&vlm, "models/easyvqa-tiny", NULL, &err)) …
 *     if (strata_vlm_generate(&reply, vlm, &prompt, &err)) …
 *     puts(strata_reply_text(reply, NULL));
 *
 * Structures that callers fill begin with their size, as the caller's header has it: a program compiled against an
 * older header goes on working with a newer library. What is zero has its default. Structures that the library fills
 * are opaque. A vlm belongs to one thread at a time; replies to anyone. Results do not depend on the number of threads,
 * nor on what else is asked together with a prompt. */
#ifndef STRATA_VLM_H
#define STRATA_VLM_H

#include <stddef.h>
#include <stdint.h>

#include "strata/error.h"
#include "strata/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct strata_vlm;

struct strata_vlm_options {
    size_t size;         /* sizeof(struct strata_vlm_options) */
    const char *compute; /* "f32", "bf16"; NULL: bf16 for bf16 weights where the CPU has it */
    const char *weights; /* how matrices are kept: "f32", "bf16", "int8"; NULL: as stored */
    const char *isa;     /* "plain", "avx2", "avx512", "avx512bf16"; NULL: the best this CPU has */
    size_t threads;      /* 0: one for each core this process may use */
    size_t batch;        /* prompts answered at the same time at most; 0: 32 */
    size_t memory;       /* bytes for keys and values at most; 0: half of what the machine has free */
    size_t max_pixels;   /* larger images are scaled down; 0: 1,254,400; SIZE_MAX: the model's own limit */
};

/* path: a Qwen2.5-VL checkpoint directory in Hugging Face layout. options may be NULL. */
STRATA_API int strata_vlm_open(struct strata_vlm **out, const char *path, const struct strata_vlm_options *options,
                               struct strata_error *err);
STRATA_API void strata_vlm_close(struct strata_vlm *vlm); /* NULL is fine; replies outlive it */

STRATA_API size_t strata_vlm_layers(const struct strata_vlm *vlm); /* of the language model */
STRATA_API size_t strata_vlm_parameters(const struct strata_vlm *vlm);
/* What determines its answers, as text: weights, kernels, arithmetic. */
STRATA_API const char *strata_vlm_identity(const struct strata_vlm *vlm);

enum strata_turn_role { STRATA_TURN_SYSTEM, STRATA_TURN_USER, STRATA_TURN_ASSISTANT };
/* "<image>" in a system or user turn marks where an image stands. Without any mark, the images stand before the text of
 * the first user turn. */
struct strata_vlm_turn {
    int role; /* enum strata_turn_role */
    const char *text;
};
/* Exactly one of path, bytes and rgb. */
struct strata_vlm_image {
    const char *path;  /* a PNG, JPEG or WebP file */
    const void *bytes; /* such a file's content */
    size_t length;
    const uint8_t *rgb; /* pixels (height, width, 3), rows top to bottom */
    size_t width, height;
};

enum { STRATA_WANT_ATTENTION = 1, STRATA_WANT_MAP = 2 };

struct strata_vlm_prompt {
    size_t size; /* sizeof(struct strata_vlm_prompt) */
    const struct strata_vlm_turn *turns;
    size_t turn_count;
    const struct strata_vlm_image *images;
    size_t image_count;
    float temperature;        /* 0: greedy */
    float top_p;              /* 0 or 1: off */
    float repetition_penalty; /* 0 or 1: off */
    uint32_t top_k;           /* 0: off */
    uint32_t max_new_tokens;  /* 0: 1,024 */
    uint32_t draw;            /* which of the answers that seed and id determine */
    uint64_t seed;
    const char *id;            /* names the prompt in random draws and errors; NULL: "prompt" */
    const char *response;      /* not NULL: score this answer (and its end token) instead of making one */
    const int32_t *forced_ids; /* or these token ids */
    size_t forced_count;
    uint32_t want; /* STRATA_WANT_… */
};

struct strata_reply;

STRATA_API int strata_vlm_generate(struct strata_reply **out, struct strata_vlm *vlm,
                                   const struct strata_vlm_prompt *prompt, struct strata_error *err);
/* `count` prompts together, which is faster: out[i] answers prompts[i]. All or, on an error, none. */
STRATA_API int strata_vlm_generate_all(struct strata_reply **out, struct strata_vlm *vlm,
                                       const struct strata_vlm_prompt *const *prompts, size_t count,
                                       struct strata_error *err);
STRATA_API void strata_reply_free(struct strata_reply *reply); /* NULL is fine */

/* Everything returned below belongs to the reply. */

/* Without the end token; *length (may be NULL) counts bytes. */
STRATA_API const char *strata_reply_text(const struct strata_reply *reply, size_t *length);
STRATA_API int strata_reply_cut_off(const struct strata_reply *reply); /* 1: max_new_tokens ended it */
STRATA_API size_t strata_reply_prompt_tokens(const struct strata_reply *reply);
STRATA_API size_t strata_reply_tokens(const struct strata_reply *reply);      /* N, the end token included */
STRATA_API const int32_t *strata_reply_ids(const struct strata_reply *reply); /* (N) */
/* (N) log p of each token under the unmodified logits. */
STRATA_API const float *strata_reply_logprobs(const struct strata_reply *reply);

/* With STRATA_WANT_ATTENTION: the prompt in segments, and masses (L, N, S): attention of the query that produces token
 * n on segment s at layer l, averaged over heads. NULL, and 0 segments, without it. */
STRATA_API size_t strata_reply_segments(const struct strata_reply *reply); /* S */
STRATA_API const float *strata_reply_masses(const struct strata_reply *reply);
/* Segment s covers prompt tokens [*begin, *begin + *count). Returns its kind: "template", "system", "question",
 * "reply" (earlier assistant turns), "vision" (the markers around an image) or "image"; *image says which. NULL when
 * there is no such segment. Any out may be NULL. */
STRATA_API const char *strata_reply_segment(const struct strata_reply *reply, size_t s, size_t *begin, size_t *count,
                                            size_t *image);

/* Texts as the options of `strata score --cmab-…`; NULL: the preset's. */
struct strata_balance_options {
    size_t size;        /* sizeof(struct strata_balance_options) */
    const char *preset; /* "paper" (NULL) or "released-code" */
    const char *pool;   /* "sum", "mean" */
    const char *layers; /* "inner", "all", or an index */
    const char *over;   /* "mean", "ratio-of-sums", "median", "geomean" */
    const char *text;   /* "prompt", "before-image", "question" */
    const char *first;  /* "include", "skip" */
};
/* The balance of attention between image and text: *rho of the reply (NaN where it has none: no image), rho_t (N) of
 * each token, rho_lt (L, N) of each layer and token. Any out may be NULL, and so may options. */
STRATA_API int strata_reply_balance(double *rho, double *rho_t, double *rho_lt, const struct strata_reply *reply,
                                    const struct strata_balance_options *options, struct strata_error *err);
/* With STRATA_WANT_MAP: attention on each cell of an image, (rows, columns), the mean over inner layers and the reply's
 * tokens. NULL without it or when there is no such image. */
STRATA_API const float *strata_reply_map(const struct strata_reply *reply, size_t image, size_t *rows, size_t *columns);

#ifdef __cplusplus
}
#endif
#endif
