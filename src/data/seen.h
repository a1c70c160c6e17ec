/* Which ids were seen before, of any number of records, in bounded memory: 128-bit hashes in a table; what no longer
 * fits is sorted into runs of a temporary file that has no name (in TMPDIR, else /tmp), 16 to 32 bytes an id. Runs of
 * like size are merged, so n ids have at most log2(n / table) + 1 of them. */
#ifndef STRATA_DATA_SEEN_H
#define STRATA_DATA_SEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "strata/error.h"

struct strata_seen;

/* memory: bytes for the table and for the filter in front of the runs, half each; it is taken as it is needed. Writing
 * and merging runs takes up to half of it again. At least 2 kB. */
int strata_seen_open(struct strata_seen **out, size_t memory, struct strata_error *err);
/* *fresh: it was not there before; then it is from now on. STRATA_ERR_IO, with the directory, when the temporary file
 * cannot be written or read. After an error the set can only be closed. */
int strata_seen_add(struct strata_seen *seen, bool *fresh, struct strata_hash id, struct strata_error *err);
size_t strata_seen_runs(const struct strata_seen *seen); /* in the temporary file, now */
void strata_seen_close(struct strata_seen *seen);

#endif
