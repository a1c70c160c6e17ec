/* The iterator over data sets: limit, shard, bad records, ids. Formats are behind dataset_source.h. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "data/archive.h"
#include "data/dataset_source.h"
#include "data/seen.h"

/* For the ids seen: 200,000 in memory, the rest in a temporary file. */
#define SEEN_BYTES ((size_t)8 << 20)

struct strata_dataset {
    struct strata_data_files files;
    size_t file;                  /* the one being read; files.count at the end */
    struct strata_source *source; /* of that file; NULL before it is opened */
    struct strata_dataset_options options;
    char *system;
    size_t index, bad;
    struct strata_seen *ids;
    struct strata_archives archives;
    struct strata_buffer scratch;
};

/* "a/b/train.jsonl.gz" -> "train". */
static void file_stem(char *out, size_t size, const char *path) {
    const char *slash = strrchr(path, '/');
    snprintf(out, size, "%s", slash ? slash + 1 : path);
    for (int i = 0; i < 2; i++) {
        char *dot = strrchr(out, '.');
        bool compressed = dot && (strcmp(dot, ".gz") == 0 || strcmp(dot, ".zst") == 0);
        if (dot && dot != out) *dot = '\0';
        if (!compressed) break;
    }
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
    dataset->system = strata_strdup(options->system ? options->system : "");
    dataset->options.system = dataset->system;
    code = dataset->system ? strata_data_files_find(&dataset->files, path, err)
                           : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_source_open(&dataset->source, dataset->files.items[0].path, err);
    if (!code) code = strata_seen_open(&dataset->ids, SEEN_BYTES, err);
    if (code) {
        strata_dataset_close(dataset);
        return code;
    }
    *out = dataset;
    return 0;
}

void strata_dataset_close(struct strata_dataset *dataset) {
    if (!dataset) return;
    strata_source_close(dataset->source);
    strata_data_files_free(&dataset->files);
    strata_buffer_free(&dataset->scratch);
    strata_archives_free(&dataset->archives);
    strata_seen_close(dataset->ids);
    free(dataset->system);
    free(dataset);
}

size_t strata_dataset_bad(const struct strata_dataset *dataset) {
    return dataset->bad;
}

static int parse(struct strata_dataset *dataset, struct strata_sample *sample, json_t *record, size_t line,
                 size_t index, struct strata_error *err) {
    const struct strata_data_file *file = &dataset->files.items[dataset->file];
    char stem[256], default_id[288];
    bool fresh = true;
    file_stem(stem, sizeof stem, file->path);
    snprintf(default_id, sizeof default_id, "%s-%zu", stem, index);
    strata_buffer_clear(&dataset->scratch);
    strata_buffer_printf(&dataset->scratch, "%s:%zu", file->path, line);
    const char *where = strata_buffer_string(&dataset->scratch);
    int code = strata_buffer_check(&dataset->scratch, err);
    if (code)
        json_decref(record);
    else if (file->mapping)
        code = strata_llamafactory_rename(&record, file->mapping, where, err);
    if (code) return code;
    code = strata_sample_parse(sample, record, where, file->directory, default_id, &dataset->options, err);
    if (code) return code;
    sample->index = index;
    code = strata_archives_attach(&dataset->archives, sample, err);
    if (!code) code = strata_seen_add(dataset->ids, &fresh, strata_hash_bytes(sample->id, strlen(sample->id)), err);
    if (!code && !fresh) {
        strata_fail(err, STRATA_ERR_INPUT, "the id \"%.120s\" occurs twice", sample->id);
        code = strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
    }
    if (code) strata_sample_free(sample);
    return code;
}

/* The next record of whichever file has one. */
static int next_record(struct strata_dataset *dataset, bool wanted, json_t **record, size_t *line, bool *got,
                       struct strata_error *err) {
    *got = false;
    *record = NULL;
    while (dataset->file < dataset->files.count) {
        int code =
            dataset->source ? 0 : strata_source_open(&dataset->source, dataset->files.items[dataset->file].path, err);
        if (!code) code = dataset->source->next(dataset->source, wanted, record, line, got, err);
        if (code || *got) return code;
        strata_source_close(dataset->source);
        dataset->source = NULL;
        dataset->file++;
    }
    return 0;
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
        int code = next_record(dataset, mine, &record, &line, &more, err);
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
    const struct strata_dataset_options all = {0};
    struct strata_dataset *dataset;
    bool got = true;
    *out = 0;
    int code = strata_dataset_open(&dataset, path, &all, err);
    if (code) return code;
    while (!code && got) {
        json_t *record;
        size_t line;
        code = next_record(dataset, false, &record, &line, &got, err);
        *out += !code && got;
    }
    strata_dataset_close(dataset);
    return code;
}

int strata_dataset_hash(struct strata_hash *out, const char *path, struct strata_error *err) {
    struct strata_data_files files;
    int code = strata_data_files_find(&files, path, err);
    if (code) return code;
    for (size_t i = 0; i < files.count && !code; i++) {
        struct strata_hash hash;
        code = strata_hash_file(&hash, files.items[i].path, err);
        if (!code) *out = i ? strata_hash_combine(*out, &hash, sizeof hash) : hash;
    }
    strata_data_files_free(&files);
    return code;
}

static const char *record_layout(const json_t *record) {
    switch (strata_record_turns(record)) {
    case STRATA_TURNS_MESSAGES:
        return "messages (ms-swift)";
    case STRATA_TURNS_CONVERSATIONS:
        return "conversations (LLaMA-Factory sharegpt)";
    case STRATA_TURNS_INSTRUCTION:
        return "instruction, input, output (LLaMA-Factory alpaca)";
    case STRATA_TURNS_QUESTION:
        return "question and answer";
    case STRATA_TURNS_PROMPT:
        if (strata_record_value(record, "reward_model")) return "prompt and reward_model (verl)";
        return json_is_string(json_object_get(record, "prompt")) ? "prompt and answer" : "prompt of messages (TRL)";
    case STRATA_TURNS_NONE:
        break;
    }
    return "an unknown layout";
}

int strata_dataset_layout(struct strata_buffer *out, const char *path, struct strata_error *err) {
    const struct strata_dataset_options all = {0};
    struct strata_dataset *dataset;
    json_t *record = NULL;
    size_t line;
    bool got;
    int code = strata_dataset_open(&dataset, path, &all, err);
    if (code) return code;
    struct strata_source *source = dataset->source;
    if (dataset->files.count > 1) strata_buffer_printf(out, "%zu files, the first: ", dataset->files.count);
    const char *packed = source->file ? strata_text_compression(source->file) : NULL;
    strata_buffer_printf(out, "%s%s%s", source->layout, packed ? ", " : "", packed ? packed : "");
    const struct strata_mapping *mapping = dataset->files.items[0].mapping;
    code = source->next(source, true, &record, &line, &got, err);
    if (!code && mapping)
        strata_buffer_printf(out, ", LLaMA-Factory %s", mapping->sharegpt ? "sharegpt" : "alpaca");
    else if (!code && got)
        strata_buffer_printf(out, ", %s", record_layout(record));
    json_decref(record);
    strata_dataset_close(dataset);
    return code ? code : strata_buffer_check(out, err);
}
