#include "base/random.h"

#include <string.h>

#include "base/elementary.h"
#include "base/hash.h"

/* Random123's constants (philox.h). */
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

void strata_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * c0, p1 = (uint64_t)PHILOX_M1 * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

struct strata_random strata_random_make(uint64_t seed, const char *sample_id, enum strata_purpose purpose, uint32_t a,
                                        uint32_t b) {
    struct strata_hash hash = strata_hash_bytes(sample_id, strlen(sample_id));
    uint64_t name[5] = {seed, hash.low, hash.high, (uint64_t)purpose, (uint64_t)a << 32 | b};
    struct strata_hash family = strata_hash_bytes(name, sizeof name);
    return (struct strata_random){.key = {(uint32_t)family.low, (uint32_t)(family.low >> 32)},
                                  .counter = {(uint32_t)family.high, (uint32_t)(family.high >> 32)}};
}

static void block(uint32_t out[4], const struct strata_random *random, uint64_t index) {
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), random->counter[0], random->counter[1]};
    strata_philox(out, counter, random->key);
}

uint32_t strata_random_u32(const struct strata_random *random, uint64_t index) {
    uint32_t words[4];
    block(words, random, index);
    return words[0];
}

uint64_t strata_random_u64(const struct strata_random *random, uint64_t index) {
    uint32_t words[4];
    block(words, random, index);
    return (uint64_t)words[1] << 32 | words[0];
}

double strata_random_uniform(const struct strata_random *random, uint64_t index) {
    return (double)(strata_random_u64(random, index) >> 11) * 0x1p-53;
}

double strata_random_normal(const struct strata_random *random, uint64_t index) {
    uint32_t words[4];
    block(words, random, index);
    uint64_t first = ((uint64_t)words[1] << 32 | words[0]) >> 11, second = ((uint64_t)words[3] << 32 | words[2]) >> 11;
    double radius_uniform = ((double)first + 0.5) * 0x1p-53; /* never 0 */
    double sine, cosine;
    strata_sincos(&sine, &cosine, 6.283185307179586476925 * ((double)second * 0x1p-53));
    return __builtin_sqrt(-2.0 * strata_log(radius_uniform)) * cosine;
}

__extension__ typedef unsigned __int128 wide_unsigned;

uint64_t strata_random_below(const struct strata_random *random, uint64_t index, uint64_t bound) {
    /* Lemire's multiply-shift; the rare rejected value is replaced from the same block's other half, then by blocks
     * of a counter range of its own, so that the result stays a pure function of (family, index, bound). */
    uint64_t threshold = (0 - bound) % bound;
    for (uint64_t attempt = 0;; attempt++) {
        uint32_t words[4];
        block(words, random, index + (attempt << 48));
        for (int half = 0; half < 2; half++) {
            uint64_t word = (uint64_t)words[2 * half + 1] << 32 | words[2 * half];
            wide_unsigned product = (wide_unsigned)word * bound;
            if ((uint64_t)product >= threshold) return (uint64_t)(product >> 64);
        }
    }
}

void strata_random_shuffle(const struct strata_random *random, uint64_t *items, size_t count) {
    for (size_t last = count; last > 1; last--) {
        uint64_t chosen = strata_random_below(random, last - 1, last);
        uint64_t swap = items[last - 1];
        items[last - 1] = items[chosen];
        items[chosen] = swap;
    }
}
