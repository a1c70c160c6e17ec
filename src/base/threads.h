/* The one thread pool. Work is cut by the caller into tasks whose outputs do not overlap and whose results do not
 * depend on which thread runs them; the number of threads never changes a result (contract 1). Idle workers sleep. */
#ifndef STRATA_BASE_THREADS_H
#define STRATA_BASE_THREADS_H

#include <stddef.h>

#include "strata/error.h"

struct strata_threads;

/* count 0: one thread per core this process may run on (its affinity mask and cgroup quota). count 1 makes no
 * thread at all. */
int strata_threads_create(struct strata_threads **out, size_t count, struct strata_error *err);
void strata_threads_destroy(struct strata_threads *threads);
size_t strata_threads_count(const struct strata_threads *threads); /* 1 for NULL */

/* Runs task(context, index, worker) for index 0..tasks-1 and returns when all are done. worker is in
 * [0, strata_threads_count) and unique among tasks running at the same time: it picks scratch memory.
 * The caller takes part. A NULL pool runs the tasks in order on the caller. Not reentrant: one caller at a time;
 * tasks must not call strata_threads_run on the same pool. */
typedef void strata_task(void *context, size_t index, size_t worker);
void strata_threads_run(struct strata_threads *threads, size_t tasks, strata_task *task, void *context);

size_t strata_cpu_count(void); /* what count 0 means */

#endif
