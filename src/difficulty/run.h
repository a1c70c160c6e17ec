/* Private to the score run: its state, and the samples in work. */
#ifndef STRATA_DIFFICULTY_RUN_H
#define STRATA_DIFFICULTY_RUN_H

#include "difficulty/score.h"
#include "store/store.h"

/* A sample in work. Its slot is free while `serial` is 0. */
struct strata_active {
    uint64_t serial; /* unique in this process; serial % window is the slot, so that late results find their sample */
    struct strata_sample sample; /* without its record */
    struct strata_pism pism;
    double chance;     /* probability of a right guess, 0: unknown */
    unsigned attempts; /* CMAB answers there are */
    bool attempt_flying, attempt_right;
    struct strata_image *images; /* (image_count) decoded, or NULL */
    size_t image_bytes;
    uint64_t used;      /* when the images were last needed, for the cache */
    unsigned in_flight; /* draws at the engine */
    bool stored;        /* has its row */
    bool failed;        /* a request failed: stays pending in this process */
    bool idle;          /* nothing certain to ask since its state last changed */
};

struct strata_run {
    const struct strata_score_options *options;
    struct strata_engine *engine;
    struct strata_store *store;
    struct strata_dataset *dataset;
    struct strata_verdict verdict;
    struct strata_buffer scratch;

    struct strata_active *slots; /* (window) */
    size_t window, active;
    uint64_t next_serial, oldest; /* serials below `oldest` are finished */
    bool exhausted;               /* no more samples to admit */

    uint64_t clock; /* for strata_active.used */
    size_t cached_bytes, cache_limit;

    size_t in_flight;    /* draws at the engine */
    size_t capacity;     /* draws in flight when the engine was last seen full; 0: not yet */
    uint64_t speculated; /* draws asked beyond the sequential rule */
    unsigned failures_in_a_row;
    struct strata_error last_failure; /* of a request */
    size_t admitted, finished_now, end_index, total, resumed, done, rejected;
    double last_poll, last_progress, started;
    struct strata_score_progress progress;
    struct strata_score_summary *summary;
};

/* settings.c: what the run directory must agree with, and what it remembers. */
int strata_run_settle(struct strata_run *run, struct strata_error *err);

/* active.c: samples in and out of work. */
/* The next sample of the data set that has something to ask; *got false when there is none. */
int strata_run_admit(struct strata_run *run, bool *got, struct strata_error *err);
struct strata_active *strata_run_find(const struct strata_run *run, uint64_t serial); /* NULL when it has left */
bool strata_active_finished(const struct strata_run *run, const struct strata_active *active);
int strata_active_load(struct strata_run *run, struct strata_active *active, struct strata_error *err);  /* images */
int strata_active_store(struct strata_run *run, struct strata_active *active, struct strata_error *err); /* its row */
void strata_run_retire(struct strata_run *run, struct strata_active *active);
/* A bad record found late: counted and left out with skip_bad (returns 0, the sample is gone), else the error. */
int strata_run_reject(struct strata_run *run, struct strata_active *active, int code, struct strata_error *err);

/* ask.c: building requests. */
/* Fills the engine: certain draws of the samples in work, then new samples, then (at the end) speculation. */
int strata_run_fill(struct strata_run *run, struct strata_error *err);
/* Grades a completion into run->verdict. */
int strata_run_grade(struct strata_run *run, const struct strata_sample *sample, const char *completion, size_t length,
                     struct strata_error *err);
/* Takes one result to its sample: grades it, keeps it. */
int strata_run_take(struct strata_run *run, const struct strata_result *result, struct strata_error *err);

/* The kind of a request in its tag: a ratio in tenths, or this. */
#define STRATA_TAG_ATTEMPT 15u
#define STRATA_TAG_BITS    4

#endif
