/* The score run: data set -> engine -> grader -> run store, PISM and CMAB in one pass, then difficulty.jsonl.
 *
 * A run directory holds run.sqlite (every answer, see store/store.h), run.lock while a process writes, and, once
 * every sample has been asked, difficulty.jsonl. Starting the same run again continues it: nothing answered is asked
 * twice, and the outcome is byte-identical to that of a run that was never stopped. */
#ifndef STRATA_DIFFICULTY_SCORE_H
#define STRATA_DIFFICULTY_SCORE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "data/image.h"
#include "data/sample.h"
#include "difficulty/cmab.h"
#include "difficulty/pism.h"
#include "engine/engine.h"
#include "strata/error.h"
#include "verify/verify.h"

enum strata_metric { STRATA_METRIC_PISM = 1, STRATA_METRIC_CMAB = 2 };

/* --chance: off, `auto` (from the question or the gold answer) or a probability. */
enum strata_chance_kind { STRATA_CHANCE_OFF, STRATA_CHANCE_AUTO, STRATA_CHANCE_FIXED };

/* How answers already made are cut: may change between runs and in `strata select`, no draw depends on it. */
struct strata_cut {
    struct strata_pism_rule pism;
    enum strata_chance_kind chance;
    double chance_p; /* for STRATA_CHANCE_FIXED, 0 < p < 1 */
    struct strata_cmab_options cmab;
    unsigned attempts; /* --attempts: pass@N, the first right one counts; > 1 needs cmab_sampling.temperature > 0 */
};
void strata_cut_default(struct strata_cut *cut);

struct strata_score_progress {
    size_t samples_done, samples_total; /* total 0: unknown; done counts those finished by earlier runs */
    size_t samples_resumed;             /* of done: finished by earlier runs */
    uint64_t draws, draws_saved;        /* so far, by the sequential rule, of finished samples */
    uint64_t generated_tokens;          /* by this process */
    size_t active, in_flight;           /* samples being worked on, draws at the engine */
    size_t bad, failed;
    double seconds;
};

struct strata_score_options {
    const char *data; /* data set */
    const char *out;  /* run directory, made if need be */
    unsigned metrics; /* bits of enum strata_metric */
    struct strata_cut cut;

    /* These determine the draws: fixed for the life of a run directory. */
    uint64_t seed;
    struct strata_mask mask; /* kind and fill; for STRATA_MASK_PATCH see patch_pixels */
    /* Side of a merged vision cell in pixels of the *original* image for STRATA_MASK_PATCH (28 for Qwen2.5-VL): the
     * grid is ceil(H/side) x ceil(W/side). */
    unsigned patch_pixels;
    struct strata_sampling pism_sampling; /* 0.7, top-p 1, top-k off, penalty 1, 1024 tokens */
    struct strata_sampling cmab_sampling; /* greedy, 1024 tokens */
    enum strata_verify_mode verify_mode;
    const char *verifier; /* --verifier: for records that name none; NULL: by ability */
    /* skip_bad, prepend_missing_image, system, limit, shard, on_bad (called for every bad record, also those found bad
     * only by decoding or by the engine). */
    struct strata_dataset_options dataset;

    /* These change speed and memory only. */
    size_t window;            /* samples in work at once at most (0: 1024) */
    size_t image_cache_bytes; /* decoded images kept (0: 256 MiB); others are decoded again when needed */
    /* Draws asked beyond the sequential rule while there is room and nothing else to do (the end of the data, where few
     * samples are left): at most this share of the draws made so far. 0: none; the default is 0.1. */
    double speculation;
    bool keep_responses; /* PISM responses are stored too (CMAB's always are) */

    bool dry_run;         /* measure pilot_samples samples, keep their answers, fill summary->estimate, stop */
    size_t pilot_samples; /* 0: 16 */

    /* Non-zero: stop soon, save, return STRATA_ERR_INTERRUPTED. May be NULL. */
    const volatile sig_atomic_t *interrupt;
    void (*on_progress)(void *context, const struct strata_score_progress *progress); /* ~4 times a second; or NULL */
    void *progress_context;
};
void strata_score_options_default(struct strata_score_options *options);

/* One row of the summary table; the last row of the table is the total ("all"). */
struct strata_score_row {
    char *ability;
    size_t samples;
    size_t pism[STRATA_STRATA], cmab[STRATA_STRATA]; /* samples of each stratum */
    size_t chance[STRATA_STRATA];                    /* PISM's under --chance */
    uint64_t plain_right, plain_drawn;               /* draws of ratio 0: accuracy = right / drawn */
    uint64_t cmab_right, cmab_answered;
};
struct strata_score_estimate { /* of the whole data set, from the pilot */
    size_t pilot, samples;
    double draws, tokens, seconds; /* still to do; seconds at the pilot's rate */
    double store_bytes;
};
struct strata_score_summary {
    unsigned metrics;
    struct strata_score_row *rows;
    size_t row_count;
    size_t samples, pending,
        bad;                /* in the output; with answers missing; records left out by --skip-bad (this process) */
    size_t failed_requests; /* engine failures, this process: their draws stay open */
    uint64_t draws, draws_saved, speculative; /* of the whole run, by the sequential rule; answers beyond it */
    uint64_t truncated;                       /* answers cut off by max_new_tokens, whole run */
    uint64_t draws_now, tokens_now;           /* by this process */
    double seconds, image_seconds, verify_seconds, store_seconds, wait_seconds; /* this process, by caller's thread */
    struct strata_engine_stats engine;
    struct strata_score_estimate estimate; /* dry_run only */
};
void strata_score_summary_free(struct strata_score_summary *summary);
/* The summary as one JSON object (owned by the caller, NULL when memory is out), names as the fields above. */
json_t *strata_score_summary_json(const struct strata_score_summary *summary);

/* Runs or continues a run. summary (may be NULL) is filled on success, on STRATA_ERR_INTERRUPTED and on
 * STRATA_ERR_ENGINE. STRATA_ERR_STATE        another process writes here, or a setting that determines draws differs
 * (named, both values) STRATA_ERR_INPUT        a bad record (without skip_bad); what was answered before is saved
 *   STRATA_ERR_UNSUPPORTED  CMAB with an engine that reports no attention
 *   STRATA_ERR_ENGINE       requests failed: difficulty.jsonl marks their samples "pending"; run again to finish.
 *                           (16 failures in a row stop the run without difficulty.jsonl.)
 *   STRATA_ERR_INTERRUPTED  stopped by the flag, saved, no difficulty.jsonl */
int strata_score(struct strata_score_summary *summary, struct strata_engine *engine,
                 const struct strata_score_options *options, struct strata_error *err);

/* Joins run directories (shards) into a new one: settings that determine draws must agree (all but the shard), samples
 * must not overlap. Writes its difficulty.jsonl. */
int strata_score_merge(struct strata_score_summary *summary, const char *out, const char *const *runs, size_t count,
                       struct strata_error *err);

/* Writes difficulty.jsonl lines of a store to `path` (atomically); for `strata select` and tools. */
struct strata_store;
int strata_score_write(struct strata_score_summary *summary, const char *path, struct strata_store *store,
                       const struct strata_cut *cut, unsigned metrics, size_t end_index, struct strata_error *err);

#endif
