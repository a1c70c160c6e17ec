/* The twelve paradigms of the paper's tables: what is trained on what, in which order (method.md section 3). */
#ifndef STRATA_STUDY_PARADIGMS_H
#define STRATA_STUDY_PARADIGMS_H

#include "strata/error.h"

/* Sets of samples of one family under one measure's strata. A random set has the size of the stratum it stands for and
 * is drawn from all samples of the family. */
enum strata_subset {
    STRATA_SUBSET_NONE,
    STRATA_SUBSET_FULL,
    STRATA_SUBSET_UNSOLVED,
    STRATA_SUBSET_MID,
    STRATA_SUBSET_HARD,
    STRATA_SUBSET_MID_HARD,
    STRATA_SUBSET_RANDOM, /* the size of mid+hard */
    STRATA_SUBSET_RANDOM_MID,
    STRATA_SUBSET_RANDOM_HARD,
    STRATA_SUBSETS
};
struct strata_subset_facts {
    const char *name;   /* as the paper writes it: "rand_m" */
    const char *strata; /* whose size it has, or whose samples it is: "mid,hard" */
    int random;
};
extern const struct strata_subset_facts strata_subsets[STRATA_SUBSETS];

#define STRATA_PARADIGMS 12
struct strata_paradigm {
    const char *name;       /* "SFT(mid)+GRPO(rand_h)" */
    enum strata_subset sft; /* STRATA_SUBSET_NONE: GRPO only */
    enum strata_subset grpo;
};
/* Row r of the tables is strata_paradigms[r - 1]. */
extern const struct strata_paradigm strata_paradigms[STRATA_PARADIGMS];
#define STRATA_ROW_CLAIM 12 /* GRPO-only(mid+hard), which is claimed to beat rows 3 to 10 */

/* "1,3-5,12" or "all" -> bits 1 << row. */
int strata_rows_parse(unsigned *rows, const char *text, struct strata_error *err);

#endif
