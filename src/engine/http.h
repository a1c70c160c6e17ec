/* The HTTP engine: any model behind an OpenAI-compatible server (POST /v1/chat/completions), several servers at once.
 *
 * Images travel as PNG data URLs of the exact pixels. A failed call is repeated (another server, after a pause that
 * doubles, or when the server said); what still fails ends as STRATA_FINISH_ERROR, never as an answer. Servers that
 * keep failing are left alone for a while. Attention, token ids and scoring of given responses are not to be had this
 * way, and the capability flags say so. Draw d is asked for with a seed that is a function of the request's seed,
 * sample, purpose and d; whether a server repeats itself for equal seeds is its own affair. */
#ifndef STRATA_ENGINE_HTTP_H
#define STRATA_ENGINE_HTTP_H

#include "base/hash.h"
#include "engine/engine.h"

/* Where answers are kept. get appends the stored text to out, or sets *found false; put keeps the first text of a key.
 */
struct strata_http_cache {
    void *context;
    int (*get)(void *context, struct strata_buffer *out, bool *found, struct strata_hash key, struct strata_error *err);
    int (*put)(void *context, struct strata_hash key, const char *text, size_t length, struct strata_error *err);
};

struct strata_http_options {
    /* "http://host:8000", ".../v1" or the full ".../chat/completions"; "#2" at the end gives it twice the share. */
    const char *const *urls;
    size_t url_count;
    const char *model;    /* as the servers call it */
    const char *key_env;  /* environment variable with the API key, or NULL */
    const char *key_file; /* file whose first line is the key, or NULL; wins over key_env */
    const char *ca_file;  /* certificates to trust instead of the system's, or NULL */
    const char *identity; /* what the answers depend on besides model and request; NULL: for the cache, the URLs */
    size_t in_flight;     /* calls at once; 0: 256 */
    size_t attempts;      /* of one call before it is given up; 0: 8 */
    double timeout;       /* seconds for one call; 0: 600 */
    double pause;         /* seconds before the first repetition; 0: 0.5 */
    double patience;      /* seconds of nothing but failures after which a server counts as gone; 0: 120 */
    uint64_t budget;      /* calls in all; 0: no limit */
    size_t max_pixels;    /* larger images are resized first, as Qwen2.5-VL's processor does; 0: sent as they are */
    bool one_by_one;      /* never ask for several draws in one call (n > 1) */
    bool logprobs;        /* the servers report log-probs */
    struct strata_http_cache cache; /* get NULL: none; its context must outlive the engine */
};
int strata_engine_http(struct strata_engine **out, const struct strata_http_options *options, struct strata_error *err);

struct strata_http_account {
    uint64_t calls;                            /* HTTP requests sent, repetitions included */
    uint64_t repeated;                         /* of these, repetitions */
    uint64_t failed;                           /* draws that ended as errors */
    uint64_t cached;                           /* draws answered from the cache */
    uint64_t malformed;                        /* replies that made no sense */
    uint64_t prompt_tokens, completion_tokens; /* as the servers count */
};
/* False when the engine is no HTTP engine. */
bool strata_http_account(struct strata_http_account *out, const struct strata_engine *engine);

#endif
