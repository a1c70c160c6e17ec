/* The places of a text that Math-Verify 0.8.0 takes for an answer, by its two families of patterns and their
 * priorities (training notes 3.6). */
#ifndef STRATA_VERIFY_COMPAT_EXTRACT_H
#define STRATA_VERIFY_COMPAT_EXTRACT_H

#include "verify/points.h"

#define STRATA_MAX_SEGMENTS 6

enum strata_match_kind { STRATA_MATCH_LATEX, STRATA_MATCH_EXPRESSION, STRATA_MATCH_NUMBER };
struct strata_match {
    size_t begin, end; /* of the whole match: decides which is taken first */
    enum strata_match_kind kind;
    struct {
        size_t begin, end;
        bool percent, bare_box;      /* bare_box: \boxed{...} outside any environment */
    } segments[STRATA_MAX_SEGMENTS]; /* LATEX: joined environments; EXPRESSION: the expression */
    size_t segment_count;
    size_t whole_begin, whole_end;     /* NUMBER: sign and digits; empty for .5 */
    size_t decimal_begin, decimal_end; /* NUMBER: point or comma and decimals */
    bool percent;
};
#define STRATA_MATCH_PRIORITIES 5
#define STRATA_MATCH_PATTERNS   4  /* of one priority */
#define STRATA_MAX_MATCHES      64 /* the last of each pattern: no more are ever tried */
struct strata_match_list {
    struct strata_match found[STRATA_MATCH_PATTERNS * STRATA_MAX_MATCHES];
    size_t order[STRATA_MATCH_PATTERNS * STRATA_MAX_MATCHES]; /* into found, in the order in which they are tried */
    size_t count;
};
/* The matches of one priority (0 is tried first): those that end last first. The list need not be initialised. */
void strata_matches(struct strata_match_list *list, struct strata_points text, int priority);

#endif
