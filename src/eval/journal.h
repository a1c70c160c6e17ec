/* Records of a resumable evaluation: one JSON object a line, appended as they come; the first line holds the settings
 * that they depend on. A line that was torn by a kill is dropped when the file is opened again. */
#ifndef STRATA_EVAL_JOURNAL_H
#define STRATA_EVAL_JOURNAL_H

#include "base/json.h"

struct strata_journal;
/* An existing file must have these settings: otherwise it is begun anew (fresh) or STRATA_ERR_STATE names the first one
 * that differs. Locked while open. */
int strata_journal_open(struct strata_journal **out, const char *path, const json_t *settings, bool fresh,
                        struct strata_error *err);
/* The record of an index, or NULL; borrowed. */
const json_t *strata_journal_get(const struct strata_journal *journal, const char *index);
size_t strata_journal_count(const struct strata_journal *journal);
/* Takes over the reference. On disk within a second. */
int strata_journal_put(struct strata_journal *journal, const char *index, json_t *record, struct strata_error *err);
int strata_journal_close(struct strata_journal *journal, struct strata_error *err);

#endif
