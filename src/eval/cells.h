/* Cells as pandas reads them: which texts mean "missing", and when a column is one of numbers. A table is a JSON array
 * of rows, a row an object from column to cell (null: missing). */
#ifndef STRATA_EVAL_CELLS_H
#define STRATA_EVAL_CELLS_H

#include "eval/infer.h"

/* A text that pandas 1.x reads as a missing cell: "", "nan", "N/A", "null" …; exact. */
bool strata_cell_missing(struct strata_span text);
/* A number as pandas' parser takes it (blanks around it are fine; no underscores, no hexadecimal). *whole: without
 * point and exponent. The value is pandas' own, which may differ from strtod's in the last digit beyond 15 digits. */
bool strata_cell_number(double *out, bool *whole, struct strata_span text);

/* What all cells of a column have in common. Zero-initialise, add every cell, then ask. */
struct strata_column {
    bool missing, text, integer, real, boolean; /* kinds seen */
};
enum strata_column_type { STRATA_COLUMN_TEXT, STRATA_COLUMN_INTEGER, STRATA_COLUMN_REAL, STRATA_COLUMN_BOOLEAN };
void strata_column_add(struct strata_column *column, struct strata_span text);
enum strata_column_type strata_column_type(const struct strata_column *column);
/* The cell's value in a column of this type (new reference; NULL when memory is out). */
json_t *strata_column_cell(struct strata_span text, enum strata_column_type type);

/* What becomes of a table that is written to an .xlsx file and read back (spec: benchmarks, section 1.6): missing
 * cells, columns of numbers, control characters, texts that look like formulas (kits before head). Changes rows in
 * place. */
int strata_cells_round_trip(json_t *rows, enum strata_kit kit, struct strata_error *err);
/* The same for one cell alone (new reference). */
json_t *strata_cell_round_trip(json_t *cell, enum strata_kit kit);
/* No text in this column: its cells are numpy's numbers, for which eval() raises SyntaxError instead of TypeError. */
bool strata_cells_typed(const json_t *rows, const char *column);

#endif
