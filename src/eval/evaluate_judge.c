/* Verdicts: many rows at once, each a judging of its own. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "eval/evaluate_run.h"

#define EMPTY_MOST 3 /* times that an empty reply is asked again before it counts as a failure of the API */

/* A row whose judge has been asked. */
struct pending {
    struct strata_judging judging;
    json_t *row;
    size_t number;
    uint32_t asked, empty;
};
struct court {
    struct evaluation *run;
    struct pending *cases; /* (count), by row; used while row is not NULL */
    size_t open, next, judged;
};

static void close_case(struct court *court, struct pending *pending) {
    strata_judging_free(&pending->judging);
    json_decref(pending->row);
    *pending = (struct pending){0};
    court->open--;
}

/* The kit draws at random; we draw by seed and index. */
static json_t *drawn(const struct evaluation *run, const json_t *options, const char *index) {
    struct strata_random random = strata_random_make(run->options->seed, index, STRATA_PURPOSE_JUDGE, 0, 0);
    return json_incref(json_array_get(options, strata_random_below(&random, 0, json_array_size(options))));
}

static int keep_verdict(struct court *court, struct pending *pending, struct strata_error *err) {
    struct evaluation *run = court->run;
    const struct strata_judging *judging = &pending->judging;
    const char *index = strata_eval_dataset_index(run->dataset, pending->number);
    json_t *result = judging->random_over ? drawn(run, judging->random_over, index) : json_incref(judging->result);
    json_t *record = json_pack("{s:o, s:o, s:i, s:b}", "result", result, "log",
                               json_stringn(strata_buffer_string(&judging->log), judging->log.length), "calls",
                               (int)judging->calls, "random", judging->random_over != NULL);
    int code = strata_journal_put(run->verdicts, index, record, err);
    close_case(court, pending);
    return code;
}

static int ask_judge(struct court *court, struct pending *pending, struct strata_error *err) {
    const struct evaluation *run = court->run;
    char *text = strata_strdup(strata_buffer_string(&pending->judging.prompt));
    const struct strata_message message = {STRATA_ROLE_USER, text};
    double temperature = pending->judging.temperature;
    const struct strata_request request = {
        .tag = pending->number,
        .sample_id = strata_eval_dataset_index(run->dataset, pending->number),
        .messages = &message,
        .message_count = 1,
        .sampling = {.temperature = temperature > 0 ? (float)temperature : 0,
                     .top_p = 1,
                     .repetition_penalty = 1,
                     .max_new_tokens = strata_judge_max_tokens(run->options->benchmark, run->options->kit)},
        .seed = run->options->seed,
        .purpose = STRATA_PURPOSE_JUDGE,
        .first_draw = pending->asked++,
        .draws = 1,
        .solution = ""};
    int code =
        text ? strata_engine_submit(run->judge, &request, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(text);
    return code;
}

/* Opens the next row without a verdict. */
static int open_case(struct court *court, struct strata_error *err) {
    struct evaluation *run = court->run;
    size_t number = court->next++;
    const char *index = strata_eval_dataset_index(run->dataset, number);
    struct pending *pending = &court->cases[number];
    bool found;
    if (run->left_out[number] || strata_journal_get(run->verdicts, index)) return 0;
    *pending = (struct pending){.number = number};
    int code = strata_eval_answered(&pending->row, &found, run, number, err);
    if (code || !found) return code;
    court->open++;
    code = strata_judging_begin(&pending->judging, pending->row, run->options->benchmark, run->options->kit,
                                run->judge != NULL, run->options->judge_texts, err);
    if (code) {
        close_case(court, pending);
        return strata_eval_reject(run, number, code, err);
    }
    return pending->judging.asking ? ask_judge(court, pending, err) : keep_verdict(court, pending, err);
}

static int hear(struct court *court, const struct strata_result *result, struct strata_error *err) {
    struct evaluation *run = court->run;
    struct pending *pending = &court->cases[result->tag];
    if (result->finish != STRATA_FINISH_STOP && result->finish != STRATA_FINISH_LENGTH) {
        run->last_failure = result->error;
        close_case(court, pending); /* stays without a verdict */
        return 0;
    }
    run->judge_calls++;
    struct strata_span reply = strata_span_strip((struct strata_span){result->text, result->text_length});
    if (!reply.length && ++pending->empty < EMPTY_MOST) return ask_judge(court, pending, err);
    if (!reply.length) reply = strata_span_of("Failed to obtain answer via API. ");
    pending->empty = 0;
    int code = strata_judging_reply(&pending->judging, reply.data, reply.length, err);
    if (code) return code;
    return pending->judging.asking ? ask_judge(court, pending, err) : keep_verdict(court, pending, err);
}

static int hold_court(struct court *court, struct strata_error *err) {
    struct evaluation *run = court->run;
    int code = 0;
    while (!code && (court->next < run->count || court->open)) {
        if (strata_eval_interrupted(run))
            return strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped; the same command goes on");
        bool room = !run->judge || strata_engine_has_room(run->judge, 1);
        if (court->next < run->count && room) {
            code = open_case(court, err);
        } else {
            struct strata_result result;
            bool got;
            code = strata_engine_poll(run->judge, &result, &got, err);
            if (!code && !got) code = strata_fail(err, STRATA_ERR_ENGINE, "the judge lost a question");
            if (!code) code = hear(court, &result, err);
            strata_result_free(&result);
        }
        strata_eval_progress(run, "verdicts", strata_journal_count(run->verdicts), run->count);
    }
    return code;
}

int strata_eval_judge(struct evaluation *run, struct strata_error *err) {
    struct court court = {.run = run};
    if (!run->facts->judge_tries) return 0;
    int code = strata_alloc(&court.cases, run->count, sizeof *court.cases, err);
    if (!code) code = hold_court(&court, err);
    for (size_t i = 0; i < run->count && court.open; i++) {
        if (court.cases[i].row) close_case(&court, &court.cases[i]);
    }
    free(court.cases);
    return code;
}
