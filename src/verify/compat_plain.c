#include "verify/compat_plain.h"

static int32_t point(struct strata_points text, size_t i) {
    return i < text.length ? text.data[i] : -1;
}
static bool is_digit(struct strata_points text, size_t i) {
    return i < text.length && strata_point_digit(text.data[i]);
}

static bool is_operator(int32_t c) {
    return c == '+' || c == '-' || c == '*' || c == 0xd7 || c == '/' || c == '^' || c == '(' || c == ')' || c == 0xf7;
}
static bool is_expression_point(int32_t c) {
    return c == '.' || is_operator(c) || (c >= 0 && (strata_point_digit(c) || strata_utf8_space(c)));
}

static const int32_t currencies[] = {'$',    0x20ac, 0xa3,   0xa5,   0x20b9, 0x20bd, 0x20aa, 0x20a9, 0x20ab,
                                     0xe3f,  0x20a1, 0x20a2, 0x20a3, 0x20a4, 0x20a5, 0x20a6, 0x20a7, 0x20a8,
                                     0x20ad, 0x20ae, 0x20af, 0x20b0, 0x20b1, 0x20b2, 0x20b3, 0x20b4, 0x20b5,
                                     0x20b6, 0x20b7, 0x20b8, 0x20ba, 0x20bb, 0x20bc, 0x20be, 0x20bf, '\\'};

static bool is_currency(int32_t c) {
    /* re.escape puts a backslash before the dollar sign: inside the class it escapes, and is no member */
    for (size_t k = 0; k + 1 < sizeof currencies / sizeof *currencies; k++) {
        if (currencies[k] == c) return true;
    }
    return false;
}

/* The anchor's variants at `at`, in the order in which they are tried: where the thing itself may begin. */
static size_t anchors(size_t out[4], struct strata_points text, size_t at) {
    size_t count = 0;
    for (int turn = 0; turn < 2; turn++) {
        size_t begin = at;
        if (turn == 0) {
            if (at) continue;
        } else {
            if (at >= text.length || !(text.data[at] == '=' || strata_utf8_space(text.data[at]))) continue;
            begin++;
        }
        if (strata_points_at(text, begin, "**")) out[count++] = begin + 2;
        out[count++] = begin;
    }
    return count;
}

/* The suffix that an expression needs: where the match ends, or STRATA_NOT_FOUND. `stars` of two variants. */
static size_t suffix(struct strata_points text, size_t at, bool stars) {
    if (stars) {
        if (!strata_points_at(text, at, "**")) return STRATA_NOT_FOUND;
        at += 2;
    }
    int32_t c = point(text, at);
    if (c == '.' || c == ',' || c == ':' || c == ')' || c == '$' || (c >= 0 && strata_utf8_space(c))) return at + 1;
    return at == text.length ? at : STRATA_NOT_FOUND;
}

/* The run of expression points from `at`, and the first operator in it. */
static struct strata_plain_run read_run(struct strata_points text, size_t at, struct strata_plain_run *memo) {
    if (memo && at >= memo->begin && at <= (memo->first_operator < memo->end ? memo->first_operator : memo->end) &&
        memo->end > memo->begin) {
        return *memo;
    }
    struct strata_plain_run run = {at, STRATA_NOT_FOUND, at};
    for (; run.end < text.length && is_expression_point(text.data[run.end]); run.end++) {
        if (run.first_operator == STRATA_NOT_FOUND && is_operator(text.data[run.end])) run.first_operator = run.end;
    }
    if (memo) *memo = run;
    return run;
}

static bool expression_from(struct strata_match *out, struct strata_points text, size_t begin, strata_follow *follow,
                            struct strata_plain_run *memo) {
    size_t i = begin;
    if (point(text, i) == '-') i++;
    if (point(text, i) == '(') i++;
    if (point(text, i) == '-') i++;
    if (!is_digit(text, i)) return false;
    const struct strata_plain_run run = read_run(text, i + 1, memo);
    if (run.first_operator == STRATA_NOT_FOUND) return false;
    for (size_t stop = run.end; stop >= run.first_operator + 2; stop--) {
        for (int parenthesis = 1; parenthesis >= 0; parenthesis--) {
            if (parenthesis && point(text, stop) != ')') continue;
            size_t close = stop + (size_t)parenthesis;
            for (int stars = 1; stars >= 0; stars--) {
                size_t behind = suffix(text, close, stars);
                if (behind == STRATA_NOT_FOUND || (follow && !follow(text, behind))) continue;
                out->kind = STRATA_MATCH_EXPRESSION;
                out->segment_count = 1;
                out->segments[0].begin = begin;
                out->segments[0].end = close;
                out->end = behind;
                return true;
            }
        }
    }
    return false;
}

bool strata_plain_expression(struct strata_match *out, struct strata_points text, size_t at, strata_follow *follow,
                             struct strata_plain_run *memo) {
    size_t begins[4], count = anchors(begins, text, at);
    for (size_t k = 0; k < count; k++) {
        if (expression_from(out, text, begins[k], follow, memo)) return true;
    }
    return false;
}

/* The number is settled up to the percent word behind it. */
static bool close_number(struct strata_match *out, struct strata_points text, size_t whole_begin, size_t whole_end,
                         size_t decimal_end, strata_follow *follow) {
    static const char *const words[] = {"%", "Percent", "percent", "Pct", "pct"};
    size_t i = decimal_end;
    while (i < text.length && strata_utf8_space(text.data[i])) i++;
    for (size_t k = 0; k <= sizeof words / sizeof *words; k++) {
        bool percent = k < sizeof words / sizeof *words;
        if (percent && !strata_points_at(text, i, words[k])) continue;
        size_t end = percent ? i + strlen(words[k]) : decimal_end;
        if (follow && !follow(text, end)) continue;
        out->kind = STRATA_MATCH_NUMBER;
        out->whole_begin = whole_begin;
        out->whole_end = whole_end;
        out->decimal_begin = whole_end;
        out->decimal_end = decimal_end;
        out->percent = percent;
        out->end = end;
        return true;
    }
    return false;
}

/* All lengths of the decimals behind whole_end, longest first; then none when `optional`. */
static bool with_decimals(struct strata_match *out, struct strata_points text, size_t begin, size_t whole_end,
                          bool comma, bool optional, strata_follow *follow) {
    bool mark = point(text, whole_end) == '.' || (comma && point(text, whole_end) == ',');
    if (mark) {
        size_t end = whole_end + 1;
        while (is_digit(text, end)) end++;
        for (; end > whole_end + 1; end--) {
            if (close_number(out, text, begin, whole_end, end, follow)) return true;
            if (!follow) break;
        }
    }
    return optional && close_number(out, text, begin, whole_end, whole_end, follow);
}

/* 1,234,567.8: up to three digits, the first no zero, then groups of three behind commas or blanks. */
static bool grouped(struct strata_match *out, struct strata_points text, size_t begin, strata_follow *follow) {
    size_t i = begin + (point(text, begin) == '-');
    if (point(text, i) < '1' || point(text, i) > '9') return false;
    size_t longest = 0;
    while (longest < 2 && is_digit(text, i + 1 + longest)) longest++;
    for (size_t digits = longest + 1; digits-- > 0;) {
        size_t first = i + 1 + digits, end = first;
        while ((point(text, end) == ' ' || point(text, end) == ',') && is_digit(text, end + 1) &&
               is_digit(text, end + 2) && is_digit(text, end + 3)) {
            end += 4;
        }
        for (; end > first; end -= 4) {
            if (with_decimals(out, text, begin, end, false, true, follow)) return true;
        }
    }
    return false;
}

static bool number_from(struct strata_match *out, struct strata_points text, size_t begin, strata_follow *follow) {
    if (begin && is_digit(text, begin - 1)) return false;
    if (grouped(out, text, begin, follow)) return true;
    size_t i = begin + (point(text, begin) == '-'), end = i;
    while (is_digit(text, end)) end++;
    if (end > i) { /* digits, a point or comma, digits: fewer whole digits cannot be followed by the mark */
        if (with_decimals(out, text, begin, end, true, false, follow)) return true;
    }
    if (point(text, begin) == '.' && is_digit(text, begin + 1)) {
        if (with_decimals(out, text, begin, begin, false, false, follow)) return true;
    }
    for (; end > i; end--) {
        if (close_number(out, text, begin, end, end, follow)) return true;
        if (!follow) break;
    }
    return false;
}

bool strata_plain_number(struct strata_match *out, struct strata_points text, size_t at, strata_follow *follow) {
    size_t begins[4], count = anchors(begins, text, at);
    for (size_t k = 0; k < count; k++) {
        if (is_currency(point(text, begins[k])) && number_from(out, text, begins[k] + 1, follow)) return true;
        if (number_from(out, text, begins[k], follow)) return true;
    }
    return false;
}

bool strata_plain_match(struct strata_match *out, struct strata_points text, size_t at, strata_follow *follow) {
    return strata_plain_expression(out, text, at, follow, NULL) || strata_plain_number(out, text, at, follow);
}

struct python {
    struct strata_arena *arena;
    struct strata_span text;
    size_t at;
    int depth;
};

static struct math_node *sum(struct python *p);

static char look(struct python *p) {
    while (p->at < p->text.length && strata_is_space(p->text.data[p->at])) p->at++;
    return p->at < p->text.length ? p->text.data[p->at] : '\0';
}
static bool looks_power(struct python *p) {
    return look(p) == '^' || strata_span_at(p->text, p->at, "**");
}

/* A number as Python's tokenizer takes it: no leading zeros on integers, 1. and .5 are floats. */
static struct math_node *number(struct python *p) {
    size_t begin = p->at, whole;
    while (p->at < p->text.length && strata_is_digit(p->text.data[p->at])) p->at++;
    whole = p->at - begin;
    bool point_found = p->at < p->text.length && p->text.data[p->at] == '.';
    if (point_found) {
        for (p->at++; p->at < p->text.length && strata_is_digit(p->text.data[p->at]);) p->at++;
    }
    if (!whole && p->at - begin < 2) return NULL;
    if (!point_found && whole > 1 && p->text.data[begin] == '0') {
        for (size_t i = begin; i < p->at; i++) {
            if (p->text.data[i] != '0') return NULL;
        }
    }
    if (p->at < p->text.length && (strata_is_digit(p->text.data[p->at]) || p->text.data[p->at] == '.')) return NULL;
    return strata_math_make_decimal(p->arena, strata_span_sub(p->text, begin, p->at));
}

static struct math_node *primary(struct python *p) {
    if (look(p) != '(') return strata_is_digit(look(p)) || look(p) == '.' ? number(p) : NULL;
    if (p->depth >= MATH_MAX_DEPTH) return NULL;
    p->at++;
    p->depth++;
    struct math_node *inner = sum(p);
    p->depth--;
    if (!inner || look(p) != ')') return NULL;
    p->at++;
    return inner;
}

/* Power binds tighter than the sign in front of it, and takes a signed exponent. */
static struct math_node *factor(struct python *p) {
    if (look(p) == '-' || look(p) == '+') {
        bool minus = look(p) == '-';
        if (p->depth >= MATH_MAX_DEPTH) return NULL;
        p->at++;
        p->depth++;
        struct math_node *inner = factor(p);
        p->depth--;
        return minus ? strata_math_negate(p->arena, inner) : inner;
    }
    struct math_node *base = primary(p);
    if (!base || !looks_power(p)) return base;
    p->at += look(p) == '^' ? 1 : 2;
    if (p->depth >= MATH_MAX_DEPTH) return NULL;
    p->depth++;
    struct math_node *exponent = factor(p);
    p->depth--;
    return strata_math_make2(p->arena, MATH_POW, base, exponent);
}

static struct math_node *product(struct python *p) {
    struct math_node *left = factor(p);
    while (left && (look(p) == '*' || look(p) == '/') && !looks_power(p)) {
        bool times = p->text.data[p->at++] == '*';
        bool floor = !times && p->at < p->text.length && p->text.data[p->at] == '/';
        if (floor) p->at++;
        struct math_node *right = factor(p);
        if (times)
            left = strata_math_mul(p->arena, left, right);
        else if (right) { /* kept as a product: 1/2 is no number of its own here */
            left =
                strata_math_make2(p->arena, MATH_MUL, left,
                                  strata_math_make2(p->arena, MATH_POW, right, strata_math_make_integer(p->arena, -1)));
        } else
            left = NULL;
        if (floor) left = strata_math_make1(p->arena, MATH_FLOOR, left);
    }
    return left;
}

static struct math_node *sum(struct python *p) {
    struct math_node *left = product(p);
    while (left && (look(p) == '+' || look(p) == '-')) {
        bool minus = p->text.data[p->at++] == '-';
        struct math_node *right = product(p);
        left = strata_math_add(p->arena, left, minus ? strata_math_negate(p->arena, right) : right);
    }
    return left;
}

struct math_node *strata_python_expression(struct strata_arena *arena, struct strata_span text) {
    struct python p = {.arena = arena, .text = strata_span_trim(text)};
    struct math_node *node = sum(&p);
    return node && look(&p) == '\0' && p.at == p.text.length ? node : NULL;
}
