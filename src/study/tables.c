#include "study/tables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "report/study_results.h"

static bool is_kind(const json_t *column, const char *kind) {
    return strcmp(strata_json_text(column, "kind"), kind) == 0;
}

/* A number in thousands or millions. */
static void put_count(struct strata_buffer *out, double value) {
    if (!isfinite(value))
        strata_buffer_text(out, "–");
    else if (value >= 1e6)
        strata_buffer_printf(out, "%.2f M", value / 1e6);
    else if (value >= 1e4)
        strata_buffer_printf(out, "%.0f k", value / 1e3);
    else
        strata_buffer_printf(out, "%.0f", value);
}

static void put_rule(struct strata_buffer *out, size_t columns) {
    strata_buffer_text(out, "|---|");
    for (size_t c = 1; c < columns; c++) strata_buffer_text(out, "---:|");
    strata_buffer_text(out, "\n");
}

/* ---- scores ---- */

/* "58.3 [55.1, 61.4] ± 0.8": percent, or the benchmark's unit; interval over test samples, spread over seeds. */
static void put_score(struct strata_buffer *out, const json_t *field, const struct strata_results_column *column,
                      bool seeds) {
    int digits = column->digits;
    double scale = column->scale, mean = strata_json_number_or_nan(field, "mean");
    if (!isfinite(mean)) {
        strata_buffer_text(out, " – |");
        return;
    }
    strata_buffer_printf(out, " %.*f", digits, scale * mean);
    if (json_object_get(field, "low"))
        strata_buffer_printf(out, " [%.*f, %.*f]", digits, scale * strata_json_number_or_nan(field, "low"), digits,
                             scale * strata_json_number_or_nan(field, "high"));
    if (seeds) strata_buffer_printf(out, " ± %.*f", digits, scale * strata_json_number_or_nan(field, "spread"));
    strata_buffer_text(out, " |");
}

static size_t seed_count(const json_t *results) {
    return json_array_size(json_object_get(json_object_get(results, "settings"), "seeds"));
}

static void put_head(struct strata_buffer *out, const json_t *results, bool abilities, size_t *columns) {
    size_t index;
    json_t *column;
    strata_buffer_text(out, "| # | paradigm |");
    *columns = 2;
    json_array_foreach(json_object_get(results, "columns"), index, column) {
        if (is_kind(column, "ability") != abilities) continue;
        strata_buffer_printf(out, " %s |", strata_json_text(column, "name"));
        ++*columns;
    }
}

/* Means of one table's rows: all and families (with intervals and costs), or abilities. */
static void put_scores(struct strata_buffer *out, const json_t *results, const json_t *table, bool abilities) {
    size_t index, c, columns;
    json_t *row, *column;
    bool seeds = seed_count(results) > 1;
    put_head(out, results, abilities, &columns);
    if (!abilities)
        strata_buffer_text(out, " SFT: samples, updates | GRPO: samples, updates | tokens trained | sampled |");
    strata_buffer_text(out, "\n");
    put_rule(out, columns + (abilities ? 0 : 4));
    strata_buffer_text(out, "| | before training |");
    json_array_foreach(json_object_get(results, "columns"), c, column) {
        if (is_kind(column, "ability") != abilities) continue;
        const struct strata_results_column unit = strata_results_column(column);
        put_score(out, json_object_get(json_object_get(results, "base"), unit.name), &unit, false);
    }
    strata_buffer_text(out, abilities ? "\n" : " | | | |\n");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        const json_t *cost = json_object_get(row, "cost");
        strata_buffer_printf(out, "| %.0f | %s |", strata_json_number_or_nan(row, "row"),
                             strata_json_text(row, "paradigm"));
        json_array_foreach(json_object_get(results, "columns"), c, column) {
            if (is_kind(column, "ability") != abilities) continue;
            const struct strata_results_column unit = strata_results_column(column);
            put_score(out, json_object_get(json_object_get(row, "score"), unit.name), &unit, seeds);
        }
        if (!abilities) {
            static const char *const keys[] = {"sft", "grpo"};
            for (size_t k = 0; k < 2; k++) {
                char samples[32], steps[32];
                snprintf(samples, sizeof samples, "%s_samples", keys[k]);
                snprintf(steps, sizeof steps, "%s_steps", keys[k]);
                if (json_object_get(cost, steps))
                    strata_buffer_printf(out, " %.0f, %.0f |", strata_json_number_or_nan(cost, samples),
                                         strata_json_number_or_nan(cost, steps));
                else
                    strata_buffer_text(out, " – |");
            }
            strata_buffer_text(out, " ");
            put_count(out, strata_json_number_or_nan(cost, "trained_tokens"));
            strata_buffer_text(out, " | ");
            put_count(out, strata_json_number_or_nan(cost, "sampled_tokens"));
            strata_buffer_text(out, " |");
        }
        strata_buffer_text(out, "\n");
    }
    strata_buffer_text(out, "\n");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        if (json_object_get(row, "impossible"))
            strata_buffer_printf(out, "Row %.0f: not for every seed (%s).\n\n", strata_json_number_or_nan(row, "row"),
                                 strata_json_text(row, "impossible"));
    }
}

/* The paper's own row 12, on its own benchmarks. */
static void put_paper(struct strata_buffer *out, const json_t *table) {
    json_t *value;
    const char *name;
    json_t *paper = json_object_get(table, "paper");
    if (!json_object_size(paper)) return;
    strata_buffer_text(out, "The paper's GRPO-only(mid+hard), Qwen2.5-VL-7B:");
    json_object_foreach(paper, name, value) {
        double number = json_number_value(value);
        strata_buffer_printf(out, " %s %.*f", name, number < 1 ? 3 : 1, number);
    }
    strata_buffer_text(out, ".\n\n");
}

/* ---- the claim ---- */

static void put_difference(struct strata_buffer *out, const json_t *row, const struct strata_results_column *column) {
    const json_t *claim = json_object_get(json_object_get(row, "claim"), column->name);
    int digits = column->digits;
    if (!claim) {
        strata_buffer_text(out, " – |");
        return;
    }
    strata_buffer_printf(out, " %+.*f [%+.*f, %+.*f] ± %.*f |", digits,
                         strata_results_number(row, "claim", column, "mean"), digits,
                         strata_results_number(row, "claim", column, "wide_low"), digits,
                         strata_results_number(row, "claim", column, "wide_high"), digits,
                         strata_results_number(row, "claim", column, "spread"));
}

static void put_p(struct strata_buffer *out, const json_t *row, const char *column) {
    double p = strata_results_p(row, column);
    if (isfinite(p))
        strata_buffer_printf(out, " %.3f |", p);
    else
        strata_buffer_text(out, " |");
}

/* All test samples, the family's with p, each benchmark with p. */
static void put_claims(struct strata_buffer *out, const json_t *results, const json_t *table) {
    const json_t *columns = json_object_get(results, "columns");
    size_t index, c;
    json_t *row, *column;
    strata_buffer_text(out, "**Row 12 minus row k, points** (mean over seeds; 95 % interval over test samples and "
                            "seeds; ± over seeds; p of the difference to its left, Holm-corrected over rows 3 to "
                            "10):\n\n| k | paradigm |");
    json_array_foreach(columns, c, column) {
        if (!strata_results_compared(column, table)) continue;
        strata_buffer_printf(out, is_kind(column, "all") ? " %s |" : " %s | p |", strata_json_text(column, "name"));
    }
    strata_buffer_text(out, "\n|---|---|");
    json_array_foreach(columns, c, column) {
        if (strata_results_compared(column, table))
            strata_buffer_text(out, is_kind(column, "all") ? "---:|" : "---:|---:|");
    }
    strata_buffer_text(out, "\n");
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        if (!json_object_get(row, "claim")) continue;
        strata_buffer_printf(out, "| %.0f | %s |", strata_json_number_or_nan(row, "row"),
                             strata_json_text(row, "paradigm"));
        json_array_foreach(columns, c, column) {
            const struct strata_results_column unit = strata_results_column(column);
            if (!strata_results_compared(column, table)) continue;
            put_difference(out, row, &unit);
            if (!is_kind(column, "all")) put_p(out, row, unit.name);
        }
        strata_buffer_text(out, "\n");
    }
    json_array_foreach(columns, c, column) {
        const char *name = strata_json_text(column, "name");
        const struct strata_results_claim claim = strata_results_claim(table, name);
        if (!strata_results_compared(column, table) || is_kind(column, "all") || !claim.compared) continue;
        strata_buffer_printf(out,
                             "\nOf rows 3 to 10, row 12 is ahead of %zu of %zu on %s; with certainty (p < 0.05) of "
                             "%zu, and behind with certainty %zu.\n",
                             claim.ahead, claim.compared, name, claim.ahead_certain, claim.behind_certain);
    }
    strata_buffer_text(out, "\n");
}

/* ---- training ---- */

static void put_strata_rewards(struct strata_buffer *out, const json_t *table) {
    static const char *const strata[] = {"unsolved", "hard", "medium", "easy"};
    size_t index, s;
    json_t *row, *entry;
    strata_buffer_text(out, "**GRPO groups by stratum of their sample**: share of groups with equal rewards (no "
                            "gradient), and mean reward.\n\n| # | paradigm | unsolved | hard | medium | easy |\n");
    put_rule(out, 6);
    json_array_foreach(json_object_get(table, "rows"), index, row) {
        strata_buffer_printf(out, "| %.0f | %s |", strata_json_number_or_nan(row, "row"),
                             strata_json_text(row, "paradigm"));
        for (size_t i = 0; i < 4; i++) {
            const json_t *found = NULL;
            json_array_foreach(json_object_get(row, "strata"), s, entry) {
                if (strcmp(strata_json_text(entry, "stratum"), strata[i]) == 0) found = entry;
            }
            if (found)
                strata_buffer_printf(out, " %.0f %%, %.2f |", 100 * strata_json_number_or_nan(found, "zero_variance"),
                                     strata_json_number_or_nan(found, "reward"));
            else
                strata_buffer_text(out, " – |");
        }
        strata_buffer_text(out, "\n");
    }
    strata_buffer_text(out, "\n");
}

/* ---- difficulty ---- */

static void put_measure(struct strata_buffer *out, const char *label, const json_t *agreement) {
    if (!(strata_json_number_or_nan(agreement, "samples") > 0)) return;
    strata_buffer_printf(out, "| %s | %.0f |", label, strata_json_number_or_nan(agreement, "samples"));
    static const char *const keys[] = {"equal", "kappa", "spearman", "kendall"};
    for (size_t k = 0; k < 4; k++) {
        double value = strata_json_number_or_nan(agreement, keys[k]);
        if (!isfinite(value))
            strata_buffer_text(out, " – |");
        else if (k == 0)
            strata_buffer_printf(out, " %.1f %% |", 100 * value);
        else
            strata_buffer_printf(out, " %+.2f |", value);
    }
    strata_buffer_text(out, "\n");
}

static void put_confusion(struct strata_buffer *out, const char *rows, const char *columns, const json_t *agreement) {
    static const char *const strata[] = {"unsolved", "hard", "medium", "easy"};
    if (!(strata_json_number_or_nan(agreement, "samples") > 0)) return;
    strata_buffer_printf(out, "| %s \\ %s | unsolved | hard | medium | easy |\n", rows, columns);
    put_rule(out, 5);
    for (size_t i = 0; i < 4; i++) {
        const json_t *row = json_array_get(json_object_get(agreement, "counts"), i);
        strata_buffer_printf(out, "| %s |", strata[i]);
        for (size_t j = 0; j < 4; j++)
            strata_buffer_printf(out, " %lld |", (long long)json_integer_value(json_array_get(row, j)));
        strata_buffer_text(out, "\n");
    }
    strata_buffer_text(out, "\n");
}

static void put_difficulty(struct strata_buffer *out, const json_t *family) {
    const json_t *retest = json_object_get(family, "retest");
    size_t index;
    json_t *seed;
    static const char *const metrics[] = {"pism", "cmab"};
    strata_buffer_printf(out, "### %s\n\n| seed | measure | unsolved | hard | medium | easy |\n",
                         strata_json_text(family, "family"));
    put_rule(out, 6);
    json_array_foreach(json_object_get(family, "seeds"), index, seed) {
        for (size_t m = 0; m < 2; m++) {
            const json_t *counts = json_object_get(seed, metrics[m]);
            if (!counts) continue;
            strata_buffer_printf(out, "| %.0f | %s | %.0f | %.0f | %.0f | %.0f |\n",
                                 strata_json_number_or_nan(seed, "seed"), m ? "CMAB" : "PISM",
                                 strata_json_number_or_nan(counts, "unsolved"),
                                 strata_json_number_or_nan(counts, "hard"), strata_json_number_or_nan(counts, "medium"),
                                 strata_json_number_or_nan(counts, "easy"));
        }
    }
    strata_buffer_text(out, "\n| agreement of | pairs | same stratum | kappa | Spearman | Kendall |\n");
    put_rule(out, 6);
    put_measure(out, "PISM with CMAB", json_object_get(family, "agreement"));
    put_measure(out, "PISM with itself, two seeds", json_object_get(retest, "pism"));
    put_measure(out, "CMAB with itself, two seeds", json_object_get(retest, "cmab"));
    put_measure(out, "PISM with PISM less guessing", json_object_get(family, "guessing"));
    put_measure(out, "CMAB with the median over tokens", json_object_get(family, "tokens"));
    strata_buffer_text(out, "\n");
    put_confusion(out, "PISM", "CMAB", json_object_get(family, "agreement"));
    put_confusion(out, "PISM", "less guessing", json_object_get(family, "guessing"));
    double half_off = strata_json_number_or_nan(family, "tokens_half_off");
    if (isfinite(half_off))
        strata_buffer_printf(out,
                             "For %.1f %% of the answers the mean of ρ over tokens is more than half above its "
                             "median.\n\n",
                             100 * half_off);
}

/* ---- the whole ---- */

void strata_study_tables(struct strata_buffer *out, const json_t *results) {
    const json_t *settings = json_object_get(results, "settings");
    size_t index, seeds = seed_count(results), number = 0;
    json_t *table, *column, *family;
    strata_buffer_printf(out, "Model `%s`, data `%s`, budgets matched by %s, %zu seed%s. Share of right answers on ",
                         strata_json_text(settings, "model"), strata_json_text(settings, "data"),
                         strata_json_text(settings, "match"), seeds, seeds == 1 ? "" : "s");
    json_array_foreach(json_object_get(results, "columns"), index, column) {
        if (is_kind(column, "ability")) continue;
        strata_buffer_printf(out, "%s%.0f (%s)", index ? ", " : "", strata_json_number_or_nan(column, "samples"),
                             strata_json_text(column, "name"));
    }
    strata_buffer_printf(out,
                         " test samples, percent (benchmarks as the kit prints them); in brackets the 95 %% interval "
                         "over test samples (bootstrap, %.0f "
                         "draws)%s.\n\n",
                         strata_json_number_or_nan(settings, "resamples"),
                         seeds > 1 ? "; ± the standard deviation over seeds" : "");
    json_array_foreach(json_object_get(results, "tables"), index, table) {
        strata_buffer_printf(out, "## Table %zu: %s, trained on %s\n\n", ++number, strata_results_measure(table),
                             strata_json_text(table, "family"));
        put_scores(out, results, table, false);
        put_paper(out, table);
        put_claims(out, results, table);
        put_scores(out, results, table, true);
        put_strata_rewards(out, table);
    }
    strata_buffer_text(out, "## Difficulty\n\n");
    json_array_foreach(json_object_get(results, "difficulty"), index, family) {
        put_difficulty(out, family);
    }
}
