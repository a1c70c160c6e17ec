/* The score run over the scripted engine: one outcome whatever the batch, order, speculation, kills, failures, shards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "difficulty/run_fixture.h"

enum { RECORDS = 600 };
static struct fixture fixture;
static char *expected; /* difficulty.jsonl of the plainest run: one draw at a time, nothing speculative */

static int setup(void **state) {
    (void)state;
    struct strata_score_options options;
    fixture_make(&fixture, RECORDS);
    fixture_options(&options, &fixture, fixture_path(&fixture, "plain"));
    options.speculation = 0;
    options.window = 1;
    assert_int_equal(fixture_score(NULL, &options, 1, NULL), 0);
    expected = fixture_read(&fixture, "plain/difficulty.jsonl");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(expected);
    fixture_remove(&fixture);
    return 0;
}

static void assert_same(const char *name) {
    char *text = fixture_read(&fixture, name);
    if (strcmp(text, expected) != 0) {
        size_t at = 0;
        while (text[at] && text[at] == expected[at]) at++;
        fail_msg("%s differs at byte %zu: \"%.80s\" instead of \"%.80s\"", name, at, text + at, expected + at);
    }
    free(text);
}

static void test_lines(void **state) {
    (void)state;
    size_t line = 0, counts[STRATA_STRATA] = {0}, cmab[STRATA_STRATA] = {0};
    for (const char *at = expected; *at; line++) {
        const char *end = strchr(at, '\n');
        json_t *record;
        assert_int_equal(strata_json_parse(&record, at, (size_t)(end - at), "line", line + 1, NULL), 0);
        assert_int_equal(json_integer_value(json_object_get(record, "index")), line); /* data order */
        const json_t *pism = json_object_get(record, "pism"), *other = json_object_get(record, "cmab");
        const char *stratum = json_string_value(json_object_get(pism, "stratum"));
        const char *second = json_string_value(json_object_get(other, "stratum"));
        for (int s = 0; s < STRATA_STRATA; s++) {
            counts[s] += strcmp(stratum, strata_stratum_name((enum strata_stratum)s)) == 0;
            cmab[s] += strcmp(second, strata_stratum_name((enum strata_stratum)s)) == 0;
        }
        if (line % 50 == 49) {
            assert_string_equal(stratum, "not_applicable");
            assert_string_equal(second, "not_applicable");
        } else {
            assert_int_equal(json_array_size(json_object_get(pism, "curve")), 10);
            int64_t draws = json_integer_value(json_object_get(pism, "draws"));
            assert_int_equal(draws + json_integer_value(json_object_get(pism, "draws_saved")), 100);
            assert_true(json_is_string(json_object_get(other, "response")));
            assert_true(json_is_real(json_object_get(other, "rho")));
        }
        json_decref(record);
        at = end + 1;
    }
    assert_int_equal(line, RECORDS);
    for (int s = 0; s < 4; s++) assert_true(counts[s] >= RECORDS / 10 && cmab[s] >= RECORDS / 25);
    assert_int_equal(counts[STRATA_STRATUM_PENDING] + cmab[STRATA_STRATUM_PENDING], 0);
    assert_non_null(strstr(expected, "\"lambda\": 0.3, "));
}

static void test_batch_order_speculation_cache(void **state) {
    (void)state;
    static const struct {
        size_t batch, window, cache;
        double speculation;
    } cases[] = {{1, 0, 0, 0},       {3, 0, 1, 0.5}, {8, 0, 0, 0.1},    {64, 0, 0, 0},
                 {200, 0, 0, 0.001}, {64, 5, 1, 20}, {500, 0, 4000, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_score_options options;
        struct strata_score_summary summary;
        char name[32], output[64];
        snprintf(name, sizeof name, "batch%zu", i);
        snprintf(output, sizeof output, "%s/difficulty.jsonl", name);
        fixture_options(&options, &fixture, fixture_path(&fixture, name));
        options.window = cases[i].window;
        options.image_cache_bytes = cases[i].cache;
        options.speculation = cases[i].speculation;
        assert_int_equal(fixture_score(&summary, &options, cases[i].batch, NULL), 0);
        assert_same(output);
        assert_int_equal(summary.samples, RECORDS);
        assert_int_equal(summary.pending, 0);
        if (cases[i].speculation == 0) assert_int_equal(summary.speculative, 0);
        if (cases[i].speculation >= 20) assert_true(summary.speculative > 0);
        assert_true((double)summary.speculative <= cases[i].speculation * (double)summary.draws_now + 1);
        /* Asked exactly what the rule reads and what speculation added, and one CMAB generation a sample. */
        assert_int_equal(summary.draws_now, summary.draws + summary.speculative + RECORDS - RECORDS / 50);
        assert_true(summary.engine.peak_batch <= (cases[i].batch > 10 ? cases[i].batch : 10));
        if (cases[i].batch == 64 && cases[i].window == 0) assert_true(summary.engine.peak_batch >= 60);
        strata_score_summary_free(&summary);
    }
}

static const char *field(const char *line, const char *name) {
    return strstr(line, name);
}

static void test_full_curve_has_the_same_strata(void **state) {
    (void)state;
    struct strata_score_options options;
    struct strata_score_summary summary;
    fixture_options(&options, &fixture, fixture_path(&fixture, "full"));
    options.cut.pism.full_curve = true;
    assert_int_equal(fixture_score(&summary, &options, 32, NULL), 0);
    assert_int_equal(summary.draws, 100 * (RECORDS - RECORDS / 50));
    assert_int_equal(summary.draws_saved, 0);
    strata_score_summary_free(&summary);
    char *full = fixture_read(&fixture, "full/difficulty.jsonl");
    const char *a = expected, *b = full;
    for (int i = 0; i < RECORDS; i++) {
        /* id … "pism": {"stratum": S, "lambda_star": X, "curve": */
        size_t length = (size_t)(field(a, "\"curve\"") - a);
        assert_memory_equal(a, b, length);
        a = strchr(a, '\n') + 1;
        b = strchr(b, '\n') + 1;
    }
    free(full);
}

/* An engine before the scripted one that is slow, or fails some requests. */
struct lossy {
    struct strata_engine *inner;
    unsigned every, count, pause;
    bool from_then_on;
};

static unsigned lossy_capabilities(const void *self) {
    return strata_engine_capabilities(((const struct lossy *)self)->inner);
}

static bool lossy_has_room(const void *self, uint32_t draws) {
    return strata_engine_has_room(((const struct lossy *)self)->inner, draws);
}

static int lossy_submit(void *self, const struct strata_request *request, struct strata_error *err) {
    return strata_engine_submit(((struct lossy *)self)->inner, request, err);
}

static int lossy_poll(void *self, struct strata_result *result, bool *got, struct strata_error *err) {
    struct lossy *lossy = self;
    int code = strata_engine_poll(lossy->inner, result, got, err);
    if (lossy->pause) usleep(lossy->pause);
    if (code || !*got || !lossy->every) return code;
    lossy->count++;
    if (lossy->from_then_on ? lossy->count > lossy->every : lossy->count % lossy->every == 0) {
        uint64_t tag = result->tag;
        uint32_t draw = result->draw;
        strata_result_free(result);
        *result = (struct strata_result){.tag = tag, .draw = draw, .finish = STRATA_FINISH_ERROR};
        strata_fail(&result->error, STRATA_ERR_ENGINE, "connection reset");
    }
    return 0;
}

static void lossy_cancel(void *self, uint64_t tag) {
    strata_engine_cancel(((struct lossy *)self)->inner, tag);
}

static void lossy_stats(const void *self, struct strata_engine_stats *stats) {
    strata_engine_stats(((const struct lossy *)self)->inner, stats);
}

static const char *lossy_identity(const void *self) {
    return strata_engine_identity(((const struct lossy *)self)->inner);
}

static void lossy_destroy(void *self) {
    strata_engine_destroy(((struct lossy *)self)->inner);
    free(self);
}

static struct strata_engine *lossy_engine(unsigned every, bool from_then_on, unsigned pause) {
    static const struct strata_engine_vtable vtable = {lossy_capabilities, lossy_has_room, lossy_submit,
                                                       lossy_poll,         lossy_cancel,   lossy_stats,
                                                       lossy_identity,     lossy_destroy};
    struct lossy *lossy = calloc(1, sizeof *lossy);
    struct strata_engine *engine;
    *lossy = (struct lossy){.every = every, .from_then_on = from_then_on, .pause = pause};
    assert_int_equal(strata_engine_scripted(&lossy->inner, FIXTURE_SCRIPT, 24, NULL), 0);
    assert_int_equal(strata_engine_wrap(&engine, &vtable, lossy, NULL), 0);
    return engine;
}

static void test_failures_are_never_wrong_answers(void **state) {
    (void)state;
    struct strata_score_options options;
    struct strata_score_summary summary;
    struct strata_error err;
    fixture_options(&options, &fixture, fixture_path(&fixture, "lossy"));
    struct strata_engine *engine = lossy_engine(40, false, 0);
    assert_int_equal(strata_score(&summary, engine, &options, &err), STRATA_ERR_ENGINE);
    strata_engine_destroy(engine);
    assert_true(summary.pending > 50 && summary.pending < RECORDS && summary.failed_requests >= summary.pending);
    assert_int_equal(summary.rows[summary.row_count - 1].samples, RECORDS);
    strata_score_summary_free(&summary);
    char *partial = fixture_read(&fixture, "lossy/difficulty.jsonl");
    assert_non_null(strstr(partial, "\"pending\""));
    free(partial);
    /* Dead for good: it stops soon instead of asking for everything in vain. */
    engine = lossy_engine(100, true, 0);
    assert_int_equal(strata_score(&summary, engine, &options, &err), STRATA_ERR_ENGINE);
    assert_non_null(strstr(err.what, "connection reset"));
    assert_true(summary.failed_requests <= 16);
    strata_score_summary_free(&summary);
    strata_engine_destroy(engine);
    assert_int_equal(fixture_score(NULL, &options, 24, NULL), 0);
    assert_same("lossy/difficulty.jsonl");
}

static void test_kills(void **state) {
    (void)state;
    enum { KILLS = 20 };
    struct strata_random random = strata_random_make(1, "kill", STRATA_PURPOSE_TEST, 0, 0);
    int killed = 0, finished = 0;
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct strata_score_options options;
            fixture_options(&options, &fixture, fixture_path(&fixture, "killed"));
            struct strata_engine *engine = lossy_engine(0, false, 300);
            _exit(strata_score(NULL, engine, &options, NULL) ? 1 : 0);
        }
        usleep((useconds_t)(1000 * (20 + strata_random_below(&random, i, 700))));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        killed += WIFSIGNALED(status);
        finished += WIFEXITED(status);
        if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    }
    struct strata_score_options options;
    struct strata_score_summary summary;
    fixture_options(&options, &fixture, fixture_path(&fixture, "killed"));
    assert_int_equal(fixture_score(&summary, &options, 24, NULL), 0);
    print_message("%d killed, %d came to their end; the last run asked %u of %u draws\n", killed, finished,
                  (unsigned)summary.draws_now, (unsigned)summary.draws);
    assert_true(killed >= KILLS / 2);
    strata_score_summary_free(&summary);
    assert_same("killed/difficulty.jsonl");
}

/* Each file may have 300 kB: the store fills up in mid-run, says so, and goes on where it was once there is space. */
static void test_full_disk(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct strata_score_options options;
        struct strata_error err = {0};
        struct rlimit limit = {300000, 300000};
        signal(SIGXFSZ, SIG_IGN);
        fixture_options(&options, &fixture, fixture_path(&fixture, "tight"));
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(3);
        struct strata_engine *engine = lossy_engine(0, false, 100);
        int code = strata_score(NULL, engine, &options, &err);
        bool clear = strstr(err.what, "disk is full") != NULL && err.hint[0] && err.where[0];
        _exit(code == STRATA_ERR_IO && clear ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_false(strata_file_exists(fixture_path(&fixture, "tight/difficulty.jsonl")));
    struct strata_score_options options;
    struct strata_score_summary summary;
    fixture_options(&options, &fixture, fixture_path(&fixture, "tight"));
    assert_int_equal(fixture_score(&summary, &options, 24, NULL), 0);
    assert_true(summary.draws_now < summary.draws + RECORDS); /* something had been saved */
    strata_score_summary_free(&summary);
    assert_same("tight/difficulty.jsonl");
}

static void stop_soon(void *context, const struct strata_score_progress *progress) {
    if (progress->samples_done > 5) *(volatile sig_atomic_t *)context = 1;
}

static void test_interrupt_and_dry_run(void **state) {
    (void)state;
    volatile sig_atomic_t flag = 0;
    struct strata_score_options options;
    struct strata_score_summary summary;
    fixture_options(&options, &fixture, fixture_path(&fixture, "stopped"));
    options.dry_run = true;
    options.pilot_samples = 20;
    assert_int_equal(fixture_score(&summary, &options, 16, NULL), 0);
    assert_int_equal(summary.estimate.pilot, 20);
    assert_int_equal(summary.estimate.samples, RECORDS);
    assert_true(summary.estimate.draws > 20 * (RECORDS - 30) && summary.estimate.seconds > 0);
    assert_false(strata_file_exists(fixture_path(&fixture, "stopped/difficulty.jsonl")));
    uint64_t pilot = summary.draws_now;
    strata_score_summary_free(&summary);
    options.dry_run = false;
    options.interrupt = &flag;
    options.on_progress = stop_soon;
    options.progress_context = (void *)&flag;
    struct strata_engine *engine = lossy_engine(0, false, 200);
    struct strata_error err;
    assert_int_equal(strata_score(&summary, engine, &options, &err), STRATA_ERR_INTERRUPTED);
    strata_engine_destroy(engine);
    assert_false(strata_file_exists(fixture_path(&fixture, "stopped/difficulty.jsonl")));
    uint64_t stopped = summary.draws_now;
    strata_score_summary_free(&summary);
    options.interrupt = NULL;
    assert_int_equal(fixture_score(&summary, &options, 16, NULL), 0);
    /* Nothing answered before was asked again. */
    assert_int_equal(pilot + stopped + summary.draws_now, summary.draws + summary.speculative + RECORDS - RECORDS / 50);
    strata_score_summary_free(&summary);
    assert_same("stopped/difficulty.jsonl");
}

static void test_changed_settings_are_refused_by_name(void **state) {
    (void)state;
    struct strata_score_options options;
    struct strata_error err;
    fixture_options(&options, &fixture, fixture_path(&fixture, "plain"));
    options.seed = 43;
    assert_int_equal(fixture_score(NULL, &options, 8, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "another seed: it has 42, now 43"));
    options.seed = 42;
    options.pism_sampling.temperature = 1;
    assert_int_equal(fixture_score(NULL, &options, 8, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "PISM temperature"));
    options.pism_sampling.temperature = 0.7f;
    options.mask.kind = STRATA_MASK_RECTANGLE;
    assert_int_equal(fixture_score(NULL, &options, 8, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "mask: it has pixel, now rectangle"));
    options.mask.kind = STRATA_MASK_PIXEL;
    struct strata_engine *engine;
    assert_int_equal(strata_engine_scripted(&engine, 10, 8, NULL), 0);
    assert_int_equal(strata_score(NULL, engine, &options, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "model and engine: it has scripted-9, now scripted-10"));
    strata_engine_destroy(engine);
    /* What only cuts may change: another tau asks for the draws it needs beyond those there are, and for no others. */
    struct strata_score_summary summary;
    options.cut.pism.need = 3;
    assert_int_equal(fixture_score(&summary, &options, 8, NULL), 0);
    assert_true(summary.draws_now > 0 && summary.draws_now < summary.draws);
    strata_score_summary_free(&summary);
    options.cut.pism.need = 1;
    assert_int_equal(fixture_score(&summary, &options, 8, NULL), 0);
    assert_int_equal(summary.draws_now, 0);
    strata_score_summary_free(&summary);
    assert_same("plain/difficulty.jsonl");
}

static void test_shards_and_merge(void **state) {
    (void)state;
    struct strata_score_options options;
    struct strata_error err;
    char directories[3][160];
    const char *runs[4];
    for (size_t i = 0; i < 3; i++) {
        snprintf(directories[i], sizeof directories[i], "%s/shard%zu", fixture.directory, i + 1);
        runs[i] = directories[i];
        fixture_options(&options, &fixture, directories[i]);
        options.dataset.shard = i + 1;
        options.dataset.shards = 3;
        assert_int_equal(fixture_score(NULL, &options, 12, NULL), 0);
    }
    struct strata_score_summary summary;
    assert_int_equal(strata_score_merge(&summary, fixture_path(&fixture, "merged"), runs, 3, NULL), 0);
    assert_int_equal(summary.samples, RECORDS);
    strata_score_summary_free(&summary);
    assert_same("merged/difficulty.jsonl");
    runs[3] = directories[0];
    assert_int_equal(strata_score_merge(NULL, fixture_path(&fixture, "twice"), runs, 4, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "overlap"));
    assert_int_equal(strata_score_merge(NULL, fixture_path(&fixture, "merged"), runs, 3, &err), STRATA_ERR_STATE);
    fixture_options(&options, &fixture, fixture_path(&fixture, "foreign"));
    options.seed = 1;
    options.dataset.limit = 3;
    assert_int_equal(fixture_score(NULL, &options, 12, NULL), 0);
    runs[1] = fixture_path(&fixture, "foreign");
    assert_int_equal(strata_score_merge(NULL, fixture_path(&fixture, "mixed"), runs, 2, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "seed"));
}

static void test_limit(void **state) {
    (void)state;
    struct strata_score_options options;
    fixture_options(&options, &fixture, fixture_path(&fixture, "limited"));
    options.dataset.limit = 100;
    assert_int_equal(fixture_score(NULL, &options, 12, NULL), 0);
    char *text = fixture_read(&fixture, "limited/difficulty.jsonl");
    assert_memory_equal(text, expected, strlen(text));
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, 100);
    free(text);
    options.dataset.limit = 0;
    assert_int_equal(fixture_score(NULL, &options, 12, NULL), 0);
    assert_same("limited/difficulty.jsonl");
}

static void count_bad(void *context, const struct strata_error *err) {
    assert_non_null(strstr(err->where, "bad.jsonl:2"));
    assert_non_null(strstr(err->what, "absent.png"));
    ++*(size_t *)context;
}

static void test_bad_records(void **state) {
    (void)state;
    static const char data[] =
        "{\"id\": \"a\", \"question\": \"<image>q\", \"images\": [\"image.png\"], \"answer\": \"x\"}\n"
        "{\"id\": \"b\", \"question\": \"<image>q\", \"images\": [\"absent.png\"], \"answer\": \"x\"}\n"
        "{\"id\": \"c\", \"question\": \"<image>q\", \"images\": [\"image.png\"], \"answer\": \"x\"}\n";
    struct strata_score_options options;
    struct strata_score_summary summary;
    struct strata_error err;
    size_t told = 0;
    assert_int_equal(strata_file_write(fixture_path(&fixture, "bad.jsonl"), data, sizeof data - 1, NULL), 0);
    fixture_options(&options, &fixture, fixture_path(&fixture, "bad"));
    options.data = fixture_path(&fixture, "bad.jsonl");
    assert_int_equal(fixture_score(NULL, &options, 12, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "absent.png"));
    assert_non_null(strstr(err.where, "bad.jsonl:2"));
    assert_false(strata_file_exists(fixture_path(&fixture, "bad/difficulty.jsonl")));
    options.dataset.skip_bad = true;
    options.dataset.on_bad = count_bad;
    options.dataset.context = &told;
    assert_int_equal(fixture_score(&summary, &options, 12, &err), 0);
    assert_int_equal(summary.samples, 2);
    assert_int_equal(summary.bad, 1);
    assert_int_equal(told, 1);
    strata_score_summary_free(&summary);
}

static void test_attempts_and_chance(void **state) {
    (void)state;
    struct strata_score_options options;
    struct strata_score_summary summary;
    struct strata_error err;
    fixture_options(&options, &fixture, fixture_path(&fixture, "attempts"));
    options.cut.attempts = 4;
    assert_int_equal(fixture_score(NULL, &options, 8, &err), STRATA_ERR_USAGE);
    options.cmab_sampling.temperature = 0.7f;
    options.cut.chance = STRATA_CHANCE_FIXED;
    options.cut.chance_p = 0.25;
    assert_int_equal(fixture_score(&summary, &options, 8, NULL), 0);
    const struct strata_score_row *all = &summary.rows[summary.row_count - 1];
    /* pass@4 is easier than one attempt; the test against guessing is harder than tau. */
    assert_true(all->cmab[STRATA_STRATUM_UNSOLVED] < all->pism[STRATA_STRATUM_UNSOLVED] * 2);
    assert_true(all->chance[STRATA_STRATUM_EASY] < all->pism[STRATA_STRATUM_EASY]);
    assert_int_equal(all->chance[STRATA_STRATUM_PENDING] + all->pism[STRATA_STRATUM_PENDING], 0);
    strata_score_summary_free(&summary);
    char *text = fixture_read(&fixture, "attempts/difficulty.jsonl");
    assert_non_null(strstr(text, "\"chance\": {\"p\": 0.25, \"need\": 6, "));
    assert_non_null(strstr(text, "\"attempts\": 3, "));
    /* Beside the plain stratum, which stays what it was. */
    const char *a = text, *b = expected;
    for (int i = 0; i < RECORDS; i++, a = strchr(a, '\n') + 1, b = strchr(b, '\n') + 1)
        assert_memory_equal(a, b, (size_t)(strstr(b, "\"curve\"") - b));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_batch_order_speculation_cache),
        cmocka_unit_test(test_full_curve_has_the_same_strata),
        cmocka_unit_test(test_failures_are_never_wrong_answers),
        cmocka_unit_test(test_interrupt_and_dry_run),
        cmocka_unit_test(test_changed_settings_are_refused_by_name),
        cmocka_unit_test(test_shards_and_merge),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_attempts_and_chance),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_kills),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
