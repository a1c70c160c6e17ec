/* strata score, strata merge: run, watch, and print the summary table. */
#include "difficulty/score.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/setup.h"
#include "cli/setup_http.h"
#include "cli/setup_parts.h"
#include "cli/terminal.h"
#include "engine/recorded.h"

#define ID(name) STRATA_OPTION_ID_##name

/* ---- options ---- */

static int setup_mask(struct strata_score_options *options, const struct strata_arguments *arguments,
                      struct strata_error *err) {
    static const enum strata_mask_kind kinds[] = {STRATA_MASK_PIXEL, STRATA_MASK_RECTANGLE, STRATA_MASK_PATCH};
    if (strata_given(arguments, ID(MASK))) {
        options->mask.kind = kinds[strata_choice(arguments, ID(MASK))];
    } else if (strata_choice(arguments, ID(PRESET)) == 1) {
        options->mask.kind = STRATA_MASK_RECTANGLE; /* the authors' code */
    }
    const char *fill = strata_text(arguments, ID(MASK_FILL));
    options->mask.fill_mean = strcmp(fill, "mean") == 0;
    if (options->mask.fill_mean) return 0;
    double colour[3];
    int status = strata_setup_numbers(colour, 3, fill, "mask-fill", err);
    if (status) return strata_fail_hint(err, status, "R,G,B from 0 to 255, or mean");
    for (int c = 0; c < 3; c++) {
        options->mask.fill[c] = (uint8_t)(colour[c] >= 0 && colour[c] <= 255 ? colour[c] : 0);
        if (options->mask.fill[c] != colour[c])
            return strata_fail(err, STRATA_ERR_USAGE, "--mask-fill is %s: three whole numbers from 0 to 255", fill);
    }
    return 0;
}

static void setup_sampling(struct strata_score_options *options, const struct strata_arguments *arguments) {
    struct strata_sampling *both[] = {&options->pism_sampling, &options->cmab_sampling};
    for (int i = 0; i < 2; i++) {
        both[i]->top_p = (float)strata_real(arguments, ID(TOP_P));
        both[i]->top_k = (uint32_t)strata_integer(arguments, ID(TOP_K));
        both[i]->repetition_penalty = (float)strata_real(arguments, ID(REPETITION_PENALTY));
        both[i]->max_new_tokens = (uint32_t)strata_integer(arguments, ID(MAX_NEW_TOKENS));
    }
    if (strata_given(arguments, ID(TEMPERATURE)))
        options->pism_sampling.temperature = (float)strata_real(arguments, ID(TEMPERATURE));
    options->cmab_sampling.temperature = (float)strata_real(arguments, ID(CMAB_TEMPERATURE));
}

int strata_setup_score(struct strata_score_options *options, const struct strata_arguments *arguments,
                       struct strata_error *err) {
    strata_score_options_default(options);
    options->data = arguments->operands[0];
    options->out = strata_text(arguments, ID(OUT));
    options->metrics = (strata_listed(arguments, ID(METRIC), "pism") ? STRATA_METRIC_PISM : 0u) |
                       (strata_listed(arguments, ID(METRIC), "cmab") ? STRATA_METRIC_CMAB : 0u);
    options->seed = (uint64_t)strata_integer(arguments, ID(SEED));
    options->verifier = strata_text(arguments, ID(VERIFIER));
    options->verify_mode = (enum strata_verify_mode)strata_choice(arguments, ID(VERIFY_MODE));
    options->dataset.skip_bad = strata_flag(arguments, ID(SKIP_BAD));
    options->dataset.prepend_missing_image = strata_choice(arguments, ID(MISSING_IMAGE)) == 1;
    options->dataset.limit = strata_size(arguments, ID(LIMIT));
    options->speculation = strata_real(arguments, ID(SPECULATION));
    options->keep_responses = strata_flag(arguments, ID(KEEP_RESPONSES));
    options->dry_run = strata_flag(arguments, ID(DRY_RUN));
    options->pilot_samples = strata_size(arguments, ID(PILOT));
    setup_sampling(options, arguments);
    int status = strata_setup_shard(&options->dataset, strata_text(arguments, ID(SHARD)), err);
    if (!status) status = setup_mask(options, arguments, err);
    if (!status) status = strata_setup_cut(&options->cut, arguments, err);
    if (!status && options->cut.attempts > 1 && !(options->cmab_sampling.temperature > 0)) {
        strata_fail(err, STRATA_ERR_USAGE, "--attempts %u at temperature 0 would give %u equal answers",
                    options->cut.attempts, options->cut.attempts);
        status = strata_fail_hint(err, STRATA_ERR_USAGE, "--cmab-temperature 0.5, for example");
    }
    if (!status) {
        char *system = NULL;
        status = strata_setup_text(&system, arguments, ID(SYSTEM), err);
        options->dataset.system = system;
    }
    return status;
}

/* --cmab-from: who answers, and how the answers were drawn. */
static int setup_recorded(struct strata_engine **out, struct strata_score_options *options,
                          const struct strata_arguments *arguments, struct strata_error *err) {
    const struct strata_value *files = &arguments->values[ID(CMAB_FROM)];
    if (strata_given(arguments, ID(METRIC)) && options->metrics != STRATA_METRIC_CMAB)
        return strata_fail(err, STRATA_ERR_USAGE, "--cmab-from brings the attention balance only: --metric cmab");
    if (options->cut.attempts > 1)
        return strata_fail(err, STRATA_ERR_USAGE, "--cmab-from has one answer for each record: no --attempts");
    options->metrics = STRATA_METRIC_CMAB;
    int status = strata_engine_recorded(out, files->items, files->count, err);
    if (!status) strata_recorded_sampling(&options->cmab_sampling, *out);
    return status ? status : strata_recorded_check(*out, options->data, &options->dataset, err);
}

/* ---- progress ---- */

struct watch {
    struct strata_progress *progress;
    size_t total;   /* records, or 0 */
    size_t resumed; /* what the bar took as done before the start */
};

static void on_progress(void *context, const struct strata_score_progress *now) {
    struct watch *watch = context;
    struct strata_buffer note = {0};
    char rate[32];
    double all = (double)now->draws + (double)now->draws_saved;
    /* Samples of an earlier run become known as the data are read; they must not count for the rate. */
    if (now->samples_resumed > watch->resumed) {
        watch->resumed = now->samples_resumed;
        strata_progress_start(watch->progress, "score", watch->total, watch->resumed);
    }
    if (now->seconds > 0) {
        strata_count_text(rate, (double)now->generated_tokens / now->seconds);
        strata_buffer_printf(&note, "%s tok/s", rate);
    }
    if (now->draws_saved) strata_buffer_printf(&note, ", %.0f %% of draws saved", 100 * (double)now->draws_saved / all);
    if (now->bad) strata_buffer_printf(&note, ", %zu bad records", now->bad);
    if (now->failed) strata_buffer_printf(&note, ", %zu failed requests", now->failed);
    strata_progress_update(watch->progress, now->samples_done, strata_buffer_string(&note));
    strata_buffer_free(&note);
}

static void on_bad(void *context, const struct strata_error *error) {
    struct watch *watch = context;
    char line[1400];
    strata_progress_message(watch->progress, "skipped: %s", strata_error_line(error, line, sizeof line));
}

/* How many records the run will see; 0 when the file cannot be counted (strata_score then says why). */
static size_t count_records(const struct strata_score_options *options) {
    const struct strata_dataset_options *dataset = &options->dataset;
    size_t total = 0;
    if (strata_dataset_count(&total, options->data, NULL)) return 0;
    if (dataset->limit && total > dataset->limit) total = dataset->limit;
    if (dataset->shards) total = (total + dataset->shards - dataset->shard) / dataset->shards;
    return options->dry_run && options->pilot_samples < total ? options->pilot_samples : total;
}

/* ---- the summary ---- */

static double percent(double part, double whole) {
    return whole > 0 ? 100 * part / whole : 0;
}

/* One table: strata by ability. Columns for what cannot be told appear only where there is something. */
static void print_strata(const struct strata_score_summary *summary, const char *title, size_t offset,
                         bool accuracy_of_cmab) {
    static const enum strata_stratum order[] = {STRATA_STRATUM_EASY,           STRATA_STRATUM_MEDIUM,
                                                STRATA_STRATUM_HARD,           STRATA_STRATUM_UNSOLVED,
                                                STRATA_STRATUM_NOT_APPLICABLE, STRATA_STRATUM_PENDING};
    const struct strata_score_row *all = &summary->rows[summary->row_count - 1];
    const size_t *totals = (const size_t *)((const char *)all + offset);
    struct strata_table table = {.columns = 3};
    bool shown[6];
    strata_table_cell(&table, "%s", title);
    strata_table_cell(&table, "samples");
    strata_table_cell(&table, "accuracy");
    for (size_t i = 0; i < 6; i++) {
        shown[i] = i < 4 || totals[order[i]] > 0;
        if (!shown[i]) continue;
        table.columns++;
        strata_table_cell(&table, "%s", strata_stratum_name(order[i]));
    }
    for (size_t r = 0; r < summary->row_count; r++) {
        const struct strata_score_row *row = &summary->rows[r];
        const size_t *counts = (const size_t *)((const char *)row + offset);
        double right = (double)(accuracy_of_cmab ? row->cmab_right : row->plain_right);
        double asked = (double)(accuracy_of_cmab ? row->cmab_answered : row->plain_drawn);
        strata_table_cell(&table, "%s", *row->ability ? row->ability : "(none)");
        strata_table_cell(&table, "%zu", row->samples);
        if (asked > 0) {
            strata_table_cell(&table, "%.1f %%", percent(right, asked));
        } else {
            strata_table_cell(&table, "-");
        }
        for (size_t i = 0; i < 6; i++)
            if (shown[i]) strata_table_cell(&table, "%zu", counts[order[i]]);
    }
    putchar('\n');
    strata_table_print(&table, 0, true);
    strata_table_free(&table);
}

static void print_work(const struct strata_score_summary *summary) {
    char text[32], rate[32];
    const struct strata_engine_stats *engine = &summary->engine;
    double grid = (double)summary->draws + (double)summary->draws_saved;
    if (summary->metrics & STRATA_METRIC_PISM && grid > 0)
        printf("\nPISM draws  %llu of %.0f: early stopping saved %.1f %%\n", (unsigned long long)summary->draws, grid,
               percent((double)summary->draws_saved, grid));
    if (summary->speculative)
        printf("speculative %llu answers that the rule did not read\n", (unsigned long long)summary->speculative);
    if (summary->truncated)
        printf("truncated   %llu answers reached --max-new-tokens\n", (unsigned long long)summary->truncated);
    if (summary->bad) printf("left out    %zu bad records\n", summary->bad);
    if (summary->failed_requests) printf("failed      %zu requests; run again to finish\n", summary->failed_requests);
    if (!(summary->seconds > 0)) return;
    printf("%stime        %s, %llu answers, %s tokens/s generated\n", grid > 0 ? "" : "\n",
           strata_duration_text(text, summary->seconds), (unsigned long long)summary->draws_now,
           strata_count_text(rate, (double)summary->tokens_now / summary->seconds));
    const struct {
        const char *name;
        double seconds;
    } parts[] = {{"vision", engine->vision_seconds},   {"prefill", engine->prefill_seconds},
                 {"decode", engine->decode_seconds},   {"images", summary->image_seconds},
                 {"grading", summary->verify_seconds}, {"store", summary->store_seconds}};
    printf("  of it    ");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        printf("%s %s %.0f %%", i ? "," : "", parts[i].name, percent(parts[i].seconds, summary->seconds));
    putchar('\n');
}

static void print_summary(const struct strata_score_summary *summary, bool by_chance) {
    if (!summary->row_count) return;
    if (summary->metrics & STRATA_METRIC_PISM) {
        print_strata(summary, "PISM", offsetof(struct strata_score_row, pism), false);
        if (by_chance) print_strata(summary, "PISM, chance out", offsetof(struct strata_score_row, chance), false);
    }
    if (summary->metrics & STRATA_METRIC_CMAB)
        print_strata(summary, "CMAB", offsetof(struct strata_score_row, cmab), true);
    print_work(summary);
}

static void print_estimate(const struct strata_score_estimate *estimate) {
    char text[32];
    printf("measured on %zu samples; for the rest of all %zu:\n", estimate->pilot, estimate->samples);
    printf("  answers  %s\n", strata_count_text(text, estimate->draws));
    printf("  tokens   %s\n", strata_count_text(text, estimate->tokens));
    printf("  time     %s\n", strata_duration_text(text, estimate->seconds));
    printf("  store    %s\n", strata_bytes_text(text, estimate->store_bytes));
}

/* engine: who was asked, or NULL. */
static int print_outcome(const struct strata_score_summary *summary, const struct strata_engine *engine,
                         const struct strata_arguments *arguments, bool by_chance, struct strata_error *err) {
    if (strata_flag(arguments, ID(JSON))) {
        json_t *object = strata_score_summary_json(summary), *account = strata_account_json(engine);
        if (account) json_object_set_new(object, "servers", account);
        return strata_print_json(object, err);
    }
    if (strata_flag(arguments, ID(DRY_RUN))) {
        print_estimate(&summary->estimate);
        return 0;
    }
    print_summary(summary, by_chance);
    return 0;
}

static int run_score(struct strata_score_summary *summary, struct strata_engine *engine,
                     const struct strata_score_options *asked, const struct strata_arguments *arguments,
                     struct strata_error *err) {
    struct strata_score_options options = *asked;
    struct watch watch = {.progress = strata_progress_create(stderr, strata_flag(arguments, ID(QUIET))),
                          .total = count_records(asked)};
    strata_progress_start(watch.progress, "score", watch.total, 0);
    options.interrupt = strata_interruptible();
    options.on_progress = on_progress;
    options.progress_context = &watch;
    options.dataset.on_bad = on_bad;
    options.dataset.context = &watch;
    int status = strata_score(summary, engine, &options, err);
    strata_progress_destroy(watch.progress);
    return status;
}

int strata_cli_score(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_score_options options;
    struct strata_score_summary summary = {0};
    struct strata_engine *engine = NULL;
    struct strata_cache *cache = NULL;
    int status = strata_setup_score(&options, arguments, err);
    if (!status) status = strata_setup_cache(&cache, arguments, err);
    bool recorded = strata_given(arguments, ID(CMAB_FROM));
    if (!status && recorded)
        status = setup_recorded(&engine, &options, arguments, err);
    else if (!status)
        status = strcmp(strata_text(arguments, ID(ENGINE)), "http") == 0
                     ? strata_setup_http(&engine, cache, arguments, err)
                     : strata_setup_engine(&engine, arguments, err);
    if (!status && !strata_flag(arguments, ID(QUIET))) {
        if (!recorded) strata_print_plan(engine, arguments);
        strata_print_data(options.data);
    }
    if (!status) status = run_score(&summary, engine, &options, arguments, err);
    if (!status || status == STRATA_ERR_ENGINE) {
        int printed =
            print_outcome(&summary, engine, arguments, options.cut.chance != STRATA_CHANCE_OFF, status ? NULL : err);
        if (!status) status = printed;
    }
    if (!status && !strata_flag(arguments, ID(JSON)) && !options.dry_run)
        printf("results     %s/difficulty.jsonl\n", options.out);
    strata_score_summary_free(&summary);
    if (!strata_flag(arguments, ID(QUIET))) strata_print_account("model", engine);
    strata_engine_destroy(engine);
    int closed = strata_cache_close(cache, status ? NULL : err);
    if (!status) status = closed;
    free((char *)options.dataset.system);
    return status;
}

int strata_cli_merge(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_score_summary summary = {0};
    const char *out = strata_text(arguments, ID(OUT));
    int status = strata_score_merge(&summary, out, arguments->operands, arguments->operand_count, err);
    if (!status) status = print_outcome(&summary, NULL, arguments, false, err);
    if (!status && !strata_flag(arguments, ID(JSON))) printf("results     %s/difficulty.jsonl\n", out);
    strata_score_summary_free(&summary);
    return status;
}
