/* The chosen records, in data order, and a manifest that says how they were chosen. */
#include "study/select_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/export.h"
#include "difficulty/evaluate.h"
#include "study/launch.h"

/* Where the records come from. */
struct origin {
    char *data;   /* path of the data set */
    char *system; /* what was said where a record has no system turn */
    char hash[33];
    bool prepend;
    bool absolute; /* image paths were made absolute */
};

static void origin_free(struct origin *origin) {
    free(origin->data);
    free(origin->system);
}

/* Setting `name` of the run as an owned text; "" when there is none. */
static int setting_text(char **out, struct strata_store *store, const char *name, struct strata_error *err) {
    struct strata_buffer value = {0};
    bool found;
    int code = strata_store_setting(store, name, &value, &found, err);
    *out = code ? NULL : strata_strdup(strata_buffer_string(&value));
    strata_buffer_free(&value);
    return code || *out ? code : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int find_origin(struct origin *origin, const struct strata_selection *selection, struct strata_error *err) {
    const struct strata_select_options *options = selection->options;
    struct strata_hash hash = {0};
    char *expected = NULL, *missing = NULL;
    int code = 0;
    if (options->data)
        origin->data = strata_strdup(options->data);
    else
        code = setting_text(&origin->data, selection->store, STRATA_RUN_DATA, err);
    if (!code && !origin->data) code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = setting_text(&expected, selection->store, STRATA_RUN_DATA_HASH, err);
    if (!code) code = setting_text(&origin->system, selection->store, STRATA_RUN_SYSTEM, err);
    if (!code) code = setting_text(&missing, selection->store, STRATA_RUN_MISSING_IMAGE, err);
    if (!code) code = strata_dataset_hash(&hash, origin->data, err);
    if (!code) {
        strata_hash_text(origin->hash, hash);
        origin->prepend = strcmp(missing, "prepend") == 0;
        if (strcmp(origin->hash, expected) != 0) {
            strata_fail(err, STRATA_ERR_STATE, "the data set has changed since the run was made");
            strata_fail_at(err, STRATA_ERR_STATE, "%s", origin->data);
            code = strata_fail_hint(err, STRATA_ERR_STATE, "give the data set that was scored, or score this one");
        }
    }
    free(expected);
    free(missing);
    return code;
}

/* The answer whose balance was measured, as the record's `response`, where it is right. */
struct responding {
    const struct strata_selection *selection;
    struct strata_evaluation evaluation;
    json_t *record; /* borrowed */
};

static int on_stored(void *context, const struct strata_stored_sample *sample, struct strata_error *err) {
    struct responding *responding = context;
    struct strata_evaluation *evaluation = &responding->evaluation;
    const struct strata_selection *selection = responding->selection;
    int code = strata_evaluate(evaluation, selection->store, sample, selection->cut, selection->metrics, err);
    if (code || !evaluation->correct || !evaluation->response.length) return code;
    json_t *text = json_stringn(evaluation->response.data, evaluation->response.length); /* NULL: not UTF-8 */
    if (text && json_object_set_new(responding->record, "response", text))
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    return code;
}

static int add_response(struct responding *responding, struct strata_sample *sample, struct strata_error *err) {
    bool found;
    responding->record = sample->record;
    if (!responding->selection->options->responses) return 0;
    return strata_store_sample(responding->selection->store, sample->index, &found, on_stored, responding, err);
}

static int write_records(struct strata_export *export, const struct strata_selection *selection,
                         const struct origin *origin, struct strata_error *err) {
    /* Records that were bad are not in the run either. */
    struct strata_dataset_options options = {.skip_bad = true, .prepend_missing_image = origin->prepend};
    /* A trainer is given the prompts that were scored. */
    options.system = *origin->system ? origin->system : NULL;
    struct responding responding = {.selection = selection};
    struct strata_dataset *dataset;
    size_t written = 0;
    bool got = true;
    int code = strata_dataset_open(&dataset, origin->data, &options, err);
    while (!code && got && written < selection->count) {
        struct strata_sample sample;
        code = strata_dataset_next(dataset, &sample, &got, err);
        if (code || !got) break;
        if (sample.index == selection->places[written]) {
            code = add_response(&responding, &sample, err);
            if (!code) code = strata_export_write(export, &sample, err);
            written++;
        }
        strata_sample_free(&sample);
    }
    if (!code && written < selection->count)
        code = strata_fail(err, STRATA_ERR_STATE, "sample %zu of the run is not in the data set",
                           (size_t)selection->places[written]);
    strata_evaluation_free(&responding.evaluation);
    strata_dataset_close(dataset);
    return code;
}

static const char *const agreements[] = {"any", "same", "different"};

static json_t *strata_list(unsigned bits) {
    json_t *list = json_array();
    for (unsigned s = 0; s < STRATA_STRATA; s++)
        if (!bits || bits >> s & 1)
            json_array_append_new(list, json_string(strata_stratum_name((enum strata_stratum)s)));
    return list;
}

static int write_manifest(const struct strata_selection *selection, const struct origin *origin,
                          struct strata_error *err) {
    const struct strata_select_options *options = selection->options;
    const struct strata_select_summary *summary = selection->summary;
    char *cut_text = strata_cut_text(selection->cut);
    json_t *counts = json_object(), *cut = NULL;
    struct strata_buffer path = {0}, text = {0};
    int code = cut_text ? strata_json_parse(&cut, cut_text, strlen(cut_text), "cut", 1, err) : STRATA_ERR_MEMORY;
    for (int s = 0; s < STRATA_STRATA; s++)
        json_object_set_new(counts, strata_stratum_name((enum strata_stratum)s),
                            json_integer((json_int_t)summary->strata[s]));
    json_t *manifest = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:s, s:I, s:b, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "run",
        options->run, "data", origin->data, "data_hash", origin->hash, "metric",
        options->metric == STRATA_METRIC_CMAB ? "cmab" : "pism", "by_chance", (int)options->by_chance, "strata",
        strata_list(options->strata), "ability", options->ability ? json_string(options->ability) : json_null(),
        "pass_rate", options->pass_rate ? json_pack("[f, f]", options->pass_low, options->pass_high) : json_null(),
        "agreement", agreements[options->agreement], "cap", (json_int_t)options->cap, "random_like",
        (int)options->random_like, "seed",
        options->random_like || options->cap ? json_integer((json_int_t)options->seed) : json_null(), "images",
        origin->absolute ? "absolute" : "as written", "cut", json_incref(cut), "samples", (json_int_t)summary->samples,
        "selected", (json_int_t)summary->selected, "pending", (json_int_t)summary->pending, "incomplete",
        (json_int_t)summary->incomplete, "samples_by_stratum", counts);
    if (!code && manifest) {
        strata_json_write(&text, manifest);
        strata_buffer_byte(&text, '\n');
    }
    strata_buffer_printf(&path, "%s.manifest.json", options->out);
    if (!code && (!manifest || text.failed || path.failed)) code = STRATA_ERR_MEMORY;
    if (code == STRATA_ERR_MEMORY) strata_fail(err, code, "out of memory");
    if (!code) code = strata_file_write(path.data, text.data, text.length, err);
    json_decref(cut);
    json_decref(manifest);
    free(cut_text);
    strata_buffer_free(&text);
    strata_buffer_free(&path);
    return code;
}

static int write_launch(const struct strata_selection *selection, struct strata_error *err) {
    const struct strata_select_options *options = selection->options;
    struct strata_select_summary *summary = selection->summary;
    struct strata_buffer path = {0};
    int code = strata_launch_write(&path, &summary->launch_kept, options->out, options->format, err);
    if (!code) snprintf(summary->launch, sizeof summary->launch, "%s", strata_buffer_string(&path));
    strata_buffer_free(&path);
    return code;
}

int strata_selection_write(const struct strata_selection *selection, struct strata_error *err) {
    struct origin origin = {0};
    struct strata_export *export = NULL;
    const struct strata_select_options *options = selection->options;
    int code = find_origin(&origin, selection, err);
    if (!code) code = strata_export_open(&export, options->out, options->format, options->paths, err);
    if (!code) {
        code = write_records(export, selection, &origin, err);
        origin.absolute = strata_export_is_absolute(export);
        if (code)
            strata_export_abort(export);
        else
            code = strata_export_commit(export, err);
    }
    if (!code) code = write_manifest(selection, &origin, err);
    if (!code && options->launch) code = write_launch(selection, err);
    origin_free(&origin);
    return code;
}
