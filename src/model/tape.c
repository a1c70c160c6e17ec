/* The training pass: its memory, planned before anything runs, and the order of its rows. */
#include "model/tape.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/rotary.h"
#include "model/tape_private.h"

#define LOGIT_BYTES      ((size_t)32 << 20)
#define MOST_LOGIT_ROWS  128
#define VOCABULARY_BLOCK STRATA_K_BLOCK /* the backward takes the head in multiples of this many outputs */

bool strata_tape_next(struct strata_tape_place *place, const struct strata_tape_group *groups, size_t count) {
    if (!place->part) {
        place->group = place->index = place->first = 0;
    } else {
        place->first += place->rows;
        place->index = place->response ? place->index + 1 : 0;
        if (place->index == groups[place->group].count) {
            place->group++;
            place->part = NULL; /* the next group's prompt */
        }
    }
    if (place->group == count) return false;
    place->owner = &groups[place->group];
    place->response = place->part ? &place->owner->responses[place->index] : NULL;
    place->part = place->response ? &place->response->part : &place->owner->prompt;
    place->rows = place->part->T - (place->response != NULL);
    return true;
}

size_t strata_tape_rows(const struct strata_tape_group *group) {
    size_t rows = group->prompt.T;
    for (size_t i = 0; i < group->count; i++) rows += group->responses[i].part.T - 1;
    return rows;
}

/* Cuts the arrays out of one block; with block NULL it only counts. */
struct carver {
    char *block;
    size_t used;
    bool overflow;
};
static void *take(struct carver *carver, size_t count, size_t size) {
    size_t bytes, end;
    void *piece = carver->block ? carver->block + carver->used : NULL;
    if (!strata_mul_ok(&bytes, count, size) || !strata_add_ok(&end, bytes, STRATA_ALIGNMENT - 1) ||
        !strata_add_ok(&end, carver->used, end / STRATA_ALIGNMENT * STRATA_ALIGNMENT)) {
        carver->overflow = true;
        return NULL;
    }
    carver->used = end;
    return piece;
}
static float *take_floats(struct carver *carver, size_t rows, size_t columns) {
    return take(carver, rows, columns * sizeof(float));
}

static void carve_layers(struct strata_tape *tape, struct carver *carver) {
    const size_t T = tape->options.max_rows;
    const enum strata_tape_level level = tape->options.level;
    struct strata_tape_layer shared = {0};
    for (size_t i = 0; i <= tape->L; i++) {
        struct strata_tape_layer layer = shared;
        if (i == 0 || level != STRATA_TAPE_FORWARD) layer.x = take_floats(carver, T, tape->C);
        if (i < tape->L && (i == 0 || level == STRATA_TAPE_ALL)) {
            const bool whole = level == STRATA_TAPE_ALL && !tape->narrow;
            const size_t rows = whole || T < STRATA_TAPE_CHUNK ? T : STRATA_TAPE_CHUNK;
            if (i == 0 || whole) {
                layer.query_key_value = take_floats(carver, T, tape->W);
                layer.gate_up = take_floats(carver, rows, 2 * tape->F);
            }
            if (tape->narrow) {
                layer.kept_query_key_value = take(carver, T, tape->W * sizeof(uint16_t));
                layer.kept_gate_up = take(carver, T, 2 * tape->F * sizeof(uint16_t));
            }
            layer.attention = take_floats(carver, T, tape->Q);
            if (level == STRATA_TAPE_FORWARD) {
                layer.middle = layer.x;
            } else {
                layer.logsumexp = take_floats(carver, T, tape->H);
                layer.middle = take_floats(carver, T, tape->C);
            }
        }
        shared = layer;
        if (carver->block) tape->layers[i] = layer;
    }
}

static void carve_head(struct strata_tape *tape, struct carver *carver) {
    const size_t T = tape->options.max_rows, C = tape->C, V = tape->V;
    const bool backward = tape->options.level != STRATA_TAPE_FORWARD;
    size_t rows = tape->options.logit_rows ? tape->options.logit_rows : LOGIT_BYTES / (V * sizeof(float));
    if (!tape->options.logit_rows && rows > MOST_LOGIT_ROWS) rows = MOST_LOGIT_ROWS;
    if (rows > T) rows = T;
    tape->logit_rows = rows ? rows : 1;
    size_t floats = 0, block = 0;
    if (!strata_mul_ok(&floats, tape->logit_rows, V) || !strata_mul_ok(&block, T, VOCABULARY_BLOCK))
        carver->overflow = true;
    tape->logit_floats = backward && block > floats ? block : floats;
    tape->logits = take_floats(carver, tape->logit_floats, 1);
    const size_t scored = backward ? T : tape->logit_rows;
    tape->scored_x = take_floats(carver, scored, C);
    tape->scored_normed = take_floats(carver, scored, C);
    tape->scored_rstd = take_floats(carver, scored, 1);
    tape->lse = take_floats(carver, T, 1);
    tape->scored_rows = take(carver, T, sizeof *tape->scored_rows);
    tape->target_begin = take(carver, T + 1, sizeof *tape->target_begin);
    tape->targets = take(carver, T + tape->options.max_responses, sizeof *tape->targets);
    if (!backward) return;
    tape->scored_dnormed = take_floats(carver, T, C);
    tape->dlse = take_floats(carver, T, 1);
}

static void carve(struct strata_tape *tape, struct carver *carver) {
    const struct strata_tape_options *options = &tape->options;
    const size_t T = options->max_rows, chunk = T < STRATA_TAPE_CHUNK ? T : STRATA_TAPE_CHUNK, half = tape->D / 2;
    carve_layers(tape, carver);
    tape->frequencies = take(carver, half, sizeof *tape->frequencies);
    tape->cosines = take_floats(carver, T, half);
    tape->sines = take_floats(carver, T, half);
    tape->positions = take(carver, T, 3 * sizeof *tape->positions);
    tape->ids = take(carver, T, sizeof *tape->ids);
    tape->normed = take_floats(carver, chunk, tape->C);
    tape->rstd = take_floats(carver, chunk, 1);
    tape->inner = take_floats(carver, chunk, tape->F);

    tape->span_capacity = options->max_groups + options->max_responses;
    /* A prompt's last page may be partly filled; so may a response's first and last. */
    tape->page_capacity = T / STRATA_KEY_BLOCK + options->max_groups + 2 * options->max_responses;
    tape->table_capacity = T / STRATA_KEY_BLOCK + 2;
    tape->page_bytes = strata_page_bytes(tape->compute, tape->G, tape->D);
    tape->spans = take(carver, tape->span_capacity, sizeof *tape->spans);
    tape->rows = take(carver, tape->span_capacity, sizeof *tape->rows);
    tape->tables = take(carver, tape->span_capacity, tape->table_capacity * sizeof *tape->tables);
    tape->pages = take(carver, tape->page_capacity, tape->page_bytes);

    carve_head(tape, carver);
    if (options->level == STRATA_TAPE_FORWARD) return;
    tape->dx = take_floats(carver, T, tape->C);
    tape->dquery_key_value = take_floats(carver, T, tape->W);
    tape->dattention = take_floats(carver, T, tape->Q);
    tape->delta = take_floats(carver, T, tape->H);
    tape->dnormed = take_floats(carver, chunk, tape->C);
    tape->dinner = take_floats(carver, chunk, tape->F);
}

static struct strata_tape make_tape(const struct strata_model_config *config, const struct strata_compute *compute,
                                    const struct strata_tape_options *options) {
    const struct strata_text_config *text = &config->text;
    struct strata_tape tape = {.config = config, .compute = compute, .options = *options};
    tape.C = text->hidden;
    tape.H = text->heads;
    tape.G = text->kv_heads;
    tape.D = text->head_size;
    tape.F = text->intermediate;
    tape.L = text->layers;
    tape.V = text->vocabulary;
    tape.narrow = options->level == STRATA_TAPE_ALL && compute->type == STRATA_COMPUTE_BF16;
    tape.Q = tape.H * tape.D;
    tape.W = tape.Q + 2 * tape.G * tape.D;
    return tape;
}

size_t strata_tape_bytes(const struct strata_model_config *config, const struct strata_compute *compute,
                         const struct strata_tape_options *options) {
    struct strata_tape tape = make_tape(config, compute, options);
    struct carver carver = {0};
    carve(&tape, &carver);
    return carver.overflow ? 0 : carver.used;
}

int strata_tape_create(struct strata_tape **out, const struct strata_model_config *config,
                       const struct strata_weights *weights, const struct strata_compute *compute,
                       const struct strata_tape_options *options, struct strata_error *err) {
    const size_t bytes = strata_tape_bytes(config, compute, options);
    struct strata_tape *tape;
    struct carver carver = {0};
    *out = NULL;
    if (options->max_rows == 0 || options->max_groups == 0 || options->max_responses == 0)
        return strata_fail(err, STRATA_ERR_USAGE, "a training pass needs rows, groups and responses");
    if (bytes == 0 || options->max_rows > INT32_MAX)
        return strata_fail(err, STRATA_ERR_MEMORY, "a training pass of %zu rows does not fit the address space",
                           options->max_rows);
    int code = strata_alloc(&tape, 1, sizeof *tape, err);
    if (code) return code;
    *tape = make_tape(config, compute, options);
    tape->weights = weights;
    if ((code = strata_alloc(&tape->layers, tape->L + 1, sizeof *tape->layers, err)) ||
        (code = strata_alloc_aligned(&tape->memory, bytes, 1, err))) {
        strata_tape_destroy(tape);
        return code;
    }
    carver.block = tape->memory;
    carve(tape, &carver);
    strata_rotary_frequencies(tape->frequencies, &config->text);
    /* Slots not yet written meet probability 0 in attention: they must be finite. */
    memset(tape->pages, 0, tape->page_capacity * tape->page_bytes);
    *out = tape;
    return STRATA_OK;
}

void strata_tape_destroy(struct strata_tape *tape) {
    if (!tape) return;
    free(tape->layers);
    free(tape->memory);
    free(tape);
}

void strata_tape_weights(struct strata_tape *tape, const struct strata_weights *weights) {
    tape->weights = weights;
    tape->ready = false;
}

const struct strata_matrix *strata_tape_head(const struct strata_tape *tape) {
    return tape->config->text.tied ? &tape->weights->embedding : &tape->weights->head;
}
