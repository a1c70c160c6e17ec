#include "verify/verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "verify/choice.h"
#include "verify/compat.h"
#include "verify/grade.h"
#include "verify/number.h"
#include "verify/text.h"

static const char *const kind_names[] = {"math", "choice", "yesno", "word", "count", "ocr", "box"};

void strata_grading_step(const struct strata_verify_input *input, const char *format, ...) {
    if (!input->steps) return;
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    strata_buffer_text(input->steps, line);
    strata_buffer_byte(input->steps, '\n');
}

static const struct {
    const char *name;
    enum strata_kind kind;
} named_kinds[] = {
    {"cv_detection", STRATA_KIND_BOX}, {"cv_grounding", STRATA_KIND_BOX}, {"detection", STRATA_KIND_BOX},
    {"grounding", STRATA_KIND_BOX},    {"box", STRATA_KIND_BOX},          {"ocr", STRATA_KIND_OCR},
    {"counting", STRATA_KIND_COUNT},   {"count", STRATA_KIND_COUNT},      {"choice", STRATA_KIND_CHOICE},
    {"yesno", STRATA_KIND_YES_NO},     {"word", STRATA_KIND_WORD},
};

int strata_kind_named(const struct strata_verify_input *input) {
    for (int turn = 0; turn < 2; turn++) {
        const char *name = turn ? input->ability : input->verifier;
        for (size_t k = 0; name && k < sizeof named_kinds / sizeof *named_kinds; k++) {
            if (strata_span_is_nocase(strata_span_of(name), named_kinds[k].name)) return (int)named_kinds[k].kind;
        }
    }
    return -1;
}

/* Letters of any script, digits, blanks and simple punctuation; at least one letter, and no sign of mathematics. A
 * single letter is a symbol or a choice, not a word. */
static bool is_words(struct strata_span text) {
    size_t letters = 0;
    bool digit = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        bool high = (unsigned char)c >= 0x80;
        if (strata_is_letter(c) || high)
            letters++;
        else if (strata_is_digit(c))
            digit = true;
        else if (!strata_is_space(c) && !strchr("-'.,!?&/", c))
            return false;
        if (c == '\0') return false;
    }
    /* "5 cm", "12 apples", "2x": a number that leads is mathematics */
    return letters >= 2 && !(digit && (strata_is_digit(text.data[0]) || strchr("-.", text.data[0])));
}

/* Symbols beyond ASCII and names that are numbers, not words. */
static bool is_math_word(struct strata_span text) {
    static const char *const names[] = {"pi", "infinity", "infty", "inf"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strata_span_is_nocase(text, names[k])) return true;
    }
    if (!text.length || (unsigned char)text.data[0] < 0x80) return false;
    /* Greek letters, superscripts, fractions, mathematical operators, full-width forms: not words by themselves */
    for (size_t i = 0; i < text.length; i++) {
        if (strata_is_letter(text.data[i])) return false;
    }
    const unsigned char *u = (const unsigned char *)text.data;
    return u[0] == 0xce || u[0] == 0xcf || u[0] == 0xc2 ||
           (u[0] == 0xe2 && (u[1] == 0x85 || u[1] == 0x88 || u[1] == 0x89)) ||
           (u[0] == 0xef && u[1] == 0xbc && u[2] >= 0x8b && u[2] <= 0x99);
}

static enum strata_kind kind_of(const struct strata_verify_input *input, struct strata_span gold) {
    int named = strata_kind_named(input);
    if (named >= 0) return (enum strata_kind)named;
    struct strata_span text = strata_text_undress(gold);
    uint32_t letters;
    if (strata_span_find(gold, "bbox_2d", 0) != STRATA_NOT_FOUND) return STRATA_KIND_BOX;
    if (strata_choice_gold(&letters, gold)) return STRATA_KIND_CHOICE;
    if (strata_yes_no(gold, false) >= 0) return STRATA_KIND_YES_NO;
    if (is_words(text) && !is_math_word(text)) return STRATA_KIND_WORD;
    return STRATA_KIND_MATH;
}

/* The solution without <answer> tags, and without \boxed{} when the box is all there is. */
static struct strata_span gold_answer(const struct strata_verify_input *input) {
    struct strata_span gold = strata_span_trim((struct strata_span){input->solution, input->solution_length});
    size_t close = strata_span_find_last(gold, "</answer>", gold.length);
    size_t open = close == STRATA_NOT_FOUND ? close : strata_span_find_last(gold, "<answer>", close);
    if (open != STRATA_NOT_FOUND) gold = strata_span_trim(strata_span_sub(gold, open + strlen("<answer>"), close));
    for (int depth = 0; depth < 64 && strata_span_at(gold, 0, "\\boxed"); depth++) {
        size_t brace = 6, begin, end;
        while (brace < gold.length && strata_is_space(gold.data[brace])) brace++;
        if (!strata_box_content(&begin, &end, gold, brace) || end + 1 != gold.length) break;
        gold = strata_span_trim(strata_span_sub(gold, begin, end));
    }
    return gold;
}

static int settle(struct strata_grading *grading, double score, const char *reason) {
    grading->verdict->score = score;
    strata_buffer_text(&grading->verdict->reason, reason);
    return 0;
}

static int grade_choice(struct strata_grading *grading) {
    uint32_t gold = 0, chosen;
    bool letters = strata_choice_gold(&gold, grading->gold);
    chosen = strata_choice_find(grading->answer.text, grading->answer.source != STRATA_ANSWER_BOX);
    if (letters && chosen == gold) return settle(grading, 1, "the same choice");
    if (strata_text_equal(grading->gold, grading->answer.text)) return settle(grading, 1, "the same text");
    return settle(grading, 0, chosen ? "another choice" : "no choice found");
}

static int grade_yes_no(struct strata_grading *grading) {
    int gold = strata_yes_no(grading->gold, false);
    int given = strata_yes_no(grading->answer.text, grading->answer.source != STRATA_ANSWER_BOX);
    /* "yes" is not "true": the words must be the same kind only when both are written out alone */
    if (gold >= 0 && given == gold) return settle(grading, 1, "the same truth value");
    return settle(grading, 0, given < 0 ? "neither yes nor no" : "the opposite");
}

/* The answer as prose names it: behind the last "answer is" or "answer:", up to the end of the sentence. */
static struct strata_span prose_answer(struct strata_span text) {
    for (size_t from = text.length; from > 0;) {
        size_t at = strata_span_find_last(text, "nswer", from);
        if (at == STRATA_NOT_FOUND) break;
        size_t i = at + 5;
        while (i < text.length && strchr("*: \n", text.data[i]) && text.data[i]) i++;
        if (strata_span_at_nocase(text, i, "is ") || strata_span_at_nocase(text, i, "is:"))
            i += 3;
        else if (text.data[i - 1] != ':' && text.data[i - 1] != ' ' && text.data[i - 1] != '*')
            i = text.length;
        size_t end = i;
        while (end < text.length && text.data[end] != '\n' &&
               !(text.data[end] == '.' && (end + 1 == text.length || strata_is_space(text.data[end + 1])))) {
            end++;
        }
        if (end > i) return strata_span_trim(strata_span_sub(text, i, end));
        from = at;
    }
    return text;
}

static int grade_word(struct strata_grading *grading) {
    struct strata_span text = grading->answer.text;
    if (strata_text_equal(grading->gold, text)) return settle(grading, 1, "the same words");
    if (grading->answer.source != STRATA_ANSWER_BOX && strata_text_equal(grading->gold, prose_answer(text))) {
        return settle(grading, 1, "the same words, behind the answer phrase");
    }
    return settle(grading, 0, "other words");
}

static int grade_count(struct strata_grading *grading, struct strata_error *err) {
    struct strata_decimal gold, given;
    struct strata_buffer left = {0}, right = {0};
    strata_text_fold(&left, strata_text_undress(grading->gold));
    strata_text_fold(&right, grading->answer.text);
    int rc = strata_buffer_check(&left, err);
    if (!rc) rc = strata_buffer_check(&right, err);
    struct strata_span gold_text = {strata_buffer_string(&left), left.length};
    if (!rc && !strata_count_find(&gold, gold_text)) {
        rc = strata_fail(err, STRATA_ERR_INPUT, "the gold count is no number: \"%.60s\"", gold_text.data);
    }
    if (!rc) {
        if (!strata_count_find(&given, (struct strata_span){strata_buffer_string(&right), right.length})) {
            settle(grading, 0, "no number in the answer");
        } else if (strata_decimal_equal(gold, given)) {
            settle(grading, 1, "the same count");
        } else {
            settle(grading, 0, "another count");
        }
    }
    strata_buffer_free(&left);
    strata_buffer_free(&right);
    return rc;
}

static int grade_ocr(struct strata_grading *grading, struct strata_error *err) {
    struct strata_buffer left = {0}, right = {0};
    strata_text_fold(&left, grading->gold);
    strata_text_fold(&right, grading->answer.text);
    int rc = strata_buffer_check(&left, err);
    if (!rc) rc = strata_buffer_check(&right, err);
    if (!rc) {
        bool too_long;
        double score =
            strata_text_similarity((struct strata_span){strata_buffer_string(&left), left.length},
                                   (struct strata_span){strata_buffer_string(&right), right.length}, &too_long);
        settle(grading, score,
               score >= 1  ? "the same text"
               : too_long  ? "too long to compare"
               : score > 0 ? "a similar text"
                           : "another text");
        grading->verdict->correct = score >= 1;
    }
    strata_buffer_free(&left);
    strata_buffer_free(&right);
    return rc;
}

static int grade_by_kind(struct strata_grading *grading, enum strata_kind kind, struct strata_error *err) {
    switch (kind) {
    case STRATA_KIND_CHOICE:
        return grade_choice(grading);
    case STRATA_KIND_YES_NO:
        return grade_yes_no(grading);
    case STRATA_KIND_WORD:
        return grade_word(grading);
    case STRATA_KIND_COUNT:
        return grade_count(grading, err);
    case STRATA_KIND_OCR:
        return grade_ocr(grading, err);
    case STRATA_KIND_BOX:
        return strata_grade_boxes(grading, err);
    default:
        return strata_grade_math(grading, err);
    }
}

static int verify_strict(struct strata_verdict *verdict, const struct strata_verify_input *input,
                         struct strata_error *err) {
    struct strata_grading grading = {.input = input, .verdict = verdict, .gold = gold_answer(input)};
    struct strata_buffer joined = {0};
    if (!grading.gold.length) {
        return strata_fail(err, STRATA_ERR_INPUT, "the gold answer is empty: no answer can satisfy it");
    }
    enum strata_kind kind = kind_of(input, grading.gold);
    verdict->kind = kind_names[kind];
    grading.answer = strata_extract_answer(&joined, (struct strata_span){input->completion, input->completion_length});
    strata_grading_step(input, "kind: %s (gold \"%.*s\")", verdict->kind,
                        (int)(grading.gold.length < 80 ? grading.gold.length : 80), grading.gold.data);
    int rc = strata_buffer_check(&joined, err);
    if (!rc && grading.answer.source == STRATA_ANSWER_NONE) {
        verdict->truncated = grading.answer.truncated;
        settle(&grading, 0, verdict->truncated ? "truncated: the thinking never ends" : "there is no answer");
    } else if (!rc) {
        static const char *const sources[] = {"nothing", "the last box", "the last answer tag", "the text"};
        strata_grading_step(input, "answer taken from %s", sources[grading.answer.source]);
        strata_buffer_append(&verdict->extracted, grading.answer.text.data, grading.answer.text.length);
        rc = grade_by_kind(&grading, kind, err);
        if (kind != STRATA_KIND_OCR) verdict->correct = verdict->score >= 0.5;
    }
    strata_buffer_free(&joined);
    return rc;
}

static enum strata_verify_mode compat_mode(const struct strata_verify_input *input) {
    int kind = strata_kind_named(input);
    bool perception = kind == STRATA_KIND_BOX || kind == STRATA_KIND_OCR || kind == STRATA_KIND_COUNT;
    return perception ? STRATA_VERIFY_VISUAL_PERCEPTION_ACCURACY : STRATA_VERIFY_EXTERNAL_R1V_ACC;
}

static int verify_compat(struct strata_verdict *verdict, const struct strata_verify_input *input,
                         enum strata_verify_mode mode, struct strata_error *err) {
    struct strata_arena arena;
    strata_arena_init(&arena);
    struct strata_compat grading = {.arena = &arena,
                                    .solution = {input->solution, input->solution_length},
                                    .completion = {input->completion, input->completion_length},
                                    .kind = "math",
                                    .reason = ""};
    if (mode == STRATA_VERIFY_COMPAT) mode = compat_mode(input);
    strata_grading_step(input, "graded as %s does", strata_verify_mode_name(mode));
    switch (mode) {
    case STRATA_VERIFY_VISUAL_PERCEPTION_ACCURACY:
        strata_compat_perception(&grading);
        break;
    case STRATA_VERIFY_VISUAL_REASONING_ACCURACY:
        strata_compat_reasoning(&grading);
        break;
    case STRATA_VERIFY_EXTERNAL_R1V_ACC:
        strata_compat_r1v(&grading);
        break;
    default:
        strata_compat_math_verify(&grading);
    }
    verdict->score = grading.score;
    verdict->correct = grading.score >= 0.5;
    verdict->kind = grading.kind;
    strata_buffer_append(&verdict->extracted, grading.extracted.data, grading.extracted.length);
    strata_buffer_text(&verdict->reason, grading.reason);
    int rc = 0;
    if (arena.exhausted) {
        /* An answer beyond the fixed budget of memory is one that cannot be read: wrong, on every machine alike. */
        verdict->score = 0;
        verdict->correct = false;
        strata_buffer_clear(&verdict->reason);
        strata_buffer_text(&verdict->reason, "more than the budget of memory allows");
    } else if (arena.failed) {
        rc = strata_fail(err, STRATA_ERR_MEMORY, "out of memory while grading");
    }
    strata_arena_free(&arena);
    return rc;
}

static const char *const mode_names[] = {
    "strict", "compat", "math_verify", "external_r1v_acc", "visual_perception_accuracy", "visual_reasoning_accuracy"};

int strata_verify_mode_parse(enum strata_verify_mode *out, const char *name, struct strata_error *err) {
    for (size_t k = 0; k < sizeof mode_names / sizeof *mode_names; k++) {
        if (!strcmp(name, mode_names[k])) {
            *out = (enum strata_verify_mode)k;
            return 0;
        }
    }
    strata_fail(err, STRATA_ERR_USAGE, "unknown way of grading \"%s\"", name);
    return strata_fail_hint(err, STRATA_ERR_USAGE,
                            "strict, compat, math_verify, external_r1v_acc, visual_perception_accuracy or "
                            "visual_reasoning_accuracy");
}

const char *strata_verify_mode_name(enum strata_verify_mode mode) {
    return mode_names[mode];
}

int strata_coordinates_parse(enum strata_coordinates *out, const char *name, struct strata_error *err) {
    static const char *const names[] = {"same", "relative", "original", "resized"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (!strcmp(name, names[k])) {
            *out = (enum strata_coordinates)k;
            return 0;
        }
    }
    strata_fail(err, STRATA_ERR_USAGE, "unknown coordinates \"%s\"", name);
    return strata_fail_hint(err, STRATA_ERR_USAGE, "same, relative (0 to 1000), original or resized (pixels)");
}

int strata_verify(struct strata_verdict *verdict, const struct strata_verify_input *input, enum strata_verify_mode mode,
                  struct strata_error *err) {
    strata_buffer_clear(&verdict->extracted);
    strata_buffer_clear(&verdict->reason);
    verdict->score = 0;
    verdict->correct = verdict->truncated = false;
    verdict->kind = "math";
    int rc =
        mode == STRATA_VERIFY_STRICT ? verify_strict(verdict, input, err) : verify_compat(verdict, input, mode, err);
    if (!rc) rc = strata_buffer_check(&verdict->extracted, err);
    if (!rc) rc = strata_buffer_check(&verdict->reason, err);
    return rc;
}

/* A gold in strict mode: readable by its grader, and among the choices that the question lists. */
static int check_strict_gold(const struct strata_verify_input *input, struct strata_error *err) {
    struct strata_span gold = gold_answer(input);
    struct strata_verdict verdict = {0};
    uint32_t letters = 0;
    if (!gold.length) return strata_fail(err, STRATA_ERR_INPUT, "the gold answer is empty: no answer can satisfy it");
    switch (kind_of(input, gold)) {
    case STRATA_KIND_BOX:
        return strata_check_box_gold(gold, err);
    case STRATA_KIND_MATH:
        return strata_check_math_gold(gold, err);
    case STRATA_KIND_CHOICE: {
        int choices = input->question ? strata_choice_count(strata_span_of(input->question)) : 0;
        if (!strata_choice_gold(&letters, gold))
            return strata_fail(err, STRATA_ERR_INPUT, "the gold answer names no choice");
        if (choices && letters >> choices) {
            return strata_fail(err, STRATA_ERR_INPUT, "the gold choice is not among the %d that the question lists",
                               choices);
        }
        return 0;
    }
    case STRATA_KIND_YES_NO:
        return strata_yes_no(gold, false) < 0
                   ? strata_fail(err, STRATA_ERR_INPUT, "the gold answer is neither yes nor no")
                   : 0;
    default: { /* what answers itself can be answered */
        struct strata_verify_input itself = *input;
        itself.completion = gold.data;
        itself.completion_length = gold.length;
        itself.steps = NULL;
        int rc = verify_strict(&verdict, &itself, err);
        if (!rc && verdict.score < 1)
            rc = strata_fail(err, STRATA_ERR_INPUT, "the gold answer does not even answer itself");
        strata_verdict_free(&verdict);
        return rc;
    }
    }
}

int strata_verify_check_gold(const struct strata_verify_input *input, enum strata_verify_mode mode,
                             struct strata_error *err) {
    if (mode == STRATA_VERIFY_STRICT) return check_strict_gold(input, err);
    struct strata_verdict verdict = {0};
    struct strata_verify_input itself = *input;
    itself.completion = input->solution;
    itself.completion_length = input->solution_length;
    itself.steps = NULL;
    int rc = strata_verify(&verdict, &itself, mode, err);
    if (!rc && verdict.score <= 0) {
        rc = strata_fail(err, STRATA_ERR_INPUT, "the gold answer does not even answer itself (%s)",
                         strata_buffer_string(&verdict.reason));
    }
    strata_verdict_free(&verdict);
    return rc;
}

void strata_verdict_free(struct strata_verdict *verdict) {
    strata_buffer_free(&verdict->extracted);
    strata_buffer_free(&verdict->reason);
}

double strata_verify_chance(const struct strata_verify_input *input) {
    struct strata_span gold = gold_answer(input);
    if (strata_yes_no(gold, false) >= 0) return 0.5;
    uint32_t letters;
    if (!input->question || !strata_choice_gold(&letters, gold)) return 0;
    int choices = strata_choice_count(strata_span_of(input->question));
    return choices ? 1.0 / choices : 0;
}
