#include "strata/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int strata_fail(struct strata_error *err, int code, const char *format, ...) {
    if (!err) return code;
    err->code = code;
    err->where[0] = '\0';
    err->hint[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->what, sizeof err->what, format, arguments);
    va_end(arguments);
    return code;
}

int strata_fail_at(struct strata_error *err, int code, const char *format, ...) {
    if (!err) return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->where, sizeof err->where, format, arguments);
    va_end(arguments);
    return err->code;
}

int strata_fail_hint(struct strata_error *err, int code, const char *format, ...) {
    if (!err) return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->hint, sizeof err->hint, format, arguments);
    va_end(arguments);
    return err->code;
}

int strata_fail_at_default(struct strata_error *err, int code, const char *format, ...) {
    if (!err) return code;
    if (err->where[0]) return err->code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->where, sizeof err->where, format, arguments);
    va_end(arguments);
    return err->code;
}

int strata_fail_at_record(struct strata_error *err, int code, const char *place, const char *id) {
    if (!err) return code;
    if (id && err->where[0] && strcmp(err->where, id) == 0) return strata_fail_at(err, code, "%s (%s)", place, id);
    return strata_fail_at_default(err, code, "%s", place);
}

const char *strata_error_line(const struct strata_error *err, char *out, unsigned long out_size) {
    snprintf(out, out_size, "%s%s%s%s%s%s", err->where, err->where[0] ? ": " : "", err->what, err->hint[0] ? " (" : "",
             err->hint, err->hint[0] ? ")" : "");
    return out;
}
