/* `strata init`: a complete new model directory, with random weights, that strata, transformers and the usual
 * converters read. For tests and benchmarks of every size without a download, and for training from nothing. */
#ifndef STRATA_MODEL_INIT_H
#define STRATA_MODEL_INIT_H

#include <stdint.h>

#include "base/threads.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "strata/error.h"

/* Shapes by name:
 *   tiny   4 layers of 128, for tests that train (1.2 M parameters with a vocabulary of 1,024)
 *   block  2 layers of 896 over the full vocabulary, a small vision tower: crosses every kernel block (contract 2)
 *   0.5b   Qwen2.5-0.5B's language model with a vision tower to match
 *   3b 7b  Qwen2.5-VL's own
 * Special and stop ids are Qwen2.5-VL's (tiny: below 1,024). An unknown name is STRATA_ERR_USAGE and lists these. */
int strata_model_preset(struct strata_model_config *out, const char *name, struct strata_error *err);

/* Makes `directory` (its parents too): config.json, generation_config.json, preprocessor_config.json,
 * chat_template.json, model.safetensors in dtype (F32 or BF16), and the tokenizer's files.
 *
 * config: the name of a preset, or a config.json or model directory whose shape, and whose preprocessor_config.json if
 * there, are taken. tokenizer: a tokenizer.json or a directory with one; NULL writes none (weights and configs only).
 * Special and stop ids of a preset, and tiny's vocabulary size, come from the tokenizer; those of a config must agree
 * with it. threads may be NULL and does not change the result.
 *
 * A directory that already holds a model is STRATA_ERR_STATE: nothing is overwritten. config.json is written last, so a
 * directory that has it is complete. All weights are in memory once, in dtype. */
int strata_model_init(const char *directory, const char *config, const char *tokenizer, uint64_t seed,
                      enum strata_dtype dtype, struct strata_threads *threads, struct strata_error *err);

#endif
