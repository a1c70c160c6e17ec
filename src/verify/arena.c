#include "verify/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct strata_arena_block {
    struct strata_arena_block *next;
    size_t padding; /* keeps the memory behind it 16-byte aligned */
};

void strata_arena_init(struct strata_arena *arena) {
    arena->blocks = NULL;
    arena->at = arena->local;
    arena->end = arena->local + sizeof arena->local;
    arena->total = 0;
    arena->failed = false;
    arena->exhausted = false;
}

void strata_arena_free(struct strata_arena *arena) {
    while (arena->blocks) {
        struct strata_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    strata_arena_init(arena);
}

void *strata_arena_take(struct strata_arena *arena, size_t size) {
    if (arena->failed || size > STRATA_ARENA_LIMIT) {
        arena->exhausted = arena->exhausted || !arena->failed;
        arena->failed = true;
        return NULL;
    }
    size = (size + 15) & ~(size_t)15;
    if ((size_t)(arena->end - arena->at) < size) {
        size_t room = size > 65536 ? size : 65536;
        struct strata_arena_block *block = NULL;
        arena->exhausted = arena->total + room > STRATA_ARENA_LIMIT;
        if (!arena->exhausted) block = malloc(sizeof *block + room);
        if (!block) {
            arena->failed = true;
            return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
        arena->total += room;
        arena->at = (char *)(block + 1);
        arena->end = arena->at + room;
    }
    void *memory = arena->at;
    arena->at += size;
    memset(memory, 0, size);
    return memory;
}

void *strata_arena_copy(struct strata_arena *arena, const void *bytes, size_t size) {
    void *memory = strata_arena_take(arena, size);
    if (memory && size) memcpy(memory, bytes, size);
    return memory;
}
