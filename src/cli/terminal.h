/* What the commands share at the edge of the process: error blocks, tables, interruption. */
#ifndef STRATA_CLI_TERMINAL_H
#define STRATA_CLI_TERMINAL_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buffer.h"
#include "strata/error.h"

/* One block on stderr: what, where, hint. Nothing when err->what is empty. */
void strata_print_error(const char *command, const struct strata_error *err);
/* Of a strata_status: 0 done, 1 failed, 2 wrong use, 130 interrupted. */
int strata_exit_status(int status);

/* From here on the first Ctrl-C (or SIGTERM) raises the flag that is returned, and the work ends cleanly; the second
 * ends the process at once with status 130. */
const volatile sig_atomic_t *strata_interruptible(void);

/* A table of text cells, columns aligned: the first to the left, numbers to the right. Zero-initialised is empty. */
struct strata_table {
    size_t columns;
    char **cells; /* owned, row after row */
    size_t count, capacity;
    bool failed;
    unsigned left; /* bit c: column c is aligned to the left (column 0 always is) */
};
/* The next cell; rows end by count. The table's first row is its heading. */
void strata_table_cell(struct strata_table *table, const char *format, ...) STRATA_PRINTF(2, 3);
/* Prints with `indent` spaces before each line and a rule under the heading (and before the last row when `total`). */
void strata_table_print(const struct strata_table *table, size_t indent, bool total);
void strata_table_print_to(FILE *stream, const struct strata_table *table, size_t indent, bool total);
void strata_table_free(struct strata_table *table);

/* Human forms: "1.60 M", "3.2 MB", "2 h 05 min". out holds at least 32 bytes; returns out. */
const char *strata_count_text(char *out, double count);
const char *strata_bytes_text(char *out, double bytes);
const char *strata_duration_text(char *out, double seconds);

/* A shape as "(3, 17)"; returns out. */
const char *strata_shape_text(char *out, size_t out_size, const size_t *shape, size_t rank);

/* Prints a JSON value (whose reference is taken over) as one line on stdout; NULL is out of memory. */
int strata_print_json(json_t *value, struct strata_error *err);
/* Flushes stdout; an error there (a full disk, a closed pipe) is STRATA_ERR_IO. */
int strata_finish_output(struct strata_error *err);

#endif
