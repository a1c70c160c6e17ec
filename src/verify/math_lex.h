/* Tokens of LaTeX mathematics: the lexer of latex2sympy2_extended's grammar (longest match; in a tie the earlier rule).
 */
#ifndef STRATA_VERIFY_MATH_LEX_H
#define STRATA_VERIFY_MATH_LEX_H

#include "verify/math.h"

enum math_token_kind {
    TOKEN_END,
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL, /* * and its relatives, \times, \cdot */
    TOKEN_DIV, /* / and its relatives, \over, \div */
    TOKEN_MOD,
    TOKEN_OPEN,      /* ( */
    TOKEN_CLOSE,     /* ) */
    TOKEN_OPEN_CMD,  /* \( */
    TOKEN_CLOSE_CMD, /* \) */
    TOKEN_LGROUP,
    TOKEN_RGROUP,
    TOKEN_LBRACE, /* { */
    TOKEN_RBRACE,
    TOKEN_LBRACE_VISUAL, /* \{ */
    TOKEN_RBRACE_VISUAL,
    TOKEN_LBRACE_CMD, /* \lbrace */
    TOKEN_RBRACE_CMD,
    TOKEN_LBRACKET, /* [ */
    TOKEN_RBRACKET,
    TOKEN_LBRACK, /* \lbrack */
    TOKEN_RBRACK,
    TOKEN_PHANTOM,
    TOKEN_BOXED,
    TOKEN_BAR,
    TOKEN_LVERT,
    TOKEN_RVERT,
    TOKEN_VERT,
    TOKEN_NORM,
    TOKEN_LANGLE,
    TOKEN_RANGLE,
    TOKEN_LFLOOR,
    TOKEN_RFLOOR,
    TOKEN_LCEIL,
    TOKEN_RCEIL,
    TOKEN_LIM,
    TOKEN_TO,
    TOKEN_INT,
    TOKEN_SUM,
    TOKEN_PROD,
    TOKEN_FUNCTION, /* one argument: which in `op` (MATH_LOG with base 10 or e by `text`) */
    TOKEN_MULTI,    /* gcd, lcm, max, min */
    TOKEN_SQRT,
    TOKEN_FRAC,
    TOKEN_BINOM,
    TOKEN_CHOOSE,
    TOKEN_OPERATORNAME,
    TOKEN_KEYWORD, /* a word that only \operatorname{} takes: gcd, floor, tr … */
    TOKEN_MATRIX_BEGIN,
    TOKEN_MATRIX_END,
    TOKEN_DET_BEGIN,
    TOKEN_DET_END,
    TOKEN_COLUMN, /* & */
    TOKEN_ROW,    /* \\ */
    TOKEN_UNDERSCORE,
    TOKEN_CARET,
    TOKEN_COLON,
    TOKEN_SEMICOLON,
    TOKEN_COMMA,
    TOKEN_PERIOD,
    TOKEN_DIFFERENTIAL,
    TOKEN_EXP_E,
    TOKEN_CAPITAL_E,
    TOKEN_LETTER,
    TOKEN_NUMBER,
    TOKEN_E_NOTATION,
    TOKEN_PERCENT_NUMBER,
    TOKEN_IN,
    TOKEN_NOT_IN,
    TOKEN_ASSIGN,
    TOKEN_EQUAL,
    TOKEN_APPROX,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_NE,
    TOKEN_BANG,
    TOKEN_GREEK,
    TOKEN_OTHER_SYMBOL,
    TOKEN_INFINITY,
    TOKEN_PARTIAL,
    TOKEN_ACCENT, /* \text{...} and the like, braces included */
    TOKEN_NUMBERS,
    TOKEN_UNION,
    TOKEN_INTERSECTION,
    TOKEN_SET_MINUS,
    TOKEN_PLUS_MINUS,
    TOKEN_EMPTY,
    TOKEN_SUBSET,
    TOKEN_SUPSET,
    TOKEN_DEGREE, /* ^\circ */
    TOKEN_TRANSPOSE,
    TOKEN_OTHER, /* a token of the grammar that no expression here takes */
};
struct math_token {
    enum math_token_kind kind;
    enum math_op op; /* TOKEN_FUNCTION, TOKEN_MULTI */
    struct strata_span text;
};
/* The tokens, TOKEN_END last. NULL when a character belongs to none, or there are too many. */
struct math_token *strata_math_lex(uint32_t *count, struct strata_arena *arena, struct strata_span text,
                                   enum math_dialect dialect);
/* The name of a Greek letter token ("\alpha", its character) without backslash; else the text itself. */
struct strata_span strata_math_greek_name(struct strata_span text);

#endif
