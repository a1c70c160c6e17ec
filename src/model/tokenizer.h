/* Byte-level BPE as Hugging Face tokenizers does it for Qwen2-family tokenizer.json files: NFC, pre-tokenizer regex,
 * added tokens, merges in both file notations (["a b", …] and [["a","b"], …]). No special tokens are added;
 * special tokens found in the text are recognised. Thread-safe after opening (const). */
#ifndef STRATA_MODEL_TOKENIZER_H
#define STRATA_MODEL_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "strata/error.h"

struct strata_tokenizer;

/* path: a tokenizer.json. What the file asks for and we cannot do (another model type, normaliser or pre-tokenizer)
 * is STRATA_ERR_UNSUPPORTED naming it. */
int strata_tokenizer_open(struct strata_tokenizer **out, const char *path, struct strata_error *err);
/* The same from memory; `name` places errors. For tests and fuzzing. */
int strata_tokenizer_parse(struct strata_tokenizer **out, const char *json, size_t length, const char *name,
                           struct strata_error *err);
void strata_tokenizer_close(struct strata_tokenizer *tokenizer);

struct strata_tokens {
    int32_t *ids;
    /* Byte range [begin, end) of the token in the *normalised* form of the text of its encode call: added tokens as
     * written, all between them in NFC. A text that is already NFC is its own normal form. Parallel to ids. */
    uint32_t *begin, *end;
    size_t count, capacity;
};
/* Appends the tokens of text[0..length); invalid UTF-8 is STRATA_ERR_INPUT with the byte offset. */
int strata_tokenizer_encode(const struct strata_tokenizer *tokenizer, struct strata_tokens *tokens, const char *text,
                            size_t length, struct strata_error *err);
void strata_tokens_free(struct strata_tokens *tokens);

/* Appends the decoded bytes with invalid UTF-8 replaced by U+FFFD as Rust's from_utf8_lossy does over the whole
 * sequence; ids without a token decode to nothing. */
int strata_tokenizer_decode(const struct strata_tokenizer *tokenizer, struct strata_buffer *out, const int32_t *ids,
                            size_t count, bool skip_special, struct strata_error *err);
/* The raw bytes of one token, not owned; length 0 for an id without a token. For streaming and inspection. */
const char *strata_tokenizer_bytes(const struct strata_tokenizer *tokenizer, int32_t id, size_t *length);
/* Id of a token by its exact content (added tokens first), or -1. */
int32_t strata_tokenizer_id(const struct strata_tokenizer *tokenizer, const char *content);
bool strata_tokenizer_is_special(const struct strata_tokenizer *tokenizer, int32_t id);
size_t strata_tokenizer_size(const struct strata_tokenizer *tokenizer); /* 1 + the largest id */

#endif
