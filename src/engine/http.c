#include "engine/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "engine/http_internal.h"

/* ---- results ---- */

static int push(struct http *http, const struct strata_result *result, struct strata_error *err) {
    if (http->result_next && http->result_count == http->result_capacity &&
        2 * http->result_next >= http->result_count) {
        http->result_count -= http->result_next; /* what was handed out makes room */
        memmove(http->results, http->results + http->result_next, http->result_count * sizeof *http->results);
        http->result_next = 0;
    }
    int code = strata_grow(&http->results, &http->result_capacity, http->result_count + 1, sizeof *http->results, err);
    if (!code) http->results[http->result_count++] = *result;
    return code;
}

/* A call of its own for each draw that a server left out. */
static int ask_singly(struct http *http, const struct call *call, const struct strata_result *results,
                      struct strata_error *err) {
    for (uint32_t i = 0; i < call->count; i++) {
        struct call *single;
        if (results[i].text) continue;
        int code = strata_alloc(&single, 1, sizeof *single, err);
        if (code) return code;
        const struct group *group = call->group;
        *single = (struct call){.group = call->group, .first = call->first + i, .count = 1};
        struct strata_random random =
            strata_random_make(group->seed, group->sample_id, group->purpose, group->stream, single->first);
        strata_http_suffix(single, &random);
        single->key = strata_hash_combine(http->cache_base, group->body.data, group->body.length);
        single->key = strata_hash_combine(single->key, single->suffix, single->suffix_length);
        call->group->calls++;
        strata_http_wait(http, single);
        http->one_by_one = true;
    }
    return 0;
}

int strata_http_deliver(struct http *http, struct call *call, struct strata_result *results, bool store,
                        struct strata_error *err) {
    double seconds = call->started > 0 ? strata_seconds() - call->started : 0;
    const struct strata_http_cache *cache = &http->options.cache;
    bool all = true;
    int code = 0;
    for (uint32_t i = 0; i < call->count; i++) all = all && results[i].text;
    if (all && store && cache->put) {
        struct strata_buffer text = {0};
        strata_http_pack(&text, results, call->count);
        code = strata_buffer_check(&text, err);
        if (!code) code = cache->put(cache->context, call->key, text.data, text.length, err);
        strata_buffer_free(&text);
    }
    for (uint32_t i = 0; i < call->count; i++) {
        if (!results[i].text) continue;
        results[i].tag = call->group->tag;
        results[i].draw = call->first + i;
        results[i].seconds = seconds;
        http->stats.generated_tokens += results[i].N;
        http->stats.prompt_tokens += results[i].prompt_tokens;
        if (!code) code = push(http, &results[i], err);
        if (code) strata_result_free(&results[i]);
    }
    if (!code && !all) code = ask_singly(http, call, results, err);
    strata_http_call_free(http, call);
    return code;
}

int strata_http_give_up(struct http *http, struct call *call, struct strata_error *err) {
    int code = 0;
    strata_fail_hint(&call->error, STRATA_ERR_ENGINE, "sample %.200s, %u attempts", call->group->sample_id,
                     call->attempts + call->throttled);
    for (uint32_t i = 0; i < call->count && !code; i++) {
        struct strata_result result = {
            .tag = call->group->tag, .draw = call->first + i, .finish = STRATA_FINISH_ERROR, .error = call->error};
        http->account.failed++;
        code = push(http, &result, err);
    }
    strata_http_call_free(http, call);
    return code;
}

/* ---- the door ---- */

static unsigned capabilities(const void *self) {
    const struct http *http = self;
    return STRATA_CAN_TEXT | STRATA_CAN_IMAGES | (http->options.logprobs ? STRATA_CAN_LOGPROBS : 0u);
}

/* As many again may wait as are in the air, so that a place that falls free is filled at once. Answers that nobody has
 * taken yet count: a caller that only submits must not pile them up. */
static bool has_room(const void *self, uint32_t draws) {
    const struct http *http = self;
    size_t open = http->waiting_draws + http->flying_draws + (http->result_count - http->result_next);
    return open == 0 || open + draws <= 2 * http->options.in_flight;
}

static int refuse(const struct strata_request *request, struct strata_error *err) {
    static const char *const placeholders[] = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"};
    if (request->want_attention || request->want_map) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "a server does not report attention");
        return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED,
                                "CMAB needs the native engine, or masses measured on the "
                                "GPU and read with --cmab-from");
    }
    if (request->forced_ids) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "a server does not score given responses");
        return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "the native engine does");
    }
    for (size_t i = 0; i < request->message_count; i++) {
        for (size_t p = 0; p < 4; p++) {
            if (!strstr(request->messages[i].text, placeholders[p])) continue;
            strata_fail(err, STRATA_ERR_INPUT, "the text contains the vision placeholder %s", placeholders[p]);
            return strata_fail_at(err, STRATA_ERR_INPUT, "%s", request->sample_id);
        }
    }
    return 0;
}

static int make_group(struct group **out, const struct http *http, const struct strata_request *request,
                      struct strata_error *err) {
    int code = strata_alloc(out, 1, sizeof **out, err);
    if (code) return code;
    **out = (struct group){.tag = request->tag,
                           .seed = request->seed,
                           .sample_id = strata_strdup(request->sample_id),
                           .purpose = request->purpose,
                           .stream = request->stream,
                           .logprobs = request->want_logprobs};
    code = (*out)->sample_id ? strata_http_body(&(*out)->body, http, request, err)
                             : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) return 0;
    strata_buffer_free(&(*out)->body);
    free((*out)->sample_id);
    free(*out);
    return code;
}

/* Answers the call from the cache, or lets it wait its turn. */
static int enter(struct http *http, struct call *call, struct strata_error *err) {
    const struct strata_http_cache *cache = &http->options.cache;
    struct strata_buffer text = {0};
    struct strata_result *results = NULL;
    bool found = false;
    int code = cache->get ? cache->get(cache->context, &text, &found, call->key, err) : 0;
    if (!code && found) code = strata_alloc(&results, call->count, sizeof *results, err);
    if (!code && found && strata_http_unpack(results, call->count, &text)) {
        http->account.cached += call->count;
        code = strata_http_deliver(http, call, results, false, err);
    } else if (!code) {
        strata_http_wait(http, call);
    } else {
        strata_http_call_free(http, call);
    }
    free(results);
    strata_buffer_free(&text);
    return code;
}

/* Calls that were counted and never came to be. */
static void forget_calls(struct group *group, size_t count) {
    group->calls -= count;
    if (group->calls) return;
    strata_buffer_free(&group->body);
    free(group->sample_id);
    free(group);
}

static int submit(void *self, const struct strata_request *request, struct strata_error *err) {
    struct http *http = self;
    struct group *group;
    int code = refuse(request, err);
    if (!code) code = make_group(&group, http, request, err);
    if (code) return code;
    struct strata_hash body = strata_hash_combine(http->cache_base, group->body.data, group->body.length);
    uint32_t step = http->one_by_one ? 1 : request->draws;
    size_t left = request->draws / step;
    group->calls = left;
    for (uint32_t d = 0; d < request->draws && !code; d += step) {
        struct call *call;
        code = strata_alloc(&call, 1, sizeof *call, err);
        if (code) break;
        left--;
        *call = (struct call){.group = group, .first = request->first_draw + d, .count = step};
        struct strata_random random =
            strata_random_make(request->seed, request->sample_id, request->purpose, request->stream, call->first);
        strata_http_suffix(call, &random);
        call->key = strata_hash_combine(body, call->suffix, call->suffix_length);
        code = enter(http, call, err);
    }
    if (left) forget_calls(group, left);
    http->stats.prompts++;
    /* The connections must not idle while the caller prepares the next request. */
    return code ? code : strata_http_step(http, 0, err);
}

static int poll(void *self, struct strata_result *result, bool *got, struct strata_error *err) {
    struct http *http = self;
    while (http->result_next == http->result_count && (http->waiting || http->flying_count)) {
        double begin = strata_seconds();
        int code = strata_http_step(http, 1.0, err);
        if (code) return code;
        http->stats.idle_seconds += strata_seconds() - begin;
    }
    *got = http->result_next < http->result_count;
    if (*got) *result = http->results[http->result_next++];
    return 0;
}

static void cancel(void *self, uint64_t tag) {
    struct http *http = self;
    struct call *list = http->waiting;
    http->waiting = NULL;
    http->waiting_end = &http->waiting;
    http->waiting_draws = 0;
    while (list) {
        struct call *call = list;
        list = call->next;
        if (call->group->tag == tag) {
            strata_http_call_free(http, call);
        } else {
            strata_http_wait(http, call);
        }
    }
    for (size_t i = http->flying_count; i-- > 0;) {
        if (http->flying[i]->group->tag == tag) strata_http_call_free(http, http->flying[i]);
    }
}

static void stats(const void *self, struct strata_engine_stats *out) {
    *out = ((const struct http *)self)->stats;
}

static const char *identity(const void *self) {
    return ((const struct http *)self)->identity;
}

static void destroy(void *self) {
    struct http *http = self;
    while (http->flying_count) strata_http_call_free(http, http->flying[http->flying_count - 1]);
    while (http->waiting) {
        struct call *call = http->waiting;
        http->waiting = call->next;
        strata_http_call_free(http, call);
    }
    for (size_t i = 0; i < http->idle_count; i++) curl_easy_cleanup(http->idle[i]);
    for (size_t i = http->result_next; i < http->result_count; i++) strata_result_free(&http->results[i]);
    for (size_t i = 0; i < http->endpoint_count; i++) {
        free(http->endpoints[i].url);
        free(http->endpoints[i].name);
    }
    curl_slist_free_all(http->headers);
    if (http->multi) curl_multi_cleanup(http->multi);
    if (http->key) explicit_bzero(http->key, strlen(http->key));
    free(http->key);
    free(http->model);
    free(http->ca_file);
    free(http->endpoints);
    free(http->flying);
    free(http->idle);
    free(http->results);
    free(http);
    curl_global_cleanup();
}

static const struct strata_engine_vtable vtable = {capabilities, has_room, submit,   poll,
                                                   cancel,       stats,    identity, destroy};

/* ---- making one ---- */

static int read_key(struct http *http, const struct strata_http_options *options, struct strata_error *err) {
    const char *key = options->key_env ? getenv(options->key_env) : NULL;
    struct strata_buffer file = {0};
    if (options->key_file) {
        int code = strata_file_read(&file, options->key_file, 1 << 16, err);
        if (code) return code;
        key = strata_buffer_string(&file);
    }
    int code = 0;
    size_t length = key ? strcspn(key, "\r\n") : 0;
    if (length) {
        struct strata_buffer header = {0};
        strata_buffer_printf(&header, "Authorization: Bearer %.*s", (int)length, key);
        http->key = strndup(key, length);
        struct curl_slist *list = header.failed ? NULL : curl_slist_append(http->headers, header.data);
        if (list) http->headers = list;
        if (!http->key || !list) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        if (header.data) explicit_bzero(header.data, header.length);
        strata_buffer_free(&header);
    }
    if (file.data) explicit_bzero(file.data, file.length);
    strata_buffer_free(&file);
    return code;
}

/* A run belongs to the model's name, so that servers may come and go while it lasts; the cache, which outlives runs, to
 * where it is served too. */
static void identify(struct http *http, const struct strata_http_options *options) {
    struct strata_hash hash = strata_hash_bytes(http->model, strlen(http->model) + 1);
    if (options->identity) hash = strata_hash_combine(hash, options->identity, strlen(options->identity));
    http->cache_base = hash;
    for (size_t i = 0; i < http->endpoint_count && !options->identity; i++)
        http->cache_base =
            strata_hash_combine(http->cache_base, http->endpoints[i].url, strlen(http->endpoints[i].url));
    const uint64_t max_pixels = options->max_pixels;
    char text[33];
    strata_hash_text(text, strata_hash_combine(hash, &max_pixels, sizeof max_pixels));
    snprintf(http->identity, sizeof http->identity, "http-%s", text);
}

static void take_options(struct http *http, const struct strata_http_options *options) {
    http->options = *options;
    if (!http->options.in_flight) http->options.in_flight = 256;
    if (!http->options.attempts) http->options.attempts = 8;
    if (!(http->options.timeout > 0)) http->options.timeout = 600;
    if (!(http->options.pause > 0)) http->options.pause = 0.5;
    if (!(http->options.patience > 0)) http->options.patience = 120;
    http->one_by_one = options->one_by_one;
    http->waiting_end = &http->waiting;
    http->nonce = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
}

static int set_up(struct http *http, const struct strata_http_options *options, struct strata_error *err) {
    static const char *const headers[] = {"Content-Type: application/json", "Expect:"};
    take_options(http, options);
    int code = strata_alloc(&http->endpoints, options->url_count, sizeof *http->endpoints, err);
    if (!code) code = strata_alloc(&http->flying, http->options.in_flight, sizeof(struct call *), err);
    if (!code) code = strata_alloc(&http->idle, http->options.in_flight, sizeof(CURL *), err);
    for (size_t i = 0; i < options->url_count && !code; i++)
        code = strata_http_add_endpoint(http, options->urls[i], err);
    for (size_t i = 0; i < 2 && !code; i++) {
        struct curl_slist *list = curl_slist_append(http->headers, headers[i]);
        if (!list) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        http->headers = list;
    }
    if (!code) code = read_key(http, options, err);
    if (code) return code;
    http->model = strata_strdup(options->model);
    http->ca_file = strata_strdup(options->ca_file);
    http->multi = curl_multi_init();
    if (!http->model || !http->multi || (options->ca_file && !http->ca_file))
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->options.in_flight);
    identify(http, options);
    return 0;
}

int strata_engine_http(struct strata_engine **out, const struct strata_http_options *options,
                       struct strata_error *err) {
    struct http *http;
    *out = NULL;
    if (!options->url_count || !options->model)
        return strata_fail(err, STRATA_ERR_USAGE, "the HTTP engine needs a server's URL and a model's name");
    int code = strata_alloc(&http, 1, sizeof *http, err);
    if (code) return code;
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        free(http);
        return strata_fail(err, STRATA_ERR_ENGINE, "libcurl does not start");
    }
    code = set_up(http, options, err);
    if (code) {
        destroy(http);
        return code;
    }
    return strata_engine_wrap(out, &vtable, http, err);
}

bool strata_http_account(struct strata_http_account *out, const struct strata_engine *engine) {
    const struct http *http = strata_engine_self(engine, &vtable);
    if (http) *out = http->account;
    return http != NULL;
}
