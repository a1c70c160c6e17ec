/* Private to the store: the open file, its statements, and SQLite's errors as ours. */
#ifndef STRATA_STORE_SQLITE_H
#define STRATA_STORE_SQLITE_H

#include <sqlite3.h>

#include "store/store.h"

enum strata_statement {
    STATEMENT_PUT_SAMPLE,
    STATEMENT_PUT_DRAW,
    STATEMENT_PUT_ATTEMPT,
    STATEMENT_SAMPLES,
    STATEMENT_SAMPLE,
    STATEMENT_DRAWS,
    STATEMENT_ATTEMPTS,
    STATEMENTS
};

struct strata_store {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS]; /* prepared when first used */
    char *path;
    int lock;
    bool writable, gathering, broken;
    double since; /* of the first write gathered */
};

/* The error of SQLite's last call, as ours; a full disk is named. */
int strata_store_fail(const struct strata_store *store, const char *doing, struct strata_error *err);
int strata_store_execute(struct strata_store *store, const char *sql, const char *doing, struct strata_error *err);
/* Starts gathering if need be; refuses on a read-only or broken store. */
int strata_store_gather(struct strata_store *store, struct strata_error *err);
/* Rolls back and marks the store broken; returns code. */
int strata_store_give_up(struct strata_store *store, int code);

#endif
