/* Which ISA level runs, and what every call carries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/huge_pages.h"
#include "base/memory.h"
#include "kernels/level.h"

#define SCRATCH_BYTES ((size_t)1 << 20) /* a worker's share of a core's L2 */
#define SHARED_BYTES  ((size_t)8 << 20) /* a call with more rows takes them in parts of this size */

/* Best first. */
static const struct strata_level *const levels[] = {
#if defined(__x86_64__)
    &strata_level_avx512bf16,
    &strata_level_avx512,
    &strata_level_avx2,
#endif
    &strata_level_plain,
};
#define LEVEL_COUNT (sizeof levels / sizeof *levels)

static bool runs_here(const struct strata_level *level) {
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (level == &strata_level_avx2) return avx2;
    if (level == &strata_level_avx512) return avx512;
    if (level == &strata_level_avx512bf16)
        return avx512 && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bf16");
#endif
    return level == &strata_level_plain;
}

int strata_level_choose(const struct strata_level **out, const char *isa, struct strata_error *err) {
    const bool automatic = !isa || strcmp(isa, "auto") == 0;
    char here[64] = ""; /* room for ", " and every name */
    size_t length = 0;
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (!runs_here(levels[i])) continue;
        if (automatic || strcmp(isa, levels[i]->name) == 0) {
            *out = levels[i];
            return STRATA_OK;
        }
        length += (size_t)snprintf(here + length, sizeof here - length, ", %s", levels[i]->name);
    }
    *out = NULL;
    strata_fail(err, STRATA_ERR_USAGE, "no ISA level \"%s\" on this CPU", isa);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "it has auto%s", here);
}

const char *strata_level_name(const struct strata_level *level) {
    return level->name;
}

bool strata_level_available(const char *isa) {
    const struct strata_level *level;
    return strata_level_choose(&level, isa, NULL) == STRATA_OK;
}

int strata_compute_create(struct strata_compute *out, const struct strata_level *level, enum strata_compute_type type,
                          struct strata_threads *threads, struct strata_error *err) {
    *out = (struct strata_compute){
        .level = level, .type = type, .threads = threads, .scratch_bytes = SCRATCH_BYTES, .shared_bytes = SHARED_BYTES};
    const size_t workers = strata_threads_count(threads);
    int status = strata_alloc(&out->scratch, workers, sizeof *out->scratch, err);
    for (; status == STRATA_OK && out->workers < workers; out->workers += status == STRATA_OK)
        status = strata_alloc_aligned(&out->scratch[out->workers], 1, SCRATCH_BYTES, err);
    if (status == STRATA_OK) status = strata_alloc_huge(&out->shared, SHARED_BYTES, err);
    if (status != STRATA_OK) strata_compute_free(out);
    return status;
}

void strata_compute_free(struct strata_compute *compute) {
    for (size_t i = 0; compute->scratch && i < compute->workers; i++) free(compute->scratch[i]);
    free(compute->scratch);
    free(compute->shared);
    *compute = (struct strata_compute){0};
}
