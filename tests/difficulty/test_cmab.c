/* CMAB: every combination of options against transformers, from the masses of the golden models; folding; storing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>

#include "base/json.h"
#include "difficulty/cmab.h"
#include "model/safetensors.h"

#define TOLERANCE 2e-5 /* relative, of rho and rho_bar: the golden README's */

struct golden {
    json_t *json;
    struct strata_safetensors *file;
    struct strata_cmab_masses masses;
};

static const float *tensor(const struct golden *golden, const char *name) {
    const struct strata_tensor *found = strata_safetensors_find(golden->file, name);
    return found ? found->data : NULL;
}

static uint32_t number(const json_t *object, const char *key) {
    return (uint32_t)json_integer_value(json_object_get(object, key));
}

static uint32_t position(const json_t *positions, size_t i) {
    return (uint32_t)json_integer_value(json_array_get(positions, i));
}

/* The four sums that transformers kept, as our five classes. How the question's mass splits at the image is not in the
 * sums; any split gives the same options, so it is cut in proportion to its tokens. */
static void golden_masses(struct golden *golden) {
    struct strata_cmab_masses *out = &golden->masses;
    const json_t *counts = json_object_get(golden->json, "n_txt");
    const json_t *positions = json_object_get(golden->json, "question_positions");
    const float *image = tensor(golden, "S_img"), *text = tensor(golden, "S_txt");
    const float *before = tensor(golden, "S_txt_before_image"), *question = tensor(golden, "S_txt_question");
    uint32_t first = number(golden->json, "first_image_position"), early = 0, questions = number(counts, "question");
    for (size_t i = 0; i < json_array_size(positions); i++) early += position(positions, i) < first;
    out->L = number(golden->json, "layers");
    out->N = number(golden->json, "generated_tokens");
    out->tokens[STRATA_CMAB_IMAGE] = number(golden->json, "n_img");
    out->tokens[STRATA_CMAB_BEFORE_QUESTION] = early;
    out->tokens[STRATA_CMAB_BEFORE] = number(counts, "before-image") - early;
    out->tokens[STRATA_CMAB_AFTER_QUESTION] = questions - early;
    out->tokens[STRATA_CMAB_AFTER] = number(counts, "prompt") - number(counts, "before-image") - (questions - early);
    out->masses = calloc(out->L * out->N * STRATA_CMAB_CLASSES, sizeof(float));
    assert_non_null(out->masses);
    for (size_t i = 0; i < out->L * out->N; i++) {
        double q = questions ? (double)question[i] * early / questions : 0;
        float *masses = out->masses + i * STRATA_CMAB_CLASSES;
        masses[STRATA_CMAB_IMAGE] = image[i];
        masses[STRATA_CMAB_BEFORE_QUESTION] = (float)q;
        masses[STRATA_CMAB_AFTER_QUESTION] = (float)((double)question[i] - q);
        masses[STRATA_CMAB_BEFORE] = (float)((double)before[i] - q);
        masses[STRATA_CMAB_AFTER] = (float)((double)text[i] - (double)before[i] - ((double)question[i] - q));
    }
}

static void golden_open(struct golden *golden, const char *directory, const char *name) {
    char path[2048];
    *golden = (struct golden){0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(strata_json_load(&golden->json, path, 0, NULL), 0);
    snprintf(path, sizeof path, "%s/%.*s.safetensors", directory, (int)strlen(name) - 5, name);
    assert_int_equal(strata_safetensors_open(&golden->file, path, NULL), 0);
    golden_masses(golden);
}

static void golden_close(struct golden *golden) {
    strata_cmab_masses_free(&golden->masses);
    strata_safetensors_close(golden->file);
    json_decref(golden->json);
}

static void parse_key(struct strata_cmab_options *options, const char *key) {
    char pool[32], layers[32], over[32], text[32], first[32];
    strata_cmab_paper(options);
    assert_int_equal(
        sscanf(key, "pool=%31s layers=%31s over=%31s text=%31s first=%31s", pool, layers, over, text, first), 5);
    assert_int_equal(strata_cmab_pool_parse(&options->pool, pool, NULL), 0);
    assert_int_equal(strata_cmab_layers_parse(&options->layers, layers, NULL), 0);
    assert_int_equal(strata_cmab_over_parse(&options->over, over, NULL), 0);
    assert_int_equal(strata_cmab_text_parse(&options->text, text, NULL), 0);
    options->skip_first = strcmp(first, "skip") == 0;
}

static double relative(double value, double reference) {
    return fabs(value - reference) / fabs(reference);
}

/* Compares every combination; returns how many there are. */
static size_t check_options(double *worst, const struct strata_cmab_masses *masses, const struct golden *golden) {
    const char *key;
    json_t *value;
    size_t cases = 0;
    json_object_foreach(json_object_get(golden->json, "rho_bar"), key, value) {
        struct strata_cmab_options options;
        struct strata_cmab_rho rho;
        parse_key(&options, key);
        assert_int_equal(strata_cmab_rho(&rho, NULL, NULL, masses, &options, NULL), 0);
        assert_true(rho.defined);
        double error = relative(rho.rho, json_number_value(value));
        if (!(error <= TOLERANCE)) fail_msg("%s: %.9g, transformers %.9g", key, rho.rho, json_number_value(value));
        if (error > *worst) *worst = error;
        cases++;
    }
    return cases;
}

/* rho(l,t) and rho_t under the default options. */
static void check_rows(double *worst, const struct golden *golden) {
    const struct strata_cmab_masses *masses = &golden->masses;
    struct strata_cmab_options options;
    struct strata_cmab_rho rho;
    double *rho_t = calloc(masses->N, sizeof *rho_t), *rho_lt = calloc(masses->L * masses->N, sizeof *rho_lt);
    const float *expected = tensor(golden, "rho");
    const json_t *values = json_object_get(golden->json, "rho_t_default");
    strata_cmab_paper(&options);
    assert_int_equal(strata_cmab_rho(&rho, rho_t, rho_lt, masses, &options, NULL), 0);
    for (size_t i = 0; i < masses->L * masses->N; i++) {
        double error = relative(rho_lt[i], (double)expected[i]);
        assert_true(error <= TOLERANCE);
        if (error > *worst) *worst = error;
    }
    for (size_t t = 0; t < masses->N; t++)
        assert_true(relative(rho_t[t], json_number_value(json_array_get(values, t))) <= TOLERANCE);
    free(rho_t);
    free(rho_lt);
}

/* Prompts with one image and whole attention rows: folded from the finest cut there is, one segment a token. */
static void check_fold(const struct golden *golden) {
    const struct strata_tensor *rows = strata_safetensors_find(golden->file, "attention");
    if (!rows) return;
    const json_t *positions = json_object_get(golden->json, "question_positions");
    size_t T = rows->shape[2];
    uint32_t first = number(golden->json, "first_image_position"), images = number(golden->json, "n_img");
    struct strata_segment *segments = calloc(T, sizeof *segments);
    struct strata_attention attention = {.L = golden->masses.L,
                                         .N = golden->masses.N,
                                         .S = T,
                                         .T = T,
                                         .segments = segments,
                                         .masses = (float *)rows->data};
    for (size_t t = 0; t < T; t++) segments[t] = (struct strata_segment){STRATA_SEGMENT_TEMPLATE, (uint32_t)t, 1, 0};
    for (size_t i = 0; i < json_array_size(positions); i++)
        segments[position(positions, i)].kind = STRATA_SEGMENT_QUESTION;
    for (uint32_t i = 0; i < images; i++) segments[first + i].kind = STRATA_SEGMENT_IMAGE;
    struct strata_cmab_masses folded;
    assert_int_equal(strata_cmab_fold(&folded, &attention, NULL), 0);
    for (size_t c = 0; c < STRATA_CMAB_CLASSES; c++) assert_int_equal(folded.tokens[c], golden->masses.tokens[c]);
    double worst = 0;
    check_options(&worst, &folded, golden);
    print_message("  folded from %zu one-token segments: worst %.1e relative\n", T, worst);
    strata_cmab_masses_free(&folded);
    free(segments);
}

static void check_packed(const struct strata_cmab_masses *masses) {
    struct strata_buffer packed = {0};
    struct strata_cmab_masses again;
    assert_int_equal(strata_cmab_pack(&packed, masses, NULL), 0);
    assert_int_equal(strata_cmab_unpack(&again, packed.data, packed.length, "test", NULL), 0);
    assert_true(again.L == masses->L && again.N == masses->N);
    for (size_t i = 0; i < masses->L * masses->N * STRATA_CMAB_CLASSES; i++)
        if (masses->tokens[i % STRATA_CMAB_CLASSES]) assert_memory_equal(&again.masses[i], &masses->masses[i], 4);
    strata_cmab_masses_free(&again);
    for (size_t length = 0; length < packed.length; length += 1 + length / 7)
        assert_int_equal(strata_cmab_unpack(&again, packed.data, length, "test", NULL), STRATA_ERR_INPUT);
    strata_buffer_free(&packed);
}

static size_t check_model(const char *directory) {
    size_t cases = 0;
    DIR *listing = opendir(directory);
    if (!listing) return 0;
    for (struct dirent *entry; (entry = readdir(listing));) {
        size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, "cmab_", 5) != 0 || strcmp(entry->d_name + length - 5, ".json") != 0) continue;
        struct golden golden;
        double worst = 0;
        golden_open(&golden, directory, entry->d_name);
        size_t found = check_options(&worst, &golden.masses, &golden);
        check_rows(&worst, &golden);
        print_message("%s/%s: %zu combinations, worst %.1e relative\n", directory, entry->d_name, found, worst);
        check_packed(&golden.masses);
        if (!strstr(entry->d_name, "two_images")) check_fold(&golden);
        cases += found;
        golden_close(&golden);
    }
    closedir(listing);
    return cases;
}

/* All models of a directory like golden/models. */
static size_t check_models(const char *directory) {
    size_t cases = 0;
    DIR *listing = opendir(directory);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char model[1024];
        snprintf(model, sizeof model, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.') cases += check_model(model);
    }
    if (listing) closedir(listing);
    return cases;
}

/* Two prompts of one model, kept with the tests: one of whole attention rows, one with text on both sides. */
static void test_kept_golden(void **state) {
    (void)state;
    assert_int_equal(check_models("tests/data/difficulty"), 2 * 168);
}

static const char *golden_directory; /* from the command line, or NULL */

static void test_golden(void **state) {
    (void)state;
    const char *shared = getenv("STRATA_SHARED");
    char directory[512];
    snprintf(directory, sizeof directory, "%s/golden/models", shared ? shared : "../shared");
    size_t cases = check_models(golden_directory ? golden_directory : directory);
    if (cases == 0 && !golden_directory) {
        print_message("skipped: no golden models (STRATA_SHARED)\n");
        skip();
    }
    assert_true(cases > 0);
}

/* rho_t = 1, 2, 9 at the one layer: mean 4, median 2, geometric mean 18^(1/3); sums 12 : 3. */
static void test_ways_over_tokens(void **state) {
    (void)state;
    float values[3 * STRATA_CMAB_CLASSES] = {0};
    struct strata_cmab_masses masses = {.L = 1, .N = 3, .tokens = {4, 2}, .masses = values};
    static const float image[3] = {0.01f, 0.02f, 0.09f};
    for (size_t t = 0; t < 3; t++) {
        values[t * STRATA_CMAB_CLASSES + STRATA_CMAB_IMAGE] = image[t];
        values[t * STRATA_CMAB_CLASSES + STRATA_CMAB_BEFORE] = 0.01f;
    }
    struct strata_cmab_options options;
    struct strata_cmab_rho rho;
    strata_cmab_paper(&options);
    assert_int_equal(strata_cmab_rho(&rho, NULL, NULL, &masses, &options, NULL), STRATA_ERR_USAGE); /* nothing inner */
    options.layers = 0;
    assert_int_equal(strata_cmab_rho(&rho, NULL, NULL, &masses, &options, NULL), 0);
    assert_true(fabs(rho.over[STRATA_CMAB_OVER_MEAN] - 4) < 1e-6);
    assert_true(fabs(rho.over[STRATA_CMAB_OVER_MEDIAN] - 2) < 1e-6);
    assert_true(fabs(rho.over[STRATA_CMAB_OVER_GEOMEAN] - cbrt(18)) < 1e-6);
    assert_true(fabs(rho.over[STRATA_CMAB_OVER_RATIO_OF_SUMS] - 4) < 1e-6);
    options.skip_first = true;
    assert_int_equal(strata_cmab_rho(&rho, NULL, NULL, &masses, &options, NULL), 0);
    assert_true(fabs(rho.over[STRATA_CMAB_OVER_MEDIAN] - 5.5) < 1e-6);
    options.text = STRATA_CMAB_TEXT_QUESTION; /* there is none */
    assert_int_equal(strata_cmab_rho(&rho, NULL, NULL, &masses, &options, NULL), 0);
    assert_false(rho.defined);
    options.layers = 1;
    assert_int_equal(strata_cmab_rho(&rho, NULL, NULL, &masses, &options, NULL), STRATA_ERR_USAGE);
}

static void test_strata(void **state) {
    (void)state;
    struct strata_cmab_options options;
    strata_cmab_paper(&options);
    static const struct {
        double rho;
        enum strata_stratum stratum;
    } cases[] = {{0.05, STRATA_STRATUM_EASY},  {0.1, STRATA_STRATUM_MEDIUM}, {0.39, STRATA_STRATUM_MEDIUM},
                 {0.4, STRATA_STRATUM_HARD},   {1.6, STRATA_STRATUM_HARD},   {1.61, STRATA_STRATUM_MEDIUM},
                 {1.9, STRATA_STRATUM_MEDIUM}, {1.91, STRATA_STRATUM_EASY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strata_cmab_rho rho = {.defined = true, .rho = cases[i].rho};
        assert_int_equal(strata_cmab_stratum(&options, &rho, true), cases[i].stratum);
        assert_int_equal(strata_cmab_stratum(&options, &rho, false), STRATA_STRATUM_UNSOLVED);
    }
    assert_int_equal(strata_cmab_stratum(&options, &(struct strata_cmab_rho){0}, true), STRATA_STRATUM_NOT_APPLICABLE);
    assert_int_equal(strata_cmab_bands_parse(options.bands, "0.2,0.3,1,2.5", NULL), 0);
    assert_int_equal(strata_cmab_bands_parse(options.bands, "0.2,0.3,1", NULL), STRATA_ERR_USAGE);
    assert_int_equal(strata_cmab_bands_parse(options.bands, "0.2,0.2,1,2", NULL), STRATA_ERR_USAGE);
}

static void test_bad_masses(void **state) {
    (void)state;
    float values[2] = {0.5f, NAN};
    struct strata_segment segments[2] = {{STRATA_SEGMENT_TEMPLATE, 0, 3, 0}, {STRATA_SEGMENT_IMAGE, 3, 4, 0}};
    struct strata_attention attention = {.L = 1, .N = 1, .S = 2, .masses = values, .segments = segments};
    struct strata_cmab_masses masses;
    assert_int_equal(strata_cmab_fold(&masses, &attention, NULL), STRATA_ERR_NUMERIC);
    attention.L = SIZE_MAX / 2;
    attention.N = 4;
    assert_int_equal(strata_cmab_fold(&masses, &attention, NULL), STRATA_ERR_MEMORY);
}

/* usage: test_cmab [GOLDEN_MODELS_DIR] */
int main(int argc, char **argv) {
    if (argc > 1) golden_directory = argv[1];
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kept_golden), cmocka_unit_test(test_golden),
                                       cmocka_unit_test(test_ways_over_tokens), cmocka_unit_test(test_strata),
                                       cmocka_unit_test(test_bad_masses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
