/* The score run over servers that stall, lie, drop calls and die (engine/http_server.h): its outcome is that of a run
 * over a good server, or says which samples are pending until another run completes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "difficulty/run_fixture.h"
#include "engine/http.h"
#include "engine/http_server.h"

enum { RECORDS = 60 };
static struct fixture fixture;
static char *expected; /* difficulty.jsonl over a good server */
static uint64_t expected_draws;

static const struct server_plan good = {.fallible = true};

static void score_options(struct strata_score_options *options, const char *name) {
    fixture_options(options, &fixture, fixture_path(&fixture, name));
    options->metrics = STRATA_METRIC_PISM;
    options->verifier = "word";
    options->speculation = 0;
}

/* One process's worth of work. */
static int score(struct strata_score_summary *summary, struct strata_http_account *account, const char *name,
                 const struct server *servers, size_t count, size_t attempts, struct strata_error *err) {
    const char *urls[4];
    struct strata_score_options options;
    struct strata_engine *engine;
    for (size_t i = 0; i < count; i++) urls[i] = servers[i].url;
    const struct strata_http_options http = {.urls = urls,
                                             .url_count = count,
                                             .model = "test",
                                             .in_flight = 32,
                                             .attempts = attempts,
                                             .pause = 0.005,
                                             .patience = 0.3,
                                             .one_by_one = true};
    score_options(&options, name);
    assert_int_equal(strata_engine_http(&engine, &http, err), 0);
    int code = strata_score(summary, engine, &options, err);
    assert_true(strata_http_account(account, engine));
    strata_engine_destroy(engine);
    return code;
}

static int setup(void **state) {
    struct server server;
    struct strata_score_summary summary;
    struct strata_http_account account;
    (void)state;
    fixture_make(&fixture, 0); /* the picture; the records follow */
    FILE *file = fopen(fixture.data, "w");
    assert_non_null(file);
    for (int i = 0; i < RECORDS; i++)
        fprintf(file,
                "{\"id\": \"q%d\", \"messages\": [{\"role\": \"user\", \"content\": \"<image>ask %d.\"}], "
                "\"images\": [\"image.png\"], \"solution\": \"reply %d\"}\n",
                i, i, i);
    assert_int_equal(fclose(file), 0);
    assert_true(server_start(&server, &good));
    assert_int_equal(score(&summary, &account, "good", &server, 1, 8, NULL), 0);
    assert_int_equal(account.calls, summary.draws);
    assert_int_equal(account.repeated, 0);
    assert_int_equal(server.counts->images, account.calls);
    const struct strata_score_row *all = &summary.rows[summary.row_count - 1];
    for (int s = 0; s < 4; s++) assert_true(all->pism[s] > 0); /* the questions tell strata apart */
    expected_draws = summary.draws;
    expected = fixture_read(&fixture, "good/difficulty.jsonl");
    strata_score_summary_free(&summary);
    server_stop(&server);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(expected);
    fixture_remove(&fixture);
    return 0;
}

static struct server_plan all_at(unsigned percent) {
    struct server_plan plan = good;
    for (int kind = 1; kind < MISBEHAVIOURS; kind++) plan.percent[kind] = percent;
    plan.no_retry_after = true;
    return plan;
}

static void assert_expected(const char *output) {
    char *text = fixture_read(&fixture, output);
    assert_string_equal(text, expected);
    free(text);
}

/* Half of all calls go wrong, in every way there is; nothing of it shows. */
static void test_bad_servers_change_nothing(void **state) {
    struct server server;
    struct strata_score_summary summary;
    struct strata_http_account account;
    const struct server_plan plan = all_at(5);
    (void)state;
    assert_true(server_start(&server, &plan));
    assert_int_equal(score(&summary, &account, "bad", &server, 1, 60, NULL), 0);
    for (int kind = 1; kind < MISBEHAVIOURS; kind++) assert_true(server.counts->by[kind] > 0);
    assert_expected("bad/difficulty.jsonl");
    assert_int_equal(summary.samples, RECORDS);
    assert_int_equal(summary.pending + summary.failed_requests, 0);
    assert_int_equal(summary.draws, expected_draws);
    assert_int_equal(summary.draws_now, expected_draws);
    assert_int_equal(account.calls - account.repeated, expected_draws);
    assert_true(account.repeated > expected_draws / 4);
    strata_score_summary_free(&summary);
    server_stop(&server);
}

/* Without repetitions each fault leaves its sample pending; the others stand as they will stand in the end. */
static void test_pending_until_another_run(void **state) {
    struct server server;
    const struct server_plan plan = all_at(1);
    uint64_t calls = 0, failed = 0;
    int runs = 0;
    (void)state;
    assert_true(server_start(&server, &plan));
    for (int code = STRATA_ERR_ENGINE; code; runs++) {
        struct strata_score_summary summary;
        struct strata_http_account account;
        struct strata_error err = {0};
        size_t pending = 0;
        assert_in_range(runs, 0, 30);
        code = score(&summary, &account, "pending", &server, 1, 1, &err);
        calls += account.calls - account.repeated; /* a server that asks for patience is asked again */
        failed += account.failed;
        char *text = fixture_read(&fixture, "pending/difficulty.jsonl");
        const char *line = text, *full = expected;
        for (int i = 0; i < RECORDS; i++) {
            size_t length = strcspn(line, "\n"), full_length = strcspn(full, "\n");
            bool open = memmem(line, length, "\"pending\"", 9) != NULL;
            pending += open;
            if (!open) assert_true(length == full_length && memcmp(line, full, length) == 0);
            line += length + 1;
            full += full_length + 1;
        }
        assert_int_equal(*line, '\0');
        free(text);
        assert_int_equal(summary.pending, pending);
        assert_int_equal(summary.failed_requests, account.failed);
        assert_int_equal(code, pending ? STRATA_ERR_ENGINE : 0);
        if (pending) assert_non_null(strstr(err.what, "pending"));
        if (runs == 0) assert_in_range(pending, 5, RECORDS - 5);
        strata_score_summary_free(&summary);
    }
    assert_expected("pending/difficulty.jsonl");
    assert_int_equal(calls, expected_draws + failed); /* what was answered is never asked again */
    server_stop(&server);
}

/* The only server dies half-way: the run stops soon and says so; another server, elsewhere, serves the rest. */
static void test_dying_half_way(void **state) {
    struct server servers[2];
    struct server_plan mortal = good;
    struct strata_score_summary summary;
    struct strata_http_account account;
    struct strata_error err = {0};
    (void)state;
    mortal.die_after = (unsigned)expected_draws / 2;
    assert_true(server_start(&servers[0], &mortal) && server_start(&servers[1], &good));
    assert_int_equal(score(&summary, &account, "dying", servers, 1, 8, &err), STRATA_ERR_ENGINE);
    assert_non_null(strstr(err.what, "failed in a row"));
    assert_false(strata_file_exists(fixture_path(&fixture, "dying/difficulty.jsonl")));
    uint64_t first = summary.draws_now;
    assert_in_range(first, expected_draws / 2 - 40, expected_draws / 2);
    strata_score_summary_free(&summary);
    assert_int_equal(score(&summary, &account, "dying", &servers[1], 1, 8, &err), 0);
    assert_int_equal(summary.draws_now, expected_draws - first);
    assert_int_equal(account.calls, expected_draws - first);
    assert_expected("dying/difficulty.jsonl");
    strata_score_summary_free(&summary);
    for (int i = 0; i < 2; i++) server_stop(&servers[i]);
}

/* One of three dies, one is bad: the third makes up for them. */
static void test_one_of_three_is_enough(void **state) {
    struct server servers[3];
    struct server_plan mortal = good;
    const struct server_plan bad = all_at(9);
    struct strata_score_summary summary;
    struct strata_http_account account;
    (void)state;
    mortal.die_after = 100;
    assert_true(server_start(&servers[0], &mortal) && server_start(&servers[1], &bad) &&
                server_start(&servers[2], &good));
    assert_int_equal(score(&summary, &account, "three", servers, 3, 60, NULL), 0);
    assert_expected("three/difficulty.jsonl");
    assert_int_equal(summary.draws, expected_draws);
    strata_score_summary_free(&summary);
    for (int i = 0; i < 3; i++) server_stop(&servers[i]);
}

/* Draws beyond the sequential rule stay within their share, are counted, and change no line. */
static void test_speculation_is_bounded(void **state) {
    struct server server;
    (void)state;
    assert_true(server_start(&server, &good));
    for (int i = 0; i < 2; i++) {
        const char *const urls[] = {server.url}, *const names[] = {"some", "more"};
        const double shares[] = {0.05, 5};
        struct strata_score_options options;
        struct strata_score_summary summary;
        struct strata_engine *engine;
        const struct strata_http_options http = {
            .urls = urls, .url_count = 1, .model = "test", .in_flight = 512, .one_by_one = true};
        char output[32];
        score_options(&options, names[i]);
        options.speculation = shares[i];
        assert_int_equal(strata_engine_http(&engine, &http, NULL), 0);
        assert_int_equal(strata_score(&summary, engine, &options, NULL), 0);
        snprintf(output, sizeof output, "%s/difficulty.jsonl", names[i]);
        assert_expected(output);
        assert_int_equal(summary.draws, expected_draws);
        assert_int_equal(summary.draws_now, expected_draws + summary.speculative);
        assert_true(summary.speculative > 0);
        assert_true((double)summary.speculative <= shares[i] * (double)summary.draws_now + 1);
        strata_score_summary_free(&summary);
        strata_engine_destroy(engine);
    }
    server_stop(&server);
}

/* With n > 1 the draws without a mask travel together: fewer calls, every draw answered once. */
static void test_draws_travel_together(void **state) {
    struct server server;
    struct strata_score_options options;
    struct strata_score_summary summary;
    struct strata_engine *engine;
    struct strata_http_account account;
    (void)state;
    assert_true(server_start(&server, &good));
    const char *const urls[] = {server.url};
    const struct strata_http_options http = {.urls = urls, .url_count = 1, .model = "test"};
    score_options(&options, "together");
    assert_int_equal(strata_engine_http(&engine, &http, NULL), 0);
    assert_int_equal(strata_score(&summary, engine, &options, NULL), 0);
    assert_true(strata_http_account(&account, engine));
    /* Ratio 0: ten draws, one call; a few are parted where the last of the room is filled. */
    assert_in_range(account.calls, summary.draws_now - 9 * RECORDS, summary.draws_now - 8 * RECORDS);
    strata_score_summary_free(&summary);
    strata_engine_destroy(engine);
    server_stop(&server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_servers_change_nothing),
        cmocka_unit_test(test_pending_until_another_run),
        cmocka_unit_test(test_dying_half_way),
        cmocka_unit_test(test_one_of_three_is_enough),
        cmocka_unit_test(test_speculation_is_bounded),
        cmocka_unit_test(test_draws_travel_together),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
