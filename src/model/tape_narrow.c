/* What a pass keeps as bf16. */
#include "base/bf16.h"
#include "model/tape_private.h"

#define PIECE ((size_t)1 << 15)

struct narrowing {
    uint16_t *narrow;
    float *wide;
    size_t count;
};

static size_t values_of(const struct narrowing *narrowing, size_t index) {
    const size_t left = narrowing->count - index * PIECE;
    return left < PIECE ? left : PIECE;
}

static void narrow_task(void *context, size_t index, size_t worker) {
    const struct narrowing *narrowing = context;
    uint16_t *narrow = narrowing->narrow + index * PIECE;
    const float *wide = narrowing->wide + index * PIECE;
    const size_t count = values_of(narrowing, index);
    (void)worker;
    for (size_t i = 0; i < count; i++) narrow[i] = strata_bf16_round(wide[i]);
}

static void widen_task(void *context, size_t index, size_t worker) {
    const struct narrowing *narrowing = context;
    const uint16_t *narrow = narrowing->narrow + index * PIECE;
    float *wide = narrowing->wide + index * PIECE;
    const size_t count = values_of(narrowing, index);
    (void)worker;
    for (size_t i = 0; i < count; i++) wide[i] = strata_bf16_widen(narrow[i]);
}

static void run(const struct strata_tape *tape, strata_task *task, struct narrowing narrowing) {
    strata_threads_run(tape->compute->threads, (narrowing.count + PIECE - 1) / PIECE, task, &narrowing);
}

void strata_tape_narrow(const struct strata_tape *tape, uint16_t *kept, float *values, size_t count) {
    run(tape, narrow_task, (struct narrowing){.narrow = kept, .wide = values, .count = count});
}

void strata_tape_widen(const struct strata_tape *tape, float *values, uint16_t *kept, size_t count) {
    run(tape, widen_task, (struct narrowing){.narrow = kept, .wide = values, .count = count});
}
