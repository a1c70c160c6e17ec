/* The shipped subset of the golden reward cases, and calculus.jsonl (made the same way: Math-Verify 0.8.0): all of
 * them, in the compatible modes and in strict mode; and that no verdict depends on locale, threads or order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/threads.h"
#include "verify/verify.h"

#define CASES 1000

struct golden {
    json_t *records[CASES];
    size_t count;
    double compat[CASES], strict[CASES]; /* of the first run */
};

static enum strata_verify_mode mode_of(const json_t *record) {
    enum strata_verify_mode mode = STRATA_VERIFY_STRICT;
    struct strata_error error;
    assert_int_equal(strata_verify_mode_parse(&mode, json_string_value(json_object_get(record, "reward")), &error), 0);
    return mode;
}

/* The score; -1 for an error (a gold that is no gold). */
static double grade(const json_t *record, enum strata_verify_mode mode) {
    struct strata_verdict verdict = {0};
    struct strata_error error;
    const json_t *solution = json_object_get(record, "solution"), *completion = json_object_get(record, "completion");
    struct strata_verify_input input = {.solution = json_string_value(solution),
                                        .solution_length = json_string_length(solution),
                                        .completion = json_string_value(completion),
                                        .completion_length = json_string_length(completion),
                                        .ability = json_string_value(json_object_get(record, "ability"))};
    double score = strata_verify(&verdict, &input, mode, &error) ? -1 : verdict.score;
    strata_verdict_free(&verdict);
    return score;
}

static int read_cases(struct golden *golden, const char *path) {
    struct strata_buffer text = {0};
    struct strata_error error;
    if (strata_file_read(&text, path, 0, &error)) return 1;
    char *line = text.data;
    for (char *end; line && (end = strchr(line, '\n')) && golden->count < CASES; line = end + 1) {
        json_t *record = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        if (!record) return 1;
        golden->records[golden->count++] = record;
    }
    strata_buffer_free(&text);
    return 0;
}

static int load(void **state) {
    struct golden *golden = calloc(1, sizeof *golden);
    if (!golden || read_cases(golden, "tests/data/verify/rewards.jsonl") ||
        read_cases(golden, "tests/data/verify/calculus.jsonl"))
        return 1;
    for (size_t i = 0; i < golden->count; i++) {
        golden->compat[i] = grade(golden->records[i], mode_of(golden->records[i]));
        golden->strict[i] = grade(golden->records[i], STRATA_VERIFY_STRICT);
    }
    *state = golden;
    return 0;
}

static int unload(void **state) {
    struct golden *golden = *state;
    for (size_t i = 0; golden && i < golden->count; i++) json_decref(golden->records[i]);
    free(golden);
    return 0;
}

static void test_every_case(void **state) {
    const struct golden *golden = *state;
    size_t failed = 0;
    assert_true(golden->count > 700);
    for (size_t i = 0; i < golden->count; i++) {
        const json_t *record = golden->records[i], *strict = json_object_get(record, "strict");
        const json_t *bounds = json_object_get(record, "strict_bounds");
        double want = json_number_value(json_object_get(record, "expected_compat")),
               got = golden->compat[i] < 0 ? 0 : golden->compat[i];
        double low = -1, high = 1;
        if (json_is_number(strict)) low = high = json_number_value(strict);
        if (json_is_array(bounds)) {
            low = json_number_value(json_array_get(bounds, 0));
            high = json_number_value(json_array_get(bounds, 1));
        }
        bool good = fabs(got - want) <= 1e-12 && golden->strict[i] >= low - 1e-12 && golden->strict[i] <= high + 1e-12;
        if (!good)
            print_error("%s: compat %g (want %g), strict %g (want %g..%g)\n",
                        json_string_value(json_object_get(record, "id")), got, want, golden->strict[i], low, high);
        failed += !good;
    }
    assert_int_equal(failed, 0);
}

static void test_locale_does_not_matter(void **state) {
    const struct golden *golden = *state;
    static const char *const locales[] = {"tr_TR.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    size_t tried = 0;
    for (size_t k = 0; k < sizeof locales / sizeof *locales; k++) {
        if (!setlocale(LC_ALL, locales[k])) continue;
        tried++;
        for (size_t i = 0; i < golden->count; i++) {
            assert_true(grade(golden->records[i], mode_of(golden->records[i])) == golden->compat[i]);
            assert_true(grade(golden->records[i], STRATA_VERIFY_STRICT) == golden->strict[i]);
        }
    }
    setlocale(LC_ALL, "C");
    if (tried < 2) print_message("only %zu locales are installed here: the test says little\n", tried);
}

struct parallel {
    const struct golden *golden;
    double compat[CASES], strict[CASES];
};
static void grade_one(void *context, size_t index, size_t worker) {
    struct parallel *parallel = context;
    size_t i = parallel->golden->count - 1 - index; /* also in another order */
    const json_t *record = parallel->golden->records[i];
    (void)worker;
    enum strata_verify_mode mode = STRATA_VERIFY_STRICT;
    struct strata_error error;
    strata_verify_mode_parse(&mode, json_string_value(json_object_get(record, "reward")), &error);
    parallel->compat[i] = grade(record, mode);
    parallel->strict[i] = grade(record, STRATA_VERIFY_STRICT);
}

static void test_threads_and_order_do_not_matter(void **state) {
    struct parallel *parallel = calloc(1, sizeof *parallel);
    struct strata_threads *threads = NULL;
    struct strata_error error;
    assert_non_null(parallel);
    parallel->golden = *state;
    assert_int_equal(strata_threads_create(&threads, 4, &error), 0);
    strata_threads_run(threads, parallel->golden->count, grade_one, parallel);
    strata_threads_destroy(threads);
    for (size_t i = 0; i < parallel->golden->count; i++) {
        assert_true(parallel->compat[i] == parallel->golden->compat[i]);
        assert_true(parallel->strict[i] == parallel->golden->strict[i]);
    }
    free(parallel);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case),
        cmocka_unit_test(test_locale_does_not_matter),
        cmocka_unit_test(test_threads_and_order_do_not_matter),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
