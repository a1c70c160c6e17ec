/* What stands around expressions: relations, lists, sets, tuples, intervals. */
#include "verify/math_parser.h"
#include "verify/math_value.h"

#define MAX_ELEMENTS 128

struct elements {
    struct math_node *items[MAX_ELEMENTS];
    uint32_t count, groups; /* groups: parts between semicolons */
    uint32_t group_end[MAX_ELEMENTS];
};

static struct math_node *set_atom(struct math_parser *p);
static struct math_node *difference(struct math_parser *p);

static int relation_of(enum math_token_kind kind) {
    switch (kind) {
    case TOKEN_ASSIGN:
    case TOKEN_EQUAL:
        return MATH_EQ;
    case TOKEN_LT:
        return MATH_LT;
    case TOKEN_LE:
        return MATH_LE;
    case TOKEN_GT:
        return MATH_GT;
    case TOKEN_GE:
        return MATH_GE;
    case TOKEN_NE:
        return MATH_NE;
    default:
        return -1;
    }
}

static struct math_node *make_relation(struct math_parser *p, int which, struct math_node *left,
                                       struct math_node *right) {
    struct math_node *node = strata_math_make2(p->arena, MATH_RELATION, left, right);
    if (node) node->relation = (enum math_relation)which;
    return node;
}

/* a < b < c -> (a < b) and (b < c). */
static struct math_node *chain(struct math_parser *p, struct math_node *left, int which, struct math_node *right) {
    if (!left || !right) return NULL;
    if (left->op != MATH_RELATION && left->op != MATH_CHAIN) return make_relation(p, which, left, right);
    uint32_t count = left->op == MATH_CHAIN ? left->count : 1;
    struct math_node *node = strata_math_make(p->arena, MATH_CHAIN, count + 1);
    if (!node) return NULL;
    for (uint32_t i = 0; i < count; i++) node->kids[i] = left->op == MATH_CHAIN ? left->kids[i] : left;
    node->kids[count] = make_relation(p, which, node->kids[count - 1]->kids[1], right);
    return node->kids[count] ? node : NULL;
}

static struct math_node *relation(struct math_parser *p) {
    struct math_node *left = strata_math_parse_expression(p);
    while (left) {
        enum math_token_kind kind = math_peek(p);
        int which = relation_of(kind);
        if (which < 0 && kind != TOKEN_APPROX) break;
        p->at++;
        struct math_node *right = strata_math_parse_expression(p);
        if (!right) return NULL;
        if (kind == TOKEN_APPROX)
            left = strata_math_only_symbols(left) ? right : left;
        else
            left = chain(p, left, which, right);
    }
    return left;
}

/* May an element end here? */
static bool at_element_end(const struct math_parser *p) {
    switch (math_peek(p)) {
    case TOKEN_END:
    case TOKEN_COMMA:
    case TOKEN_SEMICOLON:
    case TOKEN_CLOSE:
    case TOKEN_CLOSE_CMD:
    case TOKEN_RBRACKET:
    case TOKEN_RBRACE:
    case TOKEN_RBRACE_VISUAL:
        return true;
    default:
        return false;
    }
}

static bool push(struct elements *list, struct math_node *node) {
    if (!node || list->count == MAX_ELEMENTS) return false;
    list->items[list->count++] = node;
    return true;
}

/* One element: a \pm b (two values), a set, or a relation (an expression, where relations are not allowed). */
static bool element(struct math_parser *p, struct elements *list, bool relations) {
    uint32_t start = p->at;
    struct math_node *left = NULL, *right;
    bool sign_first = math_peek(p) == TOKEN_PLUS_MINUS;
    if (!sign_first) left = strata_math_parse_expression(p);
    if ((sign_first || left) && math_take(p, TOKEN_PLUS_MINUS)) {
        right = strata_math_parse_expression(p);
        if (right && at_element_end(p)) {
            if (!left) return push(list, strata_math_negate(p->arena, right)) && push(list, right);
            return push(list, strata_math_add(p->arena, left, right)) &&
                   push(list, strata_math_add(p->arena, left, strata_math_negate(p->arena, right)));
        }
    }
    p->at = start;
    left = set_atom(p);
    if (left && at_element_end(p)) return push(list, left);
    p->at = start;
    left = relations ? relation(p) : strata_math_parse_expression(p);
    return left && at_element_end(p) && push(list, left);
}

static bool elements(struct math_parser *p, struct elements *list, bool relations) {
    const int depth = p->depth;
    if (depth >= MATH_MAX_DEPTH) return false;
    list->count = list->groups = 0;
    for (;;) {
        p->depth = depth + 1;
        bool found = element(p, list, relations);
        p->depth = depth;
        if (!found) return false;
        if (math_peek(p) != TOKEN_COMMA)
            list->group_end[list->groups++] = list->count;
        if (!math_take(p, TOKEN_COMMA) && !math_take(p, TOKEN_SEMICOLON)) return true;
    }
}

static struct math_node *container(struct math_parser *p, enum math_op op, struct math_node *const *items,
                                   uint32_t count) {
    struct math_node *node = strata_math_make(p->arena, op, count);
    for (uint32_t i = 0; node && i < count; i++) node->kids[i] = items[i];
    return node;
}

/* A list without brackets: one value is itself, several are a set; groups of several are a set of tuples. */
static struct math_node *set_or_tuple(struct math_parser *p, const struct elements *list) {
    if (list->groups == 1) {
        return list->count == 1 ? list->items[0] : container(p, MATH_SET, list->items, list->count);
    }
    if (list->groups == list->count) return container(p, MATH_SET, list->items, list->count);
    struct math_node *tuples[MAX_ELEMENTS];
    uint32_t begin = 0;
    for (uint32_t g = 0; g < list->groups; g++) {
        tuples[g] = container(p, MATH_TUPLE, list->items + begin, list->group_end[g] - begin);
        if (!tuples[g]) return NULL;
        begin = list->group_end[g];
    }
    return container(p, MATH_SET, tuples, list->groups);
}

static bool is_interval_open(enum math_token_kind kind) {
    return kind == TOKEN_LBRACKET || kind == TOKEN_OPEN || kind == TOKEN_OPEN_CMD || kind == TOKEN_LBRACK ||
           kind == TOKEN_LGROUP;
}
static bool is_interval_close(enum math_token_kind kind) {
    return kind == TOKEN_RBRACKET || kind == TOKEN_CLOSE || kind == TOKEN_CLOSE_CMD || kind == TOKEN_RBRACK ||
           kind == TOKEN_RGROUP;
}

static struct math_node *interval(struct math_parser *p) {
    enum math_token_kind open = math_peek(p);
    if (!is_interval_open(open)) return NULL;
    p->at++;
    struct math_node *left = strata_math_parse_expression(p);
    if (!left || !math_take(p, TOKEN_COMMA)) return NULL;
    struct math_node *right = strata_math_parse_expression(p);
    enum math_token_kind close = math_peek(p);
    if (!right || !is_interval_close(close)) return NULL;
    p->at++;
    struct math_node *node = strata_math_make2(p->arena, MATH_INTERVAL, left, right);
    if (!node) return NULL;
    if (open != TOKEN_LBRACKET && open != TOKEN_LBRACK) node->open |= MATH_OPEN_LEFT;
    if (close != TOKEN_RBRACKET && close != TOKEN_RBRACK) node->open |= MATH_OPEN_RIGHT;
    return strata_math_settle_interval(p->arena, node);
}

static const struct {
    enum math_token_kind open, close;
    bool set;
} brackets[] = {
    {TOKEN_OPEN, TOKEN_CLOSE, false},
    {TOKEN_OPEN_CMD, TOKEN_CLOSE_CMD, false},
    {TOKEN_LBRACKET, TOKEN_RBRACKET, false},
    {TOKEN_LBRACE, TOKEN_RBRACE, true},
    {TOKEN_LBRACE_VISUAL, TOKEN_RBRACE_VISUAL, true},
};

static struct math_node *set_atom(struct math_parser *p) {
    uint32_t start = p->at;
    struct elements list;
    struct math_node *node = interval(p);
    if (node) return node;
    p->at = start;
    if (math_take(p, TOKEN_EMPTY)) return strata_math_make(p->arena, MATH_EMPTY, 0);
    if (math_peek(p) == TOKEN_NUMBERS) {
        node = strata_math_make(p->arena, MATH_NUMBERS, 0);
        if (node) node->name = p->tokens[p->at].text;
        p->at++;
        return node;
    }
    if (math_peek(p) == TOKEN_LBRACE && p->tokens[p->at + 1].kind == TOKEN_RBRACE) {
        p->at += 2;
        return strata_math_make(p->arena, MATH_EMPTY, 0);
    }
    bool boxed = math_take(p, TOKEN_BOXED);
    if (boxed && math_peek(p) != TOKEN_LBRACE) return NULL;
    for (size_t k = 0; k < sizeof brackets / sizeof *brackets; k++) {
        if (!math_take(p, brackets[k].open)) continue;
        if (!elements(p, &list, true) || !math_take(p, brackets[k].close)) return NULL;
        if (boxed) return set_or_tuple(p, &list);
        if (!brackets[k].set && list.count == 1) return list.items[0];
        return container(p, brackets[k].set ? MATH_SET : MATH_TUPLE, list.items, list.count);
    }
    return NULL;
}

static struct math_node *set_group(struct math_parser *p) {
    uint32_t start = p->at;
    if (p->depth >= MATH_MAX_DEPTH) return NULL;
    if (math_take(p, TOKEN_OPEN)) {
        p->depth++;
        struct math_node *inner = difference(p);
        p->depth--;
        if (inner && math_take(p, TOKEN_CLOSE)) return inner;
        p->at = start;
    }
    return set_atom(p);
}

static struct math_node *as_set(struct math_node *node) {
    if (node && node->op == MATH_TUPLE) node->op = MATH_SET;
    return node;
}

static struct math_node *intersection(struct math_parser *p) {
    struct math_node *left = set_group(p);
    while (left && math_take(p, TOKEN_INTERSECTION)) {
        left = strata_math_make2(p->arena, MATH_INTERSECTION, as_set(left), as_set(set_group(p)));
    }
    return left;
}
static struct math_node *set_union(struct math_parser *p) {
    struct math_node *left = intersection(p);
    while (left && math_take(p, TOKEN_UNION))
        left = strata_math_make2(p->arena, MATH_UNION, as_set(left), as_set(intersection(p)));
    return left;
}
static struct math_node *difference(struct math_parser *p) {
    struct math_node *left = set_union(p);
    while (left && math_take(p, TOKEN_SET_MINUS))
        left = strata_math_make2(p->arena, MATH_DIFFERENCE, left, set_union(p));
    return left;
}

/* x, or (x, y). */
static struct math_node *names(struct math_parser *p) {
    if (!math_take(p, TOKEN_OPEN)) return strata_math_parse_symbol(p, true);
    struct elements list = {.count = 0};
    do {
        if (!push(&list, strata_math_parse_symbol(p, true))) return NULL;
    } while (math_take(p, TOKEN_COMMA));
    if (!math_take(p, TOKEN_CLOSE)) return NULL;
    return list.count == 1 ? list.items[0] : container(p, MATH_TUPLE, list.items, list.count);
}

/* names = list, names \in list: an equation with the list as its right side. */
static struct math_node *names_relation(struct math_parser *p) {
    struct math_node *left = names(p);
    struct elements list;
    if (!left || !(math_take(p, TOKEN_IN) || math_take(p, TOKEN_ASSIGN)) || !elements(p, &list, false)) return NULL;
    return math_peek(p) == TOKEN_END ? make_relation(p, MATH_EQ, left, set_or_tuple(p, &list)) : NULL;
}

static struct math_node *set_relation(struct math_parser *p) {
    uint32_t start = p->at;
    struct math_node *left = names(p);
    if (left && (math_take(p, TOKEN_IN) || math_take(p, TOKEN_ASSIGN))) {
        struct math_node *right = difference(p);
        if (right && math_peek(p) == TOKEN_END) return make_relation(p, MATH_EQ, left, right);
    }
    p->at = start;
    left = difference(p);
    return left && math_peek(p) == TOKEN_END ? left : NULL;
}

struct math_node *strata_math_parse_top(struct math_parser *p) {
    struct elements list;
    struct math_node *node = names_relation(p);
    if (node) return node;
    p->at = 0;
    p->depth = 0;
    if (elements(p, &list, true) && math_peek(p) == TOKEN_END) return set_or_tuple(p, &list);
    p->at = 0;
    p->depth = 0;
    return set_relation(p);
}
