/* Memory for one grading: bump allocation, freed at once. The first bytes come from the caller's stack, so that short
 * answers allocate nothing. */
#ifndef STRATA_VERIFY_ARENA_H
#define STRATA_VERIFY_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#define STRATA_ARENA_LOCAL 4096
#define STRATA_ARENA_LIMIT ((size_t)64 << 20) /* no grading needs more: beyond it allocation fails */

struct strata_arena {
    struct strata_arena_block *blocks; /* on the heap, newest first */
    char *at, *end;
    size_t total;
    bool failed;    /* sticky: some allocation returned NULL */
    bool exhausted; /* sticky: because the grading asked for more than the limit, on every machine alike */
    _Alignas(16) char local[STRATA_ARENA_LOCAL];
};
void strata_arena_init(struct strata_arena *arena);
void strata_arena_free(struct strata_arena *arena);
/* 16-byte aligned, zeroed; NULL when memory or the limit is out. */
void *strata_arena_take(struct strata_arena *arena, size_t size);
void *strata_arena_copy(struct strata_arena *arena, const void *bytes, size_t size);

#endif
