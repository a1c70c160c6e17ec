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
#define STRATA_MAX_MATCHES      4096
/* All matches of one priority (0 is tried first), in the order in which they are tried: those that end last first. The
 * array is the arena's; NULL with *count 0 when there are none. */
struct strata_match *strata_matches(size_t *count, struct strata_arena *arena, struct strata_points text, int priority);

#endif
