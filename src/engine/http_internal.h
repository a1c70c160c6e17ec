/* Private to the HTTP engine. */
#ifndef STRATA_ENGINE_HTTP_INTERNAL_H
#define STRATA_ENGINE_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <jansson.h>

#include "engine/http.h"

struct endpoint {
    char *url;             /* of the call */
    char *name;            /* for messages: without user, password and query */
    bool local;            /* on this machine: no proxy */
    double weight, credit; /* smooth weighted round robin */
    unsigned failures;     /* in a row */
    double rests_until;    /* 0: awake */
    double failing_since;  /* 0: it is not */
    size_t in_flight;
    bool misplaced; /* answered that this is no place for such calls (key, path) */
};

/* One request; shared by its calls. */
struct group {
    uint64_t tag, seed;
    char *sample_id;
    enum strata_purpose purpose;
    uint32_t stream;
    struct strata_buffer body; /* the JSON object up to seed and n */
    size_t calls;              /* that still point here */
    bool cancelled, logprobs;
};

#define STRATA_HTTP_ID_OURS 13 /* characters of a request id that all calls of an engine share */

/* One HTTP call: `count` draws of a group from `first` on. */
struct call {
    struct group *group;
    uint32_t first, count;
    unsigned attempts;
    double not_before; /* earliest next attempt */
    double started;
    struct strata_hash key;
    char suffix[96]; /* the rest of the body */
    size_t suffix_length, sent;
    struct endpoint *endpoint;
    CURL *handle; /* while in flight */
    struct strata_buffer reply;
    char request_id[64], echoed_id[64], id_line[96];
    struct curl_slist id_header; /* in front of the common headers */
    unsigned throttled;          /* times that a server said "too many requests" */
    struct strata_error error;   /* of the last attempt */
    struct call *next;           /* in the list of waiting calls */
};

struct http {
    CURLM *multi;
    struct curl_slist *headers; /* with the key */
    char *key, *model, *ca_file;
    struct endpoint *endpoints;
    size_t endpoint_count;
    struct strata_http_options options; /* its texts are not used after the start */
    struct call *waiting, **waiting_end;
    size_t waiting_draws, flying_draws;
    struct call **flying;
    size_t flying_count;
    CURL **idle; /* handles at rest */
    size_t idle_count;
    struct strata_result *results;
    size_t result_next, result_count, result_capacity;
    struct strata_error last_failure; /* of any server */
    struct strata_http_account account;
    struct strata_engine_stats stats;
    uint64_t serial, nonce;
    bool one_by_one;               /* asked for, or a server ignored n */
    char identity[48];             /* of a run's answers */
    struct strata_hash cache_base; /* of the cache's keys */
};

/* http_body.c: what is sent, and what comes back. */
int strata_http_body(struct strata_buffer *out, const struct http *http, const struct strata_request *request,
                     struct strata_error *err);
void strata_http_suffix(struct call *call, const struct strata_random *random);
/* Reads the reply of a call into results[0..count); a slot whose choice is missing keeps text NULL. STRATA_ERR_ENGINE
 * for a reply that makes no sense (nothing is then set). */
int strata_http_parse(struct strata_result *results, struct http *http, const struct call *call,
                      struct strata_error *err);
/* The message of a server's error body, without the key. */
void strata_http_message(char *out, size_t size, const struct http *http, const struct strata_buffer *reply);
/* Results as the cache keeps them, and back; false for a text that is no such thing. */
void strata_http_pack(struct strata_buffer *out, const struct strata_result *results, size_t count);
bool strata_http_unpack(struct strata_result *results, size_t count, const struct strata_buffer *text);

/* http_transfer.c: calls in flight. */
int strata_http_add_endpoint(struct http *http, const char *url, struct strata_error *err);
/* Starts what may start, lets libcurl work, takes what is finished; waits at most `wait` seconds for something to do.
 */
int strata_http_step(struct http *http, double wait, struct strata_error *err);
/* Puts a call (back) into the waiting list. */
void strata_http_wait(struct http *http, struct call *call);
void strata_http_call_free(struct http *http, struct call *call);
/* http.c: a call is over. */
int strata_http_deliver(struct http *http, struct call *call, struct strata_result *results, bool store,
                        struct strata_error *err);
int strata_http_give_up(struct http *http, struct call *call, struct strata_error *err);

#endif
