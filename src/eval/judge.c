#include "eval/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* ---- prompts ---- */

bool strata_judge_chinese(const json_t *row) {
    const json_t *question = json_object_get(row, "question");
    const char *text = json_string_value(question);
    size_t length = json_string_length(question);
    for (size_t at = 0; at < length;) {
        int32_t code;
        at += strata_utf8_next(&code, text + at, length - at);
        if (code >= 0x4E00 && code <= 0x9FFF) return true;
    }
    return false;
}

unsigned strata_judge_max_tokens(enum strata_benchmark benchmark, enum strata_kit kit) {
    if (benchmark == STRATA_MATHVISTA) return 128;
    return benchmark == STRATA_MMVET && kit != STRATA_KIT_HEAD ? 3 : 2048;
}

/* The truth of MM-Vet with a blank on both sides of every <AND> and <OR>. */
static void spaced_answer(struct strata_buffer *out, const json_t *answer) {
    struct strata_buffer text = {0};
    strata_python_cell(&text, answer);
    struct strata_span span = {strata_buffer_string(&text), text.length};
    for (size_t at = 0; at < span.length;) {
        const char *mark = strata_span_at(span, at, "<AND>")  ? "<AND>"
                           : strata_span_at(span, at, "<OR>") ? "<OR>"
                                                              : NULL;
        if (mark) {
            strata_buffer_printf(out, " %s ", mark);
            at += strlen(mark);
        } else {
            strata_buffer_byte(out, (unsigned char)span.data[at++]);
        }
    }
    out->failed = out->failed || text.failed;
    strata_buffer_free(&text);
}

static int choice_tail(struct strata_buffer *out, const json_t *row, const json_t *question, const json_t *prediction,
                       bool chinese, struct strata_error *err) {
    struct strata_choices choices = {0};
    int code = strata_choices_from_row(&choices, row, err);
    strata_python_cell(out, question);
    strata_buffer_text(out, chinese ? "?\n选项: There are several options: \n"
                                    : "?\nOptions: There are several options: \n");
    for (size_t i = 0; i < choices.count; i++) {
        strata_buffer_printf(out, "%s. ", choices.items[i].key);
        strata_buffer_append(out, choices.items[i].text, choices.items[i].length);
        strata_buffer_byte(out, '\n');
    }
    strata_buffer_text(out, chinese ? "\n答案: " : "\nAnswer: ");
    strata_python_cell(out, prediction);
    strata_buffer_text(out, chinese ? "\n输出: " : "\nYour output: ");
    strata_choices_free(&choices);
    return code;
}

int strata_judge_tail(struct strata_buffer *out, const json_t *row, enum strata_benchmark benchmark, bool chinese,
                      struct strata_error *err) {
    const json_t *question, *prediction, *answer;
    int code = strata_row_cell(&question, row, "question", err);
    if (!code) code = strata_row_cell(&prediction, row, "prediction", err);
    if (code) return code;
    bool joined = benchmark == STRATA_MATHVISTA || benchmark == STRATA_MMVET; /* with +, which takes texts only */
    if (joined && !json_is_string(question))
        return strata_fail(err, STRATA_ERR_INPUT, "TypeError: the question is no text");
    switch (benchmark) {
    case STRATA_MATHVISTA:
        strata_python_cell(out, question);
        strata_buffer_text(out, "\nModel respone: "); /* sic: the kit's spelling */
        strata_python_cell(out, prediction);
        strata_buffer_text(out, "Extracted answer:");
        break;
    case STRATA_MMVET:
        code = strata_row_cell(&answer, row, "answer", err);
        if (code) return code;
        strata_python_cell(out, question);
        strata_buffer_text(out, " | ");
        spaced_answer(out, answer);
        strata_buffer_text(out, " | ");
        strata_python_cell(out, prediction);
        strata_buffer_text(out, " | ");
        break;
    case STRATA_HALLUSIONBENCH:
        strata_python_cell(out, question);
        strata_buffer_text(out, "?\nAnswer: ");
        strata_python_cell(out, prediction);
        strata_buffer_text(out, "\nYour output: ");
        break;
    default:
        code = choice_tail(out, row, question, prediction, chinese, err);
        break;
    }
    return code ? code : strata_buffer_check(out, err);
}

int strata_judge_prompt(struct strata_buffer *out, const json_t *row, enum strata_benchmark benchmark,
                        const struct strata_judge_texts *texts, struct strata_error *err) {
    bool chinese = strata_benchmarks[benchmark].choices && strata_judge_chinese(row);
    const char *head = benchmark == STRATA_MATHVISTA        ? texts->mathvista
                       : benchmark == STRATA_MMVET          ? texts->mmvet
                       : benchmark == STRATA_HALLUSIONBENCH ? texts->yes_no
                       : chinese                            ? texts->choice_chinese
                                                            : texts->choice_english;
    strata_buffer_text(out, head);
    return strata_judge_tail(out, row, benchmark, chinese, err);
}

/* ---- the state machine ---- */

void strata_judging_free(struct strata_judging *judging) {
    strata_buffer_free(&judging->prompt);
    strata_buffer_free(&judging->log);
    strata_choices_free(&judging->choices);
    json_decref(judging->result);
    json_decref(judging->random_over);
    *judging = (struct strata_judging){0};
}

static int settle(struct strata_judging *judging, json_t *result, struct strata_error *err) {
    judging->asking = false;
    judging->result = result;
    return result ? strata_buffer_check(&judging->log, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int begin_choice(struct strata_judging *judging, bool judge, struct strata_error *err) {
    const json_t *prediction;
    const char *key = NULL;
    struct strata_buffer text = {0};
    int code = strata_choices_from_row(&judging->choices, judging->row, err);
    if (!code) code = strata_row_cell(&prediction, judging->row, "prediction", err);
    if (!code) {
        strata_python_cell(&text, prediction);
        struct strata_span answer = {strata_buffer_string(&text), text.length};
        code = strata_infer(&key, answer, &judging->choices, judging->kit, err);
    }
    if (!code && key) {
        strata_buffer_append(&judging->log, strata_buffer_string(&text), text.length);
        code = settle(judging, json_string(key), err);
    } else if (!code && !judge) {
        strata_buffer_text(&judging->log,
                           "Failed in Prefetch, no GPT-based answer matching under `exact_matching` policy.");
        code = settle(judging, json_string("Z"), err);
    }
    strata_buffer_free(&text);
    return code;
}

static int begin_yes_no(struct strata_judging *judging, bool judge, struct strata_error *err) {
    const json_t *prediction;
    struct strata_buffer text = {0};
    int code = strata_row_cell(&prediction, judging->row, "prediction", err);
    if (code) return code;
    strata_python_cell(&text, prediction);
    const char *answer = strata_yes_or_no((struct strata_span){strata_buffer_string(&text), text.length});
    strata_buffer_free(&text);
    if (!answer) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    return strcmp(answer, "Unknown") != 0 || !judge ? settle(judging, json_string(answer), err) : 0;
}

/* Python's truth of a value. */
static bool truthy(const json_t *value) {
    if (json_is_number(value)) return json_number_value(value) != 0;
    return json_is_true(value) || json_string_length(value) > 0;
}

static int begin_mathvista(struct strata_judging *judging, struct strata_error *err) {
    json_t *value;
    int code = strata_mathvista_check(&value, judging->row, true, judging->kit, err);
    if (code) return code;
    if (truthy(value)) {
        strata_buffer_text(&judging->log, "Prefetch succeed");
        return settle(judging, value, err);
    }
    json_decref(value);
    return 0;
}

int strata_judging_begin(struct strata_judging *judging, const json_t *row, enum strata_benchmark benchmark,
                         enum strata_kit kit, bool judge, const struct strata_judge_texts *texts,
                         struct strata_error *err) {
    const struct strata_benchmark_facts *facts = &strata_benchmarks[benchmark];
    *judging = (struct strata_judging){.benchmark = benchmark, .kit = kit, .row = row, .asking = true};
    if (facts->needs_judge && !judge)
        return strata_fail(err, STRATA_ERR_USAGE, "%s cannot be scored without a judge", facts->name);
    if (!facts->judge_tries) return strata_fail(err, STRATA_ERR_USAGE, "%s is scored without a judge", facts->name);
    int code = judge ? strata_judge_prompt(&judging->prompt, row, benchmark, texts, err) : 0;
    if (!code && facts->choices) code = begin_choice(judging, judge, err);
    if (!code && benchmark == STRATA_HALLUSIONBENCH) code = begin_yes_no(judging, judge, err);
    if (!code && benchmark == STRATA_MATHVISTA) code = begin_mathvista(judging, err);
    judging->temperature = facts->choices ? -1 : 0;
    if (code) strata_judging_free(judging);
    return code;
}

static int reply_choice(struct strata_judging *judging, struct strata_span reply, struct strata_error *err) {
    const char *key = NULL;
    bool failed = strata_span_find(reply, strata_api_failed, 0) != STRATA_NOT_FOUND;
    int code = failed ? 0 : strata_infer(&key, reply, &judging->choices, judging->kit, err);
    if (code || !key) return code;
    strata_buffer_append(&judging->log, reply.data, reply.length);
    return settle(judging, json_string(key), err);
}

/* Out of tries: the kit draws an option or Z at random. */
static int draw_choice(struct strata_judging *judging, struct strata_error *err) {
    judging->random_over = json_array();
    for (size_t i = 0; i < judging->choices.count; i++) {
        if (strcmp(judging->choices.items[i].key, "Z") == 0)
            return strata_fail(err, STRATA_ERR_INPUT, "IndexError: with an option Z there is nothing to draw from");
        json_array_append_new(judging->random_over, json_string(judging->choices.items[i].key));
    }
    if (json_array_append_new(judging->random_over, json_string("Z")))
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    strata_buffer_text(&judging->log, "Failed to predict, thus randomly generate one. ");
    judging->asking = false;
    return strata_buffer_check(&judging->log, err);
}

static int reply_score(struct strata_judging *judging, struct strata_span reply, struct strata_error *err) {
    double score;
    if (strata_python_float(&score, reply) && !(score < 0 || score > 1)) {
        strata_buffer_text(&judging->log, "Succeed");
        return settle(judging, isnan(score) ? json_null() : json_real(score), err);
    }
    strata_buffer_printf(&judging->log, "Try %u: output is ", judging->calls - 1);
    strata_buffer_append(&judging->log, reply.data, reply.length);
    if (strata_python_float(&score, reply)) {
        strata_buffer_text(&judging->log, ", invalid score: ");
        strata_python_float_repr(&judging->log, score);
        strata_buffer_text(&judging->log, ".\n");
    } else {
        strata_buffer_text(&judging->log, ", failed to parse.\n");
    }
    return 0;
}

static int reply_extracted(struct strata_judging *judging, struct strata_span reply, struct strata_error *err) {
    if (strata_span_find(reply, "Failed to obtain answer via API.", 0) == STRATA_NOT_FOUND) {
        strata_buffer_text(&judging->log, "Succeed");
        return settle(judging, json_stringn(reply.data ? reply.data : "", reply.length), err);
    }
    strata_buffer_printf(&judging->log, "Try %u: output is ", judging->calls - 1);
    strata_python_cell(&judging->log, json_object_get(judging->row, "prediction"));
    strata_buffer_text(&judging->log, ", failed to parse.\n");
    return 0;
}

static int give_up(struct strata_judging *judging, struct strata_error *err) {
    if (strata_benchmarks[judging->benchmark].choices) return draw_choice(judging, err);
    if (judging->benchmark == STRATA_HALLUSIONBENCH) return settle(judging, json_string("Unknown"), err);
    strata_buffer_text(&judging->log, "All 5 retries failed.\n");
    return settle(judging, judging->benchmark == STRATA_MMVET ? json_real(0) : json_string(""), err);
}

int strata_judging_reply(struct strata_judging *judging, const char *reply, size_t length, struct strata_error *err) {
    const struct strata_benchmark_facts *facts = &strata_benchmarks[judging->benchmark];
    struct strata_span text = {reply, length};
    int code = 0;
    judging->calls++;
    if (facts->choices) {
        code = reply_choice(judging, text, err);
    } else if (judging->benchmark == STRATA_HALLUSIONBENCH) {
        const char *answer = strata_yes_or_no(text);
        if (!answer) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        if (strcmp(answer, "Unknown") != 0) code = settle(judging, json_string(answer), err);
    } else if (judging->benchmark == STRATA_MMVET) {
        code = reply_score(judging, text, err);
    } else {
        code = reply_extracted(judging, text, err);
    }
    if (code || !judging->asking) return code;
    if (!facts->choices) judging->temperature = 0.5 * judging->calls;
    return judging->calls == facts->judge_tries ? give_up(judging, err) : strata_buffer_check(&judging->log, err);
}
