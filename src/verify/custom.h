/* A grader of the user's own: an external command, started once, fed one JSON object a line on its standard input, and
 * answering each with one line {"score": number} in the same order (further keys: "extracted", "reason"). A crash, a
 * time-out or an answer that is no such line is an error, never a score; the process is not started again. */
#ifndef STRATA_VERIFY_CUSTOM_H
#define STRATA_VERIFY_CUSTOM_H

#include "verify/verify.h"

struct strata_custom_grader;
/* command: run by /bin/sh -c. seconds: for one answer. Thread-safe afterwards: callers wait for each other. */
int strata_custom_start(struct strata_custom_grader **out, const char *command, double seconds,
                        struct strata_error *err);
/* Sends {"solution", "completion", "ability", "verifier", "question"} and reads the verdict; kind is "custom".
 * STRATA_ERR_ENGINE when the grader failed. Scores must be finite and in [0,1]. */
int strata_custom_grade(struct strata_verdict *verdict, struct strata_custom_grader *grader,
                        const struct strata_verify_input *input, struct strata_error *err);
/* Closes its input, waits a moment, ends it if it has not ended by itself. NULL is allowed. */
void strata_custom_stop(struct strata_custom_grader *grader);

#endif
