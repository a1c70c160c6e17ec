/* verify(parse(gold), parse(answer)) of Math-Verify 0.8.0 with its defaults. */
#include <mpfr.h>

#include "verify/compat.h"
#include "verify/compat_plain.h"
#include "verify/latex.h"
#include "verify/math.h"

/* What parse() returns: a value, if something parsed, and the text of the first match tried. */
struct parsed {
    struct math_node *value;
    struct strata_span text;
    bool any_text;
};

/* The part behind the last = of a chain a = b = c without commas; else the text itself. */
static struct strata_span last_side(struct strata_span text) {
    size_t parts = 1, last = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == ',' || text.data[i] == ';') return text;
        if (text.data[i] != '=' || (i && strchr("\\<!>", text.data[i - 1]))) continue;
        parts++;
        last = i + 1;
    }
    return parts > 2 ? strata_span_sub(text, last, text.length) : text;
}

static struct math_node *parse_latex(struct strata_arena *arena, struct strata_span text) {
    struct math_node *node = strata_math_parse(arena, text, MATH_LATEX2SYMPY);
    if (node) return node;
    struct strata_span side = last_side(text);
    return side.length < text.length ? strata_math_parse(arena, side, MATH_LATEX2SYMPY) : NULL;
}

/* The joined environments of a match as one set; a single one as itself. */
static struct math_node *extract_latex(struct strata_span *fallback, struct strata_arena *arena,
                                       struct strata_points text, const struct strata_match *match) {
    struct math_node *values[STRATA_MAX_SEGMENTS] = {NULL};
    struct strata_buffer texts = {0};
    size_t first_length = 0;
    uint32_t members = 0;
    bool all = true;
    for (size_t k = 0; k < match->segment_count; k++) {
        struct strata_points content = strata_points_sub(text, match->segments[k].begin, match->segments[k].end);
        if (k) strata_buffer_text(&texts, " and ");
        size_t begin = texts.length;
        strata_latex_normalise(&texts, strata_points_span(arena, content), match->segments[k].bare_box);
        char *copy = strata_arena_copy(arena, strata_buffer_string(&texts) + begin, texts.length - begin);
        struct strata_span clean = {copy, copy ? texts.length - begin : 0};
        if (!k) first_length = clean.length;
        values[k] = copy ? parse_latex(arena, clean) : NULL;
        if (values[k] && match->segments[k].percent) values[k] = strata_math_percent(arena, values[k]);
        all = all && values[k];
        if (values[k]) members += values[k]->op == MATH_SET ? values[k]->count : 1;
    }
    bool joined = match->segment_count > 1 && all;
    size_t length = joined ? texts.length : first_length;
    char *copy = strata_arena_copy(arena, strata_buffer_string(&texts), length);
    *fallback = (struct strata_span){copy, copy ? length : 0};
    strata_buffer_free(&texts);
    if (!joined) return values[0];
    struct math_node *set = strata_math_make(arena, MATH_SET, members);
    members = 0;
    for (size_t k = 0; set && k < match->segment_count; k++) {
        if (values[k]->op != MATH_SET) set->kids[members++] = values[k];
        for (uint32_t i = 0; values[k]->op == MATH_SET && i < values[k]->count; i++)
            set->kids[members++] = values[k]->kids[i];
    }
    return set;
}

/* Sign and digits without separators and leading zeros, and the decimals behind a point. False where Python's number
 * reader raises: digits of another script. */
static bool number_text(struct strata_span *out, struct strata_arena *arena, struct strata_points text,
                        const struct strata_match *match) {
    char *digits = strata_arena_take(arena, match->decimal_end - match->whole_begin + 2);
    size_t length = 0;
    if (!digits) return false;
    for (size_t i = match->whole_begin; i < match->whole_end; i++) {
        int32_t c = text.data[i];
        if (c == ',' || c == ' ') continue;
        if (c >= 0x80) return false;
        if (c == '0' && !length) continue;
        digits[length++] = (char)c;
    }
    if (!length) digits[length++] = '0';
    for (size_t i = match->decimal_begin; i < match->decimal_end; i++) {
        int32_t c = text.data[i];
        if (c >= 0x80) return false;
        digits[length++] = c == ',' ? '.' : (char)c;
    }
    *out = (struct strata_span){digits, length};
    return true;
}

static struct math_node *extract_number(struct strata_span *fallback, bool *raised, struct strata_arena *arena,
                                        struct strata_points text, const struct strata_match *match) {
    *raised = !number_text(fallback, arena, text, match);
    if (*raised) return NULL;
    bool minus = fallback->data[0] == '-';
    struct math_node *number = strata_math_make_decimal(arena, strata_span_sub(*fallback, minus, fallback->length));
    if (number && minus) number = strata_math_negate(arena, number);
    return number && match->percent ? strata_math_percent(arena, number) : number;
}

static struct math_node *extract_expression(struct strata_span *fallback, struct strata_arena *arena,
                                            struct strata_points text, const struct strata_match *match) {
    struct strata_points part = strata_points_sub(text, match->segments[0].begin, match->segments[0].end);
    *fallback = strata_points_span(arena, part);
    return strata_python_expression(arena, *fallback);
}

static struct parsed parse(struct strata_match_list *list, struct strata_arena *arena, struct strata_span bytes) {
    struct strata_points text = strata_points_decode(arena, bytes);
    struct parsed result = {0};
    for (int priority = 0; priority < STRATA_MATCH_PRIORITIES && !result.value; priority++) {
        strata_matches(list, text, priority);
        for (size_t i = 0; i < list->count && i < STRATA_MAX_MATCHES && !result.value; i++) {
            const struct strata_match *match = &list->found[list->order[i]];
            struct strata_span fallback = {0};
            bool raised = false;
            if (match->kind == STRATA_MATCH_LATEX)
                result.value = extract_latex(&fallback, arena, text, match);
            else if (match->kind == STRATA_MATCH_NUMBER)
                result.value = extract_number(&fallback, &raised, arena, text, match);
            else
                result.value = extract_expression(&fallback, arena, text, match);
            if (raised) return (struct parsed){0}; /* the exception ends parse(), which then returns nothing */
            if (fallback.length && !result.any_text) {
                result.text = fallback;
                result.any_text = true;
            }
        }
    }
    return result;
}

void strata_compat_math_verify(struct strata_compat *grading) {
    struct strata_match_list *list = strata_arena_take(grading->arena, sizeof *list);
    if (!list) return;
    struct parsed gold = parse(list, grading->arena, grading->solution),
                  answer = parse(list, grading->arena, grading->completion);
    struct math_context context = {.arena = grading->arena};
    grading->kind = "math";
    grading->extracted = answer.text;
    grading->gold_text = gold.text;
    bool equal = gold.value && answer.value && strata_math_equal(&context, gold.value, answer.value);
    mpfr_free_cache2(MPFR_FREE_LOCAL_CACHE); /* or a thread that ends would leak it */
    if (equal) {
        grading->score = 1;
        grading->reason = "equal by value";
        return;
    }
    struct strata_span a = strata_span_strip(gold.text), b = strata_span_strip(answer.text);
    if (gold.any_text && answer.any_text && a.length && a.length == b.length && !memcmp(a.data, b.data, a.length)) {
        grading->score = 1;
        grading->reason = "the same text";
        return;
    }
    if (context.exhausted)
        grading->reason = "beyond the limits of steps";
    else if (!gold.any_text)
        grading->reason = "nothing found in the gold";
    else if (!answer.any_text)
        grading->reason = "nothing found in the answer";
    else
        grading->reason = "not equal";
}
