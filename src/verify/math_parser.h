/* The parser's parts: strata_math_parse.c reads expressions, strata_math_parse_atom.c their atoms and functions,
 * math_parse_set.c everything around them. */
#ifndef STRATA_VERIFY_MATH_PARSER_H
#define STRATA_VERIFY_MATH_PARSER_H

#include "verify/math_lex.h"

struct math_memo {
    bool known;
    uint32_t end;
    struct math_node *node; /* NULL: nothing parses here */
};
struct math_parser {
    struct strata_arena *arena;
    const struct math_token *tokens;
    uint32_t count, at;
    int depth;
    bool strict;
    bool not_real; /* names stand for numbers that are not real: the text looks complex */
    struct math_memo
        *memo[2]; /* of primary(), with and without functions, by token: no text costs more than a few passes */
};
/* All return NULL, `at` anywhere, when the rule does not match at `at`. */
struct math_node *strata_math_parse_expression(struct math_parser *p);
struct math_node *strata_math_parse_product(struct math_parser *p, bool functions);
struct math_node *strata_math_parse_primary(struct math_parser *p, bool functions); /* the grammar's comp */
struct math_node *strata_math_parse_atom(struct math_parser *p);
struct math_node *strata_math_parse_function(struct math_parser *p);
struct math_node *strata_math_parse_symbol(struct math_parser *p, bool power); /* atom_expr */
struct math_node *strata_math_parse_top(struct math_parser *p);
/* ^atom or ^{expr}; the token at `at` is the caret. */
struct math_node *strata_math_parse_exponent(struct math_parser *p);

static inline enum math_token_kind math_peek(const struct math_parser *p) {
    return p->tokens[p->at].kind;
}
static inline bool math_take(struct math_parser *p, enum math_token_kind kind) {
    if (math_peek(p) != kind) return false;
    p->at++;
    return true;
}

#endif
