/* The small part of a tokenizer.json: what it asks for besides its tables. Private to the tokenizer. */
#ifndef STRATA_MODEL_TOKENIZER_SETTINGS_H
#define STRATA_MODEL_TOKENIZER_SETTINGS_H

#include <jansson.h>

#include "model/tokenizer_private.h"

/* Checks normaliser, pre-tokenizer, post-processor, decoder and the model's flags, and sets nfc, ignore_merges and the
 * pattern. Whatever would change ids or text and is not implemented is STRATA_ERR_UNSUPPORTED. */
int strata_tokenizer_settings(struct strata_tokenizer *tokenizer, const json_t *root, const char *name,
                              struct strata_error *err);

struct strata_added_token {
    const char *content; /* borrowed from the tree */
    size_t length;
    int64_t id;
    unsigned flags; /* STRATA_TOKEN_* */
    bool normalized;
};
int strata_added_token_read(struct strata_added_token *out, const json_t *object, const char *name,
                            struct strata_error *err);

#endif
