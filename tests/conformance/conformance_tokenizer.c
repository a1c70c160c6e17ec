/* conformance_tokenizer MODELS_DIR: every MODEL/tokenizer.jsonl with its MODEL/tokenizer.json, tokenizer_qwen3.jsonl
 * with the Qwen3 tokenizer under $STRATA_SHARED, and of every MODEL/prompts.json the rendered chat, the ids, positions,
 * delta and question positions. */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "model/config.h"
#include "model/prompt.h"
#include "model/prompt_cases.h"
#include "model/safetensors.h"
#include "model/tokenizer.h"

struct tally {
    size_t passed, failed;
};

static void fail_error(struct tally *tally, const char *place, const struct strata_error *error) {
    char line[2048];
    tally->failed++;
    printf("FAIL %s: %s\n", place, strata_error_line(error, line, sizeof line));
}

static void print_ids(const char *label, const int32_t *ids, size_t count) {
    printf("  %s (%zu):", label, count);
    for (size_t i = 0; i < count; i++) printf(" %d", (int)ids[i]);
    printf("\n");
}

static void check_ids(struct tally *tally, const char *place, const int32_t *got, size_t got_count,
                      const int32_t *wanted, size_t wanted_count) {
    if (got_count == wanted_count && (got_count == 0 || memcmp(got, wanted, got_count * sizeof *got) == 0)) {
        tally->passed++;
        return;
    }
    tally->failed++;
    printf("FAIL %s\n", place);
    print_ids("expected", wanted, wanted_count);
    print_ids("got", got, got_count);
}

static void check_text(struct tally *tally, const char *place, const struct strata_buffer *got, const json_t *wanted) {
    size_t length = json_string_length(wanted);
    if (json_is_string(wanted) && got->length == length &&
        memcmp(strata_buffer_string(got), json_string_value(wanted), length) == 0) {
        tally->passed++;
        return;
    }
    tally->failed++;
    printf("FAIL %s\n  expected: %s\n  got: %s\n", place, json_string_value(wanted), strata_buffer_string(got));
}

/* Owned by the caller. */
static int32_t *ids_of(const json_t *list, size_t *count) {
    *count = json_array_size(list);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    if (!ids) abort();
    for (size_t i = 0; i < *count; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return ids;
}

static void run_line(struct tally *tally, const struct strata_tokenizer *tokenizer, const char *place,
                     const json_t *record) {
    struct strata_error error = {0};
    size_t count;
    int32_t *ids = ids_of(json_object_get(record, "ids"), &count);
    const json_t *text = json_object_get(record, "text");
    if (text) {
        struct strata_tokens tokens = {0};
        if (strata_tokenizer_encode(tokenizer, &tokens, json_string_value(text), json_string_length(text), &error)) {
            fail_error(tally, place, &error);
        } else {
            check_ids(tally, place, tokens.ids, tokens.count, ids, count);
        }
        strata_tokens_free(&tokens);
    }
    const char *const keys[] = {"decoded", "decoded_skip_special"};
    for (int skip = 0; skip < 2; skip++) {
        const json_t *wanted = json_object_get(record, keys[skip]);
        struct strata_buffer decoded = {0};
        if (!wanted) continue;
        if (strata_tokenizer_decode(tokenizer, &decoded, ids, count, skip == 1, &error)) {
            fail_error(tally, place, &error);
        } else {
            check_text(tally, place, &decoded, wanted);
        }
        strata_buffer_free(&decoded);
    }
    free(ids);
}

static void run_lines(struct tally *tally, const struct strata_tokenizer *tokenizer, const char *path) {
    struct strata_error error = {0};
    struct strata_buffer text = {0};
    if (strata_file_read(&text, path, 0, &error)) {
        fail_error(tally, path, &error);
        return;
    }
    size_t number = 0;
    for (size_t at = 0; at < text.length;) {
        const char *end = memchr(text.data + at, '\n', text.length - at);
        size_t length = end ? (size_t)(end - text.data) - at : text.length - at;
        char place[4096];
        snprintf(place, sizeof place, "%s:%zu", path, ++number);
        json_t *record = NULL;
        if (length > 0) {
            if (strata_json_parse(&record, text.data + at, length, path, number, &error)) {
                fail_error(tally, place, &error);
            } else {
                run_line(tally, tokenizer, place, record);
            }
        }
        json_decref(record);
        at += length + 1;
    }
    strata_buffer_free(&text);
}

static void check_tensor(struct tally *tally, const char *place, const struct strata_safetensors *file,
                         const char *name, const int32_t *got, size_t count) {
    const struct strata_tensor *tensor = strata_safetensors_find(file, name);
    if (!tensor || tensor->dtype != STRATA_DTYPE_I32) {
        tally->failed++;
        printf("FAIL %s: no I32 tensor %s\n", place, name);
        return;
    }
    int32_t *wanted = malloc(tensor->count * sizeof *wanted + 1);
    if (!wanted) abort();
    memcpy(wanted, tensor->data, tensor->count * sizeof *wanted);
    char full[4200];
    snprintf(full, sizeof full, "%s %s", place, name);
    check_ids(tally, full, got, count, wanted, tensor->count);
    free(wanted);
}

/* Against prompt_NAME.safetensors. T: tokens without the assistant header where the case has none. */
static void check_prompt_file(struct tally *tally, const char *place, const char *directory, const char *name,
                              const struct strata_prompt *prompt, size_t T) {
    struct strata_error error = {0};
    struct strata_safetensors *file;
    char file_name[512];
    snprintf(file_name, sizeof file_name, "prompt_%s.safetensors", name);
    char *path = strata_path_join(directory, file_name);
    if (!path) abort();
    if (!strata_file_exists(path)) {
        printf("skipped: %s is absent\n", path);
    } else if (strata_safetensors_open(&file, path, &error)) {
        fail_error(tally, path, &error);
    } else {
        check_tensor(tally, place, file, "input_ids", prompt->ids, T);
        int32_t *numbers = calloc(3 * prompt->T + 1, sizeof *numbers);
        if (!numbers) abort();
        for (size_t row = 0; row < 3; row++) {
            memcpy(numbers + row * T, prompt->positions + row * prompt->T, T * sizeof *numbers);
        }
        check_tensor(tally, place, file, "position_ids", numbers, 3 * T);
        check_tensor(tally, place, file, "rope_delta", &prompt->rope_delta, 1);
        size_t count = 0;
        for (size_t s = 0; s < prompt->segment_count; s++) {
            const struct strata_segment *segment = &prompt->segments[s];
            if (segment->kind != STRATA_SEGMENT_QUESTION) continue;
            for (uint32_t i = 0; i < segment->count; i++) numbers[count++] = (int32_t)(segment->begin + i);
        }
        check_tensor(tally, place, file, "question_positions", numbers, count);
        free(numbers);
        strata_safetensors_close(file);
    }
    free(path);
}

static void run_prompt(struct tally *tally, const struct strata_tokenizer *tokenizer,
                       const struct strata_model_config *config, const char *directory, const json_t *object) {
    struct strata_error error = {0};
    struct prompt_case prompt_case;
    char place[4096];
    if (!prompt_case_read(&prompt_case, object)) {
        tally->failed++;
        printf("FAIL %s/prompts.json: a case that cannot be read\n", directory);
        return;
    }
    snprintf(place, sizeof place, "%s/prompts.json %s", directory, prompt_case.name);
    struct strata_buffer rendered = {0};
    if (strata_chat_render(&rendered, prompt_case.messages, prompt_case.count, prompt_case.header, &error)) {
        fail_error(tally, place, &error);
    } else {
        check_text(tally, place, &rendered, json_object_get(object, "rendered"));
    }
    strata_buffer_free(&rendered);
    struct strata_prompt prompt;
    if (strata_prompt_build(&prompt, tokenizer, &config->special, prompt_case.messages, prompt_case.count,
                            prompt_case.grids, prompt_case.image_count, (unsigned)config->vision.merge_size, 0,
                            &error)) {
        fail_error(tally, place, &error);
    } else {
        size_t count, T = prompt.T;
        int32_t *ids = ids_of(json_object_get(object, "input_ids"), &count);
        if (!prompt_case.header && count < T) T = count;
        check_ids(tally, place, prompt.ids, T, ids, count);
        int32_t delta = (int32_t)json_integer_value(json_object_get(object, "rope_delta"));
        check_ids(tally, place, &prompt.rope_delta, 1, &delta, 1);
        check_prompt_file(tally, place, directory, prompt_case.name, &prompt, T);
        free(ids);
        strata_prompt_free(&prompt);
    }
    prompt_case_free(&prompt_case);
}

static void run_prompts(struct tally *tally, const struct strata_tokenizer *tokenizer, const char *directory,
                        const char *path) {
    struct strata_error error = {0};
    struct strata_model_config config;
    json_t *cases = NULL;
    if (strata_chat_template_check_model(directory, &error)) {
        fail_error(tally, directory, &error);
    } else {
        tally->passed++;
    }
    if (strata_json_load(&cases, path, 0, &error) || strata_model_config_open(&config, directory, &error)) {
        fail_error(tally, path, &error);
    } else {
        for (size_t i = 0; i < json_array_size(cases); i++) {
            run_prompt(tally, tokenizer, &config, directory, json_array_get(cases, i));
        }
    }
    json_decref(cases);
}

static void run_model(struct tally *tally, const char *directory) {
    struct strata_error error = {0};
    struct strata_tokenizer *tokenizer;
    char *json = strata_path_join(directory, "tokenizer.json"), *lines = strata_path_join(directory, "tokenizer.jsonl");
    char *prompts = strata_path_join(directory, "prompts.json");
    if (!json || !lines || !prompts) abort();
    if (strata_file_exists(json) && (strata_file_exists(lines) || strata_file_exists(prompts))) {
        if (strata_tokenizer_open(&tokenizer, json, &error)) {
            fail_error(tally, json, &error);
        } else {
            if (strata_file_exists(lines)) run_lines(tally, tokenizer, lines);
            if (strata_file_exists(prompts)) run_prompts(tally, tokenizer, directory, prompts);
            strata_tokenizer_close(tokenizer);
        }
    }
    free(json);
    free(lines);
    free(prompts);
}

static void run_qwen3(struct tally *tally, const char *models) {
    const char *shared = getenv("STRATA_SHARED");
    char path[4096], command[4200];
    snprintf(path, sizeof path, "%s/tokenizers/qwen3/tokenizer.json.xz", shared ? shared : "../shared");
    char *lines = strata_path_join(models, "tokenizer_qwen3.jsonl");
    if (!lines) abort();
    if (!strata_file_exists(lines) || !strata_file_exists(path) || strchr(path, '\'')) {
        printf("skipped: tokenizer_qwen3.jsonl needs itself and %s\n", path);
        free(lines);
        return;
    }
    snprintf(command, sizeof command, "xz -dc '%s'", path);
    FILE *stream = popen(command, "r");
    struct strata_buffer json = {0};
    char block[65536];
    for (size_t got; stream && (got = fread(block, 1, sizeof block, stream)) > 0;) {
        strata_buffer_append(&json, block, got);
    }
    struct strata_error error = {0};
    struct strata_tokenizer *tokenizer;
    if (!stream || pclose(stream) != 0) {
        printf("skipped: tokenizer_qwen3.jsonl, because xz -dc failed\n");
    } else if (strata_tokenizer_parse(&tokenizer, strata_buffer_string(&json), json.length, path, &error)) {
        fail_error(tally, path, &error);
    } else {
        run_lines(tally, tokenizer, lines);
        strata_tokenizer_close(tokenizer);
    }
    strata_buffer_free(&json);
    free(lines);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: conformance_tokenizer MODELS_DIR\n");
        return 2;
    }
    struct dirent **entries;
    int count = scandir(argv[1], &entries, NULL, alphasort);
    if (count < 0) {
        perror(argv[1]);
        return 1;
    }
    struct tally tally = {0};
    for (int i = 0; i < count; i++) {
        char *directory = strata_path_join(argv[1], entries[i]->d_name);
        if (!directory) abort();
        const bool hidden = entries[i]->d_name[0] == '.' && entries[i]->d_name[1]; /* ".": DIR is a model itself */
        if (!hidden && strata_is_directory(directory)) run_model(&tally, directory);
        free(directory);
        free(entries[i]);
    }
    free(entries);
    run_qwen3(&tally, argv[1]);
    printf("%zu passed, %zu failed\n", tally.passed, tally.failed);
    return tally.failed > 0;
}
