/* The page of a scripted run: what stands on it, and that foreign text cannot leave its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "difficulty/agreement.h"
#include "difficulty/run_fixture.h"
#include "report/gather.h"
#include "report/report.h"

enum { RECORDS = 60 };
static struct fixture fixture;
static char run[256], out[256];

static void add_hostile(void) {
    FILE *data = fopen(fixture.data, "a");
    assert_non_null(data);
    fputs("{\"id\": \"</script><b>\", \"question\": \"<image></script><script>alert(1)</script>\\u0001\", "
          "\"images\": [\"image.png\"], \"solution\": \"blue\", \"ability\": \"<i>&\\\"'\"}\n",
          data);
    assert_int_equal(fclose(data), 0);
}

static int setup(void **state) {
    (void)state;
    struct strata_score_options options;
    fixture_make(&fixture, RECORDS);
    add_hostile();
    snprintf(run, sizeof run, "%s/run", fixture.directory);
    snprintf(out, sizeof out, "%s/report.html", fixture.directory);
    fixture_options(&options, &fixture, run);
    options.keep_responses = true;
    return fixture_score(NULL, &options, 16, NULL);
}

static int teardown(void **state) {
    (void)state;
    fixture_remove(&fixture);
    return 0;
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) count++;
    return count;
}

static char *report(struct strata_report_summary *summary, const struct strata_report_options *options) {
    struct strata_error err = {0};
    char line[1400];
    int code = strata_report(summary, run, out, options, &err);
    if (code) print_message("%s\n", strata_error_line(&err, line, sizeof line));
    assert_int_equal(code, 0);
    return fixture_read(&fixture, "report.html");
}

static void test_page(void **state) {
    (void)state;
    struct strata_report_options options;
    struct strata_report_summary summary;
    strata_report_options_default(&options);
    char *page = report(&summary, &options);
    assert_int_equal(summary.samples, RECORDS + 1);
    assert_int_equal(summary.shown, RECORDS + 1);
    assert_int_equal(summary.without_images, 0);
    assert_int_equal(summary.bytes, strlen(page));
    /* Two scripts, the data and ours: foreign text opens and ends none. */
    assert_int_equal(count_of(page, "<script"), 2);
    assert_int_equal(count_of(page, "</script"), 2);
    assert_null(strstr(page, "<i>&"));
    assert_non_null(strstr(page, "&lt;i&gt;&amp;&quot;&#39;"));
    assert_non_null(strstr(page, "\"question\": \"\\u003c/script\\u003e\\u003cscript\\u003ealert(1)"));
    /* No address but the name of SVG. */
    assert_int_equal(count_of(page, "://"), count_of(page, "http://www.w3.org/2000/svg"));
    assert_int_equal(count_of(page, "<svg"), count_of(page, "<desc"));
    assert_non_null(strstr(page, "\"image\": \"data:image/png;base64,"));
    char *again = report(NULL, &options);
    assert_string_equal(page, again);
    free(page);
    free(again);
}

static void test_bounds_are_kept_and_said(void **state) {
    (void)state;
    struct strata_report_options options;
    struct strata_report_summary summary;
    strata_report_options_default(&options);
    options.samples = 7;
    char *page = report(&summary, &options);
    assert_int_equal(summary.shown, 7);
    assert_int_equal(count_of(page, "\"rho_tokens\"") + count_of(page, "\"images\": 0"), 7);
    assert_non_null(strstr(page, "7 of 61 samples, drawn at random (seed 0)"));
    options.seed = 1;
    char *other = report(NULL, &options);
    assert_string_not_equal(page, other);
    free(page);
    free(other);
    options.image_bytes = 1; /* the first sample's images, then no more */
    page = report(&summary, &options);
    assert_true(summary.without_images >= 5);
    assert_non_null(strstr(page, "stand without their images"));
    free(page);
}

static void test_data_set_gone_or_changed(void **state) {
    (void)state;
    struct strata_report_options options;
    struct strata_report_summary summary;
    struct strata_error err = {0};
    char moved[256];
    strata_report_options_default(&options);
    snprintf(moved, sizeof moved, "%s/moved.jsonl", fixture.directory);
    assert_int_equal(rename(fixture.data, moved), 0);
    char *page = report(&summary, &options);
    assert_int_equal(summary.shown, RECORDS + 1);
    assert_non_null(strstr(page, "Without questions and images: "));
    assert_null(strstr(page, "\"question\""));
    free(page);
    options.data = moved;
    page = report(&summary, &options);
    assert_non_null(strstr(page, "\"question\""));
    free(page);
    assert_int_equal(rename(moved, fixture.data), 0);
    options.data = fixture_path(&fixture, "image.png");
    assert_int_equal(strata_report(NULL, run, out, &options, &err), STRATA_ERR_STATE);
}

static void test_numbers_are_those_of_scoring(void **state) {
    (void)state;
    struct strata_report_numbers numbers;
    struct strata_score_summary summary = {0};
    assert_int_equal(strata_report_gather(&numbers, run, NULL), 0);
    const char *path = fixture_path(&fixture, "again.jsonl");
    assert_int_equal(strata_score_write(&summary, path, numbers.store, &numbers.cut, numbers.metrics, SIZE_MAX, NULL),
                     0);
    const struct strata_score_row *total = &summary.rows[summary.row_count - 1];
    assert_memory_equal(numbers.total.pism, total->pism, sizeof total->pism);
    assert_memory_equal(numbers.total.cmab, total->cmab, sizeof total->cmab);
    assert_int_equal(numbers.total.plain_right, total->plain_right);
    assert_int_equal(numbers.total.plain_drawn, total->plain_drawn);
    assert_int_equal(numbers.total.cmab_right, total->cmab_right);
    assert_int_equal(numbers.total.cmab_answered, total->cmab_answered);
    assert_int_equal(numbers.draws, summary.draws);
    assert_int_equal(numbers.draws_saved, summary.draws_saved);
    /* Passing falls with the ratio, and those that pass all are those without a failing ratio. */
    for (size_t i = 1; i < STRATA_PISM_RATIOS; i++) assert_true(numbers.total.passed[i] <= numbers.total.passed[i - 1]);
    assert_int_equal(numbers.total.finished - numbers.total.passed[0], numbers.total.pism[STRATA_STRATUM_UNSOLVED]);
    strata_score_summary_free(&summary);
    strata_report_release(&numbers);
}

static void test_spearman(void **state) {
    (void)state;
    const size_t same[] = {3, 0, 0, 0, 5, 0, 0, 0, 2}, opposite[] = {0, 0, 3, 0, 5, 0, 2, 0, 0};
    const size_t constant[] = {1, 2, 3, 0, 0, 0, 0, 0, 0};
    /* x = 1 1 2 2 3, y = 1 2 2 3 3: midranks 1.5 1.5 3.5 3.5 5 and 1 2.5 2.5 4.5 4.5, Pearson 7.25 / 9 by hand. */
    const size_t mixed[] = {1, 1, 0, 0, 1, 1, 0, 0, 1};
    assert_true(fabs(strata_spearman(same, 3) - 1) < 1e-12);
    assert_true(fabs(strata_spearman(opposite, 3) + 1) < 1e-12);
    assert_true(isnan(strata_spearman(constant, 3)));
    assert_true(fabs(strata_spearman(mixed, 3) - 7.25 / 9) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page), cmocka_unit_test(test_bounds_are_kept_and_said),
                                       cmocka_unit_test(test_data_set_gone_or_changed),
                                       cmocka_unit_test(test_numbers_are_those_of_scoring),
                                       cmocka_unit_test(test_spearman)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
