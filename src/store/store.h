/* The run store: every answer of a score run, in one SQLite file (WAL), written by one process at a time.
 *
 * Settings are of three kinds. Those that determine the draws may never change in a store: a run with another value is
 * refused, naming the setting and both values. Those that cut may change at any time. Places (where the data lie) are
 * for finding things again and are compared by nothing.
 *
 * Writes gather in one transaction, committed after at most STRATA_STORE_SECONDS by strata_store_tick: a killed process
 * loses less than a second of answers and leaves a valid file. When the disk is full the error says so, the transaction
 * is rolled back, and the store refuses further writes. */
#ifndef STRATA_STORE_STORE_H
#define STRATA_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "strata/error.h"

#define STRATA_STORE_SECONDS 0.5
#define STRATA_STORE_FILE    "run.sqlite" /* in the run directory */
#define STRATA_STORE_LOCK    "run.lock"

struct strata_store;

/* For writing: takes the directory's lock (STRATA_ERR_STATE when another process has it) and makes the store if there
 * is none. The directory must exist. */
int strata_store_open(struct strata_store **out, const char *directory, struct strata_error *err);
/* For reading, also while another process writes. */
int strata_store_read(struct strata_store **out, const char *directory, struct strata_error *err);
/* Commits what is gathered (unless a write failed before) and releases everything; NULL is fine. */
int strata_store_close(struct strata_store *store, struct strata_error *err);

enum strata_setting_kind { STRATA_SETTING_DRAWS, STRATA_SETTING_CUT, STRATA_SETTING_PLACE };
struct strata_setting {
    const char *name, *value;
    enum strata_setting_kind kind;
};
/* Compares the DRAWS settings with what the store has (STRATA_ERR_STATE on the first that differs), then takes over
 * all. A setting that the store has not is new to it: no draw that depends on it was made. Committed at once. */
int strata_store_settle(struct strata_store *store, const struct strata_setting *settings, size_t count,
                        struct strata_error *err);
/* The value of a setting into out (cleared first); *found false when there is none. */
int strata_store_setting(const struct strata_store *store, const char *name, struct strata_buffer *out, bool *found,
                         struct strata_error *err);

struct strata_stored_sample {
    size_t index; /* place in the data set */
    const char *id, *ability;
    unsigned images;
    double chance; /* probability of a right guess; 0: unknown */
};
struct strata_stored_draw {
    unsigned ratio, draw; /* tenths */
    bool right, truncated;
    size_t tokens;
    const char *response; /* or NULL: not kept */
    size_t response_length;
};
struct strata_stored_attempt { /* of CMAB */
    unsigned attempt;
    bool right, truncated;
    size_t tokens;
    const char *response;
    size_t response_length;
    const void *masses; /* packed attention masses, or NULL */
    size_t masses_length;
};
/* Putting the same row twice keeps the first. A sample's row comes before its draws and attempts. */
int strata_store_put_sample(struct strata_store *store, const struct strata_stored_sample *sample,
                            struct strata_error *err);
int strata_store_put_draw(struct strata_store *store, size_t index, const struct strata_stored_draw *draw,
                          struct strata_error *err);
int strata_store_put_attempt(struct strata_store *store, size_t index, const struct strata_stored_attempt *attempt,
                             struct strata_error *err);
/* Removes a sample with all its answers. */
int strata_store_forget(struct strata_store *store, size_t index, struct strata_error *err);
/* Commits when more than STRATA_STORE_SECONDS would have passed since the first gathered write `ahead` seconds from
 * now. Call it before anything that takes a while. */
int strata_store_tick(struct strata_store *store, double ahead, struct strata_error *err);
int strata_store_commit(struct strata_store *store, struct strata_error *err);

/* Readers call back for each row; pointers hold during the call. A non-zero return ends the reading and is returned. */
typedef int strata_on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err);
typedef int strata_on_draw(void *context, const struct strata_stored_draw *draw, struct strata_error *err);
typedef int strata_on_attempt(void *context, const struct strata_stored_attempt *attempt, struct strata_error *err);
/* All samples with index < end, ascending; the callback may read draws and attempts. */
int strata_store_samples(struct strata_store *store, size_t end, strata_on_sample *on_sample, void *context,
                         struct strata_error *err);
int strata_store_sample(struct strata_store *store, size_t index, bool *found, strata_on_sample *on_sample,
                        void *context, struct strata_error *err);
/* By ratio, then draw; by attempt. */
int strata_store_draws(struct strata_store *store, size_t index, strata_on_draw *on_draw, void *context,
                       struct strata_error *err);
int strata_store_attempts(struct strata_store *store, size_t index, strata_on_attempt *on_attempt, void *context,
                          struct strata_error *err);
size_t strata_store_bytes(struct strata_store *store); /* size of the file; 0 when it cannot be told */

/* Takes over everything of the store in `directory` (which nobody may be writing). Its DRAWS settings must equal this
 * store's, all but the one named `except`; samples must not overlap, neither by id nor by place. All or nothing. */
int strata_store_merge(struct strata_store *store, const char *directory, const char *except, struct strata_error *err);

#endif
