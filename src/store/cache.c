#include "store/cache.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

#define COMMIT_SECONDS 0.5
#define BUSY_MS        30000 /* another process may be committing */

struct strata_cache {
    sqlite3 *database;
    sqlite3_stmt *get, *put;
    bool gathering;
    double since;
};

static int fail(const struct strata_cache *cache, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_IO, "the cache of answers: %s",
                cache->database ? sqlite3_errmsg(cache->database) : "out of memory");
    return strata_fail_hint(err, STRATA_ERR_IO, "--no-cache does without it");
}

static int execute(struct strata_cache *cache, const char *sql, struct strata_error *err) {
    return sqlite3_exec(cache->database, sql, NULL, NULL, NULL) ? fail(cache, err) : 0;
}

int strata_cache_open(struct strata_cache **out, const char *path, struct strata_error *err) {
    struct strata_cache *cache;
    *out = NULL;
    int code = strata_alloc(&cache, 1, sizeof *cache, err);
    if (code) return code;
    if (sqlite3_open(path, &cache->database)) code = fail(cache, err);
    if (!code) sqlite3_busy_timeout(cache->database, BUSY_MS);
    if (!code)
        code = execute(cache,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                       "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, text BLOB) WITHOUT ROWID",
                       err);
    if (!code &&
        (sqlite3_prepare_v2(cache->database, "SELECT text FROM answers WHERE key = ?", -1, &cache->get, NULL) ||
         sqlite3_prepare_v2(cache->database, "INSERT OR IGNORE INTO answers VALUES (?, ?)", -1, &cache->put, NULL)))
        code = fail(cache, err);
    if (code) {
        strata_fail_at(err, code, "%s", path);
        strata_cache_close(cache, NULL);
        return code;
    }
    *out = cache;
    return 0;
}

static int commit(struct strata_cache *cache, struct strata_error *err) {
    if (!cache->gathering) return 0;
    cache->gathering = false;
    return execute(cache, "COMMIT", err);
}

int strata_cache_close(struct strata_cache *cache, struct strata_error *err) {
    if (!cache) return 0;
    int code = commit(cache, err);
    sqlite3_finalize(cache->get);
    sqlite3_finalize(cache->put);
    sqlite3_close(cache->database);
    free(cache);
    return code;
}

int strata_cache_get(struct strata_cache *cache, struct strata_buffer *out, bool *found, struct strata_hash key,
                     struct strata_error *err) {
    sqlite3_bind_blob(cache->get, 1, &key, sizeof key, SQLITE_STATIC);
    int step = sqlite3_step(cache->get);
    *found = step == SQLITE_ROW;
    if (*found)
        strata_buffer_append(out, sqlite3_column_blob(cache->get, 0), (size_t)sqlite3_column_bytes(cache->get, 0));
    int code = step == SQLITE_ROW || step == SQLITE_DONE ? strata_buffer_check(out, err) : fail(cache, err);
    sqlite3_reset(cache->get);
    if (!code && cache->gathering && strata_seconds() - cache->since > COMMIT_SECONDS) code = commit(cache, err);
    return code;
}

int strata_cache_put(struct strata_cache *cache, struct strata_hash key, const char *text, size_t length,
                     struct strata_error *err) {
    int code = cache->gathering ? 0 : execute(cache, "BEGIN IMMEDIATE", err);
    if (code) return code;
    if (!cache->gathering) cache->since = strata_seconds();
    cache->gathering = true;
    sqlite3_bind_blob(cache->put, 1, &key, sizeof key, SQLITE_STATIC);
    sqlite3_bind_blob64(cache->put, 2, text, length, SQLITE_STATIC);
    int step = sqlite3_step(cache->put);
    sqlite3_reset(cache->put);
    if (step != SQLITE_DONE) return fail(cache, err);
    return strata_seconds() - cache->since > COMMIT_SECONDS ? commit(cache, err) : 0;
}
