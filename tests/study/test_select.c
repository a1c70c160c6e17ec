/* Selection: strata under changed cuts, pass rates, random controls, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "difficulty/run_fixture.h"
#include "study/select.h"

enum { RECORDS = 500 };
static struct fixture fixture;
static char run[256], out[256];

static int setup(void **state) {
    (void)state;
    struct strata_score_options options;
    fixture_make(&fixture, RECORDS);
    snprintf(run, sizeof run, "%s/run", fixture.directory);
    snprintf(out, sizeof out, "%s/selected.jsonl", fixture.directory);
    fixture_options(&options, &fixture, run);
    return fixture_score(NULL, &options, 16, NULL);
}

static int teardown(void **state) {
    (void)state;
    fixture_remove(&fixture);
    return 0;
}

static void defaults(struct strata_select_options *options) {
    strata_select_options_default(options);
    options->run = run;
    options->out = out;
}

static size_t lines_of(const char *text) {
    size_t count = 0;
    for (; (text = strchr(text, '\n')); text++) count++;
    return count;
}

/* How many lines of difficulty.jsonl have this PISM stratum. */
static size_t scored(const char *stratum) {
    char *text = fixture_read(&fixture, "run/difficulty.jsonl"), needle[64];
    size_t count = 0;
    snprintf(needle, sizeof needle, "\"pism\": {\"stratum\": \"%s\"", stratum);
    for (const char *at = text; (at = strstr(at, needle)); at++) count++;
    free(text);
    return count;
}

static void test_union_and_untouched_records(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary summary;
    defaults(&options);
    assert_int_equal(strata_stratum_set(&options.strata, "mid,hard", NULL), 0);
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    assert_int_equal(summary.samples, RECORDS);
    assert_int_equal(summary.selected, scored("medium") + scored("hard"));
    char *text = fixture_read(&fixture, "selected.jsonl"), *data = fixture_read(&fixture, "data.jsonl");
    assert_int_equal(lines_of(text), summary.selected);
    /* Beside the data set nothing changes: each line is a line of the data set, in its order. */
    const char *place = data;
    for (char *at = text, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        *end = '\0';
        place = strstr(place, at);
        assert_non_null(place);
    }
    free(text);
    free(data);
    char *manifest = fixture_read(&fixture, "selected.jsonl.manifest.json");
    assert_non_null(strstr(manifest, "\"strata\": [\"hard\", \"medium\"]"));
    assert_non_null(strstr(manifest, "\"images\": \"as written\""));
    free(manifest);
}

static void test_records_elsewhere_find_their_images(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary summary;
    char folder[256], elsewhere[300];
    defaults(&options);
    snprintf(folder, sizeof folder, "%s/elsewhere", fixture.directory);
    snprintf(elsewhere, sizeof elsewhere, "%s/all.jsonl", folder);
    assert_int_equal(strata_make_directories(folder, NULL), 0);
    options.out = elsewhere;
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    assert_int_equal(summary.selected, RECORDS);
    /* The selection is a data set of the same samples: scored alike, with the ids that the others were given. */
    struct strata_score_options score;
    char again[300];
    snprintf(again, sizeof again, "%s/run", folder);
    fixture_options(&score, &fixture, again);
    score.data = elsewhere;
    assert_int_equal(fixture_score(NULL, &score, 16, NULL), 0);
    char *one = fixture_read(&fixture, "run/difficulty.jsonl"),
         *two = fixture_read(&fixture, "elsewhere/run/difficulty.jsonl");
    assert_string_equal(one, two);
    free(one);
    free(two);
}

static void test_changed_cuts(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary before, after;
    struct strata_cut cut;
    unsigned metrics;
    defaults(&options);
    assert_int_equal(strata_select_cut(&cut, &metrics, run, NULL), 0);
    assert_int_equal(metrics, STRATA_METRIC_PISM | STRATA_METRIC_CMAB);
    options.cut = &cut;
    assert_int_equal(strata_select(&before, &options, NULL), 0);
    cut.pism.easy_open = true; /* those at 0.7 exactly become medium */
    assert_int_equal(strata_select(&after, &options, NULL), 0);
    assert_int_equal(before.strata[STRATA_STRATUM_EASY] + before.strata[STRATA_STRATUM_MEDIUM],
                     after.strata[STRATA_STRATUM_EASY] + after.strata[STRATA_STRATUM_MEDIUM]);
    assert_true(after.strata[STRATA_STRATUM_MEDIUM] > before.strata[STRATA_STRATUM_MEDIUM]);
    cut.pism.easy_open = false;
    cut.pism.hard_to = 2;
    assert_int_equal(strata_select(&after, &options, NULL), 0);
    assert_true(after.strata[STRATA_STRATUM_HARD] < before.strata[STRATA_STRATUM_HARD]);
    cut.pism.hard_to = 4;
    cut.pism.need = 4; /* another tau needs draws that were not made, and says of how many samples */
    assert_int_equal(strata_select(&after, &options, NULL), 0);
    assert_true(after.pending > 0 && after.pending == after.strata[STRATA_STRATUM_PENDING]);
    assert_true(after.strata[STRATA_STRATUM_UNSOLVED] > before.strata[STRATA_STRATUM_UNSOLVED]);
    cut.pism.need = 1;
    options.metric = STRATA_METRIC_CMAB;
    assert_int_equal(strata_select(&before, &options, NULL), 0);
    strata_cmab_released_code(&cut.cmab);
    struct strata_error err;
    assert_int_equal(strata_select(&after, &options, &err), STRATA_ERR_USAGE); /* layer 20 of 4 */
    cut.cmab.layers = 2;
    assert_int_equal(strata_select(&after, &options, NULL), 0);
    assert_int_equal(before.strata[STRATA_STRATUM_UNSOLVED], after.strata[STRATA_STRATUM_UNSOLVED]);
    assert_int_not_equal(before.strata[STRATA_STRATUM_HARD], after.strata[STRATA_STRATUM_HARD]);
}

static void test_pass_rates_and_abilities(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary summary;
    defaults(&options);
    options.pass_rate = true;
    options.pass_low = 0.2;
    options.pass_high = 0.8;
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    assert_int_equal(summary.incomplete, RECORDS / 50); /* no image, no pass rate */
    size_t all = summary.selected;
    char *text = fixture_read(&fixture, "run/difficulty.jsonl");
    size_t expected = 0, line = 0;
    for (const char *at = text; *at; at = strchr(at, '\n') + 1, line++) {
        const char *right = strstr(at, "\"right\": ");
        if (line % 50 == 49) continue;
        int value = atoi(right + 9);
        expected += value >= 2 && value <= 8;
    }
    free(text);
    assert_int_equal(all, expected);
    options.ability = "shape,presence";
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    assert_true(summary.selected > 0 && summary.selected < all && summary.samples < RECORDS);
    options.ability = "colour";
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    assert_int_equal(summary.selected, 0);
}

static void test_random_controls(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary summary;
    defaults(&options);
    options.strata = 1u << STRATA_STRATUM_MEDIUM;
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    size_t size = summary.selected;
    char *chosen = fixture_read(&fixture, "selected.jsonl"), *texts[3];
    options.random_like = true;
    for (uint64_t i = 0; i < 3; i++) {
        options.seed = i == 2 ? 0 : i;
        assert_int_equal(strata_select(&summary, &options, NULL), 0);
        assert_int_equal(summary.selected, size);
        texts[i] = fixture_read(&fixture, "selected.jsonl");
        assert_int_equal(lines_of(texts[i]), size);
    }
    assert_string_not_equal(texts[0], chosen);
    assert_string_not_equal(texts[0], texts[1]);
    assert_string_equal(texts[0], texts[2]);
    for (int i = 0; i < 3; i++) free(texts[i]);
    free(chosen);
}

/* Lines of a text that hold `needle`. */
static size_t holding(const char *text, const char *needle) {
    size_t count = 0;
    for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
        const char *found = strstr(at, needle), *end = strchr(at, '\n');
        count += found && found < end;
    }
    return count;
}

static void test_agreement(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary same, different, any;
    size_t measured = 0, equal = 0;
    defaults(&options);
    char *text = fixture_read(&fixture, "run/difficulty.jsonl");
    for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
        char pism[16] = "", cmab[16] = "";
        sscanf(strstr(at, "\"pism\": {\"stratum\": \"") + 21, "%15[a-z_]", pism);
        sscanf(strstr(at, "\"cmab\": {\"stratum\": \"") + 21, "%15[a-z_]", cmab);
        if (strcmp(pism, "not_applicable") == 0 || strcmp(cmab, "not_applicable") == 0) continue;
        measured++;
        equal += strcmp(pism, cmab) == 0;
    }
    free(text);
    options.agreement = STRATA_AGREEMENT_SAME;
    assert_int_equal(strata_select(&same, &options, NULL), 0);
    options.agreement = STRATA_AGREEMENT_DIFFERENT;
    assert_int_equal(strata_select(&different, &options, NULL), 0);
    assert_true(equal > 0 && equal < measured);
    assert_int_equal(same.selected, equal);
    assert_int_equal(different.selected, measured - equal);
    /* With strata: both must be among them where they agree. Seen from the other measure it is the same. */
    options.agreement = STRATA_AGREEMENT_SAME;
    options.strata = 1u << STRATA_STRATUM_EASY;
    assert_int_equal(strata_select(&same, &options, NULL), 0);
    options.metric = STRATA_METRIC_CMAB;
    assert_int_equal(strata_select(&any, &options, NULL), 0);
    assert_int_equal(same.selected, any.selected);
    char *manifest = fixture_read(&fixture, "selected.jsonl.manifest.json");
    assert_non_null(strstr(manifest, "\"agreement\": \"same\""));
    free(manifest);
}

static void test_caps(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary summary;
    char *texts[3];
    defaults(&options);
    options.cap = 7;
    for (uint64_t i = 0; i < 3; i++) {
        options.seed = i == 2 ? 0 : i;
        options.ability = i == 2 ? "shape,color" : NULL;
        assert_int_equal(strata_select(&summary, &options, NULL), 0);
        assert_int_equal(summary.selected, i == 2 ? 14 : 21);
        texts[i] = fixture_read(&fixture, "selected.jsonl");
    }
    assert_int_equal(holding(texts[0], "\"ability\": \"shape\""), 7);
    assert_int_equal(holding(texts[0], "\"ability\": \"presence\""), 7);
    assert_string_not_equal(texts[0], texts[1]);
    /* Without one ability the others' choice is the same: each line of the third is in the first. */
    for (char *at = texts[2], *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        *end = '\0';
        assert_non_null(strstr(texts[0], at));
    }
    for (int i = 0; i < 3; i++) free(texts[i]);
    options.ability = NULL;
    options.cap = RECORDS;
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    assert_int_equal(summary.selected, RECORDS);
}

static void test_responses(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_select_summary summary;
    defaults(&options);
    options.metric = STRATA_METRIC_CMAB;
    options.responses = true;
    assert_int_equal(strata_select(&summary, &options, NULL), 0);
    char *text = fixture_read(&fixture, "selected.jsonl");
    /* Right answers only; the scripted engine's right one names the gold. */
    assert_int_equal(holding(text, "\"response\": \"<answer>blue</answer>\""), holding(text, "\"response\""));
    assert_int_equal(holding(text, "\"response\""), summary.strata[STRATA_STRATUM_EASY] +
                                                        summary.strata[STRATA_STRATUM_MEDIUM] +
                                                        summary.strata[STRATA_STRATUM_HARD]);
    free(text);
}

static void test_changed_data_is_refused(void **state) {
    (void)state;
    struct strata_select_options options;
    struct strata_error err;
    defaults(&options);
    options.data = fixture_path(&fixture, "image.png");
    assert_int_equal(strata_select(NULL, &options, &err), STRATA_ERR_STATE);
    assert_non_null(strstr(err.what, "has changed"));
    options.data = NULL;
    options.run = fixture.directory;
    assert_int_equal(strata_select(NULL, &options, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.what, "no run here"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_union_and_untouched_records),
        cmocka_unit_test(test_records_elsewhere_find_their_images),
        cmocka_unit_test(test_changed_cuts),
        cmocka_unit_test(test_pass_rates_and_abilities),
        cmocka_unit_test(test_random_controls),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_changed_data_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
