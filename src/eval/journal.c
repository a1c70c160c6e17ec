#include "eval/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#define SYNC_SECONDS 0.5

struct strata_journal {
    FILE *stream;
    char *path;
    json_t *records; /* by index */
    double synced;
    int lock;
};

/* The first setting that differs; NULL: none does. */
static const char *difference(const json_t *have, const json_t *want) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)want, key, value) {
        if (!json_equal(json_object_get(have, key), value)) return key;
    }
    return json_object_size(have) == json_object_size(want) ? NULL : "settings";
}

static int refuse(const struct strata_journal *journal, const json_t *have, const json_t *want, const char *key,
                  struct strata_error *err) {
    char *before = strata_json_line(json_object_get(have, key)), *now = strata_json_line(json_object_get(want, key));
    strata_fail(err, STRATA_ERR_STATE, "the answers here were made with another %s: %.120s, now %.120s", key,
                before ? before : "none", now ? now : "none");
    strata_fail_at(err, STRATA_ERR_STATE, "%s", journal->path);
    free(before);
    free(now);
    return strata_fail_hint(err, STRATA_ERR_STATE, "use another --out");
}

/* Reads whole lines; *end is where the last of them ends, *other that the settings are others. */
static int read_lines(struct strata_journal *journal, const json_t *settings, bool fresh, size_t *end, bool *other,
                      struct strata_error *err) {
    struct strata_buffer text = {0};
    int code = strata_file_exists(journal->path) ? strata_file_read(&text, journal->path, 0, err) : 0;
    *end = 0;
    *other = false;
    for (size_t number = 1; !code && !*other && *end < text.length; number++) {
        const char *line = text.data + *end, *feed = memchr(line, '\n', text.length - *end);
        json_t *record = NULL;
        if (!feed) break; /* torn */
        code = strata_json_parse(&record, line, (size_t)(feed - line), journal->path, number, err);
        const char *index = json_string_value(json_object_get(record, "index"));
        const char *key = number == 1 && !code ? difference(json_object_get(record, "settings"), settings) : NULL;
        *other = key && fresh;
        if (key && !fresh) code = refuse(journal, json_object_get(record, "settings"), settings, key, err);
        if (!code && number > 1 && index) json_object_set(journal->records, index, record);
        json_decref(record);
        *end = (size_t)(feed + 1 - text.data);
    }
    strata_buffer_free(&text);
    if (*other) *end = 0;
    return code;
}

static int write_line(struct strata_journal *journal, const json_t *record, struct strata_error *err) {
    struct strata_buffer line = {0};
    strata_json_write(&line, record);
    strata_buffer_byte(&line, '\n');
    int code = strata_buffer_check(&line, err);
    if (!code && (fwrite(line.data, 1, line.length, journal->stream) != line.length || fflush(journal->stream))) {
        strata_fail(err, STRATA_ERR_IO, "cannot write: %s", strerror(errno));
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", journal->path);
    }
    strata_buffer_free(&line);
    if (code || strata_seconds() - journal->synced < SYNC_SECONDS) return code;
    journal->synced = strata_seconds();
    return fsync(fileno(journal->stream)) ? strata_fail(err, STRATA_ERR_IO, "cannot sync: %s", strerror(errno)) : 0;
}

static int begin(struct strata_journal *journal, const json_t *settings, bool fresh, struct strata_error *err) {
    size_t end;
    bool other;
    struct strata_buffer lock = {0};
    strata_buffer_printf(&lock, "%s.lock", journal->path);
    int code = strata_lock_acquire(&journal->lock, strata_buffer_string(&lock), err);
    strata_buffer_free(&lock);
    if (!code) code = read_lines(journal, settings, fresh, &end, &other, err);
    if (code) return code;
    journal->stream = fopen(journal->path, "a");
    if (!journal->stream || ftruncate(fileno(journal->stream), (off_t)end)) {
        strata_fail(err, STRATA_ERR_IO, "cannot write: %s", strerror(errno));
        return strata_fail_at(err, STRATA_ERR_IO, "%s", journal->path);
    }
    if (end) return 0;
    json_t *first = json_pack("{s:O}", "settings", settings);
    code = write_line(journal, first, err);
    json_decref(first);
    return code;
}

int strata_journal_open(struct strata_journal **out, const char *path, const json_t *settings, bool fresh,
                        struct strata_error *err) {
    struct strata_journal *journal;
    *out = NULL;
    int code = strata_alloc(&journal, 1, sizeof *journal, err);
    if (code) return code;
    *journal = (struct strata_journal){.path = strata_strdup(path), .records = json_object(), .lock = -1};
    code = journal->path && journal->records ? begin(journal, settings, fresh, err)
                                             : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (code) {
        strata_journal_close(journal, NULL);
    } else {
        *out = journal;
    }
    return code;
}

const json_t *strata_journal_get(const struct strata_journal *journal, const char *index) {
    return json_object_get(journal->records, index);
}

size_t strata_journal_count(const struct strata_journal *journal) {
    return json_object_size(journal->records);
}

int strata_journal_put(struct strata_journal *journal, const char *index, json_t *record, struct strata_error *err) {
    if (!record || json_object_set_new(record, "index", json_string(index)) ||
        json_object_set(journal->records, index, record)) {
        json_decref(record);
        return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    int code = write_line(journal, record, err);
    json_decref(record);
    return code;
}

int strata_journal_close(struct strata_journal *journal, struct strata_error *err) {
    if (!journal) return 0;
    int code = 0;
    if (journal->stream && (fsync(fileno(journal->stream)) || fclose(journal->stream))) {
        strata_fail(err, STRATA_ERR_IO, "cannot write: %s", strerror(errno));
        code = strata_fail_at(err, STRATA_ERR_IO, "%s", journal->path);
    }
    if (journal->lock >= 0) strata_lock_release(journal->lock);
    json_decref(journal->records);
    free(journal->path);
    free(journal);
    return code;
}
