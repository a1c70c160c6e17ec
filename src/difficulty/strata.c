/* Names of the strata. */
#include "difficulty/strata.h"

#include <stddef.h>
#include <string.h>

const char *strata_stratum_name(enum strata_stratum stratum) {
    static const char *const names[STRATA_STRATA] = {"unsolved", "hard", "medium", "easy", "not_applicable", "pending"};
    return (unsigned)stratum < STRATA_STRATA ? names[stratum] : "?";
}

static unsigned stratum_bits(const char *word, size_t length) {
    if (length == 3 && memcmp(word, "mid", 3) == 0) return 1u << STRATA_STRATUM_MEDIUM;
    if (length == 3 && memcmp(word, "all", 3) == 0) return (1u << STRATA_STRATUM_NOT_APPLICABLE) - 1;
    for (unsigned s = 0; s < STRATA_STRATA; s++) {
        const char *name = strata_stratum_name((enum strata_stratum)s);
        if (strlen(name) == length && memcmp(word, name, length) == 0) return 1u << s;
    }
    return 0;
}

int strata_stratum_set(unsigned *bits, const char *text, struct strata_error *err) {
    *bits = 0;
    for (const char *word = text;;) {
        size_t length = strcspn(word, ",");
        unsigned bit = stratum_bits(word, length);
        if (!bit) {
            strata_fail(err, STRATA_ERR_USAGE, "unknown stratum \"%.*s\"", (int)(length < 40 ? length : 40), word);
            return strata_fail_hint(err, STRATA_ERR_USAGE,
                                    "strata: unsolved, hard, medium (mid), easy, not_applicable, pending, all");
        }
        *bits |= bit;
        if (!word[length]) return 0;
        word += length + 1;
    }
}
