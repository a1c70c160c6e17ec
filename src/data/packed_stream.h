/* Private to the exports: text written through gzip or zstd, as the file's name says (.gz, .zst). */
#ifndef STRATA_DATA_PACKED_STREAM_H
#define STRATA_DATA_PACKED_STREAM_H

#include <stdio.h>

#include "strata/error.h"

/* *out: a stream whose text arrives in `inner` packed as `path` says; NULL where it says nothing. fclose ends the
 * packed data, leaves `inner` open, and fails where anything before it did. */
int strata_packed_stream(FILE **out, FILE *inner, const char *path, struct strata_error *err);

#endif
