/* Glue over jansson: errors with file, line and column; typed access that names the key; one canonical text form.
 * Duplicate keys, trailing garbage and invalid UTF-8 are errors. Nesting deeper than jansson's limit is an error. */
#ifndef STRATA_BASE_JSON_H
#define STRATA_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "strata/error.h"

/* Parses text[0..length); `name` and `first_line` (1 for a whole file) place the error. *out is a new reference. */
int strata_json_parse(json_t **out, const char *text, size_t length, const char *name, size_t first_line,
                      struct strata_error *err);
int strata_json_load(json_t **out, const char *path, size_t limit, struct strata_error *err);

/* Typed reads of object[key]. With `required` false an absent or null key leaves *out untouched and returns 0.
 * A wrong type or a value outside [low, high] is STRATA_ERR_INPUT naming the key and, as where, `name`. */
int strata_json_int(int64_t *out, const json_t *object, const char *key, bool required, int64_t low, int64_t high,
                    const char *name, struct strata_error *err);
int strata_json_real(double *out, const json_t *object, const char *key, bool required, const char *name,
                     struct strata_error *err);
int strata_json_bool(bool *out, const json_t *object, const char *key, bool required, const char *name,
                     struct strata_error *err);
/* *out borrows from object. */
int strata_json_string(const char **out, const json_t *object, const char *key, bool required, const char *name,
                       struct strata_error *err);

/* For documents of our own making: what stands there, else NAN or "". Nothing is reported; the text is the document's.
 */
double strata_json_number_or_nan(const json_t *object, const char *key);
const char *strata_json_text(const json_t *object, const char *key);

/* One line, keys in insertion order, UTF-8 kept, doubles as the shortest of 15 to 17 digits that reads back equal.
 * Appended to out (see strata_buffer_check), or owned by the caller (free(); NULL when memory is out). */
void strata_json_write(struct strata_buffer *out, const json_t *value);
char *strata_json_line(const json_t *value);

#endif
