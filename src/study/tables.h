/* results.json as Markdown tables, as tables.md and docs/study.md show them. */
#ifndef STRATA_STUDY_TABLES_H
#define STRATA_STUDY_TABLES_H

#include <jansson.h>

#include "base/buffer.h"

/* Everything is appended; see strata_buffer_check. */
void strata_study_tables(struct strata_buffer *out, const json_t *results);

#endif
