#include "study/paradigms.h"

#include <stdlib.h>
#include <string.h>

const struct strata_subset_facts strata_subsets[STRATA_SUBSETS] = {
    [STRATA_SUBSET_NONE] = {"none", "", 0},
    [STRATA_SUBSET_FULL] = {"full", "", 0},
    [STRATA_SUBSET_UNSOLVED] = {"unsolved", "unsolved", 0},
    [STRATA_SUBSET_MID] = {"mid", "mid", 0},
    [STRATA_SUBSET_HARD] = {"hard", "hard", 0},
    [STRATA_SUBSET_MID_HARD] = {"mid+hard", "mid,hard", 0},
    [STRATA_SUBSET_RANDOM] = {"random", "mid,hard", 1},
    [STRATA_SUBSET_RANDOM_MID] = {"rand_m", "mid", 1},
    [STRATA_SUBSET_RANDOM_HARD] = {"rand_h", "hard", 1},
};

const struct strata_paradigm strata_paradigms[STRATA_PARADIGMS] = {
    {"GRPO-only(fullset)", STRATA_SUBSET_NONE, STRATA_SUBSET_FULL},
    {"GRPO-only(unsolved)", STRATA_SUBSET_NONE, STRATA_SUBSET_UNSOLVED},
    {"SFT(mid)+GRPO(hard)", STRATA_SUBSET_MID, STRATA_SUBSET_HARD},
    {"SFT(mid)+GRPO(rand_h)", STRATA_SUBSET_MID, STRATA_SUBSET_RANDOM_HARD},
    {"SFT(rand_m)+GRPO(hard)", STRATA_SUBSET_RANDOM_MID, STRATA_SUBSET_HARD},
    {"SFT(rand_m)+GRPO(rand_h)", STRATA_SUBSET_RANDOM_MID, STRATA_SUBSET_RANDOM_HARD},
    {"SFT(hard)+GRPO(mid)", STRATA_SUBSET_HARD, STRATA_SUBSET_MID},
    {"SFT(hard)+GRPO(rand_m)", STRATA_SUBSET_HARD, STRATA_SUBSET_RANDOM_MID},
    {"SFT(rand_h)+GRPO(mid)", STRATA_SUBSET_RANDOM_HARD, STRATA_SUBSET_MID},
    {"SFT(rand_h)+GRPO(rand_m)", STRATA_SUBSET_RANDOM_HARD, STRATA_SUBSET_RANDOM_MID},
    {"GRPO-only(random)", STRATA_SUBSET_NONE, STRATA_SUBSET_RANDOM},
    {"GRPO-only(mid+hard)", STRATA_SUBSET_NONE, STRATA_SUBSET_MID_HARD},
};

int strata_rows_parse(unsigned *rows, const char *text, struct strata_error *err) {
    *rows = 0;
    if (strcmp(text, "all") == 0) {
        *rows = ((1u << STRATA_PARADIGMS) - 1) << 1;
        return 0;
    }
    for (const char *at = text;;) {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        int digits = end != at && *at >= '0' && *at <= '9';
        if (digits && *end == '-') {
            at = end + 1;
            last = strtoul(at, &end, 10);
            digits = end != at && *at >= '0' && *at <= '9';
        }
        if (!digits || first < 1 || last > STRATA_PARADIGMS || first > last || (*end && *end != ','))
            return strata_fail(err, STRATA_ERR_USAGE, "rows are \"%s\": numbers and ranges from 1 to %d, or all", text,
                               STRATA_PARADIGMS);
        for (unsigned long row = first; row <= last; row++) *rows |= 1u << row;
        if (!*end) return 0;
        at = end + 1;
    }
}
