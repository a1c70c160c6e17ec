#include "cli/setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/terminal.h"
#include "engine/native.h"

#define ID(name) STRATA_OPTION_ID_##name

static bool is_scripted(const struct strata_arguments *arguments) {
    const char *engine = strata_text(arguments, ID(ENGINE));
    return engine && strcmp(engine, "scripted") == 0;
}

int strata_setup_engine(struct strata_engine **out, const struct strata_arguments *arguments,
                        struct strata_error *err) {
    size_t batch = strata_size(arguments, ID(BATCH));
    if (is_scripted(arguments))
        return strata_engine_scripted(out, 0, batch ? batch : 64, err); /* one world; --seed varies the draws in it */
    if (strata_text(arguments, ID(ENGINE)) && strcmp(strata_text(arguments, ID(ENGINE)), "http") == 0)
        return strata_fail(err, STRATA_ERR_USAGE, "strata %s asks no servers", arguments->command->name);
    if (!strata_given(arguments, ID(MODEL))) {
        strata_fail(err, STRATA_ERR_USAGE, "strata %s needs --model", arguments->command->name);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "--engine scripted needs no model");
    }
    struct strata_native_options options = {
        .model = strata_text(arguments, ID(MODEL)),
        .compute = strata_text(arguments, ID(COMPUTE)),
        .weights = strata_text(arguments, ID(WEIGHTS)),
        .weights_cache = strata_text(arguments, ID(WEIGHTS_CACHE)),
        .feature_files = strata_text(arguments, ID(FEATURE_FILES)),
        .feature_files_bytes = strata_size(arguments, ID(FEATURE_FILES_BYTES)),
        .isa = strata_text(arguments, ID(ISA)),
        .threads = strata_size(arguments, ID(THREADS)),
        .batch = batch,
        .memory = strata_size(arguments, ID(MEMORY)),
        .max_pixels = strata_size(arguments, ID(MAX_PIXELS)),
        .prefill_chunk = strata_size(arguments, ID(PREFILL_CHUNK)),
    };
    if (!options.max_pixels) options.max_pixels = SIZE_MAX; /* the model's own */
    return strata_engine_native(out, &options, err);
}

void strata_print_plan(const struct strata_engine *engine, const struct strata_arguments *arguments) {
    struct strata_native_plan plan;
    char parameters[32], weights[32], cache[32], workspace[32];
    const char *name = strata_text(arguments, ID(ENGINE));
    if (name && strcmp(name, "native") != 0) return;
    strata_native_plan(&plan, engine);
    strata_count_text(parameters, (double)plan.parameters);
    strata_bytes_text(weights, (double)plan.weight_bytes);
    strata_bytes_text(cache, (double)plan.max_pages * (double)plan.page_bytes);
    strata_bytes_text(workspace, (double)plan.workspace_bytes);
    fprintf(stderr, "model: %s parameters; %s kernels, %s, %s weights, %zu thread%s, up to %zu answers in flight\n",
            parameters, plan.isa, plan.compute, plan.weights, plan.threads, plan.threads == 1 ? "" : "s", plan.batch);
    fprintf(stderr, "memory: weights %s%s, workspace %s, keys and values up to %s\n", weights, plan.kept, workspace,
            cache);
}

void strata_print_data(const char *path) {
    struct strata_buffer layout = {0};
    if (!strata_dataset_layout(&layout, path, NULL))
        fprintf(stderr, "data: %s: %s\n", path, strata_buffer_string(&layout));
    strata_buffer_free(&layout);
}

enum strata_format strata_setup_format(const struct strata_arguments *arguments, const char *out) {
    static const enum strata_format formats[] = {STRATA_FORMAT_JSONL,  STRATA_FORMAT_SWIFT, STRATA_FORMAT_LLAMAFACTORY,
                                                 STRATA_FORMAT_TRL,    STRATA_FORMAT_VERL,  STRATA_FORMAT_CSV,
                                                 STRATA_FORMAT_PARQUET};
    if (!strata_given(arguments, ID(FORMAT))) {
        if (strata_path_is_called(out, ".csv") || strata_path_is_called(out, ".tsv")) return STRATA_FORMAT_CSV;
        if (strata_path_ends(out, ".parquet")) return STRATA_FORMAT_PARQUET;
    }
    return formats[strata_choice(arguments, ID(FORMAT))];
}

enum strata_export_paths strata_setup_paths(const struct strata_arguments *arguments) {
    static const enum strata_export_paths paths[] = {STRATA_PATHS_AUTO, STRATA_PATHS_KEEP, STRATA_PATHS_ABSOLUTE};
    return paths[strata_choice(arguments, ID(PATHS))];
}

static int setup_chance(struct strata_cut *cut, const char *text, struct strata_error *err) {
    if (strcmp(text, "off") == 0) {
        cut->chance = STRATA_CHANCE_OFF;
        return 0;
    }
    if (strcmp(text, "auto") == 0) {
        cut->chance = STRATA_CHANCE_AUTO;
        return 0;
    }
    char *end;
    cut->chance = STRATA_CHANCE_FIXED;
    cut->chance_p = strtod(text, &end);
    if (end != text && !*end && cut->chance_p > 0 && cut->chance_p < 1) return 0;
    return strata_fail(err, STRATA_ERR_USAGE, "--chance is \"%s\": off, auto, or a probability between 0 and 1", text);
}

static int setup_pism(struct strata_cut *cut, const struct strata_arguments *arguments, struct strata_error *err) {
    struct strata_pism_rule *rule = &cut->pism;
    if (strata_given(arguments, ID(DRAWS))) rule->draws = (unsigned)strata_integer(arguments, ID(DRAWS));
    const char *tau = strata_text(arguments, ID(TAU)), *bands = strata_text(arguments, ID(PISM_BANDS));
    const char *ratios = strata_text(arguments, ID(RATIOS)), *chance = strata_text(arguments, ID(CHANCE));
    int status = 0;
    /* Another K needs its own count for the same tau. */
    if (tau || strata_given(arguments, ID(DRAWS)))
        status = strata_pism_need(&rule->need, tau ? tau : "0.1", rule->draws, err);
    if (!status && ratios) status = strata_pism_ratios(&rule->ratios, ratios, err);
    if (!status && bands) status = strata_pism_bands(&rule->hard_to, &rule->easy_from, bands, err);
    if (!status && strata_given(arguments, ID(CHANCE))) status = setup_chance(cut, chance, err);
    if (strata_given(arguments, ID(EASY_BOUND))) rule->easy_open = strata_choice(arguments, ID(EASY_BOUND)) == 1;
    if (strata_given(arguments, ID(FULL_CURVE))) rule->full_curve = strata_flag(arguments, ID(FULL_CURVE));
    return status;
}

int strata_setup_cmab(struct strata_cmab_options *cmab, const struct strata_arguments *arguments,
                      struct strata_error *err) {
    const char *bands = strata_text(arguments, ID(CMAB_BANDS));
    int status = 0;
    if (strata_given(arguments, ID(PRESET))) {
        if (strata_choice(arguments, ID(PRESET)) == 1) {
            strata_cmab_released_code(cmab);
        } else {
            strata_cmab_paper(cmab);
        }
    }
    if (strata_given(arguments, ID(CMAB_POOL)))
        status = strata_cmab_pool_parse(&cmab->pool, strata_text(arguments, ID(CMAB_POOL)), err);
    if (!status && strata_given(arguments, ID(CMAB_LAYERS)))
        status = strata_cmab_layers_parse(&cmab->layers, strata_text(arguments, ID(CMAB_LAYERS)), err);
    if (!status && strata_given(arguments, ID(CMAB_OVER_TOKENS)))
        status = strata_cmab_over_parse(&cmab->over, strata_text(arguments, ID(CMAB_OVER_TOKENS)), err);
    if (!status && strata_given(arguments, ID(CMAB_TEXT)))
        status = strata_cmab_text_parse(&cmab->text, strata_text(arguments, ID(CMAB_TEXT)), err);
    if (!status && bands) status = strata_cmab_bands_parse(cmab->bands, bands, err);
    if (strata_given(arguments, ID(CMAB_FIRST))) cmab->skip_first = strata_choice(arguments, ID(CMAB_FIRST)) == 1;
    return status;
}

int strata_setup_cut(struct strata_cut *cut, const struct strata_arguments *arguments, struct strata_error *err) {
    if (strata_given(arguments, ID(ATTEMPTS))) cut->attempts = (unsigned)strata_integer(arguments, ID(ATTEMPTS));
    int status = setup_pism(cut, arguments, err);
    return status ? status : strata_setup_cmab(&cut->cmab, arguments, err);
}

int strata_setup_text(char **out, const struct strata_arguments *arguments, enum strata_option_id id,
                      struct strata_error *err) {
    const char *text = strata_text(arguments, id);
    *out = NULL;
    if (!text) return 0;
    if (text[0] != '@') {
        *out = strata_strdup(text);
        return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    struct strata_buffer file = {0};
    int status = strata_file_read(&file, text + 1, 1 << 20, err);
    if (!status && file.length && memchr(file.data, 0, file.length)) {
        strata_fail(err, STRATA_ERR_INPUT, "--%s: the file is not a text", strata_options[id].name);
        status = strata_fail_at(err, STRATA_ERR_INPUT, "%s", text + 1);
    }
    if (status) {
        strata_buffer_free(&file);
        return status;
    }
    if (file.length && file.data[file.length - 1] == '\n') file.data[--file.length] = '\0';
    *out = strata_strdup(strata_buffer_string(&file));
    strata_buffer_free(&file);
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

int strata_setup_numbers(double *out, size_t count, const char *text, const char *what, struct strata_error *err) {
    const char *rest = text;
    for (size_t i = 0; i < count; i++) {
        char *end;
        out[i] = strtod(rest, &end);
        if (end == rest || !isfinite(out[i]) || *end != (i + 1 < count ? ',' : '\0'))
            return strata_fail(err, STRATA_ERR_USAGE, "--%s is \"%s\", which is not %zu numbers parted by commas", what,
                               text, count);
        rest = end + 1;
    }
    return 0;
}

/* ---- one prompt ---- */

static int user_turn(char **out, const char *question, size_t images, struct strata_error *err) {
    const struct strata_message turn = {STRATA_ROLE_USER, (char *)question};
    size_t marks = strata_chat_marks(&turn);
    if (marks && marks != images) {
        strata_fail(err, STRATA_ERR_USAGE, "the question has %zu <image> mark%s, and there %s %zu --image", marks,
                    marks == 1 ? "" : "s", images == 1 ? "is" : "are", images);
        return strata_fail_hint(err, STRATA_ERR_USAGE,
                                "one --image for each mark; without marks the images stand before the question");
    }
    struct strata_buffer text = {0};
    for (size_t i = marks; i < images; i++) strata_buffer_text(&text, "<image>");
    strata_buffer_text(&text, question);
    int status = strata_buffer_check(&text, err);
    *out = text.data; /* the buffer's memory is malloc'ed and NUL-terminated */
    return status;
}

int strata_setup_prompt(struct strata_setup_prompt *out, const struct strata_arguments *arguments, const char *question,
                        struct strata_error *err) {
    *out = (struct strata_setup_prompt){0};
    const struct strata_value *images = &arguments->values[ID(IMAGE)];
    if (!*question) return strata_fail(err, STRATA_ERR_USAGE, "the question is empty");
    char *system = NULL, *user = NULL;
    int status = strata_setup_text(&system, arguments, ID(SYSTEM), err);
    if (status) return status;
    if (system) out->messages[out->message_count++] = (struct strata_message){STRATA_ROLE_SYSTEM, system};
    status = user_turn(&user, question, images->count, err);
    if (user) out->messages[out->message_count++] = (struct strata_message){STRATA_ROLE_USER, user};
    if (!status) status = strata_alloc(&out->images, images->count, sizeof *out->images, err);
    while (!status && out->image_count < images->count) {
        status = strata_image_load(&out->images[out->image_count], images->items[out->image_count], err);
        if (!status) out->image_count++;
    }
    if (status) strata_setup_prompt_free(out);
    return status;
}

void strata_setup_prompt_free(struct strata_setup_prompt *prompt) {
    for (size_t i = 0; i < prompt->message_count; i++) free(prompt->messages[i].text);
    for (size_t i = 0; i < prompt->image_count; i++) strata_image_free(&prompt->images[i]);
    free(prompt->images);
    *prompt = (struct strata_setup_prompt){0};
}

int strata_setup_shard(struct strata_dataset_options *dataset, const char *text, struct strata_error *err) {
    if (!text) return 0;
    char *end;
    unsigned long long shard = strtoull(text, &end, 10), shards = 0;
    if (end != text && *end == '/' && text[0] != '-' && end[1] != '-') shards = strtoull(end + 1, &end, 10);
    if (shards < 1 || shards > 1000000 || shard < 1 || shard > shards || *end)
        return strata_fail(err, STRATA_ERR_USAGE, "--shard is \"%s\": it reads I/N with I from 1 to N", text);
    dataset->shard = (size_t)shard;
    dataset->shards = (size_t)shards;
    return 0;
}
