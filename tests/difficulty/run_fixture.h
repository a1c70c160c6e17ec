/* A data set of made-up samples and a scripted run over it, for the tests of the score run and of selection. */
#ifndef STRATA_TESTS_RUN_FIXTURE_H
#define STRATA_TESTS_RUN_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/image.h"
#include "difficulty/score.h"

struct fixture {
    char directory[128], data[192];
};

static inline void fixture_make(struct fixture *fixture, int records) {
    struct strata_buffer png = {0};
    uint8_t pixels[12 * 10 * 3];
    struct strata_image image = {.width = 12, .height = 10, .rgb = pixels};
    struct strata_atomic_file file;
    char path[192];
    static const char *const abilities[] = {"shape", "color", "presence"};
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/strata-test-%ld-XXXXXX", (long)getpid());
    assert_non_null(mkdtemp(fixture->directory));
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 7);
    assert_int_equal(strata_image_encode_png(&png, &image, NULL), 0);
    snprintf(path, sizeof path, "%s/image.png", fixture->directory);
    assert_int_equal(strata_file_write(path, png.data, png.length, NULL), 0);
    strata_buffer_free(&png);
    snprintf(fixture->data, sizeof fixture->data, "%s/data.jsonl", fixture->directory);
    assert_int_equal(strata_atomic_open(&file, fixture->data, NULL), 0);
    for (int i = 0; i < records; i++) {
        if (i % 50 == 49)
            fprintf(file.stream, "{\"question\": \"no image here\", \"solution\": \"blue\", \"ability\": \"%s\"}\n",
                    abilities[i % 3]);
        else
            fprintf(file.stream,
                    "{\"id\": \"r%05d\", \"messages\": [{\"role\": \"user\", \"content\": \"<image>what colour?\"}], "
                    "\"images\": [\"image.png\"], \"solution\": \"blue\", \"ability\": \"%s\", \"weight\": 0.1}\n",
                    i, abilities[i % 3]);
    }
    assert_int_equal(strata_atomic_commit(&file, NULL), 0);
}

static inline void fixture_remove(const struct fixture *fixture) {
    char command[192];
    snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
    assert_int_equal(system(command), 0);
}

/* "DIRECTORY/name", valid until the fourth call after this one. */
static inline const char *fixture_path(const struct fixture *fixture, const char *name) {
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", fixture->directory, name);
    return path;
}

static inline char *fixture_read(const struct fixture *fixture, const char *name) {
    struct strata_buffer text = {0};
    assert_int_equal(strata_file_read(&text, fixture_path(fixture, name), 0, NULL), 0);
    return text.data;
}

static inline void fixture_options(struct strata_score_options *options, const struct fixture *fixture,
                                   const char *out) {
    strata_score_options_default(options);
    options->data = fixture->data;
    options->out = out;
    options->seed = 42;
}

#define FIXTURE_SCRIPT 9 /* seed of the scripted engine */

static inline int fixture_score(struct strata_score_summary *summary, const struct strata_score_options *options,
                                size_t batch, struct strata_error *err) {
    struct strata_engine *engine;
    assert_int_equal(strata_engine_scripted(&engine, FIXTURE_SCRIPT, batch, NULL), 0);
    struct strata_error local = {0};
    int code = strata_score(summary, engine, options, err ? err : &local);
    strata_engine_destroy(engine);
    char line[1400];
    if (local.code) print_message("%s\n", strata_error_line(&local, line, sizeof line));
    return code;
}

#endif
