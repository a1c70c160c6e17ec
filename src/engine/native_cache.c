#include "engine/native_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define BUCKETS 4096

struct feature {
    struct feature *chain;         /* next in the bucket */
    struct feature *newer, *older; /* in order of use */
    struct strata_hash key;
    size_t count;
    float embeds[];
};
struct feature_cache {
    struct feature *buckets[BUCKETS];
    struct feature *newest, *oldest;
    size_t bytes, limit;
};

int feature_cache_create(struct feature_cache **out, size_t bytes, struct strata_error *err) {
    int code = strata_alloc(out, 1, sizeof **out, err);
    if (!code) (*out)->limit = bytes;
    return code;
}

void feature_cache_destroy(struct feature_cache *cache) {
    if (!cache) return;
    for (struct feature *feature = cache->newest, *next; feature; feature = next) {
        next = feature->older;
        free(feature);
    }
    free(cache);
}

struct strata_hash feature_cache_key(const struct strata_image *image) {
    uint64_t size[2] = {image->width, image->height};
    return strata_hash_combine(strata_hash_bytes(size, sizeof size), image->rgb, 3 * image->width * image->height);
}

static struct feature **find(struct feature_cache *cache, struct strata_hash key) {
    struct feature **link = &cache->buckets[key.low % BUCKETS];
    while (*link && ((*link)->key.low != key.low || (*link)->key.high != key.high)) link = &(*link)->chain;
    return link;
}

static void unlink_use(struct feature_cache *cache, struct feature *feature) {
    *(feature->newer ? &feature->newer->older : &cache->newest) = feature->older;
    *(feature->older ? &feature->older->newer : &cache->oldest) = feature->newer;
}

static void link_newest(struct feature_cache *cache, struct feature *feature) {
    feature->newer = NULL;
    feature->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = feature;
    cache->newest = feature;
}

bool feature_cache_get(struct feature_cache *cache, struct strata_hash key, float *embeds, size_t count) {
    struct feature *feature = cache ? *find(cache, key) : NULL;
    if (!feature || feature->count != count) return false;
    memcpy(embeds, feature->embeds, count * sizeof *embeds);
    unlink_use(cache, feature);
    link_newest(cache, feature);
    return true;
}

static void drop_oldest(struct feature_cache *cache) {
    struct feature *feature = cache->oldest;
    *find(cache, feature->key) = feature->chain;
    unlink_use(cache, feature);
    cache->bytes -= sizeof *feature + feature->count * sizeof *feature->embeds;
    free(feature);
}

void feature_cache_clear(struct feature_cache *cache) {
    while (cache && cache->oldest) drop_oldest(cache);
}

void feature_cache_put(struct feature_cache *cache, struct strata_hash key, const float *embeds, size_t count) {
    size_t bytes = sizeof(struct feature) + count * sizeof *embeds;
    if (!cache || bytes > cache->limit || *find(cache, key)) return;
    while (cache->oldest && cache->bytes + bytes > cache->limit) drop_oldest(cache);
    struct feature *feature = malloc(bytes);
    if (!feature) return;
    *feature = (struct feature){.key = key, .count = count};
    memcpy(feature->embeds, embeds, count * sizeof *embeds);
    *find(cache, key) = feature;
    link_newest(cache, feature);
    cache->bytes += bytes;
}

static bool entry_matches(const struct prefix_entry *entry, const int32_t *ids, size_t limit) {
    return entry->ids && entry->count <= limit && memcmp(entry->ids, ids, entry->count * sizeof *ids) == 0;
}

size_t prefix_cache_fork(struct prefix_cache *cache, struct strata_key_value *memory, struct strata_sequence *sequence,
                         const int32_t *ids, size_t limit) {
    struct prefix_entry *best = NULL;
    for (size_t i = 0; i < PREFIX_CACHE_ENTRIES; i++) {
        struct prefix_entry *entry = &cache->entries[i];
        if (entry_matches(entry, ids, limit) && (!best || entry->count > best->count)) best = entry;
    }
    if (!best || strata_sequence_fork(memory, sequence, &best->sequence, best->count, NULL)) return 0;
    best->used = ++cache->clock;
    return best->count;
}

bool prefix_cache_has(const struct prefix_cache *cache, const int32_t *ids, size_t count) {
    for (size_t i = 0; i < PREFIX_CACHE_ENTRIES; i++) {
        const struct prefix_entry *entry = &cache->entries[i];
        if (entry->count == count && entry_matches(entry, ids, count)) return true;
    }
    return false;
}

static void release(struct prefix_entry *entry, struct strata_key_value *memory, size_t *reserved) {
    strata_sequence_release(memory, &entry->sequence);
    *reserved -= entry->pages;
    free(entry->ids);
    *entry = (struct prefix_entry){0};
}

bool prefix_cache_evict(struct prefix_cache *cache, struct strata_key_value *memory, size_t *reserved) {
    struct prefix_entry *oldest = NULL;
    for (size_t i = 0; i < PREFIX_CACHE_ENTRIES; i++) {
        struct prefix_entry *entry = &cache->entries[i];
        if (entry->ids && (!oldest || entry->used < oldest->used)) oldest = entry;
    }
    if (oldest) release(oldest, memory, reserved);
    return oldest != NULL;
}

void prefix_cache_put(struct prefix_cache *cache, struct strata_key_value *memory,
                      const struct strata_sequence *sequence, const int32_t *ids, size_t count, size_t *reserved) {
    struct prefix_entry *entry = &cache->entries[0];
    for (size_t i = 1; i < PREFIX_CACHE_ENTRIES && entry->ids; i++) {
        if (!cache->entries[i].ids || cache->entries[i].used < entry->used) entry = &cache->entries[i];
    }
    if (entry->ids) release(entry, memory, reserved);
    int32_t *copy;
    if (strata_alloc(&copy, count, sizeof *copy, NULL)) return;
    if (strata_sequence_fork(memory, &entry->sequence, sequence, count, NULL)) {
        free(copy);
        return;
    }
    memcpy(copy, ids, count * sizeof *copy);
    entry->ids = copy;
    entry->count = count;
    entry->pages = strata_key_value_pages_for(count);
    entry->used = ++cache->clock;
    *reserved += entry->pages;
}
