#include "train/lora.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "model/safetensors.h"
#include "train/train.h"

static const char *const all_targets = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";

/* The module part of "model.layers.3.mlp.up_proj.weight": "up_proj". False for what is not a linear layer of the
 * language model. */
static bool module_of(char out[32], const struct strata_weight_row *row) {
    static const char prefix[] = "model.layers.", suffix[] = ".weight";
    size_t length = strlen(row->name);
    if (!row->matrix || strncmp(row->name, prefix, sizeof prefix - 1) != 0 || length < sizeof suffix) return false;
    const char *end = row->name + length - (sizeof suffix - 1), *begin = end;
    if (strcmp(end, suffix) != 0) return false;
    while (begin > row->name && begin[-1] != '.') begin--;
    snprintf(out, 32, "%.*s", (int)(end - begin), begin);
    return true;
}

/* Is `word` one of the comma-separated targets? */
static bool is_target(const char *targets, const char *word) {
    size_t length = strlen(word);
    for (const char *at = targets; *at;) {
        size_t part = strcspn(at, ",");
        if (part == length && memcmp(at, word, length) == 0) return true;
        at += part + (at[part] == ',');
    }
    return false;
}

static int check_targets(const char *targets, struct strata_error *err) {
    for (const char *at = targets; *at;) {
        char word[32];
        size_t part = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)part, at);
        if (!is_target(all_targets, word)) {
            strata_fail(err, STRATA_ERR_USAGE, "there is no linear layer \"%s\" to adapt", word);
            return strata_fail_hint(err, STRATA_ERR_USAGE, "known: %s", all_targets);
        }
        at += part + (at[part] == ',');
    }
    return 0;
}

/* PEFT's name of an adapter in transformers' own module tree. */
static void adapter_name(char out[192], const struct strata_weight_row *row, const char *part) {
    size_t stem = strlen(row->name) - strlen(".weight") - strlen("model.");
    snprintf(out, 192, "base_model.model.model.language_model.%.*s.%s.weight", (int)stem, row->name + strlen("model."),
             part);
}

static void start_values(struct strata_lora_module *module, size_t rank, double b_deviation, uint64_t seed) {
    struct strata_random a = strata_random_make(seed, module->name_a, STRATA_PURPOSE_INIT, 0, 0);
    struct strata_random b = strata_random_make(seed, module->name_b, STRATA_PURPOSE_INIT, 0, 0);
    double bound = __builtin_sqrt(1.0 / (double)module->K);
    for (size_t i = 0; i < rank * module->K; i++)
        module->a[i] = (float)(bound * (2.0 * strata_random_uniform(&a, i) - 1.0));
    for (size_t i = 0; b_deviation > 0.0 && i < module->N * rank; i++)
        module->b[i] = (float)(b_deviation * strata_random_normal(&b, i));
}

/* Modules of the table's rows and what they take; base and adapters are allocated by the caller. */
static int find_modules(struct strata_lora *lora, const struct strata_weight_row *rows, size_t count,
                        const struct strata_gradients *gradients, struct strata_error *err) {
    char word[32];
    int code = strata_alloc(&lora->modules, count, sizeof *lora->modules, err);
    for (size_t i = 0; !code && i < count; i++) {
        if (!module_of(word, &rows[i]) || !is_target(lora->targets, word)) continue;
        struct strata_lora_module *module = &lora->modules[lora->count++];
        module->row = rows[i];
        module->N = rows[i].shape[0];
        module->K = rows[i].shape[1];
        module->dw = gradients->rows[i];
        adapter_name(module->name_a, &rows[i], "lora_A");
        adapter_name(module->name_b, &rows[i], "lora_B");
        lora->parameters += lora->rank * (module->N + module->K);
    }
    return code;
}

static int allocate_modules(struct strata_lora *lora, double b_deviation, uint64_t seed, struct strata_error *err) {
    int code = strata_alloc(&lora->block, 2 * lora->parameters, sizeof *lora->block, err);
    float *next = lora->block;
    for (size_t i = 0; !code && i < lora->count; i++) {
        struct strata_lora_module *module = &lora->modules[i];
        size_t a = lora->rank * module->K, b = module->N * lora->rank;
        module->a = next;
        module->b = next + a;
        module->da = next + a + b;
        module->db = next + 2 * a + b;
        next += 2 * (a + b);
        code = strata_alloc_aligned(&module->base, module->N * module->K, sizeof *module->base, err);
        for (size_t n = 0; !code && n < module->N; n++)
            strata_matrix_get_row(module->base + n * module->K, module->row.matrix, module->row.first_row + n);
        if (!code) start_values(module, lora->rank, b_deviation, seed);
    }
    return code;
}

/* The rest of the language model is frozen: its gradients are not wanted. */
static void drop_gradients(struct strata_gradients *gradients, const struct strata_lora *lora, size_t layers) {
    gradients->embedding = gradients->final_norm = gradients->head = NULL;
    for (size_t l = 0; l < layers; l++) {
        struct strata_layer_gradients *layer = &gradients->layers[l];
        layer->input_norm = layer->post_norm = layer->query_key_value_bias = NULL;
        if (!is_target(lora->targets, "q_proj") && !is_target(lora->targets, "k_proj") &&
            !is_target(lora->targets, "v_proj"))
            layer->query_key_value = NULL;
        if (!is_target(lora->targets, "o_proj")) layer->output = NULL;
        if (!is_target(lora->targets, "gate_proj") && !is_target(lora->targets, "up_proj")) layer->gate_up = NULL;
        if (!is_target(lora->targets, "down_proj")) layer->down = NULL;
    }
}

int strata_lora_create(struct strata_lora *out, const struct strata_lora_options *options,
                       const struct strata_model_config *config, struct strata_weights *weights,
                       struct strata_gradients *gradients, const char *base_model, uint64_t seed,
                       struct strata_error *err) {
    struct strata_weight_row *rows = NULL;
    size_t count = 0;
    *out = (struct strata_lora){.rank = options->rank,
                                .alpha = options->alpha,
                                .targets = strata_strdup(options->targets ? options->targets : all_targets),
                                .base_model = strata_strdup(base_model)};
    int code = out->targets && out->base_model ? check_targets(out->targets, err)
                                               : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!code) code = strata_weights_table(&rows, &count, config, weights, err);
    if (!code) code = find_modules(out, rows, count, gradients, err);
    if (!code) code = allocate_modules(out, options->b_deviation, seed, err);
    if (!code) drop_gradients(gradients, out, config->text.layers);
    free(rows);
    if (code) strata_lora_free(out);
    return code;
}

void strata_lora_free(struct strata_lora *lora) {
    for (size_t i = 0; i < lora->count; i++) free(lora->modules[i].base);
    free(lora->modules);
    free(lora->block);
    free(lora->targets);
    free(lora->base_model);
    *lora = (struct strata_lora){0};
}

void strata_lora_parameters(struct strata_parameter *parameters, const struct strata_lora *lora) {
    for (size_t i = 0; i < lora->count; i++) {
        const struct strata_lora_module *module = &lora->modules[i];
        parameters[2 * i] = (struct strata_parameter){.name = module->name_a,
                                                      .rows = lora->rank,
                                                      .K = module->K,
                                                      .decay = true,
                                                      .vector = module->a,
                                                      .gradient = module->da};
        parameters[2 * i + 1] = (struct strata_parameter){.name = module->name_b,
                                                          .rows = module->N,
                                                          .K = lora->rank,
                                                          .decay = true,
                                                          .vector = module->b,
                                                          .gradient = module->db};
    }
}

static float scale_of(const struct strata_lora *lora) {
    return (float)(lora->alpha / (double)lora->rank);
}

/* One module a task: the sums run over n and k in ascending order. */
static void gradient_task(void *context, size_t index, size_t worker) {
    struct strata_lora *lora = context;
    struct strata_lora_module *module = &lora->modules[index];
    size_t R = lora->rank, K = module->K;
    float scale = scale_of(lora);
    (void)worker;
    memset(module->da, 0, R * K * sizeof *module->da);
    for (size_t n = 0; n < module->N; n++) {
        const float *dw = module->dw + n * K;
        for (size_t r = 0; r < R; r++) {
            const float *a = module->a + r * K;
            float *da = module->da + r * K, b = scale * module->b[n * R + r];
            double sum = 0.0;
            for (size_t k = 0; k < K; k++) {
                sum += (double)dw[k] * (double)a[k];
                da[k] += b * dw[k];
            }
            module->db[n * R + r] = scale * (float)sum;
        }
    }
}

double strata_lora_gradients(struct strata_lora *lora, struct strata_threads *threads) {
    double sum = 0.0;
    strata_threads_run(threads, lora->count, gradient_task, lora);
    for (size_t i = 0; i < lora->count; i++) {
        const struct strata_lora_module *module = &lora->modules[i];
        for (size_t j = 0; j < lora->rank * module->K; j++) sum += (double)module->da[j] * (double)module->da[j];
        for (size_t j = 0; j < module->N * lora->rank; j++) sum += (double)module->db[j] * (double)module->db[j];
    }
    return __builtin_sqrt(sum);
}

struct merge {
    struct strata_lora *lora;
    float *rows; /* per worker, one row of the widest module */
    size_t width;
};

static void merge_task(void *context, size_t index, size_t worker) {
    const struct merge *merge = context;
    const struct strata_lora_module *module = &merge->lora->modules[index];
    size_t R = merge->lora->rank, K = module->K;
    float scale = scale_of(merge->lora), *row = merge->rows + worker * merge->width;
    for (size_t n = 0; n < module->N; n++) {
        memset(row, 0, K * sizeof *row);
        for (size_t r = 0; r < R; r++) {
            const float *a = module->a + r * K, b = module->b[n * R + r];
            for (size_t k = 0; k < K; k++) row[k] += b * a[k];
        }
        for (size_t k = 0; k < K; k++) row[k] = module->base[n * K + k] + scale * row[k];
        strata_matrix_set_rows(module->row.matrix, module->row.first_row + n, 1, row);
    }
}

int strata_lora_merge(struct strata_lora *lora, struct strata_threads *threads, struct strata_error *err) {
    struct merge merge = {.lora = lora};
    for (size_t i = 0; i < lora->count; i++)
        if (lora->modules[i].K > merge.width) merge.width = lora->modules[i].K;
    int code = strata_alloc_aligned(&merge.rows, strata_threads_count(threads) * merge.width, sizeof *merge.rows, err);
    if (!code) strata_threads_run(threads, lora->count, merge_task, &merge);
    free(merge.rows);
    return code;
}

/* ---- PEFT's files ---- */

/* Adapts the language model only: gate_proj and its like also occur in the vision tower. */
static json_t *adapter_config(const struct strata_lora *lora) {
    char pattern[256];
    snprintf(pattern, sizeof pattern, ".*language_model.*\\.(%s)", lora->targets);
    for (char *at = strchr(pattern, ','); at; at = strchr(at, ',')) *at = '|';
    return json_pack("{s:s, s:s, s:n, s:s, s:s, s:b, s:b, s:I, s:f, s:f, s:b, s:b, s:s}", "peft_type", "LORA",
                     "base_model_name_or_path", lora->base_model, "revision", "task_type", "CAUSAL_LM", "bias", "none",
                     "fan_in_fan_out", 0, "inference_mode", 1, "r", (json_int_t)lora->rank, "lora_alpha", lora->alpha,
                     "lora_dropout", 0.0, "use_rslora", 0, "use_dora", 0, "target_modules", pattern);
}

static int save_config(const struct strata_lora *lora, const char *directory, struct strata_error *err) {
    json_t *config = adapter_config(lora);
    char *line = config ? strata_json_line(config) : NULL;
    char *path = strata_path_join(directory, "adapter_config.json");
    int code = line && path ? strata_file_write(path, line, strlen(line), err)
                            : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    json_decref(config);
    free(line);
    free(path);
    return code;
}

int strata_lora_save(const struct strata_lora *lora, const char *directory, struct strata_error *err) {
    struct strata_safetensors_writer *writer = NULL;
    char *path = strata_path_join(directory, "adapter_model.safetensors");
    if (!path) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    int code = strata_make_directories(directory, err);
    if (!code) code = save_config(lora, directory, err);
    if (!code) code = strata_safetensors_create(&writer, path, err);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; !code && i < lora->count; i++) {
            const struct strata_lora_module *module = &lora->modules[i];
            size_t a[2] = {lora->rank, module->K}, b[2] = {module->N, lora->rank};
            if (pass) {
                code = strata_safetensors_write(writer, module->a, a[0] * a[1] * sizeof(float), err);
                if (!code) code = strata_safetensors_write(writer, module->b, b[0] * b[1] * sizeof(float), err);
            } else {
                code = strata_safetensors_declare(writer, module->name_a, STRATA_DTYPE_F32, a, 2, err);
                if (!code) code = strata_safetensors_declare(writer, module->name_b, STRATA_DTYPE_F32, b, 2, err);
            }
        }
    }
    if (!code)
        code = strata_safetensors_commit(writer, err);
    else if (writer)
        strata_safetensors_abort(writer);
    free(path);
    return code;
}

static int load_adapter(float *out, const struct strata_safetensors *file, const char *name, size_t rows, size_t K,
                        struct strata_error *err) {
    const struct strata_tensor *tensor = strata_safetensors_find(file, name);
    if (!tensor || tensor->rank != 2 || tensor->shape[0] != rows || tensor->shape[1] != K)
        return strata_fail(err, STRATA_ERR_STATE, "adapter '%s' (%zu x %zu) is missing or has another shape", name,
                           rows, K);
    return strata_tensor_floats(out, tensor, 0, tensor->count, err);
}

int strata_lora_load(struct strata_lora *lora, const char *directory, struct strata_error *err) {
    struct strata_safetensors *file = NULL;
    char *path = strata_path_join(directory, "adapter_model.safetensors");
    int code = path ? strata_safetensors_open(&file, path, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    for (size_t i = 0; !code && i < lora->count; i++) {
        struct strata_lora_module *module = &lora->modules[i];
        code = load_adapter(module->a, file, module->name_a, lora->rank, module->K, err);
        if (!code) code = load_adapter(module->b, file, module->name_b, module->N, lora->rank, err);
    }
    if (code && path) strata_fail_at_default(err, code, "%s", path);
    strata_safetensors_close(file);
    free(path);
    return code;
}
