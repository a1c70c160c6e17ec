/* results.json: everything that the tables and the report say of a study, from the stages that are done. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "eval/benchmark.h"
#include "study/run.h"
#include "study/scores.h"
#include "study/statistics.h"
#include "study/survey.h"

#define SEEDS STRATA_STUDY_SEEDS

/* One row of one table: what is there of it. */
struct row {
    int number;
    size_t cells[SEEDS]; /* in the plan, of the seeds that were evaluated */
    size_t count;
    const char *impossible; /* why a seed has no value, borrowed from `reason` */
    json_t *reason;
    const float *values[SEEDS], *base[SEEDS];
    const float *claimed[SEEDS], *other[SEEDS]; /* of seeds that the claimed row has too */
    size_t pairs;
};
struct table {
    const struct strata_study_run *run;
    const struct strata_scores *scores;
    const struct strata_survey *surveys;
    int metric, family;
    struct row rows[STRATA_PARADIGMS];
    size_t count;
};

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* ---- rows ---- */

static int collect_cell(struct table *table, struct row *row, size_t index, struct strata_error *err) {
    const struct strata_study_cell *cell = &table->run->plan.cells[index];
    json_t *result = NULL;
    int code = strata_stage_result(&result, table->run, cell->eval, err);
    const char *impossible = strata_stage_impossible(result);
    if (impossible && !row->impossible) {
        row->reason = json_incref(result);
        row->impossible = impossible;
    } else if (result && !impossible) {
        row->values[row->count] = table->scores->right[cell->eval];
        row->base[row->count] = table->scores->right[table->run->plan.base];
        row->cells[row->count++] = index;
    }
    json_decref(result);
    return code;
}

static int collect_rows(struct table *table, struct strata_error *err) {
    const struct strata_plan *plan = &table->run->plan;
    int code = 0;
    for (int number = 1; number <= STRATA_PARADIGMS && !code; number++) {
        struct row *row = &table->rows[table->count];
        bool planned = false;
        row->number = number;
        for (size_t i = 0; i < plan->cell_count && !code; i++) {
            const struct strata_study_cell *cell = &plan->cells[i];
            if (cell->row != number || cell->metric != table->metric || cell->family != table->family) continue;
            planned = true;
            code = collect_cell(table, row, i, err);
        }
        table->count += planned;
    }
    return code;
}

/* Pairs each row with the claimed one, seed by seed. */
static void pair_rows(struct table *table) {
    const struct strata_plan *plan = &table->run->plan;
    const struct row *claimed = &table->rows[table->count ? table->count - 1 : 0];
    if (!table->count || claimed->number != STRATA_ROW_CLAIM) return;
    for (size_t r = 0; r + 1 < table->count; r++) {
        struct row *row = &table->rows[r];
        for (size_t a = 0; a < claimed->count; a++)
            for (size_t b = 0; b < row->count; b++) {
                if (plan->cells[claimed->cells[a]].seed != plan->cells[row->cells[b]].seed) continue;
                row->claimed[row->pairs] = claimed->values[a];
                row->other[row->pairs++] = row->values[b];
            }
    }
}

/* ---- intervals ---- */

static json_t *interval_json(const struct strata_interval *interval) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "mean", interval->mean, "low", interval->low, "high",
                     interval->high, "wide_low", interval->wide_low, "wide_high", interval->wide_high, "spread",
                     interval->spread, "p", interval->p);
}

static void set_interval(json_t *row, const char *group, const char *column, const struct strata_interval *interval) {
    json_t *object = json_object_get(row, group);
    if (!object) {
        object = json_object();
        json_object_set_new(row, group, object);
    }
    json_object_set_new(object, column, interval_json(interval));
}

/* The draws of a column are the same in all tables: fields of different tables may be compared. */
static uint64_t draws_of(const char *column) {
    return strata_hash_bytes(column, strlen(column)).low;
}

/* Holm over the rows that the claim is about, 3 to 10. */
static int correct_claims(json_t *rows, const struct table *table, const char *column, struct strata_error *err) {
    double p[STRATA_PARADIGMS], adjusted[STRATA_PARADIGMS];
    json_t *claims[STRATA_PARADIGMS];
    size_t count = 0;
    for (size_t r = 0; r < table->count; r++) {
        json_t *claim = json_object_get(json_object_get(json_array_get(rows, r), "claim"), column);
        if (!claim || table->rows[r].number < 3 || table->rows[r].number > 10) continue;
        claims[count] = claim;
        p[count++] = json_number_value(json_object_get(claim, "p"));
    }
    int code = count ? strata_holm(adjusted, p, count, err) : 0;
    for (size_t i = 0; i < count && !code; i++) json_object_set_new(claims[i], "p_holm", json_real(adjusted[i]));
    return code;
}

static int column_intervals(json_t *rows, const struct table *table, const struct strata_study_column *column,
                            struct strata_error *err) {
    struct strata_series series[3 * STRATA_PARADIGMS];
    struct strata_interval intervals[3 * STRATA_PARADIGMS];
    static const char *const groups[] = {"score", "gain", "claim"};
    size_t row_of[3 * STRATA_PARADIGMS], count = 0;
    int group_of[3 * STRATA_PARADIGMS];
    bool base = table->scores->right[table->run->plan.base] != NULL;
    for (size_t r = 0; r < table->count; r++) {
        const struct row *row = &table->rows[r];
        const struct strata_series all[] = {{row->count, row->values, NULL},
                                            {base ? row->count : 0, row->values, row->base},
                                            {row->pairs, row->claimed, row->other}};
        for (int g = 0; g < 3; g++) {
            if (!all[g].seeds) continue;
            series[count] = all[g];
            row_of[count] = r;
            group_of[count++] = g;
        }
    }
    if (!count) return 0;
    int code = strata_bootstrap(intervals, series, count, column->chosen, column->count, table->run->recipe->resamples,
                                draws_of(column->name), err);
    for (size_t i = 0; i < count && !code; i++)
        set_interval(json_array_get(rows, row_of[i]), groups[group_of[i]], column->name, &intervals[i]);
    return code ? code : correct_claims(rows, table, column->name, err);
}

/* A benchmark's number as the kit computes it. */
static int headline_of(double *out, const struct strata_study_run *run, size_t eval, size_t test,
                       struct strata_error *err) {
    json_t *result = NULL;
    int code = strata_stage_result(&result, run, eval, err);
    const json_t *value = json_object_get(json_array_get(json_object_get(result, "tests"), test - 1), "value");
    *out = json_is_number(value) ? json_number_value(value) : (double)NAN;
    json_decref(result);
    return code;
}

/* Where the rows of a benchmark cannot be compared: means and spread alone. */
static int benchmark_scores(json_t *rows, const struct table *table, const struct strata_study_column *column,
                            struct strata_error *err) {
    double values[SEEDS];
    int code = 0;
    for (size_t r = 0; r < table->count && !code; r++) {
        const struct row *row = &table->rows[r];
        double sum = 0;
        for (size_t s = 0; s < row->count && !code; s++) {
            code =
                headline_of(&values[s], table->run, table->run->plan.cells[row->cells[s]].eval, column->benchmark, err);
            sum += values[s];
        }
        if (code || !row->count || !isfinite(sum)) continue;
        json_t *object = json_object_get(json_array_get(rows, r), "score");
        if (!object) json_object_set_new(json_array_get(rows, r), "score", object = json_object());
        json_object_set_new(
            object, column->name,
            json_pack("{s:f, s:f}", "mean", sum / (double)row->count, "spread", strata_deviation(values, row->count)));
    }
    return code;
}

/* ---- what a row took ---- */

static void add_number(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, json_real(json_number_value(json_object_get(object, key)) + value));
}

static int add_cost(json_t *cost, const struct strata_study_run *run, size_t stage, const char *kind, double seeds,
                    struct strata_error *err) {
    static const char *const keys[] = {"samples", "steps", "trained_tokens", "sampled_tokens"};
    json_t *result = NULL;
    char key[32];
    if (stage == STRATA_NO_STAGE) return 0;
    int code = strata_stage_result(&result, run, stage, err);
    for (size_t k = 0; k < 4 && !code; k++) {
        double value = json_number_value(json_object_get(result, keys[k])) / seeds;
        if (k < 2)
            snprintf(key, sizeof key, "%s_%s", kind, keys[k]);
        else
            snprintf(key, sizeof key, "%s", keys[k]);
        add_number(cost, key, value);
    }
    json_decref(result);
    return code;
}

static int seeds_json(json_t **out, const struct table *table, const struct row *row, struct strata_error *err) {
    const struct strata_study_run *run = table->run;
    json_t *list = json_array();
    int code = 0;
    for (size_t s = 0; s < row->count && !code; s++) {
        const struct strata_study_cell *cell = &run->plan.cells[row->cells[s]];
        json_t *training = NULL, *scores = json_object();
        code = strata_stage_result(&training, run, cell->grpo, err);
        for (size_t c = 0; c < table->scores->column_count && !code; c++) {
            const struct strata_study_column *column = &table->scores->columns[c];
            double sum = 0;
            if (column->benchmark) continue;
            for (size_t i = 0; i < column->count; i++) sum += (double)row->values[s][column->chosen[i]];
            json_object_set_new(scores, column->name, json_real(sum / (double)column->count));
        }
        json_t *entry = json_pack("{s:I, s:o, s:s, s:s?, s:s}", "seed", (json_int_t)run->recipe->seeds[cell->seed],
                                  "score", scores, "grpo", run->plan.stages[cell->grpo].place, "sft",
                                  cell->sft == STRATA_NO_STAGE ? NULL : run->plan.stages[cell->sft].place, "eval",
                                  run->plan.stages[cell->eval].place);
        static const char *const copied[] = {"steps", "zero_variance", "reward_first", "reward_last"};
        for (size_t k = 0; k < 4 && entry; k++) {
            json_t *value = json_object_get(training, copied[k]);
            if (value) json_object_set(entry, copied[k], value);
        }
        json_array_append_new(list, entry);
        json_decref(training);
    }
    *out = list;
    return code;
}

static int row_json(json_t **out, const struct table *table, const struct row *row, struct strata_error *err) {
    const struct strata_study_run *run = table->run;
    const struct strata_paradigm *paradigm = &strata_paradigms[row->number - 1];
    struct strata_curve_totals totals = {0};
    json_t *seeds = NULL, *cost = json_object();
    int code = 0;
    for (size_t s = 0; s < row->count && !code; s++) {
        const struct strata_study_cell *cell = &run->plan.cells[row->cells[s]];
        code = add_cost(cost, run, cell->sft, "sft", (double)row->count, err);
        if (!code) code = add_cost(cost, run, cell->grpo, "grpo", (double)row->count, err);
        if (!code) code = strata_curve_add(&totals, run, cell->grpo, &table->surveys[cell->seed], table->metric, err);
    }
    if (!code) code = seeds_json(&seeds, table, row, err);
    *out = code ? NULL
                : json_pack("{s:i, s:s, s:o, s:o, s:o}", "row", row->number, "paradigm", paradigm->name, "cost", cost,
                            "seeds", seeds, "strata", strata_curve_json(&totals));
    if (*out && row->impossible) json_object_set_new(*out, "impossible", json_string(row->impossible));
    if (code) json_decref(cost);
    return code || *out ? code : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* ---- a table ---- */

/* The paper's row 12 of the same table, where the families are the paper's. */
static json_t *paper_json(const struct table *table) {
    const char *family = table->run->recipe->families[table->family].name;
    int place = 2 * table->metric + (strcmp(family, "VPT") == 0);
    json_t *paper = json_object();
    if (strcmp(family, "VRT") != 0 && strcmp(family, "VPT") != 0) return paper;
    for (size_t b = 0; b < STRATA_BENCHMARKS; b++)
        json_object_set_new(paper, strata_benchmarks[b].name, json_real(strata_benchmarks[b].paper[place]));
    return paper;
}

static int table_json(json_t **out, struct table *table, struct strata_error *err) {
    json_t *rows = json_array();
    int code = collect_rows(table, err);
    pair_rows(table);
    for (size_t r = 0; r < table->count && !code; r++) {
        json_t *row = NULL;
        code = row_json(&row, table, &table->rows[r], err);
        if (!code) json_array_append_new(rows, row);
    }
    for (size_t c = 0; c < table->scores->column_count && !code; c++) {
        const struct strata_study_column *column = &table->scores->columns[c];
        code = column->count ? column_intervals(rows, table, column, err) : benchmark_scores(rows, table, column, err);
    }
    for (size_t r = 0; r < table->count; r++) json_decref(table->rows[r].reason);
    *out = json_pack("{s:s, s:s, s:o, s:o}", "metric", strata_metric_names[table->metric], "family",
                     table->run->recipe->families[table->family].name, "rows", rows, "paper", paper_json(table));
    return code || *out ? code : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int tables_json(json_t *list, const struct strata_study_run *run, const struct strata_scores *scores,
                       const struct strata_survey *surveys, struct strata_error *err) {
    struct table *table;
    int code = strata_alloc(&table, 1, sizeof *table, err);
    if (code) return code;
    for (int m = 0; m < STRATA_STUDY_METRICS && !code; m++)
        for (int f = 0; f < (int)run->recipe->family_count && !code; f++) {
            json_t *entry = NULL;
            if (!run->recipe->metrics[m]) continue;
            *table = (struct table){.run = run, .scores = scores, .surveys = surveys, .metric = m, .family = f};
            code = table_json(&entry, table, err);
            json_array_append_new(list, entry);
        }
    free(table);
    return code;
}

/* ---- the whole ---- */

static json_t *columns_json(const struct strata_study_run *run, const struct strata_scores *scores) {
    json_t *list = json_array();
    for (size_t c = 0; c < scores->column_count; c++) {
        const struct strata_study_column *column = &scores->columns[c];
        json_array_append_new(list, json_pack("{s:s, s:I, s:i, s:i, s:s, s:s?}", "name", column->name, "samples",
                                              (json_int_t)column->count, "scale", column->benchmark ? 1 : 100, "digits",
                                              (int)column->digits, "kind",
                                              column->benchmark     ? "benchmark"
                                              : column->ability     ? "ability"
                                              : column->family >= 0 ? "family"
                                                                    : "all",
                                              "family",
                                              column->family >= 0 ? run->recipe->families[column->family].name : NULL));
    }
    return list;
}

static int base_json(json_t **out, const struct strata_study_run *run, const struct strata_scores *scores,
                     struct strata_error *err) {
    const float *values = scores->right[run->plan.base];
    int code = 0;
    *out = json_object();
    for (size_t c = 0; c < scores->column_count && values && !code; c++) {
        const struct strata_study_column *column = &scores->columns[c];
        struct strata_series series = {1, &values, NULL};
        struct strata_interval interval;
        if (!column->count) {
            double value;
            code = headline_of(&value, run, run->plan.base, column->benchmark, err);
            json_object_set_new(*out, column->name, json_pack("{s:o}", "mean", number(value)));
            continue;
        }
        code = strata_bootstrap(&interval, &series, 1, column->chosen, column->count, run->recipe->resamples,
                                draws_of(column->name), err);
        if (!code) json_object_set_new(*out, column->name, interval_json(&interval));
    }
    return code;
}

static json_t *settings_json(const struct strata_study_run *run) {
    static const char *const matches[] = {"epochs", "steps", "tokens"};
    const struct strata_recipe *recipe = run->recipe;
    const struct strata_study_options *options = run->options;
    json_t *seeds = json_array(), *tests = json_array(), *scores = json_array();
    for (size_t s = 0; s < recipe->seed_count; s++)
        json_array_append_new(scores, json_string(run->plan.stages[run->plan.scores[s]].place));
    for (size_t s = 0; s < recipe->seed_count; s++)
        json_array_append_new(seeds, json_integer((json_int_t)recipe->seeds[s]));
    for (size_t t = 0; t < recipe->test_count; t++) json_array_append_new(tests, json_string(recipe->tests[t]));
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:I, s:I, s:I, s:o}", "recipe", recipe->path, "model",
                     recipe->model, "data", recipe->data, "tests", tests, "match", matches[recipe->match], "seeds",
                     seeds, "prompts", (json_int_t)options->grpo.prompts, "completions",
                     (json_int_t)options->grpo.completions, "resamples", (json_int_t)recipe->resamples, "scores",
                     scores);
}

int strata_study_results(json_t **out, const struct strata_study_run *run, struct strata_error *err) {
    struct strata_survey surveys[SEEDS] = {{0}};
    struct strata_scores scores = {0};
    json_t *tables = json_array(), *base = NULL;
    int code = strata_scores_read(&scores, run, err);
    for (size_t s = 0; s < run->recipe->seed_count && !code; s++)
        if (strata_stage_done(run, run->plan.scores[s]))
            code = strata_survey_read(&surveys[s], run, run->plan.scores[s], err);
    if (!code) code = base_json(&base, run, &scores, err);
    if (!code) code = tables_json(tables, run, &scores, surveys, err);
    if (!code) {
        *out = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "strata", "study", "version", 1, "settings",
                         settings_json(run), "columns", columns_json(run, &scores), "base", base, "tables",
                         json_incref(tables), "difficulty", strata_survey_json(run, surveys));
        base = NULL;
        if (!*out) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    json_decref(base);
    json_decref(tables);
    for (size_t s = 0; s < run->recipe->seed_count; s++) strata_survey_free(&surveys[s]);
    strata_scores_free(&scores);
    return code;
}
