/* strata study: the plan, progress, and the tables. */
#include "study/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/study_setup.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name

struct watch {
    const struct strata_arguments *arguments;
    struct strata_progress *progress;
    const char *stage; /* that the bar shows; NULL: none yet */
    char label[160];
};

/* ---- the plan ---- */

static const char *seconds_text(char out[32], double seconds) {
    if (seconds < 0) return "-";
    return strata_duration_text(out, seconds);
}

static void put_kinds(struct strata_table *table, const struct strata_plan *plan,
                      const struct strata_estimate *estimates) {
    static const char *const heads[] = {"stages", "number", "done", "updates", "tokens", "time"};
    double all_seconds = 0;
    char text[32];
    bool known = true;
    for (size_t i = 0; i < 6; i++) strata_table_cell(table, "%s", heads[i]);
    for (int k = 0; k < STRATA_STAGE_KINDS; k++) {
        double steps = 0, tokens = 0, seconds = 0;
        size_t count = 0, done = 0;
        for (size_t i = 0; i < plan->count; i++) {
            if ((int)plan->stages[i].kind != k) continue;
            count++;
            done += estimates[i].done;
            steps += estimates[i].steps > 0 ? estimates[i].steps : 0;
            tokens = tokens < 0 || estimates[i].tokens < 0 ? -1 : tokens + estimates[i].tokens;
            if (!estimates[i].done)
                seconds = seconds < 0 || estimates[i].seconds < 0 ? -1 : seconds + estimates[i].seconds;
        }
        known &= seconds >= 0;
        all_seconds += seconds;
        strata_table_cell(table, "%s", strata_stage_names[k]);
        strata_table_cell(table, "%zu", count);
        strata_table_cell(table, "%zu", done);
        strata_table_cell(table, steps > 0 ? "%.0f" : "-", steps);
        strata_table_cell(table, "%s", tokens > 0 ? strata_count_text(text, tokens) : "-");
        strata_table_cell(table, "%s", k == STRATA_STAGE_SELECT ? "-" : seconds_text(text, seconds));
    }
    strata_table_cell(table, "all");
    strata_table_cell(table, "%zu", plan->count);
    size_t done = 0;
    for (size_t i = 0; i < plan->count; i++) done += estimates[i].done;
    strata_table_cell(table, "%zu", done);
    strata_table_cell(table, "-");
    strata_table_cell(table, "-");
    strata_table_cell(table, "%s", seconds_text(text, known ? all_seconds : -1));
}

static void put_cell(struct strata_table *table, const struct strata_plan *plan, const struct strata_study_cell *cell,
                     const struct strata_estimate *estimates) {
    const size_t stages[] = {cell->sft, cell->grpo};
    strata_table_cell(table, "%s %s", strata_metric_titles[cell->metric], plan->recipe->families[cell->family].name);
    strata_table_cell(table, "%d", cell->row);
    strata_table_cell(table, "%s", strata_paradigms[cell->row - 1].name);
    for (size_t k = 0; k < 2; k++) {
        const struct strata_estimate *estimate = stages[k] == STRATA_NO_STAGE ? NULL : &estimates[stages[k]];
        strata_table_cell(table, estimate && estimate->samples >= 0 ? "%.0f" : "-", estimate ? estimate->samples : 0);
        strata_table_cell(table, estimate && estimate->steps >= 0 ? "%.0f" : "-", estimate ? estimate->steps : 0);
    }
}

/* One line a row of the tables, of the first seed: how many samples, how many updates. */
static void put_rows(struct strata_table *table, const struct strata_plan *plan,
                     const struct strata_estimate *estimates) {
    static const char *const heads[] = {"table",   "row",          "paradigm", "SFT samples",
                                        "updates", "GRPO samples", "updates"};
    table->left = 1 << 2;
    for (size_t i = 0; i < 7; i++) strata_table_cell(table, "%s", heads[i]);
    for (int m = 0; m < STRATA_STUDY_METRICS; m++)
        for (int f = 0; f < (int)plan->recipe->family_count; f++)
            for (size_t i = plan->cell_count; i-- > 0;) {
                const struct strata_study_cell *cell = &plan->cells[i];
                if (!cell->seed && cell->metric == m && cell->family == f) put_cell(table, plan, cell, estimates);
            }
}

static void on_plan(void *context, const struct strata_plan *plan, const struct strata_estimate *estimates) {
    struct watch *watch = context;
    bool dry = strata_flag(watch->arguments, ID(DRY_RUN));
    FILE *stream = dry ? stdout : stderr;
    struct strata_table kinds = {.columns = 6}, rows = {.columns = 7};
    static const char *const matches[] = {"the recipe's epochs", "the updates of row 12", "the tokens of row 12"};
    if (!dry && strata_flag(watch->arguments, ID(QUIET))) return;
    put_kinds(&kinds, plan, estimates);
    if (dry) {
        put_rows(&rows, plan, estimates);
        strata_table_print_to(stream, &rows, 0, false);
        putchar('\n');
    }
    fprintf(stream, "%zu seed%s, %zu fields in the tables, every row trained for %s\n", plan->recipe->seed_count,
            plan->recipe->seed_count == 1 ? "" : "s", plan->cell_count, matches[plan->recipe->match]);
    strata_table_print_to(stream, &kinds, 0, true);
    strata_table_free(&kinds);
    strata_table_free(&rows);
}

/* ---- while it runs ---- */

static void on_stage(void *context, const struct strata_plan *plan, size_t stage, enum strata_stage_event event,
                     size_t finished, const struct strata_error *error) {
    struct watch *watch = context;
    const char *name = plan->stages[stage].name;
    char line[1400];
    if (event == STRATA_STAGE_STARTS) {
        snprintf(watch->label, sizeof watch->label, "%zu/%zu %.120s", finished + 1, plan->count, name);
        watch->stage = NULL;
    } else if (event == STRATA_STAGE_DONE) {
        if (watch->stage) strata_progress_finish(watch->progress);
    } else {
        strata_progress_message(watch->progress, "%s %s: %s", name,
                                event == STRATA_STAGE_IMPOSSIBLE ? "is left out" : "failed",
                                strata_error_line(error, line, sizeof line));
    }
}

static void on_progress(void *context, size_t done, size_t total, const char *note) {
    struct watch *watch = context;
    if (!watch->stage) strata_progress_start(watch->progress, watch->label, total, done ? done - 1 : 0);
    watch->stage = watch->label;
    strata_progress_update(watch->progress, done, note);
}

static void on_waiting(void *context, const char *stage) {
    struct watch *watch = context;
    strata_progress_message(watch->progress, "waiting for another process, which works on %s", stage);
}

static void on_message(void *context, const char *text) {
    struct watch *watch = context;
    strata_progress_message(watch->progress, "%s", text);
}

int strata_cli_study(const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_cli_study study;
    struct watch watch = {.arguments = arguments,
                          .progress = strata_progress_create(stderr, strata_flag(arguments, ID(QUIET)))};
    json_t *results = NULL, *times = NULL;
    int code = strata_cli_study_setup(&study, arguments, err);
    if (!code) {
        study.options.interrupt = strata_interruptible();
        study.options.observer = (struct strata_study_observer){.context = &watch,
                                                                .on_plan = on_plan,
                                                                .on_stage = on_stage,
                                                                .on_progress = on_progress,
                                                                .on_waiting = on_waiting,
                                                                .on_message = on_message};
        code = strata_study(&results, &times, &study.options, err);
    }
    strata_progress_destroy(watch.progress);
    if (results) {
        int printed = strata_cli_study_print(results, times, arguments, code ? NULL : err);
        if (!code) code = printed;
    }
    json_decref(results);
    json_decref(times);
    strata_cli_study_free(&study);
    return code;
}
