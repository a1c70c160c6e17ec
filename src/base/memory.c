#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool strata_mul_ok(size_t *out, size_t a, size_t b) {
    return !__builtin_mul_overflow(a, b, out);
}

bool strata_add_ok(size_t *out, size_t a, size_t b) {
    return !__builtin_add_overflow(a, b, out);
}

static int too_large(size_t count, size_t size, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_MEMORY, "cannot allocate %zu items of %zu bytes", count, size);
    return strata_fail_hint(err, STRATA_ERR_MEMORY, "out of memory, or a size in the input is absurd");
}

int strata_alloc(void *out_pointer, size_t count, size_t size, struct strata_error *err) {
    void **out = out_pointer;
    *out = calloc(count ? count : 1, size ? size : 1);
    return *out ? 0 : too_large(count, size, err);
}

int strata_alloc_aligned(void *out_pointer, size_t count, size_t size, struct strata_error *err) {
    void **out = out_pointer;
    size_t bytes;
    *out = NULL;
    if (!strata_mul_ok(&bytes, count, size) || bytes > SIZE_MAX - STRATA_ALIGNMENT) return too_large(count, size, err);
    bytes = (bytes + STRATA_ALIGNMENT - 1) / STRATA_ALIGNMENT * STRATA_ALIGNMENT;
    *out = aligned_alloc(STRATA_ALIGNMENT, bytes ? bytes : STRATA_ALIGNMENT);
    return *out ? 0 : too_large(count, size, err);
}

int strata_grow(void *pointer, size_t *capacity, size_t need, size_t size, struct strata_error *err) {
    void **items = pointer;
    if (need <= *capacity) return 0;
    size_t larger = *capacity < 8 ? 8 : *capacity;
    while (larger < need) {
        if (!strata_mul_ok(&larger, larger, 2)) return too_large(need, size, err);
    }
    size_t bytes;
    if (!strata_mul_ok(&bytes, larger, size)) return too_large(need, size, err);
    void *grown = realloc(*items, bytes);
    if (!grown) return too_large(need, size, err);
    *items = grown;
    *capacity = larger;
    return 0;
}

char *strata_strdup(const char *text) {
    if (!text) return NULL;
    size_t length = strlen(text) + 1;
    char *copy = malloc(length);
    if (copy) memcpy(copy, text, length);
    return copy;
}
