/* Mathematics in strict mode. */
#include <mpfr.h>

#include "verify/grade.h"
#include "verify/math.h"
#include "verify/math_clean.h"
#include "verify/number.h"
#include "verify/text.h"

/* The text as an expression: cleaned, without a unit where that leaves a plain value. `names`: the gold has names of
 * its own, so that letters are not units. */
static struct math_node *read_expression(struct strata_span *clean, struct strata_arena *arena, struct strata_span text,
                                         bool names, bool is_gold) {
    struct strata_buffer buffer = {0};
    strata_math_clean(&buffer, text);
    char *copy = strata_arena_copy(arena, strata_buffer_string(&buffer), buffer.length);
    *clean = strata_span_trim((struct strata_span){copy ? copy : "", copy ? buffer.length : 0});
    strata_buffer_free(&buffer);
    struct math_node *node = strata_math_parse(arena, *clean, MATH_STRICT);
    if (names && !is_gold) return node;
    struct strata_span bare = strata_strip_units(*clean, !is_gold);
    if (bare.length == clean->length) return node;
    struct math_node *value = strata_math_parse(arena, bare, MATH_STRICT);
    if (!value || (is_gold && strata_math_has_symbol(value))) return node;
    *clean = bare;
    return value;
}

/* A percent sign or word right behind the box that is the answer. */
static bool percent_follows(const struct strata_grading *grading) {
    static const char *const words[] = {"\\%", "%", "percent", "pct"};
    const struct strata_answer *answer = &grading->answer;
    const char *end = answer->region.data + answer->region.length;
    if (answer->source != STRATA_ANSWER_BOX || answer->text.data < answer->region.data || answer->text.data >= end)
        return false;
    struct strata_span rest = {answer->text.data + answer->text.length,
                               (size_t)(end - answer->text.data) - answer->text.length};
    size_t i = 0;
    while (i < rest.length && rest.data[i] && strchr("}$ \t", rest.data[i])) i++;
    for (size_t k = 0; k < 4; k++) {
        if (strata_span_at(rest, i, words[k])) return true;
    }
    return false;
}

static struct math_node *read_prose(struct strata_grading *grading, struct strata_arena *arena, bool names) {
    struct strata_span clean, part;
    if (!strata_prose_math(&part, grading->answer.text)) return NULL;
    struct math_node *node = read_expression(&clean, arena, part, names, false);
    if (!node) return NULL;
    strata_buffer_clear(&grading->verdict->extracted);
    strata_buffer_append(&grading->verdict->extracted, part.data, part.length);
    strata_grading_step(grading->input, "in the prose the answer is \"%.*s\"",
                        (int)(part.length < 200 ? part.length : 200), part.data);
    return node;
}

/* The answer's expression: the whole text, or what prose says is the answer. */
static struct math_node *read_answer(struct strata_span *clean, struct strata_grading *grading,
                                     struct strata_arena *arena, bool names) {
    struct math_node *node = read_expression(clean, arena, grading->answer.text, names, false), *part = NULL;
    bool prose = !node || (strata_has_words(*clean) && (grading->answer.source != STRATA_ANSWER_BOX || !names));
    if (prose) part = read_prose(grading, arena, names);
    strata_grading_step(grading->input, "answer %s \"%.*s\"", node ? "reads as" : "does not parse as a whole:",
                        (int)(clean->length < 200 ? clean->length : 200), clean->data);
    if (part) return part;
    return node && percent_follows(grading) ? strata_math_percent(arena, node) : node;
}

/* 3,75 where the gold is one number: the comma is a decimal point. */
static struct math_node *decimal_comma(struct strata_arena *arena, struct strata_span text) {
    size_t comma = strata_span_find(text, ",", 0);
    bool minus = text.length && text.data[0] == '-';
    if (comma == STRATA_NOT_FOUND || comma == minus) return NULL;
    char *plain = strata_arena_copy(arena, text.data, text.length);
    for (size_t i = minus; plain && i < text.length; i++) {
        if (i == comma)
            plain[i] = '.';
        else if (!strata_is_digit(text.data[i]))
            return NULL;
    }
    struct math_node *node =
        plain ? strata_math_make_decimal(arena, (struct strata_span){plain + minus, text.length - minus}) : NULL;
    return minus ? strata_math_negate(arena, node) : node;
}

static int settle(struct strata_grading *grading, bool equal, const char *reason) {
    grading->verdict->score = equal ? 1 : 0;
    strata_buffer_text(&grading->verdict->reason, reason);
    return 0;
}

static int grade_expressions(struct strata_grading *grading, struct strata_arena *arena, struct strata_error *err) {
    struct math_context context = {.arena = arena, .strict = true};
    struct strata_span clean;
    struct math_node *gold = read_expression(&clean, arena, grading->gold, false, true);
    bool names = gold && strata_math_has_symbol(gold) && gold->op != MATH_RELATION && gold->op != MATH_CHAIN;
    struct math_node *answer = gold ? read_answer(&clean, grading, arena, names) : NULL;
    bool equal = gold && answer && strata_math_equal(&context, gold, answer);
    if (!equal && gold && answer && answer->op == MATH_SET && strata_math_is_number(gold)) {
        struct math_node *decimal = decimal_comma(arena, clean);
        equal = decimal && strata_math_equal(&context, gold, decimal);
    }
    mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE);
    if (arena->failed && !equal) {
        if (arena->total < STRATA_ARENA_LIMIT / 2)
            return strata_fail(err, STRATA_ERR_MEMORY, "out of memory while comparing");
        context.exhausted = true;
    }
    if (equal) return settle(grading, true, "equal by value");
    if (!gold) return settle(grading, false, "another text (the gold is no expression)");
    if (!answer) return settle(grading, false, "no expression in the answer");
    return settle(grading, false, context.exhausted ? "beyond the limits of steps: taken as unequal" : "another value");
}

int strata_grade_math(struct strata_grading *grading, struct strata_error *err) {
    struct strata_decimal gold, given;
    struct strata_span left = strata_text_undress(grading->gold), right = strata_text_undress(grading->answer.text);
    if (strata_decimal_parse(&gold, left) && strata_decimal_parse(&given, right) && !percent_follows(grading)) {
        bool equal = strata_decimal_equal(gold, given);
        return settle(grading, equal, equal ? "equal numbers" : "other numbers");
    }
    if (strata_text_equal(left, right) && !percent_follows(grading)) return settle(grading, true, "the same text");
    struct strata_arena arena;
    strata_arena_init(&arena);
    int rc = grade_expressions(grading, &arena, err);
    strata_arena_free(&arena);
    return rc;
}

int strata_check_math_gold(struct strata_span gold, struct strata_error *err) {
    struct strata_arena arena;
    struct strata_span clean;
    int rc = 0;
    strata_arena_init(&arena);
    struct math_context context = {.arena = &arena, .strict = true};
    struct math_node *node = read_expression(&clean, &arena, gold, false, true);
    /* a gold that is no expression can still be answered word for word */
    if (node && node->op == MATH_UNDEFINED) {
        rc = strata_fail(err, STRATA_ERR_INPUT, "the gold answer divides by zero");
    } else if (node && !strata_math_equal(&context, node, node)) {
        rc = strata_fail(err, STRATA_ERR_INPUT, "the gold answer contradicts itself");
    }
    mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE);
    strata_arena_free(&arena);
    return rc;
}
