/* Strict grading through the door: extraction, kinds, and the answers that the published reward code gets wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "verify/verify.h"

struct grade_case {
    const char *ability, *solution, *completion, *kind;
    double score;
};

static double grade(struct strata_verdict *verdict, const char *ability, const char *solution, const char *completion,
                    enum strata_verify_mode mode) {
    struct strata_error error = {0};
    struct strata_verify_input input = {.solution = solution,
                                        .solution_length = strlen(solution),
                                        .completion = completion,
                                        .completion_length = strlen(completion),
                                        .ability = ability};
    if (strata_verify(verdict, &input, mode, &error)) fail_msg("%s", error.what);
    return verdict->score;
}

static void check(const struct grade_case *cases, size_t count) {
    struct strata_verdict verdict = {0};
    for (size_t i = 0; i < count; i++) {
        double score = grade(&verdict, cases[i].ability, cases[i].solution, cases[i].completion, STRATA_VERIFY_STRICT);
        if (score != cases[i].score || strcmp(verdict.kind, cases[i].kind) != 0) {
            fail_msg("%s <= %s: %s %g, not %s %g (%s)", cases[i].solution, cases[i].completion, verdict.kind, score,
                     cases[i].kind, cases[i].score, strata_buffer_string(&verdict.reason));
        }
    }
    strata_verdict_free(&verdict);
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void test_only_the_answer_counts(void **state) {
    (void)state;
    static const struct grade_case cases[] = {
        {NULL, "\\boxed{8}", "<think>it is 8</think><answer>6</answer>", "math", 0},
        {NULL, "\\boxed{8}", "<think>so \\boxed{6}</think><answer>8</answer>", "math", 1},
        {NULL, "8", "<answer>6</answer> no: <answer>\n8\n</answer>", "math", 1},
        {NULL, "8", "\\boxed{6}. On second thoughts I have to say that it is \\boxed{8}", "math", 1},
        {NULL, "5", "\\boxed{5} or \\boxed{6}", "math", 0},
        {NULL, "<answer>8</answer>", "<answer> 8 </answer>", "math", 1},
    };
    CHECK(cases);
}

static void test_words_choices_yes_no(void **state) {
    (void)state;
    static const struct grade_case cases[] = {
        {"puzzle", "\\boxed{left}", "\\boxed{felt}", "word", 0},
        {"puzzle", "left", "<answer>Left</answer>", "word", 1},
        {"science", "\\boxed{A}", "<answer>(a)</answer>", "choice", 1},
        {"science", "A", "\\boxed{\\textbf{(A) } 12}", "choice", 1},
        {"science", "A", "\\boxed{A, C}", "choice", 0},
        {"science", "B", "A cat sits there. The answer is B", "choice", 1},
        {NULL, "yes", "\\boxed{Yes}", "yesno", 1},
        {NULL, "No", "\\boxed{On}", "yesno", 0},
    };
    CHECK(cases);
}

static void test_counts_are_exact(void **state) {
    (void)state;
    static const struct grade_case cases[] = {
        {"counting", "5", "<answer>15</answer>", "count", 0},
        {"counting", "3", "<answer>-3</answer>", "count", 0},
        {"counting", "3", "<answer>3.9</answer>", "count", 0},
        {"counting", "42", "<answer>forty-two</answer>", "count", 1},
        {"counting", "105", "<answer>One hundred and five cubes</answer>", "count", 1},
        {"counting", "2", "<answer>to</answer>", "count", 0},
        {"counting", "0", "zero", "count", 1},
        {"counting", "1000", "one thousand", "count", 1},
        {"counting", "21", "twenty one thousand", "count", 0},
    };
    CHECK(cases);
}

static void test_ocr_is_a_distance(void **state) {
    (void)state;
    static const struct grade_case cases[] = {
        {"ocr", "STOP", "<answer>stop</answer>", "ocr", 1},
        {"ocr", "STOP", "<answer>o</answer>", "ocr", 0},
        {"ocr", "10:45", "<answer>10:15</answer>", "ocr", 0.8},
        {"ocr", "\xef\xbc\x95", "<answer>5</answer>", "ocr", 1},
    };
    struct strata_verdict verdict = {0};
    CHECK(cases);
    grade(&verdict, "ocr", "10:45", "10:15", STRATA_VERIFY_STRICT);
    assert_false(verdict.correct); /* similar is not correct */
    strata_verdict_free(&verdict);
}

static void test_truncated_thinking_has_no_answer(void **state) {
    (void)state;
    struct strata_verdict verdict = {0};
    assert_true(grade(&verdict, NULL, "8", "<think>it is 8", STRATA_VERIFY_STRICT) == 0);
    assert_true(verdict.truncated);
    assert_true(grade(&verdict, NULL, "8", "<think>a</think><think>8", STRATA_VERIFY_STRICT) == 0);
    assert_true(verdict.truncated);
    assert_true(grade(&verdict, NULL, "8", "no opening tag</think>8", STRATA_VERIFY_STRICT) == 1);
    assert_false(verdict.truncated);
    strata_verdict_free(&verdict);
}

static void test_unusable_gold_is_an_error(void **state) {
    (void)state;
    struct strata_verdict verdict = {0};
    struct strata_error error;
    struct strata_verify_input input = {
        .solution = " ", .solution_length = 1, .completion = "5", .completion_length = 1};
    assert_int_equal(strata_verify(&verdict, &input, STRATA_VERIFY_STRICT, &error), STRATA_ERR_INPUT);
    strata_verdict_free(&verdict);
}

static void test_chance(void **state) {
    (void)state;
    struct strata_verify_input input = {
        .solution = "B", .solution_length = 1, .question = "Which?\nA. red\nB. blue\nC. green\nD. black"};
    assert_true(strata_verify_chance(&input) == 0.25);
    input.solution = "\\boxed{12}";
    input.solution_length = 10;
    assert_true(strata_verify_chance(&input) == 0);
    input.solution = "yes";
    input.solution_length = 3;
    assert_true(strata_verify_chance(&input) == 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_answer_counts),
        cmocka_unit_test(test_words_choices_yes_no),
        cmocka_unit_test(test_counts_are_exact),
        cmocka_unit_test(test_ocr_is_a_distance),
        cmocka_unit_test(test_truncated_thinking_has_no_answer),
        cmocka_unit_test(test_unusable_gold_is_an_error),
        cmocka_unit_test(test_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
