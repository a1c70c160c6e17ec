#include "train/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

static int io_error(struct strata_error *err, const char *what, const char *path) {
    strata_fail(err, STRATA_ERR_IO, "cannot %s: %s", what, strerror(errno));
    return strata_fail_at(err, STRATA_ERR_IO, "%s", path);
}

/* Opens for appending after `length` bytes; a file shorter than that is not the one the checkpoint saw. */
static int open_at(FILE **out, const char *path, int64_t length, struct strata_error *err) {
    *out = fopen(path, length ? "r+b" : "wb");
    if (!*out) return io_error(err, "open", path);
    if (fseeko(*out, 0, SEEK_END)) return io_error(err, "seek in", path);
    if (ftello(*out) < length) {
        strata_fail(err, STRATA_ERR_STATE, "the file is shorter than it was at the checkpoint");
        return strata_fail_at(err, STRATA_ERR_STATE, "%s", path);
    }
    if (ftruncate(fileno(*out), length) || fseeko(*out, length, SEEK_SET)) return io_error(err, "cut", path);
    return 0;
}

int strata_metrics_open(struct strata_metrics *out, const char *directory, bool completions,
                        const struct strata_metrics_mark *mark, uint64_t step, struct strata_error *err) {
    static const struct strata_metrics_mark start = {0, 0};
    const struct strata_metrics_mark *at = mark ? mark : &start;
    *out = (struct strata_metrics){.metrics_path = strata_path_join(directory, "metrics.jsonl"),
                                   .completions_path = strata_path_join(directory, "completions.jsonl")};
    char *events = strata_path_join(directory, "events");
    int code = out->metrics_path && out->completions_path && events
                   ? strata_make_directories(directory, err)
                   : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = open_at(&out->metrics, out->metrics_path, at->metrics, err);
    if (!code && completions) code = open_at(&out->completions, out->completions_path, at->completions, err);
    if (!code) code = strata_event_file_open(&out->events, events, err);
    if (!code && mark) code = strata_event_file_restart(&out->events, (int64_t)step + 1, err);
    free(events);
    if (code) strata_metrics_close(out);
    return code;
}

static int write_line(FILE *stream, const char *path, const json_t *line, struct strata_error *err) {
    struct strata_buffer text = {0};
    strata_json_write(&text, line);
    strata_buffer_byte(&text, '\n');
    int code = strata_buffer_check(&text, err);
    if (!code && (fwrite(text.data, 1, text.length, stream) != text.length || fflush(stream)))
        code = io_error(err, "write", path);
    strata_buffer_free(&text);
    return code;
}

/* ---- scalars for TensorBoard ---- */

struct scalars {
    char **tags;
    double *values;
    size_t count, tag_capacity, value_capacity;
};

static int collect(struct scalars *scalars, const json_t *object, const char *prefix, struct strata_error *err) {
    const char *key;
    json_t *value;
    int code = 0;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        char tag[192];
        snprintf(tag, sizeof tag, "%s%s%s", prefix, *prefix ? "/" : "", key);
        if (json_is_object(value)) code = collect(scalars, value, tag, err);
        if (code) return code;
        if (!json_is_number(value) || strcmp(tag, "step") == 0) continue;
        code = strata_grow(&scalars->tags, &scalars->tag_capacity, scalars->count + 1, sizeof *scalars->tags, err);
        if (!code)
            code = strata_grow(&scalars->values, &scalars->value_capacity, scalars->count + 1, sizeof *scalars->values,
                               err);
        if (code) return code;
        scalars->tags[scalars->count] = strata_strdup(tag);
        if (!scalars->tags[scalars->count]) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        scalars->values[scalars->count++] = json_number_value(value);
    }
    return 0;
}

json_t *strata_metrics_number(double value) {
    return __builtin_isfinite(value) ? json_real(value) : json_null();
}

int strata_metrics_write(struct strata_metrics *metrics, json_t *line, struct strata_error *err) {
    struct scalars scalars = {0};
    if (!line) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!metrics->metrics) {
        json_decref(line);
        return 0;
    }
    int code = write_line(metrics->metrics, metrics->metrics_path, line, err);
    if (!code) code = collect(&scalars, line, "", err);
    if (!code)
        code = strata_event_file_write(&metrics->events, json_integer_value(json_object_get(line, "step")),
                                       (const char *const *)scalars.tags, scalars.values, scalars.count, err);
    for (size_t i = 0; i < scalars.count; i++) free(scalars.tags[i]);
    free(scalars.tags);
    free(scalars.values);
    json_decref(line);
    return code;
}

int strata_metrics_completion(struct strata_metrics *metrics, json_t *line, struct strata_error *err) {
    if (!line) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = metrics->completions ? write_line(metrics->completions, metrics->completions_path, line, err) : 0;
    json_decref(line);
    return code;
}

int strata_metrics_sync(struct strata_metrics_mark *mark, struct strata_metrics *metrics, struct strata_error *err) {
    *mark = (struct strata_metrics_mark){0, 0};
    if (fflush(metrics->metrics) || fsync(fileno(metrics->metrics)) || (mark->metrics = ftello(metrics->metrics)) < 0)
        return io_error(err, "write", metrics->metrics_path);
    if (metrics->completions && (fflush(metrics->completions) || fsync(fileno(metrics->completions)) ||
                                 (mark->completions = ftello(metrics->completions)) < 0))
        return io_error(err, "write", metrics->completions_path);
    return 0;
}

void strata_metrics_close(struct strata_metrics *metrics) {
    if (metrics->metrics) fclose(metrics->metrics);
    if (metrics->completions) fclose(metrics->completions);
    strata_event_file_close(&metrics->events);
    free(metrics->metrics_path);
    free(metrics->completions_path);
    *metrics = (struct strata_metrics){0};
}
