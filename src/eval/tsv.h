/* Benchmark files: tab-separated tables as pandas' read_csv(sep="\t") reads them (spec: benchmarks, section 1.2). The
 * file stays where it is; cells are read from it when asked for, so a table of large images costs no memory. */
#ifndef STRATA_EVAL_TSV_H
#define STRATA_EVAL_TSV_H

#include "eval/cells.h"

struct strata_tsv;

int strata_tsv_open(struct strata_tsv **out, const char *path, struct strata_error *err);
/* text[0..length) must outlive the table; `name` places errors (name:line). */
int strata_tsv_parse(struct strata_tsv **out, const char *text, size_t length, const char *name,
                     struct strata_error *err);
void strata_tsv_close(struct strata_tsv *tsv);

size_t strata_tsv_rows(const struct strata_tsv *tsv);
/* Index of a column, or STRATA_NOT_FOUND. */
size_t strata_tsv_column(const struct strata_tsv *tsv, const char *name);
/* Appends the text of a cell, unquoted. */
void strata_tsv_text(struct strata_buffer *out, const struct strata_tsv *tsv, size_t row, size_t column);
/* The same, borrowed from the file where the cell is not quoted, else from scratch (which is cleared). */
struct strata_span strata_tsv_span(struct strata_buffer *scratch, const struct strata_tsv *tsv, size_t row,
                                   size_t column);
/* The row's cells with the types of their columns, in order, all but the column `image` (its texts are large).
 * NULL when memory is out. */
json_t *strata_tsv_row(const struct strata_tsv *tsv, size_t row);
size_t strata_tsv_line(const struct strata_tsv *tsv, size_t row); /* where the row begins, 1-based */

#endif
