/* Answers that were generated elsewhere, with the attention that was measured on the way (python/strata_hf), as an
 * engine: a request for a sample gets the answer recorded for it. docs/strata-hf.md describes the file.
 *
 * Everything in the files is checked when they are opened; errors name file and line. They stay mapped, not in memory.
 * A request for a sample that no line answers ends as STRATA_FINISH_ABSENT. One whose prompt is not the recorded one
 * (other text, system turn or images) is STRATA_ERR_INPUT. */
#ifndef STRATA_ENGINE_RECORDED_H
#define STRATA_ENGINE_RECORDED_H

#include "data/sample.h"
#include "engine/engine.h"

/* Several files must have been made with the same model and settings (the same first line). */
int strata_engine_recorded(struct strata_engine **out, const char *const *paths, size_t count,
                           struct strata_error *err);
/* How the answers were drawn. */
void strata_recorded_sampling(struct strata_sampling *out, const struct strata_engine *engine);
size_t strata_recorded_count(const struct strata_engine *engine);
/* STRATA_ERR_INPUT when a line answers no record of this data set (all of it, whatever the limit and shard). */
int strata_recorded_check(const struct strata_engine *wrapped, const char *data,
                          const struct strata_dataset_options *options, struct strata_error *err);

#endif
