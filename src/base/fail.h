/* Making errors (strata/error.h includes this for Strata's own sources; users of the library do not see it). */
#ifndef STRATA_BASE_FAIL_H
#define STRATA_BASE_FAIL_H

#include "strata/error.h"

#if defined(__GNUC__)
#define STRATA_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define STRATA_PRINTF(format_index, first)
#endif

/* Each sets its field (and, for strata_fail, clears the other two) and returns the code, so that a failing
 * function can end in `return strata_fail(err, STRATA_ERR_IO, "…")`. A NULL err is allowed everywhere. */
int strata_fail(struct strata_error *err, int code, const char *format, ...) STRATA_PRINTF(3, 4);
/* Sets where / hint of the error that was just made; returns its code (or `code` when err is NULL). */
int strata_fail_at(struct strata_error *err, int code, const char *format, ...) STRATA_PRINTF(3, 4);
int strata_fail_hint(struct strata_error *err, int code, const char *format, ...) STRATA_PRINTF(3, 4);
/* Sets `where` only if it is still empty: for callers who know the file but not whether the callee named it. */
int strata_fail_at_default(struct strata_error *err, int code, const char *format, ...) STRATA_PRINTF(3, 4);
/* The same for callers who know the record's place (file:line) where the callee knew only its id: "file:line (id)". */
int strata_fail_at_record(struct strata_error *err, int code, const char *place, const char *id);

#endif
