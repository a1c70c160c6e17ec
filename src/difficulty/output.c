/* difficulty.jsonl and the summary: both are read from the store, so that they depend on its answers only. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "difficulty/evaluate.h"

/* A ratio as the decimal number it is; jansson keeps a double, which is written back as "0.3". */
static json_t *ratio_json(int tenths) {
    return tenths < 0 ? json_null() : json_real((double)tenths / 10);
}

static json_t *pism_json(const struct strata_evaluation *evaluation) {
    const struct strata_pism_outcome *outcome = &evaluation->outcome;
    bool starred = outcome->finished && evaluation->pism != STRATA_STRATUM_NOT_APPLICABLE;
    json_t *curve = json_array(), *object;
    for (unsigned i = 0; i < outcome->curve_count; i++) {
        const struct strata_curve_entry *entry = &outcome->curve[i];
        json_array_append_new(curve,
                              json_pack("{s:o, s:i, s:i, s:b}", "lambda", ratio_json((int)entry->tenths), "right",
                                        (int)entry->right, "drawn", (int)entry->drawn, "decided", (int)entry->decided));
    }
    object = json_pack("{s:s, s:o, s:o, s:i, s:i}", "stratum", strata_stratum_name(evaluation->pism), "lambda_star",
                       ratio_json(starred ? outcome->lambda_star : -1), "curve", curve, "draws", (int)outcome->draws,
                       "draws_saved", (int)outcome->draws_saved);
    if (evaluation->chance_need == 0) return object;
    bool told = evaluation->chance != STRATA_STRATUM_NOT_APPLICABLE && evaluation->chance != STRATA_STRATUM_PENDING;
    json_object_set_new(object, "chance",
                        json_pack("{s:f, s:i, s:s, s:o}", "p", evaluation->chance_p, "need",
                                  (int)evaluation->chance_need, "stratum", strata_stratum_name(evaluation->chance),
                                  "lambda_star", ratio_json(told ? outcome->chance_lambda_star : -1)));
    return object;
}

static json_t *cmab_json(const struct strata_evaluation *evaluation) {
    json_t *object = json_pack("{s:s, s:o}", "stratum", strata_stratum_name(evaluation->cmab), "rho",
                               evaluation->rho.defined ? json_real(evaluation->rho.rho) : json_null());
    if (evaluation->attempts == 0) return object;
    json_t *response =
        json_stringn(evaluation->response.length ? evaluation->response.data : "", evaluation->response.length);
    json_object_set_new(object, "correct", json_boolean(evaluation->correct));
    json_object_set_new(object, "response", response ? response : json_null());
    json_object_set_new(object, "tokens", json_integer((json_int_t)evaluation->tokens));
    json_object_set_new(object, "truncated", json_boolean(evaluation->cmab_truncated));
    json_object_set_new(object, "attempts", json_integer(evaluation->attempts));
    if (!evaluation->rho.defined) return object;
    json_t *over = json_object();
    for (int way = 0; way < STRATA_CMAB_OVERS; way++)
        json_object_set_new(over, strata_cmab_over_name((enum strata_cmab_over)way),
                            json_real(evaluation->rho.over[way]));
    json_object_set_new(object, "rho_over_tokens", over);
    return object;
}

void strata_evaluation_line(struct strata_buffer *out, const struct strata_stored_sample *sample,
                            const struct strata_evaluation *evaluation, unsigned metrics) {
    json_t *line =
        json_pack("{s:s, s:s, s:I}", "id", sample->id, "ability", sample->ability, "index", (json_int_t)sample->index);
    if (metrics & STRATA_METRIC_PISM) json_object_set_new(line, "pism", pism_json(evaluation));
    if (metrics & STRATA_METRIC_CMAB) json_object_set_new(line, "cmab", cmab_json(evaluation));
    if (line)
        strata_json_write(out, line);
    else
        out->failed = true;
    json_decref(line);
}

static int find_row(struct strata_score_row **row, struct strata_score_summary *summary, size_t *capacity,
                    const char *ability, struct strata_error *err) {
    for (size_t i = 0; i < summary->row_count; i++) {
        *row = &summary->rows[i];
        if (strcmp((*row)->ability, ability) == 0) return 0;
    }
    int code = strata_grow(&summary->rows, capacity, summary->row_count + 1, sizeof *summary->rows, err);
    if (code) return code;
    *row = &summary->rows[summary->row_count];
    **row = (struct strata_score_row){.ability = strata_strdup(ability)};
    if (!(*row)->ability) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    summary->row_count++;
    return 0;
}

static void count(struct strata_score_row *row, const struct strata_evaluation *evaluation, unsigned metrics) {
    row->samples++;
    if (metrics & STRATA_METRIC_PISM) {
        row->pism[evaluation->pism]++;
        row->chance[evaluation->chance]++;
        row->plain_right += evaluation->plain_complete ? evaluation->plain_right : 0;
        row->plain_drawn += evaluation->plain_complete ? evaluation->plain_drawn : 0;
    }
    if (metrics & STRATA_METRIC_CMAB) {
        row->cmab[evaluation->cmab]++;
        row->cmab_right += evaluation->correct;
        row->cmab_answered += evaluation->attempts > 0;
    }
}

struct writing {
    struct strata_score_summary *summary;
    struct strata_store *store;
    const struct strata_cut *cut;
    unsigned metrics;
    struct strata_atomic_file file;
    bool to_file;
    size_t capacity;
    struct strata_score_row total;
    struct strata_evaluation evaluation;
    struct strata_buffer line;
};

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct writing *writing = context;
    struct strata_score_summary *summary = writing->summary;
    struct strata_evaluation *evaluation = &writing->evaluation;
    struct strata_score_row *row = NULL;
    int code = strata_evaluate(evaluation, writing->store, sample, writing->cut, writing->metrics, err);
    if (!code) code = find_row(&row, summary, &writing->capacity, sample->ability, err);
    if (code) return code;
    count(row, evaluation, writing->metrics);
    count(&writing->total, evaluation, writing->metrics);
    summary->samples++;
    summary->pending += evaluation->pism == STRATA_STRATUM_PENDING || evaluation->cmab == STRATA_STRATUM_PENDING;
    summary->draws += evaluation->outcome.draws;
    summary->draws_saved += evaluation->outcome.draws_saved;
    summary->speculative += evaluation->outcome.extra;
    summary->truncated += evaluation->truncated;
    if (!writing->to_file) return 0;
    strata_buffer_clear(&writing->line);
    strata_evaluation_line(&writing->line, sample, evaluation, writing->metrics);
    strata_buffer_byte(&writing->line, '\n');
    code = strata_buffer_check(&writing->line, err);
    /* A failed write shows in the stream's error state, which the commit reports with its cause. */
    if (!code) fwrite(writing->line.data, 1, writing->line.length, writing->file.stream);
    return code;
}

static int compare_rows(const void *a, const void *b) {
    return strcmp(((const struct strata_score_row *)a)->ability, ((const struct strata_score_row *)b)->ability);
}

static int finish_rows(struct writing *writing, struct strata_error *err) {
    struct strata_score_summary *summary = writing->summary;
    if (summary->row_count) qsort(summary->rows, summary->row_count, sizeof *summary->rows, compare_rows);
    int code = strata_grow(&summary->rows, &writing->capacity, summary->row_count + 1, sizeof *summary->rows, err);
    if (code) return code;
    writing->total.ability = strata_strdup("all");
    if (!writing->total.ability) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    summary->rows[summary->row_count++] = writing->total;
    return 0;
}

int strata_score_write(struct strata_score_summary *summary, const char *path, struct strata_store *store,
                       const struct strata_cut *cut, unsigned metrics, size_t end_index, struct strata_error *err) {
    struct strata_score_summary local = {0};
    struct writing writing = {
        .summary = summary ? summary : &local, .store = store, .cut = cut, .metrics = metrics, .to_file = path != NULL};
    writing.summary->metrics = metrics;
    int code = path ? strata_atomic_open(&writing.file, path, err) : 0;
    if (code) return code;
    code = strata_store_samples(store, end_index, on_sample, &writing, err);
    if (!code) code = finish_rows(&writing, err);
    if (path) {
        if (code)
            strata_atomic_abort(&writing.file);
        else
            code = strata_atomic_commit(&writing.file, err);
    }
    strata_evaluation_free(&writing.evaluation);
    strata_buffer_free(&writing.line);
    strata_score_summary_free(&local);
    return code;
}

void strata_score_summary_free(struct strata_score_summary *summary) {
    for (size_t i = 0; i < summary->row_count; i++) free(summary->rows[i].ability);
    free(summary->rows);
    *summary = (struct strata_score_summary){0};
}

static json_t *strata_json(const size_t counts[STRATA_STRATA]) {
    json_t *object = json_object();
    for (int s = 0; s < STRATA_STRATA; s++)
        json_object_set_new(object, strata_stratum_name((enum strata_stratum)s), json_integer((json_int_t)counts[s]));
    return object;
}

static json_t *rate_json(uint64_t part, uint64_t whole) {
    return whole ? json_real((double)part / (double)whole) : json_null();
}

static json_t *row_json(const struct strata_score_row *row, unsigned metrics) {
    json_t *object = json_pack("{s:s, s:I}", "ability", row->ability, "samples", (json_int_t)row->samples);
    if (metrics & STRATA_METRIC_PISM) {
        json_object_set_new(object, "pism", strata_json(row->pism));
        json_object_set_new(object, "chance", strata_json(row->chance));
        json_object_set_new(object, "accuracy", rate_json(row->plain_right, row->plain_drawn));
    }
    if (metrics & STRATA_METRIC_CMAB) {
        json_object_set_new(object, "cmab", strata_json(row->cmab));
        json_object_set_new(object, "cmab_accuracy", rate_json(row->cmab_right, row->cmab_answered));
    }
    return object;
}

json_t *strata_score_summary_json(const struct strata_score_summary *summary) {
    const struct strata_engine_stats *engine = &summary->engine;
    const struct strata_score_estimate *estimate = &summary->estimate;
    json_t *rows = json_array();
    for (size_t i = 0; i < summary->row_count; i++)
        json_array_append_new(rows, row_json(&summary->rows[i], summary->metrics));
    json_t *object =
        json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "rows", rows,
                  "samples", (json_int_t)summary->samples, "pending", (json_int_t)summary->pending, "bad",
                  (json_int_t)summary->bad, "failed_requests", (json_int_t)summary->failed_requests, "draws",
                  (json_int_t)summary->draws, "draws_saved", (json_int_t)summary->draws_saved, "speculative",
                  (json_int_t)summary->speculative, "truncated", (json_int_t)summary->truncated, "draws_now",
                  (json_int_t)summary->draws_now, "tokens_now", (json_int_t)summary->tokens_now, "seconds",
                  summary->seconds, "image_seconds", summary->image_seconds, "verify_seconds", summary->verify_seconds,
                  "store_seconds", summary->store_seconds, "wait_seconds", summary->wait_seconds);
    json_object_set_new(object, "engine",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I}", "prompts",
                                  (json_int_t)engine->prompts, "prompt_tokens", (json_int_t)engine->prompt_tokens,
                                  "image_tokens", (json_int_t)engine->image_tokens, "generated_tokens",
                                  (json_int_t)engine->generated_tokens, "forced_tokens",
                                  (json_int_t)engine->forced_tokens, "vision_seconds", engine->vision_seconds,
                                  "prefill_seconds", engine->prefill_seconds, "decode_seconds", engine->decode_seconds,
                                  "idle_seconds", engine->idle_seconds, "peak_batch", (json_int_t)engine->peak_batch));
    if (estimate->pilot)
        json_object_set_new(object, "estimate",
                            json_pack("{s:I, s:I, s:f, s:f, s:f, s:f}", "pilot", (json_int_t)estimate->pilot, "samples",
                                      (json_int_t)estimate->samples, "draws", estimate->draws, "tokens",
                                      estimate->tokens, "seconds", estimate->seconds, "store_bytes",
                                      estimate->store_bytes));
    return object;
}
