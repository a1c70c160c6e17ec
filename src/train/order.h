/* Data order: each epoch is a permutation of the data set that is a pure function of (seed, epoch), so that a place in
 * it is two numbers and resuming needs no replay. */
#ifndef STRATA_TRAIN_ORDER_H
#define STRATA_TRAIN_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/error.h"

struct strata_order {
    uint64_t seed, epoch;
    size_t count;
    bool shuffled;   /* false: always as in the file */
    uint64_t *items; /* (count) of `epoch`; owned */
    bool ready;
};
int strata_order_create(struct strata_order *out, size_t count, uint64_t seed, bool shuffled, struct strata_error *err);
/* Item at position `place` counted through all epochs: epoch place/count, place%count within it. */
size_t strata_order_at(struct strata_order *order, uint64_t place);
void strata_order_free(struct strata_order *order);

#endif
