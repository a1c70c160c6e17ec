#include "verify/math_lex.h"

#include "verify/math_lex_table.h"

static int compare_start(const char *literal, char first, char second) {
    if (literal[0] != first) return (unsigned char)literal[0] < (unsigned char)first ? -1 : 1;
    if (literal[1] != second) return (unsigned char)literal[1] < (unsigned char)second ? -1 : 1;
    return 0;
}

/* The longest literal at text[at] that begins with these two bytes (second 0: one byte long); NULL when none does. */
static const struct math_literal *longest_from(struct strata_span text, size_t at, char first, char second) {
    size_t low = 0, high = strata_math_literal_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_start(strata_math_literals[middle].text, first, second) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < strata_math_literal_count && compare_start(strata_math_literals[low].text, first, second) == 0;
         low++) {
        if (strata_span_at(text, at, strata_math_literals[low].text)) return &strata_math_literals[low];
    }
    return NULL;
}

static const struct math_literal *longest_literal(struct strata_span text, size_t at) {
    char second = at + 1 < text.length ? text.data[at + 1] : '\0';
    const struct math_literal *found = second ? longest_from(text, at, text.data[at], second) : NULL;
    return found ? found : longest_from(text, at, text.data[at], '\0');
}

/* A number at text[at]: digits, or digits with a point and digits behind it. Its length, 0 when there is none. */
static size_t number_length(struct strata_span text, size_t at) {
    size_t i = at;
    while (i < text.length && strata_is_digit(text.data[i])) i++;
    if (i + 1 < text.length && text.data[i] == '.' && strata_is_digit(text.data[i + 1])) {
        for (i++; i < text.length && strata_is_digit(text.data[i]); i++) {
        }
    }
    return i - at;
}

/* E with digits behind the number; `small` also takes e. */
static size_t exponent_length(struct strata_span text, size_t at, bool small) {
    if (at >= text.length || !(text.data[at] == 'E' || (small && text.data[at] == 'e'))) return 0;
    size_t i = at + 1;
    if (i < text.length && (text.data[i] == '+' || text.data[i] == '-'))
        i++;
    else if (strata_span_at(text, i, "\xe2\x88\x92"))
        i += 3;
    size_t digits = i;
    while (i < text.length && strata_is_digit(text.data[i])) i++;
    return i > digits ? i - at : 0;
}

static size_t percent_length(struct strata_span text, size_t at) {
    size_t i = at;
    if (i < text.length && strchr(" \t\r\n", text.data[i]) && text.data[i]) i++;
    if (i < text.length && text.data[i] == '%') return i + 1 - at;
    return strata_span_at(text, i, "\\%") ? i + 2 - at : 0;
}

/* \text{...}: the command, at most one blank, and everything up to the first closing brace. */
static size_t accent_length(struct strata_span text, size_t at) {
    static const char *const commands[] = {"\\acute",        "\\bar",
                                           "\\overline",     "\\breve",
                                           "\\check",        "\\widecheck",
                                           "\\dot",          "\\ddot",
                                           "\\grave",        "\\hat",
                                           "\\tilde",        "\\widetilde",
                                           "\\vec",          "\\overrightarrow",
                                           "\\bm",           "\\boldsymbol",
                                           "\\text",         "\\textit",
                                           "\\textbf",       "\\textnormal",
                                           "\\mathbb",       "\\mathbin",
                                           "\\mathbf",       "\\mathcal",
                                           "\\mathclap",     "\\mathclose",
                                           "\\mathellipsis", "\\mathfrak",
                                           "\\mathinner",    "\\mathit",
                                           "\\mathnormal",   "\\mathop",
                                           "\\mathopen",     "\\mathord",
                                           "\\mathpunct",    "\\mathrel",
                                           "\\mathring",     "\\mathrlap",
                                           "\\mathrm",       "\\mathscr",
                                           "\\mathsf",       "\\mathsterling",
                                           "\\mathtt",       "\\mbox"};
    if (text.data[at] != '\\') return 0;
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        if (!strata_span_at(text, at, commands[k])) continue;
        size_t i = at + strlen(commands[k]);
        if (i < text.length && text.data[i] && strchr(" \t\r\n", text.data[i])) i++;
        if (i >= text.length || text.data[i] != '{') continue;
        const char *close = memchr(text.data + i, '}', text.length - i);
        return close ? (size_t)(close - text.data) + 1 - at : 0;
    }
    return 0;
}

/* \begin{array}{clr} */
static size_t array_length(struct strata_span text, size_t at) {
    if (!strata_span_at(text, at, "\\begin{array}{")) return 0;
    size_t i = at + 14;
    while (i < text.length && text.data[i] && strchr("clr", text.data[i])) i++;
    return i < text.length && text.data[i] == '}' ? i + 1 - at : 0;
}

/* d, blanks, and a letter or command: dx, d\theta. */
static size_t differential_length(struct strata_span text, size_t at) {
    if (text.data[at] != 'd') return 0;
    size_t i = at + 1;
    while (i < text.length && text.data[i] && strchr(" \t\r\n", text.data[i])) i++;
    if (i < text.length && strata_is_letter(text.data[i])) return i + 1 - at;
    if (i + 1 < text.length && text.data[i] == '\\' && strata_is_letter(text.data[i + 1])) {
        for (i++; i < text.length && strata_is_letter(text.data[i]); i++) {
        }
        return i - at;
    }
    return 0;
}

/* Names that answers write without a backslash; strict mode only. */
static size_t plain_function(struct math_token *token, struct strata_span text, size_t at) {
    static const struct {
        const char *name, *literal;
    } names[] = {{"arcsin", "\\arcsin"},  {"arccos", "\\arccos"}, {"arctan", "\\arctan"}, {"sinh", "\\sinh"},
                 {"cosh", "\\cosh"},      {"tanh", "\\tanh"},     {"sqrt", "\\sqrt"},     {"sin", "\\sin"},
                 {"cos", "\\cos"},        {"tan", "\\tan"},       {"cot", "\\cot"},       {"sec", "\\sec"},
                 {"csc", "\\csc"},        {"log", "\\log"},       {"exp", "\\exp"},       {"ln", "\\ln"},
                 {"infinity", "\\infty"}, {"infty", "\\infty"},   {"pi", "\\pi"},         {"theta", "\\theta"},
                 {"alpha", "\\alpha"},    {"beta", "\\beta"},     {"gcd", "\\gcd"},       {"lcm", "\\lcm"},
                 {"max", "\\max"},        {"min", "\\min"}};
    if (at && strata_is_letter(text.data[at - 1])) return 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        size_t length = strlen(names[k].name);
        if (!strata_span_at(text, at, names[k].name)) continue;
        if (at + length < text.length && strata_is_letter(text.data[at + length])) continue;
        const struct math_literal *literal = longest_literal(strata_span_of(names[k].literal), 0);
        *token = (struct math_token){literal->kind, literal->op, strata_span_of(names[k].literal)};
        return length;
    }
    return 0;
}

/* The token that begins at text[at]; its length, 0 when no token does. */
static size_t next_token(struct math_token *token, struct strata_span text, size_t at, bool strict,
                         bool differentials) {
    char c = text.data[at];
    const struct math_literal *literal = longest_literal(text, at);
    size_t best = 0, length;
    *token = (struct math_token){.kind = TOKEN_END};
    if (strict && strata_is_letter(c) && (length = plain_function(token, text, at))) return length;
    if (literal && !(strict && literal->kind == TOKEN_KEYWORD && !strata_span_at(text, at ? at - 1 : 0, "{"))) {
        *token = (struct math_token){.kind = literal->kind, .op = literal->op};
        best = strlen(literal->text);
        if (strict && !strcmp(literal->text, "\\varnothing")) token->kind = TOKEN_EMPTY;
    }
    if (strict && strata_is_letter(c) && best > 1) best = 0; /* keywords inside words */
    if (strict && strata_is_letter(c) && !best) {
        token->kind = c == 'e' ? TOKEN_EXP_E : TOKEN_LETTER;
        best = 1;
    }
    if (strata_is_letter(c) && !best) {
        token->kind = TOKEN_LETTER;
        best = 1;
    }
    if (differentials && (length = differential_length(text, at)) > best) {
        token->kind = TOKEN_DIFFERENTIAL;
        best = length;
    }
    if ((length = accent_length(text, at)) > best) {
        token->kind = TOKEN_ACCENT;
        best = length;
    }
    if ((length = array_length(text, at)) > best) {
        token->kind = TOKEN_MATRIX_BEGIN;
        best = length;
    }
    if ((length = number_length(text, at)) > best) {
        size_t exponent = exponent_length(text, at + length, strict), percent = percent_length(text, at + length);
        token->kind = exponent ? TOKEN_E_NOTATION : percent ? TOKEN_PERCENT_NUMBER : TOKEN_NUMBER;
        best = length + (exponent ? exponent : percent);
    }
    if ((token->kind == TOKEN_GREEK || token->kind == TOKEN_OTHER_SYMBOL) && at + best < text.length &&
        text.data[at + best] == ' ') {
        best++; /* the grammar's GREEK_CMD takes one blank behind it */
    }
    token->text = strata_span_sub(text, at, at + best);
    return best;
}

struct math_token *strata_math_lex(uint32_t *count, struct strata_arena *arena, struct strata_span text,
                                   enum math_dialect dialect) {
    bool strict = dialect == MATH_STRICT;
    bool differentials = !strict || strata_span_find(text, "\\int", 0) != STRATA_NOT_FOUND;
    size_t room = text.length < MATH_MAX_TOKENS ? text.length : MATH_MAX_TOKENS;
    struct math_token *tokens = strata_arena_take(arena, (room + 1) * sizeof *tokens);
    uint32_t used = 0;
    if (!tokens) return NULL;
    for (size_t i = 0; i < text.length;) {
        struct math_token token;
        if (text.data[i] && strchr(" \t\r\n", text.data[i])) {
            i++;
            continue;
        }
        size_t length = next_token(&token, text, i, strict, differentials);
        if (!length || used == room) return NULL;
        if (token.kind != TOKEN_END) tokens[used++] = token;
        i += length;
    }
    tokens[used] = (struct math_token){.kind = TOKEN_END, .text = strata_span_sub(text, text.length, text.length)};
    *count = used;
    return tokens;
}

struct strata_span strata_math_greek_name(struct strata_span text) {
    static const struct {
        const char *letter, *name;
    } letters[] = {
        {"\xce\xb1", "alpha"},    {"\xce\xb2", "beta"},     {"\xce\xb3", "gamma"},   {"\xce\x93", "Gamma"},
        {"\xce\xb4", "delta"},    {"\xce\x94", "Delta"},    {"\xce\xb5", "epsilon"}, {"\xcf\xb5", "varepsilon"},
        {"\xce\xb6", "zeta"},     {"\xce\xb7", "eta"},      {"\xce\xb8", "theta"},   {"\xce\x98", "Theta"},
        {"\xcf\x91", "vartheta"}, {"\xce\xb9", "iota"},     {"\xce\xba", "kappa"},   {"\xce\xbb", "lambda"},
        {"\xce\x9b", "Lambda"},   {"\xce\xbc", "mu"},       {"\xce\xbd", "nu"},      {"\xce\xbe", "xi"},
        {"\xce\x9e", "Xi"},       {"\xce\xbf", "omicron"},  {"\xcf\x80", "pi"},      {"\xce\xa0", "Pi"},
        {"\xcf\x96", "varpi"},    {"\xcf\x81", "rho"},      {"\xcf\xb1", "varrho"},  {"\xcf\x83", "sigma"},
        {"\xce\xa3", "Sigma"},    {"\xcf\x82", "varsigma"}, {"\xcf\x84", "tau"},     {"\xcf\x85", "upsilon"},
        {"\xce\xa5", "Upsilon"},  {"\xcf\x86", "phi"},      {"\xce\xa6", "Phi"},     {"\xcf\x95", "varphi"},
        {"\xcf\x87", "chi"},      {"\xcf\x88", "psi"},      {"\xce\xa8", "Psi"},     {"\xcf\x89", "omega"},
        {"\xce\xa9", "Omega"}};
    text = strata_span_trim(text);
    for (size_t k = 0; k < sizeof letters / sizeof *letters; k++) {
        if (strata_span_is(text, letters[k].letter)) return strata_span_of(letters[k].name);
    }
    if (text.length && text.data[0] == '\\') return strata_span_sub(text, 1, text.length);
    return text;
}
