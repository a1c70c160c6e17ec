/* Joining the run directories of shards into one. */
#include <stdlib.h>

#include "base/file.h"
#include "difficulty/evaluate.h"

int strata_run_cut(struct strata_cut *cut, unsigned *metrics, struct strata_store *store, const char *name,
                   struct strata_error *err) {
    struct strata_buffer text = {0};
    bool found;
    int code = strata_store_setting(store, "cut", &text, &found, err);
    if (!code && found) code = strata_cut_parse(cut, strata_buffer_string(&text), name, err);
    if (!code && found) code = strata_store_setting(store, "metrics", &text, &found, err);
    if (!code && found) *metrics = (unsigned)strtoul(strata_buffer_string(&text), NULL, 10);
    if (!code && !found) {
        strata_fail(err, STRATA_ERR_STATE, "nothing was scored in this run directory yet");
        code = strata_fail_at(err, STRATA_ERR_STATE, "%s", name);
    }
    strata_buffer_free(&text);
    return code;
}

int strata_score_merge(struct strata_score_summary *summary, const char *out, const char *const *runs, size_t count,
                       struct strata_error *err) {
    struct strata_store *store = NULL;
    struct strata_cut cut;
    unsigned metrics = 0;
    if (summary) *summary = (struct strata_score_summary){0};
    char *path = strata_path_join(out, STRATA_STORE_FILE), *output = strata_path_join(out, "difficulty.jsonl");
    int code = path && output ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code && strata_file_exists(path)) {
        strata_fail(err, STRATA_ERR_STATE, "a run is there already: merge into a directory of its own");
        code = strata_fail_at(err, STRATA_ERR_STATE, "%s", out);
    }
    if (!code) code = strata_make_directories(out, err);
    if (!code) code = strata_store_open(&store, out, err);
    for (size_t i = 0; !code && i < count; i++) code = strata_store_merge(store, runs[i], "shard", err);
    if (!code) code = strata_run_cut(&cut, &metrics, store, out, err);
    if (!code) code = strata_score_write(summary, output, store, &cut, metrics, SIZE_MAX, err);
    free(output);
    free(path);
    int closed = strata_store_close(store, code ? NULL : err);
    return code ? code : closed;
}
