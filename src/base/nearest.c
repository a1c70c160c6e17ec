#include "base/nearest.h"

#include <stdint.h>
#include <string.h>

#define LONGEST_NAME 40

/* Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours. */
static size_t distance(const char *a, const char *b) {
    size_t rows = strlen(a), columns = strlen(b);
    if (rows > LONGEST_NAME || columns > LONGEST_NAME) return SIZE_MAX;
    size_t table[LONGEST_NAME + 1][LONGEST_NAME + 1];
    for (size_t i = 0; i <= rows; i++) table[i][0] = i;
    for (size_t j = 0; j <= columns; j++) table[0][j] = j;
    for (size_t i = 1; i <= rows; i++)
        for (size_t j = 1; j <= columns; j++) {
            size_t best = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (table[i - 1][j] + 1 < best) best = table[i - 1][j] + 1;
            if (table[i][j - 1] + 1 < best) best = table[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && table[i - 2][j - 2] + 1 < best)
                best = table[i - 2][j - 2] + 1;
            table[i][j] = best;
        }
    return table[rows][columns];
}

const char *strata_nearest(const char *word, const void *names, size_t count, size_t stride) {
    const char *nearest = NULL;
    size_t length = strlen(word), best = length / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        memcpy(&name, (const char *)names + i * stride, sizeof name);
        if (!name) continue;
        size_t d = distance(word, name);
        /* The beginning of a longer name is near whatever the number of letters left out. */
        if (length >= 3 && strncmp(word, name, length) == 0) d = 1;
        if (d < best || (d == best && d > 0 && !nearest)) {
            best = d;
            nearest = name;
        }
    }
    return nearest;
}
