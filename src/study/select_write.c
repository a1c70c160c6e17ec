/* The chosen records as JSONL, in data order, and a manifest that says how they were chosen. */
#include "study/select_write.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/sample.h"
#include "difficulty/evaluate.h"

/* Where the records come from. */
struct origin {
    char *data;      /* path of the data set */
    char *directory; /* its folder, absolute; NULL: image paths stay as they are */
    char hash[33];
    bool prepend;
};

static void origin_free(struct origin *origin) {
    free(origin->data);
    free(origin->directory);
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

/* Absolute folder of a file that need not exist yet. */
static char *absolute_folder(const char *path) {
    char absolute[PATH_MAX], *folder = strata_path_directory(path);
    char *resolved = folder && realpath(folder, absolute) ? strata_strdup(absolute) : NULL;
    free(folder);
    return resolved;
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
    if (code) return code;
    char *data_folder = absolute_folder(origin->data), *out_folder = absolute_folder(options->out);
    bool same = data_folder && out_folder && strcmp(data_folder, out_folder) == 0;
    if (options->paths == STRATA_PATHS_KEEP || (options->paths == STRATA_PATHS_AUTO && same))
        free(data_folder);
    else
        origin->directory = data_folder;
    free(out_folder);
    return 0;
}

/* An image path (or {"path": …}) made absolute; the record's own value is left alone otherwise. */
static int make_absolute(json_t *holder, size_t index, const char *key, const char *folder, struct strata_error *err) {
    json_t *value = key ? json_object_get(holder, key) : json_array_get(holder, index);
    if (json_is_object(value)) return make_absolute(value, 0, "path", folder, err);
    if (!json_is_string(value)) return 0;
    char *path = strata_path_join(folder, json_string_value(value));
    json_t *absolute = path ? json_string(path) : NULL;
    free(path);
    int failed =
        !absolute || (key ? json_object_set_new(holder, key, absolute) : json_array_set_new(holder, index, absolute));
    return failed ? strata_fail(err, STRATA_ERR_MEMORY, "out of memory") : 0;
}

static int absolute_images(json_t *record, const char *folder, struct strata_error *err) {
    json_t *images = json_object_get(record, "images"), *turns = json_object_get(record, "messages");
    int code = make_absolute(record, 0, "image", folder, err);
    if (!code && !json_is_array(images)) code = make_absolute(record, 0, "images", folder, err);
    for (size_t i = 0; !code && i < json_array_size(images); i++) code = make_absolute(images, i, NULL, folder, err);
    if (!turns) turns = json_object_get(record, "prompt");
    for (size_t i = 0; i < json_array_size(turns); i++) {
        json_t *parts = json_object_get(json_array_get(turns, i), "content");
        for (size_t p = 0; !code && p < json_array_size(parts); p++)
            code = make_absolute(json_array_get(parts, p), 0, "image", folder, err);
    }
    return code;
}

/* The record with its id first when it had none. */
static int write_record(FILE *stream, const struct strata_sample *sample, const struct origin *origin,
                        struct strata_buffer *line, struct strata_error *err) {
    json_t *record = json_incref(sample->record);
    int code = 0;
    if (json_is_null(json_object_get(record, "id")) || !json_object_get(record, "id")) {
        json_t *named = json_pack("{s:s}", "id", sample->id);
        if (!named || json_object_update_missing(named, record)) code = STRATA_ERR_MEMORY;
        json_decref(record);
        record = named;
    }
    if (!code && origin->directory) code = absolute_images(record, origin->directory, err);
    strata_buffer_clear(line);
    if (!code) strata_json_write(line, record);
    strata_buffer_byte(line, '\n');
    json_decref(record);
    if (code == STRATA_ERR_MEMORY || line->failed) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    /* A failed write shows in the stream's error state, which the commit reports with its cause. */
    if (!code) fwrite(line->data, 1, line->length, stream);
    return code;
}

static int write_records(FILE *stream, const struct strata_selection *selection, const struct origin *origin,
                         struct strata_error *err) {
    /* Records that were bad are not in the run either. */
    struct strata_dataset_options options = {.skip_bad = true, .prepend_missing_image = origin->prepend};
    struct strata_dataset *dataset;
    struct strata_buffer line = {0};
    size_t written = 0;
    bool got = true;
    int code = strata_dataset_open(&dataset, origin->data, &options, err);
    while (!code && got && written < selection->count) {
        struct strata_sample sample;
        code = strata_dataset_next(dataset, &sample, &got, err);
        if (code || !got) break;
        if (sample.index == selection->places[written]) {
            code = write_record(stream, &sample, origin, &line, err);
            written++;
        }
        strata_sample_free(&sample);
    }
    if (!code && written < selection->count)
        code = strata_fail(err, STRATA_ERR_STATE, "sample %zu of the run is not in the data set",
                           (size_t)selection->places[written]);
    strata_dataset_close(dataset);
    strata_buffer_free(&line);
    return code;
}

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
        "{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:b, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "run", options->run,
        "data", origin->data, "data_hash", origin->hash, "metric",
        options->metric == STRATA_METRIC_CMAB ? "cmab" : "pism", "by_chance", (int)options->by_chance, "strata",
        strata_list(options->strata), "ability", options->ability ? json_string(options->ability) : json_null(),
        "pass_rate", options->pass_rate ? json_pack("[f, f]", options->pass_low, options->pass_high) : json_null(),
        "random_like", (int)options->random_like, "seed",
        options->random_like ? json_integer((json_int_t)options->seed) : json_null(), "images",
        origin->directory ? "absolute" : "as written", "cut", json_incref(cut), "samples", (json_int_t)summary->samples,
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

int strata_selection_write(const struct strata_selection *selection, struct strata_error *err) {
    struct origin origin = {0};
    struct strata_atomic_file file = {0};
    int code = find_origin(&origin, selection, err);
    if (!code) code = strata_atomic_open(&file, selection->options->out, err);
    if (!code) {
        code = write_records(file.stream, selection, &origin, err);
        if (code)
            strata_atomic_abort(&file);
        else
            code = strata_atomic_commit(&file, err);
    }
    if (!code) code = write_manifest(selection, &origin, err);
    origin_free(&origin);
    return code;
}
