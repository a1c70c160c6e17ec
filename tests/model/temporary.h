/* A temporary directory as the group state of a cmocka program, removed at the end; and the shared golden data. */
#ifndef STRATA_TESTS_MODEL_TEMPORARY_H
#define STRATA_TESTS_MODEL_TEMPORARY_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

static inline int temporary_setup(void **state) {
    const char *base = getenv("TMPDIR");
    char path[256];
    snprintf(path, sizeof path, "%s/strata-test-XXXXXX", base ? base : "/tmp");
    *state = mkdtemp(path) ? strdup(path) : NULL;
    return *state ? 0 : -1;
}

static inline int temporary_remove(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}

static inline int temporary_teardown(void **state) {
    nftw(*state, temporary_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return 0;
}

static inline void temporary_path(char *out, size_t size, const char *directory, const char *name) {
    snprintf(out, size, "%s/%s", directory, name);
}

/* Path of a file under STRATA_SHARED (default ../shared); false, with the reason printed, where it is absent. */
static inline bool shared_path(char *out, size_t size, const char *name) {
    const char *shared = getenv("STRATA_SHARED");
    snprintf(out, size, "%s/%s", shared ? shared : "../shared", name);
    if (strata_file_exists(out) || strata_is_directory(out)) return true;
    printf("skipped: %s is not here (set STRATA_SHARED)\n", out);
    return false;
}

#endif
