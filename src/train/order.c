#include "train/order.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"

int strata_order_create(struct strata_order *out, size_t count, uint64_t seed, bool shuffled,
                        struct strata_error *err) {
    *out = (struct strata_order){.seed = seed, .count = count, .shuffled = shuffled};
    if (count == 0) return strata_fail(err, STRATA_ERR_INPUT, "the data set is empty");
    return strata_alloc(&out->items, count, sizeof *out->items, err);
}

size_t strata_order_at(struct strata_order *order, uint64_t place) {
    uint64_t epoch = place / order->count;
    if (!order->ready || order->epoch != epoch) {
        struct strata_random random =
            strata_random_make(order->seed, "", STRATA_PURPOSE_ORDER, (uint32_t)(epoch >> 32), (uint32_t)epoch);
        for (size_t i = 0; i < order->count; i++) order->items[i] = i;
        if (order->shuffled) strata_random_shuffle(&random, order->items, order->count);
        order->epoch = epoch;
        order->ready = true;
    }
    return (size_t)order->items[place % order->count];
}

void strata_order_free(struct strata_order *order) {
    free(order->items);
    *order = (struct strata_order){0};
}
