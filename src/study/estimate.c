/* What the stages are likely to take: sizes of sets from scoring where it is done, else from the recipe's `assume`,
 * else a quarter of the data for each stratum; time from what stages of the kind took here, else from a pilot. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "data/sample.h"
#include "study/run.h"

/* Training passes go forward once and backward twice as long. */
#define PASSES 3.0

struct rates {                              /* 0: not known */
    double draws, response, prompt;         /* a sample's draws; tokens of an answer and of a prompt */
    double decode, prefill;                 /* tokens a second */
    size_t samples, tests;                  /* records of the data and of the own tests */
    double seconds_per[STRATA_STAGE_KINDS]; /* of a sample (score, eval) or an update, measured in this study */
};

static int count_by_family(size_t counts[STRATA_STUDY_FAMILIES], size_t *all, const struct strata_study_run *run,
                           struct strata_error *err) {
    struct strata_dataset_options options = run->options->score.dataset;
    struct strata_dataset *dataset;
    struct strata_sample sample;
    bool got = true;
    options.skip_bad = true;
    options.on_bad = NULL;
    int code = strata_dataset_open(&dataset, run->recipe->data, &options, err);
    while (!code && !(code = strata_dataset_next(dataset, &sample, &got, err)) && got) {
        ++*all;
        for (size_t f = 0; f < run->recipe->family_count; f++) {
            const char *at = run->recipe->families[f].abilities;
            size_t length = strlen(sample.ability);
            for (; *at; at += strcspn(at, ","), at += *at == ',')
                if (strcspn(at, ",") == length && memcmp(at, sample.ability, length) == 0) counts[f]++;
        }
        strata_sample_free(&sample);
    }
    strata_dataset_close(dataset);
    return code;
}

/* Size of a stage's set: as selected, assumed, or guessed. -1: nothing is known. */
static double set_size(const struct strata_study_run *run, size_t select, const size_t families[],
                       struct strata_error *err) {
    const struct strata_stage *stage = &run->plan.stages[select];
    json_t *result = NULL;
    double size = -1;
    (void)err;
    if (!strata_stage_result(&result, run, select, NULL) && result) {
        size = json_number_value(json_object_get(result, "selected"));
        json_decref(result);
        return size;
    }
    int metric = stage->metric >= 0 ? stage->metric : 0;
    const size_t *assumed = run->recipe->assumed[metric][stage->family];
    if (assumed[0] + assumed[1] + assumed[2] + assumed[3]) return (double)strata_subset_size(stage->subset, assumed);
    size_t whole = families[stage->family], quarter[4] = {whole / 4, whole / 4, whole / 4, whole - 3 * (whole / 4)};
    return whole ? (double)strata_subset_size(stage->subset, quarter) : -1;
}

/* ---- rates ---- */

static void measure_done(struct rates *rates, const struct strata_study_run *run) {
    double seconds[STRATA_STAGE_KINDS] = {0}, units[STRATA_STAGE_KINDS] = {0};
    for (size_t i = 0; i < run->plan.count; i++) {
        json_t *result = NULL;
        enum strata_stage_kind kind = run->plan.stages[i].kind;
        if (strata_stage_result(&result, run, i, NULL) || !result) continue;
        if (!strata_stage_impossible(result)) {
            seconds[kind] += strata_stage_seconds(run, i);
            units[kind] += kind == STRATA_STAGE_SCORE  ? json_number_value(json_object_get(result, "samples"))
                           : kind == STRATA_STAGE_EVAL ? (double)rates->tests
                                                       : json_number_value(json_object_get(result, "steps"));
        }
        json_decref(result);
    }
    for (int k = 0; k < STRATA_STAGE_KINDS; k++)
        if (units[k] > 0) rates->seconds_per[k] = seconds[k] / units[k];
}

/* Answers some samples as scoring would, into the first score stage, which keeps them; not while another process works
 * on it. */
static int run_pilot(struct rates *rates, const struct strata_study_run *run, struct strata_engine *engine,
                     struct strata_error *err) {
    struct strata_score_options options = run->options->score;
    struct strata_score_summary summary = {0};
    struct strata_engine_stats stats;
    struct strata_lease *lease;
    char *out = strata_stage_path(run, run->plan.scores[0], "run");
    if (!out) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = strata_lease_take(&lease, run->leases, run->plan.stages[run->plan.scores[0]].place, err);
    if (code || !lease) {
        free(out);
        return code;
    }
    options.data = run->recipe->data;
    options.out = out;
    options.seed = run->recipe->seeds[0];
    options.metrics =
        (run->recipe->metrics[0] ? STRATA_METRIC_PISM : 0u) | (run->recipe->metrics[1] ? STRATA_METRIC_CMAB : 0u);
    options.dry_run = true;
    options.pilot_samples = run->options->pilot;
    options.interrupt = run->options->interrupt;
    code = strata_make_directories(out, err);
    if (!code) code = strata_score(&summary, engine, &options, err);
    strata_lease_release(lease);
    strata_engine_stats(engine, &stats);
    if (!code && summary.draws_now) {
        rates->response = (double)summary.tokens_now / (double)summary.draws_now;
        rates->prompt = stats.prompts ? (double)stats.prompt_tokens / (double)stats.prompts : 0;
        rates->draws = summary.estimate.pilot ? (double)summary.draws_now / (double)summary.estimate.pilot : 0;
        if (stats.decode_seconds > 0) rates->decode = (double)stats.generated_tokens / stats.decode_seconds;
        if (stats.prefill_seconds + stats.vision_seconds > 0)
            rates->prefill = (double)(stats.prompt_tokens - stats.shared_prefix_tokens) /
                             (stats.prefill_seconds + stats.vision_seconds);
    }
    strata_score_summary_free(&summary);
    free(out);
    return code;
}

/* ---- one stage ---- */

static double seconds_of(const struct rates *rates, double prompts, double answers, double trained) {
    if (!(rates->decode > 0) || !(rates->prefill > 0)) return -1;
    return prompts * rates->prompt / rates->prefill + answers * rates->response / rates->decode +
           PASSES * trained / rates->prefill;
}

static void estimate_training(struct strata_estimate *out, const struct strata_study_run *run,
                              const struct strata_stage *stage, const struct rates *rates, const size_t families[]) {
    const struct strata_study_options *options = run->options;
    const struct strata_grpo_options *grpo = &options->grpo;
    bool policy = stage->kind == STRATA_STAGE_GRPO;
    out->samples = set_size(run, stage->source, families, NULL);
    if (out->samples < 0) return;
    out->steps =
        policy ? strata_grpo_steps(options, (size_t)out->samples) : strata_sft_steps(options, (size_t)out->samples);
    if (policy && stage->reference != STRATA_NO_STAGE) {
        size_t set = stage->reference;
        if (run->plan.stages[set].kind == STRATA_STAGE_GRPO) set = run->plan.stages[set].source;
        double size = set_size(run, set, families, NULL), used = 0;
        if (stage->start != STRATA_NO_STAGE)
            used =
                strata_sft_steps(options, (size_t)set_size(run, run->plan.stages[stage->start].source, families, NULL));
        out->steps = strata_grpo_steps(options, (size_t)size) - used;
        if (out->steps < 1) out->steps = 1;
    }
    double prompts = policy ? out->steps * (double)grpo->prompts / (double)grpo->iterations
                            : out->steps * (double)options->sft.batch;
    double answers = policy ? prompts * (double)grpo->completions : 0;
    double trained =
        policy ? prompts * (double)grpo->iterations * (rates->prompt + (double)grpo->completions * rates->response)
               : prompts * (rates->prompt + rates->response);
    if (rates->response > 0) out->tokens = trained + answers * rates->response;
    out->seconds = rates->seconds_per[stage->kind] > 0 ? out->steps * rates->seconds_per[stage->kind]
                                                       : seconds_of(rates, policy ? prompts : 0, answers, trained);
}

static void estimate_stage(struct strata_estimate *out, const struct strata_study_run *run, size_t index,
                           const struct rates *rates, const size_t families[]) {
    const struct strata_stage *stage = &run->plan.stages[index];
    double measured = rates->seconds_per[stage->kind];
    *out = (struct strata_estimate){-1, -1, -1, -1, strata_stage_done(run, index)};
    switch (stage->kind) {
    case STRATA_STAGE_SCORE:
        out->samples = rates->samples ? (double)rates->samples : -1;
        if (rates->draws > 0) out->tokens = out->samples * rates->draws * rates->response;
        out->seconds = measured > 0 ? out->samples * measured
                                    : seconds_of(rates, out->samples * rates->draws, out->samples * rates->draws, 0);
        break;
    case STRATA_STAGE_SELECT:
        out->samples = set_size(run, index, families, NULL);
        out->seconds = 0;
        break;
    case STRATA_STAGE_SFT:
    case STRATA_STAGE_GRPO:
        estimate_training(out, run, stage, rates, families);
        break;
    case STRATA_STAGE_EVAL:
        out->samples = rates->tests ? (double)rates->tests : -1;
        out->seconds = measured > 0 ? (double)rates->tests * measured
                                    : seconds_of(rates, (double)rates->tests, (double)rates->tests, 0);
        if (rates->response > 0) out->tokens = (double)rates->tests * rates->response;
        break;
    case STRATA_STAGE_KINDS:
        break;
    }
}

int strata_study_estimate(struct strata_estimate **out, struct strata_study_run *run, struct strata_engine *pilot,
                          struct strata_error *err) {
    struct rates rates = {0};
    size_t families[STRATA_STUDY_FAMILIES] = {0};
    int code = strata_alloc(out, run->plan.count, sizeof **out, err);
    if (code) return code;
    if (count_by_family(families, &rates.samples, run, NULL)) rates.samples = 0; /* a data set that is to come */
    for (size_t f = 0; f < run->recipe->family_count && !rates.samples; f++) {
        const size_t *assumed = run->recipe->assumed[0][f];
        families[f] = assumed[0] + assumed[1] + assumed[2] + assumed[3];
    }
    for (size_t t = 0; t < run->recipe->test_count; t++) {
        size_t count = 0;
        if (!strata_dataset_count(&count, run->recipe->tests[t], NULL)) rates.tests += count;
    }
    measure_done(&rates, run);
    if (pilot && run->options->pilot && rates.samples && !strata_stage_done(run, run->plan.scores[0]))
        code = run_pilot(&rates, run, pilot, err);
    for (size_t i = 0; i < run->plan.count && !code; i++) estimate_stage(&(*out)[i], run, i, &rates, families);
    if (code) {
        free(*out);
        *out = NULL;
    }
    return code;
}
