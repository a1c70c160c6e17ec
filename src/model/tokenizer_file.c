/* Reading a tokenizer.json: the vocabulary and the merges by the pull scanner, everything else as a tree. */
#include "model/tokenizer_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "model/tokenizer_scan.h"
#include "model/tokenizer_settings.h"

struct range {
    size_t begin, end; /* end 0: not found */
};

struct reader {
    struct strata_tokenizer *tokenizer;
    struct strata_scan scan;
    const char *name;
    struct range vocabulary, merges;
    size_t capacity; /* of tokenizer->tokens */
    size_t entries;  /* of the vocabulary */
};

static int fail_at(struct reader *reader, const char *what, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_INPUT, "%s", what);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s: byte %zu", reader->name, reader->scan.at);
}

/* Visits the members of the object at the scanner: inside "model" the ranges of "vocab" and "merges" are noted, other
 * values are skipped. False when the text is not shaped so; base/json then says why. */
static bool find_tables(struct reader *reader, bool in_model) {
    struct strata_scan *scan = &reader->scan;
    if (!strata_scan_take(scan, '{')) return false;
    if (strata_scan_take(scan, '}')) return true;
    do {
        struct strata_view key;
        if (!strata_scan_string(scan, &key, 0) || !strata_scan_take(scan, ':')) return false;
        char first = strata_scan_peek(scan);
        struct range range = {scan->at, 0};
        if (!in_model && first == '{' && key.length == 5 && memcmp(key.data, "model", 5) == 0) {
            if (!find_tables(reader, true)) return false;
            continue;
        }
        bool vocabulary = in_model && first == '{' && key.length == 5 && memcmp(key.data, "vocab", 5) == 0;
        bool merges = in_model && first == '[' && key.length == 6 && memcmp(key.data, "merges", 6) == 0;
        if (!strata_scan_skip(scan)) return false;
        range.end = scan->at;
        if (vocabulary && reader->vocabulary.end == 0) reader->vocabulary = range;
        if (merges && reader->merges.end == 0) reader->merges = range;
    } while (strata_scan_take(scan, ','));
    return strata_scan_take(scan, '}');
}

/* The file without the contents of the two tables, as a tree. A syntax error is placed by parsing it all. */
static int parse_rest(struct reader *reader, json_t **out, struct strata_error *err) {
    struct strata_scan *scan = &reader->scan;
    struct range first = reader->vocabulary, second = reader->merges;
    const char *first_text = "{}", *second_text = "[]";
    if (second.begin < first.begin) {
        first = reader->merges;
        second = reader->vocabulary;
        first_text = "[]";
        second_text = "{}";
    }
    struct strata_buffer rest = {0};
    strata_buffer_append(&rest, scan->text, first.begin);
    strata_buffer_text(&rest, first_text);
    strata_buffer_append(&rest, scan->text + first.end, second.begin - first.end);
    strata_buffer_text(&rest, second_text);
    strata_buffer_append(&rest, scan->text + second.end, scan->length - second.end);
    int code = strata_buffer_check(&rest, err);
    if (!code) code = strata_json_parse(out, strata_buffer_string(&rest), rest.length, reader->name, 1, err);
    strata_buffer_free(&rest);
    if (code != STRATA_ERR_INPUT) return code;
    int whole = strata_json_parse(out, scan->text, scan->length, reader->name, 1, err);
    if (whole) return whole;
    json_decref(*out);
    *out = NULL;
    return strata_fail(err, code, "vocab or merges that end too early");
}

static int grow_tokens(struct reader *reader, size_t size, struct strata_error *err) {
    struct strata_tokenizer *tokenizer = reader->tokenizer;
    if (size <= tokenizer->size) return STRATA_OK;
    int code = strata_grow(&tokenizer->tokens, &reader->capacity, size, sizeof *tokenizer->tokens, err);
    if (code) return code;
    memset(tokenizer->tokens + tokenizer->size, 0, (size - tokenizer->size) * sizeof *tokenizer->tokens);
    tokenizer->size = size;
    return STRATA_OK;
}

/* Stores a token: its content, and the bytes that this stands for in the byte alphabet; content that is not written in
 * that alphabet stands for itself, as in the reference's decoder. */
static int store_token(struct reader *reader, struct strata_view content, int64_t id, unsigned flags,
                       struct strata_error *err) {
    struct strata_tokenizer *tokenizer = reader->tokenizer;
    int code = grow_tokens(reader, (size_t)id + 1, err);
    if (code) return code;
    struct token *token = &tokenizer->tokens[id];
    if (token->flags) return strata_fail(err, STRATA_ERR_INPUT, "id %lld used twice", (long long)id);
    token->flags = (uint8_t)(STRATA_TOKEN_PRESENT | flags);
    token->content = (uint32_t)tokenizer->contents.length;
    token->content_length = (uint32_t)content.length;
    token->bytes = (uint32_t)tokenizer->bytes.length;
    strata_buffer_append(&tokenizer->contents, content.data, content.length);
    bool in_alphabet = true;
    for (size_t i = 0; i < content.length && in_alphabet;) {
        int32_t symbol;
        size_t size = strata_utf8_next(&symbol, content.data + i, content.length - i);
        if (symbol < 0) return strata_fail(err, STRATA_ERR_INPUT, "token that is not UTF-8");
        int byte = strata_symbol_byte(symbol);
        in_alphabet = byte >= 0;
        if (in_alphabet) strata_buffer_byte(&tokenizer->bytes, (unsigned char)byte);
        i += size;
    }
    if (!in_alphabet) {
        size_t offset;
        if (!strata_utf8_valid(content.data, content.length, &offset)) {
            return strata_fail(err, STRATA_ERR_INPUT, "token that is not UTF-8");
        }
        tokenizer->bytes.length = token->bytes;
        strata_buffer_append(&tokenizer->bytes, content.data, content.length);
    }
    token->bytes_length = (uint32_t)(tokenizer->bytes.length - token->bytes);
    code = strata_buffer_check(&tokenizer->contents, err);
    return code ? code : strata_buffer_check(&tokenizer->bytes, err);
}

static int read_vocabulary(struct reader *reader, struct strata_error *err) {
    struct strata_scan *scan = &reader->scan;
    struct strata_tokenizer *tokenizer = reader->tokenizer;
    scan->at = reader->vocabulary.begin + 1;
    int code = STRATA_OK;
    if (!strata_scan_take(scan, '}')) {
        do {
            struct strata_view content;
            int64_t id;
            if (!strata_scan_string(scan, &content, 0) || !strata_scan_take(scan, ':')) {
                return fail_at(reader, "vocab: expected \"token\": id", err);
            }
            if (!strata_scan_integer(scan, &id, STRATA_TOKENIZER_MAX_ID)) {
                return fail_at(reader, "vocab: expected an id from 0 to 4194303", err);
            }
            code = store_token(reader, content, id, 0, err);
            if (code) return strata_fail_at(err, code, "%s: byte %zu", reader->name, scan->at);
            reader->entries++;
        } while (strata_scan_take(scan, ','));
        if (!strata_scan_take(scan, '}')) return fail_at(reader, "vocab: expected , or }", err);
    }
    code = strata_content_table_init(&tokenizer->table, reader->entries, err);
    for (size_t id = 0; id < tokenizer->size && !code; id++) {
        const struct token *token = &tokenizer->tokens[id];
        if (!token->flags) continue;
        const char *content = tokenizer->contents.data + token->content;
        if (strata_content_find(tokenizer, &tokenizer->table, content, token->content_length) >= 0) {
            return strata_fail(err, STRATA_ERR_INPUT, "vocab has \"%.*s\" twice", (int)token->content_length, content);
        }
        strata_content_insert(tokenizer, &tokenizer->table, (uint32_t)id);
    }
    return code;
}

/* Every byte must be a token of its own: then no text is unknown, and the reference's rules for unknown pieces
 * (unk_token, fuse_unk, byte_fallback) never apply. */
static int find_byte_tokens(struct reader *reader, struct strata_error *err) {
    for (unsigned byte = 0; byte < 256; byte++) {
        struct strata_buffer symbol = {0};
        strata_utf8_append(&symbol, strata_byte_symbol((unsigned char)byte));
        int code = strata_buffer_check(&symbol, err);
        int32_t id =
            code ? -1 : strata_content_find(reader->tokenizer, &reader->tokenizer->table, symbol.data, symbol.length);
        strata_buffer_free(&symbol);
        if (code) return code;
        if (id < 0) {
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "vocabulary without a token for byte 0x%02X", byte);
        }
        reader->tokenizer->byte_ids[byte] = id;
    }
    return STRATA_OK;
}

/* One merge, ["a", "b"] or "a b". */
static bool scan_merge(struct strata_scan *scan, struct strata_view *left, struct strata_view *right) {
    if (strata_scan_take(scan, '[')) {
        return strata_scan_string(scan, left, 0) && strata_scan_take(scan, ',') && strata_scan_string(scan, right, 1) &&
               strata_scan_take(scan, ']');
    }
    if (!strata_scan_string(scan, left, 0)) return false;
    const char *space = memchr(left->data, ' ', left->length);
    if (!space) return false;
    size_t at = (size_t)(space - left->data);
    *right = (struct strata_view){space + 1, left->length - at - 1};
    left->length = at;
    return !memchr(right->data, ' ', right->length);
}

/* Id of left + right. Vocabularies list tokens in the order of their merges, so the next id is nearly always it. */
static int32_t find_merged(struct reader *reader, struct strata_view left, struct strata_view right, int32_t guess) {
    const struct strata_tokenizer *tokenizer = reader->tokenizer;
    if ((size_t)guess < tokenizer->size) {
        const struct token *token = &tokenizer->tokens[guess];
        const char *content = tokenizer->contents.data + token->content;
        if (token->flags && token->content_length == left.length + right.length &&
            memcmp(content, left.data, left.length) == 0 &&
            memcmp(content + left.length, right.data, right.length) == 0) {
            return guess;
        }
    }
    struct strata_buffer *joined = &reader->scan.unescaped[2];
    strata_buffer_clear(joined);
    strata_buffer_append(joined, left.data, left.length);
    strata_buffer_append(joined, right.data, right.length);
    if (joined->failed) return -1;
    return strata_content_find(tokenizer, &tokenizer->table, strata_buffer_string(joined), joined->length);
}

struct merge {
    uint32_t left, right, id;
};

static int read_merge_list(struct reader *reader, struct merge **merges, size_t *count, struct strata_error *err) {
    struct strata_scan *scan = &reader->scan;
    struct strata_tokenizer *tokenizer = reader->tokenizer;
    size_t capacity = 0;
    scan->at = reader->merges.begin + 1;
    if (strata_scan_take(scan, ']')) return STRATA_OK;
    int32_t guess = 0;
    do {
        struct strata_view left, right;
        if (!scan_merge(scan, &left, &right)) return fail_at(reader, "merges: expected [\"a\", \"b\"] or \"a b\"", err);
        int32_t left_id = strata_content_find(tokenizer, &tokenizer->table, left.data, left.length);
        int32_t right_id = strata_content_find(tokenizer, &tokenizer->table, right.data, right.length);
        int32_t id = find_merged(reader, left, right, guess);
        if (left_id < 0 || right_id < 0 || id < 0) {
            return fail_at(reader, "merges: a part or the result is not in the vocabulary", err);
        }
        if (*count == STRATA_TOKENIZER_MAX_MERGES) return fail_at(reader, "merges: more than 4194304", err);
        int code = strata_grow(merges, &capacity, *count + 1, sizeof **merges, err);
        if (code) return code;
        (*merges)[(*count)++] = (struct merge){(uint32_t)left_id, (uint32_t)right_id, (uint32_t)id};
        guess = id + 1;
    } while (strata_scan_take(scan, ','));
    return strata_scan_take(scan, ']') ? STRATA_OK : fail_at(reader, "merges: expected , or ]", err);
}

static int read_merges(struct reader *reader, struct strata_error *err) {
    struct merge *merges = NULL;
    size_t count = 0;
    int code = read_merge_list(reader, &merges, &count, err);
    if (!code) code = strata_merge_table_init(&reader->tokenizer->merges, count, err);
    /* A pair listed twice has its last rank, as in the reference's map. */
    for (size_t i = 0; i < count && !code; i++) {
        strata_merge_insert(&reader->tokenizer->merges, merges[i].left, merges[i].right, (uint32_t)i, merges[i].id);
    }
    free(merges);
    return code;
}

static int add_to_trie(struct strata_tokenizer *tokenizer, const struct strata_added_token *added, int32_t id,
                       struct strata_error *err) {
    if (!added->normalized || !tokenizer->nfc) {
        struct trie *trie = added->normalized ? &tokenizer->normalized_trie : &tokenizer->raw_trie;
        return strata_trie_add(trie, added->content, added->length, id, err);
    }
    struct strata_buffer normal = {0};
    int code = strata_nfc_append(&normal, added->content, added->length, err);
    if (!code) code = strata_trie_add(&tokenizer->normalized_trie, normal.data, normal.length, id, err);
    strata_buffer_free(&normal);
    return code;
}

/* The reference ignores the ids in the file: a token of the vocabulary keeps its id, others are numbered on from the
 * end. A file whose ids say otherwise would be read two ways, and is refused. */
static int read_added(struct reader *reader, const json_t *root, struct strata_error *err) {
    struct strata_tokenizer *tokenizer = reader->tokenizer;
    const json_t *list = json_object_get(root, "added_tokens");
    size_t count = json_array_size(list);
    if (count > STRATA_TOKENIZER_MAX_ADDED) return strata_fail(err, STRATA_ERR_INPUT, "%zu added tokens", count);
    int code = strata_content_table_init(&tokenizer->added, count, err);
    int64_t next = (int64_t)reader->entries;
    for (size_t i = 0; i < count && !code; i++) {
        struct strata_added_token added;
        code = strata_added_token_read(&added, json_array_get(list, i), reader->name, err);
        if (code) break;
        if (added.length == 0) continue; /* as the reference does */
        if (strata_content_find(tokenizer, &tokenizer->added, added.content, added.length) >= 0) {
            return strata_fail(err, STRATA_ERR_INPUT, "added token \"%s\" twice", added.content);
        }
        int32_t known = strata_content_find(tokenizer, &tokenizer->table, added.content, added.length);
        int64_t expected = known >= 0 ? known : next;
        if (added.id != expected) {
            return strata_fail(err, STRATA_ERR_UNSUPPORTED,
                               "added token \"%s\" has id %lld where the reference would give it %lld", added.content,
                               (long long)added.id, (long long)expected);
        }
        if (known < 0) {
            code = store_token(reader, (struct strata_view){added.content, added.length}, added.id, 0, err);
            next++;
        }
        if (code) break;
        tokenizer->tokens[added.id].flags |= (uint8_t)added.flags;
        strata_content_insert(tokenizer, &tokenizer->added, (uint32_t)added.id);
        code = add_to_trie(tokenizer, &added, (int32_t)added.id, err);
    }
    return code;
}

static int read_all(struct reader *reader, struct strata_error *err) {
    json_t *root = NULL;
    struct strata_scan *scan = &reader->scan;
    bool found = find_tables(reader, false) && reader->vocabulary.end && reader->merges.end;
    int code = found ? parse_rest(reader, &root, err)
                     : strata_json_parse(&root, scan->text, scan->length, reader->name, 1, err);
    if (!code) code = strata_tokenizer_settings(reader->tokenizer, root, reader->name, err);
    if (!code && !found) code = strata_fail(err, STRATA_ERR_INPUT, "no object model.vocab, or no list model.merges");
    if (!code) code = read_vocabulary(reader, err);
    if (!code) code = find_byte_tokens(reader, err);
    if (!code) code = read_merges(reader, err);
    if (!code) code = read_added(reader, root, err);
    json_decref(root);
    return code ? strata_fail_at_default(err, code, "%s", reader->name) : STRATA_OK;
}

int strata_tokenizer_read(struct strata_tokenizer *tokenizer, const char *json, size_t length, const char *name,
                          struct strata_error *err) {
    if (length > STRATA_TOKENIZER_MAX_FILE) {
        return strata_fail(err, STRATA_ERR_INPUT, "%s: %zu bytes, more than the limit of %zu", name, length,
                           STRATA_TOKENIZER_MAX_FILE);
    }
    struct reader reader = {.tokenizer = tokenizer, .scan = {.text = json, .length = length}, .name = name};
    int code = read_all(&reader, err);
    strata_scan_free(&reader.scan);
    return code;
}
