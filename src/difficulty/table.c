#include "difficulty/table.h"

#include <string.h>

#include "base/json.h"
#include "difficulty/evaluate.h"

struct table {
    struct strata_export *export;
    struct strata_store *store;
    const struct strata_cut *cut;
    unsigned metrics;
    struct strata_evaluation evaluation;
    size_t rows;
};

static json_t *ratio(bool there, unsigned tenths) {
    return there ? json_real((double)tenths / 10) : json_null();
}

/* Every column is in every row: null where there is nothing to say. */
static int add_pism(json_t *row, const struct strata_evaluation *evaluation) {
    const struct strata_pism_outcome *outcome = &evaluation->outcome;
    bool images = evaluation->pism != STRATA_STRATUM_NOT_APPLICABLE, starred = outcome->finished && images;
    bool complete = images && evaluation->plain_complete && evaluation->plain_drawn;
    bool chance = evaluation->chance_need > 0, told = chance && evaluation->chance != STRATA_STRATUM_NOT_APPLICABLE &&
                                                      evaluation->chance != STRATA_STRATUM_PENDING;
    json_t *lambda = json_array(), *right = json_array(), *drawn = json_array();
    for (unsigned i = 0; i < outcome->curve_count; i++) {
        json_array_append_new(lambda, json_real((double)outcome->curve[i].tenths / 10));
        json_array_append_new(right, json_integer((json_int_t)outcome->curve[i].right));
        json_array_append_new(drawn, json_integer((json_int_t)outcome->curve[i].drawn));
    }
    json_t *columns = json_pack(
        "{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "pism_stratum",
        strata_stratum_name(evaluation->pism), "pism_lambda_star",
        ratio(starred && outcome->lambda_star >= 0, starred ? (unsigned)outcome->lambda_star : 0), "pass_rate",
        complete ? json_real((double)evaluation->plain_right / (double)evaluation->plain_drawn) : json_null(),
        "pass_right", (json_int_t)evaluation->plain_right, "pass_drawn", (json_int_t)evaluation->plain_drawn,
        "pism_draws", (json_int_t)outcome->draws, "pism_draws_saved", (json_int_t)outcome->draws_saved,
        "chance_stratum", chance ? json_string(strata_stratum_name(evaluation->chance)) : json_null(),
        "chance_lambda_star",
        ratio(told && outcome->chance_lambda_star >= 0, told ? (unsigned)outcome->chance_lambda_star : 0),
        "curve_lambda", lambda, "curve_right", right, "curve_drawn", drawn);
    int failed = !columns || json_object_update(row, columns);
    json_decref(columns);
    return failed;
}

static int add_cmab(json_t *row, const struct strata_evaluation *evaluation) {
    const struct strata_cmab_rho *rho = &evaluation->rho;
    bool answered = evaluation->attempts > 0;
    int failed = json_object_set_new(row, "cmab_stratum", json_string(strata_stratum_name(evaluation->cmab)));
    failed |= json_object_set_new(row, "cmab_rho", rho->defined ? json_real(rho->rho) : json_null());
    for (int way = 0; way < STRATA_CMAB_OVERS; way++) {
        char name[64] = "cmab_rho_";
        strncat(name, strata_cmab_over_name((enum strata_cmab_over)way), sizeof name - 16);
        for (char *dash = name; (dash = strchr(dash, '-'));) *dash = '_';
        failed |= json_object_set_new(row, name, rho->defined ? json_real(rho->over[way]) : json_null());
    }
    json_t *columns = json_pack(
        "{s:o, s:o, s:o, s:I, s:o}", "cmab_correct", answered ? json_boolean(evaluation->correct) : json_null(),
        "cmab_tokens", answered ? json_integer((json_int_t)evaluation->tokens) : json_null(), "cmab_truncated",
        answered ? json_boolean(evaluation->cmab_truncated) : json_null(), "cmab_attempts",
        (json_int_t)evaluation->attempts, "cmab_response",
        answered ? json_stringn(strata_buffer_string(&evaluation->response), evaluation->response.length)
                 : json_null());
    failed |= !columns || json_object_update(row, columns);
    json_decref(columns);
    return failed;
}

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct table *table = context;
    int code = strata_evaluate(&table->evaluation, table->store, sample, table->cut, table->metrics, err);
    if (code) return code;
    json_t *row =
        json_pack("{s:s, s:I, s:s}", "id", sample->id, "index", (json_int_t)sample->index, "ability", sample->ability);
    int failed = !row;
    if (!failed && table->metrics & STRATA_METRIC_PISM) failed |= add_pism(row, &table->evaluation);
    if (!failed && table->metrics & STRATA_METRIC_CMAB) failed |= add_cmab(row, &table->evaluation);
    code = failed ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory")
                  : strata_export_write_record(table->export, row, err);
    table->rows++;
    json_decref(row);
    return code;
}

int strata_difficulty_table(size_t *rows, const char *path, enum strata_format format, struct strata_store *store,
                            const struct strata_cut *cut, unsigned metrics, struct strata_error *err) {
    struct table table = {.store = store, .cut = cut, .metrics = metrics};
    int code = strata_export_open(&table.export, path, format, STRATA_PATHS_KEEP, err);
    if (code) return code;
    code = strata_store_samples(store, SIZE_MAX, on_sample, &table, err);
    if (code)
        strata_export_abort(table.export);
    else
        code = strata_export_commit(table.export, err);
    strata_evaluation_free(&table.evaluation);
    *rows = table.rows;
    return code;
}
