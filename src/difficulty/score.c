/* The score run: from options to difficulty.jsonl. */
#include "difficulty/score.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "difficulty/evaluate.h"
#include "difficulty/run.h"

#define DEFAULT_WINDOW  1024
#define DEFAULT_CACHE   ((size_t)256 << 20)
#define DEFAULT_PILOT   16
#define OUTPUT_FILE     "difficulty.jsonl"
#define PROGRESS_PERIOD 0.25

void strata_score_options_default(struct strata_score_options *options) {
    *options = (struct strata_score_options){
        .metrics = STRATA_METRIC_PISM | STRATA_METRIC_CMAB,
        .mask = {.kind = STRATA_MASK_PIXEL},
        .patch_pixels = 28,
        .pism_sampling = {.temperature = 0.7f, .top_p = 1, .repetition_penalty = 1, .max_new_tokens = 1024},
        .cmab_sampling = {.temperature = 0, .top_p = 1, .repetition_penalty = 1, .max_new_tokens = 1024},
        .speculation = 0.1,
    };
    strata_cut_default(&options->cut);
}

static int usage(struct strata_error *err, const char *what) {
    return strata_fail(err, STRATA_ERR_USAGE, "%s", what);
}

static int check_options(const struct strata_score_options *options, const struct strata_engine *engine,
                         struct strata_error *err) {
    const struct strata_pism_rule *rule = &options->cut.pism;
    unsigned can = strata_engine_capabilities(engine);
    if (!options->data || !options->out) return usage(err, "a data set and a run directory are needed");
    if (options->metrics == 0 || options->metrics > (STRATA_METRIC_PISM | STRATA_METRIC_CMAB))
        return usage(err, "no metric to score");
    if (rule->draws < 1 || rule->draws > STRATA_PISM_MAX_DRAWS || rule->need < 1 || rule->need > rule->draws ||
        !(rule->ratios & 1) || rule->ratios >> STRATA_PISM_RATIOS || rule->hard_to >= rule->easy_from)
        return usage(err, "the PISM rule is not valid");
    if (options->cut.chance == STRATA_CHANCE_FIXED && !(options->cut.chance_p > 0 && options->cut.chance_p < 1))
        return usage(err, "--chance must lie between 0 and 1");
    if (options->cut.attempts < 1) return usage(err, "--attempts must be at least 1");
    if (options->cut.attempts > 1 && !(options->cmab_sampling.temperature > 0))
        return usage(err, "--attempts above 1 needs a CMAB temperature above 0: greedy attempts are all the same");
    if (options->mask.kind == STRATA_MASK_PATCH && options->patch_pixels == 0)
        return usage(err, "patch masks need the size of a patch");
    if (!(options->speculation >= 0)) return usage(err, "the speculation share must not be negative");
    if (!(can & STRATA_CAN_IMAGES)) return strata_fail(err, STRATA_ERR_UNSUPPORTED, "this engine takes no images");
    if (options->metrics & STRATA_METRIC_PISM && can & STRATA_CAN_SKIP_IMAGES)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "PISM asks about masked images, which no recorded answer saw");
    if (options->metrics & STRATA_METRIC_CMAB && !(can & STRATA_CAN_ATTENTION)) {
        strata_fail(err, STRATA_ERR_UNSUPPORTED, "CMAB needs attention, which this engine does not report");
        return strata_fail_hint(err, STRATA_ERR_UNSUPPORTED,
                                "--metric pism; the native engine; or --cmab-from (python -m strata_hf)");
    }
    return 0;
}

/* Records of this run: those under the limit that belong to the shard. */
static size_t own_records(size_t records, const struct strata_dataset_options *options) {
    if (options->limit && records > options->limit) records = options->limit;
    return options->shards ? (records + options->shards - options->shard) / options->shards : records;
}

static void report(struct strata_run *run, bool always) {
    const struct strata_score_options *options = run->options;
    double now = strata_seconds();
    if (!options->on_progress || (!always && now - run->last_progress < PROGRESS_PERIOD)) return;
    run->last_progress = now;
    run->progress.samples_done = run->done;
    run->progress.samples_total = run->total;
    run->progress.samples_resumed = run->resumed;
    run->progress.generated_tokens = run->summary->tokens_now;
    run->progress.active = run->active;
    run->progress.in_flight = run->in_flight;
    run->progress.bad = strata_dataset_bad(run->dataset) + run->rejected;
    run->progress.failed = run->summary->failed_requests;
    run->progress.seconds = now - run->started;
    options->on_progress(options->progress_context, &run->progress);
}

/* One turn of the loop: a result to its sample, answers to the disk in time. */
static int turn(struct strata_run *run, struct strata_error *err) {
    struct strata_result result;
    bool got;
    double begin = strata_seconds();
    int code = strata_store_tick(run->store, run->last_poll, err);
    double asked = strata_seconds();
    run->summary->store_seconds += asked - begin;
    if (code) return code;
    code = strata_engine_poll(run->engine, &result, &got, err);
    run->last_poll = strata_seconds() - asked;
    run->summary->wait_seconds += run->last_poll;
    if (code) return code;
    if (!got) return strata_fail(err, STRATA_ERR_ENGINE, "the engine lost %zu draws", run->in_flight);
    code = strata_run_take(run, &result, err);
    strata_result_free(&result);
    return code;
}

static int loop(struct strata_run *run, struct strata_error *err) {
    const volatile sig_atomic_t *interrupt = run->options->interrupt;
    for (;;) {
        if (interrupt && *interrupt) return strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped; everything is saved");
        int code = strata_run_fill(run, err);
        report(run, false);
        if (!code && run->in_flight == 0 && run->active == 0 && run->exhausted) return 0;
        if (!code && run->in_flight == 0)
            code = strata_fail(err, STRATA_ERR_ENGINE, "%zu samples wait and nothing is asked", run->active);
        if (!code) code = turn(run, err);
        if (code) return code;
    }
}

static void estimate(struct strata_run *run) {
    struct strata_score_estimate *out = &run->summary->estimate;
    size_t left = run->total > run->done ? run->total - run->done : 0;
    double each = run->finished_now ? (double)left / (double)run->finished_now : 0;
    *out = (struct strata_score_estimate){.pilot = run->finished_now,
                                          .samples = run->total,
                                          .draws = each * (double)run->summary->draws_now,
                                          .tokens = each * (double)run->summary->tokens_now,
                                          .seconds = each * run->summary->seconds};
    if (run->done) out->store_bytes = (double)strata_store_bytes(run->store) / (double)run->done * (double)run->total;
}

static int write_output(struct strata_run *run, struct strata_error *err) {
    const struct strata_score_options *options = run->options;
    char *path = strata_path_join(options->out, OUTPUT_FILE);
    if (!path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = strata_score_write(run->summary, path, run->store, &options->cut, options->metrics, run->end_index, err);
    free(path);
    if (code || run->summary->failed_requests == 0) return code;
    strata_fail(err, STRATA_ERR_ENGINE, "%zu samples are pending, because %zu requests failed, the last: %.300s",
                run->summary->pending, run->summary->failed_requests, run->last_failure.what);
    if (run->last_failure.where[0]) strata_fail_at(err, STRATA_ERR_ENGINE, "%s", run->last_failure.where);
    return strata_fail_hint(err, STRATA_ERR_ENGINE, "run the same command again to ask only for those");
}

static int finish(struct strata_run *run, int code, struct strata_error *err) {
    struct strata_error saving;
    /* Whatever stopped the run, its answers are kept; the first error is the one to tell. */
    if (run->store) {
        int saved = strata_store_commit(run->store, code ? &saving : err);
        if (!code) code = saved;
    }
    run->summary->metrics = run->options->metrics;
    run->summary->seconds = strata_seconds() - run->started;
    run->summary->bad = run->rejected + (run->dataset ? strata_dataset_bad(run->dataset) : 0);
    strata_engine_stats(run->engine, &run->summary->engine);
    if (code) return code;
    report(run, true);
    if (!run->options->dry_run) return write_output(run, err);
    estimate(run);
    return 0;
}

static int prepare(struct strata_run *run, struct strata_error *err) {
    const struct strata_score_options *options = run->options;
    size_t records = 0;
    /* The data set first: a wrong path must not leave a run directory behind. */
    int code = strata_dataset_open(&run->dataset, options->data, &options->dataset, err);
    if (!code) code = strata_dataset_count(&records, options->data, err);
    if (!code) code = strata_make_directories(options->out, err);
    if (!code) code = strata_store_open(&run->store, options->out, err);
    if (!code) code = strata_run_settle(run, err);
    run->total = own_records(records, &options->dataset);
    if (!code) code = strata_alloc(&run->slots, run->window, sizeof *run->slots, err);
    return code;
}

static void release(struct strata_run *run) {
    /* Leaves nothing at an engine that outlives the run. */
    for (uint64_t serial = run->oldest; run->slots && serial < run->next_serial; serial++) {
        struct strata_active *active = strata_run_find(run, serial);
        if (active) strata_run_retire(run, active);
    }
    free(run->slots);
    strata_verdict_free(&run->verdict);
    strata_buffer_free(&run->scratch);
    strata_dataset_close(run->dataset);
    strata_store_close(run->store, NULL);
}

int strata_score(struct strata_score_summary *summary, struct strata_engine *engine,
                 const struct strata_score_options *options, struct strata_error *err) {
    struct strata_score_summary local_summary = {0};
    struct strata_error local_error;
    if (!err) err = &local_error; /* bad records are reported through it */
    if (summary) *summary = local_summary;
    int code = check_options(options, engine, err);
    if (code) return code;
    struct strata_score_options own = *options;
    if (!own.pilot_samples) own.pilot_samples = DEFAULT_PILOT;
    if (own.dry_run) own.speculation = 0; /* a cost of the pilot's end, not of the run */
    struct strata_run run = {.options = &own,
                             .engine = engine,
                             .summary = summary ? summary : &local_summary,
                             .window = own.window ? own.window : DEFAULT_WINDOW,
                             .cache_limit = own.image_cache_bytes ? own.image_cache_bytes : DEFAULT_CACHE,
                             .next_serial = 1,
                             .oldest = 1,
                             .started = strata_seconds()};
    code = prepare(&run, err);
    if (!code) code = loop(&run, err);
    code = finish(&run, code, err);
    release(&run);
    strata_score_summary_free(&local_summary);
    return code;
}
