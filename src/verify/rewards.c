#include "verify/rewards.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/memory.h"
#include "verify/boxes.h"
#include "verify/extract.h"
#include "verify/grade.h"

static const struct {
    const char *name;
    enum strata_reward_kind kind;
} names[] = {{"accuracy", STRATA_REWARD_ACCURACY},
             {"format", STRATA_REWARD_FORMAT},
             {"tags", STRATA_REWARD_TAGS},
             {"soft_overlong", STRATA_REWARD_SOFT_OVERLONG},
             {"repetition", STRATA_REWARD_REPETITION},
             {"detection", STRATA_REWARD_DETECTION}};

int strata_reward_term_parse(struct strata_reward_term *out, const char *name, struct strata_error *err) {
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strcmp(name, names[k].name) != 0) continue;
        *out = (struct strata_reward_term){.kind = names[k].kind, .weight = 1, .ngram = 3};
        return 0;
    }
    strata_fail(err, STRATA_ERR_USAGE, "unknown reward \"%s\"", name);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "accuracy, format, tags, soft_overlong, repetition or detection");
}

static size_t occurrences(struct strata_span text, const char *word) {
    size_t count = 0;
    for (size_t at = strata_span_find(text, word, 0); at != STRATA_NOT_FOUND; at = strata_span_find(text, word, at + 1))
        count++;
    return count;
}

static const char *const tags[] = {"<think>", "</think>", "<answer>", "</answer>"};

static double tag_share(struct strata_span text) {
    double share = 0;
    for (int k = 0; k < 4; k++) share += occurrences(text, tags[k]) == 1 ? 0.25 : 0;
    return share;
}

static double well_formed(struct strata_span text) {
    size_t at[4];
    text = strata_span_trim(text);
    for (int k = 0; k < 4; k++) {
        if (occurrences(text, tags[k]) != 1) return 0;
        at[k] = strata_span_find(text, tags[k], 0);
        if (k && at[k] < at[k - 1]) return 0;
    }
    struct strata_span between = strata_span_trim(strata_span_sub(text, at[1] + strlen(tags[1]), at[2]));
    return at[0] == 0 && !between.length && at[3] + strlen(tags[3]) == text.length ? 1 : 0;
}

static double soft_overlong(size_t tokens, size_t limit, size_t buffer) {
    size_t start = limit > buffer ? limit - buffer : 0;
    if (tokens <= start || !buffer) return 0;
    double share = (double)(tokens - start) / (double)buffer;
    return share < 1 ? -share : -1;
}

static int by_hash(const void *left, const void *right) {
    const struct strata_hash *a = left, *b = right;
    if (a->low != b->low) return a->low < b->low ? -1 : 1;
    return a->high < b->high ? -1 : a->high > b->high;
}

/* Minus the share of n-grams of words (case folded) that were there before. */
static int repetition(double *out, struct strata_span text, size_t n, struct strata_error *err) {
    struct strata_hash *words = NULL;
    size_t count = 0, room = text.length / 2 + 1, grams, distinct = 0;
    int rc = strata_alloc(&words, room, sizeof *words, err);
    if (rc) return rc;
    for (size_t i = 0; i < text.length;) {
        char lower[64];
        size_t length = 0;
        while (i < text.length && strata_is_space(text.data[i])) i++;
        size_t begin = i;
        while (i < text.length && !strata_is_space(text.data[i])) {
            if (length < sizeof lower) lower[length++] = strata_lower(text.data[i]);
            i++;
        }
        if (i == begin) break;
        words[count++] = i - begin < sizeof lower ? strata_hash_bytes(lower, length)
                                                  : strata_hash_bytes(text.data + begin, i - begin);
    }
    *out = 0;
    if (n && count > n) {
        grams = count - n + 1;
        for (size_t i = 0; i < grams; i++) words[i] = strata_hash_bytes(words + i, n * sizeof *words);
        qsort(words, grams, sizeof *words, by_hash);
        for (size_t i = 0; i < grams; i++) distinct += i == 0 || by_hash(&words[i], &words[i - 1]) != 0;
        *out = (double)distinct / (double)grams - 1;
    }
    free(words);
    return 0;
}

static int detection(struct strata_reward_value *out, const struct strata_reward_input *input, double threshold,
                     struct strata_error *err) {
    const struct strata_verify_input *answer = input->answer;
    struct strata_arena arena;
    struct strata_buffer joined = {0};
    struct strata_boxes gold, given;
    int rc = 0;
    strata_arena_init(&arena);
    struct strata_span solution = {answer->solution, answer->solution_length};
    struct strata_answer gold_text = strata_extract_answer(&joined, solution);
    out->applicable = strata_boxes_parse(&gold, &arena, gold_text.text) && gold.count && !gold.bad;
    out->value = 0;
    if (out->applicable) {
        struct strata_answer text =
            strata_extract_answer(&joined, (struct strata_span){answer->completion, answer->completion_length});
        if (text.source != STRATA_ANSWER_NONE && strata_boxes_parse(&given, &arena, text.text) && given.count) {
            rc = strata_boxes_convert(&given, answer->frame.answer, answer->frame.gold, &answer->frame, err);
            if (!(threshold > 0)) threshold = strata_detection_threshold(input->progress);
            if (!rc) out->value = strata_detection_reward(&gold, &given, threshold, &arena);
        }
    }
    if (!rc && arena.failed) rc = strata_fail(err, STRATA_ERR_MEMORY, "out of memory while matching boxes");
    strata_arena_free(&arena);
    strata_buffer_free(&joined);
    return rc;
}

static int term_value(struct strata_reward_value *out, struct strata_verdict *verdict,
                      const struct strata_reward_input *input, const struct strata_reward_term *term,
                      struct strata_error *err) {
    struct strata_span text = {input->answer->completion, input->answer->completion_length};
    int rc = 0;
    *out = (struct strata_reward_value){.value = 0, .applicable = true};
    switch (term->kind) {
    case STRATA_REWARD_ACCURACY:
        rc = strata_verify(verdict, input->answer, input->mode, err);
        out->applicable = !rc;
        out->value = rc ? 0 : verdict->score;
        return rc == STRATA_ERR_INPUT ? 0 : rc; /* an unusable gold: not applicable */
    case STRATA_REWARD_FORMAT:
        out->value = well_formed(text);
        return 0;
    case STRATA_REWARD_TAGS:
        out->value = tag_share(text);
        return 0;
    case STRATA_REWARD_SOFT_OVERLONG:
        out->value = soft_overlong(input->tokens, term->limit, term->buffer);
        return 0;
    case STRATA_REWARD_REPETITION:
        return repetition(&out->value, text, term->ngram, err);
    case STRATA_REWARD_DETECTION:
        return detection(out, input, term->threshold, err);
    case STRATA_REWARD_CUSTOM:
        rc = strata_custom_grade(verdict, term->custom, input->answer, err);
        out->value = rc ? 0 : verdict->score;
        return rc;
    }
    return strata_fail(err, STRATA_ERR_USAGE, "unknown kind of reward");
}

int strata_reward(double *total, bool *applicable, struct strata_reward_value *values, struct strata_verdict *verdict,
                  const struct strata_reward_input *input, const struct strata_reward_term *terms, size_t count,
                  bool mean, struct strata_error *err) {
    struct strata_verdict own = {0}, custom = {0};
    double weights = 0;
    int rc = 0;
    *total = 0;
    *applicable = false;
    for (size_t k = 0; k < count && !rc; k++) {
        struct strata_verdict *into = terms[k].kind == STRATA_REWARD_CUSTOM ? &custom : verdict ? verdict : &own;
        rc = term_value(&values[k], into, input, &terms[k], err);
        if (rc || !values[k].applicable) continue;
        *applicable = true;
        *total += terms[k].weight * values[k].value;
        weights += terms[k].weight;
    }
    if (mean && weights > 0) *total /= weights;
    if (rc) *total = 0;
    strata_verdict_free(&own);
    strata_verdict_free(&custom);
    return rc;
}
