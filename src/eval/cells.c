#include "eval/cells.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

#define XLSX_TEXT_MOST 32767 /* code points in one cell */

bool strata_cell_missing(struct strata_span text) {
    static const char *const words[] = {"",     "#N/A", "#N/A N/A", "#NA",     "-1.#IND", "-1.#QNAN",
                                        "-NaN", "-nan", "1.#IND",   "1.#QNAN", "<NA>",    "N/A",
                                        "NA",   "NULL", "NaN",      "n/a",     "nan",     "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strata_span_is(text, words[i])) return true;
    }
    return false;
}

/* ---- numbers ---- */

static double power_of_ten(int exponent) { /* correctly rounded, as the table in pandas is */
    char text[16];
    snprintf(text, sizeof text, "1e%d", exponent);
    return strtod(text, NULL);
}

static double scale(double number, int exponent) {
    if (exponent > 308) return number < 0 ? -HUGE_VAL : HUGE_VAL;
    if (exponent > 0) return number * power_of_ten(exponent);
    if (exponent < -616) return number < 0 ? -0.0 : 0.0;
    if (exponent < -308) return number / power_of_ten(-308 - exponent) / power_of_ten(308);
    return number / power_of_ten(-exponent);
}

/* The digits from *at on, at most `most` of them in all, into *number; further ones are only counted. */
static int take_digits(struct strata_span text, size_t *at, double *number, int *taken, int most) {
    int over = 0;
    for (; *at < text.length && strata_is_digit(text.data[*at]); (*at)++) {
        if (*taken < most) {
            *number = *number * 10.0 + (text.data[*at] - '0');
            (*taken)++;
        } else {
            over++;
        }
    }
    return over;
}

/* pandas' precise_xstrtod: at most 17 digits gathered in a double, then one scaling. */
static bool decimal(double *out, bool *whole, struct strata_span text) {
    size_t at = 0;
    double number = 0;
    int taken = 0, exponent;
    bool negative = text.length && text.data[0] == '-';
    if (text.length && (text.data[0] == '-' || text.data[0] == '+')) at++;
    *whole = true;
    exponent = take_digits(text, &at, &number, &taken, 17);
    if (at < text.length && text.data[at] == '.') {
        int before = taken;
        at++;
        *whole = false;
        take_digits(text, &at, &number, &taken, 17);
        exponent -= taken - before;
    }
    if (!taken) return false;
    if (at < text.length && strata_lower(text.data[at]) == 'e') {
        double power = 0;
        int digits = 0;
        bool minus = at + 1 < text.length && text.data[at + 1] == '-';
        at += minus || (at + 1 < text.length && text.data[at + 1] == '+') ? 2 : 1;
        *whole = false;
        take_digits(text, &at, &power, &digits, 5);
        if (!digits) return false;
        exponent += minus ? -(int)power : (int)power;
    }
    *out = scale(negative ? -number : number, exponent);
    return at == text.length && !isinf(*out);
}

bool strata_cell_number(double *out, bool *whole, struct strata_span text) {
    struct strata_span bare = text;
    bool negative = bare.length && bare.data[0] == '-';
    if (bare.length && (bare.data[0] == '-' || bare.data[0] == '+')) bare = strata_span_sub(bare, 1, bare.length);
    if (strata_span_is_nocase(bare, "inf") || strata_span_is_nocase(bare, "infinity")) {
        *out = negative ? -HUGE_VAL : HUGE_VAL;
        *whole = false;
        return true;
    }
    return decimal(out, whole, strata_span_trim(text));
}

/* A whole number that fits int64. */
static bool small_integer(json_int_t *out, struct strata_span text) {
    char digits[32];
    text = strata_span_trim(text);
    if (text.length >= sizeof digits) return false;
    memcpy(digits, text.data, text.length);
    digits[text.length] = '\0';
    errno = 0;
    *out = strtoll(digits, NULL, 10);
    return errno == 0;
}

/* ---- columns ---- */

static int boolean_of(struct strata_span text) {
    if (strata_span_is(text, "True") || strata_span_is(text, "TRUE") || strata_span_is(text, "true")) return 1;
    if (strata_span_is(text, "False") || strata_span_is(text, "FALSE") || strata_span_is(text, "false")) return 0;
    return -1;
}

void strata_column_add(struct strata_column *column, struct strata_span text) {
    double number;
    bool whole;
    json_int_t integer;
    if (strata_cell_missing(text)) {
        column->missing = true;
    } else if (strata_cell_number(&number, &whole, text)) {
        /* A whole number too large for an integer keeps the column a text, unless pandas has met a fraction before. */
        if (whole && !column->real && !small_integer(&integer, text)) column->text = true;
        if (whole) column->integer = true;
        if (!whole) column->real = true;
    } else if (boolean_of(text) >= 0) {
        column->boolean = true;
    } else {
        column->text = true;
    }
}

enum strata_column_type strata_column_type(const struct strata_column *column) {
    if (column->text || (column->boolean && (column->integer || column->real))) return STRATA_COLUMN_TEXT;
    if (column->boolean) return STRATA_COLUMN_BOOLEAN;
    if (column->real || (column->integer && column->missing)) return STRATA_COLUMN_REAL;
    return column->integer ? STRATA_COLUMN_INTEGER : STRATA_COLUMN_TEXT;
}

json_t *strata_column_cell(struct strata_span text, enum strata_column_type type) {
    double number = 0;
    bool whole;
    json_int_t integer;
    if (strata_cell_missing(text)) return json_null();
    if (type == STRATA_COLUMN_BOOLEAN) return json_boolean(boolean_of(text) == 1);
    if (type == STRATA_COLUMN_INTEGER && small_integer(&integer, text)) return json_integer(integer);
    if (type == STRATA_COLUMN_REAL && strata_cell_number(&number, &whole, text)) {
        return isinf(number) ? json_pack("{s:s}", "text", number < 0 ? "-inf" : "inf") : json_real(number);
    }
    return json_stringn_nocheck(text.data, text.length);
}

/* ---- through a spreadsheet ---- */

static bool formula(struct strata_span text) {
    return text.length && (text.data[0] == '=' || (text.length > 1 && text.data[0] == '{' && text.data[1] == '=' &&
                                                   text.data[text.length - 1] == '}'));
}

/* Control characters come back as _xHHHH_; long texts are cut. */
static void spreadsheet_text(struct strata_buffer *out, struct strata_span text) {
    size_t count = 0;
    for (size_t at = 0; at < text.length && count < XLSX_TEXT_MOST; count++) {
        int32_t code;
        size_t size = strata_utf8_next(&code, text.data + at, text.length - at);
        if (code >= 0 && code < 0x20 && code != '\t' && code != '\n') {
            strata_buffer_printf(out, "_x%04X_", (unsigned)code);
        } else {
            strata_buffer_append(out, text.data + at, size);
        }
        at += size;
    }
}

/* One cell after writing and reading, before columns are typed. */
json_t *strata_cell_round_trip(json_t *cell, enum strata_kit kit) {
    if (json_is_real(cell)) {
        double value = json_real_value(cell);
        bool whole = fabs(value) < 9e15 && value == trunc(value);
        return whole ? json_integer((json_int_t)value) : json_incref(cell);
    }
    if (!json_is_string(cell)) return json_incref(cell);
    struct strata_span text = {json_string_value(cell), json_string_length(cell)};
    if (strata_cell_missing(text)) return json_null();
    if (kit != STRATA_KIT_HEAD && formula(text)) return json_integer(0);
    struct strata_buffer written = {0};
    spreadsheet_text(&written, text);
    json_t *result = written.failed ? NULL : json_stringn_nocheck(strata_buffer_string(&written), written.length);
    strata_buffer_free(&written);
    return result;
}

static void add_cell(struct strata_column *column, const json_t *cell) {
    if (json_is_string(cell)) {
        strata_column_add(column, (struct strata_span){json_string_value(cell), json_string_length(cell)});
    } else if (json_is_integer(cell)) {
        column->integer = true;
    } else if (json_is_real(cell) || json_is_object(cell)) {
        column->real = true;
    } else if (json_is_boolean(cell)) {
        column->boolean = true;
    } else if (json_is_null(cell)) {
        column->missing = true;
    } else {
        column->text = true;
    }
}

static json_t *typed_cell(json_t *cell, enum strata_column_type type) {
    if (json_is_string(cell))
        return strata_column_cell((struct strata_span){json_string_value(cell), json_string_length(cell)}, type);
    if (json_is_integer(cell) && type == STRATA_COLUMN_REAL) return json_real((double)json_integer_value(cell));
    return json_incref(cell);
}

static int type_column(json_t *rows, const char *name, struct strata_error *err) {
    struct strata_column column = {0};
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *cell = json_object_get(json_array_get(rows, i), name);
        if (cell) {
            add_cell(&column, cell);
        } else {
            column.missing = true;
        }
    }
    enum strata_column_type type = strata_column_type(&column);
    for (size_t i = 0; i < json_array_size(rows) && type != STRATA_COLUMN_TEXT; i++) {
        json_t *row = json_array_get(rows, i), *cell = json_object_get(row, name);
        if (cell && json_object_set_new(row, name, typed_cell(cell, type)))
            return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    }
    return 0;
}

int strata_cells_round_trip(json_t *rows, enum strata_kit kit, struct strata_error *err) {
    json_t *names = json_object();
    if (!names) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    size_t index;
    json_t *row, *cell;
    const char *name;
    int code = 0;
    json_array_foreach(rows, index, row) {
        void *next;
        json_object_foreach_safe(row, next, name, cell) {
            if (json_object_set_new(row, name, strata_cell_round_trip(cell, kit)) ||
                json_object_set_new(names, name, json_null()))
                code = strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
        }
    }
    json_object_foreach(names, name, cell) {
        if (!code) code = type_column(rows, name, err);
    }
    json_decref(names);
    return code;
}

bool strata_cells_typed(const json_t *rows, const char *column) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        if (json_is_string(json_object_get(row, column))) return false;
    }
    return true;
}
