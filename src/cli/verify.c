/* strata verify: grade (solution, completion) pairs of a JSONL file. */
#include "verify/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/terminal.h"

#define ID(name) STRATA_OPTION_ID_##name
#define KINDS    32

struct tally {
    const char *kind; /* static text of the grader */
    size_t pairs, correct, truncated;
    double score;
};
struct grading {
    const struct strata_arguments *arguments;
    enum strata_verify_mode mode;
    struct strata_verdict verdict;
    struct tally tallies[KINDS];
    size_t kinds, bad;
};

/* object[key] as bytes: a JSON text may hold NUL. */
static int text_field(const char **text, size_t *length, const json_t *object, const char *key, bool required,
                      const char *where, struct strata_error *err) {
    int status = strata_json_string(text, object, key, required, where, err);
    *length = !status && *text ? json_string_length(json_object_get(object, key)) : 0;
    return status;
}

static void count(struct grading *grading) {
    const struct strata_verdict *verdict = &grading->verdict;
    const char *kind = verdict->kind ? verdict->kind : "none";
    size_t i = 0;
    while (i < grading->kinds && strcmp(grading->tallies[i].kind, kind) != 0) i++;
    if (i == KINDS) i = KINDS - 1;
    if (i == grading->kinds) grading->tallies[grading->kinds++].kind = kind;
    grading->tallies[i].pairs++;
    grading->tallies[i].correct += verdict->correct;
    grading->tallies[i].truncated += verdict->truncated;
    grading->tallies[i].score += verdict->score;
}

static int print_graded(json_t *record, const struct strata_verdict *verdict, struct strata_error *err) {
    json_object_set_new(record, "score", json_real(verdict->score));
    json_object_set_new(record, "correct", json_boolean(verdict->correct));
    json_object_set_new(record, "kind", verdict->kind ? json_string(verdict->kind) : json_null());
    json_object_set_new(record, "extracted",
                        json_stringn(strata_buffer_string(&verdict->extracted), verdict->extracted.length));
    json_object_set_new(record, "reason", json_string(strata_buffer_string(&verdict->reason)));
    return strata_print_json(json_incref(record), err);
}

static int grade(struct grading *grading, json_t *record, const char *where, struct strata_error *err) {
    struct strata_verify_input input = {0};
    int status = text_field(&input.solution, &input.solution_length, record, "solution", true, where, err);
    if (!status)
        status = text_field(&input.completion, &input.completion_length, record, "completion", true, where, err);
    if (!status) status = strata_json_string(&input.ability, record, "ability", false, where, err);
    if (!status) status = strata_json_string(&input.verifier, record, "verifier", false, where, err);
    if (!status) status = strata_json_string(&input.question, record, "question", false, where, err);
    if (status) return status;
    if (!input.verifier) input.verifier = strata_text(grading->arguments, ID(VERIFIER));
    status = strata_verify(&grading->verdict, &input, grading->mode, err);
    if (status) return strata_fail_at_default(err, status, "%s", where);
    count(grading);
    return strata_flag(grading->arguments, ID(JSON)) ? print_graded(record, &grading->verdict, err) : 0;
}

static int grade_line(struct grading *grading, const char *line, size_t length, size_t number,
                      struct strata_error *err) {
    const char *path = grading->arguments->operands[0];
    char where[384];
    json_t *record = NULL;
    snprintf(where, sizeof where, "%s:%zu", path, number);
    int status = strata_json_parse(&record, line, length, path, number, err);
    if (!status && !json_is_object(record)) {
        strata_fail(err, STRATA_ERR_INPUT, "a line must hold one JSON object");
        status = strata_fail_at(err, STRATA_ERR_INPUT, "%s", where);
    }
    if (!status) status = grade(grading, record, where, err);
    json_decref(record);
    if (status != STRATA_ERR_INPUT || !strata_flag(grading->arguments, ID(SKIP_BAD))) return status;
    char text[1400];
    fprintf(stderr, "skipped: %s\n", strata_error_line(err, text, sizeof text));
    *err = (struct strata_error){0};
    grading->bad++;
    return 0;
}

static bool blank(const char *line, size_t length) {
    while (length && (*line == ' ' || *line == '\t' || *line == '\r')) line++, length--;
    return length == 0;
}

static void print_tallies(const struct grading *grading) {
    struct tally all = {.kind = "all"};
    struct strata_table table = {.columns = 5};
    for (size_t i = 0; i < 5; i++)
        strata_table_cell(&table, "%s",
                          (const char *const[]){"grader", "pairs", "correct", "mean score", "truncated"}[i]);
    for (size_t i = 0; i <= grading->kinds; i++) {
        const struct tally *tally = i < grading->kinds ? &grading->tallies[i] : &all;
        double pairs = tally->pairs ? (double)tally->pairs : 1;
        strata_table_cell(&table, "%s", tally->kind);
        strata_table_cell(&table, "%zu", tally->pairs);
        strata_table_cell(&table, "%.1f %%", 100 * (double)tally->correct / pairs);
        strata_table_cell(&table, "%.4f", tally->score / pairs);
        strata_table_cell(&table, "%zu", tally->truncated);
        all.pairs += tally->pairs;
        all.correct += tally->correct;
        all.truncated += tally->truncated;
        all.score += tally->score;
    }
    strata_table_print(&table, 0, true);
    strata_table_free(&table);
    if (grading->bad) printf("%zu bad lines left out\n", grading->bad);
}

int strata_cli_verify(const struct strata_arguments *arguments, struct strata_error *err) {
    struct grading grading = {.arguments = arguments};
    grading.mode = strata_choice(arguments, ID(VERIFY_MODE)) ? STRATA_VERIFY_COMPAT : STRATA_VERIFY_STRICT;
    struct strata_map map;
    int status = strata_map_open(&map, arguments->operands[0], err);
    if (status) return status;
    size_t number = 0, limit = strata_size(arguments, ID(LIMIT)), graded = 0;
    for (size_t begin = 0; begin < map.size && !status && (!limit || graded < limit);) {
        const char *line = (const char *)map.data + begin;
        const char *end = memchr(line, '\n', map.size - begin);
        size_t length = end ? (size_t)(end - line) : map.size - begin;
        number++;
        if (!blank(line, length)) {
            graded++;
            status = grade_line(&grading, line, length, number, err);
        }
        begin += length + 1;
    }
    if (!status && !strata_flag(arguments, ID(JSON))) print_tallies(&grading);
    strata_verdict_free(&grading.verdict);
    strata_map_close(&map);
    return status;
}
