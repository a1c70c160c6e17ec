/* Allocation with checked sizes. Every count that comes from a file goes through these before it multiplies. */
#ifndef STRATA_BASE_MEMORY_H
#define STRATA_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "strata/error.h"

#define STRATA_ALIGNMENT 64 /* one cache line, one 512-bit register */

/* *out = a*b (a+b); false when it does not fit size_t. */
bool strata_mul_ok(size_t *out, size_t a, size_t b);
bool strata_add_ok(size_t *out, size_t a, size_t b);

/* count*size bytes; *out owns them (free with free()). Zeroed. count or size 0 gives a non-NULL pointer.
 * On failure *out is NULL and STRATA_ERR_MEMORY is returned, naming the size. */
int strata_alloc(void *out_pointer, size_t count, size_t size, struct strata_error *err);
/* The same, 64-byte aligned, contents undefined: callers that need zeros write them (first touch). */
int strata_alloc_aligned(void *out_pointer, size_t count, size_t size, struct strata_error *err);
/* Grows *pointer (a malloc'ed array of `size`-byte items, *capacity of them) to hold at least `need` items. */
int strata_grow(void *pointer, size_t *capacity, size_t need, size_t size, struct strata_error *err);
char *strata_strdup(const char *text); /* NULL when text is NULL or memory is out */

#endif
