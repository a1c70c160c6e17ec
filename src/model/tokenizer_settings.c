#include "model/tokenizer_settings.h"

#include <string.h>

#include "base/json.h"

/* The one pre-tokenizer of the Qwen2, Qwen2.5 and Qwen3 families, as their files write it (Oniguruma's syntax) and as
 * PCRE2 must read it to mean the same: Oniguruma's \s is Unicode White_Space, PCRE2's adds U+180E; its letters and
 * numbers are those of Unicode 16, an older PCRE2's (10.42: Unicode 14) lack these. */
#define NEW_LETTERS                                                                                                    \
    "\\x{1C89}-\\x{1C8A}\\x{A7CB}-\\x{A7CD}\\x{A7DA}-\\x{A7DC}\\x{105C0}-\\x{105F3}\\x{10D4A}-\\x{10D65}"              \
    "\\x{10D6F}-\\x{10D85}\\x{10EC2}-\\x{10EC4}\\x{1123F}-\\x{11240}\\x{11380}-\\x{11389}\\x{1138B}\\x{1138E}"         \
    "\\x{11390}-\\x{113B5}\\x{113B7}\\x{113D1}\\x{113D3}\\x{11BC0}-\\x{11BE0}\\x{11F02}\\x{11F04}-\\x{11F10}"          \
    "\\x{11F12}-\\x{11F33}\\x{1342F}\\x{13441}-\\x{13446}\\x{13460}-\\x{143FA}\\x{16100}-\\x{1611D}"                   \
    "\\x{16D40}-\\x{16D6C}\\x{18CFF}\\x{1B132}\\x{1B155}\\x{1DF25}-\\x{1DF2A}\\x{1E030}-\\x{1E06D}"                    \
    "\\x{1E4D0}-\\x{1E4EB}\\x{1E5D0}-\\x{1E5ED}\\x{1E5F0}\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}"
#define NEW_NUMBERS                                                                                                    \
    "\\x{10D40}-\\x{10D49}\\x{116D0}-\\x{116E3}\\x{11BF0}-\\x{11BF9}\\x{11F50}-\\x{11F59}\\x{16130}-\\x{16139}"        \
    "\\x{16D70}-\\x{16D79}\\x{1CCF0}-\\x{1CCF9}\\x{1D2C0}-\\x{1D2D3}\\x{1E4F0}-\\x{1E4F9}\\x{1E5F1}-\\x{1E5FA}"
#define LETTERS "\\p{L}" NEW_LETTERS
#define NUMBERS "\\p{N}" NEW_NUMBERS
static const char qwen_pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
                                   "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen_pattern_pcre2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n" LETTERS NUMBERS "]?[" LETTERS "]+|[" NUMBERS "]"
    "| ?[^\\p{WSpace}" LETTERS NUMBERS "]+[\\r\\n]*|\\p{WSpace}*[\\r\\n]+|\\p{WSpace}+(?!\\P{WSpace})|\\p{WSpace}+";

static const char *type_of(const json_t *object) {
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "(none)";
}

static bool is_type(const json_t *object, const char *type) {
    return strcmp(type_of(object), type) == 0;
}

/* Are all keys of the object among `known` (NULL-terminated)? A key we do not know may mean something. */
static int check_keys(const json_t *object, const char *const *known, const char *what, struct strata_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        const char *const *at = known;
        while (*at && strcmp(*at, key) != 0) at++;
        if (!*at && !json_is_null(value)) {
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s: unknown setting \"%s\"", what, key);
        }
    }
    return STRATA_OK;
}

/* object[key] must be absent, null or the given boolean. */
static int require_bool(const json_t *object, const char *key, bool wanted, const char *what,
                        struct strata_error *err) {
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value) || (json_is_boolean(value) && json_is_true(value) == wanted)) return STRATA_OK;
    return strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s: %s is not %s", what, key, wanted ? "true" : "false");
}

static int check_normalizer(struct strata_tokenizer *tokenizer, const json_t *object, struct strata_error *err) {
    static const char *const keys[] = {"type", NULL};
    if (!object || json_is_null(object)) return STRATA_OK;
    if (!is_type(object, "NFC")) {
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "normalizer of type %s (NFC or none is read)", type_of(object));
    }
    tokenizer->nfc = true;
    return check_keys(object, keys, "normalizer", err);
}

/* ByteLevel as pre-tokenizer, post-processor (where it only trims offsets) and decoder. */
static int check_byte_level(const json_t *object, const char *what, bool splits, struct strata_error *err) {
    static const char *const keys[] = {"type", "add_prefix_space", "trim_offsets", "use_regex", NULL};
    if (!is_type(object, "ByteLevel")) {
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s of type %s (ByteLevel is read)", what, type_of(object));
    }
    int code = check_keys(object, keys, what, err);
    if (!code && splits) {
        /* Absent means true for both in the reference. */
        if (!json_is_false(json_object_get(object, "use_regex"))) {
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s: ByteLevel with a regex of its own", what);
        }
        if (!json_is_false(json_object_get(object, "add_prefix_space"))) {
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s: ByteLevel with add_prefix_space", what);
        }
    }
    return code;
}

static int check_split(const json_t *object, struct strata_error *err) {
    static const char *const keys[] = {"type", "pattern", "behavior", "invert", NULL};
    const char *what = "pre_tokenizer";
    if (!is_type(object, "Split")) {
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "pre_tokenizer that begins with %s (Split is read)",
                           type_of(object));
    }
    int code = check_keys(object, keys, what, err);
    if (!code) code = require_bool(object, "invert", false, what, err);
    if (code) return code;
    const char *behavior = json_string_value(json_object_get(object, "behavior"));
    if (!behavior || strcmp(behavior, "Isolated") != 0) {
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "pre_tokenizer: Split with behavior %s (Isolated is read)",
                           behavior ? behavior : "(none)");
    }
    const char *regex = json_string_value(json_object_get(json_object_get(object, "pattern"), "Regex"));
    if (!regex || strcmp(regex, qwen_pattern) != 0) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "pre_tokenizer: Split by another pattern than Qwen's: %.200s",
                    regex ? regex : "(no Regex)");
        return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED, "tokenizers of Qwen2, Qwen2.5 and Qwen3 can be read");
    }
    return STRATA_OK;
}

static int check_pre_tokenizer(const json_t *object, struct strata_error *err) {
    static const char *const keys[] = {"type", "pretokenizers", NULL};
    const json_t *steps = json_object_get(object, "pretokenizers");
    if (!is_type(object, "Sequence") || json_array_size(steps) != 2) {
        return strata_fail(err, STRATA_ERR_UNSUPPORTED,
                           "pre_tokenizer of type %s (a Sequence of Split and ByteLevel is read)", type_of(object));
    }
    int code = check_keys(object, keys, "pre_tokenizer", err);
    if (!code) code = check_split(json_array_get(steps, 0), err);
    if (!code) code = check_byte_level(json_array_get(steps, 1), "pre_tokenizer", true, err);
    return code;
}

static int check_model(struct strata_tokenizer *tokenizer, const json_t *object, const char *name,
                       struct strata_error *err) {
    static const char *const keys[] = {"type",
                                       "dropout",
                                       "unk_token",
                                       "continuing_subword_prefix",
                                       "end_of_word_suffix",
                                       "fuse_unk",
                                       "byte_fallback",
                                       "ignore_merges",
                                       "vocab",
                                       "merges",
                                       NULL};
    if (!json_is_object(object)) return strata_fail(err, STRATA_ERR_INPUT, "no object \"model\"");
    if (json_object_get(object, "type") && !is_type(object, "BPE")) { /* early files leave it out */
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "model of type %s (BPE is read)", type_of(object));
    }
    int code = check_keys(object, keys, "model", err);
    double dropout = 0;
    if (!code) code = strata_json_real(&dropout, object, "dropout", false, name, err);
    if (!code && dropout != 0) code = strata_fail(err, STRATA_ERR_UNSUPPORTED, "model: dropout of merges");
    const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2 && !code; i++) {
        const char *affix = "";
        code = strata_json_string(&affix, object, affixes[i], false, name, err);
        if (!code && *affix) code = strata_fail(err, STRATA_ERR_UNSUPPORTED, "model: %s \"%s\"", affixes[i], affix);
    }
    if (!code) code = strata_json_bool(&tokenizer->ignore_merges, object, "ignore_merges", false, name, err);
    return code;
}

static int compile_pattern(struct strata_tokenizer *tokenizer, struct strata_error *err) {
    int number;
    PCRE2_SIZE offset;
    tokenizer->pattern = pcre2_compile((PCRE2_SPTR)qwen_pattern_pcre2, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                       &number, &offset, NULL);
    if (!tokenizer->pattern) {
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "PCRE2 refuses the pre-tokenizer's pattern (error %d at %zu)",
                           number, offset);
    }
    tokenizer->jit = pcre2_jit_compile(tokenizer->pattern, PCRE2_JIT_COMPLETE) == 0; /* else the interpreter runs it */
    return STRATA_OK;
}

int strata_tokenizer_settings(struct strata_tokenizer *tokenizer, const json_t *root, const char *name,
                              struct strata_error *err) {
    /* truncation and padding are known and left aside: transformers sets both anew on every call. */
    static const char *const keys[] = {"version",       "truncation",     "padding", "added_tokens", "normalizer",
                                       "pre_tokenizer", "post_processor", "decoder", "model",        NULL};
    if (!json_is_object(root)) return strata_fail(err, STRATA_ERR_INPUT, "not a JSON object");
    const char *version = "1.0";
    int code = check_keys(root, keys, "tokenizer", err);
    if (!code) code = strata_json_string(&version, root, "version", false, name, err);
    if (!code && strcmp(version, "1.0") != 0) {
        code = strata_fail(err, STRATA_ERR_UNSUPPORTED, "tokenizer of version %s (1.0 is read)", version);
    }
    if (!code) code = check_model(tokenizer, json_object_get(root, "model"), name, err);
    if (!code) code = check_normalizer(tokenizer, json_object_get(root, "normalizer"), err);
    if (!code) code = check_pre_tokenizer(json_object_get(root, "pre_tokenizer"), err);
    const json_t *post_processor = json_object_get(root, "post_processor");
    if (!code && post_processor && !json_is_null(post_processor)) {
        code = check_byte_level(post_processor, "post_processor", false, err);
    }
    if (!code) code = check_byte_level(json_object_get(root, "decoder"), "decoder", false, err);
    const json_t *added = json_object_get(root, "added_tokens");
    if (!code && added && !json_is_null(added) && !json_is_array(added)) {
        code = strata_fail(err, STRATA_ERR_INPUT, "added_tokens is not a list");
    }
    return code ? code : compile_pattern(tokenizer, err);
}

int strata_added_token_read(struct strata_added_token *out, const json_t *object, const char *name,
                            struct strata_error *err) {
    static const char *const keys[] = {"id",     "content",    "single_word", "lstrip",
                                       "rstrip", "normalized", "special",     NULL};
    if (!json_is_object(object)) return strata_fail(err, STRATA_ERR_INPUT, "added_tokens: not an object");
    bool special = false, single_word = false, lstrip = false, rstrip = false;
    int code = check_keys(object, keys, "added_tokens", err);
    if (!code) code = strata_json_int(&out->id, object, "id", true, 0, STRATA_TOKENIZER_MAX_ID, name, err);
    if (!code) code = strata_json_string(&out->content, object, "content", true, name, err);
    if (!code) code = strata_json_bool(&special, object, "special", false, name, err);
    if (!code) code = strata_json_bool(&single_word, object, "single_word", false, name, err);
    if (!code) code = strata_json_bool(&lstrip, object, "lstrip", false, name, err);
    if (!code) code = strata_json_bool(&rstrip, object, "rstrip", false, name, err);
    out->normalized = !special; /* the reference's default */
    if (!code) code = strata_json_bool(&out->normalized, object, "normalized", false, name, err);
    if (code) return code;
    out->length = json_string_length(json_object_get(object, "content"));
    if (out->length > STRATA_TOKENIZER_MAX_CONTENT) {
        return strata_fail(err, STRATA_ERR_INPUT, "added token of %zu bytes", out->length);
    }
    out->flags = STRATA_TOKEN_ADDED;
    if (special) out->flags |= STRATA_TOKEN_SPECIAL;
    if (single_word) out->flags |= STRATA_TOKEN_SINGLE_WORD;
    if (lstrip) out->flags |= STRATA_TOKEN_LSTRIP;
    if (rstrip) out->flags |= STRATA_TOKEN_RSTRIP;
    return STRATA_OK;
}
