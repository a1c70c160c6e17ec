/* A YAML file as a tree of texts that know their line: what recipes are written in. Of YAML: one document of mappings,
 * sequences and scalars, block or flow style, plain or quoted. Anchors, aliases, tags and repeated keys are errors:
 * a recipe should say what it means where one reads it. */
#ifndef STRATA_STUDY_YAML_H
#define STRATA_STUDY_YAML_H

#include <stddef.h>

#include "strata/error.h"

enum strata_yaml_kind { STRATA_YAML_SCALAR, STRATA_YAML_SEQUENCE, STRATA_YAML_MAPPING };

struct strata_yaml {
    enum strata_yaml_kind kind;
    size_t line;               /* 1-based */
    char *key;                 /* in a mapping; NULL elsewhere */
    char *text;                /* scalars; "" for an empty value */
    struct strata_yaml *items; /* (count) of a sequence or mapping, in order */
    size_t count, capacity;
};
/* The file's root, which is a mapping. `path` places errors: "recipes/tiny.yaml:7". */
int strata_yaml_load(struct strata_yaml *out, const char *path, struct strata_error *err);
void strata_yaml_free(struct strata_yaml *node); /* what it owns, not the struct */

/* An error of `code` at a node's line. */
int strata_yaml_fail(struct strata_error *err, const char *path, const struct strata_yaml *node, const char *format,
                     ...) STRATA_PRINTF(4, 5);

#endif
