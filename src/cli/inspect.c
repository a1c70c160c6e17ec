/* strata inspect: what is in a model directory, a tokenizer, a safetensors file, a run. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/inspect.h"
#include "cli/setup.h"
#include "cli/terminal.h"
#include "model/config.h"
#include "model/image_processor.h"
#include "model/safetensors.h"
#include "model/tokenizer.h"
#include "model/weights.h"

#define ID(name) STRATA_OPTION_ID_##name

static const char *const group_names[] = {"language model", "merger", "vision tower"};
#define GROUPS 3

struct model_facts {
    struct strata_model_config config;
    struct strata_image_processor processor;
    size_t parameters[GROUPS], tensors[GROUPS];
    size_t stored_bytes, stored_tensors, files;
    const char *dtype; /* of most stored values */
    size_t tokenizer_size;
};

static int open_part(char **path, const char *directory, const char *name, struct strata_error *err) {
    *path = strata_path_join(directory, name);
    return *path ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

/* ---- safetensors ---- */

static void print_tensors(const struct strata_safetensors *file) {
    struct strata_table table = {.columns = 4, .left = 1u << 1 | 1u << 2};
    static const char *const heading[] = {"tensor", "type", "shape", "bytes"};
    for (size_t i = 0; i < 4; i++) strata_table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        char shape[200];
        strata_shape_text(shape, sizeof shape, tensor->shape, tensor->rank);
        strata_table_cell(&table, "%s", tensor->name);
        strata_table_cell(&table, "%s", strata_dtype_name(tensor->dtype));
        strata_table_cell(&table, "%s", shape);
        strata_table_cell(&table, "%zu", tensor->count * strata_dtype_size(tensor->dtype));
    }
    strata_table_print(&table, 0, false);
    strata_table_free(&table);
}

static json_t *tensors_json(const struct strata_safetensors *file) {
    json_t *list = json_array();
    for (size_t i = 0; i < strata_safetensors_count(file); i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        json_t *shape = json_array();
        for (size_t d = 0; d < tensor->rank; d++)
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", tensor->name, "dtype",
                                              strata_dtype_name(tensor->dtype), "shape", shape));
    }
    return list;
}

static int inspect_safetensors(const struct strata_arguments *arguments, const char *path, struct strata_error *err) {
    struct strata_safetensors *file = NULL;
    int status = strata_safetensors_open(&file, path, err);
    if (status) return status;
    if (strata_flag(arguments, ID(JSON))) {
        status = strata_print_json(json_pack("{s:o}", "tensors", tensors_json(file)), err);
    } else {
        print_tensors(file);
    }
    strata_safetensors_close(file);
    return status;
}

/* ---- tokenizer ---- */

static int parse_ids(int32_t **out, size_t *count, const char *text, struct strata_error *err) {
    *count = 1;
    for (const char *c = text; *c; c++) *count += *c == ',';
    *out = calloc(*count, sizeof **out);
    if (!*out) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < *count; i++) {
        char *end;
        long id = strtol(text, &end, 10);
        if (end == text || (*end && *end != ',') || id < 0 || id > INT32_MAX) {
            free(*out);
            *out = NULL;
            return strata_fail(err, STRATA_ERR_USAGE, "--decode takes token ids parted by commas");
        }
        (*out)[i] = (int32_t)id;
        text = end + 1;
    }
    return 0;
}

static int print_encoded(const struct strata_arguments *arguments, const struct strata_tokenizer *tokenizer,
                         const char *text, struct strata_error *err) {
    struct strata_tokens tokens = {0};
    int status = strata_tokenizer_encode(tokenizer, &tokens, text, strlen(text), err);
    json_t *list = json_array();
    struct strata_table table = {.columns = 2, .left = 1u << 1};
    strata_table_cell(&table, "id");
    strata_table_cell(&table, "token");
    for (size_t i = 0; i < tokens.count && !status; i++) {
        size_t length = 0;
        const char *bytes = strata_tokenizer_bytes(tokenizer, tokens.ids[i], &length);
        strata_table_cell(&table, "%d", tokens.ids[i]);
        strata_table_cell(&table, "\"%.*s\"", (int)length, bytes ? bytes : "");
        json_array_append_new(list, json_integer(tokens.ids[i]));
    }
    if (!status && strata_flag(arguments, ID(JSON))) {
        status = strata_print_json(json_pack("{s:O}", "ids", list), err);
    } else if (!status) {
        strata_table_print(&table, 0, false);
        printf("%zu tokens\n", tokens.count);
    }
    json_decref(list);
    strata_table_free(&table);
    strata_tokens_free(&tokens);
    return status;
}

static int print_decoded(const struct strata_arguments *arguments, const struct strata_tokenizer *tokenizer,
                         const char *text, struct strata_error *err) {
    int32_t *ids = NULL;
    size_t count = 0;
    struct strata_buffer decoded = {0};
    int status = parse_ids(&ids, &count, text, err);
    if (status) return status;
    status = strata_tokenizer_decode(tokenizer, &decoded, ids, count, false, err);
    if (!status) status = strata_buffer_check(&decoded, err);
    if (!status && strata_flag(arguments, ID(JSON))) {
        status = strata_print_json(
            json_pack("{s:o}", "text", json_stringn(strata_buffer_string(&decoded), decoded.length)), err);
    } else if (!status) {
        puts(strata_buffer_string(&decoded));
    }
    free(ids);
    strata_buffer_free(&decoded);
    return status;
}

static int inspect_tokenizer(const struct strata_arguments *arguments, const char *path, struct strata_error *err) {
    struct strata_tokenizer *tokenizer = NULL;
    const char *encode = strata_text(arguments, ID(ENCODE)), *decode = strata_text(arguments, ID(DECODE));
    int status = strata_tokenizer_open(&tokenizer, path, err);
    if (status) return status;
    if (encode) status = print_encoded(arguments, tokenizer, encode, err);
    if (!status && decode) status = print_decoded(arguments, tokenizer, decode, err);
    if (!status && !encode && !decode) {
        size_t size = strata_tokenizer_size(tokenizer), special = 0;
        for (size_t id = 0; id < size; id++) special += strata_tokenizer_is_special(tokenizer, (int32_t)id);
        if (strata_flag(arguments, ID(JSON))) {
            status = strata_print_json(
                json_pack("{s:I, s:I}", "size", (json_int_t)size, "special", (json_int_t)special), err);
        } else {
            printf("byte-level BPE, %zu tokens, %zu of them special\n", size, special);
        }
    }
    strata_tokenizer_close(tokenizer);
    return status;
}

/* ---- model ---- */

static int count_parameters(struct model_facts *facts, struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    size_t count = 0;
    int status = strata_weights_table(&rows, &count, &facts->config, NULL, err);
    for (size_t i = 0; i < count && !status; i++) {
        size_t product = 1;
        for (size_t d = 0; d < rows[i].rank; d++) product *= rows[i].shape[d];
        facts->parameters[rows[i].group] += product;
        facts->tensors[rows[i].group]++;
    }
    free(rows);
    return status;
}

static int count_stored(struct model_facts *facts, const struct strata_safetensors *file) {
    size_t values[8] = {0}, most = 0;
    facts->stored_tensors = strata_safetensors_count(file);
    for (size_t i = 0; i < facts->stored_tensors; i++) {
        const struct strata_tensor *tensor = strata_safetensors_at(file, i);
        facts->stored_bytes += tensor->count * strata_dtype_size(tensor->dtype);
        if (tensor->file + 1 > facts->files) facts->files = tensor->file + 1;
        values[tensor->dtype] += tensor->count;
        if (values[tensor->dtype] > most) {
            most = values[tensor->dtype];
            facts->dtype = strata_dtype_name(tensor->dtype);
        }
    }
    return 0;
}

static int gather(struct model_facts *facts, const char *directory, struct strata_safetensors **file,
                  struct strata_error *err) {
    char *path = NULL;
    struct strata_tokenizer *tokenizer = NULL;
    int status = strata_model_config_open(&facts->config, directory, err);
    if (!status) status = count_parameters(facts, err);
    if (!status) status = strata_safetensors_open(file, directory, err);
    if (!status) status = count_stored(facts, *file);
    if (!status) status = open_part(&path, directory, "preprocessor_config.json", err);
    if (!status) status = strata_image_processor_open(&facts->processor, path, 0, err);
    free(path);
    path = NULL;
    if (!status) status = open_part(&path, directory, "tokenizer.json", err);
    if (!status) status = strata_tokenizer_open(&tokenizer, path, err);
    free(path);
    if (!status) facts->tokenizer_size = strata_tokenizer_size(tokenizer);
    strata_tokenizer_close(tokenizer);
    return status;
}

/* Bytes of keys and values of one token over all layers. */
static double key_value_bytes(const struct strata_text_config *text, double size) {
    return 2.0 * (double)text->layers * (double)text->kv_heads * (double)text->head_size * size;
}

static void print_model(const struct model_facts *facts, const char *directory) {
    const struct strata_text_config *text = &facts->config.text;
    const struct strata_vision_config *vision = &facts->config.vision;
    size_t parameters = 0, full = 0;
    char a[32], b[32];
    for (size_t g = 0; g < GROUPS; g++) parameters += facts->parameters[g];
    for (size_t block = 0; block < vision->depth; block++) full += vision->full_attention[block];
    printf("%s: Qwen2.5-VL, %s parameters\n\n", directory, strata_count_text(a, (double)parameters));

    struct strata_table table = {.columns = 3};
    strata_table_cell(&table, "part");
    strata_table_cell(&table, "tensors");
    strata_table_cell(&table, "parameters");
    for (size_t g = 0; g < GROUPS; g++) {
        strata_table_cell(&table, "%s", group_names[g]);
        strata_table_cell(&table, "%zu", facts->tensors[g]);
        strata_table_cell(&table, "%zu", facts->parameters[g]);
    }
    strata_table_print(&table, 2, false);
    strata_table_free(&table);

    printf("\n  text     hidden %zu, %zu layers, %zu heads (%zu key/value) of %zu, MLP %zu, vocabulary %zu%s\n",
           text->hidden, text->layers, text->heads, text->kv_heads, text->head_size, text->intermediate,
           text->vocabulary, text->tied ? ", head tied to the embedding" : "");
    printf("           context %zu, rope theta %g, m-RoPE sections %u %u %u, RMS eps %g\n", text->context,
           text->rope_theta, text->mrope_sections[0], text->mrope_sections[1], text->mrope_sections[2],
           (double)text->rms_eps);
    printf("  vision   hidden %zu, %zu blocks (%zu with full attention), %zu heads, MLP %zu, patch %zu, window %zu\n",
           vision->hidden, vision->depth, full, vision->heads, vision->intermediate, vision->patch_size,
           vision->window_size);
    printf("  images   %zu to %zu pixels, %zu to %zu tokens\n", facts->processor.min_pixels,
           facts->processor.max_pixels, facts->processor.min_pixels / 784, facts->processor.max_pixels / 784);
    printf("  tokens   tokenizer of %zu, stop ids", facts->tokenizer_size);
    for (size_t i = 0; i < facts->config.stop_count; i++) printf(" %d", facts->config.stop_ids[i]);
    if (facts->config.generation_repetition_penalty != 1.0F)
        printf("; generation_config asks for a repetition penalty of %g, used only with --repetition-penalty",
               (double)facts->config.generation_repetition_penalty);
    printf("\n  file     %zu tensors, %s, %s in %zu file%s\n", facts->stored_tensors,
           facts->dtype ? facts->dtype : "empty", strata_bytes_text(a, (double)facts->stored_bytes), facts->files,
           facts->files == 1 ? "" : "s");
    printf("  memory   weights %s as f32, %s as bf16;", strata_bytes_text(a, 4.0 * (double)parameters),
           strata_bytes_text(b, 2.0 * (double)parameters));
    printf(" keys and values %s a token as f32, %s as bf16\n", strata_bytes_text(a, key_value_bytes(text, 4)),
           strata_bytes_text(b, key_value_bytes(text, 2)));
}

static int print_model_json(const struct model_facts *facts, const struct strata_safetensors *file, bool tensors,
                            struct strata_error *err) {
    const struct strata_text_config *text = &facts->config.text;
    const struct strata_vision_config *vision = &facts->config.vision;
    json_t *parameters = json_object();
    for (size_t g = 0; g < GROUPS; g++)
        json_object_set_new(parameters, group_names[g], json_integer((json_int_t)facts->parameters[g]));
    json_t *object = json_pack(
        "{s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}, s:I, s:I}",
        "parameters", parameters, "text", "hidden", (json_int_t)text->hidden, "layers", (json_int_t)text->layers,
        "heads", (json_int_t)text->heads, "kv_heads", (json_int_t)text->kv_heads, "head_size",
        (json_int_t)text->head_size, "intermediate", (json_int_t)text->intermediate, "vocabulary",
        (json_int_t)text->vocabulary, "context", (json_int_t)text->context, "tied", text->tied, "vision", "hidden",
        (json_int_t)vision->hidden, "depth", (json_int_t)vision->depth, "heads", (json_int_t)vision->heads, "window",
        (json_int_t)vision->window_size, "images", "min_pixels", (json_int_t)facts->processor.min_pixels, "max_pixels",
        (json_int_t)facts->processor.max_pixels, "tokenizer", (json_int_t)facts->tokenizer_size, "stored_bytes",
        (json_int_t)facts->stored_bytes);
    if (object && tensors) json_object_set_new(object, "tensors", tensors_json(file));
    return strata_print_json(object, err);
}

static int inspect_model(const struct strata_arguments *arguments, const char *directory, struct strata_error *err) {
    struct model_facts facts = {0};
    struct strata_safetensors *file = NULL;
    int status = gather(&facts, directory, &file, err);
    if (!status && strata_flag(arguments, ID(JSON))) {
        status = print_model_json(&facts, file, strata_flag(arguments, ID(TENSORS)), err);
    } else if (!status) {
        print_model(&facts, directory);
        if (strata_flag(arguments, ID(TENSORS))) {
            putchar('\n');
            print_tensors(file);
        }
    }
    strata_safetensors_close(file);
    return status;
}

/* ---- what is it? ---- */

static bool has_file(const char *directory, const char *name) {
    char *path = strata_path_join(directory, name);
    bool there = path && strata_file_exists(path);
    free(path);
    return there;
}

static bool ends_in(const char *text, const char *ending) {
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}

int strata_cli_inspect(const struct strata_arguments *arguments, struct strata_error *err) {
    const char *path = arguments->operands[0];
    bool text = strata_given(arguments, ID(ENCODE)) || strata_given(arguments, ID(DECODE));
    if (strata_is_directory(path) && has_file(path, "run.sqlite")) return strata_inspect_run(arguments, path, err);
    if (strata_given(arguments, ID(OUT)))
        return strata_fail(err, STRATA_ERR_USAGE, "--out writes the difficulty of a run: give a run directory");
    if (strata_is_directory(path)) {
        if (text) {
            char *tokenizer = NULL;
            int status = open_part(&tokenizer, path, "tokenizer.json", err);
            if (!status) status = inspect_tokenizer(arguments, tokenizer, err);
            free(tokenizer);
            return status;
        }
        if (has_file(path, "config.json")) return inspect_model(arguments, path, err);
        strata_fail(err, STRATA_ERR_INPUT, "this directory is neither a model (config.json) nor a run (run.sqlite)");
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", path);
    }
    if (ends_in(path, ".safetensors") || ends_in(path, ".safetensors.index.json"))
        return inspect_safetensors(arguments, path, err);
    return inspect_tokenizer(arguments, path, err);
}
