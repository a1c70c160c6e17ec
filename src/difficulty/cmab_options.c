/* The texts of CMAB's options. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "difficulty/cmab.h"

static const char *const pools[] = {"sum", "mean"};
static const char *const overs[] = {"mean", "ratio-of-sums", "median", "geomean"};
static const char *const texts[] = {"prompt", "before-image", "question"};

/* Index of text among names, or -1 with an error that lists them. */
static int choice(const char *const *names, size_t count, const char *option, const char *text,
                  struct strata_error *err) {
    struct strata_buffer list = {0};
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) return (int)i;
    for (size_t i = 0; i < count; i++) strata_buffer_printf(&list, "%s%s", i ? ", " : "", names[i]);
    strata_fail(err, STRATA_ERR_USAGE, "%s cannot be \"%.40s\"", option, text);
    strata_fail_hint(err, STRATA_ERR_USAGE, "one of: %s", strata_buffer_string(&list));
    strata_buffer_free(&list);
    return -1;
}

int strata_cmab_pool_parse(enum strata_cmab_pool *out, const char *text, struct strata_error *err) {
    int found = choice(pools, 2, "--cmab-pool", text, err);
    if (found < 0) return STRATA_ERR_USAGE;
    *out = (enum strata_cmab_pool)found;
    return 0;
}

int strata_cmab_over_parse(enum strata_cmab_over *out, const char *text, struct strata_error *err) {
    int found = choice(overs, STRATA_CMAB_OVERS, "--cmab-over-tokens", text, err);
    if (found < 0) return STRATA_ERR_USAGE;
    *out = (enum strata_cmab_over)found;
    return 0;
}

int strata_cmab_text_parse(enum strata_cmab_text *out, const char *text, struct strata_error *err) {
    int found = choice(texts, 3, "--cmab-text", text, err);
    if (found < 0) return STRATA_ERR_USAGE;
    *out = (enum strata_cmab_text)found;
    return 0;
}

int strata_cmab_layers_parse(int *out, const char *text, struct strata_error *err) {
    char *end;
    if (strcmp(text, "inner") == 0 || strcmp(text, "all") == 0) {
        *out = text[0] == 'i' ? STRATA_CMAB_LAYERS_INNER : STRATA_CMAB_LAYERS_ALL;
        return 0;
    }
    long index = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    if (index < 0 || index > 65535 || *end)
        return strata_fail(err, STRATA_ERR_USAGE, "--cmab-layers cannot be \"%.40s\": inner, all or a 0-based index",
                           text);
    *out = (int)index;
    return 0;
}

int strata_cmab_bands_parse(double bands[4], const char *text, struct strata_error *err) {
    const char *at = text;
    double values[4];
    for (int i = 0; i < 4; i++) {
        char *end;
        values[i] = strtod(at, &end);
        bool good = end != at && *end == (i < 3 ? ',' : '\0') && values[i] > (i ? values[i - 1] : 0) && values[i] < 1e6;
        if (!good)
            return strata_fail(err, STRATA_ERR_USAGE,
                               "--cmab-bands \"%.60s\": four ascending numbers, as 0.1,0.4,1.6,1.9", text);
        at = end + 1;
    }
    memcpy(bands, values, sizeof values);
    return 0;
}

const char *strata_cmab_pool_name(enum strata_cmab_pool pool) {
    return pools[pool];
}

const char *strata_cmab_over_name(enum strata_cmab_over over) {
    return overs[over];
}

const char *strata_cmab_text_name(enum strata_cmab_text text) {
    return texts[text];
}
