#include "model/key_value.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct strata_key_value {
    const struct strata_compute *compute;
    size_t G, D, layers, layer_bytes, max_pages;
    unsigned char **pages; /* (max_pages) allocated when first used, then kept */
    uint32_t *references;  /* (max_pages) 0: free */
    uint32_t *free_pages;  /* stack of page indices */
    size_t free_count, used;
};

size_t strata_key_value_page_bytes(const struct strata_text_config *config, const struct strata_compute *compute) {
    return config->layers * strata_page_bytes(compute, config->kv_heads, config->head_size);
}

size_t strata_key_value_pages_for(size_t tokens) {
    return tokens / STRATA_KEY_BLOCK + (tokens % STRATA_KEY_BLOCK != 0);
}

int strata_key_value_create(struct strata_key_value **out, const struct strata_text_config *config,
                            const struct strata_compute *compute, size_t max_pages, struct strata_error *err) {
    struct strata_key_value *memory;
    *out = NULL;
    if (max_pages > UINT32_MAX) max_pages = UINT32_MAX;
    int code = strata_alloc(&memory, 1, sizeof *memory, err);
    if (code) return code;
    memory->compute = compute;
    memory->G = config->kv_heads;
    memory->D = config->head_size;
    memory->layers = config->layers;
    memory->layer_bytes = strata_page_bytes(compute, config->kv_heads, config->head_size);
    memory->max_pages = max_pages;
    if ((code = strata_alloc(&memory->pages, max_pages, sizeof *memory->pages, err)) ||
        (code = strata_alloc(&memory->references, max_pages, sizeof *memory->references, err)) ||
        (code = strata_alloc(&memory->free_pages, max_pages, sizeof *memory->free_pages, err))) {
        strata_key_value_destroy(memory);
        return code;
    }
    for (size_t i = 0; i < max_pages; i++) memory->free_pages[i] = (uint32_t)(max_pages - 1 - i);
    memory->free_count = max_pages;
    *out = memory;
    return 0;
}

void strata_key_value_destroy(struct strata_key_value *memory) {
    if (!memory) return;
    for (size_t i = 0; memory->pages && i < memory->max_pages; i++) free(memory->pages[i]);
    free(memory->pages);
    free(memory->references);
    free(memory->free_pages);
    free(memory);
}

size_t strata_key_value_used(const struct strata_key_value *memory) {
    return memory->used;
}

static int take_page(struct strata_key_value *memory, uint32_t *page, struct strata_error *err) {
    if (memory->free_count == 0) {
        strata_fail(err, STRATA_ERR_MEMORY, "all %zu pages of key/value memory are in use", memory->max_pages);
        return strata_fail_hint(err, STRATA_ERR_MEMORY, "give more with --memory, or a smaller --batch");
    }
    uint32_t index = memory->free_pages[memory->free_count - 1];
    if (!memory->pages[index]) {
        size_t bytes = memory->layers * memory->layer_bytes;
        int code = strata_alloc_aligned(&memory->pages[index], bytes, 1, err);
        if (code) return code;
        /* Slots not yet written meet probability 0 in attention: they must be finite. */
        memset(memory->pages[index], 0, bytes);
    }
    memory->free_count--;
    memory->used++;
    memory->references[index] = 1;
    *page = index;
    return 0;
}

static void drop_page(struct strata_key_value *memory, uint32_t page) {
    if (--memory->references[page]) return;
    memory->free_pages[memory->free_count++] = page;
    memory->used--;
}

/* Gives the sequence its own copy of its last, partly filled page when others share it. */
static int own_last_page(struct strata_key_value *memory, struct strata_sequence *sequence, struct strata_error *err) {
    if (sequence->length % STRATA_KEY_BLOCK == 0) return 0;
    uint32_t *last = &sequence->pages[sequence->length / STRATA_KEY_BLOCK], copy = 0;
    if (memory->references[*last] == 1) return 0;
    int code = take_page(memory, &copy, err);
    if (code) return code;
    memcpy(memory->pages[copy], memory->pages[*last], memory->layers * memory->layer_bytes);
    drop_page(memory, *last);
    *last = copy;
    return 0;
}

int strata_sequence_reserve(struct strata_key_value *memory, struct strata_sequence *sequence, size_t more,
                            struct strata_error *err) {
    size_t need = strata_key_value_pages_for(sequence->length + more);
    int code = strata_grow(&sequence->pages, &sequence->page_capacity, need, sizeof *sequence->pages, err);
    if (!code && more) code = own_last_page(memory, sequence, err);
    while (!code && sequence->page_count < need) {
        code = take_page(memory, &sequence->pages[sequence->page_count], err);
        if (!code) sequence->page_count++;
    }
    return code;
}

int strata_sequence_fork(struct strata_key_value *memory, struct strata_sequence *copy,
                         const struct strata_sequence *sequence, size_t length, struct strata_error *err) {
    *copy = (struct strata_sequence){0};
    size_t count = strata_key_value_pages_for(length);
    int code = strata_grow(&copy->pages, &copy->page_capacity, count, sizeof *copy->pages, err);
    if (code) return code;
    for (size_t i = 0; i < count; i++) {
        copy->pages[i] = sequence->pages[i];
        memory->references[copy->pages[i]]++;
    }
    copy->page_count = count;
    copy->length = length;
    return 0;
}

void strata_sequence_release(struct strata_key_value *memory, struct strata_sequence *sequence) {
    for (size_t i = 0; i < sequence->page_count; i++) drop_page(memory, sequence->pages[i]);
    free(sequence->pages);
    *sequence = (struct strata_sequence){0};
}

void *strata_sequence_page(const struct strata_key_value *memory, const struct strata_sequence *sequence, size_t page,
                           size_t layer) {
    return memory->pages[sequence->pages[page]] + layer * memory->layer_bytes;
}
