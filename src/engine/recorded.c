/* The recorded engine: an index over the lines of its files, read again when a sample is asked for. */
#include "engine/recorded.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/md5.h"
#include "base/memory.h"
#include "engine/recorded_line.h"

#define MAX_WAITING 64

struct file {
    char *path;
    struct strata_map map;
};
struct entry {
    char *id;
    size_t file, line, offset, length;
};
struct waiting {
    uint64_t tag;
    uint32_t draw;
    const struct entry *entry; /* NULL: absent */
    bool want_attention;
};
struct recorded {
    struct file *files;
    size_t file_count;
    struct entry *entries; /* by id */
    size_t count, capacity;
    struct strata_sampling sampling;
    struct strata_buffer source; /* model and settings as the files name them */
    char identity[48];
    struct waiting waiting[MAX_WAITING]; /* a ring */
    size_t first, queued;
    struct strata_engine_stats stats;
};

static unsigned capabilities(const void *self) {
    (void)self;
    return STRATA_CAN_TEXT | STRATA_CAN_IDS | STRATA_CAN_ATTENTION | STRATA_CAN_IMAGES | STRATA_CAN_SKIP_IMAGES;
}

static bool has_room(const void *self, uint32_t draws) {
    const struct recorded *engine = self;
    return engine->queued + draws <= MAX_WAITING;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id);
}

static struct entry *find(const struct recorded *engine, const char *id) {
    struct entry key = {.id = (char *)id};
    return engine->count ? bsearch(&key, engine->entries, engine->count, sizeof key, compare_ids) : NULL;
}

static int parse_entry(struct strata_recorded_answer *out, const struct recorded *engine, const struct entry *entry,
                       struct strata_error *err) {
    const struct file *file = &engine->files[entry->file];
    return strata_recorded_parse(out, (const char *)file->map.data + entry->offset, entry->length, file->path,
                                 entry->line, err);
}

/* ---- the door ---- */

/* Was this answer given to this prompt? */
static int check_prompt(const struct recorded *engine, const struct entry *entry, const struct strata_request *request,
                        struct strata_error *err) {
    struct strata_recorded_answer answer;
    struct strata_buffer chat = {0};
    char md5[33];
    int code = strata_chat_render(&chat, request->messages, request->message_count, true, err);
    strata_md5_text(md5, strata_buffer_string(&chat), chat.length);
    strata_buffer_free(&chat);
    if (!code) code = parse_entry(&answer, engine, entry, err);
    if (code) return code;
    if (strcmp(md5, answer.prompt_md5) != 0) {
        strata_fail(err, STRATA_ERR_INPUT, "the answer for \"%.100s\" was given to another prompt than the data set's",
                    entry->id);
        code = strata_fail_hint(err, STRATA_ERR_INPUT, "other data, another --system or another --missing-image?");
    } else if (answer.images != request->image_count) {
        code = strata_fail(err, STRATA_ERR_INPUT, "the answer for \"%.100s\" saw %zu images, the record has %zu",
                           entry->id, answer.images, request->image_count);
    }
    strata_recorded_answer_free(&answer);
    return code ? strata_fail_at(err, code, "%s:%zu", engine->files[entry->file].path, entry->line) : 0;
}

static int submit(void *self, const struct strata_request *request, struct strata_error *err) {
    struct recorded *engine = self;
    if (request->draws != 1 || request->first_draw != 0 || request->forced_ids)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "recorded answers are one for each sample");
    if (engine->queued == MAX_WAITING) return strata_fail(err, STRATA_ERR_ENGINE, "there is no room for a request");
    const struct entry *entry = find(engine, request->sample_id);
    int code = entry ? check_prompt(engine, entry, request, err) : 0;
    if (code) return code;
    engine->waiting[(engine->first + engine->queued++) % MAX_WAITING] =
        (struct waiting){request->tag, request->first_draw, entry, request->want_attention};
    return 0;
}

static void drop_attention(struct strata_result *result) {
    struct strata_attention *attention = result->attention;
    if (attention) {
        free(attention->masses);
        free(attention->segments);
    }
    free(attention);
    result->attention = NULL;
}

static int poll(void *self, struct strata_result *result, bool *got, struct strata_error *err) {
    struct recorded *engine = self;
    struct strata_recorded_answer answer = {0};
    *got = engine->queued > 0;
    if (!*got) return 0;
    struct waiting waiting = engine->waiting[engine->first];
    engine->first = (engine->first + 1) % MAX_WAITING;
    engine->queued--;
    if (waiting.entry) {
        int code = parse_entry(&answer, engine, waiting.entry, err);
        if (code) return code;
        if (!waiting.want_attention) drop_attention(&answer.result);
    } else {
        answer.result.finish = STRATA_FINISH_ABSENT;
    }
    *result = answer.result;
    result->tag = waiting.tag;
    result->draw = waiting.draw;
    free(answer.id);
    engine->stats.prompts += waiting.entry != NULL;
    return 0;
}

static void cancel(void *self, uint64_t tag) {
    struct recorded *engine = self;
    size_t kept = 0;
    for (size_t i = 0; i < engine->queued; i++) {
        struct waiting *waiting = &engine->waiting[(engine->first + i) % MAX_WAITING];
        if (waiting->tag != tag) engine->waiting[(engine->first + kept++) % MAX_WAITING] = *waiting;
    }
    engine->queued = kept;
}

static void stats(const void *self, struct strata_engine_stats *out) {
    *out = ((const struct recorded *)self)->stats;
}

static const char *identity(const void *self) {
    return ((const struct recorded *)self)->identity;
}

static void destroy(void *self) {
    struct recorded *engine = self;
    for (size_t i = 0; i < engine->count; i++) free(engine->entries[i].id);
    for (size_t f = 0; f < engine->file_count; f++) {
        strata_map_close(&engine->files[f].map);
        free(engine->files[f].path);
    }
    free(engine->entries);
    free(engine->files);
    strata_buffer_free(&engine->source);
    free(engine);
}

static const struct strata_engine_vtable vtable = {capabilities, has_room, submit,   poll,
                                                   cancel,       stats,    identity, destroy};

/* ---- opening ---- */

static int read_header(struct recorded *engine, size_t f, size_t length, struct strata_error *err) {
    const struct file *file = &engine->files[f];
    struct strata_buffer source = {0};
    int code = strata_recorded_parse_header(&engine->sampling, &source, length ? (const char *)file->map.data : "",
                                            length, file->path, err);
    if (!code && f > 0 && strcmp(strata_buffer_string(&source), strata_buffer_string(&engine->source)) != 0) {
        strata_fail(err, STRATA_ERR_INPUT, "another model or other settings than in %.200s", engine->files[0].path);
        code = strata_fail_at(err, STRATA_ERR_INPUT, "%s:1", file->path);
    }
    strata_buffer_free(&engine->source);
    engine->source = source;
    return code;
}

static int add_line(struct recorded *engine, size_t f, size_t line, size_t offset, size_t length,
                    struct strata_error *err) {
    struct strata_recorded_answer answer;
    struct entry entry = {.file = f, .line = line, .offset = offset, .length = length};
    int code = strata_grow(&engine->entries, &engine->capacity, engine->count + 1, sizeof entry, err);
    if (!code) code = parse_entry(&answer, engine, &entry, err);
    if (code) return code;
    entry.id = answer.id;
    answer.id = NULL;
    strata_recorded_answer_free(&answer);
    engine->entries[engine->count++] = entry;
    return 0;
}

static int read_file(struct recorded *engine, size_t f, struct strata_error *err) {
    struct file *file = &engine->files[f];
    int code = strata_map_open(&file->map, file->path, err);
    const char *data = (const char *)file->map.data;
    size_t offset = 0, line = 1;
    for (; !code && (offset < file->map.size || line == 1); line++) {
        const char *newline = offset < file->map.size ? memchr(data + offset, '\n', file->map.size - offset) : NULL;
        size_t length = newline ? (size_t)(newline - data) - offset : file->map.size - offset;
        if (line == 1)
            code = read_header(engine, f, length, err);
        else if (length > 0)
            code = add_line(engine, f, line, offset, length, err);
        strata_map_release(&file->map, offset, length);
        offset += length + 1;
    }
    return code;
}

/* Sorts the index. An id with two answers is an error at the later one. */
static int sort(struct recorded *engine, struct strata_error *err) {
    if (engine->count) qsort(engine->entries, engine->count, sizeof *engine->entries, compare_ids);
    for (size_t i = 1; i < engine->count; i++) {
        const struct entry *a = &engine->entries[i - 1], *b = &engine->entries[i];
        if (strcmp(a->id, b->id) != 0) continue;
        if (a->file > b->file || (a->file == b->file && a->line > b->line)) {
            const struct entry *swap = a;
            a = b;
            b = swap;
        }
        strata_fail(err, STRATA_ERR_INPUT, "a second answer for \"%.100s\": %.200s:%zu has one", a->id,
                    engine->files[a->file].path, a->line);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", engine->files[b->file].path, b->line);
    }
    return 0;
}

int strata_engine_recorded(struct strata_engine **out, const char *const *paths, size_t count,
                           struct strata_error *err) {
    struct recorded *engine;
    char hash[33];
    *out = NULL;
    int code = strata_alloc(&engine, 1, sizeof *engine, err);
    if (code) return code;
    code = count ? strata_alloc(&engine->files, count, sizeof *engine->files, err)
                 : strata_fail(err, STRATA_ERR_USAGE, "no file of recorded answers");
    for (size_t f = 0; !code && f < count; f++) {
        engine->file_count++;
        engine->files[f].path = strata_strdup(paths[f]);
        code = engine->files[f].path ? read_file(engine, f, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    if (!code) code = sort(engine, err);
    if (code) {
        destroy(engine);
        return code;
    }
    strata_hash_text(hash, strata_hash_bytes(strata_buffer_string(&engine->source), engine->source.length));
    strata_buffer_free(&engine->source);
    memcpy(engine->identity, "recorded-", 9);
    memcpy(engine->identity + 9, hash, sizeof hash);
    return strata_engine_wrap(out, &vtable, engine, err);
}

void strata_recorded_sampling(struct strata_sampling *out, const struct strata_engine *engine) {
    *out = ((const struct recorded *)strata_engine_self(engine, &vtable))->sampling;
}

size_t strata_recorded_count(const struct strata_engine *engine) {
    return ((const struct recorded *)strata_engine_self(engine, &vtable))->count;
}

static int check_known(const struct recorded *engine, const bool *known, const char *data, struct strata_error *err) {
    for (size_t i = 0; i < engine->count; i++) {
        const struct entry *entry = &engine->entries[i];
        if (known[i]) continue;
        strata_fail(err, STRATA_ERR_INPUT, "an answer for \"%.100s\", which is no record of %.200s", entry->id, data);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu", engine->files[entry->file].path, entry->line);
    }
    return 0;
}

int strata_recorded_check(const struct strata_engine *wrapped, const char *data,
                          const struct strata_dataset_options *options, struct strata_error *err) {
    const struct recorded *engine = strata_engine_self(wrapped, &vtable);
    struct strata_dataset_options all = *options;
    struct strata_dataset *dataset = NULL;
    struct strata_sample sample;
    bool *known = NULL, got = true;
    all.limit = all.shard = all.shards = 0;
    all.on_bad = NULL; /* told when the run reads them */
    int code = strata_alloc(&known, engine->count, sizeof *known, err);
    if (!code) code = strata_dataset_open(&dataset, data, &all, err);
    while (!code && got) {
        code = strata_dataset_next(dataset, &sample, &got, err);
        if (code || !got) break;
        const struct entry *entry = find(engine, sample.id);
        if (entry) known[entry - engine->entries] = true;
        strata_sample_free(&sample);
    }
    if (!code) code = check_known(engine, known, data, err);
    strata_dataset_close(dataset);
    free(known);
    return code;
}
