/* The one number that the kit picks out of its metrics by itself (head): flatten to "dimension=value|column", then the
 * best-looking name. */
#include <stdlib.h>
#include <string.h>

#include "eval/score.h"

static bool numeric(const json_t *value) {
    double number;
    return json_is_number(value) ||
           (json_is_string(value) &&
            strata_python_float(&number, (struct strata_span){json_string_value(value), json_string_length(value)}) &&
            number == number);
}

/* A text that reads as a number becomes one. */
static json_t *number_of(json_t *value) {
    if (!json_is_string(value)) return json_incref(value);
    const char *text = json_string_value(value);
    double number = 0;
    if (*text && strspn(text, "0123456789") == strlen(text)) return json_integer(strtoll(text, NULL, 10));
    strata_python_float(&number, strata_span_of(text));
    return json_real(number);
}

static bool numeric_column(const json_t *rows, const char *column) {
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row) {
        if (numeric(json_object_get(row, column))) return true;
    }
    return false;
}

/* key, or "value" where it is blank; with the prefix in front. */
static void flat_key(struct strata_buffer *out, const char *prefix, const char *key) {
    struct strata_span bare = strata_span_strip(strata_span_of(key));
    if (!bare.length) bare = strata_span_of("value");
    strata_buffer_text(out, prefix);
    if (*prefix) strata_buffer_byte(out, '|');
    strata_buffer_append(out, bare.data, bare.length);
}

static void flatten_row(json_t *out, const json_t *rows, json_t *row, size_t index) {
    struct strata_buffer dimensions = {0};
    const char *column;
    json_t *cell;
    json_object_foreach(row, column, cell) {
        if (numeric_column(rows, column) || json_is_null(cell)) continue;
        struct strata_buffer text = {0};
        strata_python_str(&text, cell);
        struct strata_span bare = strata_span_strip((struct strata_span){strata_buffer_string(&text), text.length});
        if (bare.length) {
            if (dimensions.length) strata_buffer_byte(&dimensions, '|');
            flat_key(&dimensions, "", column);
            strata_buffer_printf(&dimensions, "=%.*s", (int)bare.length, bare.data);
        }
        strata_buffer_free(&text);
    }
    json_object_foreach(row, column, cell) {
        struct strata_buffer key = {0};
        if (!numeric_column(rows, column) || !numeric(cell)) continue;
        flat_key(&key, strata_buffer_string(&dimensions), column);
        if (json_object_get(out, strata_buffer_string(&key))) strata_buffer_printf(&key, "#%zu", index);
        json_object_set_new(out, strata_buffer_string(&key), number_of(cell));
        strata_buffer_free(&key);
    }
    strata_buffer_free(&dimensions);
}

/* Nested objects are joined by "|"; a list of objects is a table. */
static void flatten(json_t *out, const char *prefix, json_t *metrics) {
    const char *key;
    json_t *value;
    size_t index;
    json_array_foreach(metrics, index, value) {
        flatten_row(out, metrics, value, index);
    }
    json_object_foreach(metrics, key, value) {
        struct strata_buffer joined = {0};
        flat_key(&joined, prefix, key);
        if (json_is_object(value)) {
            flatten(out, strata_buffer_string(&joined), value);
        } else if (numeric(value)) {
            json_object_set_new(out, strata_buffer_string(&joined), number_of(value));
        }
        strata_buffer_free(&joined);
    }
}

static bool ends(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static int looks(const char *key) {
    struct strata_buffer lower = {0};
    strata_python_lower(&lower, strata_span_of(key));
    const char *name = strata_buffer_string(&lower);
    int score = strcmp(name, "overall") == 0                         ? 100
                : ends(name, "|overall")                             ? 95
                : strstr(name, "overall")                            ? 90
                : strcmp(name, "acc") == 0 || ends(name, "|acc")     ? 80
                : strstr(name, "acc")                                ? 70
                : strcmp(name, "score") == 0 || ends(name, "|score") ? 60
                : strstr(name, "score")                              ? 50
                                                                     : 0;
    score += strstr(name, "split=test")         ? 4
             : strstr(name, "split=validation") ? 3
             : strstr(name, "split=val")        ? 2
             : strstr(name, "split=dev")        ? 1
                                                : 0;
    strata_buffer_free(&lower);
    return score;
}

int strata_primary_metric(json_t **out, const json_t *metrics, enum strata_benchmark benchmark,
                          struct strata_error *err) {
    json_t *flat = json_object(), *value, *copy = json_deep_copy(metrics);
    const char *key, *best = NULL;
    *out = json_object();
    if (!flat || !copy || !*out) return strata_fail(err, STRATA_ERR_MEMORY, "out of memory");
    flatten(flat, "", copy);
    json_t *test = json_object_get(flat, "split=test|Overall"),
           *val = json_object_get(flat, "split=validation|Overall");
    if (benchmark == STRATA_MMMU && (test || val)) {
        json_object_set_new(*out, test ? "Overall Acc (test)" : "Overall Acc (val)",
                            json_real(json_number_value(test ? test : val) * 100));
    } else {
        json_object_foreach(flat, key, value) {
            int better = best ? looks(key) - looks(best) : 1;
            if (better > 0 || (better == 0 && strcmp(key, best) < 0)) best = key;
        }
        if (best) json_object_set(*out, best, json_object_get(flat, best));
    }
    json_decref(flat);
    json_decref(copy);
    return 0;
}
