/* A cache of texts by the hash of everything that determined them (answers of servers), in one SQLite file that several
 * processes may share. Losing it costs time, never a result. */
#ifndef STRATA_STORE_CACHE_H
#define STRATA_STORE_CACHE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/hash.h"

struct strata_cache;
int strata_cache_open(struct strata_cache **out, const char *path, struct strata_error *err);
/* Commits and closes; NULL is fine. */
int strata_cache_close(struct strata_cache *cache, struct strata_error *err);
/* Appends the text kept under key, or sets *found false. */
int strata_cache_get(struct strata_cache *cache, struct strata_buffer *out, bool *found, struct strata_hash key,
                     struct strata_error *err);
/* Keeps a text; the first one of a key stays. Written to disk within half a second of the next call, and on close. */
int strata_cache_put(struct strata_cache *cache, struct strata_hash key, const char *text, size_t length,
                     struct strata_error *err);

#endif
