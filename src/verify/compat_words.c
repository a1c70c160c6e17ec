/* word2number 1.1, on the words that the plugin's pattern finds, and the pattern itself. */
#include "verify/compat.h"

#define MAX_WORDS 64

static const struct {
    const char *word;
    int value;
} words[] = {
    {"one", 1},       {"two", 2},       {"three", 3},    {"four", 4},      {"five", 5},        {"six", 6},
    {"seven", 7},     {"eight", 8},     {"nine", 9},     {"ten", 10},      {"eleven", 11},     {"twelve", 12},
    {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15}, {"sixteen", 16},  {"seventeen", 17},  {"eighteen", 18},
    {"nineteen", 19}, {"twenty", 20},   {"thirty", 30},  {"forty", 40},    {"fifty", 50},      {"sixty", 60},
    {"seventy", 70},  {"eighty", 80},   {"ninety", 90},  {"hundred", 100}, {"thousand", 1000},
};

/* The value of the number word at text[at] that stands alone there, its length in *length; 0 when there is none. */
static int word_at(size_t *length, struct strata_points text, size_t at) {
    int32_t first = text.data[at];
    if (first < 0x80 && !(first && strchr("onetfshONETFSH", first))) return 0;
    if (at && strata_point_word(text.data[at - 1])) return 0;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        *length = strlen(words[k].word);
        if (strata_points_at_nocase(text, at, words[k].word) &&
            (at + *length == text.length || !strata_point_word(text.data[at + *length]))) {
            return words[k].value;
        }
    }
    return 0;
}

/* The original's number_formation: what it makes of a run of words, sensible or not; false where it raises. */
static bool form(double *out, const int *numbers, size_t count) {
    if (!count) return false;
    *out = numbers[0];
    if (count == 4) {
        *out = (double)numbers[0] * numbers[1] + numbers[2] + numbers[3];
    } else if (count == 3) {
        *out = (double)numbers[0] * numbers[1] + numbers[2];
    } else if (count == 2) {
        bool hundred = numbers[0] == 100 || numbers[1] == 100;
        *out = hundred ? (double)numbers[0] * numbers[1] : numbers[0] + numbers[1];
    }
    return true;
}

bool strata_words_to_number(double *out, struct strata_points text) {
    int numbers[MAX_WORDS];
    size_t count = 0, thousand = STRATA_NOT_FOUND, length;
    for (size_t i = 0; i < text.length;) {
        int value = word_at(&length, text, i);
        if (!value) {
            i++;
            continue;
        }
        /* letters that only IGNORECASE takes ("fi\u017fty") are no known word to the reader of numbers */
        bool plain = true;
        for (size_t k = 0; k < length; k++) plain = plain && text.data[i + k] < 0x80;
        i += length;
        if (!plain) continue;
        if (value == 1000) {
            if (thousand != STRATA_NOT_FOUND) return false;
            thousand = count;
        }
        if (count == MAX_WORDS) { /* from the fifth word of a run on, only the first counts */
            if (thousand == STRATA_NOT_FOUND || thousand < MAX_WORDS) continue;
            return false;
        }
        numbers[count++] = value;
    }
    if (!count) return false;
    *out = numbers[0];
    if (count == 1) return true;
    double part, total = 0;
    if (thousand != STRATA_NOT_FOUND) {
        if (!form(&part, numbers, thousand)) return false;
        total = part * 1000;
        if (thousand + 1 < count) {
            if (!form(&part, numbers + thousand + 1, count - thousand - 1)) return false;
            total += part;
        }
    } else {
        if (!form(&total, numbers, count)) return false;
    }
    *out = total;
    return true;
}
