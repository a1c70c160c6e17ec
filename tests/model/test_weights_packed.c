/* The cache of packed weights: the same bits, and nothing that does not match is used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <unistd.h>

#include "model/small_config.h"
#include "model/temporary.h"
#include "model/weights.h"

static struct strata_model_config config; /* set in main */

static void save(const char *path, uint64_t seed) {
    struct strata_weights weights;
    assert_int_equal(strata_weights_init(&weights, &config, 0.02, seed, STRATA_WEIGHT_F32, NULL), 0);
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_F32, NULL), 0);
    strata_weights_free(&weights, &config);
}

static enum strata_packed load(struct strata_weights *weights, char identity[33], const char *cache, const char *path,
                               enum strata_weight_type type) {
    struct strata_safetensors *file;
    enum strata_packed packed = STRATA_PACKED_NOT_WRITTEN;
    assert_int_equal(strata_safetensors_open(&file, path, NULL), 0);
    assert_int_equal(strata_weights_load_packed(weights, identity, &packed, cache, &config, file, type, NULL, NULL), 0);
    strata_safetensors_close(file);
    return packed;
}

/* The weights of `path`, loaded without the cache, must be these to the last bit, padding included. */
static void expect_same(struct strata_weights *weights, const char *identity, const char *path,
                        enum strata_weight_type type) {
    struct strata_safetensors *file;
    struct strata_weights plain;
    struct strata_weight_row *a, *b;
    size_t count, same;
    char text[33];
    assert_int_equal(strata_safetensors_open(&file, path, NULL), 0);
    assert_int_equal(strata_weights_load(&plain, &config, file, type, NULL), 0);
    strata_safetensors_close(file);
    assert_int_equal(strata_weights_identity(text, &plain, &config, NULL), 0);
    assert_string_equal(text, identity);
    assert_int_equal(plain.packed_bytes, weights->packed_bytes);
    assert_int_equal(strata_weights_table(&a, &count, &config, &plain, NULL), 0);
    assert_int_equal(strata_weights_table(&b, &same, &config, weights, NULL), 0);
    assert_int_equal(count, same);
    for (size_t i = 0; i < count; i++) {
        if (a[i].matrix)
            assert_memory_equal(a[i].matrix->panels, b[i].matrix->panels, a[i].matrix->bytes);
        else
            assert_memory_equal(a[i].vector, b[i].vector, strata_weight_row_count(&a[i]) * sizeof(float));
    }
    free(a);
    free(b);
    strata_weights_free(&plain, &config);
}

static void expect(enum strata_packed wanted, const char *cache, const char *path, enum strata_weight_type type) {
    struct strata_weights weights;
    char identity[33];
    assert_int_equal(load(&weights, identity, cache, path, type), wanted);
    expect_same(&weights, identity, path, type);
    strata_weights_free(&weights, &config);
}

/* Files of the cache with this ending; the last one's path. */
static size_t files(char path[1024], const char *cache, const char *ending) {
    DIR *directory = opendir(cache);
    size_t count = 0;
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ending) != 0) continue;
        snprintf(path, 1024, "%s/%s", cache, entry->d_name);
        count++;
    }
    closedir(directory);
    return count;
}

static void maps_what_was_packed(void **state) {
    char model[512], cache[512], packed[1024];
    static const enum strata_weight_type types[] = {STRATA_WEIGHT_F32, STRATA_WEIGHT_BF16, STRATA_WEIGHT_INT8};
    temporary_path(model, sizeof model, *state, "model.safetensors");
    temporary_path(cache, sizeof cache, *state, "cache");
    save(model, 1);
    for (size_t i = 0; i < 3; i++) {
        expect(STRATA_PACKED_WRITTEN, cache, model, types[i]);
        expect(STRATA_PACKED_MAPPED, cache, model, types[i]);
        assert_int_equal(files(packed, cache, ".packed"), i + 1); /* each form has its own */
    }
    assert_int_equal(files(packed, cache, ".source"), 1);
    save(model, 2); /* another checkpoint at the same place */
    expect(STRATA_PACKED_WRITTEN, cache, model, STRATA_WEIGHT_BF16);
    save(model, 1); /* the first again, in a new file: known by its content */
    expect(STRATA_PACKED_MAPPED, cache, model, STRATA_WEIGHT_BF16);
}

static void replaces_what_does_not_match(void **state) {
    char model[512], cache[512], packed[1024];
    temporary_path(model, sizeof model, *state, "other.safetensors");
    temporary_path(cache, sizeof cache, *state, "other_cache");
    save(model, 3);
    expect(STRATA_PACKED_WRITTEN, cache, model, STRATA_WEIGHT_BF16);
    assert_int_equal(files(packed, cache, ".packed"), 1);
    struct strata_buffer whole = {0};
    assert_int_equal(strata_file_read(&whole, packed, 0, NULL), 0);
    const size_t places[] = {0, 17, 70, 4096, whole.length / 2, whole.length - 65};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        whole.data[places[i]] = (char)(whole.data[places[i]] ^ 4);
        assert_int_equal(strata_file_write(packed, whole.data, whole.length, NULL), 0);
        whole.data[places[i]] = (char)(whole.data[places[i]] ^ 4);
        expect(STRATA_PACKED_WRITTEN, cache, model, STRATA_WEIGHT_BF16);
    }
    const size_t lengths[] = {0, 100, 4096, whole.length - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(strata_file_write(packed, whole.data, lengths[i], NULL), 0);
        expect(STRATA_PACKED_WRITTEN, cache, model, STRATA_WEIGHT_BF16);
    }
    expect(STRATA_PACKED_MAPPED, cache, model, STRATA_WEIGHT_BF16);
    strata_buffer_free(&whole);
}

int main(void) {
    config = small_config(false);
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps_what_was_packed),
                                       cmocka_unit_test(replaces_what_does_not_match)};
    return cmocka_run_group_tests(tests, temporary_setup, temporary_teardown);
}
