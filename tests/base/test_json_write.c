/* JSON out: what is written reads back equal, doubles in their shortest form, one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/random.h"

static void check(const char *in, const char *out) {
    json_t *value;
    assert_int_equal(strata_json_parse(&value, in, strlen(in), "test", 1, NULL), 0);
    char *line = strata_json_line(value);
    assert_string_equal(line, out);
    free(line);
    json_decref(value);
}

static void test_texts(void **state) {
    (void)state;
    check("{\"b\":[1,2.50,{}],\"a\":null}", "{\"b\": [1, 2.5, {}], \"a\": null}");
    check("[0.1, 0.30000000000000004, 1e3, 1.0, -0.0, 1e-7, 123456789012345680000.0]",
          "[0.1, 0.30000000000000004, 1000.0, 1.0, -0.0, 1e-07, 1.2345678901234568e+20]");
    check("[true, false, [], \"\"]", "[true, false, [], \"\"]");
    check("\"\\u0000\\u001f\\u007f\\\"\\\\\\/\\n\\t\\r\\b \\u00e9 \\ud83d\\ude00\"",
          "\"\\u0000\\u001f\\u007f\\\"\\\\/\\n\\t\\r\\u0008 \xc3\xa9 \xf0\x9f\x98\x80\"");
    check("[9223372036854775807, -9223372036854775808]", "[9223372036854775807, -9223372036854775808]");
}

static void test_doubles_round_trip(void **state) {
    (void)state;
    struct strata_random random = strata_random_make(1, "doubles", STRATA_PURPOSE_TEST, 0, 0);
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t bits = strata_random_u64(&random, i);
        double value;
        memcpy(&value, &bits, sizeof value);
        json_t *number = json_real(value), *again;
        if (!number) continue; /* not finite */
        char *line = strata_json_line(number);
        assert_int_equal(strata_json_parse(&again, line, strlen(line), "test", 1, NULL), 0);
        double back = json_real_value(again);
        assert_memory_equal(&back, &value, sizeof value);
        free(line);
        json_decref(number);
        json_decref(again);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_doubles_round_trip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
