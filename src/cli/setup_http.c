#include "cli/setup_http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/terminal.h"
#include "engine/http.h"

#define ID(name) STRATA_OPTION_ID_##name

static int cache_get(void *context, struct strata_buffer *out, bool *found, struct strata_hash key,
                     struct strata_error *err) {
    return strata_cache_get(context, out, found, key, err);
}

static int cache_put(void *context, struct strata_hash key, const char *text, size_t length, struct strata_error *err) {
    return strata_cache_put(context, key, text, length, err);
}

static int open_engine(struct strata_engine **out, struct strata_http_options *options, struct strata_cache *cache,
                       const struct strata_arguments *arguments, struct strata_error *err) {
    options->in_flight = strata_size(arguments, ID(IN_FLIGHT));
    options->timeout = strata_real(arguments, ID(TIMEOUT));
    options->ca_file = strata_text(arguments, ID(CA_FILE));
    options->one_by_one = strata_flag(arguments, ID(ONE_BY_ONE));
    options->budget = (uint64_t)strata_integer(arguments, ID(CALL_BUDGET));
    if (cache) options->cache = (struct strata_http_cache){cache, cache_get, cache_put};
    return strata_engine_http(out, options, err);
}

int strata_setup_http(struct strata_engine **out, struct strata_cache *cache, const struct strata_arguments *arguments,
                      struct strata_error *err) {
    const struct strata_value *urls = &arguments->values[ID(URL)];
    if (!urls->count || !strata_given(arguments, ID(MODEL))) {
        strata_fail(err, STRATA_ERR_USAGE, "--engine http needs %s", urls->count ? "--model" : "--url");
        return strata_fail_hint(err, STRATA_ERR_USAGE, "--url http://HOST:8000 --model NAME, as the server calls it");
    }
    struct strata_http_options options = {.urls = urls->items,
                                          .url_count = urls->count,
                                          .model = strata_text(arguments, ID(MODEL)),
                                          .key_env = strata_text(arguments, ID(API_KEY_ENV)),
                                          .key_file = strata_text(arguments, ID(API_KEY_FILE)),
                                          .identity = strata_text(arguments, ID(SERVER_IDENTITY)),
                                          .max_pixels = strata_size(arguments, ID(MAX_PIXELS))};
    return open_engine(out, &options, cache, arguments, err);
}

int strata_setup_judge(struct strata_engine **out, struct strata_cache *cache, const struct strata_arguments *arguments,
                       struct strata_error *err) {
    const struct strata_value *urls = &arguments->values[ID(JUDGE)];
    *out = NULL;
    if (!urls->count) return 0;
    struct strata_http_options options = {.urls = urls->items,
                                          .url_count = urls->count,
                                          .model = strata_text(arguments, ID(JUDGE_MODEL)),
                                          .key_env = strata_text(arguments, ID(JUDGE_KEY_ENV)),
                                          .key_file = strata_text(arguments, ID(JUDGE_KEY_FILE))};
    return open_engine(out, &options, cache, arguments, err);
}

/* CACHE/strata/answers.sqlite of the user, or NULL. */
static char *standard_path(struct strata_error *err) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    struct strata_buffer path = {0};
    if (base && *base == '/') {
        strata_buffer_printf(&path, "%s/strata", base);
    } else if (home && *home) {
        strata_buffer_printf(&path, "%s/.cache/strata", home);
    } else {
        strata_fail(err, STRATA_ERR_USAGE, "there is no home directory for the cache of answers");
        strata_fail_hint(err, STRATA_ERR_USAGE, "--cache FILE or --no-cache");
        return NULL;
    }
    if (path.failed || strata_make_directories(path.data, err)) {
        strata_buffer_free(&path);
        return NULL;
    }
    strata_buffer_text(&path, "/answers.sqlite");
    return path.data;
}

int strata_setup_cache(struct strata_cache **out, const struct strata_arguments *arguments, struct strata_error *err) {
    const char *given = strata_text(arguments, ID(CACHE)), *engine = strata_text(arguments, ID(ENGINE));
    bool server = (engine && strcmp(engine, "http") == 0) || arguments->values[ID(JUDGE)].count;
    *out = NULL;
    if (!server || strata_flag(arguments, ID(NO_CACHE))) return 0;
    if (given) return strata_cache_open(out, given, err);
    char *path = standard_path(err);
    if (!path) return err ? err->code : STRATA_ERR_USAGE;
    int code = strata_cache_open(out, path, err);
    free(path);
    return code;
}

json_t *strata_account_json(const struct strata_engine *engine) {
    struct strata_http_account account;
    if (!engine || !strata_http_account(&account, engine)) return NULL;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "calls", (json_int_t)account.calls, "repeated",
                     (json_int_t)account.repeated, "failed", (json_int_t)account.failed, "cached",
                     (json_int_t)account.cached, "malformed", (json_int_t)account.malformed, "prompt_tokens",
                     (json_int_t)account.prompt_tokens, "completion_tokens", (json_int_t)account.completion_tokens);
}

void strata_print_account(const char *name, const struct strata_engine *engine) {
    struct strata_http_account account;
    if (!engine || !strata_http_account(&account, engine)) return;
    fprintf(stderr,
            "%s: %" PRIu64 " calls (%" PRIu64 " repeated), %" PRIu64 " answers from the cache, %" PRIu64
            " failed; %" PRIu64 " prompt tokens, %" PRIu64 " generated\n",
            name, account.calls, account.repeated, account.cached, account.failed, account.prompt_tokens,
            account.completion_tokens);
}
