/* Progress of long work: the library reports numbers to an observer, the command line draws them (contract 7). */
#ifndef STRATA_BASE_PROGRESS_H
#define STRATA_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct strata_progress;

/* Writes to `stream` (stderr): a bar with rate and ETA on a terminal, a line every ~10 s elsewhere.
 * quiet draws nothing. Owned by the caller; NULL when memory is out (all functions accept NULL). */
struct strata_progress *strata_progress_create(FILE *stream, bool quiet);
void strata_progress_destroy(struct strata_progress *progress); /* ends the bar's line */
/* Starts a phase: total 0 means unknown; `already` of them were done by an earlier run (they do not count for the
 * rate). */
void strata_progress_start(struct strata_progress *progress, const char *label, size_t total, size_t already);
/* `note` (may be NULL) stands at the end of the line: "812 tok/s, 63 % draws saved". */
void strata_progress_update(struct strata_progress *progress, size_t done, const char *note);
void strata_progress_finish(struct strata_progress *progress);
/* A message that must not be torn by the bar. */
void strata_progress_message(struct strata_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
