/* TensorBoard event files: TFRecord frames (length, masked CRC-32C, Event protobuf, masked CRC-32C), scalars only. */
#ifndef STRATA_TRAIN_EVENT_FILE_H
#define STRATA_TRAIN_EVENT_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "strata/error.h"

struct strata_event_file {
    FILE *stream; /* NULL: closed */
    char *path;
};
/* A new file events.out.tfevents.SECONDS.strata.PID in `directory` (made if need be). A run that continues has several:
 * TensorBoard reads them in the order of their names. */
int strata_event_file_open(struct strata_event_file *out, const char *directory, struct strata_error *err);
/* One event with `count` scalars at this step, flushed. */
int strata_event_file_write(struct strata_event_file *file, int64_t step, const char *const *tags, const double *values,
                            size_t count, struct strata_error *err);
/* Tells TensorBoard that this run starts again at `step`: later steps of older files are not shown. */
int strata_event_file_restart(struct strata_event_file *file, int64_t step, struct strata_error *err);
void strata_event_file_close(struct strata_event_file *file);

/* CRC-32C (Castagnoli), for tests. */
uint32_t strata_crc32c(const void *bytes, size_t length);

#endif
