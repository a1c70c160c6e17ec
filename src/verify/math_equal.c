#include "verify/math_equal.h"

static bool is_equation(const struct math_node *node) {
    if (node->op == MATH_RELATION) return node->relation == MATH_EQ;
    if (node->op != MATH_CHAIN) return false;
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->kids[i]->relation != MATH_EQ) return false;
    }
    return true;
}

static const struct math_node *first_relation(const struct math_node *node) {
    return node->op == MATH_CHAIN ? node->kids[0] : node;
}
static const struct math_node *last_relation(const struct math_node *node) {
    return node->op == MATH_CHAIN ? node->kids[node->count - 1] : node;
}

/* x = ..., AB = ...: only names on the left. */
static bool is_assignment(const struct math_node *node) {
    return is_equation(node) && strata_math_only_symbols(first_relation(node)->kids[0]);
}

/* a = b = c -> a = c */
static const struct math_node *shorten(struct math_context *context, const struct math_node *node) {
    if (node->op != MATH_CHAIN) return node;
    return strata_math_make2(context->arena, MATH_RELATION, first_relation(node)->kids[0],
                             last_relation(node)->kids[1]);
}

/* Strict mode: 3 + 5 = 7 is no way to answer 7. */
static bool contradicts_itself(struct math_context *context, const struct math_node *equation) {
    uint32_t count = equation->op == MATH_CHAIN ? equation->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct math_node *part = equation->op == MATH_CHAIN ? equation->kids[i] : equation;
        const struct math_node *left = part->kids[0], *right = part->kids[1];
        if (math_is_set_or_tuple(left) || math_is_set_or_tuple(right) || strata_math_has_symbol(left) ||
            strata_math_has_symbol(right))
            continue;
        if (!strata_math_equal_values(context, left, right)) return true;
    }
    return false;
}

/* A product of names only, spelt together: f*e*l*t -> "felt". */
static bool spells(const struct math_node *product, struct strata_span word) {
    size_t at = 0;
    if (product->op != MATH_MUL) return false;
    for (uint32_t i = 0; i < product->count; i++) {
        const struct math_node *part = product->kids[i];
        struct strata_span name = part->op == MATH_E ? strata_span_of("e") : part->name;
        if (part->op != MATH_E && part->op != MATH_SYMBOL) return false;
        if (at + name.length > word.length || memcmp(word.data + at, name.data, name.length) != 0) return false;
        at += name.length;
    }
    return at == word.length;
}

static bool only_names(const struct math_node *product) {
    if (product->op != MATH_MUL) return false;
    for (uint32_t i = 0; i < product->count; i++) {
        if (product->kids[i]->op != MATH_E && product->kids[i]->op != MATH_SYMBOL) return false;
    }
    return true;
}

static bool equal_symbols(struct math_context *context, const struct math_node *gold, const struct math_node *answer) {
    bool a = gold->op == MATH_SYMBOL, b = answer->op == MATH_SYMBOL;
    if ((a && strata_span_is(gold->name, "e") && answer->op == MATH_E) ||
        (b && strata_span_is(answer->name, "e") && gold->op == MATH_E)) {
        return true;
    }
    if (a && b)
        return gold->name.length == answer->name.length &&
               !memcmp(gold->name.data, answer->name.data, gold->name.length);
    if (a && only_names(answer)) return spells(answer, gold->name);
    if (b && only_names(gold)) return spells(gold, answer->name);
    return strata_math_same_text(gold, answer) || (context->strict && strata_math_equal_values(context, gold, answer));
}

static bool equal(struct math_context *context, const struct math_node *gold, const struct math_node *answer) {
    bool gold_equation = is_equation(gold), answer_equation = is_equation(answer);
    bool gold_assignment = is_assignment(gold);
    if (context->strict && answer_equation && contradicts_itself(context, answer)) return false;
    if (gold_assignment) gold = shorten(context, gold);
    if (is_assignment(answer)) answer = shorten(context, answer);
    if (!gold || !answer) return false;
    if (answer_equation && !gold_equation)
        answer = last_relation(answer)->kids[1];
    else if (gold_assignment && !answer_equation)
        gold = last_relation(gold)->kids[1];
    if (math_is_relation(gold) && math_is_set(answer)) {
        struct math_node *set = strata_math_solution_set(context, gold);
        if (set) gold = set;
    } else if (context->strict && math_is_relation(answer) && math_is_set(gold)) {
        struct math_node *set = strata_math_solution_set(context, answer);
        if (set) answer = set;
    }
    if (gold->op == MATH_UNDEFINED) return false;
    if (strata_math_same(gold, answer)) return true;
    if (math_is_relation(gold) && math_is_relation(answer)) return strata_math_equal_relations(context, gold, answer);
    if (math_is_set_or_tuple(gold) || math_is_set_or_tuple(answer))
        return strata_math_equal_sets(context, gold, answer);
    if (math_is_relation(gold) || math_is_relation(answer)) return false;
    if (gold->op == MATH_SYMBOL || answer->op == MATH_SYMBOL) return equal_symbols(context, gold, answer);
    return strata_math_equal_values(context, gold, answer);
}

bool strata_math_equal(struct math_context *context, const struct math_node *gold, const struct math_node *answer) {
    if (!gold || !answer || !strata_math_spend(context, 1) || context->depth > MATH_MAX_DEPTH) return false;
    context->depth++;
    bool result = equal(context, gold, answer);
    context->depth--;
    return result && !context->exhausted;
}
