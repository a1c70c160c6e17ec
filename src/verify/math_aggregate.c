/* Finite sums and products, integrals, limits, derivatives, determinants: by number. */
#include "verify/math_value.h"

#define RND       MPFR_RNDN
#define MAX_TERMS 20000

/* Binds the variable for the evaluations that follow; the value is the caller's to set. */
static struct math_complex *bind(struct math_evaluator *evaluator, const struct math_node *variable) {
    if (evaluator->bound == MATH_MAX_BINDINGS) return NULL;
    struct math_binding *binding = &evaluator->bindings[evaluator->bound];
    binding->name = variable->name;
    binding->not_real = variable->not_real;
    if (!strata_math_complex_init(&binding->value, evaluator)) return NULL;
    evaluator->bound++;
    return &binding->value;
}

static bool sum(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex from, to, term, *variable;
    if (!strata_math_complex_init(&from, evaluator) || !strata_math_complex_init(&to, evaluator) ||
        !strata_math_complex_init(&term, evaluator) || !strata_math_evaluate(&from, node->kids[2], evaluator) ||
        !strata_math_evaluate(&to, node->kids[3], evaluator) || !mpfr_integer_p(from.re) || !mpfr_integer_p(to.re) ||
        mpfr_cmpabs_ui(from.re, 1000000) > 0 || mpfr_cmpabs_ui(to.re, 1000000) > 0) {
        return false;
    }
    long first = mpfr_get_si(from.re, RND), last = mpfr_get_si(to.re, RND);
    if (last - first > MAX_TERMS || !(variable = bind(evaluator, node->kids[1]))) return false;
    bool good = true;
    mpfr_set_ui(out->re, node->op == MATH_SUM ? 0 : 1, RND);
    mpfr_set_zero(out->im, 1);
    for (long k = first; good && k <= last; k++) {
        mpfr_set_si(variable->re, k, RND);
        good = strata_math_evaluate(&term, node->kids[0], evaluator);
        if (node->op == MATH_SUM) {
            mpfr_add(out->re, out->re, term.re, RND);
            mpfr_add(out->im, out->im, term.im, RND);
            if (mpfr_regular_p(term.re) && mpfr_get_exp(term.re) > evaluator->scale)
                evaluator->scale = mpfr_get_exp(term.re);
        } else {
            strata_math_multiply(out, out, &term, evaluator);
        }
    }
    evaluator->bound--;
    return good;
}

/* The double-exponential rule (Takahasi and Mori 1974) on [a, b]; nodes t = k/16, |t| <= 3.6. */
static bool quadrature(struct math_complex *out, const struct math_node *body, struct math_complex *variable,
                       const mpfr_t low, const mpfr_t high, struct math_evaluator *evaluator) {
    struct math_complex middle, half, t, weight, value, shift;
    struct math_complex *all[] = {&middle, &half, &t, &weight, &value, &shift};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        if (!strata_math_complex_init(all[k], evaluator)) return false;
    }
    mpfr_add(middle.re, low, high, RND);
    mpfr_div_2ui(middle.re, middle.re, 1, RND);
    mpfr_sub(half.re, high, low, RND);
    mpfr_div_2ui(half.re, half.re, 1, RND);
    mpfr_set_zero(out->re, 1);
    mpfr_set_zero(out->im, 1);
    for (long k = -58; k <= 58; k++) {
        if (!strata_math_spend(evaluator->context, 60)) return false;
        mpfr_set_si(t.re, k, RND);
        mpfr_div_2ui(t.re, t.re, 4, RND);
        mpfr_sinh_cosh(t.im, t.re, t.re, RND); /* im = sinh t, re = cosh t */
        mpfr_const_pi(weight.im, RND);
        mpfr_div_2ui(weight.im, weight.im, 1, RND);
        mpfr_mul(t.im, t.im, weight.im, RND); /* pi/2 sinh t */
        mpfr_mul(weight.re, t.re, weight.im, RND);
        mpfr_cosh(t.re, t.im, RND);
        mpfr_sqr(t.re, t.re, RND);
        mpfr_div(weight.re, weight.re, t.re, RND);
        mpfr_tanh(shift.re, t.im, RND);
        mpfr_mul(shift.re, shift.re, half.re, RND);
        mpfr_add(variable->re, middle.re, shift.re, RND);
        if (mpfr_lessequal_p(variable->re, low) || mpfr_greaterequal_p(variable->re, high)) continue;
        if (!strata_math_evaluate(&value, body, evaluator)) return false;
        mpfr_mul(value.re, value.re, weight.re, RND);
        mpfr_mul(value.im, value.im, weight.re, RND);
        mpfr_add(out->re, out->re, value.re, RND);
        mpfr_add(out->im, out->im, value.im, RND);
    }
    mpfr_mul(out->re, out->re, half.re, RND);
    mpfr_mul(out->im, out->im, half.re, RND);
    mpfr_div_2ui(out->re, out->re, 4, RND);
    mpfr_div_2ui(out->im, out->im, 4, RND);
    return mpfr_number_p(out->re) && mpfr_number_p(out->im);
}

/* Is it a polynomial in the variable? Then SymPy's antiderivative is 0 at 0. */
static bool polynomial(const struct math_node *node, const struct math_node *variable) {
    switch (node->op) {
    case MATH_NUMBER:
    case MATH_FLOAT:
    case MATH_SYMBOL:
    case MATH_PI:
    case MATH_E:
        return true;
    case MATH_ADD:
    case MATH_MUL:
        for (uint32_t i = 0; i < node->count; i++) {
            if (!polynomial(node->kids[i], variable)) return false;
        }
        return true;
    case MATH_POW:
        if (!strata_math_is_number(node->kids[1])) return false;
        if (strata_math_is_integer(node->kids[1]) && node->kids[1]->numerator_size >= 0)
            return polynomial(node->kids[0], variable);
        return strata_math_is_number(node->kids[0]) ||
               (node->kids[0]->op == MATH_SYMBOL && !strata_math_same(node->kids[0], variable));
    default:
        return false;
    }
}

static bool integral(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex from, to, *variable;
    bool definite = node->count == 4; /* else from 0 to the variable */
    if (!definite && !polynomial(node->kids[0], node->kids[1])) return false;
    if (!strata_math_complex_init(&from, evaluator) || !strata_math_complex_init(&to, evaluator) ||
        (definite && !strata_math_evaluate(&from, node->kids[2], evaluator)) ||
        !strata_math_evaluate(&to, node->kids[definite ? 3 : 1], evaluator) || !mpfr_number_p(from.re) ||
        !mpfr_number_p(to.re) || !mpfr_zero_p(from.im) || !mpfr_zero_p(to.im)) {
        return false;
    }
    evaluator->loose = true;
    if (mpfr_equal_p(from.re, to.re)) return true; /* out is 0 */
    if (!(variable = bind(evaluator, node->kids[1]))) return false;
    bool swap = mpfr_greater_p(from.re, to.re);
    bool good = quadrature(out, node->kids[0], variable, swap ? to.re : from.re, swap ? from.re : to.re, evaluator);
    if (good && swap) {
        mpfr_neg(out->re, out->re, RND);
        mpfr_neg(out->im, out->im, RND);
    }
    evaluator->bound--;
    return good;
}

/* The central difference: h = 2^-80 leaves two thirds of the bits. */
static bool derivative(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex point, below, *variable;
    if (node->count != 2 || !strata_math_complex_init(&point, evaluator) ||
        !strata_math_complex_init(&below, evaluator) || !strata_math_evaluate(&point, node->kids[1], evaluator) ||
        !(variable = bind(evaluator, node->kids[1]))) {
        return false;
    }
    mpfr_set(variable->im, point.im, RND);
    mpfr_set_ui_2exp(variable->re, 1, -80, RND);
    mpfr_add(variable->re, point.re, variable->re, RND);
    bool good = strata_math_evaluate(out, node->kids[0], evaluator);
    mpfr_set_ui_2exp(variable->re, 1, -80, RND);
    mpfr_sub(variable->re, point.re, variable->re, RND);
    good = good && strata_math_evaluate(&below, node->kids[0], evaluator);
    evaluator->bound--;
    evaluator->loose = true;
    mpfr_sub(out->re, out->re, below.re, RND);
    mpfr_sub(out->im, out->im, below.im, RND);
    mpfr_mul_2ui(out->re, out->re, 79, RND);
    mpfr_mul_2ui(out->im, out->im, 79, RND);
    return good;
}

/* The value next to the point, from both sides; twice as far away it must be the same. */
static bool limit(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_complex point, second, *variable;
    if (!strata_math_complex_init(&point, evaluator) || !strata_math_complex_init(&second, evaluator) ||
        !strata_math_evaluate(&point, node->kids[2], evaluator) || !(variable = bind(evaluator, node->kids[1]))) {
        return false;
    }
    bool far = mpfr_inf_p(point.re), good = true;
    for (int k = 0; good && k < 2; k++) {
        if (far) {
            mpfr_set_ui_2exp(variable->re, 1, k ? 61 : 60, RND);
            if (mpfr_sgn(point.re) < 0) mpfr_neg(variable->re, variable->re, RND);
        } else {
            mpfr_set_ui_2exp(variable->re, 1, -60, RND);
            if (k) mpfr_neg(variable->re, variable->re, RND);
            mpfr_add(variable->re, variable->re, point.re, RND);
        }
        good = strata_math_evaluate(k ? &second : out, node->kids[0], evaluator);
    }
    evaluator->bound--;
    evaluator->loose = true;
    return good && strata_math_close(out, &second, evaluator);
}

static bool determinant(struct math_complex *out, const struct math_node *matrix, struct math_evaluator *evaluator) {
    uint32_t n = matrix->op == MATH_MATRIX ? matrix->rows : 0;
    if (!n || n > 12 || matrix->count != n * n) return false;
    struct math_complex *cells = strata_arena_take(evaluator->context->arena, matrix->count * sizeof *cells), factor,
                        product;
    if (!cells || !strata_math_complex_init(&factor, evaluator) || !strata_math_complex_init(&product, evaluator))
        return false;
    for (uint32_t i = 0; i < matrix->count; i++) {
        if (!strata_math_complex_init(&cells[i], evaluator) ||
            !strata_math_evaluate(&cells[i], matrix->kids[i], evaluator))
            return false;
        if (mpfr_regular_p(cells[i].re) && mpfr_get_exp(cells[i].re) > evaluator->scale)
            evaluator->scale = mpfr_get_exp(cells[i].re);
    }
    evaluator->scale += 8; /* elimination may lose a little more than a sum */
    mpfr_set_ui(out->re, 1, RND);
    mpfr_set_zero(out->im, 1);
    for (uint32_t c = 0; c < n; c++) {
        uint32_t pivot = c;
        for (uint32_t r = c; r < n; r++) {
            if (mpfr_cmpabs(cells[r * n + c].re, cells[pivot * n + c].re) > 0) pivot = r;
        }
        if (mpfr_zero_p(cells[pivot * n + c].re) && mpfr_zero_p(cells[pivot * n + c].im)) {
            mpfr_set_zero(out->re, 1);
            mpfr_set_zero(out->im, 1);
            return true;
        }
        for (uint32_t k = 0; pivot != c && k < n; k++) {
            struct math_complex swap = cells[pivot * n + k];
            cells[pivot * n + k] = cells[c * n + k];
            cells[c * n + k] = swap;
        }
        if (pivot != c) {
            mpfr_neg(out->re, out->re, RND);
            mpfr_neg(out->im, out->im, RND);
        }
        strata_math_multiply(out, out, &cells[c * n + c], evaluator);
        for (uint32_t r = c + 1; r < n; r++) {
            if (!strata_math_spend(evaluator->context, n) ||
                !strata_math_divide(&factor, &cells[r * n + c], &cells[c * n + c], evaluator))
                return false;
            for (uint32_t k = c; k < n; k++) {
                strata_math_multiply(&product, &factor, &cells[c * n + k], evaluator);
                mpfr_sub(cells[r * n + k].re, cells[r * n + k].re, product.re, RND);
                mpfr_sub(cells[r * n + k].im, cells[r * n + k].im, product.im, RND);
            }
        }
    }
    return true;
}

bool strata_math_aggregate(struct math_complex *out, const struct math_node *node, struct math_evaluator *evaluator) {
    struct math_node *matrix;
    switch (node->op) {
    case MATH_SUM:
    case MATH_PRODUCT:
        return sum(out, node, evaluator);
    case MATH_INTEGRAL:
        return integral(out, node, evaluator);
    case MATH_LIMIT:
        return limit(out, node, evaluator);
    case MATH_DERIVATIVE:
        return derivative(out, node, evaluator);
    default:
        matrix = strata_math_matrix(evaluator->context, node->kids[0]);
        return matrix && determinant(out, matrix, evaluator);
    }
}

static struct math_node *combine(struct math_context *context, enum math_op op, const struct math_node *a,
                                 const struct math_node *b) {
    struct strata_arena *arena = context->arena;
    bool left = a->op == MATH_MATRIX, right = b->op == MATH_MATRIX;
    if (op == MATH_ADD) {
        if (!left || !right || a->rows != b->rows || a->count != b->count) return NULL;
        struct math_node *sum_of = strata_math_make(arena, MATH_MATRIX, a->count);
        for (uint32_t i = 0; sum_of && i < a->count; i++)
            sum_of->kids[i] = strata_math_make2(arena, MATH_ADD, a->kids[i], b->kids[i]);
        if (sum_of) sum_of->rows = a->rows;
        return sum_of;
    }
    if (!left || !right) { /* a number times a matrix */
        const struct math_node *matrix = left ? a : b, *number = left ? b : a;
        struct math_node *scaled = strata_math_make(arena, MATH_MATRIX, matrix->count);
        for (uint32_t i = 0; scaled && i < matrix->count; i++) {
            scaled->kids[i] = strata_math_make2(arena, MATH_MUL, (struct math_node *)number, matrix->kids[i]);
        }
        if (scaled) scaled->rows = matrix->rows;
        return scaled;
    }
    uint32_t inner = a->count / a->rows, columns = b->count / b->rows;
    if (inner != b->rows || !strata_math_spend(context, (uint64_t)a->rows * inner * columns)) return NULL;
    struct math_node *product = strata_math_make(arena, MATH_MATRIX, a->rows * columns);
    for (uint32_t r = 0; product && r < a->rows; r++) {
        for (uint32_t c = 0; c < columns; c++) {
            struct math_node *cell = strata_math_make(arena, MATH_ADD, inner);
            for (uint32_t k = 0; cell && k < inner; k++) {
                cell->kids[k] = strata_math_make2(arena, MATH_MUL, a->kids[r * inner + k], b->kids[k * columns + c]);
            }
            product->kids[r * columns + c] = cell;
        }
    }
    if (product) product->rows = a->rows;
    return product;
}

struct math_node *strata_math_matrix(struct math_context *context, const struct math_node *node) {
    if (node->op == MATH_MATRIX) return (struct math_node *)node;
    if ((node->op != MATH_ADD && node->op != MATH_MUL) || context->depth > MATH_MAX_DEPTH) return NULL;
    struct math_node *result = NULL;
    context->depth++;
    for (uint32_t i = 0; i < node->count; i++) {
        struct math_node *part = strata_math_matrix(context, node->kids[i]);
        if (!part) part = node->kids[i];
        bool numbers = result && result->op != MATH_MATRIX && part->op != MATH_MATRIX;
        if (!result)
            result = part;
        else if (numbers)
            result = node->op == MATH_MUL ? strata_math_make2(context->arena, MATH_MUL, result, part) : NULL;
        else
            result = combine(context, node->op, result, part);
        if (!result) break;
    }
    context->depth--;
    return result && result->op == MATH_MATRIX ? result : NULL;
}
