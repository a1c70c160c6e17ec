/* The first byte picks: the rest is a tokenizer.json; or the lists of one (tokens, merges, added tokens, separated by
 * NUL) and a text to encode with it; or text for a tokenizer with every kind of added token. What is encoded must cover
 * its text and, where that is NFC and nothing was stripped, decode to it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/prompt.h"
#include "model/tiny_tokenizer.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct strata_tokenizer *tokenizer, const char *text, size_t length) {
    struct strata_tokens tokens = {0};
    struct strata_buffer decoded = {0};
    struct strata_error error;
    if (!strata_tokenizer_encode(tokenizer, &tokens, text, length, &error)) {
        for (size_t i = 0; i < tokens.count; i++) {
            if (tokens.begin[i] != (i ? tokens.end[i - 1] : 0) || tokens.end[i] <= tokens.begin[i]) abort();
        }
        if (length > 0 && tokens.count == 0) abort();
        if (strata_tokenizer_decode(tokenizer, &decoded, tokens.ids, tokens.count, false, &error)) abort();
    }
    strata_buffer_free(&decoded);
    strata_tokens_free(&tokens);
}

static struct strata_tokenizer *tiny(const char *tokens, const char *merges, const char *added) {
    struct strata_buffer json = {0};
    struct strata_error error;
    struct strata_tokenizer *tokenizer;
    tiny_json(&json, &(struct tiny_tokenizer){.tokens = tokens, .merges = merges, .added = added});
    strata_tokenizer_parse(&tokenizer, strata_buffer_string(&json), json.length, "fuzz", &error);
    strata_buffer_free(&json);
    return tokenizer;
}

static void fuzz_lists(const char *bytes, size_t size) {
    char *text = malloc(size + 1), *parts[4], *at = text;
    if (!text) return;
    memcpy(text, bytes, size);
    text[size] = 0;
    for (size_t i = 0; i < 4; i++) {
        parts[i] = at;
        if (at < text + size) at += strlen(at);
        if (at < text + size) at++;
    }
    struct strata_tokenizer *tokenizer = tiny(parts[0], parts[1], parts[2]);
    if (tokenizer) use(tokenizer, parts[3], strlen(parts[3]));
    strata_tokenizer_close(tokenizer);
    free(text);
}

static void fuzz_text(const char *bytes, size_t size) {
    static const char added[] =
        "{\"id\":259,\"content\":\"<a>\",\"normalized\":false,\"special\":true},"
        "{\"id\":260,\"content\":\" b \",\"lstrip\":true,\"rstrip\":true,\"special\":false},"
        "{\"id\":261,\"content\":\"<a><\",\"rstrip\":true,\"normalized\":false,\"special\":false},"
        "{\"id\":262,\"content\":\"word\",\"single_word\":true,\"special\":false},"
        "{\"id\":263,\"content\":\"e\\u0301\",\"lstrip\":true,\"special\":false}";
    struct strata_tokenizer *tokenizer =
        tiny(",\"aa\":256,\"aaaa\":257,\"aaa\":258", "\"a a\",\"aa aa\",\"a aa\"", added);
    if (!tokenizer) abort();
    use(tokenizer, bytes, size);
    strata_tokenizer_close(tokenizer);
}

static void fuzz_template(const char *bytes, size_t size) {
    char *text = malloc(size + 1);
    if (!text) return;
    memcpy(text, bytes, size);
    text[size] = 0;
    strata_chat_template_check(text, NULL);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *bytes = (const char *)data + 1;
    struct strata_tokenizer *tokenizer;
    switch (data[0] & 3) {
    case 0:
        if (!strata_tokenizer_parse(&tokenizer, bytes, size - 1, "fuzz", NULL)) use(tokenizer, bytes, size - 1);
        strata_tokenizer_close(tokenizer);
        return 0;
    case 1:
        fuzz_lists(bytes, size - 1);
        return 0;
    case 2:
        fuzz_template(bytes, size - 1);
        return 0;
    default:
        fuzz_text(bytes, size - 1);
        return 0;
    }
}
