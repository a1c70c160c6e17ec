/* A data set of one's own as a benchmark, in any layout that data/sample.h reads, graded by src/verify. Resumable like
 * the others. */
#ifndef STRATA_EVAL_OWN_H
#define STRATA_EVAL_OWN_H

#include "data/sample.h"
#include "eval/evaluate.h"
#include "verify/verify.h"

/* Does the name end like such a file (.jsonl, .json, .csv, .parquet, packed JSONL)? TSV is the benchmarks' own. */
bool strata_eval_is_own(const char *name);

/* Of the options, kit, tsv and judge have no meaning; `data` is the file. The result has accuracy in all and by
 * ability; written to OUT/<stem>.json, .csv and .rows.jsonl. STRATA_ERR_ENGINE when rows are pending. */
int strata_evaluate_own(json_t **result, struct strata_engine *engine, const char *data,
                        const struct strata_dataset_options *dataset, enum strata_verify_mode mode,
                        const struct strata_eval_options *options, struct strata_error *err);

#endif
