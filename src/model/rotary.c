#include "model/rotary.h"

#include "base/elementary.h"

void strata_rotary_frequencies(double *frequencies, const struct strata_text_config *text) {
    for (size_t i = 0; i < text->head_size / 2; i++) {
        float exponent = (float)(2 * i) / (float)text->head_size;
        frequencies[i] = (double)(1.0f / (float)strata_pow(text->rope_theta, (double)exponent));
    }
}

/* apply_multimodal_rotary_pos_emb: dimension pairs [0,s0) turn with the temporal position, [s0,s0+s1) with the height,
 * the rest with the width. The angle is a float32 product, as torch's. */
void strata_rotary_tables(float *cosines, float *sines, const double *frequencies,
                          const struct strata_text_config *text, const int32_t *positions, size_t T) {
    size_t half = text->head_size / 2;
    for (size_t t = 0; t < T; t++) {
        size_t i = 0;
        for (size_t section = 0; section < 3; section++) {
            int32_t position = positions[section * T + t];
            for (size_t n = 0; n < text->mrope_sections[section]; n++, i++) {
                float angle = (float)position * (float)frequencies[i];
                double sine, cosine;
                /* Text rows have three equal positions, but the frequencies differ: nothing to share. */
                strata_sincos(&sine, &cosine, (double)angle);
                cosines[t * half + i] = (float)cosine;
                sines[t * half + i] = (float)sine;
            }
        }
    }
}
