/* The benchmarks' functions on the cases recorded from VLMEvalKit, and on what those do not cover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conformance/benchmark_file.h"

static void test_recorded_cases(void **state) {
    struct strata_error err = {0};
    (void)state;
    int code = run_benchmark_file("tests/data/eval/benchmarks.jsonl", NULL, &err);
    assert_string_equal(err.what, "");
    assert_int_equal(code, 0);
}

static void test_numbers_of_python(void **state) {
    static const struct {
        const char *text, *integer; /* NULL: ValueError */
        double real;                /* -1: ValueError */
    } cases[] = {
        {"14", "14", 14},
        {" 14\n", "14", 14},
        {"1_4", "14", 14},
        {"1__4", NULL, -1},
        {"_1", NULL, -1},
        {"1_", NULL, -1},
        {"007", "7", 7},
        {"-0", "0", 0},
        {"0x10", NULL, -1},
        {"1.", NULL, 1},
        {".5", NULL, 0.5},
        {".", NULL, -1},
        {"1e-1", NULL, 0.1},
        {"1e", NULL, -1},
        {"1,5", NULL, -1},
        {"\x1c"
         "14",
         NULL, -1},
        {"", NULL, -1},
        {"\xC2\xA0"
         "14",
         "14", 14},
        {"\xD9\xA3", "3", 3},
        {"++1", NULL, -1},
        {"12345678901234567890", "12345678901234567890", 12345678901234567890.0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_buffer digits = {0};
        double real = -1;
        bool whole = strata_python_int(&digits, strata_span_of(cases[i].text));
        assert_int_equal(whole, cases[i].integer != NULL);
        if (whole) assert_string_equal(strata_buffer_string(&digits), cases[i].integer);
        bool number = strata_python_float(&real, strata_span_of(cases[i].text));
        assert_int_equal(number, cases[i].real != -1);
        if (number) assert_true(real == cases[i].real);
        strata_buffer_free(&digits);
    }
}

static void test_lower_case(void **state) {
    static const char *const pairs[][2] = {
        {"ÉCOLE", "école"}, {"ΑΣ", "ας"}, {"ΑΣΑ", "ασα"}, {"Σ", "σ"},
        {"ΑΣ.", "ας."},     {"İ", "i̇"},   {"ẞß", "ßß"},   {"Ⅷ", "ⅷ"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct strata_buffer lower = {0};
        strata_python_lower(&lower, strata_span_of(pairs[i][0]));
        assert_string_equal(strata_buffer_string(&lower), pairs[i][1]);
        strata_buffer_free(&lower);
    }
}

static void test_literals(void **state) {
    static const char *const cases[][2] = {
        {"['a', 'b']", "['a', 'b']"},
        {"('x', \"it's\")", "['x', \"it's\"]"},
        {"['a' 'b', r'\\n', '\\x41\\u00e9']", "['ab', '\\\\n', 'Aé']"},
        {"[1_0, 0x1F, -3, 1.50, None, True]", "[10, 31, -3, 1.5, None, True]"},
        {"[[1, 'q\"'], []]", "[[1, 'q\"'], []]"},
        {"word", "NameError"},
        {"two words", "SyntaxError"},
        {"a-b", "NameError"},
        {"[1,,2]", "SyntaxError"},
        {"['x", "SyntaxError"},
        {"01", "SyntaxError"},
        {"0xfg", "SyntaxError"},
        {"", "SyntaxError"},
        {"[x for x in y]", "NameError"},
        {"1, 2,", "[1, 2]"},
        {"1, 'x", "SyntaxError"}, /* what fails in a later item fails, though the text was read to its end */
        {"1, [", "SyntaxError"},
        {"1, '\xD7'", "SyntaxError"}, /* not UTF-8 */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_error err = {0};
        struct strata_buffer text = {0};
        json_t *value = NULL;
        if (strata_python_eval(&value, strata_span_of(cases[i][0]), &err)) {
            strata_buffer_append(&text, err.what, strcspn(err.what, ":"));
        } else {
            strata_python_str(&text, value);
        }
        assert_string_equal(strata_buffer_string(&text), cases[i][1]);
        strata_buffer_free(&text);
        json_decref(value);
    }
}

static void test_deep_brackets_are_an_error(void **state) {
    char text[4001];
    json_t *value = NULL;
    (void)state;
    memset(text, '[', 4000);
    text[4000] = '\0';
    assert_int_equal(strata_python_eval(&value, strata_span_of(text), NULL), STRATA_ERR_INPUT);
}

static void test_float_repr(void **state) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},       {14, "14.0"},       {1e16, "1e+16"},          {1e15, "1000000000000000.0"},
                 {1e-5, "1e-05"},    {0.0001, "0.0001"}, {123456.75, "123456.75"}, {1.0 / 3, "0.3333333333333333"},
                 {5e-324, "5e-324"}, {-2.5, "-2.5"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_buffer text = {0};
        strata_python_float_repr(&text, cases[i].value);
        assert_string_equal(strata_buffer_string(&text), cases[i].text);
        strata_buffer_free(&text);
    }
}

static void test_tables_that_cannot_be_read(void **state) {
    static const char *const bad[] = {"", "a\tb\n1\t2\t3\n", "a\tb\n\"1\t2\n", "a\ta\n1\t2\n", "a\tb\n\xFF\t2\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct strata_tsv *tsv = NULL;
        struct strata_error err = {0};
        assert_int_equal(strata_tsv_parse(&tsv, bad[i], strlen(bad[i]), "bad.tsv", &err), STRATA_ERR_INPUT);
        assert_null(tsv);
        assert_non_null(strstr(err.where, "bad.tsv"));
    }
}

static void test_table_cells(void **state) {
    static const char text[] =
        "\xEF\xBB\xBFindex\tq\tn\timage\r\n0\t\"a\tb\"\"c\"d\t1\tAAAA\r\n\r\n1\tx\"y\t\tBB\n2\tz\n";
    struct strata_tsv *tsv = NULL;
    struct strata_buffer image = {0};
    (void)state;
    assert_int_equal(strata_tsv_parse(&tsv, text, strlen(text), "t.tsv", NULL), 0);
    assert_int_equal(strata_tsv_rows(tsv), 3);
    json_t *row = strata_tsv_row(tsv, 0), *second = strata_tsv_row(tsv, 1);
    assert_string_equal(json_string_value(json_object_get(row, "q")), "a\tb\"cd");
    assert_true(json_real_value(json_object_get(row, "n")) == 1.0); /* a gap makes the column one of reals */
    assert_null(json_object_get(row, "image"));
    assert_string_equal(json_string_value(json_object_get(second, "q")), "x\"y");
    strata_tsv_text(&image, tsv, 1, strata_tsv_column(tsv, "image"));
    assert_string_equal(strata_buffer_string(&image), "BB");
    strata_buffer_free(&image);
    json_decref(row);
    json_decref(second);
    strata_tsv_close(tsv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_cases),
        cmocka_unit_test(test_numbers_of_python),
        cmocka_unit_test(test_lower_case),
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_deep_brackets_are_an_error),
        cmocka_unit_test(test_float_repr),
        cmocka_unit_test(test_tables_that_cannot_be_read),
        cmocka_unit_test(test_table_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
