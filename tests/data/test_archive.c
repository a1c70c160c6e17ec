/* Images inside zip and tar archives: names of every kind of tar, archives beside the data, damaged archives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>
#include <zip.h>

#include "base/file.h"
#include "data/archive.h"
#include "data/image.h"

static char folder[] = "/tmp/strata-test-archive-XXXXXX";
static char path[512];

#define NAME60 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"
/* ustar splits such a name in two; GNU and pax write it before the member. */
#define LONG "x/" NAME60 "/" NAME60 ".png"

static const char *in_folder(const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *bytes, size_t length) {
    FILE *file = fopen(in_folder(name), "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static struct strata_buffer red, shape;

static void add_to_zip(zip_t *zip, const char *name, const struct strata_buffer *bytes, int method) {
    zip_source_t *source = zip_source_buffer(zip, bytes->data, bytes->length, 0);
    zip_int64_t index = zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8);
    assert_true(index >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)index, method, 0), 0);
}

static int setup(void **state) {
    (void)state;
    char command[1600];
    if (!mkdtemp(folder)) return -1;
    if (strata_file_read(&red, "tests/data/images/adam7_rgb_13x9.png", 0, NULL)) return -1;
    if (strata_file_read(&shape, "tests/data/cli/shape.png", 0, NULL)) return -1;
    snprintf(command, sizeof command,
             "cd %s && mkdir -p x/%s && cat >'x/\xc3\xbc \xe2\x98\x83.png' && cp x/*.png %s && : >x/empty.png && "
             "for kind in gnu pax ustar v7; do tar cf $kind.tar --format=$kind x 2>/dev/null; done; "
             "tar cf plain.tar ./x/*.png; mv x unpacked",
             folder, NAME60, LONG);
    FILE *pipe = popen(command, "w");
    if (!pipe) return -1;
    fwrite(shape.data, 1, shape.length, pipe);
    if (pclose(pipe)) return -1;
    int number;
    zip_t *zip = zip_open(in_folder("near.zip"), ZIP_CREATE | ZIP_TRUNCATE, &number);
    add_to_zip(zip, "near/a.png", &red, ZIP_CM_STORE);
    add_to_zip(zip, "sub/b.png", &shape, ZIP_CM_DEFLATE);
    return zip_close(zip);
}

static int teardown(void **state) {
    (void)state;
    char command[64];
    strata_buffer_free(&red);
    strata_buffer_free(&shape);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void check_member(const char *archive, const char *member, const struct strata_buffer *expected) {
    struct strata_archive *open;
    struct strata_buffer bytes = {0};
    struct strata_error err = {0};
    if (strata_archive_open(&open, in_folder(archive), &err)) fail_msg("%s: %s", archive, err.what);
    assert_true(strata_archive_has(open, member));
    for (int again = 0; again < 2; again++) {
        if (strata_archive_read(&bytes, open, member, 1 << 20, &err)) fail_msg("%s: %s", archive, err.what);
        assert_int_equal(bytes.length, expected->length);
        if (bytes.length) assert_memory_equal(bytes.data, expected->data, bytes.length);
    }
    assert_false(strata_archive_has(open, "x/none.png"));
    assert_int_equal(strata_archive_read(&bytes, open, "x/none.png", 1 << 20, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.where, "/x/none.png"));
    if (expected->length) {
        assert_int_equal(strata_archive_read(&bytes, open, member, expected->length - 1, &err), STRATA_ERR_INPUT);
        assert_non_null(strstr(err.what, "limit"));
    }
    strata_buffer_free(&bytes);
    strata_archive_release(open);
}

static void test_members(void **state) {
    (void)state;
    static const char *const tars[] = {"gnu.tar", "pax.tar", "ustar.tar", "plain.tar", "v7.tar"};
    const struct strata_buffer none = {0};
    for (size_t i = 0; i < 5; i++) {
        check_member(tars[i], "x/\xc3\xbc \xe2\x98\x83.png", &shape);
        check_member(tars[i], "./x/empty.png", &none);
        if (i < 3) check_member(tars[i], LONG, &shape);
    }
    check_member("near.zip", "near/a.png", &red);
    check_member("near.zip", "sub/b.png", &shape);
}

static void check_width(const struct strata_image_source *source, size_t width) {
    struct strata_image image;
    struct strata_error err = {0};
    if (strata_image_source_load(&image, source, &err)) fail_msg("%s: %s", err.where, err.what);
    assert_int_equal(image.width, width);
    strata_image_free(&image);
}

static void test_data_set(void **state) {
    (void)state;
    static const char records[] =
        "{\"id\": 1, \"question\": \"<image><image>q\", \"answer\": \"y\", \"images\": [\"near/a.png\", "
        "\"near/sub/b.png\"]}\n"
        "{\"id\": 2, \"question\": \"<image><image>q\", \"answer\": \"y\", \"images\": [\"near.zip/near/a.png\", "
        "\"pax.tar/x/\xc3\xbc \xe2\x98\x83.png\"]}\n"
        "{\"id\": 3, \"question\": \"<image><image>q\", \"answer\": \"y\", \"images\": [\"near.zip/none.png\", "
        "\"unpacked/none.png\"]}\n";
    const struct strata_dataset_options plain = {0};
    struct strata_dataset *dataset;
    struct strata_sample samples[3];
    bool got;
    put("data.jsonl", records, sizeof records - 1);
    assert_int_equal(strata_dataset_open(&dataset, path, &plain, NULL), 0);
    for (size_t i = 0; i < 3; i++) assert_int_equal(strata_dataset_next(dataset, &samples[i], &got, NULL), 0);
    strata_dataset_close(dataset); /* samples hold their archives */
    check_width(&samples[0].images[0], 13);
    check_width(&samples[0].images[1], 64);
    check_width(&samples[1].images[0], 13);
    check_width(&samples[1].images[1], 64);
    assert_non_null(strstr(samples[0].images[1].path, "/near.zip/sub/b.png"));
    assert_string_equal(samples[0].images[1].name, "near/sub/b.png");
    struct strata_image image;
    struct strata_error err = {0};
    assert_int_equal(strata_image_source_load(&image, &samples[2].images[0], &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.where, "near.zip/none.png"));
    assert_null(samples[2].images[1].archive);
    for (size_t i = 0; i < 3; i++) strata_sample_free(&samples[i]);
}

/* Opened and every known member read, or refused. */
static void try_archive(const char *name) {
    static const char *const members[] = {"x/\xc3\xbc \xe2\x98\x83.png", LONG, "near/a.png", "sub/b.png"};
    struct strata_archive *archive;
    struct strata_buffer bytes = {0};
    struct strata_error err = {0};
    if (strata_archive_open(&archive, in_folder(name), &err)) {
        assert_true(err.what[0] && err.where[0]);
        return;
    }
    for (size_t i = 0; i < 4; i++) (void)strata_archive_read(&bytes, archive, members[i], 1 << 20, NULL);
    strata_buffer_free(&bytes);
    strata_archive_release(archive);
}

static void test_damaged_archives(void **state) {
    (void)state;
    static const char *const names[] = {"gnu.tar", "pax.tar", "ustar.tar", "near.zip"};
    for (size_t n = 0; n < 4; n++) {
        struct strata_buffer whole = {0};
        const char *broken = n == 3 ? "broken.zip" : "broken.tar";
        assert_int_equal(strata_file_read(&whole, in_folder(names[n]), 0, NULL), 0);
        for (size_t cut = 0; cut < whole.length; cut += 331) {
            put(broken, whole.data, cut);
            try_archive(broken);
        }
        for (size_t at = 0; at < whole.length; at += 37) {
            whole.data[at] = (char)(whole.data[at] ^ (1 << at % 8));
            put(broken, whole.data, whole.length);
            try_archive(broken);
            whole.data[at] = (char)(whole.data[at] ^ (1 << at % 8));
        }
        strata_buffer_free(&whole);
    }
    /* A picture that is not what the zip's checksum says is no picture. */
    struct strata_buffer whole = {0};
    struct strata_archive *archive;
    struct strata_buffer bytes = {0};
    struct strata_error err = {0};
    assert_int_equal(strata_file_read(&whole, in_folder("near.zip"), 0, NULL), 0);
    whole.data[100] ^= 1; /* inside near/a.png, which is stored */
    put("broken.zip", whole.data, whole.length);
    assert_int_equal(strata_archive_open(&archive, path, NULL), 0);
    assert_int_equal(strata_archive_read(&bytes, archive, "near/a.png", 1 << 20, &err), STRATA_ERR_IO);
    assert_non_null(strstr(err.what, "damaged"));
    strata_archive_release(archive);
    strata_buffer_free(&whole);
    strata_buffer_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_data_set),
        cmocka_unit_test(test_damaged_archives),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
