/* What the native engine keeps between requests: features of images, and key/value pages of text prefixes. Neither
 * changes a bit of any result: features are a pure function of the pixels, and attention reduces over blocks at
 * absolute positions whether they were computed or shared. */
#ifndef STRATA_ENGINE_NATIVE_CACHE_H
#define STRATA_ENGINE_NATIVE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "data/image.h"
#include "model/key_value.h"

/* Features by image content, least recently used out first, at most `bytes` of them. */
struct feature_cache;
int feature_cache_create(struct feature_cache **out, size_t bytes, struct strata_error *err);
void feature_cache_destroy(struct feature_cache *cache);
void feature_cache_clear(struct feature_cache *cache); /* NULL: nothing to do */
struct strata_hash feature_cache_key(const struct strata_image *image);
/* Copies the features into embeds (count floats) when they are there. A NULL cache has nothing. */
bool feature_cache_get(struct feature_cache *cache, struct strata_hash key, float *embeds, size_t count);
/* Keeps a copy; without memory for it, or when it is larger than the cache, nothing is kept. */
void feature_cache_put(struct feature_cache *cache, struct strata_hash key, const float *embeds, size_t count);

/* Prefixes of prompts up to their first image: the system turn and the head of the user turn, shared by all samples. */
#define PREFIX_CACHE_ENTRIES 16
struct prefix_cache {
    struct prefix_entry {
        int32_t *ids; /* (count), owned; NULL: a free entry */
        size_t count, pages;
        struct strata_sequence sequence;
        uint64_t used;
    } entries[PREFIX_CACHE_ENTRIES];
    uint64_t clock;
};
/* Makes `sequence` (empty) start with the longest known prefix of ids[0..limit); returns its length, 0 for none. */
size_t prefix_cache_fork(struct prefix_cache *cache, struct strata_key_value *memory, struct strata_sequence *sequence,
                         const int32_t *ids, size_t limit);
bool prefix_cache_has(const struct prefix_cache *cache, const int32_t *ids, size_t count);
/* Keeps the first `count` tokens of a sequence in the least recently used entry. *reserved counts the pages held. */
void prefix_cache_put(struct prefix_cache *cache, struct strata_key_value *memory,
                      const struct strata_sequence *sequence, const int32_t *ids, size_t count, size_t *reserved);
/* Lets the least recently used prefix go; false when there is none. */
bool prefix_cache_evict(struct prefix_cache *cache, struct strata_key_value *memory, size_t *reserved);

#endif
