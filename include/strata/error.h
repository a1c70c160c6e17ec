/* Errors as values. The library never prints, exits or aborts on input: every function that can fail returns an
 * int, 0 for success, else one of the codes below, and fills the caller's strata_error (which may be NULL).
 *
 *     if (strata_vlm_open(&vlm, path, &options, &err)) return err.code;
 *
 * `what` says what is wrong, `where` the place (file:line:column, byte offset, tensor name or sample id),
 * `hint` what the user can do; `where` and `hint` may be empty. */
#ifndef STRATA_ERROR_H
#define STRATA_ERROR_H

#include "strata/export.h"

#ifdef __cplusplus
extern "C" {
#endif

enum strata_status {
    STRATA_OK = 0,
    STRATA_ERR_INPUT = 1,       /* malformed data, file or argument from outside */
    STRATA_ERR_USAGE = 2,       /* wrong options or a call that makes no sense */
    STRATA_ERR_IO = 3,          /* the operating system refused: open, read, write, rename, lock */
    STRATA_ERR_MEMORY = 4,      /* allocation failed, or a checked size overflowed */
    STRATA_ERR_UNSUPPORTED = 5, /* well-formed, but not something this build or engine can do */
    STRATA_ERR_NUMERIC = 6,     /* a non-finite weight, logit, loss or gradient */
    STRATA_ERR_STATE = 7,       /* a run directory or store that does not fit the request (locked, other settings) */
    STRATA_ERR_INTERRUPTED = 8, /* stopped by the caller's wish, state saved */
    STRATA_ERR_ENGINE = 9       /* the engine failed (never a wrong answer) */
};

struct strata_error {
    int code;
    char what[512];
    char where[384];
    char hint[384];
};

/* One line "where: what (hint)" into out; returns out. */
STRATA_API const char *strata_error_line(const struct strata_error *err, char *out, unsigned long out_size);

#ifdef __cplusplus
}
#endif

#ifdef STRATA_BUILD /* Strata's own sources also see how errors are made. */
#include "base/fail.h"
#endif

#endif
