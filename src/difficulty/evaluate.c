/* Reading the answers kept for one sample under a cut. */
#include "difficulty/evaluate.h"

#include <string.h>

struct reading {
    struct strata_evaluation *out;
    const struct strata_cut *cut;
    const struct strata_stored_sample *sample;
    struct strata_pism pism;
    unsigned attempts_seen; /* without a gap */
    bool has_masses;
};

static int on_draw(void *context, const struct strata_stored_draw *draw, struct strata_error *err) {
    struct reading *reading = context;
    (void)err;
    reading->out->truncated += draw->truncated;
    if (draw->ratio < STRATA_PISM_RATIOS && draw->draw < STRATA_PISM_MAX_DRAWS)
        strata_pism_answer(&reading->pism, draw->ratio, draw->draw, draw->right);
    return 0;
}

static int on_attempt(void *context, const struct strata_stored_attempt *attempt, struct strata_error *err) {
    struct reading *reading = context;
    struct strata_evaluation *out = reading->out;
    out->truncated += attempt->truncated;
    if (attempt->attempt != reading->attempts_seen || attempt->attempt >= reading->cut->attempts || out->correct)
        return 0;
    out->attempts = ++reading->attempts_seen;
    if (attempt->attempt > 0 && !attempt->right) return 0; /* the first stands unless a later one is right */
    out->correct = attempt->right;
    out->cmab_truncated = attempt->truncated;
    out->tokens = attempt->tokens;
    strata_buffer_clear(&out->response);
    strata_buffer_append(&out->response, attempt->response, attempt->response_length);
    int code = strata_buffer_check(&out->response, err);
    reading->has_masses = attempt->masses != NULL;
    out->rho = (struct strata_cmab_rho){0};
    if (code || !reading->has_masses) return code;
    struct strata_cmab_masses masses;
    code = strata_cmab_unpack(&masses, attempt->masses, attempt->masses_length, reading->sample->id, err);
    if (!code) code = strata_cmab_rho(&out->rho, NULL, NULL, &masses, &reading->cut->cmab, err);
    strata_cmab_masses_free(&masses);
    return code ? strata_fail_at_default(err, code, "%s", reading->sample->id) : 0;
}

static int evaluate_pism(struct reading *reading, struct strata_store *store, struct strata_error *err) {
    struct strata_evaluation *out = reading->out;
    reading->pism.chance_need = out->chance_need =
        strata_cut_chance_need(&out->chance_p, reading->cut, reading->sample->chance);
    int code = strata_store_draws(store, reading->sample->index, on_draw, reading, err);
    if (code) return code;
    strata_pism_read(&out->outcome, &reading->pism, &reading->cut->pism);
    out->pism = out->outcome.stratum;
    out->chance = out->outcome.chance_stratum;
    out->plain_right = out->outcome.curve[0].right;
    out->plain_drawn = out->outcome.curve[0].drawn;
    out->plain_complete = out->plain_drawn == reading->cut->pism.draws;
    return 0;
}

static int evaluate_cmab(struct reading *reading, struct strata_store *store, struct strata_error *err) {
    struct strata_evaluation *out = reading->out;
    int code = strata_store_attempts(store, reading->sample->index, on_attempt, reading, err);
    if (code) return code;
    bool finished = out->correct || reading->attempts_seen >= reading->cut->attempts;
    out->cmab = finished ? strata_cmab_stratum(&reading->cut->cmab, &out->rho, out->correct) : STRATA_STRATUM_PENDING;
    return 0;
}

int strata_evaluate(struct strata_evaluation *out, struct strata_store *store,
                    const struct strata_stored_sample *sample, const struct strata_cut *cut, unsigned metrics,
                    struct strata_error *err) {
    struct reading reading = {.out = out, .cut = cut, .sample = sample};
    struct strata_buffer response = out->response;
    strata_buffer_clear(&response);
    *out = (struct strata_evaluation){.pism = STRATA_STRATUM_NOT_APPLICABLE,
                                      .chance = STRATA_STRATUM_NOT_APPLICABLE,
                                      .cmab = STRATA_STRATUM_NOT_APPLICABLE,
                                      .outcome = {.finished = true, .lambda_star = -1},
                                      .response = response};
    if (sample->images == 0) return 0;
    int code = metrics & STRATA_METRIC_PISM ? evaluate_pism(&reading, store, err) : 0;
    if (!code && metrics & STRATA_METRIC_CMAB) code = evaluate_cmab(&reading, store, err);
    return code;
}

void strata_evaluation_free(struct strata_evaluation *evaluation) {
    strata_buffer_free(&evaluation->response);
}
