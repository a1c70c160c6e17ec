/* Samples in work: admission (with what the store already has), images, leaving. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "difficulty/evaluate.h"
#include "difficulty/run.h"

static struct strata_active *slot_of(const struct strata_run *run, uint64_t serial) {
    return &run->slots[serial % run->window];
}

struct strata_active *strata_run_find(const struct strata_run *run, uint64_t serial) {
    struct strata_active *active = slot_of(run, serial);
    return serial && active->serial == serial ? active : NULL;
}

bool strata_active_finished(const struct strata_run *run, const struct strata_active *active) {
    const struct strata_score_options *options = run->options;
    struct strata_pism_outcome outcome;
    if (active->sample.image_count == 0) return true;
    if (options->metrics & STRATA_METRIC_CMAB && !active->attempt_right && active->attempts < options->cut.attempts)
        return false;
    if (!(options->metrics & STRATA_METRIC_PISM)) return true;
    strata_pism_read(&outcome, &active->pism, &options->cut.pism);
    return outcome.finished;
}

/* Resuming: what the store has of this sample. */
struct stored {
    struct strata_active *active;
    unsigned attempts; /* of the cut */
};

static int on_stored_sample(void *context, const struct strata_stored_sample *row, struct strata_error *err) {
    struct stored *stored = context;
    const struct strata_sample *sample = &stored->active->sample;
    if (strcmp(row->id, sample->id) == 0) return 0;
    strata_fail(err, STRATA_ERR_STATE, "the run has sample \"%.100s\" here, the data set has \"%.100s\"", row->id,
                sample->id);
    return strata_fail_at(err, STRATA_ERR_STATE, "%s", sample->where);
}

static int on_stored_draw(void *context, const struct strata_stored_draw *draw, struct strata_error *err) {
    struct stored *stored = context;
    (void)err;
    if (draw->ratio < STRATA_PISM_RATIOS && draw->draw < STRATA_PISM_MAX_DRAWS)
        strata_pism_answer(&stored->active->pism, draw->ratio, draw->draw, draw->right);
    return 0;
}

static int on_stored_attempt(void *context, const struct strata_stored_attempt *attempt, struct strata_error *err) {
    struct stored *stored = context;
    struct strata_active *active = stored->active;
    (void)err;
    if (attempt->attempt != active->attempts || attempt->attempt >= stored->attempts) return 0;
    active->attempts++;
    active->attempt_right = active->attempt_right || attempt->right;
    return 0;
}

static int read_stored(struct strata_run *run, struct strata_active *active, struct strata_error *err) {
    struct stored stored = {.active = active, .attempts = run->options->cut.attempts};
    size_t index = active->sample.index;
    int code = strata_store_sample(run->store, index, &active->stored, on_stored_sample, &stored, err);
    if (!code && active->stored) code = strata_store_draws(run->store, index, on_stored_draw, &stored, err);
    if (!code && active->stored) code = strata_store_attempts(run->store, index, on_stored_attempt, &stored, err);
    return code;
}

static const char *question_of(const struct strata_sample *sample) {
    return sample->messages[sample->message_count - 1].text;
}

static void begin(struct strata_run *run, struct strata_active *active, const struct strata_sample *sample) {
    const struct strata_score_options *options = run->options;
    double p;
    *active = (struct strata_active){.serial = run->next_serial, .sample = *sample};
    /* The record is the largest part of a sample and is not needed again. */
    json_decref(active->sample.record);
    active->sample.record = NULL;
    struct strata_verify_input input = {.solution = sample->solution,
                                        .solution_length = strlen(sample->solution),
                                        .ability = sample->ability,
                                        .verifier = sample->verifier[0] ? sample->verifier : options->verifier,
                                        .question = question_of(sample)};
    active->chance = strata_verify_chance(&input);
    active->pism.chance_need = strata_cut_chance_need(&p, &options->cut, active->chance);
}

int strata_run_admit(struct strata_run *run, bool *got, struct strata_error *err) {
    *got = false;
    while (!run->exhausted) {
        struct strata_active *active = slot_of(run, run->next_serial);
        struct strata_sample sample;
        bool more;
        if (active->serial) return 0; /* the window is full: its oldest sample is still in work */
        if (run->options->dry_run && run->admitted >= run->options->pilot_samples) {
            run->exhausted = true;
            break;
        }
        int code = strata_dataset_next(run->dataset, &sample, &more, err);
        if (code) return code;
        if (!more) {
            run->exhausted = true;
            break;
        }
        run->end_index = sample.index + 1;
        begin(run, active, &sample);
        run->next_serial++;
        run->active++;
        code = read_stored(run, active, err);
        if (!code && active->sample.image_count == 0) code = strata_active_store(run, active, err);
        if (code) return code;
        if (strata_active_finished(run, active)) {
            run->resumed++;
            strata_run_retire(run, active);
            continue;
        }
        run->admitted++;
        code = strata_active_load(run, active, err);
        /* A gold answer that its grader cannot read shows before anything is drawn for it. */
        if (!code) code = strata_run_grade(run, &active->sample, "", 0, err);
        if (!code) {
            *got = true;
            return 0;
        }
        code = strata_run_reject(run, active, code, err);
        if (code) return code;
    }
    return 0;
}

static void drop_images(struct strata_run *run, struct strata_active *active) {
    if (!active->images) return;
    for (size_t i = 0; i < active->sample.image_count; i++) strata_image_free(&active->images[i]);
    free(active->images);
    active->images = NULL;
    run->cached_bytes -= active->image_bytes;
    active->image_bytes = 0;
}

/* Gives back the images least recently used until the cache fits its bound again, all but those of `keep`. */
static void trim_cache(struct strata_run *run, const struct strata_active *keep) {
    while (run->cached_bytes > run->cache_limit) {
        struct strata_active *oldest = NULL;
        for (uint64_t serial = run->oldest; serial < run->next_serial; serial++) {
            struct strata_active *active = strata_run_find(run, serial);
            if (active && active != keep && active->images && (!oldest || active->used < oldest->used)) oldest = active;
        }
        if (!oldest) return;
        drop_images(run, oldest);
    }
}

int strata_active_load(struct strata_run *run, struct strata_active *active, struct strata_error *err) {
    const struct strata_sample *sample = &active->sample;
    active->used = ++run->clock;
    if (active->images || strata_engine_capabilities(run->engine) & STRATA_CAN_SKIP_IMAGES) return 0;
    double begin_seconds = strata_seconds();
    int code = strata_alloc(&active->images, sample->image_count, sizeof *active->images, err);
    for (size_t i = 0; !code && i < sample->image_count; i++) {
        const struct strata_image_source *source = &sample->images[i];
        struct strata_image *image = &active->images[i];
        code = strata_image_source_load(image, source, err);
        if (!code) active->image_bytes += 3 * image->width * image->height;
    }
    run->cached_bytes += active->image_bytes;
    if (code) {
        drop_images(run, active);
        /* A file that is not there or cannot be decoded is a fault of the record, whatever the reader calls it. */
        if (code == STRATA_ERR_IO || code == STRATA_ERR_UNSUPPORTED) code = STRATA_ERR_INPUT;
        if (err) {
            struct strata_error cause = *err;
            strata_fail(err, code, "%.300s%s%.200s", cause.what, cause.where[0] ? ": " : "", cause.where);
            strata_fail_at(err, code, "%s", sample->where);
            strata_fail_hint(err, code, "%s", cause.hint[0] ? cause.hint : "--skip-bad leaves such records out");
        }
    }
    trim_cache(run, active);
    run->summary->image_seconds += strata_seconds() - begin_seconds;
    return code;
}

int strata_active_store(struct strata_run *run, struct strata_active *active, struct strata_error *err) {
    if (active->stored) return 0;
    struct strata_stored_sample row = {.index = active->sample.index,
                                       .id = active->sample.id,
                                       .ability = active->sample.ability,
                                       .images = (unsigned)active->sample.image_count,
                                       .chance = active->chance};
    int code = strata_store_put_sample(run->store, &row, err);
    active->stored = !code;
    return code;
}

void strata_run_retire(struct strata_run *run, struct strata_active *active) {
    /* What is still at the engine was asked speculatively, or belongs to a record that is left out. */
    for (unsigned kind = 0; active->in_flight && kind <= STRATA_TAG_ATTEMPT; kind++)
        strata_engine_cancel(run->engine, active->serial << STRATA_TAG_BITS | kind);
    run->in_flight -= active->in_flight;
    drop_images(run, active);
    run->done += !active->failed;
    strata_sample_free(&active->sample);
    active->serial = 0;
    run->active--;
    while (run->oldest < run->next_serial && !strata_run_find(run, run->oldest)) run->oldest++;
}

int strata_run_reject(struct strata_run *run, struct strata_active *active, int code, struct strata_error *err) {
    const struct strata_dataset_options *options = &run->options->dataset;
    if (code != STRATA_ERR_INPUT || !options->skip_bad) return code;
    if (options->on_bad && err) options->on_bad(options->context, err);
    run->rejected++;
    active->failed = true; /* not among the done */
    code = active->stored ? strata_store_forget(run->store, active->sample.index, err) : 0;
    strata_run_retire(run, active);
    return code;
}
