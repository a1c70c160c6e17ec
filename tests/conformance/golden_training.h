/* What the two conformance programs of training share: the models of a golden set, opened one after the other in fp32,
 * and tapes over their groups. */
#ifndef STRATA_TESTS_GOLDEN_TRAINING_H
#define STRATA_TESTS_GOLDEN_TRAINING_H

#include "golden.h"

#include "model/model.h"
#include "model/tape.h"

struct bench {
    struct tally *tally;
    struct strata_model *model;
    struct strata_compute compute;
    struct strata_tape_options tape; /* level and logit_rows of the tapes to be made */
    struct strata_weight_row *table;
    size_t row_count;
    const char *directory, *images;
    char scope[128]; /* the model's name */
};

/* Stands before the cases that follow: MODEL PART NAME. */
static inline void set_scope(const struct bench *bench, const char *part, const char *name) {
    snprintf(bench->tally->scope, sizeof bench->tally->scope, "%.100s%s%s %.60s", bench->scope, *part ? " " : "", part,
             name);
}

static inline json_t *load_json(const struct bench *bench, const char *name) {
    char *path = strata_path_join(bench->directory, name);
    struct strata_error err;
    json_t *root = NULL;
    if (strata_json_load(&root, path, SIZE_MAX, &err)) tally_error(bench->tally, &err);
    free(path);
    return root;
}

/* The table's row of the tensor that the checkpoint calls `name`, by hub or nested name; NULL when there is none. */
static inline const struct strata_weight_row *find_row(const struct bench *bench, const char *name) {
    static const char language[] = "model.language_model.", vision[] = "model.visual.";
    char hub[160];
    if (strncmp(name, language, sizeof language - 1) == 0)
        snprintf(hub, sizeof hub, "model.%s", name + sizeof language - 1);
    else if (strncmp(name, vision, sizeof vision - 1) == 0)
        snprintf(hub, sizeof hub, "visual.%s", name + sizeof vision - 1);
    else
        snprintf(hub, sizeof hub, "%s", name);
    for (size_t i = 0; i < bench->row_count; i++)
        if (strcmp(bench->table[i].name, hub) == 0) return &bench->table[i];
    return NULL;
}

/* A tape that holds these groups; NULL is a failed case. */
static inline struct strata_tape *make_tape(const struct bench *bench, const struct strata_tape_group *groups,
                                            size_t count) {
    struct strata_tape_options options = bench->tape;
    struct strata_tape *tape = NULL;
    struct strata_error err;
    options.max_groups = count;
    for (size_t i = 0; i < count; i++) {
        options.max_rows += strata_tape_rows(&groups[i]);
        options.max_responses += groups[i].count;
    }
    if (strata_tape_create(&tape, &bench->model->config, &bench->model->weights, &bench->compute, &options, &err))
        tally_error(bench->tally, &err);
    return tape;
}

static inline void check_one_model(struct bench *bench, void (*check)(struct bench *bench)) {
    const struct strata_model_options options = {.weights = STRATA_WEIGHT_F32, .max_pixels = SIZE_MAX};
    struct strata_error err;
    snprintf(bench->tally->scope, sizeof bench->tally->scope, "%s", bench->scope);
    bench->table = NULL;
    bench->model = NULL;
    int code = strata_model_open(&bench->model, bench->directory, &options, &err);
    if (!code)
        code =
            strata_weights_table(&bench->table, &bench->row_count, &bench->model->config, &bench->model->weights, &err);
    if (code)
        tally_error(bench->tally, &err);
    else
        check(bench);
    free(bench->table);
    strata_model_close(bench->model);
}

/* `check` for every model directory of the set arguments[1]; the program's exit status. */
static inline int check_models(struct bench *bench, int count, char **arguments, void (*check)(struct bench *bench)) {
    struct tally tally = {0};
    struct strata_error err;
    const struct strata_level *level;
    struct strata_threads *threads;
    const size_t workers = (size_t)strtoul(golden_option(count, arguments, "--threads", "0"), NULL, 10);
    bench->tally = &tally; // cppcheck-suppress autoVariables ; used in here only
    if (strata_level_choose(&level, golden_option(count, arguments, "--isa", "auto"), &err) ||
        strata_threads_create(&threads, workers, &err) ||
        strata_compute_create(&bench->compute, level, STRATA_COMPUTE_F32, threads, &err)) {
        tally_error(&tally, &err);
        return tally_close(&tally);
    }
    char *images = golden_images(arguments[1]);
    char **names = golden_directories(arguments[1], "sft.json");
    bench->images = images;
    for (size_t m = 0; names && names[m]; m++) {
        char *directory = strata_path_join(arguments[1], names[m]);
        bench->directory = directory;
        snprintf(bench->scope, sizeof bench->scope, "%.100s", names[m]);
        check_one_model(bench, check);
        free(directory);
        free(names[m]);
    }
    free(names);
    free(images);
    strata_compute_free(&bench->compute);
    strata_threads_destroy(threads);
    return tally_close(&tally);
}

#endif
