/* The iterator over data sets: limit, shard, bad records, ids. Formats are behind dataset_source.h. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/dataset_source.h"

/* Ids seen, as 128-bit hashes in an open-addressing table at most 3/4 full: 21 to 43 bytes a record. Two different ids
 * collide with probability 2^-128 a pair. */
struct id_set {
    struct strata_hash *slots; /* {0,0}: empty; an id that hashes to it is stored as {1,0} */
    size_t capacity, count;    /* capacity: 0 or a power of two */
};

struct strata_dataset {
    struct strata_source *source;
    struct strata_dataset_options options;
    char *path, *directory, *stem, *system;
    size_t index, bad;
    struct id_set ids;
    struct strata_buffer scratch;
};

static struct strata_hash *id_slot(const struct id_set *set, struct strata_hash hash) {
    size_t at = (size_t)hash.low & (set->capacity - 1);
    while (set->slots[at].low | set->slots[at].high) {
        if (set->slots[at].low == hash.low && set->slots[at].high == hash.high) break;
        at = (at + 1) & (set->capacity - 1);
    }
    return &set->slots[at];
}

static int id_set_grow(struct id_set *set, struct strata_error *err) {
    struct id_set larger = {.capacity = set->capacity ? 2 * set->capacity : 1024, .count = set->count};
    int code = strata_alloc(&larger.slots, larger.capacity, sizeof *larger.slots, err);
    if (code) return code;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i].low | set->slots[i].high) *id_slot(&larger, set->slots[i]) = set->slots[i];
    free(set->slots);
    *set = larger;
    return 0;
}

/* *fresh: the id was not there before. */
static int id_set_add(struct id_set *set, bool *fresh, const char *id, struct strata_error *err) {
    if (4 * (set->count + 1) > 3 * set->capacity) {
        int code = id_set_grow(set, err);
        if (code) return code;
    }
    struct strata_hash hash = strata_hash_bytes(id, strlen(id));
    if (!(hash.low | hash.high)) hash.low = 1;
    struct strata_hash *slot = id_slot(set, hash);
    *fresh = !(slot->low | slot->high);
    if (*fresh) {
        *slot = hash;
        set->count++;
    }
    return 0;
}

/* "a/b/train.jsonl" -> "train". */
static char *file_stem(const char *path) {
    const char *slash = strrchr(path, '/');
    char *stem = strata_strdup(slash ? slash + 1 : path);
    char *dot = stem ? strrchr(stem, '.') : NULL;
    if (dot && dot != stem) *dot = '\0';
    return stem;
}

int strata_dataset_open(struct strata_dataset **out, const char *path, const struct strata_dataset_options *options,
                        struct strata_error *err) {
    struct strata_dataset *dataset;
    *out = NULL;
    if (options->shards ? options->shard < 1 || options->shard > options->shards : options->shard)
        return strata_fail(err, STRATA_ERR_USAGE, "shard %zu of %zu does not exist", options->shard, options->shards);
    int code = strata_alloc(&dataset, 1, sizeof *dataset, err);
    if (code) return code;
    dataset->options = *options;
    dataset->path = strata_strdup(path);
    dataset->directory = strata_path_directory(path);
    dataset->stem = file_stem(path);
    dataset->system = strata_strdup(options->system ? options->system : "");
    dataset->options.system = dataset->system;
    if (!dataset->path || !dataset->directory || !dataset->stem || !dataset->system)
        code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    else
        code = strata_source_jsonl(&dataset->source, path, err);
    if (code) {
        strata_dataset_close(dataset);
        return code;
    }
    *out = dataset;
    return 0;
}

void strata_dataset_close(struct strata_dataset *dataset) {
    if (!dataset) return;
    if (dataset->source) dataset->source->close(dataset->source);
    strata_buffer_free(&dataset->scratch);
    free(dataset->ids.slots);
    free(dataset->path);
    free(dataset->directory);
    free(dataset->stem);
    free(dataset->system);
    free(dataset);
}

size_t strata_dataset_bad(const struct strata_dataset *dataset) {
    return dataset->bad;
}

static int parse(struct strata_dataset *dataset, struct strata_sample *sample, json_t *record, size_t line,
                 size_t index, struct strata_error *err) {
    char default_id[288];
    bool fresh = true;
    snprintf(default_id, sizeof default_id, "%.255s-%zu", dataset->stem, index);
    strata_buffer_clear(&dataset->scratch);
    strata_buffer_printf(&dataset->scratch, "%s:%zu", dataset->path, line);
    int code = strata_buffer_check(&dataset->scratch, err);
    if (code) {
        json_decref(record);
        return code;
    }
    const char *where = strata_buffer_string(&dataset->scratch);
    code = strata_sample_parse(sample, record, where, dataset->directory, default_id, &dataset->options, err);
    if (code) return code;
    sample->index = index;
    code = id_set_add(&dataset->ids, &fresh, sample->id, err);
    if (!code && !fresh) {
        strata_fail(err, STRATA_ERR_INPUT, "the id \"%.120s\" occurs twice", sample->id);
        code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
    }
    if (code) strata_sample_free(sample);
    return code;
}

int strata_dataset_next(struct strata_dataset *dataset, struct strata_sample *sample, bool *got,
                        struct strata_error *err) {
    const struct strata_dataset_options *options = &dataset->options;
    struct strata_error local; /* callers may pass no error, on_bad always gets one */
    if (!err) err = &local;
    *sample = (struct strata_sample){0};
    *got = false;
    while (!options->limit || dataset->index < options->limit) {
        bool mine = !options->shards || dataset->index % options->shards + 1 == options->shard, more;
        json_t *record;
        size_t line = 0;
        int code = dataset->source->next(dataset->source, mine, &record, &line, &more, err);
        if (!code && !more) return 0;
        size_t index = dataset->index++;
        if (!mine && !code) continue;
        if (!code) code = parse(dataset, sample, record, line, index, err);
        if (!code) {
            *got = true;
            return 0;
        }
        if (code != STRATA_ERR_INPUT || !options->skip_bad) return code;
        dataset->bad++;
        if (options->on_bad) options->on_bad(options->context, err);
    }
    return 0;
}

int strata_dataset_count(size_t *out, const char *path, struct strata_error *err) {
    struct strata_source *source;
    bool got = true;
    *out = 0;
    int code = strata_source_jsonl(&source, path, err);
    if (code) return code;
    while (!code && got) {
        json_t *record;
        size_t line;
        code = source->next(source, false, &record, &line, &got, err);
        *out += !code && got;
    }
    source->close(source);
    return code;
}
