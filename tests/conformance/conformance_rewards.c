/* conformance_rewards FILE [ACCEPTED]: grades every case of a rewards.jsonl (format: its README) in both modes, prints
 * the failing cases by reward and group, the counts by reward and mode, and at the end "N passed, N failed".
 * ACCEPTED (default tests/conformance/rewards_accepted.txt) lists "ID MODE reason" lines: misses that are known and
 * accepted; they are shown but fail nothing. A case whose gold no grader could use counts as 0 in compat. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "verify/verify.h"

#define TOLERANCE 1e-12

struct tally {
    size_t passed, failed, accepted;
};
static const char *const rewards[] = {"math_verify", "external_r1v_acc", "visual_perception_accuracy",
                                      "visual_reasoning_accuracy"};
enum { REWARDS = 4, COMPAT = 0, STRICT = 1 };

static int reward_index(const char *name) {
    for (int k = 0; name && k < REWARDS; k++) {
        if (!strcmp(name, rewards[k])) return k;
    }
    return -1;
}

static bool is_accepted(const struct strata_buffer *list, const char *id, const char *mode) {
    char key[128];
    snprintf(key, sizeof key, "%s %s ", id, mode);
    for (const char *line = strata_buffer_string(list); line && *line; line = strchr(line, '\n')) {
        while (*line == '\n') line++;
        if (!strncmp(line, key, strlen(key))) return true;
    }
    return false;
}

static void report(struct tally *tally, bool passed, bool accepted, const json_t *record, const char *mode,
                   double want_low, double want_high, double got, const char *note) {
    if (passed) {
        tally->passed++;
        return;
    }
    if (accepted)
        tally->accepted++;
    else
        tally->failed++;
    char *solution = strata_json_line(json_object_get(record, "solution"));
    char *completion = strata_json_line(json_object_get(record, "completion"));
    printf("%s %s %s/%s %s: got %.17g, want %.17g", accepted ? "accepted" : "FAIL",
           json_string_value(json_object_get(record, "id")), json_string_value(json_object_get(record, "reward")),
           json_string_value(json_object_get(record, "group")), mode, got, want_low);
    if (want_high > want_low) printf("..%.17g", want_high);
    printf(" | %.120s | %.160s | %s\n", solution ? solution : "", completion ? completion : "", note);
    free(solution);
    free(completion);
}

static int grade(double *score, struct strata_verdict *verdict, const json_t *record, enum strata_verify_mode mode,
                 struct strata_error *err) {
    const json_t *solution = json_object_get(record, "solution"), *completion = json_object_get(record, "completion");
    struct strata_verify_input input = {
        .solution = json_string_value(solution),
        .solution_length = json_string_length(solution),
        .completion = json_string_value(completion),
        .completion_length = json_string_length(completion),
        .ability = json_string_value(json_object_get(record, "ability")),
    };
    int rc = strata_verify(verdict, &input, mode, err);
    *score = rc ? 0 : verdict->score;
    return rc;
}

static void check(struct tally tallies[REWARDS][2], const json_t *record, const struct strata_buffer *accepted,
                  struct strata_verdict *verdict) {
    static const enum strata_verify_mode modes[REWARDS] = {STRATA_VERIFY_MATH_VERIFY, STRATA_VERIFY_EXTERNAL_R1V_ACC,
                                                           STRATA_VERIFY_VISUAL_PERCEPTION_ACCURACY,
                                                           STRATA_VERIFY_VISUAL_REASONING_ACCURACY};
    struct strata_error error;
    const char *id = json_string_value(json_object_get(record, "id"));
    if (!id) id = "(no id)";
    int k = reward_index(json_string_value(json_object_get(record, "reward")));
    double score;
    if (k < 0) {
        printf("skipped %s: no such reward\n", id);
        return;
    }
    error.what[0] = '\0';
    int rc = grade(&score, verdict, record, modes[k], &error);
    double want = json_number_value(json_object_get(record, "expected_compat"));
    bool passed = fabs(score - want) <= TOLERANCE;
    const json_t *other = json_object_get(record, "expected_by");
    const char *version;
    json_t *value;
    json_object_foreach((json_t *)other, version, value) {
        passed = passed || fabs(score - json_number_value(value)) <= TOLERANCE;
    }
    report(&tallies[k][COMPAT], passed, is_accepted(accepted, id, "compat"), record, "compat", want, want, score,
           rc ? error.what : strata_buffer_string(&verdict->reason));

    const json_t *strict = json_object_get(record, "strict"), *bounds = json_object_get(record, "strict_bounds");
    double low, high;
    if (json_is_number(strict)) {
        low = high = json_number_value(strict);
    } else if (json_is_array(bounds) && json_array_size(bounds) == 2) {
        low = json_number_value(json_array_get(bounds, 0));
        high = json_number_value(json_array_get(bounds, 1));
    } else {
        return;
    }
    error.what[0] = '\0';
    rc = grade(&score, verdict, record, STRATA_VERIFY_STRICT, &error);
    passed = !rc && score >= low - TOLERANCE && score <= high + TOLERANCE;
    report(&tallies[k][STRICT], passed, is_accepted(accepted, id, "strict"), record, "strict", low, high, score,
           rc ? error.what : strata_buffer_string(&verdict->reason));
}

int main(int argc, char **argv) {
    struct tally tallies[REWARDS][2] = {0}, total = {0};
    struct strata_buffer text = {0}, accepted = {0};
    struct strata_verdict verdict = {0};
    struct strata_error error;
    char message[1400];
    if (argc < 2) {
        fprintf(stderr, "usage: %s rewards.jsonl [accepted.txt]\n", argv[0]);
        return 2;
    }
    if (strata_file_read(&text, argv[1], 0, &error)) {
        fprintf(stderr, "%s\n", strata_error_line(&error, message, sizeof message));
        return 1;
    }
    const char *list = argc > 2 ? argv[2] : "tests/conformance/rewards_accepted.txt";
    if (strata_file_exists(list) && strata_file_read(&accepted, list, 0, &error)) return 1;
    size_t line = 0;
    for (size_t at = 0; at < text.length;) {
        const char *end = memchr(text.data + at, '\n', text.length - at);
        size_t length = end ? (size_t)(end - text.data) - at : text.length - at;
        json_t *record = NULL;
        line++;
        if (length) {
            json_error_t parse_error;
            record = json_loadb(text.data + at, length, JSON_ALLOW_NUL, &parse_error);
            if (!record) {
                printf("FAIL %s:%zu: %s\n", argv[1], line, parse_error.text);
                total.failed++;
            } else {
                check(tallies, record, &accepted, &verdict);
            }
            json_decref(record);
        }
        at += length + 1;
    }
    for (int k = 0; k < REWARDS; k++) {
        for (int mode = 0; mode < 2; mode++) {
            struct tally *t = &tallies[k][mode];
            size_t cases = t->passed + t->failed + t->accepted;
            printf("%-27s %-6s %4zu cases, %4zu passed (%.1f %%), %zu accepted misses, %zu failed\n", rewards[k],
                   mode == STRICT ? "strict" : "compat", cases, t->passed,
                   cases ? 100.0 * (double)t->passed / (double)cases : 100.0, t->accepted, t->failed);
            total.passed += t->passed + t->accepted;
            total.failed += t->failed;
        }
    }
    strata_verdict_free(&verdict);
    strata_buffer_free(&text);
    strata_buffer_free(&accepted);
    printf("%zu passed, %zu failed\n", total.passed, total.failed);
    return total.failed ? 1 : 0;
}
