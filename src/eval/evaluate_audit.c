/* What the kit's own rules make of answers that are known: the right one, an empty one, a constant "A". */
#include <string.h>

#include "eval/evaluate_run.h"

enum { GOLD, EMPTY, LETTER_A, ANSWERS };
#define EXAMPLES 20 /* indices listed */

/* The answer that should win, as a model would give it. */
static json_t *gold_answer(const json_t *row, enum strata_benchmark benchmark) {
    const char *type = json_string_value(json_object_get(row, "question_type"));
    if (benchmark == STRATA_MATHVISTA && type && strcmp(type, "multi_choice") == 0)
        return json_deep_copy(json_object_get(row, "answer_option"));
    if (benchmark != STRATA_OCRBENCH) return json_deep_copy(json_object_get(row, "answer"));
    json_t *answers = NULL, *first = NULL;
    if (!strata_row_list(&answers, row, "answer", false, NULL)) first = json_incref(json_array_get(answers, 0));
    json_decref(answers);
    return first ? first : json_null();
}

/* Does this answer win the row, without any judge? */
static int wins(bool *won, json_t *row, json_t *answer, enum strata_benchmark benchmark, enum strata_kit kit,
                struct strata_error *err) {
    json_t *read = strata_cell_round_trip(answer, kit), *verdict = NULL;
    struct strata_judging judging = {0};
    *won = false;
    int code = json_object_set_new(row, "prediction", read) ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory") : 0;
    if (!code && benchmark == STRATA_OCRBENCH) return strata_ocrbench_hit(won, row, false, err);
    if (!code && benchmark == STRATA_MATHVISTA) {
        json_object_set(row, "res", read);
        code = strata_mathvista_check(&verdict, row, false, kit, err);
        *won = json_is_true(verdict);
        json_decref(verdict);
        return code;
    }
    if (!code) code = strata_judging_begin(&judging, row, benchmark, kit, false, NULL, err);
    if (!code) json_object_set(row, strata_eval_column(benchmark), judging.result);
    strata_judging_free(&judging);
    if (!code) code = strata_eval_mark(row, benchmark, err);
    const json_t *hit = json_object_get(row, benchmark == STRATA_HALLUSIONBENCH ? "score" : "hit");
    *won = json_is_true(hit) || json_integer_value(hit) == 1;
    return code;
}

static int audit_row(size_t counts[ANSWERS], json_t *lost, json_t *row, const char *index,
                     const struct strata_eval_options *options, struct strata_error *err) {
    json_t *gold = gold_answer(row, options->benchmark), *rows = json_pack("[O]", row);
    json_t *answers[ANSWERS] = {gold, json_string(""), json_string("A")};
    int code = options->benchmark == STRATA_MMMU ? strata_mmmu_prepare(rows, err) : 0;
    for (int i = 0; i < ANSWERS; i++) {
        bool won = false;
        if (!code) code = wins(&won, row, answers[i], options->benchmark, options->kit, err);
        counts[i] += won;
        if (!code && i == GOLD && !won && json_array_size(lost) < EXAMPLES)
            json_array_append_new(lost, json_string(index));
        json_decref(answers[i]);
    }
    json_decref(rows);
    return code;
}

int strata_eval_audit(json_t **result, const struct strata_eval_options *options, struct strata_error *err) {
    const struct strata_benchmark_facts *facts = &strata_benchmarks[options->benchmark];
    struct strata_eval_dataset *dataset;
    size_t counts[ANSWERS] = {0};
    *result = NULL;
    if (options->benchmark == STRATA_MMVET)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED,
                           "every row of MM-Vet goes to the judge: there is nothing to audit");
    int code =
        strata_eval_dataset_open(&dataset, options->tsv, options->benchmark, options->kit, options->skip_bad, err);
    if (code) return code;
    json_t *lost = json_array();
    size_t rows = strata_eval_dataset_count(dataset);
    for (size_t i = 0; i < rows && !code; i++) {
        json_t *row = NULL;
        code = strata_eval_dataset_row(&row, dataset, i, err);
        if (!code) code = audit_row(counts, lost, row, strata_eval_dataset_index(dataset, i), options, err);
        if (code)
            strata_fail_at_default(err, code, "%s, index %s", options->tsv, strata_eval_dataset_index(dataset, i));
        json_decref(row);
    }
    const struct strata_eval_file *file = strata_eval_dataset_file(dataset);
    double ceiling = rows ? (double)counts[GOLD] / (double)rows : 0;
    if (!code)
        *result = json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:O, s:I, s:I, s:s, s:b}", "benchmark", facts->name, "kit",
                            strata_kit_name(options->kit), "rows", (json_int_t)rows, "without_image",
                            (json_int_t)file->without_image, "ceiling", ceiling, "unwinnable",
                            (json_int_t)(rows - counts[GOLD]), "unwinnable_rows", lost, "won_by_silence",
                            (json_int_t)counts[EMPTY], "won_by_A", (json_int_t)counts[LETTER_A], "md5", file->md5,
                            "published_file", strcmp(file->md5, facts->md5) == 0);
    json_decref(lost);
    strata_eval_dataset_close(dataset);
    return code;
}
