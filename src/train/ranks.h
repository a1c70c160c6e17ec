/* Several processes that make one training run together, started by mpirun; one process alone is NULL everywhere.
 *
 * The gradient of an update is cut into S *shards*, a number that belongs to the run. A process ("rank") computes a
 * contiguous part of them, and they are summed in one fixed tree, so the result depends on S but not on how many ranks
 * there are. After that every rank makes the same update: weights are never sent.
 *
 * Built without MPI, there is one rank. MPI's own types stay inside ranks.c. */
#ifndef STRATA_TRAIN_RANKS_H
#define STRATA_TRAIN_RANKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "strata/error.h"

struct strata_ranks;
/* Joins the other processes of an mpirun; *out is NULL when there are none. STRATA_ERR_UNSUPPORTED when mpirun started
 * several, but the program was built without MPI. Once a process. */
int strata_ranks_open(struct strata_ranks **out, struct strata_error *err);
/* Leaves. After an error of this rank alone the others are not waited for: mpirun ends them when this process exits
 * with an error. */
void strata_ranks_close(struct strata_ranks *ranks, int status);
size_t strata_ranks_count(const struct strata_ranks *ranks);
size_t strata_ranks_index(const struct strata_ranks *ranks);
/* Did the ranks agree on an error (so that one of them is enough to say it)? */
bool strata_ranks_agreed(const struct strata_ranks *ranks);

/* What follows is called by all ranks together. */

/* The first rank's error is everybody's: returns its code, err is filled with it. 0 when nobody has one. */
int strata_ranks_agree(struct strata_ranks *ranks, int code, struct strata_error *err);
/* *out: is it true anywhere? */
int strata_ranks_any(bool *out, struct strata_ranks *ranks, bool mine, struct strata_error *err);
/* all: the bytes of all ranks, in order of the ranks. */
int strata_ranks_exchange(struct strata_ranks *ranks, struct strata_buffer *all, const struct strata_buffer *mine,
                          struct strata_error *err);

/* The shards [first, last) are this rank's, of S; the number of ranks divides S. */
void strata_ranks_shards(size_t *first, size_t *last, const struct strata_ranks *ranks, size_t S);
/* The rank that has shard s of S. */
size_t strata_ranks_owner(const struct strata_ranks *ranks, size_t s, size_t S);
/* One shard's numbers, added to `values` (zeroed before). */
typedef int strata_shard_function(void *context, size_t shard, struct strata_error *err);
/* values (count) become the sum over all shards on every rank: (a + b) + (c + d) … by halves of the shards. values hold
 * zeros at the start. Takes one more array of this size for each halving inside a rank. An error of any shard is
 * everybody's. */
int strata_ranks_sum(struct strata_ranks *ranks, float *values, size_t count, size_t S, strata_shard_function *shard,
                     void *context, struct strata_error *err);

#endif
