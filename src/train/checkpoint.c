#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/safetensors.h"

#define PREFIX       "checkpoint-"
#define TEMPORARY    ".checkpoint-"
#define STATE_NAME   "trainer_state.json"
#define MOMENTS_NAME "optimizer.safetensors"
#define FILE_LIMIT   ((size_t)1 << 30) /* of a copied file: tokenizers have some 10 MB */

static int io_error(struct strata_error *err, const char *what, const char *path) {
    strata_fail(err, STRATA_ERR_IO, "cannot %s: %s", what, strerror(errno));
    return strata_fail_at(err, STRATA_ERR_IO, "%s", path);
}

static int joined(char **out, const char *directory, const char *name, struct strata_error *err) {
    *out = strata_path_join(directory, name);
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int sync_directory(const char *path, struct strata_error *err) {
    int handle = open(path, O_RDONLY | O_DIRECTORY);
    if (handle < 0) return io_error(err, "open", path);
    int failed = fsync(handle);
    close(handle);
    return failed ? io_error(err, "sync", path) : 0;
}

/* ---- writing ---- */

static int copy_file(const char *to, const char *from, const char *name, struct strata_error *err) {
    struct strata_buffer bytes = {0};
    char *source, *target = NULL;
    int code = joined(&source, from, name, err);
    if (!code) code = joined(&target, to, name, err);
    if (!code && strata_file_exists(source)) {
        code = strata_file_read(&bytes, source, FILE_LIMIT, err);
        if (!code) code = strata_file_write(target, bytes.data, bytes.length, err);
    }
    strata_buffer_free(&bytes);
    free(source);
    free(target);
    return code;
}

static int copy_settings(const char *to, const char *from, struct strata_error *err) {
    static const char *const names[] = {"config.json",
                                        "generation_config.json",
                                        "preprocessor_config.json",
                                        "video_preprocessor_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "chat_template.json",
                                        "chat_template.jinja",
                                        "vocab.json",
                                        "merges.txt",
                                        "processor_config.json"};
    int code = 0;
    for (size_t i = 0; !code && i < sizeof names / sizeof *names; i++) code = copy_file(to, from, names[i], err);
    return code;
}

/* exp_avg.NAME and so on, in one order for declaring and for writing. */
static const char *const prefixes[STRATA_PARTS] = {"exp_avg.", "exp_avg_sq.", "master."};

static void part_name(char out[192], const struct strata_optimizer *optimizer, size_t part, size_t index) {
    snprintf(out, 192, "%s%s", prefixes[part], optimizer->parameters[index].name);
}

/* Room for the rows of a parameter that pass at once. */
static int piece_buffer(float **out, const struct strata_optimizer *optimizer, struct strata_error *err) {
    size_t most = 0;
    for (size_t i = 0; i < optimizer->count; i++) {
        const size_t values = strata_optimizer_rows(&optimizer->parameters[i]) * optimizer->parameters[i].K;
        if (values > most) most = values;
    }
    return strata_alloc(out, most, sizeof **out, err);
}

static int write_part(struct strata_safetensors_writer *writer, const struct strata_optimizer *optimizer, size_t part,
                      size_t index, float *buffer, struct strata_error *err) {
    const struct strata_parameter *parameter = &optimizer->parameters[index];
    const size_t most = strata_optimizer_rows(parameter);
    int code = 0;
    for (size_t first = 0; !code && first < parameter->rows; first += most) {
        const size_t rows = parameter->rows - first < most ? parameter->rows - first : most;
        strata_optimizer_get(buffer, optimizer, (enum strata_optimizer_part)part, index, first, rows);
        code = strata_safetensors_write(writer, buffer, rows * parameter->K * sizeof *buffer, err);
    }
    return code;
}

static int save_optimizer(const struct strata_optimizer *optimizer, const char *directory, struct strata_error *err) {
    struct strata_safetensors_writer *writer = NULL;
    char *path, name[192];
    float *buffer = NULL;
    int code = joined(&path, directory, MOMENTS_NAME, err);
    if (!code) code = piece_buffer(&buffer, optimizer, err);
    if (!code) code = strata_safetensors_create(&writer, path, err);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t p = 0; !code && p < STRATA_PARTS; p++) {
            for (size_t i = 0; !code && i < optimizer->count; i++) {
                size_t shape[2] = {optimizer->parameters[i].rows, optimizer->parameters[i].K};
                if (!strata_optimizer_has(optimizer, (enum strata_optimizer_part)p, i)) continue;
                part_name(name, optimizer, p, i);
                code = pass ? write_part(writer, optimizer, p, i, buffer, err)
                            : strata_safetensors_declare(writer, name, STRATA_DTYPE_F32, shape, 2, err);
            }
        }
    }
    if (!code)
        code = strata_safetensors_commit(writer, err);
    else if (writer)
        strata_safetensors_abort(writer);
    free(path);
    free(buffer);
    return code;
}

static int write_files(const struct strata_checkpoint *checkpoint, const char *directory, struct strata_error *err) {
    enum strata_dtype dtype =
        checkpoint->weights->embedding.type == STRATA_WEIGHT_BF16 ? STRATA_DTYPE_BF16 : STRATA_DTYPE_F32;
    char *path;
    int code = copy_settings(directory, checkpoint->source, err);
    if (code) return code;
    if ((code = joined(&path, directory, "model.safetensors", err))) return code;
    code = strata_weights_save(checkpoint->weights, checkpoint->config, path, dtype, err);
    free(path);
    if (!code && checkpoint->extra) code = checkpoint->extra(checkpoint->extra_context, directory, err);
    if (!code && checkpoint->optimizer) code = save_optimizer(checkpoint->optimizer, directory, err);
    if (code || !checkpoint->state) return code;
    /* The state comes last: a directory that has it has everything. */
    char *line = strata_json_line(checkpoint->state);
    if (!line) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    code = joined(&path, directory, STATE_NAME, err);
    if (!code) code = strata_file_write(path, line, strlen(line), err);
    free(path);
    free(line);
    return code;
}

/* Points OUT/name at a checkpoint of OUT, at once. */
static int point(const char *out, const char *name, const char *target, struct strata_error *err) {
    char fresh[64], *temporary, *link = NULL;
    snprintf(fresh, sizeof fresh, ".%s-%ld", name, (long)getpid());
    int code = joined(&temporary, out, fresh, err);
    if (!code) code = joined(&link, out, name, err);
    if (!code) {
        unlink(temporary);
        if (symlink(target, temporary) || rename(temporary, link)) code = io_error(err, "link", link);
    }
    free(temporary);
    free(link);
    return code;
}

/* An older checkpoint of that step (a run set back and gone again) makes way first: at worst neither is there, and the
 * one before it serves. */
static int put_in_place(const char *temporary, const char *out, const char *name, struct strata_error *err) {
    char *path;
    int code = joined(&path, out, name, err);
    if (!code) code = sync_directory(temporary, err);
    if (!code) code = strata_remove_tree(path, err);
    if (!code && rename(temporary, path)) code = io_error(err, "rename", path);
    if (!code) code = sync_directory(out, err);
    free(path);
    return code;
}

int strata_checkpoint_save(const struct strata_checkpoint *checkpoint, uint64_t step, bool best,
                           struct strata_error *err) {
    char name[64], hidden[64], *temporary;
    snprintf(name, sizeof name, PREFIX "%llu", (unsigned long long)step);
    snprintf(hidden, sizeof hidden, TEMPORARY "%llu", (unsigned long long)step);
    int code = joined(&temporary, checkpoint->out, hidden, err);
    if (code) return code;
    if (!(code = strata_remove_tree(temporary, err)) && !(code = strata_make_directories(temporary, err)))
        code = write_files(checkpoint, temporary, err);
    if (!code) code = put_in_place(temporary, checkpoint->out, name, err);
    if (!code) code = point(checkpoint->out, "last", name, err);
    if (!code && best) code = point(checkpoint->out, "best", name, err);
    if (code) {
        struct strata_error unused;
        (void)strata_remove_tree(temporary, &unused); /* a full disk should not stay full */
    }
    free(temporary);
    return code;
}

/* ---- finding and rotating ---- */

struct steps {
    uint64_t *items;
    size_t count, capacity;
};

static int by_step(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Steps of the complete checkpoints, ascending; with `sweep` what is left of incomplete ones is removed. */
static int find_steps(struct steps *steps, const char *out, bool sweep, struct strata_error *err) {
    DIR *handle = opendir(out);
    struct dirent *entry;
    int code = 0;
    if (!handle) return errno == ENOENT ? 0 : io_error(err, "open", out);
    while (!code && (entry = readdir(handle))) {
        char *end, *path;
        bool stale = strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0;
        if (!stale && strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0) continue;
        if ((code = joined(&path, out, entry->d_name, err))) break;
        if (stale) {
            if (sweep) code = strata_remove_tree(path, err);
        } else {
            errno = 0;
            unsigned long long step = strtoull(entry->d_name + strlen(PREFIX), &end, 10);
            if (!*end && end != entry->d_name + strlen(PREFIX) && !errno) {
                code = strata_grow(&steps->items, &steps->capacity, steps->count + 1, sizeof *steps->items, err);
                if (!code) steps->items[steps->count++] = step;
            }
        }
        free(path);
    }
    closedir(handle);
    if (steps->count) qsort(steps->items, steps->count, sizeof *steps->items, by_step);
    return code;
}

/* The step that OUT/name points at, or 0. */
static uint64_t pointed(const char *out, const char *name) {
    char target[128], *link = strata_path_join(out, name);
    ssize_t length = link ? readlink(link, target, sizeof target - 1) : -1;
    free(link);
    if (length < (ssize_t)strlen(PREFIX)) return 0;
    target[length] = '\0';
    return strtoull(target + strlen(PREFIX), NULL, 10);
}

int strata_checkpoint_rotate(const char *out, size_t limit, struct strata_error *err) {
    struct steps steps = {0};
    uint64_t best = pointed(out, "best");
    int code = find_steps(&steps, out, true, err);
    size_t left = steps.count;
    for (size_t i = 0; !code && limit && left > limit && i + 1 < steps.count; i++) {
        char name[64], *path;
        if (steps.items[i] == best) continue;
        snprintf(name, sizeof name, PREFIX "%llu", (unsigned long long)steps.items[i]);
        if ((code = joined(&path, out, name, err))) break;
        code = strata_remove_tree(path, err);
        free(path);
        left--;
    }
    free(steps.items);
    return code;
}

int strata_checkpoint_last(char **path, const char *out, struct strata_error *err) {
    struct steps steps = {0};
    *path = NULL;
    int code = find_steps(&steps, out, false, err);
    for (size_t i = steps.count; !code && !*path && i > 0; i--) {
        char name[96], *state;
        snprintf(name, sizeof name, PREFIX "%llu", (unsigned long long)steps.items[i - 1]);
        code = joined(path, out, name, err);
        if (!code) code = joined(&state, *path, STATE_NAME, err);
        if (code) break;
        if (!strata_file_exists(state)) { /* removal was under way */
            free(*path);
            *path = NULL;
        }
        free(state);
    }
    free(steps.items);
    return code;
}

/* ---- reading ---- */

int strata_checkpoint_state(json_t **state, const char *directory, struct strata_error *err) {
    char *path, *moments = NULL;
    int code = joined(&path, directory, STATE_NAME, err);
    if (!code) code = joined(&moments, directory, MOMENTS_NAME, err);
    if (!code && !strata_is_directory(directory)) {
        strata_fail(err, STRATA_ERR_STATE, "there is no such checkpoint");
        code = strata_fail_at(err, STRATA_ERR_STATE, "%s", directory);
    } else if (!code && (!strata_file_exists(path) || !strata_file_exists(moments))) {
        strata_fail(
            err, STRATA_ERR_STATE,
            "this directory holds weights alone: without %s the optimiser's moments, the schedule and the place "
            "in the data are unknown, so training cannot continue where it stopped",
            strata_file_exists(path) ? MOMENTS_NAME : STATE_NAME);
        strata_fail_at(err, STRATA_ERR_STATE, "%s", directory);
        code = strata_fail_hint(err, STRATA_ERR_STATE, "--start-from %.200s begins anew from its weights", directory);
    }
    if (!code) code = strata_json_load(state, path, FILE_LIMIT, err);
    free(path);
    free(moments);
    return code;
}

static int load_part(struct strata_optimizer *optimizer, const struct strata_safetensors *file, size_t part,
                     size_t index, float *buffer, struct strata_error *err) {
    const struct strata_parameter *parameter = &optimizer->parameters[index];
    const size_t most = strata_optimizer_rows(parameter), K = parameter->K;
    char name[192];
    int code = 0;
    part_name(name, optimizer, part, index);
    const struct strata_tensor *tensor = strata_safetensors_find(file, name);
    if (!tensor || tensor->dtype != STRATA_DTYPE_F32 || tensor->count != parameter->rows * K)
        return strata_fail(err, STRATA_ERR_STATE, "tensor '%s' is missing or does not fit this model", name);
    for (size_t first = 0; !code && first < parameter->rows; first += most) {
        const size_t rows = parameter->rows - first < most ? parameter->rows - first : most;
        code = strata_tensor_floats(buffer, tensor, first * K, rows * K, err);
        if (!code) strata_optimizer_set(optimizer, (enum strata_optimizer_part)part, index, first, rows, buffer);
    }
    strata_safetensors_release(file, tensor);
    return code;
}

int strata_checkpoint_optimizer(struct strata_optimizer *optimizer, const char *directory, struct strata_error *err) {
    struct strata_safetensors *file = NULL;
    char *path;
    float *buffer = NULL;
    int code = joined(&path, directory, MOMENTS_NAME, err);
    if (!code) code = piece_buffer(&buffer, optimizer, err);
    if (!code) code = strata_safetensors_open(&file, path, err);
    for (size_t p = 0; !code && p < STRATA_PARTS; p++)
        for (size_t i = 0; !code && i < optimizer->count; i++)
            if (strata_optimizer_has(optimizer, (enum strata_optimizer_part)p, i))
                code = load_part(optimizer, file, p, i, buffer, err);
    if (code && path) strata_fail_at_default(err, code, "%s", path);
    strata_safetensors_close(file);
    free(path);
    free(buffer);
    return code;
}
