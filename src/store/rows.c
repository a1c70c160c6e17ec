/* The store's rows: putting and reading samples, draws and attempts. */
#include <string.h>

#include "store/sqlite.h"

static int prepare(sqlite3_stmt **out, struct strata_store *store, enum strata_statement which,
                   struct strata_error *err) {
    static const char *const texts[STATEMENTS] = {
        [STATEMENT_PUT_SAMPLE] = "INSERT OR IGNORE INTO samples VALUES(?, ?, ?, ?, ?)",
        [STATEMENT_PUT_DRAW] = "INSERT OR IGNORE INTO draws VALUES(?, ?, ?, ?, ?, ?, ?)",
        [STATEMENT_PUT_ATTEMPT] = "INSERT OR IGNORE INTO attempts VALUES(?, ?, ?, ?, ?, ?, ?)",
        [STATEMENT_SAMPLES] = "SELECT place, id, ability, images, chance FROM samples WHERE place < ? ORDER BY place",
        [STATEMENT_SAMPLE] = "SELECT place, id, ability, images, chance FROM samples WHERE place = ?",
        [STATEMENT_DRAWS] = "SELECT ratio, draw, correct, truncated, tokens, response FROM draws WHERE place = ?"
                            " ORDER BY ratio, draw",
        [STATEMENT_ATTEMPTS] = "SELECT attempt, correct, truncated, tokens, response, masses FROM attempts"
                               " WHERE place = ? ORDER BY attempt",
    };
    sqlite3_stmt **statement = &store->statements[which];
    if (!*statement && sqlite3_prepare_v2(store->database, texts[which], -1, statement, NULL) != SQLITE_OK)
        return strata_store_fail(store, "use the store", err);
    *out = *statement;
    return 0;
}

/* A statement ready for binding a row that is to be gathered. */
static int prepare_write(sqlite3_stmt **out, struct strata_store *store, enum strata_statement which,
                         struct strata_error *err) {
    int code = strata_store_gather(store, err);
    return code ? code : prepare(out, store, which, err);
}

static int finish_write(struct strata_store *store, sqlite3_stmt *statement, bool bound, struct strata_error *err) {
    bool good = bound && sqlite3_step(statement) == SQLITE_DONE;
    int code = good ? 0 : strata_store_fail(store, "save an answer", err);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code ? strata_store_give_up(store, code) : 0;
}

static bool bind_integer(sqlite3_stmt *statement, int column, size_t value) {
    return sqlite3_bind_int64(statement, column, (sqlite3_int64)value) == SQLITE_OK;
}

static bool bind_text(sqlite3_stmt *statement, int column, const char *text, size_t length) {
    return text == NULL ||
           sqlite3_bind_text64(statement, column, text, length, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

int strata_store_put_sample(struct strata_store *store, const struct strata_stored_sample *sample,
                            struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = prepare_write(&statement, store, STATEMENT_PUT_SAMPLE, err);
    if (code) return code;
    bool bound = bind_integer(statement, 1, sample->index) && bind_text(statement, 2, sample->id, strlen(sample->id)) &&
                 bind_text(statement, 3, sample->ability, strlen(sample->ability)) &&
                 bind_integer(statement, 4, sample->images) &&
                 sqlite3_bind_double(statement, 5, sample->chance) == SQLITE_OK;
    return finish_write(store, statement, bound, err);
}

int strata_store_put_draw(struct strata_store *store, size_t index, const struct strata_stored_draw *draw,
                          struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = prepare_write(&statement, store, STATEMENT_PUT_DRAW, err);
    if (code) return code;
    bool bound = bind_integer(statement, 1, index) && bind_integer(statement, 2, draw->ratio) &&
                 bind_integer(statement, 3, draw->draw) && bind_integer(statement, 4, draw->right) &&
                 bind_integer(statement, 5, draw->truncated) && bind_integer(statement, 6, draw->tokens) &&
                 bind_text(statement, 7, draw->response, draw->response_length);
    return finish_write(store, statement, bound, err);
}

int strata_store_put_attempt(struct strata_store *store, size_t index, const struct strata_stored_attempt *attempt,
                             struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = prepare_write(&statement, store, STATEMENT_PUT_ATTEMPT, err);
    if (code) return code;
    bool bound = bind_integer(statement, 1, index) && bind_integer(statement, 2, attempt->attempt) &&
                 bind_integer(statement, 3, attempt->right) && bind_integer(statement, 4, attempt->truncated) &&
                 bind_integer(statement, 5, attempt->tokens) &&
                 bind_text(statement, 6, attempt->response, attempt->response_length) &&
                 (!attempt->masses || sqlite3_bind_blob64(statement, 7, attempt->masses, attempt->masses_length,
                                                          SQLITE_STATIC) == SQLITE_OK);
    return finish_write(store, statement, bound, err);
}

int strata_store_forget(struct strata_store *store, size_t index, struct strata_error *err) {
    static const char *const texts[] = {"DELETE FROM attempts WHERE place = ?", "DELETE FROM draws WHERE place = ?",
                                        "DELETE FROM samples WHERE place = ?"};
    int code = strata_store_gather(store, err);
    for (size_t i = 0; !code && i < 3; i++) {
        sqlite3_stmt *statement = NULL;
        bool good = sqlite3_prepare_v2(store->database, texts[i], -1, &statement, NULL) == SQLITE_OK &&
                    bind_integer(statement, 1, index) && sqlite3_step(statement) == SQLITE_DONE;
        if (!good) code = strata_store_give_up(store, strata_store_fail(store, "remove a sample", err));
        sqlite3_finalize(statement);
    }
    return code;
}

static const char *column_text(sqlite3_stmt *statement, int column, size_t *length) {
    const unsigned char *text = sqlite3_column_text(statement, column);
    *length = (size_t)sqlite3_column_bytes(statement, column);
    return (const char *)text;
}

static int read_samples(struct strata_store *store, enum strata_statement which, size_t bound, bool *found,
                        strata_on_sample *on_sample, void *context, struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = prepare(&statement, store, which, err), step = SQLITE_DONE;
    if (code) return code;
    bind_integer(statement, 1, bound > INT64_MAX ? INT64_MAX : bound);
    while (!code && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        size_t ignored;
        struct strata_stored_sample sample = {.index = (size_t)sqlite3_column_int64(statement, 0),
                                              .id = column_text(statement, 1, &ignored),
                                              .ability = column_text(statement, 2, &ignored),
                                              .images = (unsigned)sqlite3_column_int64(statement, 3),
                                              .chance = sqlite3_column_double(statement, 4)};
        *found = true;
        code = sample.id && sample.ability ? on_sample(context, &sample, err)
                                           : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (!code && step != SQLITE_DONE) code = strata_store_fail(store, "read samples", err);
    sqlite3_reset(statement);
    return code;
}

int strata_store_samples(struct strata_store *store, size_t end, strata_on_sample *on_sample, void *context,
                         struct strata_error *err) {
    bool found;
    return read_samples(store, STATEMENT_SAMPLES, end, &found, on_sample, context, err);
}

int strata_store_sample(struct strata_store *store, size_t index, bool *found, strata_on_sample *on_sample,
                        void *context, struct strata_error *err) {
    *found = false;
    return read_samples(store, STATEMENT_SAMPLE, index, found, on_sample, context, err);
}

int strata_store_draws(struct strata_store *store, size_t index, strata_on_draw *on_draw, void *context,
                       struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = prepare(&statement, store, STATEMENT_DRAWS, err), step = SQLITE_DONE;
    if (code) return code;
    bind_integer(statement, 1, index);
    while (!code && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        struct strata_stored_draw draw = {.ratio = (unsigned)sqlite3_column_int64(statement, 0),
                                          .draw = (unsigned)sqlite3_column_int64(statement, 1),
                                          .right = sqlite3_column_int(statement, 2) != 0,
                                          .truncated = sqlite3_column_int(statement, 3) != 0,
                                          .tokens = (size_t)sqlite3_column_int64(statement, 4)};
        draw.response = column_text(statement, 5, &draw.response_length);
        code = on_draw(context, &draw, err);
    }
    if (!code && step != SQLITE_DONE) code = strata_store_fail(store, "read draws", err);
    sqlite3_reset(statement);
    return code;
}

int strata_store_attempts(struct strata_store *store, size_t index, strata_on_attempt *on_attempt, void *context,
                          struct strata_error *err) {
    sqlite3_stmt *statement = NULL;
    int code = prepare(&statement, store, STATEMENT_ATTEMPTS, err), step = SQLITE_DONE;
    if (code) return code;
    bind_integer(statement, 1, index);
    while (!code && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        struct strata_stored_attempt attempt = {.attempt = (unsigned)sqlite3_column_int64(statement, 0),
                                                .right = sqlite3_column_int(statement, 1) != 0,
                                                .truncated = sqlite3_column_int(statement, 2) != 0,
                                                .tokens = (size_t)sqlite3_column_int64(statement, 3)};
        attempt.response = column_text(statement, 4, &attempt.response_length);
        attempt.masses = sqlite3_column_blob(statement, 5);
        attempt.masses_length = (size_t)sqlite3_column_bytes(statement, 5);
        code = on_attempt(context, &attempt, err);
    }
    if (!code && step != SQLITE_DONE) code = strata_store_fail(store, "read attempts", err);
    sqlite3_reset(statement);
    return code;
}
