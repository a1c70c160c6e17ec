/* A world as files: images drawn by all threads, records written in order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "study/synth.h"

#define BATCH 256

struct batch {
    const struct strata_synth_options *options;
    enum strata_synth_split split;
    uint64_t first;
    struct strata_synth_sample samples[BATCH];
    struct strata_error errors[BATCH];
};

void strata_synth_options_default(struct strata_synth_options *options) {
    *options = (struct strata_synth_options){.counts = {2000, 200, 400}, .system = "Think, then answer."};
    strata_synth_look_default(&options->look);
}

/* images/train/000012.png, relative to the output directory. */
static void image_name(char out[64], enum strata_synth_split split, uint64_t index) {
    snprintf(out, 64, "images/%s/%06llu.png", strata_synth_split_name(split), (unsigned long long)index);
}

/* Not synced one by one: the records, which are, come after them. */
static int write_bytes(const char *path, const struct strata_buffer *bytes, struct strata_error *err) {
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(bytes->data, 1, bytes->length, file) == bytes->length;
    if (file && fclose(file) != 0) good = false;
    if (good) return 0;
    strata_fail(err, STRATA_ERR_IO, "the image cannot be written");
    return strata_fail_at(err, STRATA_ERR_IO, "%s", path);
}

static void make_one(void *context, size_t task, size_t worker) {
    struct batch *batch = context;
    struct strata_synth_sample *sample = &batch->samples[task];
    struct strata_error *err = &batch->errors[task];
    struct strata_buffer png = {0};
    char name[64];
    (void)worker;
    err->code = 0;
    image_name(name, batch->split, batch->first + task);
    char *path = strata_path_join(batch->options->out, name);
    int status = path ? strata_synth_make(sample, &batch->options->look, batch->split, batch->first + task, err)
                      : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!status) status = strata_image_encode_png(&png, &sample->image, err);
    if (!status) status = write_bytes(path, &png, err);
    err->code = status;
    strata_buffer_free(&png);
    free(path);
}

static json_t *turn(const char *role, const char *text) {
    return json_pack("{s:s, s:s}", "role", role, "content", text);
}

static json_t *record_of(const struct strata_synth_sample *sample, const char *system, const char *question,
                         const char *assistant, const char *image) {
    json_t *turns = *system ? json_pack("[o]", turn("system", system)) : json_array();
    json_array_append_new(turns, turn("user", question));
    if (assistant) json_array_append_new(turns, turn("assistant", assistant));
    return json_pack("{s:s, s:o, s:[s], s:s, s:s, s:i, s:s}", "id", sample->id, "messages", turns, "images", image,
                     "solution", strata_buffer_string(&sample->answer), "ability",
                     strata_synth_ability_name(sample->ability), "level", (int)sample->level, "task", sample->task);
}

static int write_record(struct strata_export *export, const struct batch *batch, size_t k, struct strata_error *err) {
    const struct strata_synth_sample *made = &batch->samples[k];
    const struct strata_synth_options *options = batch->options;
    struct strata_buffer question = {0}, assistant = {0};
    char name[64];
    image_name(name, batch->split, batch->first + k);
    strata_buffer_printf(&question, "<image>%s", strata_buffer_string(&made->question));
    if (options->assistant == STRATA_SYNTH_THINK)
        strata_buffer_printf(&assistant, "<think>%s</think>", strata_buffer_string(&made->thought));
    strata_buffer_printf(&assistant, "<answer>%s</answer>", strata_buffer_string(&made->answer));
    bool told = options->assistant != STRATA_SYNTH_NONE && batch->split == STRATA_SYNTH_TRAIN;
    struct strata_message messages[2] = {{STRATA_ROLE_SYSTEM, (char *)(uintptr_t)options->system},
                                         {STRATA_ROLE_USER, question.data}};
    char *path = strata_path_join(options->out, name);
    struct strata_image_source image = {.path = path, .name = name};
    struct strata_sample sample = {
        .id = (char *)(uintptr_t)made->id,
        .ability = (char *)(uintptr_t)strata_synth_ability_name(made->ability),
        .solution = made->answer.data,
        .verifier = (char *)(uintptr_t) "",
        .messages = messages + (*options->system == '\0'),
        .message_count = *options->system ? 2 : 1,
        .assistant = told ? assistant.data : NULL,
        .images = &image,
        .image_count = 1,
        .directory = (char *)(uintptr_t)options->out,
        .where = (char *)(uintptr_t)made->id,
        .index = batch->first + k,
    };
    int status = strata_buffer_check(&question, err);
    if (!status) status = strata_buffer_check(&assistant, err);
    if (!status) {
        sample.record = record_of(made, options->system, question.data, sample.assistant, name);
        status = path && sample.record ? strata_export_write(export, &sample, err)
                                       : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    json_decref(sample.record);
    free(path);
    strata_buffer_free(&question);
    strata_buffer_free(&assistant);
    return status;
}

static int make_folder(const char *out, const char *name, struct strata_error *err) {
    char *path = strata_path_join(out, name);
    int status = path ? strata_make_directories(path, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    return status;
}

static int open_split(struct strata_export **export, const struct strata_synth_options *options,
                      enum strata_synth_split split, struct strata_error *err) {
    char name[64];
    const char *suffix = options->format == STRATA_FORMAT_LLAMAFACTORY ? ""
                         : options->format == STRATA_FORMAT_CSV        ? ".csv"
                         : options->format == STRATA_FORMAT_VERL || options->format == STRATA_FORMAT_PARQUET
                             ? ".parquet"
                             : ".jsonl";
    snprintf(name, sizeof name, "images/%s", strata_synth_split_name(split));
    int status = make_folder(options->out, name, err);
    if (status) return status;
    snprintf(name, sizeof name, "%s%s", strata_synth_split_name(split), suffix);
    char *path = strata_path_join(options->out, name);
    status = path ? strata_export_open(export, path, options->format, STRATA_PATHS_AUTO, err)
                  : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    free(path);
    return status;
}

static int write_split(struct batch *batch, enum strata_synth_split split, struct strata_threads *threads,
                       struct strata_error *err) {
    const struct strata_synth_options *options = batch->options;
    struct strata_export *export = NULL;
    size_t total = options->counts[split];
    batch->split = split;
    int status = open_split(&export, options, split, err);
    for (batch->first = 0; batch->first < total && !status; batch->first += BATCH) {
        size_t count = total - batch->first < BATCH ? total - (size_t)batch->first : BATCH;
        strata_threads_run(threads, count, make_one, batch);
        for (size_t k = 0; k < count && !status; k++) {
            status = batch->errors[k].code;
            if (status && err) *err = batch->errors[k];
            if (!status) status = write_record(export, batch, k, err);
        }
        if (!status && options->on_progress &&
            options->on_progress(options->context, split, (size_t)batch->first + count, total))
            status = strata_fail(err, STRATA_ERR_INTERRUPTED, "interrupted");
    }
    if (!status) return strata_export_commit(export, err);
    strata_export_abort(export);
    return status;
}

int strata_synth_write(const struct strata_synth_options *options, struct strata_error *err) {
    struct strata_threads *threads = NULL;
    struct batch *batch = NULL;
    int status = strata_alloc(&batch, 1, sizeof *batch, err);
    if (!status) status = strata_threads_create(&threads, options->threads, err);
    if (!status) {
        batch->options = options;
        for (int split = 0; split < STRATA_SYNTH_SPLITS && !status; split++)
            if (options->counts[split]) status = write_split(batch, (enum strata_synth_split)split, threads, err);
    }
    if (batch)
        for (size_t k = 0; k < BATCH; k++) strata_synth_sample_free(&batch->samples[k]);
    free(batch);
    strata_threads_destroy(threads);
    return status;
}
