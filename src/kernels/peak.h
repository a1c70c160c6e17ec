/* What this machine can do at this moment, for figures that stand beside their limit: multiply-add rates of a level
 * (registers only) and the bandwidth of reading memory. The machine may be shared: probe in the same run, beside the
 * thing that is measured, and take medians. */
#ifndef STRATA_KERNELS_PEAK_H
#define STRATA_KERNELS_PEAK_H

#include <stddef.h>

#include "kernels/kernels.h"

struct strata_probe;

/* read_bytes: what each thread reads for the bandwidth, far beyond the last cache (0: no bandwidth probe). */
int strata_probe_create(struct strata_probe **out, const struct strata_level *level, struct strata_threads *threads,
                        size_t read_bytes, struct strata_error *err);
void strata_probe_free(struct strata_probe *probe);

/* Each runs all threads for about `seconds` and gives the sum over threads of each one's median slice. */
double strata_probe_f32(struct strata_probe *probe, double seconds); /* GFLOP/s of fp32 multiply-adds */
double strata_probe_bf16(struct strata_probe *probe,
                         double seconds); /* GFLOP/s of bf16 products; 0: not on this level */
double strata_probe_read(struct strata_probe *probe, double seconds); /* GB/s */

#endif
