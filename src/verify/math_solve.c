/* Equations and inequalities that are linear in a name. */
#include "verify/math_equal.h"

#define MAX_NAMES 12

struct names {
    const struct math_node *items[MAX_NAMES];
    uint32_t count;
    bool too_many;
};

/* The names in the tree; a call f(x) is one name. */
static void collect(struct names *names, const struct math_node *node) {
    if (node->op == MATH_SYMBOL || node->op == MATH_CALL) {
        for (uint32_t i = 0; i < names->count; i++) {
            if (strata_math_same(names->items[i], node)) return;
        }
        if (names->count == MAX_NAMES)
            names->too_many = true;
        else
            names->items[names->count++] = node;
        return;
    }
    for (uint32_t i = 0; i < node->count; i++) collect(names, node->kids[i]);
}

static struct math_node *at_value(struct math_context *context, const struct math_node *f, const struct math_node *name,
                                  long value) {
    return strata_math_replace(context->arena, f, name, strata_math_make_integer(context->arena, value));
}

/* f = slope * name + rest, by its values at 0, 1, 2 and -1. */
static bool linear(struct math_node **slope, struct math_node **rest, struct math_context *context,
                   const struct math_node *f, const struct math_node *name) {
    struct strata_arena *arena = context->arena;
    struct math_node *zero = at_value(context, f, name, 0), *one = at_value(context, f, name, 1);
    struct math_node *two = at_value(context, f, name, 2), *below = at_value(context, f, name, -1);
    if (!zero || !one || !two || !below) return false;
    *slope = strata_math_make2(arena, MATH_ADD, one, strata_math_negate(arena, zero));
    *rest = zero;
    struct math_node *second = strata_math_make2(arena, MATH_ADD, two, strata_math_negate(arena, one));
    struct math_node *third = strata_math_make2(arena, MATH_ADD, zero, strata_math_negate(arena, below));
    if (!*slope || !second || !third || !strata_math_equal_values(context, *slope, second) ||
        !strata_math_equal_values(context, *slope, third)) {
        return false;
    }
    return !strata_math_equal_values(context, *slope, strata_math_make_integer(arena, 0));
}

/* -rest/slope */
static struct math_node *root(struct math_context *context, struct math_node *slope, struct math_node *rest) {
    return strata_math_div(context->arena, strata_math_negate(context->arena, rest), slope);
}

bool strata_math_same_solution(struct math_context *context, const struct math_node *f, const struct math_node *g) {
    struct names names = {.count = 0};
    collect(&names, f);
    collect(&names, g);
    for (uint32_t i = 0; i < names.count && !names.too_many; i++) {
        struct math_node *a, *b, *c, *d;
        if (!linear(&a, &b, context, f, names.items[i]) || !linear(&c, &d, context, g, names.items[i])) continue;
        return strata_math_equal_values(context, root(context, a, b), root(context, c, d));
    }
    return false;
}

static struct math_node *infinity(struct math_context *context, int sign) {
    struct math_node *node = strata_math_make(context->arena, MATH_INFINITY, 0);
    if (node) node->sign = sign;
    return node;
}

/* The half line (or point, or all but it) that one relation leaves. */
static struct math_node *half_line(struct math_context *context, const struct math_node *relation,
                                   const struct math_node *name) {
    struct strata_arena *arena = context->arena;
    struct math_node *slope, *rest, *edge, *node;
    enum math_relation which = relation->relation;
    const struct math_node *left = relation->kids[0], *right = relation->kids[1];
    struct names side = {.count = 0};
    bool upwards; /* slope * x + rest grows with x */
    collect(&side, right);
    if (strata_math_same(left, name) && !side.count) { /* x < c: the end as written */
        edge = (struct math_node *)right;
        upwards = true;
    } else {
        struct math_node *f = strata_math_make2(arena, MATH_ADD, (struct math_node *)left,
                                                strata_math_negate(arena, (struct math_node *)right));
        if (!f || !linear(&slope, &rest, context, f, name)) return NULL;
        int order = strata_math_order(context, slope, strata_math_make_integer(arena, 0));
        if (order != 1 && order != -1) return NULL;
        upwards = order > 0;
        side.count = 0;
        collect(&side, left);
        edge = strata_math_same(right, name) && !side.count ? (struct math_node *)left : root(context, slope, rest);
    }
    if (which == MATH_EQ) return strata_math_make1(arena, MATH_SET, edge);
    if (which == MATH_NE) {
        struct math_node *below = strata_math_make2(arena, MATH_INTERVAL, infinity(context, -1), edge);
        struct math_node *above = strata_math_make2(arena, MATH_INTERVAL, edge, infinity(context, 1));
        if (!below || !above) return NULL;
        below->open = above->open = MATH_OPEN_LEFT | MATH_OPEN_RIGHT;
        return strata_math_make2(arena, MATH_UNION, below, above);
    }
    bool below = (which == MATH_LT || which == MATH_LE) == upwards, strict = which == MATH_LT || which == MATH_GT;
    node = below ? strata_math_make2(arena, MATH_INTERVAL, infinity(context, -1), edge)
                 : strata_math_make2(arena, MATH_INTERVAL, edge, infinity(context, 1));
    if (!node) return NULL;
    node->open = below ? MATH_OPEN_LEFT : MATH_OPEN_RIGHT;
    if (strict) node->open = MATH_OPEN_LEFT | MATH_OPEN_RIGHT;
    return node;
}

/* (low, high) of an intersection of half lines, as one interval. */
static struct math_node *narrow(struct math_context *context, struct math_node *a, struct math_node *b) {
    if (!a || !b) return NULL;
    if (a->op != MATH_INTERVAL || b->op != MATH_INTERVAL)
        return strata_math_make2(context->arena, MATH_INTERSECTION, a, b);
    int low = strata_math_order(context, a->kids[0], b->kids[0]),
        high = strata_math_order(context, a->kids[1], b->kids[1]);
    if (low == 2 || high == 2) return NULL;
    const struct math_node *left = low >= 0 ? a : b, *right = high <= 0 ? a : b;
    struct math_node *node = strata_math_make2(context->arena, MATH_INTERVAL, left->kids[0], right->kids[1]);
    if (!node) return NULL;
    node->open = (left->open & MATH_OPEN_LEFT) | (right->open & MATH_OPEN_RIGHT);
    if (low == 0) node->open |= (a->open | b->open) & MATH_OPEN_LEFT;
    if (high == 0) node->open |= (a->open | b->open) & MATH_OPEN_RIGHT;
    return node;
}

/* |f| < c is -c < f < c; |f| > c is outside. */
static struct math_node *absolute(struct math_context *context, const struct math_node *relation,
                                  const struct math_node *name) {
    struct strata_arena *arena = context->arena;
    const struct math_node *left = relation->kids[0], *right = relation->kids[1];
    if (left->op != MATH_ABS || strata_math_has_symbol(right)) return NULL;
    bool inside = relation->relation == MATH_LT || relation->relation == MATH_LE;
    if (!inside && relation->relation != MATH_GT && relation->relation != MATH_GE) return NULL;
    struct math_node *low =
        strata_math_make2(arena, MATH_RELATION, left->kids[0], strata_math_negate(arena, (struct math_node *)right));
    struct math_node *high = strata_math_make2(arena, MATH_RELATION, left->kids[0], (struct math_node *)right);
    if (!low || !high) return NULL;
    static const enum math_relation back[] = {MATH_EQ, MATH_GT, MATH_GE, MATH_LT, MATH_LE, MATH_NE};
    high->relation = relation->relation;
    low->relation = back[relation->relation];
    struct math_node *a = half_line(context, low, name), *b = half_line(context, high, name);
    return inside ? narrow(context, a, b) : strata_math_make2(arena, MATH_UNION, a, b);
}

struct math_node *strata_math_solution_set(struct math_context *context, const struct math_node *relation) {
    struct names names = {.count = 0};
    collect(&names, relation);
    if (names.count != 1) return NULL;
    if (relation->op == MATH_RELATION) {
        struct math_node *line = half_line(context, relation, names.items[0]);
        return line ? line : absolute(context, relation, names.items[0]);
    }
    struct math_node *set = NULL;
    for (uint32_t i = 0; i < relation->count; i++) {
        struct math_node *part = half_line(context, relation->kids[i], names.items[0]);
        if (!part) return NULL;
        set = i ? narrow(context, set, part) : part;
        if (!set) return NULL;
    }
    return set;
}
