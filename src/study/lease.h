/* Who works on what, among processes and machines that share a directory: leases as files, no locks, no server.
 *
 * The leases of a piece of work are files DIRECTORY/NAME.1, NAME.2, …, each made by one process with link(2), which
 * succeeds for one of them (also on NFS). The newest counts. Its holder writes a new number into it again and again; it
 * is over when the holder wrote "released", when its process is known to be dead (same machine), or when the number has
 * stood still for `expiry` seconds of the observer's own clock, so that no two clocks are compared. Only then may the
 * next generation be made. Old generations stay: nothing is ever taken away from under another process. */
#ifndef STRATA_STUDY_LEASE_H
#define STRATA_STUDY_LEASE_H

#include <stdbool.h>

#include "strata/error.h"

struct strata_leases; /* of this process: what it holds, and what it has seen of others */

/* heartbeat: seconds between the numbers (10); expiry: see above (120). Makes the directory. */
int strata_leases_open(struct strata_leases **out, const char *directory, double heartbeat, double expiry,
                       struct strata_error *err);
/* Releases what is held. NULL is fine. */
void strata_leases_close(struct strata_leases *leases);

struct strata_lease;
/* *out NULL: another process has it. */
int strata_lease_take(struct strata_lease **out, struct strata_leases *leases, const char *name,
                      struct strata_error *err);
/* Is it still this process's? False once others took over (this one stood still for longer than `expiry`). */
bool strata_lease_held(const struct strata_lease *lease);
void strata_lease_release(struct strata_lease *lease);

#endif
