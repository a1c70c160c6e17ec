/* What the tokenizer's files share. Not a door: only src/model/tokenizer*.c include it. */
#ifndef STRATA_MODEL_TOKENIZER_PRIVATE_H
#define STRATA_MODEL_TOKENIZER_PRIVATE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buffer.h"
#include "model/tokenizer.h"

/* Limits of what a file may ask for: far above any real model's, low enough that a hostile file cannot take the
 * machine's memory. */
#define STRATA_TOKENIZER_MAX_FILE    ((size_t)256 << 20)
#define STRATA_TOKENIZER_MAX_ID      ((int64_t)(1 << 22) - 1)
#define STRATA_TOKENIZER_MAX_MERGES  ((size_t)1 << 22)
#define STRATA_TOKENIZER_MAX_ADDED   ((size_t)1 << 16)
#define STRATA_TOKENIZER_MAX_CONTENT 4096 /* bytes of an added token */
#define STRATA_TOKENIZER_MAX_TEXT    ((size_t)1 << 30)

enum {
    STRATA_TOKEN_PRESENT = 1,
    STRATA_TOKEN_ADDED = 2,
    STRATA_TOKEN_SPECIAL = 4,
    STRATA_TOKEN_LSTRIP = 8,
    STRATA_TOKEN_RSTRIP = 16,
    STRATA_TOKEN_SINGLE_WORD = 32
};

/* One id: its content as the file writes it and the bytes it stands for, as ranges of the two arenas. */
struct token {
    uint32_t content, content_length, bytes, bytes_length;
    uint8_t flags;
};

/* Content -> id, open addressing, capacity a power of two at least 1.5 times the entries. */
struct content_slot {
    uint32_t tag;   /* upper half of the hash: spares a look at the content */
    uint32_t id_p1; /* id + 1; 0 is free */
};
struct content_table {
    struct content_slot *slots;
    size_t mask;
};

/* (left id, right id) -> what the pair merges into, and when. */
struct merge_slot {
    uint64_t pair; /* left << 32 | right; UINT64_MAX is free */
    uint32_t rank, id;
};
struct merge_table {
    struct merge_slot *slots;
    size_t mask;
};

/* Added tokens as a trie over bytes: the longest one at a position in one walk, however many there are. */
struct trie_node {
    uint32_t child, sibling; /* 0: none (node 0 is the root) */
    int32_t id;              /* -1: no token ends here */
    unsigned char byte;
};
struct trie {
    struct trie_node *nodes;
    size_t count, capacity;
    bool starts[256]; /* bytes that begin some token */
};

struct strata_tokenizer {
    struct token *tokens; /* (size) */
    size_t size;
    struct strata_buffer contents, bytes;
    struct content_table table; /* of the model's vocabulary */
    struct content_table added; /* of the added tokens */
    struct merge_table merges;
    struct trie raw_trie;        /* added tokens found in the text as given */
    struct trie normalized_trie; /* and those found after normalisation */
    int32_t byte_ids[256];
    bool nfc, ignore_merges;
    pcre2_code *pattern;
    bool jit;
};

/* tokenizer_file.c: fills a zeroed tokenizer from the text of a tokenizer.json. */
int strata_tokenizer_read(struct strata_tokenizer *tokenizer, const char *json, size_t length, const char *name,
                          struct strata_error *err);

/* tokenizer_table.c: the lookups, and their construction. */
int strata_content_table_init(struct content_table *table, size_t entries, struct strata_error *err);
int32_t strata_content_find(const struct strata_tokenizer *tokenizer, const struct content_table *table,
                            const char *content, size_t length);
/* The content must not be there yet. */
void strata_content_insert(const struct strata_tokenizer *tokenizer, struct content_table *table, uint32_t id);
int strata_merge_table_init(struct merge_table *table, size_t entries, struct strata_error *err);
void strata_merge_insert(struct merge_table *table, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);
const struct merge_slot *strata_merge_find(const struct merge_table *table, uint32_t left, uint32_t right);
int strata_trie_add(struct trie *trie, const char *content, size_t length, int32_t id, struct strata_error *err);
/* Longest token that text[0..length) begins with: its id and *size, or -1. */
int32_t strata_trie_longest(const struct trie *trie, size_t *size, const char *text, size_t length);

/* tokenizer_text.c: the text side. */
/* Appends the NFC of valid UTF-8 text. */
int strata_nfc_append(struct strata_buffer *out, const char *text, size_t length, struct strata_error *err);
/* The byte-level alphabet (GPT-2's bytes_to_unicode): the code point that stands for a byte, and back (-1: none). */
int32_t strata_byte_symbol(unsigned char byte);
int strata_symbol_byte(int32_t code);
bool strata_is_white_space(int32_t code);    /* Unicode White_Space, the regexes' \s */
bool strata_is_word_character(int32_t code); /* UTS 18 \w */

#endif
