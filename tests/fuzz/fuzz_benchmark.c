/* Any bytes as a benchmark's table, as a Python literal, as an answer and as a judge's reply. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eval/score.h"
#include "eval/tsv.h"

static void judge(const json_t *row, enum strata_benchmark benchmark, const struct strata_judge_texts *texts,
                  const char *reply, size_t length) {
    struct strata_judging judging;
    if (strata_judging_begin(&judging, row, benchmark, STRATA_KIT_HEAD, true, texts, NULL)) return;
    while (judging.asking && !strata_judging_reply(&judging, reply, length, NULL)) continue;
    strata_judging_free(&judging);
}

static void table(const uint8_t *data, size_t size, const struct strata_judge_texts *texts) {
    struct strata_tsv *tsv;
    json_t *rows = json_array(), *metrics = NULL, *fine = NULL;
    if (strata_tsv_parse(&tsv, (const char *)data, size, "fuzz", NULL)) {
        json_decref(rows);
        return;
    }
    for (size_t i = 0; i < strata_tsv_rows(tsv) && i < 50; i++) {
        json_t *row = strata_tsv_row(tsv, i);
        struct strata_parts parts = {0};
        for (int b = 0; b < STRATA_BENCHMARKS; b++) {
            strata_benchmark_prompt(&parts, row, 2, (enum strata_benchmark)b, NULL);
            strata_parts_free(&parts);
            judge(row, (enum strata_benchmark)b, texts, "0.5", 3);
        }
        json_array_append_new(rows, row);
    }
    strata_cells_round_trip(rows, STRATA_KIT_202511, NULL);
    if (!strata_score_choices(&metrics, rows, NULL)) json_decref(metrics);
    if (!strata_score_hallusion(&metrics, rows, NULL)) json_decref(metrics);
    if (!strata_score_ocrbench(&metrics, rows, NULL)) json_decref(metrics);
    if (!strata_score_mathvista(&metrics, rows, STRATA_KIT_HEAD, NULL)) json_decref(metrics);
    if (!strata_score_mmvet(&metrics, &fine, rows, true, NULL)) {
        json_decref(metrics);
        json_decref(fine);
    }
    json_decref(rows);
    strata_tsv_close(tsv);
}

static void answer(const uint8_t *data, size_t size, const struct strata_judge_texts *texts) {
    struct strata_span text = {(const char *)data, size};
    struct strata_buffer joined = {0};
    struct strata_span prediction, thinking;
    json_t *value = NULL, *row;
    if (!strata_python_eval(&value, text, NULL)) json_decref(value);
    strata_yes_or_no(text);
    strata_split_thinking(&prediction, &thinking, &joined, text);
    strata_buffer_free(&joined);
    row = json_pack("{s:s, s:s, s:s, s:o, s:s}", "question", "q", "A", "cat", "answer", "A", "prediction",
                    json_stringn((const char *)data, size), "category", "rec");
    for (int b = 0; b < STRATA_BENCHMARKS && row; b++)
        judge(row, (enum strata_benchmark)b, texts, (const char *)data, size);
    json_decref(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct strata_judge_texts texts;
    if (!texts.mmvet && strata_judge_texts_ours(&texts, NULL)) return 0;
    table(data, size, &texts);
    answer(data, size, &texts);
    return 0;
}
