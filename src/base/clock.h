/* Time for progress and metrics only: no result depends on it. */
#ifndef STRATA_BASE_CLOCK_H
#define STRATA_BASE_CLOCK_H

#include <stddef.h>

double strata_seconds(void); /* monotonic, from an arbitrary start */
/* Peak resident set of this process so far, bytes; 0 where unknown. */
size_t strata_peak_memory(void);
size_t strata_available_memory(void); /* bytes the machine (or cgroup) can still give; 0 where unknown */

#endif
