/* Large blocks on large pages, where the system gives them: reading 256 MB of weights once goes 15-20 % faster
 * (perf/RESULTS.md). A system without them gives small ones. */
#ifndef STRATA_BASE_HUGE_PAGES_H
#define STRATA_BASE_HUGE_PAGES_H

#include <stddef.h>

#include "strata/error.h"

/* bytes (> 0), contents undefined; free with free(). 64-byte aligned; from 2 MB on, aligned to large pages and marked
 * for them. On failure *out is NULL and STRATA_ERR_MEMORY is returned, naming the size. */
int strata_alloc_huge(void *out_pointer, size_t bytes, struct strata_error *err);
/* Marks the large pages that lie within a block of any kind. */
void strata_mark_huge(void *block, size_t bytes);

#endif
