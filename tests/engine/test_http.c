/* The HTTP engine against a server of our own that answers, lies, stalls and dies (http_server.h).
 * STRATA_HTTP_REQUESTS=100000 makes the throughput test a long one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "base/memory.h"
#include "engine/http.h"
#include "http_server.h"

enum { REQUESTS_MOST = 4096 };

struct tally {
    size_t right, wrong, errors, cut, twice;
    struct strata_error last; /* of the last error */
};

static void count(struct tally *tally, unsigned char *seen, const struct strata_result *result, uint32_t draws) {
    char want[40];
    snprintf(want, sizeof want, "reply %llu", (unsigned long long)result->tag);
    unsigned char *mark = seen + result->tag * draws + result->draw;
    tally->twice += *mark;
    *mark = 1;
    tally->cut += result->finish == STRATA_FINISH_LENGTH;
    if (result->finish == STRATA_FINISH_ERROR) {
        tally->errors++;
        tally->last = result->error;
        assert_null(result->text);
    } else if (strcmp(result->text, want) == 0) {
        tally->right++;
    } else {
        tally->wrong++;
    }
}

/* Asks `total` questions of `draws` draws each and takes every result. */
static struct tally ask_all(struct strata_engine *engine, size_t total, uint32_t draws, bool image) {
    static uint8_t pixels[32 * 32 * 3];
    const struct strata_image picture = {.width = 32, .height = 32, .rgb = pixels};
    struct tally tally = {0};
    struct strata_result result;
    unsigned char *seen;
    bool got = true;
    assert_int_equal(strata_alloc(&seen, total * draws, 1, NULL), 0);
    for (size_t next = 0; got || next < total;) {
        if (next < total && strata_engine_has_room(engine, draws)) {
            char text[64], id[32];
            snprintf(text, sizeof text, "%sask %zu.", image ? "<image>" : "", next);
            snprintf(id, sizeof id, "s-%zu", next);
            const struct strata_message message = {STRATA_ROLE_USER, text};
            const struct strata_request request = {.tag = next++,
                                                   .sample_id = id,
                                                   .messages = &message,
                                                   .message_count = 1,
                                                   .images = &picture,
                                                   .image_count = image,
                                                   .sampling = {.temperature = 0.7f, .top_p = 1, .max_new_tokens = 64},
                                                   .purpose = STRATA_PURPOSE_TOKEN,
                                                   .draws = draws};
            assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
            continue;
        }
        assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
        if (got) count(&tally, seen, &result, draws);
        strata_result_free(&result);
    }
    for (size_t i = 0; i < total * draws; i++) assert_int_equal(seen[i], 1);
    free(seen);
    return tally;
}

static struct strata_engine *connect_with(const struct strata_http_options *options, const char *const *urls,
                                          size_t count) {
    struct strata_engine *engine;
    struct strata_error err = {0};
    struct strata_http_options all = *options;
    all.urls = urls;
    all.url_count = count;
    all.model = "test";
    if (strata_engine_http(&engine, &all, &err)) fail_msg("%s", err.what);
    return engine;
}

static struct strata_http_account account_of(const struct strata_engine *engine) {
    struct strata_http_account account = {0};
    assert_true(strata_http_account(&account, engine));
    return account;
}

static const struct strata_http_options quick = {.pause = 0.01, .attempts = 30, .in_flight = 64};

/* ---- a good server ---- */

static void test_every_question_is_answered_once(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.die_after = 0}));
    const char *const urls[] = {server.url};
    struct strata_engine *engine = connect_with(&quick, urls, 1);
    struct tally tally = ask_all(engine, 500, 1, true);
    assert_int_equal(tally.right, 500);
    struct strata_http_account account = account_of(engine);
    assert_int_equal(account.calls, 500);
    assert_int_equal(account.repeated, 0);
    assert_int_equal(account.prompt_tokens, 5000);
    assert_int_equal(account.completion_tokens, 1500);
    assert_int_equal(server.counts->images, 500);
    strata_engine_destroy(engine);
    server_stop(&server);
}

static void many_draws(bool ignore_n, size_t calls) {
    struct server server;
    assert_true(server_start(&server, &(struct server_plan){.ignore_n = ignore_n}));
    const char *const urls[] = {server.url};
    struct strata_http_options options = quick;
    options.in_flight = 1;
    struct strata_engine *engine = connect_with(&options, urls, 1);
    struct tally tally = ask_all(engine, 20, 5, false);
    assert_int_equal(tally.right, 100);
    assert_int_equal(tally.twice, 0);
    assert_in_range(account_of(engine).calls, calls, calls + 8);
    strata_engine_destroy(engine);
    server_stop(&server);
}

static void test_many_draws_in_one_call(void **state) {
    (void)state;
    many_draws(false, 20);
}

/* The draws that a server leaves out are asked for singly, and from then on all are. */
static void test_a_server_that_ignores_n(void **state) {
    (void)state;
    many_draws(true, 100);
}

static void test_weights_share_the_work(void **state) {
    struct server servers[2];
    char heavy[80];
    (void)state;
    for (int i = 0; i < 2; i++) assert_true(server_start(&servers[i], &(struct server_plan){.die_after = 0}));
    snprintf(heavy, sizeof heavy, "%s/v1#3", servers[1].url);
    const char *const urls[] = {servers[0].url, heavy};
    struct strata_engine *engine = connect_with(&quick, urls, 2);
    assert_int_equal(ask_all(engine, 400, 1, false).right, 400);
    assert_int_equal(servers[0].counts->requests, 100);
    assert_int_equal(servers[1].counts->requests, 300);
    strata_engine_destroy(engine);
    for (int i = 0; i < 2; i++) server_stop(&servers[i]);
}

/* ---- bad servers ---- */

static void test_every_misbehaviour(void **state) {
    struct server server;
    struct server_plan plan = {.die_after = 0};
    (void)state;
    for (int kind = 1; kind < MISBEHAVIOURS; kind++) plan.percent[kind] = kind == THROTTLE ? 1 : 5;
    assert_true(server_start(&server, &plan));
    const char *const urls[] = {server.url};
    struct strata_engine *engine = connect_with(&quick, urls, 1);
    struct tally tally = ask_all(engine, 300, 1, true);
    struct strata_http_account account = account_of(engine);
    for (int kind = 1; kind < MISBEHAVIOURS; kind++) assert_true(server.counts->by[kind] > 0);
    assert_int_equal(tally.wrong, 0);
    assert_int_equal(tally.errors, 0);
    assert_int_equal(tally.right, 300);
    assert_int_equal(account.calls, 300 + account.repeated);
    /* Of a connection that is dropped before the first byte libcurl itself asks again, once. */
    assert_in_range(server.counts->requests - account.calls, 0, server.counts->by[DROP]);
    assert_int_equal(account.malformed, server.counts->by[GARBAGE] + server.counts->by[WRONG_CHOICE] +
                                            server.counts->by[WRONG_ID] + server.counts->by[NO_CONTENT]);
    strata_engine_destroy(engine);
    server_stop(&server);
}

static void test_one_of_two_dies(void **state) {
    struct server servers[2];
    (void)state;
    assert_true(server_start(&servers[0], &(struct server_plan){.die_after = 100}));
    assert_true(server_start(&servers[1], &(struct server_plan){.die_after = 0}));
    const char *const urls[] = {servers[0].url, servers[1].url};
    struct strata_engine *engine = connect_with(&quick, urls, 2);
    struct tally tally = ask_all(engine, 1000, 1, false);
    assert_int_equal(tally.right, 1000);
    assert_int_equal(tally.errors, 0);
    strata_engine_destroy(engine);
    for (int i = 0; i < 2; i++) server_stop(&servers[i]);
}

/* What the dead server did not answer ends as an error, soon, and nothing is lost. */
static void test_the_only_server_dies(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.die_after = 300}));
    const char *const urls[] = {server.url};
    struct strata_http_options options = quick;
    options.patience = 0.3;
    struct strata_engine *engine = connect_with(&options, urls, 1);
    double begin = strata_seconds();
    struct tally tally = ask_all(engine, 1000, 1, false);
    assert_true(strata_seconds() - begin < 20);
    assert_int_equal(tally.right + tally.errors, 1000);
    assert_int_equal(tally.wrong, 0);
    assert_in_range(tally.right, 230, 299);
    assert_int_equal(account_of(engine).failed, tally.errors);
    strata_engine_destroy(engine);
    server_stop(&server);
}

static void test_a_server_that_never_answers(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.hang = true}));
    const char *const urls[] = {server.url};
    struct strata_http_options options = quick;
    options.timeout = 0.2;
    options.attempts = 2;
    options.patience = 0.5;
    struct strata_engine *engine = connect_with(&options, urls, 1);
    struct tally tally = ask_all(engine, 8, 1, false);
    assert_int_equal(tally.errors, 8);
    assert_non_null(strstr(tally.last.what, "imeout"));
    strata_engine_destroy(engine);
    server_stop(&server);
}

static void test_a_refused_request_is_not_repeated(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.status = 400}));
    const char *const urls[] = {server.url};
    struct strata_engine *engine = connect_with(&quick, urls, 1);
    struct tally tally = ask_all(engine, 50, 1, false);
    assert_int_equal(tally.errors, 50);
    assert_int_equal(server.counts->requests, 50);
    assert_non_null(strstr(tally.last.what, "so it is"));
    strata_engine_destroy(engine);
    server_stop(&server);
}

static void test_budget(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.die_after = 0}));
    const char *const urls[] = {server.url};
    struct strata_http_options options = quick;
    options.budget = 30;
    struct strata_engine *engine = connect_with(&options, urls, 1);
    struct tally tally = ask_all(engine, 100, 1, false);
    assert_int_equal(tally.right, 30);
    assert_int_equal(tally.errors, 70);
    assert_int_equal(server.counts->requests, 30);
    assert_non_null(strstr(tally.last.what, "budget"));
    strata_engine_destroy(engine);
    server_stop(&server);
}

/* ---- keys ---- */

static void test_the_key_is_sent_and_never_shown(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.key = "sk-right-0123456789"}));
    const char *const urls[] = {server.url};
    struct strata_http_options options = quick;
    options.key_env = "STRATA_TEST_KEY";
    setenv("STRATA_TEST_KEY", "sk-right-0123456789", 1);
    struct strata_engine *engine = connect_with(&options, urls, 1);
    assert_int_equal(ask_all(engine, 10, 1, false).right, 10);
    strata_engine_destroy(engine);
    setenv("STRATA_TEST_KEY", "sk-wrong-9876543210", 1);
    engine = connect_with(&options, urls, 1);
    struct tally tally = ask_all(engine, 10, 1, false);
    assert_int_equal(tally.errors, 10);
    assert_non_null(strstr(tally.last.what, "401"));
    assert_null(strstr(tally.last.what, "sk-wrong"));
    assert_null(strstr(strata_engine_identity(engine), "sk-"));
    strata_engine_destroy(engine);
    unsetenv("STRATA_TEST_KEY");
    server_stop(&server);
}

/* ---- the cache ---- */

struct memory_cache {
    struct strata_hash keys[REQUESTS_MOST];
    char *texts[REQUESTS_MOST];
    size_t count;
};

static int memory_get(void *context, struct strata_buffer *out, bool *found, struct strata_hash key,
                      struct strata_error *err) {
    struct memory_cache *cache = context;
    *found = false;
    for (size_t i = 0; i < cache->count && !*found; i++) {
        *found = memcmp(&cache->keys[i], &key, sizeof key) == 0;
        if (*found) strata_buffer_text(out, cache->texts[i]);
    }
    return strata_buffer_check(out, err);
}

static int memory_put(void *context, struct strata_hash key, const char *text, size_t length,
                      struct strata_error *err) {
    struct memory_cache *cache = context;
    (void)length;
    (void)err;
    assert_true(cache->count < REQUESTS_MOST);
    cache->keys[cache->count] = key;
    cache->texts[cache->count++] = strata_strdup(text);
    return 0;
}

static void test_a_second_run_costs_nothing(void **state) {
    static struct memory_cache kept;
    const struct strata_http_cache cache = {&kept, memory_get, memory_put};
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.percent = {[BREAK] = 20}}));
    const char *const urls[] = {server.url};
    struct strata_http_options options = quick;
    options.cache = cache;
    for (int run = 0; run < 2; run++) {
        struct strata_engine *engine = connect_with(&options, urls, 1);
        assert_int_equal(ask_all(engine, 50, 2, true).right, 100);
        assert_int_equal(account_of(engine).cached, run ? 100 : 0);
        assert_int_equal(account_of(engine).calls > 0, run == 0);
        strata_engine_destroy(engine);
    }
    options.identity = "another model"; /* nothing of the first may serve it */
    struct strata_engine *engine = connect_with(&options, urls, 1);
    assert_int_equal(ask_all(engine, 50, 2, true).right, 100);
    assert_int_equal(account_of(engine).cached, 0);
    strata_engine_destroy(engine);
    for (size_t i = 0; i < kept.count; i++) free(kept.texts[i]);
    server_stop(&server);
}

/* ---- what a server cannot give ---- */

static void test_refusals(void **state) {
    const char *const urls[] = {"http://127.0.0.1:1"}, *const bad[] = {"ftp://x", "http://x#0", "http://x#y",
                                                                       "host:80"};
    struct strata_engine *engine = connect_with(&quick, urls, 1);
    struct strata_error err = {0};
    char text[] = "hi <|image_pad|>", marks[] = "<image>";
    struct strata_message message = {STRATA_ROLE_USER, text};
    struct strata_request request = {.sample_id = "s", .messages = &message, .message_count = 1, .draws = 1};
    (void)state;
    assert_int_equal(strata_engine_capabilities(engine), STRATA_CAN_TEXT | STRATA_CAN_IMAGES);
    assert_int_equal(strata_engine_submit(engine, &request, &err), STRATA_ERR_INPUT);
    message.text = marks; /* a mark without an image */
    assert_int_equal(strata_engine_submit(engine, &request, &err), STRATA_ERR_INPUT);
    request.want_attention = true;
    assert_int_equal(strata_engine_submit(engine, &request, &err), STRATA_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.hint, "--cmab-from"));
    strata_engine_destroy(engine);
    for (size_t i = 0; i < 4; i++) {
        struct strata_http_options options = {.urls = &bad[i], .url_count = 1, .model = "m"};
        assert_int_equal(strata_engine_http(&engine, &options, &err), STRATA_ERR_USAGE);
    }
}

static void test_cancelled_requests_leave_nothing(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.hang = true}));
    const char *const urls[] = {server.url};
    struct strata_engine *engine = connect_with(&quick, urls, 1);
    char text[] = "ask 1.";
    const struct strata_message message = {STRATA_ROLE_USER, text};
    struct strata_request request = {.sample_id = "s", .messages = &message, .message_count = 1, .draws = 1};
    for (request.tag = 0; request.tag < 100; request.tag++)
        assert_int_equal(strata_engine_submit(engine, &request, NULL), 0);
    for (uint64_t tag = 0; tag < 100; tag++) strata_engine_cancel(engine, tag);
    struct strata_result result;
    bool got = true;
    assert_int_equal(strata_engine_poll(engine, &result, &got, NULL), 0);
    assert_false(got);
    strata_engine_destroy(engine);
    server_stop(&server);
}

/* ---- speed ---- */

static size_t resident_bytes(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * 4096;
}

/* Processor time of this process, which holds the engine and not the server. */
static double processor_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void test_throughput(void **state) {
    struct server server;
    const char *wanted = getenv("STRATA_HTTP_REQUESTS");
    size_t total = wanted ? strtoul(wanted, NULL, 10) : 4000;
    (void)state;
    assert_true(server_start(&server, &(struct server_plan){.die_after = 0}));
    const char *const urls[] = {server.url};
    struct strata_engine *engine = connect_with(&(struct strata_http_options){.in_flight = 256}, urls, 1);
    assert_int_equal(ask_all(engine, 3000, 1, true).right, 3000);
    size_t before = resident_bytes();
    double begin = strata_seconds(), spent = processor_seconds();
    assert_int_equal(ask_all(engine, total, 1, true).right, total);
    double seconds = strata_seconds() - begin;
    spent = processor_seconds() - spent;
    size_t after = resident_bytes();
    print_message(
        "%zu requests with an image: %.0f a second, %.0f us of processor time each; memory %+.1f MB (%.1f MB in "
        "all)\n",
        total, (double)total / seconds, 1e6 * spent / (double)total, ((double)after - (double)before) / 1e6,
        (double)after / 1e6);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which keep freed memory */
    assert_true(spent < (double)total / 2000); /* 2,000 a second; the clock on the wall is the machine's affair */
    assert_true(after < before + (32 << 20));  /* the buffers of 256 connections, whatever the number of requests */
#endif
    strata_engine_destroy(engine);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_question_is_answered_once),
        cmocka_unit_test(test_many_draws_in_one_call),
        cmocka_unit_test(test_a_server_that_ignores_n),
        cmocka_unit_test(test_weights_share_the_work),
        cmocka_unit_test(test_every_misbehaviour),
        cmocka_unit_test(test_one_of_two_dies),
        cmocka_unit_test(test_the_only_server_dies),
        cmocka_unit_test(test_a_server_that_never_answers),
        cmocka_unit_test(test_a_refused_request_is_not_repeated),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_the_key_is_sent_and_never_shown),
        cmocka_unit_test(test_a_second_run_costs_nothing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancelled_requests_leave_nothing),
        cmocka_unit_test(test_throughput),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
