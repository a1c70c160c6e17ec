/* The golden models for the tests of this room: where they are, and a printed reason where they are not. */
#ifndef STRATA_TESTS_TRAIN_GOLDEN_H
#define STRATA_TESTS_TRAIN_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

static inline const char *golden_shared(void) {
    const char *shared = getenv("STRATA_SHARED");
    return shared ? shared : "../shared";
}

/* "<shared>/golden/models/NAME", owned by the caller; NULL, with the reason printed, where the set is not there. */
static inline char *golden_model(const char *name) {
    char *path = malloc(4096);
    if (!path) return NULL;
    snprintf(path, 4096, "%s/golden/models/%s", golden_shared(), name);
    if (strata_is_directory(path)) return path;
    printf("skipped: there is no %s\n", path);
    free(path);
    return NULL;
}

#endif
