/* Adversarial golds and answers: a verdict within the bounds of steps, and no crash. Time is printed, and asserted with
 * a wide margin only: it is steps that are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "verify/verify.h"

#define SECONDS 0.5 /* ten times what is promised: the processor may be slow or a sanitizer at work */

static const enum strata_verify_mode modes[] = {
    STRATA_VERIFY_STRICT, STRATA_VERIFY_MATH_VERIFY, STRATA_VERIFY_EXTERNAL_R1V_ACC,
    STRATA_VERIFY_VISUAL_PERCEPTION_ACCURACY, STRATA_VERIFY_VISUAL_REASONING_ACCURACY};

/* Of this thread: the machine may be busy with other things. */
static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double worst;
static size_t too_slow;

static void grade(const char *ability, const char *solution, const char *completion, size_t length, const char *name) {
    struct strata_verdict verdict = {0};
    struct strata_error error;
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        struct strata_verify_input input = {.solution = solution,
                                            .solution_length = strlen(solution),
                                            .completion = completion,
                                            .completion_length = length,
                                            .ability = ability};
        double start = cpu_seconds();
        int rc = strata_verify(&verdict, &input, modes[k], &error);
        double taken = cpu_seconds() - start;
        assert_true(rc == 0 || rc == STRATA_ERR_INPUT);
        if (taken > worst) {
            worst = taken;
            print_message("%.1f ms: %s in %s\n", 1000 * taken, name, strata_verify_mode_name(modes[k]));
        }
        if (taken > SECONDS) {
            print_error("%s in %s took %g s\n", name, strata_verify_mode_name(modes[k]), taken);
            too_slow++;
        }
    }
    strata_verdict_free(&verdict);
}

static void repeat(const char *ability, const char *solution, const char *prefix, const char *part, size_t bytes,
                   const char *suffix) {
    struct strata_buffer text = {0};
    strata_buffer_text(&text, prefix);
    while (text.length < bytes) strata_buffer_text(&text, part);
    strata_buffer_text(&text, suffix);
    assert_false(text.failed);
    grade(ability, solution, text.data, text.length, part);
    strata_buffer_free(&text);
}

static void test_towers(void **state) {
    (void)state;
    static const char *const answers[] = {"\\boxed{9^9^9^9}",
                                          "9^9^9^9",
                                          "$9^{9^{9^{9}}}$",
                                          "\\boxed{10^{10^{10}}}",
                                          "\\boxed{100000!}",
                                          "\\boxed{((((99!)!)!)!)}",
                                          "\\boxed{2^{2^{2^{2^{2^{2}}}}}}",
                                          "\\boxed{\\binom{100000}{50000}}",
                                          "\\boxed{\\sum_{k=1}^{1000000} k^k}",
                                          "\\boxed{\\sin(10^{10^{8}})}",
                                          "\\boxed{e^{e^{e^{e^{e}}}}}",
                                          "\\boxed{\\int_0^1 \\int_0^1 \\int_0^1 x dx dy dz}",
                                          "\\boxed{1/0}",
                                          "\\boxed{0^{-1}}",
                                          "\\boxed{\\sum_{a=1}^{999} \\sum_{b=1}^{999} \\sum_{c=1}^{999} abc}",
                                          "\\boxed{\\lim_{x\\to\\infty} x^{x^{x}}}",
                                          "\\boxed{1e999999}",
                                          "\\boxed{0.5^{99999999999}}",
                                          "\\boxed{\\log_{2}(3^{100000})}",
                                          "\\boxed{(1+10^{-9})^{10^{9}}}"};
    for (size_t k = 0; k < sizeof answers / sizeof *answers; k++) {
        grade(NULL, "5", answers[k], strlen(answers[k]), answers[k]);
        grade(NULL, answers[k], "\\boxed{5}", 9, answers[k]);
        grade(NULL, answers[k], answers[k], strlen(answers[k]), answers[k]);
        grade(NULL, "\\boxed{x^2 + \\pi}", answers[k], strlen(answers[k]), answers[k]);
    }
    assert_int_equal(too_slow, 0);
}

static void test_floods(void **state) {
    (void)state;
    static const char *const parts[] = {"{",
                                        "}",
                                        "(",
                                        ")",
                                        "[",
                                        "\\boxed{",
                                        "\\boxed{1",
                                        "$",
                                        "$1$ ",
                                        "$1",
                                        "\\(",
                                        "\\[",
                                        "\\[1",
                                        "\\(1",
                                        "<answer>",
                                        "</answer>",
                                        "<think>",
                                        "</think>",
                                        "answer ",
                                        "answer: ",
                                        "final answer ",
                                        "final answer is 1 ",
                                        "1,",
                                        "1+",
                                        "1 ",
                                        "1.",
                                        "-",
                                        "=",
                                        "\\frac{",
                                        "\\frac",
                                        "\\sqrt{",
                                        "\\sqrt",
                                        "\\left(",
                                        "^(",
                                        "^{2",
                                        "x^",
                                        "|",
                                        "|x",
                                        " ",
                                        "\n",
                                        "\\text{",
                                        "sqrt(",
                                        "f(",
                                        "f(x)+",
                                        "a",
                                        "\xef\xbc\x91",
                                        "\\begin{pmatrix}",
                                        "{1,",
                                        "\"",
                                        "'",
                                        "[[",
                                        "[{'bbox_2d':[1,2,3,4],'label':'a'},",
                                        "one hundred ",
                                        "\\pm",
                                        "\\cup[1,2]",
                                        "x=",
                                        "1<",
                                        "1:",
                                        "\\sin",
                                        "\\log_",
                                        "!",
                                        "e^",
                                        "\\int",
                                        "\\sum_{k=1}^{9}",
                                        "\\lim_{x\\to 1}",
                                        "%",
                                        "1%",
                                        "I hope",
                                        "\xc3\x97",
                                        "\\\\"};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        repeat(NULL, "5", "", parts[k], 100000, "");
        repeat(NULL, "5", "\\boxed{", parts[k], 100000, "}");
        repeat(NULL, "5", "\\boxed{", parts[k], 1500, "}");
        repeat(NULL, "x+1", "\\boxed{", parts[k], 900, "1}");
        repeat("ocr", "a long text that is read", "<answer>", parts[k], 100000, "</answer>");
        repeat("cv_detection", "[{\"bbox_2d\": [1,2,3,4], \"label\": \"a\"}]", "<answer>[", parts[k], 100000,
               "]</answer>");
        repeat("counting", "5", "<answer>", parts[k], 100000, "</answer>");
    }
    assert_int_equal(too_slow, 0);
}

static void test_long_texts_against_each_other(void **state) {
    (void)state;
    struct strata_buffer a = {0}, b = {0};
    for (int i = 0; i < 6000; i++) {
        strata_buffer_printf(&a, "%c", 'a' + (i * 7) % 26);
        strata_buffer_printf(&b, "%c", 'a' + (i * 11) % 25);
    }
    grade("ocr", a.data, b.data, b.length, "6,000 letters against others");
    strata_buffer_free(&a);
    strata_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_towers),
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_long_texts_against_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
