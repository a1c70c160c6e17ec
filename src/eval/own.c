#include "eval/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "eval/journal.h"

struct own {
    const struct strata_eval_options *options;
    const char *data;
    struct strata_engine *engine;
    struct strata_dataset_options dataset;
    enum strata_verify_mode mode;
    struct strata_journal *answers;
    char *stem; /* "OUT/name" */
    size_t total, pending, truncated;
    struct strata_error last_failure;
    json_t *names; /* index -> id of requests in the air */
};

bool strata_eval_is_own(const char *name) {
    static const char *const ends[] = {".jsonl", ".json", ".csv", ".parquet", ".jsonl.gz", ".jsonl.zst"};
    if (strchr(name, '=')) return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strata_path_ends(name, ends[i])) return true;
    return false;
}

static char *stem_of(const char *out, const char *data) {
    const char *slash = strrchr(data, '/'), *name = slash ? slash + 1 : data, *dot = strrchr(name, '.');
    char *base = strndup(name, dot && dot != name ? (size_t)(dot - name) : strlen(name));
    char *path = base ? strata_path_join(out, base) : NULL;
    free(base);
    return path;
}

static int write_file(const struct own *own, const char *suffix, const struct strata_buffer *text,
                      struct strata_error *err) {
    struct strata_buffer path = {0};
    strata_buffer_printf(&path, "%s%s", own->stem, suffix);
    int code = strata_buffer_check(&path, err);
    if (!code) code = strata_buffer_check(text, err);
    if (!code) code = strata_file_write(path.data, strata_buffer_string(text), text->length, err);
    strata_buffer_free(&path);
    return code;
}

/* ---- asking ---- */

static int submit(struct own *own, const struct strata_sample *sample, struct strata_error *err) {
    struct strata_image *images = NULL;
    size_t count = 0;
    int code = strata_alloc(&images, sample->image_count, sizeof *images, err);
    for (; count < sample->image_count && !code; count++) {
        const struct strata_image_source *source = &sample->images[count];
        code = strata_image_source_load(&images[count], source, err);
        if (code) break;
    }
    char tag[32];
    snprintf(tag, sizeof tag, "%zu", sample->index);
    const struct strata_request request = {.tag = sample->index,
                                           .sample_id = sample->id,
                                           .messages = sample->messages,
                                           .message_count = sample->message_count,
                                           .images = images,
                                           .image_count = count,
                                           .sampling = own->options->sampling,
                                           .seed = own->options->seed,
                                           .purpose = STRATA_PURPOSE_TOKEN,
                                           .draws = 1,
                                           .solution = sample->solution};
    if (!code) code = strata_engine_submit(own->engine, &request, err);
    if (!code && json_object_set_new(own->names, tag, json_string(sample->id)))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code) strata_fail_at_record(err, code, sample->where, sample->id);
    for (size_t i = 0; i < count; i++) strata_image_free(&images[i]);
    free(images);
    return code;
}

static int take(struct own *own, bool *got, struct strata_error *err) {
    struct strata_result result;
    struct strata_buffer text = {0};
    char tag[32];
    int code = strata_engine_poll(own->engine, &result, got, err);
    if (code || !*got) return code;
    snprintf(tag, sizeof tag, "%llu", (unsigned long long)result.tag);
    if (result.finish == STRATA_FINISH_ERROR) own->last_failure = result.error;
    if (result.finish == STRATA_FINISH_STOP || result.finish == STRATA_FINISH_LENGTH) {
        strata_utf8_append_lossy(&text, result.text, result.text_length);
        json_t *record =
            json_pack("{s:o, s:b, s:I}", "prediction", json_stringn(strata_buffer_string(&text), text.length),
                      "truncated", result.finish == STRATA_FINISH_LENGTH, "tokens", (json_int_t)result.N);
        code = strata_journal_put(own->answers, json_string_value(json_object_get(own->names, tag)), record, err);
    }
    json_object_del(own->names, tag);
    strata_buffer_free(&text);
    strata_result_free(&result);
    if (own->options->on_progress)
        own->options->on_progress(own->options->context, "answers", strata_journal_count(own->answers), own->total);
    return code;
}

static int ask(struct own *own, struct strata_error *err) {
    struct strata_dataset *dataset;
    struct strata_sample sample;
    bool more = true, got = true;
    int code = strata_dataset_open(&dataset, own->data, &own->dataset, err);
    if (code) return code;
    while (!code && (more || got)) {
        if (own->options->interrupt && *own->options->interrupt) {
            code = strata_fail(err, STRATA_ERR_INTERRUPTED, "stopped; the same command goes on");
        } else if (more && strata_engine_has_room(own->engine, 1)) {
            code = strata_dataset_next(dataset, &sample, &more, err);
            if (code || !more) continue;
            if (!strata_journal_get(own->answers, sample.id)) code = submit(own, &sample, err);
            strata_sample_free(&sample);
        } else {
            code = take(own, &got, err);
        }
    }
    strata_dataset_close(dataset);
    return code;
}

/* ---- grading ---- */

/* The question's text, for telling how many choices there are. */
static const char *question_of(const struct strata_sample *sample) {
    for (size_t i = sample->message_count; i-- > 0;) {
        if (sample->messages[i].role == STRATA_ROLE_USER) return sample->messages[i].text;
    }
    return NULL;
}

static void count_ability(json_t *abilities, const char *ability, bool correct, double score) {
    json_t *entry = json_object_get(abilities, ability);
    if (!entry) {
        entry = json_pack("{s:i, s:i, s:f}", "rows", 0, "correct", 0, "score", 0.0);
        json_object_set_new(abilities, ability, entry);
    }
    json_integer_set(json_object_get(entry, "rows"), json_integer_value(json_object_get(entry, "rows")) + 1);
    json_integer_set(json_object_get(entry, "correct"),
                     json_integer_value(json_object_get(entry, "correct")) + correct);
    json_real_set(json_object_get(entry, "score"), json_real_value(json_object_get(entry, "score")) + score);
}

static int grade(struct own *own, json_t *abilities, struct strata_buffer *rows, const struct strata_sample *sample,
                 struct strata_verdict *verdict, struct strata_error *err) {
    const json_t *answer = strata_journal_get(own->answers, sample->id), *text = json_object_get(answer, "prediction");
    own->total++;
    if (!answer) {
        own->pending++;
        return 0;
    }
    const struct strata_verify_input input = {.solution = sample->solution,
                                              .solution_length = strlen(sample->solution),
                                              .completion = json_string_value(text),
                                              .completion_length = json_string_length(text),
                                              .ability = sample->ability,
                                              .verifier = *sample->verifier ? sample->verifier : NULL,
                                              .question = question_of(sample)};
    int code = strata_verify(verdict, &input, own->mode, err);
    if (code) return strata_fail_at_default(err, code, "%s", sample->where);
    own->truncated += json_is_true(json_object_get(answer, "truncated")) || verdict->truncated;
    count_ability(abilities, "all", verdict->correct, verdict->score);
    if (*sample->ability) count_ability(abilities, sample->ability, verdict->correct, verdict->score);
    json_t *row = json_pack("{s:s, s:s, s:s, s:O, s:f, s:b, s:s}", "id", sample->id, "ability", sample->ability,
                            "solution", sample->solution, "prediction", text, "score", verdict->score, "correct",
                            verdict->correct, "grader", verdict->kind ? verdict->kind : "none");
    if (!row) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    strata_json_write(rows, row);
    strata_buffer_byte(rows, '\n');
    json_decref(row);
    return 0;
}

static int grade_all(struct own *own, json_t *abilities, struct strata_buffer *rows, struct strata_error *err) {
    struct strata_dataset *dataset;
    struct strata_verdict verdict = {0};
    struct strata_sample sample;
    bool got = true;
    int code = strata_dataset_open(&dataset, own->data, &own->dataset, err);
    if (code) return code;
    own->total = 0;
    for (code = strata_dataset_next(dataset, &sample, &got, err); !code && got;) {
        code = grade(own, abilities, rows, &sample, &verdict, err);
        strata_sample_free(&sample);
        if (!code) code = strata_dataset_next(dataset, &sample, &got, err);
    }
    strata_verdict_free(&verdict);
    strata_dataset_close(dataset);
    return code;
}

static int report(json_t **result, struct own *own, json_t *abilities, const struct strata_buffer *rows,
                  struct strata_error *err) {
    struct strata_buffer text = {0}, table = {0};
    const char *name;
    json_t *entry;
    strata_buffer_text(&table, "ability,rows,accuracy,score\n");
    json_object_foreach(abilities, name, entry) {
        double count = (double)json_integer_value(json_object_get(entry, "rows"));
        double accuracy = (double)json_integer_value(json_object_get(entry, "correct")) / count;
        double score = json_real_value(json_object_get(entry, "score")) / count;
        json_object_set_new(entry, "accuracy", json_real(accuracy));
        json_object_set_new(entry, "score", json_real(score));
        strata_buffer_printf(&table, "%s,%.0f,%.6f,%.6f\n", name, count, accuracy, score);
    }
    *result = json_pack("{s:s, s:I, s:I, s:I, s:s, s:s, s:O}", "benchmark", own->data, "rows", (json_int_t)own->total,
                        "pending", (json_int_t)own->pending, "truncated", (json_int_t)own->truncated, "engine",
                        strata_engine_identity(own->engine), "grading", strata_verify_mode_name(own->mode), "metrics",
                        abilities);
    if (!*result) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    strata_json_write(&text, *result);
    strata_buffer_byte(&text, '\n');
    int code = write_file(own, ".json", &text, err);
    if (!code) code = write_file(own, ".csv", &table, err);
    if (!code) code = write_file(own, ".rows.jsonl", rows, err);
    strata_buffer_free(&text);
    strata_buffer_free(&table);
    return code;
}

/* ---- the whole ---- */

static int open_answers(struct own *own, struct strata_error *err) {
    const struct strata_sampling *sampling = &own->options->sampling;
    struct strata_hash hash;
    struct strata_buffer path = {0};
    char text[33];
    int code = strata_dataset_hash(&hash, own->data, err);
    if (code) return code;
    strata_hash_text(text, hash);
    strata_buffer_printf(&path, "%s.answers.jsonl", own->stem);
    json_t *settings =
        json_pack("{s:s, s:s, s:s, s:f, s:f, s:i, s:f, s:i, s:I}", "data", text, "engine",
                  strata_engine_identity(own->engine), "system", own->dataset.system ? own->dataset.system : "",
                  "temperature", (double)sampling->temperature, "top-p", (double)sampling->top_p, "top-k",
                  (int)sampling->top_k, "repetition-penalty", (double)sampling->repetition_penalty, "max-new-tokens",
                  (int)sampling->max_new_tokens, "seed", (json_int_t)own->options->seed);
    code = settings && !path.failed ? strata_journal_open(&own->answers, path.data, settings, false, err)
                                    : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    json_decref(settings);
    strata_buffer_free(&path);
    return code;
}

int strata_evaluate_own(json_t **result, struct strata_engine *engine, const char *data,
                        const struct strata_dataset_options *dataset, enum strata_verify_mode mode,
                        const struct strata_eval_options *options, struct strata_error *err) {
    struct own own = {.options = options,
                      .data = data,
                      .engine = engine,
                      .dataset = *dataset,
                      .mode = mode,
                      .stem = stem_of(options->out, data),
                      .names = json_object()};
    struct strata_buffer rows = {0};
    json_t *abilities = json_object();
    *result = NULL;
    int code = own.stem && own.names && abilities ? strata_make_directories(options->out, err)
                                                  : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_dataset_count(&own.total, data, err);
    if (!code) code = open_answers(&own, err);
    if (!code) code = ask(&own, err);
    if (!code) code = grade_all(&own, abilities, &rows, err);
    if (!code) code = report(result, &own, abilities, &rows, err);
    if (!code && own.pending) {
        code = strata_fail(err, STRATA_ERR_ENGINE, "%zu of %zu rows are pending: %.300s", own.pending, own.total,
                           own.last_failure.what);
        strata_fail_hint(err, code, "run again to finish them; the score counts only the others");
    }
    int closed = strata_journal_close(own.answers, code ? NULL : err);
    if (!code) code = closed;
    strata_buffer_free(&rows);
    json_decref(abilities);
    json_decref(own.names);
    free(own.stem);
    return code;
}
