/* "Answer these prompts": one small door for every engine (native, HTTP, scripted). Submit requests, poll results,
 * cancel. Nothing above this door knows which engine answers (contract 9).
 *
 * One caller thread. A request may ask for several draws of the same prompt (they share its key/value memory); each
 * draw gives one result of its own. Results come in any order; what they contain depends only on the request. */
#ifndef STRATA_ENGINE_ENGINE_H
#define STRATA_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "data/image.h"
#include "data/sample.h"
#include "model/prompt.h"
#include "strata/error.h"

enum strata_capability {
    STRATA_CAN_TEXT = 1,
    STRATA_CAN_IDS = 2,       /* token ids of the response */
    STRATA_CAN_LOGPROBS = 4,  /* log-prob of each response token */
    STRATA_CAN_ATTENTION = 8, /* attention mass per prompt segment (CMAB) */
    STRATA_CAN_FORCE = 16,    /* score a given response (teacher forcing) */
    STRATA_CAN_IMAGES = 32,
    STRATA_CAN_SKIP_IMAGES = 64 /* answers were made before: requests need no pixels */
};

struct strata_sampling {
    float temperature; /* 0: greedy */
    float top_p;       /* 1: off */
    uint32_t top_k;    /* 0: off */
    float repetition_penalty;
    uint32_t max_new_tokens;
};

struct strata_request {
    uint64_t tag;          /* the caller's; comes back in every result */
    const char *sample_id; /* names the sample in errors and in random draws */
    const struct strata_message *messages;
    size_t message_count;
    const struct strata_image *images; /* decoded (and masked) RGB, one per "<image>" mark */
    size_t image_count;
    /* The native engine's features of all images, one behind the other, for a caller who has them already: they must be
     * what it would compute itself, and stay until the last result. NULL: it computes them. */
    const float *image_features;
    struct strata_sampling sampling;
    /* Draw d of this request (0 <= d < draws) samples with
     * strata_random_make(seed, sample_id, purpose, stream, first_draw + d), token t taking number t. */
    uint64_t seed;
    enum strata_purpose purpose;
    uint32_t stream;
    uint32_t first_draw, draws;
    /* Teacher forcing: score these ids instead of generating (draws must be 1), or NULL. */
    const int32_t *forced_ids;
    size_t forced_count;
    bool want_attention; /* segment masses for every response token */
    bool want_map;       /* attention per prompt token too, summed over layers `inner` and tokens: for heat maps */
    bool want_logprobs;
    bool images_once; /* these pixels will not be seen again (a masked draw): their features are not kept */
    /* For the scripted engine only: what a right answer looks like. */
    const char *solution;
    /* Streaming, for draws == 1: called on the caller's thread with each new piece of text; may be NULL. */
    void (*on_text)(void *context, const char *text, size_t length);
    void *on_text_context;
};

enum strata_finish {
    STRATA_FINISH_STOP,
    STRATA_FINISH_LENGTH,
    STRATA_FINISH_ERROR,
    STRATA_FINISH_CANCELLED,
    STRATA_FINISH_ABSENT /* nobody was asked: this engine holds answers made before, and none for this sample */
};

/* Attention mass: masses[(l*N + n)*S + s] = attention of the query that produces response token n (0-based) on prompt
 * segment s at decoder layer l (0-based), averaged over heads; float32. */
struct strata_attention {
    size_t L, N, S;
    float *masses;                   /* (L, N, S) */
    struct strata_segment *segments; /* (S) */
    float *map; /* (T) or NULL: per prompt token, mean over response tokens, geometric-free mean over inner layers */
    size_t T;
};

struct strata_result {
    uint64_t tag;
    uint32_t draw; /* first_draw + d */
    enum strata_finish finish;
    struct strata_error error; /* for STRATA_FINISH_ERROR: an engine failure, never a wrong answer */
    char *text;                /* decoded response without the stop token; owned */
    size_t text_length;
    int32_t *ids;            /* (N) stop token included; NULL where the engine has none */
    float *logprobs;         /* (N) log softmax of the unmodified logits, full vocabulary; or NULL */
    float *sampled_logprobs; /* (N) log softmax(logits/temperature), full vocabulary (equals logprobs when greedy); or
                                NULL */
    size_t N;
    size_t prompt_tokens;
    struct strata_attention *attention; /* or NULL */
    double seconds;                     /* from admission to finish */
};
void strata_result_free(struct strata_result *result);

struct strata_engine_stats {
    uint64_t prompts, prompt_tokens, image_tokens, generated_tokens, forced_tokens;
    double vision_seconds, prefill_seconds, decode_seconds, idle_seconds;
    size_t peak_batch;
    uint64_t reused_images;        /* images whose features were still there */
    uint64_t shared_prefix_tokens; /* of prompt_tokens: not computed, their keys and values were shared */
};

struct strata_engine; /* opaque; made by an engine's own constructor */

unsigned strata_engine_capabilities(const struct strata_engine *engine);
/* Does this engine have room for a request of `draws` draws now? Callers that keep it full ask this before building
 * the next request. */
bool strata_engine_has_room(const struct strata_engine *engine, uint32_t draws);
/* Copies what it needs (text, pixels) before returning. STRATA_ERR_INPUT: this request can never be answered (prompt
 * too long, image refused); the engine stays usable. */
int strata_engine_submit(struct strata_engine *engine, const struct strata_request *request, struct strata_error *err);
/* Works until at least one result is ready or nothing is in flight; *got false: nothing in flight. The result's
 * memory passes to the caller (strata_result_free). */
int strata_engine_poll(struct strata_engine *engine, struct strata_result *result, bool *got, struct strata_error *err);
/* Drops every request with this tag; draws already finished may still come out of poll. */
void strata_engine_cancel(struct strata_engine *engine, uint64_t tag);
void strata_engine_stats(const struct strata_engine *engine, struct strata_engine_stats *stats);
/* Hash of everything that determines a draw on this engine's side: weights, ISA level, compute type, build. */
const char *strata_engine_identity(const struct strata_engine *engine);
void strata_engine_destroy(struct strata_engine *engine);

/* For engine implementers: the table behind the door. */
struct strata_engine_vtable {
    unsigned (*capabilities)(const void *self);
    bool (*has_room)(const void *self, uint32_t draws);
    int (*submit)(void *self, const struct strata_request *request, struct strata_error *err);
    int (*poll)(void *self, struct strata_result *result, bool *got, struct strata_error *err);
    void (*cancel)(void *self, uint64_t tag);
    void (*stats)(const void *self, struct strata_engine_stats *stats);
    const char *(*identity)(const void *self);
    void (*destroy)(void *self);
};
/* Takes ownership of self. */
int strata_engine_wrap(struct strata_engine **out, const struct strata_engine_vtable *vtable, void *self,
                       struct strata_error *err);

/* What strata_engine_wrap was given, when the engine is of this kind (same poll function); else NULL. */
void *strata_engine_self(const struct strata_engine *engine, const struct strata_engine_vtable *vtable);

/* An engine that answers without a model, for tests and for measuring the store: sample s at ratio i/10 is right with
 * a probability that is a pure function of (seed, s, i), shaped so that every stratum is well populated. A right
 * answer is "<answer>" + solution + "</answer>", a wrong one "<answer>wrong</answer>". `stream` of the request is the
 * ratio in tenths. Capabilities: text, ids (a few made-up tokens), attention (made-up masses). */
int strata_engine_scripted(struct strata_engine **out, uint64_t seed, size_t batch, struct strata_error *err);
/* The probability used above, for tests. */
double strata_scripted_probability(uint64_t seed, const char *sample_id, unsigned tenths);

#endif
