#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

int strata_json_parse(json_t **out, const char *text, size_t length, const char *name, size_t first_line,
                      struct strata_error *err) {
    json_error_t error;
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (*out) return 0;
    size_t line = first_line + (error.line > 0 ? (size_t)error.line - 1 : 0);
    strata_fail(err, STRATA_ERR_INPUT, "malformed JSON: %s", error.text);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s:%zu:%d", name, line, error.column > 0 ? error.column : 1);
}

int strata_json_load(json_t **out, const char *path, size_t limit, struct strata_error *err) {
    struct strata_buffer text = {0};
    *out = NULL;
    int code = strata_file_read(&text, path, limit, err);
    if (!code) code = strata_json_parse(out, strata_buffer_string(&text), text.length, path, 1, err);
    strata_buffer_free(&text);
    return code;
}

static int wrong(const json_t *value, const char *key, const char *expected, const char *name,
                 struct strata_error *err) {
    strata_fail(err, STRATA_ERR_INPUT, value ? "\"%s\" must be %s" : "\"%s\" is missing: it must be %s", key, expected);
    return strata_fail_at(err, STRATA_ERR_INPUT, "%s", name);
}

/* *value is NULL when the key is absent or null. */
static int find(const json_t **value, const json_t *object, const char *key, bool required, const char *expected,
                const char *name, struct strata_error *err) {
    *value = json_object_get(object, key);
    if (json_is_null(*value)) *value = NULL;
    return *value || !required ? 0 : wrong(NULL, key, expected, name, err);
}

int strata_json_int(int64_t *out, const json_t *object, const char *key, bool required, int64_t low, int64_t high,
                    const char *name, struct strata_error *err) {
    const json_t *value;
    if (find(&value, object, key, required, "an integer", name, err)) return STRATA_ERR_INPUT;
    if (!value) return 0;
    if (!json_is_integer(value)) return wrong(value, key, "an integer", name, err);
    int64_t number = json_integer_value(value);
    if (number < low || number > high) {
        strata_fail(err, STRATA_ERR_INPUT, "\"%s\" is %lld: it must be between %lld and %lld", key, (long long)number,
                    (long long)low, (long long)high);
        return strata_fail_at(err, STRATA_ERR_INPUT, "%s", name);
    }
    *out = number;
    return 0;
}

int strata_json_real(double *out, const json_t *object, const char *key, bool required, const char *name,
                     struct strata_error *err) {
    const json_t *value;
    if (find(&value, object, key, required, "a number", name, err)) return STRATA_ERR_INPUT;
    if (!value) return 0;
    if (!json_is_number(value)) return wrong(value, key, "a number", name, err);
    *out = json_number_value(value);
    return 0;
}

int strata_json_bool(bool *out, const json_t *object, const char *key, bool required, const char *name,
                     struct strata_error *err) {
    const json_t *value;
    if (find(&value, object, key, required, "true or false", name, err)) return STRATA_ERR_INPUT;
    if (!value) return 0;
    if (!json_is_boolean(value)) return wrong(value, key, "true or false", name, err);
    *out = json_is_true(value);
    return 0;
}

int strata_json_string(const char **out, const json_t *object, const char *key, bool required, const char *name,
                       struct strata_error *err) {
    const json_t *value;
    if (find(&value, object, key, required, "a string", name, err)) return STRATA_ERR_INPUT;
    if (!value) return 0;
    if (!json_is_string(value)) return wrong(value, key, "a string", name, err);
    if (strlen(json_string_value(value)) != json_string_length(value)) {
        return wrong(value, key, "a string without NUL characters", name, err);
    }
    *out = json_string_value(value);
    return 0;
}

double strata_json_number_or_nan(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *strata_json_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
