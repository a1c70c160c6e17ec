/* The store's file: opening, locking, settings, transactions. */
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/sqlite.h"

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x53545254 /* "STRT" */

static const char schema[] =
    "CREATE TABLE settings(name TEXT PRIMARY KEY, kind INTEGER NOT NULL, value TEXT NOT NULL);"
    "CREATE TABLE samples(place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ability TEXT NOT NULL,"
    " images INTEGER NOT NULL, chance REAL NOT NULL);"
    "CREATE TABLE draws(place INTEGER, ratio INTEGER, draw INTEGER, correct INTEGER NOT NULL,"
    " truncated INTEGER NOT NULL, tokens INTEGER NOT NULL, response TEXT,"
    " PRIMARY KEY(place, ratio, draw)) WITHOUT ROWID;"
    "CREATE TABLE attempts(place INTEGER, attempt INTEGER, correct INTEGER NOT NULL, truncated INTEGER NOT NULL,"
    " tokens INTEGER NOT NULL, response TEXT NOT NULL, masses BLOB, PRIMARY KEY(place, attempt));"
    "PRAGMA application_id = 0x53545254; PRAGMA user_version = 1;";

int strata_store_fail(const struct strata_store *store, const char *doing, struct strata_error *err) {
    int extended = sqlite3_extended_errcode(store->database), result = extended & 0xff;
    /* SQLite says FULL for ENOSPC only; a quota or a file size limit shows as a failed write. */
    bool full = result == SQLITE_FULL || extended == SQLITE_IOERR_WRITE || extended == SQLITE_IOERR_SHMSIZE ||
                extended == SQLITE_IOERR_FSYNC;
    int code = result == SQLITE_NOMEM                                ? STRATA_ERR_MEMORY
               : result == SQLITE_CORRUPT || result == SQLITE_NOTADB ? STRATA_ERR_STATE
                                                                     : STRATA_ERR_IO;
    strata_fail(err, code, "cannot %s: %s", doing,
                full ? "the disk is full or refuses writes" : sqlite3_errmsg(store->database));
    strata_fail_at(err, code, "%s", store->path);
    if (full)
        strata_fail_hint(err, code, "what was saved before is intact: free some space and run the same command again");
    return code;
}

int strata_store_execute(struct strata_store *store, const char *sql, const char *doing, struct strata_error *err) {
    return sqlite3_exec(store->database, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : strata_store_fail(store, doing, err);
}

int strata_store_give_up(struct strata_store *store, int code) {
    if (store->gathering) sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    store->gathering = false;
    store->broken = true;
    return code;
}

int strata_store_gather(struct strata_store *store, struct strata_error *err) {
    if (!store->writable || store->broken) {
        strata_fail(err, STRATA_ERR_STATE, store->broken ? "an earlier write failed" : "the store is open for reading");
        return strata_fail_at(err, STRATA_ERR_STATE, "%s", store->path);
    }
    if (store->gathering) return 0;
    int code = strata_store_execute(store, "BEGIN IMMEDIATE", "begin writing", err);
    if (code) return strata_store_give_up(store, code);
    store->gathering = true;
    store->since = strata_seconds();
    return 0;
}

int strata_store_commit(struct strata_store *store, struct strata_error *err) {
    if (!store->gathering) return 0;
    int code = strata_store_execute(store, "COMMIT", "save answers", err);
    if (code) return strata_store_give_up(store, code);
    store->gathering = false;
    return 0;
}

int strata_store_tick(struct strata_store *store, double ahead, struct strata_error *err) {
    if (!store->gathering || strata_seconds() + ahead - store->since < STRATA_STORE_SECONDS) return 0;
    return strata_store_commit(store, err);
}

static int read_number(struct strata_store *store, const char *sql, int64_t *out, struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW;
    if (good) *out = sqlite3_column_int64(statement, 0);
    int code = good ? 0 : strata_store_fail(store, "read the store", err);
    sqlite3_finalize(statement);
    return code;
}

/* Makes the tables of a new file, or checks that an existing one is ours and of a version we know. */
static int check_schema(struct strata_store *store, struct strata_error *err) {
    int64_t version = 0, application = 0, tables = 0;
    int code = read_number(store, "PRAGMA user_version", &version, err);
    if (!code) code = read_number(store, "PRAGMA application_id", &application, err);
    if (!code) code = read_number(store, "SELECT count(*) FROM sqlite_master", &tables, err);
    if (code) return code;
    if (tables == 0 && version == 0 && store->writable) {
        code = strata_store_gather(store, err);
        if (!code) code = strata_store_execute(store, schema, "make the store", err);
        return code ? strata_store_give_up(store, code) : strata_store_commit(store, err);
    }
    if (application == APPLICATION_ID && version == SCHEMA_VERSION) return 0;
    strata_fail(err, STRATA_ERR_STATE,
                application == APPLICATION_ID ? "the store has schema version %" PRId64 ", this build reads %d"
                                              : "not a run store of Strata (version %" PRId64 ", expected %d)",
                version, SCHEMA_VERSION);
    return strata_fail_at(err, STRATA_ERR_STATE, "%s", store->path);
}

/* A store in a directory that cannot be written to has no shared-memory file, which WAL readers need: such a store
 * does not change either, so it is opened as immutable. */
static int open_reader(struct strata_store *store) {
    int64_t ignored;
    int result = sqlite3_open_v2(store->path, &store->database, SQLITE_OPEN_READONLY, NULL);
    if (!store->database || (result == SQLITE_OK && read_number(store, "PRAGMA user_version", &ignored, NULL) == 0))
        return result;
    int reason = sqlite3_errcode(store->database) & 0xff;
    if (reason != SQLITE_CANTOPEN && reason != SQLITE_READONLY) return result;
    struct strata_buffer uri = {0};
    strata_buffer_text(&uri, "file:");
    for (const char *at = store->path; *at; at++) {
        if (strchr("%?#", *at))
            strata_buffer_printf(&uri, "%%%02x", (unsigned)(unsigned char)*at);
        else
            strata_buffer_byte(&uri, (unsigned char)*at);
    }
    strata_buffer_text(&uri, "?immutable=1");
    sqlite3_close(store->database);
    store->database = NULL;
    result = uri.failed ? SQLITE_NOMEM
                        : sqlite3_open_v2(uri.data, &store->database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    strata_buffer_free(&uri);
    return result;
}

static int open_file(struct strata_store *store, struct strata_error *err) {
    int result = store->writable
                     ? sqlite3_open_v2(store->path, &store->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL)
                     : open_reader(store);
    if (!store->database) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (result != SQLITE_OK) return strata_store_fail(store, "open the store", err);
    sqlite3_extended_result_codes(store->database, 1);
    sqlite3_busy_timeout(store->database, 10000);
    if (store->writable) {
        int code =
            strata_store_execute(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", "open the store", err);
        if (code) return code;
    }
    return check_schema(store, err);
}

static int no_run(const char *directory, struct strata_error *err) {
    strata_fail(err, STRATA_ERR_IO, "there is no run here");
    strata_fail_at(err, STRATA_ERR_IO, "%s", directory);
    return strata_fail_hint(err, STRATA_ERR_IO, "a run directory made by `strata score` holds " STRATA_STORE_FILE);
}

static int open_store(struct strata_store **out, const char *directory, bool writable, struct strata_error *err) {
    struct strata_store *store;
    *out = NULL;
    int code = strata_alloc(&store, 1, sizeof *store, err);
    if (code) return code;
    store->lock = -1;
    store->writable = writable;
    store->path = strata_path_join(directory, STRATA_STORE_FILE);
    char *lock = strata_path_join(directory, STRATA_STORE_LOCK);
    if (!store->path || !lock)
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    else if (writable)
        code = strata_lock_acquire(&store->lock, lock, err);
    else if (!strata_file_exists(store->path))
        code = no_run(directory, err);
    free(lock);
    if (!code) code = open_file(store, err);
    if (code) {
        strata_store_close(store, NULL);
        return code;
    }
    *out = store;
    return 0;
}

int strata_store_open(struct strata_store **out, const char *directory, struct strata_error *err) {
    return open_store(out, directory, true, err);
}

int strata_store_read(struct strata_store **out, const char *directory, struct strata_error *err) {
    return open_store(out, directory, false, err);
}

int strata_store_close(struct strata_store *store, struct strata_error *err) {
    if (!store) return 0;
    int code = store->database ? strata_store_commit(store, err) : 0;
    for (size_t i = 0; i < STATEMENTS; i++) sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->database);
    strata_lock_release(store->lock);
    free(store->path);
    free(store);
    return code;
}

size_t strata_store_bytes(struct strata_store *store) {
    int64_t pages = 0, size = 0;
    if (read_number(store, "PRAGMA page_count", &pages, NULL) || read_number(store, "PRAGMA page_size", &size, NULL))
        return 0;
    return (size_t)(pages * size);
}

int strata_store_setting(const struct strata_store *store, const char *name, struct strata_buffer *out, bool *found,
                         struct strata_error *err) {
    static const char sql[] = "SELECT value FROM settings WHERE name = ?";
    sqlite3_stmt *statement = NULL;
    strata_buffer_clear(out);
    *found = false;
    int code = 0, step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC) == SQLITE_OK)
        step = sqlite3_step(statement);
    if (step == SQLITE_ROW) {
        *found = true;
        strata_buffer_append(out, sqlite3_column_text(statement, 0), (size_t)sqlite3_column_bytes(statement, 0));
        code = strata_buffer_check(out, err);
    } else if (step != SQLITE_DONE) {
        code = strata_store_fail(store, "read settings", err);
    }
    sqlite3_finalize(statement);
    return code;
}

static int put_setting(struct strata_store *store, const struct strata_setting *setting, struct strata_error *err) {
    static const char sql[] =
        "INSERT INTO settings VALUES(?, ?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value";
    sqlite3_stmt *statement = NULL;
    bool good = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_bind_text(statement, 1, setting->name, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_int(statement, 2, (int)setting->kind) == SQLITE_OK &&
                sqlite3_bind_text(statement, 3, setting->value, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_DONE;
    int code = good ? 0 : strata_store_fail(store, "save settings", err);
    sqlite3_finalize(statement);
    return code;
}

static int refuse(const struct strata_store *store, const char *name, const char *old, const char *new,
                  struct strata_error *err) {
    strata_fail(err, STRATA_ERR_STATE, "this run was made with another %s: it has %.160s, now %.160s is asked for",
                name, old, new);
    strata_fail_at(err, STRATA_ERR_STATE, "%s", store->path);
    return strata_fail_hint(err, STRATA_ERR_STATE,
                            "it determines the draws: give the old value, or another --out for a run of its own");
}

int strata_store_settle(struct strata_store *store, const struct strata_setting *settings, size_t count,
                        struct strata_error *err) {
    struct strata_buffer value = {0};
    int64_t existing = 0;
    int code = read_number(store, "SELECT count(*) FROM settings", &existing, err);
    for (size_t i = 0; !code && i < count && existing; i++) {
        bool found;
        if (settings[i].kind != STRATA_SETTING_DRAWS) continue;
        code = strata_store_setting(store, settings[i].name, &value, &found, err);
        if (!code && found && strcmp(strata_buffer_string(&value), settings[i].value) != 0)
            code = refuse(store, settings[i].name, strata_buffer_string(&value), settings[i].value, err);
    }
    strata_buffer_free(&value);
    if (!code) code = strata_store_gather(store, err);
    if (code) return code;
    for (size_t i = 0; !code && i < count; i++) code = put_setting(store, &settings[i], err);
    return code ? strata_store_give_up(store, code) : strata_store_commit(store, err);
}
