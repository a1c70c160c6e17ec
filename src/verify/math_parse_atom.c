#include "verify/math_parser.h"

/* The texts of the tokens from..to, together. */
static struct strata_span joined(struct math_parser *p, uint32_t from, uint32_t to) {
    size_t length = 0, at = 0;
    for (uint32_t i = from; i < to; i++) length += p->tokens[i].text.length;
    char *out = strata_arena_take(p->arena, length + 1);
    for (uint32_t i = from; out && i < to; i++) {
        memcpy(out + at, p->tokens[i].text.data, p->tokens[i].text.length);
        at += p->tokens[i].text.length;
    }
    return strata_span_trim((struct strata_span){out ? out : "", at});
}

static struct strata_span lower_case(struct math_parser *p, struct strata_span text) {
    char *out = strata_arena_copy(p->arena, text.data, text.length);
    for (size_t i = 0; out && i < text.length; i++) out[i] = strata_lower(out[i]);
    return (struct strata_span){out ? out : "", out ? text.length : 0};
}

/* What \text{X}, \vec{X} and the like stand for: text commands for X itself, without blanks and parentheses; others
 * for a name that keeps the accent. */
static struct strata_span accent_name(struct math_parser *p, struct strata_span text) {
    const char *brace = memchr(text.data, '{', text.length);
    size_t open = (size_t)(brace - text.data), length = 0;
    struct strata_span command = strata_span_trim(strata_span_sub(text, 1, open));
    bool plain = strata_span_find(command, "text", 0) != STRATA_NOT_FOUND ||
                 strata_span_find(command, "mbox", 0) != STRATA_NOT_FOUND;
    if (strata_span_is(command, "overline"))
        command = strata_span_of("bar");
    else if (strata_span_is(command, "overrightarrow"))
        command = strata_span_of("vec");
    else if (strata_span_is(command, "widetilde"))
        command = strata_span_of("tilde");
    else if (strata_span_find(command, "math", 0) != STRATA_NOT_FOUND)
        command = strata_span_of("math");
    char *out = strata_arena_take(p->arena, command.length + text.length + 2);
    if (!out) return strata_span_of("");
    if (!plain) {
        memcpy(out, command.data, command.length);
        length = command.length;
        out[length++] = '{';
    }
    for (size_t i = open + 1; i + 1 < text.length; i++) {
        char c = text.data[i];
        if (c == ' ' || (plain && (c == '(' || c == ')'))) continue;
        out[length++] = c;
    }
    if (!plain) out[length++] = '}';
    return (struct strata_span){out, length};
}

/* _atom or _{...}: skipped, its tokens in from..to. */
static bool subscript(struct math_parser *p, uint32_t *from, uint32_t *to) {
    if (!math_take(p, TOKEN_UNDERSCORE)) return false;
    *from = p->at;
    if (math_take(p, TOKEN_LBRACE)) {
        *from = p->at;
        do {
            if (!strata_math_parse_expression(p)) return false;
        } while (math_take(p, TOKEN_COMMA));
        *to = p->at;
        return math_take(p, TOKEN_RBRACE);
    }
    bool found = strata_math_parse_atom(p) != NULL;
    *to = p->at;
    return found;
}

static bool is_symbol_token(enum math_token_kind kind) {
    return kind == TOKEN_LETTER || kind == TOKEN_GREEK || kind == TOKEN_OTHER_SYMBOL || kind == TOKEN_ACCENT;
}

/* The name at the token, with the subscript tokens from..to if from < to. */
static struct math_node *make_symbol(struct math_parser *p, const struct math_token *token, uint32_t from,
                                     uint32_t to) {
    struct strata_span name = token->kind == TOKEN_ACCENT ? accent_name(p, token->text) : strata_span_trim(token->text);
    if (from < to) {
        struct strata_span sub = joined(p, from, to);
        char *out = strata_arena_take(p->arena, name.length + sub.length + 4);
        if (!out) return NULL;
        size_t length = 0;
        bool braces = sub.length > 1;
        struct strata_span base = name;
        if (base.length && base.data[0] == '\\') base = strata_span_sub(base, 1, base.length);
        memcpy(out, base.data, base.length);
        length = base.length;
        out[length++] = '_';
        if (braces) out[length++] = '{';
        memcpy(out + length, sub.data, sub.length);
        length += sub.length;
        if (braces) out[length++] = '}';
        name = (struct strata_span){out, length};
    } else {
        name = strata_math_greek_name(name);
    }
    name = lower_case(p, name);
    if (strata_span_is(name, "pi")) return strata_math_make(p->arena, MATH_PI, 0);
    if (p->strict && strata_span_is(name, "i") && token->kind == TOKEN_LETTER && token->text.data[0] == 'i') {
        return strata_math_make(p->arena, MATH_I, 0);
    }
    return strata_math_make_symbol(p->arena, name, p->not_real);
}

struct math_node *strata_math_parse_symbol(struct math_parser *p, bool power) {
    const struct math_token *token = &p->tokens[p->at];
    uint32_t from = 0, to = 0;
    if (!is_symbol_token(token->kind)) return NULL;
    p->at++;
    struct math_node *exponent = NULL;
    for (int turn = 0; turn < 2; turn++) { /* a subscript and a superscript, in either order */
        uint32_t start = p->at;
        if (math_peek(p) == TOKEN_UNDERSCORE && from == to) {
            if (!subscript(p, &from, &to)) {
                p->at = start;
                from = to = 0;
                break;
            }
        } else if (power && math_peek(p) == TOKEN_CARET && !exponent) {
            exponent = strata_math_parse_exponent(p);
            if (!exponent) {
                p->at = start;
                break;
            }
        }
    }
    if (!p->strict && token->kind == TOKEN_LETTER && token->text.data[0] == 'I')
        return strata_math_make(p->arena, MATH_I, 0);
    struct math_node *symbol = make_symbol(p, token, from, to);
    return exponent ? strata_math_make2(p->arena, MATH_POW, symbol, exponent) : symbol;
}

struct math_node *strata_math_parse_atom(struct math_parser *p) {
    const struct math_token *token = &p->tokens[p->at];
    struct strata_span text = token->text;
    struct math_node *node;
    uint32_t from, to;
    switch (token->kind) {
    case TOKEN_LETTER:
    case TOKEN_GREEK:
    case TOKEN_OTHER_SYMBOL:
    case TOKEN_ACCENT:
        return strata_math_parse_symbol(p, true);
    case TOKEN_INFINITY:
        p->at++;
        node = strata_math_make(p->arena, MATH_INFINITY, 0);
        if (node) node->sign = 1;
        return node;
    case TOKEN_NUMBER:
        p->at++;
        if (math_peek(p) == TOKEN_UNDERSCORE) { /* a number's subscript is read and forgotten */
            uint32_t back = p->at;
            if (!subscript(p, &from, &to)) p->at = back;
        }
        return strata_math_make_decimal(p->arena, text);
    case TOKEN_E_NOTATION: {
        p->at++;
        char *plain = strata_arena_copy(p->arena, text.data, text.length);
        size_t length = 0; /* the Unicode minus of the exponent as an ASCII one */
        for (size_t i = 0; plain && i < text.length; i++) {
            if (strata_span_at(text, i, "\xe2\x88\x92")) {
                plain[length++] = '-';
                i += 2;
            } else {
                plain[length++] = text.data[i];
            }
        }
        return plain ? strata_math_make_decimal(p->arena, (struct strata_span){plain, length}) : NULL;
    }
    case TOKEN_CAPITAL_E:
        p->at++;
        return strata_math_make_symbol(p->arena, strata_span_of("e"), p->not_real);
    case TOKEN_EXP_E: /* in strict mode e is an atom like any other */
        if (!p->strict) return NULL;
        p->at++;
        return strata_math_make(p->arena, MATH_E, 0);
    case TOKEN_DIFFERENTIAL: {
        struct strata_span variable = strata_span_trim(strata_span_sub(text, 1, text.length));
        p->at++;
        if (variable.length && variable.data[0] == '\\') variable = strata_span_sub(variable, 1, variable.length);
        char *name = strata_arena_take(p->arena, variable.length + 1);
        if (!name) return NULL;
        name[0] = 'd';
        memcpy(name + 1, variable.data, variable.length);
        return strata_math_make_symbol(p->arena, (struct strata_span){name, variable.length + 1}, p->not_real);
    }
    case TOKEN_PERCENT_NUMBER: {
        size_t length = text.length;
        while (length && !strata_is_digit(text.data[length - 1])) length--;
        p->at++;
        return strata_math_percent(p->arena, strata_math_make_decimal(p->arena, strata_span_sub(text, 0, length)));
    }
    default:
        return NULL;
    }
}
