#include "verify/math_parser.h"

/* Words of the text that make latex2sympy's caller take every name for a complex number. */
static bool looks_complex(struct strata_span text) {
    static const char *const marks[] = {
        "\\mathbb{C}",          "\\text{i}",          "\\mathrm{i}", "\\det",     "\\operatorname{tr}",
        "\\operatorname{rank}", "\\text{rank}",       "\\arg{",      "\\Re{",     "\\Im{",
        "\\operatorname{Re}",   "\\operatorname{Im}", "\\text{Re}",  "\\text{Im}"};
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
        if (strata_span_find(text, marks[k], 0) != STRATA_NOT_FOUND) return true;
    }
    for (size_t i = 0; i < text.length; i++) { /* i or \imath as a word of its own */
        if (strata_span_at(text, i, "\\imath") && !(i + 6 < text.length && strata_is_letter(text.data[i + 6])))
            return true;
        if (text.data[i] != 'i') continue;
        char before = i ? text.data[i - 1] : ' ', after = i + 1 < text.length ? text.data[i + 1] : ' ';
        bool left =
            strata_is_letter(before) || strata_is_digit(before) || before == '_' || (unsigned char)before >= 0x80;
        bool right = strata_is_letter(after) || strata_is_digit(after) || after == '_' || (unsigned char)after >= 0x80;
        if (!left && !right) return true;
    }
    return false;
}

/* 1,234,567.8 as a whole text: a number, not a set. A leading zero makes the comma a decimal point. */
static struct math_node *grouped_number(struct strata_arena *arena, struct strata_span text) {
    text = strata_span_trim(text);
    bool minus = text.length && text.data[0] == '-', zero;
    size_t i = minus, lead = 0, length = 0, groups = 0;
    while (i < text.length && strata_is_digit(text.data[i])) i++, lead++;
    if (lead < 1 || lead > 3) return NULL;
    while (i + 3 < text.length && text.data[i] == ',' && strata_is_digit(text.data[i + 1]) &&
           strata_is_digit(text.data[i + 2]) && strata_is_digit(text.data[i + 3])) {
        i += 4;
        groups++;
    }
    if (!groups) return NULL;
    if (i + 1 < text.length && text.data[i] == '.') {
        for (i++; i < text.length && strata_is_digit(text.data[i]);) i++;
    }
    if (i != text.length || text.data[i - 1] == '.') return NULL;
    zero = text.data[0] == '0';
    if (zero && groups > 1) return NULL;
    char *plain = strata_arena_take(arena, text.length);
    for (size_t k = minus; plain && k < text.length; k++) {
        if (text.data[k] != ',')
            plain[length++] = text.data[k];
        else if (zero)
            plain[length++] = '.';
    }
    struct math_node *node = plain ? strata_math_make_decimal(arena, (struct strata_span){plain, length}) : NULL;
    return minus ? strata_math_negate(arena, node) : node;
}

struct math_node *strata_math_parse(struct strata_arena *arena, struct strata_span text, enum math_dialect dialect) {
    struct math_node *number = grouped_number(arena, text);
    if (number) return number;
    struct math_parser p = {.arena = arena, .strict = dialect == MATH_STRICT};
    p.tokens = strata_math_lex(&p.count, arena, text, dialect);
    if (!p.tokens || !p.count) return NULL;
    p.not_real = !p.strict && looks_complex(text);
    for (int k = 0; k < 2; k++) {
        p.memo[k] = strata_arena_take(arena, (p.count + 1) * sizeof *p.memo[k]);
        if (!p.memo[k]) return NULL;
    }
    struct math_node *node = strata_math_parse_top(&p);
    return arena->failed ? NULL : node;
}

struct math_node *strata_math_parse_expression(struct math_parser *p) {
    if (p->depth >= MATH_MAX_DEPTH) return NULL;
    p->depth++;
    struct math_node *sum = strata_math_parse_product(p, true);
    while (sum && (math_peek(p) == TOKEN_ADD || math_peek(p) == TOKEN_SUB)) {
        bool minus = math_peek(p) == TOKEN_SUB;
        p->at++;
        struct math_node *term = strata_math_parse_product(p, true);
        if (term && minus) term = strata_math_negate(p->arena, term);
        sum = term ? strata_math_add(p->arena, sum, term) : NULL;
    }
    p->depth--;
    return sum;
}

/* d/dx, which takes what stands on its right. */
static bool is_operator(const struct math_node *node) {
    return node && node->op == MATH_DERIVATIVE && node->count == 1;
}

/* An angle in degrees counts as such only inside a function (strict mode). */
static struct math_node *postfix(struct math_parser *p, bool functions) {
    struct math_node *base = strata_math_parse_primary(p, functions);
    if (is_operator(base)) return math_peek(p) == TOKEN_CARET || math_peek(p) == TOKEN_BANG ? NULL : base;
    while (base && math_peek(p) == TOKEN_CARET) {
        struct math_node *exponent = strata_math_parse_exponent(p);
        base = strata_math_make2(p->arena, MATH_POW, base, exponent);
    }
    for (; base; p->at++) {
        if (math_peek(p) == TOKEN_BANG) {
            base = strata_math_make1(p->arena, MATH_FACTORIAL, base);
        } else if (math_peek(p) == TOKEN_DEGREE) {
            if (p->strict) {
                base = strata_arena_copy(p->arena, base, sizeof *base);
                if (base) base->degrees = true;
            }
        } else if (math_peek(p) != TOKEN_TRANSPOSE) {
            break;
        }
    }
    return base;
}

static struct math_node *unary(struct math_parser *p, bool functions) {
    bool minus = false;
    uint32_t signs = 0;
    while (math_peek(p) == TOKEN_ADD || math_peek(p) == TOKEN_SUB) {
        if (math_peek(p) == TOKEN_SUB) minus = !minus;
        p->at++;
        if (++signs > MATH_MAX_DEPTH) return NULL;
    }
    struct math_node *parts[64];
    size_t count = 0;
    for (;;) {
        uint32_t start = p->at;
        bool digits = math_peek(p) == TOKEN_NUMBER && count && p->tokens[start - 1].kind == TOKEN_NUMBER;
        if (digits && p->strict) return NULL; /* two numbers side by side are a slip, not a sum or product */
        struct math_node *part = postfix(p, functions || count == 0);
        if (!part) {
            if (!count) return NULL;
            p->at = start;
            break;
        }
        if (count == sizeof parts / sizeof *parts) { /* fold the left part: a long product has no mixed number */
            parts[0] = strata_math_mul(p->arena, parts[0], parts[1]);
            for (size_t i = 1; i + 1 < count; i++) parts[i] = parts[i + 1];
            count--;
        }
        parts[count++] = part;
    }
    struct math_node *product = parts[count - 1];
    if (is_operator(product)) return NULL; /* d/dx of nothing */
    for (; count > 1; count--) {
        struct math_node *left = parts[count - 2];
        product = is_operator(left) ? strata_math_make2(p->arena, MATH_DERIVATIVE, product, left->kids[0])
                                    : strata_math_beside(p->arena, left, product);
    }
    return minus ? strata_math_negate(p->arena, product) : product;
}

struct math_node *strata_math_parse_product(struct math_parser *p, bool functions) {
    struct math_node *product = unary(p, functions);
    while (product) {
        enum math_token_kind kind = math_peek(p);
        if (kind != TOKEN_MUL && kind != TOKEN_DIV && kind != TOKEN_COLON && kind != TOKEN_MOD) break;
        p->at++;
        struct math_node *factor = unary(p, functions);
        if (kind == TOKEN_MUL)
            product = strata_math_mul(p->arena, product, factor);
        else if (kind == TOKEN_MOD)
            product = strata_math_make2(p->arena, MATH_MOD, product, factor);
        else if (kind == TOKEN_COLON && p->strict)
            product = strata_math_make2(p->arena, MATH_RATIO, product, factor);
        else
            product = strata_math_div(p->arena, product, factor);
    }
    return product;
}

static const struct {
    enum math_token_kind open, close;
    enum math_op op; /* MATH_NUMBER: brackets only */
} groups[] = {
    {TOKEN_OPEN, TOKEN_CLOSE, MATH_NUMBER},
    {TOKEN_LGROUP, TOKEN_RGROUP, MATH_NUMBER},
    {TOKEN_LBRACE, TOKEN_RBRACE, MATH_NUMBER},
    {TOKEN_LBRACKET, TOKEN_RBRACKET, MATH_NUMBER},
    {TOKEN_LBRACE_VISUAL, TOKEN_RBRACE_VISUAL, MATH_NUMBER},
    {TOKEN_LBRACE_CMD, TOKEN_RBRACE_CMD, MATH_NUMBER},
    {TOKEN_LBRACK, TOKEN_RBRACK, MATH_NUMBER},
    {TOKEN_BAR, TOKEN_BAR, MATH_ABS},
    {TOKEN_LVERT, TOKEN_RVERT, MATH_ABS},
    {TOKEN_VERT, TOKEN_VERT, MATH_ABS},
    {TOKEN_LFLOOR, TOKEN_RFLOOR, MATH_FLOOR},
    {TOKEN_LCEIL, TOKEN_RCEIL, MATH_CEIL},
};

static struct math_node *group(struct math_parser *p) {
    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++) {
        if (math_peek(p) != groups[k].open) continue;
        p->at++;
        struct math_node *inner = strata_math_parse_expression(p);
        if (inner && groups[k].open == TOKEN_LBRACE && math_peek(p) == TOKEN_CHOOSE) { /* {n \choose k} */
            p->at++;
            inner = strata_math_make2(p->arena, MATH_BINOMIAL, inner, strata_math_parse_expression(p));
        }
        if (!inner || !math_take(p, groups[k].close)) return NULL;
        return groups[k].op == MATH_NUMBER ? inner : strata_math_make1(p->arena, groups[k].op, inner);
    }
    return NULL;
}

static struct math_node *braced(struct math_parser *p) {
    if (!math_take(p, TOKEN_LBRACE)) return NULL;
    struct math_node *inner = strata_math_parse_expression(p);
    return inner && math_take(p, TOKEN_RBRACE) ? inner : NULL;
}

/* \begin{pmatrix} a & b \\ c & d \end{pmatrix}; also the determinant's form. */
static struct math_node *matrix(struct math_parser *p) {
    bool det = math_peek(p) == TOKEN_DET_BEGIN;
    struct math_node *cells[256];
    uint32_t count = 0, rows = 0, columns = 0;
    p->at++;
    for (;;) {
        uint32_t in_row = 0;
        do {
            if (count == sizeof cells / sizeof *cells) return NULL;
            cells[count] = strata_math_parse_expression(p);
            if (!cells[count]) return NULL;
            count++;
            in_row++;
        } while (math_take(p, TOKEN_COLUMN));
        if (rows++ && in_row != columns) return NULL;
        columns = in_row;
        if (math_take(p, det ? TOKEN_DET_END : TOKEN_MATRIX_END)) break;
        if (!math_take(p, TOKEN_ROW)) return NULL;
        if (math_take(p, det ? TOKEN_DET_END : TOKEN_MATRIX_END)) break;
    }
    struct math_node *node = strata_math_make(p->arena, MATH_MATRIX, count);
    if (!node) return NULL;
    for (uint32_t i = 0; i < count; i++) node->kids[i] = cells[i];
    node->rows = rows;
    return det ? strata_math_make1(p->arena, MATH_DET, node) : node;
}

/* \frac{d}{dx}, \frac{dy}{dx}, \frac{\partial}{\partial x}; the fraction is another one where this is NULL. */
static struct math_node *derivative(struct math_parser *p) {
    struct math_node *body = NULL;
    p->at++;
    if (!math_take(p, TOKEN_LBRACE)) return NULL;
    const struct math_token *upper = &p->tokens[p->at];
    const bool partial = strata_span_is(strata_span_trim(upper->text), "\\partial");
    if (partial || (upper->kind == TOKEN_LETTER && strata_span_is(strata_span_trim(upper->text), "d"))) {
        p->at++;
        if (math_peek(p) != TOKEN_RBRACE && !(body = strata_math_parse_expression(p))) return NULL;
    } else if (upper->kind == TOKEN_DIFFERENTIAL) { /* dy */
        const struct strata_span name = strata_span_trim(strata_span_sub(upper->text, 1, upper->text.length));
        const bool command = name.length && name.data[0] == '\\';
        body = strata_math_make_symbol(p->arena, strata_span_sub(name, command, name.length), p->not_real);
        p->at++;
    } else {
        return NULL;
    }
    if (!math_take(p, TOKEN_RBRACE) || !math_take(p, TOKEN_LBRACE)) return NULL;
    struct strata_span wrt = strata_span_trim(p->tokens[p->at].text);
    if (partial) {
        if (!strata_span_is(wrt, "\\partial")) return NULL;
        wrt = strata_span_trim(p->tokens[++p->at].text);
    } else if (math_peek(p) == TOKEN_DIFFERENTIAL) {
        wrt = strata_span_trim(strata_span_sub(wrt, 1, wrt.length));
    } else {
        return NULL;
    }
    p->at++;
    if (wrt.length && wrt.data[0] == '\\') wrt = strata_span_sub(wrt, 1, wrt.length);
    if (!wrt.length || !math_take(p, TOKEN_RBRACE)) return NULL;
    struct math_node *variable = strata_math_make_symbol(p->arena, wrt, p->not_real);
    return body ? strata_math_make2(p->arena, MATH_DERIVATIVE, body, variable)
                : strata_math_make1(p->arena, MATH_DERIVATIVE, variable);
}

static struct math_node *primary(struct math_parser *p, bool functions) {
    uint32_t start = p->at;
    struct math_node *a, *node = NULL;
    switch (math_peek(p)) {
    case TOKEN_PHANTOM:
    case TOKEN_BOXED:
        p->at++;
        return braced(p);
    case TOKEN_FRAC:
        if ((a = derivative(p))) return a;
        p->at = start + 1;
        a = braced(p);
        return a ? strata_math_div(p->arena, a, braced(p)) : NULL;
    case TOKEN_BINOM:
        p->at++;
        a = braced(p);
        return a ? strata_math_make2(p->arena, MATH_BINOMIAL, a, braced(p)) : NULL;
    case TOKEN_MATRIX_BEGIN:
    case TOKEN_DET_BEGIN:
        return matrix(p);
    default:
        break;
    }
    node = group(p);
    if (node) return node;
    p->at = start;
    if (functions) node = strata_math_parse_function(p);
    if (node) return node;
    p->at = start;
    return strata_math_parse_atom(p);
}

struct math_node *strata_math_parse_primary(struct math_parser *p, bool functions) {
    struct math_memo *memo = &p->memo[functions][p->at];
    if (!memo->known) {
        struct math_node *node = primary(p, functions);
        /* a depth limit hit further in is no property of this place, but the whole text fails with it anyway */
        *memo = (struct math_memo){true, p->at, node};
    }
    p->at = memo->end;
    return memo->node;
}

struct math_node *strata_math_parse_exponent(struct math_parser *p) {
    if (!math_take(p, TOKEN_CARET)) return NULL;
    if (math_peek(p) == TOKEN_LBRACE) return braced(p);
    if (p->strict && (math_peek(p) == TOKEN_SUB || math_peek(p) == TOKEN_OPEN)) { /* x^-1, x^(1/2) */
        bool minus = math_take(p, TOKEN_SUB);
        struct math_node *inner = strata_math_parse_primary(p, false);
        return minus ? strata_math_negate(p->arena, inner) : inner;
    }
    return strata_math_parse_atom(p);
}
