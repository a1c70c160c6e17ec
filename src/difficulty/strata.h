/* The strata both measures cut a data set into. */
#ifndef STRATA_DIFFICULTY_STRATA_H
#define STRATA_DIFFICULTY_STRATA_H

#include "strata/error.h"

enum strata_stratum {
    STRATA_STRATUM_UNSOLVED,
    STRATA_STRATUM_HARD,
    STRATA_STRATUM_MEDIUM,
    STRATA_STRATUM_EASY,
    STRATA_STRATUM_NOT_APPLICABLE, /* no image to hide or to look at */
    STRATA_STRATUM_PENDING,        /* answers are missing */
    STRATA_STRATA
};
const char *strata_stratum_name(enum strata_stratum stratum); /* "unsolved", …, "not_applicable", "pending" */
/* A union of strata as bits (1 << stratum) from "mid,hard"; "mid" is short for medium, "all" for the first four. */
int strata_stratum_set(unsigned *bits, const char *text, struct strata_error *err);

#endif
