#include "verify/verify_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

/* The first of the names that record has, as text. */
static int first_text(const char **text, size_t *length, const json_t *record, const char *const *names,
                      const char *where, struct strata_error *err) {
    for (size_t k = 0; names[k]; k++) {
        const json_t *value = json_object_get(record, names[k]);
        if (!value || json_is_null(value)) continue;
        int rc = strata_json_string(text, record, names[k], true, where, err);
        *length = rc ? 0 : json_string_length(value);
        return rc;
    }
    strata_fail(err, STRATA_ERR_INPUT, "there is no \"%s\"", names[0]);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
}

static int read_size(double size[2], const json_t *record, const char *key, const char *where,
                     struct strata_error *err) {
    const json_t *value = json_object_get(record, key);
    if (!value || json_is_null(value)) return 0;
    for (size_t k = 0; k < 2; k++) {
        const json_t *side = json_array_get(value, k);
        if (json_array_size(value) != 2 || !json_is_number(side) || !(json_number_value(side) > 0)) {
            strata_fail(err, STRATA_ERR_INPUT, "\"%s\" must be [width, height] in pixels", key);
            return strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
        }
        size[k] = json_number_value(side);
    }
    return 0;
}

static int read_frame(struct strata_box_frame *frame, const json_t *record, const char *where,
                      struct strata_error *err) {
    const json_t *coordinates = json_object_get(record, "coordinates");
    const json_t *reward = json_object_get(record, "reward_model");
    const json_t *parameters = reward ? json_object_get(reward, "verifier_parm") : NULL;
    double original[2] = {frame->width, frame->height}, resized[2] = {frame->resized_width, frame->resized_height};
    if (json_is_true(json_object_get(record, "det_verifier_normalized")) ||
        json_is_true(json_object_get(parameters, "det_verifier_normalized"))) {
        frame->gold = STRATA_COORDINATES_RELATIVE;
        if (frame->answer == STRATA_COORDINATES_SAME) frame->answer = STRATA_COORDINATES_RELATIVE;
    }
    const char *gold = json_string_value(json_object_get(coordinates, "gold"));
    const char *answer = json_string_value(json_object_get(coordinates, "answer"));
    int rc = gold ? strata_coordinates_parse(&frame->gold, gold, err) : 0;
    if (!rc && answer) rc = strata_coordinates_parse(&frame->answer, answer, err);
    if (rc) {
        if (err) err->code = STRATA_ERR_INPUT;
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
    }
    rc = read_size(original, record, "image_size", where, err);
    if (!rc) rc = read_size(resized, record, "resized_size", where, err);
    frame->width = original[0];
    frame->height = original[1];
    frame->resized_width = resized[0];
    frame->resized_height = resized[1];
    return rc;
}

int strata_verify_record_input(struct strata_verify_input *out, const json_t *record,
                               const struct strata_verify_options *options, bool gold_only, const char *where,
                               struct strata_error *err) {
    static const char *const golds[] = {"solution", "ground_truth", "answer", NULL};
    static const char *const answers[] = {"completion", "response", "prediction", "output", NULL};
    *out = (struct strata_verify_input){.frame = options->frame};
    int rc = first_text(&out->solution, &out->solution_length, record, golds, where, err);
    if (!rc && gold_only) out->completion = "";
    if (!rc && !gold_only) rc = first_text(&out->completion, &out->completion_length, record, answers, where, err);
    if (!rc) rc = strata_json_string(&out->ability, record, "ability", false, where, err);
    if (!rc) rc = strata_json_string(&out->verifier, record, "verifier", false, where, err);
    if (!rc) rc = strata_json_string(&out->question, record, "question", false, where, err);
    if (!rc) rc = read_frame(&out->frame, record, where, err);
    if (!rc && !out->verifier) out->verifier = options->verifier;
    return rc;
}

static int grade(struct strata_verdict *verdict, const struct strata_verify_input *input,
                 const struct strata_verify_options *options, const char *where, struct strata_error *err) {
    int rc = options->custom ? strata_custom_grade(verdict, options->custom, input, err)
                             : strata_verify(verdict, input, options->mode, err);
    return rc ? strata_fail_at_default(err, rc, "%s", where) : 0;
}

int strata_verify_record(struct strata_verdict *verdict, json_t *record, const struct strata_verify_options *options,
                         const char *where, struct strata_error *err) {
    struct strata_verify_input input;
    int rc = strata_verify_record_input(&input, record, options, false, where, err);
    if (!rc) rc = grade(verdict, &input, options, where, err);
    if (rc) return rc;
    json_t *extracted = json_stringn(strata_buffer_string(&verdict->extracted), verdict->extracted.length);
    bool failed = json_object_set_new(record, "score", json_real(verdict->score)) ||
                  json_object_set_new(record, "correct", json_boolean(verdict->correct)) ||
                  json_object_set_new(record, "kind", json_string(verdict->kind)) ||
                  json_object_set_new(record, "extracted", extracted ? extracted : json_null()) ||
                  json_object_set_new(record, "reason", json_string(strata_buffer_string(&verdict->reason)));
    return failed ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory for a verdict") : 0;
}

/* What is done with each line. */
typedef int line_task(void *context, json_t *record, const char *where, struct strata_error *err);

/* Every line that is not blank; bad ones go to on_bad where there is one. `only`: that line alone (0: all). */
static int each_line(size_t *bad, const char *path, size_t only, line_task *task, void *task_context,
                     strata_verify_bad *on_bad, void *context, struct strata_error *err) {
    struct strata_map map;
    struct strata_error error = {0};
    size_t number = 0;
    bool found = false;
    *bad = 0;
    int rc = strata_map_open(&map, path, err);
    if (rc) return rc;
    for (size_t begin = 0; begin < map.size && !rc;) {
        const char *line = (const char *)map.data + begin, *end = memchr(line, '\n', map.size - begin);
        size_t length = end ? (size_t)(end - line) : map.size - begin;
        char where[384];
        json_t *record = NULL;
        begin += length + 1;
        number++;
        while (length && strchr(" \t\r", line[length - 1])) length--;
        if (!length || (only && number != only)) continue;
        found = true;
        snprintf(where, sizeof where, "%.300s:%zu", path, number);
        int status = strata_json_parse(&record, line, length, path, number, &error);
        if (!status && !json_is_object(record)) {
            strata_fail(&error, STRATA_ERR_INPUT, "a line must hold one JSON object");
            status = strata_fail_at(&error, STRATA_ERR_INPUT, "%s", where);
        }
        if (!status) status = task(task_context, record, where, &error);
        json_decref(record);
        if (status == STRATA_ERR_INPUT && on_bad) {
            on_bad(context, &error);
            (*bad)++;
        } else if (status) {
            if (err) *err = error;
            rc = status;
        }
    }
    strata_map_close(&map);
    if (!rc && only && !found) rc = strata_fail(err, STRATA_ERR_USAGE, "%s has no line %zu with a record", path, only);
    return rc;
}

struct grading {
    const struct strata_verify_options *options;
    struct strata_verify_summary *summary;
    struct strata_verdict verdict;
    struct strata_buffer *explanation;
    FILE *out;
    size_t checked;
};

static int grade_line(void *context, json_t *record, const char *where, struct strata_error *err) {
    struct grading *grading = context;
    int rc = strata_verify_record(&grading->verdict, record, grading->options, where, err);
    if (rc) return rc;
    grading->summary->graded++;
    grading->summary->correct += grading->verdict.correct;
    grading->summary->truncated += grading->verdict.truncated;
    grading->summary->score += grading->verdict.score;
    if (!grading->out) return 0;
    char *line = strata_json_line(record);
    if (!line) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory for a line");
    bool failed = fputs(line, grading->out) < 0 || fputc('\n', grading->out) == EOF;
    free(line);
    return failed ? strata_fail(err, STRATA_ERR_IO, "cannot write the graded lines") : 0;
}

int strata_verify_stream(struct strata_verify_summary *summary, FILE *out, const char *path,
                         const struct strata_verify_options *options, strata_verify_bad *on_bad, void *context,
                         struct strata_error *err) {
    struct grading grading = {.options = options, .summary = summary, .out = out};
    *summary = (struct strata_verify_summary){0};
    int rc = each_line(&summary->bad, path, 0, grade_line, &grading, on_bad, context, err);
    strata_verdict_free(&grading.verdict);
    return rc;
}

static int explain_line(void *context, json_t *record, const char *where, struct strata_error *err) {
    struct grading *grading = context;
    struct strata_verify_input input;
    int rc = strata_verify_record_input(&input, record, grading->options, false, where, err);
    input.steps = grading->explanation;
    if (!rc) rc = grade(&grading->verdict, &input, grading->options, where, err);
    if (rc) return rc;
    strata_buffer_printf(grading->explanation, "%s: score %g, %s (%s)\n", grading->verdict.kind, grading->verdict.score,
                         grading->verdict.correct ? "correct" : "not correct",
                         strata_buffer_string(&grading->verdict.reason));
    return strata_buffer_check(grading->explanation, err);
}

int strata_verify_explain(struct strata_buffer *out, const char *path, size_t number,
                          const struct strata_verify_options *options, struct strata_error *err) {
    struct grading grading = {.options = options, .explanation = out};
    size_t bad;
    if (!number) return strata_fail(err, STRATA_ERR_USAGE, "lines are counted from 1");
    int rc = each_line(&bad, path, number, explain_line, &grading, NULL, NULL, err);
    strata_verdict_free(&grading.verdict);
    return rc;
}

static int check_line(void *context, json_t *record, const char *where, struct strata_error *err) {
    struct grading *grading = context;
    struct strata_verify_input input;
    int rc = strata_verify_record_input(&input, record, grading->options, true, where, err);
    if (rc) return rc;
    grading->checked++;
    rc = strata_verify_check_gold(&input, grading->options->mode, err);
    return rc ? strata_fail_at_default(err, rc, "%s", where) : 0;
}

static void ignore(void *context, const struct strata_error *error) {
    (void)context;
    (void)error;
}

int strata_verify_check_file(size_t *checked, size_t *unusable, const char *path,
                             const struct strata_verify_options *options, strata_verify_bad *on_bad, void *context,
                             struct strata_error *err) {
    struct grading grading = {.options = options};
    int rc = each_line(unusable, path, 0, check_line, &grading, on_bad ? on_bad : ignore, context, err);
    *checked = grading.checked;
    return rc;
}
