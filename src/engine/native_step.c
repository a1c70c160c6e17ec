/* One step of continuous batching: every active draw's newest token and a bounded number of prompt rows go through the
 * decoder together; then tokens are drawn. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "engine/native_internal.h"

/* The rows of this step. */
struct step {
    size_t items, rows;
    size_t draws; /* items [0, draws) are draws, one row each; the others are prefill chunks */
    size_t decode_rows, prefill_rows;
};

static void add_draw_rows(struct native *native, struct step *step) {
    size_t C = native->model->config.text.hidden;
    for (size_t i = 0; i < native->draw_count; i++) {
        struct draw *draw = &native->draws[i];
        int32_t position = (int32_t)draw->sequence.length + draw->group->prompt.rope_delta;
        strata_decoder_embed(native->x + step->rows * C, native->decoder, &draw->ids[draw->N - 1], 1);
        for (size_t axis = 0; axis < 3; axis++) native->positions[axis * native->max_rows + step->rows] = position;
        native->items[step->items++] = (struct strata_decoder_item){.sequence = &draw->sequence, .rows = 1};
        step->rows++;
    }
    step->draws = step->decode_rows = native->draw_count;
}

/* Where the measured rows of a prefill chunk [first, first+count) begin: the last prompt row and what follows it. */
static size_t measured_from(const struct group *group, size_t first, size_t count) {
    size_t produce = group->prompt.T - 1;
    if (first >= produce) return 0;
    return produce - first < count ? produce - first : count;
}

static void add_prefill_rows(struct native *native, struct step *step) {
    size_t C = native->model->config.text.hidden, left = native->prefill_chunk;
    for (struct group *group = native->running; group && left && step->items < native->max_items; group = group->next) {
        if (group->finished == group->request.draws || group->done == group->rows) continue;
        size_t count = group->rows - group->done < left ? group->rows - group->done : left;
        strata_native_rows(native, group, group->done, count, native->x + step->rows * C,
                           native->positions + step->rows, native->max_rows);
        native->item_groups[step->items] = group;
        native->items[step->items++] = (struct strata_decoder_item){
            .sequence = &group->sequence, .rows = count, .mass_first = measured_from(group, group->done, count)};
        step->rows += count;
        step->prefill_rows += count;
        left -= count;
    }
}

static size_t response_tokens(const struct group *group) {
    return group->request.forced_ids ? group->request.forced_count : 1;
}

/* Points the items of requests that want attention at memory for it. */
static int add_measures(struct native *native, const struct step *step, struct strata_error *err) {
    size_t L = native->model->config.text.layers, map_floats = 0;
    for (size_t i = 0; i < step->items; i++) {
        struct strata_decoder_item *item = &native->items[i];
        struct draw *draw = i < step->draws ? &native->draws[i] : NULL;
        struct group *group = draw ? draw->group : native->item_groups[i];
        size_t measured = item->rows - item->mass_first, S = group->prompt.segment_count;
        if (!group->segment_end || !measured) continue;
        item->S = S;
        item->segment_end = group->segment_end;
        if (draw) {
            int code = strata_native_draw_reserve(native, draw, err);
            if (code) return code;
            item->masses = draw->masses + draw->N * L * S;
            item->mass_stride = 1;
        } else {
            size_t n = group->done + item->mass_first - (group->prompt.T - 1);
            item->masses = group->masses + n * S;
            item->mass_stride = response_tokens(group);
        }
        if (group->map_sum) {
            item->map_stride = measured;
            item->map_tokens = group->prompt.T;
            map_floats += L * measured * item->map_tokens;
        }
    }
    int code = strata_grow(&native->map, &native->map_capacity, map_floats, sizeof *native->map, err);
    float *map = native->map;
    for (size_t i = 0; !code && i < step->items; i++) {
        struct strata_decoder_item *item = &native->items[i];
        if (!item->map_tokens) continue;
        item->map = map;
        map += L * item->map_stride * item->map_tokens;
    }
    return code;
}

static void collect_maps(struct native *native, const struct step *step) {
    for (size_t i = 0; i < step->items; i++) {
        const struct strata_decoder_item *item = &native->items[i];
        if (!item->map) continue;
        float *sum = i < step->draws ? native->draws[i].map_sum : native->item_groups[i]->map_sum;
        strata_native_add_map(native, sum, item->map, item->map_stride, item->map_tokens);
    }
}

/* Rows whose logits are there: of draws [first, …), or of a forced response from token `first` on. */
struct choosing {
    struct native *native;
    const struct group *forced;
    size_t first;
};

static void choose_task(void *context, size_t index, size_t worker) {
    const struct choosing *choosing = context;
    const struct native *native = choosing->native;
    const float *logits = native->logits + index * native->samplers[0].V;
    struct choice *choice = &native->choices[index];
    const struct group *forced = choosing->forced;
    if (forced)
        strata_native_logprobs(choice, native, logits, forced->forced_ids[choosing->first + index],
                               forced->request.sampling.temperature, worker);
    else
        strata_native_draw_choose(choice, native, choosing->first + index, logits, worker);
}

/* The choices of `count` rows x, row by row and on all threads: a vocabulary takes a part of a millisecond. */
static void choose(struct choosing *choosing, const float *x, size_t count) {
    struct native *native = choosing->native;
    strata_decoder_logits(native->decoder, native->logits, x, count, 0, NULL);
    strata_threads_run(native->threads, count, choose_task, choosing);
}

/* Logits of all draws, in pieces of logit_rows, and their tokens. Draws are walked from the last to the first, so that
 * one that leaves only moves a draw that has been served. */
static int serve_draws(struct native *native, const struct step *step, struct strata_error *err) {
    size_t C = native->model->config.text.hidden;
    for (size_t end = step->draws; end > 0;) {
        size_t begin = end > native->logit_rows ? end - native->logit_rows : 0;
        struct choosing choosing = {.native = native, .first = begin};
        choose(&choosing, native->x + begin * C, end - begin);
        for (size_t i = end; i > begin; i--) {
            int code = strata_native_draw_take(native, i - 1, &native->choices[i - 1 - begin], err);
            if (code) return code;
        }
        end = begin;
    }
    return 0;
}

/* The token-producing rows of one forced chunk: log-probs of the given ids. */
static int score_forced(struct native *native, struct group *group, const float *x, size_t first, size_t count,
                        struct strata_error *reason) {
    size_t C = native->model->config.text.hidden, skipped = measured_from(group, first, count);
    for (size_t r = skipped; r < count; r += native->logit_rows) {
        size_t rows = count - r < native->logit_rows ? count - r : native->logit_rows;
        struct choosing choosing = {.native = native, .forced = group, .first = first + r - (group->prompt.T - 1)};
        choose(&choosing, x + r * C, rows);
        for (size_t i = 0; i < rows; i++) {
            const struct choice *choice = &native->choices[i];
            if (choice->code) {
                *reason = choice->reason;
                return choice->code;
            }
            group->logprobs[choosing.first + i] = choice->logprob;
            group->sampled_logprobs[choosing.first + i] = choice->sampled_logprob;
        }
    }
    return 0;
}

static int serve_prefills(struct native *native, const struct step *step, struct strata_error *err) {
    size_t C = native->model->config.text.hidden, V = native->samplers[0].V, row = step->decode_rows;
    for (size_t i = step->draws; i < step->items; i++) {
        struct group *group = native->item_groups[i];
        size_t count = native->items[i].rows, first = group->done;
        const float *x = native->x + row * C;
        struct strata_error reason;
        int code = 0;
        row += count;
        group->done += count;
        strata_native_keep_prefix(native, group);
        if (group->forced_ids) {
            code = score_forced(native, group, x, first, count, &reason);
            if (!code && group->done == group->rows) {
                if ((code = strata_native_forced_result(native, group, err))) return code;
            }
        } else if (group->done == group->rows) {
            code = strata_alloc(&group->first_logits, V, sizeof *group->first_logits, &reason);
            if (!code) strata_decoder_logits(native->decoder, group->first_logits, x + (count - 1) * C, 1, 0, NULL);
        }
        if (code) {
            strata_fail_at_default(&reason, code, "%s", group->sample_id);
            if ((code = strata_native_group_fail(native, group, &reason, err))) return code;
        }
    }
    return 0;
}

/* positions arrive in rows of max_rows; the decoder wants (3, T) without gaps. */
static void close_gaps(struct native *native, size_t T) {
    for (size_t axis = 1; axis < 3; axis++) {
        memmove(native->positions + axis * T, native->positions + axis * native->max_rows,
                T * sizeof *native->positions);
    }
}

int strata_native_step(struct native *native, struct strata_error *err) {
    struct step step = {0};
    int code = strata_native_admit(native, err);
    if (!code) code = strata_native_start_draws(native, err);
    if (code) return code;
    double start = strata_seconds();
    add_draw_rows(native, &step);
    add_prefill_rows(native, &step);
    if (step.rows) {
        close_gaps(native, step.rows);
        for (size_t i = 0; !code && i < step.draws; i++) {
            code = strata_sequence_reserve(native->memory, &native->draws[i].sequence, 1, err);
        }
        if (!code) code = add_measures(native, &step, err);
        if (!code) {
            code = strata_decoder_forward(native->decoder, native->x, native->positions, native->items, step.items,
                                          NULL, err);
        }
        if (!code) collect_maps(native, &step);
        /* Prefills first: serving draws moves them in the batch. */
        if (!code) code = serve_prefills(native, &step, err);
        if (!code) code = serve_draws(native, &step, err);
        double seconds = strata_seconds() - start;
        double prefill = seconds * (double)step.prefill_rows / (double)step.rows;
        native->stats.prefill_seconds += prefill;
        native->stats.decode_seconds += seconds - prefill;
    }
    strata_native_sweep(native);
    return code;
}
