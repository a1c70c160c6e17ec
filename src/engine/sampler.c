#include "engine/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/elementary.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#define LANES 16   /* running maxima side by side */
#define BLOCK 4096 /* weights whose running total is kept */

int strata_sampler_create(struct strata_sampler *out, size_t V, struct strata_error *err) {
    *out = (struct strata_sampler){.V = V};
    int code = strata_alloc(&out->scores, V, sizeof *out->scores, err);
    if (!code) code = strata_alloc(&out->candidates, V, sizeof *out->candidates, err);
    if (!code) code = strata_alloc(&out->totals, V / BLOCK + 1, sizeof *out->totals, err);
    return code;
}

void strata_sampler_free(struct strata_sampler *sampler) {
    free(sampler->scores);
    free(sampler->candidates);
    free(sampler->totals);
    *sampler = (struct strata_sampler){0};
}

static void penalise(float *scores, size_t V, const uint64_t *seen, float penalty) {
    for (size_t id = 0; id < V; id++) {
        if (!(seen[id / 64] >> (id % 64) & 1)) continue;
        scores[id] = scores[id] < 0.0f ? scores[id] * penalty : scores[id] / penalty;
    }
}

/* The k-th largest value, by quickselect on a scratch copy held in `order`. */
static float kth_largest(const float *scores, uint32_t *order, size_t count, size_t k) {
    size_t low = 0, high = count - 1;
    while (low < high) {
        float pivot = scores[order[(low + high) / 2]];
        size_t i = low, j = high;
        for (;;) {
            while (scores[order[i]] > pivot) i++;
            while (scores[order[j]] < pivot) j--;
            if (i >= j) break;
            uint32_t swap = order[i];
            order[i++] = order[j];
            order[j--] = swap;
        }
        /* order[low..j] >= pivot >= order[j+1..high] */
        if (k - 1 <= j) {
            high = j;
        } else {
            low = j + 1;
        }
    }
    return scores[order[low]];
}

struct ranked {
    float score;
    uint32_t id;
};

static int by_score(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Keeps the smallest set of most likely ids whose probability reaches top_p (at least one); ties keep the lower id. */
static int keep_nucleus(struct strata_sampler *sampler, size_t *count, float top_p, float largest,
                        struct strata_error *err) {
    struct ranked *ranked;
    int code = strata_alloc(&ranked, *count, sizeof *ranked, err);
    if (code) return code;
    double total = 0.0, cumulated = 0.0;
    for (size_t i = 0; i < *count; i++) {
        ranked[i] = (struct ranked){sampler->scores[sampler->candidates[i]], sampler->candidates[i]};
        total += (double)strata_expf(ranked[i].score - largest);
    }
    qsort(ranked, *count, sizeof *ranked, by_score);
    size_t kept = 0;
    while (kept < *count && (kept == 0 || cumulated < (double)top_p * total)) {
        cumulated += (double)strata_expf(ranked[kept].score - largest);
        kept++;
    }
    /* Marking and sweeping keeps the candidates in id order, which the draw walks. */
    float bound = ranked[kept - 1].score;
    uint32_t bound_id = ranked[kept - 1].id;
    size_t out = 0;
    for (size_t i = 0; i < *count; i++) {
        uint32_t id = sampler->candidates[i];
        float score = sampler->scores[id];
        if (score > bound || (score == bound && id <= bound_id)) sampler->candidates[out++] = id;
    }
    *count = out;
    free(ranked);
    return 0;
}

/* The largest of scores without NaN. */
static float largest_of(const float *scores, size_t V) {
    float most[LANES], largest = -INFINITY;
    for (size_t j = 0; j < LANES; j++) most[j] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= V; i += LANES)
        for (size_t j = 0; j < LANES; j++) most[j] = scores[i + j] > most[j] ? scores[i + j] : most[j];
    for (; i < V; i++) largest = scores[i] > largest ? scores[i] : largest;
    for (size_t j = 0; j < LANES; j++) largest = most[j] > largest ? most[j] : largest;
    return largest;
}

/* One draw from all of the vocabulary: weights, added up in the order of the ids; the first id at which the sum passes
 * the target (the last possible one where rounding never lets it). Sums at the ends of blocks save walking twice. */
static int32_t draw_any(struct strata_sampler *sampler, float temperature, double uniform) {
    float *weights = sampler->scores;
    const size_t V = sampler->V;
    for (size_t i = 0; i < V; i++) weights[i] /= temperature;
    const float largest = largest_of(weights, V);
    for (size_t i = 0; i < V; i++) weights[i] = strata_expf(weights[i] - largest);
    double total = 0.0;
    for (size_t i = 0; i < V; i++) {
        if (i % BLOCK == 0) sampler->totals[i / BLOCK] = total;
        total += (double)weights[i];
    }
    const double target = uniform * total;
    size_t block = (V - 1) / BLOCK;
    while (block > 0 && sampler->totals[block] > target) block--;
    double walked = sampler->totals[block];
    for (size_t i = block * BLOCK; i < V; i++) {
        walked += (double)weights[i];
        if (weights[i] > 0.0f && walked > target) return (int32_t)i;
    }
    size_t last = V - 1;
    while (last > 0 && weights[last] <= 0.0f) last--;
    return (int32_t)last;
}

/* The same from what top-k and top-p leave. */
static int draw(int32_t *id, struct strata_sampler *sampler, const struct strata_sampling *sampling, double uniform,
                struct strata_error *err) {
    float *scores = sampler->scores;
    size_t count = 0;
    for (size_t i = 0; i < sampler->V; i++) {
        if (scores[i] == -INFINITY) continue;
        scores[i] /= sampling->temperature;
        sampler->candidates[count++] = (uint32_t)i;
    }
    const float largest = largest_of(scores, sampler->V);
    if (sampling->top_k && sampling->top_k < count) {
        float bound = kth_largest(scores, sampler->candidates, count, sampling->top_k);
        count = 0;
        for (size_t i = 0; i < sampler->V; i++) {
            if (scores[i] >= bound && scores[i] != -INFINITY) sampler->candidates[count++] = (uint32_t)i;
        }
    }
    if (sampling->top_p < 1.0f) {
        int code = keep_nucleus(sampler, &count, sampling->top_p, largest, err);
        if (code) return code;
    }
    double total = 0.0, walked = 0.0;
    for (size_t i = 0; i < count; i++) {
        float *weight = &scores[sampler->candidates[i]];
        *weight = strata_expf(*weight - largest);
        total += (double)*weight;
    }
    double target = uniform * total;
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        float weight = scores[sampler->candidates[i]];
        if (weight <= 0.0f) continue;
        chosen = i;
        walked += (double)weight;
        if (walked > target) break;
    }
    *id = (int32_t)sampler->candidates[chosen];
    return 0;
}

int strata_sample(int32_t *id, struct strata_sampler *sampler, const float *logits,
                  const struct strata_sampling *sampling, const uint64_t *seen, const int32_t *banned,
                  size_t banned_count, const struct strata_random *random, uint64_t index, struct strata_error *err) {
    memcpy(sampler->scores, logits, sampler->V * sizeof *logits);
    if (seen && sampling->repetition_penalty != 1.0f) {
        penalise(sampler->scores, sampler->V, seen, sampling->repetition_penalty);
    }
    for (size_t i = 0; i < banned_count; i++) {
        if (banned[i] >= 0 && (size_t)banned[i] < sampler->V) sampler->scores[banned[i]] = -INFINITY;
    }
    size_t best = strata_argmax(sampler->scores, sampler->V);
    if (best >= sampler->V || !isfinite(sampler->scores[best])) {
        return strata_fail(err, STRATA_ERR_NUMERIC, "the logits are not finite");
    }
    *id = (int32_t)best;
    if (sampling->temperature <= 0.0f) return 0;
    const double uniform = strata_random_uniform(random, index);
    if ((sampling->top_k && sampling->top_k < sampler->V) || sampling->top_p < 1.0f)
        return draw(id, sampler, sampling, uniform, err);
    *id = draw_any(sampler, sampling->temperature, uniform);
    return 0;
}
