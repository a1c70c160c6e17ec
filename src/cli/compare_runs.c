/* strata compare RUN RUN: do two runs say the same of each sample? */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/compare.h"
#include "cli/terminal.h"

#define ID(name)   STRATA_OPTION_ID_##name
#define MOST_SHOWN 20

/* difficulty.jsonl as one object: id -> line. */
static int load(json_t **out, const char *run, struct strata_error *err) {
    struct strata_buffer file = {0};
    char *path = strata_path_join(run, "difficulty.jsonl");
    *out = json_object();
    int status =
        path && *out ? strata_file_read(&file, path, 0, err) : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    size_t number = 0;
    for (size_t begin = 0; begin < file.length && !status;) {
        const char *line = file.data + begin, *end = memchr(line, '\n', file.length - begin), *id = NULL;
        size_t length = end ? (size_t)(end - line) : file.length - begin;
        json_t *record = NULL;
        number++;
        begin += length + 1;
        if (!length) continue;
        status = strata_json_parse(&record, line, length, path, number, err);
        if (!status) status = strata_json_string(&id, record, "id", true, path, err);
        if (!status && json_object_set(*out, id, record)) status = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        json_decref(record);
    }
    strata_buffer_free(&file);
    free(path);
    return status;
}

/* record[part][key] as text: "hard", "0.4", "-". */
static void field(char *out, size_t size, const json_t *record, const char *part, const char *key) {
    const json_t *value = json_object_get(json_object_get(record, part), key);
    if (json_is_string(value)) {
        snprintf(out, size, "%s", json_string_value(value));
    } else if (json_is_number(value)) {
        snprintf(out, size, "%.6g", json_number_value(value));
    } else {
        snprintf(out, size, "-");
    }
}

struct tally {
    struct strata_table table;
    size_t both, differing, only_a, only_b;
    size_t fields[4];
    json_t *list;
};
static const char *const parts[4][2] = {
    {"pism", "stratum"}, {"pism", "lambda_star"}, {"cmab", "stratum"}, {"cmab", "rho"}};

static void compare_sample(struct tally *tally, const char *id, const json_t *a, const json_t *b) {
    bool differs = false;
    char texts[4][2][32];
    for (size_t f = 0; f < 4; f++) {
        field(texts[f][0], sizeof texts[f][0], a, parts[f][0], parts[f][1]);
        field(texts[f][1], sizeof texts[f][1], b, parts[f][0], parts[f][1]);
        bool same = strcmp(texts[f][0], texts[f][1]) == 0;
        tally->fields[f] += !same;
        differs |= !same;
    }
    tally->both++;
    if (!differs) return;
    json_array_append_new(tally->list, json_string(id));
    if (tally->differing++ >= MOST_SHOWN) return;
    strata_table_cell(&tally->table, "%s", id);
    for (size_t f = 0; f < 4; f++) {
        if (strcmp(texts[f][0], texts[f][1]) == 0) {
            strata_table_cell(&tally->table, "%s", texts[f][0]);
        } else {
            strata_table_cell(&tally->table, "%s | %s", texts[f][0], texts[f][1]);
        }
    }
}

static int print_tally(struct tally *tally, const struct strata_arguments *arguments, struct strata_error *err) {
    if (strata_flag(arguments, ID(JSON)))
        return strata_print_json(
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "samples", (json_int_t)tally->both, "differing",
                      (json_int_t)tally->differing, "only_in_a", (json_int_t)tally->only_a, "only_in_b",
                      (json_int_t)tally->only_b, "pism_stratum", (json_int_t)tally->fields[0], "pism_lambda_star",
                      (json_int_t)tally->fields[1], "cmab_stratum", (json_int_t)tally->fields[2], "cmab_rho",
                      (json_int_t)tally->fields[3], "ids", tally->list),
            err);
    if (tally->differing) {
        strata_table_print(&tally->table, 0, false);
        if (tally->differing > MOST_SHOWN) printf("and %zu more\n", tally->differing - MOST_SHOWN);
        putchar('\n');
    }
    if (tally->only_a) printf("%zu samples only in %s\n", tally->only_a, arguments->operands[0]);
    if (tally->only_b) printf("%zu samples only in %s\n", tally->only_b, arguments->operands[1]);
    printf("%zu samples in both, %zu differ", tally->both, tally->differing);
    if (tally->differing)
        printf(" (PISM stratum %zu, lambda* %zu; CMAB stratum %zu, rho %zu)", tally->fields[0], tally->fields[1],
               tally->fields[2], tally->fields[3]);
    putchar('\n');
    return 0;
}

int strata_compare_runs(const struct strata_arguments *arguments, struct strata_error *err) {
    json_t *a = NULL, *b = NULL;
    struct tally tally = {.table = {.columns = 5, .left = 0x1e}, .list = json_array()};
    static const char *const heading[] = {"sample", "PISM", "lambda*", "CMAB", "rho"};
    for (size_t i = 0; i < 5; i++) strata_table_cell(&tally.table, "%s", heading[i]);
    int status = load(&a, arguments->operands[0], err);
    if (!status) status = load(&b, arguments->operands[1], err);
    if (!status) {
        const char *id;
        json_t *record;
        json_object_foreach(a, id, record) {
            const json_t *other = json_object_get(b, id);
            if (other) {
                compare_sample(&tally, id, record, other);
            } else {
                tally.only_a++;
            }
        }
        tally.only_b = json_object_size(b) - tally.both;
        status = print_tally(&tally, arguments, err);
    }
    strata_table_free(&tally.table);
    json_decref(tally.list);
    json_decref(a);
    json_decref(b);
    if (status) return status;
    return tally.differing || tally.only_a || tally.only_b ? STRATA_ERR_INPUT : 0;
}
