/* Temporary directories for the tests of this room. */
#ifndef STRATA_TESTS_TRAIN_TEMPORARY_H
#define STRATA_TESTS_TRAIN_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>

/* A new directory, to be given to remove_directory. */
static inline char *temporary_directory(void) {
    const char *base = getenv("TMPDIR");
    char *path = malloc(4096);
    if (!path) abort();
    snprintf(path, 4096, "%s/strata-train-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path)) abort();
    return path;
}

static inline void remove_directory(char *path) {
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0) printf("could not remove %s\n", path);
    free(path);
}

#endif
