/* Functions: \sin x, \log_2 8, \sqrt[3]{x}, f(x), sums, integrals, limits. */
#include "verify/math_parser.h"

/* Is the bracketed text behind `at` a list of arguments: a lone atom, or something with a comma? Otherwise x(y+1) is a
 * product. */
static bool is_argument_list(struct math_parser *p, enum math_token_kind open, enum math_token_kind close) {
    uint32_t back = p->at;
    int depth = 0;
    for (uint32_t i = p->at; i < p->count; i++) {
        enum math_token_kind kind = p->tokens[i].kind;
        if (kind == TOKEN_OPEN || kind == TOKEN_LBRACE || kind == TOKEN_LBRACKET) depth++;
        if (kind == TOKEN_CLOSE || kind == TOKEN_RBRACE || kind == TOKEN_RBRACKET) depth--;
        if (kind == TOKEN_COMMA && depth == 1) return true;
        if (depth <= 0) break;
    }
    p->at++;
    bool atom = math_peek(p) != open && strata_math_parse_atom(p) && math_peek(p) == close;
    p->at = back;
    return atom;
}

/* f(x, y): a name and its arguments. */
static struct math_node *call(struct math_parser *p) {
    struct math_node *name = strata_math_parse_symbol(p, false), *power = NULL, *arguments[16];
    uint32_t count = 0;
    if (!name || (name->op != MATH_SYMBOL && name->op != MATH_PI)) return NULL;
    if (name->op == MATH_PI) name = strata_math_make_symbol(p->arena, strata_span_of("pi"), false);
    if (math_peek(p) == TOKEN_CARET && !(power = strata_math_parse_exponent(p))) return NULL;
    enum math_token_kind open = math_peek(p), close = open == TOKEN_OPEN ? TOKEN_CLOSE : TOKEN_RBRACKET;
    if (!name || (open != TOKEN_OPEN && open != TOKEN_LBRACKET) || !is_argument_list(p, open, close)) return NULL;
    if (p->strict && (open == TOKEN_LBRACKET || strata_is_digit(p->tokens[p->at + 1].text.data[0]))) {
        if (name->name.length != 1 || !strchr("fghFGH", name->name.data[0])) return NULL; /* x(2) is a product */
    }
    p->at++;
    do {
        if (math_peek(p) == close) break; /* a comma may close the list */
        if (count == sizeof arguments / sizeof *arguments) return NULL;
        arguments[count] = strata_math_parse_expression(p);
        if (!arguments[count++]) return NULL;
    } while (math_take(p, TOKEN_COMMA));
    if (!math_take(p, close) || !count) return NULL;
    struct math_node *node = strata_math_make(p->arena, MATH_CALL, count);
    if (!node) return NULL;
    node->name = name->name;
    for (uint32_t i = 0; i < count; i++) node->kids[i] = arguments[i];
    return power ? strata_math_make2(p->arena, MATH_POW, node, power) : node;
}

static struct math_node *braced(struct math_parser *p) {
    if (!math_take(p, TOKEN_LBRACE)) return NULL;
    struct math_node *inner = strata_math_parse_expression(p);
    return inner && math_take(p, TOKEN_RBRACE) ? inner : NULL;
}

/* _atom or _{expr} as a value: a logarithm's base. */
static struct math_node *subscript_value(struct math_parser *p) {
    p->at++;
    return math_peek(p) == TOKEN_LBRACE ? braced(p) : strata_math_parse_atom(p);
}

static bool is_minus_one(const struct math_node *node) {
    return node->op == MATH_NUMBER && strata_math_is_integer(node) && node->numerator_size == -1 &&
           node->numerator[0] == 1;
}

static enum math_op inverse(enum math_op op) {
    if (op >= MATH_SIN && op <= MATH_COT) return (enum math_op)(op - MATH_SIN + MATH_ASIN);
    if (op >= MATH_SINH && op <= MATH_TANH) return (enum math_op)(op - MATH_SINH + MATH_ASINH);
    return op;
}

/* Degrees become radians where a function takes them. */
static struct math_node *to_radians(struct math_parser *p, struct math_node *argument) {
    if (!argument || !argument->degrees) return argument;
    struct math_node *degree =
        strata_math_div(p->arena, strata_math_make(p->arena, MATH_PI, 0), strata_math_make_integer(p->arena, 180));
    return strata_math_mul(p->arena, argument, degree);
}

static struct math_node *named(struct math_parser *p) {
    const struct math_token *token = &p->tokens[p->at++];
    enum math_op op = token->op;
    struct math_node *base = NULL, *power = NULL, *argument;
    for (int turn = 0; turn < 2; turn++) {
        if (math_peek(p) == TOKEN_UNDERSCORE && !base) {
            if (!(base = subscript_value(p))) return NULL;
        } else if (math_peek(p) == TOKEN_CARET && !power) {
            if (!(power = strata_math_parse_exponent(p))) return NULL;
        }
    }
    if (math_take(p, TOKEN_OPEN)) {
        argument = strata_math_parse_expression(p);
        if (!argument || !math_take(p, TOKEN_CLOSE)) return NULL;
    } else {
        argument = strata_math_parse_product(p, false);
    }
    if (!argument) return NULL;
    if (op >= MATH_SIN && op <= MATH_COT) argument = to_radians(p, argument);
    if (power && is_minus_one(power) && inverse(op) != op) {
        op = inverse(op);
        power = NULL;
    }
    struct math_node *node;
    if (op == MATH_LOG) {
        bool natural = strata_span_is(token->text, "\\ln");
        if (!base) base = natural ? strata_math_make(p->arena, MATH_E, 0) : strata_math_make_integer(p->arena, 10);
        node = strata_math_make2(p->arena, MATH_LOG, argument, base);
    } else {
        node = strata_math_make1(p->arena, op, argument);
    }
    return power ? strata_math_make2(p->arena, MATH_POW, node, power) : node;
}

/* (a, b, ...) as the arguments of op. */
static struct math_node *argument_list(struct math_parser *p, enum math_op op) {
    struct math_node *arguments[64];
    uint32_t count = 0;
    enum math_token_kind close = math_peek(p) == TOKEN_LBRACE_VISUAL ? TOKEN_RBRACE_VISUAL : TOKEN_CLOSE;
    if (math_peek(p) != TOKEN_OPEN && !(p->strict && math_peek(p) == TOKEN_LBRACE_VISUAL)) return NULL;
    p->at++;
    do {
        if (count == sizeof arguments / sizeof *arguments) return NULL;
        arguments[count] = strata_math_parse_expression(p);
        if (!arguments[count++]) return NULL;
    } while (math_take(p, TOKEN_COMMA));
    struct math_node *node = math_take(p, close) ? strata_math_make(p->arena, op, count) : NULL;
    for (uint32_t i = 0; node && i < count; i++) node->kids[i] = arguments[i];
    return node;
}

/* \gcd(a, b), \max and their kind. */
static struct math_node *multi(struct math_parser *p) {
    enum math_op op = p->tokens[p->at++].op;
    return argument_list(p, op);
}

static struct math_node *operator_name(struct math_parser *p) {
    static const struct {
        const char *name;
        enum math_op op;
    } names[] = {{"gcd", MATH_GCD},      {"lcm", MATH_LCM},       {"floor", MATH_FLOOR},  {"ceil", MATH_CEIL},
                 {"arsinh", MATH_ASINH}, {"arcsinh", MATH_ASINH}, {"arcosh", MATH_ACOSH}, {"arccosh", MATH_ACOSH},
                 {"artanh", MATH_ATANH}, {"arctanh", MATH_ATANH}};
    p->at++;
    if (!math_take(p, TOKEN_LBRACE) || math_peek(p) != TOKEN_KEYWORD) return NULL;
    struct strata_span name = p->tokens[p->at++].text;
    if (!math_take(p, TOKEN_RBRACE)) return NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (!strata_span_is(name, names[k].name)) continue;
        return argument_list(p, names[k].op);
    }
    return NULL;
}

static struct math_node *root(struct math_parser *p) {
    struct math_node *index = NULL, *base;
    p->at++;
    if (math_take(p, TOKEN_LBRACKET)) {
        index = strata_math_parse_expression(p);
        if (!index || !math_take(p, TOKEN_RBRACKET)) return NULL;
    }
    if (math_peek(p) == TOKEN_LBRACE || !p->strict)
        base = braced(p);
    else
        base = strata_math_parse_primary(p, true); /* sqrt(2), sqrt 2 */
    if (!base) return NULL;
    if (!index) index = strata_math_make_integer(p->arena, 2);
    return strata_math_make2(p->arena, MATH_POW, base,
                             strata_math_div(p->arena, strata_math_make_integer(p->arena, 1), index));
}

/* \sum_{k=1}^{n} body and \prod. */
static struct math_node *sum(struct math_parser *p) {
    enum math_op op = math_peek(p) == TOKEN_SUM ? MATH_SUM : MATH_PRODUCT;
    struct math_node *variable = NULL, *from = NULL, *to = NULL;
    p->at++;
    for (int turn = 0; turn < 2; turn++) {
        if (!variable && math_take(p, TOKEN_UNDERSCORE)) {
            if (!math_take(p, TOKEN_LBRACE) || !(variable = strata_math_parse_expression(p))) return NULL;
            if (!math_take(p, TOKEN_ASSIGN) && !math_take(p, TOKEN_EQUAL)) return NULL;
            if (!(from = strata_math_parse_expression(p)) || !math_take(p, TOKEN_RBRACE)) return NULL;
        } else if (!to && math_peek(p) == TOKEN_CARET) {
            if (!(to = strata_math_parse_exponent(p))) return NULL;
        }
    }
    struct math_node *body = variable && to ? strata_math_parse_product(p, true) : NULL;
    struct math_node *node = body && variable->op == MATH_SYMBOL ? strata_math_make(p->arena, op, 4) : NULL;
    if (!node) return NULL;
    node->kids[0] = body;
    node->kids[1] = variable;
    node->kids[2] = from;
    node->kids[3] = to;
    return node;
}

static struct strata_span differential_name(struct strata_span text) {
    struct strata_span name = strata_span_trim(strata_span_sub(text, 1, text.length));
    return name.length && name.data[0] == '\\' ? strata_span_sub(name, 1, name.length) : name;
}

/* The variable of integration is a dx among the factors of the integrand: takes it out. */
static struct math_node *take_differential(struct math_parser *p, struct math_node *body,
                                           struct strata_span *variable) {
    bool is_variable = body->op == MATH_SYMBOL && body->name.length > 1 && body->name.data[0] == 'd';
    if (is_variable && !variable->length) {
        *variable = strata_span_sub(body->name, 1, body->name.length);
        return strata_math_make_integer(p->arena, 1);
    }
    if (!body->count) return body;
    struct math_node *copy = strata_math_make(p->arena, body->op, body->count); /* \sin x dx reads as \sin(x dx) */
    if (!copy) return NULL;
    struct math_node **kids = copy->kids;
    *copy = *body;
    copy->kids = kids;
    for (uint32_t i = 0; i < body->count; i++) {
        copy->kids[i] = take_differential(p, body->kids[i], variable);
        if (!copy->kids[i]) return NULL;
    }
    return copy;
}

static struct math_node *integral(struct math_parser *p) {
    struct math_node *lower = NULL, *upper = NULL, *body = NULL;
    p->at++;
    for (int turn = 0; turn < 2; turn++) {
        if (!lower && math_peek(p) == TOKEN_UNDERSCORE) {
            if (!(lower = subscript_value(p))) return NULL;
        } else if (!upper && math_peek(p) == TOKEN_CARET) {
            if (!(upper = strata_math_parse_exponent(p))) return NULL;
        }
    }
    struct strata_span variable = {0};
    if (math_peek(p) == TOKEN_DIFFERENTIAL) { /* \int dx */
        variable = differential_name(p->tokens[p->at++].text);
        body = strata_math_make_integer(p->arena, 1);
    } else {
        body = strata_math_parse_expression(p);
        if (body) body = take_differential(p, body, &variable);
    }
    if (!body) return NULL;
    if (!variable.length) variable = strata_span_of("x");
    struct math_node *node = strata_math_make(p->arena, MATH_INTEGRAL, lower && upper ? 4 : 2);
    if (!node) return NULL;
    node->kids[0] = body;
    node->kids[1] = strata_math_make_symbol(p->arena, variable, p->not_real);
    if (lower && upper) {
        node->kids[2] = lower;
        node->kids[3] = upper;
    }
    return node->kids[1] ? node : NULL;
}

/* \lim_{x \to a} body */
static struct math_node *limit(struct math_parser *p) {
    p->at++;
    if (!math_take(p, TOKEN_UNDERSCORE) || !math_take(p, TOKEN_LBRACE)) return NULL;
    struct math_node *variable = strata_math_parse_symbol(p, false);
    if (!variable || !math_take(p, TOKEN_TO)) return NULL;
    struct math_node *point = strata_math_parse_expression(p);
    if (point && math_take(p, TOKEN_CARET)) { /* a side: ^{+} */
        if (!math_take(p, TOKEN_LBRACE) || !(math_take(p, TOKEN_ADD) || math_take(p, TOKEN_SUB)) ||
            !math_take(p, TOKEN_RBRACE)) {
            return NULL;
        }
    }
    if (!point || !math_take(p, TOKEN_RBRACE)) return NULL;
    struct math_node *body = strata_math_parse_product(p, true),
                     *node = body ? strata_math_make(p->arena, MATH_LIMIT, 3) : NULL;
    if (!node) return NULL;
    node->kids[0] = body;
    node->kids[1] = variable;
    node->kids[2] = point;
    return node;
}

struct math_node *strata_math_parse_function(struct math_parser *p) {
    struct math_node *exponent;
    switch (math_peek(p)) {
    case TOKEN_FUNCTION:
        return named(p);
    case TOKEN_MULTI:
        return multi(p);
    case TOKEN_OPERATORNAME:
        return operator_name(p);
    case TOKEN_SQRT:
        return root(p);
    case TOKEN_SUM:
    case TOKEN_PROD:
        return sum(p);
    case TOKEN_INT:
        return integral(p);
    case TOKEN_LIM:
        return limit(p);
    case TOKEN_EXP_E:
        p->at++;
        if (math_peek(p) != TOKEN_CARET) return strata_math_make(p->arena, MATH_E, 0);
        exponent = strata_math_parse_exponent(p);
        if (!exponent) return NULL;
        if (strata_math_is_integer(exponent) && exponent->numerator_size == 1 && exponent->numerator[0] == 1) {
            return strata_math_make(p->arena, MATH_E, 0);
        }
        if (exponent->op == MATH_LOG && exponent->kids[1]->op == MATH_E) return exponent->kids[0];
        return strata_math_make1(p->arena, MATH_EXP, exponent);
    case TOKEN_LETTER:
    case TOKEN_GREEK:
    case TOKEN_OTHER_SYMBOL:
    case TOKEN_ACCENT:
        return call(p);
    default:
        return NULL;
    }
}
