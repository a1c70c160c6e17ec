#include "model/tokenizer_private.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

/* A power of two at least 1.5 times the entries, which the limits of the file keep far from overflow. */
static size_t table_capacity(size_t entries) {
    size_t capacity = 16;
    while (capacity < entries + entries / 2) capacity *= 2;
    return capacity;
}

int strata_content_table_init(struct content_table *table, size_t entries, struct strata_error *err) {
    size_t capacity = table_capacity(entries);
    int code = strata_alloc(&table->slots, capacity, sizeof *table->slots, err);
    if (!code) table->mask = capacity - 1;
    return code;
}

int32_t strata_content_find(const struct strata_tokenizer *tokenizer, const struct content_table *table,
                            const char *content, size_t length) {
    uint64_t hash = strata_hash_bytes(content, length).low;
    for (size_t slot = hash & table->mask;; slot = (slot + 1) & table->mask) {
        const struct content_slot *entry = &table->slots[slot];
        if (entry->id_p1 == 0) return -1;
        if (entry->tag != (uint32_t)(hash >> 32)) continue;
        const struct token *token = &tokenizer->tokens[entry->id_p1 - 1];
        if (token->content_length == length &&
            memcmp(tokenizer->contents.data + token->content, content, length) == 0) {
            return (int32_t)(entry->id_p1 - 1);
        }
    }
}

void strata_content_insert(const struct strata_tokenizer *tokenizer, struct content_table *table, uint32_t id) {
    const struct token *token = &tokenizer->tokens[id];
    uint64_t hash = strata_hash_bytes(tokenizer->contents.data + token->content, token->content_length).low;
    size_t slot = hash & table->mask;
    while (table->slots[slot].id_p1 != 0) slot = (slot + 1) & table->mask;
    table->slots[slot] = (struct content_slot){.tag = (uint32_t)(hash >> 32), .id_p1 = id + 1};
}

int strata_merge_table_init(struct merge_table *table, size_t entries, struct strata_error *err) {
    size_t capacity = table_capacity(entries);
    int code = strata_alloc(&table->slots, capacity, sizeof *table->slots, err);
    if (code) return code;
    table->mask = capacity - 1;
    for (size_t i = 0; i < capacity; i++) table->slots[i].pair = UINT64_MAX;
    return STRATA_OK;
}

/* Murmur3's finaliser: ids are dense and small, so their low bits alone would cluster. */
static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

void strata_merge_insert(struct merge_table *table, uint32_t left, uint32_t right, uint32_t rank, uint32_t id) {
    uint64_t pair = (uint64_t)left << 32 | right;
    size_t slot = mix(pair) & table->mask;
    while (table->slots[slot].pair != UINT64_MAX && table->slots[slot].pair != pair) slot = (slot + 1) & table->mask;
    table->slots[slot] = (struct merge_slot){.pair = pair, .rank = rank, .id = id};
}

const struct merge_slot *strata_merge_find(const struct merge_table *table, uint32_t left, uint32_t right) {
    uint64_t pair = (uint64_t)left << 32 | right;
    for (size_t slot = mix(pair) & table->mask;; slot = (slot + 1) & table->mask) {
        if (table->slots[slot].pair == pair) return &table->slots[slot];
        if (table->slots[slot].pair == UINT64_MAX) return NULL;
    }
}

static uint32_t trie_child(const struct trie *trie, uint32_t node, unsigned char byte) {
    uint32_t child = trie->nodes[node].child;
    while (child != 0 && trie->nodes[child].byte != byte) child = trie->nodes[child].sibling;
    return child;
}

int strata_trie_add(struct trie *trie, const char *content, size_t length, int32_t id, struct strata_error *err) {
    size_t need;
    if (!strata_add_ok(&need, trie->count, length + 1) || need > UINT32_MAX) {
        return strata_fail(err, STRATA_ERR_MEMORY, "too many added tokens");
    }
    int code = strata_grow(&trie->nodes, &trie->capacity, need, sizeof *trie->nodes, err);
    if (code) return code;
    if (trie->count == 0) trie->nodes[trie->count++] = (struct trie_node){.id = -1};
    trie->starts[(unsigned char)content[0]] = true;
    uint32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)content[i];
        uint32_t child = trie_child(trie, node, byte);
        if (child == 0) {
            child = (uint32_t)trie->count++;
            trie->nodes[child] = (struct trie_node){.sibling = trie->nodes[node].child, .id = -1, .byte = byte};
            trie->nodes[node].child = child;
        }
        node = child;
    }
    if (trie->nodes[node].id < 0) trie->nodes[node].id = id; /* two that normalise alike: the first wins */
    return STRATA_OK;
}

int32_t strata_trie_longest(const struct trie *trie, size_t *size, const char *text, size_t length) {
    int32_t id = -1;
    uint32_t node = 0;
    if (trie->count == 0 || !trie->starts[(unsigned char)text[0]]) return -1;
    for (size_t i = 0; i < length; i++) {
        node = trie_child(trie, node, (unsigned char)text[i]);
        if (node == 0) break;
        if (trie->nodes[node].id >= 0) {
            id = trie->nodes[node].id;
            *size = i + 1;
        }
    }
    return id;
}
