/* Data written as text: JSON as Python's json.loads reads it, Python literals as ast.literal_eval does, or either
 * (lenient, for answers of models). Bounded: nesting and size are limited, nothing recurses deeper than LITERAL_DEPTH.
 */
#ifndef STRATA_VERIFY_LITERAL_H
#define STRATA_VERIFY_LITERAL_H

#include "verify/arena.h"
#include "verify/span.h"

#define STRATA_LITERAL_DEPTH 90

enum strata_literal_syntax { STRATA_LITERAL_JSON, STRATA_LITERAL_PYTHON, STRATA_LITERAL_LENIENT };
enum strata_literal_type {
    STRATA_LITERAL_NONE,
    STRATA_LITERAL_BOOL,
    STRATA_LITERAL_INT,
    STRATA_LITERAL_REAL,
    STRATA_LITERAL_STRING,
    STRATA_LITERAL_BYTES,
    STRATA_LITERAL_LIST,
    STRATA_LITERAL_TUPLE,
    STRATA_LITERAL_SET,
    STRATA_LITERAL_DICT,
};
struct strata_literal {
    enum strata_literal_type type;
    double number;                     /* BOOL, INT, REAL */
    struct strata_span text;           /* STRING, BYTES: UTF-8, escapes resolved */
    struct strata_literal *first;      /* LIST, TUPLE, SET: items; DICT: values */
    struct strata_literal *next, *key; /* the next sibling; the key of a dict value */
    size_t count;
};
/* The whole text, or the text up to *end when end is not NULL. NULL when it does not parse. */
struct strata_literal *strata_literal_parse(struct strata_arena *arena, struct strata_span text,
                                            enum strata_literal_syntax syntax, size_t *end);
/* dict[name]; with a repeated key the last counts. NULL when absent. */
const struct strata_literal *strata_literal_get(const struct strata_literal *dict, const char *name);
/* Equal and of one hash in Python: 1 == 1.0 == True; strings by text; tuples by item. */
bool strata_literal_equal(const struct strata_literal *a, const struct strata_literal *b);
bool strata_literal_hashable(const struct strata_literal *value);

#endif
