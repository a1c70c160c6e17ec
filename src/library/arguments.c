/* Structures that callers fill, whatever the age of their header. */
#include "library/arguments.h"

#include <stdbool.h>
#include <string.h>

int strata_take(void *own, size_t own_size, const void *given, size_t least, const char *name,
                struct strata_error *err) {
    size_t size;
    memset(own, 0, own_size);
    if (!given) return 0;
    memcpy(&size, given, sizeof size);
    if (size < least) {
        strata_fail(err, STRATA_ERR_USAGE, "%s: its size is %zu, less than %zu", name, size, least);
        return strata_fail_hint(err, STRATA_ERR_USAGE, "set .size = sizeof(%s)", name);
    }
    for (size_t i = own_size; i < size; i++) {
        if (((const unsigned char *)given)[i])
            return strata_fail(err, STRATA_ERR_UNSUPPORTED, "%s: a field is set that this library does not know", name);
    }
    memcpy(own, given, size < own_size ? size : own_size);
    return 0;
}

int strata_take_balance(struct strata_cmab_options *cmab, const struct strata_balance_options *options,
                        struct strata_error *err) {
    struct strata_balance_options own;
    int code = strata_take(&own, sizeof own, options, sizeof own, "struct strata_balance_options", err);
    strata_cmab_paper(cmab);
    if (code) return code;
    if (own.preset && strcmp(own.preset, "released-code") == 0)
        strata_cmab_released_code(cmab);
    else if (own.preset && strcmp(own.preset, "paper") != 0)
        code = strata_fail(err, STRATA_ERR_USAGE, "preset \"%s\": paper or released-code", own.preset);
    if (!code && own.pool) code = strata_cmab_pool_parse(&cmab->pool, own.pool, err);
    if (!code && own.layers) code = strata_cmab_layers_parse(&cmab->layers, own.layers, err);
    if (!code && own.over) code = strata_cmab_over_parse(&cmab->over, own.over, err);
    if (!code && own.text) code = strata_cmab_text_parse(&cmab->text, own.text, err);
    if (code || !own.first) return code;
    cmab->skip_first = strcmp(own.first, "skip") == 0;
    if (cmab->skip_first || strcmp(own.first, "include") == 0) return 0;
    return strata_fail(err, STRATA_ERR_USAGE, "first \"%s\": include or skip", own.first);
}
