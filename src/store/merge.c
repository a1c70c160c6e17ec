/* Joining stores: the shards of a job array become one run. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/sqlite.h"

/* Runs a statement whose only parameter is `text`. */
static int run_with_text(struct strata_store *store, const char *sql, const char *text, const char *doing,
                         struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_DONE;
    int code = good ? 0 : strata_store_fail(store, doing, err);
    sqlite3_finalize(statement);
    return code;
}

static const char *column(sqlite3_stmt *statement, int index) {
    const unsigned char *text = sqlite3_column_text(statement, index);
    return text ? (const char *)text : "none";
}

/* Settings that determine draws and differ, and samples that both have: either forbids the merge. */
static int compare(struct strata_store *store, const char *directory, const char *except, struct strata_error *err) {
    static const char sql[] =
        "SELECT 0, name, max(ours), max(theirs) FROM"
        " (SELECT name, value AS ours, NULL AS theirs FROM main.settings WHERE kind = 0"
        "  UNION ALL SELECT name, NULL, value FROM other.settings WHERE kind = 0)"
        " WHERE name <> ? AND EXISTS (SELECT 1 FROM main.settings)"
        " GROUP BY name HAVING max(ours) IS NOT max(theirs)"
        " UNION ALL SELECT 1, theirs.id, '', '' FROM other.samples AS theirs JOIN main.samples AS ours"
        "  ON ours.place = theirs.place"
        " UNION ALL SELECT 1, theirs.id, '', '' FROM other.samples AS theirs JOIN main.samples AS ours"
        "  ON ours.id = theirs.id LIMIT 1";
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_ERROR, code = 0;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, except, -1, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        if (sqlite3_column_int(statement, 0) == 0)
            strata_fail(err, STRATA_ERR_STATE, "the runs differ in %s: %.160s and %.160s", column(statement, 1),
                        column(statement, 2), column(statement, 3));
        else
            strata_fail(err, STRATA_ERR_STATE, "the runs overlap: another one has sample %.160s too",
                        column(statement, 1));
        strata_fail_at(err, STRATA_ERR_STATE, "%s", directory);
        code = STRATA_ERR_STATE;
    } else if (step != SQLITE_DONE) {
        code = strata_store_fail(store, "compare the stores", err);
    }
    sqlite3_finalize(statement);
    return code;
}

static int take_over(struct strata_store *store, const char *except, struct strata_error *err) {
    static const char copy[] =
        "INSERT OR IGNORE INTO main.settings SELECT * FROM other.settings;"
        "INSERT INTO main.samples SELECT * FROM other.samples; INSERT INTO main.draws SELECT * FROM other.draws;"
        "INSERT INTO main.attempts SELECT * FROM other.attempts;";
    int code = strata_store_gather(store, err);
    if (code) return code;
    code = strata_store_execute(store, copy, "copy answers", err);
    /* What differs by right between the parts says nothing about the whole. */
    if (!code)
        code = run_with_text(store, "UPDATE main.settings SET value = 'merged' WHERE name = ?", except, "copy settings",
                             err);
    return code ? strata_store_give_up(store, code) : strata_store_commit(store, err);
}

int strata_store_merge(struct strata_store *store, const char *directory, const char *except,
                       struct strata_error *err) {
    struct strata_store *other = NULL;
    char *path = strata_path_join(directory, STRATA_STORE_FILE), *lock = strata_path_join(directory, STRATA_STORE_LOCK);
    int handle = -1;
    int code = path && lock ? strata_store_commit(store, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    /* Checks that it is a store of this version. A lock that cannot be had because the directory is read-only cannot be
     * held by a writer either. */
    if (!code) code = strata_store_read(&other, directory, err);
    if (!code) {
        strata_store_close(other, NULL);
        if (strata_lock_acquire(&handle, lock, err) == STRATA_ERR_STATE) code = STRATA_ERR_STATE;
    }
    if (!code) code = run_with_text(store, "ATTACH ? AS other", path, "open a store to merge", err);
    free(path);
    free(lock);
    if (!code) {
        code = compare(store, directory, except, err);
        if (!code) code = take_over(store, except, err);
        sqlite3_exec(store->database, "DETACH other", NULL, NULL, NULL);
    }
    strata_lock_release(handle);
    return code;
}
