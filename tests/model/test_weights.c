/* The weight table, loading, saving, identity and initialisation; files with one fault each, made from a good one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "base/json.h"
#include "model/small_config.h"
#include "model/temporary.h"
#include "model/weights.h"

static void identity_of(char out[33], const struct strata_weights *weights, const struct strata_model_config *config) {
    assert_int_equal(strata_weights_identity(out, weights, config, NULL), STRATA_OK);
}

static int load(struct strata_weights *weights, const struct strata_model_config *config, const char *path,
                enum strata_weight_type type, struct strata_error *err) {
    struct strata_safetensors *file;
    int code = strata_safetensors_open(&file, path, err);
    if (code) return code;
    code = strata_weights_load(weights, config, file, type, err);
    strata_safetensors_close(file);
    return code;
}

static void good_load(struct strata_weights *weights, const struct strata_model_config *config, const char *path,
                      enum strata_weight_type type) {
    struct strata_error err = {0};
    char line[1400];
    if (load(weights, config, path, type, &err)) fail_msg("%s", strata_error_line(&err, line, sizeof line));
}

/* One change to a copy of a checkpoint. */
struct edit {
    const char *tensor; /* that is changed; NULL: none */
    const char *rename; /* its new name, "" drops it */
    const char *add;    /* a copy of it is added under this name */
    size_t poison;      /* element poison - 1 becomes `value` */
    float value;
    enum strata_dtype dtype; /* its new dtype, when recast */
    bool recast;
    bool flatten; /* its shape becomes one dimension */
    bool nested;  /* all names become nested ones */
};

static const char *edited_name(char out[256], const struct strata_tensor *tensor, const struct edit *edit) {
    if (edit->tensor && edit->rename && strcmp(tensor->name, edit->tensor) == 0) return edit->rename;
    if (!edit->nested || strncmp(tensor->name, "lm_head", 7) == 0) return tensor->name;
    bool vision = strncmp(tensor->name, "visual.", 7) == 0;
    snprintf(out, 256, vision ? "model.%s" : "model.language_model.%s", tensor->name + (vision ? 0 : 6));
    return out;
}

static void put(struct strata_safetensors_writer *writer, const struct strata_tensor *tensor, const struct edit *edit,
                bool changed) {
    float *values = malloc(tensor->count * sizeof *values);
    uint16_t *halves = malloc(tensor->count * sizeof *halves);
    assert_int_equal(strata_tensor_floats(values, tensor, 0, tensor->count, NULL), STRATA_OK);
    if (changed && edit->poison) values[edit->poison - 1] = edit->value;
    bool half = changed && edit->recast && strata_dtype_size(edit->dtype) == 2;
    for (size_t i = 0; half && i < tensor->count; i++) halves[i] = strata_bf16_round(values[i]);
    assert_int_equal(strata_safetensors_write(writer, half ? (void *)halves : (void *)values,
                                              tensor->count * (half ? sizeof *halves : sizeof *values), NULL),
                     STRATA_OK);
    free(values);
    free(halves);
}

static void rewrite(const char *from, const char *to, const struct edit *edit) {
    struct strata_safetensors *file;
    struct strata_safetensors_writer *writer;
    char buffer[256];
    const struct strata_tensor *changed = NULL;
    assert_int_equal(strata_safetensors_open(&file, from, NULL), STRATA_OK);
    assert_int_equal(strata_safetensors_create(&writer, to, NULL), STRATA_OK);
    if (edit->tensor) assert_non_null(changed = strata_safetensors_find(file, edit->tensor));
    /* Twice over the tensors, declaring and writing; a recast one comes last, to keep the others aligned. */
    for (int pass = 0; pass < 4; pass++) {
        for (size_t i = 0; i < strata_safetensors_count(file); i++) {
            const struct strata_tensor *tensor = strata_safetensors_at(file, i);
            const bool last = changed && tensor == changed;
            if (last != (pass % 2 == 1)) continue;
            const char *name = edited_name(buffer, tensor, edit);
            const size_t *shape = last && edit->flatten ? &tensor->count : tensor->shape;
            size_t rank = last && edit->flatten ? 1 : tensor->rank;
            enum strata_dtype dtype = last && edit->recast ? edit->dtype : STRATA_DTYPE_F32;
            if (pass >= 2) {
                if (*name) put(writer, tensor, edit, last);
                if (last && edit->add) put(writer, tensor, edit, false);
                continue;
            }
            if (*name) assert_int_equal(strata_safetensors_declare(writer, name, dtype, shape, rank, NULL), STRATA_OK);
            if (last && edit->add)
                assert_int_equal(strata_safetensors_declare(writer, edit->add, dtype, shape, rank, NULL), STRATA_OK);
        }
    }
    assert_int_equal(strata_safetensors_commit(writer, NULL), STRATA_OK);
    strata_safetensors_close(file);
}

static void expect_error(const char *directory, const struct strata_model_config *config, const struct edit *edit,
                         enum strata_weight_type type, int code, const char *part) {
    char good[512], bad[512], line[1400];
    struct strata_weights weights = {0};
    struct strata_error err = {0};
    temporary_path(good, sizeof good, directory, "good.safetensors");
    temporary_path(bad, sizeof bad, directory, "bad.safetensors");
    rewrite(good, bad, edit);
    int got = load(&weights, config, bad, type, &err);
    strata_error_line(&err, line, sizeof line);
    if (got != code || !strstr(line, part) || !strstr(line, "bad.safetensors"))
        fail_msg("code %d, '%s' lacks '%s'", got, line, part);
    assert_null(weights.layers);
}

static void save_good(const char *directory, const struct strata_model_config *config, char identity[33]) {
    char path[512];
    struct strata_weights weights;
    temporary_path(path, sizeof path, directory, "good.safetensors");
    assert_int_equal(strata_weights_init(&weights, config, 0.02, 1, STRATA_WEIGHT_F32, NULL), STRATA_OK);
    assert_int_equal(strata_weights_save(&weights, config, path, STRATA_DTYPE_F32, NULL), STRATA_OK);
    identity_of(identity, &weights, config);
    strata_weights_free(&weights, config);
}

static void names_what_is_wrong(void **state) {
    const struct strata_model_config config = small_config(true), untied = small_config(false);
    const enum strata_weight_type F32 = STRATA_WEIGHT_F32, BF16 = STRATA_WEIGHT_BF16;
    const char *embedding = "model.embed_tokens.weight", *key = "model.layers.1.self_attn.k_proj.weight";
    const char *bias = "visual.blocks.1.mlp.up_proj.bias", *patch = "visual.patch_embed.proj.weight";
    const float infinity = __builtin_inff(), nan = __builtin_nanf("");
    char identity[33];
    enum { INPUT = STRATA_ERR_INPUT, NUMERIC = STRATA_ERR_NUMERIC };
    save_good(*state, &config, identity);
#define EXPECT(config, type, code, part, ...)                                                                          \
    expect_error(*state, config, &(struct edit){__VA_ARGS__}, type, code, part)
    EXPECT(&config, F32, INPUT, "'model.layers.1.self_attn.k_proj.weight' is missing", .tensor = key, .rename = "");
    EXPECT(&config, F32, INPUT, "'visual.blocks.1.mlp.up_proj.bias' is missing", .tensor = bias, .rename = "other");
    EXPECT(&untied, F32, INPUT, "'lm_head.weight' is missing", .tensor = NULL);
    EXPECT(&config, F32, INPUT, "'model.layers.2.x' has no place", .tensor = key, .add = "model.layers.2.x");
    EXPECT(&config, F32, INPUT, "there twice", .tensor = embedding, .add = "model.language_model.embed_tokens.weight");
    EXPECT(&config, F32, INPUT, "[72]; the config asks for [6, 12]", .tensor = key, .flatten = true);
    EXPECT(&config, F32, INPUT, "[192]; the config asks for [8, 3, 2, 2, 2]", .tensor = patch, .flatten = true);
    EXPECT(&config, F32, STRATA_ERR_UNSUPPORTED, "k_proj.weight' is I32", .tensor = key, .recast = true,
           .dtype = STRATA_DTYPE_I32);
    EXPECT(&config, F32, NUMERIC, "k_proj.weight': element 71 is nan", .tensor = key, .poison = 72, .value = nan);
    EXPECT(&config, F32, NUMERIC, "k_proj.weight': element 0 is -inf", .tensor = key, .poison = 1, .value = -infinity);
    EXPECT(&config, F32, NUMERIC, "up_proj.bias': element 4 is inf", .tensor = bias, .poison = 5, .value = infinity);
    EXPECT(&config, F32, NUMERIC, "embed_tokens.weight': element 839", .tensor = embedding, .poison = 840, .value = nan,
           .recast = true, .dtype = STRATA_DTYPE_BF16);
    EXPECT(&config, BF16, NUMERIC, "element 3 is 3.40282e+38, too large for bf16", .tensor = key, .poison = 4,
           .value = 0x1.fffffep127f);
#undef EXPECT
}

static void accepts_what_is_equal(void **state) {
    struct strata_model_config config = small_config(true);
    char good[512], path[512], identity[33], again[33];
    struct strata_weights weights;
    save_good(*state, &config, identity);
    temporary_path(good, sizeof good, *state, "good.safetensors");
    temporary_path(path, sizeof path, *state, "other.safetensors");
    const struct edit edits[] = {
        {.nested = true},
        {.tensor = "model.embed_tokens.weight", .add = "lm_head.weight"},              /* tied, but repeated */
        {.tensor = "model.norm.weight", .rename = "model.language_model.norm.weight"}, /* mixed names */
        {.tensor = "model.norm.weight", .recast = true, .dtype = STRATA_DTYPE_BF16},   /* ones: exact */
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        rewrite(good, path, &edits[i]);
        good_load(&weights, &config, path, STRATA_WEIGHT_F32);
        identity_of(again, &weights, &config);
        assert_string_equal(identity, again);
        strata_weights_free(&weights, &config);
    }
    /* A head of its own under a tied config is refused; so is none under an untied one (above). */
    struct strata_error err = {0};
    rewrite(good, path,
            &(struct edit){.tensor = "model.embed_tokens.weight", .add = "lm_head.weight", .poison = 1, .value = 5.0f});
    assert_int_equal(load(&weights, &config, path, STRATA_WEIGHT_F32, &err), STRATA_ERR_INPUT);
    assert_non_null(strstr(err.what, "lm_head.weight"));
    config.text.tied = false;
    good_load(&weights, &config, path, STRATA_WEIGHT_F32);
    float row[12], head[12];
    strata_matrix_get_row(row, &weights.embedding, 0);
    strata_matrix_get_row(head, &weights.head, 0);
    assert_true(row[0] == 5.0f && head[0] != 5.0f && row[1] == head[1]);
    strata_weights_free(&weights, &config);
}

/* Every value of the packed weights against the file, by the table; both names are tried. */
static void compare_with_file(struct strata_weights *weights, const struct strata_model_config *config,
                              const struct strata_safetensors *file) {
    struct strata_weight_row *rows;
    size_t count, parameters = 0;
    float *is = malloc((size_t)1 << 22), *should = malloc((size_t)1 << 22);
    assert_int_equal(strata_weights_table(&rows, &count, config, weights, NULL), STRATA_OK);
    assert_int_equal(count, strata_safetensors_count(file));
    for (size_t i = 0; i < count; i++) {
        char nested[256];
        bool vision = strncmp(rows[i].name, "visual.", 7) == 0;
        snprintf(nested, sizeof nested, vision ? "model.%s" : "model.language_model.%s",
                 rows[i].name + (vision ? 0 : 6));
        const struct strata_tensor *tensor = strata_safetensors_find(file, rows[i].name);
        if (!tensor) tensor = strata_safetensors_find(file, nested);
        assert_non_null(tensor);
        assert_int_equal(tensor->count, strata_weight_row_count(&rows[i]));
        parameters += tensor->count;
        size_t height = rows[i].matrix ? rows[i].shape[0] : 1, width = tensor->count / height;
        for (size_t n = 0; n < height; n++) {
            assert_int_equal(strata_tensor_floats(should, tensor, n * width, width, NULL), STRATA_OK);
            if (rows[i].matrix)
                strata_matrix_get_row(is, rows[i].matrix, rows[i].first_row + n);
            else
                memcpy(is, rows[i].vector, width * sizeof *is);
            if (memcmp(is, should, width * sizeof *is) != 0) fail_msg("%s, row %zu", rows[i].name, n);
        }
    }
    assert_int_equal(parameters, weights->parameters);
    free(is);
    free(should);
    free(rows);
}

static void loads_golden_models(void **state) {
    (void)state;
    static const char *models[] = {"golden/models/dev-a", "golden/models/dev-b", "golden/models/dev-c",
                                   "models/easyvqa-tiny"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct strata_model_config config;
        struct strata_weights weights;
        struct strata_safetensors *file;
        struct strata_threads *threads;
        char path[512], first[33], second[33];
        if (!shared_path(path, sizeof path, models[i])) continue;
        assert_int_equal(strata_model_config_open(&config, path, NULL), STRATA_OK);
        assert_int_equal(strata_safetensors_open(&file, path, NULL), STRATA_OK);
        bool bf16 = strata_safetensors_at(file, 0)->dtype == STRATA_DTYPE_BF16;
        assert_int_equal(strata_weights_load(&weights, &config, file, STRATA_WEIGHT_F32, NULL), STRATA_OK);
        compare_with_file(&weights, &config, file);
        identity_of(first, &weights, &config);
        strata_weights_free(&weights, &config);
        if (bf16) { /* exact in this form too */
            assert_int_equal(strata_weights_load(&weights, &config, file, STRATA_WEIGHT_BF16, NULL), STRATA_OK);
            compare_with_file(&weights, &config, file);
            identity_of(second, &weights, &config);
            assert_string_equal(first, second);
            strata_weights_free(&weights, &config);
        }
        assert_int_equal(strata_threads_create(&threads, 3, NULL), STRATA_OK);
        assert_int_equal(strata_weights_load_threads(&weights, &config, file, STRATA_WEIGHT_F32, threads, NULL),
                         STRATA_OK);
        assert_int_equal(strata_weights_identity_threads(second, &weights, &config, threads, NULL), STRATA_OK);
        assert_string_equal(first, second);
        strata_weights_free(&weights, &config);
        strata_threads_destroy(threads);
        strata_safetensors_close(file);
    }
}

static void identity_ignores_the_layout(void **state) {
    struct strata_model_config config, nested;
    struct strata_weights weights, again;
    char path[512], file[600], identity[33], other[33];
    if (!shared_path(path, sizeof path, "golden/models/dev-a")) return;
    assert_int_equal(strata_model_config_open(&config, path, NULL), STRATA_OK);
    snprintf(file, sizeof file, "%s/config_v5.json", path);
    assert_int_equal(strata_model_config_open(&nested, file, NULL), STRATA_OK);
    good_load(&weights, &config, path, STRATA_WEIGHT_F32);
    good_load(&again, &nested, path, STRATA_WEIGHT_F32);
    identity_of(identity, &weights, &config);
    identity_of(other, &again, &nested);
    assert_string_equal(identity, other);
    strata_weights_free(&again, &nested);
    temporary_path(file, sizeof file, *state, "saved.safetensors");
    assert_int_equal(strata_weights_save(&weights, &config, file, STRATA_DTYPE_F32, NULL), STRATA_OK);
    good_load(&again, &config, file, STRATA_WEIGHT_F32);
    identity_of(other, &again, &config);
    assert_string_equal(identity, other);
    /* the last bit of one value */
    uint32_t bits;
    memcpy(&bits, &again.layers[4].query_key_value_bias[1], sizeof bits);
    bits ^= 1;
    memcpy(&again.layers[4].query_key_value_bias[1], &bits, sizeof bits);
    identity_of(other, &again, &config);
    assert_string_not_equal(identity, other);
    strata_weights_free(&again, &config);
    strata_weights_free(&weights, &config);
}

static void saves_bf16_and_refuses_nan(void **state) {
    const struct strata_model_config config = small_config(false);
    struct strata_weights weights, again;
    struct strata_error err = {0};
    char path[512], first[33], second[33];
    temporary_path(path, sizeof path, *state, "half.safetensors");
    assert_int_equal(strata_weights_init(&weights, &config, 0.02, 7, STRATA_WEIGHT_BF16, NULL), STRATA_OK);
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_BF16, NULL), STRATA_OK);
    good_load(&again, &config, path, STRATA_WEIGHT_BF16);
    identity_of(first, &weights, &config);
    identity_of(second, &again, &config);
    assert_string_equal(first, second);
    strata_weights_free(&again, &config);
    assert_int_equal(remove(path), 0);
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_F16, &err), STRATA_ERR_USAGE);
    weights.blocks[1].down_bias[3] = 0x1.fffffep127f;
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_BF16, &err), STRATA_ERR_NUMERIC);
    assert_non_null(strstr(err.what, "visual.blocks.1.mlp.down_proj.bias': element 3"));
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_F32, &err), STRATA_OK);
    assert_int_equal(remove(path), 0);
    float row[7] = {1, 2, 3, 4, __builtin_inff()};
    strata_matrix_set_rows(&weights.layers[1].down, 2, 1, row);
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_F32, &err), STRATA_ERR_NUMERIC);
    assert_non_null(strstr(err.what, "model.layers.1.mlp.down_proj.weight': element 18"));
    strata_matrix_set_rows(&weights.layers[1].down, 2, 1, (const float[7]){0});
    weights.final_norm[2] = __builtin_nanf("");
    assert_int_equal(strata_weights_save(&weights, &config, path, STRATA_DTYPE_F32, &err), STRATA_ERR_NUMERIC);
    assert_non_null(strstr(err.what, "model.norm.weight': element 2"));
    assert_false(strata_file_exists(path));
    strata_weights_free(&weights, &config);
}

static void init_is_a_function_of_the_seed(void **state) {
    (void)state;
    struct strata_model_config config = small_config(false);
    config.text.vocabulary = 3000; /* several pieces */
    struct strata_weights weights;
    struct strata_threads *threads;
    char first[33], other[33];
    assert_int_equal(strata_weights_init(&weights, &config, 0.02, 1, STRATA_WEIGHT_F32, NULL), STRATA_OK);
    identity_of(first, &weights, &config);
    assert_string_equal(first, "c21dc7e13c92cf53b41b7d2e01566f8f"); /* pinned: a seed means the same model for ever */
    double sum = 0, squares = 0, fourth = 0, product = 0;
    float row[12], head[12];
    for (size_t n = 0; n < 3000; n++) {
        strata_matrix_get_row(row, &weights.embedding, n);
        strata_matrix_get_row(head, &weights.head, n);
        for (size_t k = 0; k < 12; k++) {
            double x = (double)row[k] / 0.02;
            sum += x, squares += x * x, fourth += x * x * x * x, product += x * (double)head[k] / 0.02;
        }
    }
    const double N = 36000; /* bounds of about four standard errors */
    assert_true(sum / N > -0.022 && sum / N < 0.022);
    assert_true(squares / N > 0.97 && squares / N < 1.03);
    assert_true(fourth / N > 2.8 && fourth / N < 3.2);
    assert_true(product / N > -0.022 && product / N < 0.022); /* tensors are independent */
    for (size_t i = 0; i < 12; i++)
        assert_true(weights.final_norm[i] == 1.0f && weights.layers[1].input_norm[i] == 1.0f);
    for (size_t i = 0; i < 30; i++) assert_true(weights.layers[0].query_key_value_bias[i] == 0.0f);
    strata_matrix_get_row(row, &weights.head, 2500); /* in the tensor's third piece */
    row[11] = -row[11];
    strata_matrix_set_rows(&weights.head, 2500, 1, row);
    identity_of(other, &weights, &config);
    assert_string_not_equal(first, other);
    strata_weights_free(&weights, &config);
    assert_int_equal(strata_threads_create(&threads, 3, NULL), STRATA_OK);
    assert_int_equal(strata_weights_init_threads(&weights, &config, 0.02, 1, STRATA_WEIGHT_F32, threads, NULL),
                     STRATA_OK);
    identity_of(other, &weights, &config);
    assert_string_equal(first, other);
    strata_weights_free(&weights, &config);
    strata_threads_destroy(threads);
    assert_int_equal(strata_weights_init(&weights, &config, 0.02, 2, STRATA_WEIGHT_F32, NULL), STRATA_OK);
    identity_of(other, &weights, &config);
    assert_string_not_equal(first, other);
    strata_weights_free(&weights, &config);
    assert_int_equal(strata_weights_init(&weights, &config, 0.0, 2, STRATA_WEIGHT_F32, NULL), STRATA_ERR_USAGE);
}

static void table_describes_the_model(void **state) {
    (void)state;
    struct strata_model_config config = small_config(false);
    struct strata_weight_row *rows;
    size_t count;
    assert_int_equal(strata_weights_table(&rows, &count, &config, NULL, NULL), STRATA_OK);
    assert_int_equal(count, 12 * 4 + 6 + 3);
    for (size_t i = 0; i < count; i++) {
        assert_null(rows[i].matrix);
        assert_null(rows[i].vector);
        for (size_t j = 0; j < i; j++) assert_string_not_equal(rows[i].name, rows[j].name);
    }
    assert_string_equal(rows[0].name, "visual.patch_embed.proj.weight");
    assert_int_equal(rows[0].group, STRATA_GROUP_VISION);
    assert_string_equal(rows[25].name, "visual.merger.ln_q.weight");
    assert_int_equal(rows[25].group, STRATA_GROUP_MERGER);
    assert_true(rows[25].decay); /* as Hugging Face's Trainer, which does not know ln_q */
    assert_string_equal(rows[count - 1].name, "lm_head.weight");
    assert_true(rows[count - 1].decay);
    assert_string_equal(rows[count - 2].name, "model.norm.weight");
    assert_false(rows[count - 2].decay);
    assert_string_equal(rows[count - 3].name, "model.layers.1.post_attention_layernorm.weight");
    assert_false(rows[count - 3].decay);
    free(rows);
}

/* The language tensors that Trainer's rule decays, as the golden AdamW run has them. */
static void decay_matches_trainer(void **state) {
    (void)state;
    struct strata_model_config config;
    struct strata_weight_row *rows;
    json_t *sft;
    char path[512];
    size_t count, decayed = 0;
    if (!shared_path(path, sizeof path, "golden/models/dev-a")) return;
    assert_int_equal(strata_model_config_open(&config, path, NULL), STRATA_OK);
    if (!shared_path(path, sizeof path, "golden/models/dev-a/sft.json")) return;
    assert_int_equal(strata_json_load(&sft, path, 0, NULL), STRATA_OK);
    const json_t *names = json_object_get(json_object_get(sft, "adamw"), "decayed");
    assert_int_equal(strata_weights_table(&rows, &count, &config, NULL, NULL), STRATA_OK);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].group != STRATA_GROUP_LANGUAGE || !rows[i].decay) continue;
        bool found = false;
        for (size_t j = 0; j < json_array_size(names); j++)
            found = found || strcmp(json_string_value(json_array_get(names, j)), rows[i].name) == 0;
        if (!found) fail_msg("%s is not decayed", rows[i].name);
        decayed++;
    }
    assert_int_equal(decayed, json_array_size(names));
    free(rows);
    json_decref(sft);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_describes_the_model),  cmocka_unit_test(decay_matches_trainer),
        cmocka_unit_test(names_what_is_wrong),        cmocka_unit_test(accepts_what_is_equal),
        cmocka_unit_test(loads_golden_models),        cmocka_unit_test(identity_ignores_the_layout),
        cmocka_unit_test(saves_bf16_and_refuses_nan), cmocka_unit_test(init_is_a_function_of_the_seed),
    };
    return cmocka_run_group_tests_name("weights", tests, temporary_setup, temporary_teardown);
}
