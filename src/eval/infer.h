/* Which option does an answer name? VLMEvalKit's can_infer, used on predictions and on replies of a judge (spec:
 * benchmarks, section 2), in the three states of the kit that matter. */
#ifndef STRATA_EVAL_INFER_H
#define STRATA_EVAL_INFER_H

#include "eval/python.h"

/* The kit changed while the paper was written; scores depend on which state is meant. */
enum strata_kit { STRATA_KIT_202507, STRATA_KIT_202511, STRATA_KIT_HEAD, STRATA_KITS };
#define STRATA_KIT_DEFAULT STRATA_KIT_202511
/* "202507", "202511", "head"; STRATA_ERR_USAGE naming them. */
int strata_kit_parse(enum strata_kit *out, const char *name, struct strata_error *err);
const char *strata_kit_name(enum strata_kit kit);

struct strata_choice {
    char *key; /* "A" … */
    char *text;
    size_t length;
};
struct strata_choices {
    struct strata_choice *items; /* in order; owned */
    size_t count, capacity;
};
void strata_choices_free(struct strata_choices *choices);
int strata_choices_add(struct strata_choices *choices, const char *key, const json_t *value, struct strata_error *err);
/* The columns A..Z of a row that are not missing. */
int strata_choices_from_row(struct strata_choices *choices, const json_t *row, struct strata_error *err);
/* A, B, C… for the items of a list. */
int strata_choices_from_list(struct strata_choices *choices, const json_t *list, struct strata_error *err);

/* The reply by which an API says that it failed; such a text is never an answer. */
extern const char strata_api_failed[];

/* *key: the option's key, "Z", or NULL when nothing can be told; borrowed from choices or static.
 * Texts of `choices` may come back lower-cased, as the kit leaves them (it matters to a second call's length test).
 * STRATA_ERR_INPUT "AssertionError: …" for a key that is not a run of capital letters. */
int strata_infer(const char **key, struct strata_span answer, struct strata_choices *choices, enum strata_kit kit,
                 struct strata_error *err);
const char *strata_infer_option(struct strata_span answer, const struct strata_choices *choices, enum strata_kit kit);
int strata_infer_text(const char **key, struct strata_span answer, struct strata_choices *choices, enum strata_kit kit,
                      struct strata_error *err);

#endif
