/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011), checked against the published vectors.
 * Every draw is a pure function of (run seed, sample id, purpose, indices): there is no stream and no state, so
 * results do not depend on threads, batch, order, restarts or the number of processes (contract 1). */
#ifndef STRATA_BASE_RANDOM_H
#define STRATA_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* out = Philox4x32-10(counter, key). */
void strata_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* What a random number is for. Values are part of the file format: never renumber. */
enum strata_purpose {
    STRATA_PURPOSE_MASK = 1,     /* PISM masks: indices (ratio tenth, draw) */
    STRATA_PURPOSE_TOKEN = 2,    /* sampling a token: indices (ratio tenth or attempt, draw), counter = token */
    STRATA_PURPOSE_SELECT = 3,   /* random subsets */
    STRATA_PURPOSE_ORDER = 4,    /* data order of an epoch */
    STRATA_PURPOSE_INIT = 5,     /* weights of a new model */
    STRATA_PURPOSE_SYNTH = 6,    /* the synthetic world */
    STRATA_PURPOSE_SCRIPTED = 7, /* the scripted engine */
    STRATA_PURPOSE_BOOTSTRAP = 8,
    STRATA_PURPOSE_CMAB = 9,     /* CMAB generations that sample */
    STRATA_PURPOSE_ROLLOUT = 10, /* GRPO rollouts */
    STRATA_PURPOSE_JUDGE = 11,   /* evaluation: a judge that cannot decide; indices (0, 0) */
    STRATA_PURPOSE_TEST = 255
};

/* Names one family of draws. Build it once, then ask for numbers by counter. */
struct strata_random {
    uint32_t key[2];
    uint32_t counter[2]; /* upper half of the Philox counter, derived from sample and indices */
};

/* sample_id: any bytes, hashed with XXH3-128; a and b: the indices of the purpose. */
struct strata_random strata_random_make(uint64_t seed, const char *sample_id, enum strata_purpose purpose, uint32_t a,
                                        uint32_t b);
uint32_t strata_random_u32(const struct strata_random *random, uint64_t index);
uint64_t strata_random_u64(const struct strata_random *random, uint64_t index);
/* Uniform in [0,1), 53 bits. */
double strata_random_uniform(const struct strata_random *random, uint64_t index);
/* Standard normal (Box-Muller on one Philox block). */
double strata_random_normal(const struct strata_random *random, uint64_t index);
/* Uniform integer in [0, bound), exact (no modulo bias), from number `index` of the family; bound >= 1. */
uint64_t strata_random_below(const struct strata_random *random, uint64_t index, uint64_t bound);
/* Fisher-Yates shuffle of items[0..count) (Durstenfeld, from the end), using indices 0..count-1. */
void strata_random_shuffle(const struct strata_random *random, uint64_t *items, size_t count);

#endif
