/* Calls in flight: libcurl's multi interface, which server next, what to do when one fails. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "engine/http_internal.h"

#define REPLY_MOST       ((size_t)64 << 20)
#define CONNECT_SECONDS  15L
#define PAUSE_MOST       30.0  /* seconds between two attempts, unless the server asks for more */
#define REST_MOST        60.0  /* seconds that a failing server is left alone */
#define RETRY_AFTER_MOST 600.0 /* of what a server may ask for */
#define REST_FROM        3     /* failures in a row */

/* ---- servers ---- */

/* The name for messages: scheme, host and port, nothing that could be secret. */
static char *public_name(const char *url) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t length = strcspn(host, "/?#");
    const char *user = memrchr(host, '@', length);
    if (user) {
        length -= (size_t)(user + 1 - host);
        host = user + 1;
    }
    return strndup(host, length);
}

static bool ends_with(const struct strata_buffer *text, const char *end) {
    size_t length = strlen(end);
    return text->length >= length && memcmp(text->data + text->length - length, end, length) == 0;
}

int strata_http_add_endpoint(struct http *http, const char *url, struct strata_error *err) {
    struct endpoint *endpoint = &http->endpoints[http->endpoint_count];
    struct strata_buffer full = {0};
    const char *share = strchr(url, '#');
    char *rest = NULL;
    *endpoint = (struct endpoint){.weight = share ? strtod(share + 1, &rest) : 1};
    bool web = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!web || (share && (rest == share + 1 || *rest)) || !(endpoint->weight > 0 && endpoint->weight <= 1e6)) {
        char *name = public_name(url);
        strata_fail(err, STRATA_ERR_USAGE, "\"%s\" is no server", name ? name : "");
        free(name);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "http://HOST:PORT or https://HOST, with #2 for twice the share");
    }
    strata_buffer_append(&full, url, share ? (size_t)(share - url) : strlen(url));
    while (ends_with(&full, "/")) full.data[--full.length] = '\0';
    if (!ends_with(&full, "/chat/completions"))
        strata_buffer_text(&full, ends_with(&full, "/v1") ? "/chat/completions" : "/v1/chat/completions");
    endpoint->url = full.data;
    endpoint->name = public_name(url);
    if (full.failed || !endpoint->name) {
        free(endpoint->name);
        strata_buffer_free(&full);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    endpoint->local = strncmp(endpoint->name, "localhost", 9) == 0 || strncmp(endpoint->name, "127.", 4) == 0 ||
                      strncmp(endpoint->name, "[::1]", 5) == 0;
    http->endpoint_count++;
    return 0;
}

/* May the server be called now? One that has just rested gets a single call until it answers. */
static bool awake(const struct endpoint *endpoint, double now) {
    return endpoint->rests_until <= now && (endpoint->failures < REST_FROM || endpoint->in_flight == 0);
}

/* Smooth weighted round robin over the servers that are awake; not the one that just failed, if there is another. */
static struct endpoint *choose(struct http *http, const struct endpoint *failed, double now) {
    struct endpoint *best = NULL;
    double together = 0;
    bool other = false;
    for (size_t i = 0; i < http->endpoint_count; i++)
        other = other || (failed && &http->endpoints[i] != failed && awake(&http->endpoints[i], now));
    for (size_t i = 0; i < http->endpoint_count; i++) {
        struct endpoint *endpoint = &http->endpoints[i];
        if (!awake(endpoint, now) || (other && endpoint == failed)) continue;
        endpoint->credit += endpoint->weight;
        together += endpoint->weight;
        if (!best || endpoint->credit > best->credit) best = endpoint;
    }
    if (best) best->credit -= together;
    return best;
}

/* Has every server done nothing but fail for too long? */
static bool all_gone(const struct http *http, double now) {
    for (size_t i = 0; i < http->endpoint_count; i++) {
        const struct endpoint *endpoint = &http->endpoints[i];
        bool failing = endpoint->failing_since > 0 && now - endpoint->failing_since > http->options.patience;
        if (!failing && !endpoint->misplaced) return false;
    }
    return true;
}

/* Between half and one and a half times `seconds`. */
static double jittered(struct http *http, double seconds) {
    struct strata_random random = strata_random_make(http->nonce, "pause", STRATA_PURPOSE_TEST, 0, 0);
    return seconds * (0.5 + strata_random_uniform(&random, http->serial++));
}

static void endpoint_failed(struct http *http, struct endpoint *endpoint, double now) {
    endpoint->failures++;
    if (endpoint->failing_since <= 0) endpoint->failing_since = now;
    if (endpoint->failures < REST_FROM) return;
    double rest = http->options.pause * exp2(endpoint->failures - REST_FROM < 10 ? endpoint->failures - REST_FROM : 10);
    endpoint->rests_until = now + jittered(http, rest < REST_MOST ? rest : REST_MOST);
}

static void endpoint_answered(struct endpoint *endpoint) {
    endpoint->failures = 0;
    endpoint->failing_since = 0;
    endpoint->rests_until = 0;
    endpoint->misplaced = false;
}

/* ---- one call ---- */

static size_t read_body(char *out, size_t size, size_t count, void *context) {
    struct call *call = context;
    const struct strata_buffer *body = &call->group->body;
    size_t room = size * count, written = 0;
    while (written < room && call->sent < body->length + call->suffix_length) {
        bool prefix = call->sent < body->length;
        const char *from = prefix ? body->data + call->sent : call->suffix + (call->sent - body->length);
        size_t left = prefix ? body->length - call->sent : body->length + call->suffix_length - call->sent;
        size_t piece = left < room - written ? left : room - written;
        memcpy(out + written, from, piece);
        written += piece;
        call->sent += piece;
    }
    return written;
}

static int rewind_body(void *context, curl_off_t offset, int origin) {
    struct call *call = context;
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
    call->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t take_reply(char *data, size_t size, size_t count, void *context) {
    struct call *call = context;
    if (call->reply.length + size * count > REPLY_MOST) return 0;
    strata_buffer_append(&call->reply, data, size * count);
    return call->reply.failed ? 0 : size * count;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    static const char name[] = "x-request-id:";
    struct call *call = context;
    size_t length = size * count, at = sizeof name - 1;
    if (length > at && strncasecmp(data, name, at) == 0) {
        while (at < length && data[at] == ' ') at++;
        size_t end = at;
        while (end < length && data[end] > ' ' && end - at < sizeof call->echoed_id - 1) end++;
        memcpy(call->echoed_id, data + at, end - at);
        call->echoed_id[end - at] = '\0';
    }
    return length;
}

static CURL *take_handle(struct http *http) {
    if (http->idle_count) return http->idle[--http->idle_count];
    CURL *handle = curl_easy_init();
    if (!handle) return NULL;
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L); /* the key goes nowhere else */
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)(http->options.timeout * 1000));
    curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_reply);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    if (http->ca_file) curl_easy_setopt(handle, CURLOPT_CAINFO, http->ca_file);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    return handle;
}

static int start(struct http *http, struct call *call, struct endpoint *endpoint, double now,
                 struct strata_error *err) {
    CURL *handle = take_handle(http);
    if (!handle) return strata_fail(err, STRATA_ERR_MEMORY, "no memory for another call");
    call->handle = handle;
    call->endpoint = endpoint;
    call->sent = 0;
    call->echoed_id[0] = '\0';
    call->started = now;
    strata_buffer_clear(&call->reply);
    /* A UUID, because some servers refuse other ids; its first STRATA_HTTP_ID_OURS characters are this engine's. */
    snprintf(call->request_id, sizeof call->request_id, "%08x-%04x-4000-8000-%012" PRIx64,
             (unsigned)(http->nonce & 0xffffffff), (unsigned)(http->nonce >> 32 & 0xffff),
             http->serial++ & 0xffffffffffff);
    snprintf(call->id_line, sizeof call->id_line, "X-Request-Id: %s", call->request_id);
    call->id_header = (struct curl_slist){call->id_line, http->headers};
    curl_easy_setopt(handle, CURLOPT_URL, endpoint->url);
    curl_easy_setopt(handle, CURLOPT_PROXY, endpoint->local ? "" : NULL);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, &call->id_header);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(call->group->body.length + call->suffix_length));
    curl_easy_setopt(handle, CURLOPT_READDATA, call);
    curl_easy_setopt(handle, CURLOPT_SEEKDATA, call);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, call);
    if (curl_multi_add_handle(http->multi, handle)) return strata_fail(err, STRATA_ERR_ENGINE, "libcurl took no call");
    http->flying[http->flying_count++] = call;
    http->flying_draws += call->count;
    endpoint->in_flight++;
    http->account.calls++;
    http->account.repeated += call->attempts + call->throttled > 0;
    if (http->flying_draws > http->stats.peak_batch) http->stats.peak_batch = http->flying_draws;
    return 0;
}

/* Takes a call out of the air. */
static void land(struct http *http, struct call *call) {
    for (size_t i = 0; i < http->flying_count; i++) {
        if (http->flying[i] != call) continue;
        http->flying[i] = http->flying[--http->flying_count];
        break;
    }
    curl_multi_remove_handle(http->multi, call->handle);
    http->idle[http->idle_count++] = call->handle;
    call->handle = NULL;
    call->endpoint->in_flight--;
    http->flying_draws -= call->count;
}

void strata_http_call_free(struct http *http, struct call *call) {
    struct group *group = call->group;
    if (call->handle) land(http, call);
    if (--group->calls == 0) {
        strata_buffer_free(&group->body);
        free(group->sample_id);
        free(group);
    }
    strata_buffer_free(&call->reply);
    free(call);
}

void strata_http_wait(struct http *http, struct call *call) {
    call->next = NULL;
    *http->waiting_end = call;
    http->waiting_end = &call->next;
    http->waiting_draws += call->count;
}

/* ---- outcomes ---- */

/* What a failed attempt means. */
enum failure {
    FAILED_SERVER,    /* try again, elsewhere if possible */
    FAILED_THROTTLED, /* the server is fine and asks for patience */
    FAILED_PLACE,     /* wrong key, path or certificate: this server will never answer */
    FAILED_REQUEST    /* no server will ever answer this */
};

static enum failure kind_of(CURLcode outcome, long status) {
    bool distrusted = outcome == CURLE_PEER_FAILED_VERIFICATION || outcome == CURLE_SSL_CACERT_BADFILE;
    if (outcome != CURLE_OK) return distrusted ? FAILED_PLACE : FAILED_SERVER;
    if (status == 429) return FAILED_THROTTLED;
    if (status == 401 || status == 403 || status == 404 || status == 405 || (status >= 300 && status < 400))
        return FAILED_PLACE;
    if (status == 408 || status == 409 || status == 425 || status >= 500) return FAILED_SERVER;
    return FAILED_REQUEST;
}

static double retry_after(CURL *handle) {
    curl_off_t seconds = 0;
    if (curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds) || seconds <= 0) return 0;
    return (double)seconds < RETRY_AFTER_MOST ? (double)seconds : RETRY_AFTER_MOST;
}

/* Repeats the call later, or gives it up. */
static int failed(struct http *http, struct call *call, enum failure kind, double wait, struct strata_error *err) {
    struct endpoint *endpoint = call->endpoint;
    double now = strata_seconds();
    bool over = kind == FAILED_REQUEST;
    http->last_failure = call->error;
    if (kind == FAILED_THROTTLED) {
        over = ++call->throttled >= 4 * http->options.attempts;
    } else {
        over = over || ++call->attempts >= http->options.attempts;
    }
    if (kind == FAILED_SERVER) endpoint_failed(http, endpoint, now);
    if (kind == FAILED_PLACE) {
        endpoint->misplaced = true;
        endpoint->failures += REST_FROM;
        endpoint->rests_until = now + REST_MOST;
    }
    if (wait > 0 && endpoint->rests_until < now + wait) endpoint->rests_until = now + wait;
    if (over || all_gone(http, now)) return strata_http_give_up(http, call, err);
    unsigned doublings = call->attempts + call->throttled - 1;
    double pause = http->options.pause * exp2(doublings < 10 ? doublings : 10);
    call->not_before = now + jittered(http, pause < PAUSE_MOST ? pause : PAUSE_MOST);
    if (kind == FAILED_PLACE) call->not_before = now;
    strata_http_wait(http, call);
    return 0;
}

static int reply_arrived(struct http *http, struct call *call, struct strata_error *err) {
    struct strata_result *results;
    int code = strata_alloc(&results, call->count, sizeof *results, err);
    if (code) return code;
    struct endpoint *endpoint = call->endpoint;
    if (strata_http_parse(results, http, call, &call->error)) {
        free(results);
        http->account.malformed++;
        strata_fail_at(&call->error, STRATA_ERR_ENGINE, "%s", endpoint->name);
        return failed(http, call, FAILED_SERVER, 0, err);
    }
    endpoint_answered(endpoint);
    code = strata_http_deliver(http, call, results, true, err);
    free(results);
    return code;
}

static int finished(struct http *http, struct call *call, CURLcode outcome, struct strata_error *err) {
    long status = 0;
    char message[300];
    curl_easy_getinfo(call->handle, CURLINFO_RESPONSE_CODE, &status);
    double wait = retry_after(call->handle);
    land(http, call);
    if (outcome == CURLE_OK && status >= 200 && status < 300) return reply_arrived(http, call, err);
    if (outcome != CURLE_OK) {
        strata_fail(&call->error, STRATA_ERR_ENGINE, "%s", curl_easy_strerror(outcome));
    } else {
        strata_http_message(message, sizeof message, http, &call->reply);
        strata_fail(&call->error, STRATA_ERR_ENGINE, "HTTP status %ld%s%s", status, *message ? ": " : "", message);
    }
    strata_fail_at(&call->error, STRATA_ERR_ENGINE, "%s", call->endpoint->name);
    return failed(http, call, kind_of(outcome, status), wait, err);
}

/* ---- stepping ---- */

static bool budget_left(const struct http *http) {
    return !http->options.budget || http->account.calls < http->options.budget;
}

/* Gives up what can no longer be asked; starts what may start. *next: when the earliest waiting call may start. */
static int start_calls(struct http *http, double *next, struct strata_error *err) {
    double now = strata_seconds();
    bool gone = all_gone(http, now);
    struct call *list = http->waiting;
    http->waiting = NULL;
    http->waiting_end = &http->waiting;
    http->waiting_draws = 0;
    int code = 0;
    while (list) {
        struct call *call = list;
        list = call->next;
        bool room = !code && http->flying_count < http->options.in_flight;
        struct endpoint *endpoint = room && budget_left(http) && call->not_before <= now
                                        ? choose(http, call->attempts ? call->endpoint : NULL, now)
                                        : NULL;
        if (!code && !budget_left(http)) {
            strata_fail(&call->error, STRATA_ERR_ENGINE, "the budget of %" PRIu64 " calls is spent",
                        http->options.budget);
            code = strata_http_give_up(http, call, err);
        } else if (endpoint) {
            code = start(http, call, endpoint, now, err);
        } else if (!code && gone && http->flying_count == 0 && room) {
            if (!call->error.code) call->error = http->last_failure;
            code = strata_http_give_up(http, call, err);
        } else {
            if (call->not_before > now && call->not_before < *next) *next = call->not_before;
            strata_http_wait(http, call);
        }
    }
    for (size_t i = 0; i < http->endpoint_count && http->waiting; i++) {
        double wakes = http->endpoints[i].rests_until;
        if (wakes > now && wakes < *next) *next = wakes;
    }
    return code;
}

int strata_http_step(struct http *http, double wait, struct strata_error *err) {
    double now = strata_seconds(), next = now + wait;
    int running = 0, left, code = start_calls(http, &next, err);
    size_t before = http->result_count - http->result_next;
    if (code) return code;
    if (curl_multi_perform(http->multi, &running)) return strata_fail(err, STRATA_ERR_ENGINE, "libcurl cannot go on");
    bool landed = false;
    for (CURLMsg *message; !code && (message = curl_multi_info_read(http->multi, &left));) {
        struct call *call = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode outcome = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        code = finished(http, call, outcome, err);
        landed = true;
    }
    if (code || landed || wait <= 0 || http->result_count - http->result_next != before) return code;
    double sleep = next - strata_seconds();
    if (sleep > 0 && curl_multi_poll(http->multi, NULL, 0, (int)(sleep * 1000) + 1, NULL))
        return strata_fail(err, STRATA_ERR_ENGINE, "libcurl cannot wait");
    return 0;
}
