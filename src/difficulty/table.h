/* A run's difficulty as a flat table for other tools: one row a sample, one column a number. docs/formats.md lists the
 * columns. */
#ifndef STRATA_DIFFICULTY_TABLE_H
#define STRATA_DIFFICULTY_TABLE_H

#include "data/export.h"
#include "difficulty/score.h"

/* format: JSONL, CSV (TSV by its name) or PARQUET. *rows: samples written. */
int strata_difficulty_table(size_t *rows, const char *path, enum strata_format format, struct strata_store *store,
                            const struct strata_cut *cut, unsigned metrics, struct strata_error *err);

#endif
