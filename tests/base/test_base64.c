#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static void test_vectors_of_the_rfc(void **state) {
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct strata_buffer text = {0}, bytes = {0};
        strata_base64_encode(&text, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(strata_buffer_string(&text), pairs[i][1]);
        assert_int_equal(strata_base64_decode(&bytes, pairs[i][1], strlen(pairs[i][1]), NULL), 0);
        assert_string_equal(strata_buffer_string(&bytes), pairs[i][0]);
        strata_buffer_free(&text);
        strata_buffer_free(&bytes);
    }
}

static void test_all_lengths_come_back(void **state) {
    unsigned char in[3000];
    (void)state;
    for (size_t i = 0; i < sizeof in; i++) in[i] = (unsigned char)(i * 37 + i / 256);
    for (size_t length = 0; length < sizeof in; length += 97) {
        struct strata_buffer text = {0}, bytes = {0};
        strata_base64_encode(&text, in, length);
        assert_int_equal(strata_base64_decode(&bytes, strata_buffer_string(&text), text.length, NULL), 0);
        assert_int_equal(bytes.length, length);
        if (length) assert_memory_equal(bytes.data, in, length);
        strata_buffer_free(&text);
        strata_buffer_free(&bytes);
    }
}

static void test_what_is_no_base64(void **state) {
    struct strata_buffer out = {0};
    struct strata_error err = {0};
    (void)state;
    assert_int_equal(strata_base64_decode(&out, "aGVs\nbG8=", 9, &err), 0);
    assert_string_equal(strata_buffer_string(&out), "hello");
    assert_int_equal(strata_base64_decode(&out, "a*b", 3, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "offset 1"));
    strata_buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_the_rfc),
        cmocka_unit_test(test_all_lengths_come_back),
        cmocka_unit_test(test_what_is_no_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
