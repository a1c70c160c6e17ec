/* Rotary tables of the language model, shared by the engine's forward and the training pass. Private to this room. */
#ifndef STRATA_MODEL_ROTARY_H
#define STRATA_MODEL_ROTARY_H

#include "model/config.h"

/* (D/2) inverse frequencies, each a float32 value as torch computes it. */
void strata_rotary_frequencies(double *frequencies, const struct strata_text_config *text);
/* cosines and sines (T, D/2) of m-RoPE positions (3, T). */
void strata_rotary_tables(float *cosines, float *sines, const double *frequencies,
                          const struct strata_text_config *text, const int32_t *positions, size_t T);

#endif
