/* eval() of what stands in cells: literals. Everything else is only told apart by the exception it would raise. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "eval/python.h"

#define DEPTH_MOST 90 /* brackets; CPython's own parser gives up at 200 */

enum trouble { FINE, SYNTAX, MEMORY };
struct parser {
    struct strata_span text;
    size_t at;
    unsigned depth;
    enum trouble trouble;
    bool names, operations; /* seen in an expression that is well-formed so far */
};

static json_t *parse_expression(struct parser *parser);

static json_t *trouble(struct parser *parser, enum trouble kind) {
    if (!parser->trouble) parser->trouble = kind;
    return NULL;
}

static char peek(const struct parser *parser) {
    return parser->at < parser->text.length ? parser->text.data[parser->at] : '\0';
}

/* Inside brackets line breaks are blanks. */
static void skip_blanks(struct parser *parser) {
    for (char c = peek(parser); c == ' ' || c == '\t' || c == '\f' || (parser->depth && (c == '\n' || c == '\r'));
         c = peek(parser))
        parser->at++;
}

static bool accept(struct parser *parser, const char *symbol) {
    skip_blanks(parser);
    if (!strata_span_at(parser->text, parser->at, symbol)) return false;
    parser->at += strlen(symbol);
    return true;
}

static bool word_byte(char c) {
    return strata_is_letter(c) || strata_is_digit(c) || c == '_' || (unsigned char)c >= 0x80;
}

static struct strata_span peek_word(struct parser *parser) {
    skip_blanks(parser);
    size_t end = parser->at;
    while (end < parser->text.length && word_byte(parser->text.data[end])) end++;
    return strata_span_sub(parser->text, parser->at, end);
}

static bool accept_word(struct parser *parser, const char *word) {
    if (!strata_span_is(peek_word(parser), word)) return false;
    parser->at += strlen(word);
    return true;
}

/* ---- strings ---- */

static int hex_digits(struct parser *parser, unsigned count, uint32_t *out) {
    *out = 0;
    for (unsigned i = 0; i < count; i++, parser->at++) {
        char c = strata_lower(peek(parser));
        if (!strata_is_digit(c) && !(c >= 'a' && c <= 'f')) return -1;
        *out = *out << 4 | (uint32_t)(strata_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return *out > 0x10FFFF || (*out >= 0xD800 && *out < 0xE000) ? -1 : 0;
}

/* After a backslash. */
static bool parse_escape(struct parser *parser, struct strata_buffer *out) {
    static const char plain[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    char c = peek(parser);
    uint32_t code = 0;
    const char *known = c ? strchr(plain, c) : NULL;
    if (known) {
        strata_buffer_byte(out, (unsigned char)meant[known - plain]);
        parser->at++;
    } else if (c == '\n') {
        parser->at++;
    } else if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3 && peek(parser) >= '0' && peek(parser) <= '7'; i++, parser->at++)
            code = code * 8 + (uint32_t)(peek(parser) - '0');
        strata_utf8_append(out, (int32_t)code);
    } else if (c == 'x' || c == 'u' || c == 'U') {
        parser->at++;
        if (hex_digits(parser, c == 'x' ? 2 : c == 'u' ? 4 : 8, &code)) return false;
        strata_utf8_append(out, (int32_t)code);
    } else {
        strata_buffer_byte(out, '\\'); /* an unknown escape stays as it is */
    }
    return true;
}

/* One quoted piece, at its opening quote. */
static bool parse_quoted(struct parser *parser, struct strata_buffer *out, bool raw) {
    char quote = peek(parser);
    char three[4] = {quote, quote, quote, 0};
    bool triple = strata_span_at(parser->text, parser->at, three);
    parser->at += triple ? 3 : 1;
    while (parser->at < parser->text.length) {
        char c = peek(parser);
        if (triple ? strata_span_at(parser->text, parser->at, three) : c == quote) {
            parser->at += triple ? 3 : 1;
            return true;
        }
        if (c == '\n' && !triple) return false;
        parser->at++;
        if (c != '\\') {
            strata_buffer_byte(out, (unsigned char)c);
        } else if (raw) {
            strata_buffer_byte(out, '\\');
            if (parser->at < parser->text.length)
                strata_buffer_byte(out, (unsigned char)parser->text.data[parser->at++]);
        } else if (!parse_escape(parser, out)) {
            return false;
        }
    }
    return false;
}

/* Length of the prefix (r, u, b, br…) of a string literal that starts here; -1 when none does. */
static int string_prefix(struct parser *parser, bool *raw) {
    size_t length = 0;
    *raw = false;
    skip_blanks(parser);
    for (; length < 3; length++) {
        size_t at = parser->at + length;
        char c = at < parser->text.length ? parser->text.data[at] : '\0';
        if (c == '\'' || c == '"') return (int)length;
        c = strata_lower(c);
        if (c != 'r' && c != 'u' && c != 'b') return -1;
        *raw = *raw || c == 'r';
    }
    return -1;
}

/* Adjacent literals are one string. */
static json_t *parse_string(struct parser *parser) {
    struct strata_buffer text = {0};
    bool raw;
    for (int prefix = string_prefix(parser, &raw); prefix >= 0; prefix = string_prefix(parser, &raw)) {
        parser->at += (size_t)prefix;
        if (!parse_quoted(parser, &text, raw)) {
            strata_buffer_free(&text);
            return trouble(parser, SYNTAX);
        }
    }
    json_t *value = json_stringn(strata_buffer_string(&text), text.length);
    strata_buffer_free(&text);
    return value ? value : trouble(parser, SYNTAX); /* not UTF-8, which Python's own text cannot be */
}

/* ---- other atoms ---- */

static bool radix_integer(struct strata_span word, json_t **out) {
    char *end;
    if (word.length < 3 || word.length > 17 || word.data[0] != '0') return false;
    char kind = strata_lower(word.data[1]), digits[20] = {0};
    int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    memcpy(digits, word.data + 2, word.length - 2);
    if (!base) return false;
    unsigned long long value = strtoull(digits, &end, base);
    if (*end) return false;
    *out = json_integer((json_int_t)value);
    return true;
}

/* A number that JSON has not: only its text is kept. */
static json_t *opaque(const char *text) {
    return json_pack("{s:s}", "text", text);
}

static json_t *parse_number(struct parser *parser) {
    size_t end = parser->at;
    while (end < parser->text.length) {
        char c = parser->text.data[end], before = end ? parser->text.data[end - 1] : '\0';
        bool sign = (c == '+' || c == '-') && (before == 'e' || before == 'E');
        if (!word_byte(c) && c != '.' && !sign) break;
        end++;
    }
    struct strata_span word = strata_span_sub(parser->text, parser->at, end);
    struct strata_buffer digits = {0};
    json_t *value = NULL;
    double real;
    parser->at = end;
    if (radix_integer(word, &value)) return value;
    if (strata_python_int(&digits, word)) {
        bool padded = word.data[0] == '0' && strata_buffer_string(&digits)[0] != '0'; /* 007; but 00 is fine */
        errno = 0;
        long long whole = strtoll(strata_buffer_string(&digits), NULL, 10);
        if (!padded) value = errno ? opaque(strata_buffer_string(&digits)) : json_integer(whole);
    } else if (strata_python_float(&real, word)) {
        value = isinf(real) ? opaque("inf") : json_real(real);
    }
    strata_buffer_free(&digits);
    return value ? value : trouble(parser, SYNTAX);
}

/* What may follow an item: the value of a dictionary's key, the clauses of a comprehension. Only their syntax counts.
 */
static bool pass_item_tail(struct parser *parser, const char *close) {
    if (*close == '}' && accept(parser, ":")) {
        json_t *value = parse_expression(parser);
        if (!value) return false;
        json_decref(value);
    }
    while (accept_word(parser, "for") || (parser->names && accept_word(parser, "if"))) {
        json_t *clause = parse_expression(parser);
        if (!clause) return false;
        json_decref(clause);
        parser->names = true;
    }
    return true;
}

/* Items up to the closing bracket; *comma says that there was a comma (a tuple). Of a dictionary, the keys. */
static json_t *parse_items(struct parser *parser, const char *close, bool *comma) {
    json_t *items = json_array();
    *comma = false;
    if (!items) return trouble(parser, MEMORY);
    while (!accept(parser, close)) {
        json_t *item = parse_expression(parser);
        if (!item || json_array_append_new(items, item) || !pass_item_tail(parser, close)) break;
        if (accept(parser, ",")) {
            *comma = true;
        } else if (accept(parser, close)) {
            return items;
        } else {
            trouble(parser, SYNTAX);
            break;
        }
    }
    if (!parser->trouble) return items;
    json_decref(items);
    return NULL;
}

static json_t *parse_bracket(struct parser *parser) {
    char open = peek(parser);
    bool comma;
    if (++parser->depth > DEPTH_MOST) return trouble(parser, SYNTAX);
    parser->at++;
    json_t *items = parse_items(parser, open == '[' ? "]" : open == '(' ? ")" : "}", &comma);
    parser->depth--;
    if (!items || open == '[' || comma || json_array_size(items) == 0) return items;
    json_t *only = json_incref(json_array_get(items, 0)); /* (x) is x, {x} a set of it */
    if (open == '{') {
        json_decref(only);
        return items;
    }
    json_decref(items);
    return only;
}

static bool keyword(struct strata_span word) {
    static const char *const words[] = {
        "and",      "as",     "assert",  "async", "await", "break",  "class", "continue", "def",  "del",  "elif",
        "else",     "except", "finally", "for",   "from",  "global", "if",    "import",   "in",   "is",   "lambda",
        "nonlocal", "not",    "or",      "pass",  "raise", "return", "try",   "while",    "with", "yield"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strata_span_is(word, words[i])) return true;
    }
    return false;
}

/* A name may hold letters, marks and digits of any script, but no other signs. */
static bool name_letters(struct strata_span word) {
    for (size_t at = 0; at < word.length;) {
        int32_t code;
        at += strata_utf8_next(&code, word.data + at, word.length - at);
        utf8proc_category_t category = code < 0x80 ? UTF8PROC_CATEGORY_LL : utf8proc_category(code);
        bool good = (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_MC) ||
                    category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                    category == UTF8PROC_CATEGORY_PC;
        if (!good) return false;
    }
    return true;
}

static json_t *parse_atom(struct parser *parser) {
    bool raw;
    if (string_prefix(parser, &raw) >= 0) return parse_string(parser);
    char c = peek(parser), next = parser->at + 1 < parser->text.length ? parser->text.data[parser->at + 1] : '\0';
    if (c == '[' || c == '(' || c == '{') return parse_bracket(parser);
    if (strata_is_digit(c) || (c == '.' && strata_is_digit(next))) return parse_number(parser);
    struct strata_span word = peek_word(parser);
    if (!word.length || keyword(word)) return trouble(parser, SYNTAX);
    if (!name_letters(word)) return trouble(parser, SYNTAX);
    parser->at += word.length;
    if (strata_span_is(word, "None")) return json_null();
    if (strata_span_is(word, "True")) return json_true();
    if (strata_span_is(word, "False")) return json_false();
    parser->names = true;
    return json_null();
}

/* ---- operators: only the syntax counts ---- */

/* An operation on `value`: what it gives is never needed. */
static json_t *operation(struct parser *parser, json_t *value) {
    json_decref(value);
    parser->operations = true;
    return json_null();
}

static json_t *parse_postfix(struct parser *parser) {
    json_t *value = parse_atom(parser);
    while (value) {
        bool comma;
        skip_blanks(parser);
        char c = peek(parser);
        if (c == '.') {
            parser->at++;
            struct strata_span word = peek_word(parser);
            if (!word.length || strata_is_digit(word.data[0]) || keyword(word)) {
                json_decref(value);
                return trouble(parser, SYNTAX);
            }
            parser->at += word.length;
        } else if (c == '(' || c == '[') {
            if (++parser->depth > DEPTH_MOST) {
                json_decref(value);
                return trouble(parser, SYNTAX);
            }
            parser->at++;
            json_t *items = parse_items(parser, c == '(' ? ")" : "]", &comma);
            parser->depth--;
            if (!items || (c == '[' && json_array_size(items) == 0)) {
                json_decref(items);
                json_decref(value);
                return trouble(parser, SYNTAX);
            }
            json_decref(items);
        } else {
            break;
        }
        value = operation(parser, value);
    }
    return value;
}

static json_t *parse_unary(struct parser *parser) {
    if (accept_word(parser, "not") || accept(parser, "~")) {
        json_t *value = parse_unary(parser);
        return value ? operation(parser, value) : NULL;
    }
    bool minus = accept(parser, "-");
    if (!minus && !accept(parser, "+")) return parse_postfix(parser);
    json_t *value = parse_unary(parser);
    if (!value || !json_is_number(value)) return value ? operation(parser, value) : NULL;
    if (!minus) return value;
    json_t *negated =
        json_is_integer(value) ? json_integer(-json_integer_value(value)) : json_real(-json_real_value(value));
    json_decref(value);
    return negated ? negated : trouble(parser, MEMORY);
}

static bool accept_operator(struct parser *parser) {
    static const char *const symbols[] = {"**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+", "-",
                                          "*",  "/",  "%",  "@",  "&",  "|",  "^",  "<",  ">"};
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        if (accept(parser, symbols[i])) return true;
    }
    if (accept_word(parser, "not")) return accept_word(parser, "in") || (trouble(parser, SYNTAX), false);
    if (accept_word(parser, "is")) return accept_word(parser, "not") || true;
    return accept_word(parser, "and") || accept_word(parser, "or") || accept_word(parser, "in");
}

static json_t *parse_expression(struct parser *parser) {
    json_t *value = parse_unary(parser);
    while (value && accept_operator(parser)) {
        json_t *right = parse_unary(parser);
        json_decref(value);
        value = right ? operation(parser, right) : NULL;
    }
    if (value && !parser->trouble && accept_word(parser, "if")) {
        json_t *condition = parse_expression(parser);
        json_decref(value);
        value = condition && accept_word(parser, "else") ? parse_expression(parser) : trouble(parser, SYNTAX);
        json_decref(condition);
        if (value) value = operation(parser, value);
    }
    if (value && parser->trouble) {
        json_decref(value);
        return NULL;
    }
    return value;
}

/* The whole text: an expression, or several with commas (a tuple). */
static json_t *parse_all(struct parser *parser) {
    while (peek(parser) == ' ' || peek(parser) == '\t') parser->at++; /* eval() strips these */
    json_t *value = parse_expression(parser);
    if (value && accept(parser, ",")) {
        json_t *items = json_array();
        if (!items || json_array_append_new(items, value)) {
            json_decref(items);
            return trouble(parser, MEMORY);
        }
        value = items;
        for (skip_blanks(parser); parser->at < parser->text.length; skip_blanks(parser)) {
            json_t *item = parse_expression(parser);
            if (!item || json_array_append_new(items, item)) break;
            if (!accept(parser, ",")) break;
        }
    }
    while (peek(parser) == ' ' || peek(parser) == '\t' || peek(parser) == '\n' || peek(parser) == '\r') parser->at++;
    if (value && !parser->trouble && parser->at == parser->text.length) return value;
    json_decref(value);
    return trouble(parser, SYNTAX);
}

int strata_python_eval(json_t **out, struct strata_span text, struct strata_error *err) {
    struct parser parser = {.text = text};
    int shown = text.length > 80 ? 80 : (int)text.length;
    *out = parse_all(&parser);
    if (parser.trouble == MEMORY) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    if (!*out)
        return strata_fail(err, STRATA_ERR_INPUT, "SyntaxError: \"%.*s\" is no Python literal", shown, text.data);
    if (!parser.names && !parser.operations) return 0;
    json_decref(*out);
    *out = NULL;
    return strata_fail(err, STRATA_ERR_INPUT, "%s: \"%.*s\" is an expression, not a literal",
                       parser.names ? "NameError" : "TypeError", shown, text.data);
}
