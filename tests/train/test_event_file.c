/* TFRecord frames and the protobuf inside, read back byte by byte; TensorBoard itself where it is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/file.h"
#include "train/event_file.h"
#include "train/temporary_train.h"

static uint64_t little_endian(const unsigned char *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint32_t masked(const void *bytes, size_t length) {
    uint32_t crc = strata_crc32c(bytes, length);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* RFC 3720, B.4 */
static void test_crc(void **state) {
    unsigned char zeros[32] = {0}, ones[32];
    (void)state;
    memset(ones, 0xff, sizeof ones);
    assert_int_equal(strata_crc32c("123456789", 9), 0xe3069283u);
    assert_int_equal(strata_crc32c(zeros, 32), 0x8a9136aau);
    assert_int_equal(strata_crc32c(ones, 32), 0x62a8ab43u);
}

static void test_frames(void **state) {
    static const char *const tags[] = {"loss", "time/step"};
    static const double values[] = {0.5, 2.0};
    struct strata_event_file file;
    struct strata_buffer bytes = {0};
    char *directory = temporary_directory();
    (void)state;
    assert_int_equal(strata_event_file_open(&file, directory, NULL), 0);
    assert_int_equal(strata_event_file_write(&file, 300, tags, values, 2, NULL), 0);
    assert_int_equal(strata_event_file_restart(&file, 301, NULL), 0);
    assert_int_equal(strata_file_read(&bytes, file.path, 0, NULL), 0);
    strata_event_file_close(&file);
    const unsigned char *at = (const unsigned char *)bytes.data, *end = at + bytes.length;
    size_t records = 0;
    for (; at < end; records++) {
        size_t length = (size_t)little_endian(at, 8);
        assert_true(length + 16 <= (size_t)(end - at));
        assert_int_equal(little_endian(at + 8, 4), masked(at, 8));
        assert_int_equal(little_endian(at + 12 + length, 4), masked(at + 12, length));
        const unsigned char *event = at + 12;
        assert_int_equal(event[0], 0x09); /* wall_time, 64 bits */
        assert_int_equal(event[9], 0x10); /* step, varint */
        if (records == 0)
            assert_memory_equal(event + 11,
                                "\x1a\x0d"
                                "brain.Event:2",
                                15);
        if (records == 1) {
            assert_memory_equal(event + 10, "\xac\x02", 2); /* 300 */
            assert_memory_equal(event + 12,
                                "\x2a\x1f"
                                "\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f",
                                15);
            assert_memory_equal(event + 27, "\x0a\x10\x0a\x09time/step\x15\x00\x00\x00\x40", 18);
        }
        if (records == 2) assert_memory_equal(event + 12, "\x3a\x02\x08\x01", 4);
        at += 16 + length;
    }
    assert_int_equal(records, 3);
    strata_buffer_free(&bytes);
    remove_directory(directory);
}

/* The real reader, where there is one. */
static void test_tensorboard(void **state) {
    static const char *const tags[] = {"loss"};
    static const double values[] = {0.25};
    struct strata_event_file file;
    char *directory = temporary_directory(), command[8192];
    (void)state;
    if (system("python3 -c 'import tensorboard' >/dev/null 2>&1") != 0) {
        printf("skipped: python3 has no tensorboard\n");
        remove_directory(directory);
        return;
    }
    assert_int_equal(strata_event_file_open(&file, directory, NULL), 0);
    assert_int_equal(strata_event_file_write(&file, 7, tags, values, 1, NULL), 0);
    strata_event_file_close(&file);
    snprintf(command, sizeof command,
             "python3 -c 'from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as E; "
             "e = E(\"%s\"); e.Reload(); s = e.Scalars(\"loss\"); assert (s[0].step, s[0].value) == (7, 0.25)'",
             directory);
    assert_int_equal(system(command), 0);
    remove_directory(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc), cmocka_unit_test(test_frames),
                                       cmocka_unit_test(test_tensorboard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
