/* strata inspect RUN: the settings a run was made with, and how far it has come. */
#include <string.h>

#include "base/json.h"
#include "cli/inspect.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "difficulty/evaluate.h"
#include "difficulty/table.h"
#include "store/store.h"

#define ID(name) STRATA_OPTION_ID_##name

struct counts {
    struct strata_store *store;
    size_t samples, draws, right, truncated, tokens, attempts;
};

static int on_draw(void *context, const struct strata_stored_draw *draw, struct strata_error *err) {
    struct counts *counts = context;
    (void)err;
    counts->draws++;
    counts->right += draw->right;
    counts->truncated += draw->truncated;
    counts->tokens += draw->tokens;
    return 0;
}

static int on_attempt(void *context, const struct strata_stored_attempt *attempt, struct strata_error *err) {
    struct counts *counts = context;
    (void)err;
    counts->attempts++;
    counts->truncated += attempt->truncated;
    counts->tokens += attempt->tokens;
    return 0;
}

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct counts *counts = context;
    counts->samples++;
    int status = strata_store_draws(counts->store, sample->index, on_draw, counts, err);
    return status ? status : strata_store_attempts(counts->store, sample->index, on_attempt, counts, err);
}

static int gather_settings(json_t *object, struct strata_store *store, struct strata_error *err) {
    struct strata_buffer value = {0};
    int status = 0;
    for (size_t i = 0; i < STRATA_RUN_SETTINGS && !status; i++) {
        bool found = false;
        status = strata_store_setting(store, strata_run_settings[i], &value, &found, err);
        if (!status && found)
            json_object_set_new(object, strata_run_settings[i], json_string(strata_buffer_string(&value)));
    }
    strata_buffer_free(&value);
    return status;
}

static void print_run(const json_t *values, const struct counts *counts, size_t bytes) {
    char size[32];
    struct strata_table table = {.columns = 2, .left = 1u << 1};
    strata_table_cell(&table, "setting");
    strata_table_cell(&table, "value");
    for (size_t i = 0; i < STRATA_RUN_SETTINGS; i++) {
        const char *value = json_string_value(json_object_get(values, strata_run_settings[i]));
        if (!value || !*value) continue;
        strata_table_cell(&table, "%s", strata_run_settings[i]);
        strata_table_cell(&table, "%s", value);
    }
    strata_table_print(&table, 0, false);
    strata_table_free(&table);
    printf("\n%zu samples, %zu masked draws (%zu right), %zu balance answers, %zu tokens, %zu truncated; store %s\n",
           counts->samples, counts->draws, counts->right, counts->attempts, counts->tokens, counts->truncated,
           strata_bytes_text(size, (double)bytes));
}

static int write_table(struct strata_store *store, const struct strata_arguments *arguments, const char *run,
                       struct strata_error *err) {
    const char *out = strata_text(arguments, ID(OUT));
    struct strata_cut cut;
    unsigned metrics = 0;
    size_t rows = 0;
    int status = strata_run_cut(&cut, &metrics, store, run, err);
    if (!status)
        status = strata_difficulty_table(&rows, out, strata_setup_format(arguments, out), store, &cut, metrics, err);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(json_pack("{s:I, s:s}", "rows", (json_int_t)rows, "out", out), err);
    printf("%zu samples -> %s\n", rows, out);
    return 0;
}

int strata_inspect_run(const struct strata_arguments *arguments, const char *run, struct strata_error *err) {
    struct counts counts = {0};
    json_t *values = json_object();
    int status = strata_store_read(&counts.store, run, err);
    if (!status && strata_given(arguments, ID(OUT))) {
        status = write_table(counts.store, arguments, run, err);
        strata_store_close(counts.store, NULL);
        json_decref(values);
        return status;
    }
    if (!status) status = gather_settings(values, counts.store, err);
    if (!status) status = strata_store_samples(counts.store, SIZE_MAX, on_sample, &counts, err);
    size_t bytes = status ? 0 : strata_store_bytes(counts.store);
    if (!status && strata_flag(arguments, ID(JSON))) {
        status = strata_print_json(json_pack("{s:O, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "settings", values, "samples",
                                             (json_int_t)counts.samples, "draws", (json_int_t)counts.draws, "right",
                                             (json_int_t)counts.right, "attempts", (json_int_t)counts.attempts,
                                             "tokens", (json_int_t)counts.tokens, "truncated",
                                             (json_int_t)counts.truncated, "store_bytes", (json_int_t)bytes),
                                   err);
    } else if (!status) {
        print_run(values, &counts, bytes);
    }
    strata_store_close(counts.store, NULL);
    json_decref(values);
    return status;
}
