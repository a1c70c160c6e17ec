#include "study/survey.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "difficulty/agreement.h"
#include "difficulty/evaluate.h"

#define MEASURED STRATA_MEASURED

/* ---- reading ---- */

struct surveying {
    struct strata_survey *out;
    const struct strata_study_run *run;
    struct strata_store *store;
    unsigned metrics;
    struct strata_cut cut;
    struct strata_evaluation evaluation;
};

static int family_of(const struct strata_recipe *recipe, const char *ability) {
    size_t length = strlen(ability);
    for (size_t f = 0; f < recipe->family_count; f++)
        for (const char *at = recipe->families[f].abilities; *at; at += strcspn(at, ","), at += *at == ',')
            if (strcspn(at, ",") == length && memcmp(at, ability, length) == 0) return (int)f;
    return -1;
}

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct surveying *surveying = context;
    struct strata_survey *out = surveying->out;
    struct strata_evaluation *evaluation = &surveying->evaluation;
    int code = strata_evaluate(evaluation, surveying->store, sample, &surveying->cut, surveying->metrics, err);
    if (!code) code = strata_grow(&out->samples, &out->capacity, out->count + 1, sizeof *out->samples, err);
    if (code) return code;
    struct strata_cmab_rho median = evaluation->rho;
    median.rho = median.over[STRATA_CMAB_OVER_MEDIAN];
    struct strata_surveyed *it = &out->samples[out->count];
    *it = (struct strata_surveyed){.id = strata_strdup(sample->id),
                                   .index = sample->index,
                                   .family = family_of(surveying->run->recipe, sample->ability),
                                   .pism = evaluation->pism,
                                   .cmab = evaluation->cmab,
                                   .chance = evaluation->chance,
                                   .cmab_median = evaluation->cmab,
                                   .has_rho = evaluation->rho.defined,
                                   .rho = evaluation->rho.rho,
                                   .rho_median = median.rho};
    if (evaluation->cmab < MEASURED)
        it->cmab_median = strata_cmab_stratum(&surveying->cut.cmab, &median, evaluation->correct);
    if (!it->id || json_object_set_new(out->places, it->id, json_integer((json_int_t)out->count))) {
        free(it->id);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    out->count++;
    return 0;
}

int strata_survey_read(struct strata_survey *out, const struct strata_study_run *run, size_t score,
                       struct strata_error *err) {
    struct surveying surveying = {.out = out, .run = run};
    struct strata_cut scored;
    char *path = strata_stage_path(run, score, "run");
    *out = (struct strata_survey){.places = json_object()};
    int code = path && out->places ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_store_read(&surveying.store, path, err);
    if (!code) code = strata_run_cut(&scored, &surveying.metrics, surveying.store, path, err);
    surveying.cut = run->options->cut;
    if (!code) code = strata_store_samples(surveying.store, SIZE_MAX, on_sample, &surveying, err);
    strata_evaluation_free(&surveying.evaluation);
    strata_store_close(surveying.store, NULL);
    free(path);
    if (code) strata_survey_free(out);
    return code;
}

void strata_survey_free(struct strata_survey *survey) {
    for (size_t i = 0; i < survey->count; i++) free(survey->samples[i].id);
    free(survey->samples);
    json_decref(survey->places);
    *survey = (struct strata_survey){0};
}

const struct strata_surveyed *strata_survey_find(const struct strata_survey *survey, const char *id) {
    const json_t *place = json_object_get(survey->places, id);
    return place ? &survey->samples[json_integer_value(place)] : NULL;
}

/* ---- tables ---- */

struct table {
    size_t counts[MEASURED * MEASURED];
};

static void count(struct table *table, enum strata_stratum row, enum strata_stratum column) {
    if (row < MEASURED && column < MEASURED) table->counts[(size_t)row * MEASURED + (size_t)column]++;
}

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *strata_agreement_json(const size_t counts[MEASURED * MEASURED]) {
    json_t *rows = json_array();
    size_t total = 0, equal = 0;
    for (size_t i = 0; i < MEASURED; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < MEASURED; j++) {
            json_array_append_new(row, json_integer((json_int_t)counts[i * MEASURED + j]));
            total += counts[i * MEASURED + j];
        }
        equal += counts[i * (MEASURED + 1)];
        json_array_append_new(rows, row);
    }
    return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o}", "counts", rows, "samples", (json_int_t)total, "equal",
                     number(total ? (double)equal / (double)total : (double)NAN), "spearman",
                     number(strata_spearman(counts, MEASURED)), "kendall", number(strata_kendall(counts, MEASURED)),
                     "kappa", number(strata_kappa(counts, MEASURED)));
}

static json_t *strata_counts(const struct strata_survey *survey, int family, int metric) {
    size_t counts[STRATA_STRATA] = {0};
    json_t *object = json_object();
    for (size_t i = 0; i < survey->count; i++)
        if (survey->samples[i].family == family)
            counts[metric == 1 ? survey->samples[i].cmab : survey->samples[i].pism]++;
    for (int s = 0; s < STRATA_STRATA; s++)
        if (s < MEASURED || counts[s])
            json_object_set_new(object, strata_stratum_name((enum strata_stratum)s),
                                json_integer((json_int_t)counts[s]));
    return object;
}

/* Of all seeds together; a sample counts once for each seed. */
static json_t *pooled(const struct strata_study_run *run, const struct strata_survey *surveys, int family,
                      enum strata_stratum (*row)(const struct strata_surveyed *),
                      enum strata_stratum (*column)(const struct strata_surveyed *)) {
    struct table table = {0};
    for (size_t s = 0; s < run->recipe->seed_count; s++)
        for (size_t i = 0; i < surveys[s].count; i++)
            if (surveys[s].samples[i].family == family)
                count(&table, row(&surveys[s].samples[i]), column(&surveys[s].samples[i]));
    return strata_agreement_json(table.counts);
}

static enum strata_stratum pism_of(const struct strata_surveyed *sample) {
    return sample->pism;
}
static enum strata_stratum cmab_of(const struct strata_surveyed *sample) {
    return sample->cmab;
}
static enum strata_stratum chance_of(const struct strata_surveyed *sample) {
    return sample->chance;
}
static enum strata_stratum median_of(const struct strata_surveyed *sample) {
    return sample->cmab_median;
}

/* Strata of the same samples under each two seeds. */
static json_t *retest(const struct strata_study_run *run, const struct strata_survey *surveys, int family,
                      enum strata_stratum (*stratum)(const struct strata_surveyed *)) {
    struct table table = {0};
    size_t seeds = run->recipe->seed_count;
    for (size_t a = 0; a < seeds; a++)
        for (size_t b = a + 1; b < seeds; b++)
            for (size_t i = 0; i < surveys[a].count; i++) {
                const struct strata_surveyed *one = &surveys[a].samples[i];
                const struct strata_surveyed *other =
                    one->family == family && surveys[b].count ? strata_survey_find(&surveys[b], one->id) : NULL;
                if (other) count(&table, stratum(one), stratum(other));
            }
    return strata_agreement_json(table.counts);
}

/* How far the mean over tokens stands from their median: a ratio of 1 where no token stands out. */
static json_t *token_ratio(const struct strata_study_run *run, const struct strata_survey *surveys, int family) {
    size_t total = 0, half_off = 0;
    for (size_t s = 0; s < run->recipe->seed_count; s++)
        for (size_t i = 0; i < surveys[s].count; i++) {
            const struct strata_surveyed *sample = &surveys[s].samples[i];
            if (sample->family != family || !sample->has_rho) continue;
            total++;
            half_off += sample->rho > 1.5 * sample->rho_median;
        }
    return number(total ? (double)half_off / (double)total : (double)NAN);
}

json_t *strata_survey_json(const struct strata_study_run *run, const struct strata_survey *surveys) {
    const struct strata_recipe *recipe = run->recipe;
    json_t *families = json_array();
    for (int f = 0; f < (int)recipe->family_count; f++) {
        json_t *seeds = json_array(), *one = json_pack("{s:s}", "family", recipe->families[f].name);
        for (size_t s = 0; s < recipe->seed_count; s++) {
            json_t *entry = json_pack("{s:I}", "seed", (json_int_t)recipe->seeds[s]);
            for (int m = 0; m < STRATA_STUDY_METRICS && surveys[s].count; m++)
                if (recipe->metrics[m])
                    json_object_set_new(entry, strata_metric_names[m], strata_counts(&surveys[s], f, m));
            json_array_append_new(seeds, entry);
        }
        json_object_set_new(one, "seeds", seeds);
        if (recipe->metrics[0] && recipe->metrics[1])
            json_object_set_new(one, "agreement", pooled(run, surveys, f, pism_of, cmab_of));
        if (recipe->metrics[0] && run->options->cut.chance != STRATA_CHANCE_OFF)
            json_object_set_new(one, "guessing", pooled(run, surveys, f, pism_of, chance_of));
        if (recipe->metrics[1]) {
            json_object_set_new(one, "tokens", pooled(run, surveys, f, cmab_of, median_of));
            json_object_set_new(one, "tokens_half_off", token_ratio(run, surveys, f));
        }
        if (recipe->seed_count > 1) {
            json_t *again = json_object();
            if (recipe->metrics[0]) json_object_set_new(again, "pism", retest(run, surveys, f, pism_of));
            if (recipe->metrics[1]) json_object_set_new(again, "cmab", retest(run, surveys, f, cmab_of));
            json_object_set_new(one, "retest", again);
        }
        json_array_append_new(families, one);
    }
    return families;
}

/* ---- curves ---- */

struct curve {
    struct strata_curve_totals *totals;
    const struct strata_survey *survey;
    int metric;
    double steps;
};

static int on_group(void *context, const json_t *line, struct strata_error *err) {
    struct curve *curve = context;
    struct strata_curve_totals *totals = curve->totals;
    const char *id = json_string_value(json_object_get(line, "id"));
    const json_t *rewards = json_object_get(line, "rewards");
    const struct strata_surveyed *sample = id ? strata_survey_find(curve->survey, id) : NULL;
    size_t G = json_array_size(rewards);
    (void)err;
    if (!sample || !G) return 0;
    enum strata_stratum stratum = curve->metric == 1 ? sample->cmab : sample->pism;
    if (stratum >= MEASURED) return 0;
    double first = json_number_value(json_array_get(rewards, 0)), sum = 0;
    bool flat = true;
    for (size_t i = 0; i < G; i++) {
        double reward = json_number_value(json_array_get(rewards, i));
        flat &= reward == first;
        sum += reward;
    }
    double step = json_number_value(json_object_get(line, "step"));
    size_t part = curve->steps > 0 ? (size_t)(step * STRATA_CURVE_PARTS / curve->steps) : 0;
    if (part >= STRATA_CURVE_PARTS) part = STRATA_CURVE_PARTS - 1;
    totals->groups[stratum]++;
    totals->flat[stratum] += flat;
    totals->reward[stratum] += sum / (double)G;
    totals->part_groups[stratum][part]++;
    totals->part_reward[stratum][part] += sum / (double)G;
    return 0;
}

int strata_curve_add(struct strata_curve_totals *totals, const struct strata_study_run *run, size_t stage,
                     const struct strata_survey *survey, int metric, struct strata_error *err) {
    struct curve curve = {.totals = totals, .survey = survey, .metric = metric};
    json_t *result = NULL;
    char *path = strata_stage_path(run, stage, "train/completions.jsonl");
    int code =
        path ? strata_stage_result(&result, run, stage, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    curve.steps = json_number_value(json_object_get(result, "steps"));
    if (!code && survey->count) code = strata_each_line(path, on_group, &curve, err);
    json_decref(result);
    free(path);
    return code;
}

json_t *strata_curve_json(const struct strata_curve_totals *totals) {
    json_t *list = json_array();
    for (int s = 0; s < MEASURED; s++) {
        json_t *parts = json_array();
        double groups = totals->groups[s];
        if (!(groups > 0)) {
            json_decref(parts);
            continue;
        }
        for (size_t p = 0; p < STRATA_CURVE_PARTS; p++)
            json_array_append_new(parts, number(totals->part_reward[s][p] / totals->part_groups[s][p]));
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f, s:o}", "stratum",
                                              strata_stratum_name((enum strata_stratum)s), "groups", groups,
                                              "zero_variance", totals->flat[s] / groups, "reward",
                                              totals->reward[s] / groups, "curve", parts));
    }
    return list;
}
