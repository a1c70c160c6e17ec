/* The tokenizer: golden cases of a small Qwen tokenizer, rules one by one on hand-made files, a plain merger as oracle
 * for the heap, and files that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "model/tiny_tokenizer.h"
#include "model/tokenizer.h"

static struct strata_tokenizer *make(const struct tiny_tokenizer *tiny) {
    struct strata_buffer json = {0};
    struct strata_error error = {0};
    struct strata_tokenizer *tokenizer;
    tiny_json(&json, tiny);
    if (strata_tokenizer_parse(&tokenizer, strata_buffer_string(&json), json.length, "tiny", &error)) {
        fail_msg("%s", error.what);
    }
    strata_buffer_free(&json);
    return tokenizer;
}

static void check_encode(const struct strata_tokenizer *tokenizer, const char *text, size_t length,
                         const int32_t *wanted, size_t count) {
    struct strata_tokens tokens = {0};
    struct strata_error error = {0};
    if (strata_tokenizer_encode(tokenizer, &tokens, text, length, &error)) fail_msg("%s: %s", text, error.what);
    if (tokens.count != count) fail_msg("\"%s\": %zu tokens, not %zu", text, tokens.count, count);
    for (size_t i = 0; i < count; i++) {
        if (tokens.ids[i] != wanted[i]) fail_msg("\"%s\" token %zu: %d, not %d", text, i, tokens.ids[i], wanted[i]);
        assert_int_equal(tokens.begin[i], i > 0 ? tokens.end[i - 1] : 0);
    }
    bool ascii = true; /* its own normal form */
    for (size_t i = 0; i < length; i++) ascii = ascii && (unsigned char)text[i] < 0x80;
    if (ascii && count > 0) assert_int_equal(tokens.end[count - 1], length);
    strata_tokens_free(&tokens);
}

#define CHECK(tokenizer, text, ...)                                                                                    \
    check_encode(tokenizer, text, sizeof text - 1, (const int32_t[]){__VA_ARGS__},                                     \
                 sizeof(const int32_t[]){__VA_ARGS__} / sizeof(int32_t))

static void check_decode(const struct strata_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip,
                         const char *wanted, size_t length) {
    struct strata_buffer out = {0};
    assert_int_equal(strata_tokenizer_decode(tokenizer, &out, ids, count, skip, NULL), 0);
    assert_int_equal(out.length, length);
    assert_memory_equal(strata_buffer_string(&out), wanted, length);
    strata_buffer_free(&out);
}

/* tokenizer.jsonl of a golden model: text -> ids and ids -> text, made with the reference. */
static void test_golden(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer;
    struct strata_buffer lines = {0};
    struct strata_error error = {0};
    if (strata_tokenizer_open(&tokenizer, "tests/data/model/qwen-tiny/tokenizer.json", &error))
        fail_msg("%s", error.what);
    assert_int_equal(strata_file_read(&lines, "tests/data/model/qwen-tiny/tokenizer.jsonl", 0, NULL), 0);
    size_t cases = 0;
    for (char *line = strtok(lines.data, "\n"); line; line = strtok(NULL, "\n"), cases++) {
        json_t *record;
        assert_int_equal(strata_json_parse(&record, line, strlen(line), "line", 1, NULL), 0);
        const json_t *list = json_object_get(record, "ids"), *text = json_object_get(record, "text");
        size_t count = json_array_size(list);
        int32_t *ids = test_calloc(count + 1, sizeof *ids);
        for (size_t i = 0; i < count; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
        if (text) {
            check_encode(tokenizer, json_string_value(text), json_string_length(text), ids, count);
        } else {
            const json_t *all = json_object_get(record, "decoded"),
                         *rest = json_object_get(record, "decoded_skip_special");
            check_decode(tokenizer, ids, count, false, json_string_value(all), json_string_length(all));
            check_decode(tokenizer, ids, count, true, json_string_value(rest), json_string_length(rest));
        }
        test_free(ids);
        json_decref(record);
    }
    assert_true(cases > 200);
    assert_int_equal(strata_tokenizer_id(tokenizer, "<|im_end|>"), 1002);
    assert_int_equal(strata_tokenizer_id(tokenizer, "<|im_en|>"), -1);
    assert_int_equal(strata_tokenizer_size(tokenizer), 1022);
    assert_true(strata_tokenizer_is_special(tokenizer, 1012));
    assert_false(strata_tokenizer_is_special(tokenizer, 1014)); /* <tool_call> is added, but not special */
    strata_buffer_free(&lines);
    strata_tokenizer_close(tokenizer);
}

#define ABC_TOKENS                                                                                                     \
    ",\"ab\":256,\"bc\":257,\"abc\":258,\"aa\":259,\"\xC4\xA0"                                                         \
    "a\":260"

static void test_merges(void **state) {
    (void)state;
    const char *notations[] = {"[\"b\",\"c\"],[\"a\",\"b\"],[\"a\",\"bc\"],[\"a\",\"a\"],[\"\xC4\xA0\",\"a\"]",
                               "\"b c\",\"a b\",\"a bc\",\"a a\",\"\\u0120 \\u0061\""};
    for (size_t i = 0; i < 2; i++) {
        struct strata_tokenizer *tokenizer =
            make(&(struct tiny_tokenizer){.tokens = ABC_TOKENS, .merges = notations[i]});
        CHECK(tokenizer, "abc", 258); /* b+c is first by rank, though a+b is first by place */
        CHECK(tokenizer, "ab", 256);
        CHECK(tokenizer, "aaa", 259, 'a'); /* equal ranks: leftmost */
        CHECK(tokenizer, "aaaa abc", 259, 259, ' ', 258);
        strata_tokenizer_close(tokenizer);
    }
    /* A pair listed twice has its last rank: a+b now comes before b+c, and nothing makes abc of ab, c. */
    struct strata_tokenizer *tokenizer =
        make(&(struct tiny_tokenizer){.tokens = ABC_TOKENS, .merges = "\"b c\",\"a b\",\"a bc\",\"b c\""});
    CHECK(tokenizer, "abc", 256, 'c');
    strata_tokenizer_close(tokenizer);
}

static void test_ignore_merges(void **state) {
    (void)state;
    struct tiny_tokenizer tiny = {.tokens = ",\"xyz\":256,\"\xC4\xA0xyz\":257"};
    struct strata_tokenizer *tokenizer = make(&tiny);
    CHECK(tokenizer, "xyz", 'x', 'y', 'z');
    strata_tokenizer_close(tokenizer);
    tiny.settings = "\"ignore_merges\":true,";
    tokenizer = make(&tiny);
    CHECK(tokenizer, "xyz xyz xy", 256, 257, ' ', 'x', 'y');
    strata_tokenizer_close(tokenizer);
}

/* Merging by the definition: find the lowest rank, leftmost; merge; again. Symbols are strings over a..d. */
static size_t plain_merge(char symbols[][64], size_t count, char merges[][2][64], size_t merge_count) {
    for (;;) {
        size_t best = merge_count, at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            for (size_t m = 0; m < best; m++) {
                if (strcmp(symbols[i], merges[m][0]) == 0 && strcmp(symbols[i + 1], merges[m][1]) == 0) {
                    best = m;
                    at = i;
                }
            }
        }
        if (best == merge_count) return count;
        char joined[128];
        snprintf(joined, sizeof joined, "%s%s", symbols[at], symbols[at + 1]);
        memcpy(symbols[at], joined, strlen(joined) + 1);
        memmove(symbols + at + 1, symbols + at + 2, (count - at - 2) * sizeof *symbols);
        count--;
    }
}

static void test_heap_against_plain(void **state) {
    (void)state;
    for (uint32_t round = 0; round < 60; round++) {
        struct strata_random random = strata_random_make(1, "merges", STRATA_PURPOSE_TEST, round, 0);
        uint64_t draw = 0;
        static char merges[40][2][64], symbols[200][64], known[44][64];
        size_t count = 0, known_count = 4;
        struct strata_buffer tokens = {0}, list = {0};
        for (size_t i = 0; i < 4; i++) snprintf(known[i], sizeof known[i], "%c", (char)('a' + i));
        while (count < 40) {
            const char *left = known[strata_random_below(&random, draw++, known_count)];
            const char *right = known[strata_random_below(&random, draw++, known_count)];
            char joined[128];
            snprintf(joined, sizeof joined, "%s%s", left, right);
            bool twice = strlen(joined) > 20;
            for (size_t i = 0; i < known_count; i++) twice |= strcmp(known[i], joined) == 0;
            if (twice) continue;
            strcpy(merges[count][0], left);
            strcpy(merges[count][1], right);
            memcpy(known[known_count], joined, strlen(joined) + 1);
            strata_buffer_printf(&tokens, ",\"%s\":%zu", joined, 256 + count);
            strata_buffer_printf(&list, "%s[\"%s\",\"%s\"]", count ? "," : "", left, right);
            known_count++;
            count++;
        }
        struct strata_tokenizer *tokenizer = make(&(struct tiny_tokenizer){.tokens = tokens.data, .merges = list.data});
        size_t length = 1 + (size_t)strata_random_below(&random, draw++, 199);
        char text[201] = {0};
        for (size_t i = 0; i < length; i++) {
            text[i] = (char)('a' + strata_random_below(&random, draw++, 4));
            memcpy(symbols[i], (char[2]){text[i], 0}, 2);
        }
        size_t left = plain_merge(symbols, length, merges, count);
        int32_t wanted[200];
        for (size_t i = 0; i < left; i++) wanted[i] = strata_tokenizer_id(tokenizer, symbols[i]);
        check_encode(tokenizer, text, length, wanted, left);
        strata_tokenizer_close(tokenizer);
        strata_buffer_free(&tokens);
        strata_buffer_free(&list);
    }
}

#define ADDED(id, content, flags) "{\"id\":" #id ",\"content\":\"" content "\"," flags "\"special\":false}"

/* Tokens 256 and 257 are found in the raw text, the others after normalisation, but for 262. */
/* clang-format off */
static const char every_kind[] =
    ADDED(256, "<a>", "\"normalized\":false,") ","
    ADDED(257, "<a><b>", "\"normalized\":false,") ","
    ADDED(258, "[l]", "\"lstrip\":true,") ","
    ADDED(259, "[r]", "\"rstrip\":true,") ","
    ADDED(260, "word", "\"single_word\":true,") ","
    "{\"id\":261,\"content\":\"e\\u0301\",\"normalized\":true,\"special\":true},"
    "{\"id\":262,\"content\":\"o\\u0301\",\"normalized\":false,\"special\":true},"
    ADDED(263, " s", "");
/* clang-format on */

static void test_added_tokens(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer = make(&(struct tiny_tokenizer){.added = every_kind});
    CHECK(tokenizer, "<a><b><a>", 257, 256);                     /* longest at a position */
    CHECK(tokenizer, "<a><a><b", 256, 256, '<', 'b');            /* a longer one that does not end */
    CHECK(tokenizer, "x \t[l]y", 'x', 258, 'y');                 /* takes the white space before it */
    CHECK(tokenizer, "x [r] \xE3\x80\x80y", 'x', ' ', 259, 'y'); /* … or after it */
    CHECK(tokenizer, "[r]  [l]", 259, 258);                      /* white space is given only once */
    CHECK(tokenizer, "[r] s", 259, 263);                         /* even where the next token began in it */
    CHECK(tokenizer, "word", 260);
    CHECK(tokenizer, "a word.", 'a', ' ', 260, '.');
    CHECK(tokenizer, "words", 'w', 'o', 'r', 'd', 's');
    CHECK(tokenizer, "word_ \xC3\xBCword", 'w', 'o', 'r', 'd', '_', ' ', 0xC3, 0xBC, 'w', 'o', 'r', 'd');
    CHECK(tokenizer, "e\xCC\x81", 261); /* normalised: found in either form */
    CHECK(tokenizer, "\xC3\xA9", 261);
    CHECK(tokenizer, "o\xCC\x81", 262); /* not normalised: only as written */
    CHECK(tokenizer, "\xC3\xB3", 0xC3, 0xB3);
    CHECK(tokenizer, "<a>\xCC\xB8", 256, 0xCC, 0xB8); /* the token goes before > and U+0338 compose */
    check_decode(tokenizer, (const int32_t[]){256, 261, 'x'}, 3, false, "<a>e\xCC\x81x", 7);
    check_decode(tokenizer, (const int32_t[]){256, 261, 'x'}, 3, true, "<a>x", 4);
    strata_tokenizer_close(tokenizer);
}

static void test_pieces(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer = make(&(struct tiny_tokenizer){
        .tokens = ",\"\xC4\xA0\xC4\xA0\":256,\"\xC4\xA0x\":257,\"12\":258,\"'t\":259,\"\xC4\x8A\xC4\x8A\":260,\"!"
                  "\xC3\xA1\":261",
        .merges = "\"\xC4\xA0 \xC4\xA0\",\"\xC4\xA0 x\",\"1 2\",\"' t\",\"\xC4\x8A \xC4\x8A\",\"! \xC3\xA1\""});
    CHECK(tokenizer, "   x", 256, 257); /* the last space goes with the word */
    CHECK(tokenizer, "12", '1', '2');   /* digits one by one: the merge never applies */
    CHECK(tokenizer, "n't", 'n', 259);
    CHECK(tokenizer, "\n\nx", 260, 'x');
    CHECK(tokenizer, " \n\n", ' ', 260);
    /* U+180E is no white space in Unicode, though PCRE2's \s takes it; U+0085 is. So "!" joins the one, not the other.
     */
    CHECK(tokenizer, "!\xE1\xA0\x8E", 261, 0xA0, 0x8E);
    CHECK(tokenizer, "\xC2\x85\nx", 0xC2, 0x85, '\n', 'x');
    strata_tokenizer_close(tokenizer);
}

/* Letters and numbers as Unicode 16 has them, marks as Unicode 9: so do the tables of the tokenizers library (checked
 * with 0.23.3 over all code points), whatever PCRE2's and utf8proc's are. */
static void test_unicode_versions(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer = make(&(struct tiny_tokenizer){.tokens = ",\".a\":256", .merges = "\". a\""});
    CHECK(tokenizer, "\xF0\x9D\x8B\x86.a", 0xF0, 0x9D, 0x8B, 0x86, 256);          /* U+1D2C6 is a number: ".a" a word */
    CHECK(tokenizer, "\xF0\x9D\x8B\x9A.a", 0xF0, 0x9D, 0x8B, 0x9A, '.', 'a');     /* U+1D2DA is nothing: with "." */
    CHECK(tokenizer, "\xF0\x91\x8E\x93.a", 0xF0, 0x91, 0x8E, 0x93, 256);          /* U+11393 is a letter */
    CHECK(tokenizer, "a\xCC\xA7\xE0\xB4\xBC", 'a', 0xCC, 0xA7, 0xE0, 0xB4, 0xBC); /* U+0D3C stays behind U+0327 */
    CHECK(tokenizer, "a\xE0\xB4\xBC\xCC\x81", 'a', 0xE0, 0xB4, 0xBC, 0xCC, 0x81); /* and keeps U+0301 from the a */
    CHECK(tokenizer, "\xEA\xB0\x80\xE1\x86\xA7", 0xEA, 0xB0, 0x80, 0xE1, 0x86, 0xA7); /* U+11A7 is not lost */
    CHECK(tokenizer, "\xEA\xB0\x80\xE1\x86\xA8", 0xEA, 0xB0, 0x81);                   /* U+11A8 joins the syllable */
    strata_tokenizer_close(tokenizer);
}

static void test_long_words(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer =
        make(&(struct tiny_tokenizer){.tokens = ",\"aa\":256,\"aaaa\":257,\"\xC4\xA0\xC4\xA0\":258",
                                      .merges = "\"a a\",\"aa aa\",\"\xC4\xA0 \xC4\xA0\""});
    enum { LENGTH = 400000 };
    char *text = test_malloc(LENGTH);
    const char fillers[] = "a !";
    const int32_t firsts[] = {257, 258, '!'};
    const size_t counts[] = {LENGTH / 4, LENGTH / 2, LENGTH};
    for (size_t i = 0; i < 3; i++) {
        struct strata_tokens tokens = {0};
        memset(text, fillers[i], LENGTH);
        assert_int_equal(strata_tokenizer_encode(tokenizer, &tokens, text, LENGTH, NULL), 0);
        assert_int_equal(tokens.count, counts[i]);
        assert_int_equal(tokens.ids[0], firsts[i]);
        assert_int_equal(tokens.end[tokens.count - 1], LENGTH);
        strata_tokens_free(&tokens);
    }
    /* Combining marks in the wrong order, which a quadratic sort would take minutes over. */
    for (size_t i = 0; i + 4 <= LENGTH; i += 4)
        for (size_t k = 0; k < 4; k++) text[i + k] = "\xCC\x81\xCC\x96"[k];
    struct strata_tokens tokens = {0};
    assert_int_equal(strata_tokenizer_encode(tokenizer, &tokens, text, LENGTH, NULL), 0);
    assert_int_equal(tokens.count, LENGTH);
    assert_int_equal(tokens.ids[1], 0x96);
    assert_int_equal(tokens.ids[LENGTH - 1], 0x81);
    strata_tokens_free(&tokens);
    test_free(text);
    strata_tokenizer_close(tokenizer);
}

static void test_spans_and_append(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer = make(&(struct tiny_tokenizer){
        .tokens = ",\"ab\":256", .merges = "\"a b\"", .added = ADDED(257, "<a>", "\"normalized\":false,")});
    struct strata_tokens tokens = {0};
    assert_int_equal(strata_tokenizer_encode(tokenizer, &tokens, "e\xCC\x81<a>ab", 8, NULL), 0);
    const int32_t ids[] = {0xC3, 0xA9, 257, 256};
    const uint32_t ends[] = {1, 2, 5, 7}; /* of the normal form: e and U+0301 became two bytes */
    assert_int_equal(tokens.count, 4);
    assert_memory_equal(tokens.ids, ids, sizeof ids);
    assert_memory_equal(tokens.end, ends, sizeof ends);
    struct strata_error error = {0};
    assert_int_equal(strata_tokenizer_encode(tokenizer, &tokens, "ab\xED\xA0\x80", 5, &error), STRATA_ERR_INPUT);
    assert_non_null(strstr(error.where, "2"));
    assert_int_equal(tokens.count, 4); /* nothing of the bad text */
    assert_int_equal(strata_tokenizer_encode(tokenizer, &tokens, "ab", 2, NULL), 0);
    assert_int_equal(tokens.count, 5);
    assert_int_equal(tokens.begin[4], 0);
    assert_int_equal(strata_tokenizer_encode(tokenizer, &tokens, "", 0, NULL), 0);
    assert_int_equal(tokens.count, 5);
    strata_tokens_free(&tokens);
    strata_tokenizer_close(tokenizer);
}

static void test_decode(void **state) {
    (void)state;
    struct strata_tokenizer *tokenizer =
        make(&(struct tiny_tokenizer){.tokens = ",\"two words\":300,\"\\ud83d\\ude00\":301"});
    int32_t all[256];
    size_t length;
    for (int32_t byte = 0; byte < 256; byte++) {
        const char *bytes = strata_tokenizer_bytes(tokenizer, all[byte] = byte, &length);
        assert_int_equal(length, 1);
        assert_int_equal((unsigned char)bytes[0], byte);
    }
    /* One U+FFFD for each maximal subpart, as Rust has it: a cut sequence is one, impossible bytes are one each. */
    const struct {
        int32_t ids[6];
        size_t count;
        const char *text;
    } cases[] = {
        {{0xE4, 0xBD, 0xA0}, 3, "\xE4\xBD\xA0"},
        {{0xE4, 0xBD, 'x'}, 3, "\xEF\xBF\xBDx"},
        {{0xE4, 0xE4, 0xBD, 0xA0}, 4, "\xEF\xBF\xBD\xE4\xBD\xA0"},
        {{0xC0, 0x80}, 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {{0xED, 0xA0, 0x80}, 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {{0xF0, 0x9F, 0x98}, 3, "\xEF\xBF\xBD"},
        {{0xF4, 0x90, 'a', 0xFF},
         4,
         "\xEF\xBF\xBD\xEF\xBF\xBD"
         "a\xEF\xBF\xBD"},
        {{'a', 299, -1, 9999, 'b'}, 5, "ab"}, /* ids without a token */
        {{301}, 1, "\xF0\x9F\x98\x80"},
        {{300}, 1, "two words"}, /* not in the byte alphabet: itself */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_decode(tokenizer, cases[i].ids, cases[i].count, false, cases[i].text, strlen(cases[i].text));
    }
    assert_string_equal(strata_tokenizer_bytes(tokenizer, 299, &length), "");
    assert_int_equal(length, 0);
    strata_tokenizer_close(tokenizer);
}

#define SPLIT(pattern, rest)                                                                                           \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern "\"}," rest      \
    "}," TINY_BYTE_LEVEL "]}"

static void test_refusals(void **state) {
    (void)state;
    const struct {
        struct tiny_tokenizer tiny;
        int code;
        const char *what;
    } cases[] = {
        {{.normalizer = "{\"type\":\"Lowercase\"}"}, STRATA_ERR_UNSUPPORTED, "Lowercase"},
        {{.normalizer = "{\"type\":\"NFC\",\"new\":1}"}, STRATA_ERR_UNSUPPORTED, "new"},
        {{.pre_tokenizer = "null"}, STRATA_ERR_UNSUPPORTED, "pre_tokenizer"},
        {{.pre_tokenizer = TINY_BYTE_LEVEL}, STRATA_ERR_UNSUPPORTED, "ByteLevel"},
        {{.pre_tokenizer = SPLIT("a+", "\"behavior\":\"Isolated\"")}, STRATA_ERR_UNSUPPORTED, "a+"},
        {{.pre_tokenizer = SPLIT(TINY_PATTERN, "\"behavior\":\"Removed\"")}, STRATA_ERR_UNSUPPORTED, "Removed"},
        {{.pre_tokenizer = SPLIT(TINY_PATTERN, "\"behavior\":\"Isolated\",\"invert\":true")},
         STRATA_ERR_UNSUPPORTED,
         "invert"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\"}"}, STRATA_ERR_UNSUPPORTED, "TemplateProcessing"},
        {{.decoder = "null"}, STRATA_ERR_UNSUPPORTED, "decoder"},
        {{.settings = "\"dropout\":0.1,"}, STRATA_ERR_UNSUPPORTED, "dropout"},
        {{.settings = "\"continuing_subword_prefix\":\"##\","}, STRATA_ERR_UNSUPPORTED, "##"},
        {{.settings = "\"end_of_word_suffix\":\"</w>\","}, STRATA_ERR_UNSUPPORTED, "</w>"},
        {{.settings = "\"novelty\":true,"}, STRATA_ERR_UNSUPPORTED, "novelty"},
        {{.settings = "\"ignore_merges\":3,"}, STRATA_ERR_INPUT, "ignore_merges"},
        {{.extra = "\"novelty\":{},"}, STRATA_ERR_UNSUPPORTED, "novelty"},
        {{.missing_byte = 0xAD}, STRATA_ERR_UNSUPPORTED, "0xAD"},
        {{.tokens = ",\"a\":300"}, STRATA_ERR_INPUT, "twice"},
        {{.tokens = ",\"aa\":97"}, STRATA_ERR_INPUT, "twice"},
        {{.tokens = ",\"aa\":-1"}, STRATA_ERR_INPUT, "id"},
        {{.tokens = ",\"aa\":4194304"}, STRATA_ERR_INPUT, "id"},
        {{.tokens = ",\"aa\":900.5"}, STRATA_ERR_INPUT, "vocab"},
        {{.tokens = ",\"\xFF\":256"}, STRATA_ERR_INPUT, "UTF-8"},
        {{.tokens = ",\"\\ud800\":256"}, STRATA_ERR_INPUT, "vocab"},
        {{.merges = "\"a b\""}, STRATA_ERR_INPUT, "merges"},
        {{.merges = "\"a\""}, STRATA_ERR_INPUT, "merges"},
        {{.merges = "\"a b c\""}, STRATA_ERR_INPUT, "merges"},
        {{.merges = "[\"a\"]"}, STRATA_ERR_INPUT, "merges"},
        {{.merges = "[\"a\",\"b\",\"c\"]"}, STRATA_ERR_INPUT, "merges"},
        {{.added = ADDED(257, "<a>", "")}, STRATA_ERR_UNSUPPORTED, "257"},
        {{.added = ADDED(98, "a", "")}, STRATA_ERR_UNSUPPORTED, "98"},
        {{.added = ADDED(256, "<a>", "") "," ADDED(257, "<a>", "")}, STRATA_ERR_INPUT, "twice"},
        {{.added = "{\"content\":\"x\"}"}, STRATA_ERR_INPUT, "id"},
        {{.added = "7"}, STRATA_ERR_INPUT, "added_tokens"},
        {{.added = ADDED(256, "<a>", "\"colour\":1,")}, STRATA_ERR_UNSUPPORTED, "colour"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_buffer json = {0};
        struct strata_error error = {0};
        struct strata_tokenizer *tokenizer;
        tiny_json(&json, &cases[i].tiny);
        int code = strata_tokenizer_parse(&tokenizer, json.data, json.length, "tiny", &error);
        if (code != cases[i].code || !strstr(error.what, cases[i].what)) {
            fail_msg("case %zu (%s): %d, %s", i, cases[i].what, code, error.what);
        }
        assert_non_null(strstr(error.where, "tiny"));
        assert_null(tokenizer);
        strata_buffer_free(&json);
    }
}

/* No cut of a good file is good, and none crashes. */
static void test_truncated(void **state) {
    (void)state;
    struct strata_buffer json = {0};
    struct strata_tokenizer *tokenizer;
    struct strata_error error = {0};
    tiny_json(&json, &(struct tiny_tokenizer){.tokens = ABC_TOKENS, .merges = "\"b c\",[\"a\",\"b\"]"});
    for (size_t length = 0; length < json.length; length++) {
        char *cut = test_malloc(length + 1); /* of its own, so that a sanitizer sees a read behind it */
        memcpy(cut, json.data, length);
        if (strata_tokenizer_parse(&tokenizer, cut, length, "cut", &error) == 0) fail_msg("cut at %zu", length);
        test_free(cut);
    }
    assert_int_equal(strata_tokenizer_open(&tokenizer, "tests/data/model/none.json", &error), STRATA_ERR_IO);
    strata_buffer_free(&json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),           cmocka_unit_test(test_merges),
        cmocka_unit_test(test_ignore_merges),    cmocka_unit_test(test_heap_against_plain),
        cmocka_unit_test(test_added_tokens),     cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_unicode_versions), cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_spans_and_append), cmocka_unit_test(test_decode),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
