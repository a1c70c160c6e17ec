/* Choosing a token from logits, in the order transformers applies its processors: repetition penalty, (greedy or)
 * temperature, top-k, top-p, then one draw. Pure functions: the random number is named by the caller. */
#ifndef STRATA_ENGINE_SAMPLER_H
#define STRATA_ENGINE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "engine/engine.h"
#include "strata/error.h"

struct strata_sampler {
    size_t V;
    float *scores;        /* (V) working copy of the logits */
    uint32_t *candidates; /* (V) */
    double *totals;       /* of the weights before each block of ids */
};
int strata_sampler_create(struct strata_sampler *out, size_t V, struct strata_error *err);
void strata_sampler_free(struct strata_sampler *sampler);

/* seen: one bit per vocabulary id, the ids of prompt and response so far (NULL when the penalty is 1). banned: ids that
 * are never chosen. Number `index` of `random` decides. STRATA_ERR_NUMERIC when a logit is NaN or nothing is left.
 * RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper of transformers. */
int strata_sample(int32_t *id, struct strata_sampler *sampler, const float *logits,
                  const struct strata_sampling *sampling, const uint64_t *seen, const int32_t *banned,
                  size_t banned_count, const struct strata_random *random, uint64_t index, struct strata_error *err);

#endif
