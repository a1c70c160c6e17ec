/* "Did you mean": the nearest of some names to a misspelt word. */
#ifndef STRATA_BASE_NEAREST_H
#define STRATA_BASE_NEAREST_H

#include <stddef.h>

/* The nearest of count names (stride bytes apart, each a `const char *` first member) to `word`, or NULL when none is
 * near: edit distance with transpositions, at most a third of the word. */
const char *strata_nearest(const char *word, const void *names, size_t count, size_t stride);

#endif
