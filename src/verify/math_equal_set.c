/* Sets, tuples, intervals and relations. */
#include "verify/math_equal.h"

#define MAX_BREAKS 64

/* Members without repetitions. */
static uint32_t distinct(struct math_node *const **out, struct math_context *context, const struct math_node *set) {
    struct math_node **items = strata_arena_take(context->arena, (set->count + 1) * sizeof *items);
    uint32_t count = 0;
    for (uint32_t i = 0; items && i < set->count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < count && !again; k++) again = strata_math_same(items[k], set->kids[i]);
        if (!again) items[count++] = set->kids[i];
    }
    *out = items;
    return count;
}

/* Every gold member has an answer member of its own. */
static bool equal_unordered(struct math_context *context, struct math_node *const *gold,
                            struct math_node *const *answer, uint32_t count) {
    bool *used = strata_arena_take(context->arena, count + 1);
    if (!used) return false;
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < count && !found; k++) {
            if (used[k] || !strata_math_equal(context, gold[i], answer[k])) continue;
            used[k] = found = true;
        }
        if (!found) return false;
    }
    return true;
}

/* Finite sets and tuples. A gold set does not care for order; a gold tuple takes the members as written. */
static bool equal_members(struct math_context *context, const struct math_node *gold, const struct math_node *answer) {
    struct math_node *const *a = gold->kids, *const *b = answer->kids;
    uint32_t n = gold->count, m = answer->count;
    if (gold->op == MATH_SET) n = distinct(&a, context, gold);
    if (answer->op == MATH_SET) m = distinct(&b, context, answer);
    if (n != m || !a || !b) return false;
    if (gold->op == MATH_SET) return equal_unordered(context, a, b, n);
    if (answer->op == MATH_SET && m != answer->count) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!strata_math_equal(context, a[i], b[i])) return false;
    }
    return true;
}

struct breaks {
    const struct math_node *at[MAX_BREAKS];
    uint32_t count;
};

/* Collects the numbers at which membership can change, in order; false when they are not all real numbers. */
static bool add_break(struct breaks *breaks, struct math_context *context, const struct math_node *number) {
    uint32_t i = 0;
    for (; i < breaks->count; i++) {
        int order = strata_math_order(context, number, breaks->at[i]);
        if (order == 2) return false;
        if (order == 0) return true;
        if (order < 0) break;
    }
    if (breaks->count == MAX_BREAKS || strata_math_order(context, number, number) != 0) return false;
    memmove(breaks->at + i + 1, breaks->at + i, (breaks->count - i) * sizeof *breaks->at);
    breaks->at[i] = number;
    breaks->count++;
    return true;
}

static bool collect_breaks(struct breaks *breaks, struct math_context *context, const struct math_node *set) {
    switch (set->op) {
    case MATH_EMPTY:
        return true;
    case MATH_NUMBERS:
        return strata_span_is(set->name, "\\mathbb{R}") || strata_span_is(set->name, "\xe2\x84\x9d");
    case MATH_SET:
    case MATH_INTERVAL:
    case MATH_UNION:
    case MATH_INTERSECTION:
    case MATH_DIFFERENCE:
        for (uint32_t i = 0; i < set->count; i++) {
            bool leaf = set->op == MATH_SET || set->op == MATH_INTERVAL;
            if (leaf ? !add_break(breaks, context, set->kids[i]) : !collect_breaks(breaks, context, set->kids[i]))
                return false;
        }
        return true;
    default:
        return false;
    }
}

static uint32_t position(const struct breaks *breaks, struct math_context *context, const struct math_node *number) {
    for (uint32_t i = 0; i < breaks->count; i++) {
        if (strata_math_order(context, number, breaks->at[i]) == 0) return 2 * i;
    }
    return 2 * breaks->count;
}

/* Is position p (2i: the i-th break, 2i-1: the gap before it) in the set? */
static bool contains(const struct breaks *breaks, struct math_context *context, const struct math_node *set,
                     int64_t p) {
    switch (set->op) {
    case MATH_NUMBERS:
        return true;
    case MATH_SET:
        for (uint32_t i = 0; i < set->count; i++) {
            if ((int64_t)position(breaks, context, set->kids[i]) == p) return true;
        }
        return false;
    case MATH_INTERVAL: {
        int64_t low = position(breaks, context, set->kids[0]), high = position(breaks, context, set->kids[1]);
        return (p > low || (p == low && !(set->open & MATH_OPEN_LEFT))) &&
               (p < high || (p == high && !(set->open & MATH_OPEN_RIGHT)));
    }
    case MATH_UNION:
        return contains(breaks, context, set->kids[0], p) || contains(breaks, context, set->kids[1], p);
    case MATH_INTERSECTION:
        return contains(breaks, context, set->kids[0], p) && contains(breaks, context, set->kids[1], p);
    case MATH_DIFFERENCE:
        return contains(breaks, context, set->kids[0], p) && !contains(breaks, context, set->kids[1], p);
    default:
        return false;
    }
}

/* Sets of real numbers, however they are put together. */
static bool equal_regions(struct math_context *context, const struct math_node *a, const struct math_node *b) {
    struct breaks breaks = {.count = 0};
    if (!collect_breaks(&breaks, context, a) || !collect_breaks(&breaks, context, b)) return false;
    for (int64_t p = -1; p <= 2 * (int64_t)breaks.count - 1; p++) {
        if (!strata_math_spend(context, 20)) return false;
        if (contains(&breaks, context, a, p) != contains(&breaks, context, b, p)) return false;
    }
    return true;
}

static bool is_finite(const struct math_node *set) {
    return set->op == MATH_SET || set->op == MATH_TUPLE;
}

static bool open_pair(const struct math_node *interval, const struct math_node *members, struct math_context *context) {
    struct math_node *const *items;
    uint32_t count = members->op == MATH_SET ? distinct(&items, context, members) : members->count;
    return interval->open == (MATH_OPEN_LEFT | MATH_OPEN_RIGHT) && count == 2;
}

bool strata_math_equal_sets(struct math_context *context, const struct math_node *gold,
                            const struct math_node *answer) {
    struct math_node *a = (struct math_node *)gold, *b = (struct math_node *)answer;
    if (!math_is_set_or_tuple(a)) a = strata_math_make1(context->arena, MATH_SET, a);
    if (!math_is_set_or_tuple(b)) b = strata_math_make1(context->arena, MATH_SET, b);
    if (!a || !b) return false;
    if (a->op == MATH_INTERVAL && b->op == MATH_INTERVAL) {
        return a->open == b->open && strata_math_equal(context, a->kids[0], b->kids[0]) &&
               strata_math_equal(context, a->kids[1], b->kids[1]);
    }
    if (strata_math_same(a, b)) return true;
    if (is_finite(a) && is_finite(b)) return equal_members(context, a, b);
    if (a->op != MATH_TUPLE && b->op != MATH_TUPLE && equal_regions(context, a, b)) return true;
    struct math_node pair = {.op = MATH_TUPLE, .count = 2};
    if (a->op == MATH_INTERVAL && is_finite(b) && open_pair(a, b, context)) {
        pair.kids = a->kids;
        return equal_members(context, &pair, b);
    }
    if (b->op == MATH_INTERVAL && is_finite(a) && open_pair(b, a, context)) {
        pair.kids = b->kids;
        return equal_members(context, a, &pair);
    }
    return false;
}

struct math_node *strata_math_replace(struct strata_arena *arena, const struct math_node *node,
                                      const struct math_node *from, struct math_node *to) {
    if (strata_math_same(node, from)) return to;
    if (!node->count) return (struct math_node *)node;
    struct math_node *copy = strata_arena_copy(arena, node, sizeof *node);
    if (!copy) return NULL;
    copy->kids = strata_arena_take(arena, node->count * sizeof *copy->kids);
    for (uint32_t i = 0; copy->kids && i < node->count; i++) {
        copy->kids[i] = strata_math_replace(arena, node->kids[i], from, to);
        if (!copy->kids[i]) return NULL;
    }
    return copy->kids ? copy : NULL;
}

static struct math_node *side_difference(struct math_context *context, const struct math_node *relation) {
    struct strata_arena *arena = context->arena;
    if (math_is_set_or_tuple(relation->kids[0]) || math_is_set_or_tuple(relation->kids[1])) return NULL;
    return strata_math_make2(arena, MATH_ADD, relation->kids[0], strata_math_negate(arena, relation->kids[1]));
}

/* Finite sets of the same trees, in whatever order. */
static bool same_members(struct math_context *context, const struct math_node *a, const struct math_node *b) {
    struct math_node *const *left, *const *right;
    if (a->op != MATH_SET || b->op != MATH_SET) return strata_math_same(a, b);
    uint32_t n = distinct(&left, context, a), m = distinct(&right, context, b);
    for (uint32_t i = 0; n == m && left && right && i < n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < m && !found; k++) found = strata_math_same(left[i], right[k]);
        if (!found) return false;
    }
    return n == m;
}

static enum math_relation flipped(enum math_relation relation) {
    static const enum math_relation back[] = {MATH_EQ, MATH_GT, MATH_GE, MATH_LT, MATH_LE, MATH_NE};
    return back[relation];
}

bool strata_math_equal_relations(struct math_context *context, const struct math_node *gold,
                                 const struct math_node *answer) {
    if (gold->op == MATH_CHAIN && answer->op == MATH_CHAIN) {
        bool equal = gold->count == answer->count;
        for (uint32_t i = 0; equal && i < gold->count; i++)
            equal = strata_math_equal_relations(context, gold->kids[i], answer->kids[i]);
        for (uint32_t i = 0; !equal && context->strict && i < gold->count; i++) { /* 3 > x > 1 is 1 < x < 3 */
            if (gold->count != answer->count) break;
            equal = true;
            for (uint32_t k = 0; equal && k < gold->count; k++) {
                equal = strata_math_equal_relations(context, gold->kids[k], answer->kids[gold->count - 1 - k]);
            }
            break;
        }
        return equal;
    }
    if (gold->op != MATH_RELATION || answer->op != MATH_RELATION) return false;
    struct math_node *f = side_difference(context, gold), *g = side_difference(context, answer);
    if (!f || !g) { /* x in a set: strict mode compares name and set by value */
        if (gold->relation == answer->relation && strata_math_same(gold->kids[0], answer->kids[0]) &&
            same_members(context, gold->kids[1], answer->kids[1])) {
            return true;
        }
        return context->strict && gold->relation == answer->relation &&
               strata_math_equal(context, gold->kids[0], answer->kids[0]) &&
               strata_math_equal(context, gold->kids[1], answer->kids[1]);
    }
    if (gold->relation == answer->relation && strata_math_equal_values(context, f, g)) return true;
    if (answer->relation == flipped(gold->relation) &&
        strata_math_equal_values(context, f, strata_math_negate(context->arena, g)))
        return true;
    if (gold->relation != MATH_EQ && !context->strict) return false;
    /* two equations without names have no solutions to tell them apart (in strict mode both must hold) */
    if (!context->strict && answer->relation == MATH_EQ && !strata_math_has_symbol(f) && !strata_math_has_symbol(g))
        return true;
    int sign;
    if (strata_math_proportional(context, f, g, &sign)) {
        if (answer->relation == gold->relation && (sign > 0 || gold->relation == MATH_EQ || gold->relation == MATH_NE))
            return true;
        if (answer->relation == flipped(gold->relation) && sign < 0) return true;
    }
    return gold->relation == MATH_EQ && answer->relation == MATH_EQ && strata_math_same_solution(context, f, g);
}
