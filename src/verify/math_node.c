#include "verify/math.h"

#include "verify/decimal.h"

struct math_node *strata_math_make(struct strata_arena *arena, enum math_op op, uint32_t count) {
    struct math_node *node = strata_arena_take(arena, sizeof *node);
    if (!node) return NULL;
    node->op = op;
    node->count = count;
    if (count) {
        node->kids = strata_arena_take(arena, count * sizeof(struct math_node *));
        if (!node->kids) return NULL;
    }
    return node;
}

struct math_node *strata_math_make1(struct strata_arena *arena, enum math_op op, struct math_node *a) {
    struct math_node *node = a ? strata_math_make(arena, op, 1) : NULL;
    if (node) node->kids[0] = a;
    return node;
}

struct math_node *strata_math_make2(struct strata_arena *arena, enum math_op op, struct math_node *a,
                                    struct math_node *b) {
    struct math_node *node = a && b ? strata_math_make(arena, op, 2) : NULL;
    if (!node) return NULL;
    node->kids[0] = a;
    node->kids[1] = b;
    return node;
}

static bool keep_limbs(const mp_limb_t **limbs, int *size, struct strata_arena *arena, const mpz_t value) {
    size_t count = mpz_size(value);
    *size = mpz_sgn(value) < 0 ? -(int)count : (int)count;
    *limbs = strata_arena_copy(arena, mpz_limbs_read(value), count * sizeof(mp_limb_t));
    return *limbs != NULL;
}

struct math_node *strata_math_make_rational(struct strata_arena *arena, const mpq_t value) {
    struct math_node *node = strata_math_make(arena, MATH_NUMBER, 0);
    if (!node || !keep_limbs(&node->numerator, &node->numerator_size, arena, mpq_numref(value)) ||
        !keep_limbs(&node->denominator, &node->denominator_size, arena, mpq_denref(value))) {
        return NULL;
    }
    return node;
}

struct math_node *strata_math_make_integer(struct strata_arena *arena, long value) {
    mpq_t number;
    mpq_init(number);
    mpq_set_si(number, value, 1);
    struct math_node *node = strata_math_make_rational(arena, number);
    mpq_clear(number);
    return node;
}

struct math_node *strata_math_make_symbol(struct strata_arena *arena, struct strata_span name, bool not_real) {
    struct math_node *node = strata_math_make(arena, MATH_SYMBOL, 0);
    if (!node) return NULL;
    node->name = name;
    node->not_real = not_real;
    return node;
}

struct math_node *strata_math_make_decimal(struct strata_arena *arena, struct strata_span text) {
    mpq_t number;
    struct math_node *node = NULL;
    mpq_init(number);
    if (strata_decimal_to_rational(number, text)) node = strata_math_make_rational(arena, number);
    mpq_clear(number);
    if (!node) return NULL;
    bool point = false, leading = true;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (c == 'e' || c == 'E') point = true;
        if (c == 'e' || c == 'E') break;
        if (c == '.') point = true;
        if (!strata_is_digit(c)) continue;
        if (c != '0') leading = false;
        if (!leading) node->digits++;
        if (point) node->decimals++;
    }
    if (point) node->op = MATH_FLOAT;
    return node;
}

void strata_math_rational(mpq_t out, const struct math_node *number) {
    mpz_t part;
    mpz_set(mpq_numref(out), mpz_roinit_n(part, number->numerator, number->numerator_size));
    mpz_set(mpq_denref(out), mpz_roinit_n(part, number->denominator, number->denominator_size));
}

bool strata_math_is_number(const struct math_node *node) {
    return node->op == MATH_NUMBER || node->op == MATH_FLOAT;
}

bool strata_math_is_integer(const struct math_node *node) {
    return node->op == MATH_NUMBER && node->denominator_size == 1 && node->denominator[0] == 1;
}

/* A sum or product of a's and b's parts, where they are one already. */
static struct math_node *join(struct strata_arena *arena, enum math_op op, struct math_node *a, struct math_node *b) {
    if (!a || !b) return NULL;
    uint32_t left = a->op == op ? a->count : 1, right = b->op == op ? b->count : 1;
    if (left + right > MATH_MAX_TOKENS) return NULL;
    struct math_node *node = strata_math_make(arena, op, left + right);
    if (!node) return NULL;
    for (uint32_t i = 0; i < left; i++) node->kids[i] = a->op == op ? a->kids[i] : a;
    for (uint32_t i = 0; i < right; i++) node->kids[left + i] = b->op == op ? b->kids[i] : b;
    return node;
}

struct math_node *strata_math_add(struct strata_arena *arena, struct math_node *a, struct math_node *b) {
    return join(arena, MATH_ADD, a, b);
}
struct math_node *strata_math_mul(struct strata_arena *arena, struct math_node *a, struct math_node *b) {
    return join(arena, MATH_MUL, a, b);
}

struct math_node *strata_math_negate(struct strata_arena *arena, struct math_node *a) {
    if (!a) return NULL;
    if (strata_math_is_number(a)) {
        struct math_node *node = strata_arena_copy(arena, a, sizeof *a);
        if (node) node->numerator_size = -a->numerator_size;
        return node;
    }
    if (a->op == MATH_INFINITY) {
        struct math_node *node = strata_arena_copy(arena, a, sizeof *a);
        if (node) node->sign = -a->sign;
        return node;
    }
    return strata_math_mul(arena, strata_math_make_integer(arena, -1), a);
}

struct math_node *strata_math_div(struct strata_arena *arena, struct math_node *a, struct math_node *b) {
    if (!a || !b) return NULL;
    if (!strata_math_is_integer(a) || !strata_math_is_integer(b)) {
        return strata_math_make2(arena, MATH_MUL, a,
                                 strata_math_make2(arena, MATH_POW, b, strata_math_make_integer(arena, -1)));
    }
    if (b->numerator_size == 0) return strata_math_make(arena, MATH_UNDEFINED, 0);
    mpq_t left, right;
    mpq_inits(left, right, NULL);
    strata_math_rational(left, a);
    strata_math_rational(right, b);
    mpq_div(left, left, right);
    struct math_node *node = strata_math_make_rational(arena, left);
    mpq_clears(left, right, NULL);
    return node;
}

struct math_node *strata_math_percent(struct strata_arena *arena, struct math_node *a) {
    struct math_node *hundredth =
        strata_math_div(arena, strata_math_make_integer(arena, 1), strata_math_make_integer(arena, 100));
    struct math_node *node = strata_math_make2(arena, MATH_MUL, a, hundredth);
    if (node) node->percent = true;
    return node;
}

struct math_node *strata_math_beside(struct strata_arena *arena, struct math_node *a, struct math_node *b) {
    if (!a || !b) return NULL;
    if (!strata_math_is_integer(a) || b->op != MATH_NUMBER || b->numerator_size <= 0)
        return strata_math_mul(arena, a, b);
    mpq_t whole, part;
    mpq_inits(whole, part, NULL);
    strata_math_rational(whole, a);
    strata_math_rational(part, b);
    if (mpq_sgn(whole) < 0)
        mpq_sub(whole, whole, part);
    else
        mpq_add(whole, whole, part);
    struct math_node *node = strata_math_make_rational(arena, whole);
    mpq_clears(whole, part, NULL);
    return node;
}

static bool same_number(const struct math_node *a, const struct math_node *b) {
    size_t n = (size_t)(a->numerator_size < 0 ? -a->numerator_size : a->numerator_size),
           d = (size_t)a->denominator_size;
    return a->numerator_size == b->numerator_size && a->denominator_size == b->denominator_size &&
           !memcmp(a->numerator, b->numerator, n * sizeof(mp_limb_t)) &&
           !memcmp(a->denominator, b->denominator, d * sizeof(mp_limb_t));
}

static bool same_name(struct strata_span a, struct strata_span b) {
    return a.length == b.length && (!a.length || !memcmp(a.data, b.data, a.length));
}

bool strata_math_same(const struct math_node *a, const struct math_node *b) {
    if (a == b) return true;
    if (a->op != b->op || a->count != b->count || a->relation != b->relation || a->open != b->open ||
        a->sign != b->sign || a->rows != b->rows || a->not_real != b->not_real || !same_name(a->name, b->name)) {
        return false;
    }
    if (strata_math_is_number(a) && !same_number(a, b)) return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!strata_math_same(a->kids[i], b->kids[i])) return false;
    }
    return true;
}

/* The printed form of a number or name, as far as two of them can coincide. */
static size_t print_plain(char *out, size_t room, const struct math_node *node) {
    if (node->op == MATH_SYMBOL && node->name.length < room) {
        memcpy(out, node->name.data, node->name.length);
        return node->name.length;
    }
    if (node->op == MATH_PI || node->op == MATH_E || node->op == MATH_I) {
        size_t length = node->op == MATH_PI ? 2 : 1;
        memcpy(out, node->op == MATH_PI ? "pi" : node->op == MATH_E ? "E" : "I", length);
        return length;
    }
    if (node->op != MATH_NUMBER || node->numerator_size > 8 || node->numerator_size < -8 || node->denominator_size > 8)
        return 0;
    mpq_t value;
    mpq_init(value);
    strata_math_rational(value, node);
    size_t length = 0;
    if (mpz_sizeinbase(mpq_numref(value), 10) + mpz_sizeinbase(mpq_denref(value), 10) + 3 < room) {
        mpq_get_str(out, 10, value);
        length = strlen(out);
    }
    mpq_clear(value);
    return length;
}

bool strata_math_same_text(const struct math_node *a, const struct math_node *b) {
    char left[400], right[400];
    size_t n = print_plain(left, sizeof left, a), m = print_plain(right, sizeof right, b);
    return n && n == m && !memcmp(left, right, n);
}

bool strata_math_only_symbols(const struct math_node *node) {
    if (node->op == MATH_SYMBOL) return true;
    if (node->op == MATH_DERIVATIVE) return false; /* its order is a number */
    /* 1/x stands for x's reciprocal: the exponent -1 is no number of its own */
    if (node->op == MATH_POW && node->kids[1]->op == MATH_NUMBER && strata_math_is_integer(node->kids[1]) &&
        node->kids[1]->numerator_size == -1 && node->kids[1]->numerator[0] == 1) {
        const struct math_node *base = node->kids[0];
        if (base->op == MATH_SYMBOL) return true;
        for (uint32_t i = 0; i < base->count; i++) {
            if (!strata_math_only_symbols(base->kids[i])) return false;
        }
        return base->count > 0;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (!strata_math_only_symbols(node->kids[i])) return false;
    }
    return node->count > 0;
}

bool strata_math_has_symbol(const struct math_node *node) {
    if (node->op == MATH_SYMBOL || node->op == MATH_CALL) return true;
    for (uint32_t i = 0; i < node->count; i++) {
        if (strata_math_has_symbol(node->kids[i])) return true;
    }
    return false;
}

bool strata_math_has_float(const struct math_node *node) {
    if (node->op == MATH_FLOAT) return true;
    for (uint32_t i = 0; i < node->count; i++) {
        if (strata_math_has_float(node->kids[i])) return true;
    }
    return false;
}
