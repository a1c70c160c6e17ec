#include "report/samples.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "data/sample.h"
#include "model/tokenizer.h"
#include "report/maps.h"
#include "report/thumbnail.h"

#define IMAGE_SIDE  256 /* pixels of the plain image, at most */
#define MASKED_SIDE 96  /* noise hardly compresses: these are most of the page */
#define TEXT_MOST   4096
#define TOKENS_MOST 512

struct browsing {
    struct strata_report_browser *out;
    struct strata_report_numbers *numbers;
    const struct strata_report_options *options;
    struct strata_dataset *dataset;
    struct strata_tokenizer *tokenizer;
    struct strata_mask mask;
    size_t patch_pixels;
    uint64_t seed; /* of the run */
    struct strata_buffer system;
    size_t image_bytes;
    /* The sample in hand. */
    struct strata_sample record; /* zeros without a data set */
    json_t *item;
    struct strata_cmab_masses masses;
    bool attempt_right;
};

/* A string that is UTF-8 and not too long, whatever the bytes. */
static json_t *text_value(const char *text, size_t length) {
    struct strata_buffer clean = {0};
    bool cut = length > TEXT_MOST;
    strata_utf8_append_lossy(&clean, text, cut ? TEXT_MOST : length);
    if (cut) strata_buffer_text(&clean, " \xE2\x80\xA6");
    json_t *value = clean.failed ? NULL : json_stringn(strata_buffer_string(&clean), clean.length);
    strata_buffer_free(&clean);
    return value;
}

static json_t *number_value(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

/* Four significant digits: the page is looked at, and it stays small. */
static json_t *rounded_value(double number) {
    char text[32];
    snprintf(text, sizeof text, "%.4g", number);
    return number_value(strtod(text, NULL));
}

static json_t *question_value(const struct strata_sample *sample) {
    struct strata_buffer text = {0};
    for (size_t i = 0; i < sample->message_count; i++) {
        if (sample->messages[i].role == STRATA_ROLE_SYSTEM) continue;
        if (text.length) strata_buffer_text(&text, "\n");
        for (const char *at = sample->messages[i].text, *mark; *at; at = mark) {
            mark = strstr(at, "<image>");
            if (!mark) mark = at + strlen(at);
            strata_buffer_append(&text, at, (size_t)(mark - at));
            if (*mark) mark += strlen("<image>");
        }
    }
    json_t *value = text.failed ? NULL : text_value(strata_buffer_string(&text), text.length);
    strata_buffer_free(&text);
    return value;
}

static int on_draw(void *context, const struct strata_stored_draw *draw, struct strata_error *err) {
    struct browsing *browsing = context;
    json_t *rows = json_object_get(browsing->item, "rows"), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        /* Only what the sequential rule reads; speculation is not part of the result. */
        if (json_integer_value(json_object_get(row, "tenths")) != draw->ratio ||
            draw->draw >= (unsigned)json_integer_value(json_object_get(row, "drawn")))
            continue;
        json_t *text = draw->response ? text_value(draw->response, draw->response_length) : json_null();
        json_t *value = json_pack("{s:b, s:b, s:o}", "right", draw->right, "cut", draw->truncated, "text", text);
        if (json_array_append_new(json_object_get(row, "draws"), value))
            return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    return 0;
}

/* Keeps the masses of the attempt that counts: the first, unless a later one is the first right one. */
static int on_attempt(void *context, const struct strata_stored_attempt *attempt, struct strata_error *err) {
    struct browsing *browsing = context;
    if (browsing->attempt_right || attempt->attempt >= browsing->numbers->cut.attempts || !attempt->masses) return 0;
    if (attempt->attempt > 0 && !attempt->right) return 0;
    browsing->attempt_right = attempt->right;
    strata_cmab_masses_free(&browsing->masses);
    return strata_cmab_unpack(&browsing->masses, attempt->masses, attempt->masses_length, "stored masses", err);
}

/* The response cut as the tokenizer cuts it, when that gives as many tokens as were generated (less a stop token). */
static int add_tokens(struct browsing *browsing, const struct strata_buffer *response, size_t N,
                      struct strata_error *err) {
    struct strata_tokens tokens = {0};
    if (!browsing->tokenizer || !strata_utf8_valid(response->data, response->length, &(size_t){0})) return 0;
    int code = strata_tokenizer_encode(browsing->tokenizer, &tokens, response->data, response->length, err);
    if (!code && (tokens.count == N || tokens.count + 1 == N) && tokens.count <= TOKENS_MOST) {
        json_t *list = json_array();
        for (size_t i = 0; i < tokens.count && tokens.end[i] <= response->length; i++)
            json_array_append_new(list, text_value(response->data + tokens.begin[i], tokens.end[i] - tokens.begin[i]));
        if (json_object_set_new(browsing->item, "tokens", list))
            code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    strata_tokens_free(&tokens);
    return code;
}

static int add_balance(struct browsing *browsing, const struct strata_stored_sample *sample,
                       const struct strata_evaluation *evaluation, struct strata_error *err) {
    struct strata_cmab_rho rho;
    double *rho_t;
    browsing->attempt_right = false;
    int code = strata_store_attempts(browsing->numbers->store, sample->index, on_attempt, browsing, err);
    size_t N = browsing->masses.N;
    if (code || N == 0) return code;
    rho_t = calloc(N, sizeof *rho_t);
    if (!rho_t) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    code = strata_cmab_rho(&rho, rho_t, NULL, &browsing->masses, &browsing->numbers->cut.cmab, err);
    if (!code && evaluation->rho.defined) {
        json_t *list = json_array();
        for (size_t i = 0; i < N && i < TOKENS_MOST; i++) json_array_append_new(list, rounded_value(rho_t[i]));
        json_object_set_new(browsing->item, "rho_t", list);
        json_object_set_new(browsing->item, "rho_tokens", json_integer((json_int_t)N));
        code = add_tokens(browsing, &evaluation->response, N, err);
    }
    free(rho_t);
    strata_cmab_masses_free(&browsing->masses);
    browsing->masses = (struct strata_cmab_masses){0};
    return code;
}

static int put_image(struct browsing *browsing, json_t *holder, const struct strata_image *image, size_t side,
                     struct strata_error *err) {
    struct strata_buffer url = {0};
    int code = strata_thumbnail(&url, image, side, err);
    if (!code && json_object_set_new(holder, "image", json_stringn(url.data, url.length)))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    browsing->image_bytes += url.length;
    strata_buffer_free(&url);
    return code;
}

/* The first image, and what draw 0 of each ratio saw of it. An image that cannot be read is left out: the numbers do
 * not need it. */
static int add_images(struct browsing *browsing, const char *id, struct strata_error *err) {
    const struct strata_image_source *source = browsing->record.images;
    struct strata_image image = {0}, masked = {0};
    struct strata_mask mask = browsing->mask;
    if (browsing->record.image_count == 0) return 0;
    bool full = browsing->image_bytes >= browsing->options->image_bytes;
    if (full || strata_image_source_load(&image, source, NULL)) {
        browsing->out->without_images++;
        return 0;
    }
    size_t side = browsing->patch_pixels ? browsing->patch_pixels : 1;
    mask.grid_rows = (image.height + side - 1) / side;
    mask.grid_columns = (image.width + side - 1) / side;
    int code = put_image(browsing, browsing->item, &image, IMAGE_SIDE, err);
    json_t *rows = json_object_get(browsing->item, "rows"), *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        unsigned tenths = (unsigned)json_integer_value(json_object_get(row, "tenths"));
        if (code || tenths == 0 || json_integer_value(json_object_get(row, "drawn")) == 0) continue;
        code = strata_image_copy(&masked, &image, err);
        if (!code) code = strata_image_mask(&masked, &mask, browsing->seed, id, tenths, 0, 0, err);
        if (!code) code = put_image(browsing, row, &masked, MASKED_SIDE, err);
        strata_image_free(&masked);
    }
    strata_image_free(&image);
    return code;
}

/* Of the first samples that have a balance and an image. */
static int add_map(struct browsing *browsing, const struct strata_evaluation *evaluation, struct strata_error *err) {
    struct strata_report_browser *out = browsing->out;
    struct strata_error reason = {0};
    json_t *map;
    if (!browsing->options->engine || out->maps + out->unmapped >= browsing->options->maps ||
        !evaluation->rho.defined || !json_object_get(browsing->item, "image"))
        return 0;
    int code = strata_report_map(&map, browsing->options->engine, &browsing->record, &evaluation->response,
                                 evaluation->rho.rho, &browsing->numbers->cut.cmab, &reason);
    if (code && err) *err = reason;
    if (code) return code;
    if (!map) {
        if (!out->unmapped++) snprintf(out->unmapped_reason, sizeof out->unmapped_reason, "%.199s", reason.what);
        return 0;
    }
    out->maps++;
    return json_object_set_new(browsing->item, "map", map) ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory") : 0;
}

static json_t *curve_value(const struct strata_pism_outcome *outcome) {
    json_t *rows = json_array();
    for (unsigned i = 0; i < outcome->curve_count; i++) {
        const struct strata_curve_entry *entry = &outcome->curve[i];
        if (entry->drawn == 0) continue;
        json_array_append_new(rows, json_pack("{s:i, s:i, s:i, s:[]}", "tenths", (int)entry->tenths, "right",
                                              (int)entry->right, "drawn", (int)entry->drawn, "draws"));
    }
    return rows;
}

static int on_sample(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct browsing *browsing = context;
    struct strata_report_numbers *numbers = browsing->numbers;
    struct strata_evaluation *evaluation = &numbers->evaluation;
    int code = strata_evaluate(evaluation, numbers->store, sample, &numbers->cut, numbers->metrics, err);
    if (code) return code;
    const struct strata_buffer *response = &evaluation->response;
    bool answered = evaluation->attempts > 0;
    browsing->item = json_pack(
        "{s:o, s:o, s:s, s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:i}", "id",
        text_value(sample->id, strlen(sample->id)), "ability", text_value(sample->ability, strlen(sample->ability)),
        "pism", strata_stratum_name(evaluation->pism), "cmab", strata_stratum_name(evaluation->cmab), "star",
        evaluation->outcome.lambda_star, "right", (int)evaluation->plain_right, "drawn", (int)evaluation->plain_drawn,
        "answer", answered ? json_boolean(evaluation->correct) : json_null(), "response",
        answered ? text_value(strata_buffer_string(response), response->length) : json_null(), "rho",
        evaluation->rho.defined ? rounded_value(evaluation->rho.rho) : json_null(), "rows",
        curve_value(&evaluation->outcome), "images", (int)sample->images);
    if (json_array_append_new(browsing->out->samples, browsing->item))
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (browsing->dataset) {
        json_object_set_new(browsing->item, "question", question_value(&browsing->record));
        json_object_set_new(browsing->item, "gold",
                            text_value(browsing->record.solution, strlen(browsing->record.solution)));
    }
    code = strata_store_draws(numbers->store, sample->index, on_draw, browsing, err);
    if (!code && numbers->metrics & STRATA_METRIC_CMAB) code = add_balance(browsing, sample, evaluation, err);
    if (!code && browsing->dataset) code = add_images(browsing, sample->id, err);
    return code ? code : add_map(browsing, evaluation, err);
}

static int read_setting(struct strata_buffer *out, const struct browsing *browsing, const char *name,
                        struct strata_error *err) {
    bool found;
    return strata_store_setting(browsing->numbers->store, name, out, &found, err);
}

/* The masks of the run, as difficulty/settings.c wrote them down. */
static int read_mask(struct browsing *browsing, struct strata_error *err) {
    struct strata_buffer text = {0};
    unsigned fill[3] = {0};
    int code = read_setting(&text, browsing, "mask", err);
    if (!code && strcmp(strata_buffer_string(&text), "rectangle") == 0) browsing->mask.kind = STRATA_MASK_RECTANGLE;
    if (!code && strcmp(strata_buffer_string(&text), "patch") == 0) browsing->mask.kind = STRATA_MASK_PATCH;
    if (!code) code = read_setting(&text, browsing, "mask fill", err);
    browsing->mask.fill_mean = !code && strcmp(strata_buffer_string(&text), "mean") == 0;
    if (!code && sscanf(strata_buffer_string(&text), "%3u,%3u,%3u", &fill[0], &fill[1], &fill[2]) == 3)
        for (int c = 0; c < 3; c++) browsing->mask.fill[c] = (uint8_t)fill[c];
    if (!code) code = read_setting(&text, browsing, "mask patch", err);
    if (!code) browsing->patch_pixels = strtoul(strata_buffer_string(&text), NULL, 10);
    if (!code) code = read_setting(&text, browsing, "seed", err);
    if (!code) browsing->seed = strtoull(strata_buffer_string(&text), NULL, 10);
    strata_buffer_free(&text);
    return code;
}

/* Opens the data set when its content is that which was scored; otherwise that is an error if the user named it, and a
 * note if not. */
static int open_data(struct browsing *browsing, struct strata_error *err) {
    struct strata_buffer path = {0}, expected = {0}, missing = {0}, *system = &browsing->system;
    struct strata_hash hash = {0};
    struct strata_error trouble = {0};
    char found[33];
    int code = read_setting(&expected, browsing, STRATA_RUN_DATA_HASH, err);
    if (!code) code = read_setting(&path, browsing, STRATA_RUN_DATA, err);
    if (!code) code = read_setting(&missing, browsing, STRATA_RUN_MISSING_IMAGE, err);
    if (!code) code = read_setting(system, browsing, STRATA_RUN_SYSTEM, err);
    const char *name = browsing->options->data ? browsing->options->data : strata_buffer_string(&path);
    if (!code) {
        int failed = strata_dataset_hash(&hash, name, &trouble);
        strata_hash_text(found, hash);
        if (!failed && strcmp(found, strata_buffer_string(&expected)) != 0) {
            strata_fail(&trouble, STRATA_ERR_STATE, "the data set has changed since the run was made");
            failed = strata_fail_at(&trouble, STRATA_ERR_STATE, "%s", name);
        }
        struct strata_dataset_options options = {.skip_bad = true,
                                                 .prepend_missing_image =
                                                     strcmp(strata_buffer_string(&missing), "prepend") == 0,
                                                 .system = system->length ? strata_buffer_string(system) : NULL};
        if (!failed) failed = strata_dataset_open(&browsing->dataset, name, &options, &trouble);
        browsing->out->has_data = !failed;
        snprintf(browsing->out->note, sizeof browsing->out->note, "%s", trouble.what);
        if (failed && browsing->options->data) {
            if (err) *err = trouble;
            code = failed;
        }
    }
    strata_buffer_free(&path);
    strata_buffer_free(&expected);
    strata_buffer_free(&missing);
    return code;
}

static int open_tokenizer(struct browsing *browsing, struct strata_error *err) {
    if (!browsing->options->model) return 0;
    char *path = strata_path_join(browsing->options->model, "tokenizer.json");
    int code = path ? strata_tokenizer_open(&browsing->tokenizer, path, err)
                    : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    return code;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Moves the data set on to the record at `place`. */
static int find_record(struct browsing *browsing, size_t place, struct strata_error *err) {
    bool got = true;
    if (!browsing->dataset) return 0;
    for (;;) {
        int code = strata_dataset_next(browsing->dataset, &browsing->record, &got, err);
        if (code) return code;
        if (!got) {
            browsing->record = (struct strata_sample){0};
            return strata_fail(err, STRATA_ERR_STATE, "sample %zu of the run is not in the data set", place);
        }
        if (browsing->record.index == place) return 0;
        strata_sample_free(&browsing->record);
        browsing->record = (struct strata_sample){0};
    }
}

int strata_report_samples(struct strata_report_browser *out, struct strata_report_numbers *numbers,
                          const struct strata_report_options *options, struct strata_error *err) {
    struct browsing browsing = {.out = out, .numbers = numbers, .options = options};
    *out = (struct strata_report_browser){.samples = json_array()};
    int code = out->samples ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = read_mask(&browsing, err);
    if (!code) code = open_tokenizer(&browsing, err);
    if (!code) code = open_data(&browsing, err);
    size_t count = numbers->place_count < options->samples ? numbers->place_count : options->samples;
    if (!code && count) {
        struct strata_random random = strata_random_make(options->seed, "report", STRATA_PURPOSE_SELECT, 0, 0);
        strata_random_shuffle(&random, numbers->places, numbers->place_count);
        qsort(numbers->places, count, sizeof *numbers->places, ascending);
    }
    for (size_t i = 0; i < count && !code; i++) {
        bool found;
        code = find_record(&browsing, numbers->places[i], err);
        if (!code) code = strata_store_sample(numbers->store, numbers->places[i], &found, on_sample, &browsing, err);
        if (browsing.record.id) strata_sample_free(&browsing.record);
        browsing.record = (struct strata_sample){0};
    }
    strata_cmab_masses_free(&browsing.masses);
    strata_tokenizer_close(browsing.tokenizer);
    strata_dataset_close(browsing.dataset);
    strata_buffer_free(&browsing.system);
    return code;
}
