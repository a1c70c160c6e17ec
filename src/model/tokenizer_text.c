/* The text side of the tokenizer: normalisation, the byte alphabet, character classes. */
#include "model/tokenizer_private.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/utf8.h"

int32_t strata_byte_symbol(unsigned char byte) {
    if (byte >= 0x21 && byte <= 0x7E) return byte;
    if (byte >= 0xA1 && byte != 0xAD) return byte;
    /* The others are numbered from U+0100 in order: 0x00-0x20, 0x7F-0xA0, 0xAD. */
    if (byte <= 0x20) return 0x100 + byte;
    if (byte <= 0xA0) return 0x100 + 33 + (byte - 0x7F);
    return 0x100 + 33 + 34;
}

int strata_symbol_byte(int32_t code) {
    if (code < 0x100) return code >= 0 && strata_byte_symbol((unsigned char)code) == code ? (int)code : -1;
    if (code <= 0x120) return (int)code - 0x100;
    if (code <= 0x142) return (int)code - 0x121 + 0x7F;
    return code == 0x143 ? 0xAD : -1;
}

bool strata_is_white_space(int32_t code) {
    return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F ||
           code == 0x3000;
}

bool strata_is_word_character(int32_t code) {
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* Join_Control, and the symbols (So) that are Alphabetic: circled and squared letters */
        return code == 0x200C || code == 0x200D || (code >= 0x24B6 && code <= 0x24E9) ||
               (code >= 0x1F130 && code <= 0x1F149) || (code >= 0x1F150 && code <= 0x1F169) ||
               (code >= 0x1F170 && code <= 0x1F189);
    }
}

/* Below U+0300 everything is NFC already and composes with nothing: its lead bytes are below 0xCC. */
static bool plainly_nfc(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0xCC) return false;
    }
    return true;
}

static int compare_keys(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Canonical order: runs of combining characters sorted by class, stably. (utf8proc's own is an exchange sort, quadratic
 * in the run; text is from outside.) Keys are class, index, code point from the top. */
static int order_marks(int32_t *codes, size_t count, struct strata_error *err) {
    uint64_t *keys = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && utf8proc_get_property(codes[end])->combining_class != 0) end++;
        if (end - i >= 2) {
            int code = strata_grow(&keys, &capacity, end - i, sizeof *keys, err);
            if (code) {
                free(keys);
                return code;
            }
            for (size_t k = i; k < end; k++) {
                uint64_t class = (uint64_t)utf8proc_get_property(codes[k])->combining_class;
                keys[k - i] = class << 56 | (uint64_t)(k - i) << 21 | (uint64_t)codes[k];
            }
            qsort(keys, end - i, sizeof *keys, compare_keys);
            for (size_t k = i; k < end; k++) codes[k] = (int32_t)(keys[k - i] & 0x1FFFFF);
        }
        i = end > i ? end : i + 1;
    }
    free(keys);
    return STRATA_OK;
}

/* The canonical decomposition of valid text, marks not yet in order; *codes is owned by the caller either way. */
static int decompose(int32_t **codes, size_t *count, const char *text, size_t length, struct strata_error *err) {
    enum { LONGEST = 18 }; /* Unicode's longest decomposition; canonical ones have at most 4 */
    size_t capacity = 0;
    for (size_t i = 0; i < length;) {
        int32_t code;
        int boundary = 0;
        i += strata_utf8_next(&code, text + i, length - i);
        int status = strata_grow(codes, &capacity, *count + LONGEST, sizeof **codes, err);
        if (status) return status;
        utf8proc_ssize_t made =
            utf8proc_decompose_char(code, *codes + *count, LONGEST, UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
        if (made < 0 || made > LONGEST) {
            return strata_fail(err, STRATA_ERR_INPUT, "U+%04X: %s", (unsigned)code, utf8proc_errmsg(made));
        }
        *count += (size_t)made;
    }
    return STRATA_OK;
}

int strata_nfc_append(struct strata_buffer *out, const char *text, size_t length, struct strata_error *err) {
    if (plainly_nfc(text, length)) {
        strata_buffer_append(out, text, length);
        return strata_buffer_check(out, err);
    }
    int32_t *codes = NULL;
    size_t count = 0;
    int status = decompose(&codes, &count, text, length, err);
    if (!status) status = order_marks(codes, count, err);
    if (!status && codes) {
        utf8proc_ssize_t composed =
            utf8proc_normalize_utf32(codes, (utf8proc_ssize_t)count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        for (utf8proc_ssize_t i = 0; i < composed; i++) strata_utf8_append(out, codes[i]);
        status = composed < 0 ? strata_fail(err, STRATA_ERR_INPUT, "NFC: %s", utf8proc_errmsg(composed))
                              : strata_buffer_check(out, err);
    }
    free(codes);
    return status;
}
