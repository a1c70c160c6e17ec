#include "base/huge_pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

#define HUGE_PAGE ((size_t)2 << 20)

void strata_mark_huge(void *block, size_t bytes) {
#ifdef MADV_HUGEPAGE
    /* Whole large pages only: a part of one at the end would be filled to the next border. Refusal does no harm. */
    const size_t before = (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
    if (bytes >= before + HUGE_PAGE)
        madvise((char *)block + before, (bytes - before) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

int strata_alloc_huge(void *out_pointer, size_t bytes, struct strata_error *err) {
    if (bytes < HUGE_PAGE) return strata_alloc_aligned(out_pointer, bytes, 1, err);
    void *block = NULL;
    const int failed = posix_memalign(&block, HUGE_PAGE, bytes);
    if (failed) block = NULL;
    memcpy(out_pointer, &block, sizeof block);
    if (failed) return strata_fail(err, STRATA_ERR_MEMORY, "cannot allocate %zu bytes", bytes);
    strata_mark_huge(block, bytes);
    return STRATA_OK;
}
