/* strata verify: grade (solution, completion) pairs of a JSONL file. */
#include "verify/verify_file.h"

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
    struct strata_verify_options options;
    struct strata_verdict verdict;
    struct tally tallies[KINDS];
    size_t kinds, bad;
};

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

static int grade(struct grading *grading, json_t *record, const char *where, struct strata_error *err) {
    int status = strata_verify_record(&grading->verdict, record, &grading->options, where, err);
    if (status) return strata_fail_at_default(err, status, "%s", where);
    count(grading);
    return strata_flag(grading->arguments, ID(JSON)) ? strata_print_json(json_incref(record), err) : 0;
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

static int grade_file(struct grading *grading, const char *path, struct strata_error *err) {
    struct strata_map map;
    int status = strata_map_open(&map, path, err);
    if (status) return status;
    size_t number = 0, limit = strata_size(grading->arguments, ID(LIMIT)), graded = 0;
    for (size_t begin = 0; begin < map.size && !status && (!limit || graded < limit);) {
        const char *line = (const char *)map.data + begin;
        const char *end = memchr(line, '\n', map.size - begin);
        size_t length = end ? (size_t)(end - line) : map.size - begin;
        number++;
        if (!blank(line, length)) {
            graded++;
            status = grade_line(grading, line, length, number, err);
        }
        begin += length + 1;
    }
    strata_map_close(&map);
    if (!status && !strata_flag(grading->arguments, ID(JSON))) print_tallies(grading);
    return status;
}

static int explain(const struct grading *grading, const char *path, size_t line, struct strata_error *err) {
    struct strata_buffer steps = {0};
    int status = strata_verify_explain(&steps, path, line, &grading->options, err);
    if (!status) status = strata_buffer_check(&steps, err);
    if (!status) fputs(strata_buffer_string(&steps), stdout);
    strata_buffer_free(&steps);
    return status;
}

static void print_bad_gold(void *context, const struct strata_error *error) {
    char line[1400];
    (void)context;
    printf("%s\n", strata_error_line(error, line, sizeof line));
}

/* Unusable golds are the result, as differences are of `compare`: exit status 1 without an error block. */
static int check_golds(const struct grading *grading, const char *path, struct strata_error *err) {
    size_t checked, unusable;
    int status = strata_verify_check_file(&checked, &unusable, path, &grading->options, print_bad_gold, NULL, err);
    if (status) return status;
    printf("%zu golds, %zu that no answer can satisfy\n", checked, unusable);
    *err = (struct strata_error){0};
    return unusable ? STRATA_ERR_INPUT : 0;
}

int strata_cli_verify(const struct strata_arguments *arguments, struct strata_error *err) {
    const char *path = arguments->operands[0], *command = strata_text(arguments, ID(GRADER));
    struct grading grading = {.arguments = arguments};
    grading.options.mode = (enum strata_verify_mode)strata_choice(arguments, ID(VERIFY_MODE));
    grading.options.verifier = strata_text(arguments, ID(VERIFIER));
    grading.options.frame.gold = (enum strata_coordinates)strata_choice(arguments, ID(GOLD_BOXES));
    grading.options.frame.answer = (enum strata_coordinates)strata_choice(arguments, ID(ANSWER_BOXES));
    int status = 0;
    if (command) {
        double seconds = strata_real(arguments, ID(GRADER_TIMEOUT));
        status = strata_custom_start(&grading.options.custom, command, seconds, err);
    }
    if (status) return status;
    if (strata_given(arguments, ID(EXPLAIN))) {
        status = explain(&grading, path, strata_size(arguments, ID(EXPLAIN)), err);
    } else if (strata_flag(arguments, ID(CHECK_GOLD))) {
        status = check_golds(&grading, path, err);
    } else {
        status = grade_file(&grading, path, err);
    }
    strata_custom_stop(grading.options.custom);
    strata_verdict_free(&grading.verdict);
    return status;
}
