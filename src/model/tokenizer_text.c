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

/* What the tokenizers library's tables, those of Unicode 9, do not move or compose, and later ones do: first and last
 * code point of each range. Found by comparing it with utf8proc over all code points; the blocks of Unicode 16 at
 * U+105C0, U+11380, U+16100 and U+16D40 (whose letters compose in it) are for a later utf8proc. */
static const int32_t standing_alone[][2] = {
    {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x11A7, 0x11A7}, /* utf8proc 2.8 loses it after a syllable */
    {0x1715, 0x1715},   {0x1ABF, 0x1ADD},   {0x1AE0, 0x1AEB},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},
    {0x105C0, 0x105FF}, {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10EFA, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x11380, 0x113FF},
    {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x11935, 0x11935}, {0x11938, 0x11938},
    {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47},
    {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16100, 0x1613F}, {0x16D40, 0x16D7F}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}};

static bool stands_alone(int32_t code) {
    size_t low = 0, high = sizeof standing_alone / sizeof *standing_alone;
    if (code < standing_alone[0][0]) return false;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (code > standing_alone[middle][1])
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof standing_alone / sizeof *standing_alone && code >= standing_alone[low][0];
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

/* Text without a character that stands alone. */
static int append_run(struct strata_buffer *out, const char *text, size_t length, struct strata_error *err) {
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

/* A character that neither moves, joins nor parts ends what is before it: marks do not pass it. */
int strata_nfc_append(struct strata_buffer *out, const char *text, size_t length, struct strata_error *err) {
    size_t begin = 0;
    for (size_t i = 0; i < length;) {
        int32_t code;
        const size_t size = strata_utf8_next(&code, text + i, length - i);
        if (stands_alone(code)) {
            const int status = append_run(out, text + begin, i - begin, err);
            if (status) return status;
            strata_buffer_append(out, text + i, size);
            begin = i + size;
        }
        i += size;
    }
    return append_run(out, text + begin, length - begin, err);
}
