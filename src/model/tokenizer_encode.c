/* Text to ids: added tokens are cut out, the rest is normalised, cut by the pattern, and each piece merged. */
#include "model/tokenizer_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

#define NONE UINT32_MAX

/* A piece under merging: a list of symbols, each the id of bytes [begin, begin of the next). */
struct symbol {
    uint32_t id; /* NONE: merged into its left neighbour */
    uint32_t begin, previous, next;
};

/* A possible merge. The pair says whether it still stands when its turn comes. */
struct candidate {
    uint32_t rank, at, left, right, id;
};

struct encoder {
    const struct strata_tokenizer *tokenizer;
    struct strata_tokens *tokens;
    struct strata_error *err;
    pcre2_match_data *match;
    struct strata_buffer normal, content;
    struct symbol *symbols;
    size_t symbol_capacity;
    struct candidate *heap;
    size_t heap_count, heap_capacity;
    size_t base; /* bytes of normalised text before the piece at hand */
};

static int emit(struct encoder *encoder, int32_t id, size_t begin, size_t end) {
    struct strata_tokens *tokens = encoder->tokens;
    if (tokens->count == tokens->capacity) {
        /* Three arrays of one capacity, which grows alike for all. */
        size_t need = tokens->count + 1, capacity = 0;
        int code = STRATA_OK;
        void *const arrays[] = {&tokens->ids, &tokens->begin, &tokens->end};
        _Static_assert(sizeof *tokens->ids == sizeof *tokens->begin, "one item size");
        for (size_t i = 0; i < 3 && !code; i++) {
            capacity = tokens->capacity;
            code = strata_grow(arrays[i], &capacity, need, sizeof *tokens->ids, encoder->err);
        }
        if (code) return code;
        tokens->capacity = capacity;
    }
    tokens->ids[tokens->count] = id;
    tokens->begin[tokens->count] = (uint32_t)begin;
    tokens->end[tokens->count] = (uint32_t)end;
    tokens->count++;
    return STRATA_OK;
}

/* Lowest rank first, then leftmost. */
static bool before(const struct candidate *a, const struct candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

/* Puts the pair that begins at symbol `at` into the heap, if it merges. The heap has room for it. */
static void push_pair(struct encoder *encoder, uint32_t at) {
    const struct symbol *left = &encoder->symbols[at];
    if (left->next == NONE) return;
    uint32_t right = encoder->symbols[left->next].id;
    const struct merge_slot *merge = strata_merge_find(&encoder->tokenizer->merges, left->id, right);
    if (!merge) return;
    struct candidate candidate = {merge->rank, at, left->id, right, merge->id};
    size_t hole = encoder->heap_count++;
    while (hole > 0) {
        size_t parent = (hole - 1) / 2;
        if (!before(&candidate, &encoder->heap[parent])) break;
        encoder->heap[hole] = encoder->heap[parent];
        hole = parent;
    }
    encoder->heap[hole] = candidate;
}

static struct candidate pop(struct encoder *encoder) {
    struct candidate *heap = encoder->heap, top = heap[0], last = heap[--encoder->heap_count];
    size_t hole = 0, count = encoder->heap_count;
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= count) break;
        if (child + 1 < count && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &last)) break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = last;
    return top;
}

static void merge_symbols(struct encoder *encoder) {
    struct symbol *symbols = encoder->symbols;
    while (encoder->heap_count > 0) {
        struct candidate best = pop(encoder);
        struct symbol *left = &symbols[best.at];
        if (left->id != best.left || left->next == NONE || symbols[left->next].id != best.right) continue;
        struct symbol *right = &symbols[left->next];
        left->id = best.id;
        left->next = right->next;
        right->id = NONE;
        if (left->next != NONE) symbols[left->next].previous = best.at;
        if (left->previous != NONE) push_pair(encoder, left->previous);
        push_pair(encoder, best.at);
    }
}

/* Id of a whole piece that is a token, or -1. */
static int32_t whole_piece(struct encoder *encoder, const char *text, size_t length) {
    strata_buffer_clear(&encoder->content);
    for (size_t i = 0; i < length; i++) {
        strata_utf8_append(&encoder->content, strata_byte_symbol((unsigned char)text[i]));
    }
    if (encoder->content.failed) return -1;
    return strata_content_find(encoder->tokenizer, &encoder->tokenizer->table, strata_buffer_string(&encoder->content),
                               encoder->content.length);
}

static int encode_piece(struct encoder *encoder, const char *text, size_t length) {
    const struct strata_tokenizer *tokenizer = encoder->tokenizer;
    size_t base = encoder->base;
    encoder->base += length;
    if (length == 1) return emit(encoder, tokenizer->byte_ids[(unsigned char)text[0]], base, base + 1);
    if (tokenizer->ignore_merges) {
        int32_t id = whole_piece(encoder, text, length);
        if (id >= 0) return emit(encoder, id, base, base + length);
    }
    int code =
        strata_grow(&encoder->symbols, &encoder->symbol_capacity, length, sizeof *encoder->symbols, encoder->err);
    /* length - 1 pairs at first, and at most two more for each of length - 1 merges, which took one out. */
    if (!code) {
        code = strata_grow(&encoder->heap, &encoder->heap_capacity, 2 * length, sizeof *encoder->heap, encoder->err);
    }
    if (code) return code;
    for (size_t i = 0; i < length; i++) {
        encoder->symbols[i] = (struct symbol){.id = (uint32_t)tokenizer->byte_ids[(unsigned char)text[i]],
                                              .begin = (uint32_t)i,
                                              .previous = i > 0 ? (uint32_t)i - 1 : NONE,
                                              .next = i + 1 < length ? (uint32_t)i + 1 : NONE};
    }
    encoder->heap_count = 0;
    for (size_t i = 0; i + 1 < length; i++) push_pair(encoder, (uint32_t)i);
    merge_symbols(encoder);
    for (uint32_t i = 0; i != NONE && !code; i = encoder->symbols[i].next) {
        uint32_t next = encoder->symbols[i].next;
        size_t end = next == NONE ? length : encoder->symbols[next].begin;
        code = emit(encoder, (int32_t)encoder->symbols[i].id, base + encoder->symbols[i].begin, base + end);
    }
    return code;
}

/* Cuts normalised text by the pattern. What no alternative matches is a piece of its own (behaviour Isolated). */
static int encode_pieces(struct encoder *encoder, const char *text, size_t length) {
    const pcre2_code *pattern = encoder->tokenizer->pattern;
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(encoder->match);
    int code = STRATA_OK;
    for (size_t at = 0; at < length && !code;) {
        int found = PCRE2_ERROR_JIT_STACKLIMIT;
        if (encoder->tokenizer->jit) {
            found = pcre2_jit_match(pattern, (PCRE2_SPTR)text, length, at, 0, encoder->match, NULL);
        }
        if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
            found = pcre2_match(pattern, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                                encoder->match, NULL);
        }
        if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
            return strata_fail(encoder->err, STRATA_ERR_INPUT, "the pre-tokenizer's pattern fails with PCRE2 error %d",
                               found);
        }
        size_t begin = found < 0 ? length : range[0], end = found < 0 ? length : range[1];
        if (begin > at) code = encode_piece(encoder, text + at, begin - at);
        if (end > begin && !code) code = encode_piece(encoder, text + begin, end - begin);
        at = end > at ? end : length;
    }
    return code;
}

/* Start of the character that ends before text[at]. */
static size_t previous_character(const char *text, size_t at) {
    do {
        at--;
    } while (((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

static int32_t character_at(const char *text, size_t length, size_t at) {
    int32_t code;
    strata_utf8_next(&code, text + at, length - at);
    return code;
}

/* single_word: not next to a word character. */
static bool stands_alone(const char *text, size_t length, size_t begin, size_t end) {
    if (begin > 0 && strata_is_word_character(character_at(text, length, previous_character(text, begin))))
        return false;
    return end == length || !strata_is_word_character(character_at(text, length, end));
}

typedef int rest_function(struct encoder *encoder, const char *text, size_t length);

/* Cuts out the added tokens of one trie (leftmost, then longest); what lies between goes to `rest`. The order of the
 * rules (single_word, lstrip, rstrip) and their limits are those of the reference's find_matches. */
static int split_added(struct encoder *encoder, const struct trie *trie, const char *text, size_t length,
                       rest_function *rest) {
    size_t done = 0; /* bytes already given away */
    int code = STRATA_OK;
    for (size_t at = 0; trie->count > 0 && at < length && !code;) {
        size_t size = 1;
        int32_t id =
            trie->starts[(unsigned char)text[at]] ? strata_trie_longest(trie, &size, text + at, length - at) : -1;
        size_t begin = at, end = at + size;
        if (id < 0) {
            at++;
            continue;
        }
        at = end;
        unsigned flags = encoder->tokenizer->tokens[id].flags;
        if ((flags & STRATA_TOKEN_SINGLE_WORD) && !stands_alone(text, length, begin, end)) continue;
        if (begin < done) begin = done; /* the token before has stripped into this one */
        if (flags & STRATA_TOKEN_LSTRIP) {
            while (begin > done) {
                size_t previous = previous_character(text, begin);
                if (!strata_is_white_space(character_at(text, length, previous))) break;
                begin = previous;
            }
        }
        if (flags & STRATA_TOKEN_RSTRIP) {
            while (end < length) {
                int32_t character;
                size_t step = strata_utf8_next(&character, text + end, length - end);
                if (!strata_is_white_space(character)) break;
                end += step;
            }
        }
        if (begin > done) code = rest(encoder, text + done, begin - done);
        if (!code && end > begin) {
            code = emit(encoder, id, encoder->base, encoder->base + (end - begin));
            encoder->base += end - begin;
        }
        if (end > done) done = end;
    }
    if (done < length && !code) code = rest(encoder, text + done, length - done);
    return code;
}

static int encode_raw(struct encoder *encoder, const char *text, size_t length) {
    const struct trie *trie = &encoder->tokenizer->normalized_trie;
    if (!encoder->tokenizer->nfc) return split_added(encoder, trie, text, length, encode_pieces);
    strata_buffer_clear(&encoder->normal);
    int code = strata_nfc_append(&encoder->normal, text, length, encoder->err);
    if (code) return code;
    return split_added(encoder, trie, encoder->normal.data, encoder->normal.length, encode_pieces);
}

int strata_tokenizer_encode(const struct strata_tokenizer *tokenizer, struct strata_tokens *tokens, const char *text,
                            size_t length, struct strata_error *err) {
    size_t offset, count = tokens->count;
    if (length > STRATA_TOKENIZER_MAX_TEXT) return strata_fail(err, STRATA_ERR_INPUT, "text of %zu bytes", length);
    if (!strata_utf8_valid(text, length, &offset)) {
        strata_fail(err, STRATA_ERR_INPUT, "text is not UTF-8");
        return strata_fail_at(err, STRATA_ERR_INPUT, "byte offset %zu", offset);
    }
    if (length == 0) return STRATA_OK;
    struct encoder encoder = {.tokenizer = tokenizer, .tokens = tokens, .err = err};
    encoder.match = pcre2_match_data_create(1, NULL);
    int code = encoder.match ? split_added(&encoder, &tokenizer->raw_trie, text, length, encode_raw)
                             : strata_fail(err, STRATA_ERR_MEMORY, "no memory for the pre-tokenizer");
    pcre2_match_data_free(encoder.match);
    strata_buffer_free(&encoder.normal);
    strata_buffer_free(&encoder.content);
    free(encoder.symbols);
    free(encoder.heap);
    if (code) tokens->count = count;
    return code;
}
