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

int strata_hash_file(struct strata_hash *out, const char *path, struct strata_error *err) {
    struct strata_map map;
    int code = strata_map_open(&map, path, err);
    if (code) return code;
    *out = strata_hash_bytes(map.data, map.size);
    strata_map_close(&map);
    return 0;
}

void strata_hash_text(char out[33], struct strata_hash hash) {
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.high, (unsigned long long)hash.low);
}
