/* HallusionBench: reading yes or no. */
#include <string.h>

#include "base/utf8.h"
#include "eval/judge.h"

#define PERIODS_MOST 32 /* the kit passes re.UNICODE (32) where the count belongs */

/* Digit, comma, digit anywhere? */
static bool digit_comma_digit(struct strata_span text) {
    int32_t before = -1, code = -1, after;
    for (size_t at = 0; at < text.length;) {
        at += strata_utf8_next(&after, text.data + at, text.length - at);
        if (code == ',' && strata_python_digit(before) >= 0 && strata_python_digit(after) >= 0) return true;
        before = code;
        code = after;
    }
    return false;
}

/* Is the mark anywhere next to a blank? */
static bool beside_blank(struct strata_span text, char mark) {
    const char after[3] = {mark, ' ', '\0'}, before[3] = {' ', mark, '\0'};
    return strata_span_find(text, after, 0) != STRATA_NOT_FOUND ||
           strata_span_find(text, before, 0) != STRATA_NOT_FOUND;
}

/* Deletes periods without a digit on either side, the first ones only. */
static void drop_periods(struct strata_buffer *out, struct strata_span text) {
    int32_t before = -1, code, after;
    unsigned dropped = 0;
    for (size_t at = 0; at < text.length; before = code) {
        size_t size = strata_utf8_next(&code, text.data + at, text.length - at);
        after = -1;
        if (at + size < text.length) strata_utf8_next(&after, text.data + at + size, text.length - at - size);
        bool drop =
            code == '.' && dropped < PERIODS_MOST && strata_python_digit(before) < 0 && strata_python_digit(after) < 0;
        dropped += drop;
        if (!drop) strata_buffer_append(out, text.data + at, size);
        at += size;
    }
}

void strata_process_punctuation(struct strata_buffer *out, struct strata_span text) {
    static const char marks[] = ";/[]\"{}()=+\\_-><@`,?!";
    bool vanish[sizeof marks], all = digit_comma_digit(text);
    for (size_t i = 0; marks[i]; i++) vanish[i] = all || beside_blank(text, marks[i]);
    struct strata_buffer plain = {0};
    for (size_t i = 0; i < text.length; i++) {
        const char *mark = text.data[i] ? strchr(marks, text.data[i]) : NULL;
        if (!mark) {
            strata_buffer_byte(&plain, (unsigned char)text.data[i]);
        } else if (!vanish[mark - marks]) {
            strata_buffer_byte(&plain, ' ');
        }
    }
    out->failed = out->failed || plain.failed;
    drop_periods(out, (struct strata_span){strata_buffer_string(&plain), plain.length});
    strata_buffer_free(&plain);
}

const char *strata_yes_or_no(struct strata_span text) {
    struct strata_buffer lower = {0}, plain = {0};
    strata_python_lower(&lower, text);
    strata_process_punctuation(&plain, (struct strata_span){strata_buffer_string(&lower), lower.length});
    struct strata_span rest = {strata_buffer_string(&plain), plain.length}, word;
    bool yes = false, no = false, failed = lower.failed || plain.failed;
    while (strata_python_word(&word, &rest)) {
        yes = yes || strata_span_is(word, "yes");
        no = no || strata_span_is(word, "no");
    }
    strata_buffer_free(&lower);
    strata_buffer_free(&plain);
    return failed ? NULL : yes == no ? "Unknown" : yes ? "Yes" : "No";
}
