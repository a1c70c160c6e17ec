/* Python's str: white space, lower-casing, words. */
#include <utf8proc.h>

#include "base/utf8.h"
#include "eval/python.h"

int strata_python_digit(int32_t code) {
    if (code >= '0' && code <= '9') return code - '0';
    if (code < 0x660 || utf8proc_category(code) != UTF8PROC_CATEGORY_ND) return -1;
    int32_t begin = code; /* digits stand in runs of ten, 0 first */
    while (utf8proc_category(begin - 1) == UTF8PROC_CATEGORY_ND) begin--;
    return (code - begin) % 10;
}

bool strata_python_word(struct strata_span *word, struct strata_span *rest) {
    int32_t code;
    size_t begin = 0, end;
    while (begin < rest->length) {
        size_t size = strata_utf8_next(&code, rest->data + begin, rest->length - begin);
        if (!strata_utf8_space(code)) break;
        begin += size;
    }
    for (end = begin; end < rest->length;) {
        size_t size = strata_utf8_next(&code, rest->data + end, rest->length - end);
        if (strata_utf8_space(code)) break;
        end += size;
    }
    *word = strata_span_sub(*rest, begin, end);
    *rest = strata_span_sub(*rest, end, rest->length);
    return word->length > 0;
}

size_t strata_python_length(struct strata_span text) {
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

/* ---- lower() ---- */

struct range {
    int32_t first, last;
};

static bool within(int32_t code, const struct range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    }
    return false;
}

/* Property Cased: letters with case, and Other_Uppercase / Other_Lowercase. */
static bool cased(int32_t code) {
    static const struct range other[] = {
        {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},   {0x2E0, 0x2E4},
        {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78}, {0x1D9B, 0x1DBF},
        {0x2071, 0x2071},   {0x207F, 0x207F},   {0x2090, 0x209C},   {0x2160, 0x217F}, {0x24B6, 0x24E9},
        {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9}, {0xAB5C, 0xAB5F},
        {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
    };
    utf8proc_category_t category = utf8proc_category(code);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT ||
           within(code, other, sizeof other / sizeof *other);
}

/* Property Case_Ignorable. */
static bool case_ignorable(int32_t code) {
    static const struct range marks[] = {/* Word_Break MidLetter, MidNumLet, Single_Quote */
                                         {0x27, 0x27},     {0x2E, 0x2E},     {0x3A, 0x3A},     {0xB7, 0xB7},
                                         {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
                                         {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
                                         {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A}};
    utf8proc_category_t category = utf8proc_category(code);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK ||
           within(code, marks, sizeof marks / sizeof *marks);
}

/* A capital sigma at text[at..at+size) ends a word: a cased letter before it, none after it (ignorables skipped). */
static bool final_sigma(struct strata_span text, size_t at, size_t size) {
    int32_t code = -1;
    bool before = false;
    while (at > 0 && !before) {
        size_t begin = at - 1;
        while (begin && ((unsigned char)text.data[begin] & 0xC0) == 0x80) begin--;
        strata_utf8_next(&code, text.data + begin, at - begin);
        if (!case_ignorable(code)) {
            if (!cased(code)) return false;
            before = true;
        }
        size += at - begin;
        at = begin;
    }
    if (!before) return false;
    for (size_t after = at + size; after < text.length;) {
        after += strata_utf8_next(&code, text.data + after, text.length - after);
        if (!case_ignorable(code)) return !cased(code);
    }
    return true;
}

void strata_python_lower(struct strata_buffer *out, struct strata_span text) {
    for (size_t at = 0; at < text.length;) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text.data + at, text.length - at);
        if (code < 0) {
            strata_buffer_append(out, text.data + at, size);
        } else if (code == 0x130) { /* the only letter whose lower case is two code points */
            strata_buffer_text(out, "i\xCC\x87");
        } else if (code == 0x3A3) {
            strata_utf8_append(out, final_sigma(text, at, size) ? 0x3C2 : 0x3C3);
        } else {
            strata_utf8_append(out, utf8proc_tolower(code));
        }
        at += size;
    }
}
