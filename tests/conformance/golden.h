/* What the conformance programs share: counting cases, comparing with golden tensors, reading golden prompts. */
#ifndef STRATA_TESTS_GOLDEN_H
#define STRATA_TESTS_GOLDEN_H

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/image.h"
#include "data/sample.h"
#include "kernels/kernels.h"
#include "model/safetensors.h"

struct tally {
    size_t passed, failed;
    char scope[256]; /* stands before each failing case */
};

static inline void tally_case(struct tally *tally, bool good, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void tally_case(struct tally *tally, bool good, const char *format, ...) {
    if (good) {
        tally->passed++;
        return;
    }
    tally->failed++;
    printf("FAIL %s: ", tally->scope);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static inline void tally_error(struct tally *tally, const struct strata_error *err) {
    char line[1400];
    tally_case(tally, false, "%s", strata_error_line(err, line, sizeof line));
}

static inline int tally_close(const struct tally *tally) {
    printf("%zu passed, %zu failed\n", tally->passed, tally->failed);
    return tally->failed || tally->passed == 0;
}

/* L2 norm of the difference over L2 norm of the reference; the worst element for the message. */
static inline void compare_relative(struct tally *tally, const char *name, const float *got, const float *want,
                                    size_t count, double tolerance) {
    double difference = 0.0, norm = 0.0, worst = -1.0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)got[i] - (double)want[i], w = (double)want[i];
        difference += d * d;
        norm += w * w;
        if (!(fabs(d) <= worst)) {
            worst = fabs(d);
            at = i;
        }
    }
    double relative = sqrt(difference) / (norm > 0.0 ? sqrt(norm) : 1.0);
    tally_case(tally, relative <= tolerance, "%s: relative L2 %.3g > %.3g; worst element %zu: %.9g instead of %.9g",
               name, relative, tolerance, at, (double)got[at], (double)want[at]);
}

static inline void compare_absolute(struct tally *tally, const char *name, const float *got, const float *want,
                                    size_t count, double tolerance) {
    double worst = 0.0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) {
            worst = d;
            at = i;
        }
    }
    tally_case(tally, worst <= tolerance, "%s: absolute %.3g > %.3g at %zu: %.9g instead of %.9g", name, worst,
               tolerance, at, (double)got[at], (double)want[at]);
}

/* An F32 tensor's data with the wanted number of elements, or NULL when the file has no such tensor; a tensor of
 * another size is a failed case. */
static inline const float *golden_floats(struct tally *tally, const struct strata_safetensors *file, const char *name,
                                         size_t count) {
    const struct strata_tensor *tensor = strata_safetensors_find(file, name);
    if (!tensor) return NULL;
    if (tensor->dtype != STRATA_DTYPE_F32 || tensor->count != count) {
        tally_case(tally, false, "%s has %zu elements of %s, ours %zu", name, tensor->count,
                   strata_dtype_name(tensor->dtype), count);
        return NULL;
    }
    return tensor->data;
}

static inline const int32_t *golden_ints(struct tally *tally, const struct strata_safetensors *file, const char *name,
                                         size_t count) {
    const struct strata_tensor *tensor = strata_safetensors_find(file, name);
    if (!tensor) return NULL;
    if (tensor->dtype != STRATA_DTYPE_I32 || tensor->count != count) {
        tally_case(tally, false, "%s has %zu elements of %s, ours %zu", name, tensor->count,
                   strata_dtype_name(tensor->dtype), count);
        return NULL;
    }
    return tensor->data;
}

#define GOLDEN_MOST 64 /* messages or images of a prompt */

/* A golden prompt: messages with "<image>" marks, and its images. */
struct golden_prompt {
    const char *name;
    bool header; /* ends with the assistant's header (add_generation_prompt) */
    struct strata_message messages[GOLDEN_MOST];
    size_t message_count;
    struct strata_image images[GOLDEN_MOST];
    size_t image_count;
};

static inline void golden_prompt_free(struct golden_prompt *prompt) {
    for (size_t i = 0; i < prompt->message_count; i++) free(prompt->messages[i].text);
    for (size_t i = 0; i < prompt->image_count; i++) strata_image_free(&prompt->images[i]);
    *prompt = (struct golden_prompt){0};
}

static inline char *golden_content(const json_t *content) {
    struct strata_buffer text = {0};
    size_t index;
    json_t *part;
    if (json_is_string(content)) return strata_strdup(json_string_value(content));
    strata_buffer_text(&text, "");
    json_array_foreach(content, index, part) {
        const char *piece = json_string_value(json_object_get(part, "text"));
        strata_buffer_text(&text, piece ? piece : "<image>");
    }
    return text.data;
}

static inline int golden_prompt_load(struct golden_prompt *prompt, const json_t *entry, const char *images,
                                     struct strata_error *err) {
    size_t index;
    json_t *item;
    const json_t *messages = json_object_get(entry, "messages"), *files = json_object_get(entry, "images");
    *prompt = (struct golden_prompt){.name = json_string_value(json_object_get(entry, "name")),
                                     .header = !json_is_false(json_object_get(entry, "add_generation_prompt"))};
    if (json_array_size(messages) > GOLDEN_MOST || json_array_size(files) > GOLDEN_MOST)
        return strata_fail(err, STRATA_ERR_UNSUPPORTED, "more than %d messages or images", GOLDEN_MOST);
    json_array_foreach(messages, index, item) {
        const char *role = json_string_value(json_object_get(item, "role"));
        if (!role) return strata_fail(err, STRATA_ERR_INPUT, "message %zu has no role", index);
        struct strata_message *message = &prompt->messages[prompt->message_count++];
        message->role = strcmp(role, "system") == 0 ? STRATA_ROLE_SYSTEM
                        : strcmp(role, "user") == 0 ? STRATA_ROLE_USER
                                                    : STRATA_ROLE_ASSISTANT;
        message->text = golden_content(json_object_get(item, "content"));
    }
    json_array_foreach(files, index, item) {
        if (!json_is_string(item)) return strata_fail(err, STRATA_ERR_INPUT, "image %zu has no name", index);
        char *path = strata_path_join(images, json_string_value(item));
        int code = strata_image_load(&prompt->images[prompt->image_count], path, err);
        free(path);
        if (code) return code;
        prompt->image_count++;
    }
    return 0;
}

static inline int golden_by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The images of a set: DIR/images; beside DIR when it is one model's directory. Owned by the caller. */
static inline char *golden_images(const char *directory) {
    char *within = strata_path_join(directory, "images");
    if (strata_is_directory(within)) return within;
    char *beside = strata_path_join(directory, "../images");
    if (strata_is_directory(beside)) {
        free(within);
        return beside;
    }
    free(beside);
    return within;
}

/* Names of the subdirectories of `directory` that hold `file`, sorted, and "." when it does so itself; ends with NULL.
 * Owned by the caller, as are the names. */
static inline char **golden_directories(const char *directory, const char *file) {
    size_t count = 0, capacity = 0;
    char **names = NULL;
    DIR *handle = opendir(directory);
    struct dirent *entry;
    while (handle && (entry = readdir(handle))) {
        if (entry->d_name[0] == '.' && entry->d_name[1]) continue;
        char *inner = strata_path_join(directory, entry->d_name), *probe = strata_path_join(inner, file);
        if (strata_file_exists(probe) && !strata_grow(&names, &capacity, count + 2, sizeof *names, NULL)) {
            names[count++] = strata_strdup(entry->d_name);
            names[count] = NULL;
        }
        free(probe);
        free(inner);
    }
    if (handle) closedir(handle);
    if (count) qsort(names, count, sizeof *names, golden_by_name);
    return names;
}

/* Are the checkpoint's matrices stored in bf16? Rounding an fp32 checkpoint to bf16 costs accuracy before any
 * arithmetic: on dev-a, fp32 arithmetic over rounded weights is already 2.5e-2 off in the logits. */
static inline bool golden_stored_bf16(const char *directory) {
    struct strata_safetensors *file;
    size_t largest = 0;
    bool bf16 = false;
    if (strata_safetensors_open(&file, directory, NULL)) return false;
    for (size_t i = 0; i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        if (tensor->count <= largest) continue;
        largest = tensor->count;
        bf16 = tensor->dtype == STRATA_DTYPE_BF16;
    }
    strata_safetensors_close(file);
    return bf16;
}

/* `--isa LEVEL --optional` on a CPU without the level: says so; the program then ends with status 77 (skipped). */
static inline bool golden_level_missing(int count, char **arguments, const char *isa) {
    bool optional = false;
    for (int i = 1; i < count; i++) optional = optional || strcmp(arguments[i], "--optional") == 0;
    if (!optional || strcmp(isa, "auto") == 0 || strata_level_available(isa)) return false;
    printf("skipped: this CPU has no %s\n", isa);
    return true;
}

/* "KIND_tTEMPERATURE" of a case of grpo.json, with the temperature as the end of the case's name writes it. */
static inline void golden_temperature_key(char *key, size_t size, const char *kind, const json_t *entry) {
    const char *name = json_string_value(json_object_get(entry, "name")), *end = NULL;
    for (const char *at = name; at && (at = strstr(at, "_t")); at += 2) end = at;
    if (end)
        snprintf(key, size, "%s%s", kind, end);
    else
        snprintf(key, size, "%s_t%.1f", kind, json_number_value(json_object_get(entry, "temperature")));
}

/* Value of `--name VALUE` or `--name=VALUE` among the arguments, or the default. */
static inline const char *golden_option(int count, char **arguments, const char *name, const char *otherwise) {
    size_t length = strlen(name);
    for (int i = 1; i < count; i++) {
        if (strncmp(arguments[i], name, length) != 0) continue;
        if (arguments[i][length] == '=') return arguments[i] + length + 1;
        if (!arguments[i][length] && i + 1 < count) return arguments[i + 1];
    }
    return otherwise;
}

#endif
