#include "base/hash.h"

#include <stdio.h>
#include <xxhash.h>

#include "base/file.h"

struct strata_hash strata_hash_bytes(const void *bytes, size_t length) {
    XXH128_hash_t hash = XXH3_128bits(bytes, length);
    return (struct strata_hash){.low = hash.low64, .high = hash.high64};
}

struct strata_hash strata_hash_combine(struct strata_hash hash, const void *bytes, size_t length) {
    struct strata_hash next = strata_hash_bytes(bytes, length);
    uint64_t chain[4] = {hash.low, hash.high, next.low, next.high};
    return strata_hash_bytes(chain, sizeof chain);
}

/* Piece by piece, each given back when it is read: a file may be larger than the memory. The same value as of the
 * whole. */
int strata_hash_file(struct strata_hash *out, const char *path, struct strata_error *err) {
    const size_t piece = (size_t)1 << 20;
    struct strata_map map;
    int code = strata_map_open(&map, path, err);
    if (code) return code;
    XXH3_state_t *state = XXH3_createState();
    if (state) {
        XXH3_128bits_reset(state);
        for (size_t at = 0; at < map.size; at += piece) {
            const size_t length = map.size - at < piece ? map.size - at : piece;
            XXH3_128bits_update(state, map.data + at, length);
            strata_map_release(&map, at, length);
        }
        XXH128_hash_t hash = XXH3_128bits_digest(state);
        *out = (struct strata_hash){.low = hash.low64, .high = hash.high64};
    } else {
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    XXH3_freeState(state);
    strata_map_close(&map);
    return code;
}

void strata_hash_text(char out[33], struct strata_hash hash) {
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}
