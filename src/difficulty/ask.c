/* What the engine is asked next, and what becomes of its results. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "difficulty/run.h"

#define MAX_FAILURES_IN_A_ROW 16

enum outcome { ASKED, NOTHING, NO_ROOM, GONE }; /* GONE: the sample was left out as bad */

/* Images of a draw: the decoded ones themselves at ratio 0, else masked copies that the caller frees. */
static int masked_images(struct strata_image **out, struct strata_run *run, const struct strata_active *active,
                         unsigned tenths, unsigned draw, struct strata_error *err) {
    size_t count = active->sample.image_count;
    struct strata_mask mask = run->options->mask;
    double begin = strata_seconds();
    int code = strata_alloc(out, count, sizeof **out, err);
    for (size_t i = 0; !code && i < count; i++) {
        const struct strata_image *image = &active->images[i];
        if (mask.kind == STRATA_MASK_PATCH) {
            size_t side = run->options->patch_pixels;
            mask.grid_rows = (image->height + side - 1) / side;
            mask.grid_columns = (image->width + side - 1) / side;
        }
        code = strata_image_copy(&(*out)[i], image, err);
        if (!code)
            code = strata_image_mask(&(*out)[i], &mask, run->options->seed, active->sample.id, tenths, draw,
                                     (unsigned)i, err);
    }
    run->summary->image_seconds += strata_seconds() - begin;
    return code;
}

static void free_images(struct strata_image *images, size_t count) {
    for (size_t i = 0; images && i < count; i++) strata_image_free(&images[i]);
    free(images);
}

/* Submits `count` draws of one kind (a ratio in tenths, or STRATA_TAG_ATTEMPT). */
static int submit(struct strata_run *run, struct strata_active *active, unsigned kind, unsigned draw, unsigned count,
                  struct strata_error *err) {
    const struct strata_score_options *options = run->options;
    const struct strata_sample *sample = &active->sample;
    bool attempt = kind == STRATA_TAG_ATTEMPT;
    struct strata_image *masked = NULL;
    struct strata_request request = {.tag = active->serial << STRATA_TAG_BITS | kind,
                                     .sample_id = sample->id,
                                     .messages = sample->messages,
                                     .message_count = sample->message_count,
                                     .image_count = sample->image_count,
                                     .sampling = attempt ? options->cmab_sampling : options->pism_sampling,
                                     .seed = options->seed,
                                     .purpose = attempt ? STRATA_PURPOSE_CMAB : STRATA_PURPOSE_TOKEN,
                                     .stream = attempt ? 0 : kind,
                                     .first_draw = draw,
                                     .draws = count,
                                     .want_attention = attempt,
                                     .solution = sample->solution};
    int code = strata_active_load(run, active, err);
    if (!code && !attempt && kind > 0) code = masked_images(&masked, run, active, kind, draw, err);
    if (!code) {
        request.images = masked ? masked : active->images;
        request.images_once = masked != NULL;
        code = strata_engine_submit(run->engine, &request, err);
        if (code) strata_fail_at_record(err, code, sample->where, sample->id);
    }
    free_images(masked, sample->image_count);
    if (code) return code;
    active->in_flight += count;
    run->in_flight += count;
    return 0;
}

/* How many of `count` draws to ask for in one request now; 0: wait. Draws of one prompt share its memory, so they go
 * together, but never as so large a part of the batch that the engine would run empty waiting for room. */
static unsigned chunk(const struct strata_run *run, unsigned count) {
    unsigned most = run->capacity ? (unsigned)(run->capacity / 4 > 0 ? run->capacity / 4 : 1) : count;
    if (count > most) count = most;
    while (count > 0 && !strata_engine_has_room(run->engine, count)) {
        if (run->capacity && run->in_flight) return 0;
        count /= 2;
    }
    return count;
}

static bool wants_attempt(const struct strata_run *run, const struct strata_active *active) {
    const struct strata_score_options *options = run->options;
    return options->metrics & STRATA_METRIC_CMAB && !active->attempt_flying && !active->attempt_right &&
           active->attempts < options->cut.attempts;
}

/* Asks one request of this sample. */
static int ask(enum outcome *outcome, struct strata_run *run, struct strata_active *active, bool speculate,
               struct strata_error *err) {
    unsigned tenths, draw, count, kind = STRATA_TAG_ATTEMPT;
    *outcome = NOTHING;
    if (active->failed) return 0;
    if (wants_attempt(run, active)) {
        draw = active->attempts;
        count = 1;
    } else if (run->options->metrics & STRATA_METRIC_PISM &&
               strata_pism_next(&active->pism, &run->options->cut.pism, speculate, &tenths, &draw, &count)) {
        kind = tenths;
    } else {
        return 0;
    }
    count = chunk(run, count);
    *outcome = count ? ASKED : NO_ROOM;
    if (!count) return 0;
    int code = submit(run, active, kind, draw, count, err);
    if (code) {
        *outcome = GONE;
        return strata_run_reject(run, active, code, err);
    }
    if (kind == STRATA_TAG_ATTEMPT)
        active->attempt_flying = true;
    else
        strata_pism_ask(&active->pism, kind, draw, count);
    return 0;
}

/* Is there room for one draw? Remembers how much the engine held when there was not. */
static bool has_room(struct strata_run *run) {
    if (strata_engine_has_room(run->engine, 1)) return true;
    run->capacity = run->in_flight;
    return false;
}

/* Everything certain that one sample can ask now. */
static int ask_all(enum outcome *outcome, struct strata_run *run, struct strata_active *active,
                   struct strata_error *err) {
    int code = 0;
    *outcome = NO_ROOM;
    while (!code && has_room(run)) {
        code = ask(outcome, run, active, false, err);
        if (*outcome != ASKED) break;
    }
    if (!code && *outcome == NOTHING) active->idle = true;
    return code;
}

/* One speculative draw for each sample in work, oldest first, while the budget lasts. */
static int speculate(struct strata_run *run, struct strata_error *err) {
    double budget = run->options->speculation * (double)run->summary->draws_now;
    bool any = true;
    while (any && has_room(run)) {
        any = false;
        for (uint64_t serial = run->oldest; serial < run->next_serial && has_room(run); serial++) {
            struct strata_active *active = strata_run_find(run, serial);
            enum outcome outcome = NOTHING;
            if (!active || (double)run->speculated + 1 > budget) continue;
            int code = ask(&outcome, run, active, true, err);
            if (code) return code;
            if (outcome != ASKED) continue;
            run->speculated++;
            any = true;
        }
    }
    return 0;
}

int strata_run_fill(struct strata_run *run, struct strata_error *err) {
    enum outcome outcome = NOTHING;
    bool waiting = false; /* a request that must go out whole waits for more room: no new samples meanwhile */
    int code = 0;
    for (uint64_t serial = run->oldest; !code && serial < run->next_serial && has_room(run); serial++) {
        struct strata_active *active = strata_run_find(run, serial);
        if (!active || active->idle || active->failed) continue;
        code = ask_all(&outcome, run, active, err);
        waiting = waiting || outcome == NO_ROOM;
    }
    while (!code && !waiting && has_room(run)) {
        bool got;
        code = strata_run_admit(run, &got, err);
        if (code || !got) break;
        /* Samples passed over on the way took serials too: the new one has the last. */
        code = ask_all(&outcome, run, strata_run_find(run, run->next_serial - 1), err);
        waiting = outcome == NO_ROOM;
    }
    if (!code && run->exhausted && run->options->speculation > 0) code = speculate(run, err);
    if (!code && run->in_flight == 0 && run->active > 0 && !strata_engine_has_room(run->engine, 1))
        code = strata_fail(err, STRATA_ERR_ENGINE, "the engine has no room for a single draw");
    return code;
}

int strata_run_grade(struct strata_run *run, const struct strata_sample *sample, const char *completion, size_t length,
                     struct strata_error *err) {
    const char *verifier = sample->verifier[0] ? sample->verifier : run->options->verifier;
    struct strata_verify_input input = {.solution = sample->solution,
                                        .solution_length = strlen(sample->solution),
                                        .completion = completion,
                                        .completion_length = length,
                                        .ability = sample->ability,
                                        .verifier = verifier,
                                        .question = sample->messages[sample->message_count - 1].text};
    double begin = strata_seconds();
    int code = strata_verify(&run->verdict, &input, run->options->verify_mode, err);
    if (code) strata_fail_at_record(err, code, sample->where, sample->id);
    run->summary->verify_seconds += strata_seconds() - begin;
    return code;
}

/* Cut off by the limit, or a thought that never ends: there is no answer. */
static bool is_truncated(const struct strata_run *run, const struct strata_result *result) {
    return result->finish == STRATA_FINISH_LENGTH || run->verdict.truncated;
}

static int keep_attempt(struct strata_run *run, struct strata_active *active, const struct strata_result *result,
                        struct strata_error *err) {
    struct strata_cmab_masses masses;
    strata_buffer_clear(&run->scratch);
    if (!result->attention) {
        strata_fail(err, STRATA_ERR_ENGINE, "the engine gave no attention for CMAB");
        return strata_fail_at(err, STRATA_ERR_ENGINE, "%s", active->sample.id);
    }
    int code = strata_cmab_fold(&masses, result->attention, err);
    if (code) return strata_fail_at_default(err, code, "%s", active->sample.id);
    code = strata_cmab_pack(&run->scratch, &masses, err);
    strata_cmab_masses_free(&masses);
    if (code) return code;
    struct strata_stored_attempt attempt = {.attempt = result->draw,
                                            .right = run->verdict.correct,
                                            .truncated = is_truncated(run, result),
                                            .tokens = result->N,
                                            .response = result->text ? result->text : "",
                                            .response_length = result->text ? result->text_length : 0,
                                            .masses = run->scratch.data,
                                            .masses_length = run->scratch.length};
    active->attempt_flying = false;
    active->attempts = result->draw + 1;
    active->attempt_right = active->attempt_right || attempt.right;
    return strata_store_put_attempt(run->store, active->sample.index, &attempt, err);
}

static int keep_draw(struct strata_run *run, struct strata_active *active, unsigned tenths,
                     const struct strata_result *result, struct strata_error *err) {
    struct strata_stored_draw draw = {.ratio = tenths,
                                      .draw = result->draw,
                                      .right = run->verdict.correct,
                                      .truncated = is_truncated(run, result),
                                      .tokens = result->N};
    if (run->options->keep_responses && result->text) {
        draw.response = result->text;
        draw.response_length = result->text_length;
    }
    strata_pism_answer(&active->pism, tenths, result->draw, draw.right);
    return strata_store_put_draw(run->store, active->sample.index, &draw, err);
}

/* A request without an answer is never graded: its draw stays open and the sample waits for another run. That there is
 * none yet among answers made before is no failure. */
static int failed_request(struct strata_run *run, struct strata_active *active, unsigned kind,
                          const struct strata_result *result, struct strata_error *err) {
    if (kind == STRATA_TAG_ATTEMPT)
        active->attempt_flying = false;
    else
        strata_pism_reopen(&active->pism, kind, result->draw);
    active->failed = true;
    int code = strata_active_store(run, active, err);
    if (code || result->finish == STRATA_FINISH_ABSENT) return code;
    run->summary->failed_requests++;
    run->last_failure = result->error;
    if (++run->failures_in_a_row < MAX_FAILURES_IN_A_ROW) return 0;
    strata_fail(err, STRATA_ERR_ENGINE, "%d requests failed in a row, the last: %.300s", MAX_FAILURES_IN_A_ROW,
                result->error.what);
    strata_fail_at(err, STRATA_ERR_ENGINE, "%s", active->sample.id);
    return strata_fail_hint(err, STRATA_ERR_ENGINE, "what was answered is saved: run the same command again");
}

static int keep(struct strata_run *run, struct strata_active *active, unsigned kind, const struct strata_result *result,
                struct strata_error *err) {
    int code = strata_run_grade(run, &active->sample, result->text ? result->text : "", result->text_length, err);
    if (code) return code;
    run->failures_in_a_row = 0;
    run->summary->draws_now++;
    run->summary->tokens_now += result->N;
    double begin = strata_seconds();
    code = strata_active_store(run, active, err);
    if (!code)
        code = kind == STRATA_TAG_ATTEMPT ? keep_attempt(run, active, result, err)
                                          : keep_draw(run, active, kind, result, err);
    run->summary->store_seconds += strata_seconds() - begin;
    return code;
}

int strata_run_take(struct strata_run *run, const struct strata_result *result, struct strata_error *err) {
    unsigned kind = (unsigned)(result->tag & ((1u << STRATA_TAG_BITS) - 1));
    struct strata_active *active = strata_run_find(run, result->tag >> STRATA_TAG_BITS);
    if (!active) return 0; /* finished without it */
    active->in_flight--;
    run->in_flight--;
    active->idle = false;
    int code = result->finish == STRATA_FINISH_ERROR || result->finish == STRATA_FINISH_CANCELLED ||
                       result->finish == STRATA_FINISH_ABSENT
                   ? failed_request(run, active, kind, result, err)
                   : keep(run, active, kind, result, err);
    if (code) return strata_run_reject(run, active, code, err);
    if (strata_active_finished(run, active)) {
        struct strata_pism_outcome outcome;
        strata_pism_read(&outcome, &active->pism, &run->options->cut.pism);
        run->progress.draws += outcome.draws;
        run->progress.draws_saved += outcome.draws_saved;
        run->finished_now++;
        active->failed = false;
        strata_run_retire(run, active);
    } else if (active->failed && active->in_flight == 0) {
        strata_run_retire(run, active);
    }
    return 0;
}
