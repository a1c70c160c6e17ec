/* MathVista: is an answer right, and what can be read without a judge? (post_check of the kit) */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/judge.h"

enum outcome { VALUE, VALUE_ERROR };

/* int(cell): the digits into out. *outcome VALUE_ERROR where Python raises ValueError, which the kit catches. */
static int cell_int(struct strata_buffer *out, enum outcome *outcome, const json_t *cell, struct strata_error *err) {
    *outcome = VALUE;
    strata_buffer_clear(out);
    if (json_is_null(cell)) {
        *outcome = VALUE_ERROR; /* NaN */
    } else if (json_is_real(cell) || json_is_object(cell)) {
        double value = 0;
        strata_python_number(&value, cell);
        if (isinf(value)) return strata_fail(err, STRATA_ERR_INPUT, "OverflowError: infinity is no integer");
        strata_python_int_of(out, value);
    } else if (json_is_string(cell)) {
        if (!strata_python_int(out, (struct strata_span){json_string_value(cell), json_string_length(cell)}))
            *outcome = VALUE_ERROR;
    } else if (json_is_integer(cell) || json_is_boolean(cell)) {
        strata_buffer_printf(out, "%" JSON_INTEGER_FORMAT,
                             json_is_integer(cell) ? json_integer_value(cell) : (json_int_t)json_is_true(cell));
    } else {
        return strata_fail(err, STRATA_ERR_INPUT, "TypeError: a list is no integer");
    }
    return strata_buffer_check(out, err);
}

static int cell_float(double *out, enum outcome *outcome, const json_t *cell, struct strata_error *err) {
    *outcome = VALUE;
    *out = NAN;
    if (json_is_null(cell)) return 0; /* float(nan) is nan */
    if (json_is_string(cell)) {
        if (!strata_python_float(out, (struct strata_span){json_string_value(cell), json_string_length(cell)}))
            *outcome = VALUE_ERROR;
        return 0;
    }
    if (!strata_python_number(out, cell)) return strata_fail(err, STRATA_ERR_INPUT, "TypeError: a list is no number");
    return 0;
}

/* The value, or false / true where only the check is wanted. */
static int answer(json_t **out, json_t *value, bool equal, bool prefetch, struct strata_error *err) {
    *out = !equal ? json_false() : prefetch ? json_incref(value) : json_true();
    json_decref(value);
    return *out ? 0 : strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
}

static int check_choice(json_t **out, const json_t *row, const json_t *response, bool prefetch, enum strata_kit kit,
                        struct strata_error *err) {
    struct strata_choices choices = {0};
    struct strata_buffer text = {0};
    json_t *list = NULL;
    const json_t *truth;
    const char *key = NULL;
    int code = strata_row_cell(&truth, row, "answer_option", err);
    if (!code) code = strata_row_list(&list, row, "choices", false, err);
    if (!code) code = strata_choices_from_list(&choices, list, err);
    if (!code) {
        strata_python_cell(&text, response);
        code = strata_infer(&key, (struct strata_span){strata_buffer_string(&text), text.length}, &choices, kit, err);
    }
    if (!code) {
        json_t *value = key ? json_string(key) : json_false();
        bool equal = prefetch || strata_python_equal(value, truth);
        code = answer(out, value, equal, prefetch, err);
    }
    strata_choices_free(&choices);
    strata_buffer_free(&text);
    json_decref(list);
    return code;
}

static int check_integer(json_t **out, const json_t *truth, const json_t *response, bool prefetch,
                         struct strata_error *err) {
    struct strata_buffer ours = {0}, gold = {0};
    enum outcome read, known = VALUE_ERROR;
    int code = cell_int(&ours, &read, response, err);
    if (!code && read == VALUE) code = cell_int(&gold, &known, truth, err);
    if (!code) {
        bool equal =
            read == VALUE && known == VALUE && strcmp(strata_buffer_string(&ours), strata_buffer_string(&gold)) == 0;
        errno = 0;
        json_int_t small = strtoll(strata_buffer_string(&ours), NULL, 10);
        json_t *value = errno ? json_real(strtod(strata_buffer_string(&ours), NULL)) : json_integer(small);
        code = answer(out, value, equal, prefetch, err);
    }
    strata_buffer_free(&ours);
    strata_buffer_free(&gold);
    return code;
}

static int check_float(json_t **out, const json_t *truth, const json_t *response, bool prefetch,
                       struct strata_error *err) {
    double ours = 0, gold = 0;
    enum outcome read, known = VALUE_ERROR;
    int code = cell_float(&ours, &read, response, err);
    if (!code && read == VALUE) code = cell_float(&gold, &known, truth, err);
    if (code) return code;
    bool equal = read == VALUE && known == VALUE && ours == gold;
    return answer(out, isfinite(ours) ? json_real(ours) : json_string(ours < 0 ? "-Infinity" : "Infinity"), equal,
                  prefetch, err);
}

int strata_mathvista_check(json_t **out, const json_t *row, bool prefetch, enum strata_kit kit,
                           struct strata_error *err) {
    const json_t *truth, *response, *question, *kind;
    *out = NULL;
    int code = strata_row_cell(&truth, row, "answer", err);
    if (!code) code = strata_row_cell(&response, row, prefetch ? "prediction" : "res", err);
    if (!code) code = strata_row_cell(&question, row, "question_type", err);
    if (code) return code;
    if (json_is_string(question) && strcmp(json_string_value(question), "multi_choice") == 0)
        return check_choice(out, row, response, prefetch, kit, err);
    code = strata_row_cell(&kind, row, "answer_type", err);
    if (code) return code;
    const char *type = json_is_string(kind) ? json_string_value(kind) : "";
    if (strcmp(type, "integer") == 0) return check_integer(out, truth, response, prefetch, err);
    if (strcmp(type, "float") == 0) return check_float(out, truth, response, prefetch, err);
    /* Lists and texts: the kit compares the word None with the answer. */
    struct strata_buffer text = {0};
    strata_python_cell(&text, truth);
    bool equal = strcmp(strata_buffer_string(&text), "None") == 0;
    strata_buffer_free(&text);
    return answer(out, json_string("None"), equal, prefetch, err);
}
