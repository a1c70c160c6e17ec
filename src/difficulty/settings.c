/* What a run directory holds on to: settings that determine draws, the cut, and where the data lie. */
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "data/sample.h"
#include "difficulty/evaluate.h"
#include "difficulty/run.h"

#define MAX_SETTINGS 40

/* Settings under construction; the texts live in `texts`. */
struct list {
    struct strata_setting items[MAX_SETTINGS];
    char texts[MAX_SETTINGS][128];
    size_t count;
};

enum { PISM_SAMPLING = 12, CMAB_SAMPLING = 17 }; /* places of five names */
const char *const strata_run_settings[STRATA_RUN_SETTINGS] = {STRATA_RUN_DATA,
                                                              STRATA_RUN_DATA_HASH,
                                                              "model and engine",
                                                              "seed",
                                                              STRATA_RUN_SYSTEM,
                                                              STRATA_RUN_MISSING_IMAGE,
                                                              "verifier",
                                                              "verify mode",
                                                              "shard",
                                                              "mask",
                                                              "mask fill",
                                                              "mask patch",
                                                              "PISM temperature",
                                                              "PISM top-p",
                                                              "PISM top-k",
                                                              "PISM repetition penalty",
                                                              "PISM max-new-tokens",
                                                              "CMAB temperature",
                                                              "CMAB top-p",
                                                              "CMAB top-k",
                                                              "CMAB repetition penalty",
                                                              "CMAB max-new-tokens",
                                                              "cut"};

static void add(struct list *list, enum strata_setting_kind kind, const char *name, const char *value) {
    list->items[list->count++] = (struct strata_setting){name, value, kind};
}

static void STRATA_PRINTF(3, 4) add_draws(struct list *list, const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(list->texts[list->count], sizeof list->texts[0], format, arguments);
    va_end(arguments);
    add(list, STRATA_SETTING_DRAWS, name, list->texts[list->count]);
}

static void add_sampling(struct list *list, const char *const names[5], const struct strata_sampling *sampling) {
    add_draws(list, names[0], "%.9g", (double)sampling->temperature);
    add_draws(list, names[1], "%.9g", (double)sampling->top_p);
    add_draws(list, names[2], "%u", sampling->top_k);
    add_draws(list, names[3], "%.9g", (double)sampling->repetition_penalty);
    add_draws(list, names[4], "%u", sampling->max_new_tokens);
}

static void add_metrics(struct list *list, const struct strata_score_options *options) {
    static const char *const kinds[] = {"pixel", "rectangle", "patch"};
    const struct strata_mask *mask = &options->mask;
    if (options->metrics & STRATA_METRIC_PISM) {
        add_draws(list, "mask", "%s", kinds[mask->kind]);
        if (mask->fill_mean)
            add_draws(list, "mask fill", "mean");
        else
            add_draws(list, "mask fill", "%u,%u,%u", mask->fill[0], mask->fill[1], mask->fill[2]);
        if (mask->kind == STRATA_MASK_PATCH) add_draws(list, "mask patch", "%u", options->patch_pixels);
        add_sampling(list, strata_run_settings + PISM_SAMPLING, &options->pism_sampling);
    }
    if (options->metrics & STRATA_METRIC_CMAB)
        add_sampling(list, strata_run_settings + CMAB_SAMPLING, &options->cmab_sampling);
}

int strata_run_settle(struct strata_run *run, struct strata_error *err) {
    const struct strata_score_options *options = run->options;
    const struct strata_dataset_options *dataset = &options->dataset;
    struct strata_hash data;
    struct list *list;
    char hash[33], absolute[PATH_MAX], metrics[16];
    int code = strata_dataset_hash(&data, options->data, err);
    if (code) return code;
    strata_hash_text(hash, data);
    char *cut = strata_cut_text(&options->cut);
    list = calloc(1, sizeof *list);
    if (!cut || !list) {
        free(cut);
        free(list);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    add(list, STRATA_SETTING_DRAWS, STRATA_RUN_DATA_HASH, hash);
    add(list, STRATA_SETTING_DRAWS, "model and engine", strata_engine_identity(run->engine));
    add_draws(list, "seed", "%" PRIu64, options->seed);
    add(list, STRATA_SETTING_DRAWS, STRATA_RUN_SYSTEM, dataset->system ? dataset->system : "");
    add(list, STRATA_SETTING_DRAWS, STRATA_RUN_MISSING_IMAGE, dataset->prepend_missing_image ? "prepend" : "error");
    add(list, STRATA_SETTING_DRAWS, "verifier", options->verifier ? options->verifier : "");
    add(list, STRATA_SETTING_DRAWS, "verify mode", options->verify_mode == STRATA_VERIFY_COMPAT ? "compat" : "strict");
    if (dataset->shards)
        add_draws(list, "shard", "%zu/%zu", dataset->shard, dataset->shards);
    else
        add_draws(list, "shard", "whole");
    add_metrics(list, options);
    snprintf(metrics, sizeof metrics, "%u", options->metrics);
    add(list, STRATA_SETTING_CUT, "metrics", metrics);
    add(list, STRATA_SETTING_CUT, "cut", cut);
    add(list, STRATA_SETTING_PLACE, STRATA_RUN_DATA, realpath(options->data, absolute) ? absolute : options->data);
    code = strata_store_settle(run->store, list->items, list->count, err);
    free(cut);
    free(list);
    return code;
}
