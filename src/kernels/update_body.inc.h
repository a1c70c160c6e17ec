/* The optimiser's loop, included by every level_*.c: the compiler makes vectors of it. */
#include "kernels/update.h"

static void adamw_halves(uint16_t *restrict weight, uint16_t *restrict rest, float *restrict moment1,
                         float *restrict moment2, const float *restrict gradient, size_t count,
                         const struct strata_adamw_numbers *numbers) {
    const struct strata_adamw_numbers u = *numbers;
    for (size_t i = 0; i < count; i++) {
        float v = moment2[i];
        const uint32_t mark = strata_take_mark(&v);
        const float master =
            strata_adamw_value(strata_bf16_rejoin(weight[i], rest[i], mark), &moment1[i], &v, gradient[i], &u);
        strata_set_mark(&v, strata_bf16_tied_up(master));
        moment2[i] = v;
        weight[i] = strata_bf16_round(master);
        rest[i] = strata_bf16_rest(master);
    }
}
