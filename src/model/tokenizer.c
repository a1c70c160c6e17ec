#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "model/tokenizer_private.h"

int strata_tokenizer_parse(struct strata_tokenizer **out, const char *json, size_t length, const char *name,
                           struct strata_error *err) {
    struct strata_tokenizer *tokenizer;
    *out = NULL;
    int code = strata_alloc(&tokenizer, 1, sizeof *tokenizer, err);
    if (code) return code;
    code = strata_tokenizer_read(tokenizer, json, length, name, err);
    if (code) {
        strata_tokenizer_close(tokenizer);
        return code;
    }
    *out = tokenizer;
    return STRATA_OK;
}

int strata_tokenizer_open(struct strata_tokenizer **out, const char *path, struct strata_error *err) {
    struct strata_map map;
    *out = NULL;
    int code = strata_map_open(&map, path, err);
    if (code) return code;
    code = strata_tokenizer_parse(out, map.data ? (const char *)map.data : "", map.size, path, err);
    strata_map_close(&map);
    return code;
}

void strata_tokenizer_close(struct strata_tokenizer *tokenizer) {
    if (!tokenizer) return;
    pcre2_code_free(tokenizer->pattern);
    free(tokenizer->raw_trie.nodes);
    free(tokenizer->normalized_trie.nodes);
    free(tokenizer->merges.slots);
    free(tokenizer->table.slots);
    free(tokenizer->added.slots);
    strata_buffer_free(&tokenizer->contents);
    strata_buffer_free(&tokenizer->bytes);
    free(tokenizer->tokens);
    free(tokenizer);
}

void strata_tokens_free(struct strata_tokens *tokens) {
    free(tokens->ids);
    free(tokens->begin);
    free(tokens->end);
    *tokens = (struct strata_tokens){0};
}

static const struct token *token_at(const struct strata_tokenizer *tokenizer, int32_t id) {
    if (id < 0 || (size_t)id >= tokenizer->size || !tokenizer->tokens[id].flags) return NULL;
    return &tokenizer->tokens[id];
}

const char *strata_tokenizer_bytes(const struct strata_tokenizer *tokenizer, int32_t id, size_t *length) {
    const struct token *token = token_at(tokenizer, id);
    *length = token ? token->bytes_length : 0;
    return token ? strata_buffer_string(&tokenizer->bytes) + token->bytes : "";
}

int32_t strata_tokenizer_id(const struct strata_tokenizer *tokenizer, const char *content) {
    size_t length = strlen(content);
    int32_t id = strata_content_find(tokenizer, &tokenizer->added, content, length);
    return id >= 0 ? id : strata_content_find(tokenizer, &tokenizer->table, content, length);
}

bool strata_tokenizer_is_special(const struct strata_tokenizer *tokenizer, int32_t id) {
    const struct token *token = token_at(tokenizer, id);
    return token && (token->flags & STRATA_TOKEN_SPECIAL);
}

size_t strata_tokenizer_size(const struct strata_tokenizer *tokenizer) {
    return tokenizer->size;
}

int strata_tokenizer_decode(const struct strata_tokenizer *tokenizer, struct strata_buffer *out, const int32_t *ids,
                            size_t count, bool skip_special, struct strata_error *err) {
    struct strata_buffer raw = {0};
    for (size_t i = 0; i < count; i++) {
        if (skip_special && strata_tokenizer_is_special(tokenizer, ids[i])) continue;
        size_t length;
        const char *bytes = strata_tokenizer_bytes(tokenizer, ids[i], &length);
        strata_buffer_append(&raw, bytes, length);
    }
    int code = strata_buffer_check(&raw, err);
    if (!code) {
        strata_utf8_append_lossy(out, strata_buffer_string(&raw), raw.length);
        code = strata_buffer_check(out, err);
    }
    strata_buffer_free(&raw);
    return code;
}
