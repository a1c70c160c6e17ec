/* Reading a run directory behind the public interface. */
#include "strata/run.h"

#include <math.h>

#include "difficulty/evaluate.h"
#include "library/arguments.h"
#include "strata/version.h"

const char *strata_version(void) {
    return STRATA_VERSION;
}

struct reading {
    struct strata_store *store;
    struct strata_cut cut;
    unsigned metrics;
    struct strata_evaluation evaluation;
    struct strata_buffer line;
    int (*on_row)(void *context, const struct strata_run_row *row);
    void *context;
};

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct reading *reading = context;
    const struct strata_evaluation *evaluation = &reading->evaluation;
    int code = strata_evaluate(&reading->evaluation, reading->store, sample, &reading->cut, reading->metrics, err);
    strata_buffer_clear(&reading->line);
    if (!code) strata_evaluation_line(&reading->line, sample, evaluation, reading->metrics);
    if (!code) code = strata_buffer_check(&reading->line, err);
    if (code) return code;
    bool pism = reading->metrics & STRATA_METRIC_PISM, cmab = reading->metrics & STRATA_METRIC_CMAB;
    bool starred = evaluation->outcome.finished && evaluation->pism != STRATA_STRATUM_NOT_APPLICABLE &&
                   evaluation->outcome.lambda_star >= 0;
    bool answered = evaluation->attempts > 0;
    struct strata_run_row row = {.index = sample->index,
                                 .id = sample->id,
                                 .ability = sample->ability,
                                 .pism = pism ? strata_stratum_name(evaluation->pism) : NULL,
                                 .lambda_star = pism && starred ? evaluation->outcome.lambda_star / 10.0 : (double)NAN,
                                 .right = evaluation->plain_right,
                                 .drawn = evaluation->plain_drawn,
                                 .cmab = cmab ? strata_stratum_name(evaluation->cmab) : NULL,
                                 .rho = evaluation->rho.defined ? evaluation->rho.rho : (double)NAN,
                                 .correct = answered ? evaluation->correct : -1,
                                 .response = answered ? strata_buffer_string(&evaluation->response) : NULL,
                                 .json = strata_buffer_string(&reading->line)};
    code = reading->on_row(reading->context, &row);
    return code ? strata_fail(err, code, "the caller stopped reading") : 0;
}

int strata_run_read(const char *directory, const struct strata_balance_options *balance,
                    int (*on_row)(void *context, const struct strata_run_row *row), void *context,
                    struct strata_error *err) {
    struct reading reading = {.on_row = on_row, .context = context};
    struct strata_cmab_options cmab;
    int code = strata_take_balance(&cmab, balance, err);
    if (!code) code = strata_store_read(&reading.store, directory, err);
    strata_cut_default(&reading.cut);
    if (!code) code = strata_run_cut(&reading.cut, &reading.metrics, reading.store, directory, err);
    if (!code && balance) {
        double bands[4];
        for (int i = 0; i < 4; i++) bands[i] = reading.cut.cmab.bands[i];
        reading.cut.cmab = cmab;
        for (int i = 0; i < 4; i++) reading.cut.cmab.bands[i] = bands[i];
    }
    if (!code) code = strata_store_samples(reading.store, SIZE_MAX, on_sample, &reading, err);
    strata_evaluation_free(&reading.evaluation);
    strata_buffer_free(&reading.line);
    int closed = strata_store_close(reading.store, code ? NULL : err);
    return code ? code : closed;
}
