/* Boxes and coordinates, rewards, the custom grader, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "verify/boxes.h"
#include "verify/rewards.h"
#include "verify/verify_file.h"

#define GOLD "<answer>[{'bbox_2d': [100, 100, 300, 300], 'label': 'dog'}]</answer>"

static struct strata_verify_input input_of(const char *ability, const char *solution, const char *completion) {
    return (struct strata_verify_input){.solution = solution,
                                        .solution_length = strlen(solution),
                                        .completion = completion,
                                        .completion_length = strlen(completion),
                                        .ability = ability};
}

static double grade(const struct strata_verify_input *input) {
    struct strata_verdict verdict = {0};
    struct strata_error error = {0};
    if (strata_verify(&verdict, input, STRATA_VERIFY_STRICT, &error)) fail_msg("%s", error.what);
    strata_verdict_free(&verdict);
    return verdict.score;
}

static void test_misses_and_extras_cost(void **state) {
    (void)state;
    static const struct {
        const char *completion;
        double score;
    } cases[] = {
        {"<answer>```json\n[{\"bbox_2d\": [100, 100, 300, 300], \"label\": \" Dog\"}]\n```</answer>", 1},
        {"<answer>[{'bbox_2d': (100, 100, 300, 300), 'label': 'dog'}, {'bbox_2d': [1, 1, 9, 9], 'label': "
         "'dog'}]</answer>",
         2.0 / 3},
        {"<answer>[{'bbox_2d': [100, 100, 300, 300], 'label': 'cat'}]</answer>", 0},
        {"<answer>[{'bbox_2d': [0, 0, 1000, 1000], 'label': 'dog'}]</answer>", 0},
        {"<answer>no dog</answer>", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_verify_input input = input_of("cv_detection", GOLD, cases[i].completion);
        assert_true(fabs(grade(&input) - cases[i].score) < 1e-12);
    }
}

static void test_coordinates_are_named_never_guessed(void **state) {
    (void)state;
    struct strata_verdict verdict = {0};
    struct strata_error error;
    struct strata_verify_input input =
        input_of("cv_detection", GOLD, "[{\"bbox_2d\": [28, 14, 84, 42], \"label\": \"dog\"}]");
    assert_true(grade(&input) == 0);
    input.frame = (struct strata_box_frame){.gold = STRATA_COORDINATES_RELATIVE,
                                            .answer = STRATA_COORDINATES_RESIZED,
                                            .resized_width = 280,
                                            .resized_height = 140};
    assert_true(fabs(grade(&input) - 1) < 1e-12);
    input.frame.resized_width = 0;
    assert_int_equal(strata_verify(&verdict, &input, STRATA_VERIFY_STRICT, &error), STRATA_ERR_USAGE);
    input.frame = (struct strata_box_frame){.gold = STRATA_COORDINATES_RELATIVE};
    assert_int_equal(strata_verify(&verdict, &input, STRATA_VERIFY_STRICT, &error), STRATA_ERR_USAGE);
    strata_verdict_free(&verdict);
}

static void test_detection_reward_of_v_triune(void **state) {
    (void)state;
    assert_true(strata_detection_threshold(0) == 0.85 && strata_detection_threshold(0.1) == 0.95);
    assert_true(strata_detection_threshold(0.2499) == 0.95 && strata_detection_threshold(0.25) == 0.99);
    struct strata_arena arena;
    struct strata_boxes gold, answer;
    strata_arena_init(&arena);
    assert_true(strata_boxes_parse(&gold, &arena, strata_span_of("[[0,0,100,100],[200,200,300,300]]")));
    assert_true(strata_boxes_parse(&answer, &arena, strata_span_of("[[0,0,100,90]]")));
    /* one of two found with IoU 0.9: 0.7*0.45 + 0.3*(1-0.25), times 0.6 for one box too few */
    assert_true(fabs(strata_detection_reward(&gold, &answer, 0.85, &arena) - 0.6 * (0.7 * 0.45 + 0.3 * 0.75)) < 1e-12);
    assert_true(fabs(strata_detection_reward(&gold, &answer, 0.95, &arena)) < 1e-12);
    strata_arena_free(&arena);
}

static double reward_of(const char *name, const char *completion, size_t tokens) {
    struct strata_reward_term term;
    struct strata_error error;
    struct strata_verify_input input = input_of("math", "5", completion);
    struct strata_reward_input reward = {.answer = &input, .tokens = tokens};
    struct strata_reward_value value;
    double total;
    bool applicable;
    assert_int_equal(strata_reward_term_parse(&term, name, &error), 0);
    term.limit = 100;
    term.buffer = 20;
    assert_int_equal(strata_reward(&total, &applicable, &value, NULL, &reward, &term, 1, false, &error), 0);
    assert_true(applicable);
    return total;
}

static void test_terms(void **state) {
    (void)state;
    assert_true(reward_of("accuracy", "<answer>5</answer>", 0) == 1);
    assert_true(reward_of("format", "<think>x</think>\n<answer>5</answer>", 0) == 1);
    assert_true(reward_of("format", "<think>x</think><answer>5</answer> more", 0) == 0);
    assert_true(reward_of("tags", "<think>x</think>5</answer>", 0) == 0.75);
    assert_true(reward_of("soft_overlong", "", 80) == 0 && reward_of("soft_overlong", "", 90) == -0.5);
    assert_true(reward_of("soft_overlong", "", 100) == -1 && reward_of("soft_overlong", "", 1000) == -1);
    assert_true(reward_of("repetition", "a b c d e", 0) == 0);
    assert_true(reward_of("repetition", "a b c a b c", 0) == -0.25);
    struct strata_reward_term term;
    struct strata_error error;
    assert_int_equal(strata_reward_term_parse(&term, "luck", &error), STRATA_ERR_USAGE);
}

static void test_not_applicable_is_not_zero(void **state) {
    (void)state;
    const struct strata_reward_term terms[] = {{.kind = STRATA_REWARD_ACCURACY, .weight = 1},
                                               {.kind = STRATA_REWARD_DETECTION, .weight = 1},
                                               {.kind = STRATA_REWARD_TAGS, .weight = 0.1}};
    struct strata_verify_input input = input_of("math", "  ", "<think>a</think><answer>5</answer>");
    struct strata_reward_input reward = {.answer = &input};
    struct strata_reward_value values[3];
    struct strata_error error;
    double total;
    bool applicable;
    assert_int_equal(strata_reward(&total, &applicable, values, NULL, &reward, terms, 3, false, &error), 0);
    assert_true(applicable && !values[0].applicable && !values[1].applicable && values[2].value == 1);
    assert_true(fabs(total - 0.1) < 1e-12);
    assert_int_equal(strata_reward(&total, &applicable, values, NULL, &reward, terms, 3, true, &error), 0);
    assert_true(fabs(total - 1) < 1e-12);
    assert_int_equal(strata_reward(&total, &applicable, values, NULL, &reward, terms, 2, true, &error), 0);
    assert_true(!applicable && total == 0);
}

static void test_custom_grader(void **state) {
    (void)state;
    struct strata_custom_grader *grader;
    struct strata_verdict verdict = {0};
    struct strata_error error;
    struct strata_verify_input input = input_of("math", "5", "five");
    assert_int_equal(strata_custom_start(&grader,
                                         "while read line; do echo '{\"score\": 0.75, \"reason\": \"told\"}'; done", 5,
                                         &error),
                     0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(strata_custom_grade(&verdict, grader, &input, &error), 0);
        assert_true(verdict.score == 0.75 && verdict.correct);
        assert_string_equal(strata_buffer_string(&verdict.reason), "told");
    }
    strata_custom_stop(grader);
    static const char *const failing[] = {
        "exit 3",     "read line; echo nonsense",           "read line; echo '{\"score\": 7}'", "read line; sleep 9",
        "kill -9 $$", "read line; echo '{\"score\": null}'"};
    for (size_t k = 0; k < sizeof failing / sizeof *failing; k++) {
        assert_int_equal(strata_custom_start(&grader, failing[k], 0.5, &error), 0);
        assert_int_equal(strata_custom_grade(&verdict, grader, &input, &error), STRATA_ERR_ENGINE);
        assert_int_equal(strata_custom_grade(&verdict, grader, &input, &error),
                         STRATA_ERR_ENGINE); /* it stays broken */
        strata_custom_stop(grader);
    }
    strata_verdict_free(&verdict);
}

static void count_bad(void *context, const struct strata_error *error) {
    (void)error;
    ++*(size_t *)context;
}

static void test_files(void **state) {
    (void)state;
    char path[] = "/tmp/strata-verify-XXXXXX", *lines = NULL;
    size_t size = 0, bad = 0, checked, unusable;
    int handle = mkstemp(path);
    assert_true(handle >= 0);
    close(handle);
    static const char text[] =
        "{\"solution\": \"5\", \"response\": \"\\\\boxed{5}\", \"id\": \"a\"}\n\n"
        "{\"solution\": \"\", \"completion\": \"5\"}\n"
        "{\"solution\": \"\\\\frac{1}{0}\", \"completion\": \"5\"}\n"
        "{\"solution\": \"F\", \"completion\": \"F\", \"question\": \"A. x\\nB. y\"}\nnot json\n";
    struct strata_error error;
    struct strata_verify_options options = {.mode = STRATA_VERIFY_STRICT};
    struct strata_verify_summary summary;
    assert_int_equal(strata_file_write(path, text, sizeof text - 1, &error), 0);
    assert_int_equal(strata_verify_stream(&summary, NULL, path, &options, NULL, NULL, &error), STRATA_ERR_INPUT);
    assert_non_null(strstr(error.where, ":3"));
    FILE *out = open_memstream(&lines, &size);
    assert_int_equal(strata_verify_stream(&summary, out, path, &options, count_bad, &bad, &error), 0);
    fclose(out);
    assert_int_equal(summary.graded, 3);
    assert_int_equal(summary.correct, 2);
    assert_int_equal(bad, 2);
    assert_non_null(
        strstr(lines, "\"id\": \"a\", \"score\": 1.0, \"correct\": true, \"kind\": \"math\", \"extracted\": \"5\""));
    free(lines);
    bad = 0;
    assert_int_equal(strata_verify_check_file(&checked, &unusable, path, &options, count_bad, &bad, &error), 0);
    assert_int_equal(checked, 4);
    assert_int_equal(unusable, 4); /* empty, 1/0, a choice that is not listed, no JSON */
    struct strata_buffer steps = {0};
    assert_int_equal(strata_verify_explain(&steps, path, 1, &options, &error), 0);
    assert_non_null(strstr(strata_buffer_string(&steps), "answer taken from the last box"));
    assert_int_equal(strata_verify_explain(&steps, path, 2, &options, &error), STRATA_ERR_USAGE);
    strata_buffer_free(&steps);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misses_and_extras_cost),
        cmocka_unit_test(test_coordinates_are_named_never_guessed),
        cmocka_unit_test(test_detection_reward_of_v_triune),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_not_applicable_is_not_zero),
        cmocka_unit_test(test_custom_grader),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
