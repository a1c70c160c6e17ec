/* Private to the report: where on the image the attention of an answer lay. A run keeps masses by class and not by
 * image cell, so the answer is read once more by the model that gave it. */
#ifndef STRATA_REPORT_MAPS_H
#define STRATA_REPORT_MAPS_H

#include <jansson.h>

#include "base/buffer.h"
#include "data/sample.h"
#include "difficulty/cmab.h"
#include "engine/engine.h"
#include "strata/error.h"

/* *out: {"rows", "columns", "values": 0 to 99 of the brightest cell, row by row, "peak": that cell over the mean} for
 * the first image. NULL, with the reason in *err and 0 returned: the engine could not read the sample, or its balance
 * is further than 2 % from `rho`, so that it is not the model that was scored. */
int strata_report_map(json_t **out, struct strata_engine *engine, const struct strata_sample *sample,
                      const struct strata_buffer *response, double rho, const struct strata_cmab_options *options,
                      struct strata_error *err);

#endif
